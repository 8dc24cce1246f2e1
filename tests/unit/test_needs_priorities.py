"""From ballots to priorities: the founding document, the rule, what is only beside, who disagrees; the register."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ballots_simulated import DIFFICULTIES, example_csv

from evaluation import store
from evaluation.needs import ballot_form, components, participation, priorities, results
from evaluation.needs.ballots import Ballots
from evaluation.needs.count import Count, count
from evaluation.settings.participation import Margin, Participation, PriorityRule, Reply, read_participation
from evaluation.settings.portfolio import Portfolio, read_portfolio

KINDS = {"creil-sud-oise": "urban", "thierache-du-centre": "rural"}


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(Path(__file__).resolve().parents[2])


@pytest.fixture(scope="module")
def register(portfolio: Portfolio) -> Participation:
    return read_participation(portfolio, Path(__file__).resolve().parents[2])


def vote(
    levels: dict[str, np.ndarray], portfolio: Portfolio, register: Participation, *, seed: int = 1, **changes
) -> Count:
    """A vote where each kind of voter ('creil-sud-oise lives', say) answers its levels, with a little noise."""
    rng = np.random.default_rng(seed)
    n = 200
    rows, places, roles = [], [], []
    for name, level in levels.items():
        place, role = name.split()
        rows.append(np.clip(np.asarray(level) + rng.integers(-1, 2, (n, 10)), 0, 4))
        places += [place] * n
        roles += [role] * n
    attributes = {
        "territory": np.array(places, dtype=object),
        "role": np.array(roles, dtype=object),
        "collection_point": np.array([f"{p} {rng.integers(6)}" for p in places], dtype=object),
        "sex": rng.choice(["F", "M"], len(places)).astype(object),
    }
    answers = np.vstack(rows).astype(np.int8)
    ballots = Ballots(
        difficulties=DIFFICULTIES,
        grades=register.grade_ids,
        answers=answers,
        voters=np.arange(len(answers)),
        attributes=attributes,
        simulated=True,
    )
    consultation = ballot_form.draft(portfolio).model_copy(update=changes)
    return count(ballots, consultation, register.grades, register.rule, KINDS, seed=20260101)


def burdens(portfolio: Portfolio) -> list[components.Load]:
    return [load for row in portfolio.difficulties for load in components.loads(portfolio, row)]


TOWN, COUNTRY = np.array([1, 1, 3, 1, 0, 0, 3, 1, 0, 4]), np.array([4, 1, 1, 1, 0, 1, 3, 1, 0, 1])


# the rule ------------------------------------------------------------------------------------------------------------


def test_before_any_vote_the_priorities_are_those_of_the_founding_document_attributed_to_it(
    portfolio: Portfolio, register: Participation
) -> None:
    found = results.result(portfolio, register, 1)["priorities"]
    assert found["basis"] == "founding_document"
    assert found["difficulties"] == ("mobility", "internship-3e", "banking")
    assert "document fondateur" in found["reasons_fr"][0]
    assert "no vote has been held yet" in found["reasons_en"][0]
    assert not found["simulated"]


def test_the_set_is_the_smallest_that_holds_the_first_three(portfolio: Portfolio, register: Participation) -> None:
    found = vote({"creil-sud-oise lives": TOWN}, portfolio, register)
    given = priorities.from_ballots(found, burdens(portfolio), portfolio, register.rule)
    assert set(given.difficulties) == {"housing", "banking", "food-insecurity"}
    assert given.difficulties[0] == "housing"
    assert (given.basis, given.decided, given.simulated) == ("ballots", True, True)
    assert "Smallest set with the first 3" in given.reasons_en[1]


def test_town_and_countryside_weigh_the_same_however_many_voted(portfolio: Portfolio, register: Participation) -> None:
    both = vote({"creil-sud-oise lives": TOWN, "thierache-du-centre lives": COUNTRY}, portfolio, register)
    assert both.weights is not None
    assert both.weights.margins["place"]["rural"][1] == pytest.approx(0.5)
    given = priorities.from_ballots(both, burdens(portfolio), portfolio, register.rule)
    # Food is third in town and second in the countryside; housing and mobility lead one place each.
    assert "food-insecurity" in given.difficulties
    said = priorities.differences(both, portfolio, register.rule.top)
    assert any(fr.startswith("Territoire urbain\u00a0:") for fr, _ in said)
    for kind, names in given.of_territory.items():
        assert not set(names) & set(given.difficulties), kind


def test_professionals_are_counted_beside_and_never_with(portfolio: Portfolio, register: Participation) -> None:
    alone = vote({"creil-sud-oise lives": TOWN}, portfolio, register)
    with_them = vote({"creil-sud-oise lives": TOWN, "creil-sud-oise professional": TOWN[::-1]}, portfolio, register)
    assert with_them.official.ballots == alone.official.ballots == 200
    assert with_them.groups["professionals"].ballots == 200
    assert with_them.groups["everybody"].ballots == 400
    np.testing.assert_array_equal(with_them.official.profile, alone.official.profile)
    said = priorities.differences(with_them, portfolio, 3)
    assert any(en.startswith("Professionals: ") for _, en in said)


def test_raw_and_weighted_stand_side_by_side(portfolio: Portfolio, register: Participation) -> None:
    shares = {"F": 0.9, "M": 0.1}
    margins = tuple(Margin(variable="sex", level=k, share=v, confidence="computed") for k, v in shares.items())
    found = vote({"creil-sud-oise lives": TOWN}, portfolio, register, margins=margins)
    assert found.weights is not None
    assert found.weights.margins["sex"]["F"][1] == pytest.approx(0.9)
    assert found.official.effective < found.groups["users_raw"].effective == 200
    assert not np.allclose(found.official.profile, found.groups["users_raw"].profile)


def test_ballots_that_tell_nothing_apart_ask_for_more_ballots(portfolio: Portfolio, register: Participation) -> None:
    found = vote({"creil-sud-oise lives": np.full(10, 2)}, portfolio, register)
    given = priorities.from_ballots(found, burdens(portfolio), portfolio, register.rule)
    assert len(given.difficulties) > 6
    assert not given.decided
    assert "do not tell difficulties apart" in given.reasons_en[-1]


def test_burden_never_moves_a_difficulty_and_is_named_where_it_surely_weighs_more(
    portfolio: Portfolio, register: Participation
) -> None:
    level = np.array([0, 0, 4, 4, 0, 4, 0, 0, 0, 0])  # banking, rights, isolation: at most 5 million people each
    found = vote({"creil-sud-oise lives": level}, portfolio, register)
    given = priorities.from_ballots(found, burdens(portfolio), portfolio, register.rule)
    assert set(given.difficulties) == {"banking", "non-take-up", "elderly-isolation"}
    # At least 7 million have trouble getting around and 16 million are far from digital tools.
    assert given.to_discuss == ("mobility", "digital-exclusion")
    assert any("Surely concerns more people" in text for text in given.reasons_en)
    without = priorities.from_ballots(found, (), portfolio, register.rule)
    assert without.difficulties == given.difficulties


def test_when_all_agree_that_is_said(portfolio: Portfolio, register: Participation) -> None:
    level = np.array([3, 2, 1, 0, 0, 0, 0, 0, 0, 0])
    found = vote({"creil-sud-oise lives": level}, portfolio, register)
    same = replace(found, groups={"official": found.official})
    said = priorities.differences(same, portfolio, 3)
    assert said[0][1] == "All rules and all groups put the same difficulties first."


def test_the_whole_count_of_twenty_thousand_ballots_stays_fast(portfolio: Portfolio, register: Participation) -> None:
    import time

    rng = np.random.default_rng(9)
    n = 20_000
    ballots = Ballots(
        difficulties=DIFFICULTIES,
        grades=register.grade_ids,
        answers=rng.integers(-1, 5, (n, 10)).astype(np.int8),
        voters=np.arange(n),
        attributes={"collection_point": rng.integers(0, 80, n).astype(str).astype(object)},
        simulated=True,
    )
    start = time.process_time()
    count(ballots, ballot_form.draft(portfolio), register.grades, PriorityRule(draws=2000), {}, 1)
    assert time.process_time() - start < 10


# what is written -----------------------------------------------------------------------------------------------------


def test_two_runs_write_the_same_bytes_and_the_example_is_stamped(project, portfolio: Portfolio) -> None:
    root = project()
    examples = root / "data" / "examples" / "ballots"
    examples.mkdir(parents=True)
    ours = Path(__file__).resolve().parents[2] / "data" / "examples" / "ballots" / "participation.yaml"
    (examples / "participation.yaml").write_text(ours.read_text(encoding="utf-8"), encoding="utf-8")
    (examples / "simulated-ballots.csv").write_text(example_csv(), encoding="utf-8")
    first = {}
    for _ in range(2):
        results.write(portfolio, 20260101)
        texts = {name: store.path("data", "needs", name).read_bytes() for name in ("priorities.json", "example.json")}
        assert not first or texts == first
        first = texts
    real, example = (json.loads(text) for text in first.values())
    assert (real["simulated"], example["simulated"]) == (False, True)
    assert real["priorities"]["basis"] == "founding_document"  # the example changes nothing
    assert example["priorities"]["simulated"]
    assert example["votes"][0]["simulated"]
    assert "file" not in example["votes"][0]["consultation"]


def test_the_stage_writes_needs_and_priorities(project) -> None:
    from evaluation.pipeline.stages import Task, needs

    root = project()
    assert needs.run(Task(position="3/7", jobs=1)) == "10 difficulties"
    written = {file.name for file in (root / "data" / "needs").iterdir()}
    assert written == {"needs.json", "priorities.json"}  # no example in this project
    beside = store.read_json(store.path("data", "needs", "priorities.json"))["side_by_side"]
    assert [row["difficulty"] for row in beside if row["priority"]] == ["mobility", "internship-3e", "banking"]


def test_no_ballot_of_a_person_is_written(project, portfolio: Portfolio, register: Participation) -> None:
    project()
    text = json.dumps(results.result(portfolio, register, 1), default=list)
    assert "voter" not in text


# register and replies ------------------------------------------------------------------------------------------------


def test_the_register_says_phase_by_phase_what_was_not_held(register: Participation) -> None:
    rows = participation.register(register)
    assert [row["phase"] for row in rows] == ["need", "outcome", "decision", "follow_up"]
    assert all(row["status"] == "not_held" and row["people"] is None for row in rows)
    bare = participation.register(register.model_copy(update={"steps": ()}))
    assert [row["id"] for row in bare] == ["need-none", "outcome-none", "decision-none", "follow-up-none"]
    assert bare[0]["who_fr"] == "Personne n’a encore été associé."


def test_every_operator_in_france_has_a_reply_or_waits_for_an_invitation(
    register: Participation, portfolio: Portfolio
) -> None:
    reply = Reply(id="w", innovation="wimoov", operator="Wimoov", status="invited", invited_on="2027-01-10")
    rows = participation.replies(register.model_copy(update={"replies": (reply,)}), portfolio)
    assert rows[0]["status"] == "invited"
    waiting = [row["innovation"] for row in rows if row["status"] == "not_invited"]
    assert "wimoov" not in waiting
    assert len(waiting) == len(set(waiting)) > 10
