"""GRADE: certainty of the evidence on one outcome, here from one study (or one synthesis).

Source: Guyatt et al. 2011 (imprecision), https://www.jclinepi.com/article/S0895-4356(11)00206-X/fulltext; start at high
for trials and at low for other studies, https://pmc.ncbi.nlm.nih.gov/articles/PMC6692166/.
"""

from evaluation.evidence.schemes.core import NOT_COVERED, Rating, Ruling, Scheme, SchemeRule, table
from evaluation.evidence.schemes.reading import COMPARED, RANDOMISED, SYNTHESES, Reading

HIGH, LOW = 4, 2
LEVELS = ("very_low", "low", "moderate", "high")
LARGE_GAP, DIFFERENT_TRENDS = 0.25, 0.05
LARGE_RATIO, VERY_LARGE_RATIO = 2.0, 5.0
START = "GRADE, https://pmc.ncbi.nlm.nih.gov/articles/PMC6692166/"


def judge(reading: Reading) -> Ruling:
    """Certainty of one finding."""
    if not reading.is_effect:
        return Ruling(NOT_COVERED, "not-an-effect")
    if reading.design not in COMPARED | SYNTHESES:
        return Ruling("very_low", "no-comparison")
    trial = reading.design in RANDOMISED or reading.design == "meta_analysis_randomised"
    losses = (
        (_bias(reading, trial), "bias"),
        (reading.get("imprecision"), "imprecision"),
        (int(reading.get("synthesis.consistency")) if reading.design in SYNTHESES else 0, "inconsistency"),
    )
    lost, rule = sum(loss for loss, _ in losses), max(losses, key=lambda loss: loss[0])[1]
    gained = _gained(reading) if not trial and lost == 0 else 0
    level = max(1, (HIGH if trial else LOW) - lost + gained)
    return Ruling(LEVELS[level - 1], rule if lost else "large" if gained else "trial" if trial else "observational")


def _bias(reading: Reading, trial: bool) -> int:
    """Levels lost to bias within the study; that of a synthesis is the reviewers' to judge."""
    if reading.design in SYNTHESES:
        return 0
    if trial:
        lost = reading.zone()
        return min(2, lost + int(reading.get("baseline.gap") > LARGE_GAP))
    if reading.design in ("event_study", "did", "matched_did"):
        return int(reading.get("pretrend.joint_p") < DIFFERENT_TRENDS)
    return int(reading.get("baseline.gap") > LARGE_GAP)


def _gained(reading: Reading) -> int:
    ratio = reading.get("outcome.risk_ratio")
    size = max(ratio, 1 / ratio)
    return int(size > LARGE_RATIO) + int(size > VERY_LARGE_RATIO)


SCHEME = Scheme(
    id="grade",
    fr="Certitude GRADE (santé, international)",
    en="GRADE certainty (health, international)",
    short="GRADE",
    publisher="GRADE Working Group",
    address="https://www.gradeworkinggroup.org",
    ratings=table(
        Rating(code="high", rank=4, fr="certitude élevée", en="high certainty"),
        Rating(code="moderate", rank=3, fr="certitude modérée", en="moderate certainty"),
        Rating(code="low", rank=2, fr="certitude faible", en="low certainty"),
        Rating(code="very_low", rank=1, fr="certitude très faible", en="very low certainty"),
    ),
    rules=table(
        SchemeRule(
            id="trial",
            kind="published",
            cite=START,
            fr="essai tiré au sort, rien à déduire",
            en="a trial, nothing to rate down",
        ),
        SchemeRule(
            id="observational",
            kind="published",
            cite=START,
            fr="sans tirage au sort, la certitude part d'un niveau faible",
            en="without random assignment certainty starts at low",
        ),
        SchemeRule(
            id="bias",
            kind="ours",
            cite="GRADE leaves risk of bias to judgement; attrition boundaries, 0.25 and p 0.05 are ours",
            fr="des résultats manquent, ou les groupes n'étaient pas comparables",
            en="outcomes are missing, or the groups were not comparable",
        ),
        SchemeRule(
            id="imprecision",
            kind="published",
            cite="Guyatt et al. 2011, https://www.jclinepi.com/article/S0895-4356(11)00206-X/fulltext",
            fr="l'intervalle va de l'absence d'effet à un effet qui compte",
            en="the interval reaches from no effect to one that matters",
        ),
        SchemeRule(
            id="inconsistency",
            kind="published",
            cite=START,
            fr="les études de la synthèse se contredisent, ou il en manque",
            en="the studies of the synthesis disagree, or some are missing",
        ),
        SchemeRule(
            id="large",
            kind="recalled",
            cite="GRADE: a ratio above 2 adds one level, above 5 two",
            fr="l'effet est grand et rien n'est à déduire",
            en="the effect is large and nothing is rated down",
        ),
        SchemeRule(
            id="no-comparison",
            kind="recalled",
            cite="GRADE: series without comparison start at very low",
            fr="il n'y a pas de groupe de comparaison",
            en="there is no comparison group",
        ),
        SchemeRule(
            id="not-an-effect",
            kind="published",
            cite=START,
            fr="ce n'est pas un effet mesuré",
            en="this is not a measured effect",
        ),
    ),
    left_out_fr=(
        "Le caractère indirect dépend du territoire visé (voir le transfert), et le biais de publication ne "
        "se voit pas dans une seule étude : ni l'un ni l'autre n'est déduit."
    ),
    left_out_en=(
        "Indirectness depends on the territory in view (see transfer), and publication bias cannot be seen "
        "in one study: neither is rated down."
    ),
    judge=judge,
)
