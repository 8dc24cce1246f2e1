"""An instrument as a cross-section: the effect on those whom it moves, and what could be wrong with it.

People choose their treatment, but something outside moves it. The effect is what the instrument does to the outcome
over what it does to the treatment. It is that on the people whom the instrument moves (an average over them, weighted
by how far, for an amount), if the instrument is as good as random given the covariates, acts through the treatment only
and moves nobody the other way. None of this can be seen in the data; the design says why it is believed.

Source: Angrist and Imbens (1995), *JASA* 90; Wooldridge (2010), chapters 5 and 8; Hansen (1982); Anderson and Rubin
(1949) for limited information maximum likelihood; Lee, McCrary, Moreira and Porter (2022) for the tF interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype as is_number

from evaluation.errors import DataError
from evaluation.impact import checks, inference, two_stages
from evaluation.impact.balance import balance_table
from evaluation.impact.checks import Check
from evaluation.impact.covariates import Floats, covariate_columns, independent_columns, model_matrix
from evaluation.impact.cross_section import (
    Block,
    CrossSection,
    clusters_of_frame,
    labels,
    observed,
    outcomes_of,
    raw_difference,
    regression_kind,
    role_of,
)
from evaluation.impact.effects import Effects
from evaluation.impact.instrumented import Linear, fit, restrictions
from evaluation.impact.regression import weighted_least_squares

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import InstrumentDesign, Outcome

ESTIMATORS = ("2sls", "liml", "gmm")
NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "p_value")


def estimate(sample: Sample, design: InstrumentDesign) -> CrossSection:
    """Effects on all outcomes of those whom the instruments move, with both stages of the primary one.

    Raises:
        DataError: an instrument says nothing beyond the covariates, or none moves the treatment.
    """
    cases = [_Case.of(sample, design, column, outcome) for column, outcome in outcomes_of(design)]
    primary = cases[0]
    blocks = tuple(case.block(design.estimator, case.outcome_labels) for case in cases)
    stages = _Stages.of(primary)
    return CrossSection(
        estimand="ate",
        blocks=(*blocks, *stages.reduced_form(), *_raw(sample, design)),
        notes=tuple(_notes(primary, stages)),
        checks=_checks(primary, stages),
        tables=_tables(primary, stages),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """One outcome with its instruments.

    Attributes:
        frame: rows with the outcome.
        linear: outcome, treatment, instruments and covariates as numbers.
        clusters: by unit, or None.
    """

    design: Any
    names: Any
    outcome: Outcome
    frame: pd.DataFrame
    linear: Linear
    clusters: pd.DataFrame | None

    @classmethod
    def of(cls, sample: Sample, design: InstrumentDesign, column: str, outcome: Outcome) -> _Case:
        """Covariates that are combinations of earlier ones are left out, as in R."""
        frame = sample.frame[observed(sample.frame, column)]
        matrix = model_matrix(frame, sample.names)
        exogenous = np.column_stack([np.ones(len(frame)), matrix.matrix])
        weights = frame["weight"].to_numpy(dtype=float)
        kept = independent_columns(exogenous, weights)
        named = [f"instrument_{number}" for number in range(1, len(design.instruments) + 1)]
        clusters = clusters_of_frame(frame, sample.names)
        linear = Linear(
            y=frame[column].to_numpy(dtype=float),
            treatment=frame["received"].to_numpy(dtype=float),
            instruments=frame[named].to_numpy(dtype=float),
            exogenous=exogenous[:, kept],
            names=tuple(np.array(("intercept", *matrix.labels), dtype=object)[kept]),
            weights=weights,
            units=pd.Index(frame["unit"]),
            groups=None if clusters is None else pd.factorize(frame["cluster_1"])[0],
        )
        _require_moving(linear, design)
        return cls(
            design=design, names=sample.names, outcome=outcome, frame=frame, linear=linear, clusters=clusters
        )  # fmt: skip

    @property
    def outcome_labels(self) -> pd.DataFrame:
        return labels("ate", self.outcome, role_of(self.outcome))

    @property
    def kind(self) -> str:
        """Convention for regressions."""
        return regression_kind(self.design, self.clusters)

    def block(self, estimator: str, row: pd.DataFrame) -> Block:
        """The effect by one estimator."""
        effects = fit(self.linear, estimator, row)
        return Block(effects=effects, kind=self.kind_of(effects), clusters=self.clusters)

    def kind_of(self, effects: Effects) -> str:
        """That of the design where there is a regression behind the effects."""
        return "influence" if effects.regression is None else self.kind

    def covariance(self, effects: Effects) -> inference.Covariance:
        """Under the convention for regressions."""
        return inference.covariance(effects, self.clusters, kind=self.kind_of(effects))


def _require_moving(linear: Linear, design: InstrumentDesign) -> None:
    together = np.column_stack([linear.exogenous, linear.instruments])
    kept = independent_columns(together, linear.weights)[linear.exogenous.shape[1] :]
    if not kept.all():
        raise DataError(
            code="E-IMP-346",
            what="an instrument says nothing beyond the covariates and the other instruments",
            found=design.instruments[int(np.argmin(kept))],
            expected="an instrument that varies among units with equal covariates",
            fix="take it out, or take out the covariate that holds it (a category of the places it was decided in)",
        )
    if not independent_columns(np.column_stack([linear.exogenous, linear.treatment]), linear.weights)[-1]:
        raise DataError(
            code="E-IMP-347",
            what="the treatment does not vary among units with equal covariates",
            found=design.treatment,
            expected="a treatment that the covariates do not fix",
            fix="take out the covariate that holds it",
        )


# both stages ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stages:
    """What the instruments do to the outcome and to the treatment, given the covariates.

    Attributes:
        reduced, first: effects of the K instruments.
        strength: effective F; needed: its critical value.
    """

    case: _Case
    reduced: Effects
    first: Effects
    strength: float
    needed: float

    @classmethod
    def of(cls, case: _Case) -> _Stages:
        """Two regressions on instruments and covariates.

        Raises:
            DataError: no instrument moves the treatment at all.
        """
        reduced, first = (_of_instruments(case, values) for values in (case.linear.y, case.linear.treatment))
        strength, number = inference.effective_f(
            first.estimate, case.covariance(first).matrix, case.linear.instrument_square()
        )
        return cls(
            case=case, reduced=reduced, first=first, strength=strength, needed=inference.critical_f(number)
        )  # fmt: skip

    @property
    def single(self) -> bool:
        """Whether there is one instrument, so that the effect is the ratio of the stages."""
        return len(self.first) == 1

    def reduced_form(self) -> tuple[Block, ...]:
        """The effect of one instrument on the outcome itself."""
        if not self.single:
            return ()
        return (Block(effects=self.reduced, kind=self.case.kind, clusters=self.case.clusters),)

    def anderson_rubin(self, level: float) -> tuple[tuple[float, float], ...]:
        """The effects that are not rejected, as intervals; none where several instruments contradict one another."""
        if self.single:
            return two_stages.anderson_rubin(self.reduced, self.first, self.case.covariance, level).pieces()
        found = two_stages.joint(self.reduced, self.first, self.case.covariance).matrix
        return inference.anderson_rubin_several(self.reduced.estimate, self.first.estimate, found, level=level)


def _of_instruments(case: _Case, values: Floats) -> Effects:
    linear, design = case.linear, case.design
    several = linear.instruments.shape[1]
    matrix = np.column_stack([linear.instruments, linear.exogenous])
    found = weighted_least_squares(values, matrix, (*design.instruments, *linear.names), linear.weights)
    rows = pd.concat([labels("itt", case.outcome, "supporting") for _ in range(several)], ignore_index=True)
    return found.to_effects(np.eye(several, matrix.shape[1]), rows, units=linear.units)


def _raw(sample: Sample, design: InstrumentDesign) -> tuple[Block, ...]:
    """The naive comparison, where the treatment is had or not."""
    return (raw_difference(sample, design),) if set(sample.frame["received"].unique()) <= {0.0, 1.0} else ()


# what could be wrong --------------------------------------------------------------------------------------------------


def _checks(case: _Case, stages: _Stages) -> tuple[Check, ...]:
    compared = "the instrument is compared, not the treatment: nobody needs a counterpart"
    return (
        _strength(stages),
        checks.balance(_balance(case)),
        _adjusted(case),
        checks.not_applicable("overlap.share_in_01_09", compared),
        checks.not_applicable("overlap.ess_share", compared),
        _agreement(case),
    )


def _strength(stages: _Stages) -> Check:
    design, first = stages.case.design, stages.first
    strong = int(np.argmax(np.abs(first.estimate)))
    detail = (
        f"effective F {stages.strength:.1f}; below {stages.needed:.1f} the bias may exceed a tenth of that of least "
        f"squares; {design.instruments[strong]} changes {design.treatment} by {first.estimate[strong]:.3g} a unit"
    )
    return checks.measured("compliance.first_stage_f", stages.strength, detail, design.instruments[strong])


def _balance(case: _Case) -> pd.DataFrame | None:
    """Covariates of units with more of the first instrument than the mean, and of those with less.

    Categories are held fixed by both stages: the table after the adjustment compares within them, by the weights that
    a regression with an intercept for each gives (Angrist 1998).
    """
    covariates = model_matrix(case.frame, case.names, all_levels=True)
    if not covariates.labels:
        return None
    more = case.linear.instruments[:, 0] > case.linear.instruments[:, 0].mean()
    return balance_table(covariates, more, case.linear.weights, _within_categories(case, more))


def _within_categories(case: _Case, more: np.ndarray) -> Floats | None:
    """(n,) share of the other side in the unit's cell of all categories, 0 in a cell of one side only."""
    named = [column for column in covariate_columns(case.frame) if not is_number(case.frame[column])]
    if not named:
        return None
    cells = case.frame.groupby(named, observed=True, sort=False).ngroup().to_numpy()
    weights = case.linear.weights
    total, above = np.bincount(cells, weights), np.bincount(cells, weights * more)
    share = above[cells] / total[cells]
    return np.asarray(weights * np.where(more, 1 - share, share))


def _adjusted(case: _Case) -> Check:
    name = "balance.adjusted"
    if not case.design.covariates:
        return checks.not_applicable(name, "no covariates are named")
    return checks.measured(name, 1.0, f"both stages adjust for {', '.join(case.design.covariates)}")


def _agreement(case: _Case) -> Check:
    """Whether several instruments tell the same effect (Hansen's J)."""
    name = "instrument.overidentification_p"
    if case.linear.instruments.shape[1] == 1:
        return checks.not_applicable(name, "one instrument cannot contradict itself")
    found = restrictions(case.linear)
    return checks.measured(
        name, found["hansen_p"], f"Hansen's J {found['hansen']:.3f} with {found['restrictions']:.0f} restrictions"
    )


# tables and notes -----------------------------------------------------------------------------------------------------


def _tables(case: _Case, stages: _Stages) -> dict[str, pd.DataFrame]:
    level = case.design.inference.level
    made = {"stages": _stage_rows(stages, level), "estimators": _estimators(case, level)}
    balance = _balance(case)
    if balance is not None:
        made["balance"] = balance
    made["intervals"] = _intervals(case, stages, level)
    if stages.single:
        made["instrument_stages"] = _joint(stages)
    else:
        made["overidentification"] = pd.DataFrame([restrictions(case.linear)])
    return made


def _stage_rows(stages: _Stages, level: float) -> pd.DataFrame:
    """One row an instrument and stage: columns stage, instrument and numbers."""
    parts = []
    for name, effects in (("first_stage", stages.first), ("reduced_form", stages.reduced)):
        table = inference.summarize(effects, stages.case.clusters, kind=stages.case.kind, level=level)
        rows = table[list(NUMBERS)].reset_index(drop=True)
        rows.insert(0, "instrument", list(stages.case.design.instruments))
        rows.insert(0, "stage", name)
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def _intervals(case: _Case, stages: _Stages, level: float) -> pd.DataFrame:
    """Intervals of the effect side by side: by its standard error, tF (one instrument), and the Anderson-Rubin set.

    Columns interval, estimate, low, high; a set of two rays has two rows, an empty one none.
    """
    found = case.block(case.design.estimator, case.outcome_labels).table(level).iloc[0]
    estimate, low, high = (float(found[name]) for name in ("estimate", "ci_low", "ci_high"))
    rows = [("standard", low, high)]
    if stages.single:
        factor = inference.tf_factor(stages.strength, level)
        rows.append(("tF", estimate - factor * (estimate - low), estimate + factor * (high - estimate)))
    rows += [("Anderson-Rubin", *piece) for piece in stages.anderson_rubin(level)]
    return pd.DataFrame(rows, columns=["interval", "low", "high"]).assign(estimate=estimate)


def _joint(stages: _Stages) -> pd.DataFrame:
    """Reduced form and first stage with their covariance: what sensitivity to a direct effect is made of."""
    matrix = two_stages.joint(stages.reduced, stages.first, stages.case.covariance).matrix
    return pd.DataFrame(
        {
            "stage": ["reduced_form", "first_stage"],
            "estimate": np.r_[stages.reduced.estimate, stages.first.estimate],
            "covariance_1": matrix[:, 0],
            "covariance_2": matrix[:, 1],
        }
    )


def _estimators(case: _Case, level: float) -> pd.DataFrame:
    """Least squares, which takes the treatment as given, beside the estimators by instrument."""
    row = labels("ate", case.outcome, "supporting")
    matrix = np.column_stack([case.linear.treatment, case.linear.exogenous])
    plain = weighted_least_squares(
        case.linear.y, matrix, (case.design.treatment, *case.linear.names), case.linear.weights
    ).to_effects(np.eye(1, matrix.shape[1]), row, units=case.linear.units)
    several = case.linear.instruments.shape[1] > 1
    blocks = {"ols": Block(effects=plain, kind=case.kind, clusters=case.clusters)}
    blocks |= {name: case.block(name, row) for name in (ESTIMATORS if several else ESTIMATORS[:1])}
    rows = [{"estimator": name, **block.table(level).iloc[0][list(NUMBERS)]} for name, block in blocks.items()]
    return pd.DataFrame(rows)


def _notes(case: _Case, stages: _Stages) -> Iterator[str]:
    design = case.design
    yield f"The effect is that on units whom {', '.join(design.instruments)} moves, not on everybody."
    yield f"Exclusion, which no data can show: {design.exclusion}"
    yield f"Monotonicity, which no data can show: {design.monotonicity}"
    if not set(np.unique(case.linear.treatment)) <= {0.0, 1.0}:
        yield (
            f"{design.treatment} is an amount: the effect is that of one unit of it, and 'treated' are the units with "
            "more of it than the mean."
        )
    if stages.strength < stages.needed:
        rows = _intervals(case, stages, design.inference.level).groupby("interval")
        told = {
            name: " and ".join(f"from {low:.6g} to {high:.6g}" for low, high in part[["low", "high"]].to_numpy())
            for name, part in rows
        }
        valid = f" the tF interval reaches {told['tF']};" if "tF" in told else ""
        yield (
            f"Weak instruments: effective F {stages.strength:.1f}, below {stages.needed:.1f}. Do not trust the interval"
            f" from the standard error;{valid} the Anderson-Rubin set is {told.get('Anderson-Rubin', 'empty')}."
        )
