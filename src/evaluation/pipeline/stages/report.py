"""Stage report: pages in every language of params.yaml."""

from typing import Final

from evaluation import store
from evaluation.pipeline.stages import Task
from evaluation.report import pages
from evaluation.settings.params import read_params

LANGUAGES: Final = ("fr", "en")


def run(task: Task) -> str:
    """Write the pages; the folder of a language that params.yaml leaves out becomes empty, as DVC expects a folder."""
    languages = read_params().languages
    files = pages.build(languages=languages, internal=task.internal)
    for left_out in sorted({*LANGUAGES} - {*languages}):
        with store.staged(store.path("reports", left_out)):
            pass
    return f"{len(files)} files"
