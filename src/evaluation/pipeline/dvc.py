"""DVC, from both sides: `repro` starts it, `run_stage` is what it starts.

DVC passes neither exit codes nor errors of its stages on, so each stage leaves word in a file of the run that waits.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evaluation import errors, store
from evaluation.errors import EvaluationError, InternalError, Problem, ProblemsError, SetupError
from evaluation.pipeline import stages, workers

JOBS = "EVALUATION_JOBS"
TOLD = "EVALUATION_TOLD"
"""Names the file in which stages leave word of how they ended."""
STARTER = "EVALUATION_STARTER"
"""Number of the process that started DVC."""


def repro(targets: Sequence[str] = (), *, jobs: int | None = None) -> list[str]:
    """Run `dvc repro`; what its stages say ends up on stderr.

    Args:
        targets: stages to bring up to date, with those before them; all if empty.
        jobs: how many evaluations at a time.

    Returns:
        Names of the stages that ran.

    Raises:
        EvaluationError: what a stage found wrong.
        SetupError: DVC could not work.
    """
    _forget_the_dead()
    with _waiting_for_word() as told:
        command = [sys.executable, "-m", "dvc", "repro", *targets]
        environment = _environment(told, jobs)
        ended = subprocess.run(command, cwd=store.root(), env=environment, stdout=subprocess.DEVNULL, check=False)
        said = [json.loads(line) for line in store.read_text(told).splitlines()]
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


def changed() -> dict[str, list[str]]:
    """What changed since the last whole run: file or parameter -> stages that use it or made it, in their order.

    Raises:
        SetupError: DVC could not work.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    ended = subprocess.run(command, cwd=store.root(), env=_environment(), capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SetupError(
            code="E-PIPE-010",
            what="DVC could not say what changed.",
            where=str(store.path("dvc.yaml")),
            found=ended.stderr.strip(),
            expected="a git repository with .dvc, and no other `dvc` command at work in it",
            fix="`evaluation doctor` looks for the usual reasons",
        )
    found: dict[str, list[str]] = {}
    told = json.loads(ended.stdout)
    for stage in stages.STAGES:
        for name in _changed_names(told.get(stage, [])):
            found.setdefault(name, []).append(stage)
    return found


def run_stage(stage: str) -> None:
    """Run one stage and leave word of how it ended, if `repro` is waiting for it.

    Raises:
        EvaluationError: whatever the stage found wrong, if nobody is waiting for word.
        SystemExit: the same, if somebody is; its code is the error's.
    """
    _follow_parent()
    jobs = os.environ.get(JOBS)
    try:
        stages.run_stage(stage, jobs=int(jobs) if jobs else None)
    except EvaluationError as error:
        _leave_word(stage, error)
    except Exception as error:  # a mistake of ours, told like any other error
        _leave_word(stage, workers.unforeseen(error, stage))
    else:
        _leave_word(stage, None)


def _changed_names(told: Iterable[Any]) -> Iterator[str]:
    """Names in what `dvc status` says of a stage: a list of 'changed command' or {'changed deps': {file: how}}."""
    for item in told:
        if isinstance(item, str):
            yield f"dvc.yaml ({item})"
        else:
            for name, how in next(iter(item.values())).items():
                yield from [name] if isinstance(how, str) else [f"{name} {key}" for key in how]


# starting DVC --------------------------------------------------------------------------------------------------------


@contextmanager
def _waiting_for_word() -> Iterator[Path]:
    told = store.path("tmp", "run", f"{os.getpid()}.jsonl")
    store.write_text(told, "")
    try:
        yield told
    finally:
        told.unlink(missing_ok=True)


def _environment(told: Path | None = None, jobs: int | None = None) -> dict[str, str]:
    """Our environment, with the scripts of this Python first: DVC starts stages by their name."""
    scripts = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
        "DVC_NO_ANALYTICS": "1",
        **({TOLD: str(told), STARTER: str(os.getpid())} if told else {}),
        **({JOBS: str(jobs)} if jobs else {}),
    }


def _forget_the_dead() -> None:
    """Remove what killed processes left in DVC's table of who uses which file.

    DVC does so itself, but takes a dead process that nobody has collected for a living one, and a table that was cut in
    the middle for a reason to stop for good.
    """
    table = store.path(".dvc", "tmp", "rwlock")
    if not table.is_file():
        return
    try:
        used = json.loads(store.read_text(table))
    except ValueError:
        table.unlink()
        return
    writers = {file: user for file, user in used.get("write", {}).items() if _is_at_work(user)}
    readers = {file: [user for user in users if _is_at_work(user)] for file, users in used.get("read", {}).items()}
    store.write_text(
        table, json.dumps({"write": writers, "read": {file: users for file, users in readers.items() if users}})
    )


def _is_at_work(user: Mapping[str, Any]) -> bool:
    """Whether the process lives and is DVC's: numbers of processes are used again."""
    import psutil

    try:
        process = psutil.Process(user["pid"])
        return process.status() != psutil.STATUS_ZOMBIE and "dvc" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


# being started by DVC ------------------------------------------------------------------------------------------------


def _follow_parent() -> None:
    """End this stage when the run it belongs to is killed, so that the next run does not find it still working.

    What it was doing is lost, nothing else: results take their place only when they are complete.
    """
    if sys.platform == "win32":
        return
    starter = int(os.environ.get(STARTER, os.getppid()))
    threading.Thread(target=_end_with, args=(starter, os.getppid()), daemon=True).start()


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


def _leave_word(stage: str, error: EvaluationError | None) -> None:
    file = os.environ.get(TOLD)
    if file:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"stage": stage, "error": None if error is None else _as_data(error)}) + "\n")
    if error is not None:
        raise SystemExit(error.exit_code) if file else error


def _as_data(error: EvaluationError) -> dict[str, Any]:
    return {**error.as_dict(), "kind": type(error).__name__}


def _from_data(data: Mapping[str, Any]) -> EvaluationError:
    """The error that `_as_data` wrote."""
    kind = getattr(errors, data["kind"])
    if kind is ProblemsError:
        return ProblemsError([Problem(**problem) for problem in data["problems"]], code=data["code"], what=data["what"])
    names = ("code", "what", "where", "found", "expected", "fix")
    return kind(**{name: data[name] for name in names})  # type: ignore[no-any-return]
