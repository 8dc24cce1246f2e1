"""Which studies are most worth funding: innovations to test, ranked by a rule that is printed beside the list.

First the expected value of the test where the stage selection knows it; where it does not, the grade of the best
finding, then the probability that the effect is useful. A probability that rests on the prior alone is marked; one that
nobody could work out comes last and is said to be missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from evaluation.report import synthesis_views
from evaluation.report.inputs import Inputs, Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]

NAMED: Final = 3
_TEST: Final = "EXPERIMENTER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What the rank of one innovation to test rests on.

    Attributes:
        value: expected net benefit of the test; None where nobody knows it.
        useful: P(effect > smallest effect worth having) for the outcome of the best finding; None if not computed.
        prior: `useful` rests on the prior alone.
    """

    innovation: str
    value: float | None
    grade: int
    useful: float | None
    prior: bool
    in_france: bool

    @property
    def order(self) -> tuple[float, int, float, str]:
        """The most worth funding first; ties by id."""
        nowhere = float("inf")
        value = nowhere if self.value is None else -self.value
        return value, -self.grade, nowhere if self.useful is None else -self.useful, self.innovation


def ranked(inputs: Inputs) -> list[Study]:
    """All innovations to test, the most worth funding first."""
    chosen = [row for row in inputs.decisions if row["decision"] == _TEST]
    return sorted((_study(inputs, row) for row in chosen), key=lambda study: study.order)


def worth_funding(inputs: Inputs, lang: Lang) -> View:
    """The first few, those of France by the same rule where none of the first few is, and what the rank rests on."""
    found = ranked(inputs)
    first, known = found[:NAMED], any(study.value is not None for study in found)
    at_home = [study for study in found if study.in_france and study not in first][:NAMED]
    return {
        "rule": texts(lang)("studies.rule_value" if known else "studies.rule"),
        "first": [line(inputs, study, lang) for study in first],
        "at_home": [line(inputs, study, lang) for study in at_home],
        "any_at_home": any(study.in_france for study in first),
    }


def _study(inputs: Inputs, decision: Row) -> Study:
    useful, prior = _useful(inputs.posteriors_of(decision["innovation"]), decision["best_record"])
    return Study(
        innovation=decision["innovation"],
        value=_value(inputs.local_of(decision["innovation"])),
        grade=decision["best_grade"] or 0,
        useful=useful,
        prior=prior,
        in_france=inputs.innovation(decision["innovation"])["in_france"],
    )


def _value(rows: Sequence[Row]) -> float | None:
    """The highest value of a test among the test territories."""
    values = [(row.get("learning") or {}).get("value") for row in rows]
    known = [value for value in values if value is not None]
    return max(known) if known else None


def _useful(effects: Sequence[Row], best_record: str | None) -> tuple[float | None, bool]:
    """Of the outcome of the best finding; failing that, the lowest of those whose error was read, then of the prior."""
    read = [row["posterior"] for row in effects if row["posterior"]["basis"] == "records"]
    own = [posterior for posterior in read if best_record in posterior["records"]]
    prior = [row["posterior"] for row in effects if row["posterior"]["basis"] == "prior"]
    chosen = own or read or prior
    return min((posterior["useful"] for posterior in chosen), default=None), not read


def line(inputs: Inputs, study: Study, lang: Lang) -> View:
    """One study to fund: the innovation, where it exists, what its rank rests on."""
    row = inputs.innovation(study.innovation)
    return {
        "id": study.innovation,
        "label": said(row, "label", lang),
        "where": Said("France") if study.in_france else said(row, "country", lang),
        "why": _why(study, lang),
    }


def _why(study: Study, lang: Lang) -> str:
    t = texts(lang)
    grade = t("studies.grade", grade=study.grade)
    if study.useful is None:
        return t("studies.no_chance", grade=grade)
    key = "studies.prior" if study.prior else "studies.chance"
    return t(key, grade=grade, useful=synthesis_views.probability(study.useful, lang))
