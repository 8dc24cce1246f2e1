"""Says how far a stage is: one line that is rewritten on a terminal, plain lines elsewhere, everything in a log."""

import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from evaluation import store
from evaluation.errors import SetupError

if TYPE_CHECKING:
    from rich.status import Status

HEARTBEAT_SECONDS = 10.0


class Progress:
    """How many evaluations of a stage are done, told as they end and at least every ten seconds.

    Args:
        position: where the stage stands among all, such as "2/7".
        stage: its name.
        total: number of evaluations to do.
    """

    def __init__(self, position: str, stage: str, total: int) -> None:
        self._head = f"[{position}] {stage}"
        self._stage = stage
        self._total = total
        self._done = 0
        self._start = time.monotonic()
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._keep_beating, daemon=True)
        self._status = _terminal_status(self._head)

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        self._beat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._beat.join()
        if self._status:
            self._status.stop()

    def done(self, evaluation_id: str, problem: str = "") -> None:
        """One more evaluation has ended, well or with a problem (its first line)."""
        self._done += 1
        line = f"{self._head} · {evaluation_id} {self._count()}" + (f" · {problem}" if problem else "")
        self._say(line, keep=bool(problem))
        log(self._stage, line)

    def _keep_beating(self) -> None:
        wait = 1.0 if self._status else HEARTBEAT_SECONDS
        while not self._ended.wait(wait):
            self._say(f"{self._head} · {self._count()}", keep=False)

    def _count(self) -> str:
        seconds = int(time.monotonic() - self._start)
        return f"{self._done}/{self._total} · {seconds // 60:02d}:{seconds % 60:02d} elapsed"

    def _say(self, line: str, *, keep: bool) -> None:
        if not self._status:
            print(line, file=sys.stderr, flush=True)
        elif keep:
            self._status.console.print(line, markup=False, highlight=False)
        else:
            self._status.update(line)


def log(name: str, text: str) -> Path:
    """Add a line, with the time, to the log of this name; return its file."""
    file = _log_file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    return file


def tell(position: str, stage: str, did: str) -> None:
    """Say what a stage did."""
    line = f"[{position}] {stage} · {did}"
    print(line, file=sys.stderr, flush=True)
    log(stage, line)


def _log_file(name: str) -> Path:
    """tmp/log/<name>.log, or a file in the system's folder for temporary files outside a project."""
    try:
        return store.path("tmp", "log", f"{name}.log")
    except SetupError:
        return Path(tempfile.gettempdir()) / f"evaluation-{name}.log"


def _terminal_status(text: str) -> "Status | None":
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    return Console(stderr=True).status(text)
