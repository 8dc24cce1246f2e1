"""What somebody asks for when an innovation is new: named on the command line, or in a filled workbook."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from evaluation.errors import ParametersError
from evaluation.settings.problems import nearest

Method = Literal["experiment", "did", "matching", "weighting"]
METHODS: Final[tuple[Method, ...]] = ("experiment", "did", "matching", "weighting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the columns that the data will have.

    Attributes:
        outcome, unit: of the primary outcome and of who or what is treated.
        treatment: 0/1; for did, the column of the first treated period.
        time: for did, the column of periods.
        covariates: measured before; the first is the outcome before, where there is one.
    """

    outcome: str = "score"
    unit: str = "person"
    treatment: str = "offered"
    time: str = "quarter"
    covariates: tuple[str, ...] = ("score_before", "commute_minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A new innovation and the study of it.

    Attributes:
        id: of the innovation, and of its evaluation.
        difficulty: id in difficulties.yaml.
        method: how its effect will be told from what would have happened anyway.
        label_fr, label_en, summary_fr, summary_en: what pages say.
        operator: who runs it.
        unit: natural unit of the primary outcome; better: the direction that people want.
        horizon_months: between the start and the measure.
        smallest_effect: below which the innovation is not worth selecting.
        source: how the outcome is measured.
        columns: of the data.
        blinded: outcomes are permuted until the plan is frozen.
        notes: what the plan quotes, by heading: costs, implementation.
    """

    id: str
    difficulty: str
    method: Method = "experiment"
    label_fr: str
    label_en: str
    summary_fr: str
    summary_en: str
    operator: str | None = None
    unit: str = "points of 100"
    better: str = "higher"
    horizon_months: float = 12
    smallest_effect: float = 5
    source: str = "self-report"
    columns: Columns = Columns()
    blinded: bool = False
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)


def from_words(
    identifier: str,
    *,
    difficulty: str,
    method: str = "experiment",
    label_fr: str = "",
    label_en: str = "",
    blinded: bool = False,
) -> Request:
    """What the command line asks for; what it leaves out is filled in so that it can be seen and changed.

    Raises:
        ParametersError: the method cannot be scaffolded.
    """
    name = identifier.replace("-", " ").capitalize()
    return Request(
        id=identifier,
        difficulty=difficulty,
        method=known_method(method),
        label_fr=label_fr or name,
        label_en=label_en or label_fr or name,
        summary_fr="À écrire : ce que l'on fait, pour qui, et pourquoi cela aiderait.",
        summary_en="To be written: what is done, for whom, and why it would help.",
        blinded=blinded,
    )


def known_method(method: str) -> Method:
    """The method, if a twin can be made for it."""
    found = next((name for name in METHODS if name == method), None)
    if found is None:
        near = nearest(method, METHODS)
        raise ParametersError(
            code="E-CLI-053",
            what="On ne sait pas préparer cette méthode. / This method cannot be scaffolded.",
            found=repr(method),
            expected=" | ".join(METHODS),
            fix=f"did you mean {near}?" if near else "choose one of them; other methods are written in params.yaml",
        )
    return found
