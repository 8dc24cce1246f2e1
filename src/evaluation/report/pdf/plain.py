"""Views as plain data for a template: what was a text stays a text, whatever signs it holds.

Nothing here is markup: a template of typst shows strings as they are, so that `#`, `$` or `[` of a label are signs like
all others. Only two things must be seen to: signs that no font of ours can draw, and words too long for a line.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, cast

from markupsafe import Markup

from evaluation.errors import InternalError
from evaluation.report.inputs import Said

REPLACED: Final = "\ufffd"  # stands visibly for a sign that no font can draw

_BREAK: Final = "\u200b"
_LONGEST: Final = 24  # signs of a word after which a line may break
_LONG_WORD: Final = re.compile(rf"[^\s{_BREAK}]{{{_LONGEST + 1},}}")
_JOINERS: Final = "\u200d\ufe0e\ufe0f"  # shape the sign before them; alone they show nothing
_SPACES: Final = "\t\n\r\v\f\u2028\u2029"
_KEPT: Final = f"{_BREAK}\u00a0\u202f"
_WEB: Final = ("https://", "http://")
_SINGLE: Final = ("br", "img", "meta", "rect", "hr", "input")
_HIDDEN: Final = ("svg", "style", "script")


def plain(value: Any) -> Any:
    """Turn a view, or part of one, into mappings, lists, texts and numbers.

    Returns:
        Markup as {"nodes": …}, see `nodes`; a text in another language as {"text": …, "lang": …}.

    Raises:
        InternalError: a value is none of what views hold.
    """
    if isinstance(value, Said):
        return {"text": legible(value.text), "lang": value.lang}
    if isinstance(value, Markup):
        return {"nodes": nodes(value)}
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise InternalError(
        code="E-REP-021",
        what="a view holds a value that no document can show",
        found=type(value).__name__,
        expected="a text, a number, a list or a mapping",
    )


def legible(text: str) -> str:
    """Make a text that can be set in print.

    Signs that no font of ours holds are replaced by one that is seen, signs that hide or turn others round are left
    out, and a long word may break.
    """
    known = _drawn()
    signs = [" " if sign in _SPACES else sign for sign in unicodedata.normalize("NFC", text) if not _silent(sign)]
    shown = "".join(sign if sign in _KEPT or ord(sign) in known else REPLACED for sign in signs)
    return _LONG_WORD.sub(_breakable, shown)


def nodes(markup: Markup) -> list[Any]:
    """Read markup of our own tables and cells.

    Returns:
        Texts, and {"kind": b | small | br | div | link | lang | table, …} with what they hold in "nodes"; a table has
        "caption", "head" and "rows", each cell a list of nodes. Drawings are left out: what they show stands beside.
    """
    reader = _Reader()
    reader.feed(str(markup))
    reader.close()
    return reader.found


def _silent(sign: str) -> bool:
    """Whether a sign has no shape of its own: controls, marks of direction, joiners."""
    if sign in _SPACES or sign in _KEPT:
        return False
    return sign in _JOINERS or unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn")


def _breakable(match: re.Match[str]) -> str:
    word = match[0]
    return _BREAK.join(word[start : start + _LONGEST] for start in range(0, len(word), _LONGEST))


@cache
def _drawn() -> frozenset[int]:
    """Code points that the font behind all others can draw, in its normal and in its bold face."""
    from matplotlib.ft2font import FT2Font

    faces = (FT2Font(str(fonts() / name)) for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"))
    normal, bold = (frozenset(face.get_charmap()) for face in faces)
    return normal & bold


def fonts() -> Path:
    """The folder of fonts that come with the packages, so that the same report is made on every machine."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf"


class _Reader(HTMLParser):
    """Builds the nodes; tags that mean nothing in print (section, region) are passed through."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Any] = []
        self._open: list[tuple[str, list[Any]]] = [("", self.found)]
        self._hidden = 0
        self._tables: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open what the tag opens."""
        if tag in _HIDDEN or self._hidden:
            self._hidden += tag not in _SINGLE
        elif tag == "br":
            self._inner.append({"kind": "br"})
        elif tag not in _SINGLE:
            self._open.append((tag, self._begin(tag, dict(attrs))))

    def handle_endtag(self, tag: str) -> None:
        """Close what the tag closes."""
        if self._hidden:
            self._hidden -= tag not in _SINGLE
        elif tag not in _SINGLE and len(self._open) > 1:
            self._open.pop()
            if tag == "table":
                self._tables.pop()

    def handle_data(self, data: str) -> None:
        """Keep a text; line ends between the rows of a table are none."""
        if not self._hidden and (data.strip() or self._open[-1][0] not in ("table", "thead", "tbody", "tr", "")):
            self._inner.append(legible(data))

    @property
    def _inner(self) -> list[Any]:
        return self._open[-1][1]

    def _begin(self, tag: str, attrs: Mapping[str, str | None]) -> list[Any]:
        """The list that takes what stands inside the tag."""
        inside: list[Any] = []
        if tag == "table":
            self._tables.append({"kind": "table", "caption": [], "head": [], "rows": []})
            self._inner.append(self._tables[-1])
        elif tag == "caption":
            inside = self._tables[-1]["caption"]
        elif tag == "tr":
            self._tables[-1]["rows"].append([])
        elif tag in ("th", "td"):
            self._cell(attrs).append(inside)
        elif tag not in ("thead", "tbody"):
            return self._piece(tag, attrs)
        return inside

    def _cell(self, attrs: Mapping[str, str | None]) -> list[Any]:
        """Where a cell goes: the head, or the last row."""
        table = self._tables[-1]
        if attrs.get("scope") == "col":
            table["rows"] = []
            return cast("list[Any]", table["head"])
        return cast("list[Any]", table["rows"][-1])

    def _piece(self, tag: str, attrs: Mapping[str, str | None]) -> list[Any]:
        """A piece of a text: bold, small, a line of its own, a link to the web, another language."""
        address, lang = attrs.get("href") or "", attrs.get("lang")
        kind = {"b": "b", "strong": "b", "div": "div", "li": "div", "p": "div"}.get(tag)
        if address.startswith(_WEB):
            kind = "link"
        elif lang:
            kind = "lang"
        elif "small" in (attrs.get("class") or "").split():
            kind = "small"
        elif "tag" in (attrs.get("class") or "").split():
            kind = "b"
        if kind is None or "box" in (attrs.get("class") or "").split():
            return self._inner
        inside: list[Any] = []
        self._inner.append({"kind": kind, "nodes": inside, "href": address, "lang": lang})
        return inside
