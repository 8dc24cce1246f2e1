"""Stage needs: who is concerned, where, and which difficulties come first."""

from evaluation.needs import burden, results
from evaluation.pipeline.stages import Task
from evaluation.settings.params import read_params
from evaluation.settings.portfolio import read_portfolio


def run(task: Task) -> str:
    """Write data/needs."""
    portfolio = read_portfolio()
    burden.write(portfolio)
    results.write(portfolio, read_params().seed)
    return f"{len(portfolio.difficulties)} difficulties"
