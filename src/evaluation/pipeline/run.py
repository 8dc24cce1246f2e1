"""The whole chain: everything by DVC, or some evaluations and what follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from evaluation import store
from evaluation.pipeline import dvc, fingerprint, stages
from evaluation.pipeline.stages import impact, prepare
from evaluation.settings.params import read_design, read_params


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Whether the results of one evaluation are fresh.

    Attributes:
        evaluation_id: its id.
        method: its method.
        reasons: why they are not; nothing if they are.
    """

    evaluation_id: str
    method: str
    reasons: tuple[str, ...]


def run(only: Iterable[str] = (), *, jobs: int | None = None, internal: bool = False) -> list[str]:
    """Run what is not fresh.

    Args:
        only: evaluations to run, with what follows from them; everything if empty.
        jobs: how many evaluations at a time; by default as many as there are processors.
        internal: True for a report that is not to be published.

    Returns:
        Names of the stages that ran.

    Raises:
        SetupError: another run of this project is going on, or DVC could not work.
        EvaluationError: whatever a stage found wrong.
    """
    chosen = [read_design(name).id for name in only]
    with store.lock("run"):
        if chosen:
            return _run_some(chosen, jobs, internal=internal)
        return _run_all(jobs, internal=internal)


def states() -> list[State]:
    """Whether the results of every evaluation are fresh, in the order of params.yaml."""
    params = read_params()
    shared = {stage: fingerprint.shared_inputs(stage) for stage in ("prepare", "impact")}
    return [
        State(
            evaluation_id=design.id,
            method=design.method,
            reasons=_once(
                prepare.why_stale(design, shared["prepare"]), impact.why_stale(design, params.seed, shared["impact"])
            ),
        )
        for design in params.evaluations.values()
    ]


def _once(*reasons: Iterable[str]) -> tuple[str, ...]:
    """In order, each once: a changed parameter makes both stages stale for the same reason."""
    return tuple(dict.fromkeys(chain.from_iterable(reasons)))


def _run_some(chosen: list[str], jobs: int | None, *, internal: bool) -> list[str]:
    """Without DVC, whose stages know all evaluations or none; it finds fresh results at its next run."""
    for stage in stages.STAGES:
        stages.run_stage(stage, jobs=jobs, only=chosen, internal=internal)
    return [*stages.STAGES]


def _run_all(jobs: int | None, *, internal: bool) -> list[str]:
    """By DVC. A report for internal use is written beside it, because DVC would take it for the public one."""
    if not internal:
        return dvc.repro(jobs=jobs)
    ran = dvc.repro([name for name in stages.STAGES if name != "report"], jobs=jobs)
    stages.run_stage("report", jobs=jobs, internal=True)
    return [*ran, "report"]
