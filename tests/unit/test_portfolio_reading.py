"""The portfolio is refused as a whole, with every problem named at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.errors import ParametersError, ProblemsError
from evaluation.settings.observations import COMPARISON_CLASSES, RANDOMISED_CLASSES
from evaluation.settings.portfolio import Portfolio, read_portfolio
from evaluation.settings.typography import french

Project = Callable[..., Path]


@pytest.fixture
def portfolio(repository: Path) -> Portfolio:
    return read_portfolio(repository)


def _refused(root: Path) -> ProblemsError:
    with pytest.raises(ProblemsError) as caught:
        read_portfolio(root)
    return caught.value


def _codes(error: ProblemsError) -> set[str]:
    return {problem.code for problem in error.problems}


def _edit(root: Path, file: str, *changes: tuple[str, str]) -> None:
    target = root / "data" / "portfolio" / file
    text = target.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) >= 1, f"{old!r} is not in {file}"
        text = text.replace(old, new, 1)
    target.write_text(text, encoding="utf-8")


def test_the_portfolio_of_this_repository_is_read(portfolio: Portfolio) -> None:
    assert len(portfolio.findings) == 135
    assert [territory.id for territory in portfolio.test_territories] == ["creil-sud-oise", "thierache-du-centre"]
    assert {innovation.role for innovation in portfolio.decision_innovations} == {"decision"}


def test_lookups_find_by_id_and_name_the_nearest_when_they_do_not(portfolio: Portfolio) -> None:
    assert portfolio.innovation("wimoov").difficulty == "mobility"
    assert portfolio.difficulty("banking").id == "banking"
    assert portfolio.territory("creil-sud-oise").figure("communes").value == 11  # type: ignore[union-attr]
    assert portfolio.finding("smv-employed-controls").estimate == 0.31
    with pytest.raises(ParametersError) as caught:
        portfolio.innovation("wimov")
    assert caught.value.code == "E-SET-070"
    assert "wimoov" in caught.value.fix


def test_only_a_cost_per_participant_is_a_known_cost(portfolio: Portfolio) -> None:
    assert portfolio.cost_of("wimoov").per_participant == 618  # type: ignore[union-attr]
    assert portfolio.cost_of("france-services") is None  # per site
    assert portfolio.cost_of("garantie-jeunes") is None  # an allowance per month, support not counted


def test_randomised_classes_are_comparison_classes() -> None:
    assert set(RANDOMISED_CLASSES) < set(COMPARISON_CLASSES)
    assert not {"monitoring", "social_return", "before_after", "raw_comparison"} & set(COMPARISON_CLASSES)


INNOVATION = "  - id: wimoov\n    difficulty: mobility"
FINDING = "fafsa-college-enrolment,fafsa-help,non-take-up,USA"


@pytest.mark.parametrize(
    ("file", "changes", "code"),
    [
        ("innovations.yaml", [("innovations:", "innovation:")], "E-SET-050"),
        ("costs.csv", [(",basis,", ",base,")], "E-SET-051"),
        ("costs.csv", [(",basis,", ",base,")], "E-SET-052"),
        ("costs.csv", [("licence-grant,", "licence-grant,too,many,")], "E-SET-053"),
        ("innovations.yaml", [("- id: tous-en-stage", "- id: wimoov")], "E-SET-054"),
        ("reach.csv", [("https://www.novethic.fr", "novethic")], "E-SET-055"),
        ("costs.csv", [("https://hal.science/hal-01467941v1", "")], "E-SET-056"),
        ("findings.csv", [(",0.081,0.035,0.0124,0.1496,", ",,0.035,0.0124,0.1496,")], "E-SET-057"),
        (
            "findings.csv",
            [(",share,effect,positive,false,false,fafsa", ",share,effect,,false,false,fafsa")],
            "E-SET-058",
        ),
        ("findings.csv", [(",0.081,0.035,0.0124,0.1496,", ",0.081,0.035,0.0924,0.1496,")], "E-SET-059"),
        ("needs.csv", [(",5000000,6000000,", ",6000000,5000000,")], "E-SET-060"),
        ("innovations.yaml", [(INNOVATION, "  - id: wimoov")], "E-SET-061"),
        ("difficulties.yaml", [("      - Households without a car, by commune (census, Insee).\n", "")], "E-SET-062"),
        ("findings.csv", [(",0.081,0.035,0.0124,0.1496,", ",0.081,,0.0124,0.1496,")], "E-SET-063"),
        ("findings.csv", [(FINDING, FINDING.replace("fafsa-help", "fafsa-hlep"))], "E-SET-064"),
        ("innovations.yaml", [("reach: wimoov-people-2017", "reach: nickel-accounts-2018-08")], "E-SET-065"),
        ("findings.csv", [(FINDING, FINDING.replace("non-take-up", "mobility"))], "E-SET-066"),
        ("costs.csv", [("licence-grant,ten-thousand-licences", "licence-grant,wimoov")], "E-SET-067"),
    ],
)
def test_each_mistake_has_its_own_code(project: Project, file: str, changes: list[tuple[str, str]], code: str) -> None:
    root = project()
    _edit(root, file, *changes)
    assert code in _codes(_refused(root))


def test_a_file_that_is_not_utf_8_is_named_with_its_line(project: Project) -> None:
    root = project()
    target = root / "data" / "portfolio" / "costs.csv"
    target.write_bytes(target.read_bytes() + "été".encode("cp1252"))
    (problem,) = _refused(root).problems
    assert (problem.code, problem.file, problem.found) == ("E-SET-071", "data/portfolio/costs.csv", "byte 0xe9")
    assert problem.line == 22  # one line of names, 20 costs, the broken line


def test_all_problems_of_all_files_are_reported_at_once(project: Project) -> None:
    root = project()
    _edit(root, "innovations.yaml", (INNOVATION, "  - id: wimoov"))
    _edit(root, "costs.csv", ("wimoov-per-person,wimoov,618", "wimoov-per-person,wimoov,a lot"))
    error = _refused(root)
    assert {problem.file for problem in error.problems} == {
        "data/portfolio/innovations.yaml",
        "data/portfolio/costs.csv",
    }
    assert {"E-SET-061", "E-SET-018"} <= _codes(error)


def test_a_dangling_reference_names_the_line_and_the_nearest_id(project: Project) -> None:
    root = project()
    _edit(root, "innovations.yaml", ("needs: [mobility-lmi-2018,", "needs: [mobility-lmi-2019,"))
    _edit(root, "reach.csv", ("amap-groups-2001-04,amap,", "amap-groups-2001-04,ammap,"))
    by_file = {problem.file: problem for problem in _refused(root).problems}
    need = by_file["data/portfolio/innovations.yaml"]
    assert (need.code, need.nearest) == ("E-SET-064", "mobility-lmi-2018")
    reach = by_file["data/portfolio/reach.csv"]
    assert (reach.line, reach.nearest) == (2, "amap")


def test_a_misspelt_confidence_names_the_right_one(project: Project) -> None:
    root = project()
    _edit(root, "costs.csv", (",derived,", ",derivd,"))
    (problem,) = _refused(root).problems
    assert (problem.code, problem.nearest) == ("E-SET-015", "derived")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("Un test : oui ; non ?", "Un test\u00a0: oui\u202f; non\u202f?"),
        ("« mort sociale »", "«\u00a0mort sociale\u00a0»"),
        ("1 000 000 de comptes, 35 %", "1\u202f000\u202f000 de comptes, 35\u00a0%"),
        ("FLAM : chèques", "FLAM\u00a0: chèques"),
        ("entre 2014 et 2016", "entre 2014 et 2016"),
        ("en 2014 100 personnes", "en 2014 100 personnes"),
    ],
)
def test_french_spaces_do_not_break(typed: str, read: str) -> None:
    assert french(typed) == read
    assert french(read) == read


def test_french_fields_arrive_with_their_spaces(portfolio: Portfolio) -> None:
    link = portfolio.innovation("nickel").coverage
    assert link is not None
    assert "35\u00a0%" in link.note_fr
    assert "1\u202f000\u202f000" in link.note_fr
