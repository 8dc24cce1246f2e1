"""Our side of the races: what is timed starts from data in memory, under canonical names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import simulated
from measure import Numbers, Program

from evaluation.impact.effects import Effects
from evaluation.impact.inference import covariance, summarize_together, wild_test
from evaluation.sample import FlowStep, Sample
from evaluation.settings.designs import DESIGNS

OUTCOME = {"column": "y", "role": "primary", "unit": "points", "better": "higher", "source": "measured"}
SEED = 1
ROOT = Path(__file__).resolve().parents[1]
UNKNOWN_BIAS = 10.0  # of a finding of grade 0: next to nothing is known


def staggered(*, units: int, covariates: int, shuffled: bool, draws: int, gaussian: bool = False) -> Program:
    """Effects by cohort and period and by event time, with errors, and bands where there are draws.

    The gaussian bands are those of `plug_in`: as many draws from the estimated covariance, not multipliers of units.
    """
    from evaluation.impact import did

    sample, design = did_sample(simulated.staggered(units, covariates=covariates, shuffled=shuffled), covariates)
    bands: dict[str, Any] = {"band_seed": SEED} if draws or gaussian else {}
    if draws:
        bands |= {"bands": "plug_in" if gaussian else "multiplier", "band_draws": draws}

    def run() -> list[pd.DataFrame]:
        result = did.estimate(sample, design)
        return summarize_together([result.group_time, result.aggregates["event_time"]], **bands)

    return Program(run=run, numbers=lambda tables: staggered_numbers(*tables))


def staggered_gaussian(**job: Any) -> Program:
    """The same job with bands of another law."""
    return staggered(**job, gaussian=True)


def staggered_numbers(cells: pd.DataFrame, events: pd.DataFrame) -> Numbers:
    """Labels as the peers' are: cohort and period, or event time."""
    by_cell = [f"{int(cohort)}, {int(period)}" for cohort, period in zip(cells["cohort"], cells["period"], strict=True)]
    labels = by_cell + [f"event {int(time)}" for time in events["event_time"]]
    both = pd.concat([cells, events], ignore_index=True)
    errors = labelled(labels, both["std_error"])
    return {"estimate": labelled(labels, both["estimate"]), "std_error": errors, "drawn_error": errors}


def fixed_effects(*, rows: int, balanced: bool) -> Program:
    """Two regressors, constants of units and periods, CR1 by unit."""
    from evaluation.impact.fixed_effects import two_way

    frame = simulated.two_way(rows, balanced=balanced)
    names = ["x1", "x2"]

    def run() -> Effects:
        columns = {name: frame[name].to_numpy() for name in frame}
        x = np.array([columns[name] for name in names]).T
        fit = two_way(columns["y"], x, names, unit=columns["unit"], period=columns["period"])
        effects = fit.to_effects(np.eye(2), pd.DataFrame({"term": names}), fit.units)
        covariance(effects, kind="cr1")
        return effects

    return Program(run=run, numbers=fixed_effects_numbers)


def fixed_effects_numbers(effects: Effects) -> Numbers:
    """Errors of both conventions: linearmodels counts the constants of units as coefficients and takes no G/(G-1)."""
    names = list(effects.labels["term"])
    assert effects.regression is not None  # noqa: S101 - for mypy
    factor = np.sqrt(effects.regression.n_rows / effects.regression.residual_df)
    errors = {kind: covariance(effects, kind=kind).std_error for kind in ("cr0", "cr1")}
    return {
        "estimate": labelled(names, effects.estimate),
        "std_error": labelled(names, errors["cr1"]),
        "all_counted_error": labelled(names, errors["cr0"] * factor),
    }


def wild(*, rows: int, clusters: int, draws: int) -> Program:
    """The fit and the test of its first coefficient, with an interval by test inversion."""
    from evaluation.impact.regression import weighted_least_squares

    frame = simulated.clustered(rows, clusters=clusters)
    table = frame[["cluster"]]

    def run() -> Any:
        design = np.column_stack([frame["x1"], frame["x2"], np.ones(len(frame))])
        fit = weighted_least_squares(frame["y"].to_numpy(), design, ["x1", "x2", "constant"])
        effects = fit.to_effects(np.eye(3)[0], pd.DataFrame({"term": ["x1"]}))
        return wild_test(effects, table, law="rademacher", draws=draws, seed=SEED)

    return Program(run=run, numbers=lambda test: {"statistic": {"x1": test.statistic}, "p_value": {"x1": test.p_value}})


def nearest(*, number: int) -> Program:
    """One nearest neighbour with replacement on the logit score; score and standard error included."""
    from evaluation.impact import matching

    x, treated, y = simulated.people(number)
    sample, design = arms_sample(x, treated, y, distance="propensity_logit", replace=True)
    return Program(
        run=lambda: matching.estimate(sample, design),
        numbers=lambda found: {"estimate": {"att": float(found.blocks[0].effects.estimate[0])}},
    )


def balancing(*, number: int) -> Program:
    """Entropy balancing to the treated, and the effect on them with the influence of each unit."""
    from evaluation.impact.arm_weights import ArmWeights
    from evaluation.impact.balancing import balance

    x, treated, y = simulated.people(number)
    covariates, ones = covariates_of(x), np.ones(number)
    known = np.ones(number, dtype=bool)

    def run() -> tuple[float, np.ndarray]:
        target = treated.astype(float)
        mean, of_mean = ArmWeights(weights=target).mean(y, known)
        other, of_other = balance(covariates, ~treated, ones, target).arm.mean(y, known)
        return mean - other, of_mean - of_other

    return Program(run=run, numbers=lambda found: {"estimate": {"att": found[0]}})


def doubly_robust(*, number: int) -> Program:
    """Doubly robust effect on everybody with cross-fitted linear and logit models, and its influence."""
    from evaluation.impact import cross_fitting
    from evaluation.impact.doubly_robust import Nuisances, orthogonal
    from evaluation.settings.designs.weighting import DoublyRobust

    x, treated, y = simulated.people(number)
    covariates, ones, groups = covariates_of(x), np.ones(number), np.arange(number)
    models = DoublyRobust(folds=5, seed=SEED)

    def run() -> tuple[float, np.ndarray]:
        nuisances = next(iter(cross_fitting.predictions(covariates, treated, ones, y, groups, models)))
        return orthogonal(Nuisances(**nuisances), treated, ones, y, "ate")

    def numbers(found: tuple[float, np.ndarray]) -> Numbers:
        estimate, influence = found
        return {"estimate": {"ate": estimate}, "std_error": {"ate": float(np.sqrt(influence @ influence) / number)}}

    return Program(run=run, numbers=numbers)


def synthetic(*, units: int, periods: int, treated: int, draws: int) -> Program:
    """Synthetic difference-in-differences with placebos: all assignments of one treated unit, draws of several."""
    from evaluation.impact.synthetic.panel import Panel, fit_panel
    from evaluation.impact.synthetic.placebo import placebos

    frame = simulated.few_treated(units, periods, treated=treated)
    wide = frame.pivot(index="unit", columns="period", values="y")
    start = np.where(np.arange(units) >= units - treated, periods - periods // 3, periods)
    panel = Panel(outcomes=wide.to_numpy(), start=start, units=wide.index, periods=wide.columns.to_numpy())

    def run() -> tuple[float, np.ndarray]:
        fitted = fit_panel(panel, "sdid")
        return fitted.estimate, placebos(fitted, "sdid", draws=draws, seed=SEED).estimates

    def numbers(found: tuple[float, np.ndarray]) -> Numbers:
        return {"estimate": {"att": found[0]}, "drawn_error": {"att": float(found[1].std())}}

    return Program(run=run, numbers=numbers)


def covariates_of(x: np.ndarray) -> Any:
    """A matrix under our names."""
    from evaluation.impact.covariates import Covariates

    names = tuple(f"x{k}" for k in range(1, x.shape[1] + 1))
    return Covariates(matrix=x, labels=names, columns=names)


def matched(*, number: int, options: Mapping[str, Any]) -> Program:
    """Matching from covariates to the effect and its error."""
    from evaluation.impact import matching

    x, treated, y = simulated.people(number)
    sample, design = arms_sample(x, treated, y, **options)
    return Program(
        run=lambda: matching.estimate(sample, design),
        numbers=lambda found: {"estimate": {"att": float(found.blocks[0].effects.estimate[0])}},
    )


def specifications(*, units: int) -> Program:
    """1,152 specifications of one difference-in-differences, with their joint test; no program does the same."""
    from evaluation.impact import specification_curve

    sample, design = specified_sample(simulated.staggered(units, covariates=4, shuffled=False))
    return Program(
        run=lambda: specification_curve.run(sample, design, seed=SEED),
        numbers=lambda curve: {"estimate": labelled(curve.table.index.astype(str), curve.table["estimate"])},
    )


def graded(*, records: int) -> Program:
    """Planted records through grades, with their sentences, and all foreign schemes; no program does the same."""
    from evaluation.evidence import grading, rubric, schemes
    from evaluation.evidence.calibration import planted

    scale, rng = rubric.read(ROOT), np.random.default_rng(SEED)
    made = planted.templates(scale, rng)
    estimates = rng.normal(0.1, 0.2, records)
    portfolio = [
        planted.filled(made[place % len(made)], float(value)).model_copy(update={"id": f"r{place}"})
        for place, value in enumerate(estimates)
    ]

    def run() -> Mapping[str, Any]:
        schemes.verdicts_of_all(portfolio)
        return grading.grade_all(portfolio, scale)

    return Program(run=run, numbers=lambda grades: {"estimate": {name: each.value for name, each in grades.items()}})


def decided(*, portfolios: int) -> Program:
    """Planted portfolios of twenty, drawn, graded, tested and decided by the rules; no program does the same."""
    from evaluation.evidence import rubric
    from evaluation.evidence.calibration import planted
    from evaluation.evidence.portfolio_synthesis import settings_of
    from evaluation.evidence.worlds import WORLDS
    from evaluation.selection import trials
    from evaluation.selection.rules import rules
    from evaluation.settings.params import read_params

    params, scale = read_params(ROOT), rubric.read(ROOT)
    assert params.selection is not None  # noqa: S101 - for mypy
    ordered, settings = rules(params.selection), settings_of(params)
    made = planted.templates(scale, np.random.default_rng(SEED))

    def run() -> Any:
        rng = np.random.default_rng(SEED)
        drawn = planted.declared(planted.portfolios(WORLDS["W1"], portfolios, made, scale, rng), settings)
        known = replace(drawn, bias_sd=np.where(drawn.grade > 0, drawn.bias_sd, UNKNOWN_BIAS))
        news = trials.news_of(known, trials.Study(), rng)
        return trials.ours(ordered, settings.prior)(known, trials.Study(), news)

    return Program(run=run, numbers=lambda course: {"estimate": {"funded": float(course.funded.mean())}})


def labelled(labels: list[str], values: Any) -> Mapping[str, float]:
    """Numbers by label; what is missing is left out."""
    pairs = zip(labels, np.asarray(values, dtype=float), strict=True)
    return {label: float(value) for label, value in pairs if np.isfinite(value)}


# samples --------------------------------------------------------------------------------------------------------------


def specified_sample(frame: pd.DataFrame) -> tuple[Sample, Any]:
    """The panel with a region of each unit, and a design with its variants.

    Three estimators, two comparisons, two averages, all sets of four covariates, all regions or all but one.
    """
    frame = frame.assign(region=[f"r{unit % 5}" for unit in frame["unit"]])
    sample, design = did_sample(frame, 4)
    names = [f"x{k}" for k in range(1, 5)]
    sets = [[name for k, name in enumerate(names) if number >> k & 1] for number in range(16)]
    rows = [{"name": "all"}, *({"name": f"no-r{k}", "drop": {"region": [f"r{k}"]}} for k in range(5))]
    axes = {
        "estimator": ["doubly_robust", "regression", "inverse_probability"],
        "comparison": ["never_treated", "not_yet_treated"],
        "aggregate": ["cohort", "event_time"],
        "covariates": sets,
        "samples": rows,
    }
    known = design.model_dump(mode="json", exclude={"specifications"}) | {"territory": "region", "specifications": axes}
    called = {f"covariate_{k}": f"x{k}" for k in range(1, 5)} | {"territory": "region"}
    sample = sample_of(sample.frame.rename(columns={"region": "territory"}), {**sample.names, **called})
    return sample, type(design).model_validate(known)


def did_sample(frame: pd.DataFrame, covariates: int) -> tuple[Sample, Any]:
    """The panel under our canonical names, in the order of its rows, with the design that goes with it."""
    canonical = frame.rename(columns={"outcome": "outcome_1"})
    canonical["cohort"] = canonical["cohort"].astype("Int64").replace(0, pd.NA)
    canonical["treated"] = canonical["cohort"].notna()
    canonical["weight"] = 1.0
    design = DESIGNS["did"](
        id="bench", method="did", outcomes=[OUTCOME], unit="unit", time="t", cohort={"column": "first", "never": [0]},
        estimator="doubly_robust", covariates=[f"x{k + 1}" for k in range(covariates)],
    )  # fmt: skip
    return sample_of(canonical, {name: name for name in canonical}), design


def arms_sample(x: np.ndarray, treated: np.ndarray, y: np.ndarray, **options: object) -> tuple[Sample, Any]:
    """A cross-section under our canonical names, with the design that goes with it."""
    covariates = [f"x{k}" for k in range(1, x.shape[1] + 1)]
    frame = pd.DataFrame(x, columns=[f"covariate_{k}" for k in range(1, x.shape[1] + 1)])
    frame = frame.assign(unit=np.arange(len(y)), treated=treated, outcome_1=y, weight=1.0)
    design = DESIGNS["matching"](
        id="bench", method="matching", outcomes=[OUTCOME], treatment="d", covariates=covariates, **options
    )
    return sample_of(frame, dict(zip(frame.columns[: len(covariates)], covariates, strict=True))), design


def sample_of(frame: pd.DataFrame, names: dict[str, str]) -> Sample:
    """A sample that was not read from a file."""
    return Sample(
        id="bench", frame=frame, names=names, codebook=pd.DataFrame(), data_sha256="0" * 64, data_source="simulated",
        flow=(FlowStep(step="read", dropped=0, left=len(frame), reason="simulated rows"),), rows_read=len(frame),
    )  # fmt: skip
