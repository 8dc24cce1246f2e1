"""Texts of the pages by key, in one language, set as that language is printed."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from evaluation.errors import InternalError
from evaluation.report import locale
from evaluation.report.locale import Lang

Texts = Callable[..., str]


def texts(lang: Lang) -> Texts:
    """Make the function that gives a text by its key.

    Returns:
        `t("home.dates", date=…)` gives the text 'dates' of section 'home', its fields filled in; it raises
        InternalError where there is no such text.
    """
    messages = read(lang)

    def text(key: str, **values: object) -> str:
        section, _, name = key.partition(".")
        if name not in messages.get(section, {}):
            raise no_text(key, lang)
        return locale.typography(messages[section][name], lang).format(**values)

    return text


def no_text(key: str, lang: Lang) -> InternalError:
    """The error of a text that a page or a document asks for and that nobody wrote."""
    return InternalError(
        code="E-REP-020",
        what="a text of the report is missing",
        where=f"src/evaluation/report/messages/{lang}.yaml",
        found=f"nothing under {key}",
        expected="a text in every language under the same key",
        fix=f"write {key} in both files of messages/",
    )


@cache
def read(lang: Lang) -> Mapping[str, Mapping[str, str]]:
    """Read all texts of a language: sections of keys and texts."""
    from ruamel.yaml import YAML

    file = resources.files("evaluation.report") / "messages" / f"{lang}.yaml"
    messages: Any = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    return {section: {str(key): str(text) for key, text in entries.items()} for section, entries in messages.items()}
