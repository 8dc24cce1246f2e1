"""A difference-in-differences as a finding: its effects, what they rest on, and the tables behind the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from evaluation.impact import did_estimators, did_groups, finding_tests, inference
from evaluation.impact.checks import Check, measured, not_applicable, not_run
from evaluation.impact.covariates import Floats
from evaluation.impact.cross_section import clusters_of, outcomes_of
from evaluation.impact.did_evidence import Evidence, collect
from evaluation.impact.did_result import DidResult
from evaluation.impact.effects import Effects, concat
from evaluation.impact.finding_parts import Parts

if TYPE_CHECKING:
    from evaluation.impact.did_groups import GroupEffects
    from evaluation.sample import Sample


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Setting:
    """What all effects of an evaluation share: the design and how uncertainty is computed."""

    sample: Sample
    design: Any
    clusters: pd.DataFrame | None
    kind: str
    seed: int

    def summarized(self, parts: Sequence[Effects], role: str, *, bands: bool = False) -> list[pd.DataFrame]:
        """A table for each of several effects, with simultaneous bands if wanted."""
        chosen = self.design.inference
        tables = inference.summarize_together(
            parts,
            self.clusters,
            kind=self.kind,
            level=chosen.level,
            band_seed=self.seed if bands else None,
            bands=chosen.bands,
            band_draws=chosen.draws if chosen.bands == "multiplier" else None,
        )
        return [table.assign(role=role) for table in tables]


def parts(sample: Sample, design: Any, seed: int) -> Parts:
    """Effects on all outcomes; by cohort, period and event time, by territory and subgroup; placebos; diagnostics."""
    setting = _Setting(
        sample=sample,
        design=design,
        clusters=clusters_of(sample),
        kind=design.inference.std_error or "influence",
        seed=seed,
    )
    results = [did_estimators.estimate(sample, design, outcome=column) for column, _ in outcomes_of(design)]
    primary, outcomes = results[0], concat([result.headline for result in results])
    groups = [did_groups.by_group(sample, design, column) for column in did_groups.group_columns(sample.frame)]
    first, convention = _first_rows(setting, outcomes)
    evidence = collect(sample, design, primary, setting.clusters, kind=setting.kind, seed=seed)
    rows = [first, *_supporting(setting, primary, groups)]
    used = sample.frame[sample.frame["unit"].isin(primary.headline.units)]
    return Parts(
        estimand="att",
        rows=_labelled(pd.concat(rows, ignore_index=True), sample.period_labels),
        covariance=inference.covariance(primary.headline, setting.clusters, kind=setting.kind),
        comparison=_untreated(used, outcomes_of(design)[0][0], design.comparison),
        used=used,
        checks=[*_not_applicable(), *evidence.checks, *_equal_effects(setting, groups)],
        tables=_tables(setting, primary, groups, evidence),
        notes=(*primary.notes, *(note for group in groups for note in group.notes)),
        flow=primary.flow,
        outcomes=outcomes,
        convention=convention,
    )


def _first_rows(setting: _Setting, outcomes: Effects) -> tuple[pd.DataFrame, str]:
    """Headline and secondary outcomes, by the test that the design asks for, and its convention if it is not ours."""
    table = setting.summarized([outcomes], "secondary")[0]
    table.loc[0, "role"] = "headline"
    if setting.design.inference.test != "wild":
        return table, ""
    return finding_tests.wild(table, outcomes, setting.clusters, setting.design, setting.seed)


def _supporting(setting: _Setting, primary: DidResult, groups: list[GroupEffects]) -> Iterator[pd.DataFrame]:
    cells = [primary.group_time] if len(primary.group_time) else []
    yield from setting.summarized([*cells, *primary.aggregates.values()], "supporting", bands=True)
    for group in groups:
        yield from setting.summarized([concat([group.effects, group.contrasts])], "supporting")
    if did_groups.placebo_columns(setting.sample.frame):
        placebos = did_groups.placebo_effects(setting.sample, setting.design)
        yield setting.summarized([placebos], "supporting")[0].assign(term="placebo")


def _not_applicable() -> list[Check]:
    reason = "changes over time are compared, not levels"
    names = "balance.max_smd", "overlap.share_in_01_09", "overlap.ess_share"
    return [not_applicable(name, reason) for name in names]


def _equal_effects(setting: _Setting, groups: list[GroupEffects]) -> Iterator[Check]:
    """Whether the effects of all groups of a column could be equal."""
    for group in groups:
        name, subject = f"heterogeneity.{group.column}_p", setting.sample.names.get(group.column, group.column)
        test = group.equality(setting.clusters, kind=setting.kind)
        if test.reason:
            yield not_run(name, f"{subject}: {test.reason}")
        else:
            detail = f"joint test that the effects by {subject} are equal, {test.df} differences"
            yield measured(name, test.p_value, detail, subject)


def _untreated(frame: pd.DataFrame, column: str, comparison: str) -> tuple[Floats, Floats]:
    """Outcomes without treatment: of units never treated or, with not yet treated ones in use, of all before theirs."""
    never = frame["cohort"].isna()
    before = never | (frame["period"] < frame["cohort"]).fillna(value=False)
    chosen = frame[never if comparison == "never_treated" and never.any() else before]
    chosen = chosen[chosen[column].notna()]
    return chosen[column].to_numpy(dtype=float), chosen["weight"].to_numpy(dtype=float)


# labels ---------------------------------------------------------------------------------------------------------------


def _labelled(rows: pd.DataFrame, period_labels: Mapping[int, str]) -> pd.DataFrame:
    """Event times before treatment get the term pre_trend; periods their labels."""
    before = (rows["term"] == "event_time") & (rows["event_time"] < 0).fillna(value=False)
    return _with_labels(rows.assign(term=rows["term"].mask(before, "pre_trend")), period_labels)


def _with_labels(rows: pd.DataFrame, period_labels: Mapping[int, str]) -> pd.DataFrame:
    labelled = {
        column: pd.Series([_label(value, period_labels) for value in rows[column]], rows.index, dtype=object)
        for column in ("cohort", "period")
    }
    return rows.assign(**labelled)


def _label(value: Any, period_labels: Mapping[int, str]) -> Any:
    return None if pd.isna(value) else period_labels.get(int(value), int(value))


# tables ---------------------------------------------------------------------------------------------------------------


def _tables(
    setting: _Setting, result: DidResult, groups: list[GroupEffects], evidence: Evidence
) -> dict[str, pd.DataFrame]:
    event_time = result.aggregates["event_time"]
    tables = {
        name: _labelled(setting.summarized([effects], "supporting")[0].drop(columns="role"), {})
        for name, effects in (("group_time", result.group_time), ("event_time", event_time))
    }
    tables["event_time_covariance"] = _covariance(setting, event_time, "event_time")
    for group in groups:
        kind = "territory" if group.column == "territory" else "subgroup"
        tables[f"{group.column}_covariance"] = _covariance(setting, group.effects, kind)
        tables |= {f"{group.column}_skipped": group.skipped} if len(group.skipped) else {}
    tables["means"] = _cohort_means(setting.sample, outcomes_of(setting.design)[0][0])
    tables["timeline"] = _timeline(setting.sample)
    tables["weights"] = result.weights
    if len(result.skipped):
        tables["skipped"] = _with_labels(result.skipped, setting.sample.period_labels)
    return {**tables, **result.tables, **evidence.tables}


def _covariance(setting: _Setting, effects: Effects, label: str) -> pd.DataFrame:
    names = effects.labels[label].astype(str).tolist()
    matrix = inference.covariance(effects, setting.clusters, kind=setting.kind).matrix
    return pd.DataFrame(matrix, columns=names).assign(**{label: names})[[label, *names]]


def _groups(sample: Sample, cohorts: pd.Series[Any]) -> list[str]:
    """The start of each row's unit, "never" without one."""
    return ["never" if pd.isna(cohort) else str(_label(cohort, sample.period_labels)) for cohort in cohorts]


def _cohort_means(sample: Sample, column: str) -> pd.DataFrame:
    """Weighted mean of the outcome by cohort ("never" for the never treated) and period."""
    frame = sample.frame[sample.frame[column].notna()]
    weighted = frame.assign(group=_groups(sample, frame["cohort"]), weighted=frame[column] * frame["weight"])
    table = weighted.groupby(["group", "period"])
    sums = table.agg(total=("weighted", "sum"), weight=("weight", "sum"), n=(column, "size")).reset_index()
    sums["mean"] = sums["total"] / sums["weight"]
    sums["period"] = [_label(period, sample.period_labels) for period in sums["period"]]
    return sums[["group", "period", "mean", "n"]]


def _timeline(sample: Sample) -> pd.DataFrame:
    """Units by cohort and period, and whether they are treated then."""
    frame = sample.frame
    treated = (frame["period"] >= frame["cohort"]).fillna(value=False).astype(bool)
    rows = frame.assign(group=_groups(sample, frame["cohort"]), treated=treated).groupby(["group", "period"])
    table = rows.agg(treated=("treated", "max"), units=("unit", "nunique")).reset_index()
    table["period"] = [_label(period, sample.period_labels) for period in table["period"]]
    return table
