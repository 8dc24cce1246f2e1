"""A discontinuity as a cross-section: the effect at the threshold, and what could be wrong with it.

The effect is that on units at the threshold, and on nobody else; in a fuzzy design, on those of them whose treatment
the threshold decides. What could be wrong shows in the density of the score (rddensity), in covariates that must not
jump, at cutoffs where nothing happens, with a hole around the cutoff and in other bandwidths. Source: Imbens and
Lemieux (2008); Cattaneo, Idrobo and Titiunik (2020), *A Practical Introduction to Regression Discontinuity Designs*;
Cattaneo, Jansson and Ma (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact import checks, inference
from evaluation.impact.checks import Check
from evaluation.impact.covariates import Floats, independent_columns, model_matrix
from evaluation.impact.cross_section import (
    Block,
    CrossSection,
    arms_of,
    clusters_of_frame,
    effects_of_rows,
    labels,
    observed,
    outcomes_of,
    raw_difference,
    role_of,
)
from evaluation.impact.grouped import group_blocks
from evaluation.impact.local_polynomial import KERNELS, NEAREST, Chosen, Extra, Jump, Window, choose, jump, ratio
from evaluation.impact.regression import weighted_least_squares

if TYPE_CHECKING:
    from evaluation.impact.effects import Effects
    from evaluation.sample import Sample
    from evaluation.settings.designs import DiscontinuityDesign

HOLES = (0.05, 0.1, 0.2)  # of the bandwidth, units left out on both sides of the cutoff
FACTORS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # of the bandwidth: whether the effect depends on it
BINS = 20  # of the score on each side, for figures; no bin holds fewer than FEWEST_IN_BIN units
FEWEST_IN_BIN = 5
SHARED = 0.2  # share of units with a score that others have, from which rdrobust's warning is passed on
_COLUMNS = ("estimate", "std_error", "ci_low", "ci_high")


def estimate(sample: Sample, design: DiscontinuityDesign) -> CrossSection:
    """Effects at the cutoff on all outcomes, with diagnostics on the primary one.

    Raises:
        DataError: too few units near the cutoff; the treatment is not what the side says, or does not jump.
    """
    cases = [_Case.of(sample, design, column) for column, _ in outcomes_of(design)]
    blocks = tuple(
        case.block(labels("ate", outcome, role_of(outcome)))
        for case, (_, outcome) in zip(cases, outcomes_of(design), strict=True)
    )
    groups, about_groups = group_blocks(sample, design, partial(_in_group, design=design))
    primary, tables = cases[0], _tables(cases[0], sample)
    weights = pd.Series(primary.kernel_weights(), index=primary.frame.index).reindex(sample.frame.index, fill_value=0.0)
    return CrossSection(
        estimand="ate",
        blocks=(*blocks, *groups, *primary.reduced_form(), raw_difference(sample, design)),
        balance_weights=weights.to_numpy(),
        notes=(*_notes(primary, design), *about_groups),
        checks=_checks(primary, tables),
        tables=tables,
    )


def _in_group(part: Sample, row: pd.DataFrame, *, design: DiscontinuityDesign) -> Effects:
    """The effect on the primary outcome among the units of one group, with bandwidths of their own."""
    return _Case.of(part, design, outcomes_of(design)[0][0]).effects(row)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """One outcome at one cutoff.

    Attributes:
        frame: rows with the outcome.
        y: (n,) outcome; distance: (n,) from the cutoff, the treated side positive; received: (n,) or None.
        extra: sampling weights where the design has some, covariates where it adjusts for them.
        chosen: bandwidths and rdrobust's numbers.
        jump: the effect.
        take_up: jump of the treatment in a fuzzy design.
    """

    design: Any
    names: Any
    frame: pd.DataFrame
    y: Floats
    distance: Floats
    received: Floats | None
    extra: Extra
    chosen: Chosen
    jump: Jump
    take_up: Jump | None

    @classmethod
    def of(cls, sample: Sample, design: DiscontinuityDesign, column: str) -> _Case:
        """At the cutoff of the design, units in the hole left out."""
        frame = sample.frame[observed(sample.frame, column)]
        distance = _distance(frame, design)
        outside = np.abs(distance) >= (design.donut or 0.0)
        values, extra = frame[column].to_numpy(dtype=float), _extra(frame, sample, design)
        return cls.at(design, sample.names, frame[outside], values[outside], distance[outside], extra.of(outside))

    @classmethod
    def at(
        cls,
        design: Any,
        names: Any,
        frame: pd.DataFrame,
        y: Floats,
        distance: Floats,
        extra: Extra,
        window: Window | None = None,
    ) -> _Case:
        """For given rows, with the bandwidths of a window where they are known."""
        received = frame["received"].to_numpy(dtype=float) if "received" in frame else None
        chosen = choose(y, distance, design, received, window=window, extra=extra)
        made, take_up = jump(y, distance, chosen.window, extra), None
        if received is not None:
            take_up = jump(received, distance, chosen.window, extra)
            made = ratio(made, take_up)
        return cls(
            design=design, names=names, frame=frame, y=y, distance=distance, received=received, extra=extra,
            chosen=chosen, jump=made, take_up=take_up,
        )  # fmt: skip

    def effects(self, row: pd.DataFrame, found: Jump | None = None) -> Effects:
        """The effect, or another jump at this cutoff, with the influence of each unit."""
        shown = self.jump if found is None else found
        scale = float(np.abs(self.y).max(initial=0.0))
        return effects_of_rows(self.frame, shown.estimate, shown.influence, row, scale=scale)

    def block(self, row: pd.DataFrame, found: Jump | None = None) -> Block:
        """The effect with rdrobust's error, or with that of its influence where clusters or the design ask for it."""
        kind = self.design.inference.std_error
        if kind not in (None, "influence") and found is None:
            return Block(effects=self.regression(row), kind=kind, clusters=clusters_of_frame(self.frame, self.names))
        effects, clusters = self.effects(row, found), clusters_of_frame(self.frame, self.names)
        if clusters is not None or kind == "influence" or found is not None:
            return Block(effects=effects, kind="influence", clusters=clusters)
        known = np.array([[self.chosen.std_error**2]])
        return Block(
            effects=effects,
            kind="influence",
            covariance=inference.Covariance(matrix=known, df=np.array([np.inf]), kind=NEAREST),
        )

    def regression(self, row: pd.DataFrame) -> Effects:
        """The jump of the lines as a coefficient of one weighted regression, for the errors of regressions."""
        near = self.kernel_weights() > 0
        right, u = self.distance[near] >= 0, self.distance[near]
        powers = np.vander(u, self.design.order + 1, increasing=True)
        z = self._independent(near, np.hstack([powers, powers * right[:, None]]))
        names = [f"{side} {k}" for side in ("left", "change") for k in range(powers.shape[1])]
        fit = weighted_least_squares(
            self.y[near],
            np.hstack([powers, powers * right[:, None], z]),
            [*names, *(f"covariate {k}" for k in range(z.shape[1]))],
            self.kernel_weights()[near] / np.where(right, *self.chosen.window.h[::-1]),
        )
        loading = np.eye(1, 2 * powers.shape[1] + z.shape[1], powers.shape[1])[0]
        units = pd.Index(self.frame["unit"][near])
        return fit.to_effects(loading, row, units=units, arms=arms_of(units, right))

    def _independent(self, rows: np.ndarray, lines: Floats) -> Floats:
        """Covariates of some rows that are no combination of the lines and of one another."""
        if self.extra.covariates is None:
            return np.empty((int(rows.sum()), 0))
        z, weights = self.extra.covariates[rows], self.kernel_weights()[rows]
        kept = z[:, independent_columns(np.hstack([lines, z]), weights)[lines.shape[1] :]]
        return np.asarray(kept)

    def reduced_form(self) -> tuple[Block, ...]:
        """The jump of the outcome itself in a fuzzy design."""
        if self.take_up is None:
            return ()
        found = jump(self.y, self.distance, self.chosen.window, self.extra)
        return (self.block(labels("itt", outcomes_of(self.design)[0][1], "supporting"), found),)

    def kernel_weights(self) -> Floats:
        """(n,) by which rows count in the lines."""
        width = np.where(self.distance < 0, *self.chosen.window.h)
        near = KERNELS[self.chosen.window.kernel](self.distance / width)
        return near if self.extra.weights is None else near * self.extra.weights


def _extra(frame: pd.DataFrame, sample: Sample, design: DiscontinuityDesign) -> Extra:
    """Weights and covariates of rows, where the design uses them."""
    adjusted = model_matrix(frame, sample.names).matrix if design.adjustment == "linear" else None
    weights = frame["weight"].to_numpy(dtype=float) if design.weight else None
    return Extra(weights=weights, covariates=adjusted)


def _distance(frame: pd.DataFrame, design: DiscontinuityDesign) -> Floats:
    return np.asarray(design.sign * (frame["running"].to_numpy(dtype=float) - design.cutoff))


# what could be wrong -------------------------------------------------------------------------------------------------


def _checks(case: _Case, tables: Mapping[str, pd.DataFrame]) -> tuple[Check, ...]:
    near = "only units near the cutoff are compared, by lines on both sides"
    left, right = case.chosen.effective
    return (
        checks.not_applicable("balance.max_smd", near),
        checks.not_applicable("balance.adjusted", near),
        checks.not_applicable("overlap.share_in_01_09", "treatment is a step of the score: nobody has a counterpart"),
        checks.not_applicable("overlap.ess_share", near),
        checks.measured(
            "discontinuity.effective_units", min(left, right), f"units within the bandwidth: {left} and {right}"
        ),
        _density(case),
        _smallest(
            "discontinuity.covariates_p",
            tables["covariate_jumps"],
            "jumps of covariates",
            "no covariates measured before are named, or none can be followed to the cutoff",
        ),
        _smallest(
            "discontinuity.placebo_cutoff_p",
            tables["placebo_cutoffs"],
            "jumps at placebo cutoffs",
            "too few units around every placebo cutoff",
        ),
        _donut(case, tables["donuts"]),
        *_first_stage(case),
    )


def _donut(case: _Case, table: pd.DataFrame) -> Check:
    """The effect over its largest change where the units nearest to the cutoff are left out."""
    name = "discontinuity.donut"
    known = table.dropna(subset=["estimate"])
    if known.empty:
        return checks.not_run(name, "too few units are left without those nearest to the cutoff")
    change = float((known["estimate"] - case.jump.estimate).abs().max())
    detail = f"effect over its largest change ({change:.3g}) in {len(known)} holes around the cutoff"
    return checks.measured(name, np.inf if change == 0 else abs(case.jump.estimate) / change, detail)


def _density(case: _Case) -> Check:
    """Whether units heap on one side of the cutoff, as they would if they could choose theirs."""
    name = "discontinuity.density_p"
    from rddensity import rddensity

    try:
        found = rddensity(case.distance, c=0)
    except Exception as error:  # rddensity raises bare exceptions of many kinds
        return checks.not_run(name, f"rddensity: {error}")
    p = float(found.test["p_jk"])
    if not np.isfinite(p):
        return checks.not_run(name, "rddensity gives no p-value")
    return checks.measured(name, p, f"p-value of equal densities of the score on both sides (rddensity): {p:.3f}")


def _smallest(name: str, table: pd.DataFrame, what: str, why_not: str) -> Check:
    """The smallest p-value of a table, times the number of those that there are; its subject is the covariate."""
    known = table.dropna(subset=["p_value"])
    if known.empty:
        return checks.not_run(name, why_not)
    worst = known.loc[known["p_value"].idxmin()]
    p, lost = min(1.0, float(worst["p_value"]) * len(known)), len(table) - len(known)
    detail = f"smallest of {len(known)} p-values of {what}, times {len(known)}"
    detail += f"; {lost} more could not be computed" if lost else ""
    return checks.measured(name, p, detail, str(worst.get("covariate", "")))


def covariate_jumps(case: _Case, sample: Sample) -> pd.DataFrame:
    """One row a covariate: its jump at the cutoff, with bandwidths of its own."""
    matrix = model_matrix(case.frame, sample.names, all_levels=True)
    columns = zip(matrix.labels, matrix.matrix.T, strict=True)
    plain = replace(case.extra, covariates=None)
    return _rows(
        "covariate", [(label, partial(_sharp, case, values, case.distance, plain)) for label, values in columns]
    )


def _sharp(case: _Case, y: Floats, distance: Floats, extra: Extra) -> Chosen:
    """rdrobust's sharp jump of a variable, by the options of the design."""
    return choose(y, distance, case.design, extra=extra)


def _rows(name: str, wanted: Sequence[tuple[Any, Callable[[], Chosen]]]) -> pd.DataFrame:
    """One row each: its name, units and numbers; where there are too few units the numbers are missing, with why."""
    rows: list[dict[str, Any]] = []
    for value, estimated in wanted:
        try:
            found = estimated()
        except DataError as error:
            rows.append({name: value, "reason": f"{error.what}: {error.found}"})
        else:
            numbers = inference.normal_numbers(found.estimate, found.std_error)
            rows.append({name: value, "units": sum(found.effective), **numbers, "reason": ""})
    return pd.DataFrame(rows, columns=[name, "units", *_COLUMNS, "p_value", "reason"])


def placebo_cutoffs(case: _Case) -> pd.DataFrame:
    """One row a placebo cutoff, in units of the score; units of the other side are left out."""
    wanted = []
    for cutoff in _placebo_places(case):
        side = case.distance >= 0 if cutoff >= 0 else case.distance < 0
        there = case.y[side], case.distance[side] - cutoff, case.extra.of(side)
        wanted.append((_score(case, cutoff), partial(_sharp, case, *there)))
    return _rows("cutoff", wanted)


def _placebo_places(case: _Case) -> list[float]:
    """Distances from the cutoff: those of the design, or the medians of both sides."""
    design = case.design
    if design.placebo_cutoffs:
        return [design.sign * (place - design.cutoff) for place in design.placebo_cutoffs]
    return [float(np.median(case.distance[side])) for side in (case.distance < 0, case.distance >= 0)]


def _score(case: _Case, distance: float) -> float:
    return float(case.design.cutoff + case.design.sign * distance)


def _first_stage(case: _Case) -> tuple[Check, ...]:
    """F of the jump of the treatment."""
    if case.take_up is None:
        return ()
    block = case.block(labels("itt", outcomes_of(case.design)[0][1], "supporting"), case.take_up)
    f = float((case.take_up.estimate / block.solved().std_error[0]) ** 2)
    detail = f"the share treated jumps by {case.take_up.estimate:.3f} (F {f:.1f})"
    return (checks.measured("compliance.first_stage_f", f, detail, case.design.received),)


# tables and notes -----------------------------------------------------------------------------------------------------


def _tables(case: _Case, sample: Sample) -> dict[str, pd.DataFrame]:
    window = case.chosen.window
    wide = window.b or window.h
    lines = {"h_left": window.h[0], "h_right": window.h[1], "b_left": wide[0], "b_right": wide[1]}
    left, right = case.chosen.effective
    return {
        "bandwidth": pd.DataFrame([{**lines, "units_left": left, "units_right": right}]),
        "bandwidth_curve": bandwidth_curve(case),
        "covariate_jumps": covariate_jumps(case, sample),
        "placebo_cutoffs": placebo_cutoffs(case),
        "donuts": donuts(case),
        "score_bins": score_bins(case),
    }


def bandwidth_curve(case: _Case) -> pd.DataFrame:
    """One row a bandwidth, multiples of the one that was chosen, none wider than the data."""
    window, everybody = case.chosen.window, np.ones(len(case.y), dtype=bool)
    middle, farthest = float(np.mean(window.h)), float(np.abs(case.distance).max())
    factors = [factor for factor in FACTORS if factor <= 1 or min(window.h) < farthest]
    wanted = [(factor * middle, partial(_within, case, window.scaled(factor), everybody)) for factor in factors]
    return _rows("bandwidth", wanted)


def donuts(case: _Case) -> pd.DataFrame:
    """One row a hole around the cutoff, shares of the bandwidth."""
    window, middle = case.chosen.window, float(np.mean(case.chosen.window.h))
    holes = [share * middle for share in HOLES]
    return _rows("donut", [(hole, partial(_within, case, window, np.abs(case.distance) >= hole)) for hole in holes])


def _within(case: _Case, window: Window, kept: np.ndarray) -> Chosen:
    """The estimate from some units, in a window."""
    rows = case.frame[kept], case.y[kept], case.distance[kept], case.extra.of(kept)
    return _Case.at(case.design, case.names, *rows, window).chosen


def score_bins(case: _Case) -> pd.DataFrame:
    """Means of the outcome by bins of the score with their intervals, and the fitted lines within the bandwidth.

    Intervals take the units of a bin as independent (no clusters): they describe the figure, not the effect.

    Returns:
        side (left, right: the treated one), score, mean, ci_low, ci_high, n, line; and the same in all rows: name of
        the score, cutoff.
    """
    parts = [_bins_of(case, side, name) for side, name in ((case.distance < 0, "left"), (case.distance >= 0, "right"))]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(name=case.design.running, cutoff=float(case.design.cutoff))


def _bins_of(case: _Case, side: np.ndarray, name: str) -> pd.DataFrame:
    count = max(1, min(BINS, int(side.sum()) // FEWEST_IN_BIN))
    ranks = pd.Series(case.distance[side]).rank(method="min").to_numpy() - 1
    codes = np.minimum((ranks * count / side.sum()).astype(int), count - 1)
    weights = np.ones(int(side.sum())) if case.extra.weights is None else case.extra.weights[side]
    binned = _means(codes, case.distance[side], case.y[side], weights)
    numbers = [
        inference.normal_numbers(mean, error, level=case.design.inference.level)
        for mean, error in zip(binned["mean"], binned["std_error"], strict=True)
    ]
    line, width = _line(case, side), case.chosen.window.h[int(name == "right")]
    within = binned["distance"].abs().to_numpy() <= width
    return pd.DataFrame(
        {
            "side": name,
            "score": [_score(case, distance) for distance in binned["distance"]],
            "mean": binned["mean"].to_numpy(),
            "ci_low": [row["ci_low"] for row in numbers],
            "ci_high": [row["ci_high"] for row in numbers],
            "n": binned["n"].to_numpy(),
            "line": np.where(within, np.polyval(line, binned["distance"]), np.nan),
        }
    )


def _means(codes: np.ndarray, distance: Floats, y: Floats, weights: Floats) -> pd.DataFrame:
    """By bin: weighted means of distance and outcome, the standard error of the latter √(Σw²e² n/(n - 1))/Σw, and n."""
    total, n = np.bincount(codes, weights), np.bincount(codes)
    means = [np.bincount(codes, weights * values) / total for values in (distance, y)]
    square = np.bincount(codes, (weights * (y - means[1][codes])) ** 2)
    error = np.sqrt(square * n / np.maximum(n - 1, 1)) / total
    return pd.DataFrame({"distance": means[0], "mean": means[1], "std_error": error, "n": n})


def _line(case: _Case, side: np.ndarray) -> Floats:
    """Coefficients of the polynomial of one side, the highest power first."""
    weights = case.kernel_weights()[side]
    return np.polyfit(case.distance[side], case.y[side], case.design.order, w=np.sqrt(weights))


def _notes(case: _Case, design: DiscontinuityDesign) -> tuple[str, ...]:
    who = "units at the cutoff" if case.received is None else "units at the cutoff whose treatment it decides"
    notes = [f"The effect is that on {who}, {design.running} = {design.cutoff:g}; it says nothing about others."]
    if case.extra.covariates is not None:
        notes.append(f"Adjusted for {', '.join(design.covariates)}, with one coefficient on both sides of the cutoff.")
    if case.extra.weights is not None:
        notes.append("Sampling weights count in the lines; the test of the density of the score leaves them out.")
    if case.chosen.shared > SHARED:
        notes.append(f"{case.chosen.shared:.0%} of the units share their score with others (mass points).")
    return tuple(notes)
