"""Early Intervention Foundation (United Kingdom, now Foundations): strength of evidence, with its 'not effective'.

Source: https://guidebook.eif.org.uk/eif-evidence-standards.
"""

from evaluation.evidence.schemes.core import NOT_COVERED, Rating, Ruling, Scheme, SchemeRule, table
from evaluation.evidence.schemes.reading import CONTROLLED, FAVOURABLE, SYNTHESES, Reading

CITE = "https://guidebook.eif.org.uk/eif-evidence-standards"
COMPARABLE_GAP = 0.25
FEWEST, LOST = 20, 0.40
MOST_LOST = 0.50


def judge(reading: Reading) -> Ruling:
    """The level of one finding."""
    if reading.design in SYNTHESES:
        return Ruling(NOT_COVERED, "single-studies")
    if not reading.is_effect:
        return Ruling("NL2", "not-yet")
    if reading.get("significance") == FAVOURABLE:
        return _favourable(reading)
    return Ruling("NE", "not-effective") if _rigorous(reading) else Ruling("NL2", "not-yet")


def _favourable(reading: Reading) -> Ruling:
    if _rigorous(reading):
        return Ruling("3", "rigorous")
    enough = reading.get("sample.units") >= FEWEST and reading.get("attrition.overall") <= LOST
    return Ruling("2", "preliminary") if enough else Ruling("NL2", "not-yet")


def _rigorous(reading: Reading) -> bool:
    """A comparison group that was alike at the start and not lost on the way."""
    if reading.design not in CONTROLLED:
        return False
    return bool(reading.get("baseline.gap") <= COMPARABLE_GAP and reading.get("attrition.overall") <= MOST_LOST)


SCHEME = Scheme(
    id="eif",
    fr="Niveaux de l'EIF, aujourd'hui Foundations (Royaume-Uni)",
    en="EIF levels, now Foundations (United Kingdom)",
    short="EIF",
    publisher="Early Intervention Foundation",
    address=CITE,
    ratings=table(
        Rating(code="4", rank=4, fr="niveau 4, efficace", en="level 4, effective"),
        Rating(code="3", rank=3, fr="niveau 3, efficace dans une étude", en="level 3, efficacious"),
        Rating(code="2", rank=2, fr="niveau 2, premiers indices", en="level 2, preliminary evidence"),
        Rating(code="NL2", rank=1, fr="en deçà du niveau 2", en="not level 2"),
        Rating(
            code="NE",
            rank=None,
            fr="NE, bien testé, sans effet favorable trouvé",
            en="NE, well tested, not found effective",
        ),
    ),
    rules=table(
        SchemeRule(
            id="rigorous",
            kind="ours",
            cite=f"{CITE}: a rigorous evaluation; 0.25 and 50 % are ours",
            fr="une évaluation rigoureuse montre un effet favorable ; le niveau 4 en demande plusieurs",
            en="one rigorous evaluation shows a favourable effect; level 4 asks for several",
        ),
        SchemeRule(
            id="preliminary",
            kind="recalled",
            cite=f"{CITE}: at least 20 people and 60 % retained",
            fr="des personnes assez nombreuses, suivies jusqu'au bout, vont mieux",
            en="enough people, followed to the end, fare better",
        ),
        SchemeRule(
            id="not-yet",
            kind="published",
            cite=CITE,
            fr="pas encore de premiers indices",
            en="no preliminary evidence yet",
        ),
        SchemeRule(
            id="not-effective",
            kind="published",
            cite=CITE,
            fr="une évaluation rigoureuse n'a pas trouvé d'effet favorable",
            en="a rigorous evaluation found no favourable effect",
        ),
        SchemeRule(
            id="single-studies",
            kind="published",
            cite=CITE,
            fr="le barème note des évaluations de programmes, pas des synthèses",
            en="the scheme rates evaluations of programmes, not syntheses",
        ),
    ),
    left_out_fr=("Le niveau 4 (plusieurs évaluations, un effet d'au moins un an) ne se lit pas dans une seule fiche."),
    left_out_en=("Level 4 (several evaluations, an effect of a year or more) cannot be read in one record."),
    judge=judge,
)
