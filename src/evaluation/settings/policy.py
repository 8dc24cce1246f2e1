"""The policy of selection: who decides, when, and by which bounds.

The rubric's section passes through as it stands; evidence/rubric.py, which knows the checks, validates it.
"""

from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from evaluation.settings.fields import Columns, Frozen, Integer, Text, refusal


def _written_date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise refusal("E-SET-101", "this is not a date", found=repr(value), expected='"2027-01-15"') from None


class Selection(Frozen):
    """The `selection:` section of params.yaml.

    Attributes:
        version: of this policy; change it by adding a version.
        owner: who answers for the decisions.
        decision_date: when they are taken.
        review_months: months until they are looked at again.
        harm_grade: grade from which a harmful effect weighs, 0 to 5.
        sign_path_designs: classes of design for which the sign of an effect counts.
        comparison_designs: classes of design that have a comparison group.
    """

    version: Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]
    owner: Annotated[Text, Field(min_length=1)]
    decision_date: Annotated[date, BeforeValidator(_written_date)]
    review_months: Annotated[Integer, Field(ge=1)]
    harm_grade: Annotated[Integer, Field(ge=0, le=5)]
    sign_path_designs: Columns
    comparison_designs: Columns
