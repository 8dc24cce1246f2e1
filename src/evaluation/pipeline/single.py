"""One estimate from a file that is not part of the project; nothing is written."""

from pathlib import Path

from evaluation import sample
from evaluation.evidence import record
from evaluation.impact import finding
from evaluation.settings.params import read_design_file


def estimate(data: Path, design_file: Path) -> record.Record:
    """The record of the effect that `design_file` asks for, in the data of `data`.

    Raises:
        EvaluationError: whatever is wrong with the design or the data.
    """
    design = read_design_file(design_file, data_file=data.name)
    made = sample.prepare(design, files=[data])
    return record.from_finding(finding.estimate(made, design), made, design, record.provenance(design, made))
