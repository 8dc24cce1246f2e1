"""Tables for people (HTML), for spreadsheets (CSV) and for papers (LaTeX), from a frame.

The names of its columns are what the reader sees.
"""

import csv as csv_format
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd
from markupsafe import Markup, escape

from evaluation.report import locale
from evaluation.report.locale import Lang

_NOTHING: Final = "–"
_TEX: Final[Mapping[str, str]] = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\u00a0": "~",
    "\u202f": r"\,",
}
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a frame of lines that keeps every cell as it is (a column of text would turn Markup into text)."""
    return pd.DataFrame(list(rows), dtype=object)


def html(frame: pd.DataFrame, *, caption: str, lang: Lang, cards: bool = True) -> Markup:
    """Write a frame as an accessible table: caption, headers with their scope, first column as header of its row.

    Args:
        frame: one row a line; text is escaped unless it is Markup; numbers are localised; missing is '–'.
        caption: what the table holds, one sentence.
        lang: language of numbers.
        cards: on a narrow screen each line becomes a card (otherwise the table scrolls inside its box).
    """
    names = [escape(name) for name in frame.columns]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "\n".join(_line(values, names, lang) for values in frame.itertuples(index=False, name=None))
    title, kind = escape(caption), "cards" if cards else "wide"
    return Markup(  # noqa: S704 -- every part was escaped above
        f'<div class="box" role="region" tabindex="0" aria-label="{title}"><table class="{kind}">\n'
        f"<caption>{title}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def csv(frame: pd.DataFrame) -> str:
    """Write a frame as CSV that no spreadsheet takes for formulas.

    Text (headers included) that starts like a formula (= + - @, tab, line end) gets an apostrophe in front; numbers
    keep 12 significant digits. Fields are quoted where needed, lines end in LF.
    """
    out = io.StringIO()
    writer = csv_format.writer(out, lineterminator="\n")
    writer.writerow([_harmless(str(name)) for name in frame.columns])
    writer.writerows([_field(value) for value in row] for row in frame.itertuples(index=False, name=None))
    return out.getvalue()


def latex(frame: pd.DataFrame, *, caption: str, lang: Lang, note: str = "") -> str:
    """Write a frame as a LaTeX table (packages booktabs and longtable), one row a line.

    Args:
        frame: text is escaped, so that no cell is a command; numbers are localised; missing is '–'.
        caption: what the table holds, one sentence.
        lang: language of numbers.
        note: under the table, such as where the numbers come from.
    """
    width = f"{0.96 / max(1, len(frame.columns)):.3f}"
    columns = "".join(rf"p{{{width}\linewidth}}" for _ in frame.columns)
    head = " & ".join(_tex(str(name)) for name in frame.columns)
    rows = [" & ".join(_tex_cell(value, lang) for value in row) for row in frame.itertuples(index=False, name=None)]
    lines = [
        rf"\begin{{longtable}}{{{columns}}}",
        rf"\caption{{{_tex(caption)}}}\\",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
        r"\endhead",
        *(rf"{row} \\" for row in rows),
        r"\bottomrule",
        r"\end{longtable}",
        *([rf"{{\footnotesize {_tex(note)}}}"] if note else []),
    ]
    return "\n".join(lines) + "\n"


def _tex_cell(value: Any, lang: Lang) -> str:
    if _is_missing(value):
        return _NOTHING
    if _is_number(value):
        return _tex(locale.number(float(value), lang))
    return _tex(value.striptags() if isinstance(value, Markup) else str(value))


def _tex(text: str) -> str:
    """Text in one line in which no sign is a command of LaTeX; spaces that do not break become its own."""
    shown = "".join(sign if sign.isprintable() or sign in "\u00a0\u202f" else " " for sign in text)
    return "".join(_TEX.get(sign, sign) for sign in shown)


def _line(values: tuple[Any, ...], names: list[Markup], lang: Lang) -> str:
    """One row; `names` and what `_cell` returns are escaped, so plain text is safe, and faster than Markup.format."""
    cells = [
        f'<td data-label="{name}"{_kind(value)}>{_cell(value, lang)}</td>'
        for name, value in zip(names[1:], values[1:], strict=True)
    ]
    return f'<tr><th scope="row" data-label="{names[0]}">{_cell(values[0], lang)}</th>{"".join(cells)}</tr>'


def _kind(value: Any) -> str:
    return ' class="num"' if _is_number(value) else ""


def _cell(value: Any, lang: Lang) -> Markup:
    if isinstance(value, Markup):
        return value
    if _is_missing(value):
        return escape(_NOTHING)
    if isinstance(value, bool):
        return escape(str(value).lower())
    if _is_number(value):
        return escape(locale.number(float(value), lang))
    return escape(str(value))


def _field(value: Any) -> str:
    if _is_missing(value):
        return ""
    if _is_number(value):
        return f"{float(value):.12g}"
    return _harmless(value.striptags() if isinstance(value, Markup) else str(value))


def _harmless(text: str) -> str:
    """Text in one line, with an apostrophe in front where a spreadsheet might take it for a formula."""
    line = text.replace("\r", " ").replace("\n", " ")
    return f"'{line}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else line


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool | str) and hasattr(value, "__float__") and math.isfinite(float(value))


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value == ""
