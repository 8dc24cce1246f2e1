#!/usr/bin/env python3
"""The one door to this project: `python3 run.py report`. Needs Python 3.11 to 3.14 and git, nothing else.

Every verb first makes the environment if it is missing or out of date: `.venv`, uv inside it, the packages of
requirements.lock with their hashes checked, the project itself. A setup that was interrupted is started again.
Standard library only; Linux, macOS and Windows.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
WINDOWS = os.name == "nt"
SCRIPTS = VENV / ("Scripts" if WINDOWS else "bin")
PYTHON = SCRIPTS / ("python.exe" if WINDOWS else "python")
LOCKED = ROOT / "requirements.lock"
STAMP = VENV / "setup.json"
UNFINISHED = VENV / "setup-unfinished"
OLDEST, NEWEST = (3, 11), (3, 14)
EXIT_USAGE, EXIT_SETUP = 2, 6

HELP = """python3 run.py VERB [ARGUMENTS]

  report   run the whole chain, then write reports/index.html (arguments go to `evaluation run`)
  test     check the code and run the tests (with arguments: pytest alone, with these arguments)
  check    ruff, mypy and the import rules, without tests
  lab      open the notebooks in JupyterLab
  bench    time the estimators against their peers on this machine
  setup    make or refresh the environment, nothing else
  help     this text

Every verb makes the environment first, if needed. The commands of an evaluator: .venv/bin/evaluation --help"""


# verbs ---------------------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Run one verb; returns the exit code of what it ran."""
    verb, *rest = arguments or ["help"]
    if verb in ("help", "--help", "-h"):
        print(HELP)
        return 0
    if verb not in VERBS:
        print(f"There is no verb {verb!r}.\n\n{HELP}", file=sys.stderr)
        return EXIT_USAGE
    make_environment()
    return VERBS[verb](rest)


def report(arguments: list[str]) -> int:
    """The whole chain; `evaluation run` says where to open the result."""
    return run("-m", "evaluation", "run", *arguments)


def test(arguments: list[str]) -> int:
    """Checks and the default tests, or pytest alone with the arguments given."""
    if arguments:
        return run("-m", "pytest", *arguments)
    # Files in their own order: the chain, the longest of them, begins early instead of last.
    return check([]) or run("-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-m", "not slow")


def check(_: list[str]) -> int:
    """Every check, even if one fails; returns the first exit code that is not 0."""
    codes = [
        run("-m", "ruff", "check", "."),
        run("-m", "ruff", "format", "--check", "."),
        run("-m", "mypy"),
        run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
    ]
    return next((code for code in codes if code), 0)


def lab(arguments: list[str]) -> int:
    """JupyterLab on the notebooks, without its news and update pop-ups."""
    settings = VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    quiet = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    settings.write_text(json.dumps(quiet), encoding="utf-8")
    first = "--LabApp.default_url=/lab/tree/notebooks/start.ipynb"
    return run("-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}", first, *arguments)


def bench(arguments: list[str]) -> int:
    """The benchmarks, one command, with the peers installed beside the project."""
    folder = ROOT / "benchmarks"
    here = ("--quiet", "--python", str(PYTHON), "--require-hashes")
    return run("-m", "uv", "pip", "install", *here, "-r", str(folder / "requirements.lock")) or run(
        str(folder / "run.py"), *arguments
    )


def setup(_: list[str]) -> int:
    """Nothing more than the environment that every verb makes."""
    print(f"ready: {PYTHON}")
    return 0


VERBS = {"report": report, "test": test, "check": check, "lab": lab, "bench": bench, "setup": setup}


# the environment -----------------------------------------------------------------------------------------------------


def make_environment() -> None:
    """Make or refresh .venv, unless it is what requirements.lock, pyproject.toml and this place ask for."""
    if is_fresh():
        return
    with one_at_a_time():
        if not is_fresh():
            build()


def is_fresh() -> bool:
    """Whether the last setup ended well, with these requirements, in this place, with the Python that is still here."""
    if UNFINISHED.exists() or not PYTHON.exists() or not STAMP.is_file():
        return False
    try:
        return json.loads(STAMP.read_text(encoding="utf-8")) == wanted()
    except ValueError:
        return False


def wanted() -> dict[str, str]:
    """What the environment depends on."""
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (LOCKED, ROOT / "pyproject.toml")}
    return {**files, "python": python_of_venv(), "place": str(ROOT)}


def python_of_venv() -> str:
    """Version and home of the Python that .venv was made with, as its own file says."""
    text = (VENV / "pyvenv.cfg").read_text(encoding="utf-8") if (VENV / "pyvenv.cfg").is_file() else ""
    return "; ".join(line.strip() for line in text.splitlines() if line.startswith(("version", "home")))


def build() -> None:
    """Install everything; the stamp is written last, so that an interruption is seen."""
    print(f"setting up {VENV.name} (the first time takes a few minutes) ...", flush=True)
    if UNFINISHED.exists() or has_moved() or not works():
        make_venv()
    UNFINISHED.touch()
    install()
    put_scripts_on_path()
    STAMP.write_text(json.dumps(wanted(), indent=1), encoding="utf-8")
    UNFINISHED.unlink()


def has_moved() -> bool:
    """Whether the folder was renamed or copied since the last setup: the scripts in .venv name the old place."""
    if not STAMP.is_file():
        return False
    return f'"place": {json.dumps(str(ROOT))}' not in STAMP.read_text(encoding="utf-8")


def works() -> bool:
    """Whether .venv holds a Python of a version we support, with pip."""
    probe = f"import sys, pip; sys.exit(not {OLDEST} <= sys.version_info[:2] <= {NEWEST})"
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", probe], capture_output=True, check=False).returncode == 0


def make_venv() -> None:
    """An empty .venv; whatever stood there is removed."""
    if VENV.exists():
        shutil.rmtree(VENV)
    made = subprocess.run([base_python(), "-m", "venv", VENV], capture_output=True, text=True, check=False)
    if made.returncode:
        give_up(
            "E-ENV-001",
            "Python could not make a virtual environment.",
            found=(made.stdout + made.stderr).strip(),
            fix="on Debian and Ubuntu: apt install python3-venv; elsewhere install Python from python.org",
        )


def install() -> None:
    """uv by pip, from the block of requirements.lock that names it; everything else by uv. All hashes are checked."""
    uv_alone = VENV / "uv.lock.txt"
    uv_alone.write_text(locked_block("uv"), encoding="utf-8")
    by_pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")
    by_uv = ("-m", "uv", "pip")
    here = ("--quiet", "--python", str(PYTHON))
    if run(*by_pip, "--no-deps", "-r", str(uv_alone)):
        give_up("E-ENV-002", "uv could not be installed.", fix="check the access to the package registry, run again")
    if run(*by_uv, "sync", *here, "--require-hashes", str(LOCKED)) and run(*by_pip, "-r", str(LOCKED)):
        give_up("E-ENV-003", "The packages could not be installed.", fix="read the lines above, then run again")
    if run(*by_uv, "install", *here, "--no-build-isolation", "--no-deps", "--editable", str(ROOT)):
        give_up("E-ENV-004", "The project could not be installed.", fix="read the lines above, then run again")
    uv_alone.unlink()


def locked_block(package: str) -> str:
    """The lines of requirements.lock that pin one package."""
    text = LOCKED.read_text(encoding="utf-8")
    block = re.search(rf"^{re.escape(package)}==(?:.*\\\n)*.*", text, re.MULTILINE)
    if not block:
        give_up(
            "E-ENV-005",
            f"requirements.lock does not pin {package}.",
            fix="restore the file: git checkout requirements.lock",
        )
    return block.group() + "\n"


def put_scripts_on_path() -> None:
    """Let `.venv/bin/dvc repro` find our command without activation: DVC starts stages through the shell's PATH."""
    line = (
        "import os, sys; s = os.path.dirname(sys.executable); p = os.environ.get('PATH', ''); "
        "os.environ.update({} if s in p.split(os.pathsep) else {'PATH': s + os.pathsep + p})\n"
    )
    for packages in [VENV / "Lib" / "site-packages", *VENV.glob("lib/python*/site-packages")]:
        if packages.is_dir():
            (packages / "evaluation_scripts_on_path.pth").write_text(line, encoding="utf-8")


def base_python() -> str:
    """A Python of a version we support, outside .venv: the one that runs this file, or another one on PATH."""
    names = [getattr(sys, "_base_executable", sys.executable)]
    names += [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)] + ["python3", "python"]
    for name in names:
        found = shutil.which(name)
        if found and is_suitable(found):
            return found
    oldest, newest = (".".join(map(str, version)) for version in (OLDEST, NEWEST))
    return give_up(
        "E-ENV-006",
        "No suitable Python was found.",
        found=f"Python {sys.version.split()[0]}",
        fix=f"install Python {oldest} to {newest}, then: python3.11 run.py report",
    )


def is_suitable(python: str) -> bool:
    """Whether this Python is of a version we support and not the one inside .venv, which is about to be replaced."""
    probe = f"import sys; print(sys.prefix); sys.exit(not {OLDEST} <= sys.version_info[:2] <= {NEWEST})"
    said = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
    return said.returncode == 0 and Path(said.stdout.strip()) != VENV


@contextmanager
def one_at_a_time():
    """Wait for another setup of the same folder; the lock ends with its process, however that dies."""
    (ROOT / "tmp").mkdir(exist_ok=True)
    with (ROOT / "tmp" / "setup.lock").open("a+b") as file:
        if WINDOWS:
            wait_for_lock(file)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield


def wait_for_lock(file):
    """Windows gives up after ten seconds; a setup takes longer."""
    import msvcrt

    file.seek(0)
    while True:
        try:
            return msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        except OSError:
            print("another setup of this folder is running; waiting ...", flush=True)


def give_up(code: str, what: str, *, found: str = "", fix: str = ""):
    """Say what is wrong and what to do, then end with the exit code of a setup problem."""
    details = [f"{name}: {text}" for name, text in (("where", ROOT), ("found", found), ("fix", fix)) if text]
    print("\n".join([f"{code} {what}", *details]), file=sys.stderr)
    raise SystemExit(EXIT_SETUP)


# child processes -----------------------------------------------------------------------------------------------------


def run(*arguments: str) -> int:
    """Run the environment's Python with these arguments in the project's folder; returns its exit code."""
    child = subprocess.Popen([str(PYTHON), *arguments], cwd=ROOT, env=child_environment())
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        try:
            code = child.wait()
            return code if code >= 0 else 128 - code
        except KeyboardInterrupt:
            continue  # the terminal told the child too; it ends by itself and says what is kept


def child_environment() -> dict[str, str]:
    """Our environment, with the scripts of .venv first, bytecode kept and nothing sent home."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH")
    }
    return {
        **inherited,
        "VIRTUAL_ENV": str(VENV),
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUTF8": "1",
        "DVC_NO_ANALYTICS": "1",
        "UV_COMPILE_BYTECODE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_LINK_MODE": os.environ.get("UV_LINK_MODE", "copy"),
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
