"""What Works Clearinghouse: does a study meet the standards for group designs or regression discontinuity?

Source: WWC Standards Handbook 4.0 (2017) and 4.1 (2020). Thresholds of baseline equivalence (0.05, 0.25) and the table
of attrition as R baselinr 0.6.0 and the handbook's table II.1 have them.
"""

from evaluation.evidence.schemes.core import NOT_COVERED, Rating, Ruling, Scheme, SchemeRule, table
from evaluation.evidence.schemes.reading import COMPARED, GROUPED, RANDOMISED, SYNTHESES, Reading

WITHOUT, WITH, NOT_MET, INELIGIBLE = "without_reservations", "with_reservations", "does_not_meet", "ineligible"
EQUIVALENT, ADJUSTABLE = 0.05, 0.25
PARTIAL = 1.0  # code of a standard of discontinuity designs that is met in part
HANDBOOK = "WWC Standards Handbook 4.0"


def judge(reading: Reading) -> Ruling:
    """The rating of one finding; other schemes start from it."""
    found: Ruling = reading.once("wwc", _judge)
    return found


def _judge(reading: Reading) -> Ruling:
    if reading.design in SYNTHESES:
        return Ruling(NOT_COVERED, "single-studies")
    if not reading.is_effect:
        return Ruling(INELIGIBLE, "not-an-effect")
    if reading.design == "instrument":
        return Ruling(NOT_COVERED, "instruments")
    if reading.design not in COMPARED:
        return Ruling(INELIGIBLE, "comparison-group")
    if reading.design == "discontinuity":
        return _discontinuity(reading)
    if reading.design in GROUPED and reading.get("precision.treated_groups") < 2:
        return Ruling(NOT_MET, "confounding")
    if reading.design in RANDOMISED and _low_attrition(reading):
        return Ruling(WITHOUT, "low-attrition")
    return _equivalence(reading)


def _low_attrition(reading: Reading) -> bool:
    """By the cautious boundary; where groups were drawn, for whole groups as well as for people."""
    people = reading.zone() == 0
    return people and (reading.design != "randomised_cluster" or reading.zone("clusters_") == 0)


def _equivalence(reading: Reading) -> Ruling:
    gap = reading.get("baseline.gap")
    if gap <= EQUIVALENT:
        return Ruling(WITH, "equivalent")
    if gap > ADJUSTABLE:
        return Ruling(NOT_MET, "not-equivalent")
    adjusted = reading.get("balance.adjusted") >= 1
    return Ruling(WITH, "equivalent-adjusted") if adjusted else Ruling(NOT_MET, "not-adjusted")


def _discontinuity(reading: Reading) -> Ruling:
    """Codes of the four standards: 0 met, 1 met in part, 2 not met."""
    integrity, attrition, continuity, bandwidth = (reading.get(f"discontinuity.{name}") for name in STANDARDS)
    if max(integrity, attrition, continuity, bandwidth) == 0:
        return Ruling(WITHOUT, "discontinuity-full")
    if max(integrity, bandwidth) <= PARTIAL and min(attrition, continuity) <= PARTIAL:
        return Ruling(WITH, "discontinuity-partial")
    return Ruling(NOT_MET, "discontinuity-failed")


STANDARDS = ("integrity", "attrition", "continuity", "bandwidth")

SCHEME = Scheme(
    id="wwc",
    fr="What Works Clearinghouse (États-Unis)",
    en="What Works Clearinghouse (United States)",
    short="WWC",
    publisher="Institute of Education Sciences",
    address="https://ies.ed.gov/ncee/wwc/Handbooks",
    ratings=table(
        Rating(code=WITHOUT, rank=3, fr="conforme sans réserve", en="meets without reservations"),
        Rating(code=WITH, rank=2, fr="conforme avec réserves", en="meets with reservations"),
        Rating(code=NOT_MET, rank=1, fr="non conforme", en="does not meet"),
        Rating(code=INELIGIBLE, rank=0, fr="non recevable", en="ineligible"),
    ),
    rules=table(
        SchemeRule(
            id="low-attrition",
            kind="published",
            cite=f"{HANDBOOK}, table II.1; Deke and Chiang 2017",
            fr="tirage au sort, et les résultats manquants restent sous la limite prudente",
            en="random assignment, and missing outcomes stay below the cautious boundary",
        ),
        SchemeRule(
            id="equivalent",
            kind="published",
            cite=f"{HANDBOOK}, baseline equivalence",
            fr="les groupes se ressemblaient au départ (écart d'au plus 0,05 écart-type)",
            en="the groups were alike at the start (a gap of at most 0.05 standard deviations)",
        ),
        SchemeRule(
            id="equivalent-adjusted",
            kind="published",
            cite=f"{HANDBOOK}, baseline equivalence",
            fr="l'écart de départ (au plus 0,25 écart-type) est corrigé par l'analyse",
            en="the gap at the start (at most 0.25 standard deviations) is adjusted for",
        ),
        SchemeRule(
            id="not-adjusted",
            kind="published",
            cite=f"{HANDBOOK}, baseline equivalence",
            fr="l'écart de départ (plus de 0,05 écart-type) n'est pas corrigé par l'analyse",
            en="the gap at the start (above 0.05 standard deviations) is not adjusted for",
        ),
        SchemeRule(
            id="not-equivalent",
            kind="published",
            cite=f"{HANDBOOK}, baseline equivalence",
            fr="les groupes différaient trop au départ (plus de 0,25 écart-type)",
            en="the groups differed too much at the start (above 0.25 standard deviations)",
        ),
        SchemeRule(
            id="confounding",
            kind="recalled",
            cite=f"{HANDBOOK}, confounding factors",
            fr="un seul groupe a reçu le programme : son effet ne se sépare pas de ce groupe",
            en="one single group received the programme: its effect cannot be told from that group",
        ),
        SchemeRule(
            id="discontinuity-full",
            kind="recalled",
            cite=f"{HANDBOOK}, regression discontinuity standards",
            fr="les exigences propres aux seuils sont toutes remplies",
            en="all standards for thresholds are met",
        ),
        SchemeRule(
            id="discontinuity-partial",
            kind="recalled",
            cite=f"{HANDBOOK}, regression discontinuity standards",
            fr="les exigences propres aux seuils sont remplies en partie",
            en="the standards for thresholds are met in part",
        ),
        SchemeRule(
            id="discontinuity-failed",
            kind="recalled",
            cite=f"{HANDBOOK}, regression discontinuity standards",
            fr="une exigence propre aux seuils n'est pas remplie",
            en="a standard for thresholds is not met",
        ),
        SchemeRule(
            id="comparison-group",
            kind="published",
            cite=f"{HANDBOOK}, eligible designs",
            fr="il n'y a pas de groupe de comparaison",
            en="there is no comparison group",
        ),
        SchemeRule(
            id="not-an-effect",
            kind="published",
            cite=f"{HANDBOOK}, eligible designs",
            fr="ce n'est pas un effet mesuré",
            en="this is not a measured effect",
        ),
        SchemeRule(
            id="single-studies",
            kind="published",
            cite=f"{HANDBOOK}, unit of review",
            fr="le barème note des études, pas des synthèses",
            en="the scheme rates studies, not syntheses",
        ),
        SchemeRule(
            id="instruments",
            kind="recalled",
            cite=f"{HANDBOOK}, complier average causal effects",
            fr="une variable instrumentale n'y est prévue que dans un essai tiré au sort",
            en="an instrumental variable is foreseen within a randomised trial only",
        ),
    ),
    left_out_fr=(
        "Le choix entre les deux limites de résultats manquants revient à chaque protocole de revue : la "
        "limite prudente est appliquée ici. Ni la fiabilité des mesures ni l'arrivée de nouveaux membres "
        "dans les groupes n'est dans la fiche."
    ),
    left_out_en=(
        "Which of the two boundaries of attrition holds is for each review protocol to say: the cautious one "
        "is applied here. Neither the reliability of measures nor joiners of groups are in the record."
    ),
    judge=judge,
)
