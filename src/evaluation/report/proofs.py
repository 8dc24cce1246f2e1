"""The page of method proofs: famous evaluations redone here beside their published numbers. None is a decision."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
from markupsafe import Markup

from evaluation.report import calibration_views, cards, cells, figures, locale, tables, transfer_views
from evaluation.report.cards import View
from evaluation.report.inputs import Inputs, Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import read, texts

_EXPERT_TABLES: Final = ("codebook", "balance", "attrition_", "hidden_factor", "intervals")  # names, or how they begin
_Z_95: Final = 1.959963984540054


def proofs(inputs: Inputs, lang: Lang) -> View:
    """Every benchmark: our number, the published ones, the grade, and for experts what stands behind."""
    titles = _titles(inputs, lang)
    sections = [_section(inputs, record, titles[record["id"]], lang) for record in inputs.benchmark_records()]
    return {
        "sections": sections,
        "overview": _overview(sections, lang),
        "transfers": transfer_views.proofs(inputs, lang),
        "calibration": calibration_views.proofs(inputs, lang),
        "why_lower": [_named(text, titles, lang) for text in inputs.why_lower.get(lang, ())],
    }


def _titles(inputs: Inputs, lang: Lang) -> dict[str, str]:
    """A name for each evaluation; where two would share one, the id of params.yaml tells them apart."""
    titles = {record["id"]: _title(inputs, record, lang) for record in inputs.benchmark_records()}
    shared = {title for title, count in Counter(titles.values()).items() if count > 1}
    return {key: f"{title} ({key})" if title in shared else title for key, title in titles.items()}


def _title(inputs: Inputs, record: Row, lang: Lang) -> str:
    """Name an evaluation by its innovation and its method, since one innovation may be evaluated several times."""
    label = said(inputs.innovation(record["innovation"]), "label", lang).text
    method = texts(lang)("methods." + record["method"])
    return f"{label}, {method}"


def _named(sentence: str, titles: Mapping[str, str], lang: Lang) -> str:
    """Put names in the place of ids in one pass, the longest id first, since one may be the beginning of another."""
    ids = "|".join(re.escape(key) for key in sorted(titles, key=len, reverse=True))
    return locale.typography(re.sub(ids, lambda found: titles[found.group()], sentence), lang)


def _section(inputs: Inputs, record: Row, title: str, lang: Lang) -> View:
    published = [_published(row, lang) for row in inputs.benchmarks if row["evaluation"] == record["id"]]
    return {
        **cards.finding(inputs, record, lang),
        **cards.expert(inputs, record, lang),
        "title": title,
        "summary": said(inputs.innovation(record["innovation"]), "summary", lang),
        "unit": _unit(inputs, record, lang),
        "ours": _number(record["headline"], lang),
        "data": record["source"].get("data") or "",
        "published": published,
        "naive": _naive(record, lang),
        "figures": _figures(inputs, record, lang),
        "tables": _tables(inputs, record, lang),
    }


def _published(row: Row, lang: Lang) -> View:
    return {
        "what": said(row, "what", lang),
        "number": _number({**row, "estimate": row["value"]}, lang),
        "note": said(row, "note", lang),
        "source": row["source_title"],
        "addresses": cells.addresses(row.get("source_address") or ""),
        "confidence": texts(lang)(f"confidence.{row['confidence']}") if row.get("confidence") else "",
        "row": row,
    }


def _unit(inputs: Inputs, record: Row, lang: Lang) -> Said:
    """Unit in the reader's language, from the published row where the design names it in English only."""
    row = next((row for row in inputs.benchmarks if row["evaluation"] == record["id"]), {})
    return said(row, "unit", lang) if row else said(record["outcome"], "unit", lang)


def _number(row: Mapping[str, Any], lang: Lang) -> str:
    """An estimate with its interval or, failing that, its standard error."""
    if row.get("estimate") is None:
        return texts(lang)("proofs.unread")
    text = locale.number(float(row["estimate"]), lang)
    low, high, error = row.get("ci_low"), row.get("ci_high"), row.get("std_error")
    if low is not None and high is not None:
        return f"{text} ({locale.interval(float(low), float(high), lang)})"
    if error is not None:
        word = texts(lang)("columns.std_error").lower()
        return f"{text} ({word} {locale.number(float(error), lang)})"
    return text


def _naive(record: Row, lang: Lang) -> str:
    """The raw difference, where a method corrected one."""
    rows = [
        row
        for row in record["effects"]
        if row["term"] == "raw_difference"
        and row["role"] != "headline"
        and row["outcome"] == _headline(record)["outcome"]
    ]
    return texts(lang)("proofs.naive_note", raw=_number(rows[0], lang)) if rows else ""


def _headline(record: Row) -> Row:
    return next((row for row in record["effects"] if row["role"] == "headline"), {"outcome": record["outcome"]["name"]})


def _overview(sections: list[View], lang: Lang) -> Markup:
    t = texts(lang)
    rows = [
        {
            t("columns.evaluation"): _evaluation_cell(section),
            t("proofs.ours"): _with_unit(section["ours"], section["unit"]),
            t("proofs.published"): _published_cell(section["published"], t),
            t("columns.grade"): Markup('<span class="dots" aria-hidden="true">{dots}</span> {label}').format_map(
                section["grade"]
            ),
        }
        for section in sections
    ]
    return tables.html(tables.frame(rows), caption=t("proofs.caption"), lang=lang) if rows else Markup("")


def _evaluation_cell(section: View) -> Markup:
    cell = Markup('<a href="#{}">{}</a><br><span class="small">{}</span>')
    return cell.format(section["id"], section["title"], section["data"])


def _with_unit(number: str, unit: Said) -> Markup:
    return Markup('{}<br><span class="small">{}</span>').format(number, unit.text)


def _published_cell(published: list[View], t: Any) -> Markup:
    if not published:
        return Markup('<span class="small">{}</span>').format(t("proofs.none_published"))
    lines = [Markup('{}<br><span class="small">{}{}</span>').format(*_published_line(item)) for item in published]
    return Markup("<br>").join(lines)


def _published_line(item: View) -> tuple[str, str, str]:
    """Number, what it is, and how it was read where that is not beyond doubt."""
    doubtful = item["row"]["confidence"] in ("recalled", "claim")
    return item["number"], item["what"].text, f" ({item['confidence']})" if doubtful else ""


def _figures(inputs: Inputs, record: Row, lang: Lang) -> list[View]:
    """Our number beside the published ones, effects over time and by territory, balance: what there is to draw."""
    t = texts(lang)
    effects = pd.DataFrame(record["effects"])
    unit = _unit(inputs, record, lang).text
    headline = effects[effects.outcome == _headline(record)["outcome"]] if len(effects) else effects
    drawn = [("figure_compare", _compared(inputs, record, unit, lang))]
    if _count(headline, "event_time") > 1:
        drawn.append(("figure_event", figures.event_study(headline, unit, lang)))
    if _count(headline, "territory") > 1:
        drawn.append(("figure_territory", figures.territories(headline, unit, lang)))
    balance = inputs.tables.get(record["id"], {}).get("balance")
    if balance is not None and len(balance):
        drawn.append(("figure_balance", figures.love_plot(balance, lang)))
    bins = inputs.tables.get(record["id"], {}).get("score_bins")
    if bins is not None and len(bins):
        drawn.append(("figure_discontinuity", figures.discontinuity(bins, unit, lang)))
    variants, axes = (inputs.tables.get(record["id"], {}).get(f"specification{name}") for name in ("s", "_axes"))
    if variants is not None and axes is not None and len(variants):
        drawn.append(("figure_variants", figures.specification_curve(variants, list(axes["axis"]), unit, lang)))
    stages = inputs.tables.get(record["id"], {}).get("stages")
    if stages is not None and len(stages):
        drawn.append(("figure_stages", figures.stages(stages, unit, lang)))
    flow = inputs.tables.get(record["id"], {}).get("attrition_flow")
    if flow is not None and len(flow):
        drawn.append(("figure_attrition", figures.attrition_flow(flow, lang)))
    return [{"caption": t(f"proofs.{name}"), "markup": Markup(figures.svg(figure))} for name, figure in drawn if figure]  # noqa: S704


def _count(effects: pd.DataFrame, term: str) -> int:
    return int((effects.term == term).sum()) if len(effects) else 0


def _compared(inputs: Inputs, record: Row, unit: str, lang: Lang) -> Any:
    t = texts(lang)
    ours = {"label": t("proofs.ours"), **_ends(record["headline"])}
    published = [
        {"label": said(row, "what", lang).text, **_ends({**row, "estimate": row["value"]})}
        for row in inputs.benchmarks
        if row["evaluation"] == record["id"]
    ]
    if not published or record["headline"]["estimate"] is None:
        return None
    return figures.forest(pd.DataFrame([ours, *published]), unit, lang)


def _ends(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Estimate and interval; from a printed standard error alone, the normal interval."""
    estimate, low, high, error = (row.get(name) for name in ("estimate", "ci_low", "ci_high", "std_error"))
    if estimate is not None and low is None and error is not None:
        low, high = estimate - _Z_95 * error, estimate + _Z_95 * error
    return {"estimate": estimate, "ci_low": low, "ci_high": high}


def _tables(inputs: Inputs, record: Row, lang: Lang) -> list[View]:
    """For experts, each behind its name: flow of rows, codebook, balance, who was lost, sensitivity, all effects."""
    t = texts(lang)
    own = inputs.tables.get(record["id"], {})
    chosen = [name for start in _EXPERT_TABLES for name in sorted(own) if name.startswith(start)]
    found = [(t("proofs.flow"), _flow(record, lang))]
    found += [(_table_name(name, lang), _readable(own[name], lang)) for name in chosen]
    found.append((t("proofs.effects"), _effects(record, t, lang)))
    return [
        {
            "caption": caption,
            "markup": tables.html(frame.astype(object), caption=caption, lang=lang, cards=False),
        }
        for caption, frame in found
        if len(frame)
    ]


def _table_name(name: str, lang: Lang) -> str:
    """The title of a table; its own name where nobody wrote one."""
    return locale.typography(read(lang)["proofs"].get(name, name.replace("_", " ")), lang)


def _readable(frame: pd.DataFrame, lang: Lang) -> pd.DataFrame:
    """The same table without empty columns, its headers in words."""
    headers = read(lang)["headers"]
    named = {column: locale.typography(headers[column], lang) for column in frame.columns if column in headers}
    return frame.dropna(axis="columns", how="all").rename(columns=named)


def _flow(record: Row, lang: Lang) -> pd.DataFrame:
    t, steps = texts(lang), read(lang)["steps"]
    rows = [
        {
            t("columns.step"): steps.get(step["step"], step["step"]),
            t("columns.dropped"): step["dropped"],
            t("columns.left"): step["left"],
            t("columns.reason"): cells.tell(Said(step["reason"], "en" if lang == "fr" else None)),
        }
        for step in record["sample"]["flow"]
    ]
    return tables.frame(rows)


def _effects(record: Row, t: Any, lang: Lang) -> pd.DataFrame:
    named = ("cohort", "period", "event_time", "territory", "subgroup")
    rows = [
        {
            t("columns.term"): t(f"terms.{row['term']}"),
            t("fields.outcome"): row["outcome"],
            t("columns.detail"): ", ".join(f"{name} {row[name]}" for name in named if row[name] is not None),
            t("columns.estimate"): row["estimate"],
            t("columns.std_error"): row["std_error"],
            t("columns.interval"): _interval(row, lang),
            t("columns.p_value"): row["p_value"],
        }
        for row in record["effects"]
    ]
    return tables.frame(rows)


def _interval(row: Row, lang: Lang) -> str:
    if row["ci_low"] is None or row["ci_high"] is None:
        return ""
    return locale.interval(float(row["ci_low"]), float(row["ci_high"]), lang)
