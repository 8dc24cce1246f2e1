"""Numbers in the sentences of a grade, as a reader of French or English writes them."""

from evaluation.evidence.rubric import Lang, Rule

SMALLEST_P = 0.001
NBSP = "\u00a0"


def written(value: float, rule: Rule, lang: Lang) -> str:
    """The value in the style of the rule; a code is not written."""
    style, digits = rule.format.style, rule.format.digits
    if style == "percent":
        return f"{_number(100 * value, digits, lang)}{NBSP if lang == 'fr' else ''}%"
    if style == "p_value":
        return _p_value(value, digits, lang)
    return "" if style == "code" else _number(value, digits, lang)


def _p_value(value: float, digits: int, lang: Lang) -> str:
    if value < SMALLEST_P:
        return f"p{NBSP}<{NBSP}{_number(SMALLEST_P, 3, lang)}"
    return f"p{NBSP}={NBSP}{_number(value, digits, lang)}"


def points(share: float, lang: Lang) -> str:
    """A difference of shares in percentage points; French counts one up to 1,9."""
    amount = 100 * share
    if lang == "fr":
        return f"{_number(amount, 1, lang)}{NBSP}point{'s' if amount >= 2 else ''}"
    return f"{_number(amount, 1, lang)} percentage points"


def _number(value: float, digits: int, lang: Lang) -> str:
    text = f"{value:.{digits}f}"
    return text.replace(".", ",") if lang == "fr" else text
