"""Stage selection: what to decide, what would change it, and what follows for money and studies."""

from collections import Counter

from evaluation import store
from evaluation.diffusion.coverage import coverage
from evaluation.evidence import programme, record, transfer
from evaluation.pipeline.stages import Task
from evaluation.selection import decisions, results
from evaluation.selection.relevance import asked
from evaluation.settings.finance import read_finance
from evaluation.settings.params import read_params
from evaluation.settings.participation import read_participation
from evaluation.settings.portfolio import read_portfolio


def run(task: Task) -> str:
    """Write data/selection."""
    grades = store.read_json(store.path("data", "evidence", "grades.json"))
    synthesis = store.read_json(store.path("data", "evidence", "synthesis.json"))
    priorities = store.read_json(store.path("data", "needs", "priorities.json"))
    params, portfolio = read_params(), read_portfolio()
    said, rows = asked(priorities, read_participation(portfolio)), coverage(portfolio)
    decided = decisions.decide(
        portfolio,
        record.read_all(),
        grades,
        rows,
        params.selection,
        synthesis=params.synthesis,
        programmes=programme.read(),
        letters=transfer.read(),
        said=said,
        seed=params.seed,
    )
    decisions.write(decided)
    results.write(decided, portfolio, params, rows, read_finance(), said, synthesis)
    counts = Counter(each.decision for each in decided.decisions)
    return ", ".join(f"{count} {decision}" for decision, count in sorted(counts.items()))
