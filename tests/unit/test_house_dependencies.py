"""dvc.yaml lists the code of each stage by hand; a forgotten line would give stale results without a word."""

import json
from pathlib import Path

import grimp
import pytest
from ruamel.yaml import YAML

from evaluation.pipeline.stages import STAGES

# They decide when a stage does something and how it says so, not what comes out.
MACHINERY = {
    "evaluation",
    "evaluation.pipeline",
    "evaluation.pipeline.fingerprint",
    "evaluation.pipeline.progress",
    "evaluation.pipeline.stages",
    "evaluation.pipeline.workers",
}


@pytest.fixture(scope="module")
def dvc(repository) -> dict:
    return YAML(typ="safe").load(repository / "dvc.yaml")["stages"]


@pytest.fixture(scope="module")
def graphs() -> tuple:
    """All imports, and those that happen when the code runs."""
    return (
        grimp.build_graph("evaluation", cache_dir=None),
        grimp.build_graph("evaluation", exclude_type_checking_imports=True, cache_dir=None),
    )


def needed(graphs, seeds) -> set[str]:
    """Modules that are imported, directly or not. Rooms load their parts at first use, so theirs count in any case."""
    everything, at_run_time = graphs
    seen, waiting = set(), [seed for seed in seeds if seed in everything.modules]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        graph = everything if everything.find_children(module) else at_run_time
        waiting += graph.find_modules_directly_imported_by(module)
        waiting += [module.rpartition(".")[0]] if "." in module else []
    return seen


def imported_by_notebooks(repository: Path, deps: list[str]) -> set[str]:
    """Modules that the notebooks among the dependencies import."""
    import ast

    found = set()
    for name in deps:
        if not name.endswith(".ipynb"):
            continue
        for cell in json.loads((repository / name).read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] != "code":
                continue
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                elif isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
    return found


def file_of(module: str, repository: Path) -> str:
    base = Path("src", *module.split("."))
    return (base / "__init__.py" if (repository / base).is_dir() else base.with_suffix(".py")).as_posix()


def is_listed(file: str, deps: list[str]) -> bool:
    return any(file == dep or file.startswith(f"{dep}/") for dep in deps)


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_a_stage_uses_is_listed(stage, dvc, graphs, repository):
    deps = dvc[stage]["deps"]
    seeds = {f"evaluation.pipeline.stages.{stage}", *imported_by_notebooks(repository, deps)}
    files = [file_of(module, repository) for module in sorted(needed(graphs, seeds) - MACHINERY)]
    assert [file for file in files if not is_listed(file, deps)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_listed_that_no_longer_exists(stage, dvc, repository):
    written = {
        out for other in dvc.values() for kind in ("outs", "metrics") for out in map(name_of, other.get(kind, []))
    }
    missing = [
        dep
        for dep in dvc[stage]["deps"]
        if not (repository / dep).exists() and not any(out == dep or out.startswith(f"{dep}/") for out in written)
    ]
    assert missing == []


def name_of(out) -> str:
    return out if isinstance(out, str) else next(iter(out))


def test_the_stages_of_dvc_are_those_of_the_package_in_the_same_order(dvc):
    assert [*dvc] == [*STAGES]


def test_no_stage_loses_its_last_good_results_when_it_fails(dvc):
    outs = [out for stage in dvc.values() for kind in ("outs", "metrics") for out in stage.get(kind, [])]
    assert [name_of(out) for out in outs if isinstance(out, str) or not out[name_of(out)].get("persist")] == []


def test_commands_are_constants(dvc):
    """Ids must never reach a shell."""
    assert {stage: spec["cmd"] for stage, spec in dvc.items()} == {
        stage: f"evaluation stage {stage}" for stage in STAGES
    }


def test_the_fingerprint_covers_the_code_that_a_record_names(dvc, repository):
    from evaluation.evidence import record

    files = [file.relative_to(repository).as_posix() for file in record._code_files()]
    assert [file for file in files if not is_listed(file, dvc["impact"]["deps"])] == []
