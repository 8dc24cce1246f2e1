"""What the results of one evaluation depend on, so that fresh ones are left alone.

A fingerprint stands beside the results. It names each input with its value or hash, not one hash of everything, so that
`evaluation why` can say what changed; it also holds the hash of each result, so that an edit by hand is seen. Times of
files play no role.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from evaluation import store
from evaluation.settings import yaml12
from evaluation.settings.designs import Design

FILE = "fingerprint.json"
NOTEBOOKS = "notebooks"
LOCK = "requirements.lock"

Inputs = dict[str, dict[str, Any]]


class _Nothing:
    """Stands for a value that is not there, where None would be a value."""

    def __str__(self) -> str:
        return "not set"


NOTHING = _Nothing()


def sample_folder(evaluation_id: str) -> Path:
    """Where the analysis sample of an evaluation stands."""
    return store.path("data", "processed", store.require_slug(evaluation_id))


def evidence_folder(evaluation_id: str) -> Path:
    """Where the results of an evaluation stand that code reads."""
    return store.path("data", "evidence", "estimated", store.require_slug(evaluation_id))


def executed_notebook(evaluation_id: str) -> Path:
    """Where the executed notebook of an evaluation stands, for people."""
    return store.path("reports", "notebooks", f"{store.require_slug(evaluation_id)}.ipynb")


def method_notebook(design: Design) -> Path:
    """The notebook of the evaluation's method."""
    return store.path(NOTEBOOKS, f"{design.method}.ipynb")


def shared_inputs(stage: str) -> Inputs:
    """What the results of every evaluation depend on: code and packages; read once for all evaluations."""
    return {"code": code(stage), "packages": _hashes([store.path(LOCK)])}


def sample_inputs(design: Design, shared: Inputs) -> Inputs:
    """What the analysis sample depends on: parameters, data, code, packages."""
    return {
        "parameters": design.parameters(),
        "data": dict(_source(source) for source in (*design.data, *_roster_of(design))),
        **shared,
    }


def finding_inputs(design: Design, seed: int, shared: Inputs) -> Inputs:
    """What the results depend on: parameters, sample, notebook, code, packages."""
    notebook = method_notebook(design)
    return {
        "parameters": {**design.parameters(), "seed": seed},
        "sample": _hashes(_files(sample_folder(design.id))),
        "notebook": {_name(notebook): source_sha256(notebook)},
        **shared,
    }


def code(stage: str) -> dict[str, str]:
    """Hashes of the source files that dvc.yaml lists for a stage: one list, for DVC and for us.

    Returns:
        path from the project root -> SHA-256.
    """
    return _hashes(file for name in listed_code(stage) for file in _python_files(store.path(name)))


def listed_code(stage: str) -> list[str]:
    """The files and folders of src/ among the dependencies of a stage in dvc.yaml."""
    stages = yaml12.read_yaml(store.path("dvc.yaml")).data["stages"]
    return sorted(name for name in stages[stage]["deps"] if name.startswith("src/"))


def source_sha256(notebook: Path) -> str:
    """SHA-256 of what a person wrote in a notebook: kind, text and tags of the cells, not outputs nor counters."""
    cells = store.read_json(notebook)["cells"]
    return store.sha256_json([[cell["cell_type"], _source_text(cell), _tags(cell)] for cell in cells])


def write(folder: Path, inputs: Inputs, *, also: Iterable[Path] = ()) -> None:
    """Put the fingerprint beside the results in `folder`; `also` names results that stand elsewhere."""
    outputs = _hashes([*_files(folder), *also])
    store.write_text(folder / FILE, _text({"inputs": inputs, "outputs": outputs}))


def changes(folder: Path, inputs: Inputs) -> tuple[str, ...]:
    """Why the results in `folder` are not fresh, one sentence a reason; nothing if they are."""
    file = folder / FILE
    if not file.is_file():
        return ("never run, or stopped in the middle",)
    known = store.read_json(file)
    wanted = json.loads(_text(inputs))  # as it would be read back: lists for tuples
    return (*_differences(known["inputs"], wanted), *_edits(known["outputs"]))


def _roster_of(design: Design) -> tuple[Any, ...]:
    roster = getattr(design, "roster", None)
    return () if roster is None else roster.sources


def _source(source: Any) -> tuple[str, str]:
    if source.file is not None:
        return source.file, store.sha256_file(store.resolve(source.file))
    return f"{source.package} {source.table}", metadata.version(source.package)


def _source_text(cell: Mapping[str, Any]) -> str:
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def _tags(cell: Mapping[str, Any]) -> list[str]:
    return sorted(cell.get("metadata", {}).get("tags", []))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name != FILE)


def _python_files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


def _hashes(files: Iterable[Path]) -> dict[str, str]:
    return {_name(file): store.sha256_file(file) for file in files}


def _name(file: Path) -> str:
    return file.relative_to(store.root()).as_posix()


def _text(data: Any) -> str:
    """JSON with floats exact: a parameter with more than 12 digits must not look changed."""
    return json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        _difference(group, path, was, now)
        for group in sorted({*old, *new})
        for path, was, now in _leaves(old.get(group, {}), new.get(group, {}))
    ]


def _leaves(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The places where two trees differ, as deep as both have the same shape: path, old value, new value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _leaves(old.get(key, NOTHING), new.get(key, NOTHING), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _leaves(before, after, f"{path}.{place}")
    elif old != new:
        yield path, old, new


def _difference(group: str, path: str, was: Any, now: Any) -> str:
    if group == "parameters":
        return f"parameter {path}: was {was}, is {now}"
    if was is NOTHING:
        return f"{group}: {path} is new"
    if now is NOTHING:
        return f"{group}: {path} is gone"
    return f"{group}: {path} changed"


def _edits(known: Mapping[str, str]) -> list[str]:
    """Results that are not as the last run left them."""
    states = ((name, _state(store.path(name), sha256)) for name, sha256 in known.items())
    return [f"result: {name} {state}" for name, state in states if state]


def _state(file: Path, sha256: str) -> str:
    if not file.is_file():
        return "is missing"
    return "" if store.sha256_file(file) == sha256 else "was edited"
