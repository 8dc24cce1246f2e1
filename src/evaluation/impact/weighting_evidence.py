"""What speaks for or against a weighted comparison: hidden factors, an outcome that the treatment cannot have moved.

Each diagnostic is run if the design allows it; if not, its check says why. A check reports, the rubric judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import EvaluationError
from evaluation.impact import checks, sensitivity
from evaluation.impact.agreement import compared, named
from evaluation.impact.checks import Check
from evaluation.impact.covariates import covariate_columns, model_matrix
from evaluation.impact.cross_section import Block, clusters_of, labels, observed, outcomes_of, raw_difference
from evaluation.impact.hidden_factor import contour_points, hidden_factor, hidden_factor_checks
from evaluation.impact.inference.bands import t_quantile
from evaluation.impact.placebo_outcome import not_named, placebo_check
from evaluation.impact.weighted_comparison import Comparison, as_effects, compare
from evaluation.settings.designs.weighting import DoublyRobust, Experiment

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import WeightingDesign

OTHERS = E_VALUE, OSTER = "sensitivity.e_value", "sensitivity.oster_delta"
EXPERIMENT = "benchmark.experiment_gap"
AGREEMENT = "robustness.estimators_agree_p"
COMPARED = ("inverse_probability", "entropy_balancing", "doubly_robust")
# Other ways to make the same comparison; trimming, truncation and tolerances are left out of them.
METHODS: Mapping[str, Mapping[str, object]] = {
    "inverse_probability": {},
    "covariate_balancing": {"weights": "covariate_balancing"},
    "entropy_balancing": {"weights": "entropy_balancing"},
    "doubly_robust": {"doubly_robust": DoublyRobust()},
}
PLAIN = {
    "weights": "inverse_probability", "trim": None, "optimal_trim": False, "truncate": None, "tolerance": None,
    "target": None, "doubly_robust": None,
}  # fmt: skip
WEIGHT_BINS = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Checks, each once, tables by name, and rows for the table of effects."""

    checks: tuple[Check, ...]
    tables: Mapping[str, pd.DataFrame]
    blocks: tuple[Block, ...] = field(default_factory=tuple)


def collect(sample: Sample, design: WeightingDesign, comparison: Comparison, headline: Block) -> Evidence:
    """Run all diagnostics.

    Args:
        sample: canonical columns.
        design: of the evaluation.
        comparison: the arms made comparable.
        headline: effect on the primary outcome.
    """
    hidden, tables = _hidden_factors(sample, design, headline)
    placebo, blocks = _placebo(sample, design)
    others = _other_ways(sample, design)
    agreement, differences = _agreement(sample, others)
    shown = _estimators(sample, design, headline, others)
    tables |= {"weights": _weight_bins(sample, comparison), "estimators": shown, **differences}
    return Evidence(checks=(*hidden, placebo, agreement, *_experiment(design, headline)), tables=tables, blocks=blocks)


# hidden factors -------------------------------------------------------------------------------------------------------


def _hidden_factors(
    sample: Sample, design: WeightingDesign, headline: Block
) -> tuple[list[Check], dict[str, pd.DataFrame]]:
    """How strong a factor that nobody measured must be to erase the effect, held against the covariates."""
    found = hidden_factor(sample, design)
    if isinstance(found, str):
        return [*hidden_factor_checks(found), *(checks.not_run(name, found) for name in OTHERS)], {}
    frame = sample.frame[observed(sample.frame, outcomes_of(design)[0][0])]
    outcome, treated = (frame[name].to_numpy(dtype=float) for name in (outcomes_of(design)[0][0], "treated"))
    delta = sensitivity.oster_delta(outcome, treated, model_matrix(frame, sample.names).matrix)
    made = [*hidden_factor_checks(found), _e_value(design, headline, outcome, treated), _oster(delta)]
    return made, {"hidden_factor": contour_points(found)}


def _e_value(design: WeightingDesign, headline: Block, outcome: np.ndarray, treated: np.ndarray) -> Check:
    row = headline.table(design.inference.level).iloc[0]
    spread = float(np.std(outcome[treated == 0], ddof=1)) if (treated == 0).sum() > 1 else 0.0
    if not (spread > 0 and np.isfinite(row["std_error"])):
        return checks.not_run(E_VALUE, "the outcome does not vary in the comparison group, or has no standard error")
    found = sensitivity.e_value_of_difference(float(row["estimate"]), float(row["std_error"]), spread)
    detail = (
        f"risk ratio that a hidden factor must have with both treatment and outcome, through exp(0.91 d), d = "
        f"{row['estimate'] / spread:.3g} standard deviations; for the interval {found.interval:.3g}"
    )
    return checks.measured(E_VALUE, found.estimate, detail)


def _oster(delta: float) -> Check:
    if not np.isfinite(delta):
        return checks.not_run(OSTER, "the covariates do not move the coefficient of treatment")
    detail = "how much more than the covariates the unobserved must be related to treatment, R² 1.3 times as large"
    return checks.measured(OSTER, delta, f"{detail}; from regressions without weights")


# an outcome that cannot have moved ------------------------------------------------------------------------------------


def _placebo(sample: Sample, design: WeightingDesign) -> tuple[Check, tuple[Block, ...]]:
    """The effect on the outcome before the treatment, by the same method without that outcome among the covariates."""
    if design.baseline_outcome is None or "baseline_outcome" not in sample.frame:
        return not_named(), ()
    said = "weighted without it"
    check, block = placebo_check(design, design.baseline_outcome, said, lambda: placebo_block(sample, design))
    return check, () if block is None else (block,)


def placebo_block(sample: Sample, design: WeightingDesign) -> Block:
    """The effect on the baseline outcome.

    Raises:
        EvaluationError: what the method raises; nothing is left to weigh on.
    """
    owner = design.baseline_outcome
    own = [column for column in covariate_columns(sample.frame) if sample.names.get(column) == owner]
    frame = sample.frame[sample.frame["baseline_outcome"].notna()].drop(columns=own).reset_index(drop=True)
    part = replace(sample, frame=frame)
    row = pd.DataFrame([{"term": "placebo", "outcome": owner, "role": "supporting"}])
    found = compare(part, _without(design, owner)).effect(part, "baseline_outcome")
    effects = as_effects(part, found, "baseline_outcome", row)
    return Block(effects=effects, kind="influence", clusters=clusters_of(part))


def _without(design: WeightingDesign, column: str | None) -> WeightingDesign:
    """The design without a column in its target, with linear outcomes where a logit serves the outcome alone."""
    changes: dict[str, object] = {}
    if design.target is not None:
        changes["target"] = {label: mean for label, mean in design.target.items() if label != column}
    if design.doubly_robust is not None and design.doubly_robust.outcome == "logit":
        changes["doubly_robust"] = design.doubly_robust.model_copy(update={"outcome": "linear"})
    return design.model_copy(update=changes)


# other ways, and an experiment ----------------------------------------------------------------------------------------


def _other_ways(sample: Sample, design: WeightingDesign) -> dict[str, Block | str]:
    """The effect by every way to weigh the same rows, or why there is none; no way for other aims than these serve."""
    if design.estimand == "ato" or design.target is not None:
        return {}
    others = {name: design.model_copy(update={**PLAIN, **changes}) for name, changes in METHODS.items()}
    return {name: _block(sample, other) for name, other in others.items()}


def _agreement(sample: Sample, others: Mapping[str, Block | str]) -> tuple[Check, dict[str, pd.DataFrame]]:
    """Whether weights by the score, weights that balance, and both models together give the same number.

    They do where the score is a logit in the covariates, whatever the outcome is (Zhao and Percival 2017 for weights
    that balance); a difference beyond chance says that it is not.
    """
    if not others:
        return checks.not_applicable(AGREEMENT, "the other ways to weigh have another aim"), {}
    chosen = [(name, others[name]) for name in COMPARED]
    failed = [f"{name}: {block}" for name, block in chosen if isinstance(block, str)]
    if failed:
        return checks.not_run(AGREEMENT, failed[0]), {}
    effects = [named(block.effects, name) for name, block in chosen if not isinstance(block, str)]
    found = compared(effects, clusters_of(sample))
    if found.reason:
        return checks.not_run(AGREEMENT, found.reason), {}
    return checks.measured(AGREEMENT, found.p_value, found.detail), {"agreement": found.differences}


def _estimators(
    sample: Sample, design: WeightingDesign, headline: Block, others: Mapping[str, Block | str]
) -> pd.DataFrame:
    """The headline beside other ways to weigh the same rows, the raw difference, and an experiment where there is one.

    Columns: estimator, chosen, baseline, estimate, std_error, ci_low, ci_high, p_value, reason.
    """
    rows = [_estimator_row(design, "chosen", headline)]
    own = [name for name, changes in METHODS.items() if design.model_copy(update={**PLAIN, **changes}) == design]
    rows += [_estimator_row(design, name, block) for name, block in others.items() if name not in own]
    rows.append({**_estimator_row(design, "raw_difference", raw_difference(sample, design)), "baseline": True})
    if design.experiment is not None:
        rows.append(_experiment_row(design.experiment, design.inference.level))
    return pd.DataFrame(rows)


def _experiment_row(experiment: Experiment, level: float) -> dict[str, Any]:
    critical = float(t_quantile(0.5 + level / 2, np.array([np.inf]))[0])
    estimate, half = experiment.estimate, critical * experiment.std_error
    return {
        "estimator": "experiment", "chosen": False, "baseline": False, "estimate": estimate,
        "std_error": experiment.std_error, "ci_low": estimate - half, "ci_high": estimate + half, "reason": "",
    }  # fmt: skip


def _block(sample: Sample, design: WeightingDesign) -> Block | str:
    """The effect by another method, or why there is none."""
    column, outcome = outcomes_of(design)[0]
    try:
        found = compare(sample, design).effect(sample, column)
    except EvaluationError as error:
        return error.what
    effects = as_effects(sample, found, column, labels(design.estimand, outcome, "supporting"))
    return Block(effects=effects, kind="influence", clusters=clusters_of(sample))


def _estimator_row(design: WeightingDesign, name: str, block: Block | str) -> dict[str, Any]:
    label = {"estimator": name, "chosen": name == "chosen", "baseline": False}
    if isinstance(block, str):
        return {**label, "reason": block}
    row = block.table(design.inference.level).iloc[0]
    return {
        **label,
        **{name: row[name] for name in ("estimate", "std_error", "ci_low", "ci_high", "p_value", "reason")},
    }


def _experiment(design: WeightingDesign, headline: Block) -> tuple[Check, ...]:
    """How far the comparison is from what the experiment found, in standard errors of the experiment."""
    if design.experiment is None:
        return ()
    gap = float(headline.effects.estimate[0]) - design.experiment.estimate
    detail = (
        f"{gap:+.6g} from the experiment's {design.experiment.estimate:g} ({design.experiment.std_error:g}; "
        f"{design.experiment.source})"
    )
    return (checks.measured(EXPERIMENT, abs(gap) / design.experiment.std_error, detail),)


# weights --------------------------------------------------------------------------------------------------------------


def _weight_bins(sample: Sample, comparison: Comparison) -> pd.DataFrame:
    """Numbers of units by arm and size of their weight, in multiples of the arm's mean weight.

    Columns: group, low, high (multiples of the mean), n.
    """
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    arms = {"treated": comparison.weights.treated.weights[treated]}
    arms["comparison"] = comparison.weights.comparison.weights[~treated]
    relative = {name: weights[weights > 0] / weights[weights > 0].mean() for name, weights in arms.items()}
    edges = np.r_[0.0, np.geomspace(1 / 16, max(2.0, *(each.max() for each in relative.values())), WEIGHT_BINS)]
    rows = []
    for name, values in relative.items():
        counts = np.histogram(np.minimum(values, edges[-1]), edges)[0]
        rows += [
            {"group": name, "low": low, "high": high, "n": int(n)}
            for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
    return pd.DataFrame(rows)
