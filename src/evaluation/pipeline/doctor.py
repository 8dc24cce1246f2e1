"""What usually goes wrong on a machine, looked at one by one."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from evaluation import settings, store
from evaluation.errors import EvaluationError

Seen = tuple[bool, str, str]
Look = Callable[[], Seen]

DISK_BYTES = 2_000_000_000
PYTHONS = ((3, 11), (3, 14))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: the thing.
        healthy: whether it is as it should be.
        found: how it is.
        fix: what to do if it is not healthy.
    """

    what: str
    healthy: bool
    found: str
    fix: str


def examine() -> list[Finding]:
    """Look at everything; nothing stops the examination."""
    looks: dict[str, Look] = {
        "Python": _python,
        "packages": _packages,
        "git": _git,
        "DVC": _dvc,
        "disk": _disk,
        "folder": _folder,
        "params.yaml and portfolio": _settings,
    }
    return [_looked(what, look) for what, look in looks.items()]


def _looked(what: str, look: Look) -> Finding:
    try:
        healthy, found, fix = look()
    except EvaluationError as error:
        healthy, found, fix = False, f"{error.what} {error.found}".strip(), error.fix
    return Finding(what=what, healthy=healthy, found=found, fix=fix)


def _python() -> Seen:
    healthy = PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]
    return healthy, f"{platform.python_version()} in {sys.prefix}", "install Python 3.11 to 3.14: python3 run.py setup"


def _packages() -> Seen:
    wrong = list(_wrong_packages())
    return not wrong, ", ".join(wrong[:5]) or "as in requirements.lock", "python3 run.py setup"


def _wrong_packages() -> Iterator[str]:
    """Packages that are missing here or have another version than requirements.lock pins."""
    from packaging.requirements import Requirement

    for line in store.read_text(store.path("requirements.lock")).splitlines():
        if not line or line[0] in " #-":
            continue
        wanted = Requirement(line.rstrip(" \\"))
        if wanted.marker is None or wanted.marker.evaluate():
            version = _version(wanted.name)
            if version is None or not wanted.specifier.contains(version, prereleases=True):
                yield f"{wanted.name} {version or 'missing'}, not {wanted.specifier}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git() -> Seen:
    program = shutil.which("git")
    if program is None:
        return False, "not installed", "install git"
    inside = _succeeds(program, "-C", str(store.root()), "rev-parse", "--is-inside-work-tree")
    return inside, "a work tree" if inside else "no work tree here", "clone the project, or in a copy of it: git init"


def _dvc() -> Seen:
    there = store.path(".dvc", "config").is_file()
    found = f"{_version('dvc') or 'not installed'}, .dvc {'here' if there else 'missing'}"
    return there and _version("dvc") is not None, found, "git checkout .dvc, or python3 run.py setup"


def _disk() -> Seen:
    free = shutil.disk_usage(store.root()).free
    fix = f"make room: {DISK_BYTES / 1e9:.0f} GB are needed for packages and results"
    return free >= DISK_BYTES, f"{free / 1e9:.1f} GB free", fix


def _folder() -> Seen:
    store.write_text(store.path("tmp", "doctor.txt"), "")
    with store.lock("run"):
        return True, "can be written, no other run", ""


def _settings() -> Seen:
    params, _ = settings.check_all()
    return True, f"{len(params.evaluations)} evaluations", ""


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
