"""data/needs/priorities.json and example.json: all that reports and notebooks read about votes and priorities."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation import store
from evaluation.errors import DataError, DisclosureError
from evaluation.needs import ballots, participation, priorities
from evaluation.needs.components import Load, loads, trends
from evaluation.needs.count import SMALLEST, Count, count
from evaluation.needs.priorities import Priorities
from evaluation.settings.participation import Consultation, Participation, read_participation
from evaluation.settings.portfolio import Portfolio

EXAMPLE = "data/examples/ballots/participation.yaml"
_DIGITS = 6  # of what raking gives: its last digits are those of one machine


def write(portfolio: Portfolio, seed: int) -> Path:
    """Write priorities.json, and example.json where the example stands; return the first path.

    Raises:
        DataError: ballots of a declared consultation are wrong, or simulated ones stand among real ones.
        DisclosureError: fewer than ten people voted.
        ProblemsError: participation.yaml is wrong.
    """
    target = store.path("data", "needs", "priorities.json")
    store.write_json(target, result(portfolio, read_participation(portfolio), seed))
    if store.resolve(EXAMPLE).is_file():
        example = read_participation(portfolio, file=EXAMPLE)
        store.write_json(store.path("data", "needs", "example.json"), result(portfolio, example, seed, example=True))
    return target


def result(portfolio: Portfolio, read: Participation, seed: int, *, example: bool = False) -> dict[str, Any]:
    """The whole result as plain data.

    Args:
        portfolio: difficulties, territories, figures.
        read: the register and its consultations.
        seed: of the project.
        example: the ballots are simulated, and the result is stamped; otherwise none may be.
    """
    votes = [_vote(portfolio, read, vote, seed, example=example) for vote in read.consultations]
    burdens = [load for row in portfolio.difficulties for load in loads(portfolio, row)]
    found = _priorities(portfolio, read, votes, burdens)
    return {
        "simulated": example,
        "rule": read.rule.model_dump(mode="json"),
        "grades": [grade.model_dump(mode="json") for grade in read.grades],
        "priorities": found.as_dict(),
        "side_by_side": _side_by_side(portfolio, found, votes, burdens),
        "votes": [vote_data(vote, portfolio, read) for vote in votes],
        "register": participation.register(read),
        "replies": [] if example else participation.replies(read, portfolio),
    }


def _vote(portfolio: Portfolio, read: Participation, consultation: Consultation, seed: int, *, example: bool) -> Count:
    vote = count_vote(portfolio, read, consultation, seed)
    if vote.simulated and not example:
        raise DataError(
            code="E-NEE-013",
            what="Simulated ballots stand among the consultations of real people.",
            where=f"data/portfolio/participation.yaml, {consultation.id}; {consultation.file}",
            found="simulated: true, or a column 'simulated' in the file",
            expected="ballots of real people; simulated ones live in data/examples",
            fix=f"move the consultation to {EXAMPLE}",
        )
    if example and not vote.simulated:
        raise DataError(
            code="E-NEE-014",
            what="Ballots of real people stand in the example.",
            where=f"{EXAMPLE}, {consultation.id}",
            found="simulated: false",
            expected="simulated ballots only",
            fix="move the consultation to data/portfolio/participation.yaml, its ballots to data/raw",
        )
    if vote.official.ballots < SMALLEST:
        raise DisclosureError(
            code="E-NEE-017",
            what="So few people voted that the count would tell who answered what.",
            where=f"{consultation.id}; {consultation.file}",
            found=f"{vote.official.ballots} ballots of residents",
            expected=f"at least {SMALLEST}",
            fix="collect more ballots before the count is published; `evaluation ballots` shows it to you alone",
        )
    return vote


def count_vote(
    portfolio: Portfolio, read: Participation, consultation: Consultation, seed: int, *, file: Path | None = None
) -> Count:
    """Read and count the ballots of one consultation, from its own file or another."""
    kinds = {row.id: row.kind for row in portfolio.territories}
    found = ballots.read(consultation, read.grades, file=file)
    return count(found, consultation, read.grades, read.rule, kinds, seed)


def _priorities(
    portfolio: Portfolio, read: Participation, votes: Sequence[Count], burdens: Sequence[Load]
) -> Priorities:
    """The last vote decides; without one, the founding document."""
    if not votes:
        return priorities.founding(read)
    dated = sorted(votes, key=lambda vote: str(vote.consultation.date or ""))
    return priorities.from_ballots(dated[-1], burdens, portfolio, read.rule)


def _side_by_side(
    portfolio: Portfolio, found: Priorities, votes: Sequence[Count], burdens: Sequence[Load]
) -> list[dict[str, Any]]:
    """Ballots and burden of each difficulty, next to each other."""
    places = {name: place for vote in votes[-1:] for place, name in enumerate(vote.ranking, start=1)}
    return [
        {
            "difficulty": row.id,
            "priority": row.id in found.difficulties,
            "place": places.get(row.id),
            "burdens": [load.as_dict() for load in burdens if load.difficulty == row.id],
            "trends": [asdict(trend) for trend in trends(portfolio, row)],
        }
        for row in portfolio.difficulties
    ]


def vote_data(vote: Count, portfolio: Portfolio, read: Participation) -> dict[str, Any]:
    """One vote as plain data: account, groups, certainty, set, disagreements, weights."""
    chosen, probability = vote.uncertainty.smallest_set()
    differences = priorities.differences(vote, portfolio, read.rule.top)
    return {
        "consultation": vote.consultation.model_dump(mode="json", exclude={"file", "separator", "encoding"}),
        "simulated": vote.simulated,
        "accounting": [dict(row) for row in vote.accounting],
        "ranking": list(vote.ranking),
        "groups": {
            name: {
                "ballots": group.ballots,
                "effective": round(group.effective, 1),
                "rows": priorities.table(group, vote),
            }
            for name, group in vote.groups.items()
        },
        "withheld": list(vote.withheld),
        "certainty": priorities.certainty(vote),
        "drawn": {"by": vote.uncertainty.by, "points": vote.uncertainty.points, "draws": len(vote.uncertainty.places)},
        "smallest_set": {"difficulties": list(chosen), "probability": probability},
        "guaranteed_by_approval": list(vote.guaranteed),
        "differences_fr": [fr for fr, _ in differences],
        "differences_en": [en for _, en in differences],
        "weights": _weights_data(vote),
    }


def _weights_data(vote: Count) -> Mapping[str, Any] | None:
    if vote.weights is None:
        return None
    found = vote.weights
    return {
        "effective": round(found.effective, _DIGITS),
        "trimmed": found.trimmed,
        "unplaced": found.unplaced,
        "gap": round(found.gap, _DIGITS),
        "largest": round(float(found.weights.max()), _DIGITS),
        "margins": {
            variable: {level: _shares(*shares) for level, shares in rows.items()}
            for variable, rows in found.margins.items()
        },
    }


def _shares(ballots_share: float, weighted: float, territory: float) -> dict[str, float]:
    shares = {"ballots": ballots_share, "weighted": weighted, "territory": territory}
    return {name: round(share, _DIGITS) for name, share in shares.items()}
