"""Stage needs: who is concerned, where."""

from evaluation.needs import burden
from evaluation.pipeline.stages import Task
from evaluation.settings.portfolio import read_portfolio


def run(task: Task) -> str:
    """Write data/needs."""
    portfolio = read_portfolio()
    burden.write(portfolio)
    return f"{len(portfolio.difficulties)} difficulties"
