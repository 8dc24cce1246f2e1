"""Numbers, amounts and dates as a French or an English reader writes them.

French: decimal comma, narrow no-break space (U+202F) between thousands, no-break space (U+00A0) before a unit. Minus is
U+2212 in both languages.
"""

import math
import re
from collections.abc import Mapping
from datetime import date as Date
from typing import Final, Literal

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from evaluation.settings.typography import french

Lang = Literal["fr", "en"]

NBSP: Final = "\u00a0"
MINUS: Final = "\u2212"

_DATES: Final[Mapping[Lang, str]] = {"fr": "fr", "en": "en_GB"}  # readers in Europe
_SIGNIFICANT: Final = 3
_MILLION: Final = 1_000_000


def number(value: float, lang: Lang, *, digits: int | None = None) -> str:
    """Write a number with at most `digits` decimals (three significant digits when None)."""
    places = _decimals(value) if digits is None else digits
    pattern = "#,##0" + ("." + "#" * places if places else "")
    text: str = format_decimal(_no_negative_zero(value, places), format=pattern, locale=lang)
    return text.replace("-", MINUS)


def signed(value: float, lang: Lang, *, digits: int | None = None) -> str:
    """Write a number with its sign, plus included."""
    text = number(value, lang, digits=digits)
    return text if text.startswith(MINUS) or text == "0" else f"+{text}"


def percent(share: float, lang: Lang, *, digits: int | None = None) -> str:
    """Write a share (0 to 1) as a percentage."""
    text = number(100 * share, lang, digits=digits)
    return f"{text}{NBSP}%" if lang == "fr" else f"{text}%"


def points(difference: float, lang: Lang, *, digits: int | None = None) -> str:
    """Write a difference of two shares (0 to 1) in percentage points, never in %."""
    amount = 100 * difference
    text = number(amount, lang, digits=digits)
    return f"{text}{NBSP}{_point_word(amount, lang)}"


def money(value: float, currency: str, lang: Lang, *, digits: int = 0) -> str:
    """Write an amount of money; `currency` is an ISO 4217 code."""
    amount = "#,##0" + ("." + "0" * digits if digits else "")
    pattern = f"{amount}{NBSP}¤" if lang == "fr" else f"¤{amount}"
    text: str = format_currency(value, currency, format=pattern, locale=lang, currency_digits=False)
    return text.replace("-", MINUS)


def people(value: float, lang: Lang, unit: str = "") -> str:
    """Write a count and what it counts; from one million on, in millions: '15 millions d’adultes'."""
    if abs(value) < _MILLION:
        return _joined(number(value, lang, digits=0 if abs(value) >= 100 else None), unit, lang)
    millions = value / _MILLION
    text = f"{number(millions, lang, digits=2)}{NBSP}{_million_word(millions, lang)}"
    return _joined(text, _of(unit) if lang == "fr" else unit, lang)


def interval(low: float, high: float, lang: Lang, *, digits: int | None = None) -> str:
    """Write an interval in words: 'de 1 à 3', 'from 1 to 3'."""
    first, last = number(low, lang, digits=digits), number(high, lang, digits=digits)
    return f"de{NBSP}{first} à{NBSP}{last}" if lang == "fr" else f"from {first} to {last}"


def p_value(value: float, lang: Lang) -> str:
    """Write a p-value; never 'p = 0'."""
    smallest = 0.001
    if value < smallest:
        return f"p{NBSP}<{NBSP}{number(smallest, lang)}"
    return f"p{NBSP}={NBSP}{number(value, lang, digits=3)}"


def date(value: str | Date, lang: Lang) -> str:
    """Write a date (ISO text or date) in full; the first of a month is '1er' in French."""
    day = Date.fromisoformat(value) if isinstance(value, str) else value
    text: str = format_date(day, format="long", locale=_DATES[lang])
    return re.sub(r"^1 ", "1er ", text).replace(" ", NBSP) if lang == "fr" else text


def typography(text: str, lang: Lang) -> str:
    """Set the spaces and apostrophes of French printing in a running text; English is left alone."""
    return french(text).replace("'", "’") if lang == "fr" else text


def _decimals(value: float) -> int:
    """Decimals that leave three significant digits (none from 100 on)."""
    if value == 0 or not math.isfinite(value):
        return 0
    return max(0, _SIGNIFICANT - 1 - math.floor(math.log10(abs(value))))


def _no_negative_zero(value: float, places: int) -> float:
    """Avoid '-0' for what rounds to zero."""
    return 0.0 if round(value, places) == 0 else value


def _million_word(millions: float, lang: Lang) -> str:
    return "millions" if lang == "fr" and abs(millions) >= 2 else "million"


def _of(unit: str) -> str:
    """'de' before what a French million counts, elided before a vowel."""
    if not unit or unit.startswith("%"):
        return unit
    return f"d’{unit}" if unit[0].lower() in "aàâeéèêiîoôuhy" else f"de {unit}"


def _joined(text: str, unit: str, lang: Lang) -> str:
    """A number and its unit; English writes % without a space."""
    if not unit or (lang == "en" and unit.startswith("%")):
        return text + unit
    return f"{text}{NBSP}{unit}"


def _point_word(amount: float, lang: Lang) -> str:
    """'point' is plural from 2 on in French, for all but 1 in English."""
    if lang == "fr":
        return "points" if abs(amount) >= 2 else "point"
    return "percentage point" if abs(amount) == 1 else "percentage points"
