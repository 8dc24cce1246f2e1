"""Stage impact: samples to effects, checks and records, by one executed notebook an evaluation."""

import os
from functools import partial

from evaluation import store
from evaluation.pipeline import fingerprint, notebook, workers
from evaluation.pipeline.fingerprint import Inputs
from evaluation.pipeline.stages import Task, forget_others, in_words
from evaluation.settings.designs import Design
from evaluation.settings.params import read_design, read_params


def run(task: Task) -> str:
    """Execute the notebooks of the evaluations that are not fresh, several at a time, each in a process of its own."""
    params, shared = read_params(), fingerprint.shared_inputs("impact")
    folders = [store.path("data", "evidence", "estimated"), store.path("reports", "notebooks")]
    removed = sorted({name for folder in folders for name in forget_others(folder, params.evaluations)})
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    chosen = task.chosen(params.evaluations)
    stale = [name for name in chosen if why_stale(params.evaluations[name], params.seed, shared)]
    if stale:
        _ready_for_kernels()
    work = partial(make, seed=params.seed, shared=shared)
    workers.fan_out(work, stale, stage="impact", position=task.position, jobs=task.jobs, processes=False)
    return in_words(len(stale), len(chosen), removed)


def why_stale(design: Design, seed: int, shared: Inputs) -> tuple[str, ...]:
    """Why the results of an evaluation are not fresh; nothing if they are."""
    inputs = fingerprint.finding_inputs(design, seed, shared)
    return fingerprint.changes(fingerprint.evidence_folder(design.id), inputs)


def make(evaluation_id: str, seed: int, shared: Inputs) -> None:
    """Make the results of one evaluation; the fingerprint, taken before the work, is written last."""
    design = read_design(evaluation_id)
    inputs = fingerprint.finding_inputs(design, seed, shared)
    executed = fingerprint.executed_notebook(evaluation_id)
    notebook.run(fingerprint.method_notebook(design), evaluation_id, executed)
    fingerprint.write(fingerprint.evidence_folder(evaluation_id), inputs, also=[executed])


def _ready_for_kernels() -> None:
    """Kernels inherit this environment; the list of fonts is made once, here, or each kernel would make its own."""
    os.environ.update(notebook.kernel_environment())
    import matplotlib.font_manager  # noqa: F401
