"""The working day to print: what stands in the folder, what stays blank, what is refused; from the real portfolio."""

import dataclasses
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from evaluation.cli import app
from evaluation.diffusion.coverage import coverage
from evaluation.errors import ParametersError, SetupError, StaleError
from evaluation.evidence import grading, published, rubric, transfer
from evaluation.needs import results
from evaluation.report import event
from evaluation.report.inputs import Inputs
from evaluation.report.locale import Lang
from evaluation.selection.decisions import decide
from evaluation.settings.params import read_params
from evaluation.settings.participation import Step, read_participation
from evaluation.settings.portfolio import read_portfolio

PLACE = "thierache-du-centre"
FOUNDING = ("mobility", "internship-3e", "banking")


@pytest.fixture(scope="module")
def inputs(repository: Path) -> Inputs:
    """Everything the site reads, made in memory from the facts of the repository."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVALUATION_ROOT", str(repository))
        portfolio, params = read_portfolio(), read_params()
        kept = [row for row in portfolio.decision_innovations if row.difficulty in FOUNDING]
        names = {row.id for row in kept}
        small = dataclasses.replace(portfolio, innovations=tuple(kept))
        records = [each for each in published.from_portfolio(portfolio) if each.innovation in names]
        grades = grading.grade_all(records, rubric.read())
        assert params.transfer is not None
        letters = transfer.assess_all(records, small, params.transfer)
        rows = coverage(small)
        decided = decide(
            small,
            records,
            grades,
            rows,
            params.selection,
            synthesis=params.synthesis,
            letters={(each.finding, each.territory): each.letter for each in letters},
        )
        needs = results.result(portfolio, read_participation(portfolio), 1)
    plain = {
        "priorities": needs,
        "decisions": [each.as_dict() for each in decided.decisions],
        "local": [asdict(each) for each in decided.local],
        "grades": {name: grade.as_dict() for name, grade in grades.items()},
        "transfer": {"letters": [asdict(each) for each in letters], "left_out": []},
    }
    missing = dataclasses.MISSING
    required = [each for each in dataclasses.fields(Inputs) if each.default is missing is each.default_factory]
    return Inputs(
        **{each.name: () for each in required}
        | json.loads(json.dumps(plain, default=str))
        | {
            "difficulties": [row.model_dump(mode="json") for row in portfolio.difficulties],
            "innovations": [row.model_dump(mode="json") for row in kept],
            "findings": {row.id: row.model_dump(mode="json") for row in portfolio.findings},
            "costs": [row.model_dump(mode="json") for row in portfolio.costs],
            "records": {each.id: each.as_dict() for each in records},
            "places": [row.model_dump(mode="json") for row in portfolio.test_territories],
            "territories": {row.id: {"fr": row.label_fr, "en": row.label_en} for row in portfolio.test_territories},
            "tables": {},
            "versions": {},
            "why_lower": {},
            "bounds": {
                name: getattr(params.selection, name).model_dump(mode="json")
                for name in ("scale", "extend", "steps", "stop", "test", "revise")
            },
        }
    )


@pytest.fixture(scope="module")
def day(inputs: Inputs) -> dict[Lang, dict[str, str]]:
    return {"fr": event.render(inputs, PLACE, "fr"), "en": event.render(inputs, PLACE, "en")}


def text_of(page: str) -> str:
    return re.sub("[ \n]+", " ", re.sub("<[^>]+>", "", page.partition("</head>")[2]))


def test_one_dossier_for_each_priority_then_sheets_and_minutes(day: dict[Lang, dict[str, str]]) -> None:
    assert [*day["fr"]] == [
        "index.html",
        "1-programme.html",
        *(f"2-dossier-{name}.html" for name in FOUNDING),
        "3-fiches-de-decision.html",
        "4-compte-rendu.html",
    ]
    assert len(day["en"]) == len(day["fr"])
    for name in [*day["fr"]][1:]:
        assert f'href="{name}"' in day["fr"]["index.html"]


def test_pages_are_printed_without_a_network(day: dict[Lang, dict[str, str]]) -> None:
    for lang, pages in day.items():
        for page in pages.values():
            assert "<script" not in page
            assert not re.search(r'(src|href)="(https?:)?//', page)
            assert f'<html lang="{lang}">' in page
            assert "@page{size:A4" in page
            assert page.count("<h1>") == 1


def test_a_sheet_holds_the_decision_its_rule_what_would_change_it_and_room(
    day: dict[Lang, dict[str, str]], inputs: Inputs
) -> None:
    page = day["fr"]["3-fiches-de-decision.html"]
    discussed = [
        row
        for row in inputs.decisions
        if row["decision"] != "DONNEES_INSUFFISANTES" or inputs.innovation(row["innovation"])["in_france"]
    ]
    sheets = page.split('<section class="sheet"')[1:]
    assert len(sheets) == len(discussed) > 5
    for sheet in sheets:
        for told in ("Décision proposée", "Règle qui a tranché", "Passage au territoire", "L’avis des participants"):
            assert told in sheet
        assert sheet.count('<div class="blank"></div>') == 2
    # bicycles in Bihar are no programme of France about which there is something to do
    assert 'id="bicycles-bihar"' not in page
    assert 'id="ten-thousand-licences"' in page


def test_a_dossier_says_who_how_many_and_what_is_known(day: dict[Lang, dict[str, str]]) -> None:
    told = text_of(day["fr"]["2-dossier-mobility.html"])
    assert "Thiérache" in told
    assert "estimation synthétique" in told
    assert "10 000 permis" in told.replace("\u202f", " ")
    assert "D, aucun chiffre ne passe" in told
    assert "How would you see that it is truly solved for you?" in text_of(day["en"]["2-dossier-mobility.html"])


def test_what_is_typed_after_the_day_fits_the_register(day: dict[Lang, dict[str, str]]) -> None:
    found = re.search(r"<pre>(.*?)</pre>", day["fr"]["4-compte-rendu.html"], re.DOTALL)
    assert found is not None
    (step,) = YAML(typ="safe").load(found[1])["steps"]
    filled: dict[str, Any] = {**step, "date": "2027-03-01", "people": 60}
    assert Step.model_validate(filled).concerns.territory == PLACE


def test_the_minutes_ask_for_numbers_of_each_group_and_an_owner(day: dict[Lang, dict[str, str]]) -> None:
    told = text_of(day["en"]["4-minutes.html"])
    for name in ("Residents and people concerned", "How invited", "Majority grade", "Who follows, by when"):
        assert name in told
    assert "names" in told  # numbers, no names


def test_the_same_inputs_give_the_same_pages(inputs: Inputs, day: dict[Lang, dict[str, str]]) -> None:
    assert event.render(inputs, PLACE, "fr") == day["fr"]


def test_french_pages_never_break_before_their_punctuation(day: dict[Lang, dict[str, str]]) -> None:
    for page in day["fr"].values():
        told = text_of(re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL))
        assert not re.search("« | [;!?»]| : ", told)


def test_the_folder_has_ballots_and_never_overwrites_typed_ones(
    inputs: Inputs, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALUATION_ROOT", str(repository))
    written = event.write(PLACE, tmp_path, ["fr"], inputs)
    assert written[0] == tmp_path / "fr" / "index.html"
    ballots = tmp_path / "fr" / "bulletins"
    assert {"bulletin.html", "bulletin-facile.html", "ballots.csv"} <= {file.name for file in ballots.iterdir()}
    with pytest.raises(SetupError, match="E-NEE-015"):
        event.write(PLACE, tmp_path, ["fr"], inputs)


def test_an_unknown_territory_and_missing_priorities_are_refused(inputs: Inputs) -> None:
    with pytest.raises(ParametersError, match="E-CLI-035") as refused:
        event.render(inputs, "creil", "fr")
    assert "creil-sud-oise" in str(refused.value)
    with pytest.raises(StaleError, match="E-CLI-036"):
        event.render(dataclasses.replace(inputs, priorities={}), PLACE, "fr")


def test_the_command_writes_where_it_is_told(inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event, "read_inputs", lambda: inputs)
    result = CliRunner().invoke(app, ["event", PLACE, "--to", str(tmp_path / "day"), "--lang", "en"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "day" / "en" / "3-decision-sheets.html").is_file()
    assert result.output.splitlines()[0] == str(tmp_path / "day" / "en" / "index.html")
