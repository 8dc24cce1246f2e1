"""Dossiers of difficulties, the register of decisions, other schemes, tables and figures to take away, provenance."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from site_simulated import site_inputs

from evaluation import store
from evaluation.errors import DataError
from evaluation.report import (
    difficulty_pages,
    gallery,
    provenance,
    readers_pages,
    register_page,
    scheme_views,
    tables,
    texts,
    views,
)
from evaluation.report import inputs as room
from evaluation.report.inputs import Inputs
from evaluation.selection import wanting
from evaluation.settings.params import read_params

UNJUDGED_FR = "Ne peut pas être jugé : la fiche ne dit pas la part des résultats manquants."


def _schemes() -> dict[str, Any]:
    ratings = [
        {"code": "high", "rank": 1, "fr": "certitude élevée", "en": "high certainty"},
        {"code": "cannot_be_judged", "rank": None, "fr": "ne peut pas être jugé", "en": "cannot be judged"},
    ]
    scheme = {"ratings": ratings, "address": "https://example.org/scheme", "fr": "Barème", "en": "Scheme"}
    return {
        "schemes": [{"id": "a", "short": "A", **scheme}, {"id": "b", "short": "B", **scheme}],
        "verdicts": {
            "garage-trial": {
                "a": {"rating": "high", "fr": "Élevée : tirage au sort.", "en": "High: random assignment."},
                "b": {"rating": "cannot_be_judged", "fr": UNJUDGED_FR, "en": "Cannot be judged."},
            }
        },
        "crosswalk": [{"scheme": "a", "grade": 4, "rating": "high", "findings": 1}],
    }


def _graded(inputs: Inputs, value: int) -> Inputs:
    grades = {name: {**grade, "value": value} for name, grade in inputs.grades.items()}
    return dataclasses.replace(inputs, grades=grades)


def _decided(inputs: Inputs, decision: str, **changes: Any) -> Inputs:
    return dataclasses.replace(inputs, decisions=[{**inputs.decisions[0], "decision": decision, **changes}])


# difficulties --------------------------------------------------------------------------------------------------------


def test_a_dossier_holds_the_paradox_the_answers_the_hypothesis_and_what_to_study() -> None:
    inputs = site_inputs()
    view = difficulty_pages.view(inputs, inputs.difficulties[0], "fr")
    assert "15\u00a0millions\u00a0d’adultes" in view["coverage"]
    assert [line["id"] for line in view["lines"]] == ["garage"]
    assert [study["id"] for study in view["next"]] == ["garage"]
    assert view["publics"][0].text == "jeunes"


def test_the_hypothesis_rests_on_favourable_findings_and_says_how_solid_they_are() -> None:
    inputs = site_inputs()
    solid = difficulty_pages.hypothesis(inputs, "mobility", "en")
    assert solid["told"].startswith("One innovation has a favourable effect")
    assert [(item["id"], item["grade"]) for item in solid["supports"]] == [("garage", "4\u00a0of\u00a05, strong")]
    weak = difficulty_pages.hypothesis(_graded(inputs, 2), "mobility", "en")
    assert weak["told"].startswith("No favourable effect is established at grade 3")
    assert len(weak["supports"]) == 1
    bad = {name: {**row, "outcome": {**row["outcome"], "better": "lower"}} for name, row in inputs.records.items()}
    none = difficulty_pages.hypothesis(dataclasses.replace(inputs, records=bad), "mobility", "en")
    assert (none["supports"], none["told"][:31]) == ([], "No favourable effect was read. ")


# register ------------------------------------------------------------------------------------------------------------


def test_the_register_holds_rule_owner_dates_and_says_that_its_history_is_empty() -> None:
    view = register_page.view(site_inputs(), "fr")
    (section,) = view["sections"]
    assert (section["id"], view["count"], view["revised"]) == ("experimenter", 1, 0)
    for text in (
        "Garage solidaire",
        "Comité",
        "1er\u00a0janvier\u00a02026",
        "1er\u00a0juillet\u00a02027",
        "première décision",
    ):
        assert text in section["table"], text


def test_a_decision_that_changed_says_what_it_was() -> None:
    past = [
        {"innovation": "garage", "decision": "DONNEES_INSUFFISANTES", "date": "2025-01-02"},
        {"innovation": "garage", "decision": "EXPERIMENTER", "date": "2025-06-01"},  # the same as today: no change
    ]
    view = register_page.view(dataclasses.replace(site_inputs(), past_decisions=past), "en")
    assert view["revised"] == 1
    assert "before 2 January 2025: Insufficient data" in view["sections"][0]["table"]


def test_a_past_decision_that_cannot_be_read_names_its_line(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project()
    monkeypatch.setenv("EVALUATION_ROOT", str(root))
    assert room._past_decisions() == []
    file = root / "data" / "portfolio" / "past_decisions.csv"
    store.write_text(file, "innovation,decision,date\ngarage,EXPERIMENTER,2025-01-02\n")
    assert room._past_decisions() == [{"innovation": "garage", "decision": "EXPERIMENTER", "date": "2025-01-02"}]
    store.write_text(file, "innovation,decision,date\ngarage,EXPERIMENTER,2025-01-02\ngarage,MAYBE,2025-13-01\n")
    with pytest.raises(DataError, match=r"E-REP-024[^$]*line 3"):
        room._past_decisions()


# other schemes -------------------------------------------------------------------------------------------------------


def test_a_scheme_that_cannot_judge_says_what_the_record_does_not_say() -> None:
    inputs = dataclasses.replace(site_inputs(), schemes=_schemes())
    table = scheme_views.equivalents(inputs, "garage-trial", "fr")
    assert "<b>certitude élevée</b>" in table
    assert "Ne peut pas être jugé\u00a0: la fiche ne dit pas la part des résultats manquants." in table
    assert scheme_views.short(inputs, "garage-trial", "fr") == [("A", "certitude élevée")]
    assert scheme_views.unjudged(inputs, "garage-trial") == ["B"]
    assert scheme_views.equivalents(site_inputs(), "garage-trial", "fr") == ""


# said once, counted all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lang", "place"), [("fr", 0), ("en", 1)])
def test_what_scaling_up_would_take_is_said_once(lang: Any, place: int) -> None:
    policy = read_params().selection
    assert policy is not None
    told = wanting.for_scale(["grade"], policy)
    assert told is not None
    lines = {f"would_change_{name}": ["Une reproduction.", told[place]] for name in ("fr", "en")}
    decision = {**site_inputs().decisions[0], **lines}
    assert [each.text for each in views.decided(decision, lang)["change"]] == ["Une reproduction."]
    alone = views.decided({**decision, "to_scale": []}, lang)["change"]  # no list of conditions: the sentence stays
    assert len(alone) == 2


@pytest.mark.parametrize("decision", room.DECIDED)
def test_citizens_read_a_count_of_every_decision(decision: str) -> None:
    view = readers_pages.citizens(_decided(site_inputs(), decision), "en")
    counted = [int(found) for line in view["known"][1:] for found in re.findall(r": (\d+)\.", line)]
    assert sum(counted) == 1, view["known"]
    assert len(view["difficulties"][0]["lines"]) == 2  # how many answers, and what is decided about the one there is


# tables and figures to take away -------------------------------------------------------------------------------------


def test_a_table_for_papers_holds_no_command_of_its_cells() -> None:
    frame = pd.DataFrame({"a_b": [r"\input{x} & 50\u00a0%", None], "n": [1.5, 2]}, dtype=object)
    told = tables.latex(frame.replace(r"\input{x} & 50\u00a0%", "\\input{x} & 50\u00a0%"), caption="C~#", lang="fr")
    assert r"\caption{C\textasciitilde{}\#}" in told
    assert r"a\_b & n \\" in told
    assert r"\textbackslash{}input\{x\} \& 50~\% & 1,5 \\" in told
    assert r"– & 2 \\" in told
    cells = [line for line in told.splitlines() if line.endswith(r" \\")]
    assert all(len(re.findall(r"(?<!\\)&", line)) == 1 for line in cells)  # as many columns as the head


def test_figures_come_with_their_drawing_their_data_and_the_same_picture_twice() -> None:
    inputs = dataclasses.replace(site_inputs(), schemes=_schemes())
    drawn = gallery.pieces(inputs, "fr")
    assert [piece.name for piece in drawn] == ["part-du-besoin", "carte-des-preuves", "autres-baremes"]
    files = gallery.texts_of(drawn, gallery.view(drawn), ["made -- here"])
    assert files["figures/part-du-besoin.csv"].startswith("label,low,high,kind\nGarage solidaire,")
    assert 'role="img"' in files["figures/part-du-besoin.svg"]
    assert "<!-- made – here -->" in files["figures/part-du-besoin.svg"]  # two hyphens would end the comment
    pictures = gallery.pictures(inputs, "fr")
    assert pictures == gallery.pictures(inputs, "fr")
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    assert all(b"Source" in picture for picture in pictures.values())


# provenance ----------------------------------------------------------------------------------------------------------


def _sourced(stale: list[str]) -> Inputs:
    found = {name: f"{name}{'0' * 60}" for name in ("data", "code", "lock", "parameters")}
    return dataclasses.replace(site_inputs(), provenance={**found, "seeds": [7], "stale": stale})


def test_the_footer_names_hashes_seed_and_plans() -> None:
    inputs = _sourced([])
    lines = provenance.footer(inputs, "en", [inputs.records["garage-trial"]])
    assert "data data00000000, code code00000000, packages lock00000000, parameters parameters00; seed 7." in lines[1]
    assert lines[2] == "Analysis plan: not applicable (published study, or public data analysed before)."
    assert provenance.stale(inputs, "en", inputs.records.values()) == ""


def test_a_page_is_marked_stale_for_its_own_records_and_for_the_rubric() -> None:
    inputs = _sourced(["nsw-trial", "rubric"])
    assert "(rubric)" in provenance.stale(inputs, "en", [inputs.records["garage-trial"]])
    assert "(nsw-trial, rubric)" in provenance.stale(inputs, "en", [inputs.records["nsw-trial"]])
    many = _sourced(["nsw-trial", "garage-trial", "garage-claim", "rubric"])
    assert "(nsw-trial, garage-trial, garage-claim, +1)" in provenance.stale(many, "en", many.records.values())


def test_hashes_cover_what_the_stage_depends_on(project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = project()
    monkeypatch.setenv("EVALUATION_ROOT", str(root))
    listed = "stages: {report: {deps: [data/a.csv, src/x.py], params: [languages]}}\n"
    for name, text in {"dvc.yaml": listed, "data/a.csv": "a\n", "src/x.py": "x = 1\n"}.items():
        store.write_text(root / name, text)
    before = provenance.read(read_params(), [], {"a": {"rubric": "no such version"}})
    store.write_text(root / "data" / "a.csv", "b\n")
    after = provenance.read(read_params(), [], {})
    assert before["code"] == after["code"]
    assert before["data"] != after["data"]
    assert (len(before["parameters"]), after["stale"]) == (64, [])


def test_every_plan_has_a_word() -> None:
    for lang in ("fr", "en"):
        for plan in ("confirmatory", "deviated", "exploratory", "not_applicable"):
            assert texts.texts(lang)(f"pdf.plan_{plan}")
