"""Programs in processes of their own: wall time, processor time and peak memory, in turns, within a time box.

This process stays small (no numpy, no data): a child inherits the peak memory of the process that starts it.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Numbers = Mapping[str, Mapping[str, float]]

PREPARING = 300.0  # seconds for imports and data, which are not timed
QUICK = 0.5  # seconds; a program that takes less has three times as many runs
LEAVING = 3.0  # seconds that a child has to end by itself
COLD = 30.0  # seconds; a first run that takes longer is the only one and counts
BUDGET = 60.0  # seconds that the repetitions of one peer may take
MEGABYTE = 1024.0 * 1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a child runs.

    Attributes:
        run: the job, timed.
        numbers: what it found, by measure and label, from what `run` returned; not timed.
    """

    run: Callable[[], Any]
    numbers: Callable[[Any], Numbers]


class ProgramError(Exception):
    """A program stopped, was killed or took too long; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """One run: seconds on the clock, seconds of all processors."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first run, which warms up.

    Attributes:
        lap: its times.
        peak: MB, the most that the process held, with interpreter, libraries and data; 0 where it is not known.
        before: MB that it held before, libraries and data.
    """

    lap: Lap
    peak: float
    before: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Runs of a program and, each time just before, of ours.

    Attributes:
        wall, cpu: seconds of the program.
        our_wall, our_cpu: seconds of ours.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    our_wall: list[float] = field(default_factory=list)
    our_cpu: list[float] = field(default_factory=list)

    def add(self, ours: Lap, lap: Lap) -> None:
        """One more pair."""
        self.our_wall.append(ours.wall)
        self.our_cpu.append(ours.cpu)
        self.wall.append(lap.wall)
        self.cpu.append(lap.cpu)

    @property
    def times_slower(self) -> float:
        """Median of the program over median of ours, on the clock."""
        return statistics.median(self.wall) / statistics.median(self.our_wall)

    @property
    def times_more_work(self) -> float:
        """The same in seconds of processors."""
        return statistics.median(self.cpu) / max(statistics.median(self.our_cpu), 1e-6)


# the parent's side ----------------------------------------------------------------------------------------------------


class Worker:
    """A child with the data of one job and one program, which runs when it is asked to."""

    def __init__(self, prepare: Callable[..., Program], *arguments: object, box: float) -> None:
        """Start it and wait until its data are ready.

        Args:
            prepare: makes the program in the child; found there by its name.
            arguments: of `prepare`.
            box: seconds that a run may take.

        Raises:
            ProgramError: it cannot be prepared.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._box = box
        self._process = context.Process(target=_serve, args=(theirs, prepare, *arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._answer(PREPARING, "preparing")

    def first(self) -> First:
        """The first run, with its memory."""
        answer: First = self._ask("first", self._box)
        return answer

    def lap(self) -> Lap:
        """Another run."""
        answer: Lap = self._ask("lap", 3 * self._box)
        return answer

    def numbers(self) -> Numbers:
        """What the first run found; to be asked before another one."""
        answer: Numbers = self._ask("numbers", PREPARING)
        return answer

    def stop(self) -> None:
        """End the child: by itself if it only waits for a question, else by force."""
        self._pipe.close()
        self._process.join(LEAVING)
        self._process.kill()
        self._process.join()

    def _ask(self, question: str, box: float) -> Any:
        with contextlib.suppress(OSError):  # a child that has died is reported below
            self._pipe.send(question)
        return self._answer(box, "running")

    def _answer(self, box: float, doing: str) -> Any:
        try:
            late = not self._pipe.poll(box)
            good, answer = (False, f"more than {box:g} s {doing}") if late else self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise ProgramError(f"ended by itself while {doing}, exit code {self._process.exitcode}") from None
        if not good:
            self.stop()
            raise ProgramError(answer)
        return answer


def in_turns(ours: Worker, other: Worker, first: First, rounds: int) -> Pairs:
    """Ours, the other, ours, the other …; a slow program has fewer turns, a very slow one only its first run."""
    pairs = Pairs()
    if first.lap.wall > COLD:
        pairs.add(ours.lap(), first.lap)
        return pairs
    wanted = 3 * rounds if first.lap.wall < QUICK else rounds
    for _ in range(max(1, min(wanted, int(BUDGET / max(first.lap.wall, 1e-6))))):
        pairs.add(ours.lap(), other.lap())
    return pairs


def of_import(module: str, rounds: int) -> list[float]:
    """Seconds of a new interpreter that imports a module and ends."""
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]  # the first one may write bytecode


def free_memory() -> float:
    """MB that new processes can take; infinite where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable"):
                return float(line.split()[1]) / 1024
    return float("inf")


# the child's side -----------------------------------------------------------------------------------------------------


def _serve(pipe: Connection, prepare: Callable[..., Program], *arguments: object) -> None:
    _be_silent()
    try:
        program = prepare(*arguments)
        pipe.send((True, None))
        held: list[Any] = []
        while True:
            pipe.send((True, _reply(pipe.recv(), program, held)))
    except (EOFError, OSError):
        return
    except BaseException as problem:  # whatever stops a peer is reported in the table
        pipe.send((False, f"{type(problem).__name__}: {problem}".splitlines()[0][:160]))


def _be_silent() -> None:
    """Progress bars and warnings of peers would break the table."""
    warnings.simplefilter("ignore")
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)


def _reply(question: str, program: Program, held: list[Any]) -> Any:
    """Only the first run's result is held, and let go before the next run."""
    if question == "numbers":
        return program.numbers(held[0])
    held.clear()
    gc.collect()
    if question == "lap":
        return _timed(program)[1]
    _forget_peak()
    before = _resident()
    found, lap = _timed(program)
    held.append(found)
    return First(lap=lap, peak=_peak(), before=before)


def _timed(program: Program) -> tuple[Any, Lap]:
    cpu, wall = time.process_time(), time.perf_counter()
    found = program.run()
    return found, Lap(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)


def _forget_peak() -> None:
    """Linux: let the peak start from what is held now, so that the making of the data does not count."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _resident() -> float:
    with contextlib.suppress(OSError, AttributeError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE
    return 0.0


def _peak() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE
