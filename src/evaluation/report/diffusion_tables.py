"""Frames behind the figures and tables of diffusion, from the plain data of data/diffusion; nothing is computed."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from evaluation.report.locale import Lang

Row = Mapping[str, Any]

_FAN = ("at", "low", "inner_low", "median", "inner_high", "high")


def points(series: Row) -> pd.DataFrame:
    """Columns at, value, fitted, in the order of time."""
    return pd.DataFrame([{name: point[name] for name in ("at", "value", "fitted")} for point in series["points"]])


def fan(series: Row) -> pd.DataFrame:
    """Columns of `fan_chart`; no row where nothing is forecast."""
    return pd.DataFrame({name: (series["fan"] or {}).get(name, []) for name in _FAN}, dtype=float)


def curve(series: Row) -> pd.DataFrame:
    """Columns at, value of the best curve; no row without one."""
    found = series["fan"] or {"curve_at": [], "curve": []}
    return pd.DataFrame({"at": found["curve_at"], "value": found["curve"]}, dtype=float)


def lines(series: Row, lang: Lang, needs: Sequence[tuple[str, float]] = ()) -> pd.DataFrame:
    """Ceiling where it is identified, stated potential, needs as (label, people)."""
    named = [(_said("plafond ajusté", "fitted ceiling", lang), series["ceiling"]["estimate"])]
    kept = [each for each in named if series["ceiling"]["identified"]]
    if series["potential"]:
        kept.append((_said("potentiel annoncé", "stated potential", lang), series["potential"]["value"]))
    return pd.DataFrame([*kept, *needs], columns=["label", "value"]).astype({"value": float})


def ceilings(curves: Sequence[Row], lang: Lang) -> pd.DataFrame:
    """One row a series: figures, curve, ceiling with its interval, identified or why not, stated potential."""
    return pd.DataFrame(
        [
            {
                "series": row[f"label_{lang}"],
                "figures": sum(point["fitted"] for point in row["points"]),
                "curve": row["best"],
                **{name: row["ceiling"][name] for name in ("estimate", "low", "high", "identified")},
                "why": row["ceiling"][f"why_{lang}"],
                "potential": row["potential"]["value"] if row["potential"] else None,
            }
            for row in curves
        ]
    )


def funnel(row: Row, lang: Lang) -> pd.DataFrame:
    """Columns of `scale_funnel`."""
    steps = [{"label": step[f"name_{lang}"], "value": step["value"], "bound": step["bound"]} for step in row["steps"]]
    return pd.DataFrame(steps).astype({"value": float})


def validation(data: Row) -> pd.DataFrame:
    """One row a series and one in all: figures predicted, mean errors, how many inside the fan, who wins."""
    rows = {**data["series"], "all": data["all"]}
    return pd.DataFrame(
        [
            {"series": name, "figures": found["figures"], **found.get("errors", {}), **_inside(found)}
            for name, found in rows.items()
        ]
    )


def scenarios(treatment: Sequence[Row], names: Mapping[str, str]) -> pd.DataFrame:
    """One row an innovation and scenario, in France: units a year, years to each milestone, what holds it back."""
    return pd.DataFrame(
        [
            {
                "innovation": names[row["innovation"]],
                "scenario": each["name"],
                "units a year": each["units"],
                **{f"years to {share}": years for share, years in each["milestones"].items()},
                "held back by": each["binding"],
                "rests on": each["rests_on"],
            }
            for row in treatment
            for each in row["scenarios"]
        ]
    )


def massive(treatment: Sequence[Row], names: Mapping[str, str]) -> pd.DataFrame:
    """One row an innovation and place: what massive treatment takes, and what must be collected first."""
    kept = ("units", "times_now", "money", "currency", "workers", "pace", "binding", "synthetic")
    return pd.DataFrame(
        [
            {
                "innovation": names[row["innovation"]],
                "territory": row["territory"],
                **{name: row["massive"][name] for name in kept},
                "to collect": ", ".join(row["massive"]["unknown"]),
            }
            for row in treatment
            if row["massive"]
        ]
    )


def lessons(data: Row) -> pd.DataFrame:
    """One row a feature and value: how many of those whose scale is known reached it, how many effects are known."""
    rows = [
        {
            "feature": row["feature"],
            "value": row["value"],
            "cases": len(row["cases"]),
            "reached scale": f"{row['reached']} / {row['scale_known']}",
            "effect known": row["effect_known"],
        }
        for row in data["lessons"]
    ]
    return pd.DataFrame(rows)


def _inside(found: Row) -> dict[str, Any]:
    return {name: found.get(name) for name in ("inside", "inside_alone", "winner")}


def _said(french: str, english: str, lang: Lang) -> str:
    return french if lang == "fr" else english
