"""Two pages for those who neither fund nor decide: people who refer others to a programme, and everybody.

Both say what the other pages say, from the same records, in fewer words. What nobody recorded, such as the conditions
of entry of a programme or where to knock in a territory, is said to be missing.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from evaluation.report import cards, cells, locale, tables, views, words
from evaluation.report.inputs import Inputs, Row, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]


def referrers(inputs: Inputs, lang: Lang) -> View:
    """For each difficulty the programmes that exist in France: who runs them, what to expect, what it costs."""
    sections = [_difficulty(inputs, row, lang) for row in inputs.difficulties]
    return {"sections": [section for section in sections if section["table"]]}


def citizens(inputs: Inputs, lang: Lang) -> View:
    """In easy words: what the site is for, what is known of each difficulty, what anybody can do."""
    t, counts = texts(lang), Counter(row["decision"] for row in inputs.decisions)
    ready = sum(counts[decision] for decision in words.SCALING)
    return {
        "known": [
            t("citizens.count", innovations=len(inputs.decisions), difficulties=len(inputs.difficulties)),
            t("citizens.ready", count=ready) if ready else t("citizens.none_ready"),
            t("citizens.test", count=counts[views.TEST]),
            *([t("citizens.revise", count=counts["REVOIR"])] if counts["REVOIR"] else []),
            *([t("citizens.dropped", count=counts["NE_PAS_RETENIR"])] if counts["NE_PAS_RETENIR"] else []),
            t("citizens.lacking", count=counts[views.LACKING]),
        ],
        "difficulties": [
            {
                "id": row["id"],
                "label": said(row, "label", lang),
                "said": said(row, "said", lang),
                "lines": _in_easy_words(inputs, row["id"], lang),
            }
            for row in inputs.difficulties
        ],
    }


def _difficulty(inputs: Inputs, row: Row, lang: Lang) -> View:
    rows = [
        (inputs.innovation(decision["innovation"]), decision)
        for decision in inputs.decisions
        if decision["difficulty"] == row["id"] and inputs.innovation(decision["innovation"])["in_france"]
    ]
    label = said(row, "label", lang)
    return {
        "id": row["id"],
        "label": label,
        "publics": [said(public, "label", lang) for public in row["publics"]],
        "table": _programmes(inputs, rows, lang, caption=texts(lang)("referrers.caption", difficulty=label.text)),
    }


def _programmes(inputs: Inputs, rows: Sequence[tuple[Row, Row]], lang: Lang, *, caption: str) -> Markup:
    t = texts(lang)
    lines = [
        {
            t("columns.innovation"): _programme(innovation, lang),
            t("referrers.operator"): locale.typography(innovation.get("operator") or "", lang)
            or t("referrers.operator_unknown"),
            t("referrers.expect"): _expected(inputs, decision, lang),
            t("here.cost_per_person"): _cost(inputs, innovation["id"], lang),
        }
        for innovation, decision in rows
    ]
    return tables.html(tables.frame(lines), caption=caption, lang=lang) if lines else Markup("")


def _programme(innovation: Row, lang: Lang) -> Markup:
    link = Markup('<a href="innovations/{}.html">{}</a>').format(
        innovation["id"], cells.tell(said(innovation, "label", lang))
    )
    return Markup('{}<br><span class="small">{}</span>').format(link, cells.tell(said(innovation, "summary", lang)))


def _expected(inputs: Inputs, decision: Row, lang: Lang) -> Markup:
    """The best finding in one line, with its grade; that there is none where none was read."""
    record = views.shown_record(inputs, decision)
    if record is None:
        return Markup("{}").format(texts(lang)("innovation.effects_none"))
    found = cards.finding(inputs, record, lang)
    return Markup('<b>{}</b><br>{}<br><span class="small">{} ({})</span>').format(
        found["valence_label"], cells.tell(found["outcome"]), found["short"], found["grade"]["label"]
    )


def _cost(inputs: Inputs, innovation_id: str, lang: Lang) -> str:
    rows = [row for row in inputs.costs if row["innovation"] == innovation_id and row["basis"] == "participant"]
    return cards.cost(rows[0], lang)["amount"] if rows else texts(lang)("site.none")


def _in_easy_words(inputs: Inputs, difficulty_id: str, lang: Lang) -> list[str]:
    """How many answers there are, how many are to be tested, how many nobody studied well enough."""
    t = texts(lang)
    own = Counter(row["decision"] for row in inputs.decisions if row["difficulty"] == difficulty_id)
    counts = {
        "answers": sum(own.values()),
        "going": sum(own[decision] for decision in words.SCALING),
        "to_test": own[views.TEST],
        "to_revise": own["REVOIR"],
        "dropped_here": own["NE_PAS_RETENIR"],
        "unknown": own[views.LACKING],
    }
    return [
        t(f"citizens.{name}" if count != 1 else f"citizens.{name}_one", count=locale.number(count, lang))
        for name, count in counts.items()
        if count or name == "answers"
    ]
