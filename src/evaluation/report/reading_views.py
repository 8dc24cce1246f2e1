"""How studies were found and read: one reader or two, how well they agree, and which searches were made."""

from typing import Any

from markupsafe import Markup, escape

from evaluation.report import cells, locale, tables
from evaluation.report.inputs import Inputs, Row, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]


def readings(inputs: Inputs, lang: Lang) -> View:
    """Sentences that are always said, a table of agreement once somebody rated, a table of searches once one was made.

    Nothing where the evidence stage has not run.
    """
    found = inputs.readings
    if not found:
        return {"sentences": [], "agreement": Markup(""), "searches": Markup("")}
    t = texts(lang)
    searched = [name for name, search in found["searches"].items() if search]
    numbers = {
        "findings": found["findings"],
        "two": len(found["two_ratings"]),
        "one": len(found["one_rating"]),
        "searched": len(searched),
        "difficulties": len(found["searches"]),
    }
    return {
        "sentences": [t(f"reading.{name}", **numbers) for name in ("collection", "raters", "gaps")],
        "agreement": _agreement(found["agreement"], lang),
        "searches": _searches(inputs, searched, lang),
    }


def _agreement(rows: list[Row], lang: Lang) -> Markup:
    """One row a check that somebody rated."""
    t = texts(lang)
    shown = [
        {
            t("reading.check"): t("reading." + row["check"].replace(".", "_")),
            t("reading.once"): row["once"],
            t("reading.twice"): row["twice"],
            t("reading.agreeing"): row["agreeing"],
            t("reading.unsettled"): row["unsettled"],
            t("reading.kappa"): _kappa(row, lang),
        }
        for row in rows
        if row["once"] or row["twice"]
    ]
    return tables.html(tables.frame(shown), caption=t("reading.agreement"), lang=lang) if shown else Markup("")


def _kappa(row: Row, lang: Lang) -> str:
    if row["kappa"] is None:
        return texts(lang)("site.none")
    interval = locale.interval(row["ci_low"], row["ci_high"], lang, digits=2)
    return f"{locale.number(row['kappa'], lang, digits=2)} ({interval})"


def _searches(inputs: Inputs, searched: list[str], lang: Lang) -> Markup:
    """One row a difficulty with a protocol: question, sources, and what became of what was found."""
    t = texts(lang)
    rows = [
        {
            t("columns.difficulty"): said(inputs.difficulty(name), "label", lang).text,
            t("reading.question"): said(inputs.readings["searches"][name], "question", lang).text,
            t("reading.sources"): _sources(inputs.readings["searches"][name], lang),
            t("reading.flow"): _flow(inputs.readings["searches"][name]["flow"], lang),
        }
        for name in searched
    ]
    return tables.html(tables.frame(rows), caption=t("reading.searches"), lang=lang) if rows else Markup("")


def _sources(search: Row, lang: Lang) -> Markup:
    rows = ((row["name"], locale.date(row["searched_on"], lang), row["found"]) for row in search["sources"])
    return cells.stack([Markup("{}, {} ({})").format(*row) for row in rows])


def _flow(flow: Row | None, lang: Lang) -> Markup:
    t = texts(lang)
    if flow is None:
        return escape(t("reading.unfinished"))
    reasons = [t("reading.left_out", number=row["number"], reason=row[f"reason_{lang}"]) for row in flow["excluded"]]
    found, screened, included = (t(f"reading.{name}", number=flow[name]) for name in ("found", "screened", "included"))
    return cells.stack([escape(part) for part in (found, screened, *reasons, included)])
