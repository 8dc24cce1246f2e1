"""The register of decisions: what was decided, by which rule, by whom, when, when it is looked at again, what changed.

Past decisions are typed in data/portfolio/past_decisions.csv; without it the page says that no decision was revised.
"""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from evaluation.report import cells, locale, tables, views
from evaluation.report.inputs import Inputs, Row, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]


def view(inputs: Inputs, lang: Lang) -> View:
    """One table a decision, the strongest first; what asks for something to be done before what lacks data."""
    t = texts(lang)
    return {
        "sections": [
            {"id": decision.lower().replace("_", "-"), "title": t(f"decisions.{decision}"), "table": table}
            for decision in views.DECISIONS
            if (table := _table(inputs, [row for row in inputs.decisions if row["decision"] == decision], lang))
        ],
        "count": len(inputs.decisions),
        "revised": sum(bool(_past(inputs, row)) for row in inputs.decisions),
    }


def _table(inputs: Inputs, rows: Sequence[Row], lang: Lang) -> Markup:
    if not rows:
        return Markup("")
    t = texts(lang)
    lines = [_line(inputs, row, lang) for row in rows]
    caption = t("register.caption", decision=t(f"decisions.{rows[0]['decision']}"), count=len(rows))
    return tables.html(tables.frame(lines), caption=caption, lang=lang)


def _line(inputs: Inputs, row: Row, lang: Lang) -> View:
    t, decided = texts(lang), views.decided(row, lang)
    return {
        t("columns.innovation"): _innovation(inputs, row, lang),
        t("innovation.rule"): decided["rule"],
        t("innovation.decided"): decided["date"],
        t("innovation.review"): decided["review"],
        t("innovation.owner"): locale.typography(decided["owner"], lang),
        t("register.since"): _since(inputs, row, lang),
    }


def _innovation(inputs: Inputs, row: Row, lang: Lang) -> Markup:
    """The name as a link, and the difficulty."""
    label = cells.tell(said(inputs.innovation(row["innovation"]), "label", lang))
    difficulty = cells.tell(said(inputs.difficulty(row["difficulty"]), "label", lang))
    form = Markup('<a href="innovations/{}.html">{}</a><br><span class="small">{}</span>')
    return form.format(row["innovation"], label, difficulty)


def _past(inputs: Inputs, row: Row) -> list[Row]:
    """Earlier decisions about the same innovation that were not the same, oldest first."""
    rows = [each for each in inputs.past_decisions if each["innovation"] == row["innovation"]]
    return sorted((each for each in rows if each["decision"] != row["decision"]), key=lambda each: each["date"])


def _since(inputs: Inputs, row: Row, lang: Lang) -> str:
    """The last decision that was another one, or that this is the first."""
    t, past = texts(lang), _past(inputs, row)
    if not past:
        return t("register.first")
    before = t(f"decisions.{past[-1]['decision']}")
    return t("register.was", decision=before, date=locale.date(past[-1]["date"], lang))
