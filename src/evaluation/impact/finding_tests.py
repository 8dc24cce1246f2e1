"""Tests that a design asks for instead of that from standard errors: wild cluster bootstrap, or the draw repeated.

Both are for the effects that are read first, on the primary and the secondary outcomes. What the clusters or the draw
cannot say stays missing, with a reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.impact import inference
from evaluation.impact.covariates import model_matrix
from evaluation.impact.cross_section import observed, outcomes_of

if TYPE_CHECKING:
    from evaluation.impact.effects import Effects
    from evaluation.impact.inference import RandomisationTest
    from evaluation.sample import Sample
    from evaluation.settings.designs import Design

NUMBERS = ("ci_low", "ci_high", "p_value", "reason")


def wild(
    table: pd.DataFrame, effects: Effects, clusters: pd.DataFrame | None, design: Design, seed: int
) -> tuple[pd.DataFrame, str]:
    """The table with intervals and p-values of the wild cluster bootstrap, and the convention of its first row."""
    rows = range(len(effects))
    options: dict[str, Any] = {"level": design.inference.level, "draws": design.inference.draws, "seed": seed}
    tests = [inference.wild_test(effects, clusters, row=row, **options) for row in rows]
    return _replaced(table, tests), tests[0].describe()


def randomisation(table: pd.DataFrame, sample: Sample, design: Any, seed: int) -> tuple[pd.DataFrame, str]:
    """The table of one outcome each row with the test of the assignment that was drawn, and its convention."""
    columns = {outcome.name: column for column, outcome in outcomes_of(design)}
    tests = [_repeated_draw(sample, design, columns[name], seed) for name in table["outcome"]]
    return _replaced(table, tests), tests[0].describe()


def _repeated_draw(sample: Sample, design: Any, column: str, seed: int) -> RandomisationTest:
    """Strata, clusters and probabilities as the design says they were drawn; covariates where it adjusts for them."""
    frame = sample.frame[observed(sample.frame, column)]
    adjusted = design.adjustment != "none" and design.covariates
    return inference.randomisation_test(
        frame[column].to_numpy(dtype=float),
        frame["treated"].to_numpy(dtype=bool),
        strata=frame["stratum"].to_numpy() if "stratum" in frame else None,
        clusters=frame["cluster_1"].to_numpy() if _drawn_whole(design) else None,
        probability=frame["probability"].to_numpy(dtype=float) if "probability" in frame else None,
        covariates=model_matrix(frame, sample.names).matrix if adjusted else None,
        draws=design.inference.draws,
        seed=seed,
        level=design.inference.level,
    )


def _drawn_whole(design: Any) -> bool:
    """Whether clusters were drawn, alone or in pairs."""
    return design.assignment == "cluster" or (design.assignment == "paired" and bool(design.cluster))


def _replaced(table: pd.DataFrame, tests: list[Any]) -> pd.DataFrame:
    return table.assign(**{name: [getattr(test, name) for test in tests] for name in NUMBERS})


def adjusted(rows: pd.DataFrame, design: Design, outcomes: Effects | None, draws: np.ndarray | None) -> np.ndarray:
    """(R,) p-values of headline and secondary effects, adjusted within families of outcomes; missing for others.

    Args:
        rows: columns role, outcome, estimate, std_error and p_value.
        design: outcomes with their families; inference.adjustment.
        outcomes: headline and secondary effects in the order of their rows, for romano_wolf.
        draws: (B, K) of these effects.
    """
    families = {outcome.name: outcome.family for outcome in design.outcomes}
    out = np.full(len(rows), np.nan)
    confirmatory = np.flatnonzero(rows["role"].isin(["headline", "secondary"]))
    family = rows["outcome"].map(families).to_numpy(dtype=object)[confirmatory]
    for name in sorted(set(family)):
        members = family == name
        chosen = rows.iloc[confirmatory[members]]
        if design.inference.adjustment == "romano_wolf" and outcomes is not None and draws is not None:
            estimate, std_error = (chosen[column].to_numpy(dtype=float) for column in ("estimate", "std_error"))
            out[confirmatory[members]] = inference.romano_wolf(estimate, std_error, draws[:, members])
        else:
            out[confirmatory[members]] = _counted(chosen["p_value"].to_numpy(dtype=float), design.inference.adjustment)
    return out


def _counted(p_values: np.ndarray, method: str) -> np.ndarray:
    """Adjusted p-values; an outcome that was declared and has none stays without one, and still counts."""
    known = np.isfinite(p_values)
    return np.where(known, inference.adjust(np.where(known, p_values, 1.0), _named(method)), np.nan)


def _named(method: str) -> Any:
    """Holm where joint draws are needed and there are none."""
    return "holm" if method == "romano_wolf" else method
