"""The kinds of value that settings are made of, and how a value says that it cannot be.

A validator that refuses raises `refusal(...)`, which carries the code and the hints that problems.py turns into a
Problem.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Never

from pydantic import AfterValidator, AllowInfNan, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, Strict
from pydantic_core import PydanticCustomError

from evaluation import store

SLUG_RULE = "a-z, 0-9 and single hyphens, at most 64 characters, no name that Windows reserves"


class Frozen(BaseModel):
    """A value that cannot change and has no key that nobody declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


class FrozenDict(dict[str, Any]):
    """A mapping that refuses to change; it still serialises, copies and travels to workers as a mapping."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> Never:
        raise TypeError("settings do not change after they are read")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


def frozen(value: Any) -> Any:
    """Plain data with every mapping as FrozenDict and every list as tuple."""
    if isinstance(value, Mapping):
        return FrozenDict({key: frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    return value


def refusal(code: str, message: str, **hints: str) -> PydanticCustomError:
    """What a validator raises.

    Args:
        code: unique to the place.
        message: one sentence.
        hints: any of `found`, `expected`, `nearest`, and `key` where another key of the same mapping is to blame.
    """
    return PydanticCustomError(code, "{message}", {"message": message, **hints})


def listed(names: Iterable[object]) -> str:
    """Names as a reader sees them: 'a', 'b'."""
    return ", ".join(repr(name) for name in names)


def one_or_many(value: Any) -> Any:
    """`cluster: school` stands for `cluster: [school]`, an empty key for an empty list."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def no_duplicates(columns: tuple[str, ...]) -> tuple[str, ...]:
    """The names themselves, if each stands once."""
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise refusal("E-SET-030", "a name stands twice", found=listed(twice), expected="each name once")
    return columns


def _scalar(value: Any) -> Any:
    if isinstance(value, str | bool | int) or (isinstance(value, float) and value - value == 0):
        return value
    raise refusal(
        "E-SET-031",
        "this cannot be compared with a cell of the data",
        found=f"{value} ({type(value).__name__})",
        expected="text, a number, true or false",
    )


def _missing_code(value: Any) -> Any:
    """Codes are compared with cells as text, so that -9 and '-9' mean the same."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _slug(value: str) -> str:
    if not store.is_slug(value):
        raise refusal("E-SET-032", "this id cannot be used in a path", found=repr(value), expected=SLUG_RULE)
    return value


Column = Annotated[str, Strict(), Field(min_length=1)]
Columns = Annotated[tuple[Column, ...], BeforeValidator(one_or_many), AfterValidator(no_duplicates)]
Text = Annotated[str, Strict()]
Number = Annotated[float, Strict(), AllowInfNan(False)]
Integer = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Slug = Annotated[str, Strict(), AfterValidator(_slug)]
Scalar = Annotated[str | bool | int | float, PlainValidator(_scalar)]
Scalars = Annotated[tuple[Scalar, ...], BeforeValidator(one_or_many)]
MissingCodes = Annotated[tuple[Annotated[Text, BeforeValidator(_missing_code)], ...], BeforeValidator(one_or_many)]
