"""One file of best-worst screens on the command line: counted, modelled where the answers allow, told in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.errors import DataError
from evaluation.impact import inference
from evaluation.needs import ballot_form, best_worst
from evaluation.settings.participation import read_participation
from evaluation.settings.portfolio import read_portfolio

LEVEL = 0.95


def told(file: Path, identifier: str | None = None) -> dict[str, Any]:
    """Counts of each difficulty, its utility with an interval, and the ranking, as plain data.

    Without bounded utilities (a difficulty always or never preferred) the counts rank, and the reason is told.

    Args:
        file: typed screens, see `best_worst.read`.
        identifier: a consultation; by default all difficulties of the portfolio.

    Raises:
        DataError: the screens are wrong.
    """
    portfolio = read_portfolio()
    named = read_participation(portfolio).consultation(identifier) if identifier else ballot_form.draft(portfolio)
    choices = best_worst.read(file, [portfolio.difficulty(name) for name in named.difficulties])
    counted = best_worst.counts(choices)
    modelled, reason = _utilities(choices)
    rows: list[dict[str, Any]] = [
        {
            "difficulty": str(name),
            "shown": int(row["shown"]),
            "best": int(row["best"]),
            "worst": int(row["worst"]),
            "score": float(row["score"]) if row["shown"] else None,
            **modelled.get(str(name), {"utility": None, "low": None, "high": None}),
        }
        for name, row in counted.iterrows()
    ]
    by = "utility" if modelled else "score"
    rows.sort(key=lambda row: (row[by] is None, -(row[by] or 0.0), row["difficulty"]))
    voters = len(set(choices.voters.astype(str)))
    return {"voters": voters, "screens": len(choices.screens), "ranked_by": by, "reason": reason, "rows": rows}


def in_words(found: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = [f"{found['screens']:,} screens of {found['voters']:,} voters; ranked by {found['ranked_by']}", ""]
    lines += [f"no utilities: {found['reason']}", ""] if found["reason"] else []
    lines.append(f"{'':3} {'difficulty':26} {'shown':>6} {'most':>6} {'least':>6} {'score':>7}  utility (95% interval)")
    return "\n".join([*lines, *(_line(place, row) for place, row in enumerate(found["rows"], start=1))])


def _utilities(choices: best_worst.Choices) -> tuple[dict[str, dict[str, float]], str]:
    """Utilities by difficulty, relative to their mean; voters are the units. Or the reason why there are none."""
    try:
        effects = best_worst.utilities(choices)
    except DataError as error:
        return {}, f"{error.what} ({error.code}) {error.where}"
    table = inference.summarize(effects, None, kind="influence", level=LEVEL)
    return {
        str(row["difficulty"]): {
            "utility": float(row["estimate"]),
            "low": float(row["ci_low"]),
            "high": float(row["ci_high"]),
        }
        for row in table.to_dict("records")
    }, ""


def _line(place: int, row: Mapping[str, Any]) -> str:
    score = "–" if row["score"] is None else f"{row['score']:+.2f}"
    known = row["utility"] is not None
    utility = f"{row['utility']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})" if known else "–"
    numbers = f"{row['shown']:>6} {row['best']:>6} {row['worst']:>6} {score:>7}"
    return f"{place:>3} {row['difficulty']:26} {numbers}  {utility}"
