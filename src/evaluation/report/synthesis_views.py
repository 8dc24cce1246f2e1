"""What several findings say together, and what to believe of one innovation: estimates, posteriors, what was left out.

Numbers come from data/evidence/synthesis.json; an interval is drawn from the mean and the standard deviation of a
normal posterior, at the level of the synthesis.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

from markupsafe import Markup

from evaluation.report import cells, locale, tables, words
from evaluation.report.inputs import Inputs, Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]

_TOGETHER: Final = 2  # independent groups of findings from which on there is something to put together


def believed(inputs: Inputs, innovation_id: str, lang: Lang) -> View:
    """What to believe of one innovation: one row an outcome whose error was read, one sentence for all others."""
    effects = inputs.posteriors_of(innovation_id)
    read = [row for row in effects if row["posterior"]["basis"] != "prior"]
    together = [row for row in read if _groups(row["pooled"]) >= _TOGETHER]
    return {
        "table": _posteriors(inputs, read, lang),
        "prior": _prior_only(inputs, [row for row in effects if row["posterior"]["basis"] == "prior"], lang),
        "pooled": [
            _pooled(inputs, row["pooled"], lang, title=_outcome(row, lang), unit=_unit(row, lang)) for row in together
        ],
        "left_out": left_out(inputs, [each for row in effects for each in row["left_out"]], lang),
        "collection": _told(inputs.synthesis["collection"], lang) if effects else Said(""),
    }


def of_difficulty(inputs: Inputs, difficulty_id: str, lang: Lang) -> View:
    """What all findings on one difficulty say together, in standard deviations; empty where there is no synthesis."""
    found = inputs.synthesis.get("difficulties", {}).get(difficulty_id)
    if not found:
        return {}
    pooled, t = found["pooled"], texts(lang)
    return {
        "pooled": _pooled(inputs, pooled, lang, title=Said(""), unit=t("believe.sd"))
        if _groups(pooled) >= _TOGETHER
        else None,
        "why_not": _told(pooled, lang) if not pooled["computed"] else Said(t("believe.one_only")),
        "left_out": left_out(inputs, found["left_out"], lang),
        "collection": _told(inputs.synthesis["collection"], lang),
    }


def left_out(inputs: Inputs, rows: Sequence[Row], lang: Lang) -> Markup:
    """Findings that entered no estimate, each with its reason."""
    t = texts(lang)
    lines = [
        {
            t("columns.finding"): _finding(inputs, row["id"], lang),
            t("columns.reason"): cells.tell(_told(row, lang)),
        }
        for row in {row["id"]: row for row in rows if row["id"] in inputs.records}.values()
    ]
    return (
        tables.html(tables.frame(lines), caption=t("believe.left_out", count=len(lines)), lang=lang)
        if lines
        else Markup("")
    )


# posteriors ----------------------------------------------------------------------------------------------------------


def _posteriors(inputs: Inputs, rows: Sequence[Row], lang: Lang) -> Markup:
    t = texts(lang)
    lines = [
        {
            t("columns.outcome"): cells.tell(_outcome(row, lang)),
            t("believe.what"): _amount(inputs, row, lang),
            t("believe.chance"): chance(row["posterior"], lang),
            t("believe.basis"): cells.tell(_sentence(said(row["posterior"], "reason", lang))),
        }
        for row in rows
    ]
    return tables.html(tables.frame(lines), caption=t("believe.caption"), lang=lang) if lines else Markup("")


def _amount(inputs: Inputs, row: Row, lang: Lang) -> Markup:
    """Mean and interval in the unit of the outcome, told as findings are told."""
    posterior, finding = row["posterior"], row["findings"][0]
    printed = inputs.findings.get(finding["id"], {})
    low, high = _ends(inputs, posterior)
    mean, change = float(posterior["mean"]), math.exp if finding["ratio"] else float
    told = words.Claimed(
        kind="effect",
        grade=int(posterior["grade"]),
        estimate=change(mean),
        ci_low=change(low),
        ci_high=change(high),
        unit_kind=printed.get("unit_kind") or "none",
        unit=_unit(row, lang),
        no_effect=1.0 if finding["ratio"] else 0.0,
    )
    interval = texts(lang)("believe.interval", level=_level(inputs, lang), span=words.span(told, lang))
    return Markup('<b>{}</b><br><span class="small">{}</span>').format(words.amount(told, lang), interval)


def _ends(inputs: Inputs, posterior: Row) -> tuple[float, float]:
    reach = NormalDist().inv_cdf((1 + inputs.synthesis["settings"]["level"]) / 2) * posterior["sd"]
    return posterior["mean"] - reach, posterior["mean"] + reach


def _level(inputs: Inputs, lang: Lang) -> str:
    return locale.percent(inputs.synthesis["settings"]["level"], lang)


def chance(posterior: Row, lang: Lang) -> str:
    """P(useful) and P(unfavourable), or that nobody could work them out."""
    t = texts(lang)
    if posterior["useful"] is None:
        return t("believe.no_chance")
    return t(
        "believe.chances",
        useful=probability(posterior["useful"], lang),
        smallest=locale.number(posterior["smallest_effect"], lang),
        unfavourable=probability(posterior["unfavourable"], lang),
    )


def probability(value: float, lang: Lang) -> str:
    """Write a probability in whole percent; never 0 or 100, which nothing here can claim."""
    if value > 0.99:
        return texts(lang)("bounds.lower", value=locale.percent(0.99, lang))
    if value < 0.01:
        return texts(lang)("bounds.upper", value=locale.percent(0.01, lang))
    return locale.percent(value, lang, digits=0)


def _prior_only(inputs: Inputs, rows: Sequence[Row], lang: Lang) -> str:
    """What is left to believe where no figure was read with its margin of error: the prior, said to be one."""
    if not rows:
        return ""
    t, posterior = texts(lang), rows[0]["posterior"]
    low, high = _ends(inputs, posterior)
    return t(
        "believe.prior_one" if len(rows) == 1 else "believe.prior",
        count=len(rows),
        outcomes=", ".join(_outcome(row, lang).text for row in rows),
        mean=locale.number(posterior["mean"], lang),
        level=_level(inputs, lang),
        interval=locale.interval(low, high, lang, digits=2),
        useful=probability(posterior["useful"], lang),
    )


# pooled --------------------------------------------------------------------------------------------------------------


def _groups(pooled: Row) -> int:
    return int(pooled["groups"]) if pooled["computed"] else 0


def _pooled(inputs: Inputs, pooled: Row, lang: Lang, *, title: Said, unit: str) -> View:
    """Several findings as one estimate, where a new study would probably fall, and the findings that entered."""
    t, found, ahead = texts(lang), pooled["random"], pooled["prediction"]
    told = t(
        "believe.pooled",
        groups=pooled["groups"],
        estimate=locale.number(found["estimate"], lang, digits=2),
        unit=unit,
        level=_level(inputs, lang),
        interval=locale.interval(found["ci_low"], found["ci_high"], lang, digits=2),
    )
    predicted = t("believe.no_prediction")
    if ahead["low"] is not None:
        span = locale.interval(ahead["low"], ahead["high"], lang, digits=2)
        predicted = t("believe.prediction", interval=span, unit=unit)
    return {"title": title, "told": told, "predicted": predicted, "used": _used(inputs, pooled, lang)}


def _used(inputs: Inputs, pooled: Row, lang: Lang) -> Markup:
    t = texts(lang)
    rows = [
        {
            t("columns.finding"): _finding(inputs, row["id"], lang),
            t("columns.estimate"): locale.number(row["estimate"], lang, digits=2),
            t("columns.std_error"): locale.number(row["std_error"], lang, digits=2),
            t("believe.weight"): locale.percent(row["weight"], lang, digits=0),
        }
        for row in pooled["records"]
    ]
    return tables.html(tables.frame(rows), caption=t("believe.used", count=len(rows)), lang=lang)


# pieces --------------------------------------------------------------------------------------------------------------


def _finding(inputs: Inputs, record_id: str, lang: Lang) -> Markup:
    """Outcome and citation of a finding."""
    record, printed = inputs.records[record_id], inputs.findings.get(record_id, {})
    outcome = said(printed, "outcome", lang) if printed else Said(record["outcome"]["name"])
    citation = locale.typography(record["source"].get("citation") or "", lang)
    return Markup('{}<br><span class="small">{}</span>').format(cells.tell(_sentence(outcome)), citation)


def _told(row: Row, lang: Lang) -> Said:
    """A sentence that stands in both languages under their names."""
    return Said(locale.typography(row[lang], lang))


def _outcome(row: Row, lang: Lang) -> Said:
    return _sentence(said(row, "outcome", lang))


def _unit(row: Row, lang: Lang) -> str:
    return said(row, "unit", lang).text


def _sentence(text: Said) -> Said:
    return Said(text.text[:1].upper() + text.text[1:], text.lang)
