"""One race: warm up, compare the numbers, time in turns, and judge what was asked."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from measure import First, Lap, Numbers, Pairs, ProgramError, Worker, free_memory, in_turns
from races import Contender, Race, gaps, in_common, make


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one program in a race.

    Attributes:
        contender: which.
        first: its first run; None where there was none.
        pairs: its runs in turns with ours; None where it did not get there. For ours itself, all its runs.
        gaps: largest gap to our numbers by measure.
        missing: how many of our numbers it does not have.
        failure: why there are no times.
        unfinished: seconds that it was given and did not finish in; 0 otherwise.
    """

    contender: Contender
    first: First | None = None
    pairs: Pairs | None = None
    gaps: dict[str, float] = field(default_factory=dict)
    missing: int = 0
    failure: str = ""
    unfinished: float = 0.0

    @property
    def differing(self) -> list[str]:
        """Measures whose gap is larger than allowed."""
        return [name for name, gap in self.gaps.items() if not gap <= self.contender.tolerance(name)]

    @property
    def counts(self) -> bool:
        """Whether it was timed and has the same numbers."""
        return self.pairs is not None and not self.differing

    @property
    def only_once(self) -> bool:
        """Whether its first run, warming up included, is the only one."""
        return self.pairs is not None and self.first is not None and self.pairs.wall == [self.first.lap.wall]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was asked of one of our programs and what was found.

    Attributes:
        who: our program.
        peer: the fastest peer with the same numbers; empty where none was timed.
        times: how many times as fast we are; a lower bound if `at_least`.
        target: what was asked; None for nothing.
        memory: our peak over that of the fastest peer; None where it is not known.
        memory_target: what was asked.
    """

    who: str
    peer: str
    times: float
    target: float | None
    at_least: bool = False
    memory: float | None = None
    memory_target: float | None = None

    @property
    def missed(self) -> bool:
        """Whether anything that was asked was not found."""
        slow = self.target is not None and not self.times >= self.target
        return slow or (
            self.memory_target is not None and self.memory is not None and not self.memory <= self.memory_target
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A race that was run."""

    race: Race
    entries: list[Entry]

    def verdicts(self) -> Iterator[Verdict]:
        """One for each of our programs."""
        peers = [entry for entry in self.entries if not entry.contender.ours]
        timed = sorted((p for p in peers if p.counts), key=lambda p: statistics.median(p.pairs.wall) if p.pairs else 0)
        limits = [entry.unfinished for entry in peers if entry.unfinished]
        for ours in (entry for entry in self.entries if entry.contender.ours and entry.pairs):
            if timed:
                yield self._against(ours, timed[0])
            elif limits and ours.pairs:
                bound = min(limits) / statistics.median(ours.pairs.wall)
                yield Verdict(
                    who=ours.contender.name, peer="", times=bound, target=ours.contender.target, at_least=True
                )

    @property
    def unjudged(self) -> bool:
        """Whether something was asked of us and no peer ran that could tell."""
        return self.entries[0].contender.target is not None and not list(self.verdicts())

    def _against(self, ours: Entry, peer: Entry) -> Verdict:
        assert ours.pairs is not None  # noqa: S101 - for mypy
        assert peer.pairs is not None  # noqa: S101 - for mypy
        main = ours is self.entries[0]
        fastest = statistics.median(peer.pairs.wall)
        peaks = [entry.first.peak for entry in (ours, peer) if entry.first and entry.first.peak]
        return Verdict(
            who=ours.contender.name,
            peer=peer.contender.name,
            times=peer.pairs.times_slower if main else fastest / statistics.median(ours.pairs.wall),
            target=ours.contender.target,
            memory=peaks[0] / peaks[1] if len(peaks) == 2 else None,
            memory_target=self.race.memory_target if main else None,
        )


@dataclass(slots=True, kw_only=True)
class Contest:
    """Races one after the other; what a program took at one size says whether a larger one is worth trying.

    Attributes:
        rounds: runs of each program, unless it is slow.
        box: seconds that a run may take.
        earlier: by family and name, the size and the entry of the last race.
    """

    rounds: int
    box: float
    earlier: dict[tuple[str, str], tuple[int, Entry]] = field(default_factory=dict)

    def run(self, race: Race) -> Result:
        """All programs in turns with ours; one that fails is reported, never dropped."""
        main, *others = race.contenders
        try:
            ours = Worker(make, main.maker, race.job, box=self.box)
            try:
                first = ours.first()
                numbers = ours.numbers()
                entries = [self._entry(race, contender, ours, numbers) for contender in others]
                laps = [ours.lap() for _ in range(self.rounds)]
            finally:
                ours.stop()
        except ProgramError as problem:
            return Result(race=race, entries=[Entry(contender=main, failure=str(problem))])
        return Result(race=race, entries=[_all_of_ours(main, first, entries, laps), *entries])

    def _entry(self, race: Race, contender: Contender, ours: Worker, numbers: Numbers) -> Entry:
        hopeless = self._hopeless(race, contender)
        entry = hopeless or self._timed(race, contender, ours, numbers)
        if not hopeless:
            self.earlier[race.family, contender.name] = (race.size, entry)
        return entry

    def _hopeless(self, race: Race, contender: Contender) -> Entry | None:
        """An entry without times if what it took at a smaller size, in proportion, is too much."""
        size, before = self.earlier.get((race.family, contender.name), (0, None))
        if before is None or contender.ours:
            return None
        blank, times = Entry(contender=contender), race.size / size
        if before.failure:
            return replace(blank, failure=f"not run: {before.failure} at {size:,}", unfinished=before.unfinished)
        seconds = times * (statistics.median(before.pairs.wall) if before.pairs else 0.0)
        if seconds > self.box:
            return replace(blank, failure=f"not run: {seconds / times:.0f} s at {size:,}", unfinished=self.box)
        needed = times * (before.first.peak if before.first else 0.0)
        if needed > 0.8 * free_memory():
            return replace(blank, failure=f"not run: would need about {needed / 1024:.0f} GB")
        return None

    def _timed(self, race: Race, contender: Contender, ours: Worker, numbers: Numbers) -> Entry:
        entry = Entry(contender=contender)
        worker: Worker | None = None
        try:
            worker = Worker(make, contender.maker, race.job, box=self.box)
            entry = replace(entry, first=worker.first())
            found = worker.numbers()
            both, mine = in_common(numbers, found)
            entry = replace(entry, gaps=gaps(numbers, found), missing=mine - both)
            assert entry.first is not None  # noqa: S101 - for mypy
            return replace(entry, pairs=in_turns(ours, worker, entry.first, self.rounds))
        except ProgramError as problem:
            late = self.box if entry.first is None and str(problem).endswith("running") else 0.0
            return replace(entry, failure=str(problem), unfinished=late)
        finally:
            if worker is not None:
                worker.stop()


def _all_of_ours(main: Contender, first: First, entries: list[Entry], laps: list[Lap]) -> Entry:
    """Our runs beside all peers; those after the last peer if there is none."""
    pairs = Pairs()
    for entry in entries:
        if entry.pairs:
            pairs.wall.extend(entry.pairs.our_wall)
            pairs.cpu.extend(entry.pairs.our_cpu)
    if not pairs.wall:
        pairs.wall.extend(lap.wall for lap in laps)
        pairs.cpu.extend(lap.cpu for lap in laps)
    return Entry(contender=main, first=first, pairs=pairs)
