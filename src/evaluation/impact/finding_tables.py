"""Tables of a finding that belong together, for a reader, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd


def named(tables: Mapping[str, pd.DataFrame], *beginnings: str, otherwise: str) -> list[pd.DataFrame]:
    """All tables whose name starts with one of some words, each with its name in the corner and no empty columns.

    Args:
        tables: of a finding.
        beginnings: such as "complier" or "attrition_".
        otherwise: what is said where there is no such table.
    """
    chosen = {name: table for name, table in tables.items() if name.startswith(beginnings) and len(table)}
    if not chosen:
        return [pd.DataFrame({"reason": [otherwise]})]
    return [
        table.dropna(axis="columns", how="all").rename_axis(columns=name.replace("_", " "))
        for name, table in chosen.items()
    ]
