"""The site: structure, safety, languages, roles, determinism; on small inputs shaped as the files in data/."""

import dataclasses
import posixpath
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from site_simulated import effect_row, local_row, pooled_row, site_inputs, synthesis_row

from evaluation import store
from evaluation.errors import DisclosureError, InternalError, ParametersError, StaleError
from evaluation.evidence import grading, record
from evaluation.report import inputs as room
from evaluation.report import locale, pages, territory_pages, texts
from evaluation.report.cells import addresses
from evaluation.report.inputs import Inputs
from evaluation.settings import observations, sourced

SCRIPT = "<script>alert(1)</script>"
PAYLOAD = f"\"'>{SCRIPT}<img src=x onerror=alert(1)>"
VOID = {"meta", "br", "img", "input", "hr"}
HEADINGS = ("h1", "h2", "h3", "h4")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# Keys whose values are codes or ids; other rooms check them against closed lists and the rules for ids.
CODES = frozenset(
    [
        "id",
        "role",
        "innovation",
        "difficulty",
        "kind",
        "method",
        "design_class",
        "plan",
        "better",
        "status",
        "verdict",
        "direction",
        "territory_kind",
        "rule",
        "decision",
        "best_record",
        "findings",
        "date",
        "review_date",
        "basis",
        "currency",
        "confidence",
        "unit_kind",
        "share_kind",
        "territory",
        "evaluation",
        "term",
        "check",
        "schema_version",
        "bound",
        "domain",
        "near_rules",
        "to_scale",
        "transfer",
        "missing",
        "what",
    ]
)


class _Page(HTMLParser):
    """What the tests ask of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.stack: list[tuple[str, str | None]] = []
        self.french: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag not in VOID:
            self.stack.append((tag, found.get("lang")))

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        langs = [lang for _, lang in self.stack if lang]
        if langs and langs[-1] == "fr" and not any(tag in ("style", "svg") for tag, _ in self.stack):
            self.french.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def site() -> dict[str, str]:
    return pages.render(site_inputs())


@pytest.fixture(scope="module")
def parsed(site: dict[str, str]) -> dict[str, _Page]:
    return {name: _Page(text) for name, text in site.items() if name.endswith(".html")}


# structure -----------------------------------------------------------------------------------------------------------


def test_there_is_one_page_a_topic_and_an_innovation_in_each_language(site: dict[str, str]) -> None:
    both = ["difficultes/mobility", "index", "innovations", "innovations/garage", "territoires/creil"]
    french = [*both, "besoins", "citoyens", "methode", "prescripteurs", "preuves", "registre", "telechargements"]
    english = [*both, "citizens", "downloads", "method", "needs", "proofs", "referrers", "register"]
    expected = ["index.html", *(f"fr/{name}.html" for name in french), *(f"en/{name}.html" for name in english)]
    assert sorted(name for name in site if name.endswith(".html")) == sorted(expected)
    tables = [f"{lang}/{name}" for lang, names in pages.FILES.items() for name in names.values()]
    data = [f"en/figures/{name}.csv" for name in ("evidence-map", "share-of-need")]
    data += [f"fr/figures/{name}.csv" for name in ("carte-des-preuves", "part-du-besoin")]
    csv = [name for name in tables if name.endswith(".csv")]
    assert sorted(name for name in site if name.endswith(".csv")) == sorted([*csv, *data])


def test_every_page_forbids_everything_but_its_own_style(parsed: dict[str, _Page]) -> None:
    for name, page in parsed.items():
        policies = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
        assert policies == [POLICY], name


def test_no_page_loads_or_runs_anything(parsed: dict[str, _Page], site: dict[str, str]) -> None:
    loading = {"script", "link", "iframe", "object", "embed", "img", "form", "video", "audio", "base", "image"}
    for name, page in parsed.items():
        assert not loading.intersection(tag for tag, _ in page.tags), name
        assert not [
            key for _, attrs in page.tags for key in attrs if key.startswith("on") or key in ("src", "srcset")
        ], name
        assert not re.search(r"@import|url\((?!#)", site[name]), name


def test_every_page_has_one_h1_and_no_skipped_level(parsed: dict[str, _Page]) -> None:
    for name, page in parsed.items():
        levels = [HEADINGS.index(tag) + 1 for tag, _ in page.tags if tag in HEADINGS]
        assert levels.count(1) == 1, name
        assert levels[0] == 1, name
        assert all(after <= before + 1 for before, after in pairwise(levels)), name


def test_every_page_names_its_language_and_its_landmarks(parsed: dict[str, _Page]) -> None:
    for name, page in parsed.items():
        assert page.all("html")[0]["lang"] == ("en" if name.startswith("en/") else "fr"), name
        assert [main.get("class") for main in page.all("main")] == ["wide-page"], name
        assert page.all("title"), name
    inner = {name: page for name, page in parsed.items() if name != "index.html"}
    for name, page in inner.items():
        assert page.all("a")[0] == {"class": "skip", "href": "#content"}, name
        assert page.all("nav")[0]["aria-label"], name


def test_every_table_has_a_caption_and_every_header_a_scope(parsed: dict[str, _Page]) -> None:
    for name, page in parsed.items():
        assert len(page.all("caption")) == len(page.all("table")), name
        assert all(header.get("scope") in ("col", "row") for header in page.all("th")), name


def test_every_drawing_says_what_it_shows_or_that_it_is_ornament(parsed: dict[str, _Page]) -> None:
    drawn = [(name, svg) for name, page in parsed.items() for svg in page.all("svg")]
    assert any(svg.get("role") == "img" for _, svg in drawn)
    for name, svg in drawn:
        assert svg.get("aria-hidden") == "true" or (svg.get("role") == "img" and len(svg["aria-label"]) > 20), name


def test_ids_are_unique_and_every_link_inside_the_site_leads_somewhere(
    parsed: dict[str, _Page], site: dict[str, str]
) -> None:
    ids = {name: [attrs["id"] for _, attrs in page.tags if "id" in attrs] for name, page in parsed.items()}
    files = {*site, *(name for name, _ in pages.printed(site_inputs()))}
    for name, page in parsed.items():
        assert len(ids[name]) == len(set(ids[name])), name
        for link in page.all("a"):
            if link["href"].startswith(("https://", "http://")):
                assert link["rel"] == "noopener noreferrer"
                continue
            file, _, anchor = link["href"].partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), file)) if file else name
            assert target in files, (name, link)
            assert not anchor or anchor in ids[target], (name, link)


def test_the_language_switch_leads_to_the_same_page(parsed: dict[str, _Page]) -> None:
    pairs = dict(zip(pages.PAGES["fr"].values(), pages.PAGES["en"].values(), strict=True))
    pairs |= {name: name for name in ("difficultes/mobility.html", "innovations/garage.html", "territoires/creil.html")}
    for french, english in pairs.items():
        (switch,) = [link for link in parsed[f"fr/{french}"].all("a") if link.get("class") == "language"]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(f"fr/{french}"), switch["href"]))
        assert target == f"en/{english}"
        assert switch["lang"] == switch["hreflang"] == "en"


def test_colours_of_text_have_a_contrast_of_four_and_a_half() -> None:
    style = (Path(pages.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+):(#[0-9a-f]{6})", style))
    for ink in ("ink", "soft", "accent", "go", "wait", "bad"):
        for paper in ("#ffffff", colours["pale"]):
            assert _contrast(colours[ink], paper) >= 4.5, (ink, paper)
    assert _contrast("#8a1c1c", "#ffffff") >= 4.5  # the stamp


def _contrast(first: str, second: str) -> float:
    """Ratio of relative luminances, WCAG 2.1."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# safety --------------------------------------------------------------------------------------------------------------


def test_a_payload_in_any_text_is_only_ever_text() -> None:
    fields = {each.name: _poisoned(getattr(site_inputs(), each.name)) for each in dataclasses.fields(Inputs)}
    poisoned = pages.render(Inputs(**fields))
    harmed = [name for name, text in poisoned.items() if name.endswith(".html") and (SCRIPT in text or "<img" in text)]
    assert harmed == []
    # The test is worth something only if the payload arrives, escaped, on every page that shows the portfolio.
    assert all("&lt;script&gt;" in text for name, text in poisoned.items() if name.endswith(".html") and _shows(name))


def _shows(name: str) -> bool:
    return not name.endswith(("methode.html", "method.html")) and name != "index.html"


def _poisoned(tree: Any, key: str = "") -> Any:
    """The same tree with the payload after every text that is not a code."""
    if isinstance(tree, pd.DataFrame):
        return tree.map(_poisoned).rename(columns={"label": f"label{PAYLOAD}"})
    if isinstance(tree, Mapping):
        return {name: _poisoned(value, str(name)) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_poisoned(value, key) for value in tree]
    return f"{tree}{PAYLOAD}" if isinstance(tree, str) and key not in CODES else tree


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", " data:text/html,x", "JAVASCRIPT:x", "vbscript:x", "//evil", "https:evil"]
)
def test_only_web_addresses_become_links(address: str) -> None:
    assert addresses(address) == [{"text": address.strip(), "href": ""}]
    inputs = site_inputs()
    inputs.records["garage-trial"]["source"]["address"] = address
    links = _Page(pages.render(inputs, ["fr"])["fr/innovations/garage.html"]).all("a")
    assert address.strip() not in [link["href"] for link in links]


def test_several_addresses_are_several_links_with_the_name_of_the_site() -> None:
    assert addresses("https://www.insee.fr/fr/x ; recalled (doi 10.1/x)") == [
        {"text": "insee.fr", "href": "https://www.insee.fr/fr/x"},
        {"text": "recalled (doi 10.1/x)", "href": ""},
    ]


def test_data_that_are_not_public_are_refused_or_stamped() -> None:
    inputs = site_inputs()
    inputs.records["garage-trial"]["provenance"]["public"] = False
    with pytest.raises(DisclosureError, match="E-REP-002") as caught:
        pages.render(inputs)
    assert caught.value.exit_code == 5
    assert "garage-trial" in str(caught.value)
    stamped = pages.render(inputs, internal=True)
    for name, text in stamped.items():
        if name.endswith(".html"):
            assert ("USAGE INTERNE" in text) or ("INTERNAL USE" in text), name


def test_a_public_report_carries_no_stamp(site: dict[str, str]) -> None:
    assert not [name for name, text in site.items() if "USAGE INTERNE" in text or "DONNÉES SIMULÉES —" in text]


def test_simulated_data_are_stamped_on_every_page() -> None:
    inputs = site_inputs()
    inputs.records["garage-trial"]["simulated"] = True
    for name, text in pages.render(inputs).items():
        if name.endswith(".html"):
            assert ("DONNÉES SIMULÉES —" in text) or ("SIMULATED DATA —" in text), name


# roles ---------------------------------------------------------------------------------------------------------------


def test_no_benchmark_leaves_the_page_of_method_proofs(site: dict[str, str]) -> None:
    traces = ("nsw-trial", "supported-work", "Emploi accompagné", "Supported work", "LaLonde")
    found = {name for name, text in site.items() if any(trace in text for trace in traces)}
    assert found == {"fr/preuves.html", "en/proofs.html"}


@pytest.mark.parametrize("place", ["decisions", "coverage"])
def test_a_benchmark_among_decisions_or_coverage_stops_the_report(place: str) -> None:
    inputs = site_inputs()
    getattr(inputs, place)[0]["innovation"] = "supported-work"
    with pytest.raises(InternalError, match="E-REP-003"):
        pages.render(inputs)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda inputs: inputs.decisions[0].update(innovation="gone"), "innovation gone"),
        (lambda inputs: inputs.decisions[0].update(findings=["gone"]), "finding gone"),
        (lambda inputs: inputs.grades.pop("garage-trial"), "grade of garage-trial"),
        (
            lambda inputs: inputs.synthesis["difficulties"]["mobility"]["pooled"]["records"].append({"id": "gone"}),
            "finding gone of the synthesis",
        ),
    ],
)
def test_decisions_that_do_not_belong_to_the_records_stop_the_report(
    spoil: Callable[[Inputs], Any], named: str
) -> None:
    inputs = site_inputs()
    spoil(inputs)
    with pytest.raises(StaleError, match="E-REP-004") as caught:
        pages.render(inputs)
    assert named in str(caught.value)


# what is said --------------------------------------------------------------------------------------------------------


def test_the_home_page_says_what_is_decided_first(site: dict[str, str]) -> None:
    home = site["fr/index.html"]
    order = [
        "<h1>Rien n’est encore à généraliser</h1>",
        "<b>0</b> à généraliser",
        "<b>1</b>",
        "Ce que nous vous demandons",
    ]
    places = [home.index(text) for text in order]
    assert places == sorted(places)
    assert "Décisions du 1er\u00a0janvier\u00a02026, à revoir avant le 1er\u00a0juillet\u00a02027." in home


def test_the_tiles_of_the_home_page_add_up_to_the_innovations() -> None:
    inputs = site_inputs()
    kinds = ["EXPERIMENTER", "REVOIR", "NE_PAS_RETENIR", "DONNEES_INSUFFISANTES", "DONNEES_INSUFFISANTES"]
    decisions = [{**inputs.decisions[0], "decision": kind} for kind in kinds]
    home = pages.render(dataclasses.replace(inputs, decisions=decisions), ["en"])["en/index.html"]
    tiles = home.split('<ul class="tiles">')[1].split("</ul>")[0]
    assert [int(count) for count in re.findall(r"<b>(\d+)</b>", tiles)] == [0, 1, 1, 1, 2]
    assert "to scale up" in tiles
    assert "to extend" not in tiles  # a decision that does not occur has no tile, but for the one everybody looks for


def test_the_home_page_names_the_studies_to_fund_where_nothing_is_to_be_scaled_up(site: dict[str, str]) -> None:
    home = site["fr/index.html"].split('id="fund"')[1].split("</ol>")[0]
    assert '<a href="innovations/garage.html">Garage solidaire</a> (France)' in home
    assert "niveau de preuve 4 sur 5, 90\u00a0% de chance d’être utile" in home
    inputs = site_inputs()
    inputs.decisions[0]["decision"] = "GENERALISER"
    assert 'id="fund"' not in pages.render(inputs, ["fr"])["fr/index.html"]


def test_a_territory_says_what_is_decided_concerned_covered_and_to_be_collected() -> None:
    load = {
        "territory": "creil",
        "low": 0.0,
        "high": 39_200.0,
        "missing": ["severity"],
        "synthetic": True,
        "parts": [
            {
                "name": "prevalence",
                "low": 17_400.0,
                "high": 19_600.0,
                "known": True,
                "unit_fr": "adultes",
                "unit_en": "adults",
                "basis_fr": "",
                "basis_en": "",
            }
        ],
    }
    beside = [{"difficulty": "mobility", "priority": True, "burdens": [load, {**load, "territory": "france"}]}]
    inputs = dataclasses.replace(site_inputs(), coverage=[{**row, "reach": None} for row in site_inputs().coverage[1:]])
    page = territory_pages.view(
        dataclasses.replace(inputs, priorities={"side_by_side": beside}), inputs.places[0], "fr"
    )
    assert page["counts"] == [("EXPERIMENTER", 1)]
    assert "Garage solidaire" in page["to_act"]
    assert page["lacking"] == ""
    assert page["difficulties"].count("estimation synthétique") == 2  # people, and the burden made from them
    for text in ("17\u202f400 à 19\u202f600\u00a0adultes", "au plus 39\u202f200", "gravité", "priorité"):
        assert text in page["difficulties"], text
    assert "à recueillir sur place" in page["covered"]
    assert [item.text for item in page["collect"]] == ["Agences bancaires ouvertes."]
    assert "Passage au territoire" not in page["to_act"]  # nobody assessed any: said once, not in every row
    assert page["unknown"][0].startswith("Personne n’a encore évalué")


def test_a_letter_of_transfer_brings_its_column_back() -> None:
    inputs = site_inputs()
    inputs.local[0].update(transfer="B")
    page = territory_pages.view(inputs, inputs.places[0], "en")
    assert "Transfer to the territory" in page["to_act"]
    assert page["unknown"] == [
        "As no net benefit is known here, no threshold that alone would change a decision can be computed."
    ]


def test_those_who_refer_people_see_what_to_expect_and_what_was_not_collected(site: dict[str, str]) -> None:
    page = site["fr/prescripteurs.html"]
    for text in (
        '<a href="innovations/garage.html">Garage solidaire</a>',
        "<b>probablement favorable</b>",
        "4\u00a0sur\u00a05, solide",
        "655\u00a0€",
        "Les conditions d’entrée de chaque programme n’ont pas été recueillies.",
    ):
        assert text in page, text
    inputs = site_inputs()
    inputs.innovations[0]["in_france"] = False  # nobody can be referred to it
    assert "garage.html" not in pages.render(inputs, ["fr"])["fr/prescripteurs.html"]


def test_citizens_read_short_sentences_and_counts_from_the_decisions(site: dict[str, str]) -> None:
    page = site["fr/citoyens.html"]
    for text in (
        "Réponses étudiées\u00a0: 1. Difficultés\u00a0: 1.",
        "Aucune réponse n’est encore assez sûre",
        "1 réponse à essayer.",
    ):
        assert text in page, text
    sentences = [each for text in texts.read("fr")["citizens"].values() for each in re.split(r"(?<=[.?!]) ", text)]
    assert max(len(sentence.split()) for sentence in sentences) <= 18  # easy French: one idea a sentence


def test_the_paradox_table_holds_need_reach_share_kind_years_and_sources(site: dict[str, str]) -> None:
    table = site["fr/index.html"].split('id="paradox"')[1].split("</table>")[0]
    # 11 000 / 15 000 000 = 0.0733 %, 11 000 / 7 000 000 = 0.157 %.
    for text in (
        "15\u00a0millions\u00a0d’adultes</b> (2023)",
        "7\u00a0millions\u00a0d’adultes</b> (2018)",
        "11\u202f000\u00a0adultes</b> (2017)",
        "<b>0,07 à 0,16\u00a0%</b> par an",
        '<a href="https://example.org/need" rel="noopener noreferrer">example.org</a>',
        "lu à la source",
    ):
        assert text in table


def test_a_claim_is_shown_as_a_claim(site: dict[str, str]) -> None:
    page = site["fr/innovations/garage.html"]
    assert "Chiffre déclaré, sans groupe de comparaison\u00a0: ce n’est pas un effet." in page
    assert "<b>46\u00a0% des personnes.</b>" in page


def test_a_test_territory_shows_its_need_and_what_is_still_to_be_counted(site: dict[str, str]) -> None:
    table = (
        site["fr/innovations/garage.html"].split("Dans les deux territoires tests</caption>")[1].split("</table>")[0]
    )
    assert "CA Creil Sud Oise" in table
    assert "19\u202f600" in table
    assert "estimation synthétique" in table
    assert "à recueillir sur place" in table


def test_what_is_not_known_is_listed() -> None:
    inputs = site_inputs()
    inputs.records.pop("garage-trial")
    inputs.decisions[0].update(findings=["garage-claim"], best_record="garage-claim")
    inputs.innovations[0]["in_france"] = False
    inputs.costs[0]["basis"] = "service"  # a price for something else than a person
    page = pages.render(dataclasses.replace(inputs, synthesis={}), ["fr"])["fr/innovations/garage.html"]
    listed = page.split("Ce que l’on ne sait pas")[1].split("</ul>")[0]
    assert re.findall(r"<li>(.*?)</li>", listed) == [
        "L’effet, car aucun chiffre lu ne compare à ce qui se serait passé sans l’innovation.",
        "Si l’effet tiendrait en France, où rien n’a été mesuré.",
        "Le coût par personne.",
    ]


def test_the_decision_stands_before_the_effects(site: dict[str, str]) -> None:
    page = site["fr/innovations/garage.html"]
    order = [
        "Expérimenter",
        "un effet a été lu avec un groupe de comparaison",
        "Et ici\u202f?",
        "Ce qu’il faut croire",
        "Ce que l’on sait de l’effet",
        "<h2>Coût",
        "Part du besoin couverte",
        "Ce que l’on ne sait pas",
        "Ce qui changerait la décision",
        "Pour les experts",
    ]
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    assert "655\u00a0€ par personne (2019)" in page


def test_a_decision_names_what_a_roll_out_would_take_and_the_rules_that_nearly_bound(site: dict[str, str]) -> None:
    french, english = site["fr/innovations/garage.html"], site["en/innovations/garage.html"]
    for text in (
        "un niveau de preuve d’au moins 4 sur 5 (aujourd’hui\u00a0: 4)",
        "un passage au territoire noté A ou B",
        "une probabilité de bénéfice net d’au moins 90\u00a0%",
        "il manquait un résultat défavorable parmi les mieux établis",
        "Un programme, jamais une personne.",
    ):
        assert text in french
    assert "a transfer to the territory rated A or B" in english
    assert "a probability of a net benefit of 90% or more" in english


def test_a_territory_without_a_net_benefit_says_which_link_nobody_knows(site: dict[str, str]) -> None:
    table = site["fr/innovations/garage.html"].split("Décision dans chaque territoire test</caption>")[1]
    table = table.split("</table>")[0]
    assert table.count('<th scope="row"') == 1  # the place of the study decides nothing
    assert "non évalué" in table
    assert "le passage de l’effet au territoire, la valeur d’un résultat en euros" in table
    assert "aucun seuil ne peut être calculé" in table


def test_a_net_benefit_stands_with_its_interval_its_chance_and_what_would_be_enough() -> None:
    inputs = site_inputs()
    row = local_row("creil", missing=[], net=120.4, net_low=-80.0, net_high=300.0, p_positive=0.87)
    needs = [
        {"what": "unit_cost", "value": 412.3, "verdict": "ETENDRE_SOUS_EVALUATION"},
        {"what": "transfer", "value": "B", "verdict": "GENERALISER"},
        {"what": "std_error", "value": 0.0312, "verdict": "GENERALISER"},
    ]
    local = [{**row, "transfer": "C", "needed": needs}]
    page = pages.render(dataclasses.replace(inputs, local=local), ["en"])["en/innovations/garage.html"]
    assert "€120 (from −€80 to €300); 87% chance that it is positive" in page
    assert "Extend under evaluation: a cost of €412 per person would be enough" in page
    assert "Scale up: a transfer to the territory rated B would be enough" in page
    assert "Scale up: a standard error of 0.03 standard deviations would be enough" in page
    assert "Parameters recalled from memory, to be checked: rate." in page


def test_what_to_believe_has_its_interval_its_chance_and_its_basis(site: dict[str, str]) -> None:
    page = site["fr/innovations/garage.html"]
    # 0.08 +- 1.96 * 0.02 = 0.0408 to 0.1192: 4.1 to 11.9 in 100.
    assert "8 de plus sur\u00a0100" in page
    assert "de 4,1 à 11,9 de plus" in page
    assert "90\u00a0% qu’il dépasse 0,05 écart-type" in page
    assert "moins de 1\u00a0% qu’il soit défavorable" in page
    assert "Fondé sur un résultat" in page
    assert "Résultats choisis." in page
    assert "Résultats laissés de côté (1), et pourquoi" in page


def test_a_prior_alone_is_said_to_be_one() -> None:
    inputs, prior = site_inputs(), {"mean": 0.06, "sd": 0.1, "useful": 0.54}
    synthesis = {**synthesis_row(), "effects": [{**effect_row("prior", **prior), "findings": []}]}
    page = pages.render(dataclasses.replace(inputs, synthesis=synthesis), ["en"])["en/innovations/garage.html"]
    # 0.06 +- 1.96 * 0.1 = -0.136 to 0.256.
    assert "no figure was read with its margin of error (Employed at six months)" in page
    assert "0.06 standard deviations (95% interval: from −0.14 to 0.26), a 54% chance of being useful" in page
    assert "This is not the finding of a study." in page


def test_a_ratio_is_believed_as_a_change_in_percent() -> None:
    inputs = site_inputs()
    inputs.findings["garage-trial"]["unit_kind"] = "ratio"
    effect = {**effect_row(mean=-0.478, sd=0.13), "findings": [{"id": "garage-trial", "ratio": True}]}
    synthesis = {**synthesis_row(), "effects": [effect]}
    page = pages.render(dataclasses.replace(inputs, synthesis=synthesis), ["en"])["en/innovations/garage.html"]
    # exp(-0.478) = 0.620: 38% less; ends exp(-0.478 -+ 1.96 * 0.13) = 0.4805 and 0.7999.
    assert "38% less than the comparison group" in page
    assert "from 20% to 52% less" in page


def test_studies_put_together_say_where_the_next_one_would_fall() -> None:
    synthesis = {**synthesis_row(), "effects": [{**effect_row(), "pooled": pooled_row(7)}]}
    page = pages.render(dataclasses.replace(site_inputs(), synthesis=synthesis), ["en"])["en/innovations/garage.html"]
    assert "7 studies together give 0.03 proportion (95% interval: from −0.03 to 0.09)." in page
    assert "from −0.08 to 0.14 proportion (prediction interval)" in page
    assert "Findings used (1)" in page


def test_every_condition_of_the_rules_has_a_word() -> None:
    from evaluation.report import decision_views
    from evaluation.selection import rules
    from evaluation.settings.params import read_params

    policy = read_params(Path(__file__).resolve().parents[2]).selection
    assert policy is not None
    gates = {"read:none", "read:no_comparison", "read:signs", "cost unknown", "value unknown"}
    bounds = {
        name: getattr(policy, name).model_dump() for name in ("scale", "extend", "steps", "stop", "test", "revise")
    }
    inputs = dataclasses.replace(site_inputs(), bounds=bounds)
    for rule in rules.rules(policy):
        for condition in rule.conditions:
            if condition.name not in gates:
                for language in get_args(locale.Lang):
                    assert decision_views.condition(inputs, rule.name, condition.name, language)


def test_proofs_show_our_number_beside_the_published_one(site: dict[str, str]) -> None:
    page = site["fr/preuves.html"]
    assert "1\u202f794 (de\u00a0479 à\u00a03\u202f109)" in page
    assert "1\u202f794 (erreur type 671)" in page
    assert "la différence brute entre les deux groupes serait de −8\u202f498" in page
    assert "Emploi accompagné, par tirage au sort" in page
    assert page.count('role="img"') == 3  # compared, over time, balance


def test_proofs_hold_who_was_lost_and_what_could_overturn_behind_their_names() -> None:
    inputs = site_inputs()
    flow = pd.DataFrame(
        {"step": ["assigned", "followed"] * 2, "arm": ["treated"] * 2 + ["comparison"] * 2, "units": [10, 9, 10, 7]}
    ).assign(share=[1.0, 0.9, 1.0, 0.7])
    own = {
        "attrition_flow": flow,
        "attrition_new": pd.DataFrame({"lost": [4], "empty": [float("nan")]}),
        "hidden_factor": pd.DataFrame({"covariate": ["age"], "multiple": [2.98]}),
        "score": pd.DataFrame({"low": [0.1]}),
    }
    inputs.tables["nsw-trial"].update(own)
    page = pages.render(inputs, ["fr"])["fr/preuves.html"]
    names = re.findall(r"<summary>(.*?)</summary>", page)
    assert {"Du tirage au sort à l’analyse", "attrition new", "Équilibre des groupes"} <= set(names)
    assert "score" not in names
    assert "perdus de vue</th>" in page
    assert "empty" not in page
    assert page.count('role="img"') == 4  # compared, over time, balance, who was followed


def test_french_text_never_breaks_before_its_punctuation(parsed: dict[str, _Page]) -> None:
    wrong = [
        (name, text)
        for name, page in parsed.items()
        for text in page.french
        if re.search(r"[\w»)] [:;!?%»€]|« ", text) or re.search(r"\d \d{3}\b", text)
    ]
    assert wrong == []


def test_what_stands_in_english_only_is_marked_as_english(site: dict[str, str]) -> None:
    inputs = site_inputs()
    inputs.innovations[0]["label_fr"] = ""
    page = pages.render(inputs, ["fr"])["fr/innovations/garage.html"]
    assert '<h1><span lang="en">Solidarity garage</span></h1>' in page


def test_the_same_inputs_give_the_same_bytes(site: dict[str, str]) -> None:
    assert pages.render(site_inputs()) == site


# texts ---------------------------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_texts_with_the_same_fields() -> None:
    french, english = texts.read("fr"), texts.read("en")
    assert {section: list(entries) for section, entries in french.items()} == {
        section: list(entries) for section, entries in english.items()
    }
    for section, entries in french.items():
        for key, text in entries.items():
            fields = set(re.findall(r"{(\w+)}", text)), set(re.findall(r"{(\w+)}", english[section][key]))
            assert fields[0] == fields[1], (section, key)


@pytest.mark.parametrize(
    ("section", "codes"),
    [
        ("designs", get_args(record.DesignClass)),
        ("designs", get_args(observations.DesignClass)),
        ("methods", get_args(record.Method)),
        ("terms", get_args(record.Term)),
        ("status", get_args(record.Status)),
        ("territories", get_args(record.TerritoryKind)),
        ("confidence", get_args(sourced.Confidence)),
        ("bases", get_args(observations.Cost.model_fields["basis"].annotation)),
        ("bounds", get_args(observations.Reach.model_fields["bound"].annotation)),
        ("fields", tuple(record.Record.model_fields)),
    ],
)
def test_every_code_of_the_other_rooms_has_a_word(section: str, codes: tuple[str, ...]) -> None:
    shown_elsewhere = {"effects", "checks"}
    assert set(codes) - shown_elsewhere <= set(texts.read("fr")[section])


def test_every_rule_and_every_decision_has_a_word() -> None:
    from evaluation.selection import rules
    from evaluation.settings.params import read_params

    policy = read_params(Path(__file__).resolve().parents[2]).selection
    assert policy is not None
    names = {rule.name for rule in rules.rules(policy)}
    for language in ("fr", "en"):
        assert names == set(texts.read(language)["rules"])
        assert set(rules.VERDICTS) == set(texts.read(language)["decisions"])


def test_grades_are_called_as_the_rubric_calls_them() -> None:
    from evaluation.evidence import rubric
    from evaluation.report.words import GRADE_LABELS

    levels = {value: rubric.read().level(value) for value in range(6)}
    assert {value: (level.fr, level.en) for value, level in levels.items()} == {
        value: (label["fr"], label["en"]) for value, label in GRADE_LABELS.items()
    }
    assert max(GRADE_LABELS) == grading.BEST


# building ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def reports(project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    root = project()
    monkeypatch.setattr(room, "read", site_inputs)
    return root / "reports"


def test_build_writes_the_rendered_site(reports: Path, site: dict[str, str]) -> None:
    files = pages.build(reports.parent)
    assert files[0] == reports / "index.html"
    assert {file.relative_to(reports).as_posix(): file.read_bytes() for file in files} == {
        **{name: text.encode() for name, text in site.items()},
        **dict(pages.printed(site_inputs())),
    }


def test_an_older_page_does_not_survive(reports: Path) -> None:
    store.write_text(reports / "fr" / "innovations" / "old.html", "old")
    pages.build(languages=["fr"])
    assert not (reports / "fr" / "innovations" / "old.html").exists()
    assert not (reports / "en").exists()


def test_a_report_that_fails_leaves_the_last_one(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = pages.build()
    before = {file: file.read_bytes() for file in files}

    def broken(_file: Path, _content: bytes) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pages.store, "write_bytes", broken)
    with pytest.raises(OSError, match="disk full"):
        pages.build()
    assert {file: file.read_bytes() for file in files} == before


@pytest.mark.parametrize("languages", [["de"], ["fr", "xx"], []])
def test_an_unknown_language_is_refused(languages: list[str]) -> None:
    with pytest.raises(ParametersError, match="E-REP-001"):
        pages.build(languages=languages)


def test_one_language_has_no_switch(reports: Path) -> None:
    pages.build(languages=["en"])
    assert 'class="language"' not in (reports / "en" / "index.html").read_text(encoding="utf-8")
