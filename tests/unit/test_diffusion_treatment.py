"""Limits, funnels, effective shares, what massive treatment takes, lessons and plans: by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation import store
from evaluation.diffusion import coverage, forecast, funnel, lessons, plan, results, treatment
from evaluation.diffusion.adoption import CURVES
from evaluation.diffusion.constraints import Limits, constrained
from evaluation.diffusion.series import find, read
from evaluation.errors import DataError, ParametersError, ProblemsError
from evaluation.settings.diffusion import DiffusionFacts, DiffusionPolicy, Factor, FunnelFacts, read_diffusion
from evaluation.settings.params import read_params
from evaluation.settings.portfolio import Portfolio, read_portfolio

Project = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return read_portfolio(ROOT)


@pytest.fixture(scope="module")
def facts(portfolio: Portfolio) -> DiffusionFacts:
    return read_diffusion(portfolio, ROOT)


@pytest.fixture(scope="module")
def policy() -> DiffusionPolicy:
    found = read_params(ROOT).diffusion
    assert found is not None
    return found


@pytest.fixture(scope="module")
def microcredit(portfolio: Portfolio, facts: DiffusionFacts, policy: DiffusionPolicy) -> forecast.Fitted:
    found = forecast.fit_all(find(read(portfolio, facts), "microcredit-personnel"), policy)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def rows(portfolio: Portfolio) -> dict[tuple[str, str], coverage.Coverage]:
    return {(row.innovation, row.territory): row for row in coverage.coverage(portfolio)}


# limits --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bass", "logistic", "gompertz"])
def test_without_limits_the_path_is_the_curve(name: str) -> None:
    curve, shape = CURVES[name], {"bass": np.log([0.03, 0.4])}.get(name, np.array([np.log(0.5), 5.0]))
    years = np.arange(1.0, 12)
    level = 1000 * curve.share(shape[None, :], years)[0]
    found = constrained(curve, shape, 1000, float(level[0]), len(years) - 1, Limits())
    np.testing.assert_allclose(found.level, level[1:], rtol=1e-9)
    assert set(found.binding) == {"none"}


def test_the_scarcest_limit_binds_and_is_named() -> None:
    curve, shape = CURVES["logistic"], np.array([np.log(2.0), 5.0])
    limits = Limits(ramp=30, capacity=150, budget=16_000, unit_cost=100)  # budget pays 160 units
    found = constrained(curve, shape, 1000, 100, 4, limits)
    # wanted far more each year: + 30, then 150 is the capacity, below 160 and 160 (130 + 30)
    assert found.level.tolist() == [130, 150, 150, 150]
    assert found.binding == ("ramp", "capacity", "capacity", "capacity")
    poorer = constrained(curve, shape, 1000, 100, 3, replace(limits, budget=12_000))
    assert poorer.level.tolist() == [120, 120, 120]
    assert set(poorer.binding) == {"budget"}


def test_more_money_never_means_less(microcredit: forecast.Fitted) -> None:
    curve, shape = microcredit.best.curve, microcredit.best.shape
    paths = [
        constrained(curve, shape, 1e5, 2e4, 15, Limits(ramp=4e3, budget=budget, unit_cost=10.0)).level
        for budget in (2.1e5, 3e5, 9e5)
    ]
    assert (np.diff(np.array(paths), axis=0) >= 0).all()


def test_at_the_ceiling_nothing_moves() -> None:
    curve, shape = CURVES["bass"], np.log([0.03, 0.4])
    assert constrained(curve, shape, 100, 100, 2, Limits()).level.tolist() == [100, 100]


@pytest.mark.parametrize(
    ("start", "limits"),
    [(0, Limits()), (1, Limits(ramp=-1)), (1, Limits(budget=5)), (1, Limits(budget=5, unit_cost=0))],
)
def test_limits_that_cannot_be_are_refused(start: float, limits: Limits) -> None:
    with pytest.raises(ParametersError) as caught:
        constrained(CURVES["bass"], np.log([0.03, 0.4]), 100, start, 2, limits)
    assert caught.value.code == "E-DIF-008"


# funnels -------------------------------------------------------------------------------------------------------------


def test_the_thirty_thousand_internships(portfolio: Portfolio, facts: DiffusionFacts) -> None:
    found = funnel.funnel(next(each for each in facts.funnels if each.innovation == "monstage"), portfolio)
    levels = {level.step: level for level in found.levels}
    # 130,000 pupils; 12,648 offers on the first day = 9.73 %; fewer than 10,000 filled = at most 79.1 % of them
    assert levels["offered"].of_previous == pytest.approx(12_648 / 130_000)
    assert levels["taken_up"].of_previous == pytest.approx(10_000 / 12_648)
    assert levels["taken_up"].bound == "upper"
    assert found.narrowest == "offered"
    assert found.unknown == ("eligible", "informed", "completed", "benefited")
    assert "Nombre d'offres faites." not in found.as_dict()["to_collect_fr"]
    assert "Number of people who completed it." in found.as_dict()["to_collect_en"]


def test_a_flow_beside_a_stock_is_marked(portfolio: Portfolio, facts: DiffusionFacts) -> None:
    found = funnel.funnel(next(each for each in facts.funnels if each.innovation == "wimoov"), portfolio)
    taken = next(level for level in found.levels if level.step == "taken_up")
    assert (taken.of_need, taken.mixed) == (pytest.approx(11_000 / 15_000_000), True)


def test_a_claim_is_never_a_benefit(portfolio: Portfolio, facts: DiffusionFacts) -> None:
    for each in facts.funnels:
        assert "benefited" in funnel.funnel(each, portfolio).unknown


def test_a_step_that_grows_is_refused(portfolio: Portfolio) -> None:
    facts = FunnelFacts.model_validate(
        {
            "innovation": "monstage",
            "steps": [
                {"step": "offered", "reach": "monstage-offers-2018-10"},
                {"step": "taken_up", "need": "rep-pupils-year"},
            ],
        }
    )
    with pytest.raises(DataError) as caught:
        funnel.funnel(facts, portfolio)
    assert caught.value.code == "E-DIF-009"


# shares --------------------------------------------------------------------------------------------------------------


def factor(name: str, value: float) -> Factor:
    return Factor(innovation="x", factor=name, value=value, source_address="https://example.org/a", confidence="seen")


def test_the_effective_share_by_hand() -> None:
    known = [factor("benefit", 0.2), factor("voltage", 0.5), factor("displacement", 0.25)]
    # 10 % reached x 0.2 x 0.5 x 0.75 = 0.75 %
    found = treatment.effective(0.1, known)
    assert found.share == pytest.approx(0.0075)
    assert found.unknown == ()


def test_an_unknown_factor_gives_no_number_but_a_most() -> None:
    found = treatment.effective(0.1, [factor("benefit", 0.2)])
    assert (found.share, found.at_most, found.unknown) == (None, 0.1, ("voltage", "displacement"))
    assert treatment.effective(None, []).at_most is None


def test_a_factor_stands_once() -> None:
    with pytest.raises(ParametersError) as caught:
        treatment.effective(0.1, [factor("benefit", 0.2), factor("benefit", 0.3)])
    assert caught.value.code == "E-DIF-010"


def test_flow_and_stock_are_treated_differently() -> None:
    flow = np.array([20.0, 40, 60, 80, 100])
    # a need of 100 a year: half of it in the year in which 50 are reached; a standing one: when they add up to 50
    assert treatment.years_until(flow, 100, "flow", 0.5) == 3
    assert treatment.years_until(flow, 100, "stock", 0.5) == 2
    assert treatment.years_until(flow, 1_000, "stock", 0.5) is None
    assert treatment.required(100, "flow", 0.8, 10) == 80
    assert treatment.required(100, "stock", 0.8, 10) == 8


def test_personal_microcredit_as_now_would_take_a_century(
    rows: dict[tuple[str, str], coverage.Coverage], microcredit: forecast.Fitted, policy: DiffusionPolicy
) -> None:
    row = rows["microcredit-personnel", "france"]
    found = {each.name: each for each in treatment.scenarios(row, 20_000, microcredit, policy)}
    # 4,100,000 clients / 2 = 2,050,000 at 19,700 a year = 104 years; 3,280,000 = 167 years
    assert found["as_now"].milestones == {"0.5": 104, "0.8": 167}
    assert (found["as_now"].binding, found["as_now"].rests_on) == ("ceiling", "curve")
    # at most twice the largest step ever seen, (7,884 − 5,520) x 2 = 4,728 a year more: 20,000 + 10 x 4,728
    assert found["funded"].units == pytest.approx(67_280)
    assert found["funded"].binding == "ramp"
    assert found["massive"].units == pytest.approx(0.8 * 4_100_000 / 10)


def test_what_massive_treatment_takes(
    rows: dict[tuple[str, str], coverage.Coverage],
    portfolio: Portfolio,
    facts: DiffusionFacts,
    policy: DiffusionPolicy,
    microcredit: forecast.Fitted,
) -> None:
    platform = facts.capacity[0]
    wimoov = treatment.massive(rows["wimoov", "france"], None, platform, portfolio, policy)
    assert wimoov is not None
    # 80 % of 15 million in ten years: 1,200,000 a year = 109 times 11,000; x 618 euros; / 407 a platform
    assert (wimoov.units, wimoov.times_now) == (1_200_000, pytest.approx(109.09, abs=0.01))
    assert wimoov.money == pytest.approx(741_600_000)
    assert wimoov.workers == pytest.approx(1_200_000 / 407)
    assert (wimoov.binding, wimoov.unknown) == ("volume", ("pace",))
    here = treatment.massive(rows["wimoov", "creil-sud-oise"], None, platform, portfolio, policy)
    assert here is not None
    # 19,600 people by synthetic estimate: 1,568 a year, 969,024 euros; nobody counted those helped today
    assert (here.units, here.money, here.synthetic) == (pytest.approx(1_568), pytest.approx(969_024), True)
    assert here.times_now is None
    assert "reach" in here.unknown
    loans = treatment.massive(rows["microcredit-personnel", "france"], microcredit, None, portfolio, policy)
    assert loans is not None
    # (328,000 − 20,000) / 2,364 a year = 130 years at the fastest pace ever seen
    assert loans.pace == pytest.approx(308_000 / 2_364)
    assert loans.money is None
    assert "cost" in loans.unknown
    assert treatment.massive(rows["job-corps", "france"], None, None, portfolio, policy) is None


def test_no_effective_share_is_printed_for_the_founding_difficulties(
    portfolio: Portfolio, facts: DiffusionFacts, policy: DiffusionPolicy
) -> None:
    found = results.treated(portfolio, facts, read(portfolio, facts), {}, policy)["treatment.json"]
    shown = [row for row in found if row["difficulty"] in ("mobility", "internship-3e", "banking")]
    assert {row["effective"]["share"] for row in shown} == {None}
    national = {row["innovation"]: row for row in shown if row["territory"] == "france"}
    assert national["nickel"]["share_kind"] == "stock"
    assert national["monstage"]["need"]["kind"] == "flow"
    assert all(row["need"]["source"] or row["need"]["confidence"] == "recalled" for row in shown)
    # the newest figure, 29,900 in 2024, not the peak of 2015 that the curve was fitted to
    as_now = national["droit-au-compte"]["scenarios"][0]
    assert (as_now["units"], as_now["rests_on"]) == (29_900, "last figure")


# lessons and plans ---------------------------------------------------------------------------------------------------


def test_lessons_count_and_admit_how_few_there_are(facts: DiffusionFacts) -> None:
    found = {(row.feature, row.value): row for row in lessons.lessons(facts.cases)}
    association = found["channel", "association"]
    assert (association.reached, association.scale_known, len(association.cases)) == (0, 2, 3)
    assert (found["channel", "commercial"].reached, found["channel", "state"].reached) == (1, 2)
    assert sum(row.effect_known for row in found.values()) == 0  # spread is not impact: no effect was read
    assert found["standardised", "unknown"].unknown
    plain = lessons.as_dict(facts.cases)
    assert plain["caution_en"].startswith("8 cases chosen because they are known, not drawn")
    assert all(case["source_address"] for case in plain["cases"])


def test_a_plan_says_who_when_with_what_and_what_to_watch(
    portfolio: Portfolio, facts: DiffusionFacts, policy: DiffusionPolicy
) -> None:
    found = results.treated(portfolio, facts, read(portfolio, facts), {}, policy)["plans.json"]
    loans = next(each for each in found if each["innovation"] == "microcredit-personnel")
    assert loans["mode"] == "franchise_sociale"
    assert loans["review_date"] == "2027-11-22"
    assert [each["territory"] for each in loans["resources"]] == ["france", "creil-sud-oise", "thierache-du-centre"]
    assert loans["indicators"][0]["known"] is False
    assert [each["id"] for each in loans["indicators"] if each["known"]] == ["need", "taken_up"]
    assert {each["role"] for each in loans["stakeholders"]} >= {"prescriber", "institution", "firm", "users"}


def test_an_innovation_without_plan_is_refused_and_listed(policy: DiffusionPolicy) -> None:
    with pytest.raises(ParametersError) as caught:
        plan.plan("tzcd", policy, [], None)
    assert caught.value.code == "E-DIF-011"
    assert "tzcld" in str(caught.value)
    assert plan.without_plan(["tzcld", "year-up"], policy) == ("year-up",)


# files ---------------------------------------------------------------------------------------------------------------


def test_files_are_the_same_twice_and_round_trip(project: Project) -> None:
    project()
    found = read_portfolio()
    some = read_diffusion(found)
    kept = some.model_copy(update={"series": tuple(each for each in some.series if each.id in ("amap", "wimoov"))})
    written = {}
    for _ in range(2):
        files = results.write(found, kept, read_params().diffusion, 7)
        content = {file.name: file.read_bytes() for file in files}
        assert written in ({}, content)
        written = content
    curves = {each["id"]: each for each in store.read_json(files[0])}
    assert curves["amap"]["ceiling"]["identified"] is False
    assert len(curves["amap"]["fan"]["median"]) == read_params().diffusion.horizon
    assert curves["wimoov"]["fits"] == []
    assert curves["wimoov"]["ceiling"]["why_en"] == "3 figures with one definition, at least 5 for a curve."


def test_the_policy_is_needed(portfolio: Portfolio, facts: DiffusionFacts) -> None:
    with pytest.raises(ParametersError) as caught:
        results.write(portfolio, facts, None, 1)
    assert caught.value.code == "E-DIF-012"


def test_six_digits_and_no_number_that_is_not_finite() -> None:
    assert results.rounded({"a": [1 / 3, float("nan")], "b": 2}) == {"a": [0.333333, None], "b": 2}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("from_month: 3, to_month: 15", "from_month: 3, to_month: 3", "E-SET-226"),
        ("  inner: 0.50\n", "  inner: 0.95\n", "E-SET-227"),
        ("milestones: [0.5, 0.8]", "milestones: [0.8, 0.5]", "E-SET-228"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(project: Project, old: str, new: str, code: str) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    project(text.replace(old, new, 1))
    with pytest.raises(ProblemsError) as caught:
        read_params()
    assert code in [problem.code for problem in caught.value.problems]
