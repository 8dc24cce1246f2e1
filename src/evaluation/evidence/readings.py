"""What people read in published studies becomes checks; how well they agree; how findings were looked for.

A check that one person read counts, and says that it is one rating. Two readings in the same category count with the
worse value; two that differ count only once a resolution says what holds. Until then the check is not run, which costs
as such.
"""

from collections.abc import Sequence
from typing import Any

from evaluation import store
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.readings import CHECKS_RATED, RATERS, Rating, Readings, Resolution

VERSION = "1"
LEAST_PAIRS = 2  # findings read twice, below which agreement is not described by a coefficient


def checks_of(finding: str, readings: Readings) -> list[dict[str, Any]]:
    """The checks of a record that people read; none for checks that nobody rated.

    Args:
        finding: id of a row of data/portfolio/findings.csv.
        readings: all readings.
    """
    rated = ((check, readings.of(finding, check)) for check in CHECKS_RATED)
    return [_check(check, rows, readings.resolution(finding, check)) for check, rows in rated if rows]


def _check(check: str, rows: Sequence[Rating], resolution: Resolution | None) -> dict[str, Any]:
    said = "; ".join(f"{row.rater} {row.date:%Y-%m-%d}: {row.value:g} ({row.passage})" for row in rows)
    if len({row.category for row in rows}) > 1:
        if resolution is None:
            return {"check": check, "status": "not_run", "detail": f"two ratings that differ, not settled: {said}"}
        settled = f"two ratings that differ, settled on {resolution.date:%Y-%m-%d}: {resolution.reason}; {said}"
        return {"check": check, "value": resolution.value, "status": "measured", "detail": settled}
    how = "one rating" if len(rows) < RATERS else "two ratings that agree"
    return {"check": check, "value": max(row.value for row in rows), "status": "measured", "detail": f"{how}: {said}"}


def agreement(readings: Readings) -> list[dict[str, Any]]:
    """How well two people agree, check by check.

    Cohen's kappa κ = (p_o - p_e) / (1 - p_e) with its 95 % interval from the large-sample variance; None below
    `LEAST_PAIRS` findings, or where everybody always said the same category (p_e = 1), which tells nothing.

    Returns:
        check, once and twice (findings rated by one person and by two), agreeing, kappa, ci_low, ci_high, unsettled.

    Source: Cohen (1960), *Educational and Psychological Measurement* 20(1); Fleiss, Cohen and Everitt (1969).
    """
    return [_agreement(check, readings) for check in CHECKS_RATED]


def _agreement(check: str, readings: Readings) -> dict[str, Any]:
    findings = sorted({row.finding for row in readings.ratings if row.check == check})
    rated = {finding: readings.of(finding, check) for finding in findings}
    twice = {finding: [row.category for row in rows] for finding, rows in rated.items() if len(rows) == RATERS}
    differing = [finding for finding, (first, second) in twice.items() if first != second]
    return {
        "check": check,
        "once": len(rated) - len(twice),
        "twice": len(twice),
        "agreeing": len(twice) - len(differing),
        "unsettled": sum(readings.resolution(finding, check) is None for finding in differing),
        **_kappa(list(twice.values())),
    }


def _kappa(pairs: Sequence[Sequence[int]]) -> dict[str, float | None]:
    """Kappa and its interval for pairs of categories."""
    import numpy as np
    from statsmodels.stats.inter_rater import cohens_kappa

    names = ("kappa", "ci_low", "ci_high")
    categories = sorted({category for pair in pairs for category in pair})
    if len(pairs) < LEAST_PAIRS or len(categories) < RATERS:
        return dict.fromkeys(names)
    table = np.zeros((len(categories),) * 2)
    for first, second in pairs:
        table[categories.index(first), categories.index(second)] += 1
    found = cohens_kappa(table)
    return dict(zip(names, (float(found.kappa), float(found.kappa_low), float(found.kappa_upp)), strict=True))


def overview(portfolio: Portfolio, readings: Readings) -> dict[str, Any]:
    """What pages say about reading and searching.

    Returns:
        version; findings (how many can be rated), one_rating and two_ratings (findings with some check read by one
        person alone, by two), agreement; searches: for each difficulty its protocol and flow, or None.
    """
    rateable = [row.id for row in portfolio.findings if row.estimate_kind in ("effect", "sign_only")]
    rated: dict[str, list[int]] = {}
    for row in readings.ratings:
        rated.setdefault(row.finding, []).append(len(readings.of(row.finding, row.check)))
    searches = {row.difficulty: row.model_dump(mode="json") for row in readings.searches}
    return {
        "version": VERSION,
        "findings": len(rateable),
        "one_rating": sorted(name for name, numbers in rated.items() if min(numbers) < RATERS),
        "two_ratings": sorted(name for name, numbers in rated.items() if min(numbers) == RATERS),
        "agreement": agreement(readings),
        "searches": {row.id: searches.get(row.id) for row in portfolio.difficulties},
    }


def write(portfolio: Portfolio, readings: Readings) -> None:
    """data/evidence/readings.json."""
    store.write_json(store.path("data", "evidence", "readings.json"), overview(portfolio, readings))
