"""Pages of needs: attributed priorities, the stamped example, the register where it concerns; figures; the notebook."""

import ast
import dataclasses
import json
import posixpath
import re
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.needs import results
from evaluation.report import figures, needs_pages, needs_tables, pages, texts
from evaluation.report.figures import priorities as drawings
from evaluation.report.inputs import Inputs
from evaluation.settings.participation import Reply, read_participation
from evaluation.settings.portfolio import read_portfolio

REAL = {name: getattr(drawings, name) for name in ("merit_profiles", "rank_intervals", "burden_parts")}
PAYLOAD = "\"'><script>alert(1)</script>"
STAMPS = ("DONNÉES SIMULÉES —", "SIMULATED DATA —")


def plain(data: object) -> dict:
    """As it comes back from a JSON file."""
    return json.loads(json.dumps(data, default=str))


@pytest.fixture(scope="module")
def real_and_example(repository: Path) -> tuple[dict, dict]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVALUATION_ROOT", str(repository))
        portfolio = read_portfolio()
        register = read_participation(portfolio)
        replies = (
            Reply(
                id="wimoov",
                innovation="wimoov",
                operator="Wimoov",
                status="received",
                invited_on="2027-01-10",
                received_on="2027-01-20",
                text_fr="Nous suivons un groupe témoin.",
                text_en="We follow a comparison group.",
            ),
        )
        real = results.result(portfolio, register.model_copy(update={"replies": replies}), 1)
        example = results.result(portfolio, read_participation(portfolio, file=results.EXAMPLE), 1, example=True)
    return plain(real), plain(example)


@pytest.fixture(scope="module")
def inputs(real_and_example: tuple[dict, dict], repository: Path) -> Inputs:
    portfolio = read_portfolio(repository)
    real, example = real_and_example
    decision = {
        "innovation": "wimoov",
        "difficulty": "mobility",
        "decision": "EXPERIMENTER",
        "label_fr": "à expérimenter",
        "label_en": "to be tested",
        "rule": "no_effect_measured",
        "reason_fr": "Aucun effet.",
        "reason_en": "No effect.",
        "findings": [],
        "best_record": None,
        "best_grade": None,
        "would_change_fr": [],
        "would_change_en": [],
        "date": "2026-11-22",
        "review_date": "2027-11-22",
        "owner": "",
    }
    rules = texts.read("fr")["rules"]
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
        decisions=[{**decision, "rule": next(iter(rules))}],
        territories={row.id: {"fr": row.label_fr, "en": row.label_en} for row in portfolio.test_territories},
        priorities=real,
        example_vote=example,
    )


@pytest.fixture(scope="module", autouse=True)
def sketches():
    """Empty drawings in place of those of needs, which take a second each; one test draws them for good."""
    from matplotlib.figure import Figure

    def sketch(table: pd.DataFrame, *rest: object, **options: object) -> Figure:
        figure = Figure(figsize=(1, 1))
        stamp = "SIMULATED DATA. " if options.get("simulated") else ""
        figure.set_label(f"{stamp}A drawing of {', '.join(map(str, table.label))}")
        return figure

    with pytest.MonkeyPatch.context() as patch:
        for name in ("merit_profiles", "rank_intervals", "burden_parts"):
            patch.setattr(drawings, name, sketch)
        yield


@pytest.fixture(scope="module")
def site(inputs: Inputs) -> dict[str, str]:
    return pages.render(inputs)


def test_priorities_are_attributed_to_the_founding_document_until_people_vote(site: dict[str, str]) -> None:
    page = site["fr/priorites.html"]
    assert "Personne n’a encore voté." in page
    assert "Difficultés nommées par le document fondateur du projet" in page
    order = [page.index(f'href="besoins.html#{name}"') for name in ("mobility", "internship-3e", "banking")]
    assert order == sorted(order)
    assert "Les difficultés ne sont pas classées." in site["fr/besoins.html"]
    assert "pas de vote" in page


def test_simulated_ballots_stand_on_one_stamped_page_and_nowhere_else(site: dict[str, str]) -> None:
    stamped = {name for name, text in site.items() if any(stamp in text for stamp in STAMPS)}
    assert stamped == {"fr/exemple-de-vote.html", "en/example-vote.html"}
    example = site["en/example-vote.html"]
    assert example.count("SIMULATED DATA. ") == 2  # the text alternative of both drawings says it too
    assert "A missing answer is not the lowest grade" in example
    assert "4 blank ballots, counted as such; 356 ballots give an opinion." in example
    assert "Schulze" in example
    # No real figure stands beside simulated ones.
    assert "× years" not in example
    assert "synthetic estimate" not in example


def test_ballots_and_burden_stand_side_by_side_with_vintage_and_gaps(site: dict[str, str]) -> None:
    page = site["en/priorities.html"]
    assert "synthetic estimate: national figures (2021, 2023) scaled by population (2026)" in page
    assert "not measured: severity" in page
    assert "households × years" in page
    assert "130,000\u00a0pupils a year" in page
    assert "to be collected" in page
    assert page.count("<svg") == 3  # France and both territories
    assert "What none of them measures:" in page
    assert "I am a student and skip meals at the end of the month." in page


def test_the_register_and_the_replies_stand_on_the_pages_they_concern(site: dict[str, str]) -> None:
    assert "Nobody was consulted" in site["en/needs.html"]
    own = site["en/innovations/wimoov.html"]
    assert re.search(r"Wimoov mobility platform: reply of Wimoov, received on 20.January.2027\.", own)
    assert "We follow a comparison group." in own
    assert "No committee has met yet." in own
    assert "operators have not been invited to reply yet" in site["en/priorities.html"]
    assert "We follow a comparison group." not in site["en/needs.html"]


def test_steps_about_a_difficulty_or_an_innovation_stand_with_it_only(inputs: Inputs) -> None:
    base = inputs.priorities["register"][1]
    steps = [
        {
            **base,
            "id": "a",
            "phase": "outcome",
            "said_en": "Steady work first.",
            "concerns": {"difficulty": "mobility"},
        },
        {**base, "id": "b", "phase": "outcome", "said_en": "Fewer fees first.", "concerns": {"difficulty": "banking"}},
        {**base, "id": "c", "phase": "follow_up", "said_en": "Twelve came back.", "concerns": {"innovation": "wimoov"}},
    ]
    made = pages.render(dataclasses.replace(inputs, priorities={**inputs.priorities, "register": steps}))
    own, needs = made["en/innovations/wimoov.html"], made["en/needs.html"]
    assert "Steady work first." in own
    assert "Twelve came back." in own
    assert "Fewer fees first." not in own
    assert "Steady work first." in needs
    assert "Fewer fees first." in needs
    assert "Twelve came back." not in needs


def test_an_operator_that_was_not_invited_is_said_so_on_its_page(inputs: Inputs) -> None:
    rows = [{"innovation": "wimoov", "operator": "", "status": "not_invited"}]
    changed = dataclasses.replace(inputs, priorities={**inputs.priorities, "replies": rows})
    assert "l’opérateur n’a pas encore été invité à répondre" in pages.render(changed)["fr/innovations/wimoov.html"]


def test_pages_are_well_formed_linked_and_in_both_languages(site: dict[str, str]) -> None:
    for french, english in (("priorites", "priorities"), ("exemple-de-vote", "example-vote")):
        assert f'href="../en/{english}.html"' in site[f"fr/{french}.html"]
        for name in (f"fr/{french}.html", f"en/{english}.html"):
            text = site[name]
            levels = [int(level) for level in re.findall(r"<h(\d)", text)]
            assert levels.count(1) == 1
            assert all(after <= before + 1 for before, after in pairwise(levels)), name
            assert len(re.findall("<caption", text)) == len(re.findall("<table", text))
            assert "<script" not in text
            for link in re.findall(r'<a [^>]*href="([^"#]+)(?:#[^"]*)?"', text):
                if not link.startswith("http"):
                    assert posixpath.normpath(posixpath.join(posixpath.dirname(name), link)) in site, (name, link)
    assert 'href="priorites.html"' in site["fr/besoins.html"]
    assert 'href="../priorities.html"' in site["en/innovations/wimoov.html"]


def test_without_results_there_is_no_page_and_no_link(inputs: Inputs) -> None:
    bare = pages.render(dataclasses.replace(inputs, priorities={}, example_vote={}))
    assert "fr/priorites.html" not in bare
    assert "priorites.html" not in bare["fr/besoins.html"]
    assert needs_pages.views(dataclasses.replace(inputs, priorities={}, example_vote={}), "fr") == {}


def test_once_people_have_voted_the_page_of_needs_no_longer_says_that_they_have_not(inputs: Inputs) -> None:
    voted = {**inputs.priorities["priorities"], "basis": "ballots"}
    changed = dataclasses.replace(inputs, priorities={**inputs.priorities, "priorities": voted})
    made = pages.render(changed)
    assert "Les difficultés ne sont pas classées." not in made["fr/besoins.html"]
    assert "Ces difficultés viennent des bulletins." in made["fr/priorites.html"]


def test_a_payload_in_any_text_is_only_ever_text(inputs: Inputs) -> None:
    codes = {"difficulty", "name", "kind", "status", "phase", "basis", "territory", "innovation", "date", "step"}
    codes |= {"id", "ranking", "difficulties", "majority_grade", "missing", "received_on", "invited_on", "series"}
    poisoned = {name: _poisoned(getattr(inputs, name), codes) for name in ("priorities", "example_vote")}
    made = pages.render(dataclasses.replace(inputs, **poisoned))
    assert [name for name, text in made.items() if name.endswith(".html") and "<script>alert" in text] == []
    assert "&lt;script&gt;" in made["fr/priorites.html"]
    assert "&lt;script&gt;" in made["en/example-vote.html"]


def _poisoned(tree: object, codes: set[str], key: str = "") -> object:
    if isinstance(tree, dict):
        return {name: _poisoned(value, codes, name) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_poisoned(value, codes, key) for value in tree]
    return f"{tree}{PAYLOAD}" if isinstance(tree, str) and key not in codes else tree


def test_the_same_inputs_give_the_same_bytes(inputs: Inputs, site: dict[str, str]) -> None:
    again = pages.render(inputs)
    assert again == site


# figures -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_figures_say_in_words_what_they_show(
    lang: figures.Lang, real_and_example: tuple[dict, dict], inputs: Inputs
) -> None:
    real, example = real_and_example
    names = needs_tables.labels(inputs.difficulties, lang)
    grades = needs_tables.labels(example["grades"], lang)
    (vote,) = example["votes"]
    profile = REAL["merit_profiles"](
        needs_tables.profiles(vote, names, grades), list(grades.values()), lang, simulated=True
    )
    places = REAL["rank_intervals"](needs_tables.places(vote, names), 3, lang)
    burden = REAL["burden_parts"](needs_tables.burden(real["side_by_side"], names, "creil-sud-oise"), lang)
    expected = {
        "fr": ("DONNÉES SIMULÉES. Profils", "Places et leur intervalle", "ce qui manque"),
        "en": ("SIMULATED DATA. Merit", "Places with their interval", "what is missing"),
    }[lang]
    for figure, words in zip((profile, places, burden), expected, strict=True):
        assert words in figures.alt(figure)
        assert figures.svg(figure).startswith('<svg role="img"')
        assert all(label in figures.alt(figure) for label in names.values())
    assert figures.svg(places) == figures.svg(places)


def test_the_paradox_shows_flows_and_stocks_on_a_scale_of_tens() -> None:
    table = pd.DataFrame(
        {"label": ["Nickel", "Wimoov"], "low": [0.17, 0.0007], "high": [0.2, 0.0016], "kind": ["stock", "flow"]}
    )
    text = figures.alt(figures.paradox(table, "en"))
    assert text.endswith("Nickel: 17% to 20% in all; Wimoov: 0.07% to 0.16% a year.")
    assert "de 17\u00a0% à 20\u00a0% au total" in figures.alt(figures.paradox(table, "fr"))


def test_figures_refuse_tables_that_are_not_theirs() -> None:
    with pytest.raises(InternalError, match="E-REP-005"):
        figures.rank_intervals(pd.DataFrame({"label": ["a"]}), 3)
    with pytest.raises(InternalError, match="E-REP-006"):
        figures.paradox(pd.DataFrame({"label": [], "low": [], "high": [], "kind": []}))


# notebook ------------------------------------------------------------------------------------------------------------


def test_every_cell_of_the_notebook_runs_and_shows_its_figures(repository: Path, monkeypatch) -> None:
    """Run in this process: a kernel would take longer than everything it is asked to do."""
    monkeypatch.setenv("EVALUATION_ROOT", str(repository))
    book = json.loads((repository / "notebooks" / "needs.ipynb").read_text(encoding="utf-8"))
    assert len(book["cells"]) <= 15
    names: dict[str, object] = {}
    with pd.option_context("display.max_rows", 60):
        shown = [_run("".join(cell["source"]), names) for cell in book["cells"] if cell["cell_type"] == "code"]
    drawn = [value.alt for value in shown if isinstance(value, figures.Drawing)]
    assert [text.partition(".")[0] for text in drawn] == [
        "Share of the need reached by each answer",
        "Burden, part by part; what is missing",
        "SIMULATED DATA",
        "SIMULATED DATA",
    ]
    assert all(isinstance(value, figures.Drawing | pd.DataFrame) for value in shown)


def _run(source: str, names: dict[str, object]) -> object:
    """Execute a cell; the value of its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    exec(compile(tree, "cell", "exec"), names)  # noqa: S102 -- our own notebook
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307
