"""A page a test territory: who is concerned, what is decided here, what share is covered, what to collect on the spot.

A number that nobody counted here is either a synthetic estimate, and says so, or is said to be missing.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from evaluation.report import (
    cells,
    decision_views,
    diffusion_pages,
    learning_views,
    locale,
    needs_pages,
    places_map,
    tables,
    territory_fans,
    views,
)
from evaluation.report.inputs import Inputs, Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]


def view(inputs: Inputs, place: Row, lang: Lang) -> View:
    """The page of one territory.

    Args:
        inputs: of the site.
        place: row of a test territory.
        lang: language of the page.
    """
    t = texts(lang)
    decided = {row["innovation"]: row for row in inputs.local if row["territory"] == place["id"]}
    counts = Counter(row["decision"] for row in decided.values())
    covered = [row for row in inputs.coverage if row["territory"] == place["id"]]
    return {
        "id": place["id"],
        "label": said(place, "label", lang),
        "kind": t(f"territories.{place['kind']}"),
        "lede": t("place.lede_shares" if any(row["share"] is not None for row in covered) else "place.lede"),
        "counts": [(decision, counts[decision]) for decision in views.DECISIONS if counts[decision]],
        "figures": views.figures_table(place["figures"], lang, caption=t("place.figures")),
        "difficulties": _difficulties(inputs, place["id"], lang),
        "notes": _notes(inputs, place["id"], lang),
        "unknown": [t(f"place.no_{name}") for name in _unknown_of_all(decided)] if decided else [],
        "to_act": _decisions(inputs, decided, lang, acting=True),
        "lacking": _decisions(inputs, decided, lang, acting=False),
        "relevance": learning_views.relevance_here(inputs, place["id"], _acting(), lang),
        "agenda": learning_views.agenda(inputs, place["id"], lang),
        "covered": _covered(inputs, covered, lang),
        "massive": _massive(inputs, place["id"], lang),
        "collect": _collect(place, covered, lang),
        "map": places_map.view(inputs, lang),
        "fans": territory_fans.fans(inputs, place["id"], lang),
    }


def _difficulties(inputs: Inputs, territory: str, lang: Lang) -> Markup:
    """People concerned by each difficulty and its burden, then what was not measured here."""
    t = texts(lang)
    rows = [
        {
            t("columns.difficulty"): _difficulty(inputs, row, lang),
            t("place.concerned"): _concerned(load, lang),
            t("place.burden"): _burden(load, lang),
            t("place.missing"): ", ".join(t(f"priorities.part_{name}") for name in load["missing"]) or cells.NOTHING,
        }
        for row in inputs.priorities.get("side_by_side", ())
        for load in row["burdens"]
        if load["territory"] == territory
    ]
    return tables.html(tables.frame(rows), caption=t("place.difficulties_caption"), lang=lang) if rows else Markup("")


def _difficulty(inputs: Inputs, row: Row, lang: Lang) -> Markup:
    mark = texts(lang)("priorities.chosen") if row["priority"] else ""
    label = cells.tell(said(inputs.difficulty(row["difficulty"]), "label", lang))
    return Markup('{}<br><span class="small">{}</span>').format(label, mark) if mark else label


def _concerned(load: Row, lang: Lang) -> Markup:
    """People concerned; a figure scaled from France carries its label."""
    known = bool(load["parts"][0]["known"])
    return _marked(needs_pages.people(load["parts"][0], lang), lang, synthetic=load["synthetic"] and known)


def _burden(load: Row, lang: Lang) -> Markup:
    """The burden, with the label of the figures it was made from, or that there is none."""
    product = needs_pages.burden(load, lang)
    return _marked(product or texts(lang)("place.no_burden"), lang, synthetic=load["synthetic"] and bool(product))


def _marked(text: str, lang: Lang, *, synthetic: bool) -> Markup:
    if not synthetic:
        return Markup("{}").format(text)
    return Markup('<b>{}</b><br><span class="small">{}</span>').format(text, texts(lang)("site.synthetic"))


def _notes(inputs: Inputs, territory: str, lang: Lang) -> list[Said]:
    """How the synthetic estimates of this territory were made, each once."""
    return views.unique(
        said(figure, "note", lang) for need in inputs.needs for figure in need.get("territories", {}).get(territory, ())
    )


def _decisions(inputs: Inputs, decided: dict[str, Row], lang: Lang, *, acting: bool) -> Markup:
    """Innovations with a decision that asks for something to be done here, or those that lack data."""
    t = texts(lang)
    rows = [
        {t("columns.innovation"): _innovation(inputs, row, lang), **_told_apart(decided, row, lang)}
        for decision in views.DECISIONS
        for row in decided.values()
        if row["decision"] == decision and (decision != views.LACKING) == acting
    ]
    caption = t("place.to_act" if acting else "place.lacking")
    return tables.html(tables.frame(rows), caption=caption, lang=lang) if rows else Markup("")


def _acting() -> list[str]:
    return [decision for decision in views.DECISIONS if decision != views.LACKING]


def _told_apart(decided: dict[str, Row], row: Row, lang: Lang) -> dict[str, Any]:
    """Cells of one innovation, without the columns that would say of every innovation that nobody knows."""
    t, found = texts(lang), decision_views.local_cells(row, lang)
    same = {t(f"here.{name}") for name in _unknown_of_all(decided)}
    return {header: cell for header, cell in found.items() if header not in same}


def _unknown_of_all(decided: dict[str, Row]) -> list[str]:
    """What is known of no innovation here: its transfer, what alone would be enough."""
    known = {"transfer": "transfer", "enough": "needed"}
    return [name for name, field in known.items() if not any(row[field] for row in decided.values())]


def _innovation(inputs: Inputs, row: Row, lang: Lang) -> Markup:
    label = said(inputs.innovation(row["innovation"]), "label", lang)
    return Markup('<a href="../innovations/{}.html">{}</a>').format(row["innovation"], cells.tell(label))


def _covered(inputs: Inputs, covered: Sequence[Row], lang: Lang) -> Markup:
    """Need, reach and share of the innovations whose need was counted or estimated here."""
    t = texts(lang)
    rows = [
        {
            t("columns.innovation"): _innovation(inputs, row, lang),
            t("columns.need"): cells.figure(row["need"], lang),
            t("columns.reach"): cells.figure(row["reach"], lang) if row["reach"] else t("innovation.to_count"),
            t("columns.share"): cells.share(row, lang),
        }
        for row in covered
        if row["need"]
    ]
    return tables.html(tables.frame(rows), caption=t("place.covered_caption"), lang=lang) if rows else Markup("")


def _massive(inputs: Inputs, territory: str, lang: Lang) -> Markup:
    """What treating the need here on a massive scale would take, innovation by innovation."""
    rows = [row for row in inputs.diffusion.get("treatment", ()) if row["territory"] == territory]
    names = {row["id"]: said(row, "label", lang).text for row in inputs.innovations}
    return diffusion_pages.massive(rows, names, inputs.territories, lang)


def _collect(place: Row, covered: Sequence[Row], lang: Lang) -> list[Said]:
    """What to collect on the spot, as the territory and its coverage say."""
    own = [Said(locale.typography(str(text), lang)) for text in place.get(f"to_collect_{lang}", ())]
    return views.unique([*own, *(said(row, "to_collect", lang) for row in covered)])
