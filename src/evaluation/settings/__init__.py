"""What people decide (params.yaml) and what they typed (data/portfolio): typed, validated, all problems at once."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaluation.settings.params import Params
    from evaluation.settings.portfolio import Portfolio


def check_all(root: Path | None = None) -> "tuple[Params, Portfolio]":
    """Both, read and compared with each other.

    Raises:
        ProblemsError: all problems of all files at once.
    """
    from evaluation.settings.crosscheck import check

    return check(root)
