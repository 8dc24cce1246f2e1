"""Grids of cohorts and periods: effects, and who is treated when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    PALE,
    SMALL,
    WIDTH,
    canvas,
    cut,
    decimal_marks,
    described,
    drawable,
    filled,
    label_every,
    legend_below,
    required,
    sheet,
    wrapped,
)
from evaluation.report.figures.periods import Timeline, in_time, text_of
from evaluation.report.figures.wording import group_name, in_unit, interval_name, listed, said, span, word
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

State = Literal["clear", "unclear", "reference", "missing"]

_DARK: Final = 0.45  # luminance below which white ink reads better
_BARS: Final = 76  # points across the bars of units and their numbers
_LETTERS: Final = 4.6  # points that a digit of a cell takes
_NARROW: Final = 0.17  # inches of the narrowest column, written upwards
_PALE: Final = 0.45  # share of the colour that is left in an unclear cell
_NEVER: Final = ("never", "comparison")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Effects by cohort and period.

    Attributes:
        cohorts: in order.
        time: the periods.
        rows: indexed by cohort and period; columns estimate, std_error, ci_low, ci_high.
    """

    cohorts: tuple[str, ...]
    time: Timeline
    rows: pd.DataFrame

    def cells(self) -> Iterator[tuple[int, int, float, State]]:
        """Row, column, value (NaN if missing) and state of each."""
        known = dict(zip(self.rows.index, self.rows.itertuples(), strict=True))
        for i, cohort in enumerate(self.cohorts):
            for j, period in enumerate(self.time.labels):
                row = known.get((cohort, period))
                yield (i, j, float("nan"), "missing") if row is None else (i, j, float(row.estimate), _state(row))


def group_time_map(
    effects: pd.DataFrame,
    outcome_unit: str = "",
    lang: Lang = "fr",
    *,
    skipped: pd.DataFrame | None = None,
    level: float = 0.95,
) -> "Figure":
    """Heat map of the effect on each cohort in each period.

    Violet below zero, orange above. Cells whose interval holds zero, or that have none, are pale and hatched; a cell
    without an estimate is crossed; a bold line separates the periods before the start from those with.

    Args:
        effects: rows of the record's effects; those with the term group_time are drawn. Columns cohort, period,
            estimate, ci_low, ci_high and, if there, std_error.
        outcome_unit: unit of the numbers.
        lang: language of axes and text alternative.
        skipped: cells that are not identified (cohort, period), where they would otherwise not be on the map; labels as
            in `effects`.
        level: probability of the intervals.

    Raises:
        InternalError: a column is missing, or there is no cell, or two for one cohort and period.
    """
    grid = _grid(effects, skipped)
    digits = _digits(grid.rows.estimate)
    upright, width = _layout(grid, digits, lang)
    with canvas(1.9 + (0.45 if upright else 0.3) * len(grid.cohorts), width) as (figure, axes):
        _paint(axes, grid, digits, lang, upright=upright)
        _stairs(axes, [grid.time.start(cohort) for cohort in grid.cohorts])
        _frame(axes, grid.cohorts, grid.time, width, lang)
        axes.set_title(said("Effet", "Effect", lang) + in_unit(cut(outcome_unit), lang), fontsize=10, loc="left")
        legend_below(figure, _map_legend(grid, lang))
    return described(figure, _map_alt(grid, outcome_unit, lang, level), lang)


def cohort_timeline(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Who is treated when: a line for each cohort, dark where it is treated, and its number of units.

    Args:
        table: columns group ("never", or the start), period, treated (bool), units (number of units seen); one row a
            group and period.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one group and period.
    """
    rows = required(table, ("group", "period", "treated", "units"), "cohort_timeline")
    rows = rows.assign(group=rows.group.map(text_of), period=rows.period.map(text_of))
    rows = drawable(rows, "cohort_timeline", ["group", "period"])
    groups = sorted(in_time(rows.group), key=lambda group: group in _NEVER)
    time = Timeline.of(rows.period)
    with sheet(1.5 + 0.28 * len(groups)) as figure:
        status, counts = figure.subplots(1, 2, width_ratios=(3.2, 1))
        _paint_status(status, rows, groups, time)
        _frame(status, [group_name(group, lang) for group in groups], time, WIDTH * 0.75, lang)
        _count_units(counts, rows, groups, lang)
        legend_below(figure, _status_legend(rows, groups, time, lang))
    return described(figure, _timeline_alt(rows, groups, lang), lang)


# effects --------------------------------------------------------------------------------------------------------------


def _grid(effects: pd.DataFrame, skipped: pd.DataFrame | None) -> _Grid:
    name = "group_time_map"
    rows = required(effects, ("term", "cohort", "period", "estimate", "ci_low", "ci_high"), name)
    rows = filled(rows[(rows.term == "group_time") & rows.estimate.notna()], "std_error")
    rows = drawable(
        rows.assign(cohort=rows.cohort.map(text_of), period=rows.period.map(text_of)), name, ["cohort", "period"]
    )
    more = rows[:0] if skipped is None else required(skipped, ("cohort", "period"), name)
    return _Grid(
        cohorts=tuple(in_time([*rows.cohort, *more.cohort])),
        time=Timeline.of([*rows.period, *more.period]),
        rows=rows.set_index(["cohort", "period"])[["estimate", "std_error", "ci_low", "ci_high"]],
    )


def _state(row: Any) -> State:
    if pd.isna(row.ci_low) or pd.isna(row.ci_high):
        return "reference" if row.estimate == 0 and pd.isna(row.std_error) else "unclear"
    return "unclear" if row.ci_low <= 0 <= row.ci_high else "clear"


def _digits(values: "pd.Series[float]") -> int:
    """Decimals that show the largest effect with two digits, so that all cells have the same."""
    largest = float(values.abs().max())
    scale = f"{largest:e}".partition("e")[2] if largest > 0 else "0"
    return max(0, 1 - int(scale))


def _layout(grid: _Grid, digits: int, lang: Lang) -> tuple[bool, float]:
    """Whether numbers are written upwards, and the width in inches that the columns need."""
    texts = [locale.number(value, lang, digits=digits) for value in grid.rows.estimate]
    needed = (max(map(len, texts)) * _LETTERS + 4) / 72 * len(grid.time.labels)
    margins = 0.6 + 0.08 * max(map(len, grid.cohorts))
    if needed + margins <= WIDTH:
        return False, WIDTH
    return True, max(WIDTH, margins + _NARROW * len(grid.time.labels))


def _paint(axes: "Axes", grid: _Grid, digits: int, lang: Lang, *, upright: bool) -> None:
    import matplotlib as mpl

    scale, bound = mpl.colormaps["PuOr_r"], max(float(grid.rows.estimate.abs().max()), 1e-12)
    for row, column, value, state in grid.cells():
        if state == "missing":
            _square(axes, row, column, "white")
            _write(axes, row, column, "×", GREY, upright=False)
            continue
        strength = 1.0 if state == "clear" else _PALE
        colour = tuple(1 - strength * (1 - part) for part in scale(0.5 + value / bound / 2)[:3])
        _square(axes, row, column, "white" if state == "reference" else colour, hatched=state == "unclear")
        text = word("reference_cell", lang) if state == "reference" else locale.number(value, lang, digits=digits)
        _write(axes, row, column, text, _ink(colour), upright=upright, backing=colour if state == "unclear" else None)


def _ink(colour: Sequence[float]) -> str:
    red, green, blue = colour
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < _DARK else "black"


def _square(axes: "Axes", row: int, column: int, colour: Any, *, hatched: bool = False) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="white", linewidth=1))
    if hatched:
        axes.add_patch(Rectangle((column, row), 1, 1, fill=False, hatch="////", edgecolor="#9A9A9A", linewidth=0))


def _write(axes: "Axes", row: int, column: int, text: str, ink: str, *, upright: bool, backing: Any = None) -> None:
    box = None if backing is None else {"facecolor": backing, "edgecolor": "none", "pad": 0.6}
    axes.annotate(
        text, (column + 0.5, row + 0.5), ha="center", va="center", fontsize=SMALL - 0.5, color=ink, bbox=box,
        rotation=90 if upright else 0,
    )  # fmt: skip


def _stairs(axes: "Axes", starts: Sequence[int]) -> None:
    """Down along the first period with treatment of each cohort."""
    x = [start for start in starts for _ in (0, 1)]
    y = [edge for row in range(len(starts)) for edge in (row, row + 1)]
    axes.plot(x, y, color="black", linewidth=2.4, solid_joinstyle="miter", clip_on=False)


def _frame(axes: "Axes", rows: Sequence[str], time: Timeline, width: float, lang: Lang) -> None:
    """First row on top; names of rows and periods."""
    axes.set_xlim(0, len(time.labels))
    axes.set_ylim(len(rows), 0)
    step = label_every(time.labels, width)
    axes.set_xticks([place + 0.5 for place in range(0, len(time.labels), step)], list(time.labels[::step]))
    axes.set_yticks([place + 0.5 for place in range(len(rows))], wrapped(rows))
    axes.set_xlabel(word("period", lang))
    axes.set_ylabel(word("cohort", lang))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _map_legend(grid: _Grid, lang: Lang) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    states = {state for *_, state in grid.cells()}
    handles: list[Any] = [Line2D([], [], color="black", linewidth=2.4, label=word("start_line", lang))]
    if "unclear" in states:
        handles.append(Patch(facecolor="white", edgecolor=GREY, hatch="////", linewidth=0, label=word("unclear", lang)))
    if "missing" in states:
        handles.append(Line2D([], [], color=GREY, marker="x", linestyle="", label=word("not_identified", lang)))
    if "reference" in states:
        label = f"{word('reference_cell', lang)} = {word('reference', lang)}"
        handles.append(Line2D([], [], linestyle="", label=label))
    return handles


def _map_alt(grid: _Grid, unit: str, lang: Lang, level: float) -> str:
    low, high = (locale.number(float(value), lang) for value in (grid.rows.estimate.min(), grid.rows.estimate.max()))
    states = [state for *_, state in grid.cells()]
    clear, missing = states.count("clear"), states.count("missing")
    head = said(
        f"Effet pour {len(grid.cohorts)} dates de début et {len(grid.time.labels)} périodes{in_unit(unit, lang)} : "
        f"de {low} à {high}. L'{interval_name(level, 'fr')} exclut 0 dans {clear} cases sur {len(grid.rows)}",
        f"Effect for {len(grid.cohorts)} starting dates and {len(grid.time.labels)} periods{in_unit(unit, lang)}: "
        f"from {low} to {high}. The {interval_name(level, 'en')} excludes 0 in {clear} of {len(grid.rows)} cells",
        lang,
    )
    if not missing:
        return f"{head}."
    return head + said(f" ; cases non identifiées : {missing}.", f"; cells not identified: {missing}.", lang)


# status ---------------------------------------------------------------------------------------------------------------


def _paint_status(axes: "Axes", rows: pd.DataFrame, groups: Sequence[str], time: Timeline) -> None:
    known = {(row.group, row.period): bool(row.treated) for row in rows.itertuples() if row.units > 0}
    for i, group in enumerate(groups):
        for j, period in enumerate(time.labels):
            if (group, period) in known:
                _square(axes, i, j, BLUE if known[group, period] else PALE)
            else:
                _write(axes, i, j, "×", GREY, upright=False)


def _status_legend(rows: pd.DataFrame, groups: Sequence[str], time: Timeline, lang: Lang) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(facecolor=BLUE, label=word("with", lang)),
        Patch(facecolor=PALE, label=word("without", lang)),
    ]
    if int((rows.units > 0).sum()) < len(groups) * len(time.labels):
        handles.append(Line2D([], [], color=GREY, marker="x", linestyle="", label=word("no_row", lang)))
    return handles


def _count_units(axes: "Axes", rows: pd.DataFrame, groups: Sequence[str], lang: Lang) -> None:
    """Bars of the largest number of units seen in a period; where it varies, both ends."""
    largest = [int(rows.units[rows.group == group].max()) for group in groups]
    places = [row + 0.5 for row in range(len(groups))]
    axes.barh(places, largest, color=GREY, height=0.55)
    for place, value, group in zip(places, largest, groups, strict=True):
        axes.annotate(
            _units(rows, group, lang), (value, place), (3, 0), textcoords="offset points", va="center", fontsize=SMALL
        )
    axes.set_ylim(len(groups), 0)
    room = max(len(_units(rows, group, lang)) for group in groups) * _LETTERS + 6
    axes.set_xlim(0, max(*largest, 1) / max(1 - room / _BARS, 0.15))  # the numbers stand to the right of the bars
    axes.set_yticks([])
    axes.set_xticks([0])
    axes.set_xlabel(word("units", lang))
    decimal_marks(axes, lang, vertical=False)
    axes.spines["bottom"].set_visible(False)


def _units(rows: pd.DataFrame, group: str, lang: Lang) -> str:
    """Number of units in each period: '12', or '10–12'."""
    own = rows.units[(rows.group == group) & (rows.units > 0)]
    if own.empty:
        return "0"
    low, high = (locale.number(int(value), lang, digits=0) for value in (own.min(), own.max()))
    return high if low == high else f"{low}–{high}"


def _timeline_alt(rows: pd.DataFrame, groups: Sequence[str], lang: Lang) -> str:
    periods = in_time(rows.period)
    head = said(
        f"Qui est traité, et quand : {len(groups)} groupes, {span(periods[0], periods[-1], lang)}",
        f"Who is treated, and when: {len(groups)} groups, {span(periods[0], periods[-1], lang)}",
        lang,
    )
    return f"{head}. {listed(((group_name(g, lang), _status_words(rows, g, lang)) for g in groups), lang)}"


def _status_words(rows: pd.DataFrame, group: str, lang: Lang) -> str:
    """'12 unités, traitées de 2004 à 2007'."""
    own = rows[rows.group == group]
    treated = in_time(own.period[own.treated.astype(bool)])
    units = f"{_units(rows, group, lang)} {word('units', lang)}"
    if not treated:
        return f"{units}, " + said("jamais traitées", "never treated", lang)
    when = (
        said(f"en {treated[0]}", f"in {treated[0]}", lang) if len(treated) == 1 else span(treated[0], treated[-1], lang)
    )
    return f"{units}, {said('traitées', 'treated', lang)} {when}"
