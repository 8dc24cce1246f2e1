"""Findings of the literature, as records.

Only what a row of data/portfolio/findings.csv really tells becomes a number of the record. A claim, a take-up rate or a
monitored level is kept in `claim` and never in `headline`; a check that the row says nothing about is not run, which
costs as such.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evaluation import store
from evaluation.evidence import effect_sizes, readings
from evaluation.evidence.record import Record, parse
from evaluation.settings.readings import Readings

if TYPE_CHECKING:
    from evaluation.settings.observations import Finding
    from evaluation.settings.portfolio import Portfolio

MDES_FACTOR = 2.8  # smallest effect found with power 80 % in a two-sided test at 5 %, in standard errors (Bloom 1995)

METHOD_OF: Mapping[str, str] = {
    "randomised": "experiment",
    "randomised_cluster": "experiment",
    "lottery": "experiment",
    "discontinuity": "discontinuity",
    "instrument": "instrument",
    "event_study": "did",
    "synthetic_control": "synthetic_control",
    "matched_did": "did",
    "did": "did",
    "matching_pretest": "matching",
    "matching": "matching",
    "comparison_group": "comparison",
    "meta_analysis_randomised": "meta_analysis",
    "meta_analysis": "meta_analysis",
    "before_after_adjusted": "uncontrolled",
    "before_after": "uncontrolled",
    "raw_comparison": "uncontrolled",
    "declared": "uncontrolled",
    "monitoring": "uncontrolled",
    "social_return": "uncontrolled",
    "account": "uncontrolled",
}
UNREAD = Readings()  # nobody rated anything
CLAIMED = ("claim", "take_up", "level")
INDIVIDUAL = ("randomised", "lottery")
READ_IN_FULL = ("computed-here", "seen-code", "seen-code; se derived", "seen-text")


def from_published(row: "Finding", portfolio: "Portfolio", read: Readings = UNREAD) -> Record:
    """The record of one row of data/portfolio/findings.csv.

    Args:
        row: the finding, as the portfolio holds it.
        portfolio: the portfolio it belongs to, which says whether its innovation is one to decide on.
        read: what people read in the study.

    Raises:
        DataError: the row says something that a record cannot hold.
    """
    return parse(
        {
            "id": row.id,
            "role": portfolio.innovation(row.innovation).role,
            "innovation": row.innovation,
            "difficulty": row.difficulty,
            "kind": row.estimate_kind,
            "method": METHOD_OF[row.design_class],
            "design_class": row.design_class,
            "source": _source(row),
            "plan": "exploratory",
            "outcome": _outcome(row),
            "territory_kind": row.territory_kind,
            "headline": _headline(row),
            "claim": _claim(row),
            "sample": {"units": row.n},
            "checks": [*_checks(row), *readings.checks_of(row.id, read)],
            "cost": _cost(row),
            "provenance": {"public": True, "data_sha256": store.sha256_json(row.model_dump(mode="json"))},
            "notes": tuple(note for note in (row.caution_en, row.note) if note),
        },
        where=f"data/portfolio/findings.csv, {row.id}",
    )


def from_portfolio(portfolio: "Portfolio", read: Readings = UNREAD) -> tuple[Record, ...]:
    """The records of all rows, sorted by id."""
    rows = sorted(portfolio.findings, key=lambda row: row.id)
    return tuple(from_published(row, portfolio, read) for row in rows)


def _source(row: "Finding") -> dict[str, Any]:
    return {
        "kind": "published",
        "citation": row.source_title,
        "address": row.source_address,
        "confidence": row.confidence,
        "provenance": row.provenance,
        "year": row.year,
        "country": row.country,
        "sample_group": row.sample_group,
        "subgroup": row.subgroup,
        "robustness": row.robustness,
        "poolable": row.poolable,
    }


def _outcome(row: "Finding") -> dict[str, Any]:
    return {
        "name": row.outcome,
        "label_fr": row.outcome_fr,
        "label_en": row.outcome,
        "unit": row.unit,
        "unit_fr": row.unit_fr,
        "better": row.better,
        "horizon_months": row.horizon_months,
        "no_effect": row.no_effect,
    }


def _headline(row: "Finding") -> dict[str, Any]:
    """Numbers for an effect, the direction alone for a sign, nothing at all for the rest."""
    if row.estimate_kind == "sign_only":
        return {"direction": row.direction}
    if row.estimate_kind != "effect":
        return {}
    return {
        "estimate": row.estimate,
        "std_error": row.std_error,
        "ci_low": row.ci_low,
        "ci_high": row.ci_high,
        "comparison_mean": row.control_mean,
        "outcome_sd": _outcome_sd(row),
        "direction": row.direction,
        "inference": "as published",
    }


def _claim(row: "Finding") -> dict[str, Any] | None:
    if row.estimate_kind not in CLAIMED:
        return None
    return {
        "value": row.estimate,
        "unit": row.unit,
        "unit_fr": row.unit_fr,
        "text_fr": row.outcome_fr,
        "text_en": row.outcome,
    }


def _cost(row: "Finding") -> dict[str, Any] | None:
    if row.cost_per_participant is None or row.currency is None:
        return None
    return {"per_participant": row.cost_per_participant, "currency": row.currency, "source": row.source_title}


def _checks(row: "Finding") -> list[dict[str, Any]]:
    """What a row tells: how large the standard error is, who was drawn, and where the figure was read."""
    if row.estimate_kind not in ("effect", "sign_only"):
        return []
    return [_detectable(row), *_clusters(row), _uncertainty(row), _reading(row)]


def _detectable(row: "Finding") -> dict[str, Any]:
    sd, error = _outcome_sd(row), _std_error(row)
    if sd is None or error is None:
        missing = "standard error" if error is None else "standard deviation of the outcome"
        detail = f"the {missing} was not read"
        return {"check": "precision.mdes_sd", "status": "not_run", "detail": detail}
    value = MDES_FACTOR * error / sd
    detail = f"{MDES_FACTOR} x {error:.4g} / {sd:.4g} = {value:.3g} SD"
    return {"check": "precision.mdes_sd", "value": value, "status": "measured", "detail": detail}


def _outcome_sd(row: "Finding") -> float | None:
    """1 for effects in SD; sqrt(p (1 - p)) for shares whose level without the programme was read."""
    if row.estimate_kind != "effect":
        return None
    if row.unit_kind == "sd":
        return 1.0
    level = row.control_mean
    if row.unit_kind == "share" and level is not None and 0 < level < 1:
        return effect_sizes.sd_of_share(level)
    return None


def _std_error(row: "Finding") -> float | None:
    """The standard error that was read, or that a 95 % interval implies."""
    if row.estimate_kind != "effect":
        return None
    if row.std_error is not None:
        return float(row.std_error)
    if row.ci_low is None or row.ci_high is None:
        return None
    return effect_sizes.std_error_from_interval(row.ci_low, row.ci_high)


def _clusters(row: "Finding") -> list[dict[str, Any]]:
    """Where persons were drawn, groups are not in question; elsewhere a row does not count them."""
    if row.design_class not in INDIVIDUAL:
        return []
    names = ("precision.clusters", "precision.treated_clusters")
    return [{"check": name, "status": "not_applicable", "detail": "persons were drawn, not groups"} for name in names]


def _uncertainty(row: "Finding") -> dict[str, Any]:
    """A sign has no margin of error; the ceiling of its kind says that already."""
    check = "reporting.uncertainty"
    if row.estimate_kind == "sign_only":
        return {"check": check, "status": "not_applicable", "detail": "only the direction was read"}
    read = row.std_error is not None or row.ci_low is not None
    detail = "standard error or interval read" if read else "neither standard error nor interval was read"
    return {"check": check, "value": float(not read), "status": "measured", "detail": detail}


def _reading(row: "Finding") -> dict[str, Any]:
    if row.confidence == "recalled":
        value, detail = 2.0, "recalled from memory, not read"
    elif row.provenance in READ_IN_FULL:
        value, detail = 0.0, "read in the study, in its replication files, or computed on its data"
    else:
        value, detail = 1.0, f"read in an abstract or second-hand ({row.provenance})"
    return {"check": "reporting.reading", "value": value, "status": "measured", "detail": detail}
