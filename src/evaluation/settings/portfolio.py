"""data/portfolio as one frozen value: what somebody observed, each fact with its source.

Difficulties, territories and innovations are YAML, everything that is a list of figures is CSV. A figure without a
source is refused, unless it is marked as recalled from memory or as a claim; a mark travels with its figure to every
report. All problems of all files are reported at once.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import AfterValidator, AllowInfNan, BaseModel, BeforeValidator, Field, ValidationError, model_validator

from evaluation import store
from evaluation.errors import ParametersError, Problem, ProblemsError
from evaluation.settings.fields import Flag, Frozen, Slug, refusal
from evaluation.settings.problems import Origin, from_validation, nearest, show
from evaluation.settings.typography import french
from evaluation.settings.yaml12 import Document, parse_yaml

FOLDER = "data/portfolio"

Confidence = Literal["seen", "derived", "computed", "recalled", "claim"]
DesignClass = Literal[
    "randomised",
    "randomised_cluster",
    "lottery",
    "discontinuity",
    "instrument",
    "event_study",
    "synthetic_control",
    "matched_did",
    "did",
    "matching_pretest",
    "matching",
    "comparison_group",
    "meta_analysis_randomised",
    "meta_analysis",
    "before_after_adjusted",
    "before_after",
    "raw_comparison",
    "declared",
    "monitoring",
    "social_return",
    "account",
]
"""The design behind the number that was read, not the best design of the study it comes from: the take-up of one arm of
a trial is monitoring, the raw change printed beside a difference in differences is before_after."""

RANDOMISED_CLASSES: tuple[str, ...] = ("randomised", "randomised_cluster", "lottery")
COMPARISON_CLASSES: tuple[str, ...] = (
    *RANDOMISED_CLASSES,
    "discontinuity",
    "instrument",
    "event_study",
    "synthetic_control",
    "matched_did",
    "did",
    "matching_pretest",
    "matching",
    "comparison_group",
    "meta_analysis_randomised",
    "meta_analysis",
)

_ADDRESS = re.compile(
    r"https?://[^\s/]+\.[^\s]+"
    r"|github [\w.-]+/[\w.-]+@[0-9a-f]{7,40}( [\w./-]+)?( \([^)]*\))?"
    r"|recalled \(doi 10\.\d+/\S+\)"
)


# values --------------------------------------------------------------------------------------------------------------


def _address(value: str) -> str:
    wrong = [part for part in value.split(" ; ") if not _ADDRESS.fullmatch(part)] if value else []
    if wrong:
        raise refusal(
            "E-SET-055",
            "this is not an address",
            found=show(wrong[0]),
            expected="https://… or github owner/name@commit path; several are separated by ' ; '",
        )
    return value


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


Name = Annotated[str, Field(min_length=1)]
FrenchName = Annotated[Name, AfterValidator(french)]
Note = Annotated[str, BeforeValidator(_or_empty)]
FrenchNote = Annotated[Note, AfterValidator(french)]
Value = Annotated[float, AllowInfNan(False)]
Year = Annotated[int, Field(ge=1900, le=2100)]
Address = Annotated[Note, AfterValidator(_address)]


class _Sourced(Frozen):
    """What every figure carries."""

    source_title: Note = ""
    source_address: Address = ""
    confidence: Confidence

    @model_validator(mode="after")
    def _has_a_source(self) -> "_Sourced":
        if not self.source_address and self.confidence not in ("recalled", "claim"):
            raise refusal(
                "E-SET-056",
                "a figure needs the address of its source",
                found="nothing",
                expected="an address, or confidence recalled or claim",
                key="source_address",
            )
        return self


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


class Figure(_Sourced):
    """One number about a difficulty or a territory, with its source."""

    id: Slug
    label_fr: FrenchName
    label_en: Name
    value: Value
    unit_fr: FrenchName
    unit_en: Name
    year: Year | None
    kind: Literal["persistence", "urban_rural", "profile", "severity", "duration", ""] = ""
    note: Note = ""


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


class Finding(_Sourced):
    """One published result: innovation, outcome, horizon, place; `id` is the id of its record.

    Attributes:
        design: the words of the source list; `design_class` is our reading of them.
        better: the direction that people want; None where nobody could say.
        no_effect: the value that means no effect: 0, or 1 for ratios.
        unit_kind: what kind of number it is; not_an_effect for claims, levels and take-up.
        estimate_kind: effect | take_up | claim | sign_only | not_read | level.
        direction: sign of the effect in the outcome's own unit, never flipped; none = no effect detected, which does
            not prove that there is none; None for what is not an effect.
        subgroup: about a part of the people only; never the effect of the programme.
        robustness: another specification of a result that has its own row.
        sample_group: findings of one group share people and are never pooled with each other.
        poolable: a read effect on the whole sample, in its main specification, with a standard error.
        caution_fr, caution_en: what a reader must know before using the number.
        note: words of the source list: how sure, printed unit, printed name.
    """

    id: Slug
    innovation: Slug
    difficulty: Slug
    country: Name
    country_fr: Name
    territory_kind: Literal["urban", "rural", "mixed"]
    design: Name
    design_class: DesignClass
    n: Annotated[int, Field(ge=1)] | None
    outcome: Name
    outcome_fr: FrenchName
    better: Literal["higher", "lower"] | None
    horizon_months: Annotated[float, Field(ge=0), AllowInfNan(False)] | None
    estimate: Value | None
    std_error: Annotated[float, Field(gt=0), AllowInfNan(False)] | None
    ci_low: Value | None
    ci_high: Value | None
    no_effect: Annotated[float, Field(ge=0, le=1)]
    unit: Name
    unit_fr: FrenchName
    unit_kind: Literal["share", "percent_relative", "sd", "money", "count", "score", "ratio", "not_an_effect", "none"]
    estimate_kind: Literal["effect", "take_up", "claim", "sign_only", "not_read", "level"]
    direction: Literal["positive", "none", "negative"] | None
    subgroup: bool
    robustness: bool
    sample_group: Slug
    poolable: bool
    control_mean: Value | None
    year: Year
    cost_per_participant: Annotated[float, Field(ge=0), AllowInfNan(False)] | None
    currency: Literal["EUR", "USD", "CAD"] | None
    provenance: Name
    caution_en: Note
    caution_fr: FrenchNote
    note: Note

    @property
    def claim(self) -> bool:
        """Said by an operator, without comparison."""
        return self.estimate_kind == "claim"

    @property
    def secondary(self) -> bool:
        """A subgroup or another specification: it counts only where nothing else was read."""
        return self.subgroup or self.robustness

    @property
    def not_read(self) -> bool:
        """The design was read, the result was not."""
        return self.estimate_kind == "not_read"

    @model_validator(mode="after")
    def _kind_and_number(self) -> "Finding":
        numbered = self.estimate_kind not in ("sign_only", "not_read")
        if numbered is (self.estimate is None):
            raise refusal(
                "E-SET-057",
                "the kind of estimate and the number do not go together",
                found=f"estimate_kind {self.estimate_kind}, estimate {show(self.estimate)}",
                expected="a number for effect, take_up, claim and level; none for sign_only and not_read",
                key="estimate",
            )
        if (self.estimate_kind in ("effect", "sign_only")) is (self.direction is None):
            raise refusal(
                "E-SET-058",
                "an effect has a direction, and nothing else has",
                found=f"estimate_kind {self.estimate_kind}, direction {show(self.direction)}",
                expected="positive, none or negative for effect and sign_only; empty otherwise",
                key="direction",
            )
        return self

    @model_validator(mode="after")
    def _interval_and_pool(self) -> "Finding":
        bounds = [bound for bound in (self.ci_low, self.estimate, self.ci_high) if bound is not None]
        if bounds != sorted(bounds):
            raise refusal(
                "E-SET-059",
                "the estimate lies outside its interval",
                found=f"{self.ci_low} ≤ {self.estimate} ≤ {self.ci_high}",
                expected="ci_low ≤ estimate ≤ ci_high",
                key="estimate",
            )
        if self.poolable and (self.estimate_kind != "effect" or self.std_error is None):
            raise refusal(
                "E-SET-063",
                "only an effect with a standard error can be pooled",
                found=f"estimate_kind {self.estimate_kind}, std_error {show(self.std_error)}",
                expected="poolable: false, or a read standard error",
                key="poolable",
            )
        return self


class _Range(_Sourced):
    """A value, or a range where the source gives one."""

    value: Value | None
    low: Value | None = None
    high: Value | None = None

    @model_validator(mode="after")
    def _value_or_range(self) -> "_Range":
        bounds = [bound for bound in (self.low, self.value, self.high) if bound is not None]
        if not bounds or bounds != sorted(bounds):
            raise refusal(
                "E-SET-060",
                "a figure is a value, a range, or a value inside its range",
                found=f"low {show(self.low)}, value {show(self.value)}, high {show(self.high)}",
                expected="low ≤ value ≤ high, at least one of them",
                key="value",
            )
        return self


class Need(_Range):
    """One measure of how many people live a difficulty, in France.

    Attributes:
        difficulty: None for context that belongs to no single difficulty.
        measures: figures of the same name claim to measure the same thing; where they differ, reports show it.
        synthetic: it may be scaled to a territory by population: a number of adults of all places.
    """

    id: Slug
    difficulty: Slug | None
    series: Slug
    measures: Slug | None
    label_fr: FrenchName
    label_en: Name
    date: Note
    year: Year | None
    unit: Name
    unit_fr: FrenchName
    kind: Literal["stock", "flow", "rate"]
    synthetic: bool
    note: Note


class Reach(_Sourced):
    """How many people, loans, sites … an innovation reaches, at one date.

    Attributes:
        bound: exact | lower ("more than") | upper ("fewer than") | about.
        kind: flow (in one year) | stock (at one date) | cumulative (since the start).
        comparable: one unit stands for one person, pupil or household in need, so that a share means something.
    """

    id: Slug
    innovation: Slug
    series: Slug
    label_fr: FrenchName
    label_en: Name
    date: Name
    year: Year
    value: Annotated[float, Field(ge=0), AllowInfNan(False)]
    bound: Literal["exact", "lower", "upper", "about"]
    unit: Name
    unit_fr: FrenchName
    kind: Literal["flow", "stock", "cumulative"]
    comparable: bool
    note: Note


class Cost(_Range):
    """One ingredient of what an innovation costs; only `basis` participant counts as a known cost per person.

    Attributes:
        year: whose prices these are.
        phase: recurrent (again for every person or year) or start_up (once).
        item: what is paid for; total = everything together.
        payer: public, operator, user; None where the source does not say.
        sites: places that the amount was observed at; None where the source does not say.
    """

    id: Slug
    innovation: Slug
    basis: Literal["participant", "service", "session", "site", "month", "total", "price"]
    currency: Literal["EUR", "USD", "CAD"]
    year: Year | None
    phase: Literal["recurrent", "start_up"] = "recurrent"
    item: Slug = "total"
    payer: Literal["public", "operator", "user"] | None = None
    sites: Annotated[int, Field(ge=1)] | None = None
    note_fr: FrenchNote
    note_en: Note

    @property
    def per_participant(self) -> float | None:
        """Cost per person; the upper bound where only that was read; None when it is not per person."""
        if self.basis != "participant" or self.phase != "recurrent":
            return None
        return self.value if self.value is not None else self.high


class Valuation(_Range):
    """A parameter of French socio-economic appraisal; params.yaml, `selection.valuing`, names those that are used."""

    id: Slug
    label_fr: FrenchName
    label_en: Name
    unit: Name
    unit_fr: FrenchName
    year: Year
    provenance: Name


class Implementation(_Sourced):
    """What was really delivered, at one place and time.

    Attributes:
        measure: take_up (share of those offered or invited who came) | fidelity (share of what was planned that was
            done) | dose (how much one person got) | adaptation (in words only).
        value: a share for take_up and fidelity; None for adaptation.
    """

    id: Slug
    innovation: Slug
    measure: Literal["take_up", "fidelity", "dose", "adaptation"]
    value: Value | None
    unit: Name
    unit_fr: FrenchName
    year: Year | None
    note_fr: FrenchNote
    note_en: Note

    @model_validator(mode="after")
    def _a_share_is_a_share(self) -> "Implementation":
        share = self.measure in ("take_up", "fidelity")
        if (self.value is None) is not (self.measure == "adaptation") or (share and not 0 <= (self.value or 0) <= 1):
            raise refusal(
                "E-SET-175",
                "the measure and its value do not go together",
                found=f"measure {self.measure}, value {show(self.value)}",
                expected="0 to 1 for take_up and fidelity, a number for dose, none for adaptation",
                key="value",
            )
        return self


class Inflation(_Sourced):
    """By how much consumer prices rose from the year before, in percent, on the yearly average."""

    id: Slug
    country: Name
    year: Year
    value: Value


class Benchmark(_Sourced):
    """A published value that an evaluation of params.yaml is compared with; `value` is None where none was read."""

    id: Slug
    evaluation: Slug
    what_fr: FrenchName
    what_en: Name
    value: Value | None
    std_error: Annotated[float, Field(gt=0), AllowInfNan(False)] | None
    ci_low: Value | None
    ci_high: Value | None
    unit_fr: FrenchName
    unit_en: Name
    note_fr: FrenchNote
    note_en: Note


class Position(_Sourced):
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


# the whole -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """Everything that somebody observed, in the order of the files."""

    difficulties: tuple[Difficulty, ...]
    innovations: tuple[Innovation, ...]
    findings: tuple[Finding, ...]
    needs: tuple[Need, ...]
    reach: tuple[Reach, ...]
    costs: tuple[Cost, ...]
    valuations: tuple[Valuation, ...]
    implementation: tuple[Implementation, ...]
    prices: tuple[Inflation, ...]
    territories: tuple[Territory, ...]
    reference: tuple[Figure, ...]
    landmarks: tuple[Landmark, ...]
    benchmarks: tuple[Benchmark, ...]

    def difficulty(self, identifier: str) -> Difficulty:
        """The difficulty of this id; ParametersError if there is none."""
        return _find(self.difficulties, identifier, "difficulties.yaml")

    def innovation(self, identifier: str) -> Innovation:
        """The innovation of this id; ParametersError if there is none."""
        return _find(self.innovations, identifier, "innovations.yaml")

    def finding(self, identifier: str) -> Finding:
        """The finding of this id; ParametersError if there is none."""
        return _find(self.findings, identifier, "findings.csv")

    def territory(self, identifier: str) -> Territory:
        """The territory of this id; ParametersError if there is none."""
        return _find(self.territories, identifier, "territories.yaml")

    def need(self, identifier: str) -> Need:
        """The need figure of this id; ParametersError if there is none."""
        return _find(self.needs, identifier, "needs.csv")

    def reached(self, identifier: str) -> Reach:
        """The reach figure of this id; ParametersError if there is none."""
        return _find(self.reach, identifier, "reach.csv")

    def needs_of(self, difficulty: str) -> tuple[Need, ...]:
        """Need figures of one difficulty."""
        return tuple(need for need in self.needs if need.difficulty == difficulty)

    def valuation(self, identifier: str) -> Valuation:
        """The valuation of this id; ParametersError if there is none."""
        return _find(self.valuations, identifier, "valuations.csv")

    def delivered(self, innovation: str, measure: str) -> float | None:
        """The lowest value of a measure of implementation of one innovation; None where nothing was read."""
        values = (
            row.value
            for row in self.implementation
            if (row.innovation, row.measure) == (innovation, measure) and row.confidence not in ("recalled", "claim")
        )
        return min((value for value in values if value is not None), default=None)

    def cost_of(self, innovation: str) -> Cost | None:
        """The cost per participant, None if it is not known."""
        return next(
            (cost for cost in self.costs if cost.innovation == innovation and cost.per_participant is not None), None
        )

    @property
    def decision_innovations(self) -> tuple[Innovation, ...]:
        """Innovations that get a decision; benchmarks never do."""
        return tuple(innovation for innovation in self.innovations if innovation.role == "decision")

    @property
    def test_territories(self) -> tuple[Territory, ...]:
        """Territories that are used; candidates are for reference."""
        return tuple(territory for territory in self.territories if territory.status == "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """The portfolio with its problems, for callers that report those of other files as well.

    Attributes:
        portfolio: None if anything is wrong.
        problems: what is wrong.
    """

    portfolio: Portfolio | None
    problems: tuple[Problem, ...]


def read_portfolio(root: Path | None = None) -> Portfolio:
    """Everything that somebody observed.

    Args:
        root: the project's folder; found by `store.root` if None.

    Raises:
        ProblemsError: something in data/portfolio cannot be; all problems of all files at once.
    """
    examined = examine(root)
    if examined.portfolio is None:
        raise ProblemsError(examined.problems)
    return examined.portfolio


def examine(root: Path | None = None) -> Examined:
    """The portfolio with its problems.

    Raises:
        ProblemsError: a file is not YAML as this project reads it.
        StaleError: a file is missing.
    """
    names = dict.fromkeys(file for _, file, _ in (*_YAML, *_CSV))
    return _examine_content(
        tuple((name, store.read_bytes(store.resolve(f"{FOLDER}/{name}", base=root))) for name in names)
    )


@lru_cache(maxsize=4)
def _examine_content(files: tuple[tuple[str, bytes], ...]) -> Examined:
    """Cached by content: every evaluation reads the same facts, and what they mean never changes."""
    tables = _read_tables(dict(files))
    problems = [problem for table in tables.values() for problem in table.problems]
    if not problems:
        problems = list(_cross_checks(tables))
    if problems:
        return Examined(portfolio=None, problems=tuple(problems))
    return Examined(portfolio=Portfolio(**{name: table.rows for name, table in tables.items()}), problems=())


# reading -------------------------------------------------------------------------------------------------------------


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


_Item = TypeVar("_Item", bound=_HasId)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """One kind of fact, read from one file."""

    rows: tuple[Any, ...]
    origins: tuple[Origin, ...]
    problems: tuple[Problem, ...]

    def ids(self) -> tuple[str, ...]:
        return tuple(row.id for row in self.rows)


_YAML: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("difficulties", "difficulties.yaml", Difficulty),
    ("innovations", "innovations.yaml", Innovation),
    ("territories", "territories.yaml", Territory),
    ("reference", "territories.yaml", Figure),
    ("landmarks", "territories.yaml", Landmark),
)
_CSV: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("findings", "findings.csv", Finding),
    ("needs", "needs.csv", Need),
    ("reach", "reach.csv", Reach),
    ("costs", "costs.csv", Cost),
    ("valuations", "valuations.csv", Valuation),
    ("implementation", "implementation.csv", Implementation),
    ("prices", "prices.csv", Inflation),
    ("benchmarks", "benchmarks.csv", Benchmark),
)


def _read_tables(files: Mapping[str, bytes]) -> dict[str, _Table]:
    documents = {file: parse_yaml(files[file], f"{FOLDER}/{file}") for _, file, _ in _YAML}
    tables = {key: _yaml_table(documents[file], key, model) for key, file, model in _YAML}
    tables |= {key: _csv_table(files[file], f"{FOLDER}/{file}", model) for key, file, model in _CSV}
    return {field.name: tables[field.name] for field in fields(Portfolio)}


def _yaml_table(document: Document, key: str, model: type[BaseModel]) -> _Table:
    origin = Origin(file=document.file, line=document.line, prefix=(key,))
    raw = document.data.get(key) if isinstance(document.data, Mapping) else None
    if not isinstance(raw, list):
        problem = origin.problem("E-SET-050", "this key holds a list", found=show(raw), expected="- id: …")
        return _Table(rows=(), origins=(), problems=(problem,))
    return _table(raw, [origin.below(position) for position in range(len(raw))], model)


def _csv_table(content: bytes, name: str, model: type[BaseModel]) -> _Table:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Origin(file=name, line=_at(line)).problem(
            "E-SET-071", "the text is not UTF-8", found=f"byte 0x{content[error.start]:02x}", expected="UTF-8"
        )
        return _Table(rows=(), origins=(), problems=(problem,))
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = _column_problems(reader.fieldnames or (), model, Origin(file=name, line=_at(1)))
    if columns:
        return _Table(rows=(), origins=(), problems=tuple(columns))
    raw, origins = [], []
    for cells in reader:
        origins.append(Origin(file=name, line=_at(reader.line_num), prefix=(cells.get("id") or "?",)))
        raw.append({column: cell or None for column, cell in cells.items()})
    return _table(raw, origins, model)


def _at(line: int) -> Callable[[Any], int | None]:
    return lambda _: line


def _column_problems(names: Sequence[str], model: type[BaseModel], origin: Origin) -> list[Problem]:
    missing = [column for column in model.model_fields if column not in names and column not in _OPTIONAL]
    unknown = [column for column in names if column not in model.model_fields]
    return [
        *(origin.problem("E-SET-051", "a column is missing", key=(column,), expected=column) for column in missing),
        *(
            origin.problem(
                "E-SET-052",
                "unknown column",
                key=(column,),
                found=show(column),
                nearest=nearest(column, model.model_fields),
            )
            for column in unknown
        ),
    ]


_OPTIONAL = ("source_title", "low", "high")


def _table(raw: Sequence[Any], origins: Sequence[Origin], model: type[BaseModel]) -> _Table:
    rows: list[Any] = []
    problems: list[Problem] = []
    for entry, origin in zip(raw, origins, strict=True):
        if isinstance(entry, dict) and None in entry:
            problems.append(_too_many_cells(entry, origin))
            continue
        try:
            rows.append(model.model_validate(entry))
        except ValidationError as error:
            problems += from_validation(error, model=model, raw=entry, origin=origin)
    return _Table(rows=tuple(rows), origins=tuple(origins), problems=tuple(problems))


def _too_many_cells(entry: Mapping[Any, Any], origin: Origin) -> Problem:
    """The csv module puts cells without a column under None; a comma in a text without quotes makes them."""
    extra = ", ".join(map(repr, entry[None]))
    return origin.problem("E-SET-053", "a row has more cells than columns", found=extra, expected="text in quotes")


# cross-checks --------------------------------------------------------------------------------------------------------


def _cross_checks(tables: Mapping[str, _Table]) -> Iterator[Problem]:
    for table in tables.values():
        yield from _repeated_ids(table)
    for name, key, target in _REFERENCES:
        yield from _dangling(tables[name], key, tables[target].ids())
    yield from _dangling_coverage(tables)
    yield from _foreign_publics(tables)
    yield from _moved_findings(tables)
    yield from _repeated_costs(tables["costs"])


_REFERENCES = (
    ("innovations", "difficulty", "difficulties"),
    ("findings", "innovation", "innovations"),
    ("findings", "difficulty", "difficulties"),
    ("needs", "difficulty", "difficulties"),
    ("reach", "innovation", "innovations"),
    ("costs", "innovation", "innovations"),
    ("implementation", "innovation", "innovations"),
)


def _repeated_ids(table: _Table) -> Iterator[Problem]:
    counts = Counter(table.ids())
    for row, origin in zip(table.rows, table.origins, strict=True):
        if counts[row.id] > 1:
            found, expected = f"{counts[row.id]} times {row.id!r}", "each id once"
            yield origin.problem("E-SET-054", "an id stands twice", key=("id",), found=found, expected=expected)


def _dangling(table: _Table, key: str, known: Sequence[str]) -> Iterator[Problem]:
    for row, origin in zip(table.rows, table.origins, strict=True):
        value = getattr(row, key)
        if value is not None and value not in known:
            yield _unknown(origin, (key,), value, known)


def _unknown(origin: Origin, key: tuple[str | int, ...], value: str, known: Iterable[str]) -> Problem:
    return origin.problem("E-SET-064", "nothing has this id", key=key, found=repr(value), nearest=nearest(value, known))


def _dangling_coverage(tables: Mapping[str, _Table]) -> Iterator[Problem]:
    reach = {row.id: row for row in tables["reach"].rows}
    needs = tables["needs"].ids()
    table = tables["innovations"]
    for row, origin in zip(table.rows, table.origins, strict=True):
        if row.coverage is None:
            continue
        link = row.coverage
        yield from (_unknown(origin, ("coverage", "needs"), need, needs) for need in link.needs if need not in needs)
        if link.reach not in reach:
            yield _unknown(origin, ("coverage", "reach"), link.reach, reach)
        elif reach[link.reach].innovation != row.id:
            other = reach[link.reach].innovation
            yield origin.problem(
                "E-SET-065",
                "this reach belongs to another innovation",
                key=("coverage", "reach"),
                found=f"{link.reach!r} of {other!r}",
                expected=f"a reach of {row.id!r}",
            )


def _foreign_publics(tables: Mapping[str, _Table]) -> Iterator[Problem]:
    publics = {row.id: [public.id for public in row.publics] for row in tables["difficulties"].rows}
    table = tables["innovations"]
    for row, origin in zip(table.rows, table.origins, strict=True):
        known = publics.get(row.difficulty, [])
        for name in row.publics:
            if name not in known:
                yield origin.problem(
                    "E-SET-324",
                    "the difficulty has no such public",
                    key=("publics",),
                    found=repr(name),
                    expected=", ".join(known) or "none: a benchmark has no public",
                    nearest=nearest(name, known),
                )


def _moved_findings(tables: Mapping[str, _Table]) -> Iterator[Problem]:
    homes = {row.id: row.difficulty for row in tables["innovations"].rows}
    table = tables["findings"]
    for row, origin in zip(table.rows, table.origins, strict=True):
        if row.innovation in homes and homes[row.innovation] != row.difficulty:
            yield origin.problem(
                "E-SET-066",
                "a finding and its innovation are about the same difficulty",
                key=("difficulty",),
                found=repr(row.difficulty),
                expected=repr(homes[row.innovation]),
            )


def _repeated_costs(table: _Table) -> Iterator[Problem]:
    """Parts of a cost are added up, so that no part may stand twice, nor beside the total of its phase."""
    per_person = [
        (row, origin) for row, origin in zip(table.rows, table.origins, strict=True) if row.basis == "participant"
    ]
    items: dict[tuple[str, str], list[str]] = {}
    for row, _ in per_person:
        items.setdefault((row.innovation, row.phase), []).append(row.item)
    for row, origin in per_person:
        beside = items[row.innovation, row.phase]
        if beside.count(row.item) > 1 or (len(beside) > 1 and "total" in beside):
            yield origin.problem(
                "E-SET-067",
                "the same cost per participant is counted twice",
                key=("innovation",),
                found=f"{', '.join(sorted(beside))} for {row.innovation!r}, {row.phase}",
                expected="one row with item total, or one row an item",
            )


def _find(items: tuple[_Item, ...], identifier: str, file: str) -> _Item:
    found = next((item for item in items if item.id == identifier), None)
    if found is None:
        near = nearest(identifier, (item.id for item in items))
        raise ParametersError(
            code="E-SET-070",
            what="The portfolio has nothing of this id.",
            where=f"{FOLDER}/{file}",
            found=repr(identifier),
            expected="an id of this file",
            fix=f"did you mean {near}?" if near else f"add it to {FOLDER}/{file}",
        )
    return found
