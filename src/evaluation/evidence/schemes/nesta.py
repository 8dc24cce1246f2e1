"""Nesta's standards of evidence (United Kingdom): five levels, of which one finding can show three.

Source: Nesta, Standards of Evidence (2013), https://www.nesta.org.uk/report/nesta-standards-of-evidence/.
"""

from evaluation.evidence.schemes.core import Rating, Ruling, Scheme, SchemeRule, table
from evaluation.evidence.schemes.reading import COMPARED, FAVOURABLE, SYNTHESES, Reading

CITE = "Nesta, Standards of Evidence"


def judge(reading: Reading) -> Ruling:
    """The level that one finding shows."""
    if reading.record.kind in ("level", "take_up") or reading.design == "account":
        return Ruling("1", "account")
    if reading.record.kind == "claim":
        return Ruling("2", "change")
    if reading.get("significance") != FAVOURABLE:
        return Ruling("none", "not-favourable")
    if reading.design in SYNTHESES and reading.get("programme.replication") >= 1:
        return Ruling("4", "replicated")
    if reading.design in COMPARED - {"raw_comparison"} | SYNTHESES:
        return Ruling("3", "caused")
    return Ruling("2", "change")


SCHEME = Scheme(
    id="nesta",
    fr="Niveaux de preuve de Nesta (Royaume-Uni)",
    en="Nesta standards of evidence (United Kingdom)",
    short="Nesta",
    publisher="Nesta",
    address="https://www.nesta.org.uk/report/nesta-standards-of-evidence/",
    ratings=table(
        *(Rating(code=str(n), rank=n, fr=f"niveau {n}", en=f"level {n}") for n in range(5, 0, -1)),
        Rating(code="none", rank=0, fr="aucun niveau", en="no level"),
    ),
    rules=table(
        SchemeRule(
            id="replicated",
            kind="published",
            cite=CITE,
            fr="d'autres, indépendants, ont confirmé l'effet",
            en="others, independently, confirmed the effect",
        ),
        SchemeRule(
            id="caused",
            kind="published",
            cite=CITE,
            fr="un groupe de comparaison montre un effet favorable ; un résultat seul ne montre pas plus",
            en="a comparison group shows a favourable effect; one finding alone cannot show more",
        ),
        SchemeRule(
            id="change",
            kind="published",
            cite=CITE,
            fr="des données montrent un changement, sans dire que le programme en est la cause",
            en="data show a change, without telling that the programme caused it",
        ),
        SchemeRule(
            id="account",
            kind="published",
            cite=CITE,
            fr="le programme dit ce qu'il fait et pourquoi",
            en="the programme says what it does and why",
        ),
        SchemeRule(
            id="not-favourable",
            kind="ours",
            cite=f"{CITE}: no level is foreseen for effects that are not favourable",
            fr="l'effet mesuré n'est pas favorable",
            en="the measured effect is not favourable",
        ),
    ),
    left_out_fr=(
        "Le niveau 5 demande que d'autres conduisent le programme ailleurs et à grande échelle : une fiche "
        "ne le dit pas."
    ),
    left_out_en=("Level 5 asks that others run the programme elsewhere and at scale: a record does not tell."),
    judge=judge,
)
