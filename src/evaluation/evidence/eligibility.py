"""Which findings can become numbers that are put together, on which scale, and why the others cannot.

A claim, a take-up rate, a level and a sign alone never become one. A standard error is read, or derived from a printed
interval; it is never imputed. The standard deviation of the outcome, by which effects on different outcomes become
comparable, is read, follows from a rate, or is implied by a standard error and a number of people; otherwise the
finding keeps its own unit and says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evaluation.evidence import effect_sizes
from evaluation.evidence.record import Record
from evaluation.evidence.rubric import NOT_AN_EFFECT

ErrorRule = Literal["read", "interval"]
SpreadRule = Literal["unit", "read", "rate", "largest_share", "implied", "unknown"]
LARGEST_SHARE_SD = 0.5  # of a yes or no at a rate of one half: the bias, in units, cannot be larger than with this one

UNITS_IN_SD = ("SD", "control-group SD", "Hedges g", "Cohen d")
UNITS_OF_SHARES = ("proportion", "proportion of hires", "proportion of people invited")
DRAWN_PEOPLE = ("randomised", "lottery")

# code -> why a finding is left out, in French and English
REASONS: Mapping[str, tuple[str, str]] = {
    "claim": (
        "chiffre annoncé, sans groupe de comparaison : ce n'est pas un effet",
        "a figure that is announced, without a comparison group: not an effect",
    ),
    "take_up": ("taux de recours, pas un effet", "a take-up rate, not an effect"),
    "level": ("niveau constaté, pas un effet", "a level that was observed, not an effect"),
    "not_read": ("résultat non lu", "the result was not read"),
    "sign_only": ("seul le sens de l'effet a été lu", "only the direction of the effect was read"),
    "no_error": (
        "ni erreur type ni intervalle n'ont été lus ; aucune erreur n'est inventée",
        "neither standard error nor interval was read; no error is made up",
    ),
    "unreliable_error": (
        "erreur type calculée sur trop peu de groupes : elle n'est pas fiable",
        "standard error computed on too few groups: it is not reliable",
    ),
    "subgroup": ("effet sur une partie seulement des personnes", "an effect on a part of the people only"),
    "robustness": ("autre spécification d'un résultat déjà retenu", "another specification of a result that is here"),
    "not_poolable": (
        "synthèse déjà faite, ou chiffre non relu : jamais regroupé avec d'autres",
        "already a synthesis, or a figure from memory: never put together with others",
    ),
    "grade_0": ("niveau de preuve 0", "grade of evidence 0"),
    "same_people": (
        "mêmes personnes qu'un autre résultat retenu ({other})",
        "the same people as another finding that is used ({other})",
    ),
    "suspected": (
        "semble porter sur les mêmes personnes qu'un autre résultat retenu ({other})",
        "seems to rest on the same people as another finding that is used ({other})",
    ),
    "duplicate": ("double d'un autre résultat retenu ({other})", "a duplicate of another finding ({other})"),
    "no_spread": (
        "écart-type du résultat inconnu : pas d'unité commune avec les autres résultats",
        "standard deviation of the outcome unknown: no common unit with other outcomes",
    ),
    "no_direction": (
        "personne n'a dit quel sens est favorable",
        "nobody has said which direction is the good one",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A finding that does not enter, and why.

    Attributes:
        id: of the record.
        code: a key of `REASONS`.
        other: the finding that stands for it, if there is one.
    """

    id: str
    code: str
    other: str = ""

    def as_dict(self) -> dict[str, str]:
        """Plain data with the sentence in both languages."""
        fr, en = (text.format(other=self.other) for text in REASONS[self.code])
        return {"id": self.id, "reason": self.code, "other": self.other, "fr": fr, "en": en}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finding as a number with its error.

    Attributes:
        id: of the record.
        innovation, difficulty, outcome, unit, better: as in the record.
        estimate: in the unit of the outcome, its sign as measured; the logarithm for ratios.
        std_error: of the estimate.
        error_rule: read, or derived from the interval.
        spread: standard deviation of the outcome in its unit; None if unknown.
        spread_rule: how it is known.
        grade: of the finding, 0 to 5.
        group: findings of one group rest on the same people.
        poolable: False for what may stand alone but never beside others.
        ratio: True if estimate and error are logarithms.
        smallest_effect: in the unit of the outcome; None if the finding names none.
    """

    id: str
    innovation: str
    difficulty: str
    outcome: str
    unit: str
    better: str | None
    estimate: float
    std_error: float
    error_rule: ErrorRule
    spread: float | None
    spread_rule: SpreadRule
    grade: int
    group: str
    poolable: bool
    ratio: bool
    role: str
    design_class: str
    territory_kind: str
    year: int | None
    horizon_months: float | None
    smallest_effect: float | None

    @property
    def toward_better(self) -> int:
        """+1 where more is better, -1 where less is; 0 where nobody can say."""
        return {"higher": 1, "lower": -1}.get(self.better or "", 0)

    @property
    def comparable(self) -> bool:
        """Whether it can be set on the common scale: standard deviations, in the direction that people want."""
        return self.spread is not None and self.toward_better != 0

    @property
    def standardised(self) -> float:
        """The estimate in standard deviations of the outcome, favourable above zero."""
        return self.toward_better * self.estimate / (self.spread or math.nan)

    @property
    def standardised_error(self) -> float:
        """Its standard error."""
        return self.std_error / (self.spread or math.nan)


def entries(records: Sequence[Record], grades: Mapping[str, int]) -> tuple[tuple[Entry, ...], tuple[LeftOut, ...]]:
    """What enters and what does not, each in the order of ids.

    A finding that may not be pooled but is an effect with an error enters with `poolable` False: it can stand alone.

    Args:
        records: findings.
        grades: record id -> grade.
    """
    entered, left = [], []
    for record in sorted(records, key=lambda record: record.id):
        grade = grades[record.id]
        code = _obstacle(record, grade)
        if code:
            left.append(LeftOut(id=record.id, code=code))
        else:
            entered.append(_entry(record, grade))
    return tuple(entered), tuple(left)


def std_error_of(record: Record) -> tuple[float, ErrorRule] | None:
    """The standard error of the headline and where it is from; for ratios that of the logarithm.

    Read; otherwise derived from a 95 % interval, which for ratios is one of the logarithm. The interval is taken as
    normal: where it is one of t, the error is a little too large.
    """
    head = record.headline
    if head.std_error and not _is_ratio(record):
        return head.std_error, "read"
    if head.ci_low is None or head.ci_high is None or head.ci_low == head.ci_high:
        return None
    low, high = head.ci_low, head.ci_high
    if _is_ratio(record):
        if low <= 0:
            return None
        low, high = math.log(low), math.log(high)
    return effect_sizes.std_error_from_interval(low, high), "interval"


def spread_of(record: Record, std_error: float) -> tuple[float | None, SpreadRule]:
    """Standard deviation of the outcome and how it is known."""
    head, unit = record.headline, record.outcome.unit
    if unit in UNITS_IN_SD:
        return 1.0, "unit"
    if _is_ratio(record):
        return None, "unknown"
    if unit in UNITS_OF_SHARES and head.comparison_mean is not None and 0 < head.comparison_mean < 1:
        return effect_sizes.sd_of_share(head.comparison_mean), "rate"
    if head.outcome_sd:
        return head.outcome_sd, "read"
    if unit in UNITS_OF_SHARES:
        return LARGEST_SHARE_SD, "largest_share"
    if record.design_class in DRAWN_PEOPLE and record.sample.units:
        return effect_sizes.sd_from_std_error(std_error, record.sample.units), "implied"
    return None, "unknown"


def _obstacle(record: Record, grade: int) -> str:
    """Why this finding is no number to put together, "" if it is one."""
    if record.kind in NOT_AN_EFFECT or record.kind == "sign_only":
        return record.kind
    if record.source.subgroup or record.source.robustness:
        return "subgroup" if record.source.subgroup else "robustness"
    if record.headline.estimate is None or std_error_of(record) is None:
        return "no_error"
    if record.source.kind == "estimated" and record.headline.ci_low is None:
        return "unreliable_error"  # `inference` gave an error but no interval: too few clusters on a side
    return "grade_0" if grade == 0 else ""


def _entry(record: Record, grade: int) -> Entry:
    head, outcome = record.headline, record.outcome
    error, rule = std_error_of(record) or (math.nan, "read")
    spread, spread_rule = spread_of(record, error)
    ratio = _is_ratio(record)
    return Entry(
        id=record.id,
        innovation=record.innovation or "",
        difficulty=record.difficulty or "",
        outcome=outcome.name,
        unit=f"log {outcome.unit}" if ratio else outcome.unit,
        better=outcome.better,
        estimate=math.log(head.estimate or math.nan) if ratio else float(head.estimate or 0.0),
        std_error=error,
        error_rule=rule,
        spread=spread,
        spread_rule=spread_rule,
        grade=grade,
        group=record.source.sample_group or record.id,
        poolable=record.source.poolable,
        ratio=ratio,
        role=record.role,
        design_class=record.design_class,
        territory_kind=record.territory_kind,
        year=record.source.year,
        horizon_months=outcome.horizon_months,
        smallest_effect=outcome.smallest_effect,
    )


def _is_ratio(record: Record) -> bool:
    """No effect is 1: differences are those of logarithms."""
    return record.outcome.no_effect == 1.0
