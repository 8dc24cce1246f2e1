"""A new innovation: what must be written so that an evaluation of it runs, on made-up data until real ones arrive."""

from pathlib import Path

from evaluation.errors import ParametersError
from evaluation.pipeline.scaffold.form import EMPTY, read_form, write_form
from evaluation.pipeline.scaffold.request import METHODS, Request, from_words
from evaluation.pipeline.scaffold.writing import Scaffold, plan, write

__all__ = ["METHODS", "Request", "Scaffold", "asked", "from_words", "plan", "read_form", "write", "write_form"]


def asked(
    identifier: str | None,
    filled: Path | None,
    *,
    difficulty: str,
    method: str,
    label_fr: str,
    label_en: str,
    blinded: bool,
) -> Request:
    """What the command line asks for: an id with options, or a filled workbook.

    Raises:
        ParametersError: both, or none.
    """
    if (identifier is None) is (filled is None):
        raise ParametersError(
            code="E-CLI-050",
            what="Il faut un identifiant, ou une fiche remplie. / An id is needed, or a filled form.",
            found="both" if identifier else "neither",
            expected="ID --difficulty …, or --from FILE.xlsx",
            fix=f"evaluation new innovation my-garage --difficulty mobility, or {EMPTY}",
        )
    if filled is not None:
        return read_form(filled)
    return from_words(
        identifier or "", difficulty=difficulty, method=method, label_fr=label_fr, label_en=label_en, blinded=blinded
    )
