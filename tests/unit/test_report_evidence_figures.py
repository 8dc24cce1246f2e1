"""Figures of findings taken together: what they show, in both languages, and the steps from the best grade down."""

import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.evidence import grade_steps, grading, overview, published, rubric, schemes
from evaluation.evidence.schemes import results
from evaluation.report import figures
from evaluation.settings.portfolio import read_portfolio


@pytest.fixture(scope="module")
def scale(repository):
    return rubric.read(repository)


@pytest.fixture(scope="module")
def portfolio(repository):
    return published.from_portfolio(read_portfolio(repository))


@pytest.fixture(scope="module")
def grades(portfolio, scale):
    return grading.grade_all(portfolio, scale)


@pytest.fixture(scope="module")
def document(portfolio, grades):
    return results.document(grades, schemes.verdicts_of_all(portfolio))


def test_the_steps_lead_from_the_best_grade_to_the_one_given(grades, scale):
    for grade in grades.values():
        taken = grade_steps.steps(grade.as_dict(), scale)
        assert 5 + sum(step.change for step in taken) == pytest.approx(grade.value), grade.id
        assert all(step.change < 0 for step in taken[:-1])


def test_a_cap_is_charged_once(grades, scale):
    """A made-up grade: the ceiling 5, attrition caps at 3, imbalance costs 1; four domains lose a half."""
    plain = next(iter(grades.values())).as_dict()
    losses = {name: {"loss": 0.5, "check": None, "rule": None} for name in plain["domain_losses"]}
    losses |= {name: {**losses[name], "loss": 1.0} for name in ("missing_data", "identification")}
    made = plain | {
        "ceiling": 5,
        "caps": [{"rule": "attrition-randomised", "cap": 3}],
        "domain_losses": losses,
        "value": 1,
    }
    # 5 - 2 (cap) - 1 (comparability) - 1/2 (five further domains) = 1.5, rounded down to 1
    assert [step.change for step in grade_steps.steps(made, scale)] == [-2, -1.0, -0.5, -0.5]


def test_the_table_has_every_finding_once_a_scheme(document, grades):
    table = figures.crosswalk_table(document, "en")
    assert set(table.groupby(level="scheme").sum().sum(axis="columns")) == {len(grades)}
    assert list(table.columns) == [5, 4, 3, 2, 1, 0]
    assert list(table.index.get_level_values("scheme").unique())[:3] == ["WWC", "ESSA", "Maryland"]


@pytest.mark.parametrize(("lang", "said"), [("fr", "non recevable"), ("en", "ineligible")])
def test_the_crosswalk_says_in_words_what_it_shows(document, lang, said):
    rows = figures.crosswalk_rows(document, lang)
    figure = figures.crosswalk(rows, lang)
    assert said in figures.alt(figure)
    assert len(figure.axes) == len(schemes.SCHEMES) - 1  # months are a size, not a rating
    assert figures.svg(figure) == figures.svg(figures.crosswalk(rows, lang))


def test_the_gap_map_counts_the_findings_of_each_difficulty(portfolio, grades):
    plain = {name: grade.as_dict() for name, grade in grades.items()}
    rows = overview.evidence_rows(portfolio, plain)
    decided = [record for record in portfolio if record.difficulty is not None and record.role == "decision"]
    assert rows["findings"].sum() == len(decided)
    text = figures.alt(figures.gap_map(rows, "fr", caution="choisis"))
    assert "mobility, niveau 3, favorables" in text


SYNTHESIS = {
    "difficulties": {
        "banking": {
            "pooled": {
                "computed": True,
                "records": [{"id": "a", "estimate": 0.1, "std_error": 0.05}],
                "random": {"estimate": 0.1, "ci_low": 0.0, "ci_high": 0.2},
                "prediction": {"low": -0.1, "high": 0.3},
            }
        },
        "housing": {"pooled": {"computed": False}},
    }
}


def test_a_forest_has_the_grade_and_the_interval_of_a_further_programme():
    rows = overview.pooled_rows(SYNTHESIS, {"a": {"value": 4}}, "banking")
    assert list(rows["label"]) == ["a (4)", "pooled", "prediction"]
    assert rows["ci_low"].tolist() == pytest.approx([0.1 - 1.959964 * 0.05, 0.0, -0.1])
    assert "un autre programme semblable : 0,1" in figures.alt(figures.pooled_forest(rows, "fr")).replace("\u00a0", " ")


def test_where_nothing_was_pooled_there_is_nothing_to_draw():
    rows = overview.pooled_rows(SYNTHESIS, {}, "housing")
    assert rows.empty
    with pytest.raises(InternalError, match="E-REP-006"):
        figures.pooled_forest(rows)


@pytest.mark.parametrize(("lang", "said"), [("fr", "Du niveau 5 au niveau"), ("en", "From grade 5 to grade")])
def test_a_waterfall_says_each_step(grades, scale, lang, said):
    grade = grades["microcredit-profit-bosnia"].as_dict()
    figure = figures.waterfall(overview.steps(grade, scale), grade["value"], lang)
    assert said in figures.alt(figure)
    assert isinstance(figures.svg(figure), str)


def test_a_finding_that_lost_nothing_has_two_bars():
    figure = figures.waterfall(pd.DataFrame(columns=["fr", "en", "change"]), 5, "en")
    assert len(figure.axes[0].patches) == 2


def test_a_table_without_its_columns_is_refused():
    with pytest.raises(InternalError, match="E-REP-005"):
        figures.crosswalk(pd.DataFrame({"scheme": ["WWC"]}))
    with pytest.raises(InternalError, match="E-REP-005"):
        figures.gap_map(pd.DataFrame({"grade": [1]}))
