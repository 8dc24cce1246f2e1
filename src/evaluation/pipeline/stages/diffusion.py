"""Stage diffusion: how much of the need each innovation covers, how it spread, and what spreading it would take."""

from evaluation.diffusion import coverage, results
from evaluation.pipeline.stages import Task
from evaluation.settings.diffusion import read_diffusion
from evaluation.settings.params import read_params
from evaluation.settings.portfolio import read_portfolio


def run(task: Task) -> str:
    """Write data/diffusion."""
    portfolio, params = read_portfolio(), read_params()
    facts = read_diffusion(portfolio)
    coverage.write(portfolio)
    results.write(portfolio, facts, params.diffusion, params.seed)
    return f"{len(portfolio.decision_innovations)} innovations, {len(facts.series)} series"
