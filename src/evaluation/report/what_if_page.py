"""The page for a decision meeting: one file that opens by double click and needs no network.

Every cell of the grid stands in the page, made by selection/what_if.py; the default one is shown as it is, and a table
of all of them can be read without a script. The script reads three choices and shows the cell of that number; it
computes nothing, loads nothing, and the page's policy allows that one script by its hash.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

from markupsafe import Markup

from evaluation.report import cells, locale, tables
from evaluation.report.inputs import Inputs, Row, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]

FILES: Final[Mapping[Lang, str]] = {"fr": "what-if.html", "en": "what-if.html"}
AXES: Final = ("budgets", "cautions", "weights")


def view(inputs: Inputs, lang: Lang) -> View:
    """The page."""
    grid = inputs.what_if
    sizes = [len(grid["axes"][axis]) for axis in AXES]
    default = _place(grid["default"], sizes)
    return {
        "file": FILES[lang],
        "elsewhere": FILES,
        "simulated": False,
        "choices": [_choice(grid, axis, place, lang) for axis, place in zip(AXES, grid["default"], strict=True)],
        "sizes": sizes,
        "default": default,
        "cells": [_cell(inputs, cell, lang) for cell in grid["cells"]],
        "all": _all(inputs, grid, lang),
        "funded": locale.number(grid["axes"]["funded"], lang, digits=0),
        "served": locale.number(grid["axes"]["served"], lang, digits=0),
        "without_cost": len(grid["without_cost"]),
        "script": script(),
        "policy": policy(),
    }


def script() -> Markup:
    """The one script of the site, as it stands in the page."""
    file = resources.files("evaluation.report") / "templates" / "what_if.js"
    return Markup(file.read_text(encoding="utf-8"))  # noqa: S704 -- our own script


def policy() -> str:
    """The content policy of the page: no script but this one, by its hash."""
    digest = base64.b64encode(hashlib.sha256(str(script()).encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _place(places: Sequence[int], sizes: Sequence[int]) -> int:
    """Number of a cell: budgets first, then cautions, then weights."""
    return (places[0] * sizes[1] + places[1]) * sizes[2] + places[2]


def _choice(grid: Row, axis: str, place: int, lang: Lang) -> View:
    t = texts(lang)
    entries = grid["axes"][axis]
    labels = (
        [locale.money(value, "EUR", lang) for value in entries]
        if axis == "budgets"
        else [said(entry, "label", lang).text for entry in entries]
    )
    return {"axis": axis, "legend": t(f"what_if.{axis}"), "labels": labels, "chosen": place}


def _cell(inputs: Inputs, cell: Row, lang: Lang) -> View:
    t = texts(lang)
    lines = [
        {
            t("columns.innovation"): _name(inputs, row, lang),
            t("columns.territory"): inputs.territories.get(row["territory"], {}).get(lang, row["territory"]),
            t("what_if.action"): t(f"what_if.{row['action']}", people=locale.number(row["people"], lang, digits=0)),
            t("what_if.cost"): locale.money(row["cost"], "EUR", lang),
            t("what_if.useful"): locale.percent(row["p_useful"], lang, digits=0),
            t("what_if.as_good"): _as_good(row, lang),
        }
        for row in cell["chosen"]
    ]
    return {
        "sentence": _sentence(cell, lang),
        "table": tables.html(tables.frame(lines), caption=t("what_if.caption"), lang=lang) if lines else Markup(""),
    }


def _sentence(cell: Row, lang: Lang) -> str:
    t = texts(lang)
    if not cell["chosen"]:
        return t("what_if.nothing")
    return t(
        "what_if.sentence",
        fund=cell["counts"]["fund"],
        study=cell["counts"]["study"],
        cost=locale.money(cell["cost"], "EUR", lang),
        rest=locale.money(max(cell["budget"] - cell["cost"], 0.0), "EUR", lang),
        value=locale.number(cell["value"], lang, digits=0),
    )


def _as_good(row: Row, lang: Lang) -> str:
    return texts(lang)("what_if.others", count=row["as_good"]) if row["as_good"] else ""


def _name(inputs: Inputs, row: Row, lang: Lang) -> Markup:
    label = said(inputs.innovation(row["innovation"]), "label", lang)
    return Markup('<a href="innovations/{}.html">{}</a>').format(row["innovation"], cells.tell(label))


def _all(inputs: Inputs, grid: Row, lang: Lang) -> Markup:
    """Every cell in one table, for those who read without a script."""
    t = texts(lang)
    labels = {axis: {row["id"]: said(row, "label", lang).text for row in grid["axes"][axis]} for axis in AXES[1:]}
    lines = [
        {
            t("what_if.budgets"): locale.money(cell["budget"], "EUR", lang),
            t("what_if.cautions"): labels["cautions"][cell["caution"]],
            t("what_if.weights"): labels["weights"][cell["weights"]],
            t("what_if.result"): _sentence(cell, lang),
        }
        for cell in grid["cells"]
    ]
    return tables.html(tables.frame(lines), caption=t("what_if.all"), lang=lang)
