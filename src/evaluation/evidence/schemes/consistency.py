"""What must never be true of a grade of ours and the verdicts of other schemes on the same record.

Differences between schemes are shown, not hidden: they ask different things. These are the ones that no difference of
view explains, so that one of the two would be wrong. They hold whatever the record lacks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.errors import ParametersError
from evaluation.evidence.grading import Grade
from evaluation.evidence.rubric import BEST
from evaluation.evidence.schemes.core import Verdict

Verdicts = Mapping[str, Verdict]
FAVOURABLE = ("positive", "sign_positive")
UNFAVOURABLE = ("harmful", "sign_negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One thing that must never be true, with the scheme it is about."""

    id: str
    scheme: str
    fr: str
    en: str
    broken: Callable[[Grade, Verdict], bool]


def _at_most(verdict: Verdict, rank: int) -> bool:
    """Whether the scheme rates the finding no better than this even if all that is missing were at its best."""
    best = verdict.scheme.rating(verdict.at_most).rank
    return best is not None and best <= rank


ASSERTIONS: tuple[Assertion, ...] = (
    Assertion(
        id="wwc-not-met",
        scheme="wwc",
        fr="jamais le niveau 5 quand le WWC dit « non conforme » ou « non recevable »",
        en="never grade 5 where the WWC says 'does not meet' or 'ineligible'",
        broken=lambda grade, verdict: grade.value == BEST and _at_most(verdict, 1),
    ),
    Assertion(
        id="wwc-ineligible",
        scheme="wwc",
        fr="jamais plus de 2 quand le WWC juge la méthode non recevable",
        en="never above 2 where the WWC calls the design ineligible",
        broken=lambda grade, verdict: grade.value > 2 and verdict.at_most == "ineligible",
    ),
    Assertion(
        id="maryland-random",
        scheme="maryland",
        fr="jamais le niveau 5 sous le niveau 5 de Maryland",
        en="never grade 5 below Maryland's level 5",
        broken=lambda grade, verdict: grade.value == BEST and _at_most(verdict, 4),
    ),
    Assertion(
        id="maryland-weak",
        scheme="maryland",
        fr="jamais 4 ou 5 quand Maryland s'arrête à 2",
        en="never 4 or 5 where Maryland stops at 2",
        broken=lambda grade, verdict: grade.value >= 4 and _at_most(verdict, 2),
    ),
    Assertion(
        id="maryland-unscoreable",
        scheme="maryland",
        fr="jamais plus de 1 pour ce que Maryland ne note pas, sauf une synthèse",
        en="never above 1 for what Maryland does not score, syntheses apart",
        broken=lambda grade, verdict: grade.value > 1 and verdict.rule in ("unscoreable", "not-an-effect"),
    ),
    Assertion(
        id="grade-very-low",
        scheme="grade",
        fr="jamais le niveau 5 quand la certitude GRADE est très faible",
        en="never grade 5 where GRADE's certainty is very low",
        broken=lambda grade, verdict: grade.value == BEST and _at_most(verdict, 1),
    ),
    Assertion(
        id="has-experts",
        scheme="has",
        fr="jamais plus de 0 quand la HAS n'y voit qu'un accord d'experts",
        en="never above 0 where the HAS sees agreement of experts only",
        broken=lambda grade, verdict: grade.value > 0 and verdict.rating == "AE",
    ),
    Assertion(
        id="has-low",
        scheme="has",
        fr="jamais le niveau 5 quand la HAS ne donne que C",
        en="never grade 5 where the HAS gives C",
        broken=lambda grade, verdict: grade.value == BEST and _at_most(verdict, 1),
    ),
    Assertion(
        id="nesta-cause",
        scheme="nesta",
        fr="jamais plus de 2 quand Nesta ne voit pas de cause établie (niveaux 1 et 2)",
        en="never above 2 where Nesta sees no cause (levels 1 and 2)",
        broken=lambda grade, verdict: grade.value > 2 and verdict.rating in ("1", "2"),
    ),
    Assertion(
        id="eif-not-effective",
        scheme="eif",
        fr="jamais « sans effet » (NE) pour un résultat favorable",
        en="never 'not effective' (NE) for a favourable finding",
        broken=lambda grade, verdict: grade.verdict in FAVOURABLE and verdict.rating == "NE",
    ),
    Assertion(
        id="essa-harmful",
        scheme="essa",
        fr="jamais un palier 1 à 3 pour un résultat défavorable",
        en="never tier 1 to 3 for an unfavourable finding",
        broken=lambda grade, verdict: grade.verdict in UNFAVOURABLE and (verdict.rank or 0) >= 2,
    ),
    Assertion(
        id="results-first-green",
        scheme="results_first",
        fr="jamais vert ou jaune pour un résultat défavorable, ni rouge pour un résultat favorable",
        en="never green or yellow for an unfavourable finding, nor red for a favourable one",
        broken=lambda grade, verdict: (
            (grade.verdict in UNFAVOURABLE and verdict.rating in ("green", "yellow"))
            or (grade.verdict in FAVOURABLE and verdict.rating == "red")
        ),
    ),
)


def contradictions(grade: Grade, verdicts: Verdicts) -> list[Assertion]:
    """What is broken for one finding; nothing, as it should be."""
    return [each for each in ASSERTIONS if each.broken(grade, verdicts[each.scheme])]


def require_consistent(grades: Mapping[str, Grade], verdicts: Mapping[str, Verdicts]) -> None:
    """Refuse grades that contradict another scheme.

    Raises:
        ParametersError: a grade and a verdict cannot both be right; the rubric is what an evaluator can change.
    """
    found = [
        f"{name} (grade {grades[name].value}): {each.en}; it says: {verdicts[name][each.scheme].sentence('en')}"
        for name in sorted(verdicts)
        for each in contradictions(grades[name], verdicts[name])
    ]
    if found:
        raise _contradiction(found)


def _contradiction(found: Sequence[str]) -> ParametersError:
    return ParametersError(
        code="E-EVI-070",
        what="A grade contradicts what another scheme says of the same finding.",
        where="params.yaml, rubric",
        found="\n  ".join(["", *found]),
        expected="grades that the assertions of docs/schemes.md allow",
        fix="make the rule of the rubric that lets this grade through stricter, or report a fault in the scheme",
    )
