"""The empty intake form: a workbook with drop-downs and help texts, or the same questions in YAML."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.selection.intake_fields import FIELDS, LISTS, SHEET, VERSION, Field, Options, options
from evaluation.settings.portfolio import Portfolio

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

FIRST = 5  # row of the first question
QUESTION, ANSWER, HELP, KEY = 1, 2, 3, 4  # columns
SUFFIXES = (".xlsx", ".yaml")

_TITLE = "Proposer une innovation sociale"
_INTRO = (
    "Répondez dans la colonne du milieu. Les questions marquées d'une étoile demandent une réponse.",
    "La fiche parle d'un programme, jamais d'une personne : ni nom, ni adresse électronique, ni téléphone.",
)


def write(target: Path, portfolio: Portfolio) -> Path:
    """Write the empty form.

    Args:
        target: .xlsx or .yaml.
        portfolio: where the choices come from.

    Raises:
        ParametersError: another kind of file, or one stands there already: it may be a filled one.
    """
    require_free(target, SUFFIXES)
    choices = options(portfolio)
    if target.suffix.lower() == ".xlsx":
        store.write_bytes(target, workbook(choices))
    else:
        store.write_text(target, yaml(choices))
    return target


def require_free(target: Path, suffixes: Sequence[str]) -> None:
    """Refuse a target of another kind, or one that is there already."""
    if target.suffix.lower() not in suffixes:
        raise ParametersError(
            code="E-CLI-040",
            what="Une fiche est un classeur .xlsx ou un fichier .yaml. / A form is an .xlsx workbook or a .yaml file.",
            found=target.name,
            expected=" or ".join(suffixes),
            fix=f"--form fiche{suffixes[0]}",
        )
    if target.exists():
        raise ParametersError(
            code="E-CLI-041",
            what="Un fichier de ce nom existe déjà ; il est peut-être rempli. / A file of this name is there already.",
            where=str(target),
            expected="a name that is free",
            fix="choose another name",
        )


def workbook(choices: Options) -> bytes:
    """The form as a workbook: one sheet to fill in, one with the lists; only answers can be typed in."""
    return book_of({SHEET: FIELDS}, choices, _TITLE, _INTRO)


def book_of(sheets: Mapping[str, Sequence[Field]], choices: Options, title: str, intro: Sequence[str]) -> bytes:
    """A workbook of questions.

    Args:
        sheets: name of a sheet -> its questions.
        choices: lists that the questions name.
        title: what stands above the questions of every sheet.
        intro: below it, at most two lines.
    """
    from openpyxl import Workbook

    book = Workbook()
    pages = [book.worksheets[0], *(book.create_sheet() for _ in range(len(sheets) - 1))]
    ranges = _lists(book.create_sheet(LISTS), choices)
    for sheet, (name, fields) in zip(pages, sheets.items(), strict=True):
        sheet.title = name
        _fill(sheet, fields, ranges, title, intro)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _fill(
    sheet: "Worksheet", fields: Sequence[Field], ranges: Mapping[str, str], title: str, intro: Sequence[str]
) -> None:
    """Questions in rows; only answers can be typed in."""
    from openpyxl.styles import Alignment, Font, PatternFill, Protection

    sheet.cell(1, QUESTION, title).font = Font(bold=True, size=16)
    for row, line in enumerate(intro, start=2):
        sheet.cell(row, QUESTION, line)
    for column, name in zip((QUESTION, ANSWER, HELP), ("Question", "Votre réponse", "Aide"), strict=True):
        sheet.cell(FIRST - 1, column, name).font = Font(bold=True)
    for row, field in enumerate(fields, start=FIRST):
        sheet.cell(row, QUESTION, field.label[0] + (" *" if field.required else "")).font = Font(bold=True)
        sheet.cell(row, HELP, field.help[0])
        sheet.cell(row, KEY, field.key)
        answer = sheet.cell(row, ANSWER)
        answer.protection, answer.fill = Protection(locked=False), PatternFill("solid", fgColor="FFF7DD")
        for column in (QUESTION, ANSWER, HELP):
            sheet.cell(row, column).alignment = Alignment(wrap_text=True, vertical="top")
        _check(sheet, row, field, ranges)
    sheet.cell(1, KEY, VERSION)
    for letter, width in zip("ABC", (44, 60, 60), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.column_dimensions["D"].hidden = True
    sheet.protection.sheet = True


def yaml(choices: Options) -> str:
    """The same questions to fill in as YAML, each with its help and its choices."""
    lines = [f"# {_TITLE}", *(f"# {line}" for line in _INTRO), ""]
    for field in FIELDS:
        lines += [f"# {field.label[0]}{' *' if field.required else ''}", f"#   {field.help[0]}"]
        lines += [f"#   {key} : {label[0]}" for key, label in choices.get(field.options, {}).items()]
        lines += [f"{field.key}:", ""]
    return "\n".join(lines)


def _lists(sheet: "Worksheet", choices: Options) -> dict[str, str]:
    """Write each list in a column of its own; the address of each."""
    ranges = {}
    for column, (name, entries) in enumerate(choices.items(), start=1):
        sheet.cell(1, column, name)
        for row, (label, _) in enumerate(entries.values(), start=2):
            sheet.cell(row, column, label)
        letter = sheet.cell(1, column).column_letter
        ranges[name] = f"{LISTS}!${letter}$2:${letter}${len(entries) + 1}"
    sheet.sheet_state = "hidden"
    return ranges


def _check(sheet: "Worksheet", row: int, field: Field, ranges: Mapping[str, str]) -> None:
    """The drop-down or the bounds of one answer, and the help that appears when its cell is chosen."""
    from openpyxl.worksheet.datavalidation import DataValidation

    if field.kind == "choice":
        rule = DataValidation(type="list", formula1=ranges[field.options], allow_blank=True)
    elif field.kind == "number":
        rule = DataValidation(
            type="decimal", operator="between", formula1=f"{field.least:g}", formula2=f"{field.most:.0f}"
        )
    else:
        rule = DataValidation(type="textLength", operator="lessThanOrEqual", formula1=f"{field.most:.0f}")
    rule.promptTitle, rule.prompt = "Aide", field.help[0][:250]
    rule.errorTitle, rule.error = "À corriger", field.help[0][:220]
    rule.showInputMessage = rule.showErrorMessage = True
    sheet.add_data_validation(rule)
    rule.add(sheet.cell(row, ANSWER))
