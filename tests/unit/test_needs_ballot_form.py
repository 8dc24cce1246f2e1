"""The ballot on paper: readable by everybody, in three versions; and the way back from the filled table to a count."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ballots_simulated import DIFFICULTIES
from typer.testing import CliRunner

from evaluation import cli, store
from evaluation.errors import ParametersError, SetupError
from evaluation.needs import ballot_form, ballots
from evaluation.settings.participation import FILE, Participation, read_participation
from evaluation.settings.portfolio import Portfolio, read_portfolio


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(Path(__file__).resolve().parents[2])


@pytest.fixture(scope="module")
def register(portfolio: Portfolio) -> Participation:
    return read_participation(portfolio, Path(__file__).resolve().parents[2])


class _Form(HTMLParser):
    """Tags, and the labels of boxes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.mark.parametrize(("variant", "lang"), [("fr", "fr"), ("en", "en"), ("easy_fr", "fr")])
def test_every_box_has_its_label_and_every_group_its_name(
    variant: ballot_form.Variant, lang: str, portfolio: Portfolio, register: Participation
) -> None:
    text = ballot_form.page(variant, ballot_form.draft(portfolio), register.grades, portfolio)
    form = _Form(text)
    boxes = [box["id"] for box in form.all("input")]
    assert len(boxes) == len(set(boxes)) == 10 * 5 + 3
    assert [label["for"] for label in form.all("label")] == boxes
    assert len(form.all("legend")) == len(form.all("fieldset")) == 11
    assert form.all("html")[0]["lang"] == lang
    assert len(form.all("h1")) == 1
    # Nothing is loaded or run, and nothing leaves the page.
    assert not {"script", "link", "img", "form", "iframe"} & {tag for tag, _ in form.tags}
    assert "default-src 'none'" in text
    assert "@page" in text


def test_an_empty_line_is_allowed_and_said_in_every_version(portfolio: Portfolio, register: Participation) -> None:
    draft = ballot_form.draft(portfolio)
    pages = {v: ballot_form.page(v, draft, register.grades, portfolio) for v in ballot_form.NAMES}
    assert "Une ligne vide n’est pas une mauvaise note." in pages["fr"]
    assert "An empty line is not a bad grade." in pages["en"]
    assert "C’est permis." in pages["easy_fr"]
    assert "Je ne vois plus personne." in pages["fr"]
    assert "C’est un très gros problème." in pages["easy_fr"]
    assert "EXEMPLE" not in pages["easy_fr"]


def test_easy_to_read_french_has_short_sentences(portfolio: Portfolio, register: Participation) -> None:
    words = ballot_form._WORDS["easy_fr"]
    sentences = [words.how, words.empty, words.role, *words.roles, words.thanks, words.privacy]
    sentences += [grade.easy_fr for grade in register.grades]
    for text in sentences:
        for sentence in text.replace("!", ".").replace("?", ".").split("."):
            assert len(sentence.split()) <= 10, sentence


def test_a_simulated_ballot_is_stamped(portfolio: Portfolio, register: Participation) -> None:
    draft = ballot_form.draft(portfolio).model_copy(update={"simulated": True})
    assert "BULLETIN D’EXEMPLE" in ballot_form.page("fr", draft, register.grades, portfolio)


def test_text_of_the_portfolio_is_only_ever_text(portfolio: Portfolio, register: Participation) -> None:
    draft = ballot_form.draft(portfolio).model_copy(update={"question_fr": "<script>alert(1)</script>"})
    text = ballot_form.page("fr", draft, register.grades, portfolio)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_from_the_form_through_the_filled_table_to_the_count(
    portfolio: Portfolio, register: Participation, tmp_path: Path
) -> None:
    draft = ballot_form.draft(portfolio)
    *pages, table = ballot_form.write(tmp_path / "vote", draft, register, portfolio)
    assert [page.name for page in pages] == ["bulletin.html", "ballot.html", "bulletin-facile.html"]
    head = table.read_text(encoding="utf-8-sig")
    assert head.startswith("voter;collection_point;territory;role;mobility;")
    # As a person types it, in a French spreadsheet: words of the ballot, an empty cell for an empty line.
    rows = [
        "12;marché;creil-sud-oise;habitant;Très grave;Sérieux;;;;;;;;Grave",
        "13;école;creil-sud-oise;habitant;Grave;Pas un problème;Gênant;;;;;;;Très grave",
    ]
    table.write_text(head + "\n".join(rows) + "\n", encoding="utf-8-sig")
    vote = ballots.read(draft, register.grades, file=table)
    assert vote.counts()[0].tolist() == [0, 0, 0, 1, 1]
    assert vote.counts()[DIFFICULTIES.index("banking")].tolist() == [0, 1, 0, 0, 0]
    assert not vote.simulated


def test_a_table_that_may_be_filled_is_never_overwritten(
    portfolio: Portfolio, register: Participation, tmp_path: Path
) -> None:
    draft = ballot_form.draft(portfolio)
    ballot_form.write(tmp_path, draft, register, portfolio)
    with pytest.raises(SetupError, match="E-NEE-015"):
        ballot_form.write(tmp_path, draft, register, portfolio)


def test_more_than_ten_difficulties_also_get_screens_of_four(
    portfolio: Portfolio, register: Participation, tmp_path: Path
) -> None:
    twelve = tuple(
        portfolio.difficulties[place % 10].model_copy(update={"id": f"d{place}", "label_en": f"Difficulty {place}"})
        for place in range(12)
    )
    longer = replace(portfolio, difficulties=twelve)
    files = ballot_form.write(tmp_path, ballot_form.draft(longer), register, longer)
    assert len(files) == 3 + 6 * 3 + 1  # three forms, six versions of screens in each, the table
    form = _Form((tmp_path / "ballot-1.html").read_text(encoding="utf-8"))
    assert len(form.all("fieldset")) == 5 * 2 + 1
    assert len(form.all("input")) == 5 * 2 * 4 + 3
    other = (tmp_path / "ballot-2.html").read_text(encoding="utf-8")
    assert other != (tmp_path / "ballot-1.html").read_text(encoding="utf-8")
    assert len(ballot_form.write(tmp_path / "ten", ballot_form.draft(portfolio), register, portfolio)) == 4


# commands ------------------------------------------------------------------------------------------------------------

ROWS = [
    f"{number};p{number % 3};creil-sud-oise;lives;{number % 5};{(number * 2) % 5};3;1;0;2;4;1;0;{(number + 1) % 5}"
    for number in range(1, 41)
]


@pytest.fixture
def filled(project) -> Path:
    """A project with a declared vote, and a filled table elsewhere."""
    root = project()
    file = root / FILE
    vote = """consultations:
  - id: spring
    label_fr: Vote
    label_en: Vote
    question_fr: "Pour moi…"
    question_en: "For me…"
    question_easy_fr: "Problème ?"
    date: "2027-03-01"
    file: data/raw/ballots/spring.csv
    difficulties: [%s]
    simulated: false
    recruited_fr: Au marché.
    recruited_en: At the market.
"""
    text = file.read_text(encoding="utf-8").replace("consultations: []\n", vote % ", ".join(DIFFICULTIES))
    file.write_text(text, encoding="utf-8")
    table = root / "typed.csv"
    header = f"voter;collection_point;territory;role;{';'.join(DIFFICULTIES)}"
    table.write_text("\n".join([header, *ROWS]) + "\n", encoding="utf-8")
    return table


def call(*arguments: str):
    return CliRunner().invoke(cli.app, [*arguments])


def test_the_command_counts_and_writes_nothing(filled: Path) -> None:
    before = sorted(filled.parent.rglob("*"))
    ended = call("ballots", str(filled))
    assert ended.exit_code == 0, ended.output
    assert "40 ballots left" in ended.output
    assert "they count for nothing, not as the lowest grade" in ended.output
    assert "Smallest set with the first 3" in ended.output
    assert sorted(filled.parent.rglob("*")) == before


def test_the_command_gives_json(filled: Path) -> None:
    told = json.loads(call("ballots", str(filled), "--consultation", "spring", "--json").output)
    assert told["ranking"][0] == "food-insecurity"  # everybody says very severe
    assert told["drawn"] == {"by": "ballot", "points": 3, "draws": 2000}


def test_ballots_are_kept_once_where_the_consultation_says(filled: Path) -> None:
    assert call("ballots", str(filled), "--consultation", "spring", "--keep").exit_code == 0
    kept = store.path("data", "raw", "ballots", "spring.csv")
    assert kept.read_bytes() == filled.read_bytes()
    ended = call("ballots", str(filled), "--consultation", "spring", "--keep")
    assert isinstance(ended.exception, ParametersError)
    assert ended.exception.code == "E-CLI-021"


def test_ballots_without_a_consultation_are_not_kept(filled: Path) -> None:
    ended = call("ballots", str(filled), "--keep")
    assert isinstance(ended.exception, ParametersError)
    assert ended.exception.code == "E-CLI-020"


def test_the_form_of_a_consultation_is_written(filled: Path, tmp_path: Path) -> None:
    ended = call("ballot-form", "spring", "--to", str(tmp_path / "print"))
    assert ended.exit_code == 0, ended.output
    assert len(ended.output.split()) == 4
    assert "Pour moi…" in (tmp_path / "print" / "bulletin.html").read_text(encoding="utf-8")
