"""Experiments: chance decided who was treated."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from evaluation.settings.designs.base import (
    Design,
    TreatmentField,
    among,
    measured_before,
    outcome_columns,
    used_once,
)
from evaluation.settings.designs.experiment_options import Exploration, PhaseIn, Survey, Transport
from evaluation.settings.designs.roster import Roster
from evaluation.settings.designs.variables import Treatment
from evaluation.settings.fields import Column, Columns, listed, refusal


def _probability(value: Any) -> float | str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    raise refusal("E-SET-088", "this is not a probability", found=repr(value), expected="above 0, below 1, or a column")


NOT_IN_PHASE_IN = (
    "strata",
    "probability",
    "takeup",
    "roster",
    "weight",
    "response_weight",
    "survey",
    "territory",
    "subgroups",
    "explore",
    "baseline_outcome",
    "roster",
    "transport",
    "saturation",
)


def _by_pair(info: ValidationInfo) -> bool:
    return (info.data.get("assignment"), info.data.get("strata_effects")) == ("paired", "by_stratum")


def _pairs_have_no_groups(key: str) -> PydanticCustomError:
    return refusal(
        "E-SET-151",
        "differences within pairs, averaged by the sizes of the pairs, are not divided into groups",
        found=f"{key} with assignment: paired and strata_effects: by_stratum",
        expected="strata_effects: fixed_effects, or no groups",
    )


class ExperimentDesign(Design):
    """Chance decided who was treated.

    Attributes:
        treatment: who was exposed.
        adjustment: none (difference of means), lin (covariates centred, by arm), ancova (covariates, common slope).
        assignment: what was drawn: individuals, clusters, or one of each pair.
        strata: column of the strata of the draw (pairs, for paired).
        probability: probability of being treated, 0 to 1, or the column that holds it.
        takeup: 0/1 column: took part.
        roster: everybody who was assigned, to count attrition against.
        strata_effects: strata as fixed effects (a mean that gives most weight to large strata with equal arms), or an
            effect for each stratum, averaged by the shares of the strata (pairs: by their sizes).
        survey: how the sample was drawn from a population; variances then follow that draw.
        response_weight: column of weights that make up for those who did not answer; they multiply `weight`.
        subgroups: columns of groups, declared beforehand, that have an effect each.
        explore: a search for groups with different effects; what it finds is a question for the next trial.
        baseline_outcome: column of the outcome before the draw: a lottery that was kept moves it only by chance.
        transport: the effect of one territory carried to another one by the covariates.
        saturation: column with the share of the first cluster that chance chose to treat, before it chose whom: direct
            effects, and those on the untreated of the same group, are then told apart.
        phase_in: chance decided when each unit (cluster, where these were drawn) starts.
    """

    method: Literal["experiment"] = "experiment"
    treatment: TreatmentField
    adjustment: Annotated[Literal["none", "lin", "ancova"], Field(validate_default=True)] = "none"
    strata: Column | None = None
    assignment: Annotated[Literal["individual", "cluster", "paired"], Field(validate_default=True)] = "individual"
    probability: Annotated[float | str | None, PlainValidator(_probability)] = None
    takeup: Column | None = None
    roster: Roster | None = None
    strata_effects: Annotated[Literal["fixed_effects", "by_stratum"], Field(validate_default=True)] = "fixed_effects"
    survey: Survey | None = None
    response_weight: Column | None = None
    subgroups: Columns = ()
    explore: Exploration | None = None
    baseline_outcome: Column | None = None
    transport: Transport | None = None
    saturation: Column | None = None
    phase_in: PhaseIn | None = None

    @field_validator("treatment")
    @classmethod
    def _treatment_alone(cls, treatment: Treatment, info: ValidationInfo) -> Treatment:
        return used_once(treatment, info)

    @field_validator("adjustment")
    @classmethod
    def _adjusts_for_something(cls, adjustment: str, info: ValidationInfo) -> str:
        if adjustment != "none" and not info.data.get("covariates", "?"):
            raise refusal(
                "E-SET-084",
                f"adjustment: {adjustment} needs covariates",
                found="none",
                expected="covariates: [columns]",
            )
        return adjustment

    @field_validator("assignment")
    @classmethod
    def _drawn_groups(cls, assignment: str, info: ValidationInfo) -> str:
        if assignment == "cluster" and not info.data.get("cluster", "?"):
            raise refusal(
                "E-SET-085", "clusters were drawn, but none are named", found="no cluster", expected="cluster: [column]"
            )
        if assignment == "paired" and not info.data.get("strata", "?"):
            raise refusal(
                "E-SET-086",
                "pairs were drawn, but none are named",
                found="no strata",
                expected="strata: column of the pair",
            )
        return assignment

    @field_validator("takeup")
    @classmethod
    def _takeup_is_not_the_offer(cls, takeup: str | None, info: ValidationInfo) -> str | None:
        treatment = info.data.get("treatment")
        if takeup is not None and treatment is not None and takeup == treatment.column:
            raise refusal("E-SET-087", "take-up is the treatment itself", found=repr(takeup), expected="another column")
        return takeup

    @field_validator("roster")
    @classmethod
    def _roster_has_units(cls, roster: Roster | None, info: ValidationInfo) -> Roster | None:
        if roster is not None and roster.sources and info.data.get("unit", "?") is None:
            raise refusal(
                "E-SET-157",
                "people of a roster are found by unit, and no column names them",
                key="unit",
                found="no unit",
                expected="unit: column",
            )
        return roster

    @field_validator("roster")
    @classmethod
    def _cells_before_the_draw(cls, roster: Roster | None, info: ValidationInfo) -> Roster | None:
        treatment = info.data.get("treatment")
        used = {*outcome_columns(info), info.data.get("takeup"), treatment and treatment.column}
        after = [] if roster is None else among(roster.cells, tuple(name for name in used if name))
        if after:
            raise refusal(
                "E-SET-158",
                "groups within which bounds are computed were fixed before the draw",
                found=listed(after),
                expected="columns that are neither outcome, treatment nor takeup",
            )
        return roster

    @field_validator("strata_effects")
    @classmethod
    def _strata_to_average(cls, strata_effects: str, info: ValidationInfo) -> str:
        data = info.data
        if strata_effects == "by_stratum" and data.get("strata", "?") is None:
            raise refusal(
                "E-SET-140", "there are no strata to average over", found="no strata", expected="strata: column"
            )
        if strata_effects == "by_stratum" and data.get("inference") and data["inference"].test == "randomisation":
            raise refusal(
                "E-SET-143",
                "the randomisation test compares the estimate with strata as fixed effects",
                found="strata_effects: by_stratum with test: randomisation",
                expected="strata_effects: fixed_effects, or test: analytic",
            )
        return strata_effects

    @field_validator("strata_effects")
    @classmethod
    def _pairs_have_their_own_variance(cls, strata_effects: str, info: ValidationInfo) -> str:
        if strata_effects != "by_stratum" or info.data.get("assignment") != "paired":
            return strata_effects
        if info.data.get("territory"):
            raise _pairs_have_no_groups("territory")
        adjustment, inference = info.data.get("adjustment", "none"), info.data.get("inference")
        if adjustment != "none":
            raise refusal(
                "E-SET-141",
                "differences within pairs, averaged by the sizes of the pairs, are not adjusted for covariates",
                found=f"adjustment: {adjustment}",
                expected="adjustment: none, or strata_effects: fixed_effects",
            )
        if inference is not None and inference.std_error is not None:
            raise refusal(
                "E-SET-142",
                "differences within pairs, averaged by the sizes of the pairs, have a variance of their own",
                found=f"std_error: {inference.std_error}",
                expected="no std_error, or strata_effects: fixed_effects",
            )
        return strata_effects

    @field_validator("survey")
    @classmethod
    def _one_variance(cls, survey: Survey | None, info: ValidationInfo) -> Survey | None:
        inference = info.data.get("inference")
        if survey is not None and inference is not None and (inference.std_error or inference.test != "analytic"):
            raise refusal(
                "E-SET-145",
                "variances follow the draw of the sample, and another convention is asked for as well",
                found=f"survey with std_error: {inference.std_error}, test: {inference.test}",
                expected="survey without std_error and test, or no survey",
            )
        if survey is not None and _by_pair(info):
            raise refusal(
                "E-SET-147",
                "pairs averaged by their sizes have the variance of pairs, not that of a survey",
                found="survey with assignment: paired and strata_effects: by_stratum",
                expected="strata_effects: fixed_effects, or no survey",
            )
        return survey

    @field_validator("survey")
    @classmethod
    def _clusters_are_sampling_units(cls, survey: Survey | None, info: ValidationInfo) -> Survey | None:
        clusters = info.data.get("cluster", ())
        others = [column for column in clusters if survey is not None and column != survey.sampling_unit]
        if others:
            raise refusal(
                "E-SET-146",
                "units are dependent within their sampling unit, and other clusters would be ignored",
                found=f"cluster {listed(others)}",
                expected="cluster: the column of sampling_unit, or none",
            )
        return survey

    @field_validator("response_weight")
    @classmethod
    def _another_weight(cls, response_weight: str | None, info: ValidationInfo) -> str | None:
        if response_weight is not None and response_weight == info.data.get("weight"):
            raise refusal(
                "E-SET-150",
                "the weight for those who did not answer is the sampling weight itself",
                found=repr(response_weight),
                expected="another column, or only one of both keys",
            )
        return response_weight

    @field_validator("subgroups")
    @classmethod
    def _groups_before_the_draw(cls, subgroups: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        treatment = info.data.get("treatment")
        used = (*outcome_columns(info), info.data.get("takeup"), treatment and treatment.column)
        after = among(subgroups, tuple(name for name in used if name))
        if subgroups and _by_pair(info):
            raise _pairs_have_no_groups("subgroups")
        if after:
            raise refusal(
                "E-SET-148",
                "a subgroup is made of something that the treatment can change",
                found=listed(after),
                expected="columns that are neither outcome, treatment nor takeup",
            )
        return subgroups

    @field_validator("baseline_outcome")
    @classmethod
    def _baseline_comes_before(cls, baseline: str | None, info: ValidationInfo) -> str | None:
        return measured_before(baseline, info)

    @field_validator("saturation")
    @classmethod
    def _saturated_groups(cls, saturation: str | None, info: ValidationInfo) -> str | None:
        if saturation is None:
            return None
        if not info.data.get("cluster", "?"):
            raise refusal(
                "E-SET-284",
                "saturations are assigned to groups, and none are named",
                key="cluster",
                found="no cluster",
                expected="cluster: [column of the group]",
            )
        if info.data.get("assignment") != "individual" or _by_pair(info):
            raise refusal(
                "E-SET-285",
                "a trial with saturations draws people within groups",
                found=f"saturation with assignment: {info.data.get('assignment')}",
                expected="assignment: individual",
            )
        return saturation

    @field_validator("phase_in")
    @classmethod
    def _means_of_cohorts(cls, phase_in: PhaseIn | None, info: ValidationInfo) -> PhaseIn | None:
        if phase_in is None:
            return None
        data, inference = info.data, info.data.get("inference")
        others = [key for key in NOT_IN_PHASE_IN if data.get(key)]
        others += ["adjustment"] if data.get("adjustment", "none") != "none" else []
        others += ["assignment: paired"] if data.get("assignment") == "paired" else []
        others += [f"std_error: {inference.std_error}"] if inference and inference.std_error else []
        others += [f"test: {inference.test}"] if inference and inference.test != "analytic" else []
        if others:
            raise refusal(
                "E-SET-152",
                "where chance decided when units start, means of those who start together are compared, and no more",
                found=listed(others),
                expected="none of these keys; the test by permuted starts is always made",
            )
        if data.get("unit", "?") is None:
            raise refusal(
                "E-SET-153",
                "units are followed until they start, but no column names them",
                key="unit",
                found="no unit",
                expected="unit: column",
            )
        return phase_in

    @field_validator("explore")
    @classmethod
    def _searched_among_covariates(cls, explore: Exploration | None, info: ValidationInfo) -> Exploration | None:
        covariates = info.data.get("covariates")
        if explore is None or covariates is None:
            return explore
        if _by_pair(info):
            raise _pairs_have_no_groups("explore")
        unknown = [column for column in explore.columns if column not in covariates]
        if unknown or not covariates:
            raise refusal(
                "E-SET-149",
                "groups are searched among the covariates",
                found=listed(unknown) or "no covariates",
                expected=f"some of {listed(covariates)}" if covariates else "covariates: [columns]",
            )
        return explore

    @property
    def public(self) -> bool:
        """Whether anybody may see all the micro-data, those of the roster included."""
        own = self.roster.sources if self.roster is not None else ()
        return super().public and all(source.is_public for source in own)
