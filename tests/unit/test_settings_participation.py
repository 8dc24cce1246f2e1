"""participation.yaml: what is typed, and every way in which it cannot be, with its line."""

import re
from pathlib import Path

import pytest

from evaluation.errors import ProblemsError
from evaluation.settings.participation import FILE, read_participation
from evaluation.settings.portfolio import read_portfolio

VOTE = """
consultations:
  - id: creil-2027
    label_fr: Vote de Creil
    label_en: Vote of Creil
    question_fr: "Pour des personnes comme moi…"
    question_en: "For people like me…"
    question_easy_fr: "Est-ce un problème ?"
    date: "2027-03-01"
    file: data/raw/ballots/creil-2027.csv
    difficulties: [mobility, banking, internship-3e]
    simulated: false
    recruited_fr: Sur le marché.
    recruited_en: At the market.
    margins:
      - {variable: sex, level: F, share: 0.52, source_address: "https://www.insee.fr", confidence: seen}
      - {variable: sex, level: M, share: 0.48, source_address: "https://www.insee.fr", confidence: seen}
"""
STEP = """
steps:
  - id: workshop
    phase: outcome
    status: held
    date: "2027-02-01"
    concerns: {difficulty: mobility, territory: creil-sud-oise}
    who_fr: Habitants
    who_en: Residents
    people: 12
    recruited_fr: Par la mission locale.
    recruited_en: By the local youth service.
    said_fr: Un emploi gardé six mois.
    said_en: A job kept for six months.
    smallest_effect: {outcome_fr: emploi, outcome_en: job, value: 5, unit_fr: points, unit_en: points}
"""
REPLY = """
replies:
  - id: wimoov-2027
    innovation: wimoov
    operator: Wimoov
    status: received
    invited_on: "2027-01-10"
    received_on: "2027-01-20"
    text_fr: Nous suivons désormais un groupe témoin.
    text_en: We now follow a comparison group.
"""


@pytest.fixture
def problems(project):
    """Codes and lines of what is wrong after a change of the repository's own file."""

    def of(change=lambda text: text, *, add: str = ""):
        root = project()
        file = root / FILE
        text = file.read_text(encoding="utf-8")
        for name in re.findall(r"(?m)^(\w+):", add):
            text = re.sub(rf"(?ms)^{name}:.*?(?=^\w+:|\Z)", "", text)
        file.write_text(change(text + add), encoding="utf-8")
        try:
            read_participation(read_portfolio(root), root)
        except ProblemsError as error:
            return [(problem.code, problem.file) for problem in error.problems]
        return []

    return of


def test_the_file_of_this_repository_says_that_nobody_has_voted(repository: Path) -> None:
    read = read_participation(read_portfolio(repository), repository)
    assert read.consultations == ()
    assert read.founding.difficulties == ("mobility", "internship-3e", "banking")
    assert {step.phase for step in read.steps} == {"need", "outcome", "decision", "follow_up"}
    assert {step.status for step in read.steps} == {"not_held"}
    assert [grade.id for grade in read.grades if grade.approves] == ["serious", "severe", "very-severe"]


def test_a_vote_a_step_and_a_reply_are_read(problems) -> None:
    assert problems(add=VOTE + STEP + REPLY) == []


@pytest.mark.parametrize(
    ("code", "add", "old", "new"),
    [
        ("E-SET-200", VOTE, "data/raw/ballots/creil-2027.csv", "../creil.csv"),
        ("E-SET-201", VOTE, "level: M, share: 0.48", "level: F, share: 0.48"),
        ("E-SET-202", VOTE, "share: 0.48", "share: 0.40"),
        ("E-SET-203", STEP, "    people: 12\n", ""),
        ("E-SET-203", STEP, '    date: "2027-02-01"\n', ""),
        ("E-SET-204", STEP, "status: held", "status: planned"),
        ("E-SET-205", REPLY, "status: received", "status: invited"),
        ("E-SET-205", REPLY, '    received_on: "2027-01-20"\n', ""),
        ("E-SET-206", REPLY, "2027-01-20", "2027-01-01"),
        ("E-SET-207", "", "id: minor,", "id: serious,"),
        ("E-SET-208", "", 'très gros problème.", approves: true', 'très gros problème."'),
        ("E-SET-210", VOTE, "[mobility, banking,", "[mobility, bankin,"),
        ("E-SET-210", STEP, "difficulty: mobility", "difficulty: mobilty"),
        ("E-SET-210", REPLY, "innovation: wimoov", "innovation: wimov"),
        ("E-SET-210", "", "difficulties: [mobility, internship-3e", "difficulties: [mobility, internship"),
    ],
)
def test_what_cannot_be_is_refused(problems, code: str, add: str, old: str, new: str) -> None:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    found = problems(change, add=add)
    assert (code, FILE) in found


def test_a_consultation_that_does_not_exist_is_named_with_the_nearest(project) -> None:
    root = project()
    file = root / FILE
    file.write_text(file.read_text(encoding="utf-8").replace("consultations: []\n", VOTE), encoding="utf-8")
    read = read_participation(read_portfolio(root), root)
    assert read.consultation("creil-2027").margins[0].share == 0.52
    with pytest.raises(ProblemsError) as caught:
        read.consultation("creil-2026")
    (problem,) = caught.value.problems
    assert (problem.code, problem.nearest) == ("E-SET-209", "creil-2027")


def test_a_contrast_of_figures_that_are_not_there_is_refused(project) -> None:
    root = project()
    file = root / "data" / "portfolio" / "difficulties.yaml"
    text = file.read_text(encoding="utf-8").replace("figures: [branches-creil,", "figures: [branches-criel,")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ProblemsError) as caught:
        read_portfolio(root)
    assert [problem.code for problem in caught.value.problems] == ["E-SET-211"]


def test_checking_settings_checks_participation_too(project) -> None:
    from evaluation import settings

    root = project()
    file = root / FILE
    file.write_text(
        file.read_text(encoding="utf-8").replace("probability: 0.90", "probability: 1.90"), encoding="utf-8"
    )
    with pytest.raises(ProblemsError) as caught:
        settings.check_all(root)
    (problem,) = caught.value.problems
    assert (problem.file, problem.key) == (FILE, "rule.probability")
    assert problem.line
