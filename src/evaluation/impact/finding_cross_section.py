"""Experiments, matching and weighting: what their finding is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.impact import checks, discontinuity, experiment, finding_tests, instrument, matching, weighting
from evaluation.impact.balance import balance_table, effective_size
from evaluation.impact.checks import Check
from evaluation.impact.covariates import Floats, model_matrix
from evaluation.impact.cross_section import Block, CrossSection, outcomes_of
from evaluation.impact.effects import concat
from evaluation.impact.finding_parts import Parts, mean_and_sd
from evaluation.impact.propensity import fit_propensity

if TYPE_CHECKING:
    from evaluation.impact.effects import Effects
    from evaluation.sample import Sample

SCORE_BINS = 20


ESTIMATORS: Mapping[str, Callable[..., CrossSection]] = {
    "experiment": experiment.estimate,
    "matching": matching.estimate_with_evidence,
    "weighting": weighting.estimate,
    "discontinuity": discontinuity.estimate,
    "instrument": instrument.estimate,
}


def parts(sample: Sample, design: Any, seed: int) -> Parts:
    """What the finding of an experiment, of matching or of weighting is made of."""
    result = ESTIMATORS[design.method](sample, design)
    rows, convention = _rows(sample, design, result, seed)
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    after = _sampling_weights(sample) if result.balance_weights is None else result.balance_weights
    balance = _balance(sample, result, treated)
    column = outcomes_of(design)[0][0]
    values = sample.frame[column].to_numpy(dtype=float)
    return Parts(
        estimand=result.estimand,
        rows=pd.concat(rows, ignore_index=True),
        covariance=result.blocks[0].solved(),
        comparison=(values[~treated & (after > 0)], after[~treated & (after > 0)]),
        used=sample.frame[after > 0],
        checks=_checks(sample, design, result, treated, balance),
        tables={**_tables(sample, result, treated, values, balance), **result.tables},
        notes=result.notes,
        flow=result.flow,
        outcomes=_side_by_side(result.blocks[: len(design.outcomes)]),
        convention=convention,
    )


def _checks(
    sample: Sample, design: Any, result: CrossSection, treated: NDArray[np.bool_], table: pd.DataFrame | None
) -> list[Check]:
    own = {check.check for check in result.checks}
    common = [checks.balance(table), _adjusted(design), *_overlap(sample, design, result, treated)]
    return [*result.checks, *(check for check in common if check.check not in own)]


def _adjusted(design: Any) -> Check:
    """Whether a model of the outcome takes differences of the covariates away: 1, or 0 where means are compared."""
    name = "balance.adjusted"
    if not design.covariates:
        return checks.not_applicable(name, "no covariates are named")
    model = getattr(design, "adjustment", "none") != "none" or getattr(design, "doubly_robust", None) is not None
    how = "a model of the outcome adjusts for" if model else "means are compared: no model of the outcome adjusts for"
    return checks.measured(name, float(model), f"{how} {', '.join(design.covariates)}")


def _rows(sample: Sample, design: Any, result: CrossSection, seed: int) -> tuple[list[pd.DataFrame], str]:
    """A table for each block, those of the outcomes first, with the test that the design asks for."""
    tables = [block.table(design.inference.level) for block in result.blocks]
    conventions = [""]
    for number, block in enumerate(result.blocks[: len(design.outcomes)]):
        if design.inference.test == "wild":
            tables[number], said = finding_tests.wild(tables[number], block.effects, block.clusters, design, seed)
            conventions.append(said)
        elif design.inference.test == "randomisation":
            tables[number], said = finding_tests.randomisation(tables[number], sample, design, seed)
            conventions.append(said)
    return tables, conventions[min(1, len(conventions) - 1)]


def _side_by_side(blocks: Sequence[Block]) -> Effects | None:
    effects = [block.effects for block in blocks]
    return concat(effects) if all(part.kind == "influence" for part in effects) else None


def _sampling_weights(sample: Sample) -> Floats:
    return np.asarray(sample.frame["weight"], dtype=float)


def _balance(sample: Sample, result: CrossSection, treated: NDArray[np.bool_]) -> pd.DataFrame | None:
    covariates = model_matrix(sample.frame, sample.names, all_levels=True)
    if not covariates.labels:
        return None
    return balance_table(covariates, treated, _sampling_weights(sample), result.balance_weights)


def _overlap(sample: Sample, design: Any, result: CrossSection, treated: NDArray[np.bool_]) -> list[Check]:
    """Overlap of scores and concentration of weights; nothing to check where chance decided."""
    if result.balance_weights is None:
        reason = "chance decided who was treated"
        names = "overlap.share_in_01_09", "overlap.ess_share"
        return [checks.not_applicable(name, reason) for name in names]
    score, reason = _score(sample, result, treated)
    weights = result.balance_weights
    wanted = {"att": treated, "atc": ~treated}.get(result.estimand, np.ones(len(treated), dtype=bool))
    stand_ins = {"att": [~treated], "atc": [treated]}.get(result.estimand, [treated, ~treated])
    weakest = min(stand_ins, key=lambda arm: effective_size(weights[arm]) / max(int((weights[arm] > 0).sum()), 1))
    return [checks.overlap(score, wanted & (weights > 0), reason), checks.effective_share(weights[weakest])]


def _score(sample: Sample, result: CrossSection, treated: NDArray[np.bool_]) -> tuple[Floats | None, str]:
    """The method's propensity score, or a logit where it has none, or why there is none."""
    if result.score is not None:
        return result.score, ""
    covariates = model_matrix(sample.frame, sample.names)
    if not covariates.labels:
        return None, "no covariates are named"
    try:
        return fit_propensity(covariates, treated, _sampling_weights(sample)).probability, ""
    except DataError as error:
        return None, f"{error.what}: {error.where}"


def _tables(
    sample: Sample, result: CrossSection, treated: NDArray[np.bool_], values: Floats, balance: pd.DataFrame | None
) -> dict[str, pd.DataFrame]:
    tables = {"means": _means(values, treated, _sampling_weights(sample), result.balance_weights)}
    if balance is not None:
        tables["balance"] = balance
    if result.balance_weights is not None:
        score, _ = _score(sample, result, treated)
        if score is not None:
            tables["score"] = _score_bins(score, treated, result.balance_weights)
    territories = [block for block in result.blocks if "territory" in block.effects.labels]
    if territories:
        tables["territory_covariance"] = _covariance_table(territories[0], "territory")
    return tables


def _means(values: Floats, treated: NDArray[np.bool_], before: Floats, after: Floats | None) -> pd.DataFrame:
    """Means of the outcome by group: treated, comparison and, after an adjustment, both adjusted."""
    groups = [("treated", treated, before), ("comparison", ~treated, before)]
    if after is not None:
        groups += [("treated_adjusted", treated, after), ("comparison_adjusted", ~treated, after)]
    rows = []
    for name, arm, weights in groups:
        used = arm & (weights > 0)
        mean, spread = mean_and_sd(values[used], weights[used])
        rows.append({"group": name, "mean": mean, "sd": spread, "n": int(used.sum())})
    return pd.DataFrame(rows)


def _score_bins(score: Floats, treated: NDArray[np.bool_], weights: Floats) -> pd.DataFrame:
    """Numbers of units and summed weights by arm in bins of the score."""
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    place = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, SCORE_BINS - 1)
    rows = [
        {"group": name, "low": edges[j], "high": edges[j + 1], "n": int(inside.sum()), "weight": weights[inside].sum()}
        for name, arm in (("treated", treated), ("comparison", ~treated))
        for j in range(SCORE_BINS)
        for inside in [arm & (place == j)]
    ]
    return pd.DataFrame(rows)


def _covariance_table(block: Block, label: str) -> pd.DataFrame:
    names = block.effects.labels[label].astype(str).tolist()
    return pd.DataFrame(block.solved().matrix, columns=names).assign(**{label: names})[[label, *names]]
