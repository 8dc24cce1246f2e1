"""Experiments: chance decided who was treated, so a regression on treatment is the comparison of two means.

Territories are estimated in one regression with a treatment column each, so that their effects have a joint covariance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.impact.covariates import Floats, independent_columns, model_matrix
from evaluation.impact.cross_section import (
    Block,
    CrossSection,
    clusters_of,
    difference_in_means,
    labels,
    observed,
    outcomes_of,
    raw_difference,
    regression_kind,
    require_both_arms,
    role_of,
)
from evaluation.impact.effects import Arms
from evaluation.impact.regression import Regression, weighted_least_squares

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import ExperimentDesign, Outcome

# Shares of treated that differ by more than this between strata make the effect a weighted mean worth a note.
_SHARE_DIFFERENCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Groups of rows that have an effect each: all rows together, or territories.

    Attributes:
        names: (K,) names; one empty name for all rows together.
        code: (n,) group of each row.
    """

    names: tuple[str, ...]
    code: NDArray[np.intp]

    @classmethod
    def everywhere(cls, n: int) -> Places:
        """All n rows in one group."""
        return cls(names=("",), code=np.zeros(n, dtype=np.intp))

    def columns(self) -> Floats:
        """(n, K) 1 where a row lies in the place."""
        return np.eye(len(self.names))[self.code]


def estimate(sample: Sample, design: ExperimentDesign) -> CrossSection:
    """Average effect of being assigned to treatment: on everybody (ate), of the offer where take-up is known (itt).

    adjustment none: difference of means. ancova: covariates with one slope. lin: covariates centred at their means and
    interacted with treatment. Strata of the draw enter as fixed effects. Known assignment probabilities, where a column
    gives them, weigh each unit by one over the probability of the arm it is in.
    Standard errors: HC2, with clusters CR2, both with t intervals, unless the design says otherwise; for lin they are
    those of the mean effect at the sample's own covariate means.

    Args:
        sample: one row a unit; covariates complete where they are used.
        design: adjustment, strata, probability, territory, takeup.

    Returns:
        Effects: all outcomes; effects by territory and their contrasts; the difference without adjustment; take-up.

    Raises:
        DataError: an arm is empty, or treatment does not vary once strata and covariates are known.

    Source: Lin (2013); Freedman (2008) for ancova; Bugni, Canay and Shaikh (2018) for strata.
    """
    require_both_arms(sample.frame["treated"].to_numpy(dtype=bool))
    fits = [_outcome_block(sample, design, *pair) for pair in outcomes_of(design)]
    territories, one_sided = _territories(sample.frame)
    blocks = [block for block, _ in fits]
    blocks += [_territory_block(sample, design, territories)] if len(territories) > 1 else []
    blocks += [raw_difference(sample, design)] if design.adjustment != "none" or design.strata else []
    blocks += [_takeup_block(sample, design)] if "takeup" in sample.frame else []
    return CrossSection(
        estimand=_estimand(design),
        blocks=tuple(blocks),
        notes=tuple(_notes(sample, design, fits[0][1], one_sided)),
    )


def _estimand(design: ExperimentDesign) -> str:
    return "itt" if design.takeup else "ate"


def _outcome_block(
    sample: Sample, design: ExperimentDesign, column: str, outcome: Outcome
) -> tuple[Block, tuple[str, ...]]:
    """The effect on one outcome, and the columns that its regression left out."""
    frame = sample.frame[observed(sample.frame, column)]
    require_both_arms(frame["treated"].to_numpy(dtype=bool))
    fit, left_out = _regression(sample, design, frame, column, Places.everywhere(len(frame)))
    row = labels(_estimand(design), outcome, role_of(outcome))
    return _block(sample, design, frame, fit, row, Places.everywhere(len(frame)), np.eye(1)), left_out


def _territory_block(sample: Sample, design: ExperimentDesign, territories: list[str]) -> Block:
    """Effects on the primary outcome by territory, and all differences of two of them."""
    column, outcome = outcomes_of(design)[0]
    frame = sample.frame[sample.frame["territory"].isin(territories)]
    places = Places(names=tuple(territories), code=pd.Index(territories).get_indexer(frame["territory"]))
    pairs = list(combinations(range(len(territories)), 2))
    single = np.eye(len(territories))
    differences = np.array([single[a] - single[b] for a, b in pairs])
    names = [*territories, *(f"{territories[a]} − {territories[b]}" for a, b in pairs)]
    rows = pd.concat(
        [
            labels("territory" if number < len(territories) else "contrast", outcome, "supporting", territory=name)
            for number, name in enumerate(names)
        ],
        ignore_index=True,
    )
    fit, _ = _regression(sample, design, frame, column, places)
    return _block(sample, design, frame, fit, rows, places, np.vstack([single, differences]))


def _block(
    sample: Sample,
    design: ExperimentDesign,
    frame: pd.DataFrame,
    fit: Regression,
    rows: pd.DataFrame,
    places: Places,
    combination: Floats,
) -> Block:
    """Combinations (M, K) of the K treatment coefficients."""
    clusters = clusters_of(sample)
    pick = np.array([[name == _treatment_name(place) for name in fit.names] for place in places.names], dtype=float)
    units = pd.Index(frame["unit"])
    arms = _arms(frame, units, places, combination, clusters)
    effects = fit.to_effects(combination @ pick, rows, units=units, arms=arms)
    return Block(effects=effects, kind=regression_kind(design, clusters), clusters=clusters)


def _arms(
    frame: pd.DataFrame, units: pd.Index, places: Places, combination: Floats, clusters: pd.DataFrame | None
) -> Arms:
    """Groups are place by arm. A contrast is as well founded as the weaker of its places, whose arms stand for it."""
    first = ~units.duplicated()
    treated = frame["treated"].to_numpy(dtype=bool)[first]
    group = 2 * places.code[first] + treated
    strength = _strength(group, units[first], clusters, len(places.names))
    weakest = np.argmin(np.where(combination != 0, strength, np.inf), axis=1)
    spoken_of = np.repeat(np.eye(len(places.names), dtype=bool)[:, weakest], 2, axis=0)
    is_treated = (np.arange(len(spoken_of)) % 2 == 1)[:, None]
    return Arms(codes=group, treated=spoken_of & is_treated, comparison=spoken_of & ~is_treated)


def _strength(group: NDArray[np.intp], units: pd.Index, clusters: pd.DataFrame | None, n_places: int) -> Floats:
    """(K,) clusters (units without clusters) in the smaller arm of each place, by the coarsest clustering."""
    tables = [units.to_frame(index=False)] if clusters is None else [clusters.loc[units, [c]] for c in clusters]
    counts = [table.iloc[:, 0].groupby(group).nunique().reindex(range(2 * n_places)).fillna(0) for table in tables]
    by_arm = np.min([count.to_numpy(dtype=float) for count in counts], axis=0)
    return np.asarray(by_arm.reshape(n_places, 2).min(axis=1))


def _regression(
    sample: Sample, design: ExperimentDesign, frame: pd.DataFrame, column: str, places: Places
) -> tuple[Regression, tuple[str, ...]]:
    """Outcome on place, strata, covariates, treatment by place and, for lin, treatment times covariates.

    Columns that are combinations of earlier ones are left out and named; a treatment column never is.
    """
    treated, weights = frame["treated"].to_numpy(dtype=float), _weights(frame)
    around = [
        *_strata_columns(frame),
        *(_covariate_columns(sample, frame, places) if design.adjustment != "none" else []),
    ]
    treatment = [(_treatment_name(name), treated * x) for name, x in zip(places.names, places.columns().T, strict=True)]
    crossed = [(f"treated x {name}", treated * x) for name, x in around if design.adjustment == "lin"]
    base = [
        (f"in {name}" if name else "intercept", x) for name, x in zip(places.names, places.columns().T, strict=True)
    ]
    named = [*base, *around, *treatment, *crossed]
    matrix = np.column_stack([x for _, x in named])
    kept = independent_columns(matrix * np.sqrt(weights)[:, None])
    names = [name for (name, _), keep in zip(named, kept, strict=True) if keep]
    left_out = tuple(name for (name, _), keep in zip(named, kept, strict=True) if not keep)
    _require_treatment(left_out, [name for name, _ in treatment])
    fit = weighted_least_squares(frame[column].to_numpy(dtype=float), matrix[:, kept], names, weights)
    return fit, left_out


def _treatment_name(place: str) -> str:
    return f"treated in {place}" if place else "treated"


def _strata_columns(frame: pd.DataFrame) -> list[tuple[str, Floats]]:
    if "stratum" not in frame:
        return []
    levels = sorted(frame["stratum"].unique())[1:]
    return [(f"stratum {level}", (frame["stratum"] == level).to_numpy(dtype=float)) for level in levels]


def _covariate_columns(sample: Sample, frame: pd.DataFrame, places: Places) -> list[tuple[str, Floats]]:
    """Covariates centred at their weighted means in each place."""
    covariates, weights = model_matrix(frame, sample.names), _weights(frame)
    sums = (places.columns() * weights[:, None]).T @ covariates.matrix
    means = sums / np.bincount(places.code, weights)[:, None]
    return list(zip(covariates.labels, (covariates.matrix - means[places.code]).T, strict=True))


def _weights(frame: pd.DataFrame) -> Floats:
    """Sampling weights, over the probability of the arm where a column gives it."""
    weights = np.asarray(frame["weight"], dtype=float)
    if "probability" not in frame:
        return weights
    p = frame["probability"].to_numpy(dtype=float)
    return np.asarray(weights / np.where(frame["treated"], p, 1 - p))


def _require_treatment(left_out: tuple[str, ...], treatment: list[str]) -> None:
    lost = [name for name in treatment if name in left_out]
    if lost:
        raise DataError(
            code="E-IMP-057",
            what="treatment does not vary once strata and covariates are known",
            where=", ".join(lost),
            found="it is a combination of the columns for strata and covariates",
            expected="treated and comparison units that share a stratum and resemble one another",
            fix="drop the covariate that says who is treated, or check `strata`",
        )


def _territories(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Territories with at least two units in both arms, and those without."""
    if "territory" not in frame:
        return [], []
    counts = frame.groupby(["territory", "treated"], observed=True)["unit"].nunique().unstack(fill_value=0)
    both = (counts.reindex(columns=[False, True], fill_value=0) >= 2).all(axis=1)
    return sorted(counts.index[both]), sorted(counts.index[~both])


def _takeup_block(sample: Sample, design: ExperimentDesign) -> Block:
    """Difference in take-up between the arms."""
    frame = sample.frame[sample.frame["takeup"].notna()]
    row = labels("itt", design.primary, "supporting").assign(outcome=sample.names.get("takeup", "takeup"))
    clusters = clusters_of(sample)
    return Block(
        effects=difference_in_means(frame, "takeup", row, _weights(frame)),
        kind=regression_kind(design, clusters),
        clusters=clusters,
    )


def _notes(sample: Sample, design: ExperimentDesign, left_out: tuple[str, ...], one_sided: list[str]) -> Iterator[str]:
    frame = sample.frame
    if left_out:
        yield f"Left out because they add nothing to earlier columns: {', '.join(left_out)}."
    if "territory" in frame and frame["territory"].isna().any():
        yield f"{int(frame['territory'].isna().sum())} rows without a territory count in the headline only."
    if one_sided:
        yield f"No effect for territories with fewer than two units in an arm: {', '.join(one_sided)}."
    if "stratum" in frame:
        share = frame.groupby("stratum", observed=True)["treated"].mean()
        if share.max() - share.min() > _SHARE_DIFFERENCE and "probability" not in frame:
            yield (
                f"Between {share.min():.0%} and {share.max():.0%} of a stratum are treated: the effect is a mean over "
                "strata that gives most weight to large ones with equal arms."
            )
    if isinstance(design.probability, str):
        yield "Units are weighted by one over the known probability of the arm they are in."
