"""Stage evidence: published findings to records, grades, other schemes, the synthesis; numbers for `dvc metrics`."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation import store
from evaluation.evidence import (
    grading,
    left_out,
    portfolio_synthesis,
    programme,
    published,
    readings,
    record,
    rubric,
    schemes,
    transfer,
)
from evaluation.evidence.grading import Grade
from evaluation.evidence.record import Record
from evaluation.evidence.schemes import results
from evaluation.pipeline.stages import Task, forget_others
from evaluation.settings.params import read_params
from evaluation.settings.portfolio import read_portfolio
from evaluation.settings.readings import read_readings

PLOTTED = ("estimate", "ci_low", "ci_high")


def run(task: Task) -> str:
    """Write the published records, grades, other schemes, the synthesis, letters of transfer and the metrics."""
    portfolio = read_portfolio()
    read = read_readings(portfolio)
    _write_published(published.from_portfolio(portfolio, read))
    readings.write(portfolio, read)
    records = record.read_all()
    grades = grading.grade_all(records, rubric.read())
    grading.write_grades(grades)
    results.write(grades, schemes.verdicts_of_all(records))
    _write_synthesis(records, grades)
    _write_transfer(records, grades)
    _write_metrics(records, grades)
    return f"{len(records)} records graded"


def _write_published(records: Sequence[Record]) -> None:
    forget_others(store.path("data", "evidence", "published"), [each.id for each in records])
    for each in records:
        record.write(each)


def _write_synthesis(records: Sequence[Record], grades: Mapping[str, Grade]) -> None:
    """Pooled estimates and posteriors, by the section `synthesis` of params.yaml, and grades of programmes."""
    settings = portfolio_synthesis.settings_of(read_params())
    levels = {name: grade.value for name, grade in grades.items()}
    pooled = portfolio_synthesis.synthesise(records, levels, settings)
    portfolio_synthesis.write(pooled)
    programme.write(programme.programme_grades(records, levels, pooled["effects"]))


def _write_transfer(records: Sequence[Record], grades: Mapping[str, Grade]) -> None:
    """Letters by the section `transfer` of params.yaml, and sites predicted from the others."""
    params = read_params()
    levels = {name: grade.value for name, grade in grades.items()}
    letters = transfer.assess_all(records, read_portfolio(), transfer.policy_of(params.transfer))
    sites = left_out.left_out_sites(records, levels, portfolio_synthesis.settings_of(params))
    transfer.write(letters, sites)


def _write_metrics(records: Sequence[Record], grades: Mapping[str, Grade]) -> None:
    """Numbers only, tracked by git: `dvc metrics diff` and `dvc plots diff` compare them between commits."""
    import pandas as pd

    folder = store.path("reports", "metrics")
    estimated = [each for each in records if each.source.kind == "estimated"]
    store.write_json(folder / "grades.json", {name: grade.value for name, grade in grades.items()})
    store.write_json(folder / "effects.json", {each.id: _numbers(each) for each in estimated})
    rows = [{"evaluation": each.id, **_in_standard_deviations(each)} for each in estimated]
    store.write_csv(folder / "effects.csv", pd.DataFrame(rows, columns=["evaluation", *PLOTTED]))


def _numbers(each: Record) -> dict[str, Any]:
    names = ("estimate", "std_error", "ci_low", "ci_high")
    return {name: getattr(each.headline, name) for name in names}


def _in_standard_deviations(each: Record) -> dict[str, float | None]:
    """Effects in standard deviations of their outcomes: the only scale on which all of them can be drawn together."""
    scale = each.headline.outcome_sd
    return {name: _divided(getattr(each.headline, name), scale) for name in PLOTTED}


def _divided(value: float | None, scale: float | None) -> float | None:
    return None if value is None or not scale else value / scale
