"""The record: everything about one finding, whether estimated here or published elsewhere.

Grades, selection and reports read records and nothing else. The JSON form is a public contract
(docs/record.schema.json); its version changes when a field changes its meaning. Numbers have 12 significant digits,
as in every file of the project, so that a record in memory and the same record read back are equal. There are no
timestamps.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from evaluation import store
from evaluation.errors import DataError, InternalError
from evaluation.settings.observations import DesignClass

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.impact.finding import Finding
    from evaluation.sample import Sample
    from evaluation.settings.designs import Design, UncontrolledDesign

SCHEMA_VERSION: Literal["1.0"] = "1.0"
SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"

Method = Literal[
    "experiment",
    "did",
    "matching",
    "weighting",
    "discontinuity",
    "instrument",
    "synthetic_control",
    "comparison",
    "meta_analysis",
    "uncontrolled",
]
Kind = Literal["effect", "sign_only", "claim", "take_up", "level", "not_read"]
Term = Literal[
    "att",
    "atc",
    "ate",
    "ato",
    "itt",
    "raw_difference",
    "group_time",
    "event_time",
    "cohort",
    "calendar",
    "simple",
    "pre_trend",
    "territory",
    "subgroup",
    "contrast",
    "placebo",
    "direct",
    "indirect",
    "total",
    "overall",
]
Direction = Literal["positive", "none", "negative"]
Better = Literal["higher", "lower"]
Status = Literal["measured", "not_run", "not_applicable"]
Plan = Literal["confirmatory", "deviated", "exploratory", "not_applicable"]
WHOLE = ("cohort", "period", "event_time")
TerritoryKind = Literal["urban", "rural", "mixed", "named", "not_stated"]


# Where a figure was read is a question for published findings only; for our own the rubric gets the answer.
READ_HERE = {"check": "reporting.reading", "value": 0.0, "status": "measured", "detail": "computed here"}


def _rounded(value: float) -> float:
    """As store writes it: 12 significant digits, no negative zero."""
    return float(f"{value:.{store.SIGNIFICANT_DIGITS}g}") + 0.0


def _slug(value: str) -> str:
    if not store.is_slug(value):
        raise ValueError("should be made of a-z, 0-9 and single hyphens, at most 64 characters")
    return value


Number = Annotated[float, Field(strict=True), AfterValidator(_rounded)]
Positive = Annotated[float, Field(strict=True, ge=0), AfterValidator(_rounded)]
Share = Annotated[float, Field(strict=True, ge=0, le=1), AfterValidator(_rounded)]
Count = Annotated[int, Field(strict=True, ge=0)]
Label = Annotated[int, Field(strict=True)] | str
Slug = Annotated[str, AfterValidator(_slug), Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Source(_Part):
    """Where the finding comes from."""

    kind: Literal["estimated", "published"]
    """estimated = computed here from micro-data; published = quoted, with citation and address."""
    citation: str | None = None
    """Authors, title, year; published findings only."""
    address: str | None = None
    """Where it can be read; published findings only."""
    confidence: str | None = None
    """How the figure reached us: seen, derived, computed, recalled or claim; published findings only."""
    provenance: str | None = None
    """What was read: text, abstract, second-hand …; published findings only."""
    data: str | None = None
    """The data file or the package table with its version; estimated findings only."""
    year: Annotated[int, Field(strict=True)] | None = None
    """Year of publication."""
    country: str | None = None
    sample_group: str | None = None
    """Findings with the same name here rest on the same people and must not be pooled."""
    subgroup: bool = False
    """True for a part of the people: never the effect of the programme."""
    robustness: bool = False
    """True for another specification of a finding that is here as well."""
    poolable: bool = True
    """False for what must never enter a synthesis: claims, subgroups, robustness rows."""


class Outcome(_Part):
    """What was measured, and which way is better."""

    name: str
    label_fr: str | None = None
    label_en: str | None = None
    unit: str
    unit_fr: str | None = None
    better: Better | None = None
    """Acts in verdicts only; no number is ever flipped. Null: nobody can say, so there is no verdict."""
    family: str = ""
    """Outcomes of one family are adjusted for multiplicity together."""
    role: Literal["primary", "secondary"] = "primary"
    horizon_months: Positive | None = None
    smallest_effect: Positive | None = None
    """Smallest effect worth having, in the unit of the outcome, set before the data are seen."""
    source: str = ""
    """administrative, standardised test, measured, self-report …"""
    no_effect: Number = 0.0
    """The value that means 'no effect': 0 for differences, 1 for ratios."""


class Headline(_Part):
    """The one result that the record is about, in natural units. Everything may be null except in consistent ways."""

    estimate: Number | None = None
    std_error: Positive | None = None
    ci_low: Number | None = None
    ci_high: Number | None = None
    p_value: Share | None = None
    comparison_mean: Number | None = None
    outcome_sd: Positive | None = None
    direction: Direction | None = None
    """Sign of the effect on the outcome as it is measured; 'none' = not told apart from no effect."""
    inference: str | None = None
    """How the standard error was computed."""


class Claim(_Part):
    """What a claim, a take-up rate or a monitored level says. It is not an effect and never enters `headline`."""

    value: Number | None = None
    unit: str = ""
    unit_fr: str | None = None
    text_fr: str = ""
    text_en: str = ""


class Effect(_Part):
    """One row of effects.csv."""

    term: Term
    outcome: str
    role: str
    """Exactly one row of an estimated finding has the role 'headline'."""
    horizon: Number | None = None
    cohort: Label | None = None
    period: Label | None = None
    event_time: Annotated[int, Field(strict=True)] | None = None
    territory: str | None = None
    subgroup: str | None = None
    estimate: Number | None = None
    std_error: Positive | None = None
    ci_low: Number | None = None
    ci_high: Number | None = None
    band_low: Number | None = None
    band_high: Number | None = None
    p_value: Share | None = None
    p_adjusted: Share | None = None


class FlowStep(_Part):
    """One step from the rows read to the rows used."""

    step: str
    dropped: Count
    left: Count
    reason: str = ""
    dropped_treated: Count | None = None
    dropped_comparison: Count | None = None


class Counts(_Part):
    """How many, of what."""

    rows_read: Count | None = None
    rows_used: Count | None = None
    units: Count | None = None
    treated_units: Count | None = None
    clusters: Count | None = None
    treated_clusters: Count | None = None
    flow: tuple[FlowStep, ...] = ()


class Check(_Part):
    """One diagnostic: a number, or the reason why there is none. It reports; the rubric judges."""

    check: Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z0-9_]+$")]
    value: Number | None = None
    power: Share | None = None
    status: Status
    detail: str = ""
    """English, with numbers, for experts."""
    subject: str = ""
    """The column the number is about, in the evaluator's own words."""

    @model_validator(mode="after")
    def _value_goes_with_status(self) -> Self:
        if (self.status == "measured") != (self.value is not None):
            raise ValueError(f"'{self.check}' is {self.status}, but its value is {self.value}")
        return self


class Cost(_Part):
    """Cost for one participant."""

    per_participant: Positive
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    price_year: Annotated[int, Field(strict=True)] | None = None
    source: str = ""


class Implementation(_Part):
    """What was really delivered."""

    take_up: Share | None = None
    dose: Number | None = None
    fidelity: Share | None = None


class Reweighted(_Part):
    """One estimate of the effect in another place, or its difference to what was observed there."""

    method: str
    """unweighted, inverse_odds, calibration, observed; or one of the first three − observed."""
    estimate: Number
    std_error: Positive | None = None
    ci_low: Number | None = None
    ci_high: Number | None = None
    effective_size: Positive | None = None
    """Kish's effective number of people behind it."""


class Transfer(_Part):
    """What the people of the study say of another place. It reports; evidence/transfer.py turns it into a letter."""

    source: str
    target: str
    moderators: str
    rows_source: Count
    rows_target: Count
    index: Share
    """Tipton's generalizability index."""
    coverage: Share
    """Share of the other place for whom the study has people alike."""
    largest_difference: Positive | None = None
    """Largest standardised difference of a moderator, without its sign."""
    effective_size: Positive | None = None
    """Of the calibrated sample."""
    reason: str = ""
    """Why a reweighted effect is missing."""
    effects: tuple[Reweighted, ...] = ()


class Sensitivity(_Part):
    """One measure of what it would take to overturn the finding; words for it are the report's."""

    measure: str
    """What would have to be so: hidden_factor, trend_departure, single_donor, lost_people …"""
    scale: str
    """What one unit of `value` is."""
    overturns: Literal["reach_zero", "lose_significance", "below_smallest_effect"]
    """What happens at `value`."""
    value: Positive | None = None
    """The larger, the harder the finding is to overturn; null with a reason."""
    unbounded: bool = False
    """True: nothing that was tried overturns the finding; `value` is the bound of the search."""
    already: bool = False
    """True: the finding does not say so to begin with."""
    benchmark: Positive | None = None
    """Something known on the same scale."""
    benchmark_name: str = ""
    judged: bool = False
    """True: this is the check identification.sensitivity."""
    reason: str = ""
    """Why there is no value."""
    source: str = ""


class Provenance(_Part):
    """What the numbers depend on; the same hashes give the same record."""

    public: bool
    """False: from micro-data that are not public; such a record is not shown outside."""
    data_sha256: Hash | None = None
    code_sha256: Hash | None = None
    lock_sha256: Hash | None = None
    parameters_sha256: Hash | None = None
    seed: Annotated[int, Field(strict=True)] | None = None


class Record(_Part):
    """Everything about one finding.

    Raises:
        pydantic.ValidationError: a field is missing, unknown or of the wrong type, or the parts contradict each other
            (`parse` turns this into a DataError).
    """

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    id: Slug
    role: Literal["benchmark", "decision"]
    innovation: str | None = None
    difficulty: str | None = None
    kind: Kind = "effect"
    """effect = a number with a comparison; sign_only = only its direction was read; claim, take_up, level = a number
    that is not an effect; not_read = a study whose result nobody here has read."""
    method: Method
    design_class: DesignClass
    estimand: str = "not_stated"
    source: Source
    plan: Plan
    outcome: Outcome
    territory_kind: TerritoryKind = "not_stated"
    headline: Headline
    claim: Claim | None = None
    effects: tuple[Effect, ...] = ()
    sample: Counts
    checks: tuple[Check, ...]
    transfer: Transfer | None = None
    """The effect reweighted to another territory, where micro-data allow."""
    sensitivity: tuple[Sensitivity, ...] = ()
    """What it would take to overturn the finding, by measure."""
    cost: Cost | None = None
    implementation: Implementation | None = None
    simulated: bool = False
    """True marks the finding everywhere downstream."""
    blinded: bool = False
    """True: outcomes were permuted, the numbers say nothing, and nobody may grade or use them."""
    provenance: Provenance
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        problems = list(_contradictions(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def check(self, check_id: str) -> Check | None:
        """The check with this id, if the record has one."""
        return next((check for check in self.checks if check.check == check_id), None)

    def as_dict(self) -> dict[str, Any]:
        """The record as plain data, keys in the order of the schema."""
        return self.model_dump(mode="json")


def parse(data: Mapping[str, Any], *, where: str = "") -> Record:
    """The record that `data` describes.

    Args:
        data: as `Record.as_dict` gives it.
        where: the file, for the message.

    Raises:
        DataError: with every problem, one a line.
    """
    try:
        return Record.model_validate(data)
    except ValidationError as error:
        problems = [_sentence(part["loc"], part["msg"]) for part in error.errors()]
        raise DataError(
            code="E-EVI-001",
            what=f"This is not a valid record ({len(problems)} problem{'s' if len(problems) > 1 else ''}).",
            where=where or str(data.get("id", "")),
            found="\n  ".join(["", *problems]),
            expected="a record as docs/record.schema.json describes it",
            fix="run the step that makes the record again, or correct the fields named above",
        ) from error


def schema() -> dict[str, Any]:
    """The JSON Schema of a record (docs/record.schema.json)."""
    return {"$schema": SCHEMA_ID, **Record.model_json_schema(mode="serialization")}


def from_finding(
    finding: "Finding", sample: "Sample", design: "Design", provenance: Mapping[str, Any], *, simulated: bool = False
) -> Record:
    """The record of an effect estimated here.

    Args:
        finding: what `impact.finding.estimate` returned.
        sample: the analysis sample it was estimated on.
        design: the evaluation.
        provenance: what `provenance` returned.
        simulated: True if the data are simulated; a design whose data say so needs no word of the caller.

    Raises:
        DataError: the finding has a value that a record cannot hold; every problem is named.
    """
    checks = (*map(_check, finding.checks), _uncertainty(finding.headline), READ_HERE)
    return parse(
        {
            "id": design.id,
            "role": design.role,
            "innovation": design.innovation,
            "kind": "effect",
            "method": design.method,
            "design_class": _design_class(design, checks),
            "estimand": finding.estimand,
            "source": {"kind": "estimated", "data": sample.data_source},
            "plan": _plan(checks),
            "outcome": _outcome(design.primary),
            "territory_kind": "not_stated",
            "headline": _headline(finding.headline),
            "effects": _rows(finding.effects),
            "sample": _plain(finding.sample),
            "checks": checks,
            "transfer": _transfer(finding.tables),
            "sensitivity": _sensitivity(finding.tables),
            "simulated": simulated or design.simulated,
            "blinded": design.blinded,
            "provenance": dict(provenance),
            "notes": tuple(finding.notes),
        },
        where=design.id,
    )


def provenance(design: "Design", sample: "Sample", *, seed: int | None = None) -> dict[str, Any]:
    """What an estimated record depends on.

    Returns:
        data_sha256 of the sample's source, code_sha256 of the source files that make a record, lock_sha256 of
        requirements.lock, parameters_sha256 of this evaluation only, seed, and whether the data are public.
    """
    lock = store.path("requirements.lock")
    return {
        "public": design.public,
        "data_sha256": sample.data_sha256,
        "code_sha256": store.sha256_files(_code_files(), base=_package()),
        "lock_sha256": store.sha256_file(lock) if lock.is_file() else None,
        "parameters_sha256": store.sha256_json(design.parameters()),
        "seed": seed,
    }


def write(record: Record, tables: Mapping[str, "pd.DataFrame"] | None = None) -> Path:
    """Write the record and what belongs to it, all or none; what stood there vanishes.

    Args:
        record: the record; an estimated one gets effects.csv, with the same rows as `effects`, beside record.json.
        tables: aggregate tables that figures need, by name; written to tables/<name>.csv.

    Returns:
        The folder.

    Raises:
        InternalError: a table has a name that is no file name.
    """
    folder = _folder(record.source.kind, record.id)
    named = {_table_name(name): table for name, table in (tables or {}).items()}
    with store.staged(folder) as fresh:
        store.write_json(fresh / "record.json", record.as_dict())
        if record.source.kind == "estimated":
            store.write_csv(fresh / "effects.csv", effects_frame(record))
        for name, table in named.items():
            store.write_csv(fresh / "tables" / f"{name}.csv", table)
    return folder


def read(record_id: str) -> Record:
    """The record with this id, estimated or published.

    Raises:
        StaleError: there is none.
        DataError: the file is not a valid record, or is the record of another finding.
    """
    estimated = _folder("estimated", record_id)
    folder = estimated if (estimated / "record.json").is_file() else _folder("published", record_id)
    return read_file(folder / "record.json", record_id=record_id)


def read_all() -> tuple[Record, ...]:
    """All records, estimated and published, sorted by id; not those of blinded evaluations, which say nothing.

    Raises:
        DataError: a file is not a valid record, or two records have one id.
    """
    files = [file for kind in ("estimated", "published") for file in _record_files(kind)]
    records = [read_file(file, record_id=file.parent.name) for file in files]
    _require_unique([record.id for record in records])
    return tuple(sorted((record for record in records if not record.blinded), key=lambda record: record.id))


def read_file(file: Path, *, record_id: str | None = None) -> Record:
    """The record in this file.

    Args:
        file: a record.json.
        record_id: the id it must have, if that is known.

    Raises:
        DataError: it is not a valid record, or has another id.
    """
    data = store.read_json(file)
    if not isinstance(data, dict):
        raise DataError(
            code="E-EVI-002",
            what="A record must be one JSON object.",
            where=str(file),
            found=type(data).__name__,
            expected="an object as docs/record.schema.json describes it",
            fix="run the step that makes the record again",
        )
    record = parse(data, where=str(file))
    if record_id is not None and record.id != record_id:
        raise DataError(
            code="E-EVI-003",
            what="A record stands in the folder of another one.",
            where=str(file),
            found=record.id,
            expected=record_id,
            fix="do not move or rename folders under data/evidence: run the step that makes them again",
        )
    return record


def effects_frame(record: Record) -> "pd.DataFrame":
    """The rows of `effects` as a table, with every column of the schema."""
    import pandas as pd

    return pd.DataFrame([effect.model_dump() for effect in record.effects], columns=list(Effect.model_fields))


# what must agree -----------------------------------------------------------------------------------------------------


def _contradictions(record: Record) -> Iterable[str]:
    yield from _headline_contradictions(record.headline)
    yield from _kind_contradictions(record)
    yield from _count_contradictions(record.sample)
    yield from _source_contradictions(record)
    yield from (f"check '{name}' stands twice" for name in _repeated(check.check for check in record.checks))


def _headline_contradictions(headline: Headline) -> Iterable[str]:
    low, high = headline.ci_low, headline.ci_high
    if (low is None) != (high is None):
        yield "headline has one end of its interval only"
    if low is not None and high is not None and low > high:
        yield f"headline.ci_low {low} is above ci_high {high}"
    if low is not None and high is not None and headline.estimate is not None and not low <= headline.estimate <= high:
        yield f"headline.estimate {headline.estimate} is outside its interval [{low}, {high}]"
    if headline.estimate is None and not (low is None and headline.std_error is None):
        yield "headline has a standard error or an interval but no estimate"


def _kind_contradictions(record: Record) -> Iterable[str]:
    estimate, direction = record.headline.estimate, record.headline.direction
    if record.kind == "sign_only" and direction is None:
        yield "kind sign_only needs headline.direction"
    if record.kind not in ("effect",) and estimate is not None:
        yield f"kind {record.kind} is not an effect: headline.estimate must be null"
    if record.kind in ("claim", "take_up", "level") and record.claim is None:
        yield f"kind {record.kind} needs `claim`"
    if record.kind not in ("claim", "take_up", "level") and record.claim is not None:
        yield f"kind {record.kind} cannot have `claim`"
    if record.kind not in ("effect", "sign_only") and direction is not None:
        yield f"kind {record.kind} has no direction"


def _count_contradictions(counts: Counts) -> Iterable[str]:
    pairs = [("treated_units", "units"), ("treated_clusters", "clusters")]
    for part, whole in pairs:
        few, many = getattr(counts, part), getattr(counts, whole)
        if few is not None and many is not None and few > many:
            yield f"sample.{part} {few} is more than {whole} {many}"


def _source_contradictions(record: Record) -> Iterable[str]:
    headlines = [effect for effect in record.effects if effect.role == "headline"]
    if record.source.kind == "estimated":
        if record.kind != "effect":
            yield "an estimated record must be of kind effect"
        if len(headlines) != 1:
            yield f"{len(headlines)} rows of effects have the role headline, not one"
        elif headlines[0].estimate != record.headline.estimate:
            yield f"headline.estimate {record.headline.estimate} is not that of its row, {headlines[0].estimate}"
    elif not (record.source.citation and record.source.address):
        yield "a published record needs source.citation and source.address"


def _repeated(names: Iterable[str]) -> list[str]:
    listed = list(names)
    return sorted({name for name in listed if listed.count(name) > 1})


# from a finding ------------------------------------------------------------------------------------------------------


def _design_class(design: "Design", checks: tuple[dict[str, Any], ...]) -> str:
    """The class whose ceiling applies (evidence.md A2 step 1); checks lower it further."""
    from evaluation.settings.designs import DidDesign, ExperimentDesign, UncontrolledDesign

    if isinstance(design, ExperimentDesign):
        return "randomised_cluster" if design.assignment == "cluster" else "randomised"
    if isinstance(design, DidDesign):
        return "event_study" if _measured(checks, "pretrend.periods") else "did"
    if design.method in ("synthetic_control", "discontinuity", "instrument"):
        return design.method
    if isinstance(design, UncontrolledDesign):
        return _weak_class(design)
    return "matching_pretest" if getattr(design, "baseline_outcome", None) else "matching"


def _weak_class(design: "UncontrolledDesign") -> str:
    """A series is allowed for the general trend only where another series is taken away."""
    if design.compared == "raw":
        return "raw_comparison"
    return "before_after" if design.treatment is None else "before_after_adjusted"


def _plan(checks: tuple[dict[str, Any], ...]) -> str:
    found = next((check for check in checks if check["check"] == "registration.plan"), None)
    if found is not None and found["status"] == "not_applicable":
        return "not_applicable"
    kept = {0.0: "confirmatory", 1.0: "deviated"}
    return kept.get(found["value"], "exploratory") if found is not None else "exploratory"


def _measured(checks: tuple[dict[str, Any], ...], check_id: str) -> float:
    return next((check["value"] or 0.0 for check in checks if check["check"] == check_id), 0.0)


def _outcome(outcome: Any) -> dict[str, Any]:
    fields = ("name", "unit", "better", "family", "role", "horizon_months", "smallest_effect", "source")
    return {name: getattr(outcome, name) for name in fields}


def _headline(values: Mapping[str, Any]) -> dict[str, Any]:
    """The finding's headline, with its direction if the interval shows one."""
    headline = _plain(values)
    if headline.get("direction") is None:
        headline["direction"] = _direction(headline.get("ci_low"), headline.get("ci_high"))
    return headline


def _direction(low: float | None, high: float | None) -> str | None:
    if low is None or high is None:
        return None
    return "positive" if low > 0 else "negative" if high < 0 else "none"


def _uncertainty(headline: Mapping[str, Any]) -> dict[str, Any]:
    known = _scalar(headline.get("std_error")) is not None
    detail = "standard error computed here" if known else "no standard error could be computed"
    return {"check": "reporting.uncertainty", "value": float(not known), "status": "measured", "detail": detail}


def _transfer(tables: Mapping[str, "pd.DataFrame"]) -> dict[str, Any] | None:
    """From the tables of impact/transport.py."""
    if "transport" not in tables:
        return None
    numbers = ("method", "estimate", "std_error", "ci_low", "ci_high", "effective_size")
    effects = tables["transport_effects"].to_dict("records") if "transport_effects" in tables else []
    rows = [_plain({name: row[name] for name in numbers}) for row in effects]
    return {**_plain(tables["transport"].iloc[0].to_dict()), "effects": rows}


def _sensitivity(tables: Mapping[str, "pd.DataFrame"]) -> list[dict[str, Any]]:
    """From the table of impact/finding_sensitivity.py."""
    return [_plain(row) for row in tables["sensitivity"].to_dict("records")] if "sensitivity" in tables else []


def _check(check: Any) -> dict[str, Any]:
    names = ("check", "value", "power", "status", "detail", "subject")
    return {name: _scalar(getattr(check, name)) for name in names if hasattr(check, name)}


def _rows(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    return [_with_whole_labels(_plain(row)) for row in frame.to_dict("records")]


def _with_whole_labels(row: dict[str, Any]) -> dict[str, Any]:
    """A column of whole numbers with gaps comes out of pandas as floats: 2004.0 is the period 2004."""
    whole = {name: int(row[name]) for name in WHOLE if isinstance(row.get(name), float) and row[name].is_integer()}
    return row | whole


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): _tree(value) for key, value in values.items()}


def _tree(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_tree(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _tree(getattr(value, name)) for name in value.__dataclass_fields__}
    return _scalar(value)


def _scalar(value: Any) -> Any:
    """numpy's and pandas' scalars as Python's; what is missing (NaN, NA, NaT) as None."""
    if value is None or isinstance(value, str | bool):
        return value
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return value if isinstance(value, int) else _missing_or_text(value)


def _missing_or_text(value: Any) -> Any:
    import pandas as pd

    return None if value is pd.NA or value is pd.NaT else str(value)


# files ---------------------------------------------------------------------------------------------------------------


def _folder(kind: str, record_id: str) -> Path:
    return store.path("data", "evidence", kind, store.require_slug(record_id))


def _table_name(name: str) -> str:
    if store.is_slug(name.replace("_", "-")):
        return name
    raise InternalError(
        code="E-EVI-005",
        what="A table cannot be a file of this name.",
        found=repr(name),
        expected="a-z, 0-9 and single underscores or hyphens",
        fix="rename the table in the method that makes it",
    )


def _record_files(kind: str) -> list[Path]:
    return sorted(store.path("data", "evidence", kind).glob("*/record.json"))


def _package() -> Path:
    return Path(__file__).resolve().parent.parent


def _code_files() -> list[Path]:
    """The source files that an estimated record depends on."""
    package = _package()
    rooms = [file for room in ("impact", "sample", "settings") for file in (package / room).rglob("*.py")]
    return [*rooms, package / "store.py", package / "errors.py", Path(__file__).resolve()]


def _require_unique(record_ids: list[str]) -> None:
    twice = _repeated(record_ids)
    if twice:
        raise DataError(
            code="E-EVI-004",
            what="Two records have one id, one estimated here and one published.",
            where="data/evidence",
            found=", ".join(twice),
            expected="ids that differ",
            fix="rename the evaluation in params.yaml or the row in data/portfolio/findings.csv",
        )


def _sentence(place: tuple[int | str, ...], message: str) -> str:
    path = ".".join(str(part) for part in place)
    text = message.removeprefix("Value error, ")
    return f"{path}: {text}" if path else text
