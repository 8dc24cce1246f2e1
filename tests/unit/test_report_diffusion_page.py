"""The page of diffusion, in both languages, from results of two real series and all facts."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from evaluation.diffusion import lessons, results, series
from evaluation.report import diffusion_pages, pages, territory_pages
from evaluation.report.inputs import Inputs
from evaluation.report.locale import Lang
from evaluation.report.texts import read, texts
from evaluation.settings.diffusion import read_diffusion
from evaluation.settings.params import read_params
from evaluation.settings.portfolio import Portfolio, read_portfolio

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(ROOT)


@pytest.fixture(scope="module")
def found(portfolio: Portfolio) -> dict[str, Any]:
    facts, policy = read_diffusion(portfolio, ROOT), read_params(ROOT).diffusion
    assert policy is not None
    policy = policy.model_copy(update={"draws": 100})
    kept = [each for each in series.read(portfolio, facts) if each.facts.id in ("amap", "wimoov", "droit-au-compte")]
    fitted = results.fit(kept, policy)
    held = results.held_out(kept, policy, 1)
    treated = results.treated(portfolio, facts, kept, fitted, policy)
    return results.rounded(
        {
            "curves": results.curves(kept, fitted, policy, 1, held=held),
            "validation": results.validation(held, policy),
            **{name.removesuffix(".json"): content for name, content in treated.items()},
            "funnels": treated["funnels.json"][:1],
            "lessons": lessons.as_dict(facts.cases),
        }
    )


def view(found: dict[str, Any], portfolio: Portfolio, lang: Lang) -> dict[str, Any]:
    innovations = [row.model_dump() for row in portfolio.innovations]
    places = {row.id: {"fr": row.label_fr, "en": row.label_en} for row in portfolio.test_territories}
    return diffusion_pages.view(found, innovations, places, lang)


def page(found: dict[str, Any], portfolio: Portfolio, lang: Lang) -> str:
    template = pages._environment().get_template("diffusion.html")
    return template.render(
        lang=lang, t=texts(lang), view=view(found, portfolio, lang), current="diffusion", pages=pages.PAGES[lang],
        files=pages.FILES[lang], up="", other=None, colon=":", internal=False, simulated=False, style="",
        versions={"rubric": "1", "selection": "1", "date": "2026"},
        participation={"shown": False, "page": ""}, places=False, diffusion=diffusion_pages.FILES[lang],
        finance="", what_if="", provenance="", stale="", blinded="",
    )  # fmt: skip


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<svg.*?</svg>", " ", html, flags=re.DOTALL)))


def test_the_page_says_what_is_reached_and_what_is_not_known(found: dict[str, Any], portfolio: Portfolio) -> None:
    text = words(page(found, portfolio, "en")).replace("\u00a0", " ")
    assert "Ceiling not identified: the figures also allow a very high one." in text
    assert "under 7.7% a year" in text  # fewer than 10,000 offers of 130,000: an upper bound stays one
    assert "not known; to be measured: benefit, what is left at scale, displacement" in text
    assert "8 cases chosen because they are known, not drawn" in text
    assert "1,568 (synthetic estimate)" in text
    assert "social franchise" in text
    assert "A fall of 57% since 2015" in text


def test_every_need_and_reach_carries_a_link_or_its_mark(found: dict[str, Any], portfolio: Portfolio) -> None:
    shares = view(found, portfolio, "fr")["sections"][0]["blocks"][0]
    body = re.findall(r"<tr>(.*?)</tr>", str(shares), flags=re.DOTALL)[1:]
    assert len(body) >= 8
    assert all("href=" in row for row in body)
    assert "de mémoire" in str(shares)  # the need beside Nickel was recalled, and says so


def test_fans_that_are_too_narrow_say_so(found: dict[str, Any], portfolio: Portfolio) -> None:
    counts = {"figures": 23, "inside": 17, "inside_alone": 15}
    poor = {**found["validation"], "all": {**found["validation"]["all"], **counts}}
    assert "Fans too narrow: 17 of 23 figures fall inside, instead of 90%." in diffusion_pages._narrow(poor, "en")
    # 20 of 23 or fewer come 41 times in 100 from fans that hold 90 %, 17 or fewer 2 times (binomial)
    good = {**poor, "all": {**poor["all"], "inside": 20}}
    told = diffusion_pages._narrow(good, "en")
    assert "20 of 23 figures fall inside (90% expected), 15 with the curves alone" in told
    assert "too narrow" not in told
    assert diffusion_pages._narrow({**good, "all": {"figures": 0}}, "en") == ""
    (shown,) = [each for each in view(found, portfolio, "en")["sections"] if each["id"] == "checked"]
    assert len(shown["blocks"]) == 2


def test_french_and_english_say_the_same_sections(found: dict[str, Any], portfolio: Portfolio) -> None:
    fr, en = (view(found, portfolio, lang) for lang in ("fr", "en"))
    assert [each["id"] for each in fr["sections"]] == [each["id"] for each in en["sections"]]
    assert [len(each["blocks"]) for each in fr["sections"]] == [len(each["blocks"]) for each in en["sections"]]
    assert set(read("fr")["diffusion"]) == set(read("en")["diffusion"])


def test_no_text_of_the_page_is_unused(repository: Path) -> None:
    source = (repository / "src" / "evaluation" / "report" / "diffusion_pages.py").read_text(encoding="utf-8")
    source = source.replace("'", '"')
    from evaluation.settings.diffusion import Case, PlanFacts, Stakeholder

    fields = {**Case.model_fields, **PlanFacts.model_fields, **Stakeholder.model_fields}
    coded = {value for field in fields.values() for value in re.findall(r"'([a-z_]+)'", str(field.annotation))}
    computed = {
        *diffusion_pages.RESULTS,
        "shares",
        "ceilings",
        "checked",
        "massive",
        "page",
        "reach",
        "cost",
        "capacity",
        "pace",
    }
    computed |= {
        "as_now",
        "funded",
        "benefit",
        "voltage",
        "displacement",
        "none",
        "ramp",
        "budget",
        "volume",
        "flow",
        "stock",
    }
    computed |= {"standardised", "state_rollout", "accompaniment_bottleneck", "channel", "success_was", *coded}
    names = {key.split("_", 1)[1] for key in read("en")["diffusion"]}
    assert sorted(name for name in names - computed if f'"{name}"' not in source) == []


def test_the_site_holds_the_page_where_the_stage_has_run_and_links_to_it(
    found: dict[str, Any], portfolio: Portfolio
) -> None:
    innovations = [row.model_dump() for row in portfolio.innovations]
    difficulties = [row.model_dump() for row in portfolio.difficulties]
    places = {row.id: {"fr": row.label_fr, "en": row.label_en} for row in portfolio.test_territories}
    empty: dict[str, Any] = {name: {} for name in ("findings", "records", "grades")}
    empty |= {name: [] for name in ("costs", "benchmarks", "coverage", "needs", "decisions")}
    inputs = Inputs(difficulties=difficulties, innovations=innovations, territories=places, diffusion=found, **empty)
    site = pages.render(inputs, ["en"])
    (place,) = [row.model_dump() for row in portfolio.test_territories if row.id == "creil-sud-oise"]
    here = territory_pages.view(inputs, place, "en")["massive"]
    assert "1,568 (synthetic estimate)" in here  # 80% of 19,600 adults in ten years
    assert "Thiérache" not in here
    assert "Diffusion: how far, and what it would take" in site["en/diffusion.html"]
    assert 'href="diffusion.html"' in site["en/index.html"]
    without = pages.render(dataclasses.replace(inputs, diffusion={}), ["en"])
    assert "en/diffusion.html" not in without
    assert "diffusion.html" not in without["en/index.html"]
