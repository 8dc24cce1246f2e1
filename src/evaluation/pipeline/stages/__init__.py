"""The stages of dvc.yaml: one module each, with one function `run(task)` that returns what it did, in a few words."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.pipeline import progress

STAGES: Final = MappingProxyType(
    {
        "prepare": "raw files to one analysis sample an evaluation",
        "impact": "samples to effects, checks and records, one executed notebook an evaluation",
        "needs": "who is concerned, where",
        "evidence": "published records, a grade for every record",
        "diffusion": "how much of the need is covered",
        "selection": "what to decide, and what would change it",
        "report": "pages in every language of params.yaml",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How one stage is run.

    Attributes:
        position: its place among all stages, such as "2/7".
        jobs: how many evaluations at a time.
        only: ids to do; all of params.yaml if empty.
        internal: True for a report that is not to be published.
    """

    position: str
    jobs: int
    only: tuple[str, ...] = ()
    internal: bool = False

    def chosen(self, evaluation_ids: Iterable[str]) -> list[str]:
        """The ids to do, in the order of params.yaml."""
        return [name for name in evaluation_ids if not self.only or name in self.only]


def run_stage(name: str, *, jobs: int | None = None, only: Iterable[str] = (), internal: bool = False) -> str:
    """Run one stage, alone among all runs of this project.

    Args:
        name: one of STAGES.
        jobs: how many evaluations at a time; by default as many as there are processors.
        only: ids to do; all of params.yaml if empty.
        internal: True for a report that is not to be published.

    Returns:
        What was done, in a few words.

    Raises:
        ParametersError: there is no such stage.
        SetupError: another run of this project is in the middle of a stage.
        EvaluationError: whatever the stage found wrong.
    """
    if name not in STAGES:
        raise ParametersError(
            code="E-PIPE-008",
            what="There is no stage of this name.",
            found=repr(name),
            expected=f"one of {', '.join(STAGES)}",
            fix="dvc.yaml lists the stages",
        )
    task = Task(
        position=f"{[*STAGES].index(name) + 1}/{len(STAGES)}",
        jobs=jobs or os.cpu_count() or 1,
        only=tuple(only),
        internal=internal,
    )
    _settle()
    with store.lock("stage"):
        did = import_module(f"{__name__}.{name}").run(task)
    progress.tell(task.position, name, did)
    return str(did)


def forget_others(folder: Path, evaluation_ids: Iterable[str]) -> list[str]:
    """Remove what stands in `folder` for ids that params.yaml no longer has.

    Args:
        folder: with one folder or one notebook an evaluation.
        evaluation_ids: those to keep.

    Returns:
        The ids that were removed, sorted.
    """
    kept = set(evaluation_ids)
    strays = sorted(place for place in folder.glob("*") if place.stem not in kept) if folder.is_dir() else []
    for stray in strays:
        shutil.rmtree(stray) if stray.is_dir() else stray.unlink()
    return [stray.stem for stray in strays]


def in_words(done: int, total: int, removed: list[str]) -> str:
    """Such as '2 done, 9 fresh' or '0 done, 10 fresh, removed old-one (no longer in params.yaml)'."""
    gone = f", removed {', '.join(removed)} (no longer in params.yaml)" if removed else ""
    return f"{done} done, {total - done} fresh{gone}"


def _settle() -> None:
    """Work in the project's folder, with one thread a process: more would change the last digits of sums."""
    os.environ["EVALUATION_ROOT"] = str(store.root())
    os.chdir(store.root())
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ[name] = "1"
