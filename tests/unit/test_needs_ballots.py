"""Files of ballots as they come: words in two languages, blanks, copies, workbooks; what cannot be is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ballots_simulated import DIFFICULTIES, example_csv

from evaluation.errors import DataError, DisclosureError
from evaluation.needs import ballot_form, ballots, results, single_vote
from evaluation.needs.count import count
from evaluation.settings.participation import Participation, read_participation
from evaluation.settings.portfolio import Portfolio, read_portfolio

HEAD = "voter;collection_point;territory;role;" + ";".join(DIFFICULTIES)


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(Path(__file__).resolve().parents[2])


@pytest.fixture(scope="module")
def register(portfolio: Portfolio) -> Participation:
    return read_participation(portfolio, Path(__file__).resolve().parents[2])


@pytest.fixture
def read(portfolio: Portfolio, register: Participation, tmp_path: Path):
    """Read lines as a file of ballots."""

    def from_lines(*lines: str, head: str = HEAD) -> ballots.Ballots:
        file = tmp_path / "ballots.csv"
        file.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8-sig")
        return ballots.read(ballot_form.draft(portfolio), register.grades, file=file)

    return from_lines


def line(voter: str, *grades: str, role: str = "lives", point: str = "a") -> str:
    return ";".join([voter, point, "creil-sud-oise", role, *grades, *[""] * (10 - len(grades))])


def test_grades_are_read_by_id_by_label_in_two_languages_and_by_place(read) -> None:
    vote = read(
        line("1", "very-severe", "Très grave", "tres grave", "VERY SEVERE", "4", "C'est un très gros problème.")
    )
    assert vote.answers[0].tolist() == [4, 4, 4, 4, 4, 4, -1, -1, -1, -1]


def test_a_missing_answer_is_no_grade_at_all(read) -> None:
    vote = read(line("1", "severe"), line("2", "minor", "minor"))
    counts = vote.counts()
    assert counts[0].tolist() == [0, 1, 0, 1, 0]
    assert counts[1].tolist() == [0, 1, 0, 0, 0]  # one answer, not two, and nothing at "not a problem"
    assert vote.missing_answers == 17
    assert ballots.accounting(vote)[-1]["by_difficulty"]["mobility"] == 0
    # Only on demand, to show what it would change, a missing answer becomes a grade.
    assert vote.answering(0).counts()[1].tolist() == [1, 1, 0, 0, 0]


def test_blank_ballots_and_copies_are_counted_and_have_no_say(read) -> None:
    vote = read(line("1", "severe"), line("1", "severe"), line("2"), line("3", "minor"))
    assert [(step.step, step.dropped, step.left) for step in vote.flow] == [
        ("read", 0, 4),
        ("copies", 1, 3),
        ("blank", 1, 2),
    ]
    assert vote.voters.tolist() == ["1", "3"]


def test_an_unknown_grade_is_refused_with_its_rows_and_the_scale(read) -> None:
    with pytest.raises(DataError, match="E-NEE-003") as caught:
        read(line("1", "severe"), line("2", "terrible"), line("3", "7"))
    assert "column mobility, row 3, 4" in caught.value.where
    assert "'terrible' (1×)" in caught.value.found
    assert "very-severe or Très grave" in caught.value.expected


def test_one_voter_with_two_different_ballots_is_refused(read) -> None:
    with pytest.raises(DataError, match="E-NEE-006") as caught:
        read(line("1", "severe"), line("2", "minor"), line("1", "minor"))
    assert "rows 2, 4" in caught.value.where


def test_a_ballot_without_a_number_is_refused(read) -> None:
    with pytest.raises(DataError, match="E-NEE-005"):
        read(line("", "severe"))


def test_a_file_without_the_columns_is_refused(read) -> None:
    with pytest.raises(DataError, match="E-NEE-002") as caught:
        read("1;a", head="voter;mobility")
    assert caught.value.expected.startswith("collection_point, internship-3e")


def test_a_file_of_blank_ballots_is_refused(read) -> None:
    with pytest.raises(DataError, match="E-NEE-004"):
        read(line("1"), line("2"))


def test_numbers_of_ballots_keep_their_zeros(read) -> None:
    assert read(line("007", "severe"), line("7", "minor")).voters.tolist() == ["007", "7"]


def test_roles_are_read_in_two_languages(read) -> None:
    vote = read(
        line("1", "severe", role="Professionnel"), line("2", "minor", role="habitant"), line("3", "minor", role="")
    )
    assert vote.attribute("role").tolist() == ["professional", "lives", "unknown"]


def test_ballots_of_professionals_only_do_not_count(read, register: Participation, portfolio: Portfolio) -> None:
    vote = read(line("1", *["severe"] * 10, role="professional"))
    with pytest.raises(DataError, match="E-NEE-012"):
        count(vote, ballot_form.draft(portfolio), register.grades, register.rule, {}, 1)


def test_a_workbook_gives_the_same_ballots_as_a_table(
    portfolio: Portfolio, register: Participation, tmp_path: Path
) -> None:
    (tmp_path / "b.csv").write_text(example_csv(), encoding="utf-8")
    pd.read_csv(tmp_path / "b.csv", sep=";", dtype=str).to_excel(tmp_path / "b.xlsx", index=False)
    draft = ballot_form.draft(portfolio)
    one, other = (ballots.read(draft, register.grades, file=tmp_path / name) for name in ("b.csv", "b.xlsx"))
    np.testing.assert_array_equal(one.answers, other.answers)
    assert one.voters.tolist() == other.voters.tolist()
    assert other.simulated  # the column travels with the file


def test_counts_by_group_add_up_to_counts() -> None:
    rng = np.random.default_rng(2)
    vote = ballots.Ballots(
        difficulties=("a", "b"),
        grades=("x", "y", "z"),
        answers=rng.integers(-1, 3, (50, 2)).astype(np.int8),
        voters=np.arange(50),
        simulated=True,
    )
    codes, weights = rng.integers(0, 4, 50), rng.uniform(1, 2, 50)
    np.testing.assert_allclose(vote.counts_by(codes, 4, weights).sum(axis=0), vote.counts(weights), rtol=1e-12)
    by_hand = [[weights[vote.answers[:, j] == g].sum() for g in range(3)] for j in range(2)]
    np.testing.assert_allclose(vote.counts(weights), by_hand, rtol=1e-12)


# the example and the stamp -------------------------------------------------------------------------------------------


def test_the_example_is_what_its_generator_makes(repository: Path) -> None:
    file = repository / "data" / "examples" / "ballots" / "simulated-ballots.csv"
    assert file.read_text(encoding="utf-8") == example_csv()


def test_simulated_ballots_are_refused_among_real_ones(portfolio: Portfolio, repository: Path, monkeypatch) -> None:
    monkeypatch.setenv("EVALUATION_ROOT", str(repository))
    example = read_participation(portfolio, file=results.EXAMPLE)
    with pytest.raises(DataError, match="E-NEE-013"):
        results.result(portfolio, example, 1)
    # Even if the consultation denies it: the column in the file is enough.
    (vote,) = example.consultations
    denied = example.model_copy(update={"consultations": (vote.model_copy(update={"simulated": False}),)})
    with pytest.raises(DataError, match="E-NEE-013"):
        results.result(portfolio, denied, 1)


def test_real_ballots_are_refused_in_the_example_and_published_from_ten_on(
    portfolio: Portfolio, register: Participation, project, tmp_path: Path
) -> None:
    root = project()
    draft = ballot_form.draft(portfolio)
    target = root / draft.file
    target.parent.mkdir(parents=True)
    target.write_text("\n".join([HEAD, line("1", *["severe"] * 10)]) + "\n", encoding="utf-8")
    mixed = register.model_copy(update={"consultations": (draft,)})
    with pytest.raises(DataError, match="E-NEE-014"):
        results.result(portfolio, mixed, 1, example=True)
    # Nine ballots would tell who answered what; ten are published.
    lines = [line(str(number), *["severe"] * 10) for number in range(9)]
    target.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    with pytest.raises(DisclosureError, match="E-NEE-017") as caught:
        results.result(portfolio, mixed, 1)
    assert caught.value.exit_code == 5
    target.write_text("\n".join([HEAD, *lines, line("9", *["minor"] * 10)]) + "\n", encoding="utf-8")
    assert results.result(portfolio, mixed, 1)["priorities"]["basis"] == "ballots"


def test_the_command_tells_simulated_ballots_as_such(repository: Path, monkeypatch) -> None:
    monkeypatch.setenv("EVALUATION_ROOT", str(repository))
    told = single_vote.told(repository / "data" / "examples" / "ballots" / "simulated-ballots.csv", None)
    assert told["simulated"]
    assert told["priorities"]["simulated"]
    assert single_vote.in_words(told).startswith("SIMULATED BALLOTS")
