"""From an idea to money: the funnel, how to propose, the finance map, and the tranches of each innovation.

The map says who may be asked for which tranche, and how sure each fact is; it never says that somebody will pay.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup, escape

from evaluation.report import cells, decision_views, locale, tables
from evaluation.report.inputs import Inputs, Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]

FILES: Final[Mapping[Lang, str]] = {"fr": "financement.html", "en": "finance.html"}
TRANCHES: Final = ("test", "transition", "scale")


def view(inputs: Inputs, lang: Lang) -> View:
    """The page."""
    return {
        "file": FILES[lang],
        "elsewhere": FILES,
        "funnels": [_funnel(inputs, name, lang) for name in ("proposals", "portfolio")],
        "map": _map(inputs, lang),
        "opened": _opened(inputs, lang),
        "what_if": bool(inputs.what_if),
    }


def staged(inputs: Inputs, innovation: str, lang: Lang) -> View:
    """The tranches of one innovation, for its own page; empty before the stage selection has written them."""
    plans = [row for row in inputs.finance.get("plans", ()) if row["innovation"] == innovation]
    if not plans:
        return {}
    t, plan = texts(lang), plans[0]
    lines = [_stage_cells(inputs, stage, lang) for stage in plan["stages"]]
    return {
        "now": t(f"finance.opened_{plan['opened'] or 'none'}"),
        "table": tables.html(tables.frame(lines), caption=t("finance.stages_caption"), lang=lang),
        "review": t("finance.review", date=locale.date(plan["review_date"], lang)),
        "page": FILES[lang],
    }


# the funnel ----------------------------------------------------------------------------------------------------------


def _funnel(inputs: Inputs, name: str, lang: Lang) -> View:
    t, found = texts(lang), inputs.funnel[name]
    counts = found["counts"]
    share = locale.percent(inputs.funnel["share"], lang, digits=0)
    stages = list(counts)
    lines = [
        {
            t("funnel.stage"): _stage_name(name, stage, share, lang),
            t("funnel.count"): counts[stage],
            t("funnel.left"): _left(found["left"].get(stage, {}), lang),
        }
        for stage in stages
    ]
    return {
        "title": t(f"funnel.title_{name}"),
        "lede": t(f"funnel.lede_{name}" if counts[stages[0]] else "funnel.lede_zero", count=counts[stages[0]]),
        "table": tables.html(tables.frame(lines), caption=t(f"funnel.caption_{name}"), lang=lang),
    }


def _stage_name(name: str, stage: str, share: str, lang: Lang) -> str:
    key = "known" if (name, stage) == ("portfolio", "received") else stage
    return texts(lang)(f"funnel.stage_{key}", share=share)


def _left(reasons: Mapping[str, Sequence[str]], lang: Lang) -> Markup:
    """Why some did not pass, the most frequent reason first."""
    counts: Counter[str] = Counter()
    for name, ids in reasons.items():
        counts[_reason(name, texts(lang))] += len(ids)
    colon = f"{locale.NBSP}:" if lang == "fr" else ":"
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return cells.stack([Markup("{}{} {}").format(count, colon, reason) for reason, count in ordered])


def _reason(name: str, t: Any) -> str:
    own = ("other_difficulty", "known_already", "sent_twice", "not_yet", "not_wide")
    return str(t(f"funnel.reason_{name}") if name in own else t(f"rules.{name}"))


# the map -------------------------------------------------------------------------------------------------------------


def _map(inputs: Inputs, lang: Lang) -> Markup:
    t = texts(lang)
    lines = [
        {
            t("finance.instrument"): _instrument(row, lang),
            **{t(f"finance.tranche_{name}"): _tickets(row, name, lang) for name in TRANCHES},
            t("finance.rule"): _rule(row, lang),
            t("site.source").capitalize(): _source(row, lang),
        }
        for row in inputs.finance["instruments"]
    ]
    return tables.html(tables.frame(lines), caption=t("finance.map_caption"), lang=lang)


def _instrument(row: Row, lang: Lang) -> Markup:
    here = texts(lang)(f"finance.here_{row['here']}")
    return Markup('{}<br><span class="small">{}</span>').format(cells.tell(said(row, "label", lang)), here)


def _tickets(row: Row, tranche: str, lang: Lang) -> Markup:
    tickets = [each for each in row["pays"] if each["tranche"] == tranche]
    return cells.stack([_ticket(each, lang) for each in tickets])


def _ticket(each: Row, lang: Lang) -> Markup:
    amount = _amount(each["low"], each["high"], lang)
    text = cells.tell(said(each, "what", lang))
    mark = cells.label(lang, "confidence", each["confidence"]) if each["confidence"] != "seen" else ""
    head = Markup("<b>{}</b> ").format(amount) if amount else Markup("")
    tail = Markup(' <span class="small">({})</span>').format(mark) if mark else Markup("")
    return head + text + tail


def _amount(low: float | None, high: float | None, lang: Lang) -> str:
    t = texts(lang)
    if low is None and high is None:
        return ""
    if low is None or high is None:
        bound, value = ("upper", high) if low is None else ("lower", low)
        return t(f"finance.at_{bound}", value=locale.money(float(value or 0.0), "EUR", lang))
    if low == high:
        return locale.money(low, "EUR", lang)
    return t("site.range", low=locale.money(low, "EUR", lang), high=locale.money(high, "EUR", lang))


def _rule(row: Row, lang: Lang) -> Markup:
    rule: Said = said(row, "rule", lang)
    if not rule.text:
        return escape(cells.NOTHING)
    mark = cells.label(lang, "confidence", row["rule_confidence"])
    return Markup('{} <span class="small">({})</span>').format(cells.tell(rule), mark)


def _source(row: Row, lang: Lang) -> Markup:
    links = [cells.link(address) for address in cells.addresses(row["source_address"])]
    parts = [Markup("{}").format(locale.typography(row["source_title"], lang)) if row["source_title"] else "", *links]
    parts.append(Markup('<span class="small">{}</span>').format(cells.label(lang, "confidence", row["confidence"])))
    return cells.stack([Markup("{}").format(part) for part in parts if part])


# tranches ------------------------------------------------------------------------------------------------------------


def _opened(inputs: Inputs, lang: Lang) -> Markup:
    """Innovations of which a tranche is open, with who may be asked."""
    t = texts(lang)
    lines = [
        {
            t("columns.innovation"): Markup('<a href="innovations/{}.html">{}</a>').format(
                plan["innovation"], cells.tell(said(inputs.innovation(plan["innovation"]), "label", lang))
            ),
            t("finance.tranche"): t(f"finance.tranche_{stage['tranche']}"),
            t("finance.payers"): _payers(inputs, stage, lang),
        }
        for plan in inputs.finance["plans"]
        for stage in plan["stages"]
        if stage["status"] == "open"
    ]
    return tables.html(tables.frame(lines), caption=t("finance.opened_caption"), lang=lang) if lines else Markup("")


def _stage_cells(inputs: Inputs, stage: Row, lang: Lang) -> dict[str, Any]:
    t = texts(lang)
    return {
        t("finance.tranche"): t(f"finance.tranche_{stage['tranche']}"),
        t("finance.status"): t(f"finance.status_{stage['status']}"),
        t("finance.payers"): _payers(inputs, stage, lang),
        t("finance.release"): _release(inputs, stage, lang),
        t("finance.stop"): cells.stack([Markup("{}").format(_stop(inputs, rule, lang)) for rule in stage["stops"]]),
    }


def _payers(inputs: Inputs, stage: Row, lang: Lang) -> Markup:
    names = {row["id"]: said(row, "label", lang) for row in inputs.finance["instruments"]}
    return cells.stack([cells.tell(names[name]) for name in stage["instruments"] if name in names])


def _release(inputs: Inputs, stage: Row, lang: Lang) -> Markup:
    """What opens the tranche: conditions of its rule that are not met, or what the decision says is missing."""
    t = texts(lang)
    if stage["status"] in ("past", "open", "closed"):
        return escape(cells.NOTHING)
    if stage["tranche"] == "test":
        return Markup("{}").format(t("finance.release_test"))
    rule = "extend" if stage["tranche"] == "transition" else "scale"
    told = [decision_views.condition(inputs, rule, name, lang) for name in stage["missing"]]
    return cells.stack([Markup("{}").format(text) for text in told])


def _stop(inputs: Inputs, rule: str, lang: Lang) -> str:
    """The rule that ends a tranche, with its bounds."""
    names = {"stop-harm": "p_harm", "stop-value": "p_positive", "revise-delivery": "poorly delivered"}
    return decision_views.condition(inputs, rule, names[rule], lang)
