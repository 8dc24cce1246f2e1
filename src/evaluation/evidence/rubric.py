"""The rubric: which number of which check costs how much, as data in params.yaml.

A rule reads one check, and its bands say what each value costs: a loss (0, 1/2 a concern, 1 serious) and, for the
worst, a cap on the grade. Everything that could make the rubric unfair by accident is refused when it is read: bands
that get better as the value gets worse, bands that no value reaches, checks that nobody measures, sentences with a
blank that nothing fills.

Source: the scale follows the Maryland scale and the EEF padlocks (ceilings), ROBINS-I (the worst domain counts) and
RoB 2 (several concerns add up); each rule cites its own.
"""

import itertools
import math
import re
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator

from evaluation.errors import ParametersError, ProblemsError
from evaluation.evidence.record import Kind, Method
from evaluation.settings.fields import Flag, Frozen, Integer, Number, Slug, Text, listed, refusal
from evaluation.settings.observations import DesignClass
from evaluation.settings.params import FILE, read_params
from evaluation.settings.problems import Origin, from_validation, nearest
from evaluation.settings.yaml12 import KeyPath, read_yaml

Domain = Literal[
    "identification", "missing_data", "precision", "reporting", "measurement", "interference", "independence"
]
Lang = Literal["fr", "en"]
Basis = Literal["published", "benchmark", "house"]
Condition = Literal["always", "high_attrition", "several_cohorts", "declared", "measured"]
Waiver = Literal["never", "precise_null", "interval_includes_no_effect"]
Measure = Literal["value", "wwc_attrition", "share_of_effect", "share_of_smallest_effect"]
SamplingError = Literal["share_of_those_wanted", "share_of_all", "difference", "differential_attrition", "strength"]

DOMAINS: tuple[str, ...] = get_args(Domain)
METHODS: tuple[str, ...] = get_args(Method)
UNCOMPARED = ("uncontrolled",)
NOT_AN_EFFECT = ("claim", "take_up", "level", "not_read")
BEST = 5

# Every check that exists, with the least and the greatest value it can have. Shares are 0 to 1; codes count from 0.
CHECKS: Mapping[str, tuple[float, float]] = {
    "balance.max_smd": (0, math.inf),
    "overlap.share_in_01_09": (0, 1),
    "overlap.ess_share": (0, 1),
    "baseline.outcome_pretest": (0, 1),
    "pretrend.periods": (0, math.inf),
    "pretrend.joint_p": (0, 1),
    "pretrend.detectable_bias": (0, math.inf),
    "pretrend.equivalence_bound": (0, math.inf),
    "placebo.dates_p": (0, 1),
    "placebo.baseline_p": (0, 1),
    "robustness.estimators_agree_p": (0, 1),
    "robustness.leave_one_cohort": (0, math.inf),
    "compliance.first_stage_f": (0, math.inf),
    "identification.sensitivity": (0, math.inf),
    "identification.negative_control": (0, 1),
    "discontinuity.density_p": (0, 1),
    "discontinuity.covariates_p": (0, 1),
    "discontinuity.placebo_cutoff_p": (0, 1),
    "discontinuity.donut": (0, math.inf),
    "synthetic.pre_fit_sd": (0, math.inf),
    "synthetic.rmspe_ratio_p": (0, 1),
    "synthetic.leave_one_out_change": (0, math.inf),
    "synthetic.donors": (0, math.inf),
    "attrition.overall": (0, 1),
    "attrition.differential": (0, 1),
    "precision.mdes_sd": (0, math.inf),
    "precision.clusters": (0, math.inf),
    "precision.treated_clusters": (0, math.inf),
    "registration.plan": (0, 2),
    "multiplicity.holm_p": (0, 1),
    "reporting.uncertainty": (0, 1),
    "reporting.reading": (0, 2),
    "measurement.source": (0, 3),
    "interference.displacement": (0, 1),
    "independence.evaluator": (0, 2),
}
# Checks that are p-values of something that the assumptions of an analysis imply: what an alarm can be made of.
TESTS: tuple[str, ...] = (
    "pretrend.joint_p",
    "placebo.dates_p",
    "placebo.baseline_p",
    "robustness.estimators_agree_p",
    "identification.negative_control",
    "discontinuity.density_p",
    "discontinuity.covariates_p",
    "discontinuity.placebo_cutoff_p",
    "instrument.overidentification_p",
)
BLANKS = ("{value}", "{subject}", "{companion}")
_KEPT = Path(__file__).with_name("rubrics")
_BLANK = re.compile(r"\{[^{}]*\}|[{}]")


class Words(Frozen):
    """The same words in both languages."""

    fr: Text
    en: Text


class Level(Words):
    """One of the six grades."""

    level: Annotated[Integer, Field(ge=0, le=BEST)]
    means_fr: Text
    means_en: Text


class Ceiling(Words):
    """The most that a design, or a kind of finding, can reach."""

    level: Annotated[Integer, Field(ge=0, le=BEST)]
    comparison: Flag = False
    basis: Basis
    cite: Text


class Band(Frozen):
    """Values of a check that cost the same.

    Attributes:
        at_most, at_least: the bound, included; none in the last band, which takes what is left.
        power_at_least: the check's power must reach this as well; unknown power does not.
        loss: what the domain loses.
        cap: the grade cannot be higher.
        fr, en: sentence of this band, if the rule's does not fit.
    """

    at_most: Number | None = None
    at_least: Number | None = None
    power_at_least: Number | None = None
    loss: Annotated[Number, Field(ge=0, le=1)]
    cap: Annotated[Integer, Field(ge=0, le=BEST)] | None = None
    fr: Text | None = None
    en: Text | None = None

    @property
    def costs(self) -> bool:
        """Whether the band lowers the grade."""
        return self.loss > 0 or self.cap is not None


class Format(Frozen):
    """How the sentences write the value; a code is not written."""

    style: Literal["number", "percent", "p_value", "code"]
    digits: Annotated[Integer, Field(ge=0, le=6)] = 0


def _all_methods(value: Any) -> Any:
    return tuple(method for method in METHODS if method not in UNCOMPARED) if value == "any" else value


def _known_check(value: str) -> str:
    if value in CHECKS:
        return value
    close = nearest(value, CHECKS)
    raise refusal(
        "E-EVI-010",
        "no such check is ever measured",
        found=repr(value),
        expected=listed(CHECKS),
        **({"nearest": close} if close else {}),
    )


def _known_blanks(value: str | None) -> str | None:
    """Only `{value}`, `{subject}`, `{companion}`: a sentence is filled with text, never evaluated."""
    unknown = [blank for blank in _BLANK.findall(value or "") if blank not in BLANKS]
    if unknown:
        raise refusal(
            "E-EVI-011", "a sentence has a blank that nothing fills", found=unknown[0], expected=", ".join(BLANKS)
        )
    return value


def fill(sentence: str, text_of: Callable[[str], str]) -> str:
    """The sentence with its blanks filled; `text_of` gives the text for each of BLANKS."""
    pieces = list(_pieces(sentence))
    pieces[1::2] = [text_of(piece) for piece in pieces[1::2]]  # every second one is a blank
    return "".join(pieces)


@cache
def _pieces(sentence: str) -> tuple[str, ...]:
    """Text and blanks in turn, so that what fills a blank is never searched for blanks itself."""
    return tuple(re.split(r"(\{[^{}]*\})", sentence))


class Rule(Frozen):
    """How one check bears on the grade.

    Attributes:
        check: id of the check that is read; `companion` a second one, for measures of two numbers.
        measure: "value" = the check's own; "wwc_attrition" = 0 below the cautious boundary of overall and differential
            attrition, 1 below the optimistic one, 2 above both; "share_of_effect" and "share_of_smallest_effect" = a
            number in the unit of the outcome over the size of the effect, or over the smallest one worth having.
        methods: methods it applies to; "any" in the file = all that have a comparison group.
        except_classes: classes of design to which it does not apply, because their ceiling is low for the same reason.
        only_if: high_attrition = only where the attrition of a trial is above the WWC's optimistic boundary;
            several_cohorts = only where units started at different dates; declared = only where the design asks for the
            check; measured = only where it could be made, which not every design allows.
        skip_if: the check does not matter when the effect is a precise null, or its interval includes no effect.
        bands: from the best to the worst.
    """

    id: Slug
    check: Text
    companion: Text | None = None
    measure: Measure = "value"
    methods: Annotated[tuple[Method, ...], BeforeValidator(_all_methods), Field(min_length=1)]
    except_classes: tuple[DesignClass, ...] = ()
    only_if: Condition = "always"
    skip_if: Waiver = "never"
    domain: Domain
    bands: Annotated[tuple[Band, ...], Field(min_length=2)]
    format: Format
    basis: Basis
    cite: Text
    fr: Text
    en: Text
    not_run_fr: Text
    not_run_en: Text

    @field_validator("check", "companion")
    @classmethod
    def _checks_exist(cls, value: str | None) -> str | None:
        return value if value is None else _known_check(value)

    @field_validator("fr", "en", "not_run_fr", "not_run_en")
    @classmethod
    def _blanks_exist(cls, value: str) -> str:
        return _known_blanks(value) or ""

    @field_validator("bands")
    @classmethod
    def _bands_are_fair(cls, bands: tuple[Band, ...], info: ValidationInfo) -> tuple[Band, ...]:
        for band in bands:
            _known_blanks(band.fr)
            _known_blanks(band.en)
        _require_one_direction(bands)
        _require_worsening(bands)
        _require_reachable(bands, _range(info.data))
        return bands

    @property
    def serious_from(self) -> float | None:
        """The bound beyond which the check costs a whole level; None where the first band does, or none does."""
        place = next((place for place, band in enumerate(self.bands) if band.loss >= 1), 0)
        before = self.bands[place - 1] if place else None
        if before is None:
            return None
        return before.at_most if before.at_most is not None else before.at_least

    def band(self, value: float, power: float | None = None) -> Band:
        """The first band that holds; the last one takes what is left."""
        for at_most, at_least, least, band in self._edges:
            within = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
            if within and (least is None or (power is not None and power >= least)):
                return band
        return self.bands[-1]

    @cached_property
    def _edges(self) -> tuple[tuple[float | None, float | None, float | None, Band], ...]:
        return tuple((band.at_most, band.at_least, band.power_at_least, band) for band in self.bands)


class AlarmTest(Frozen):
    """A check that is the p-value of a test of the analysis.

    Attributes:
        check: one of TESTS.
        methods: where the assumptions imply what it tests.
        unless: outcome_before_used = not where the analysis adjusts for the outcome before, which it then need not be
            comparable without.
    """

    check: Text
    methods: Annotated[tuple[Method, ...], BeforeValidator(_all_methods), Field(min_length=1)]
    unless: Literal["never", "outcome_before_used"] = "never"

    @field_validator("check")
    @classmethod
    def _check_is_a_test(cls, value: str) -> str:
        if value not in TESTS:
            close = nearest(value, TESTS)
            raise refusal(
                "E-EVI-125",
                "this check is no p-value of the analysis, so that an alarm made of it has no size",
                found=repr(value),
                expected=listed(TESTS),
                **({"nearest": close} if close else {}),
            )
        return value


class AlarmBound(Frozen):
    """A rule whose bound, the one from which on it costs a whole level, is held against a number with its error.

    Attributes:
        rule: id.
        error: how the sampling error of the number follows from the sizes in the record (evidence/alarms.py).
    """

    rule: Slug
    error: SamplingError


class AlarmRule(Frozen):
    """When the data contradict an analysis (evidence/alarms.py).

    Attributes:
        level: chance that a right analysis rings.
        tests, bounds: what is looked at together.
        facts: rules about the comparison that was made, which estimate nothing: beyond their bound they ring by
            themselves.
    """

    level: Annotated[Number, Field(gt=0, lt=1)]
    basis: Basis
    cite: Text
    tests: tuple[AlarmTest, ...]
    bounds: tuple[AlarmBound, ...]
    facts: tuple[Slug, ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """Ids of the rules whose bounds it takes."""
        return (*(bound.rule for bound in self.bounds), *self.facts)


class Rubric(Frozen):
    """The whole scale.

    Attributes:
        alarm: when the data contradict an analysis; None in rubrics before 1.3.
        not_run_loss: what a domain loses by a check that was not run.
        further_domains, further_loss: what is lost in addition when at least so many further domains lose.
        lowest_with_comparison: no finding with a comparison group is graded lower.
    """

    version: Text
    not_run_loss: Annotated[Number, Field(ge=0, le=1)]
    further_domains: Annotated[Integer, Field(ge=1)]
    further_loss: Annotated[Number, Field(ge=0, le=1)]
    lowest_with_comparison: Annotated[Integer, Field(ge=0, le=BEST)]
    levels: tuple[Level, ...]
    domains: Mapping[str, Words]
    ceilings: Mapping[str, Ceiling]
    kinds: Mapping[str, Ceiling]
    rules: tuple[Rule, ...]
    alarm: AlarmRule | None = None

    @field_validator("levels")
    @classmethod
    def _levels_are_six(cls, levels: tuple[Level, ...]) -> tuple[Level, ...]:
        found = sorted(level.level for level in levels)
        if found != list(range(BEST + 1)):
            raise refusal("E-EVI-012", "each grade stands once", found=listed(found), expected="0, 1, 2, 3, 4, 5")
        return levels

    @field_validator("domains")
    @classmethod
    def _domains_are_complete(cls, domains: Mapping[str, Words]) -> Mapping[str, Words]:
        return _complete(domains, DOMAINS, "E-EVI-013", "the seven domains need a name each")

    @field_validator("ceilings")
    @classmethod
    def _ceilings_are_complete(cls, ceilings: Mapping[str, Ceiling]) -> Mapping[str, Ceiling]:
        return _complete(ceilings, get_args(DesignClass), "E-EVI-014", "every class of design needs a ceiling")

    @field_validator("kinds")
    @classmethod
    def _kinds_are_complete(cls, kinds: Mapping[str, Ceiling]) -> Mapping[str, Ceiling]:
        others = tuple(kind for kind in get_args(Kind) if kind != "effect")
        return _complete(kinds, others, "E-EVI-015", "every kind of finding but 'effect' needs a ceiling")

    @field_validator("rules")
    @classmethod
    def _rules_differ(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        ids = [rule.id for rule in rules]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise refusal("E-EVI-016", "two rules have one id", found=listed(twice), expected="ids that differ")
        return rules

    @field_validator("alarm")
    @classmethod
    def _alarm_rules_exist(cls, alarm: AlarmRule | None, info: ValidationInfo) -> AlarmRule | None:
        known = {rule.id: rule for rule in info.data.get("rules", ())}
        unknown = [name for name in (alarm.rules if alarm is not None and known else ()) if name not in known]
        if unknown:
            close = nearest(unknown[0], known)
            raise refusal(
                "E-EVI-126",
                "an alarm takes the bound of a rule that does not exist",
                found=repr(unknown[0]),
                expected="ids of rules of this rubric",
                **({"nearest": close} if close else {}),
            )
        return alarm

    def level(self, value: int) -> Level:
        """The words of a grade."""
        return next(level for level in self.levels if level.level == value)

    def rules_of(self, method: str, design_class: str) -> tuple[Rule, ...]:
        """The rules that a method and a class of design are judged by, in order."""
        kept = self._rules_of
        if (method, design_class) not in kept:
            kept[method, design_class] = tuple(
                rule for rule in self.rules if method in rule.methods and design_class not in rule.except_classes
            )
        return kept[method, design_class]

    @cached_property
    def _rules_of(self) -> dict[tuple[str, str], tuple[Rule, ...]]:
        return {}

    def rule(self, rule_id: str) -> Rule:
        """The rule with this id."""
        return next(rule for rule in self.rules if rule.id == rule_id)


def read(root: Path | None = None) -> Rubric:
    """The rubric of params.yaml.

    Raises:
        ProblemsError: everything that is wrong with it, at once.
        ParametersError: there is no section `rubric`.
    """
    params = read_params(root)
    if params.rubric is None:
        raise ParametersError(
            code="E-EVI-017",
            what="There is no rubric, so nothing can be graded.",
            where=FILE,
            found="no section `rubric`",
            expected="the section `rubric`",
            fix=f"restore the section `rubric` of {FILE} from the repository",
        )
    return parse(params.rubric, line=params.line)


def read_version(version: str, root: Path | None = None) -> Rubric:
    """The rubric of this version, the one in force or an earlier one that was kept.

    Raises:
        ParametersError: there is none.
    """
    current, kept = read(root), versions()
    if version == current.version:
        return current
    if version not in kept:
        raise ParametersError(
            code="E-EVI-071",
            what="There is no rubric of this version.",
            where=FILE,
            found=version,
            expected=listed([*kept, current.version]),
            fix="name one of these versions; a rubric that is changed keeps its old text beside the earlier ones",
        )
    return parse(read_yaml(_KEPT / f"{version}.yaml").data, file=f"{version}.yaml")


def versions() -> tuple[str, ...]:
    """Earlier versions that were kept, oldest first."""
    return tuple(sorted(file.stem for file in _KEPT.glob("*.yaml")))


def parse(
    raw: Mapping[str, Any], *, file: str = FILE, line: Callable[[KeyPath], int | None] = lambda _: None
) -> Rubric:
    """The rubric that `raw` describes.

    Args:
        raw: the section `rubric`.
        file: the file it stands in, for messages.
        line: line of a key path in that file, where known.

    Raises:
        ProblemsError: everything that is wrong with it, at once.
    """
    try:
        return Rubric.model_validate(raw)
    except ValidationError as error:
        origin = Origin(file=file, line=line, prefix=("rubric",))
        problems = from_validation(error, model=Rubric, raw=raw, origin=origin)
        raise ProblemsError(problems, code="E-EVI-018") from error


# what makes bands fair -----------------------------------------------------------------------------------------------


def _require_one_direction(bands: tuple[Band, ...]) -> None:
    bounded, last = bands[:-1], bands[-1]
    upper = all(band.at_most is not None and band.at_least is None for band in bounded)
    lower = all(band.at_least is not None and band.at_most is None for band in bounded)
    if not (upper or lower) or last.at_most is not None or last.at_least is not None:
        raise refusal(
            "E-EVI-020",
            "bands need bounds of one direction, and none in the last",
            found="; ".join(_bound(band) for band in bands),
            expected="`at_most` in every band but the last, or `at_least` in every band but the last",
        )


def _require_worsening(bands: tuple[Band, ...]) -> None:
    for better, worse in itertools.pairwise(bands):
        if worse.loss < better.loss or _cap(worse) > _cap(better):
            raise refusal(
                "E-EVI-021",
                "a worse band costs less than a better one",
                found=f"{_bound(better)} costs more than {_bound(worse)}",
                expected="losses that grow and caps that fall from band to band",
            )
    if bands[0].costs or not bands[-1].costs:
        raise refusal(
            "E-EVI-022",
            "a rule needs a value that costs nothing and one that costs something",
            found=f"first loss {bands[0].loss}, last loss {bands[-1].loss}",
            expected="no loss in the first band, a loss or a cap in the last",
        )


def _require_reachable(bands: tuple[Band, ...], limits: tuple[float, float]) -> None:
    low, high = limits if bands[0].at_most is not None else (-limits[1], -limits[0])
    bounds = [_upward(band) for band in bands[:-1]]
    follows = [
        later > earlier or (later == earlier and band.power_at_least is not None)
        for band, earlier, later in zip(bands, bounds, bounds[1:], strict=False)
    ]
    if not all(follows) or bounds[0] < low or bounds[-1] >= high:
        raise refusal(
            "E-EVI-023",
            "no value can reach one of the bands",
            found="; ".join(_bound(band) for band in bands),
            expected=f"bounds in order, between {limits[0]:g} and {limits[1]:g}, that leave something to the last band",
        )


def _upward(band: Band) -> float:
    """The bound of a band, with its sign changed for lower bounds, so that worse is always higher."""
    return band.at_most if band.at_most is not None else -(band.at_least or 0.0)


def _bound(band: Band) -> str:
    parts = [f"{name} {value:g}" for name in ("at_most", "at_least") if (value := getattr(band, name)) is not None]
    return " and ".join(parts) or "the rest"


def _cap(band: Band) -> int:
    return BEST + 1 if band.cap is None else band.cap


# small things --------------------------------------------------------------------------------------------------------


def _range(fields: Mapping[str, Any]) -> tuple[float, float]:
    """The values that a rule's measure can have; anything if the check itself is in doubt."""
    if fields.get("measure") == "wwc_attrition":
        return 0, 2
    return CHECKS.get(fields.get("check", ""), (-math.inf, math.inf))


def _complete(found: Mapping[str, Any], wanted: tuple[str, ...], code: str, message: str) -> Mapping[str, Any]:
    """`found` in the order of `wanted`, if it has exactly these keys."""
    if set(found) != set(wanted):
        missing, unknown = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
        raise refusal(
            code,
            message,
            found=f"missing {listed(missing) or 'none'}; unknown {listed(unknown) or 'none'}",
            expected=listed(wanted),
        )
    return {name: found[name] for name in wanted}
