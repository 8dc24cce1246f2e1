"""Sliders and lists for a notebook: what if, computed by the package at every change.

Unlike the page (what_if_page.py), which shows a grid made before, the notebook solves the portfolio for any budget.
ipywidgets is imported here alone, when a notebook asks for it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from evaluation.report.locale import Lang
from evaluation.report.texts import texts
from evaluation.selection import what_if
from evaluation.selection.what_if import Board, Cell

if TYPE_CHECKING:
    from ipywidgets import Widget

STEPS = 24  # of the slider, from nothing to the largest budget of the grid


def what_if_board(board: Board, lang: Lang = "fr") -> "Widget":
    """A slider for the budget, lists for caution and weights, and the portfolio that goes with them.

    Args:
        board: see what_if.read.
        lang: of the labels.
    """
    import ipywidgets as widgets

    wanted, t = board.policy.what_if, texts(lang)
    places = wanted.default
    most = max(wanted.budgets) or 1.0
    wide = {"style": {"description_width": "8em"}, "layout": widgets.Layout(width="42em")}
    budget = widgets.FloatSlider(
        value=wanted.budgets[places[0]],
        min=0.0,
        max=most,
        step=most / STEPS,
        readout_format=",.0f",
        description=t("what_if.budgets"),
        continuous_update=False,
        **wide,
    )
    lists = [
        widgets.Dropdown(
            options=[(getattr(row, f"label_{lang}"), row) for row in rows],
            value=rows[place],
            description=t(f"what_if.{name}"),
            **wide,
        )
        for name, rows, place in (
            ("cautions", wanted.cautions, places[1]),
            ("weights", wanted.weights, places[2]),
        )
    ]
    out = widgets.Output()
    _watch([budget, *lists], out, lambda: what_if.cell(board, budget.value, lists[0].value, lists[1].value), lang)
    return widgets.VBox([budget, *lists, out])


def table(cell: Cell, lang: Lang = "fr") -> pd.DataFrame:
    """What a cell holds, one row an option."""
    t = texts(lang)
    columns = {
        "innovation": t("columns.innovation"),
        "territory": t("columns.territory"),
        "action": t("what_if.action"),
        "people": t("columns.reach"),
        "cost": t("what_if.cost"),
        "p_useful": t("what_if.useful"),
        "as_good": t("what_if.as_good"),
    }
    return pd.DataFrame(list(cell.chosen), columns=list(columns)).rename(columns=columns)


def summary(cells: list[Cell]) -> pd.DataFrame:
    """One row a cell: the three choices, what is funded and studied, what it costs and brings."""
    rows: list[dict[str, Any]] = [
        {
            "budget": cell.budget,
            "caution": cell.caution,
            "weights": cell.weights,
            **cell.counts,
            "cost": cell.cost,
            "value": cell.value,
            "price": cell.price,
        }
        for cell in cells
    ]
    return pd.DataFrame(rows)


def _watch(inputs: list[Any], out: Any, found: Callable[[], Cell], lang: Lang) -> None:
    """Show the portfolio now, and again at every change."""
    from IPython.display import display

    def show(_: object = None) -> None:
        out.clear_output(wait=True)
        with out:
            display(table(found(), lang))  # type: ignore[no-untyped-call]

    for each in inputs:
        each.observe(show, names="value")
    show()
