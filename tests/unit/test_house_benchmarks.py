"""The benchmarks judge as they say they do; nothing is timed here."""

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def bench(monkeypatch):
    """The modules of benchmarks/, which import each other by name."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    before = set(sys.modules)
    import contest
    import measure
    import races
    import tables

    yield {"contest": contest, "measure": measure, "races": races, "tables": tables}
    for name in set(sys.modules) - before:
        if name in ("contest", "measure", "races", "tables"):
            del sys.modules[name]


def entry(bench, contender, wall, peak=100.0, **more):
    measure = bench["measure"]
    lap = measure.Lap(wall=9.0, cpu=9.0)
    pairs = measure.Pairs(wall=wall, cpu=wall, our_wall=[1.0] * len(wall), our_cpu=[1.0] * len(wall))
    first = measure.First(lap=lap, peak=peak, before=peak / 2)
    return bench["contest"].Entry(contender=contender, pairs=pairs, first=first, **more)


def race(bench, **more):
    contender = bench["races"].Contender
    ours = contender(name="evaluation", maker="ours:staggered", target=8)
    peers = [contender(name=name, maker=f"peers:{name}") for name in ("quick", "slow")]
    fields = {"name": "r", "title": "R", "family": "r", "size": 1, "job": {}, "memory_target": 0.7} | more
    return bench["races"].Race(contenders=(ours, *peers), **fields)


def test_targets_are_judged_by_medians_of_pairs_with_the_fastest_peer(bench):
    # The fastest peer's median is 9 (of 8, 9, 30), ours 1: 9 times; memory 70 / 100.
    one = race(bench)
    ours, quick, slow = one.contenders
    entries = [entry(bench, ours, [1.0], peak=70.0), entry(bench, slow, [90.0]), entry(bench, quick, [30.0, 8.0, 9.0])]
    (verdict,) = bench["contest"].Result(race=one, entries=entries).verdicts()
    assert (verdict.peer, verdict.times, verdict.memory, verdict.missed) == ("quick", 9.0, 0.7, False)


def test_a_target_that_is_missed_is_said(bench):
    one = race(bench)
    ours, quick, _ = one.contenders
    result = bench["contest"].Result(race=one, entries=[entry(bench, ours, [1.0]), entry(bench, quick, [7.9])])
    assert [verdict.missed for verdict in result.verdicts()] == [True]
    text = list(bench["tables"].verdicts(result))
    assert text[0] == "evaluation: 7.9 times as fast as quick, the fastest peer; target >= 8: MISSED"
    assert text[1].endswith("target <= 0.7: MISSED")


def test_a_peer_with_other_numbers_is_never_the_fastest(bench):
    one = race(bench)
    ours, quick, slow = one.contenders
    wrong = entry(bench, quick, [2.0], gaps={"estimate": 1e-3})
    result = bench["contest"].Result(race=one, entries=[entry(bench, ours, [1.0]), wrong, entry(bench, slow, [9.0])])
    assert [verdict.peer for verdict in result.verdicts()] == ["slow"]
    assert any("DIFFER" in line for line in bench["tables"].lines(result))


def test_numbers_with_nothing_in_common_are_not_equal(bench):
    gaps = bench["races"].gaps({"estimate": {"3, 4": 1.0}}, {"estimate": {"4, 3": 1.0}})
    assert gaps == {"estimate": float("inf")}
    assert bench["races"].gaps({"std_error": {"a": 2.0}}, {"std_error": {"a": 2.5}}) == {"std_error": 0.25}


def test_a_size_is_not_tried_where_a_smaller_one_took_too_long(bench):
    contest = bench["contest"].Contest(rounds=1, box=10.0)
    small, large = race(bench, size=100), race(bench, size=400)
    slow = small.contenders[2]
    contest.earlier["r", "slow"] = (100, entry(bench, slow, [3.0]))
    assert contest._hopeless(large, slow).failure == "not run: 3 s at 100"  # 4 x 3 s > 10 s
    assert contest._hopeless(small, slow) is None


def test_every_race_names_programs_that_exist(bench):
    sources = {
        name: (REPOSITORY / "benchmarks" / f"{name}.py").read_text(encoding="utf-8") for name in ("ours", "peers")
    }
    all_races = bench["races"].races(quick=False, largest=True)
    for contender in (one for each in all_races for one in each.contenders):
        module, function = contender.maker.split(":")
        assert f"\ndef {function}(" in sources[module]
    assert len({one.name for one in all_races}) == len(all_races)
