"""A file that people wrote in YAML, as one frozen value; all its problems are reported at once, each with its line."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from evaluation import store
from evaluation.errors import ProblemsError
from evaluation.settings.fields import Frozen
from evaluation.settings.problems import Origin, from_validation
from evaluation.settings.yaml12 import parse_yaml

Model = TypeVar("Model", bound=Frozen)


def read_document(model: type[Model], file: str, root: Path | None = None) -> tuple[Model, Origin]:
    """The content of a file, and where its keys stand, for problems that show only beside other files.

    Args:
        model: what the file holds.
        file: its path below the project's folder.
        root: the project's folder; found by `store.root` if None.

    Raises:
        ProblemsError: something in the file cannot be; all problems at once.
        StaleError: the file is missing.
    """
    document = parse_yaml(store.read_bytes(store.resolve(file, base=root)), file)
    origin = Origin(file=document.file, line=document.line)
    try:
        return model.model_validate(document.data), origin
    except ValidationError as error:
        raise ProblemsError(from_validation(error, model=model, raw=document.data, origin=origin)) from error
