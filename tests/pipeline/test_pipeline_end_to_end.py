"""The whole chain in a copy of the repository, by the command that people use.

One copy serves all tests of this file; each test leaves it fresh. Its name has a space and an accent. Its first
run is killed in the middle, so that every test also shows that nothing was lost by that.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import site_in_a_browser

from evaluation.errors import SetupError

KEPT = ("job-search-workshop", "enterprise-zones", "work-experience-trial")
# One line of the entry enterprise-zones and the beginning of the next.
ZONES = "smallest_effect: 0.05, source: administrative}\n    unit: city"
CPU_SECONDS_WITHOUT_CHANGES = 8
RESULTS = ("data/processed", "data/evidence", "data/needs", "data/diffusion", "data/selection", "reports")


@pytest.fixture(scope="module")
def copy(repository, tmp_path_factory) -> Path:
    """The repository as a clone would have it, with three evaluations; its first run was killed, its second one not."""
    root = tmp_path_factory.mktemp("clone") / "évaluation d'ici"
    make_copy(repository, root)
    with start(root, start_new_session=True) as run:
        wait_for(lambda: any((root / "tmp" / "executed").glob("*.ipynb")))
        os.killpg(run.pid, signal.SIGKILL)
    ended = finish(root)
    assert "prepare" not in ended.stdout, "the samples that were finished were made again"
    return root


@pytest.fixture(autouse=True)
def params_restored(copy) -> Iterator[None]:
    before = (copy / "params.yaml").read_bytes()
    yield
    (copy / "params.yaml").write_bytes(before)


def make_copy(repository: Path, root: Path) -> None:
    listed = git(repository, "ls-files", "-co", "--exclude-standard").stdout.splitlines()
    for name in listed:
        if (repository / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(repository / name, root / name)
    keep_evaluations(root, KEPT)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "--message", "copy")


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)


def keep_evaluations(root: Path, kept) -> None:
    """Leave the other evaluations, and the PDFs, out of params.yaml; the rest stays byte for byte."""
    text = (root / "params.yaml").read_text(encoding="utf-8").replace("documents: true", "documents: false")
    head, tail = text.split("\nevaluations:\n", 1)
    end = re.search(r"^(?=[a-z#])", tail, re.MULTILINE)
    entries = re.split(r"^(?=  [a-z0-9-]+:\n)", tail[: end.start()], flags=re.MULTILINE)
    chosen = "".join(entry for entry in entries if entry.partition(":")[0].strip() in kept)
    (root / "params.yaml").write_text(f"{head}\nevaluations:\n{chosen}{tail[end.start() :]}", encoding="utf-8")


def change(root: Path, old: str, new: str) -> None:
    text = (root / "params.yaml").read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in params.yaml"
    (root / "params.yaml").write_text(text.replace(old, new), encoding="utf-8")


def environment(root: Path) -> dict[str, str]:
    """The code of the copy; nothing that other tests or a developer set; our scripts are not on PATH."""
    passed = {name: value for name, value in os.environ.items() if not name.startswith(("EVALUATION_", "DVC_"))}
    path = os.defpath + os.pathsep + str(Path(shutil.which("git")).parent)
    return {**passed, "PATH": path, "PYTHONPATH": str(root / "src")}


def evaluation(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "evaluation", *arguments]
    return subprocess.run(command, cwd=root, env=environment(root), capture_output=True, text=True, timeout=300)


def start(root: Path, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "evaluation", "run"]
    return subprocess.Popen(command, cwd=root, env=environment(root), stderr=subprocess.DEVNULL, **options)


def finish(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    ended = evaluation(root, "run", *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended


def contents(root: Path) -> dict[str, bytes]:
    files = (file for name in RESULTS for file in sorted((root / name).rglob("*")))
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files if file.is_file()}


def differing(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """Names of the files that came, went or changed."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def written(root: Path) -> dict[str, int]:
    """When each evaluation's results were put in place: a swapped folder has a new inode."""
    return {
        folder.name: folder.stat().st_ino for folder in sorted((root / "data" / "evidence" / "estimated").iterdir())
    }


def estimate(root: Path, evaluation_id: str) -> float:
    record = json.loads((root / "data" / "evidence" / "estimated" / evaluation_id / "record.json").read_text())
    return record["headline"]["estimate"]


def cpu_seconds() -> float:
    """Of all processes that we started and that have ended: a busy machine does not make them more."""
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_everything_that_people_and_code_read_is_there(copy):
    for name in KEPT:
        folder = copy / "data" / "evidence" / "estimated" / name
        assert {"record.json", "effects.csv", "fingerprint.json", "tables"} <= {file.name for file in folder.iterdir()}
        assert (copy / "reports" / "notebooks" / f"{name}.ipynb").is_file()
    for name in ("index.html", "fr/index.html", "en/index.html", "metrics/grades.json", "metrics/effects.json"):
        assert (copy / "reports" / name).is_file()
    # LaLonde's experimental benchmark: 1794 dollars.
    assert estimate(copy, "work-experience-trial") == pytest.approx(1794.34, abs=0.01)


def test_no_link_within_the_site_is_dead(copy):
    assert site_in_a_browser.dead_links(copy / "reports") == []


def test_no_page_complains_or_asks_the_network_in_a_browser(copy):
    with site_in_a_browser.opened() as (page, seen):
        for file in site_in_a_browser.pages_of(copy / "reports"):
            page.goto(file.as_uri())
    assert (seen.messages, seen.outside, seen.failed) == ([], [], [])


def test_every_kind_of_page_is_accessible_and_fits_a_phone(copy):
    """axe-core finds nothing serious, and nothing scrolls sideways at 390 pixels, in both languages."""
    with site_in_a_browser.opened(size=site_in_a_browser.PHONE) as (page, _):
        for file in site_in_a_browser.one_of_each_kind(copy / "reports", "fr"):
            page.goto(file.as_uri())
            assert site_in_a_browser.violations(page) == []
            assert not site_in_a_browser.wider_than_the_screen(page), file
        for file in site_in_a_browser.one_of_each_kind(copy / "reports", "en"):
            page.goto(file.as_uri())
            assert not site_in_a_browser.wider_than_the_screen(page), file


def test_a_second_run_does_nothing_quickly_and_changes_no_byte(copy):
    finish(copy)
    before, start = contents(copy), cpu_seconds()
    ended = finish(copy)
    assert "nothing to do: everything is fresh" in ended.stdout
    assert cpu_seconds() - start < CPU_SECONDS_WITHOUT_CHANGES
    assert differing(before, contents(copy)) == []


def test_a_clean_run_that_nobody_killed_gives_the_same_bytes(copy, tmp_path):
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", "--depth", "1", copy.as_uri(), str(other))
    finish(other, "--jobs", "1")
    assert differing(contents(other), contents(copy)) == []


@pytest.mark.slow
def test_when_only_the_command_is_killed_its_stages_end_too(copy, monkeypatch):
    from evaluation import store

    monkeypatch.setenv("EVALUATION_ROOT", str(copy))
    change(copy, ZONES, ZONES.replace("0.05", "0.07"))
    with start(copy) as run:
        wait_for(lambda: any((copy / "tmp" / "executed").glob("*.ipynb")))
        run.kill()

    def nobody_works() -> bool:
        try:
            with store.lock("stage"):
                return True
        except SetupError:
            return False

    wait_for(nobody_works, seconds=5)
    git(copy, "checkout", "--quiet", "params.yaml")
    finish(copy)
    assert nobody_works()


def wait_for(condition, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_one_failing_evaluation_stops_neither_the_others_nor_removes_its_last_good_results(copy):
    clean = contents(copy)
    change(copy, "adjustment: none\n\n  enterprise-zones", "adjustment: lin\n\n  enterprise-zones")
    change(copy, "covariates: [econ_hard, depress1, sex, age]", "covariates: [econ_hard, depress1, sexe, age]")
    ended = evaluation(copy, "run")
    assert ended.returncode == 3
    assert ended.stderr.count("E-DATA-") >= 1
    assert "sexe" in ended.stderr
    assert ended.stderr.rstrip().endswith("nothing was written; last good outputs are kept")
    assert "Traceback" not in ended.stderr
    assert differing(clean, contents(copy)) == []
    git(copy, "checkout", "--quiet", "params.yaml")
    finish(copy)


@pytest.mark.slow
def test_naming_an_evaluation_runs_it_and_what_follows(copy):
    (copy / "reports" / "notebooks" / "enterprise-zones.ipynb").unlink()
    assert "enterprise-zones.ipynb is missing" in evaluation(copy, "why", "enterprise-zones").stdout
    ended = finish(copy, "enterprise-zones")
    assert "impact · 1 done, 0 fresh" in ended.stderr
    assert (copy / "reports" / "notebooks" / "enterprise-zones.ipynb").is_file()
    finish(copy)


def test_an_unknown_evaluation_is_refused_with_the_nearest_one(copy):
    ended = evaluation(copy, "run", "enterprise-zone")
    assert ended.returncode == 2
    assert "did you mean enterprise-zones?" in ended.stderr


def test_two_runs_at_once_the_second_is_told_who_is_first(copy, monkeypatch):
    from evaluation import store

    monkeypatch.setenv("EVALUATION_ROOT", str(copy))
    with store.lock("run"):
        ended = evaluation(copy, "run")
    assert ended.returncode == 6
    assert f"process {os.getpid()} on" in ended.stderr


def test_dvc_itself_works_without_our_scripts_on_the_path_of_the_user(copy):
    """`.venv/bin/dvc repro` as its users call it, here with the scripts on PATH as activation would put them."""
    scripts = str(Path(sys.executable).parent)
    path = {**environment(copy), "PATH": scripts + os.pathsep + environment(copy)["PATH"]}
    for command in (["repro"], ["status"], ["dag"], ["metrics", "diff"], ["plots", "show", "--json"]):
        ended = subprocess.run(
            [sys.executable, "-m", "dvc", *command], cwd=copy, env=path, capture_output=True, text=True
        )
        assert ended.returncode == 0, (command, ended.stderr)


@pytest.mark.slow
def test_a_parameter_that_goes_back_gives_the_same_bytes(copy):
    clean = contents(copy)
    change(copy, ZONES, ZONES.replace("0.05", "0.08"))
    finish(copy)
    git(copy, "checkout", "--quiet", "params.yaml")
    finish(copy)
    assert differing(clean, contents(copy)) == []


def test_one_parameter_recomputes_one_evaluation_and_a_removed_one_leaves_the_results(copy):
    before = written(copy)
    keep_evaluations(copy, KEPT[:2])
    change(copy, ZONES, ZONES.replace("0.05", "0.06"))
    status = evaluation(copy, "status").stdout
    assert [line.split()[0] for line in status.splitlines() if "stale:" in line] == ["enterprise-zones"]
    assert "changed since the last whole run: params.yaml evaluations (prepare, impact)" in status
    why = evaluation(copy, "why", "enterprise-zones").stdout
    assert "parameter outcomes.0.smallest_effect: was 0.05, is 0.06" in why
    ended = finish(copy)
    assert "impact · 1 done, 1 fresh, removed work-experience-trial (no longer in params.yaml)" in ended.stderr
    after = written(copy)
    assert [name for name in after if after[name] != before[name]] == ["enterprise-zones"]
    assert "work-experience-trial" not in after
    assert not (copy / "reports" / "notebooks" / "work-experience-trial.ipynb").exists()
