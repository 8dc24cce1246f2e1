"""One run at a time, and nothing to clean up after a crash."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from evaluation import store
from evaluation.errors import ParametersError, SetupError

HOLD = textwrap.dedent(
    """
    import sys
    from evaluation import store
    with store.lock("pipeline"):
        print("held", flush=True)
        sys.stdin.readline()
    """
)


@pytest.fixture
def holder(project):
    """Another process that holds the lock until its standard input gets a line."""
    project("{}")
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == b"held"
        yield process
        process.kill()


def process_named_in_the_file() -> int:
    return json.loads(store.path("tmp", "pipeline.lock").read_text())["pid"]


def test_a_lock_says_who_holds_it_and_leaves_nothing_behind(project):
    root = project("{}")
    with store.lock("pipeline"):
        said = json.loads((root / "tmp" / "pipeline.lock").read_text())
        assert sorted(said) == ["host", "pid", "start"]
    assert list((root / "tmp").iterdir()) == []


def test_a_living_holder_is_named(holder):
    with pytest.raises(SetupError, match="E-STO-017") as caught, store.lock("pipeline"):
        pass
    assert f"process {holder.pid} on" in caught.value.found


def test_a_lock_ends_with_its_block(holder):
    holder.stdin.write(b"\n")
    holder.stdin.flush()
    holder.wait(timeout=10)
    with store.lock("pipeline"):
        assert process_named_in_the_file() == os.getpid()


def test_a_lock_of_a_killed_process_is_taken_over(holder, project):
    root = project("{}")
    holder.kill()
    holder.wait(timeout=10)
    assert (root / "tmp" / "pipeline.lock").exists()  # left by the dead process
    with store.lock("pipeline"):
        assert process_named_in_the_file() == os.getpid()


def test_a_file_left_by_a_dead_process_is_no_lock(project):
    root = project("{}")
    (root / "tmp").mkdir()
    (root / "tmp" / "pipeline.lock").write_text('{"pid": 999999999, "host": "elsewhere", "start": "2020-01-01"}')
    with store.lock("pipeline"):
        assert process_named_in_the_file() == os.getpid()


def test_one_process_cannot_hold_a_lock_twice(project):
    project("{}")
    with store.lock("pipeline"), pytest.raises(SetupError, match="E-STO-017"), store.lock("pipeline"):
        pass


def test_two_names_are_two_locks(project):
    project("{}")
    with store.lock("pipeline"), store.lock("report"):
        assert {file.name for file in store.path("tmp").iterdir()} >= {"pipeline.lock", "report.lock"}


def test_an_exception_releases_the_lock(project):
    project("{}")
    with pytest.raises(ZeroDivisionError), store.lock("pipeline"):
        _ = 1 / 0
    with store.lock("pipeline"):
        assert process_named_in_the_file() == os.getpid()


def test_a_holder_that_has_not_signed_is_still_respected(project):
    root = project("{}")
    with store.lock("pipeline"):
        (root / "tmp" / "pipeline.lock").write_text("")
        with pytest.raises(SetupError, match="not signed"), store.lock("pipeline"):
            pass


def test_the_name_of_a_lock_is_a_slug(project):
    project("{}")
    with pytest.raises(ParametersError, match="E-STO-005"), store.lock("../x"):
        pass


def test_a_lock_cannot_be_made_where_nothing_can_be_written(project):
    root = project("{}")
    (root / "tmp").write_text("not a folder")
    with pytest.raises(SetupError, match="E-STO-007"), store.lock("pipeline"):
        pass
