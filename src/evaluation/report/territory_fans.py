"""How a programme could spread in a territory if it reached the same share of the need there as in France.

Nobody counted its reach in any territory, so that this is an assumption and stands in every caption. It is drawn only
where the need here and the need in France are one figure, and the reach in France is a figure of the very series.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from markupsafe import Markup

from evaluation.report import diffusion_tables, locale
from evaluation.report.inputs import Inputs, Row, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]


def fans(inputs: Inputs, territory: str, lang: Lang) -> list[View]:
    """One drawing an innovation: figures and fan of France times the territory's part of the need, and the need."""
    return [_drawn(inputs, series, here, there, lang) for series, here, there in _pairs(inputs, territory)]


def _pairs(inputs: Inputs, territory: str) -> Iterator[tuple[Row, Row, Row]]:
    """Series that are forecast, with the need here and the need in France that they are compared with."""
    rows = {(row["innovation"], row["territory"]): row for row in inputs.coverage}
    for series in inputs.diffusion.get("curves", ()):
        france, here = (rows.get((series["innovation"], place)) for place in ("france", territory))
        if not series["fan"] or not france or not here or not france["need"] or not here["need"] or not france["reach"]:
            continue
        same = france["need"]["id"] == here["need"]["id"] and bool(france["need"]["value"])
        if same and here["reach"] is None and france["reach"]["id"] in {point["id"] for point in series["points"]}:
            yield series, here["need"], france["need"]


def _drawn(inputs: Inputs, series: Row, here: Row, there: Row, lang: Lang) -> View:
    from evaluation.report.figures.drawing import svg
    from evaluation.report.figures.spread import fan_chart

    t, part = texts(lang), float(here["value"]) / float(there["value"])
    label = said(inputs.innovation(series["innovation"]), "label", lang).text
    need = pd.DataFrame([{"label": t("place.need_here"), "value": float(here["value"])}])
    drawing = fan_chart(
        _scaled(diffusion_tables.points(series), part),
        _scaled(diffusion_tables.fan(series), part),
        _scaled(diffusion_tables.curve(series), part),
        need,
        said(series, "unit", lang).text,
        lang,
        caution=t("place.fan_caution"),
    )
    caption = t("place.fan_caption", innovation=label, part=locale.percent(part, lang))
    return {"markup": Markup(svg(drawing)), "caption": caption}  # noqa: S704 -- drawn by our own code, escaped there


def _scaled(frame: pd.DataFrame, part: float) -> pd.DataFrame:
    """All figures times the part; years and marks stay."""
    numbers = [name for name in frame.columns if name not in ("at", "fitted")]
    return frame.assign(**{name: frame[name] * part for name in numbers})
