"""Stage prepare: raw files or package tables to one analysis sample an evaluation."""

from functools import partial

from evaluation import sample, store
from evaluation.pipeline import fingerprint, workers
from evaluation.pipeline.fingerprint import Inputs
from evaluation.pipeline.stages import Task, forget_others, in_words
from evaluation.settings.designs import Design
from evaluation.settings.params import read_design, read_params


def run(task: Task) -> str:
    """Make the samples that are not fresh, several at a time."""
    params, shared = read_params(), fingerprint.shared_inputs("prepare")
    folder = store.path("data", "processed")
    removed = forget_others(folder, params.evaluations)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = task.chosen(params.evaluations)
    stale = [name for name in chosen if why_stale(params.evaluations[name], shared)]
    work = partial(make, shared=shared)
    workers.fan_out(work, stale, stage="prepare", position=task.position, jobs=task.jobs, processes=True)
    return in_words(len(stale), len(chosen), removed)


def why_stale(design: Design, shared: Inputs) -> tuple[str, ...]:
    """Why the sample of an evaluation is not fresh; nothing if it is."""
    return fingerprint.changes(fingerprint.sample_folder(design.id), fingerprint.sample_inputs(design, shared))


def make(evaluation_id: str, shared: Inputs) -> None:
    """Make one sample; the fingerprint, taken before the work, is written last."""
    design = read_design(evaluation_id)
    inputs = fingerprint.sample_inputs(design, shared)
    sample.write(sample.prepare(design))
    fingerprint.write(fingerprint.sample_folder(evaluation_id), inputs)
