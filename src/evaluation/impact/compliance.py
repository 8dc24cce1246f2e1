"""Who took part because of the draw, and the effect on them: intention to treat over the difference in take-up.

Whoever the draw moves is a complier. The effect on them is identified if the draw changes outcomes only through taking
part and keeps nobody from taking part who would have come without it; neither can be seen in the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd

from evaluation.impact import inference, two_stages
from evaluation.impact.covariates import Floats
from evaluation.impact.effects import Effects
from evaluation.impact.experiment_convention import Convention
from evaluation.impact.two_stages import WEAK

NOTHING = 1e-12  # a difference in take-up below it is rounding
NUMBERS = ("estimate", "std_error", "ci_low", "ci_high")


class Compared(Protocol):
    """What estimates effects of the draw on any outcome of the same rows."""

    @property
    def rows(self) -> pd.DataFrame:
        """The rows."""

    def effects(
        self,
        outcome: Floats,
        labels: pd.DataFrame,
        combination: Floats | None = None,
        clusters: pd.DataFrame | None = None,
    ) -> Effects:
        """Effects on an outcome (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComplierEffect:
    """The effect on compliers of one outcome.

    Attributes:
        effect: intention to treat / first stage; two-stage least squares with the columns of the regression. None
            where the draw does not change take-up in this sample: there is only a set.
        reduced: effect of the draw on the outcome, on the rows that know outcome and take-up.
        first: effect of the draw on take-up, on the same rows.
        untreated: mean outcome of compliers who were kept from taking part.
        convention: of the uncertainty.
    """

    effect: Effects | None
    reduced: Effects
    first: Effects
    untreated: float
    convention: Convention

    def anderson_rubin(self, level: float = 0.95) -> inference.AndersonRubin:
        """The set of effects that is not rejected, however weak the first stage."""
        return two_stages.anderson_rubin(self.reduced, self.first, self.convention.covariance, level)

    def row(self, level: float) -> dict[str, object]:
        """Labels, effect with both intervals, first stage and its F."""
        shown = self.reduced if self.effect is None else self.effect
        table = self.convention.block(shown).table(level).iloc[0]
        known = self.anderson_rubin(level)
        numbers = {name: table[name] if self.effect else np.nan for name in NUMBERS}
        return {
            "outcome": table["outcome"],
            **numbers,
            "ar_shape": known.shape,
            "ar_low": known.low,
            "ar_high": known.high,
            "p_value": known.p_value if table["reason"] == "" else np.nan,
            "itt": float(self.reduced.estimate[0]),
            "untreated_mean": self.untreated,
            "first_stage": float(self.first.estimate[0]),
            "first_stage_f": known.f_statistic if np.isfinite(known.f_statistic) else np.nan,
            "units": self.reduced.n_units,
            "reason": table["reason"] if self.effect else "take-up is the same in both arms: there is only a set",
        }


def complier_effect(
    compared: Compared, outcome: Floats, takeup: Floats, labels: pd.DataFrame, convention: Convention
) -> ComplierEffect | None:
    """The ratio of two effects of the draw; None where everybody took part, or nobody did.

    The influence is that of the effect on outcome - β takeup, over the first stage: the delta method, and exactly the
    linear form of two-stage least squares, so that every convention for regressions (HC, CR, Satterthwaite) serves.

    Args:
        compared: the comparison that the intention to treat comes from.
        outcome: (n,).
        takeup: (n,) 0 or 1, or a dose.
        labels: one row.
        convention: of the uncertainty.

    Source: Imbens and Angrist (1994); Wald (1940); Angrist and Imbens (1995) for covariates and doses.
    """
    parts = [compared.effects(values, labels, None, convention.clusters) for values in (outcome, takeup)]
    reduced, first = parts
    slope = float(first.estimate[0])
    if np.ptp(takeup) == 0:
        return None
    if abs(slope) <= NOTHING:
        return ComplierEffect(effect=None, reduced=reduced, first=first, untreated=np.nan, convention=convention)
    ratio = float(reduced.estimate[0]) / slope
    left = compared.effects(outcome - ratio * takeup, labels, None, convention.clusters)
    effect = replace(left.contrast(np.array([1 / slope]), labels), estimate=np.array([ratio]))
    stayed = compared.effects(outcome * (1 - takeup), labels, None, convention.clusters)
    return ComplierEffect(
        effect=effect,
        reduced=reduced,
        first=first,
        untreated=-float(stayed.estimate[0]) / slope,
        convention=convention,
    )


def shares(frame: pd.DataFrame, weights: Floats) -> pd.DataFrame:
    """Take-up in both arms, and what it says about who complies (everybody drawn to take part or not to).

    Columns: group (treated, comparison, always, compliers, never), share.
    """
    took, treated = frame["takeup"].to_numpy(dtype=float), frame["treated"].to_numpy(dtype=bool)
    with_, without = (float(np.average(took[arm], weights=weights[arm])) for arm in (treated, ~treated))
    names = ("treated", "comparison", "always", "compliers", "never")
    return pd.DataFrame({"group": names, "share": [with_, without, without, with_ - without, 1 - with_]})


def notes(table: pd.DataFrame, found: pd.DataFrame, lost: int) -> Iterator[str]:
    """What a reader of the complier effects must know.

    Args:
        table: complier effects.
        found: `shares`.
        lost: rows with the primary outcome whose take-up is not known.
    """
    share = found.set_index("group")["share"]
    if lost:
        yield f"{lost} rows do not know take-up: they count in the intention to treat only."
    if share["comparison"] == 0:
        yield "Nobody in the comparison arm took part: the effect on compliers is the effect on those who took part."
    if share["treated"] == 1:
        yield "Everybody drawn to take part did: the effect on compliers is the effect on those kept out by the draw."
    weak = table[table["first_stage_f"] < WEAK]
    if len(weak):
        yield (
            f"First stage of F {weak['first_stage_f'].min():.1f}, below {WEAK}: read the Anderson-Rubin set, not the "
            "interval from the standard error."
        )


def profile(
    compared: Compared, characteristics: Sequence[tuple[str, Floats]], takeup: Floats, convention: Convention
) -> pd.DataFrame:
    """Means of characteristics among compliers and among everybody.

    The mean of x among compliers is the effect of the draw on x times take-up over its effect on take-up.

    Args:
        compared: a comparison without covariates.
        characteristics: (label, (n,) values known before the draw).
        takeup: (n,).
        convention: of the uncertainty.

    Returns:
        Columns characteristic, compliers, std_error, everybody.

    Source: Abadie (2003), theorem 3.1.
    """
    weights = compared.rows["weight"].to_numpy(dtype=float)
    rows = []
    for name, values in characteristics:
        found = complier_effect(compared, values * takeup, takeup, pd.DataFrame({"term": ["profile"]}), convention)
        if found is not None and found.effect is not None:
            rows.append(
                {
                    "characteristic": name,
                    "compliers": float(found.effect.estimate[0]),
                    "std_error": float(convention.covariance(found.effect).std_error[0]),
                    "everybody": float(np.average(values, weights=weights)),
                }
            )
    return pd.DataFrame(rows, columns=["characteristic", "compliers", "std_error", "everybody"])
