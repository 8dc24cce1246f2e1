"""Evaluations side by side: each in a process of its own, one that fails does not stop the others."""

import traceback
from collections.abc import Callable, Iterator, Sequence

from evaluation.errors import KEPT, EvaluationError, InternalError, ParametersError, ProblemsError, SetupError
from evaluation.pipeline import progress

Work = Callable[[str], None]


def fan_out(
    work: Work, evaluation_ids: Sequence[str], *, stage: str, position: str, jobs: int, processes: bool
) -> None:
    """Do `work` for every evaluation, several at a time, to the end, then raise what went wrong.

    Args:
        work: takes an id; a function of a module, so that it can be sent to another process.
        evaluation_ids: whom to do.
        stage: name of the stage, for progress and log.
        position: its place among all stages.
        jobs: how many at a time.
        processes: True to start worker processes; False where `work` itself starts one, such as a notebook's kernel.

    Raises:
        EvaluationError: the error of the one that failed, or a summary with the class of the first if several failed.
    """
    if not evaluation_ids:
        return
    failures: dict[str, EvaluationError] = {}
    with progress.Progress(position, stage, len(evaluation_ids)) as told:
        for evaluation_id, error in _attempts(work, evaluation_ids, jobs, processes):
            told.done(evaluation_id, str(error).splitlines()[0] if error else "")
            if error:
                failures[evaluation_id] = error
                progress.log(stage, f"{evaluation_id}\n{error}")
    if failures:
        raise _summary([(name, failures[name]) for name in evaluation_ids if name in failures], len(evaluation_ids))


def unforeseen(error: Exception, name: str) -> InternalError:
    """What people are told of an exception that is not ours; all of it goes to the log of this name."""
    file = progress.log(name, "".join(traceback.format_exception(error)))
    return InternalError(
        code="E-PIPE-006",
        what="Something failed in a way that nobody foresaw.",
        where=name,
        found=f"{type(error).__name__}: {error}",
        expected="a result, or an error that says what to do",
        fix=f"please report this with {file}",
    )


def _attempts(
    work: Work, evaluation_ids: Sequence[str], jobs: int, processes: bool
) -> Iterator[tuple[str, EvaluationError | None]]:
    """Pairs of an id and what went wrong, in the order in which they end."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    tasks = [delayed(_attempt)(work, evaluation_id) for evaluation_id in evaluation_ids]
    backend = "loky" if processes else "threading"
    try:
        yield from Parallel(min(jobs, len(tasks)), backend=backend, return_as="generator_unordered")(tasks)
    except TerminatedWorkerError as error:
        raise SetupError(
            code="E-PIPE-005",
            what="A worker process was killed, probably because memory ran out.",
            where=f"one of {', '.join(evaluation_ids)}",
            found=str(error).splitlines()[0],
            expected="enough memory for all workers",
            fix="run with --jobs 1; what was finished is kept",
        ) from error


def _attempt(work: Work, evaluation_id: str) -> tuple[str, EvaluationError | None]:
    try:
        work(evaluation_id)
    except EvaluationError as error:
        return evaluation_id, error
    except Exception as error:  # whatever it is, the other evaluations go on
        return evaluation_id, unforeseen(error, evaluation_id)
    return evaluation_id, None


def _summary(failures: Sequence[tuple[str, EvaluationError]], total: int) -> EvaluationError:
    """One error for all: itself if there is one only, otherwise of the class of the first."""
    first = failures[0][1]
    if len(failures) == 1:
        return first
    kind = ParametersError if isinstance(first, ProblemsError) else type(first)
    told = "\n".join(
        f"-- {evaluation_id}: {str(error).removesuffix(KEPT).rstrip()}" for evaluation_id, error in failures
    )
    return kind(
        code="E-PIPE-007",
        what=f"{len(failures)} of {total} evaluations failed; the others are finished.",
        where=", ".join(evaluation_id for evaluation_id, _ in failures),
        found=f"\n{told}",
        fix="mend them one by one: `evaluation run ID` runs one evaluation alone",
    )
