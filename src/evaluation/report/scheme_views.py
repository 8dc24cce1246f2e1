"""What other schemes say of the findings of one innovation, beside our grade, from data/evidence/schemes.json.

A verdict that cannot be given is shown with what the record does not say, and with the verdicts between which it lies.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from evaluation.report import cells, locale, tables
from evaluation.report.inputs import Inputs, Row, Said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]

_UNJUDGED: Final = ("cannot_be_judged", "not_covered")


def equivalents(inputs: Inputs, record_id: str, lang: Lang) -> Markup:
    """Verdicts of every scheme on one finding, with the rule that gave them or the reason why there is none."""
    verdicts = inputs.schemes.get("verdicts", {}).get(record_id)
    if not verdicts:
        return Markup("")
    t = texts(lang)
    rows = [
        {
            t("schemes.scheme"): _scheme(scheme, lang),
            t("schemes.verdict"): _verdict(scheme, verdicts[scheme["id"]], lang),
            t("columns.reason"): cells.tell(Said(locale.typography(verdicts[scheme["id"]][lang], lang))),
        }
        for scheme in inputs.schemes["schemes"]
        if scheme["id"] in verdicts
    ]
    return tables.html(tables.frame(rows), caption=t("schemes.caption"), lang=lang)


def short(inputs: Inputs, record_id: str, lang: Lang) -> list[tuple[str, str]]:
    """Short name of each scheme that gives a verdict on a finding, and the verdict; for where there is little room."""
    verdicts = inputs.schemes.get("verdicts", {}).get(record_id, {})
    return [
        (scheme["short"], _rating(scheme, verdicts[scheme["id"]]["rating"], lang))
        for scheme in inputs.schemes.get("schemes", ())
        if scheme["id"] in verdicts and verdicts[scheme["id"]]["rating"] not in _UNJUDGED
    ]


def unjudged(inputs: Inputs, record_id: str) -> list[str]:
    """Short names of the schemes that give no verdict on a finding."""
    verdicts = inputs.schemes.get("verdicts", {}).get(record_id, {})
    chosen: Sequence[Row] = inputs.schemes.get("schemes", ())
    return [each["short"] for each in chosen if verdicts.get(each["id"], {}).get("rating") in _UNJUDGED]


def _scheme(scheme: Row, lang: Lang) -> Markup:
    name = Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(scheme["address"], scheme["short"])
    full = locale.typography(scheme[lang], lang)
    return name if full == scheme["short"] else Markup('{}<br><span class="small">{}</span>').format(name, full)


def _verdict(scheme: Row, verdict: Mapping[str, Any], lang: Lang) -> Markup:
    """The rating in bold; where there is none, that it cannot be judged."""
    text = _rating(scheme, verdict["rating"], lang)
    form = Markup("{}") if verdict["rating"] in _UNJUDGED else Markup("<b>{}</b>")
    return form.format(text)


def _rating(scheme: Row, code: str, lang: Lang) -> str:
    return locale.typography(next(each[lang] for each in scheme["ratings"] if each["code"] == code), lang)
