"""Labels of periods and cohorts, in the order of time: numbers, or texts such as 2011-T3."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Key = tuple[float | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Periods along an axis.

    Attributes:
        labels: in order.
        places: label -> place; whole numbers keep their distances, texts stand side by side.
    """

    labels: tuple[str, ...]
    places: Mapping[str, float]

    @classmethod
    def of(cls, values: Iterable[object]) -> "Timeline":
        """Distinct periods in the order of time."""
        labels = in_time(values)
        numbers = all(re.fullmatch(r"\d+", label) for label in labels)
        places = {label: float(label) if numbers else float(place) for place, label in enumerate(labels)}
        return cls(labels=tuple(labels), places=places)

    def start(self, cohort: str) -> int:
        """Number of periods before the cohort's start."""
        return sum(time_key(label) < time_key(cohort) for label in self.labels)

    def dates(self, group: str) -> bool:
        """Whether a group is named by its start: its name has the form of a period."""
        return any(_form(group) == _form(label) for label in self.labels)


def text_of(value: object) -> str:
    """A label as people write it: tables read from CSV hold 2004.0 where a column has gaps."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def in_time(values: Iterable[object]) -> list[str]:
    """Distinct labels; their numbers are compared as numbers, so that 2011-T10 comes after 2011-T9."""
    return sorted({text_of(value) for value in values}, key=time_key)


def time_key(label: str) -> Key:
    """What sorts labels: texts and numbers in turn."""
    return tuple(float(part) if part.isdigit() else part for part in re.split(r"(\d+)", label))


def _form(label: str) -> str:
    return re.sub(r"\d+", "0", label)
