"""What must hold for the repository as a whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ONE_MEGABYTE = 1_000_000
TEXTS = {".py", ".md", ".yaml", ".yml", ".toml", ".ipynb", ".csv", ".json", ".cff", ".lock", ".html", ".css"}
# The folders of the machines on which this was written; a clone stands elsewhere.
ONE_MACHINE = re.compile(r"(?<![\w.])/(work|tmp/spec|tmp/bash_jobs|root)/")


@pytest.fixture(scope="module")
def tracked(repository) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=repository, capture_output=True, text=True, check=True
    )
    return [repository / name for name in listed.stdout.splitlines() if (repository / name).is_file()]


def test_no_large_file_is_in_git(tracked):
    assert [file.name for file in tracked if file.stat().st_size > ONE_MEGABYTE] == []


def test_no_file_names_a_folder_of_one_machine(tracked):
    ours = Path(__file__).name
    named = [
        file.name
        for file in tracked
        if file.suffix in TEXTS and file.name != ours and ONE_MACHINE.search(file.read_text(encoding="utf-8"))
    ]
    assert named == []


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"pandas", "numpy", "scipy", "matplotlib", "sklearn", "statsmodels", "papermill", "pydantic", "rich"}
    probe = "import sys, evaluation, evaluation.errors, evaluation.store; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.intersection(loaded) == set()


def test_the_help_of_the_command_loads_nothing_heavy():
    heavy = {"pandas", "numpy", "matplotlib", "papermill", "pydantic"}
    probe = "import sys, evaluation.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.intersection(loaded) == set()


def test_dvc_sends_nothing_home_and_ignores_what_appears_by_itself(repository):
    assert "analytics = false" in (repository / ".dvc" / "config").read_text()
    assert {"__pycache__", "*.pyc", ".ipynb_checkpoints"} <= set((repository / ".dvcignore").read_text().splitlines())


def test_the_licence_is_complete(repository):
    text = (repository / "LICENSE").read_text(encoding="utf-8")
    assert text.lstrip().startswith("GNU GENERAL PUBLIC LICENSE")
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_page_of_dvc_plots_loads_nothing_from_the_network(repository):
    """DVC's own page stays blank without a network; the namespace of SVG is a name, not an address."""
    config = (repository / ".dvc" / "config").read_text()
    page = (repository / ".dvc" / "plots.html").read_text(encoding="utf-8")
    assert "html_template = plots.html" in config
    assert re.findall(r"https?://[^\"]*", page) == ["http://www.w3.org/2000/svg"]
    assert "{plot_divs}" in page
    assert "{scripts}" not in page
