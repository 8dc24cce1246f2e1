"""Stage diffusion: how much of the need each innovation covers."""

from evaluation.diffusion import coverage
from evaluation.pipeline.stages import Task
from evaluation.settings.portfolio import read_portfolio


def run(task: Task) -> str:
    """Write data/diffusion."""
    portfolio = read_portfolio()
    coverage.write(portfolio)
    return f"{len(portfolio.decision_innovations)} innovations"
