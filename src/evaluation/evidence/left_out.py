"""Sites left out one by one: what the other sites predicted for it, beside what was found there.

The only test of transfer that published numbers allow: seven trials of one programme, each predicted from the six
others. The interval holds the variance between sites, the error of their mean and the error of the site's own estimate,
so that 95 of 100 such predictions should hold what was found.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from evaluation.evidence.eligibility import Entry, entries
from evaluation.evidence.record import Record
from evaluation.impact.inference.studies import fit_studies, prediction_interval, study_numbers
from evaluation.settings.synthesis import Synthesis

FEWEST = 5  # sites: four are left to predict the fifth


def left_out_sites(
    records: Sequence[Record], grades: Mapping[str, int], settings: Synthesis
) -> tuple[dict[str, Any], ...]:
    """One entry for each innovation and outcome that at least FEWEST sites measured on different people.

    Published findings only: those estimated here are methods side by side on the same trial.

    Args:
        records: all findings.
        grades: record id -> grade.
        settings: level, method.

    Returns:
        innovation, outcome, unit, level, sites [{id, found, std_error, predicted, low, high, inside}], inside (count).
    """
    found, _ = entries([each for each in records if each.source.kind == "published"], grades)
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in found:
        if entry.poolable:
            groups.setdefault((entry.innovation, entry.outcome, entry.unit), []).append(entry)
    return tuple(
        _left_out(key, sites, settings)
        for key, sites in sorted(groups.items())
        if len({entry.group for entry in sites}) == len(sites) >= FEWEST
    )


def _left_out(key: tuple[str, str, str], sites: Sequence[Entry], settings: Synthesis) -> dict[str, Any]:
    rows = [_predicted(number, sites, settings) for number in range(len(sites))]
    named = dict(zip(("innovation", "outcome", "unit"), key, strict=True))
    return {**named, "level": settings.level, "sites": rows, "inside": sum(row["inside"] for row in rows)}


def _predicted(number: int, sites: Sequence[Entry], settings: Synthesis) -> dict[str, Any]:
    """Mean of the others ± t(k - 2) √(τ² + SE² of that mean + SE² of the site), k the number of the others."""
    site, others = sites[number], [entry for place, entry in enumerate(sites) if place != number]
    y, se = (np.array([getattr(entry, name) for entry in others]) for name in ("estimate", "std_error"))
    fitted = fit_studies(y, se**2, method=settings.method)
    told = study_numbers(fitted, kind="hartung_knapp", level=settings.level)
    row = pd.Series({name: told[name][0] for name in ("estimate", "std_error")})
    spread = fitted.between + site.std_error**2
    low, high = prediction_interval(row, spread, df=len(others) - 2, level=settings.level)
    return {
        "id": site.id,
        "found": site.estimate,
        "std_error": site.std_error,
        "predicted": float(row["estimate"]),
        "low": low,
        "high": high,
        "inside": bool(low <= site.estimate <= high),
    }
