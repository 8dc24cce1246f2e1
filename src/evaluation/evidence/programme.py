"""The grade of a programme, from the grades of its findings: what one study cannot show, that it works elsewhere too.

    grade = grade of the best finding, at most 4 without replication, less 1 where studies contradict each other,
            at most 2 where a finding of grade 4 or more is harmful

Replicated means, for one outcome: two findings of grade 4 or more on different people, one of them by evaluators who
are independent of the programme, one at 12 months or later, and a 95 % prediction interval, for a new place, that stays
above minus the smallest effect worth having. Studies contradict each other where that interval holds both signs and
most of the variation is not chance (I² above one half). Subgroups and robustness checks count only where nothing else
was read.

It stands beside the grade of a finding, the verdict and the letter of transfer, and is merged with none of them.
Source: Blueprints (Model and Model Plus: replication, 12 months, independence); GRADE (inconsistency); Nesta, levels 4
and 5.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evaluation import store
from evaluation.evidence import grading
from evaluation.evidence.record import Record

VERSION = "1"
STRONG = 4  # grade from which a finding counts towards replication, and against the programme if it is harmful
UNREPLICATED, HARMFUL = 4, 2
SUSTAINED_MONTHS = 12
INCONSISTENT = 0.5  # I²

# Why a programme is graded as it is; said in this order.
REASONS: Mapping[str, tuple[str, str]] = {
    "harmful": (
        "Un résultat solide est défavorable.",
        "A well-established finding is unfavourable.",
    ),
    "inconsistent": (
        "Les études se contredisent d'un lieu à l'autre.",
        "Studies contradict each other from place to place.",
    ),
    "one_finding": (
        "Aucun résultat n'a été confirmé par une deuxième étude solide sur d'autres personnes.",
        "No result was confirmed by a second strong study on other people.",
    ),
    "not_independent": (
        "On ne sait pas si l'une des études solides est indépendante du programme.",
        "It is not known whether one of the strong studies is independent of the programme.",
    ),
    "not_sustained": (
        "Aucune étude solide n'a mesuré l'effet douze mois après ou plus.",
        "No strong study measured the effect after twelve months or more.",
    ),
    "not_predicted": (
        "Dans un nouveau lieu, un effet défavorable qui compte n'est pas exclu.",
        "In a new place an unfavourable effect that matters is not excluded.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeGrade:
    """How sure we are of a programme.

    Attributes:
        innovation: its id.
        value: 0 to 5.
        best: grade of its best finding.
        findings: effects and signs that were read.
        replicated: an outcome that was replicated, None if there is none.
        reasons: codes of `REASONS` that hold the grade down.
    """

    innovation: str
    value: int
    best: int
    findings: int
    replicated: str | None
    reasons: tuple[str, ...]


def programme_grade(
    innovation: str, records: Sequence[Record], grades: Mapping[str, int], effects: Iterable[Mapping[str, Any]]
) -> ProgrammeGrade | None:
    """The grade of one programme; None if no effect and no direction of one was read.

    Args:
        innovation: its id.
        records: all findings, of any innovation.
        grades: record id -> grade.
        effects: entries of `effects` in data/evidence/synthesis.json, of any innovation.
    """
    own = {record.id: record for record in records if record.innovation == innovation}
    read = _main([record for record in own.values() if record.kind in ("effect", "sign_only")])
    if not read:
        return None
    outcomes = [each for each in effects if each["innovation"] == innovation]
    missing = {each["outcome"]: _missing(each, own, grades) for each in outcomes}
    replicated = next((outcome for outcome, lacking in sorted(missing.items()) if not lacking), None)
    best = max(grades[record.id] for record in read)
    value = best if replicated else min(best, UNREPLICATED)
    reasons = _nearest(missing.values()) if best >= UNREPLICATED and not replicated else []
    if any(_contradictory(each) for each in outcomes):
        value, reasons = value - 1, ["inconsistent", *reasons]
    if any(grades[record.id] >= STRONG and grading.verdict(record) in ("harmful", "sign_negative") for record in read):
        value, reasons = min(value, HARMFUL), ["harmful", *reasons]
    return ProgrammeGrade(
        innovation=innovation,
        value=max(value, 0),
        best=best,
        findings=len(read),
        replicated=replicated,
        reasons=tuple(reasons),
    )


def of_one_study(grade: int) -> int:
    """The grade of a programme of which one study is known: that of its finding, at most that without replication."""
    return min(grade, UNREPLICATED)


def _main(read: list[Record]) -> list[Record]:
    """Main specifications on whole samples, or all where there is none."""
    return [record for record in read if not (record.source.subgroup or record.source.robustness)] or read


def _nearest(missing: Iterable[Sequence[str]]) -> list[str]:
    """What the outcome lacks that is nearest to being replicated: one with two strong findings before any other."""
    order = sorted(missing, key=lambda lacking: ("one_finding" in lacking, len(lacking)))
    return list(order[0]) if order else ["one_finding"]


def _missing(effect: Mapping[str, Any], own: Mapping[str, Record], grades: Mapping[str, int]) -> tuple[str, ...]:
    """What an outcome lacks to be replicated; its `findings` speak of different people already."""
    strong = [own[row["id"]] for row in effect["findings"] if row["id"] in own and grades[row["id"]] >= STRONG]
    if len(strong) < 2:
        return ("one_finding",)
    lacks = {
        "not_independent": not any(_independent(record) for record in strong),
        "not_sustained": not any((record.outcome.horizon_months or 0) >= SUSTAINED_MONTHS for record in strong),
        "not_predicted": not _safe_elsewhere(effect, strong[0]),
    }
    return tuple(name for name, lacking in lacks.items() if lacking)


def _independent(record: Record) -> bool:
    return any(check.check == "independence.evaluator" and check.value == 0 for check in record.checks)


def _safe_elsewhere(effect: Mapping[str, Any], record: Record) -> bool:
    """Whether the prediction interval stays above minus the smallest effect, in the favourable direction."""
    ends, outcome = _prediction(effect), record.outcome
    if ends is None or outcome.better is None:
        return False
    smallest = outcome.smallest_effect or 0.0
    bound = math.log1p(smallest) if _of_ratios(effect) else smallest
    return (ends[0] if outcome.better == "higher" else -ends[1]) > -bound


def _contradictory(effect: Mapping[str, Any]) -> bool:
    ends, spread = _prediction(effect), effect["pooled"].get("heterogeneity")
    return ends is not None and bool(spread) and spread["i_squared"] > INCONSISTENT and ends[0] < 0 < ends[1]


def _of_ratios(effect: Mapping[str, Any]) -> bool:
    """Ratios are pooled as logarithms, whose 'no effect' is zero like that of differences."""
    return any(row.get("ratio") for row in effect["findings"])


def _prediction(effect: Mapping[str, Any]) -> tuple[float, float] | None:
    """Ends of the prediction interval; None with fewer than three studies."""
    found = effect["pooled"].get("prediction") or {}
    low, high = found.get("low"), found.get("high")
    return None if low is None or high is None else (low, high)


def programme_grades(
    records: Sequence[Record], grades: Mapping[str, int], effects: Sequence[Mapping[str, Any]]
) -> tuple[ProgrammeGrade, ...]:
    """The grades of all programmes of which an effect or its direction was read, by id."""
    names = sorted({record.innovation for record in records if record.innovation})
    found = (programme_grade(name, records, grades, effects) for name in names)
    return tuple(each for each in found if each is not None)


def read() -> dict[str, int]:
    """Grades by innovation, as data/evidence/programmes.json has them."""
    rows = store.read_json(store.path("data", "evidence", "programmes.json"))["programmes"]
    return {innovation: int(row["value"]) for innovation, row in rows.items()}


def write(grades: Sequence[ProgrammeGrade]) -> None:
    """data/evidence/programmes.json: by innovation, with the words of the reasons."""
    rows = {each.innovation: asdict(each) | _words(each.reasons) for each in grades}
    store.write_json(store.path("data", "evidence", "programmes.json"), {"version": VERSION, "programmes": rows})


def _words(reasons: Sequence[str]) -> dict[str, list[str]]:
    return {f"reasons_{lang}": [REASONS[code][place] for code in reasons] for place, lang in enumerate(("fr", "en"))}
