"""The press: a template and its data in, the bytes of a PDF out; the same data give the same bytes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evaluation.errors import InternalError
from evaluation.report import locale, texts
from evaluation.report.locale import Lang
from evaluation.report.pdf import plain

if TYPE_CHECKING:
    from typst import Compiler

ACCESSIBLE: Final = "ua-1"  # PDF/UA-1: tagged, with a title, a language and text alternatives
_NO_TEXT: Final = re.compile(r"no text: ([a-z_0-9.]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a template is given.

    Attributes:
        template: name of a file *.typ beside this module.
        lang: of the document.
        day: ISO date written into the file as its date of creation.
        data: what the template shows, plain values only (see `plain.plain`).
    """

    template: str
    lang: Lang
    day: str
    data: Mapping[str, Any]


def pdf(document: Document) -> bytes:
    """Make the PDF of a document: tagged for readers who listen, dated with its day, without a network.

    Raises:
        InternalError: a template asks for a text that there is none of, or cannot be set.
    """
    made = _run(document, format="pdf", pdf_standards=[ACCESSIBLE], timestamp=_moment(document.day))
    return made[0]


def pictures(document: Document, resolution: float = 60) -> list[bytes]:
    """Make one PNG a page, to look at.

    Args:
        document: as for `pdf`.
        resolution: points an inch.
    """
    return _run(document, format="png", ppi=resolution)


def html(document: Document) -> str:
    """The words of a document, without its form: what its tables and sentences say, in order."""
    return _run(document, format="html")[0].decode("utf-8")


def _run(document: Document, **options: Any) -> list[bytes]:
    from typst import TypstError

    given = {"data": json.dumps({**document.data, "lang": document.lang}), "words": _words(document.lang)}
    try:
        made: Any = _compiler().compile(_template(document.template), sys_inputs=given, **options)
    except TypstError as error:
        raise _cannot(document, error) from error
    return made if isinstance(made, list) else [made]


def _cannot(document: Document, error: Exception) -> InternalError:
    """A text that is missing has an error of its own: it names the key."""
    missing = _NO_TEXT.search(str(error))
    if missing:
        return texts.no_text(missing[1], document.lang)
    return InternalError(
        code="E-REP-022",
        what=f"the document {document.template} ({document.lang}) cannot be set",
        found=str(getattr(error, "message", error))[:300],
        expected="a template that shows its data",
    )


@cache
def _words(lang: Lang) -> str:
    """All texts of a language, set as that language is printed."""
    found = {
        section: {key: plain.legible(locale.typography(text, lang)) for key, text in entries.items()}
        for section, entries in texts.read(lang).items()
    }
    return json.dumps(found)


@cache
def _compiler() -> "Compiler":
    """One press for all documents: it keeps fonts and templates that it has read."""
    from typst import Compiler, Fonts

    letters = Fonts(include_system_fonts=False, font_paths=[str(plain.fonts())])
    return Compiler(root=str(folder()), font_paths=letters)


def folder() -> Path:
    """Where the templates stand."""
    return Path(str(resources.files("evaluation.report.pdf")))


def _template(name: str) -> str:
    return str(folder() / f"{name}.typ")


def _moment(day: str) -> int:
    """Midnight of a day, in seconds, the same in every time zone."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) if day else 0


def templates() -> Sequence[str]:
    """Names of the templates."""
    return sorted(file.stem for file in folder().glob("*.typ"))
