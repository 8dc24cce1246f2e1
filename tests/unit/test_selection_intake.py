"""The intake form: written, filled in by people who are not evaluators, read, triaged, kept, counted."""

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openpyxl import Workbook, load_workbook
from typer.testing import CliRunner

from evaluation.cli import app
from evaluation.errors import DataError, EvaluationError, ParametersError, ProblemsError
from evaluation.selection import intake, intake_desk, intake_fields, intake_form, intake_reading
from evaluation.selection.intake_fields import FIELDS, SHEET
from evaluation.settings.params import Params, read_params
from evaluation.settings.portfolio import Portfolio, read_portfolio

ROOT = Path(__file__).resolve().parents[2]
FILLED: dict[str, Any] = {
    "title": "Garage mobile de Thiérache",
    "who": "des habitants",
    "group": "Collectif du canton",
    "territory": "CC de la Thiérache du Centre",
    "difficulty": "Se déplacer",
    "problem": "Sans voiture, on ne trouve pas de travail.",
    "public": "Se déplacer - jeunes de 18 à 24 ans",
    "mechanism": "On prête une voiture le temps de la période d'essai.",
    "resembles": "Garages solidaires",
    "reach": "1 200 personnes",
    "cost": "650,50 €",
    "evidence": "rien encore",
    "sources": "https://example.org/rapport",
}


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(ROOT)


@pytest.fixture(scope="module")
def params() -> Params:
    return read_params(ROOT)


@pytest.fixture(scope="module")
def choices(portfolio: Portfolio) -> intake_fields.Options:
    return intake_fields.options(portfolio)


@pytest.fixture(scope="module")
def empty(choices: intake_fields.Options) -> bytes:
    return intake_form.workbook(choices)


Fill = Callable[..., Path]


@pytest.fixture
def fill(empty: bytes, tmp_path: Path) -> Fill:
    """A workbook as somebody sends it back: the answers of FILLED, changed by keyword."""

    def made(name: str = "fiche.xlsx", **changed: Any) -> Path:
        book = load_workbook(BytesIO(empty))
        sheet = book[SHEET]
        answers = {**FILLED, **changed}
        for row in sheet.iter_rows(min_row=intake_form.FIRST, max_col=intake_form.KEY):
            value = answers.get(str(row[intake_form.KEY - 1].value))
            if value is not None:
                row[intake_form.ANSWER - 1].value = value
        target = tmp_path / name
        book.save(target)
        return target

    return made


def refused(source: Path, choices: intake_fields.Options) -> dict[str, Any]:
    with pytest.raises(ProblemsError) as caught:
        intake_reading.read(source, choices)
    assert caught.value.code == "E-SEL-060"
    return {problem.code: problem for problem in caught.value.problems}


# the empty form ------------------------------------------------------------------------------------------------------


def test_the_form_has_a_question_an_answer_a_help_and_a_list_for_each_choice(empty: bytes) -> None:
    book = load_workbook(BytesIO(empty))
    sheet = book[SHEET]
    rows = list(sheet.iter_rows(min_row=intake_form.FIRST, max_col=intake_form.KEY, values_only=True))
    assert [row[3] for row in rows] == [field.key for field in FIELDS]
    assert all(row[0] and row[1] is None and row[2] for row in rows)
    lists = {str(rule.sqref): rule for rule in sheet.data_validations.dataValidation if rule.type == "list"}
    assert len(lists) == sum(field.kind == "choice" for field in FIELDS)
    assert all(rule.prompt for rule in sheet.data_validations.dataValidation)


def test_every_list_of_the_form_holds_its_labels(empty: bytes, choices: intake_fields.Options) -> None:
    """A drop-down whose range is one row short would hide the last choice."""
    book = load_workbook(BytesIO(empty))
    for rule in book[SHEET].data_validations.dataValidation:
        if rule.type == "list":
            sheet, _, place = rule.formula1.partition("!")
            shown = [row[0].value for row in book[sheet][place.replace("$", "")]]
            assert shown in [[label for label, _ in entries.values()] for entries in choices.values()]


def test_only_answers_can_be_typed_in(empty: bytes) -> None:
    sheet = load_workbook(BytesIO(empty))[SHEET]
    assert sheet.protection.sheet
    row = intake_form.FIRST
    locked = [sheet.cell(row, column).protection.locked for column in (1, 2, 3)]
    assert locked == [True, False, True]


def test_a_form_is_a_workbook_or_yaml(portfolio: Portfolio, tmp_path: Path) -> None:
    with pytest.raises(ParametersError) as caught:
        intake_form.write(tmp_path / "fiche.docx", portfolio)
    assert caught.value.code == "E-CLI-040"


def test_a_form_that_may_be_filled_is_never_overwritten(portfolio: Portfolio, fill: Fill) -> None:
    with pytest.raises(ParametersError) as caught:
        intake_form.write(fill(), portfolio)
    assert caught.value.code == "E-CLI-041"


# filled forms --------------------------------------------------------------------------------------------------------


def test_answers_are_read_as_people_write_them(fill: Fill, choices: intake_fields.Options) -> None:
    read = intake_reading.read(fill(), choices)
    assert (read["reach"], read["cost"]) == (1200.0, 650.5)
    assert (read["who"], read["territory"]) == ("residents", "thierache-du-centre")
    assert read["public"] == "mobility/young-adults"
    assert read["resembles"] == "garages-solidaires"


def test_capitals_spaces_and_english_labels_do_not_matter(fill: Fill, choices: intake_fields.Options) -> None:
    read = intake_reading.read(fill(difficulty="  SE  déplacer ", who="residents", evidence="A draw by lot"), choices)
    assert (read["difficulty"], read["who"], read["evidence"]) == ("mobility", "residents", "lottery")


def test_the_yaml_form_reads_the_same(fill: Fill, choices: intake_fields.Options, tmp_path: Path) -> None:
    read = intake_reading.read(fill(), choices)
    file = tmp_path / "fiche.yaml"
    file.write_text(intake.as_yaml(read), encoding="utf-8")
    assert dict(intake_reading.read(file, choices).answers) == dict(read.answers)


def test_an_empty_yaml_form_is_empty(choices: intake_fields.Options, tmp_path: Path) -> None:
    file = tmp_path / "fiche.yaml"
    file.write_text(intake_form.yaml(choices), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        intake_reading.read(file, choices)
    assert caught.value.code == "E-SEL-063"


def test_an_empty_workbook_says_so_in_both_languages(
    empty: bytes, choices: intake_fields.Options, tmp_path: Path
) -> None:
    file = tmp_path / "fiche.xlsx"
    file.write_bytes(empty)
    with pytest.raises(DataError) as caught:
        intake_reading.read(file, choices)
    assert caught.value.code == "E-SEL-063"
    assert "vide" in caught.value.what
    assert "empty" in caught.value.what


def test_every_answer_to_correct_is_named_at_once_with_its_cell(fill: Fill, choices: intake_fields.Options) -> None:
    found = refused(fill(who="", difficulty="Se deplasser", reach="beaucoup", cost=-5), choices)
    assert set(found) == {"E-SEL-064", "E-SEL-065", "E-SEL-066", "E-SEL-067"}
    rows = {field.key: row for row, field in enumerate(FIELDS, start=intake_form.FIRST)}
    assert f"{SHEET}!B{rows['who']}" in found["E-SEL-064"].key
    assert found["E-SEL-065"].nearest == "Se déplacer"
    assert found["E-SEL-066"].found == "'beaucoup'"
    assert found["E-SEL-067"].found == "-5"
    assert all(" / " in problem.message for problem in found.values())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Écrivez à jean.dupont@example.org", "e-mail"),
        ("Appelez le 06 12 34 56 78", "telephone"),
        ("Appelez le +33 6.12.34.56.78", "telephone"),
        ("Appelez le 0612345678.", "telephone"),
        ("Mon numéro : 1 85 05 78 006 084 36", "social security"),
    ],
)
def test_personal_data_are_refused_and_not_repeated(
    text: str, word: str, fill: Fill, choices: intake_fields.Options
) -> None:
    problem = refused(fill(problem=text), choices)["E-SEL-068"]
    assert word in problem.message
    assert text.rsplit(maxsplit=1)[-1] not in str(problem)


@pytest.mark.parametrize(
    "text", ["En 2023, 15 000 000 de personnes", "12 345 euros pour 2 000 jeunes", "le 01/02/2026"]
)
def test_figures_are_not_taken_for_telephone_numbers(text: str, fill: Fill, choices: intake_fields.Options) -> None:
    assert intake_reading.read(fill(problem=text), choices)["problem"] == text


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-(1+1)"])
def test_formulas_are_refused(text: str, fill: Fill, choices: intake_fields.Options) -> None:
    assert "E-SEL-069" in refused(fill(problem=text), choices)


def test_a_formula_is_refused_where_a_number_is_asked_for(fill: Fill, choices: intake_fields.Options) -> None:
    assert "E-SEL-069" in refused(fill(reach="=40+2"), choices)


def test_a_bullet_is_no_formula(fill: Fill, choices: intake_fields.Options) -> None:
    assert intake_reading.read(fill(problem="- pas de bus\n- pas de voiture"), choices)["problem"].startswith("- pas")


def test_a_text_that_is_too_long_is_refused(fill: Fill, choices: intake_fields.Options) -> None:
    assert "1501" in refused(fill(problem="a" * 1501), choices)["E-SEL-070"].message


def test_a_damaged_file_is_no_workbook(choices: intake_fields.Options, tmp_path: Path) -> None:
    file = tmp_path / "fiche.xlsx"
    file.write_bytes(b"%PDF-1.7 not a workbook")
    with pytest.raises(DataError) as caught:
        intake_reading.read(file, choices)
    assert caught.value.code == "E-SEL-061"


def test_a_workbook_that_swells_is_not_unpacked(choices: intake_fields.Options, tmp_path: Path) -> None:
    file = tmp_path / "fiche.xlsx"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * (intake_reading.UNPACKED + 1))
    assert file.stat().st_size < intake_reading.LARGEST
    with pytest.raises(DataError) as caught:
        intake_reading.read(file, choices)
    assert caught.value.code == "E-SEL-061"
    assert "unpacked" in caught.value.found


def test_another_workbook_is_told_from_a_form(choices: intake_fields.Options, tmp_path: Path) -> None:
    file = tmp_path / "budget.xlsx"
    Workbook().save(file)
    with pytest.raises(DataError) as caught:
        intake_reading.read(file, choices)
    assert caught.value.code == "E-SEL-071"
    assert "Sheet" in caught.value.found


def test_a_form_without_its_hidden_column_asks_for_a_new_one(fill: Fill, choices: intake_fields.Options) -> None:
    file = fill()
    book = load_workbook(file)
    book[SHEET].delete_cols(intake_form.KEY)
    book.save(file)
    with pytest.raises(DataError) as caught:
        intake_reading.read(file, choices)
    assert caught.value.code == "E-SEL-062"


def test_rows_may_move(fill: Fill, choices: intake_fields.Options) -> None:
    file = fill()
    before = intake_reading.read(file, choices)
    book = load_workbook(file)
    book[SHEET].insert_rows(intake_form.FIRST, amount=2)
    book.save(file)
    assert dict(intake_reading.read(file, choices).answers) == dict(before.answers)


def test_another_kind_of_file_is_no_form(choices: intake_fields.Options, tmp_path: Path) -> None:
    file = tmp_path / "fiche.csv"
    file.write_text("title;garage", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        intake_reading.read(file, choices)
    assert caught.value.code == "E-SEL-072"


def test_an_unknown_question_of_a_yaml_form_names_the_nearest(choices: intake_fields.Options, tmp_path: Path) -> None:
    file = tmp_path / "fiche.yaml"
    file.write_text("titel: Garage\n", encoding="utf-8")
    with pytest.raises(ProblemsError) as caught:
        intake_reading.read(file, choices)
    assert [(each.code, each.nearest) for each in caught.value.problems] == [("E-SEL-073", "title")]


# triage --------------------------------------------------------------------------------------------------------------


def triaged(
    portfolio: Portfolio, params: Params, *changes: dict[str, Any], beliefs: Any = None
) -> tuple[intake.Triaged, ...]:
    answers = {
        "title": "Un",
        "who": "residents",
        "group": None,
        "territory": "france",
        "difficulty": "mobility",
        "problem": "p",
        "public": "other",
        "mechanism": "m",
        "resembles": "none",
        "reach": 1000.0,
        "cost": 100.0,
        "evidence": "none",
        "sources": None,
    }
    proposals = [intake_reading.Proposal(source="f", answers={**answers, **change}) for change in changes]
    assert params.selection is not None
    assert params.synthesis is not None
    return intake.triage(proposals, portfolio, beliefs or {}, params.selection, params.synthesis)


def test_what_nothing_is_known_about_is_believed_what_any_programme_is(portfolio: Portfolio, params: Params) -> None:
    (found,) = triaged(portfolio, params, {})
    assert params.synthesis is not None
    assert (found.learning.mean, found.learning.sd) == (params.synthesis.prior.mean, params.synthesis.prior.sd)
    assert found.learning.basis == "prior"


def test_what_it_resembles_moves_the_belief_by_hand(portfolio: Portfolio, params: Params) -> None:
    """rho 0.5, prior N(0.06, 0.10), known N(0.16, 0.04): mean 0.06 + 0.5 x 0.10 = 0.11,
    variance 0.25 x 0.0016 + 0.01 x 0.75 = 0.0079."""
    (found,) = triaged(portfolio, params, {"resembles": "wimoov"}, beliefs={"wimoov": (0.16, 0.04)})
    assert found.learning.mean == pytest.approx(0.11)
    assert found.learning.sd == pytest.approx(np.sqrt(0.0079))


def test_no_answer_of_the_form_raises_the_belief_in_an_effect(portfolio: Portfolio, params: Params) -> None:
    plain, boasting = triaged(portfolio, params, {}, {"title": "Deux", "evidence": "lottery", "mechanism": "miracle"})
    assert plain.learning == boasting.learning


def test_more_people_rank_first_and_equal_ideas_share_a_rank(portfolio: Portfolio, params: Params) -> None:
    few, many, same = triaged(
        portfolio, params, {"title": "Un"}, {"title": "Deux", "reach": 9000.0}, {"title": "Trois", "reach": 9000.0}
    )
    assert (few.rank, many.rank, same.rank) == (3, 1, 1)


def test_a_small_idea_has_no_study_of_its_own(portfolio: Portfolio, params: Params) -> None:
    """50 people a year for two years, and as many for comparison, are 200: less than the 800 that an effect of 0.20
    standard deviations takes."""
    (found,) = triaged(portfolio, params, {"reach": 50.0})
    assert found.eligible
    assert (found.rank, found.learning.study) == (None, None)


def test_missing_costs_are_looked_for_and_refuse_nobody(portfolio: Portfolio, params: Params) -> None:
    (found,) = triaged(portfolio, params, {"cost": None})
    assert found.eligible
    assert "cost" in found.missing


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"difficulty": "other"}, "other_difficulty"), ({"title": "Garages solidaires"}, "known_already")],
)
def test_proposals_are_left_with_a_reason(
    change: dict[str, Any], reason: str, portfolio: Portfolio, params: Params
) -> None:
    (found,) = triaged(portfolio, params, change)
    assert (found.eligible, found.reason, found.rank) == (False, reason, None)


def test_the_same_idea_counts_once(portfolio: Portfolio, params: Params) -> None:
    first, second = triaged(portfolio, params, {"title": "Garage mobile"}, {"title": "GARAGE  mobile !"})
    assert (first.eligible, second.reason) == (True, "sent_twice")


def test_the_surest_belief_is_the_one_a_proposal_resembles() -> None:
    def row(name: str, mean: float, sd: float | None, basis: str = "records") -> dict[str, Any]:
        return {
            "innovation": name,
            "posterior": {"basis": basis, "standardised_mean": mean, "standardised_sd": sd},
        }

    rows = [row("a", 0.1, 0.05), row("a", 0.3, 0.02), row("b", 0.2, None), row("c", 0.06, 0.1, "prior")]
    assert intake.beliefs_of({"effects": rows}) == {"a": (0.3, 0.02)}


# the desk ------------------------------------------------------------------------------------------------------------


def test_one_bad_form_does_not_hide_the_good_one(project: Callable[..., Path], fill: Fill) -> None:
    project()
    told = intake_desk.told([fill("bad.xlsx", reach="beaucoup"), fill("good.xlsx")])
    assert list(told.refused) == ["bad.xlsx"]
    assert [each.proposal["title"] for each in told.triaged] == [FILLED["title"]]
    french, english = intake_desk.in_words(told, "fr"), intake_desk.in_words(told, "en")
    assert "recevable, rang 1" in french
    assert "eligible, rank 1" in english
    assert "E-SEL-066" in french
    json.dumps(told.as_dict(), allow_nan=False)


def test_a_kept_form_is_counted_next_time_and_kept_once(project: Callable[..., Path], fill: Fill) -> None:
    root = project()
    assert intake_desk.told([fill()]).funnel.counts["received"] == 1
    assert not (root / intake.KEPT).exists()
    (file,) = intake_desk.told([fill()], keep=True).kept
    assert file == root / intake.KEPT / "garage-mobile-de-thierache.yaml"
    again = intake_desk.told([fill(title="Autre idée")])
    assert again.funnel.counts["received"] == 2
    with pytest.raises(ParametersError) as caught:
        intake_desk.told([fill()], keep=True)
    assert caught.value.code == "E-CLI-043"


def test_a_kept_form_may_say_what_it_became(project: Callable[..., Path], fill: Fill) -> None:
    root = project()
    intake_desk.told([fill()], keep=True)
    file = root / intake.KEPT / "garage-mobile-de-thierache.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "innovation: garages-solidaires\n", encoding="utf-8")
    (found,) = intake.kept(intake_fields.options(read_portfolio()))
    assert found.innovation == "garages-solidaires"


def test_nothing_to_read_says_how_to_begin(project: Callable[..., Path]) -> None:
    project()
    with pytest.raises(ParametersError) as caught:
        intake_desk.told([])
    assert caught.value.code == "E-CLI-042"


def test_without_a_policy_nothing_is_triaged(project: Callable[..., Path], fill: Fill) -> None:
    project("languages: [fr]\nseed: 1\nevaluations: {}\n")
    with pytest.raises(EvaluationError) as caught:
        intake_desk.told([fill()])
    assert caught.value.code == "E-CLI-044"


def test_the_command_writes_and_reads(project: Callable[..., Path], fill: Fill, tmp_path: Path) -> None:
    project()
    run = CliRunner().invoke
    assert run(app, ["intake", "--form", str(tmp_path / "new.xlsx")]).exit_code == 0
    good = run(app, ["intake", str(fill()), "--json"])
    assert good.exit_code == 0
    assert json.loads(good.stdout)["funnel"]["counts"]["received"] == 1
    assert run(app, ["intake", str(fill("bad.xlsx", cost=-1))]).exit_code == ParametersError.exit_code


@pytest.mark.parametrize("title", ["!!!", "con", "É" * 200, "a/../../b"])
def test_any_title_makes_a_safe_name(title: str) -> None:
    from evaluation import store

    assert store.is_slug(intake.slug(title))
