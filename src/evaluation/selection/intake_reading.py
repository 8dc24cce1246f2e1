"""Filled intake forms: read, and every answer that needs correcting named at once, in French and English.

An answer is told by the cell of the workbook or the line of the YAML file, with what to write there. Texts with an
e-mail address, a telephone number or a social security number are refused: a proposal speaks of a programme. A cell
that holds a formula is refused, so that nothing a stranger wrote is ever calculated.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation import store
from evaluation.errors import DataError, Problem, ProblemsError
from evaluation.selection.intake_fields import BY_KEY, FIELDS, SHEET, Field, Options
from evaluation.selection.intake_form import ANSWER, KEY, SUFFIXES
from evaluation.settings.problems import nearest, show
from evaluation.settings.yaml12 import parse_yaml

LARGEST = 2_000_000  # bytes; an empty form has some 12,000
UNPACKED = 40_000_000  # bytes inside the workbook, which is a zip file
BECAME = "innovation"  # key that an evaluator adds when a proposal becomes an innovation of the portfolio
_PERSONAL = (
    ("une adresse électronique", "an e-mail address", re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")),
    (
        "un numéro de téléphone",
        "a telephone number",
        re.compile(r"(?<!\d)(?:(?:\+|00)\d{2}[\s.()-]*|0)[1-9](?:[\s.-]*\d{2}){4}(?!\d)"),
    ),
    (
        "un numéro de sécurité sociale",
        "a social security number",
        re.compile(r"(?<!\d)[12]\s?\d{2}\s?(?:0[1-9]|1[0-2])\s?\d[\dAB]\s?\d{3}\s?\d{3}(?:\s?\d{2})?(?!\d)"),
    ),
)
_EMPTY_FORM = "evaluation intake --form fiche.xlsx"
_FORMULA = re.compile(r"^\s*(?:[=@]|[+-](?=[\w(=@]))")
_SPACES = re.compile(r"[\s\u00a0\u202f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A filled form, every answer valid.

    Attributes:
        source: name of the file.
        answers: by key: a text, the id of a choice, or a number; None where an answer that may be left out was.
        innovation: of the portfolio, that it has become; None as long as it has not.
    """

    source: str
    answers: Mapping[str, Any]
    innovation: str | None = None

    def __getitem__(self, key: str) -> Any:
        return self.answers[key]


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands in the file: the value, where, and whether it is a formula."""

    value: Any
    where: str
    line: int | None = None
    formula: bool = False


def read(source: Path, choices: Options) -> Proposal:
    """A filled form.

    Args:
        source: .xlsx or .yaml.
        choices: see intake_fields.options.

    Raises:
        DataError: the file is not a form: another kind of file, damaged, another sheet, or nothing was filled in.
        ProblemsError: answers to correct; all of them at once.
    """
    answers, became = (_workbook(source), None) if source.suffix.lower() == ".xlsx" else _yaml(source)
    if all(answers[field.key].value in (None, "") for field in FIELDS):
        raise DataError(
            code="E-SEL-063",
            what="La fiche est vide. / The form is empty.",
            where=source.name,
            expected="Écrivez vos réponses dans la colonne « Votre réponse ». / Answers in the middle column.",
            fix="Ouvrez la fiche, répondez, enregistrez. / Open the form, answer, save.",
        )
    return _examined(answers, choices, source.name, became)


def _examined(answers: Mapping[str, Answer], choices: Options, name: str, became: str | None) -> Proposal:
    """The proposal, if every answer is valid."""
    return Proposal(source=name, answers=valid_answers(FIELDS, answers, choices, name), innovation=became)


def valid_answers(
    fields: Iterable[Field], answers: Mapping[str, Answer], choices: Options, name: str
) -> dict[str, Any]:
    """By key, every answer as its kind.

    Raises:
        ProblemsError: answers to correct; all of them at once.
    """
    valid: dict[str, Any] = {}
    problems: list[Problem] = []
    for field in fields:
        found = _examine(field, answers[field.key], choices, name)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            valid[field.key] = found
    if problems:
        count = len(problems)
        raise ProblemsError(
            problems,
            code="E-SEL-060",
            what=f"{count} réponse(s) à corriger dans la fiche. / {count} answer(s) to correct in the form.",
        )
    return valid


# one answer ----------------------------------------------------------------------------------------------------------


def _examine(field: Field, answer: Answer, choices: Options, name: str) -> Any:
    """The answer as its kind, or what is wrong with it."""
    if answer.formula:
        return _formula(field, answer, name)
    if answer.value is None or not str(answer.value).strip():
        return _missing(field, answer, name) if field.required else None
    if field.kind == "number":
        return _number(field, answer, name)
    if field.kind == "choice":
        return _choice(field, answer, choices[field.options], name)
    return _text(field, answer, name)


def _problem(code: str, message: tuple[str, str], field: Field, answer: Answer, name: str, **hints: Any) -> Problem:
    texts = {"found": "", "expected": f"{field.help[0]} / {field.help[1]}", "nearest": None, **hints}
    return Problem(
        file=name,
        key=f"{answer.where} « {field.label[0]} »",
        line=answer.line,
        message=" / ".join(message),
        code=code,
        **texts,
    )


def _missing(field: Field, answer: Answer, name: str) -> Problem:
    return _problem("E-SEL-064", ("une réponse est nécessaire ici", "an answer is needed here"), field, answer, name)


def _formula(field: Field, answer: Answer, name: str) -> Problem:
    message = ("cette case contient une formule ; écrivez du texte", "this cell holds a formula; write text")
    return _problem("E-SEL-069", message, field, answer, name, found=show(answer.value))


def _choice(field: Field, answer: Answer, entries: Mapping[str, tuple[str, str]], name: str) -> Any:
    known = {_plain(word): key for key, labels in entries.items() for word in (key, *labels)}
    found = known.get(_plain(answer.value))
    if found is not None:
        return found
    near = nearest(_plain(answer.value), known)
    message = ("cette réponse n'est pas dans la liste", "this answer is not in the list")
    labels = [label for label, _ in entries.values()]
    shown = " | ".join(labels[:8]) + (" | …" if len(labels) > 8 else "")
    closest = entries[known[near]][0] if near else None
    return _problem(
        "E-SEL-065", message, field, answer, name, found=show(answer.value), expected=shown, nearest=closest
    )


def _number(field: Field, answer: Answer, name: str) -> Any:
    """A number as people write it: 1 200, 1200,50, 35 €."""
    number = _as_number(answer.value)
    if number is None:
        message = ("il faut un nombre, sans phrase autour", "a number is needed, without words around it")
        return _problem("E-SEL-066", message, field, answer, name, found=show(answer.value))
    if not field.least <= number <= field.most:
        message = (
            f"ce nombre doit être entre {field.least:g} et {field.most:.0f}",
            f"this number must be from {field.least:g} to {field.most:.0f}",
        )
        return _problem("E-SEL-067", message, field, answer, name, found=f"{number:g}")
    return number


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if value == value and abs(value) < 1e300 else None
    text = re.sub(r"(?i)(?:€|euros?|personnes?|people)", "", _SPACES.sub("", str(value)))
    return float(text.replace(",", ".")) if re.fullmatch(r"[+-]?\d{1,15}(?:[.,]\d{1,6})?", text) else None


def _text(field: Field, answer: Answer, name: str) -> Any:
    text = str(answer.value).strip()
    for fr, en, pattern in _PERSONAL:
        if pattern.search(text):
            message = (
                f"ce texte contient {fr} ; enlevez-le, la fiche ne parle pas d'une personne",
                f"this text holds {en}; take it out, the form is not about a person",
            )
            return _problem("E-SEL-068", message, field, answer, name)
    if _FORMULA.match(text):
        return _formula(field, answer, name)
    if len(text) > field.most:
        message = (
            f"ce texte est trop long : {len(text)} signes, {field.most:.0f} au plus",
            f"this text is too long: {len(text)} characters, {field.most:.0f} at most",
        )
        return _problem("E-SEL-070", message, field, answer, name)
    return "".join(each for each in text if each.isprintable() or each == "\n")


def _plain(value: Any) -> str:
    return _SPACES.sub(" ", str(value)).strip().casefold().replace("’", "'")


# files ---------------------------------------------------------------------------------------------------------------


def _workbook(source: Path) -> dict[str, Answer]:
    """Answers by key; rows are found by the hidden column, so that a row that was moved or added does no harm."""
    return answers_in(sheet_of(opened(source), SHEET, source.name, _EMPTY_FORM), FIELDS, source.name, _EMPTY_FORM)


def answers_in(sheet: Any, fields: Sequence[Field], name: str, form: str) -> dict[str, Answer]:
    """Answers of one sheet by key.

    Args:
        sheet: of a workbook that `intake_form.book_of` wrote.
        fields: its questions.
        name: of the file.
        form: the command that writes an empty form.
    """
    rows = {str(row[KEY - 1].value): row for row in sheet.iter_rows(max_row=200, max_col=KEY) if row[KEY - 1].value}
    if lost := [field.key for field in fields if field.key not in rows]:
        raise DataError(
            code="E-SEL-062",
            what="Des questions de la fiche ont été effacées. / Questions of the form were deleted.",
            where=f"{name}, {sheet.title}",
            found=f"no row for {', '.join(lost)}",
            expected="all questions, column D included",
            fix=f"Reprenez une fiche vide. / Take an empty form: {form}",
        )
    cells = {field.key: rows[field.key][ANSWER - 1] for field in fields}
    return {
        key: Answer(cell.value, f"{sheet.title}!{cell.coordinate}", cell.row, formula=cell.data_type == "f")
        for key, cell in cells.items()
    }


def opened(source: Path) -> Any:
    """The workbook, if it is one of a possible size."""
    from openpyxl import load_workbook

    content = store.read_bytes(source, at_most=LARGEST + 1)
    try:
        _refuse_large(content)
        return load_workbook(io.BytesIO(content))
    except Exception as error:  # openpyxl raises whatever its parsers raise
        raise DataError(
            code="E-SEL-061",
            what="Ce fichier ne s'ouvre pas comme un classeur. / This file does not open as a workbook.",
            where=source.name,
            found=str(error) if isinstance(error, OverflowError) else type(error).__name__,
            expected=f"an .xlsx workbook of at most {LARGEST // 1_000_000} MB",
            fix="Enregistrez-le au format .xlsx. / Save it as .xlsx.",
        ) from error


def sheet_of(book: Any, title: str, name: str, form: str) -> Any:
    """One sheet of a form."""
    if title not in book.sheetnames:
        raise DataError(
            code="E-SEL-071",
            what="Ce classeur n'est pas une fiche de proposition. / This workbook is not an intake form.",
            where=name,
            found=f"sheets {', '.join(map(repr, book.sheetnames))}",
            expected=f"a sheet {title!r}",
            fix=f"Utilisez la fiche. / Use the form: {form}",
        )
    return book[title]


def _refuse_large(content: bytes) -> None:
    if len(content) > LARGEST:
        raise OverflowError(f"more than {LARGEST:,} bytes")
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        size = sum(each.file_size for each in packed.infolist())
    if size > UNPACKED:
        raise OverflowError(f"{size:,} bytes when unpacked")


def _yaml(source: Path) -> tuple[dict[str, Answer], str | None]:
    if source.suffix.lower() not in (*SUFFIXES, ".yml"):
        raise DataError(
            code="E-SEL-072",
            what="Ce n'est pas une fiche. / This is not a form.",
            where=source.name,
            expected=" or ".join(SUFFIXES),
            fix="evaluation intake --form fiche.xlsx",
        )
    document = parse_yaml(store.read_bytes(source, at_most=LARGEST), source.name)
    content = document.data if isinstance(document.data, Mapping) else {}
    if unknown := list(_unknown(content, document, source.name)):
        raise ProblemsError(unknown)
    became = content.get(BECAME)
    answers = {key: Answer(content.get(key), key, document.line((key,))) for key in BY_KEY}
    return answers, None if became is None else str(became)


def _unknown(content: Mapping[Any, Any], document: Any, name: str) -> Iterator[Problem]:
    for key in content:
        if key not in BY_KEY and key != BECAME:
            yield Problem(
                file=name,
                key=str(key),
                line=document.line((key,)),
                found=show(key),
                expected=", ".join(BY_KEY),
                nearest=nearest(key, BY_KEY),
                message="cette question n'existe pas / there is no such question",
                code="E-SEL-073",
            )
