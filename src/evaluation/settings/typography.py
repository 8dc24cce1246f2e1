"""French typography: people type plain spaces, readers get the non-breaking ones."""

import re

NO_BREAK = "\u00a0"
NARROW_NO_BREAK = "\u202f"

_RULES = (
    (re.compile(r"« ?"), f"«{NO_BREAK}"),
    (re.compile(r" ?»"), f"{NO_BREAK}»"),
    (re.compile(r" (?=[;!?](?:\s|$|»|\)))"), NARROW_NO_BREAK),
    (re.compile(r" (?=:(?:\s|$))"), NO_BREAK),
    (re.compile(r"(?<=\d) (?=[%€])"), NO_BREAK),
)

_THOUSANDS = re.compile(r"(?<!\d)\d{1,3}(?: \d{3})+(?!\d)")


def french(text: str) -> str:
    """The text with the spaces that French print does not break.

    A no-break space before a colon, a percent sign and inside guillemets; a narrow one before ; ! ? and between
    thousands (Lexique des règles typographiques en usage à l'Imprimerie nationale). Doing it twice changes nothing.

    Args:
        text: French, with plain spaces.
    """
    plain = text.replace(NO_BREAK, " ").replace(NARROW_NO_BREAK, " ")
    for pattern, replacement in _RULES:
        plain = pattern.sub(replacement, plain)
    return _THOUSANDS.sub(lambda number: number[0].replace(" ", NARROW_NO_BREAK), plain)
