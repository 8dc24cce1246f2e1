"""Everything that the stage selection writes beside the decisions: staged funding, the funnel, the what-if grid."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation import store
from evaluation.diffusion.coverage import Coverage
from evaluation.selection import finance, funnel, intake, intake_fields, what_if
from evaluation.selection.decisions import Decided
from evaluation.selection.relevance import Asked
from evaluation.settings.finance import Finance
from evaluation.settings.params import Params
from evaluation.settings.portfolio import Portfolio


def write(
    decided: Decided,
    portfolio: Portfolio,
    params: Params,
    rows: Sequence[Coverage],
    instruments: Finance,
    said: Asked,
    synthesis: Mapping[str, Any],
) -> None:
    """Write finance.json, funnel.json and what_if.json in data/selection.

    Args:
        decided: all decisions.
        portfolio: what is known.
        params: policies.
        rows: of coverage.
        instruments: the finance map.
        said: what people said of needs.
        synthesis: content of data/evidence/synthesis.json, for what proposals resemble.
    """
    assert params.selection is not None  # noqa: S101 decisions were made with it
    board = what_if.board(decided.local, portfolio, params.selection, said.difficulties)
    _write("finance", staged(decided, instruments))
    _write("funnel", funnels(decided, portfolio, params, rows, synthesis))
    _write("what_if", what_if.as_dict(board))


def staged(decided: Decided, instruments: Finance) -> dict[str, Any]:
    """The map, and the tranches of each innovation."""
    plans = [
        finance.plan(
            each.innovation,
            each.decision,
            {"transition": each.to_extend, "scale": each.to_scale},
            each.review_date,
            instruments,
        )
        for each in decided.decisions
    ]
    return {
        "instruments": instruments.model_dump(mode="json")["instruments"],
        "plans": [each.as_dict() for each in plans],
    }


def funnels(
    decided: Decided, portfolio: Portfolio, params: Params, rows: Sequence[Coverage], synthesis: Mapping[str, Any]
) -> dict[str, Any]:
    """Both funnels, and the proposals with their triage."""
    assert params.selection is not None  # noqa: S101 decisions were made with it
    share = params.diffusion.massive.share if params.diffusion else 1.0
    received = intake.kept(intake_fields.options(portfolio))
    triaged: tuple[intake.Triaged, ...] = ()
    if received and params.synthesis is not None:
        beliefs = intake.beliefs_of(synthesis)
        triaged = intake.triage(received, portfolio, beliefs, params.selection, params.synthesis)
    proposed = funnel.of_proposals(triaged, decided.decisions, rows, share)
    return {
        "share": share,
        "proposals": funnel.funnel(proposed).as_dict(),
        "portfolio": funnel.funnel(funnel.of_portfolio(decided.decisions, rows, share)).as_dict(),
        "triage": [each.as_dict() for each in triaged],
    }


def _write(name: str, content: Any) -> None:
    store.write_json(store.path("data", "selection", f"{name}.json"), content)
