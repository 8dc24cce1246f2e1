"""Results First (Pew, now Penn State): the colours that join nine clearinghouses, here from the WWC's rating.

Source: http://pewtrusts.org/resultsfirstclearinghousedatabase.
"""

from evaluation.evidence.schemes import what_works_clearinghouse as wwc
from evaluation.evidence.schemes.core import NOT_COVERED, Rating, Ruling, Scheme, SchemeRule, table
from evaluation.evidence.schemes.reading import FAVOURABLE, SYNTHESES, UNFAVOURABLE, Reading

CITE = "http://pewtrusts.org/resultsfirstclearinghousedatabase"


def judge(reading: Reading) -> Ruling:
    """The colour of one finding."""
    if reading.design in SYNTHESES:
        return Ruling(NOT_COVERED, "single-studies")
    rating = wwc.judge(reading).rating
    if rating not in (wwc.WITHOUT, wwc.WITH):
        return Ruling("insufficient", "insufficient")
    sign = reading.get("significance")
    if sign == FAVOURABLE:
        return Ruling("green", "highest") if rating == wwc.WITHOUT else Ruling("yellow", "second")
    if sign == UNFAVOURABLE:
        return Ruling("red", "negative")
    return Ruling("grey", "no-effect") if reading.get("precise_null") else Ruling("insufficient", "inconclusive")


SCHEME = Scheme(
    id="results_first",
    fr="Couleurs Results First (États-Unis)",
    en="Results First colours (United States)",
    short="Results First",
    publisher="Pew, Penn State",
    address=CITE,
    ratings=table(
        Rating(code="green", rank=3, fr="vert, la meilleure note", en="green, highest rated"),
        Rating(code="yellow", rank=2, fr="jaune, la deuxième note", en="yellow, second-highest rated"),
        Rating(code="insufficient", rank=1, fr="preuves insuffisantes", en="insufficient evidence"),
        Rating(code="blue", rank=None, fr="bleu, effets contradictoires", en="blue, mixed effects"),
        Rating(code="grey", rank=None, fr="gris, sans effet", en="grey, no effects"),
        Rating(code="red", rank=None, fr="rouge, effet défavorable", en="red, negative effects"),
    ),
    rules=table(
        SchemeRule(
            id="highest",
            kind="published",
            cite=CITE,
            fr="effet favorable dans une étude de la meilleure note",
            en="favourable in a study of the highest rating",
        ),
        SchemeRule(
            id="second",
            kind="published",
            cite=CITE,
            fr="effet favorable dans une étude de la deuxième note",
            en="favourable in a study of the second-highest rating",
        ),
        SchemeRule(
            id="negative",
            kind="published",
            cite=CITE,
            fr="effet défavorable dans une étude conforme",
            en="unfavourable in a study that meets the standards",
        ),
        SchemeRule(
            id="no-effect",
            kind="ours",
            cite=f"{CITE}: no effect; that it must be precisely nil is ours",
            fr="effet précisément nul dans une étude conforme",
            en="precisely no effect in a study that meets the standards",
        ),
        SchemeRule(
            id="inconclusive",
            kind="ours",
            cite=f"{CITE}: no effect; that it must be precisely nil is ours",
            fr="l'étude est conforme mais ne permet pas de conclure",
            en="the study meets the standards but does not settle it",
        ),
        SchemeRule(
            id="insufficient",
            kind="published",
            cite=CITE,
            fr="l'étude n'est pas conforme",
            en="the study does not meet the standards",
        ),
        SchemeRule(
            id="single-studies",
            kind="ours",
            cite=f"{CITE}: the colour is that of a clearinghouse's rating of a programme",
            fr="le WWC ne note pas les synthèses",
            en="the WWC does not rate syntheses",
        ),
    ),
    left_out_fr=("Le bleu (effets contradictoires) demande plusieurs résultats ou études : une fiche n'en a qu'un."),
    left_out_en=("Blue (mixed effects) takes several outcomes or studies: a record has one."),
    judge=judge,
)
