"""Fans of a territory: France times its part of the need, only where both needs are one figure, and said to be so."""

import dataclasses
from typing import Any

import pandas as pd
import pytest

from evaluation.report import territory_fans
from evaluation.report.figures import spread
from evaluation.report.inputs import Inputs

NEED = {"id": "need-1", "label_fr": "Besoin", "label_en": "Need", "unit_fr": "personnes", "unit_en": "people"}
FAN = {name: [200.0 + place, 300.0] for place, name in enumerate(("low", "inner_low", "median", "inner_high", "high"))}
SERIES = {
    "id": "loans",
    "innovation": "loan",
    "unit_fr": "prêts",
    "unit_en": "loans",
    "points": [{"id": "loans-2023", "at": 2023.5, "value": 200.0, "fitted": True}],
    "fan": {"at": [2024.5, 2025.5], **FAN, "curve_at": [2023.0, 2025.0], "curve": [200.0, 250.0]},
}


def inputs(**changes: Any) -> Inputs:
    coverage = [
        {
            "innovation": "loan",
            "territory": "france",
            "need": {**NEED, "value": 4_000.0},
            "reach": {"id": "loans-2023"},
        },
        {"innovation": "loan", "territory": "town", "need": {**NEED, "value": 40.0}, "reach": None},
    ]
    missing = dataclasses.MISSING
    required = [each for each in dataclasses.fields(Inputs) if each.default is missing is each.default_factory]
    return Inputs(
        **{each.name: () for each in required}
        | {
            "coverage": coverage,
            "diffusion": {"curves": [SERIES]},
            "innovations": [{"id": "loan", "label_fr": "Prêt", "label_en": "Loan"}],
        }
        | changes
    )


def test_france_times_the_part_of_the_need(monkeypatch: pytest.MonkeyPatch) -> None:
    # 40 of 4,000 people are here: 1 %, so that 200 loans in France would be 2 here.
    seen: list[pd.DataFrame] = []
    real = spread.fan_chart

    def chart(*frames: Any, **options: Any) -> Any:
        seen.extend(frames[:4])
        return real(*frames, **options)

    monkeypatch.setattr(spread, "fan_chart", chart)
    (drawn,) = territory_fans.fans(inputs(), "town", "en")
    points, fan, _, lines = seen
    assert points["value"].tolist() == [2.0]
    assert points["at"].tolist() == [2023.5]
    assert fan["high"].tolist() == pytest.approx([2.04, 3.0])
    assert lines["value"].tolist() == [40.0]
    assert "1%" in drawn["caption"]
    assert "Nobody has counted" in drawn["caption"]
    assert "nobody counted here" in drawn["markup"]


def test_nothing_is_drawn_where_the_needs_differ_or_the_reach_is_of_another_series() -> None:
    rows = inputs().coverage
    other_need = [rows[0], {**rows[1], "need": {**NEED, "id": "need-2", "value": 40.0}}]
    assert territory_fans.fans(inputs(coverage=other_need), "town", "fr") == []
    other_reach = [{**rows[0], "reach": {"id": "sites-2022"}}, rows[1]]
    assert territory_fans.fans(inputs(coverage=other_reach), "town", "fr") == []
    counted = [rows[0], {**rows[1], "reach": {"id": "counted-here"}}]
    assert territory_fans.fans(inputs(coverage=counted), "town", "fr") == []
    assert territory_fans.fans(inputs(diffusion={}), "town", "fr") == []
