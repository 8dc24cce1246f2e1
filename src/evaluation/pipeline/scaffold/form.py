"""The workbook for people who do not write YAML: five sheets of questions, read by the reader of intake forms."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.pipeline.scaffold.form_fields import DESIGN, SHEETS, choices
from evaluation.pipeline.scaffold.request import Columns, Request, known_method
from evaluation.selection import intake_form, intake_reading
from evaluation.settings.portfolio import read_portfolio

EMPTY: Final = "evaluation new innovation --form fiche.xlsx"
_TITLE = "Une nouvelle innovation et son étude"
_INTRO = (
    "Répondez dans la colonne du milieu, sur les cinq feuilles. L'étoile demande une réponse.",
    "Aucun nom de personne. Les données seront d'abord SIMULÉES, pour essayer l'étude avant de la faire.",
)


def write_form(target: Path) -> Path:
    """Write the empty workbook.

    Raises:
        ParametersError: not an .xlsx name, or a file of that name is there: it may be filled in.
    """
    intake_form.require_free(target, (".xlsx",))
    store.write_bytes(target, intake_form.book_of(SHEETS, choices(read_portfolio()), _TITLE, _INTRO))
    return target


def read_form(source: Path) -> Request:
    """What a filled workbook asks for.

    Raises:
        DataError: not a workbook of this form.
        ProblemsError: answers to correct, each with its sheet and cell; all at once.
        ParametersError: an answer contradicts another one.
    """
    book = intake_reading.opened(source)
    found: dict[str, intake_reading.Answer] = {}
    for title, fields in SHEETS.items():
        sheet = intake_reading.sheet_of(book, title, source.name, EMPTY)
        found |= intake_reading.answers_in(sheet, fields, source.name, EMPTY)
    every = [field for fields in SHEETS.values() for field in fields]
    valid = intake_reading.valid_answers(every, found, choices(read_portfolio()), source.name)
    _require_time(valid, found, source.name)
    return _request(valid)


def _require_time(valid: Mapping[str, Any], found: Mapping[str, intake_reading.Answer], name: str) -> None:
    """Changes are compared between periods: such a study names their column."""
    if valid["method"] == "did" and not valid["time"]:
        raise ParametersError(
            code="E-CLI-057",
            what="Cette méthode compare des périodes. / This method compares periods.",
            where=f"{name}, {found['time'].where}",
            found="no column of periods",
            expected="le nom de la colonne des périodes / the name of the column of periods",
            fix="fill in the cell, or choose another method",
        )


def _request(valid: Mapping[str, Any]) -> Request:
    named = (valid[key] for key in ("covariate_1", "covariate_2", "covariate_3"))
    columns = Columns(
        outcome=valid["outcome"],
        unit=valid["unit_column"],
        treatment=valid["treatment"],
        time=valid["time"] or Columns().time,
        covariates=tuple(name for name in named if name),
    )
    return Request(
        id=valid["id"],
        difficulty=valid["difficulty"],
        method=known_method(valid["method"]),
        label_fr=valid["label_fr"],
        label_en=valid["label_en"],
        summary_fr=valid["summary_fr"],
        summary_en=valid["summary_en"],
        operator=valid["operator"],
        unit=valid["unit"],
        better=valid["better"],
        horizon_months=valid["horizon_months"],
        smallest_effect=valid["smallest_effect"],
        source=valid["source"],
        columns=columns,
        blinded=valid["blinded"] == "yes",
        notes={title: _notes(title, valid) for title in ("costs", "implementation")},
    )


def _notes(key: str, valid: Mapping[str, Any]) -> dict[str, Any]:
    """Answers of a sheet that the plan quotes, by question."""
    return {" / ".join(field.label): valid[field.key] for field in SHEETS[DESIGN[key]]}
