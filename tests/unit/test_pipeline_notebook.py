"""Notebooks: what is refused before launch, what comes out, what a failing cell leaves behind."""

import json
from pathlib import Path

import nbformat
import pytest

from evaluation import store
from evaluation.errors import DataError, InternalError, ParametersError, ProblemsError
from evaluation.pipeline import notebook

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

PARAMETERS = 'evaluation_id = "none"'


def write(root: Path, *cells: str, parameters: str | None = PARAMETERS, tags=("parameters",)) -> Path:
    """A notebook in the project: the parameters cell, then the cells given."""
    book = nbformat.v4.new_notebook()
    if parameters is not None:
        book.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": list(tags)}))
    book.cells += [nbformat.v4.new_code_cell(text) for text in cells]
    file = root / "notebooks" / "method.ipynb"
    store.write_text(file, nbformat.writes(book))
    return file


@pytest.fixture
def root(project, monkeypatch) -> Path:
    root = project()
    monkeypatch.chdir(root)
    for name, value in notebook.kernel_environment().items():
        monkeypatch.setenv(name, value)
    return root


def test_a_notebook_without_a_parameters_cell_is_refused(root):
    with pytest.raises(ParametersError, match="E-PIPE-001"):
        notebook.check_parameters(write(root, "1", parameters=None))


def test_a_parameters_cell_without_its_tag_is_refused(root):
    with pytest.raises(ParametersError, match="E-PIPE-001"):
        notebook.check_parameters(write(root, "1", tags=("parameter",)))


@pytest.mark.parametrize(
    "text",
    [
        "evaluation = 'none'",
        "evaluation_id = 'none'\nalpha = 0.05",
        "evaluation_id = open('secret').read()",
        "import os\nevaluation_id = 'none'",
        "pass",
    ],
)
def test_a_notebook_takes_exactly_one_constant_parameter(root, text):
    with pytest.raises(ParametersError, match="E-PIPE-002"):
        notebook.check_parameters(write(root, parameters=text))


def test_two_runs_give_the_same_bytes_and_the_id_arrives(root):
    source = write(root, "import sys\nprint(evaluation_id)\nprint('a warning', file=sys.stderr)\nobject()")
    texts = []
    for _ in range(2):
        notebook.run(source, "small-classes", root / "reports" / "notebooks" / "small-classes.ipynb")
        texts.append((root / "reports" / "notebooks" / "small-classes.ipynb").read_text())
    assert texts[0] == texts[1]
    cell = json.loads(texts[0])["cells"][-1]
    # The warning is not there: it would carry the number of the process. Nor is the address of the object.
    assert [output.get("text", output.get("data")) for output in cell["outputs"]] == [
        ["small-classes\n"],
        {"text/plain": ["<object>"]},
    ]
    assert cell["execution_count"] is None


def test_an_error_of_ours_comes_out_as_it_was_raised_and_the_last_good_notebook_stays(root):
    target = store.path("reports", "notebooks", "small-classes.ipynb")
    store.write_text(target, "last good")
    source = write(
        root,
        "from evaluation.errors import DataError",
        "raise DataError(code='E-DATA-099', what='Two rows.', where='column id\\nrows 3, 4', fix='mend it')",
    )
    with pytest.raises(DataError) as caught:
        notebook.run(source, "small-classes", target)
    told = caught.value
    assert (told.code, told.what, told.where, told.fix) == (
        "E-DATA-099",
        "Two rows.",
        "column id\nrows 3, 4",
        "mend it",
    )
    assert told.exit_code == 3
    assert target.read_text() == "last good"
    assert (root / "tmp" / "failed" / "small-classes.ipynb").is_file()


def test_any_other_exception_is_a_mistake_of_ours_that_names_the_cell(root):
    with pytest.raises(InternalError, match="E-PIPE-004") as caught:
        notebook.run(write(root, "1 / 0"), "small-classes", store.path("reports", "out.ipynb"))
    assert "ZeroDivisionError: division by zero" in caught.value.found


def test_a_kernel_that_dies_is_a_problem_of_the_machine(root):
    from evaluation.errors import SetupError

    with pytest.raises(SetupError, match="E-PIPE-003"):
        notebook.run(write(root, "import os\nos._exit(1)"), "small-classes", store.path("reports", "out.ipynb"))


def test_problems_of_settings_come_out_of_a_notebook_as_a_parameters_error():
    text = "E-SET-001 2 problems in what was written\nparams.yaml:3: E-SET-020 x: wrong\nfix: correct the lines"
    code, rest = text.split(" ", 1)
    told = notebook._retold(ProblemsError, code, rest)
    assert type(told) is ParametersError
    assert told.fix == "correct the lines"
    assert "params.yaml:3" in told.what


def test_canonical_is_idempotent():
    book = nbformat.v4.new_notebook(metadata={"papermill": {"start_time": "now"}})
    book.cells = [
        nbformat.v4.new_code_cell("1", metadata={"papermill": {"duration": 1}, "tags": ["a"]}, execution_count=3)
    ]
    once = notebook.canonical(book)
    assert notebook.as_text(notebook.canonical(once)) == notebook.as_text(once)
    assert once.metadata == {}
    assert once.cells[0].metadata == {"tags": ["a"]}
