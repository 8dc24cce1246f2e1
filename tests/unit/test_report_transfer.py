"""Letters with their reasons on the page of an innovation, and the two proofs on the page of methods."""

import dataclasses
from typing import Any

import pytest

from evaluation.report import transfer_views
from evaluation.report.inputs import Inputs

LETTER = {
    "finding": "one",
    "innovation": "a",
    "territory": "town",
    "letter": "C",
    "index": None,
    "domains": [
        {
            "domain": "country",
            "state": "same",
            "cost": 0.0,
            "fr": "étude menée en France",
            "en": "study made in France",
        },
        {"domain": "people", "state": "unknown", "cost": 1.0, "fr": "jamais comparé", "en": "never compared"},
    ],
}
SITE = {"id": "one", "found": 0.5, "std_error": 0.1, "predicted": 0.2, "low": -0.1, "high": 0.4, "inside": False}
LEFT = {"innovation": "a", "outcome": "profit", "unit": "SD", "level": 0.95, "sites": [SITE], "inside": 0}
CARRIED = {
    "source": "rural",
    "target": "inner-city",
    "moderators": "age",
    "index": 0.42,
    "coverage": 1.0,
    "effects": [
        {"method": "inverse_odds", "estimate": 19.9, "ci_low": 2.6, "ci_high": 37.3, "effective_size": 106.0},
        {"method": "observed", "estimate": 16.7, "ci_low": None, "ci_high": None, "effective_size": 811.0},
        {
            "method": "inverse_odds − observed",
            "estimate": 3.2,
            "ci_low": -24.0,
            "ci_high": 30.5,
            "effective_size": None,
        },
    ],
}


@pytest.fixture
def shown() -> Inputs:
    needed: dict[str, Any] = {field.name: () for field in dataclasses.fields(Inputs)}
    record = {"id": "star", "role": "benchmark", "innovation": "a", "transfer": CARRIED}
    return Inputs(
        **needed
        | {
            "innovations": [{"id": "a", "label_fr": "Petites classes", "label_en": "Small classes"}],
            "territories": {"town": {"fr": "La ville", "en": "The town"}},
            "findings": {"one": {"country": "Mexico", "country_fr": "Mexique"}},
            "records": {"star": record},
            "bounds": {"transfer": {"index": {"A": 0.9, "B": 0.8, "C": 0.5}}},
            "transfer": {"letters": [LETTER], "left_out": [LEFT]},
        }
    )


def test_the_letter_of_the_finding_that_decides_is_shown_with_its_reasons(shown: Inputs) -> None:
    french = transfer_views.reasons(shown, {"best_record": "one"}, "fr")
    assert "C, passage incertain" in french
    assert "pareil" in french
    assert "étude menée en France" in french
    assert "inconnu" in french
    assert "La ville" in french
    assert transfer_views.reasons(shown, {"best_record": "other"}, "fr") == ""
    assert "never compared" in transfer_views.reasons(shown, {"best_record": "one"}, "en")


def test_an_index_that_is_too_low_is_said_to_carry_no_number(shown: Inputs) -> None:
    carried, left = transfer_views.proofs(shown, "en")
    assert carried["title"] == "Small classes: country → inner city"
    assert "letter D" in carried["notes"][1]
    assert "reweighted by inverse odds, less the observed effect" in carried["table"]
    assert "106" in carried["table"]
    bounds = {"transfer": {"index": {"A": 0.9, "B": 0.8, "C": 0.4}}}
    allowed, _ = transfer_views.proofs(dataclasses.replace(shown, bounds=bounds), "en")
    assert "holds if nothing but" in allowed["notes"][1]
    assert "0 of the 1 effects observed" in left["notes"][0]
    assert "Mexico" in left["table"]
    assert "Mexique" in transfer_views.proofs(shown, "fr")[1]["table"]
