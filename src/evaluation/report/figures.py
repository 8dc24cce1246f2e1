"""Figures, each a function of one table of aggregates.

Every function returns a matplotlib Figure that carries its own text alternative (`alt`), written from the numbers it
shows. `svg` turns it into text that does not change from run to run, to be put inside a page; `show` displays it in a
notebook.

Colours are Okabe and Ito's, told apart by readers with any colour vision; no meaning rests on colour alone.
"""

import hashlib
import html
import io
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from evaluation.errors import InternalError
from evaluation.report import locale
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

BLUE: Final = "#0072B2"
ORANGE: Final = "#B34A00"
GREY: Final = "#5A5A5A"
PALE: Final = "#D9D9D9"

_DARK: Final = 0.6  # share of the colour scale from which black ink is hard to read
_LABEL_WIDTH: Final = 32
_WIDTH: Final = 5.2
_STYLE: Final[dict[Any, Any]] = {
    "axes.grid": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.size": 10,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "evaluation",
}
_WORDS: Final[Mapping[str, Mapping[Lang, str]]] = {
    "after_start": {
        "fr": "périodes depuis le début (0 = première période avec)",
        "en": "periods since the start (0 = first with)",
    },
    "effect": {"fr": "effet", "en": "effect"},
    "period": {"fr": "période", "en": "period"},
    "cohort": {"fr": "début", "en": "start"},
    "before": {"fr": "avant ajustement", "en": "before adjustment"},
    "after": {"fr": "après ajustement", "en": "after adjustment"},
    "smd": {
        "fr": "écart standardisé (valeur absolue)",
        "en": "standardised difference (absolute)",
    },
    "mean": {"fr": "moyenne", "en": "mean"},
    "band": {"fr": "bande simultanée", "en": "simultaneous band"},
}
_GROUPS: Final[Mapping[str, Mapping[Lang, str]]] = {
    "treated": {"fr": "avec", "en": "with"},
    "comparison": {"fr": "comparaison", "en": "comparison"},
    "never": {"fr": "jamais", "en": "never"},
    "treated_adjusted": {"fr": "avec, ajusté", "en": "with, adjusted"},
    "comparison_adjusted": {"fr": "comparaison, ajustée", "en": "comparison, adjusted"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure ready for a page or a notebook: its SVG text and its text alternative."""

    svg: str
    alt: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What Jupyter shows: the drawing, or its alternative where drawings are not shown."""
        return {"image/svg+xml": self.svg, "text/plain": self.alt}


def event_study(effects: pd.DataFrame, outcome_unit: str, lang: Lang = "fr") -> "Figure":
    """Effects by time since the start, with pointwise intervals and, where given, the simultaneous band.

    Args:
        effects: rows of the record's effects; those with an `event_time` and the term event_time or pre_trend
            are drawn. Columns estimate, ci_low, ci_high and, if there, band_low, band_high, in units of the outcome.
        outcome_unit: unit of the vertical axis.
        lang: language of axes and text alternative.
    """
    rows = _timed(effects)
    with _figure(3.3) as (figure, axes):
        axes.axhline(0, color=GREY, linewidth=1)
        axes.axvline(-0.5, color=GREY, linewidth=1, linestyle=":")
        _band(axes, rows, lang)
        for part, colour, marker in (
            (rows.event_time < 0, GREY, "o"),
            (rows.event_time >= 0, BLUE, "s"),
        ):
            _whiskers(axes, rows[part], "event_time", colour, marker)
        axes.set_xlabel(_word("after_start", lang))
        axes.set_ylabel(_axis("effect", outcome_unit, lang))
        _whole_ticks(axes, rows.event_time)
        _decimal_marks(axes, lang)
    return _described(figure, _event_study_alt(rows, outcome_unit, lang))


def love_plot(balance: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Absolute standardised differences before and after adjustment, with the lines 0.05 and 0.25.

    Args:
        balance: columns covariate, smd_before and, where an adjustment was made, smd_after.
        lang: language of axes and text alternative.
    """
    rows = _required(balance, ("covariate", "smd_before"), "love_plot").reset_index(drop=True)
    places = range(len(rows))[::-1]
    with _figure(1.2 + 0.28 * len(rows)) as (figure, axes):
        for bound in (0.05, 0.25):
            axes.axvline(bound, color=GREY, linewidth=1, linestyle=":")
        axes.plot(
            rows.smd_before.abs(),
            places,
            "o",
            color=ORANGE,
            fillstyle="none",
            label=_word("before", lang),
        )
        if _has(rows, "smd_after"):
            axes.plot(
                rows.smd_after.abs(),
                places,
                "s",
                color=BLUE,
                label=_word("after", lang),
            )
        axes.set_yticks(list(places), _wrapped(rows.covariate))
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlim(left=0)
        axes.set_xlabel(_word("smd", lang))
        _decimal_marks(axes, lang, vertical=False)
        _legend_above(axes)
    return _described(figure, _love_plot_alt(rows, lang))


def group_time(effects: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """Heat map of the effect on each cohort in each period.

    Args:
        effects: rows of the record's effects; those with the term group_time are drawn (cohort, period, estimate).
        outcome_unit: unit of the numbers.
        lang: language of axes and text alternative.
    """
    rows = _required(effects, ("term", "cohort", "period", "estimate"), "group_time")
    cells = rows[rows.term == "group_time"].pivot(index="cohort", columns="period", values="estimate").sort_index()
    bound = max(float(cells.abs().max().max()), 1e-12)
    with _figure(1.4 + 0.4 * len(cells)) as (figure, axes):
        axes.pcolormesh(cells.to_numpy(float), cmap="PuOr_r", vmin=-bound, vmax=bound, edgecolor="white")
        axes.invert_yaxis()
        axes.set_xticks([place + 0.5 for place in range(cells.shape[1])], [str(value) for value in cells.columns])
        axes.set_yticks([place + 0.5 for place in range(cells.shape[0])], [str(value) for value in cells.index])
        axes.set_xlabel(_word("period", lang))
        axes.set_ylabel(_word("cohort", lang))
        axes.set_title(_cut(outcome_unit), fontsize=10, loc="left")
        for row, column, value in _cells(cells):
            _write_cell(axes, row, column, value, bound, lang)
    return _described(figure, _group_time_alt(cells, outcome_unit, lang))


def territories(effects: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """Forest of the effect by kind of territory, with the effect over all of them below.

    Args:
        effects: rows of the record's effects; those with the term territory, and the headline row, are drawn.
        outcome_unit: unit of the horizontal axis.
        lang: language of axes and text alternative.
    """
    rows = _required(effects, ("term", "territory", "estimate", "ci_low", "ci_high"), "territories")
    rows = rows[rows.term == "territory"].sort_values("territory")
    return _forest(rows.assign(label=rows.territory.astype(str)), outcome_unit, lang)


def forest(rows: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """Estimates with their intervals, one line each.

    Args:
        rows: columns label, estimate, ci_low, ci_high; several estimates of one effect, say ours and the published one.
        outcome_unit: unit of the horizontal axis.
        lang: language of axes and text alternative.
    """
    return _forest(
        _required(rows, ("label", "estimate", "ci_low", "ci_high"), "forest"),
        outcome_unit,
        lang,
    )


def means(table: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """Raw means of each group over time, or side by side where there is no time.

    Args:
        table: columns group, mean and, for panels, period; one row a group and period. Groups are treated, comparison,
            treated_adjusted, comparison_adjusted, or words of one's own.
        outcome_unit: unit of the mean.
        lang: language of axes and text alternative.
    """
    rows = _required(table, ("group", "mean"), "means")
    rows = rows.assign(group=[_GROUPS.get(str(group), {}).get(lang, str(group)) for group in rows.group])
    with _figure(3.1) as (figure, axes):
        draw = _lines if "period" in rows else _bars
        draw(axes, rows, lang)
        axes.set_ylabel(_axis("mean", outcome_unit, lang))
        _decimal_marks(axes, lang, horizontal=False)
    return _described(figure, _means_alt(rows, outcome_unit, lang))


def svg(figure: "Figure") -> str:
    """Turn a figure into an SVG element for a page: same figure, same text; no date, nothing to load."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context(_STYLE):
        figure.savefig(
            buffer,
            format="svg",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return _inline(buffer.getvalue(), alt(figure))


def alt(figure: "Figure") -> str:
    """Text alternative of a figure made here."""
    return str(figure.get_label())


def show(figure: "Figure") -> Drawing:
    """Make a figure that Jupyter displays as SVG, with its text alternative."""
    return Drawing(svg=svg(figure), alt=alt(figure))


def _word(key: str, lang: Lang) -> str:
    return _WORDS[key][lang]


def _axis(key: str, unit: str, lang: Lang) -> str:
    """Label of an axis with its unit; a long unit is cut, the text alternative has all of it."""
    return f"{_word(key, lang)} ({_cut(unit)})" if unit else _word(key, lang)


def _cut(text: str) -> str:
    return textwrap.shorten(text, _LABEL_WIDTH, placeholder="…") if " " in text else text[:_LABEL_WIDTH]


def _wrapped(labels: Iterable[object]) -> list[str]:
    """Labels in at most two lines; the text alternative has all of a longer one."""
    lines = [textwrap.wrap(str(label), _LABEL_WIDTH) or [""] for label in labels]
    return ["\n".join([*each[:1], *(f"{line}…" if len(each) > 2 else line for line in each[1:2])]) for each in lines]


@contextmanager
def _figure(height: float) -> Iterator[tuple["Figure", "Axes"]]:
    """Open a figure of page width without touching the state that notebooks share."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with rc_context(_STYLE):
        layout = ConstrainedLayoutEngine()
        figure = Figure(figsize=(_WIDTH, height), layout=layout)
        yield figure, figure.add_subplot()
        layout.execute(figure)
        figure.set_layout_engine("none")  # laid out once: a second look must not move anything


def _described(figure: "Figure", text: str) -> "Figure":
    figure.set_label(text)
    return figure


def _required(table: pd.DataFrame, columns: Sequence[str], figure: str) -> pd.DataFrame:
    missing = [column for column in columns if column not in table]
    if missing:
        raise InternalError(
            code="E-REP-005",
            what=f"the figure {figure} was given a table without {', '.join(missing)}",
            found=", ".join(map(str, table.columns)),
            expected=", ".join(columns),
        )
    return table


def _has(table: pd.DataFrame, column: str) -> bool:
    return column in table and bool(table[column].notna().any())


def _timed(effects: pd.DataFrame) -> pd.DataFrame:
    """Rows by event time, one each, in order."""
    rows = _required(effects, ("term", "event_time", "estimate", "ci_low", "ci_high"), "event_study")
    rows = rows[rows.event_time.notna() & rows.term.isin(["event_time", "pre_trend"])]
    return rows.assign(event_time=rows.event_time.astype(int)).drop_duplicates("event_time").sort_values("event_time")


def _whiskers(axes: "Axes", rows: pd.DataFrame, x: str, colour: str, marker: str) -> None:
    known = rows.ci_low.notna() & rows.ci_high.notna()
    axes.vlines(
        rows[x][known],
        rows.ci_low[known],
        rows.ci_high[known],
        color=colour,
        linewidth=1.6,
    )
    axes.plot(rows[x], rows.estimate, marker, color=colour, markersize=6)


def _band(axes: "Axes", rows: pd.DataFrame, lang: Lang) -> None:
    """Thin whiskers with caps for the simultaneous band; the thick ones are pointwise."""
    if not (_has(rows, "band_low") and _has(rows, "band_high")):
        return
    known = rows[rows.band_low.notna() & rows.band_high.notna()]
    below, above = known.estimate - known.band_low, known.band_high - known.estimate
    axes.errorbar(
        known.event_time, known.estimate, yerr=[below, above], fmt="none", ecolor=GREY, elinewidth=0.7, capsize=4,
        label=_word("band", lang),
    )  # fmt: skip
    _legend_above(axes)


def _legend_above(axes: "Axes") -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)


def _whole_ticks(axes: "Axes", values: pd.Series) -> None:
    step = max(1, len(values) // 10)
    axes.set_xticks([int(value) for value in values][::step])


def _decimal_marks(axes: "Axes", lang: Lang, *, horizontal: bool = True, vertical: bool = True) -> None:
    """Write the numbers of numeric axes as the reader does."""
    if vertical:
        axes.yaxis.set_major_formatter(_number_format(lang))
    if horizontal:
        axes.xaxis.set_major_formatter(_number_format(lang))


def _number_format(lang: Lang) -> "FuncFormatter":
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: locale.number(round(value, 10), lang))


def _write_cell(axes: "Axes", row: int, column: int, value: float, bound: float, lang: Lang) -> None:
    """The number in its cell, white where the colour is dark."""
    ink = "white" if abs(value) > _DARK * bound else "black"
    text = locale.number(value, lang, digits=2)
    axes.annotate(text, (column + 0.5, row + 0.5), ha="center", va="center", fontsize=8, color=ink)


def _cells(cells: pd.DataFrame) -> Iterator[tuple[int, int, float]]:
    values = cells.to_numpy(float)
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            if pd.notna(values[row, column]):
                yield row, column, float(values[row, column])


def _forest(rows: pd.DataFrame, outcome_unit: str, lang: Lang) -> "Figure":
    rows = rows.reset_index(drop=True)
    places = list(range(len(rows)))[::-1]
    with _figure(1.0 + 0.34 * len(rows)) as (figure, axes):
        axes.axvline(0, color=GREY, linewidth=1)
        known = (rows.ci_low.notna() & rows.ci_high.notna()).to_numpy()
        heights = [place for place, drawn in zip(places, known, strict=True) if drawn]
        axes.hlines(heights, rows.ci_low[known], rows.ci_high[known], color=BLUE, linewidth=1.6)
        axes.plot(rows.estimate, places, "s", color=BLUE)
        axes.set_yticks(places, _wrapped(rows.label))
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(_axis("effect", outcome_unit, lang))
        _decimal_marks(axes, lang, vertical=False)
    return _described(figure, _forest_alt(rows, outcome_unit, lang))


def _lines(axes: "Axes", rows: pd.DataFrame, lang: Lang) -> None:
    styles = ((BLUE, "s-"), (ORANGE, "o--"), (GREY, "^:"))
    for place, (group, part) in enumerate(rows.groupby("group", sort=True, observed=True)):
        colour, style = styles[place % len(styles)]
        ordered = part.sort_values("period")
        axes.plot(ordered.period, ordered["mean"], style, color=colour, label=_cut(str(group)))
    axes.set_xlabel(_word("period", lang))
    _whole_ticks(axes, pd.Series(sorted(rows.period.unique())))
    _legend_above(axes)


def _bars(axes: "Axes", rows: pd.DataFrame, lang: Lang) -> None:
    axes.bar(
        range(len(rows)),
        rows["mean"],
        color=[BLUE, ORANGE, GREY, PALE][: len(rows)],
        width=0.6,
    )
    axes.set_xticks(range(len(rows)), _wrapped(rows.group))
    for place, value in enumerate(rows["mean"]):
        axes.annotate(locale.number(float(value), lang), (place, value), ha="center", va="bottom")


def _value(row: pd.Series, lang: Lang) -> str:
    text = locale.number(float(row.estimate), lang)
    if pd.isna(row.ci_low) or pd.isna(row.ci_high):
        return text
    return f"{text} ({locale.interval(float(row.ci_low), float(row.ci_high), lang)})"


def _in_unit(unit: str, lang: Lang) -> str:
    if not unit:
        return ""
    return f", en {unit}" if lang == "fr" else f", in {unit}"


def _event_study_alt(rows: pd.DataFrame, unit: str, lang: Lang) -> str:
    parts = "; ".join(f"{row.event_time:d}: {_value(row, lang)}" for _, row in rows.iterrows())
    if lang == "fr":
        return (
            f"Effet selon le nombre de périodes depuis le début{_in_unit(unit, lang)}, avec intervalle à 95 %. {parts}."
        )
    return f"Effect by number of periods since the start{_in_unit(unit, lang)}, with 95% interval. {parts}."


def _love_plot_alt(rows: pd.DataFrame, lang: Lang) -> str:
    before = locale.number(float(rows.smd_before.abs().max()), lang, digits=2)
    after = locale.number(float(rows.smd_after.abs().max()), lang, digits=2) if _has(rows, "smd_after") else ""
    if lang == "fr":
        text = (
            f"Écarts standardisés de {len(rows)} variables entre les deux groupes : au plus {before} avant ajustement"
        )
        return f"{text}, {after} après." if after else f"{text}."
    text = (
        f"Standardised differences of {len(rows)} variables between the two groups: at most {before} before adjustment"
    )
    return f"{text}, {after} after." if after else f"{text}."


def _group_time_alt(cells: pd.DataFrame, unit: str, lang: Lang) -> str:
    low, high = (locale.number(float(value), lang) for value in (cells.min().min(), cells.max().max()))
    if lang == "fr":
        return (
            f"Effet pour {cells.shape[0]} dates de début et {cells.shape[1]} périodes{_in_unit(unit, lang)} : "
            f"de {low} à {high}."
        )
    cohorts, periods = cells.shape
    return f"Effect for {cohorts} starting dates and {periods} periods{_in_unit(unit, lang)}: from {low} to {high}."


def _forest_alt(rows: pd.DataFrame, unit: str, lang: Lang) -> str:
    parts = "; ".join(f"{row.label}: {_value(row, lang)}" for _, row in rows.iterrows())
    head = "Effets avec intervalle à 95 %" if lang == "fr" else "Effects with 95% interval"
    return f"{head}{_in_unit(unit, lang)}. {parts}."


def _means_alt(rows: pd.DataFrame, unit: str, lang: Lang) -> str:
    first = rows.sort_values("period") if "period" in rows else rows
    parts = []
    for group, part in first.groupby("group", sort=True, observed=True):
        values = [locale.number(float(value), lang) for value in part["mean"]]
        span = values[0] if len(values) == 1 else _span(values[0], values[-1], lang)
        parts.append(f"{group}: {span}")
    head = "Moyennes par groupe" if lang == "fr" else "Means by group"
    return f"{head}{_in_unit(unit, lang)}. {'; '.join(parts)}."


def _span(first: str, last: str, lang: Lang) -> str:
    """'de 4 à 7', 'from 4 to 7': first and last value of a series."""
    return f"de {first} à {last}" if lang == "fr" else f"from {first} to {last}"


def _inline(text: str, description: str) -> str:
    """Keep the svg element only, name it, let it shrink, and make its ids its own."""
    body = text[text.index("<svg") :]
    body = re.sub(
        r'(<svg[^>]*?) width="[^"]*"',
        r"\1",
        re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1),
        count=1,
    )
    label = html.escape(description, quote=True)
    body = body.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return _own_ids(body)


def _own_ids(body: str) -> str:
    """Drop ids that nothing points to; give the others a prefix of this figure, so that two figures fit on a page."""
    prefix = hashlib.sha256(body.encode()).hexdigest()[:8]
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', body))
    body = re.sub(
        r' id="([^"]+)"',
        lambda m: f' id="f{prefix}-{m[1]}"' if m[1] in used else "",
        body,
    )
    return re.sub(r'(url\(#|href="#)', rf"\1f{prefix}-", body)
