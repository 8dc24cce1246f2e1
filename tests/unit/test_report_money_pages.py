"""Pages of the funnel, the finance map and the what-if grid; learning and relevance on the pages of territories."""

import base64
import hashlib
import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import site_in_a_browser

from evaluation.report import finance_pages, learning_views, pages, texts, what_if_page, widgets
from evaluation.report.inputs import Inputs
from evaluation.selection import what_if
from evaluation.selection.decisions import Local
from evaluation.selection.finance import plan
from evaluation.selection.funnel import Passage, funnel
from evaluation.selection.relevance import Asked, relevance
from evaluation.selection.what_if import Board
from evaluation.settings.finance import read_finance
from evaluation.settings.params import read_params
from evaluation.settings.portfolio import Portfolio, read_portfolio

ROOT = Path(__file__).resolve().parents[2]
PLACES = {
    "creil-sud-oise": {"fr": "Creil", "en": "Creil"},
    "thierache-du-centre": {"fr": "Thiérache", "en": "Thiérache"},
}
SECTIONS = ("agenda", "relevance", "funnel", "finance", "what_if")


def local(portfolio: Portfolio, name: str, place: str, *, rank: int | None, each: float | None) -> Local:
    study = None if rank is None else {"n": 800, "std_error": 0.07, "detectable": 0.198, "cost": 18e4, "months": 24.0}
    learning = {
        "basis": "prior",
        "grade": 0,
        "mean": 0.06,
        "sd": 0.1,
        "smallest": 0.05,
        "p_useful": 0.54,
        "p_harm": 0.27,
        "evpi": 0.0351,
        "evsi": None if rank is None else 0.0278,
        "people": None if each is None else 1740.0,
        "gain": None if rank is None else 0.0203,
        "study": study,
        "break_even": None if rank is None else 8_887_134.0,
        "break_even_each": each,
        "value": None,
        "rank": rank,
    }
    said = Asked(difficulties=("mobility",), basis="founding_document")
    return Local(
        innovation=name,
        territory=place,
        territory_label=place,
        decision="EXPERIMENTER",
        rule="test-sign",
        transfer=None,
        needed=(),
        value={"missing": (), "net": None},
        recalled_fr=(),
        recalled_en=(),
        learning=learning,
        relevance=relevance(portfolio.innovation(name), place, portfolio, (), said).as_dict(),
    )


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(ROOT)


@pytest.fixture(scope="module")
def board(portfolio: Portfolio) -> Board:
    policy = read_params(ROOT).selection
    assert policy is not None
    rows = [
        local(portfolio, "ten-thousand-licences", "creil-sud-oise", rank=1, each=5108.0),
        local(portfolio, "wimoov", "creil-sud-oise", rank=1, each=5108.0),
        local(portfolio, "tous-en-stage", "thierache-du-centre", rank=2, each=None),
        local(portfolio, "avenir-pro", "thierache-du-centre", rank=None, each=None),
    ]
    return what_if.board(rows, portfolio, policy, ["mobility"])


@pytest.fixture(scope="module")
def inputs(portfolio: Portfolio, board: Board) -> Inputs:
    finance = read_finance(ROOT)
    decisions = (("ten-thousand-licences", "EXPERIMENTER"), ("wimoov", "DONNEES_INSUFFISANTES"))
    unmet = {"transition": ("read:effect", "grade", "net"), "scale": ("grade", "cost_sites", "capacity")}
    known = [Passage(id=str(n), last="eligible", reason="no-comparison") for n in range(3)]
    known += [Passage(id="a", last="tested", reason="no-cost"), Passage(id="b", last="tested", reason="sign-no-cost")]
    policy = board.policy
    return Inputs(
        difficulties=[row.model_dump(mode="json") for row in portfolio.difficulties],
        innovations=[row.model_dump(mode="json") for row in portfolio.innovations],
        findings={},
        costs=[],
        benchmarks=[],
        records={},
        grades={},
        coverage=[],
        needs=[],
        decisions=[],
        territories=PLACES,
        local=[{**vars_of(row)} for row in board.rows],
        bounds={name: getattr(policy, name).model_dump(mode="json") for name in ("scale", "extend", "stop", "revise")},
        finance={
            "instruments": finance.model_dump(mode="json")["instruments"],
            "plans": [plan(name, verdict, unmet, "2027-11-22", finance).as_dict() for name, verdict in decisions],
        },
        funnel={
            "share": 0.8,
            "proposals": funnel([]).as_dict(),
            "portfolio": funnel(known).as_dict(),
            "triage": [],
        },
        what_if=what_if.as_dict(board),
    )


def vars_of(row: Local) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(row)


@pytest.fixture(scope="module")
def site(inputs: Inputs) -> dict[str, str]:
    return pages.render(inputs)


def plain(markup: object) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", str(markup))).replace("\u00a0", " ").replace("\u202f", " ")


# the what-if page ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_page_allows_its_own_script_by_hash_and_no_other(lang: str, site: dict[str, str]) -> None:
    page = site[f"{lang}/what-if.html"]
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == page.count("<script") == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode("utf-8")).digest()).decode()
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])  # type: ignore[index]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_no_other_page_has_a_script(site: dict[str, str]) -> None:
    assert [name for name, text in site.items() if "<script" in text and "what-if" not in name] == []


def test_the_script_looks_up_and_computes_nothing() -> None:
    script = str(what_if_page.script())
    for word in ("fetch", "XMLHttp", "import", "eval", "Function(", "innerHTML", "localStorage", "http"):
        assert word not in script


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_default_cell_reads_without_a_script_and_all_stand_in_a_table(lang: str, site: dict[str, str]) -> None:
    page = site[f"{lang}/what-if.html"]
    cells = re.findall(r'<section class="cell"( hidden)?>', page)
    assert len(cells) == 6 * 3 * 4
    assert [place for place, hidden in enumerate(cells) if not hidden] == [(3 * 3 + 1) * 4]
    assert page.count('<th scope="row"') >= len(cells)
    assert "<noscript>" in page
    assert '<div class="choices" hidden><div class="choice">' in page  # a class that sets display would undo hidden


def test_each_cell_of_the_page_is_the_cell_of_the_grid(inputs: Inputs, board: Board) -> None:
    view = what_if_page.view(inputs, "en")
    axes = board.policy.what_if
    for place in (0, 13, 41, len(view["cells"]) - 1):
        budget, rest = divmod(place, view["sizes"][1] * view["sizes"][2])
        caution, weights = divmod(rest, view["sizes"][2])
        found = what_if.cell(board, axes.budgets[budget], axes.cautions[caution], axes.weights[weights])
        shown = view["cells"][place]
        if not found.chosen:
            assert shown["sentence"] == texts.texts("en")("what_if.nothing")
        else:
            assert (
                f"To fund at once: {found.counts['fund']}. To study first: {found.counts['study']}."
                in shown["sentence"]
            )
            assert f"€{found.cost:,.0f}" in shown["sentence"]
            assert str(shown["table"]).count("<tr>") == len(found.chosen) + 1


def test_the_keyboard_looks_up_another_cell(site: dict[str, str], tmp_path: Path) -> None:
    """One budget up from the default, then the next weights: that cell of the grid, and no other."""
    file = tmp_path / "what-if.html"
    file.write_text(site["en/what-if.html"], encoding="utf-8")
    with site_in_a_browser.opened(size=site_in_a_browser.PHONE) as (page, seen):
        page.goto(file.as_uri())
        assert page.locator(".choices").is_visible()
        page.focus("input[name=budgets]:checked")
        page.keyboard.press("ArrowDown")
        page.focus("input[name=weights]:checked")
        page.keyboard.press("ArrowDown")
        shown = page.eval_on_selector_all(".cell", "all => all.map((each, at) => each.hidden ? -1 : at)")
        assert [place for place in shown if place >= 0] == [(4 * 3 + 1) * 4 + 1]
        assert page.text_content("#said") == page.text_content(f".cell >> nth={(4 * 3 + 1) * 4 + 1} >> p")
        assert site_in_a_browser.violations(page) == []
        assert not site_in_a_browser.wider_than_the_screen(page)
        assert (seen.messages, seen.outside, seen.failed) == ([], [], [])


def test_choices_are_radio_buttons_with_labels_and_legends(site: dict[str, str]) -> None:
    page = site["fr/what-if.html"]
    assert page.count("<fieldset>") == page.count("<legend>") == 3
    assert page.count('type="radio"') == page.count("<label>") == 6 + 3 + 4
    assert page.count(" checked>") == 3


# the finance page ----------------------------------------------------------------------------------------------------


def test_zero_forms_are_said_to_be_zero(site: dict[str, str]) -> None:
    assert "Personne n’a encore envoyé de fiche" in site["fr/financement.html"]
    assert "Nobody has sent a form yet" in site["en/finance.html"]


def test_reasons_of_one_wording_are_counted_together(inputs: Inputs) -> None:
    shown = plain(finance_pages.view(inputs, "en")["funnels"][1]["table"])
    assert "3: no effect read with a comparison group" in shown
    assert "2: cost per person not known" in shown


def test_recalled_facts_are_marked_on_the_map(inputs: Inputs) -> None:
    french = plain(finance_pages.view(inputs, "fr")["map"])
    assert "238 bis" in french
    assert french.count(texts.texts("fr")("confidence.recalled")) >= 6
    assert "ne paierait pas ici" in french
    assert "300 000 €" in french


def test_the_tranches_of_an_innovation_say_who_when_and_what_stops_them(inputs: Inputs) -> None:
    view = finance_pages.staged(inputs, "ten-thousand-licences", "en")
    shown = plain(view["table"])
    assert view["now"] == "Open tranche: the test."
    assert "22 November 2027" in view["review"]
    assert "Corporate giving" in shown
    assert "evidence of grade 3" in shown
    assert "90%" not in view["now"]
    assert finance_pages.staged(inputs, "nickel", "en") == {}


def test_only_open_tranches_may_be_asked_for(inputs: Inputs) -> None:
    shown = plain(finance_pages.view(inputs, "fr")["opened"])
    assert "10 000 permis" in shown
    assert "Wimoov" not in shown


# learning and relevance ----------------------------------------------------------------------------------------------


def test_the_agenda_of_a_territory_ranks_and_says_what_the_number_rests_on(inputs: Inputs) -> None:
    view = learning_views.agenda(inputs, "creil-sud-oise", "fr")
    shown = plain(view["first"])
    assert shown.index("10 000 permis") < shown.index("Wimoov")
    assert "54 %, selon l’a priori seul" in shown
    assert "5 100 €" in shown
    assert view["none"] == ""
    other = learning_views.agenda(inputs, "thierache-du-centre", "en")
    assert "nobody counted them" in plain(other["first"])
    assert other["none"].startswith("For 1 innovations")


def test_relevance_shows_its_unknowns(inputs: Inputs) -> None:
    shown = plain(learning_views.relevance(inputs, "wimoov", "fr"))
    for word in ("oui, selon le document fondateur", "non relevé", "non recueilli", "non connue"):
        assert word in shown


def test_without_results_the_site_has_none_of_these_pages(inputs: Inputs) -> None:
    bare = replace(inputs, finance={}, funnel={}, what_if={}, local=())
    made = pages.render(bare)
    assert not {"fr/financement.html", "fr/what-if.html", "en/finance.html"} & set(made)
    assert learning_views.agenda(bare, "creil-sud-oise", "fr") == {}


def test_what_people_typed_is_escaped(inputs: Inputs) -> None:
    bad = '"><script>alert(1)</script>'
    instruments = [{**row, "label_fr": bad, "rule_fr": bad} for row in inputs.finance["instruments"]]
    grid = {**inputs.what_if, "axes": {**inputs.what_if["axes"], "cautions": [
        {**row, "label_fr": bad} for row in inputs.what_if["axes"]["cautions"]]}}  # fmt: skip
    made = pages.render(replace(inputs, finance={**inputs.finance, "instruments": instruments}, what_if=grid))
    assert "<script>alert" not in made["fr/financement.html"] + made["fr/what-if.html"]
    assert "&lt;script&gt;alert" in made["fr/financement.html"]
    assert "&lt;script&gt;alert" in made["fr/what-if.html"]


def test_both_languages_have_the_same_texts_and_none_is_unused() -> None:
    french, english = texts.read("fr"), texts.read("en")
    source = "".join(
        file.read_text(encoding="utf-8")
        for file in (ROOT / "src" / "evaluation" / "report").rglob("*")
        if file.suffix in (".py", ".html") and "money" not in file.name
    )
    for section in SECTIONS:
        assert set(french[section]) == set(english[section])
        stems = set(re.findall(rf"{section}\.([a-z_]+)", source))
        unused = [
            key
            for key in french[section]
            if key not in stems and not any(stem.endswith("_") and key.startswith(stem) for stem in stems)
        ]
        assert [key for key in unused if key not in ("budgets", "cautions", "weights", "fund", "study")] == []


# the notebook's widgets ----------------------------------------------------------------------------------------------


def test_the_widget_shows_the_default_cell_and_solves_again(board: Board) -> None:
    made = widgets.what_if_board(board, "en")
    budget, caution, _, out = made.children
    assert caution.value == board.policy.what_if.cautions[1]
    budget.value = 0.0
    assert out is made.children[-1]


def test_the_tables_of_the_notebook_hold_every_cell(board: Board) -> None:
    cells = what_if.grid(board)
    assert len(widgets.summary(cells)) == len(cells)
    assert widgets.table(cells[-1], "fr").shape == (len(cells[-1].chosen), 7)
