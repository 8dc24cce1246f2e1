"""Notebooks: checked, run by papermill with one parameter, written without anything that changes by itself.

A notebook receives the id of an evaluation and reads everything else, validated, from params.yaml. Names of papermill's
parameters become code, so the only name that may be passed is the one written here.
"""

import ast
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation import errors, store
from evaluation.errors import EvaluationError, InternalError, ParametersError, SetupError

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from papermill.exceptions import PapermillExecutionError

PARAMETER = "evaluation_id"
KERNEL = "python3"
CELL_SECONDS = 1800
_CODE_AND_TEXT = re.compile(r"(E-[A-Z]+-\d{3}) (.*)", re.DOTALL)
_FIELDS = ("where", "found", "expected", "fix")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_VOLATILE = ("papermill", "execution", "ExecuteTime")


def run(source: Path, evaluation_id: str, target: Path) -> None:
    """Execute a method's notebook for one evaluation and write it, canonical, to `target`.

    Args:
        source: the notebook, as committed.
        evaluation_id: its one parameter.
        target: where the executed notebook goes; replaced only if all cells ran.

    Raises:
        ParametersError: the notebook does not take exactly this parameter.
        EvaluationError: what a cell raised; any other exception of a cell becomes an InternalError.
        SetupError: the kernel did not start, died, or a cell took too long.
    """
    check_parameters(source)
    draft = store.path("tmp", "executed", f"{store.require_slug(evaluation_id)}.ipynb")
    draft.parent.mkdir(parents=True, exist_ok=True)
    try:
        executed = _execute(source, evaluation_id, draft)
    except EvaluationError:
        _keep_failed(draft, evaluation_id)
        raise
    store.write_text(target, as_text(canonical(executed)))
    draft.unlink(missing_ok=True)


def check_parameters(source: Path) -> None:
    """Refuse a notebook that would not use the id it is given, before it is launched.

    papermill itself only warns about an unknown parameter and runs on with the default.

    Raises:
        ParametersError: not exactly one cell is tagged `parameters`, or it does not set exactly `evaluation_id`.
    """
    tagged = [cell for cell in store.read_json(source)["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise ParametersError(
            code="E-PIPE-001",
            what="A notebook must have exactly one cell tagged 'parameters'.",
            where=str(source),
            found=f"{len(tagged)} such cells",
            expected=f"one, which sets {PARAMETER}",
            fix="tag the cell in JupyterLab (property inspector) or restore the notebook: git checkout notebooks",
        )
    names = _assigned("".join(tagged[0]["source"]))
    if names != [PARAMETER]:
        raise ParametersError(
            code="E-PIPE-002",
            what="A notebook must take exactly one parameter.",
            where=str(source),
            found=", ".join(names) or "none",
            expected=PARAMETER,
            fix="read everything else from params.yaml, through the design",
        )


def canonical(notebook: "NotebookNode") -> "NotebookNode":
    """The notebook without what differs between two runs that did the same: times, ids, counters, chatter on stderr."""
    import nbformat

    plain: NotebookNode = nbformat.from_dict(notebook)  # type: ignore[no-untyped-call]
    _drop_volatile(plain.metadata)
    for place, cell in enumerate(plain.cells):
        cell["id"] = f"cell-{place:02d}"
        _drop_volatile(cell.metadata)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [_plain_output(output) for output in cell.outputs if not _is_chatter(output)]
    return plain


def as_text(notebook: "NotebookNode") -> str:
    """The notebook as a file, always the same text for the same notebook."""
    import nbformat

    return str(nbformat.writes(notebook, version=4)).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def kernel_environment() -> dict[str, str]:
    """Variables for kernels: caches inside the project, no start-up files of the user, which could change results."""
    here = store.path("tmp", "kernel")
    here.mkdir(parents=True, exist_ok=True)
    return {
        "IPYTHONDIR": str(here / "ipython"),
        "JUPYTER_CONFIG_DIR": str(here / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(here / "runtime"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MPLCONFIGDIR": str(here / "matplotlib"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _assigned(text: str) -> list[str]:
    """Names that the cell sets; anything but an assignment of a constant counts as a name that is not allowed."""
    names = []
    for statement in ast.parse(text).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant()):
                names.append(name)
            case _:
                names.append(ast.unparse(statement))
    return names


def _execute(source: Path, evaluation_id: str, draft: Path) -> "NotebookNode":
    # jsonschema would parse a grammar of international addresses at its import: two thirds of papermill's start.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    # Without it every kernel prints a warning about transport encryption, which would stand in every report.
    config = Config()
    config.KernelManager.transport_encryption = "required"
    config.AsyncKernelManager.transport_encryption = "required"
    try:
        # Names relative to the current folder: papermill would fill in braces in the path of the project.
        executed: NotebookNode = papermill.execute_notebook(
            os.path.relpath(source),
            os.path.relpath(draft),
            parameters={PARAMETER: evaluation_id},
            kernel_name=KERNEL,
            language="python",
            progress_bar=False,
            log_output=False,
            execution_timeout=CELL_SECONDS,
            extra_arguments=["--IPKernelApp.log_level=50"],  # a kernel that is shut down says so on our terminal
            config=config,
        )
        return executed
    except PapermillExecutionError as error:
        raise _what_the_cell_raised(error, evaluation_id) from error
    except (DeadKernelError, CellTimeoutError, TimeoutError, RuntimeError) as error:
        raise SetupError(
            code="E-PIPE-003",
            what="The notebook's Python process did not start, died, or a cell took too long.",
            where=f"evaluation {evaluation_id}, notebook {source.name}",
            found=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}",
            expected=f"enough memory, and no cell of more than {CELL_SECONDS} seconds",
            fix="free some memory or run with --jobs 1; the cells that ran are in tmp/failed",
        ) from error


def _what_the_cell_raised(error: "PapermillExecutionError", evaluation_id: str) -> EvaluationError:
    """Our own error, as the cell raised it, or an InternalError around any other exception."""
    kind = getattr(errors, str(error.ename), None)
    said = _CODE_AND_TEXT.fullmatch(str(error.evalue))
    if said and isinstance(kind, type) and issubclass(kind, EvaluationError):
        return _retold(kind, said.group(1), said.group(2))
    return InternalError(
        code="E-PIPE-004",
        what="A cell of a notebook failed in a way that nobody foresaw.",
        where=f"evaluation {evaluation_id}, cell {error.exec_count}",
        found=f"{error.ename}: {error.evalue}",
        expected="a result, or an error that says what to do",
        fix=f"open tmp/failed/{evaluation_id}.ipynb to see the cell; please report this",
    )


def _retold(kind: type[EvaluationError], code: str, text: str) -> EvaluationError:
    """The error whose words these are: they are all that comes out of the notebook's process."""
    fields = {"what": ""}
    current = "what"
    for line in text.splitlines():
        name, separator, value = line.partition(": ")
        if separator and name in _FIELDS:
            current = name
            fields[name] = value
        elif line != errors.KEPT:
            fields[current] = f"{fields[current]}\n{line}".strip()
    return (ParametersError if kind is errors.ProblemsError else kind)(code=code, **fields)


def _keep_failed(draft: Path, evaluation_id: str) -> None:
    """The cells that ran, for whoever looks for the reason; the last good notebook stays where it is."""
    if draft.is_file():
        failed = store.path("tmp", "failed", f"{evaluation_id}.ipynb")
        failed.parent.mkdir(parents=True, exist_ok=True)
        os.replace(draft, failed)


def _drop_volatile(metadata: dict[str, Any]) -> None:
    for name in _VOLATILE:
        metadata.pop(name, None)
    if "language_info" in metadata:
        metadata["language_info"] = {"name": metadata["language_info"]["name"]}


def _is_chatter(output: Mapping[str, Any]) -> bool:
    """Warnings of libraries carry paths and process numbers; what a reader must know stands in the record's notes."""
    return output["output_type"] == "stream" and output.get("name") == "stderr"


def _plain_output(output: dict[str, Any]) -> dict[str, Any]:
    if "execution_count" in output:
        output["execution_count"] = None
    if "text/plain" in output.get("data", {}):
        output["data"]["text/plain"] = _ADDRESS.sub("", output["data"]["text/plain"])
    output.get("metadata", {}).pop("papermill", None)
    return output
