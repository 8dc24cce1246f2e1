"""Means of groups over time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SMALL,
    canvas,
    cut,
    decimal_marks,
    described,
    drawable,
    filled,
    label_every,
    legend_above,
    required,
    with_interval,
)
from evaluation.report.figures.periods import Timeline, in_time, text_of
from evaluation.report.figures.wording import axis, group_name, in_unit, listed, said, span, word
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_UNTREATED: Final = ("never", "comparison", "comparison_adjusted")
_COLOURS: Final = (BLUE, ORANGE, GREEN)
_DASHES: Final[tuple[Any, ...]] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
_LETTER: Final = 1.35 * SMALL / 72  # inches from one label to the next
_FRAME: Final = 0.9  # inches above and below the axes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One group.

    Attributes:
        name: in words.
        rows: in order, with `place` along the axis.
        start: place of its first period with treatment, if it has one among the periods.
        first_with: that period.
        untreated: whether others are compared with it.
    """

    name: str
    rows: pd.DataFrame
    start: float | None
    first_with: str
    untreated: bool


def raw_trends(table: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """Means of each group over time: nothing estimated, nothing adjusted.

    Groups named by a period are cohorts that start there; a square marks their first period with treatment. Those
    that are compared with (never, comparison) are thick and grey. Names stand at the ends of the lines.

    Args:
        table: columns group, period, mean; one row a group and period. Drawn pale if there: ci_low, ci_high.
        outcome_unit: unit of the mean.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one group and period.
    """
    rows = required(table, ("group", "period", "mean"), "raw_trends")
    rows = rows.assign(group=rows.group.map(text_of), period=rows.period.map(text_of))
    rows = filled(drawable(rows[rows["mean"].notna()], "raw_trends", ["group", "period"]), "ci_low", "ci_high")
    time = Timeline.of(rows.period)
    lines = [_line(group, rows, time, lang) for group in _order(rows.group)]
    height = max(3.2, _FRAME + 1.4 * _LETTER * len(lines))
    with canvas(height) as (figure, axes):
        for line, (colour, dashes) in zip(lines, _styles(lines), strict=True):
            _draw(axes, line, colour, dashes)
        _name_ends(axes, lines, height)
        _time_axis(axes, time, lang)
        axes.set_ylabel(axis("mean", outcome_unit, lang))
        decimal_marks(axes, lang, horizontal=False)
        if any(line.start is not None for line in lines):
            axes.plot([], [], "s", color="black", label=word("first_with", lang))
            legend_above(axes, fontsize=SMALL + 1)
    return described(figure, _alt(lines, outcome_unit, lang), lang)


def _order(groups: "pd.Series[str]") -> list[str]:
    """Those compared with first, so that the others lie on top."""
    return sorted(in_time(groups), key=lambda group: group not in _UNTREATED)


def _line(group: str, rows: pd.DataFrame, time: Timeline, lang: Lang) -> _Line:
    own = rows[rows.group == group].assign(place=lambda part: part.period.map(time.places)).sort_values("place")
    before = time.start(group)
    starts = time.dates(group) and 0 < before < len(time.labels)
    first_with = time.labels[before] if starts else ""
    return _Line(
        name=group_name(group, lang),
        rows=own,
        start=time.places[first_with] if starts else None,
        first_with=first_with,
        untreated=group in _UNTREATED,
    )


def _styles(lines: Sequence[_Line]) -> Iterator[tuple[Any, Any]]:
    """Grey for those compared with; few others by colour and dashes, many by a scale from dark to light."""
    import matplotlib as mpl

    many = sum(not line.untreated for line in lines)
    scale, place = mpl.colormaps["cividis"], 0
    for line in lines:
        if line.untreated:
            yield GREY, "-"
            continue
        colour = _COLOURS[place] if many <= len(_COLOURS) else scale(0.75 * place / (many - 1))
        yield colour, _DASHES[place % len(_DASHES)]
        place += 1


def _draw(axes: "Axes", line: _Line, colour: Any, dashes: Any) -> None:
    width, strength = (4, 0.55) if line.untreated else (1.6, 1)
    axes.plot(line.rows.place, line.rows["mean"], linestyle=dashes, color=colour, linewidth=width, alpha=strength)
    known = line.rows[with_interval(line.rows)]
    if len(known):
        axes.fill_between(known.place, known.ci_low, known.ci_high, color=colour, alpha=0.15, linewidth=0)
    begun = line.rows[line.rows.place == line.start]
    axes.plot(begun.place, begun["mean"], "s", color=colour, markersize=6)


def _name_ends(axes: "Axes", lines: Sequence[_Line], height: float) -> None:
    """Names at the right, moved apart where they would touch, with a thin line from the end of their own."""
    low, high = axes.get_ylim()
    gap = (high - low) * _LETTER / (height - _FRAME)
    ends = [(float(line.rows.place.iloc[-1]), float(line.rows["mean"].iloc[-1])) for line in lines]
    for line, end, place in zip(lines, ends, spread([y for _, y in ends], gap, low, high), strict=True):
        axes.annotate(
            cut(line.name), end, (1.03, place), textcoords=axes.get_yaxis_transform(), va="center", fontsize=SMALL + 1,
            fontweight="bold" if line.untreated else "normal", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": GREY, "shrinkA": 0, "shrinkB": 3},
        )  # fmt: skip
    axes.set_ylim(low, high)


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places in the order of the values, at least `gap` apart, between low and high where there is room.

    Pushed up from below, then down from above: nothing moves that need not.
    """
    order = sorted(range(len(values)), key=lambda i: (values[i], i))
    places = list(values)
    floor = low
    for i in order:
        places[i] = max(places[i], floor)
        floor = places[i] + gap
    ceiling = high
    for i in reversed(order):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - gap
    return places


def _time_axis(axes: "Axes", time: Timeline, lang: Lang) -> None:
    shown = time.labels[:: label_every(time.labels)]
    axes.set_xticks([time.places[label] for label in shown], list(shown))
    axes.set_xlabel(word("period", lang))


def _alt(lines: Sequence[_Line], unit: str, lang: Lang) -> str:
    head = said("Moyennes par groupe", "Means by group", lang) + in_unit(unit, lang)
    return f"{head}. {listed(((line.name, _in_words(line, lang)) for line in lines), lang)}"


def _in_words(line: _Line, lang: Lang) -> str:
    """First mean, last before the start, last."""
    means = line.rows["mean"].to_numpy(dtype=float)
    before = line.rows["mean"][line.rows.place < line.start] if line.start is not None else means[:0]
    first, last = locale.number(means[0], lang), locale.number(means[-1], lang)
    text = first if len(means) == 1 else span(first, last, lang)
    if not len(before):
        return text
    value = locale.number(float(before.iloc[-1]), lang)
    return text + said(f" ({value} juste avant le début)", f" ({value} just before the start)", lang)
