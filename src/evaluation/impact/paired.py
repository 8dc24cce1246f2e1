"""Pairs of which chance drew one each: differences within pairs, averaged by the sizes of the pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.covariates import Floats
from evaluation.impact.cross_section import arms_of
from evaluation.impact.effects import Effects, clear_noise
from evaluation.impact.experiment_regression import arm_weights

SMALLEST = 2  # complete pairs; one alone says nothing about the variation between pairs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Complete pairs, ready for any outcome of the same rows.

    τ = Σ_k share_k (mean of the treated of pair k - mean of its comparison), share_k its part of all weights. Its
    variance (`inference.linearised` with pairs as sampling units) is m/(m - 1) Σ_k (share_k d_k - τ/m)², which for
    pairs of one size is that of the paired t test. The sizes are taken as given, so that influences are not derivatives
    in the weights of units where sizes differ.

    Attributes:
        rows: n rows of the complete pairs.
        code: (n,) pair of each row.
        share: (m,) weight of each pair; sums to 1.
        incomplete: pairs that lack an arm and are left out.
        left_out: columns left out of a regression: there is none.

    Source: Imai, King and Nall (2009), section 4 and equation 6 with arithmetic mean weights; Athey and Imbens (2017),
        section 6, for pairs of single units.
    """

    rows: pd.DataFrame
    code: np.ndarray
    share: Floats
    incomplete: int
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Pairs:
        """Pairs by the column `stratum`.

        Raises:
            DataError: fewer than two pairs have both arms.
        """
        sides = frame.groupby("stratum")["treated"].agg(["min", "max"])
        complete = sides.index[~sides["min"] & sides["max"]]
        if len(complete) < SMALLEST:
            raise DataError(
                code="E-IMP-260",
                what="too few pairs have both arms",
                found=f"{len(complete)} of {len(sides)} pairs",
                expected=f"at least {SMALLEST}",
                fix="check that strata: names the pair, and which rows lack the outcome",
            )
        kept = frame[frame["stratum"].isin(complete)]
        code = pd.Index(complete).get_indexer(kept["stratum"])
        size = np.bincount(code, kept["weight"].to_numpy(dtype=float))
        return cls(rows=kept, code=code, share=size / size.sum(), incomplete=len(sides) - len(complete))

    def differences(self, outcome: Floats) -> Floats:
        """(m,) differences of the weighted means of the arms within each pair."""
        weight, treated = arm_weights(self.rows), self.rows["treated"].to_numpy(dtype=bool)
        means = [
            np.bincount(self.code, weight * outcome * arm) / np.bincount(self.code, weight * arm)
            for arm in (treated, ~treated)
        ]
        return np.asarray(means[0] - means[1])

    def effects(
        self,
        outcome: Floats,
        labels: pd.DataFrame,
        combination: Floats | None = None,
        clusters: pd.DataFrame | None = None,
    ) -> Effects:
        """The mean difference of an outcome (n,); there is one group, and pairs are the clusters."""
        parts = self.share * self.differences(outcome)
        estimate, rows = parts.sum(), np.bincount(self.code)
        influence = len(self.code) * (parts - estimate / len(parts)) / rows
        units = pd.Index(self.rows["unit"])
        return Effects(
            estimate=np.array([estimate]),
            labels=labels,
            influence=clear_noise(influence[self.code][:, None], float(np.abs(outcome).max(initial=0.0))),
            units=units,
            arms=arms_of(units, self.rows["treated"].to_numpy(dtype=bool)),
        )
