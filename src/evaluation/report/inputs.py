"""What the pages are made from, read once from the other rooms as plain data; and what forbids to make a page.

Text that people wrote stands in the portfolio in both languages. Where only English stands, a French page shows it
marked as English.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date as Date
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from evaluation import store
from evaluation.errors import DataError, DisclosureError, InternalError, StaleError
from evaluation.report import locale, provenance
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from evaluation.evidence.record import Record
    from evaluation.settings.params import Params

Row = Mapping[str, Any]

STUDY: Final = "study"  # in data/selection/territories.json: the place of the study, where nothing is decided
DECIDED: Final = (  # every decision, the strongest first
    "GENERALISER",
    "ETENDRE_SOUS_EVALUATION",
    "EXPERIMENTER",
    "REVOIR",
    "NE_PAS_RETENIR",
    "DONNEES_INSUFFISANTES",
)
_RULES: Final = ("scale", "extend", "steps", "stop", "test", "revise")


class Said(NamedTuple):
    """A text, and its language where that is not the language of the page."""

    text: str
    lang: Lang | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything the pages show, shaped as the files in data/ are (design page, section 6).

    Attributes:
        difficulties, innovations, costs, benchmarks: rows of the portfolio, in its order.
        findings: rows of the portfolio by record id.
        records, grades: by record id.
        coverage, needs, decisions: lists of rows.
        territories: label of each test territory by language, by id.
        tables: aggregate tables of estimated findings, by record id and name.
        versions: of the rubric and the selection policy.
        why_lower: sentences, by language: why a benchmark without a lottery is graded lower than the lottery
            it imitates.
        priorities: ballots beside burden, register of participation; empty before the stage needs has run.
        example_vote: the same from simulated ballots, for one stamped page.
        local: one row an innovation and place, the place of the study included.
        synthesis: pooled estimates, posteriors and what was left out.
        bounds: bounds of the rules of decision, by section of `selection:` in params.yaml.
        places: rows of the test territories: figures, what to collect.
        diffusion: content of the files of data/diffusion by name; empty before the stage diffusion has run.
        finance, funnel, what_if: the finance map with its tranches, both funnels, the grid; empty before the stage
            selection has written them.
        past_decisions: earlier decisions that people typed: innovation, decision, date.
        schemes: verdicts of other schemes; empty before the stage evidence has run.
        blinded: ids of evaluations whose outcomes are permuted; they have no record here.
        provenance: hashes of what the pages are made from, and what is stale (see `provenance.read`).
        programmes: grade of each programme over its findings, by innovation.
        calibration: how often simulated intervals held the truth; empty before `evaluation calibrate` has run.
        documents: whether there are PDFs to link to.
        readings: who rated findings and which searches were made; empty before the stage evidence has run.
    """

    difficulties: Sequence[Row]
    innovations: Sequence[Row]
    findings: Mapping[str, Row]
    costs: Sequence[Row]
    benchmarks: Sequence[Row]
    records: Mapping[str, Row]
    grades: Mapping[str, Row]
    coverage: Sequence[Row]
    needs: Sequence[Row]
    decisions: Sequence[Row]
    territories: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, pd.DataFrame]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    why_lower: Mapping[str, Sequence[str]] = field(default_factory=dict)
    priorities: Row = field(default_factory=dict)
    example_vote: Row = field(default_factory=dict)
    local: Sequence[Row] = ()
    synthesis: Row = field(default_factory=dict)
    bounds: Mapping[str, Row] = field(default_factory=dict)
    places: Sequence[Row] = ()
    diffusion: Mapping[str, Any] = field(default_factory=dict)
    finance: Row = field(default_factory=dict)
    funnel: Row = field(default_factory=dict)
    what_if: Row = field(default_factory=dict)
    past_decisions: Sequence[Row] = ()
    schemes: Row = field(default_factory=dict)
    provenance: Row = field(default_factory=dict)
    transfer: Row = field(default_factory=dict)
    landmarks: Sequence[Row] = ()
    blinded: Sequence[str] = ()
    readings: Row = field(default_factory=dict)
    programmes: Mapping[str, Row] = field(default_factory=dict)
    calibration: Row = field(default_factory=dict)
    documents: bool = True

    @property
    def simulated(self) -> bool:
        """Some number shown comes from simulated data."""
        return any(record["simulated"] for record in self.records.values())

    def innovation(self, innovation_id: str) -> Row:
        """Row of the portfolio."""
        return next(row for row in self.innovations if row["id"] == innovation_id)

    def difficulty(self, difficulty_id: str) -> Row:
        """Row of the portfolio."""
        return next(row for row in self.difficulties if row["id"] == difficulty_id)

    def records_of(self, innovation_id: str) -> list[Row]:
        """Records of one innovation, the best graded first, then by id."""
        rows = [record for record in self.records.values() if record["innovation"] == innovation_id]
        return sorted(rows, key=lambda record: (-self.grades[record["id"]]["value"], record["id"]))

    def coverage_of(self, innovation_id: str) -> list[Row]:
        """Coverage rows of one innovation, in file order."""
        return [row for row in self.coverage if row["innovation"] == innovation_id]

    def local_of(self, innovation_id: str) -> list[Row]:
        """What is decided about one innovation in each test territory, in file order."""
        return [row for row in self.local if row["innovation"] == innovation_id and row["territory"] != STUDY]

    def at_study(self, innovation_id: str) -> Row:
        """Numbers of the value chain at the place of the study; empty where there is no row."""
        rows = (row for row in self.local if row["innovation"] == innovation_id and row["territory"] == STUDY)
        return next((row["value"] for row in rows), {})

    def posteriors_of(self, innovation_id: str) -> list[Row]:
        """Effects of the synthesis of one innovation, in file order."""
        return [row for row in self.synthesis.get("effects", ()) if row["innovation"] == innovation_id]

    def benchmark_records(self) -> list[Row]:
        """Records of benchmark evaluations, by id."""
        return self.records_for("benchmark")

    def records_for(self, role: str) -> list[Row]:
        """Records of evaluations that have a role, by id."""
        return [record for _, record in sorted(self.records.items()) if record["role"] == role]


def read() -> Inputs:
    """Read everything through the other rooms' readers.

    Raises:
        StaleError: a result is not there yet.
        ProblemsError: the portfolio or params.yaml cannot be read.
    """
    from evaluation.evidence import record as records
    from evaluation.settings.params import read_params
    from evaluation.settings.portfolio import read_portfolio

    portfolio = read_portfolio()
    params, found, grades = read_params(), records.read_all(), _json("evidence", "grades.json")
    return Inputs(
        difficulties=_rows(portfolio.difficulties),
        innovations=_rows(portfolio.innovations),
        findings={row["id"]: row for row in _rows(portfolio.findings)},
        costs=_rows(portfolio.costs),
        benchmarks=_rows(portfolio.benchmarks),
        records={record.id: record.as_dict() for record in found},
        grades=grades,
        coverage=_json("diffusion", "coverage.json"),
        needs=_json("needs", "needs.json"),
        decisions=_json("selection", "decisions.json"),
        territories={row.id: {"fr": row.label_fr, "en": row.label_en} for row in portfolio.test_territories},
        tables={record.id: _tables(record.id) for record in found if record.source.kind == "estimated"},
        versions=_versions(params),
        why_lower=_why_lower(found),
        priorities=_json_or_empty("needs", "priorities.json"),
        example_vote=_json_or_empty("needs", "example.json"),
        local=_json_or_empty("selection", "territories.json") or (),
        synthesis=_json_or_empty("evidence", "synthesis.json"),
        bounds=_bounds(params),
        places=_rows(portfolio.test_territories),
        diffusion=_diffusion(),
        finance=_json_or_empty("selection", "finance.json"),
        funnel=_json_or_empty("selection", "funnel.json"),
        what_if=_json_or_empty("selection", "what_if.json"),
        past_decisions=_past_decisions(),
        schemes=_json_or_empty("evidence", "schemes.json"),
        provenance=provenance.read(params, found, grades),
        transfer=_json_or_empty("evidence", "transfer.json"),
        landmarks=_rows(portfolio.landmarks),
        blinded=tuple(sorted(name for name, design in params.evaluations.items() if design.blinded)),
        readings=_json_or_empty("evidence", "readings.json"),
        documents=params.documents,
        programmes=_json_or_empty("evidence", "programmes.json").get("programmes", {}),
        calibration=_json_or_empty("calibration", "calibration.json"),
    )


def said(row: Row, name: str, lang: Lang) -> Said:
    """Find a text of a row in the reader's language, or in English marked as such ('' if there is none)."""
    own = row.get(f"{name}_{lang}") or (row.get(name) if lang == "en" else None)
    if own:
        return Said(locale.typography(str(own), lang))
    other = row.get(f"{name}_en") or row.get(name) or row.get(f"{name}_fr")
    return Said(str(other), "en" if lang == "fr" else "fr") if other else Said("")


def require_publishable(inputs: Inputs, *, internal: bool) -> None:
    """Refuse what must not become a public page.

    Raises:
        DisclosureError: a record rests on micro-data that are not public, and the report is not for internal use.
        InternalError: a benchmark evaluation stands among the decisions, the coverage or the needs.
        StaleError: a decision speaks of an innovation or a finding that is no longer there, or a record has no grade.
    """
    _require_public(inputs, internal=internal)
    _require_roles_apart(inputs)
    _require_complete(inputs)


def _require_public(inputs: Inputs, *, internal: bool) -> None:
    hidden = [name for name, record in sorted(inputs.records.items()) if not record["provenance"]["public"]]
    if hidden and not internal:
        raise DisclosureError(
            code="E-REP-002",
            what="a report of micro-data that are not public would be published",
            where=_some(hidden),
            found="sources without `public: true`",
            expected="public sources only: there is no disclosure control yet",
            fix="declare `public: true` on sources that are, or run `evaluation report --internal` (stamps every page)",
        )


def _require_roles_apart(inputs: Inputs) -> None:
    benchmarks = {row["id"] for row in inputs.innovations if row["role"] == "benchmark"}
    used = [row["innovation"] for row in (*inputs.coverage, *inputs.decisions)]
    mixed = sorted(benchmarks.intersection(used))
    if mixed:
        raise InternalError(
            code="E-REP-003",
            what="a benchmark evaluation stands among decisions or coverage",
            where=_some(mixed),
            expected="benchmarks on the page of method proofs only",
            fix="give the innovation `role: decision`, or leave it out of selection and diffusion",
        )


def _require_complete(inputs: Inputs) -> None:
    known = {row["id"] for row in inputs.innovations}
    problems = [f"innovation {row['innovation']}" for row in inputs.decisions if row["innovation"] not in known]
    problems += [
        f"finding {name}" for row in inputs.decisions for name in row["findings"] if name not in inputs.records
    ]
    found = (*inputs.synthesis.get("effects", ()), *inputs.synthesis.get("difficulties", {}).values())
    pooled = [row["pooled"] for row in found]
    used = {row["id"] for each in pooled for row in each.get("records", ())}
    problems += [f"finding {name} of the synthesis" for name in sorted(used) if name not in inputs.records]
    problems += [f"grade of {name}" for name in sorted(inputs.records) if name not in inputs.grades]
    if problems:
        raise StaleError(
            code="E-REP-004",
            what="decisions, records and grades do not belong together",
            where="data/selection/decisions.json, data/evidence",
            found=f"nothing for: {_some(problems)}",
            expected="decisions and grades made from the records that are there",
            fix="run `evaluation run`, which makes again what is out of date",
        )


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (f" (+{len(listed) - 5})" if len(listed) > 5 else "")


def _rows(items: Iterable[Any]) -> list[Row]:
    return [item.model_dump(mode="json") for item in items]


def _json(*parts: str) -> Any:
    return store.read_json(store.path("data", *parts))


def _json_or_empty(*parts: str) -> Any:
    return _json(*parts) if store.path("data", *parts).is_file() else {}


def _diffusion() -> dict[str, Any]:
    from evaluation.report.diffusion_pages import RESULTS

    there = store.path("data", "diffusion", f"{RESULTS[0]}.json").is_file()
    return {name: _json("diffusion", f"{name}.json") for name in RESULTS} if there else {}


def _past_decisions() -> list[Row]:
    """Earlier decisions, one a line, as people typed them; none where there is no such file."""
    file = store.path("data", "portfolio", "past_decisions.csv")
    if not file.is_file():
        return []
    table = store.read_csv(file)
    rows = [{str(name): str(value) for name, value in row.items()} for row in table.to_dict("records")]
    wrong = [str(place) for place, row in enumerate(rows, start=2) if not _is_past_decision(row)]
    if wrong:
        raise DataError(
            code="E-REP-024",
            what="a past decision cannot be read",
            where=f"data/portfolio/past_decisions.csv, line {_some(wrong)}",
            found="another column, decision or date",
            expected=f"innovation, decision (one of {', '.join(DECIDED)}), date (YYYY-MM-DD)",
            fix="correct the line",
        )
    return list(rows)


def _is_past_decision(row: Mapping[str, str]) -> bool:
    try:
        Date.fromisoformat(row["date"])
    except (KeyError, ValueError):
        return False
    return bool(row.get("innovation")) and row.get("decision") in DECIDED


def _tables(record_id: str) -> dict[str, pd.DataFrame]:
    folder = store.path("data", "evidence", "estimated", store.require_slug(record_id), "tables")
    return {file.stem: store.read_csv(file) for file in sorted(folder.glob("*.csv"))}


def _versions(params: "Params") -> dict[str, str]:
    return {"selection": params.selection.version} if params.selection else {}


def _bounds(params: "Params") -> dict[str, Row]:
    if params.selection is None:
        return {}
    transfer = {} if params.transfer is None else {"transfer": params.transfer.model_dump(mode="json")}
    return {name: getattr(params.selection, name).model_dump(mode="json") for name in _RULES} | transfer


def _why_lower(records: Sequence["Record"]) -> dict[str, list[str]]:
    """Compare each benchmark drawn by lot with the benchmarks of the same innovation that were not."""
    from evaluation.evidence import grading, rubric

    rules = rubric.read()
    benchmarks = [record for record in records if record.role == "benchmark"]
    drawn = [record for record in benchmarks if record.method == "experiment"]
    pairs = [(a, b) for a in drawn for b in benchmarks if b.innovation == a.innovation and b.method != "experiment"]
    sentences = [grading.compare_reason(a, grading.grade(a, rules), b, grading.grade(b, rules)) for a, b in pairs]
    return {"fr": [french for french, _ in sentences], "en": [english for _, english in sentences]}
