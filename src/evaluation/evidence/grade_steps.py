"""From the best grade down to the one given, step by step: the arithmetic of `grading`, to be shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.evidence.rubric import BEST, Rubric


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step down; `change` is 0 or below, and the steps sum to the grade less BEST."""

    fr: str
    en: str
    change: float


def steps(grade: Mapping[str, Any], rubric: Rubric) -> list[Step]:
    """What a grade lost, in the order in which it is taken away.

    Args:
        grade: as `Grade.as_dict` and grades.json give it.
        rubric: of the version that the grade names.

    Returns:
        The ceiling of the design, caps, the worst domain, several further domains, rounding down or the lowest grade
        that a comparison group gets; only those that change something.
    """
    return [step for step in _all_steps(grade, rubric) if step.change]


def _all_steps(grade: Mapping[str, Any], rubric: Rubric) -> Iterator[Step]:
    top = min([grade["ceiling"], *(cap["cap"] for cap in grade["caps"])])
    losses = _charged(grade, rubric, top)
    worst = max(losses, key=losses.__getitem__, default="")
    several = rubric.further_loss if len(losses) > rubric.further_domains else 0.0
    exact = top - losses.get(worst, 0.0) - several
    yield Step(fr="méthode", en="design", change=float(grade["ceiling"] - BEST))
    yield Step(fr="plafond d'une vérification", en="cap of a check", change=float(top - grade["ceiling"]))
    if worst:
        words = rubric.domains[worst]
        yield Step(fr=words.fr.lower(), en=words.en.lower(), change=-losses[worst])
    yield Step(fr="plusieurs autres domaines", en="several further domains", change=-several)
    yield Step(fr="arrondi à un niveau entier", en="to a whole grade", change=grade["value"] - exact)


def _charged(grade: Mapping[str, Any], rubric: Rubric, top: int) -> dict[str, float]:
    """Losses by domain, without the one domain that has lowered the ceiling."""
    losses = {name: each["loss"] for name, each in grade["domain_losses"].items()}
    if top < grade["ceiling"]:
        capped = [rubric.rule(cap["rule"]).domain for cap in grade["caps"] if cap["cap"] == top]
        losses.pop(min(capped, key=losses.__getitem__))
    return {name: loss for name, loss in losses.items() if loss > 0}
