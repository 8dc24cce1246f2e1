"""Stage selection: what to decide, and what would change it."""

from collections import Counter

from evaluation import store
from evaluation.evidence import record
from evaluation.pipeline.stages import Task
from evaluation.selection import decisions
from evaluation.settings.params import read_params
from evaluation.settings.portfolio import read_portfolio


def run(task: Task) -> str:
    """Write data/selection."""
    grades = store.read_json(store.path("data", "evidence", "grades.json"))
    params = read_params()
    written = decisions.write(
        read_portfolio(),
        record.read_all(),
        grades,
        params.selection,
        synthesis=params.synthesis,
        seed=params.seed,
    )
    decided = Counter(row["decision"] for row in store.read_json(written))
    return ", ".join(f"{count} {decision}" for decision, count in sorted(decided.items()))
