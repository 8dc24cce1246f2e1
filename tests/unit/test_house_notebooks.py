"""Pipeline notebooks are thin: they read like the methods section, hold no logic, and are kept without outputs."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

SECTIONS = [
    "Question and design",
    "Who is compared with whom",
    "Effects",
    "Is it credible?",
    "What was saved",
]
METHODS = [
    "did",
    "discontinuity",
    "experiment",
    "instrument",
    "matching",
    "synthetic_control",
    "uncontrolled",
    "weighting",
]
NOT_THIN = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.While,
    ast.If,
    ast.IfExp,
    ast.Try,
    ast.With,
    ast.Compare,
)
SHOWS_UNITS = re.compile(r"\.(?:head|tail|sample|query|merge)\(|\.(?:frame|iloc|influence|units)\b")


def notebooks(repository: Path) -> list[Path]:
    return sorted((repository / "notebooks").glob("*.ipynb"))


def cells(file: Path, kind: str) -> list[dict]:
    return [cell for cell in json.loads(file.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def text(cell: dict) -> str:
    return "".join(cell["source"])


def tree(file: Path) -> list[ast.AST]:
    return [node for cell in cells(file, "code") for node in ast.walk(ast.parse(text(cell)))]


def test_there_is_one_notebook_a_method(repository):
    from evaluation.settings.designs import DESIGNS

    assert sorted(DESIGNS) == METHODS
    assert [file.stem for file in notebooks(repository) if file.stem in METHODS] == METHODS


def test_notebooks_are_kept_without_outputs_and_counters(repository):
    kept = [
        (file.name, place)
        for file in notebooks(repository)
        for place, cell in enumerate(cells(file, "code"))
        if cell["outputs"] or cell["execution_count"] is not None
    ]
    assert kept == [], "restore them: .venv/bin/jupyter nbconvert --clear-output --inplace notebooks/*.ipynb"


def test_notebooks_are_valid_with_ids_that_do_not_change(repository):
    for file in notebooks(repository):
        book = json.loads(file.read_text(encoding="utf-8"))
        nbformat.validate(book)
        assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
        assert [cell["id"] for cell in book["cells"]] == [f"cell-{place:02d}" for place in range(len(book["cells"]))]
        assert set(book["metadata"]) <= {"kernelspec", "language_info"}


def test_notebooks_hold_no_logic(repository):
    logic = [
        (file.name, type(node).__name__)
        for file in notebooks(repository)
        for node in tree(file)
        if isinstance(node, NOT_THIN)
    ]
    assert logic == []


def test_notebooks_name_no_threshold(repository):
    """Numbers that judge stand in params.yaml. The only constants are text and those of display."""
    numbers = [
        (file.name, node.value)
        for file in notebooks(repository)
        for node in tree(file)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)
    ]
    assert numbers == []


def test_notebooks_show_no_row_of_a_unit(repository):
    shown = [
        (file.name, hit)
        for file in notebooks(repository)
        for cell in cells(file, "code")
        for hit in SHOWS_UNITS.findall(text(cell))
    ]
    assert shown == []


def test_notebooks_stay_short(repository):
    assert [file.name for file in notebooks(repository) if len(json.loads(file.read_text())["cells"]) > 15] == []
    assert [
        file.name
        for file in notebooks(repository)
        if sum(text(cell).count("\n") + 1 for cell in cells(file, "code")) > 45
    ] == []


@pytest.mark.parametrize("method", METHODS)
def test_readers_find_the_same_sections_in_every_method(method, repository):
    titles = [text(cell) for cell in cells(repository / "notebooks" / f"{method}.ipynb", "markdown")]
    assert [line[3:] for title in titles for line in title.splitlines() if line.startswith("## ")] == SECTIONS


@pytest.mark.parametrize("method", METHODS)
def test_methods_take_one_parameter(method, repository):
    from evaluation.pipeline import notebook

    file = repository / "notebooks" / f"{method}.ipynb"
    tagged = [text(cell) for cell in cells(file, "code") if "parameters" in cell["metadata"].get("tags", [])]
    assert [source.split(" = ")[0] for source in tagged] == ["evaluation_id"]
    notebook.check_parameters(file)


@pytest.mark.parametrize("method", METHODS)
def test_the_default_parameter_is_an_evaluation_of_that_method(method, repository):
    from evaluation.settings.params import read_design

    tagged = [
        cell
        for cell in cells(repository / "notebooks" / f"{method}.ipynb", "code")
        if "parameters" in cell["metadata"].get("tags", [])
    ]
    default = ast.literal_eval(ast.parse(text(tagged[0])).body[0].value)
    assert read_design(default, repository).method == method


@pytest.mark.parametrize("method", METHODS)
def test_the_first_thing_shown_is_the_design_and_the_last_thing_done_is_writing_the_record(method, repository):
    code = [text(cell) for cell in cells(repository / "notebooks" / f"{method}.ipynb", "code")]
    assert code[1].splitlines()[-1].startswith("pd.Series(design.parameters()")
    assert "record.write(" in code[-1]
