"""How studies were found and read, as the method page says it."""

from typing import Any

import pytest

from evaluation.report import reading_views
from evaluation.report.inputs import Inputs
from evaluation.report.locale import Lang

DIFFICULTIES = [{"id": name, "label_fr": f"{name} fr", "label_en": f"{name} en"} for name in ("banking", "mobility")]
NOBODY = [
    dict.fromkeys(("once", "twice", "agreeing", "unsettled"), 0)
    | dict.fromkeys(("kappa", "ci_low", "ci_high"))
    | {"check": check}
    for check in ("registration.plan", "measurement.source")
]
SEARCH = {
    "question_fr": "Quels <b>effets</b> ?",
    "question_en": "Which <b>effects</b>?",
    "sources": [{"name": "HAL", "searched_on": "2026-11-02", "found": 42}],
    "flow": {
        "found": 42,
        "duplicates": 2,
        "screened": 40,
        "excluded": [{"reason_fr": "sans comparaison", "reason_en": "no comparison", "number": 33}],
        "included": 7,
    },
}


def _told(lang: Lang, **change: Any) -> str:
    """All that the page says."""
    read = {"findings": 12, "one_rating": [], "two_ratings": [], "agreement": NOBODY, "searches": _searches()} | change
    view = reading_views.readings(_inputs(read), lang)
    return "\n".join([*view["sentences"], view["agreement"], view["searches"]])


def _searches(**change: Any) -> dict[str, Any]:
    return {row["id"]: None for row in DIFFICULTIES} | change


def _inputs(read: dict[str, Any]) -> Inputs:
    empty: dict[str, Any] = {name: {} for name in ("findings", "records", "grades")}
    empty |= {name: [] for name in ("innovations", "costs", "benchmarks", "coverage", "needs", "decisions")}
    return Inputs(difficulties=DIFFICULTIES, readings=read, **empty)


def test_a_collection_with_one_reader_is_called_so() -> None:
    french, english = _told("fr"), _told("en")
    assert "12 résultats publiés lus ici sont une collection raisonnée" in french
    assert "12 published results read here are a purposive collection" in english
    assert "0 résultats ont été lus par deux personnes" in french
    assert "<table" not in french + english


def test_agreement_and_searches_are_shown_once_they_exist() -> None:
    rated = [NOBODY[0] | {"twice": 50, "agreeing": 35, "unsettled": 15, "kappa": 0.4, "ci_low": 0.15, "ci_high": 0.65}]
    told = _told("fr", agreement=rated, searches=_searches(mobility=SEARCH))
    expected = ["mobility fr", "Plan d’analyse", "0,4 (de\u00a00,15", "40 examinés", "33 écartés", "7 retenus", "HAL"]
    assert [words for words in expected if words not in told] == []
    assert "<b>effets</b>" not in told
    assert "&lt;b&gt;effets" in told
    assert "search not finished" in _told("en", searches=_searches(mobility=SEARCH | {"flow": None}))


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_nothing_is_said_before_the_stage_has_run(lang: Lang) -> None:
    view = reading_views.readings(_inputs({}), lang)
    assert (view["sentences"], view["agreement"], view["searches"]) == ([], "", "")
