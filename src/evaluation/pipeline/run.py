"""The whole chain: everything by DVC, or some evaluations and what follows from them."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation import errors, store
from evaluation.errors import EvaluationError, InternalError, Problem, ProblemsError, SetupError
from evaluation.pipeline import fingerprint, stages, workers
from evaluation.pipeline.stages import impact, prepare
from evaluation.settings.params import read_design, read_params

JOBS = "EVALUATION_JOBS"
TOLD = "EVALUATION_TOLD"
"""Names the file in which a stage that DVC started says how it ended: DVC itself passes no exit code on."""
STARTER = "EVALUATION_STARTER"
"""The process that started DVC."""


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
            reasons=(
                *prepare.why_stale(design, shared["prepare"]),
                *impact.why_stale(design, params.seed, shared["impact"]),
            ),
        )
        for design in params.evaluations.values()
    ]


def run_for_dvc(stage: str) -> None:
    """Run one stage and leave word of how it ended, if `run` is waiting for it.

    Raises:
        EvaluationError: whatever the stage found wrong, if nobody is waiting for word.
        SystemExit: the same, if somebody is; its code is the error's.
    """
    follow_parent()
    jobs = os.environ.get(JOBS)
    try:
        stages.run_stage(stage, jobs=int(jobs) if jobs else None)
    except EvaluationError as error:
        _leave_word(stage, error)
    except Exception as error:  # a mistake of ours, told like any other error
        _leave_word(stage, workers.unforeseen(error, stage))
    else:
        _leave_word(stage, None)


def follow_parent() -> None:
    """End this stage when the run it belongs to is killed, so that the next run does not find it still working.

    What it was doing is lost, nothing else: results take their place only when they are complete.
    """
    if sys.platform == "win32":
        return
    starter = int(os.environ.get(STARTER, os.getppid()))
    threading.Thread(target=_end_with, args=(starter, os.getppid()), daemon=True).start()


def _leave_word(stage: str, error: EvaluationError | None) -> None:
    file = os.environ.get(TOLD)
    if file:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"stage": stage, "error": None if error is None else _as_data(error)}) + "\n")
    if error is not None:
        raise SystemExit(error.exit_code) if file else error


def _end_with(starter: int, parent: int) -> None:
    while os.getppid() == parent and _lives(starter):
        time.sleep(0.5)
    os._exit(InternalError.exit_code)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _run_some(chosen: list[str], jobs: int | None, *, internal: bool) -> list[str]:
    """Without DVC, whose stages know all evaluations or none; it finds fresh results at its next run."""
    for stage in stages.STAGES:
        stages.run_stage(stage, jobs=jobs, only=chosen, internal=internal)
    return [*stages.STAGES]


def _run_all(jobs: int | None, *, internal: bool) -> list[str]:
    """By DVC. A report for internal use is written beside it, because DVC would take it for the public one."""
    if not internal:
        return _repro(jobs, [])
    ran = _repro(jobs, [name for name in stages.STAGES if name != "report"])
    stages.run_stage("report", jobs=jobs, internal=True)
    return [*ran, "report"]


def _repro(jobs: int | None, targets: list[str]) -> list[str]:
    """`dvc repro`; what its stages say ends up on stderr, how they end in a file."""
    told = store.path("tmp", "run", f"{os.getpid()}.jsonl")
    store.write_text(told, "")
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "dvc", "repro", *targets],
            cwd=store.root(),
            env=_environment(told, jobs),
            stdout=subprocess.DEVNULL,
            check=False,
        )
        said = [json.loads(line) for line in store.read_text(told).splitlines()]
    finally:
        told.unlink(missing_ok=True)
    failed = [line["error"] for line in said if line["error"]]
    if failed:
        raise _from_data(failed[0])
    if ended.returncode:
        raise SetupError(
            code="E-PIPE-009",
            what="DVC could not run the pipeline.",
            where=str(store.path("dvc.yaml")),
            found=f"its exit code {ended.returncode}; its own words stand above",
            expected="a git repository with .dvc, and no other `dvc` command at work in it",
            fix="`evaluation doctor` looks for the usual reasons",
        )
    return [line["stage"] for line in said]


def _environment(told: Path, jobs: int | None) -> dict[str, str]:
    """Our environment, with the scripts of this Python first: DVC starts stages by their name."""
    scripts = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
        "DVC_NO_ANALYTICS": "1",
        TOLD: str(told),
        STARTER: str(os.getpid()),
        **({JOBS: str(jobs)} if jobs else {}),
    }


def _as_data(error: EvaluationError) -> dict[str, Any]:
    return {**error.as_dict(), "kind": type(error).__name__}


def _from_data(data: Mapping[str, Any]) -> EvaluationError:
    """The error that `_as_data` wrote."""
    kind = getattr(errors, data["kind"])
    if kind is ProblemsError:
        return ProblemsError([Problem(**problem) for problem in data["problems"]], code=data["code"], what=data["what"])
    names = ("code", "what", "where", "found", "expected", "fix")
    return kind(**{name: data[name] for name in names})  # type: ignore[no-any-return]
