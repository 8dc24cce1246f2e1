"""Education Endowment Foundation (England): padlocks of a trial's security, and months of progress of its effect.

Source: padlocks revised in 2019; table of months of the Toolkit,
https://educationendowmentfoundation.org.uk/evidence-summaries/about-the-toolkits/attainment/.
"""

import math

from evaluation.evidence.schemes.core import NOT_COVERED, Rating, Ruling, Scheme, SchemeRule, table
from evaluation.evidence.schemes.reading import MATCHED, RANDOMISED, SYNTHESES, TRENDS, Reading

TABLE = "EEF, classification of the security of findings, 2019 (table recalled)"
TOOLKIT = "EEF Toolkit, https://educationendowmentfoundation.org.uk/evidence-summaries/about-the-toolkits/attainment/"
DETECTABLE = (0.20, 0.29, 0.39, 0.49, 0.59)  # 5, 4, 3, 2, 1 padlocks; none beyond
MISSING = (0.10, 0.20, 0.30, 0.40, 0.50)
LEAST = (0.02, 0.10, 0.19, 0.27, 0.36, 0.45, 0.53, 0.62, 0.70, 0.79, 0.88, 0.96)  # 1, 2, … 12 months
NO_PLAN = 2.0
BEST = 5


def padlocks(reading: Reading) -> Ruling:
    """The worst of three columns, less one where no plan was published."""
    if reading.design in SYNTHESES:
        return Ruling(NOT_COVERED, "single-trials")
    columns = (
        (_design(reading), "design"),
        (_steps(reading.get("precision.mdes_sd"), DETECTABLE), "detectable"),
        (_steps(reading.get("attrition.overall"), MISSING), "attrition"),
    )
    worst, rule = min(columns, key=lambda column: column[0])
    if worst > 0 and reading.get("registration.plan") >= NO_PLAN:
        return Ruling(str(worst - 1), "no-plan")
    return Ruling(str(worst), "all-columns" if worst == BEST else rule)


def months(reading: Reading) -> Ruling:
    """Months of progress that a difference in attainment stands for."""
    if not reading.is_effect or not reading.get("outcome.is_test"):
        return Ruling(NOT_COVERED, "attainment")
    effect = reading.get("outcome.in_sd")
    size = round(min(abs(effect), 10.0), 2)
    count = sum(size >= least for least in LEAST)
    return Ruling(str(int(math.copysign(count, effect)) if count else 0), "months")


def _design(reading: Reading) -> int:
    if not reading.is_effect:
        return 0
    if reading.design in RANDOMISED:
        return 5
    if reading.design in TRENDS | {"discontinuity", "instrument", "synthetic_control"}:
        return 4
    if reading.design in MATCHED:
        return 3
    if reading.design == "comparison_group":
        return 2
    return 1 if reading.design == "raw_comparison" else 0


def _steps(value: float, bounds: tuple[float, ...]) -> int:
    return sum(value <= bound for bound in bounds)


def _locks(count: int) -> Rating:
    words = ("aucun cadenas", "no padlock") if count == 0 else (f"{count} cadenas", f"{count} padlocks")
    return Rating(code=str(count), rank=count, fr=words[0], en=words[1] if count != 1 else "1 padlock")


def _months(count: int) -> Rating:
    fr = f"{count:+d} mois" if count else "0 mois"
    return Rating(code=str(count), rank=count, fr=fr, en=f"{count:+d} months" if count else "0 months")


PADLOCKS = Scheme(
    id="eef_padlocks",
    fr="Cadenas de l'EEF (Angleterre)",
    en="EEF padlocks (England)",
    short="EEF",
    publisher="Education Endowment Foundation",
    address="https://v2.educationendowmentfoundation.org.uk/help/projects/the-eef-security-rating/",
    ratings=table(*map(_locks, range(5, -1, -1))),
    rules=table(
        SchemeRule(
            id="all-columns",
            kind="recalled",
            cite=TABLE,
            fr="tirage au sort, étude assez grande, peu de résultats manquants",
            en="random assignment, a study that is large enough, few outcomes missing",
        ),
        SchemeRule(
            id="design", kind="recalled", cite=TABLE, fr="la méthode ne permet pas plus", en="the design allows no more"
        ),
        SchemeRule(
            id="detectable",
            kind="recalled",
            cite=TABLE,
            fr="l'étude est trop petite pour voir un effet plus faible",
            en="the study is too small to see a smaller effect",
        ),
        SchemeRule(
            id="attrition",
            kind="recalled",
            cite=TABLE,
            fr="trop de résultats manquent",
            en="too many outcomes are missing",
        ),
        SchemeRule(
            id="no-plan",
            kind="recalled",
            cite="EEF: no plan published in advance costs a padlock (second-hand)",
            fr="aucun plan d'analyse publié à l'avance",
            en="no plan of analysis was published in advance",
        ),
        SchemeRule(
            id="single-trials",
            kind="published",
            cite="EEF, security rating of trials",
            fr="les cadenas notent des essais, pas des synthèses",
            en="padlocks rate trials, not syntheses",
        ),
    ),
    left_out_fr=(
        "Les autres menaces (contamination, déséquilibre, mise en œuvre) retirent un ou deux cadenas au "
        "jugement des évaluateurs : elles ne sont pas comptées."
    ),
    left_out_en=(
        "Other threats (contamination, imbalance, delivery) take one or two padlocks as reviewers judge: "
        "they are not counted."
    ),
    judge=padlocks,
)

MONTHS = Scheme(
    id="eef_months",
    fr="Mois de progrès de l'EEF (Angleterre)",
    en="EEF months of progress (England)",
    short="EEF (mois / months)",
    publisher="Education Endowment Foundation",
    address="https://educationendowmentfoundation.org.uk/evidence-summaries/about-the-toolkits/attainment/",
    ratings=table(*map(_months, range(len(LEAST), -len(LEAST) - 1, -1))),
    rules=table(
        SchemeRule(
            id="months",
            kind="published",
            cite=TOOLKIT,
            fr="table de conversion de la taille d'effet",
            en="table of conversion of the effect size",
        ),
        SchemeRule(
            id="attainment",
            kind="published",
            cite=TOOLKIT,
            fr="les mois de progrès ne valent que pour des tests scolaires",
            en="months of progress hold for tests of attainment only",
        ),
    ),
    left_out_fr=(
        "La table est faite pour des effets favorables ; les effets défavorables sont lus en miroir. Les "
        "mois disent une taille, jamais une certitude."
    ),
    left_out_en=(
        "The table is made for favourable effects; unfavourable ones are read in mirror image. Months tell a "
        "size, never how sure it is."
    ),
    judge=months,
)
