"""One finding as a card, and what stands beside it: its grade, the cost of the innovation, everything for experts."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from markupsafe import Markup

from evaluation.report import cells, locale, sensitivity_words, tables, words
from evaluation.report.inputs import Inputs, Row, Said, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]

_LIMITS_SHOWN: Final = 3
_SYMBOLS: Final[Mapping[words.Valence, str]] = {
    "favourable": "▲",
    "unfavourable": "▼",
    "none": "=",
    "unjudged": "↔",
    "unknown": "?",
    "not_an_effect": "○",
    "not_read": "○",
}
_SHOWN_ELSEWHERE: Final = ("effects", "checks", "notes", "sensitivity")
_GRADE_FIELDS: Final = ("ceiling", "ceiling_rule", "verdict", "rubric")
_PRINTED_FIELDS: Final = ("design", "note")


def finding(inputs: Inputs, record: Row, lang: Lang) -> View:
    """Show one finding: outcome, sentence, grade with reasons, comparison, place, source."""
    grade, printed = inputs.grades[record["id"]], inputs.findings.get(record["id"], {})
    told = claimed(record, grade, printed, lang)
    valence, figure = words.valence(told), _claimed_figure(record, printed, lang)
    return {
        "id": record["id"],
        "outcome": _outcome(record, printed, lang),
        "sentence": words.sentence(told, lang),
        "claim": figure,
        "caution": said(printed, "caution", lang),
        "valence": valence,
        "valence_label": words.valence_label(told, lang),
        "symbol": _SYMBOLS[valence],
        "short": _short(told, figure, lang),
        "grade": _grade(grade, lang),
        "facts": _facts(record, printed, lang),
        "source": Said(locale.typography(record["source"].get("citation") or "", lang)),
        "addresses": cells.addresses(record["source"].get("address") or ""),
        "confidence": cells.label(lang, "confidence", record["source"].get("confidence")),
        "simulated": record["simulated"],
    }


def expert(inputs: Inputs, record: Row, lang: Lang) -> View:
    """Show everything else that is known of a finding: what would overturn it, all fields, all checks."""
    grade, printed = inputs.grades[record["id"]], inputs.findings.get(record["id"], {})
    return {
        "fields": _fields(record, grade, printed, lang),
        "checks": _checks(record, lang),
        "overturn": sensitivity_words.sentences(record.get("sensitivity", ()), lang),
    }


def claimed(record: Row, grade: Row, printed: Row, lang: Lang) -> words.Claimed:
    """Gather what words need about a finding.

    Args:
        record: the record.
        grade: its grade.
        printed: its row in the portfolio; empty for what was estimated here.
        lang: language of the unit.
    """
    headline, outcome = record["headline"], record["outcome"]
    return words.Claimed(
        kind=record["kind"],
        grade=grade["value"],
        verdict=grade["verdict"],
        direction=headline["direction"],
        better=outcome["better"],
        estimate=headline["estimate"],
        ci_low=headline["ci_low"],
        ci_high=headline["ci_high"],
        unit_kind=printed.get("unit_kind") or "none",
        unit=locale.typography((outcome.get("unit_fr") or outcome["unit"]) if lang == "fr" else outcome["unit"], lang),
        comparison_mean=headline["comparison_mean"],
        smallest_effect=outcome["smallest_effect"],
        no_effect=outcome.get("no_effect") or 0.0,
    )


def cost(row: Row, lang: Lang) -> View:
    """Show one cost: amount or range, per what, when, from where."""
    t, basis = texts(lang), row["basis"]
    key = "innovation.cost_per" if basis == "participant" else "innovation.cost_basis"
    year = row["year"] or t("innovation.year_unknown")
    return {
        "basis": basis,
        "amount": _money(row, lang),
        "text": t(key, amount=_money(row, lang), year=year, basis=t(f"bases.{basis}")),
        "note": said(row, "note", lang),
        "source": locale.typography(row.get("source_title") or "", lang),
        "addresses": cells.addresses(row.get("source_address") or ""),
        "confidence": cells.label(lang, "confidence", row.get("confidence")),
    }


def _outcome(record: Row, printed: Row, lang: Lang) -> Said:
    """The outcome in the reader's language, with a capital, as it stands alone."""
    row = printed or {"outcome_fr": record["outcome"].get("label_fr"), "outcome": record["outcome"]["name"]}
    text = said(row, "outcome", lang)
    return Said(text.text[:1].upper() + text.text[1:], text.lang)


def _claimed_figure(record: Row, printed: Row, lang: Lang) -> str:
    """A figure that is not an effect, with its unit: '46 % des personnes accompagnées'; '' for what is one."""
    claim = record.get("claim")
    if not claim or claim["value"] is None:
        return ""
    unit = said(printed, "unit", lang).text or claim["unit"]
    value = float(claim["value"])
    if unit.startswith("proportion"):
        return locale.percent(value, lang) + unit.removeprefix("proportion")
    return locale.people(value, lang, unit)


def _short(told: words.Claimed, figure: str, lang: Lang) -> str:
    """One line for a table: the amount and its interval, or what stands in their place."""
    if told.kind == "effect" and told.estimate is not None:
        interval = words.span(told, lang)
        return f"{words.amount(told, lang)} ({interval})" if interval else words.amount(told, lang)
    return figure or words.unread(told, lang)


def _grade(grade: Row, lang: Lang) -> View:
    value = int(grade["value"])
    return {
        "value": value,
        "dots": "●" * value + "○" * (5 - value),
        "label": words.grade_label(value, lang),
        "meaning": texts(lang)(f"meanings.{value}"),
        "limits": _first(grade["reasons"], lang),
        "raises": _first(grade["would_raise"], lang),
    }


def _first(sentences: Iterable[Row], lang: Lang) -> list[Said]:
    """The first few sentences of the grade; it puts the weightiest first."""
    return [Said(locale.typography(row[lang], lang)) for row in sentences][:_LIMITS_SHOWN]


def _facts(record: Row, printed: Row, lang: Lang) -> list[tuple[str, str]]:
    """What every reader may ask about a study: comparison, size, place, year, horizon; only what is known."""
    t = texts(lang)
    units, months = record["sample"]["units"] or printed.get("n"), record["outcome"]["horizon_months"]
    facts = {
        "design": t(f"designs.{record['design_class']}"),
        "sample": locale.number(float(units), lang, digits=0) if units else "",
        "place": _place(record, printed, lang),
        "year": str(record["source"]["year"] or ""),
        "horizon": "" if months is None else t("innovation.months", count=locale.number(float(months), lang)),
    }
    return [(t(f"innovation.{name}"), value) for name, value in facts.items() if value]


def _place(record: Row, printed: Row, lang: Lang) -> str:
    kind = record["territory_kind"]
    parts = [said(printed, "country", lang).text, "" if kind == "not_stated" else texts(lang)(f"territories.{kind}")]
    return ", ".join(part for part in parts if part)


def _money(row: Row, lang: Lang) -> str:
    """An amount, or its range where the source gives one."""
    written = {
        name: locale.money(float(row[name]), row["currency"], lang)
        for name in ("low", "value", "high")
        if row.get(name) is not None
    }
    if "value" in written:
        return written["value"]
    key = {("low", "high"): "range", ("high",): "at_most", ("low",): "at_least"}[tuple(written)]
    return texts(lang)(f"innovation.cost_{key}", **written)


def _fields(record: Row, grade: Row, printed: Row, lang: Lang) -> Markup:
    """Every field of the record, of the grade and of the printed row but what is shown elsewhere."""
    t = texts(lang)
    trees = [(name, value) for name, value in record.items() if name not in _SHOWN_ELSEWHERE]
    trees += [(name, grade[name]) for name in _GRADE_FIELDS]
    trees += [(name, printed[name]) for name in _PRINTED_FIELDS if printed.get(name)]
    rows = [
        {t("columns.field"): _field_name(path, lang), t("columns.value"): _field_value(path, value, lang)}
        for name, tree in trees
        for path, value in _leaves(name, tree)
    ]
    return tables.html(tables.frame(rows), caption=t("innovation.fields"), lang=lang, cards=False)


def _field_name(path: str, lang: Lang) -> str:
    head, _, rest = path.partition(".")
    name = texts(lang)(f"fields.{head}")
    return f"{name} · {rest}" if rest else name


def _field_value(path: str, value: Any, lang: Lang) -> Any:
    """Yes and no in the reader's language; text as it stands, in English unless its name says French."""
    if isinstance(value, bool):
        return texts(lang)(f"truth.{str(value).lower()}")
    written: Lang = "fr" if path.endswith("_fr") else "en"
    if isinstance(value, str):
        return cells.tell(Said(locale.typography(value, written), None if written == lang else written))
    return value


def _leaves(name: str, tree: Any) -> Iterable[tuple[str, Any]]:
    """Flatten a tree of mappings and lists into dotted names and values."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _leaves(f"{name}.{key}", value)
    elif isinstance(tree, list | tuple):
        for place, value in enumerate(tree, start=1):
            yield from _leaves(f"{name}.{place}", value)
    else:
        yield name, tree


def _checks(record: Row, lang: Lang) -> Markup:
    t = texts(lang)
    rows = [
        {
            t("columns.check"): check["check"],
            t("columns.status"): t(f"status.{check['status']}"),
            t("columns.value"): check["value"],
            t("columns.power"): check["power"],
            t("columns.subject"): check["subject"],
            t("columns.detail"): cells.tell(Said(check["detail"], "en" if lang == "fr" else None)),
        }
        for check in record["checks"]
    ]
    if not rows:
        return Markup("")
    return tables.html(tables.frame(rows), caption=t("innovation.checks"), lang=lang, cards=False)
