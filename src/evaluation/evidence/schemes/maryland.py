"""Maryland scientific methods scale, as the What Works Centre for Local Economic Growth applies it.

Source: https://whatworksgrowth.org/resources/the-scientific-maryland-scale/ and its scoring guide (2016).
"""

from evaluation.evidence.schemes.core import NOT_COVERED, Rating, Ruling, Scheme, SchemeRule, table
from evaluation.evidence.schemes.reading import MATCHED, RANDOMISED, SYNTHESES, TRENDS, Reading

COMPARABLE_GAP = 0.25
COMPARABLE_P = 0.05
GUIDE = "What Works Growth, scoring guide 2016"


def judge(reading: Reading) -> Ruling:
    """The level of one finding."""
    if not reading.is_effect:
        return Ruling(NOT_COVERED, "not-an-effect")
    design = reading.design
    if design in RANDOMISED:
        return Ruling("5", "random")
    if design in ("instrument", "discontinuity"):
        return Ruling("4", "sharp")
    if design in TRENDS or design in MATCHED or design == "synthetic_control":
        return _comparable(reading)
    if design == "before_after_adjusted":
        return Ruling("2", "controls")
    if design == "comparison_group":
        adjusted = reading.get("balance.adjusted") >= 1
        return Ruling("2", "controls") if adjusted else Ruling("1", "no-controls")
    if design in ("before_after", "raw_comparison"):
        return Ruling("1", "no-controls")
    if design in SYNTHESES:
        return Ruling(NOT_COVERED, "single-studies")
    return Ruling(NOT_COVERED, "unscoreable")


def _comparable(reading: Reading) -> Ruling:
    """Level 3 asks for evidence that those compared were comparable."""
    if reading.design in TRENDS:
        alike = reading.get("pretrend.joint_p") >= COMPARABLE_P
    else:
        alike = reading.get("baseline.gap") <= COMPARABLE_GAP
    if not alike:
        return Ruling("2", "not-comparable")
    return Ruling("3", "synthetic" if reading.design == "synthetic_control" else "comparable")


SCHEME = Scheme(
    id="maryland",
    fr="Échelle de Maryland (What Works Growth, Royaume-Uni)",
    en="Maryland scale (What Works Growth, United Kingdom)",
    short="Maryland",
    publisher="What Works Centre for Local Economic Growth",
    address="https://whatworksgrowth.org/resources/the-scientific-maryland-scale/",
    ratings=table(*(Rating(code=str(n), rank=n, fr=f"niveau {n}", en=f"level {n}") for n in range(5, 0, -1))),
    rules=table(
        SchemeRule(id="random", kind="published", cite=GUIDE, fr="tirage au sort", en="random assignment"),
        SchemeRule(
            id="sharp",
            kind="published",
            cite=GUIDE,
            fr="seuil ou variable instrumentale",
            en="a threshold or an instrumental variable",
        ),
        SchemeRule(
            id="comparable",
            kind="ours",
            cite=f"{GUIDE}: evidence of comparability; 0.25 and p 0.05 are ours",
            fr="évolutions comparées ou personnes appariées, et les groupes sont comparables",
            en="changes compared or people matched, and the groups are comparable",
        ),
        SchemeRule(
            id="synthetic",
            kind="recalled",
            cite=f"{GUIDE}: synthetic control at 3 or 4, the lower one is taken",
            fr="groupe de comparaison reconstitué",
            en="a composed comparison group",
        ),
        SchemeRule(
            id="not-comparable",
            kind="ours",
            cite=f"{GUIDE}: evidence of comparability; 0.25 and p 0.05 are ours",
            fr="rien ne montre que les groupes étaient comparables",
            en="nothing shows that the groups were comparable",
        ),
        SchemeRule(
            id="controls",
            kind="published",
            cite=GUIDE,
            fr="comparaison corrigée de certaines différences",
            en="a comparison adjusted for some differences",
        ),
        SchemeRule(
            id="no-controls",
            kind="published",
            cite=GUIDE,
            fr="comparaison sans correction",
            en="a comparison without controls",
        ),
        SchemeRule(
            id="unscoreable",
            kind="published",
            cite=GUIDE,
            fr="les enquêtes déclaratives et les modèles n'y sont pas notés",
            en="declarations and models are not scored",
        ),
        SchemeRule(
            id="single-studies",
            kind="published",
            cite=GUIDE,
            fr="le barème note des études, pas des synthèses",
            en="the scheme rates studies, not syntheses",
        ),
        SchemeRule(
            id="not-an-effect",
            kind="published",
            cite=GUIDE,
            fr="ce n'est pas un effet mesuré",
            en="this is not a measured effect",
        ),
    ),
    left_out_fr=(
        "Le guide abaisse encore la note d'une étude dont la méthode est mal appliquée, au jugement du "
        "lecteur : ce qui est donné ici est le niveau de la méthode."
    ),
    left_out_en=(
        "The guide lowers the score of a study that applies its method badly, as its reader judges: what is "
        "given here is the level of the method."
    ),
    judge=judge,
)
