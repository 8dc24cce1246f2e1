"""Difficulties, innovations and territories: what the YAML files of data/portfolio say of them."""

from typing import Annotated, Literal

from pydantic import AllowInfNan, Field, model_validator

from evaluation.settings.fields import Flag, Frozen, Slug, refusal
from evaluation.settings.sourced import Figure, FrenchName, FrenchNote, Name, Note, Sourced


class Public(Frozen):
    """People who live a difficulty, and the sentence in which one of them would say so."""

    id: Slug
    label_fr: FrenchName
    label_en: Name
    said_fr: FrenchNote = ""
    said_en: Note = ""


class Wellbeing(Frozen):
    """A result that may matter to those concerned; proposed until they have been asked."""

    label_fr: FrenchName
    label_en: Name


class Contrast(Frozen):
    """Figures of one difficulty that seem to measure the same thing, side by side, and what none of them measures."""

    id: Slug
    figures: Annotated[tuple[Slug, ...], Field(min_length=2)]
    says_fr: FrenchName
    says_en: Name
    not_measured_fr: FrenchName
    not_measured_en: Name


class _Collected(Frozen):
    """What is missing, in both languages, line by line."""

    to_collect_fr: tuple[FrenchName, ...] = ()
    to_collect_en: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _in_both_languages(self) -> "_Collected":
        if len(self.to_collect_fr) != len(self.to_collect_en):
            raise refusal(
                "E-SET-062",
                "what is to be collected is not the same list in French and English",
                found=f"{len(self.to_collect_fr)} lines in French, {len(self.to_collect_en)} in English",
                expected="the same number of lines, in the same order",
                key="to_collect_en",
            )
        return self


class Difficulty(_Collected):
    """A persistent difficulty, in the words of those who live it."""

    id: Slug
    label_fr: FrenchName
    label_en: Name
    said_fr: FrenchName
    said_en: Name
    publics: Annotated[tuple[Public, ...], Field(min_length=1)]
    persistence_fr: FrenchName
    persistence_en: Name
    where_fr: FrenchName
    where_en: Name
    policy_fr: FrenchNote = ""
    policy_en: Note = ""
    outcomes: tuple[Wellbeing, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    figures: tuple[Figure, ...]

    @model_validator(mode="after")
    def _contrasts_have_figures(self) -> "Difficulty":
        known = {figure.id for figure in self.figures}
        for contrast in self.contrasts:
            lost = [name for name in contrast.figures if name not in known]
            if lost:
                raise refusal(
                    "E-SET-211",
                    "a contrast names a figure that the difficulty does not have",
                    found=repr(lost[0]),
                    expected="ids of its figures",
                    key="contrasts",
                )
        return self


class CoverageLink(Frozen):
    """Which reach figure is compared with which need figures."""

    reach: Slug
    needs: tuple[Slug, ...]
    note_fr: FrenchNote = ""
    note_en: Note = ""


class Innovation(Frozen):
    """A programme, a right, a service, or a family of programmes.

    Attributes:
        role: decision (a French territory could fund it) or benchmark (it proves a method, and gets no decision).
        difficulty: the difficulty it works on; None for benchmarks.
        in_france: the programme exists or existed in France.
        family: known through a meta-analysis of several programmes.
        coverage: None where its reach in France was not found.
        publics: of its difficulty, those that it serves by its own words; empty where nobody noted them.
    """

    id: Slug
    role: Literal["decision", "benchmark"] = "decision"
    difficulty: Slug | None = None
    label_fr: FrenchName
    label_en: Name
    summary_fr: FrenchName
    summary_en: Name
    country: Name
    country_fr: Name
    in_france: Flag
    family: Flag = False
    operator: Name | None = None
    coverage: CoverageLink | None = None
    publics: tuple[Slug, ...] = ()

    @model_validator(mode="after")
    def _role_and_difficulty(self) -> "Innovation":
        if (self.role == "decision") is (self.difficulty is None):
            raise refusal(
                "E-SET-061",
                "an innovation to decide on has a difficulty, a benchmark has none",
                found=f"role {self.role}, difficulty {self.difficulty or 'none'}",
                expected="a difficulty for role decision, none for role benchmark",
                key="difficulty",
            )
        return self


class Position(Sourced):
    """Where something is, in degrees."""

    longitude: Annotated[float, Field(ge=-180, le=180), AllowInfNan(False)]
    latitude: Annotated[float, Field(ge=-90, le=90), AllowInfNan(False)]


class Landmark(Position):
    """A town that everybody knows, by which a reader finds a territory on a sketch of the country."""

    id: Slug
    label_fr: FrenchName
    label_en: Name


class Territory(_Collected):
    """A test territory, or a candidate that was not kept; its position is the mean of its communes, by population."""

    id: Slug
    label_fr: Name
    label_en: Name
    kind: Literal["urban", "rural"]
    status: Literal["test", "candidate"]
    pair: Literal["A", "B"]
    code: Annotated[str, Field(pattern=r"\d{9}")]
    department: Annotated[str, Field(pattern=r"\d[\dAB]")]
    position: Position | None = None
    figures: tuple[Figure, ...]

    def figure(self, figure_id: str) -> Figure | None:
        """One of its figures, None if it has none of this id."""
        return next((figure for figure in self.figures if figure.id == figure_id), None)
