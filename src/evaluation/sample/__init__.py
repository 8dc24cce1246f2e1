"""From raw files to the analysis sample: readers, joins, canonical columns, row accounting, codebook.

`prepare(design)` makes a `Sample`; `write(sample)` and `read(evaluation_id)` keep it in data/processed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.sample.canonical import prepare
    from evaluation.sample.model import FlowStep, Sample, read, write

__all__ = ["FlowStep", "Sample", "prepare", "read", "write"]


def __getattr__(name: str) -> Any:
    """Loaded at the first use, because pandas takes longer to import than most commands take to run."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "canonical" if name == "prepare" else "model"
    return getattr(import_module(f"{__name__}.{home}"), name)
