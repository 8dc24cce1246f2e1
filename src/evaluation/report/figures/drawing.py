"""What all figures share: style, page, axes, checked tables, SVG text that stays the same."""

import hashlib
import html
import io
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
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
GREEN: Final = "#006B4F"
GREY: Final = "#5A5A5A"
PALE: Final = "#D9D9D9"
SMALL: Final = 8  # size of letters beside the axes
WIDTH: Final = 5.2  # inches

_LABEL_WIDTH: Final = 32
_MARGINS: Final = 1.2  # inches of a figure's width that labels take
_STYLE: Final[dict[Any, Any]] = {
    "axes.grid": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.size": 10,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "evaluation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure ready for a page or a notebook: its SVG text and its text alternative."""

    svg: str
    alt: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What Jupyter shows: the drawing, or its alternative where drawings are not shown."""
        return {"image/svg+xml": self.svg, "text/plain": self.alt}


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


def png(figure: "Figure", resolution: int = 200, *, source: str = "") -> bytes:
    """Turn a figure into a picture (dots an inch): same figure, same bytes.

    Inside the file stand its text alternative and where its numbers come from (`source`).
    """
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(_STYLE):
        told = {"Software": None, "Description": alt(figure), **({"Source": source} if source else {})}
        figure.savefig(buffer, format="png", dpi=resolution, metadata=told)
    return buffer.getvalue()


def alt(figure: "Figure") -> str:
    """Text alternative of a figure made here."""
    return str(figure.get_label())


def show(figure: "Figure") -> Drawing:
    """Make a figure that Jupyter displays as SVG, with its text alternative."""
    return Drawing(svg=svg(figure), alt=alt(figure))


# pages and tables -----------------------------------------------------------------------------------------------------


@contextmanager
def sheet(height: float, width: float = WIDTH) -> Iterator["Figure"]:
    """Open an empty figure (inches) without touching the state that notebooks share."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with rc_context(_STYLE):
        layout = ConstrainedLayoutEngine()
        figure = Figure(figsize=(width, height), layout=layout)
        yield figure
        layout.execute(figure)
        figure.set_layout_engine("none")  # laid out once: a second look must not move anything


@contextmanager
def canvas(height: float, width: float = WIDTH) -> Iterator[tuple["Figure", "Axes"]]:
    """Open a figure (inches) with one pair of axes."""
    with sheet(height, width) as figure:
        yield figure, figure.add_subplot()


def described(figure: "Figure", text: str, lang: Lang) -> "Figure":
    """Attach the text alternative."""
    figure.set_label(locale.typography(text, lang))
    return figure


def required(table: pd.DataFrame, columns: Sequence[str], figure: str) -> pd.DataFrame:
    """The table, if it has the columns."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise InternalError(
            code="E-REP-005",
            what=f"the figure {figure} was given a table without {', '.join(missing)}",
            found=", ".join(map(str, table.columns)),
            expected=", ".join(columns),
        )
    return table


def drawable(rows: pd.DataFrame, figure: str, point: Sequence[str] = ()) -> pd.DataFrame:
    """The rows in a new order of their own, if there are any and no two stand for one point.

    Args:
        rows: what is to be drawn.
        figure: its name.
        point: columns that tell one point from the others; () where rows are points.
    """
    twice = rows[rows.duplicated(list(point), keep=False)] if point else rows[:0]
    if rows.empty or len(twice):
        raise InternalError(
            code="E-REP-006",
            what=f"the figure {figure} needs one row for each point",
            found=f"{len(twice)} rows that share a point" if len(twice) else "no row to draw",
            expected=f"at least one row, each with its own {', '.join(point)}" if point else "at least one row",
            fix="choose the rows of one outcome and one group; leave the figure out where there are none",
        )
    return rows.reset_index(drop=True)


def has(table: pd.DataFrame, column: str) -> bool:
    """Whether the column is there and says something."""
    return column in table and bool(table[column].notna().any())


def filled(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The table, with columns that are not there as missing."""
    return table.assign(**{column: float("nan") for column in columns if column not in table})


def with_interval(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Rows that have an interval."""
    return rows.ci_low.notna() & rows.ci_high.notna()


# axes -----------------------------------------------------------------------------------------------------------------


def cut(text: str) -> str:
    """A text that fits beside an axis; the text alternative has all of it."""
    return textwrap.shorten(text, _LABEL_WIDTH, placeholder="…") if " " in text else text[:_LABEL_WIDTH]


def wrapped(labels: Iterable[object]) -> list[str]:
    """Labels in at most two lines; the text alternative has all of a longer one."""
    lines = [textwrap.wrap(str(label), _LABEL_WIDTH) or [""] for label in labels]
    return ["\n".join([*each[:1], *(f"{line}…" if len(each) > 2 else line for line in each[1:2])]) for each in lines]


def folded(text: str, width: int = 84) -> list[str]:
    """A sentence in lines that fit under the axes."""
    return textwrap.wrap(text, width)


def legend_above(axes: "Axes", **options: Any) -> None:
    """Legend between the axes and what stands above."""
    axes.legend(**{"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2, "borderaxespad": 0, **options})


def legend_below(figure: "Figure", handles: Sequence[Any]) -> None:
    """Legend under everything, one entry a line."""
    figure.legend(handles=list(handles), loc="outside lower left", fontsize=SMALL, ncols=1)


def decimal_marks(axes: "Axes", lang: Lang, *, horizontal: bool = True, vertical: bool = True) -> None:
    """Write the numbers of numeric axes as the reader does."""
    if vertical:
        axes.yaxis.set_major_formatter(_number_format(lang))
    if horizontal:
        axes.xaxis.set_major_formatter(_number_format(lang))


def label_every(labels: Sequence[str], width: float = WIDTH) -> int:
    """Of how many labels along the horizontal axis one must be left out so that they do not touch."""
    letters = max((len(label) for label in labels), default=1) + 1.5
    room = (width - _MARGINS) * 72 / (letters * 6)  # a letter takes about 6 points
    return max(1, -(-len(labels) // max(int(room), 1)))


def _number_format(lang: Lang) -> "FuncFormatter":
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: locale.number(round(value, 10), lang))


# SVG ------------------------------------------------------------------------------------------------------------------


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
    """Drop ids that nothing points to; number the others, with a prefix of this figure, so that two fit on a page.

    The ids that matplotlib gives hash coordinates to the last digit, which the layout does not always reach twice.
    """
    pointed = re.compile(r'(url\(#|href="#)([^)"]+)')
    place = {name: str(at) for at, name in enumerate(dict.fromkeys(name for _, name in pointed.findall(body)))}
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="@-{place[m[1]]}"' if m[1] in place else "", body)
    body = pointed.sub(lambda m: f"{m[1]}@-{place[m[2]]}", body)
    prefix = f"f{hashlib.sha256(body.encode()).hexdigest()[:8]}"
    return re.sub(r'( id="|url\(#|href="#)@-', rf"\1{prefix}-", body)
