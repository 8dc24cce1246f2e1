"""From what a model refuses to what a person can correct: file, key, line, found, expected, nearest spelling."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from evaluation.errors import Problem
from evaluation.settings.yaml12 import KeyPath

_KINDS = {
    "string": "text; numbers and dates in quotes where they are names",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list: [a, b]",
    "list": "a list: [a, b]",
    "dict": "a mapping: {key: value}",
    "model": "a mapping: {key: value}",
    "date": 'a date in quotes: "2026-12-31"',
}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where raw data came from.

    Attributes:
        file: name of the file, from the project root.
        line: line of a key path, where known.
        prefix: key path of the raw data in the file.
    """

    file: str
    line: Callable[[KeyPath], int | None] = lambda _: None
    prefix: KeyPath = ()

    def below(self, *keys: str | int) -> "Origin":
        """The origin of what stands under `keys`."""
        return Origin(file=self.file, line=self.line, prefix=(*self.prefix, *keys))

    def problem(
        self,
        code: str,
        message: str,
        *,
        key: KeyPath = (),
        found: str = "",
        expected: str = "",
        nearest: str | None = None,
    ) -> Problem:
        """A problem at `key`, counted from the prefix."""
        path = (*self.prefix, *key)
        return Problem(
            file=self.file,
            key=".".join(map(str, path)),
            line=self.line(path),
            found=found,
            expected=expected,
            nearest=nearest,
            message=message,
            code=code,
        )


def from_validation(
    error: ValidationError,
    *,
    model: type[BaseModel],
    raw: Any,
    origin: Origin,
    foreign: Mapping[str, str] | None = None,
) -> list[Problem]:
    """One problem for each thing that a model refused.

    Args:
        error: what pydantic raised.
        model: the model that refused.
        raw: the data it was given, as they stand in the file.
        origin: where they stand.
        foreign: keys that the model does not have -> the sentence that says why ("belongs to method did").
    """
    return [_problem(details, model, raw, origin, foreign or {}) for details in error.errors(include_url=False)]


def nearest(word: object, options: Iterable[str]) -> str | None:
    """The option that `word` was probably meant to be, if one is close; capitals do not count."""
    by_lower = {option.lower(): option for option in sorted(options)}
    found = difflib.get_close_matches(str(word).lower(), sorted(by_lower), n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def show(value: Any) -> str:
    """A value as a person wrote it, cut if long."""
    if value is None:
        return "nothing"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _problem(details: Any, model: type[BaseModel], raw: Any, origin: Origin, foreign: Mapping[str, str]) -> Problem:
    location = tuple(part for part in details["loc"] if part != "[key]")
    path, kind = _path_in_file(raw, location), details["type"]
    if kind.startswith("E-"):
        return _refused(details, path, origin)
    if kind == "extra_forbidden":
        return _unknown_key(location, path, model, origin, foreign)
    if kind == "missing":
        return origin.problem(
            "E-SET-012", "this key is needed", key=path, found="nothing", expected=f"{location[-1]}: …"
        )
    return _wrong_value(details, path, origin)


def _path_in_file(raw: Any, location: KeyPath) -> KeyPath:
    """The location without what shorthands left out: `data: {…}` stands for `data: [{…}]`, text for a mapping."""
    path: KeyPath = ()
    for part in location:
        if not isinstance(raw, list | tuple | Mapping):
            break
        if isinstance(part, int) and isinstance(raw, Mapping) and part not in raw:
            continue
        path = (*path, part)
        raw = _child(raw, part)
    return path


def _child(raw: Any, part: str | int) -> Any:
    if isinstance(raw, Mapping):
        return raw.get(part)
    return raw[part] if isinstance(part, int) and part < len(raw) else None


def _refused(details: Any, path: KeyPath, origin: Origin) -> Problem:
    hints = dict(details["ctx"])
    message, key = hints.pop("message"), hints.pop("key", None)
    return origin.problem(details["type"], message, key=(*path[:-1], key) if key else path, **hints)


def _unknown_key(
    location: KeyPath, path: KeyPath, model: type[BaseModel], origin: Origin, foreign: Mapping[str, str]
) -> Problem:
    key = str(location[-1])
    if len(location) == 1 and key in foreign:
        return origin.problem("E-SET-013", foreign[key], key=path, found=repr(key), expected="only keys of this method")
    options = _fields_at(model, location[:-1])
    near = nearest(key, options)
    expected = "" if near else f"one of {', '.join(sorted(options))}"
    return origin.problem("E-SET-014", "unknown key", key=path, found=repr(key), expected=expected, nearest=near)


def _fields_at(model: type[BaseModel], location: KeyPath) -> list[str]:
    for part in location:
        if part in model.model_fields:
            model = _model_in(model.model_fields[str(part)].annotation) or model
    return [name for name in model.model_fields if name != "id"]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model somewhere in `tuple[Model, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _wrong_value(details: Any, path: KeyPath, origin: Origin) -> Problem:
    kind, context, found = details["type"], details.get("ctx", {}), show(details["input"])
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", context["expected"])
        near = nearest(details["input"], options)
        return origin.problem(
            "E-SET-015", "this value is not known", key=path, found=found, expected=context["expected"], nearest=near
        )
    if bounds := [f"{_BOUNDS[name]} {context[name]:g}" for name in _BOUNDS if name in context]:
        return origin.problem("E-SET-016", "this number is out of bounds", key=path, found=found, expected=bounds[0])
    if "min_length" in context or "max_length" in context:
        expected = _length(context)
        return origin.problem("E-SET-017", "too few or too many", key=path, found=found, expected=expected)
    name = kind.split("_")[0]
    if name in _KINDS:
        return origin.problem("E-SET-018", "the wrong kind of value", key=path, found=found, expected=_KINDS[name])
    return origin.problem("E-SET-019", "this value cannot be used", key=path, found=found, expected=details["msg"])


def _length(context: Mapping[str, Any]) -> str:
    if "min_length" in context:
        return f"at least {context['min_length']} (empty is not a name)"
    return f"at most {context['max_length']}"
