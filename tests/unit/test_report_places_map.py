"""The sketch of places: by hand; outlines where they are installed; nothing of a file but its paths."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from evaluation.report import places_map
from evaluation.settings.portfolio import read_portfolio

TOWN = {
    "label_fr": "La ville",
    "label_en": "The town",
    "kind": "urban",
    "department": "60",
    "position": {"longitude": 2.0, "latitude": 49.0},
}
VILLAGE = {**TOWN, "label_fr": "Le bourg", "kind": "rural", "department": "02"}
LANDMARK = {"label_fr": "Nord", "label_en": "North", "longitude": 0.0, "latitude": 50.0}


def test_places_stand_by_hand() -> None:
    # West edge 0°, north edge 50°: 2° east is 2 x cos 46.5° x 40 = 55.07 units, 1° south 40, beyond a margin of 40.
    drawn = places_map.sketch([TOWN], [LANDMARK], "en").svg
    east = 40 + 2 * math.cos(math.radians(46.5)) * 40
    assert f'<circle cx="{east:.1f}" cy="80.0" r="7"' in drawn
    assert '<circle cx="40.0" cy="40.0" r="3"' in drawn


def test_shape_says_what_colour_says() -> None:
    village = {**VILLAGE, "position": {"longitude": 4.0, "latitude": 48.0}}
    drawn = places_map.sketch([TOWN, village], [LANDMARK], "fr")
    assert drawn.svg.count("<rect") == 1
    assert "Situation en France de\u00a0: La ville (60), Le bourg (02)" in drawn.alt


def test_labels_are_text() -> None:
    drawn = places_map.sketch([{**TOWN, "label_fr": "<script>"}], [LANDMARK], "fr").svg
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn


OUTLINES = """<svg viewBox="0 0 613 585">
<path id="60" aria-label="Oise" d="m 1,2 3,4 z" />
<path id="75" aria-label="Paris" d="m 5,6 7,8 z" />
<path id="02" aria-label="Aisne" d="m 1,2 z" onclick="alert(1)" /><script>alert(1)</script>
</svg>"""


def test_outlines_show_departments_and_nothing_else_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "france.svg"
    assert places_map.outlined([TOWN], file, "fr") is None
    file.write_text(OUTLINES, encoding="utf-8")
    drawn = places_map.outlined([TOWN, VILLAGE], file, "fr")
    assert drawn is not None
    assert re.findall(r'd="([^"]+)" fill="(#\w+)"', drawn.svg) == [
        ("m 1,2 3,4 z", places_map.BLUE),
        ("m 5,6 7,8 z", places_map.PALE),
    ]
    assert "alert" not in drawn.svg
    file.write_text("<svg/>", encoding="utf-8")
    assert places_map.outlined([TOWN], file, "fr") is None


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_shipped_territories_are_found_among_the_towns(repository: Path, lang: Any) -> None:
    portfolio = read_portfolio(repository)
    assert all(place.position is not None for place in portfolio.territories)
    at = {place.id: place.position for place in portfolio.territories}
    paris = next(row for row in portfolio.landmarks if row.id == "paris")
    # Creil is 50 km north of Paris (0.41° of latitude), the Thiérache another 80 km north-east
    creil, thierache = at["creil-sud-oise"], at["thierache-du-centre"]
    assert creil is not None
    assert thierache is not None
    assert 0.3 < creil.latitude - paris.latitude < 0.5
    assert thierache.latitude > creil.latitude
    assert thierache.longitude > creil.longitude
    rows = [place.model_dump(mode="json") for place in portfolio.test_territories]
    drawn = places_map.sketch(rows, [row.model_dump(mode="json") for row in portfolio.landmarks], lang).svg
    box = [float(number) for number in re.findall(r'viewBox="0 0 (\d+) (\d+)"', drawn)[0]]
    for x, y in re.findall(r'c?x="([\d.]+)" c?y="([\d.]+)"', drawn):
        assert 0 < float(x) < box[0]
        assert 0 < float(y) < box[1]
