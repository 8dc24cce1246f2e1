"""What there is to learn and how relevant an innovation is, on the pages of innovations and of territories.

Relevance stands beside impact: its components are shown one by one, with what nobody knows, and never added up.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from evaluation.report import cells, locale, tables
from evaluation.report.inputs import Inputs, Row, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

FIRST: Final = 10  # lines of the learning agenda that are shown before the rest is folded away


def agenda(inputs: Inputs, territory: str, lang: Lang) -> dict[str, Any]:
    """The learning agenda of one territory: the first studies, the rest, and how many have none.

    Args:
        inputs: of the site.
        territory: id.
        lang: language of the page.
    """
    rows = [row for row in inputs.local if row["territory"] == territory and row.get("learning")]
    ranked = sorted((row for row in rows if row["learning"]["rank"]), key=lambda row: _order(inputs, row))
    if not ranked:
        return {}
    t = texts(lang)
    first, rest = ranked[:FIRST], ranked[FIRST:]
    return {
        "first": _agenda_table(inputs, first, lang, t("agenda.caption")),
        "rest": _agenda_table(inputs, rest, lang, t("agenda.rest", count=len(rest))) if rest else Markup(""),
        "rest_title": t("agenda.rest", count=len(rest)),
        "none": t("agenda.none", count=len(rows) - len(ranked)) if len(rows) > len(ranked) else "",
        "rule": t("agenda.rule"),
    }


def study_of(inputs: Inputs, innovation: str, lang: Lang) -> Markup:
    """The best next study of one innovation in each territory."""
    t = texts(lang)
    rows = [row for row in inputs.local_of(innovation) if row.get("learning")]
    lines = [{t("columns.territory"): _place(inputs, row, lang), **_study_cells(row["learning"], lang)} for row in rows]
    return tables.html(tables.frame(lines), caption=t("agenda.one_caption"), lang=lang) if lines else Markup("")


def relevance(inputs: Inputs, innovation: str, lang: Lang) -> Markup:
    """The components of relevance of one innovation in each territory."""
    t = texts(lang)
    rows = [row for row in inputs.local_of(innovation) if row.get("relevance")]
    lines = [{t("columns.territory"): _place(inputs, row, lang), **_relevance_cells(inputs, row, lang)} for row in rows]
    return tables.html(tables.frame(lines), caption=t("relevance.caption"), lang=lang) if lines else Markup("")


def relevance_here(inputs: Inputs, territory: str, decisions: Sequence[str], lang: Lang) -> Markup:
    """The components of relevance of the innovations with one of these decisions in one territory."""
    t = texts(lang)
    lines = [
        {t("columns.innovation"): _innovation(inputs, row, lang), **_relevance_cells(inputs, row, lang)}
        for row in inputs.local
        if row["territory"] == territory and row["decision"] in decisions and row.get("relevance")
    ]
    return tables.html(tables.frame(lines), caption=t("relevance.here_caption"), lang=lang) if lines else Markup("")


# the agenda ----------------------------------------------------------------------------------------------------------


def _order(inputs: Inputs, row: Row) -> tuple[int, bool, str]:
    """By rank; of equal ones those that exist in France first."""
    found = inputs.innovation(row["innovation"])
    return row["learning"]["rank"], not found["in_france"], row["innovation"]


def _agenda_table(inputs: Inputs, rows: Sequence[Row], lang: Lang, caption: str) -> Markup:
    t = texts(lang)
    lines = [
        {
            t("columns.innovation"): _innovation(inputs, row, lang),
            t("agenda.rank"): str(row["learning"]["rank"]),
            **_study_cells(row["learning"], lang),
        }
        for row in rows
    ]
    return tables.html(tables.frame(lines), caption=caption, lang=lang)


def _study_cells(learning: Row, lang: Lang) -> dict[str, Any]:
    t = texts(lang)
    return {
        t("agenda.chance"): t(
            f"agenda.chance_{learning['basis']}", useful=locale.percent(learning["p_useful"], lang, digits=0)
        ),
        t("agenda.perfect"): t("agenda.sd", value=locale.number(learning["evpi"], lang, digits=3)),
        t("agenda.study"): _study(learning, lang),
        t("agenda.worth"): _worth(learning, lang),
    }


def _study(learning: Row, lang: Lang) -> str:
    t, study = texts(lang), learning["study"]
    if study is None:
        return t("agenda.no_study")
    return t(
        "agenda.plan",
        people=locale.number(study["n"], lang, digits=0),
        effect=locale.number(study["detectable"], lang, digits=2),
        cost=locale.money(study["cost"], "EUR", lang),
        months=locale.number(study["months"], lang, digits=0),
        gain=locale.number(learning["evsi"], lang, digits=3),
    )


def _worth(learning: Row, lang: Lang) -> str:
    """In euros where an outcome has a value; otherwise from which value on the study pays."""
    t = texts(lang)
    if learning["study"] is None:
        return t("site.none")
    if learning["value"] is not None:
        return t("agenda.value", value=locale.money(learning["value"], "EUR", lang))
    if learning["break_even_each"] is None:
        return t("agenda.break_even_all", value=locale.money(_rounded(learning["break_even"]), "EUR", lang))
    people = locale.people(learning["people"], lang)
    each = locale.money(_rounded(learning["break_even_each"]), "EUR", lang)
    return t("agenda.break_even", value=each, people=people)


def _rounded(value: float) -> float:
    """Two significant digits: the value rests on house assumptions."""
    return float(f"{value:.2g}")


# relevance -----------------------------------------------------------------------------------------------------------


def _relevance_cells(inputs: Inputs, row: Row, lang: Lang) -> dict[str, Any]:
    t, found = texts(lang), row["relevance"]
    difficulty = inputs.difficulty(inputs.innovation(row["innovation"])["difficulty"])
    return {
        t("relevance.need"): _need(found, lang),
        t("relevance.public"): _publics(found, difficulty, lang),
        t("relevance.users"): _users(found, lang),
        t("relevance.share"): _share(found, lang),
        t("relevance.beside"): _beside(inputs, found, lang),
    }


def _need(found: Row, lang: Lang) -> str:
    t = texts(lang)
    if found["prioritised"] is None:
        return t("relevance.need_unknown")
    basis = t(f"relevance.basis_{'ballots' if found['basis'] == 'ballots' else 'founding'}")
    return t("relevance.need_yes" if found["prioritised"] else "relevance.need_no", basis=basis)


def _publics(found: Row, difficulty: Row, lang: Lang) -> Markup:
    labels = {public["id"]: said(public, "label", lang) for public in difficulty["publics"]}
    named = [cells.tell(labels[name]) for name in found["publics"] if name in labels]
    return cells.stack(named) if named else Markup("{}").format(texts(lang)("relevance.public_unknown"))


def _users(found: Row, lang: Lang) -> Markup:
    told = [cells.tell(said(each, "said", lang)) for each in found["judged"]]
    return cells.stack(told) if told else Markup("{}").format(texts(lang)("relevance.users_unknown"))


def _share(found: Row, lang: Lang) -> str:
    t = texts(lang)
    if found["share"] is None:
        return t("relevance.share_unknown")
    kind = t(f"kinds.{found['share_kind']}")
    key = "relevance.share_france" if found["share_place"] == "france" else "relevance.share_here"
    text = t(key, share=cells.percentage(found["share"], lang), kind=kind)
    if found["others_share"] is None:
        return text
    return text + t("relevance.share_others", share=cells.percentage(found["others_share"], lang))


def _beside(inputs: Inputs, found: Row, lang: Lang) -> Markup:
    """What exists beside it, in words, and which ones do the same for the same public."""
    t = texts(lang)
    text = Markup("{}").format(t(f"relevance.place_{found['place']}", count=len(found["beside"])))
    names = [cells.tell(said(inputs.innovation(name), "label", lang)) for name in found["same_public"]]
    return cells.stack([text, *names]) if names else text


def _place(inputs: Inputs, row: Row, lang: Lang) -> str:
    labels: Mapping[str, str] = inputs.territories.get(row["territory"], {})
    return labels.get(lang, row["territory"])


def _innovation(inputs: Inputs, row: Row, lang: Lang) -> Markup:
    label = said(inputs.innovation(row["innovation"]), "label", lang)
    return Markup('<a href="../innovations/{}.html">{}</a>').format(row["innovation"], cells.tell(label))
