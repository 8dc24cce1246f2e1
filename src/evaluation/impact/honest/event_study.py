"""Where a sensitivity analysis starts: effects by event time around one reference period, and their covariance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError, InternalError, ParametersError
from evaluation.impact.effects import Effects
from evaluation.impact.inference import covariance, summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluation.impact.did_result import DidResult

Array = np.ndarray

RANK_TOLERANCE = 1e-10  # smallest eigenvalue of the correlation matrix over the largest; below, it has no inverse


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventStudy:
    """Effects of consecutive periods without the reference period between them, where they are zero by construction.

    Attributes:
        estimate: (K + H,) K effects before the reference period, the earliest first, then H effects after it.
        covariance: (K + H, K + H), with an inverse.
        n_before: K, at least 1.
        target: (H,) weights of the effect of interest, Σ target · effects after the reference period.
        reason: why no interval should be read, such as too few clusters; "" if there is none.
        note: how the effects were obtained, if they were converted.

    Raises:
        InternalError: arrays that do not line up or are not finite.
        DataError: no period before, or none after; a covariance without an inverse.
        ParametersError: a target that has not one weight for each period after, or only zeros.
    """

    estimate: Array
    covariance: Array
    n_before: int
    target: Array
    reason: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("estimate", "covariance", "target"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=float))
        _require_shapes(self)
        _require_both_sides(self)
        _require_target(self)
        _require_inverse(self.covariance)

    @classmethod
    def of(
        cls, estimate: Array, covariance: Array, n_before: int, target: str | Sequence[float] | Array = "average"
    ) -> EventStudy:
        """From numbers alone; `target` is "average" of the effects after, "first", or a weight for each of them."""
        weights = target_weights(target, len(estimate) - n_before)
        return cls(estimate=estimate, covariance=covariance, n_before=n_before, target=weights)

    @property
    def n_after(self) -> int:
        """H."""
        return len(self.estimate) - self.n_before

    @property
    def loading(self) -> Array:
        """(K + H,) weights of all estimates in the effect of interest under parallel trends."""
        return np.concatenate([np.zeros(self.n_before), self.target])

    @property
    def effect(self) -> float:
        """The effect of interest if trends are parallel."""
        return float(self.loading @ self.estimate)

    @property
    def std_error(self) -> float:
        """Its standard error."""
        return float(np.sqrt(self.loading @ self.covariance @ self.loading))

    @property
    def steps(self) -> Array:
        """(K + H, K + H) changes from one period to the next as combinations of the estimates, the earliest first."""
        n = len(self.estimate)
        levels = np.insert(np.eye(n), self.n_before, np.zeros(n), axis=0)
        return np.diff(levels, axis=0)

    @property
    def weight_of_steps(self) -> Array:
        """(H,) weights of the changes after the reference period in the effect of interest: Σ target over s ≥ t."""
        return np.cumsum(self.target[::-1])[::-1]


def event_study(
    result: DidResult,
    clusters: pd.DataFrame | None = None,
    *,
    target: str | Sequence[float] = "average",
    first: int | None = None,
    last: int | None = None,
) -> EventStudy:
    """Effects by event time of a difference-in-differences, all from one reference period, with their covariance.

    With `base_period: universal` they are the averages by event time as they are. With `varying`, effects before the
    treatment are changes of one period, d(r); then effect(e) = -Σ d(r) over r from e + 1 to the reference, an exact
    linear map as long as every event time before holds the same cohorts. Otherwise the sums would mix cohorts, and the
    result is refused. (With covariates that change, or units not yet treated as comparison, the cumulated changes are
    not digit for digit what `universal` estimates: each change has its own comparison.)

    Args:
        result: of an estimator that compares with a base period.
        clusters: see `evaluation.impact.inference.covariance`.
        target: "average" of the effects after treatment, "first" (event time 0), or a weight for each of them. Effects
            of anticipation are no part of it.
        first: leave out earlier event times.
        last: leave out later event times.

    Raises:
        ParametersError: effects before the treatment that have no common reference period.
        DataError: gaps between the event times; see also `EventStudy`.
    """
    effects, reference, note = _from_one_reference(result, -np.inf if first is None else first)
    distance = effects.labels["event_time"].to_numpy(dtype=int) - reference
    early, late = (-np.inf if first is None else first), (np.inf if last is None else last)
    kept = (distance != 0) & (distance + reference >= early) & (distance + reference <= late)
    shown, distance = effects.select(kept), distance[kept]
    n_before = int((distance < 0).sum())
    _require_consecutive(distance)
    untargeted = np.zeros(int(((distance > 0) & (distance + reference < 0)).sum()))
    weights = np.concatenate([untargeted, target_weights(target, int((distance + reference >= 0).sum()))])
    study = EventStudy(
        estimate=shown.estimate,
        covariance=covariance(shown, clusters).matrix,
        n_before=n_before,
        target=weights,
        note=note,
    )
    interest = shown.contrast(study.loading, shown.labels.head(1))
    return replace(study, reason=str(summarize(interest, clusters)["reason"].iloc[0]))


def target_weights(target: str | Sequence[float] | Array, n: int) -> Array:
    """(n,) weights of "average", of "first", or the numbers given."""
    if not isinstance(target, str):
        return np.asarray(target, dtype=float)
    if target not in ("average", "first"):
        raise ParametersError(
            code="E-IMP-130", what="no such effect of interest", found=target, expected="average, first, or weights"
        )
    return np.full(n, 1 / max(n, 1)) if target == "average" else (np.arange(n) == 0).astype(float)


def _from_one_reference(result: DidResult, first: float) -> tuple[Effects, int, str]:
    """Effects by event time, the event time of their reference, and how they were converted."""
    cells, averages = result.group_time.labels, result.aggregates["event_time"]
    references = cells.loc[cells["phase"] == "reference", "event_time"].unique()
    if len(references) == 1:
        return averages, int(references[0]), ""
    before = cells[(cells["phase"] == "pre") & (cells["event_time"] > first)]
    _require_same_cohorts(before, len(references))
    return *_cumulated(averages, before), "effects before the treatment are sums of changes of one period"


def _cumulated(changes: Effects, before: pd.DataFrame) -> tuple[Effects, int]:
    """Effects from the last period before treatment and anticipation; that of period e is minus the changes after e."""
    time = changes.labels["event_time"].to_numpy(dtype=int)
    steps = np.unique(before["event_time"].to_numpy(dtype=int))
    reference = int(steps[-1])
    wanted = np.concatenate([steps - 1, time[time > reference]])
    as_it_is = (wanted[:, None] == time) & (time > reference)
    later = (wanted[:, None] < time) & (time <= reference)
    labels = pd.DataFrame({"term": "event_time", "event_time": pd.array(wanted, dtype="Int64")})
    return changes.contrast(as_it_is.astype(float) - later, labels), reference


# refusals -------------------------------------------------------------------------------------------------------------


def _require_shapes(study: EventStudy) -> None:
    n = len(study.estimate)
    finite = np.isfinite(study.estimate).all() and np.isfinite(study.covariance).all()
    if study.covariance.shape != (n, n) or not finite or not np.allclose(study.covariance, study.covariance.T):
        raise InternalError(
            code="E-IMP-131",
            what="estimates and covariance of an event study do not line up",
            found=f"{n} estimates, covariance {study.covariance.shape}",
            expected="finite numbers and a symmetric covariance",
        )


def _require_both_sides(study: EventStudy) -> None:
    if not 0 < study.n_before < len(study.estimate):
        raise DataError(
            code="E-IMP-132",
            what="a sensitivity to trends needs an effect before the reference period and one after it",
            found=f"{study.n_before} before, {study.n_after} after",
            fix="add periods before the treatment",
        )


def _require_target(study: EventStudy) -> None:
    if study.target.shape != (study.n_after,) or not study.target.any():
        raise ParametersError(
            code="E-IMP-133",
            what="the effect of interest needs a weight for each period after the reference, not all zero",
            found=f"{study.target.tolist()}",
            expected=f"{study.n_after} weights",
        )


def _require_inverse(matrix: Array) -> None:
    root = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    values = np.linalg.eigvalsh(matrix / np.outer(root, root)) if (root > 0).all() else np.zeros(1)
    if values[0] <= RANK_TOLERANCE * values[-1]:
        raise DataError(
            code="E-IMP-134",
            what="the covariance of the effects by event time has no inverse",
            found=f"{len(matrix)} effects, rank {int((values > RANK_TOLERANCE * values[-1]).sum())}",
            expected="more clusters than effects",
            fix="show fewer event times, or cluster by a finer variable",
        )


def _require_same_cohorts(before: pd.DataFrame, references: int) -> None:
    members = before.groupby("event_time")["cohort"].agg(frozenset)
    one_period = (before["period"] - before["base_period"]).eq(1).all()
    if references or not len(members) or len(set(members)) > 1 or not one_period:
        raise ParametersError(
            code="E-IMP-135",
            what="effects before the treatment have no common reference period, and cannot be put on one",
            found=f"cohorts at event times: { {int(time): sorted(map(int, who)) for time, who in members.items()} }",
            expected="one reference period, or changes of one period for the same cohorts at each event time",
            fix="set base_period: universal",
        )


def _require_consecutive(distance: Array) -> None:
    expected = np.arange(distance.min(initial=0), distance.max(initial=0) + 1)
    if not np.array_equal(distance, expected[expected != 0]):
        raise DataError(
            code="E-IMP-136",
            what="event times have gaps, so that changes from one period to the next are not known",
            found=f"periods from the reference: {distance.tolist()}",
            expected="consecutive ones, in order",
            fix="show fewer event times",
        )
