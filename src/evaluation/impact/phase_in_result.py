"""A roll-out by lot as a finding: headline, what happens with time, whether the lottery held, the test by starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact import phase_in
from evaluation.impact.balance import balance_table
from evaluation.impact.checks import Check, balance, measured, not_applicable, not_run
from evaluation.impact.covariates import model_matrix
from evaluation.impact.cross_section import Block, CrossSection, labels, outcomes_of, role_of

if TYPE_CHECKING:
    from evaluation.impact.effects import Effects
    from evaluation.sample import Sample
    from evaluation.settings.designs import ExperimentDesign, Outcome


def estimate(sample: Sample, design: ExperimentDesign) -> CrossSection:
    """Average effect of having started (att), from the lottery of starts; see `phase_in.estimate`.

    Args:
        sample: a row for each unit and period; `treated` says who is treated in it.
        design: phase_in, outcomes, covariates (to look at balance), assignment and cluster.

    Returns:
        Effects: the efficient estimate for each outcome; for the primary one by time since the start and by cohort, and
        the gap before the start (placebo). Tables: phase_in_rules (what the rules say side by side), phase_in_test.

    Raises:
        DataError: a unit that stops being treated; what `phase_in.estimate` raises.
    """
    cluster = "cluster_1" if design.assignment == "cluster" else None
    table = sample.frame.assign(cohort=_starts(sample, cluster or "unit"))
    headline, *others = [_whole(table, pair, cluster) for pair in outcomes_of(design)]
    primary = outcomes_of(design)[0]
    detailed = [_by(table, primary, cluster, "event_time"), _by(table, primary, cluster, "cohort")]
    baseline = headline[1].baseline
    gap = _block(headline[1], baseline, labels("placebo", primary[1], "supporting"))
    compared = _early_and_late(sample, design, table)
    return CrossSection(
        estimand="att",
        blocks=(headline[0], *(block for block, _ in others), *detailed, gap),
        checks=(_lottery(gap, design), balance(compared), *_no_trends()),
        tables={
            "phase_in_rules": headline[1].table(design.inference.level).drop(columns=["term", "reason"]),
            "phase_in_test": _test(table, primary[0], design, cluster),
            **({} if compared is None else {"balance": compared}),
        },
        notes=(_note(float(headline[1].share[0])),),
    )


def _note(share: float) -> str:
    return (
        f"The headline takes {share:.2f} of the gap before the start off the gap after it, the share that makes it "
        "most precise; phase_in_rules shows it beside none and all of the gap."
    )


def _starts(sample: Sample, drawn: str) -> pd.Series:
    """First treated period of what was drawn (canonical column), by row; who has started stays treated."""
    frame = sample.frame
    first = frame["period"].where(frame["treated"]).groupby(frame[drawn]).transform("min").astype("Int64")
    stopped = ~frame["treated"] & (frame["period"] >= first).fillna(False)
    if stopped.any():
        raise DataError(
            code="E-IMP-269",
            what="treatment ends for some units, which a roll-out does not know",
            where=sample.names.get("treated", "treatment"),
            found=f"{int(stopped.sum())} rows of {frame.loc[stopped, drawn].nunique()} units or clusters",
            expected="0 before the start and 1 from then on",
            fix="correct the column, or keep the periods until the first unit stops",
        )
    return first


def _whole(table: pd.DataFrame, pair: tuple[str, Outcome], cluster: str | None) -> tuple[Block, phase_in.RollOut]:
    """The efficient simple effect on one outcome, on the units that have it in all periods."""
    column, outcome = pair
    known = table[column].notna()
    if cluster is None:
        known = known.groupby(table["unit"]).transform("all")
    found = phase_in.estimate(table[known], outcome=column, cluster=cluster)
    return _block(found, _efficient(found), labels("att", outcome, role_of(outcome))), found


def _by(table: pd.DataFrame, pair: tuple[str, Outcome], cluster: str | None, estimand: phase_in.Estimand) -> Block:
    column, outcome = pair
    found = phase_in.estimate(table, outcome=column, estimand=estimand, cluster=cluster)
    effects = _efficient(found)
    named = pd.concat([labels(estimand, outcome, "supporting")] * len(effects), ignore_index=True)
    return _block(found, effects, named.assign(**{estimand: effects.labels[estimand]}))


def _efficient(found: phase_in.RollOut) -> Effects:
    return found.effects.select(found.effects.labels["rule"] == "efficient")


def _block(found: phase_in.RollOut, effects: Effects, rows: pd.DataFrame) -> Block:
    renamed = effects.contrast(np.eye(len(effects)), rows)
    return Block(effects=renamed, kind="neyman", covariance=found.covariance(renamed))


def _lottery(gap: Block, design: ExperimentDesign) -> Check:
    row = gap.table(design.inference.level).iloc[0]
    if not np.isfinite(row["p_value"]):
        return not_run("placebo.baseline_p", str(row["reason"]))
    detail = f"gap in the period before the start: {row['estimate']:.6g} (standard error {row['std_error']:.4g})"
    return measured("placebo.baseline_p", float(row["p_value"]), detail, design.primary.name)


def _no_trends() -> Iterator[Check]:
    for name in ("pretrend.periods", "pretrend.joint_p"):
        yield not_applicable(name, "chance decided who starts when: trends need not be parallel")


def _early_and_late(sample: Sample, design: ExperimentDesign, table: pd.DataFrame) -> pd.DataFrame | None:
    """Balance of covariates in the first period: those who start before the middle of all starts, and others."""
    if not design.covariates:
        return None
    first = table[table["period"] == table["period"].min()]
    start = first["cohort"].fillna(phase_in.NEVER).to_numpy(dtype=np.int64)
    middle = np.sort(start)[len(start) // 2]
    early = start < middle if (start < middle).any() else start == middle
    return balance_table(model_matrix(first, sample.names, all_levels=True), early, np.ones(len(first)))


def _test(table: pd.DataFrame, column: str, design: ExperimentDesign, cluster: str | None) -> pd.DataFrame:
    wish = design.phase_in
    seed = wish.seed if wish is not None else 0
    found = phase_in.randomisation_test(table, outcome=column, cluster=cluster, draws=design.inference.draws, seed=seed)
    return pd.DataFrame(
        [{"statistic": found.statistic, "p_value": found.p_value, "draws": found.draws, "test": found.describe()}]
    )
