"""The analysis sample: canonical columns, rows that leave counted one reason at a time, nothing guessed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation import store
from evaluation.errors import DataError
from evaluation.sample.blinding import blind
from evaluation.sample.codebook import codebook
from evaluation.sample.columns import covariate, ordered, probability, read_arm, weight
from evaluation.sample.joins import combine
from evaluation.sample.model import FlowStep, Sample
from evaluation.sample.periods import Calendar, read_cohorts, read_periods
from evaluation.sample.roster import Followed, RosterRead, read_roster, roster_columns
from evaluation.sample.table import (
    Table,
    as_text,
    categories,
    identifiers,
    numbers,
    shown,
    where,
    zero_one,
)
from evaluation.settings.designs import (
    Design,
    DidDesign,
    DiscontinuityDesign,
    ExperimentDesign,
    InstrumentDesign,
    MatchingDesign,
    Outcome,
    SyntheticControlDesign,
    Treatment,
    UncontrolledDesign,
    WeightingDesign,
)

Roles = dict[str, tuple[str, ...]]
OverTime = DidDesign | SyntheticControlDesign  # designs whose units start at a date


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
        Outcomes of a blinded evaluation are permuted.

    Raises:
        DataError: the data are not what the design says, or no estimate could come of them.
    """
    roles = _roles(design)
    used = list(dict.fromkeys(column for columns in roles.values() for column in columns))
    combined = combine(design, [*used, *roster_columns(design)], root=root, files=files)
    rows = _Rows(combined.table, design, _canonical(combined.table, design), list(combined.flow), list(combined.notes))
    calendar = _place_in_time(rows, design) if isinstance(design, OverTime) else _periods_of_a_trial(rows, design)
    _mark_treated(rows, design)
    everyone = rows.frame
    _drop_incomplete(rows, design)
    if isinstance(design, OverTime):
        _balance(rows, design, calendar)
    if "period" in rows.frame and getattr(design, "assignment", "") == "individual":
        _drop_gaps(rows)
    _require_usable(rows, design, calendar)
    followed = Followed(table=combined.table, everyone=everyone, used=rows.frame["unit"])
    roster = read_roster(design, followed, root=root)
    made = Sample(
        id=design.id,
        frame=ordered(rows.frame),
        names=_names(design, roles),
        flow=tuple(rows.flow),
        codebook=codebook(combined.table, design, roles),
        data_sha256=_sha256(combined.sha256, roster),
        data_source=combined.description,
        rows_read=rows.flow[0].left,
        period_labels=_period_labels(rows.frame, calendar),
        notes=(*rows.notes, *(roster.notes if roster else ())),
        roster=roster.frame if roster else None,
    )
    return blind(made, design) if design.blinded else made


def _sha256(data: str, roster: RosterRead | None) -> str:
    """Hash of all files: the data's own where the roster has none."""
    return store.sha256_json([data, *roster.sha256]) if roster and roster.sha256 else data


# roles ---------------------------------------------------------------------------------------------------------------


def _roles(design: Design) -> Roles:
    """Canonical column -> source columns it is made of."""
    single = {
        "unit": design.unit,
        "period": getattr(design, "time", None) or getattr(getattr(design, "phase_in", None), "time", None),
        "cohort": design.cohort.column or design.cohort.indicator if isinstance(design, OverTime) else None,
        "treated": arm.column if (arm := _treatment(design)) else None,
        "weight": design.weight,
        "stratum": getattr(design, "strata", None),
        "territory": design.territory,
        "probability": _column(getattr(design, "probability", None)),
        "takeup": getattr(design, "takeup", None),
        "baseline_outcome": getattr(design, "baseline_outcome", None),
        "eligible": getattr(design, "eligible", None),
        "score": getattr(design, "score", None),
        "running": getattr(design, "running", None),
        "received": design.treatment if isinstance(design, InstrumentDesign) else getattr(design, "received", None),
        "saturation": getattr(design, "saturation", None),
        **_sampling(design),
        **_numbered("instrument", getattr(design, "instruments", ())),
        **_numbered("covariate", design.covariates),
        **_numbered("cluster", design.cluster),
        **_numbered("exact", getattr(design, "exact", ())),
        **_numbered("anti_exact", getattr(design, "anti_exact", ())),
        **_numbered("subgroup", getattr(design, "subgroups", ())),
        **_numbered("placebo", getattr(design, "placebo_outcomes", ())),
        **_numbered("negative_outcome", design.negative_controls.outcomes),
        **_numbered("negative_exposure", design.negative_controls.exposures),
    }
    roles: Roles = {f"outcome_{i}": outcome.columns for i, outcome in enumerate(design.outcomes, start=1)}
    return roles | {name: (column,) for name, column in single.items() if column is not None}


def _treatment(design: Design) -> Treatment | None:
    """The column of who was treated, for designs that name its values."""
    named = getattr(design, "treatment", None)
    return named if isinstance(named, Treatment) else None


def _sampling(design: Design) -> dict[str, str | None]:
    """Columns that say how a sample was drawn and who answered (experiments)."""
    survey = getattr(design, "survey", None)
    drawn = {
        "sampling_unit": survey and survey.sampling_unit,
        "sampling_stratum": survey and survey.strata,
        "sampling_population": survey and survey.population,
    }
    return drawn | {"response_weight": getattr(design, "response_weight", None)}


def _numbered(name: str, columns: Iterable[str]) -> dict[str, str]:
    return {f"{name}_{i}": column for i, column in enumerate(columns, start=1)}


def _column(probability: float | str | None) -> str | None:
    return probability if isinstance(probability, str) else None


def _names(design: Design, roles: Roles) -> dict[str, str]:
    names = {"unit": "row"} | {name: columns[0] for name, columns in roles.items()}
    names |= {f"outcome_{i}": outcome.name for i, outcome in enumerate(design.outcomes, start=1)}
    if isinstance(design, OverTime):
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
        columns[f"covariate_{i}"] = covariate(table, column, design)
    for i, column in enumerate(design.cluster, start=1):
        columns[f"cluster_{i}"] = identifiers(table, column)
    columns["weight"] = weight(table, design.weight) if design.weight else pd.Series(1.0, index=index)
    if design.territory:
        columns["territory"] = categories(table, design.territory)
    return pd.DataFrame(columns | _of_method(table, design), index=index)


def _of_method(table: Table, design: Design) -> dict[str, pd.Series]:
    columns: dict[str, pd.Series] = {}
    if isinstance(design, ExperimentDesign):
        columns |= _of_experiment(table, design)
    if isinstance(design, MatchingDesign):
        columns |= _of_matching(table, design)
    if isinstance(design, OverTime | WeightingDesign | DiscontinuityDesign):
        columns |= {name: categories(table, column) for name, column in _numbered("subgroup", design.subgroups).items()}
    if isinstance(design, OverTime):
        placebo = _numbered("placebo", design.placebo_outcomes)
        columns |= {name: numbers(table, column) for name, column in placebo.items()}
        if design.eligible:
            columns["eligible"] = zero_one(table, design.eligible, "eligible")
    if isinstance(design, DiscontinuityDesign):
        columns["running"] = numbers(table, design.running)
        columns |= {"received": zero_one(table, design.received, "received")} if design.received else {}
    if isinstance(design, InstrumentDesign):
        columns["received"] = numbers(table, design.treatment)
        columns |= {
            name: numbers(table, column) for name, column in _numbered("instrument", design.instruments).items()
        }
    baseline = getattr(design, "baseline_outcome", None)
    columns |= {"baseline_outcome": numbers(table, baseline)} if baseline else {}
    return columns | _negative_controls(table, design)


def _negative_controls(table: Table, design: Design) -> dict[str, pd.Series]:
    controls = design.negative_controls
    outcomes = _numbered("negative_outcome", controls.outcomes)
    exposures = _numbered("negative_exposure", controls.exposures)
    return {name: numbers(table, column) for name, column in outcomes.items()} | {
        name: zero_one(table, column, "negative_controls").astype(float) for name, column in exposures.items()
    }


def _of_experiment(table: Table, design: ExperimentDesign) -> dict[str, pd.Series]:
    named = {"stratum": design.strata, **_numbered("subgroup", design.subgroups)}
    drawn = _sampling(design)
    named |= {name: drawn[name] for name in ("sampling_unit", "sampling_stratum")}
    columns = {name: categories(table, column) for name, column in named.items() if column}
    if design.takeup:
        columns["takeup"] = zero_one(table, design.takeup, "takeup")
    if isinstance(design.probability, str):
        columns["probability"] = probability(table, design.probability)
    if design.saturation:
        columns["saturation"] = numbers(table, design.saturation)
    if drawn["sampling_population"]:
        columns["sampling_population"] = numbers(table, drawn["sampling_population"])
    if design.response_weight:
        columns["response_weight"] = weight(table, design.response_weight)
    return columns


def _of_matching(table: Table, design: MatchingDesign) -> dict[str, pd.Series]:
    kinds = {"exact": design.exact, "anti_exact": design.anti_exact, "subgroup": design.subgroups}
    named = {name: column for kind, columns in kinds.items() for name, column in _numbered(kind, columns).items()}
    score = {"score": numbers(table, design.score)} if design.score else {}
    return {name: categories(table, column) for name, column in named.items()} | score


def _outcome(table: Table, outcome: Outcome) -> pd.Series:
    """Missing if any of its columns is."""
    parts = [numbers(table, column) for column in outcome.columns]
    if outcome.operation == "difference":
        return parts[0] - parts[1]
    return sum(parts[1:], start=parts[0])


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


def _place_in_time(rows: _Rows, design: OverTime) -> Calendar:
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


def _periods_of_a_trial(rows: _Rows, design: Design) -> Calendar:
    """Periods of a roll-out by lot, or of a series; others have none."""
    time = getattr(getattr(design, "phase_in", None), "time", None) or getattr(design, "time", None)
    if time is None:
        return Calendar()
    rows.frame["period"], calendar = read_periods(rows.table, time)
    rows.drop_missing("period", "missing_period", time)
    if isinstance(design, UncontrolledDesign):
        rows.frame = rows.frame.assign(start=_start(rows, design, calendar))
    return calendar


def _start(rows: _Rows, design: UncontrolledDesign, calendar: Calendar) -> int:
    """The first treated period of a series."""
    start = calendar.number(design.start)
    periods = sorted(rows.frame["period"].unique())
    if start is None or not periods or not periods[0] < start <= periods[-1]:
        raise DataError(
            code="E-DATA-049",
            what="The start of the treatment is not a period inside the series.",
            where=rows.flow[0].reason,
            found=f"start: {design.start}",
            expected=f"a period after {calendar.label(int(periods[0]))} and up to {calendar.label(int(periods[-1]))}"
            if periods
            else "a period",
            fix="write start as the time column writes it",
        )
    return start


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
    if isinstance(design, DiscontinuityDesign):
        _mark_sides(rows, design)
        return
    if isinstance(design, InstrumentDesign):
        _mark_moved(rows, design)
        return
    if isinstance(design, OverTime):
        rows.frame = rows.frame.assign(treated=rows.frame["cohort"].notna())
        return
    rows.drop_missing("unit", "missing_unit", str(design.unit))
    _require_different_rows(rows, design, ["unit", "period"] if "period" in rows.frame else ["unit"])
    treatment = _treatment(design)
    if treatment is None:  # everybody, from a date on
        rows.frame = rows.frame.assign(treated=True)
        _mark_start(rows)
        return
    arm = read_arm(rows.table, treatment).loc[rows.frame.index]
    absent = rows.table.frame[treatment.column].loc[rows.frame.index].isna()
    rows.drop(absent, "missing_treatment", f"'{treatment.column}' is missing")
    other = arm.isna() & ~absent
    rows.drop(
        other[~absent],
        "other_treatment",
        f"'{treatment.column}' is neither {treatment.treated} nor {treatment.comparison}",
    )
    rows.frame = rows.frame.assign(treated=arm.loc[rows.frame.index] == 1)
    _mark_start(rows)


def _mark_start(rows: _Rows) -> None:
    """In a series the treated rows are those of the exposed from the start on."""
    if "start" in rows.frame:
        exposed, after = rows.frame["treated"], rows.frame["period"] >= rows.frame["start"]
        rows.frame = rows.frame.assign(exposed=exposed, treated=(exposed & after).astype(bool))


def _mark_sides(rows: _Rows, design: DiscontinuityDesign) -> None:
    """Treated are the units on the treated side, one at the cutoff among them."""
    rows.drop_missing("unit", "missing_unit", str(design.unit))
    _require_different_rows(rows, design, ["unit"])
    rows.drop_missing("running", "missing_running", design.running)
    rows.drop_missing("received", "missing_treatment", str(design.received))
    distance = rows.frame["running"] - design.cutoff
    rows.frame = rows.frame.assign(treated=distance >= 0 if design.treated_side == "above" else distance <= 0)


def _mark_moved(rows: _Rows, design: InstrumentDesign) -> None:
    """Treated are those with more of the treatment than the mean: those with 1 where it is 0 or 1."""
    rows.drop_missing("unit", "missing_unit", str(design.unit))
    _require_different_rows(rows, design, ["unit"])
    rows.drop_missing("received", "missing_treatment", design.treatment)
    for name, column in _numbered("instrument", design.instruments).items():
        rows.drop_missing(name, "missing_instrument", column)
    received = rows.frame["received"]
    rows.frame = rows.frame.assign(treated=received > received.mean())


def _drop_incomplete(rows: _Rows, design: Design) -> None:
    position = design.outcomes.index(design.primary) + 1
    rows.drop_missing(f"outcome_{position}", "missing_outcome", design.primary.name)
    if isinstance(design, UncontrolledDesign):
        rows.drop_missing("baseline_outcome", "missing_baseline", str(design.baseline_outcome))
    if design.method not in ("experiment", "discontinuity") or getattr(design, "adjustment", "none") != "none":
        for name, column in _numbered("covariate", design.covariates).items():
            rows.drop_missing(name, "missing_covariates", column)
        for kind in ("exact", "anti_exact"):
            for name, column in _numbered(kind, getattr(design, kind, ())).items():
                rows.drop_missing(name, "missing_covariates", column)
        rows.drop_missing("score", "missing_covariates", str(getattr(design, "score", None)))
    for name, column in _numbered("cluster", design.cluster).items():
        rows.drop_missing(name, "missing_cluster", column)
    rows.drop_missing("eligible", "missing_eligible", str(getattr(design, "eligible", None)))
    rows.drop_missing("weight", "missing_weight", str(design.weight))
    rows.drop_missing("stratum", "missing_stratum", str(getattr(design, "strata", None)))
    rows.drop_missing("probability", "missing_probability", str(getattr(design, "probability", None)))
    for name, source in _sampling(design).items():
        rows.drop_missing(name, f"missing_{name}", str(source))


def _balance(rows: _Rows, design: OverTime, calendar: Calendar) -> None:
    """Drop units with gaps from a balanced panel."""
    if design.panel == "balanced":
        _drop_gaps(rows)


def _drop_gaps(rows: _Rows) -> None:
    periods = rows.frame["period"].nunique()
    gaps = rows.frame.groupby("unit")["period"].transform("size") < periods
    lost = rows.frame["unit"][gaps].drop_duplicates().sort_values()
    rows.drop(gaps, "unbalanced", f"{len(lost)} units are not observed in all {periods} periods")
    if len(lost):
        rows.notes.append(f"Units without a row in every period: {shown(lost)}.")


# what no estimate could come of --------------------------------------------------------------------------------------


def _require_usable(rows: _Rows, design: Design, calendar: Calendar) -> None:
    if getattr(design, "compared", "") != "before_after":
        _require_both_arms(rows, design)
    if isinstance(design, OverTime):
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
    if isinstance(design, OverTime):
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


def _require_contrast_in_time(rows: _Rows, design: OverTime, calendar: Calendar) -> None:
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


def _require_constant_groups(rows: _Rows, design: OverTime) -> None:
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
    if isinstance(design, OverTime):
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


def _period_labels(frame: pd.DataFrame, calendar: Calendar) -> dict[int, str]:
    if not calendar.mark:
        return {}
    return {
        period: calendar.label(period) for period in range(int(frame["period"].min()), int(frame["period"].max()) + 1)
    }
