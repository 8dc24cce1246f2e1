"""What stands in the cells of tables: figures with their sources, shares, links, texts in another language."""

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup, escape

from evaluation.report import locale
from evaluation.report.inputs import Row, Said, said
from evaluation.report.locale import NBSP, Lang
from evaluation.report.texts import texts

NOTHING: Final = escape("–")

_WEB: Final = ("https://", "http://")
_BAR: Final = Markup(
    '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
    '<rect width="100" height="8" class="all"/><rect width="{}" height="8" class="part"/></svg>'
)


def figure(row: Row, lang: Lang, *, labelled: bool = True) -> Markup:
    """Write a number with its unit and year, then what it counts, where it comes from and how it was read."""
    year = f" ({row['year']})" if row.get("year") else ""
    details = [tell(said(row, "label", lang))] if labelled else []
    details += [link(address) for address in addresses(str(row.get("source") or row.get("source_address") or ""))]
    details += [escape(texts(lang)("site.synthetic"))] if row.get("synthetic") else []
    details += [escape(label(lang, "confidence", row.get("confidence")))]
    line = Markup(", ").join(part for part in details if part)
    return Markup('<b>{}</b>{}<br><span class="small">{}</span>').format(counted(row, lang), year, line)


def counted(row: Row, lang: Lang) -> str:
    """Write a number or a range and what it counts: 'plus de 1 600 groupes', '15 millions d’adultes'."""
    t, unit = texts(lang), said(row, "unit", lang).text
    low, value, high = (row.get(name) for name in ("low", "value", "high"))
    if value is None and low is not None and high is not None:
        return t("site.range", low=locale.people(low, lang), high=locale.people(high, lang, unit))
    known = next(float(number) for number in (value, high, low) if number is not None)
    bound = row.get("bound") or ("exact" if value is not None else "upper" if high is not None else "lower")
    return t(f"bounds.{bound}", value=locale.people(known, lang, unit))


def share(row: Row, lang: Lang) -> Markup:
    """Write the share covered or its range, whether it is a flow or a stock, and a bar from nothing to everybody."""
    if row.get("share") is None:
        return NOTHING
    width = max(1.0, min(100.0, 100 * float(row["share"])))
    bar = _BAR.format(f"{width:.4g}")
    return Markup("<b>{}</b> {}{}").format(share_text(row, lang), texts(lang)(f"kinds.{row['share_kind']}"), bar)


def share_text(row: Row, lang: Lang) -> str:
    """Write a share: '0,07 à 0,16 %', or 'moins de 7,7 %' where the reach is an upper bound."""
    t = texts(lang)
    low, high = (float(row.get(name) or row["share"]) for name in ("share_low", "share_high"))
    first, last = percentage(low, lang), percentage(high, lang)
    text = last if first == last else t("site.range", low=first.removesuffix(f"{NBSP}%"), high=last)
    bound = (row.get("reach") or {}).get("bound") or "exact"
    return t(f"bounds.{bound}", value=text)


def percentage(value: float, lang: Lang) -> str:
    """Write a share of the need with two significant digits: 0,16 %, 17 %."""
    digits = 0 if value >= 0.1 else 1 if value >= 0.01 else 2
    return locale.percent(value, lang, digits=digits)


def stack(items: Sequence[Markup]) -> Markup:
    """Put cells one below the other."""
    return Markup("").join(Markup("<div>{}</div>").format(item) for item in items) or NOTHING


def addresses(text: str) -> list[dict[str, str]]:
    """Split printed addresses; only those on the web become links, whatever else they look like.

    Returns:
        For each address the text to show and `href`, which is empty unless it starts with http:// or https://.
    """
    parts = [part.strip() for part in text.split(" ; ") if part.strip()]
    return [{"text": _site(part), "href": part if part.startswith(_WEB) else ""} for part in parts]


def link(address: Mapping[str, str]) -> Markup:
    """Make a link of an address that `addresses` gave, or its text where it is not on the web."""
    if not address["href"]:
        return escape(address["text"])
    return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(address["href"], address["text"])


def tell(text: Said) -> Markup:
    """Write a text, with its language where that is not the language of the page."""
    if text.lang is None:
        return escape(text.text)
    return Markup('<span lang="{}">{}</span>').format(text.lang, text.text)


def label(lang: Lang, section: str, key: str | None) -> str:
    """Find the word for a code, or 'not known' where there is none."""
    return texts(lang)(f"{section}.{key}") if key else texts(lang)("site.none")


def _site(address: str) -> str:
    """The site of a web address, or the text itself."""
    return address.split("/")[2].removeprefix("www.") if address.startswith(_WEB) else address
