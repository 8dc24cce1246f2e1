"""The analysis sample: canonical columns, rows that leave counted one reason at a time, nothing guessed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.sample.codebook import codebook
from evaluation.sample.joins import combine
from evaluation.sample.model import FlowStep, Sample
from evaluation.sample.periods import Calendar, read_cohorts, read_periods
from evaluation.sample.table import (
    Table,
    as_text,
    categories,
    counted,
    equal,
    has_codes,
    identifiers,
    numbers,
    parse,
    shown,
    sort_levels,
    typed,
    where,
    zero_one,
)
from evaluation.settings.designs import (
    Design,
    DidDesign,
    ExperimentDesign,
    MatchingDesign,
    Outcome,
    Treatment,
    WeightingDesign,
)

Roles = dict[str, tuple[str, ...]]
ArmDesign = ExperimentDesign | MatchingDesign | WeightingDesign  # designs whose rows are treated or not, once for all


def prepare(design: Design, *, root: Path | None = None, files: Sequence[Path] | None = None) -> Sample:
    """The analysis sample of one evaluation.

    Args:
        design: what the evaluation is.
        root: folder that file names start from; the project by default.
        files: read these files instead of those the design names (`evaluation estimate`).

    Returns:
        Rows under canonical names, sorted by unit and period. A row leaves only if `keep` does not select it, a join
        finds no partner, its treatment is missing or another value, or it lacks the primary outcome or another value
        that the method needs; for a balanced panel, with all rows of a unit that has gaps. Each reason is a FlowStep.

    Raises:
        DataError: the data are not what the design says, or no estimate could come of them.
    """
    roles = _roles(design)
    used = list(dict.fromkeys(column for columns in roles.values() for column in columns))
    combined = combine(design, used, root=root, files=files)
    rows = _Rows(combined.table, design, _canonical(combined.table, design), list(combined.flow), list(combined.notes))
    calendar = _place_in_time(rows, design) if isinstance(design, DidDesign) else Calendar()
    _mark_treated(rows, design)
    _drop_incomplete(rows, design)
    if isinstance(design, DidDesign):
        _balance(rows, design, calendar)
    _require_usable(rows, design, calendar)
    return Sample(
        id=design.id,
        frame=_sorted(rows.frame),
        names=_names(design, roles),
        flow=tuple(rows.flow),
        codebook=codebook(combined.table, design, roles),
        data_sha256=combined.sha256,
        data_source=combined.description,
        rows_read=rows.flow[0].left,
        period_labels=_period_labels(rows.frame, calendar),
        notes=tuple(rows.notes),
    )


# roles ---------------------------------------------------------------------------------------------------------------


def _roles(design: Design) -> Roles:
    """Canonical column -> source columns it is made of."""
    single = {
        "unit": design.unit,
        "period": getattr(design, "time", None),
        "cohort": design.cohort.column or design.cohort.indicator if isinstance(design, DidDesign) else None,
        "treated": design.treatment.column if isinstance(design, ArmDesign) else None,
        "weight": design.weight,
        "stratum": getattr(design, "strata", None),
        "territory": design.territory,
        "probability": _column(getattr(design, "probability", None)),
        "takeup": getattr(design, "takeup", None),
        "baseline_outcome": getattr(design, "baseline_outcome", None),
        "eligible": getattr(design, "eligible", None),
        **_numbered("covariate", design.covariates),
        **_numbered("cluster", design.cluster),
        **_numbered("exact", getattr(design, "exact", ())),
        **_numbered("subgroup", getattr(design, "subgroups", ())),
        **_numbered("placebo", getattr(design, "placebo_outcomes", ())),
    }
    roles: Roles = {f"outcome_{i}": outcome.columns for i, outcome in enumerate(design.outcomes, start=1)}
    return roles | {name: (column,) for name, column in single.items() if column is not None}


def _numbered(name: str, columns: Iterable[str]) -> dict[str, str]:
    return {f"{name}_{i}": column for i, column in enumerate(columns, start=1)}


def _column(probability: float | str | None) -> str | None:
    return probability if isinstance(probability, str) else None


def _names(design: Design, roles: Roles) -> dict[str, str]:
    names = {"unit": "row"} | {name: columns[0] for name, columns in roles.items()}
    names |= {f"outcome_{i}": outcome.name for i, outcome in enumerate(design.outcomes, start=1)}
    if isinstance(design, DidDesign):
        names |= {"treated": names.get("cohort", names["unit"]), "cohort": names.get("cohort", names["unit"])}
    return names


# canonical columns ---------------------------------------------------------------------------------------------------


def _canonical(table: Table, design: Design) -> pd.DataFrame:
    """All canonical columns except time, cohort and arm, for all rows; categories still as text."""
    index = table.frame.index
    unit = identifiers(table, design.unit) if design.unit else pd.Series(np.arange(len(index)), index=index)
    columns: dict[str, pd.Series] = {"unit": unit}
    for i, outcome in enumerate(design.outcomes, start=1):
        columns[f"outcome_{i}"] = _outcome(table, outcome)
    for i, column in enumerate(design.covariates, start=1):
        columns[f"covariate_{i}"] = _covariate(table, column, design)
    for i, column in enumerate(design.cluster, start=1):
        columns[f"cluster_{i}"] = identifiers(table, column)
    columns["weight"] = _weight(table, design.weight) if design.weight else pd.Series(1.0, index=index)
    if design.territory:
        columns["territory"] = categories(table, design.territory)
    return pd.DataFrame(columns | _of_method(table, design), index=index)


def _of_method(table: Table, design: Design) -> dict[str, pd.Series]:
    columns: dict[str, pd.Series] = {}
    if isinstance(design, ExperimentDesign):
        if design.strata:
            columns["stratum"] = categories(table, design.strata)
        if design.takeup:
            columns["takeup"] = zero_one(table, design.takeup, "takeup")
        if isinstance(design.probability, str):
            columns["probability"] = _probability(table, design.probability)
    if isinstance(design, MatchingDesign):
        columns |= {name: categories(table, column) for name, column in _numbered("exact", design.exact).items()}
    if isinstance(design, DidDesign):
        columns |= {name: categories(table, column) for name, column in _numbered("subgroup", design.subgroups).items()}
        placebo = _numbered("placebo", design.placebo_outcomes)
        columns |= {name: numbers(table, column) for name, column in placebo.items()}
        if design.eligible:
            columns["eligible"] = zero_one(table, design.eligible, "eligible")
    baseline = getattr(design, "baseline_outcome", None)
    return columns | ({"baseline_outcome": numbers(table, baseline)} if baseline else {})


def _outcome(table: Table, outcome: Outcome) -> pd.Series:
    """Missing if any of its columns is."""
    parts = [numbers(table, column) for column in outcome.columns]
    if outcome.operation == "difference":
        return parts[0] - parts[1]
    return sum(parts[1:], start=parts[0])


def _covariate(table: Table, column: str, design: Design) -> pd.Series:
    """Text if declared a category, if codes have leading zeros, or if no cell is a number."""
    values, bad = parse(table, column)
    only_text = bad.any() and bool(values.isna().all())
    if column in design.categorical or column in table.text or has_codes(table, column) or only_text:
        return categories(table, column)
    return numbers(table, column, hint=f", or, if they are categories, to the evaluation: categorical: [{column}]")


def _weight(table: Table, column: str) -> pd.Series:
    values = numbers(table, column)
    if (values < 0).any():
        raise DataError(
            code="E-DATA-038",
            what=f"The weight '{column}' is negative.",
            where=where(table, values < 0, column),
            found=shown(values[values < 0]),
            expected="weights of 0 or more",
            fix="correct the file, or declare the code missing: missing: [code]",
        )
    return values


def _probability(table: Table, column: str) -> pd.Series:
    values = numbers(table, column)
    outside = (values <= 0) | (values >= 1)
    if outside.any():
        raise DataError(
            code="E-DATA-039",
            what=f"Column '{column}' stands under 'probability' and holds values that are none.",
            where=where(table, outside, column),
            found=shown(values[outside]),
            expected="the probability of being treated: above 0 and below 1",
            fix="correct the file (shares, not percent); units that could not be drawn do not belong to the sample",
        )
    return values


# rows that leave -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Rows:
    """Rows still in the sample, and the account of those that left."""

    table: Table
    design: Design
    frame: pd.DataFrame
    flow: list[FlowStep]
    notes: list[str] = field(default_factory=list)

    def drop(self, out: "pd.Series[bool]", step: str, reason: str, *, always: bool = False) -> None:
        """Take rows out.

        Args:
            out: which ones; index as the frame's.
            step: id of the step.
            reason: one sentence.
            always: write the step down also if no row leaves.
        """
        if out.any() and step.startswith("missing") and self.design.missing == "error":
            raise DataError(
                code="E-DATA-040",
                what=f"Values are missing and the design says missing: error ({reason}).",
                where=where(self.table, out.index[out]),
                found=f"{int(out.sum())} of {len(out)} rows",
                expected="no missing value",
                fix="complete the data, or write missing: drop",
            )
        if not out.any() and not always:
            return
        arms: tuple[int | None, int | None] = (None, None)
        if "treated" in self.frame:
            arms = (int(out[self.frame["treated"]].sum()), int(out[~self.frame["treated"]].sum()))
        self.frame = self.frame[~out]
        self._note(
            FlowStep(
                step=step,
                dropped=int(out.sum()),
                left=len(self.frame),
                reason=reason,
                dropped_treated=arms[0],
                dropped_comparison=arms[1],
            )
        )

    def _note(self, step: FlowStep) -> None:
        self.flow.append(step)
        if step.left == 0:
            raise DataError(
                code="E-DATA-041",
                what=f"No row is left: {step.reason}.",
                where=self.flow[0].reason,
                found="; ".join(f"{s.step}: {s.left} left" for s in self.flow),
                expected="rows with all values that the method needs",
                fix="check the columns the design names, and the codes it declares missing",
            )

    def drop_missing(self, column: str, step: str, name: str) -> None:
        """Take out rows where a canonical column is missing."""
        if column in self.frame:
            self.drop(self.frame[column].isna(), step, f"'{name}' is missing", always=step == "missing_outcome")


def _place_in_time(rows: _Rows, design: DidDesign) -> Calendar:
    """Periods and cohorts, from all rows: a unit's cohort does not depend on whether its outcome is known."""
    rows.frame["period"], calendar = read_periods(rows.table, design.time)
    rows.drop_missing("unit", "missing_unit", str(design.unit))
    rows.drop_missing("period", "missing_period", design.time)
    if design.panel != "repeated_cross_section":
        _require_different_rows(rows, design, ["unit", "period"])
    table = rows.table.take(rows.frame.index)
    cohort = read_cohorts(table, design.cohort, calendar, rows.frame["unit"], rows.frame["period"])
    if design.cohort.indicator:
        out = table.frame[design.cohort.indicator].isna()
        rows.drop(out, "missing_treatment", f"'{design.cohort.indicator}' is missing")
    rows.frame = rows.frame.assign(cohort=cohort)
    return calendar


def _require_different_rows(rows: _Rows, design: Design, keys: list[str]) -> None:
    repeated = rows.frame.duplicated(keys, keep=False)
    if design.unit and repeated.any():
        twice = rows.frame[repeated]
        said = list(dict.fromkeys(twice[keys].astype("str").agg(" in ".join, axis=1)))
        names = " and ".join(str(name) for name in (design.unit, getattr(design, "time", None)) if name)
        raise DataError(
            code="E-DATA-042",
            what=f"{len(twice)} rows share {names} with another row.",
            where=where(rows.table, twice.index),
            found=", ".join(said[:5]) + (f" and {len(said) - 5} more" if len(said) > 5 else ""),
            expected="one row a unit" + (" and period" if len(keys) > 1 else ""),
            fix="remove or aggregate the repeated rows; where rows are persons sampled anew in each period, write "
            "panel: repeated_cross_section and name the group under cluster"
            if len(keys) > 1
            else "remove or aggregate the repeated rows, or name the column that tells rows apart as unit",
        )


def _mark_treated(rows: _Rows, design: Design) -> None:
    if not isinstance(design, ArmDesign):
        rows.frame = rows.frame.assign(treated=rows.frame["cohort"].notna())
        return
    rows.drop_missing("unit", "missing_unit", str(design.unit))
    _require_different_rows(rows, design, ["unit"])
    treatment = design.treatment
    arm = _arm(rows.table, treatment).loc[rows.frame.index]
    absent = rows.table.frame[treatment.column].loc[rows.frame.index].isna()
    rows.drop(absent, "missing_treatment", f"'{treatment.column}' is missing")
    other = arm.isna() & ~absent
    rows.drop(
        other[~absent],
        "other_treatment",
        f"'{treatment.column}' is neither {treatment.treated} nor {treatment.comparison}",
    )
    rows.frame = rows.frame.assign(treated=arm.loc[rows.frame.index] == 1)


def _arm(table: Table, treatment: Treatment) -> pd.Series:
    """1.0 treated, 0.0 comparison, NaN neither."""
    if treatment.treated is None:
        return zero_one(table, treatment.column, "treatment")
    masks = {value: equal(table, treatment.column, value) for value in (treatment.treated, treatment.comparison)}
    absent = [value for value, mask in masks.items() if not mask.any()]
    if absent:
        raise DataError(
            code="E-DATA-043",
            what=f"Column '{treatment.column}' never has the value that 'treatment' names.",
            where=where(table, table.frame.index[:1]).rsplit(",", 1)[0],
            found=f"no {shown(absent)}; the column holds {counted(typed(table, treatment.column))}",
            expected=f"{treatment.treated} and {treatment.comparison}",
            fix="correct treated: and comparison: under treatment",
        )
    treated, comparison = masks.values()
    return pd.Series(np.where(treated, 1.0, np.where(comparison, 0.0, np.nan)), index=treated.index)


def _drop_incomplete(rows: _Rows, design: Design) -> None:
    position = design.outcomes.index(design.primary) + 1
    rows.drop_missing(f"outcome_{position}", "missing_outcome", design.primary.name)
    if design.method != "experiment" or getattr(design, "adjustment", "none") != "none":
        for name, column in _numbered("covariate", design.covariates).items():
            rows.drop_missing(name, "missing_covariates", column)
        for name, column in _numbered("exact", getattr(design, "exact", ())).items():
            rows.drop_missing(name, "missing_covariates", column)
    for name, column in _numbered("cluster", design.cluster).items():
        rows.drop_missing(name, "missing_cluster", column)
    rows.drop_missing("eligible", "missing_eligible", str(getattr(design, "eligible", None)))
    rows.drop_missing("weight", "missing_weight", str(design.weight))
    rows.drop_missing("stratum", "missing_stratum", str(getattr(design, "strata", None)))
    rows.drop_missing("probability", "missing_probability", str(getattr(design, "probability", None)))


def _balance(rows: _Rows, design: DidDesign, calendar: Calendar) -> None:
    """Drop units with gaps from a balanced panel."""
    if design.panel != "balanced":
        return
    periods = rows.frame["period"].nunique()
    gaps = rows.frame.groupby("unit")["period"].transform("size") < periods
    lost = rows.frame["unit"][gaps].drop_duplicates().sort_values()
    rows.drop(gaps, "unbalanced", f"{len(lost)} units are not observed in all {periods} periods")
    if len(lost):
        rows.notes.append(f"Units without a row in every period: {shown(lost)}.")


# what no estimate could come of --------------------------------------------------------------------------------------


def _require_usable(rows: _Rows, design: Design, calendar: Calendar) -> None:
    _require_both_arms(rows, design)
    if isinstance(design, DidDesign):
        _require_contrast_in_time(rows, design, calendar)
        if design.panel != "repeated_cross_section":
            _require_constant_groups(rows, design)
    _require_varying(rows, design)
    if rows.frame["weight"].sum() <= 0:
        raise DataError(
            code="E-DATA-044",
            what=f"The weights '{design.weight}' sum to zero.",
            where=rows.flow[0].reason,
            found=f"0 in all {len(rows.frame)} rows",
            expected="some weights above 0",
            fix="name another column under weight, or none",
        )


def _require_both_arms(rows: _Rows, design: Design) -> None:
    treated = int(rows.frame["treated"].sum())
    comparison = len(rows.frame) - treated
    if isinstance(design, DidDesign):
        untreated_yet = rows.frame["cohort"] > rows.frame["period"].max()
        comparison += treated if design.comparison == "not_yet_treated" else int(untreated_yet.fillna(False).sum())
    if not (treated and comparison):
        lacking = "treated" if not treated else "comparison"
        further = "; or compare with units treated later: comparison: not_yet_treated" if design.method == "did" else ""
        raise DataError(
            code="E-DATA-045",
            what=f"No {lacking} row is left.",
            where=rows.flow[0].reason,
            found=f"{treated} treated and {comparison} comparison rows; "
            + "; ".join(f"{step.step}: {step.left} left" for step in rows.flow[1:]),
            expected="rows of both kinds",
            fix="check the values under treatment or cohort, and which rows keep and missing values take out" + further,
        )


def _require_contrast_in_time(rows: _Rows, design: DidDesign, calendar: Calendar) -> None:
    first, last = int(rows.frame["period"].min()), int(rows.frame["period"].max())
    cohorts = rows.frame.drop_duplicates("unit")["cohort"]
    inside = cohorts[((cohorts > first) & (cohorts <= last)).fillna(False)]
    later = (cohorts > inside.min()).fillna(False) if len(inside) else cohorts.isna()
    if not len(inside) or not (cohorts.isna() | later).any():
        held = ", ".join(
            f"{calendar.label(int(c))} ({n} units)" for c, n in cohorts.value_counts().sort_index().items()
        )
        raise DataError(
            code="E-DATA-046",
            what="No treated unit is observed before and after its treatment starts beside units not treated yet."
            if not len(inside)
            else "All units are treated first in the same period: there is nothing to compare them with.",
            where=rows.flow[0].reason,
            found=f"periods {calendar.label(first)} to {calendar.label(last)}; first treated: {held or 'never'}; "
            f"{int(cohorts.isna().sum())} units never treated",
            expected="units treated after the first period, and units treated later or never",
            fix="check cohort: and time: in the design; add earlier periods or untreated units to the data",
        )
    _note_outside(rows, cohorts, first, last, calendar)


def _note_outside(rows: _Rows, cohorts: pd.Series, first: int, last: int, calendar: Calendar) -> None:
    early, late = int((cohorts <= first).sum()), int((cohorts > last).sum())
    if early or late:
        reason = (
            f"{early} units are treated from the first period ({calendar.label(first)}) on, {late} only after the last "
            f"({calendar.label(last)}); they stay in the sample"
        )
        rows.flow.append(FlowStep(step="outside_window", dropped=0, left=len(rows.frame), reason=reason))


def _require_constant_groups(rows: _Rows, design: DidDesign) -> None:
    single = {"territory": design.territory, "eligible": design.eligible}
    groups = _numbered("cluster", design.cluster) | _numbered("subgroup", design.subgroups)
    for name, column in (groups | {name: column for name, column in single.items() if column}).items():
        changing = rows.frame.groupby("unit")[name].transform("nunique") > 1
        if changing.any():
            raise DataError(
                code="E-DATA-047",
                what=f"Column '{column}' changes within a unit.",
                where=where(rows.table, changing.index[changing], str(column)),
                found=f"units {shown(rows.frame['unit'][changing])}",
                expected="units that stay in their cluster, territory and group in all periods",
                fix="give each unit the group it had before the treatment, or name a coarser one",
            )


def _require_varying(rows: _Rows, design: Design) -> None:
    named = [(name, column, 2) for name, column in _numbered("covariate", design.covariates).items()]
    named += [(f"outcome_{i}", outcome.name, 1) for i, outcome in enumerate(design.outcomes, start=1)]
    if isinstance(design, DidDesign):
        named += [(name, column, 2) for name, column in _numbered("subgroup", design.subgroups).items()]
        named += [(name, column, 1) for name, column in _numbered("placebo", design.placebo_outcomes).items()]
        named += [("eligible", design.eligible, 2)] if design.eligible else []
    for name, column, least in named:
        different = rows.frame[name].dropna()
        if different.nunique() < least:
            raise DataError(
                code="E-DATA-048",
                what=f"Column '{column}' says nothing: it is "
                + ("missing in all rows of the sample." if different.empty else "the same in all rows of the sample."),
                where=rows.flow[0].reason,
                found=f"only {as_text(different.iloc[0])!r}" if len(different) else "no value",
                expected="at least two values" if least == 2 else "values",
                fix=f"take '{column}' out of the design, or check which rows keep and missing values take out",
            )


# the frame -----------------------------------------------------------------------------------------------------------

FIRST_COLUMNS = ("unit", "period", "cohort", "treated")


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in ("unit", "period") if name in frame]
    order = [name for name in FIRST_COLUMNS if name in frame]
    columns = order + [name for name in frame if name not in order]
    if frame.duplicated(keys).any():  # persons under the id of their group: their order in the file means nothing
        keys = columns
    ordered = frame[columns].sort_values(keys, ignore_index=True)
    return ordered.assign(**{name: _stored(name, ordered[name]) for name in ordered})


def _stored(name: str, values: pd.Series) -> pd.Series:
    """The type a canonical column has in the contract."""
    if name in ("unit", "period") and values.dtype == "Int64":
        return values.astype("int64")
    if name == "eligible":
        return values.astype(bool)
    if not name.startswith(("covariate_", "cluster_", "exact_")) or values.dtype == "float64":
        return values
    if values.dtype == "Int64":
        return values.astype("int64")
    return pd.Series(pd.Categorical(values, categories=sort_levels(values.dropna())), index=values.index)


def _period_labels(frame: pd.DataFrame, calendar: Calendar) -> dict[int, str]:
    if not calendar.mark:
        return {}
    return {
        period: calendar.label(period) for period in range(int(frame["period"].min()), int(frame["period"].max()) + 1)
    }
