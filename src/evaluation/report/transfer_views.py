"""Whether a finding speaks of a territory: its letter with reasons, and the two proofs that real data allow.

The letters come from data/evidence/transfer.json; the proofs from the record of the trial whose sites differ (one kind
of territory predicted from another) and from the sites of one programme, each predicted from the others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from evaluation.report import cells, decision_views, locale, tables
from evaluation.report.inputs import Inputs, Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import read, texts

View = dict[str, Any]


def reasons(inputs: Inputs, decision: Row, lang: Lang) -> Markup:
    """One row a territory: the letter of the finding that carries the decision, and all that was looked at."""
    t = texts(lang)
    rows = [
        {
            t("columns.territory"): decision_views.place_link(inputs, row["territory"], lang, up="../"),
            t("here.transfer"): t(f"transfer.letter_{row['letter']}"),
            **{t(f"transfer.{domain['domain']}"): _domain(domain, lang) for domain in row["domains"]},
        }
        for row in inputs.transfer.get("letters", ())
        if row["finding"] == decision["best_record"]
    ]
    return tables.html(tables.frame(rows), caption=t("transfer.caption"), lang=lang) if rows else Markup("")


def _domain(domain: Row, lang: Lang) -> Markup:
    state = texts(lang)(f"transfer.{domain['state']}")
    told = locale.typography(domain[lang], lang)
    return Markup('{}<br><span class="small">{}</span>').format(state, told)


# proofs ---------------------------------------------------------------------------------------------------------------


def proofs(inputs: Inputs, lang: Lang) -> list[View]:
    """Sections of the page of method proofs."""
    carried = [record for record in inputs.benchmark_records() if record["transfer"]]
    sections = [_carried(inputs, record, lang) for record in carried]
    return sections + [_left_out(inputs, found, lang) for found in inputs.transfer.get("left_out", ())]


def _carried(inputs: Inputs, record: Row, lang: Lang) -> View:
    t, found = texts(lang), record["transfer"]
    rows = [
        {
            t("transfer.method"): _method(row["method"], lang),
            t("columns.estimate"): row["estimate"],
            t("columns.interval"): _interval(row, lang),
            t("transfer.effective_size"): _people(row["effective_size"], lang),
        }
        for row in found["effects"]
    ]
    places = {name: _place(found[name], lang) for name in ("source", "target")}
    label = said(inputs.innovation(record["innovation"]), "label", lang).text
    told = {
        "index": locale.number(found["index"], lang, digits=2),
        "coverage": locale.percent(found["coverage"], lang, digits=0),
        "moderators": found["moderators"],
        **places,
    }
    refused = found["index"] < _lowest(inputs)
    notes = [t("transfer.told", **told), t("transfer.refused" if refused else "transfer.allowed")]
    return {
        "title": t("transfer.carried_title", innovation=label, **places),
        "notes": notes,
        "table": tables.html(tables.frame(rows), caption=t("transfer.carried_caption", **places), lang=lang),
    }


def _place(name: str, lang: Lang) -> str:
    """A kind of territory in the reader's language, or the name that the data have."""
    return read(lang)["transfer"].get(f"place_{name}", name)


def _lowest(inputs: Inputs) -> float:
    """The index below which no number is carried."""
    return float(inputs.bounds.get("transfer", {}).get("index", {}).get("C", 0.0))


def _method(name: str, lang: Lang) -> str:
    """A method, or its difference to what was observed."""
    t = texts(lang)
    first, _, observed = name.partition(" − ")
    return t("transfer.less_observed", method=t(f"transfer.{first}")) if observed else t(f"transfer.{first}")


def _people(value: float | None, lang: Lang) -> str:
    return "" if value is None else locale.number(value, lang, digits=0)


def _left_out(inputs: Inputs, found: Mapping[str, Any], lang: Lang) -> View:
    t = texts(lang)
    label = said(inputs.innovation(found["innovation"]), "label", lang).text
    rows = [
        {
            t("transfer.site"): _site(inputs, site, lang),
            t("transfer.found"): site["found"],
            t("transfer.predicted"): site["predicted"],
            t("transfer.range"): locale.interval(site["low"], site["high"], lang),
            t("transfer.inside"): t("transfer.yes" if site["inside"] else "transfer.no"),
        }
        for site in found["sites"]
    ]
    counts = {"inside": str(found["inside"]), "sites": str(len(found["sites"]))}
    return {
        "title": t("transfer.left_title", innovation=label),
        "notes": [t("transfer.left_told", level=locale.percent(found["level"], lang, digits=0), **counts)],
        "table": tables.html(tables.frame(rows), caption=t("transfer.left_caption"), lang=lang),
    }


def _site(inputs: Inputs, site: Row, lang: Lang) -> Markup:
    row = inputs.findings.get(site["id"], {})
    country = row.get("country_fr" if lang == "fr" else "country") or site["id"]
    return cells.tell(Said(str(country)))


def _interval(row: Row, lang: Lang) -> str:
    ends: Sequence[float | None] = (row["ci_low"], row["ci_high"])
    return "" if None in ends else locale.interval(float(ends[0] or 0.0), float(ends[1] or 0.0), lang)
