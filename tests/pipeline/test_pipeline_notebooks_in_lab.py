"""The tutorial as people use it: run from top to bottom, and opened in JupyterLab in a browser.

python3 run.py test tests/pipeline/test_pipeline_notebooks_in_lab.py -m "slow or not slow"
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import site_in_a_browser

TUTORIALS = ("start", "tutorial", "add_innovation")
SECONDS_TO_START = 60
MILLISECONDS_TO_RUN = 120_000


@pytest.fixture
def lab_project(repository, project) -> Path:
    """A small project with the tutorials in it; JupyterLab and kernels use the code of this repository."""
    root = project()
    for folder in ("notebooks", "tmp"):
        (root / folder).mkdir()
    for name in TUTORIALS:
        shutil.copyfile(repository / "notebooks" / f"{name}.ipynb", root / "notebooks" / f"{name}.ipynb")
    return root


def environment(repository: Path, root: Path) -> dict[str, str]:
    """Settings of JupyterLab and of kernels that are not those of whoever runs the tests."""
    passed = {name: value for name, value in os.environ.items() if not name.startswith(("EVALUATION_", "JUPYTER"))}
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    places = {name: str(root / "tmp" / folder) for name, folder in own.items()}
    return {**passed, **places, "PYTHONPATH": str(repository / "src"), "EVALUATION_ROOT": str(root)}


@pytest.mark.parametrize(
    "name",
    [pytest.param("start", marks=pytest.mark.slow), "tutorial", pytest.param("add_innovation", marks=pytest.mark.slow)],
)
def test_a_tutorial_runs_from_top_to_bottom(name, repository, lab_project, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    for key, value in environment(repository, lab_project).items():
        monkeypatch.setenv(key, value)
    book = nbformat.read(lab_project / "notebooks" / f"{name}.ipynb", as_version=4)
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(lab_project / "notebooks")}}).execute()
    shown = json.dumps([cell.outputs for cell in book.cells if cell.cell_type == "code"])
    assert '"stderr"' not in shown
    expected = {"start": "small-classes", "tutorial": "what holds it down", "add_innovation": "SIMULATED DATA"}
    assert expected[name] in shown


@contextmanager
def jupyterlab(repository: Path, root: Path) -> Iterator[str]:
    """The address of a JupyterLab that runs for this test only."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = (f"--ServerApp.root_dir={root}", f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", "--no-browser")
    rights = ("--IdentityProvider.token=", "--ServerApp.allow_root=True", "--ServerApp.port_retries=0")
    command = [sys.executable, "-m", "jupyterlab", *options, *rights]
    with subprocess.Popen(
        command,
        env=environment(repository, root),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/api")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def wait_until_it_answers(address: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=2).close()  # noqa: S310 - the address is ours
        except OSError:
            time.sleep(0.3)
        else:
            return
    pytest.fail(f"JupyterLab did not answer in {SECONDS_TO_START} s")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the server is stopped by the group of its process")
def test_jupyterlab_opens_the_tutorial_runs_all_cells_and_shows_the_grade(repository, lab_project):
    site_in_a_browser.chromium()
    with jupyterlab(repository, lab_project) as address, site_in_a_browser.opened() as (page, _):
        page.goto(f"{address}/lab/tree/notebooks/tutorial.ipynb")
        page.get_by_role("heading", name=re.compile("From a CSV to a graded finding")).wait_for(
            timeout=MILLISECONDS_TO_RUN
        )
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(timeout=MILLISECONDS_TO_RUN)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name=re.compile("^Run All Cells")).first.click()
        last = page.locator(".jp-CodeCell").last
        last.locator(".jp-OutputArea-output").filter(has_text="planted").wait_for(timeout=MILLISECONDS_TO_RUN)
        assert page.locator(".jp-OutputArea-output").filter(has_text="what holds it down").count() > 0
        assert page.locator(".jp-OutputArea-output[data-mime-type*=error]").count() == 0
