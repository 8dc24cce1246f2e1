"""Power by drawing studies and estimating each with our own estimator: what formulas assume is not assumed here.

Data come from the model that a study states, or from a pilot (`resampled`): its units, or its clusters whole, are drawn
with replacement, arms are drawn anew, and the effect is added. Every repetition has its own stream of random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact import did_estimators, experiment, inference
from evaluation.impact.cross_section import clusters_of, outcomes_of
from evaluation.impact.power.drawn import Drawn, drawer

if TYPE_CHECKING:
    from numpy.random import Generator

    from evaluation.impact.power.study import Study
    from evaluation.sample import Sample
    from evaluation.settings.designs import Design, DidDesign, ExperimentDesign

Array = np.ndarray
Anew = Literal["groups", "halves", "units"]
Row = tuple[float, float, float]  # estimate, standard error, p-value


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What happened in studies that were drawn.

    Attributes:
        effect: that was added.
        power: share of the studies whose two-sided p-value was at most the level.
        monte_carlo_error: standard error of that share.
        repetitions: how many studies.
        unanswered: share without a p-value (too few clusters); they count as not finding the effect.
        mean_estimate: over studies.
        sd_of_estimates: over studies: what the standard error should be.
        mean_std_error: what the estimator said.
    """

    effect: float
    power: float
    monte_carlo_error: float
    repetitions: int
    unanswered: float
    mean_estimate: float
    sd_of_estimates: float
    mean_std_error: float


def simulate(study: Study, n: int, size: float, effect: float, *, repetitions: int = 500, seed: int = 0) -> Simulation:
    """Power of a study whose data follow the model that it states: normal (or yes-or-no) outcomes, equal effects.

    Args:
        study: design and spread; attrition is at random.
        n: units or clusters assigned.
        size: units in each cluster.
        effect: of the offer, added to treated units.
        repetitions: studies drawn.
        seed: where the draws start.

    Raises:
        ParametersError: a design without an estimator in this version, or that needs a pilot.
    """
    draw = drawer(study, n, size)
    return _repeated(lambda rng: _estimate(draw(effect, rng)), effect, study.level_of_one, repetitions, seed)


def resampled(
    sample: Sample, design: Design, effect: float, *, n: int | None = None, repetitions: int = 500, seed: int = 0
) -> Simulation:
    """Power of a study like a pilot, of n units (clusters, where the design has them).

    Outcomes without the innovation are those of the pilot: of an experiment all, the treated ones less the difference
    in means; of a difference-in-differences those of units never treated. Starts (or the share treated) are drawn anew
    in the proportions of the pilot, within its strata; covariates stay with their units.

    Args:
        sample: of the pilot.
        design: experiment or did; its estimator and its inference are used.
        effect: added to treated units (from their start on).
        n: units or clusters; as many as the pilot has if None.
        repetitions: studies drawn.
        seed: where the draws start.

    Raises:
        DataError: a pilot of another method, or without anybody never treated.
    """
    if design.method not in ("experiment", "did"):
        raise DataError(
            code="E-IMP-302",
            what="studies are drawn from the pilot of an experiment or of a difference-in-differences",
            found=f"method {design.method}",
            expected="method experiment or did",
            fix="for groups that nobody drew, plan with design: comparison and the effective share of this pilot",
        )
    make = _of_trial if design.method == "experiment" else _of_panel
    draw = make(sample, cast("Any", design), n)
    level = 1 - design.inference.level
    return _repeated(lambda rng: _estimate(draw(effect, rng)), effect, level, repetitions, seed)


def _repeated(once: Callable[[Generator], Row], effect: float, level: float, repetitions: int, seed: int) -> Simulation:
    streams = np.random.SeedSequence(seed).spawn(repetitions)
    rows = np.array([once(np.random.Generator(np.random.Philox(stream))) for stream in streams])
    estimate, std_error, p_value = rows.T
    found = float((p_value <= level).mean())
    return Simulation(
        effect=effect,
        power=found,
        monte_carlo_error=float(np.sqrt(found * (1 - found) / repetitions)),
        repetitions=repetitions,
        unanswered=float(np.isnan(p_value).mean()),
        mean_estimate=float(estimate.mean()),
        sd_of_estimates=float(estimate.std(ddof=1)),
        mean_std_error=float(std_error.mean()),
    )


def _estimate(drawn: Drawn) -> Row:
    """Estimate, standard error and p-value of the headline by the estimator of the design."""
    sample, design = drawn
    if design.method == "did":
        effects = did_estimators.estimate(sample, design, outcome=outcomes_of(design)[0][0]).headline
        table = inference.summarize(effects, clusters_of(sample), kind=design.inference.std_error or "influence")
    else:
        table = experiment.estimate(sample, design).blocks[0].table(design.inference.level)
    row = table.iloc[0]
    return float(row["estimate"]), float(row["std_error"]), float(row["p_value"])


# from a pilot --------------------------------------------------------------------------------------------------------


def _of_trial(sample: Sample, design: ExperimentDesign, n: int | None) -> Callable[[float, Generator], Drawn]:
    """Units (or clusters) of the pilot without its effect, with arms drawn anew."""
    alone = _everybody_seen(design)
    column = outcomes_of(design)[0][0]
    frame = sample.frame.copy()
    treated = frame["treated"].to_numpy(dtype=bool)
    values, weight = frame[column].to_numpy(dtype=float), frame["weight"].to_numpy(dtype=float)
    effect = np.average(values[treated], weights=weight[treated]) - np.average(
        values[~treated], weights=weight[~treated]
    )
    frame[column] = values - effect * treated
    by, anew = _what_was_drawn(frame, design)
    group = pd.factorize(frame[by])[0] if by else np.arange(len(frame))
    strata = frame["stratum"] if "stratum" in frame and anew != "halves" else pd.Series(0, frame.index)
    rows = _Rows.of(group, pd.factorize(strata)[0], treated)

    def draw(added: float, rng: Generator) -> Drawn:
        index, copy, arm = rows.draw(n, rng, anew)
        made = frame.iloc[index].assign(unit=np.arange(len(index)), treated=arm)
        made[column] += added * arm
        if by:
            made[by] = copy if by == "cluster_1" else copy.astype(str)
        return replace(sample, frame=made.reset_index(drop=True), roster=None), alone

    return draw


def _what_was_drawn(frame: pd.DataFrame, design: ExperimentDesign) -> tuple[str, Anew]:
    """Column of the groups to draw whole ("" for units), and among what arms are drawn anew."""
    if design.assignment == "paired":
        return "stratum", "halves"
    if "cluster_1" not in frame:
        return "", "groups"
    return "cluster_1", "groups" if design.assignment == "cluster" else "units"


def _everybody_seen(design: ExperimentDesign) -> ExperimentDesign:
    """The design without a roster: whoever is drawn is seen."""
    return design.model_copy(update={"roster": None, "takeup": None})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Rows of a pilot by what was drawn.

    Attributes:
        members: rows of each group that is drawn as a whole.
        stratum: (G,) stratum of each group.
        share: treated groups by stratum.
        treated: (n,) arm of each row in the pilot.
        row_stratum: (n,) its stratum.
    """

    members: list[Array]
    stratum: Array
    share: Array
    treated: Array
    row_stratum: Array

    @classmethod
    def of(cls, group: Array, strata: Array, treated: Array) -> _Rows:
        """From the (n,) group, stratum and arm of each row."""
        order = np.argsort(group, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
        first = np.array([rows[0] for rows in members])
        arms = np.bincount(strata[first], treated[first].astype(float)) / np.bincount(strata[first])
        return cls(members=members, stratum=strata[first], share=arms, treated=treated, row_stratum=strata)

    def draw(self, n: int | None, rng: Generator, anew: Anew) -> tuple[Array, Array, Array]:
        """Rows, the copy of the group that each belongs to, and its new arm; strata keep their share of n.

        Arms are drawn among the groups of a stratum, as one half of each pair, or among the units of a stratum.
        """
        chosen, arms = [], []
        by = self.stratum if anew == "groups" else np.zeros_like(self.stratum)
        for stratum in np.unique(by):
            inside = np.flatnonzero(by == stratum)
            wanted = len(inside) if n is None else round(n * len(inside) / len(self.stratum))
            chosen.append(rng.choice(inside, wanted))
            arms.append(rng.permutation(np.arange(wanted) < round(wanted * self.share[stratum])))
        groups, arm = np.concatenate(chosen), np.concatenate(arms)
        rows = [self.members[g] for g in groups]
        copy = np.repeat(np.arange(len(groups)), [len(own) for own in rows])
        if anew == "groups":
            return np.concatenate(rows), copy, arm[copy]
        if anew == "halves":
            halves = [rng.permutation(np.arange(len(own)) % 2 == 0) for own in rows]
            return np.concatenate(rows), copy, np.concatenate(halves)
        index = np.concatenate(rows)
        arm = self.treated[index]
        for stratum in np.unique(self.row_stratum[index]):
            inside = np.flatnonzero(self.row_stratum[index] == stratum)
            arm[inside] = rng.permutation(arm[inside])
        return index, copy, arm


def _of_panel(sample: Sample, design: DidDesign, n: int | None) -> Callable[[float, Generator], Drawn]:
    """Units (or clusters) never treated, with starts drawn anew in the proportions of the pilot."""
    frame, column = sample.frame, outcomes_of(design)[0][0]
    never = frame[frame["cohort"].isna()].reset_index(drop=True)
    by = "cluster_1" if "cluster_1" in frame else "unit"
    starts = frame.drop_duplicates(by)["cohort"].astype("Float64").to_numpy(dtype=float, na_value=np.inf)
    if not len(never):
        raise DataError(
            code="E-IMP-303",
            what="the pilot has nobody who was never treated, so that outcomes without the innovation are not known",
            found=f"{len(starts)} units or clusters, all treated in the end",
            expected="units never treated",
            fix="take an earlier period of the same data, before the first start, as the pilot",
        )
    nothing = np.zeros(len(never), dtype=int)
    members = _Rows.of(pd.factorize(never[by])[0], nothing, nothing > 0).members
    units = pd.factorize(never["unit"])[0]

    def draw(added: float, rng: Generator) -> Drawn:
        chosen = rng.integers(0, len(members), len(starts) if n is None else n)
        rows = [members[g] for g in chosen]
        copy = np.repeat(np.arange(len(chosen)), [len(r) for r in rows])
        index = np.concatenate(rows)
        cohort = rng.permutation(np.resize(rng.permutation(starts), len(chosen)))[copy]
        made = never.iloc[index].reset_index(drop=True)
        made["unit"] = copy.astype(np.int64) * (int(units.max()) + 1) + units[index]
        if by == "cluster_1":
            made[by] = copy
        made["cohort"] = pd.array(np.where(np.isinf(cohort), np.nan, cohort), dtype="Float64").astype("Int64")
        made["treated"] = np.isfinite(cohort)
        made[column] += added * (made["period"].to_numpy() >= cohort)
        return replace(sample, frame=made.sort_values(["unit", "period"], ignore_index=True)), design

    return draw
