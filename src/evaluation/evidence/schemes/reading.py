"""A record as foreign schemes read it: each measure by its name, and which of them the record lacks."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evaluation.evidence import grading
from evaluation.evidence.record import Check, Record
from evaluation.evidence.rubric import NOT_AN_EFFECT
from evaluation.settings.wwc import attrition_zone

RANDOMISED = frozenset({"randomised", "randomised_cluster", "lottery"})
TRENDS = frozenset({"event_study", "matched_did", "did"})
MATCHED = frozenset({"matching_pretest", "matching"})
SYNTHESES = frozenset({"meta_analysis_randomised", "meta_analysis"})
# A comparison group that somebody made comparable, or took as it was.
CONTROLLED = RANDOMISED | TRENDS | MATCHED | {"synthetic_control", "discontinuity", "instrument"}
COMPARED = CONTROLLED | {"comparison_group", "raw_comparison"}
# Where the unit that is treated is a place or a group, so that there may be one only.
GROUPED = TRENDS | {"randomised_cluster", "synthetic_control"}

# Overall attrition at which both boundaries of the WWC are highest (6.3 and 10.9 points).
KINDEST = 0.10

FAVOURABLE, NO_SIGN, UNFAVOURABLE = "favourable", "none", "unfavourable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something a scheme asks about a finding.

    Attributes:
        best, worst: the most and the least favourable value it could have.
        fr, en: after 'the record does not say'.
        read: the value, or None where the record lacks it; without it, the value of the check of the same name.
    """

    best: Any
    worst: Any
    fr: str
    en: str
    read: Callable[["Reading"], Any] | None = None


@dataclass(slots=True)
class Reading:
    """One record. What was read once is kept; `asked` holds the missing measures that a judgement wanted."""

    record: Record
    design: str = field(init=False)
    is_effect: bool = field(init=False)
    checks: Mapping[str, Check] = field(init=False)
    asked: set[str] = field(init=False, default_factory=set)
    worst: bool = field(init=False, default=False)
    _known: dict[str, Any] = field(init=False, default_factory=dict)
    _kept: dict[tuple[str, bool], tuple[Any, set[str]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Class of design; whether an effect was read, or at least its direction; the checks by their ids."""
        self.design = self.record.design_class
        self.is_effect = self.record.kind not in NOT_AN_EFFECT
        self.checks = {check.check: check for check in self.record.checks}

    def assume(self, *, worst: bool) -> None:
        """From now on take what is missing at its worst, or at its best."""
        self.worst = worst
        self.asked = set()

    def get(self, name: str) -> Any:
        """The measure, or what is assumed for it."""
        known = self._known
        if name not in known:
            read = MEASURES[name].read
            known[name] = self.value(name) if read is None else read(self)
        if known[name] is not None:
            return known[name]
        self.asked.add(name)
        return MEASURES[name].worst if self.worst else MEASURES[name].best

    def value(self, check_id: str) -> float | None:
        """The value of a check, None unless it was measured."""
        found = self.checks.get(check_id)
        return None if found is None else found.value

    def zone(self, kind: str = "") -> int:
        """Attrition against the WWC's boundaries: 0 below the cautious, 1 below the optimistic one, 2 above both."""
        prefix = f"attrition.{kind}"
        return int(self.once(prefix, lambda reading: _zone(reading, prefix)))

    def once(self, name: str, judge: Callable[["Reading"], Any]) -> Any:
        """What `judge` says of this reading, with what it asked for; judged once for the best and once for the worst.

        Args:
            name: of what is judged.
            judge: a function of the reading alone.
        """
        key = (name, self.worst)
        if key not in self._kept:
            outer, self.asked = self.asked, set()
            self._kept[key] = judge(self), self.asked
            self.asked = outer
        found, asked = self._kept[key]
        self.asked |= asked
        return found


def _zone(reading: Reading, prefix: str) -> int:
    """The zone; what is not known of overall attrition is taken where the boundary is kindest, which is not at zero."""
    overall, differential = reading.get(f"{prefix}overall"), reading.get(f"{prefix}differential")
    if f"{prefix}overall" in reading.asked and not reading.worst:
        overall = KINDEST
    return attrition_zone(overall, differential)


def _significance(reading: Reading) -> str | None:
    record = reading.record
    better, ends = record.outcome.better, grading.interval(record.headline)
    if not reading.is_effect or better is None:
        return None
    if ends is None:
        return _of_direction(record.headline.direction, better)
    if ends[0] <= record.outcome.no_effect <= ends[1]:
        return NO_SIGN
    return FAVOURABLE if (ends[0] > record.outcome.no_effect) == (better == "higher") else UNFAVOURABLE


def _of_direction(direction: str | None, better: str) -> str | None:
    if direction is None or direction == "none":
        return NO_SIGN if direction else None
    return FAVOURABLE if (direction == "positive") == (better == "higher") else UNFAVOURABLE


def _precise_null(reading: Reading) -> bool | None:
    record = reading.record
    if record.outcome.smallest_effect is None or grading.interval(record.headline) is None:
        return None
    return grading.is_precise_null(record)


def _imprecision(reading: Reading) -> int | None:
    """How many of 'no effect', an appreciable benefit and an appreciable harm the interval adds to the first one."""
    outcome, ends = reading.record.outcome, grading.interval(reading.record.headline)
    if ends is None or outcome.smallest_effect is None:
        return None
    low, high = (end - outcome.no_effect for end in ends)
    large = (high >= outcome.smallest_effect) + (low <= -outcome.smallest_effect)
    return int(large) if low <= 0 <= high else 0


def _baseline_gap(reading: Reading) -> float | None:
    """Largest standardised difference of the groups compared; for changes over time that of the outcome before."""
    value = reading.value("balance.max_smd")
    if value is None and reading.design in TRENDS:
        value = reading.value("dip.level_smd")
    return None if value is None else abs(value)


def _adjusted(reading: Reading) -> float | None:
    """Changes over time take the difference at the start away, whatever else is adjusted for."""
    return 1.0 if reading.design in TRENDS else reading.value("balance.adjusted")


def _treated_groups(reading: Reading) -> float | None:
    value = reading.value("precision.treated_clusters")
    if value is not None:
        return value
    counted = reading.record.sample.treated_clusters
    if counted is not None:
        return float(counted)
    return None if reading.design in GROUPED else math.inf


def _plan(reading: Reading) -> float | None:
    found = reading.checks.get("registration.plan")
    if found is not None and found.status == "not_applicable":
        return 0.0
    return None if found is None else found.value


def _units(reading: Reading) -> float | None:
    return None if reading.record.sample.units is None else float(reading.record.sample.units)


def _in_standard_deviations(reading: Reading) -> float | None:
    """Effect turned so that more is better, in standard deviations of the outcome."""
    headline, outcome = reading.record.headline, reading.record.outcome
    if headline.estimate is None or not headline.outcome_sd or outcome.better is None:
        return None
    effect = (headline.estimate - outcome.no_effect) / headline.outcome_sd
    return effect if outcome.better == "higher" else -effect


def _is_test(reading: Reading) -> bool | None:
    source = reading.record.outcome.source.lower()
    return source == "standardised test" if source else None


def _risk_ratio(reading: Reading) -> float:
    """Ratios tell it; a difference is no ratio, so that nothing is added for its size."""
    outcome, estimate = reading.record.outcome, reading.record.headline.estimate
    return estimate if outcome.no_effect == 1 and estimate is not None and estimate > 0 else 1.0


def _code(fr: str, en: str) -> Measure:
    return Measure(best=0.0, worst=2.0, fr=fr, en=en)


MEASURES: Mapping[str, Measure] = {
    "result": Measure(
        best=None,
        worst=None,
        fr="le résultat de l'étude, que personne n'a lu",
        en="the result of the study, which nobody has read",
    ),
    "significance": Measure(
        best=FAVOURABLE,
        worst=UNFAVOURABLE,
        fr="si l'effet se distingue du hasard, et dans quel sens",
        en="whether the effect is told apart from chance, and its direction",
        read=_significance,
    ),
    "precise_null": Measure(
        best=False,
        worst=True,
        fr="si l'effet est assez précisément nul (plus petit effet qui compte, intervalle)",
        en="whether the effect is precisely nil (smallest effect worth having, interval)",
        read=_precise_null,
    ),
    "imprecision": Measure(
        best=0,
        worst=2,
        fr="l'intervalle et le plus petit effet qui compte",
        en="the interval and the smallest effect worth having",
        read=_imprecision,
    ),
    "attrition.overall": Measure(
        best=0.0, worst=1.0, fr="la part des résultats manquants", en="the share of outcomes that are missing"
    ),
    "attrition.differential": Measure(
        best=0.0,
        worst=1.0,
        fr="l'écart de cette part entre les groupes",
        en="how that share differs between the groups",
    ),
    "attrition.clusters_overall": Measure(
        best=0.0, worst=1.0, fr="la part des groupes perdus", en="the share of whole groups that were lost"
    ),
    "attrition.clusters_differential": Measure(
        best=0.0,
        worst=1.0,
        fr="l'écart de cette part des groupes perdus",
        en="how the share of lost groups differs",
    ),
    "baseline.gap": Measure(
        best=0.0,
        worst=math.inf,
        fr="de combien les groupes différaient au départ",
        en="how far the groups differed at the start",
        read=_baseline_gap,
    ),
    "balance.adjusted": Measure(
        best=1.0,
        worst=0.0,
        fr="si l'analyse corrige ces écarts de départ",
        en="whether the analysis adjusts for these differences",
        read=_adjusted,
    ),
    "pretrend.joint_p": Measure(
        best=1.0,
        worst=0.0,
        fr="si les groupes évoluaient de la même façon avant",
        en="whether the groups moved alike before",
    ),
    "precision.mdes_sd": Measure(
        best=0.0, worst=math.inf, fr="quel effet l'étude pouvait détecter", en="what effect the study could detect"
    ),
    "precision.treated_groups": Measure(
        best=math.inf,
        worst=0.0,
        fr="combien de groupes ont reçu le programme",
        en="how many groups received the programme",
        read=_treated_groups,
    ),
    "registration.plan": Measure(
        best=0.0,
        worst=2.0,
        fr="si un plan d'analyse a été publié à l'avance",
        en="whether a plan was published in advance",
        read=_plan,
    ),
    "sample.units": Measure(
        best=math.inf, worst=0.0, fr="le nombre de personnes", en="the number of people", read=_units
    ),
    "sample.sites": Measure(best=math.inf, worst=0.0, fr="le nombre de sites", en="the number of sites"),
    "outcome.in_sd": Measure(
        best=math.inf,
        worst=-math.inf,
        fr="la taille de l'effet en écarts-types",
        en="the size of the effect in standard deviations",
        read=_in_standard_deviations,
    ),
    "outcome.is_test": Measure(
        best=True,
        worst=False,
        fr="si le résultat est un test scolaire",
        en="whether the outcome is a test of attainment",
        read=_is_test,
    ),
    "outcome.risk_ratio": Measure(
        best=1.0, worst=1.0, fr="le rapport des risques", en="the risk ratio", read=_risk_ratio
    ),
    "discontinuity.integrity": _code("si le score a pu être manipulé", "whether the score could be manipulated"),
    "discontinuity.attrition": _code(
        "combien de résultats manquent de part et d'autre", "how many outcomes are missing on each side"
    ),
    "discontinuity.continuity": _code(
        "si le reste est continu au seuil", "whether all else is continuous at the threshold"
    ),
    "discontinuity.bandwidth": _code("la fenêtre et la forme retenues", "the bandwidth and the form that were chosen"),
    "programme.logic_model": Measure(
        best=1.0,
        worst=0.0,
        fr="si le programme a un modèle logique et une étude en cours",
        en="whether the programme has a logic model and a study under way",
    ),
    "programme.replication": Measure(
        best=1.0, worst=0.0, fr="si une étude indépendante l'a confirmé", en="whether an independent study confirmed it"
    ),
    "synthesis.consistency": _code(
        "si les études se contredisent et si d'autres manquent",
        "whether studies disagree and whether others are missing",
    ),
}
