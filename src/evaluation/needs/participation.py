"""The register of participation and the operators' right of reply, as reports show them; what was not done is said."""

from typing import Any

from evaluation.settings.participation import PHASES, Participation, Reply, Step
from evaluation.settings.portfolio import Portfolio


def register(participation: Participation) -> list[dict[str, Any]]:
    """Every step, phase by phase, in the order of the file; a phase without any step says so itself."""
    rows = []
    for phase in PHASES:
        steps = [step for step in participation.steps if step.phase == phase]
        rows += [_step(step) for step in steps] or [_empty(phase)]
    return rows


def replies(participation: Participation, portfolio: Portfolio) -> list[dict[str, Any]]:
    """One row for each innovation in France that has an operator: its reply, or that it was not yet invited."""
    given = {reply.innovation: reply for reply in participation.replies}
    others = [row for row in portfolio.decision_innovations if row.in_france and not row.family and row.id not in given]
    return [
        *(_reply(reply) for reply in participation.replies),
        *({"innovation": row.id, "operator": row.operator or "", "status": "not_invited"} for row in others),
    ]


def _step(step: Step) -> dict[str, Any]:
    return step.model_dump(mode="json")


def _empty(phase: str) -> dict[str, Any]:
    return {
        "id": f"{phase.replace('_', '-')}-none",
        "phase": phase,
        "status": "not_held",
        "date": None,
        "concerns": {},
        "who_fr": "Personne n’a encore été associé.",
        "who_en": "Nobody has taken part yet.",
        "people": None,
        "recruited_fr": "",
        "recruited_en": "",
        "said_fr": "",
        "said_en": "",
        "smallest_effect": None,
        "source_address": "",
        "simulated": False,
    }


def _reply(reply: Reply) -> dict[str, Any]:
    return reply.model_dump(mode="json")
