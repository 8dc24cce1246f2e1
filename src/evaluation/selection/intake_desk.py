"""Filled forms on the command line: read, triaged, counted, told in words, kept.

One form that cannot be used never hides the others: each is told what to correct, in French and English.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation import store
from evaluation.errors import EvaluationError, ParametersError
from evaluation.selection import funnel as counting
from evaluation.selection import intake, intake_fields, intake_form, intake_reading
from evaluation.selection.intake import Triaged
from evaluation.settings.params import read_params
from evaluation.settings.policy import Selection
from evaluation.settings.portfolio import read_portfolio
from evaluation.settings.synthesis import Synthesis

Pair = tuple[str, str]

_REASONS: Mapping[str, Pair] = {
    "other_difficulty": (
        "sa difficulté n'est pas encore suivie ici : l'idée est gardée pour plus tard",
        "its difficulty is not followed here yet: the idea is kept for later",
    ),
    "known_already": ("ce programme est déjà connu ici", "this programme is known here already"),
    "sent_twice": ("la même idée a été envoyée deux fois", "the same idea was sent twice"),
}
_STAGES: Mapping[str, Pair] = {
    "received": ("reçues", "received"),
    "eligible": ("recevables", "eligible"),
    "tested": ("testées", "tested"),
    "supported": ("soutenues", "supported"),
    "at_scale": ("à grande échelle", "at scale"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of some files.

    Attributes:
        refused: errors by name of file.
        triaged: those that could be read; funnel: of these and of those kept before.
        kept: files that were written.
    """

    refused: Mapping[str, EvaluationError]
    triaged: tuple[Triaged, ...]
    funnel: counting.Funnel
    kept: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "refused": {name: error.as_dict() for name, error in self.refused.items()},
            "proposals": [each.as_dict() for each in self.triaged],
            "funnel": self.funnel.as_dict(),
            "kept": [file.name for file in self.kept],
        }


def write_form(target: Path) -> Path:
    """Write the empty form."""
    return intake_form.write(target, read_portfolio())


def told(files: Sequence[Path], *, keep: bool = False) -> Told:
    """Read, triage, count; keep those that are valid.

    Args:
        files: filled forms.
        keep: write them to data/portfolio/intake.

    Raises:
        ParametersError: no file, no policy, or a proposal of this title is kept already.
        ProblemsError: a form that was kept has been spoilt.
    """
    if not files:
        raise ParametersError(
            code="E-CLI-042",
            what="Il n'y a pas de fiche à lire. / There is no form to read.",
            found="no file",
            expected="filled forms, or --form",
            fix="evaluation intake --form fiche.xlsx, then evaluation intake fiche.xlsx",
        )
    portfolio, (policy, synthesis) = read_portfolio(), _policy()
    choices = intake_fields.options(portfolio)
    before, (proposals, refused) = intake.kept(choices), _read(files, choices)
    found = intake.triage((*before, *proposals), portfolio, _beliefs(), policy, synthesis)
    written = tuple(intake.keep(each) for each in proposals) if keep else ()
    return Told(
        refused=refused,
        triaged=found[len(before) :],
        funnel=counting.funnel(counting.of_proposals(found, (), (), 1.0)),
        kept=written,
    )


def in_words(made: Told, lang: str) -> str:
    """The same for people."""
    place = 1 if lang == "en" else 0
    lines = [f"{name}\n{error}\n" for name, error in made.refused.items()]
    lines += [_line(each, place) for each in made.triaged]
    counts = ", ".join(f"{count} {_STAGES[stage][place]}" for stage, count in made.funnel.counts.items())
    lines += [("Propositions : ", "Proposals: ")[place] + counts]
    lines += [("Gardée : ", "Kept: ")[place] + str(file) for file in made.kept]
    return "\n".join(lines)


def _line(each: Triaged, place: int) -> str:
    name = f"« {each.proposal['title']} »" if place == 0 else f"'{each.proposal['title']}'"
    if not each.eligible:
        return f"{name} : {_REASONS[each.reason][0]}." if place == 0 else f"{name}: {_REASONS[each.reason][1]}."
    lines = [_rank(each, place), *_gaps(each, place)]
    return f"{name}{' :' if place == 0 else ':'} " + " ".join(lines)


def _rank(each: Triaged, place: int) -> str:
    study = each.learning.study
    if each.rank is None or study is None or each.learning.break_even_each is None:
        return (
            "recevable ; trop peu de personnes, ou déjà trop bien connue, pour un test à elle seule.",
            "eligible; too few people, or too well known already, for a test of its own.",
        )[place]
    worth, cost = (
        f"{amount:,.0f}".replace(",", ("\u202f", ",")[place]) for amount in (each.learning.break_even_each, study.cost)
    )
    french = f"recevable, rang {each.rank} pour ce qu'il y a à apprendre. Un test de {study.n} personnes coûterait "
    french += f"{cost} euros ; il vaut la peine si un écart-type de résultat vaut au moins {worth} euros par personne."
    english = (
        f"eligible, rank {each.rank} by what there is to learn. A test of {study.n} people would cost EUR {cost}; "
    )
    english += f"it pays if one standard deviation of the outcome is worth EUR {worth} for one person."
    return (french, english)[place]


def _gaps(each: Triaged, place: int) -> list[str]:
    if not each.missing:
        return []
    fields = [intake_fields.BY_KEY[key].label[place] for key in each.missing]
    return [("À chercher ensemble : ", "To look for together: ")[place] + " ".join(fields)]


def _read(
    files: Sequence[Path], choices: intake_fields.Options
) -> tuple[list[intake_reading.Proposal], dict[str, EvaluationError]]:
    read: list[intake_reading.Proposal] = []
    refused: dict[str, EvaluationError] = {}
    for file in files:
        try:
            read.append(intake_reading.read(file, choices))
        except EvaluationError as error:
            refused[file.name] = error
    return read, refused


def _policy() -> tuple[Selection, Synthesis]:
    params = read_params()
    if params.selection is None or params.synthesis is None:
        raise ParametersError(
            code="E-CLI-044",
            what="Proposals cannot be triaged without a policy.",
            where="params.yaml",
            found="no section selection: or synthesis:",
            expected="both sections",
            fix="restore them",
        )
    return params.selection, params.synthesis


def _beliefs() -> dict[str, tuple[float, float]]:
    """Of known programmes; before the evidence stage has run, a new idea is only believed what any programme is."""
    file = store.path("data", "evidence", "synthesis.json")
    return intake.beliefs_of(store.read_json(file)) if file.is_file() else {}
