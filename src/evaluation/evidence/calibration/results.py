"""data/calibration/calibration.json: everything calibration found.

The file is committed to git, with the date, the seed and the number of repetitions, so that every page can say how
often intervals like its own held the truth. It changes only when somebody runs `evaluation calibrate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from evaluation import store
from evaluation.errors import DataError, ParametersError
from evaluation.evidence.calibration import computed, planted, shrinkage, within_study
from evaluation.evidence.rubric import Rubric
from evaluation.evidence.worlds import WORLDS
from evaluation.settings.synthesis import Synthesis

SCHEMA_VERSION: Final = "1.1"
SEED: Final = 20261125
REPETITIONS: Final = 2000  # portfolios a world
STUDIES: Final = 120  # samples a design
RANKS: Final = 20_000  # effects whose rank among posterior draws is looked at
FEWEST: Final = 10
LEVELS: Final = (1, 2)
COMMAND: Final = "evaluation calibrate"


def calibrate(
    rubric: Rubric,
    settings: Synthesis,
    *,
    date: str,
    worlds: Sequence[str] = (),
    repetitions: int = REPETITIONS,
    studies: int = STUDIES,
    seed: int = SEED,
    level: int = 2,
) -> dict[str, Any]:
    """Everything, as plain data.

    Args:
        rubric: the rules.
        settings: the biases that grades declare.
        date: of the run, YYYY-MM-DD.
        worlds: names; all if none.
        repetitions: portfolios of each world.
        studies: samples of each design of micro-data.
        seed: of everything drawn.
        level: 1 = planted records alone; 2 = micro-data and real comparisons as well.

    Raises:
        ParametersError: an unknown world or level, or too few repetitions.
    """
    chosen = _require_possible(worlds, repetitions, studies, level)
    first = planted.calibrate(chosen, repetitions, seed, rubric, settings)
    found = {
        "schema_version": SCHEMA_VERSION,
        "date": date,
        "seed": seed,
        "rubric": rubric.version,
        "synthesis": settings.version,
        "level": settings.level,
        "simulated": True,
        "planted": {"repetitions": repetitions, "worlds": first},
        "shrinkage": asdict(shrinkage.uniformity(RANKS, seed, settings)),
    }
    if level == 1:
        return found
    rows = {name: computed.repeat(name, studies, seed, rubric) for name in computed.CASES}
    return found | second_level(rows, studies, rubric, settings)


def second_level(
    rows: Mapping[str, Sequence[computed.Studied]], studies: int, rubric: Rubric, settings: Synthesis
) -> dict[str, Any]:
    """What micro-data and real trials say, as plain data."""
    cases = {name: computed.summarise(computed.CASES[name], rows[name], settings) for name in computed.CASES}
    for name, case in computed.CASES.items():
        cases[name]["ceilings"] = {each: rubric.ceilings[each].level for each in case.stands_for}
    kinds = {
        kind: [row for name in cases if cases[name]["analysis"] == kind for row in rows[name]]
        for kind in ("right", "wrong", "hidden")
    }
    every = [row for kind in kinds.values() for row in kind]
    compared = within_study.compare_all(rubric, settings)
    return {
        "computed": {
            "repetitions": studies,
            "designs": cases,
            **{kind: computed.by_computed_grade(mine, settings) for kind, mine in kinds.items()},
            "all": computed.by_computed_grade(every, settings),
            "silent": computed.by_computed_grade([row for row in every if not row.rang], settings),
            "silent_seen": computed.by_computed_grade(
                [row for kind in ("right", "wrong") for row in kinds[kind] if not row.rang], settings
            ),
            "alarms": _alarms(cases),
        },
        "within_study": {"comparisons": compared, "grades": within_study.by_grade(compared)},
    }


def write(found: Mapping[str, Any]) -> Path:
    """Write the file; return its path."""
    file = store.path("data", "calibration", "calibration.json")
    store.write_json(file, found)
    return file


def read() -> dict[str, Any]:
    """The file.

    Raises:
        StaleError: there is none yet.
        DataError: it is of another version.
    """
    found: dict[str, Any] = store.read_json(store.path("data", "calibration", "calibration.json"))
    if found.get("schema_version") != SCHEMA_VERSION:
        raise DataError(
            code="E-EVI-080",
            what="The calibration is of another version.",
            where="data/calibration/calibration.json",
            found=f"schema_version {found.get('schema_version')!r}",
            expected=repr(SCHEMA_VERSION),
            fix=f"make it again: {COMMAND}",
        )
    return found


def _alarms(cases: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Means over designs, each counting once."""
    flagged = {
        kind: [case["flagged"] for case in cases.values() if case["analysis"] == kind]
        for kind in ("right", "wrong", "hidden")
    }
    told = [max(case["flagged"], case["low_grade"]) for case in cases.values() if case["analysis"] == "wrong"]
    return {
        "wrong_flagged": _mean(flagged["wrong"]),
        "wrong_flagged_or_low": _mean(told),
        "wrong_worst": min(flagged["wrong"]),
        "false_alarms": _mean(flagged["right"]),
        "false_alarms_worst": max(flagged["right"]),
        "hidden_flagged": _mean(flagged["hidden"]),
    }


def _mean(shares: Sequence[float]) -> float:
    return sum(shares) / len(shares)


def _require_possible(worlds: Sequence[str], repetitions: int, studies: int, level: int) -> tuple[str, ...]:
    unknown = [name for name in worlds if name not in WORLDS]
    if unknown:
        raise ParametersError(
            code="E-EVI-081",
            what="There is no such planted world.",
            found=", ".join(unknown),
            expected=", ".join(WORLDS),
        )
    if level not in LEVELS or min(repetitions, studies) < FEWEST:
        raise ParametersError(
            code="E-EVI-082",
            what="This calibration cannot be run.",
            found=f"level {level}, {repetitions} portfolios, {studies} samples",
            expected=f"level 1 or 2, at least {FEWEST} portfolios and samples",
        )
    return tuple(worlds) or tuple(WORLDS)
