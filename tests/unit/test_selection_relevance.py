"""Relevance beside impact: each component by hand, what nobody knows, and no sum of any of it."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.diffusion.coverage import coverage
from evaluation.errors import ProblemsError
from evaluation.selection.relevance import Asked, Relevance, asked, relevance
from evaluation.settings.participation import read_participation
from evaluation.settings.portfolio import Portfolio, read_portfolio

ROOT = Path(__file__).resolve().parents[2]
HERE = "creil-sud-oise"
VOTED = Asked(difficulties=("mobility",), basis="ballots")


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(ROOT)


def of(name: str, portfolio: Portfolio, said: Asked = VOTED, **changed: Any) -> Relevance:
    known = replace(
        portfolio,
        innovations=tuple(row.model_copy(update=changed) if row.id == name else row for row in portfolio.innovations),
    )
    return relevance(known.innovation(name), HERE, known, coverage(portfolio), said)


def test_the_difficulty_is_prioritised_or_not_or_nobody_knows(portfolio: Portfolio) -> None:
    assert of("wimoov", portfolio).prioritised is True
    assert of("nickel", portfolio).prioritised is False
    nobody = of("wimoov", portfolio, Asked())
    assert nobody.prioritised is None
    assert "need" in nobody.unknown


def test_a_territory_that_voted_for_itself_goes_before_the_rest(portfolio: Portfolio) -> None:
    said = replace(VOTED, of_territory={HERE: ["banking"]})
    assert (of("nickel", portfolio, said).prioritised, of("wimoov", portfolio, said).prioritised) == (True, False)


def test_nobody_asked_the_users(portfolio: Portfolio) -> None:
    found = of("wimoov", portfolio, asked({}, read_participation(portfolio, ROOT)))
    assert found.judged == ()
    assert "users" in found.unknown


def test_what_users_said_is_kept_in_their_words(portfolio: Portfolio) -> None:
    steps = read_participation(portfolio, ROOT).steps
    held = steps[0].model_copy(
        update={
            "status": "held",
            "people": 12,
            "concerns": steps[0].concerns.model_copy(update={"innovation": "wimoov"}),
            "said_fr": "Utile.",
        }
    )
    elsewhere = held.model_copy(
        update={"concerns": held.concerns.model_copy(update={"territory": "thierache-du-centre"})}
    )
    found = of("wimoov", portfolio, replace(VOTED, steps=(held, elsewhere)))
    assert [(each["people"], each["said_fr"]) for each in found.judged] == [(12, "Utile.")]
    assert "users" not in found.unknown


def test_the_share_of_france_is_said_to_be_that_of_france(portfolio: Portfolio) -> None:
    """Wimoov: 11,000 of 15 million a year, that is 0.073 %."""
    found = of("wimoov", portfolio)
    assert found.share == pytest.approx(11_000 / 15_000_000)
    assert (found.share_place, found.share_kind) == ("france", "flow")


def test_other_answers_are_added_up_where_they_count_the_same_way(portfolio: Portfolio) -> None:
    rows = coverage(portfolio)
    shares = [
        row.share
        for row in rows
        if row.territory == "france"
        and row.difficulty == "mobility"
        and row.innovation != "wimoov"
        and row.share_kind == "flow"
    ]
    assert of("wimoov", portfolio).others_share == pytest.approx(sum(share for share in shares if share))


@pytest.mark.parametrize(
    ("name", "publics", "place"),
    [
        ("sixteen-mobility-schemes", None, "possible_duplicate"),  # young adults, as 10,000 licences
        ("conseillers-numeriques", ("low-income",), "alone"),  # nothing else in the portfolio
        ("wimoov", None, "unknown"),  # its publics were not noted
        ("wimoov", ("rural-residents",), "unknown"),  # those of the others were not
    ],
)
def test_what_exists_already(name: str, publics: Any, place: str, portfolio: Portfolio) -> None:
    changed = {} if publics is None else {"publics": publics}
    assert of(name, portfolio, **changed).place == place


def test_another_public_is_a_complement(portfolio: Portfolio) -> None:
    noted = tuple(
        row.model_copy(update={"publics": ("job-seekers",)}) if row.difficulty == "mobility" else row
        for row in portfolio.innovations
    )
    known = replace(portfolio, innovations=noted)
    found = of("wimoov", known, publics=("rural-residents",))
    assert (found.place, found.same_public) == ("complement", ())


def test_nothing_adds_the_components_up() -> None:
    names = {field.name for field in fields(Relevance)}
    assert not {"score", "total", "index", "rank", "impact", "effect"} & names


def test_a_public_of_another_difficulty_is_refused(project: Any) -> None:
    root = project()
    file = root / "data" / "portfolio" / "innovations.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("publics: [rural-pupils]", "publics: [rural-pupil]", 1), encoding="utf-8")
    with pytest.raises(ProblemsError) as caught:
        read_portfolio()
    assert [(each.code, each.nearest) for each in caught.value.problems] == [("E-SET-324", "rural-pupils")]
