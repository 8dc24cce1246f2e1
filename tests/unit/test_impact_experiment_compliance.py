"""Effects on those whom the draw moved: by hand, as two-stage least squares, and however weak the first stage."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from linearmodels.iv import IV2SLS
from scipy import stats

from evaluation.errors import ParametersError
from evaluation.impact import experiment, inference
from evaluation.impact.compliance import complier_effect
from evaluation.impact.effects import concat
from evaluation.impact.experiment_convention import Convention
from evaluation.impact.experiment_regression import Plan, comparison


def _encouraged(n: int = 300, strength: float = 0.8, seed: int = 20251102) -> dict[str, np.ndarray]:
    """Offers that move some people; the effect is 2, people who come anyway are better off."""
    rng = np.random.default_rng(seed)
    x, hidden, offered = rng.normal(size=n), rng.normal(size=n), np.arange(n) % 2 == 0
    took = (hidden + strength * 2 * offered > 0.7).astype(float)
    return {"y": x + hidden + 2 * took + rng.normal(size=n), "d": offered, "took": took, "x": x}


def _estimated(arms: Any, drawn: dict[str, np.ndarray], **options: Any) -> Any:
    sample, design = arms("experiment", drawn["y"], drawn["d"], {"x": drawn["x"]}, takeup="came", **options)
    sample.frame["takeup"] = drawn["took"]
    return experiment.estimate(sample, design)


def _effect(arms: Any, drawn: dict[str, np.ndarray], **options: Any) -> Any:
    sample, design = arms("experiment", drawn["y"], drawn["d"], {"x": drawn["x"]}, takeup="came", **options)
    frame = sample.frame.assign(takeup=drawn["took"])
    compared = comparison(sample, design, Plan.of(design, frame))
    labels = pd.DataFrame({"term": ["complier"], "outcome": ["y"]})
    return complier_effect(compared, drawn["y"], drawn["took"], labels, Convention.of(sample, design))


def test_a_ratio_by_hand(arms: Any) -> None:
    # Offered: outcomes 4, 6, 2, 4 (mean 4), three of four came. Others: 1, 3, 2, 2 (mean 2), one of four came.
    # Intention to treat 2, first stage 1/2, effect on compliers 4.
    # y(1 - took): offered (0, 0, 2, 0), mean 1/2; others (0, 3, 2, 2), mean 7/4: compliers without (7/4 - 1/2)/(1/2).
    drawn = {
        "y": np.array([4.0, 6, 2, 4, 1, 3, 2, 2]),
        "d": np.arange(8) < 4,
        "took": np.array([1.0, 1, 0, 1, 1, 0, 0, 0]),
        "x": np.arange(8.0),
    }
    found = _estimated(arms, drawn).tables
    row = found["complier_effects"].iloc[0]
    assert (row["itt"], row["first_stage"], row["estimate"], row["untreated_mean"]) == pytest.approx((2, 0.5, 4, 2.5))
    shares = found["compliers"].set_index("group")["share"].to_dict()
    assert shares == pytest.approx(
        {"treated": 0.75, "comparison": 0.25, "always": 0.25, "compliers": 0.5, "never": 0.25}
    )


@pytest.mark.parametrize("adjustment", ["none", "ancova"])
@pytest.mark.parametrize("clustered", [False, True])
def test_it_is_two_stage_least_squares(arms: Any, adjustment: str, clustered: bool) -> None:
    drawn, cluster = _encouraged(), np.arange(300) // 10
    other = pd.DataFrame({"one": 1.0, "x": drawn["x"]})[["one"] if adjustment == "none" else ["one", "x"]]
    model = IV2SLS(drawn["y"], other, pd.Series(drawn["took"], name="took"), pd.Series(drawn["d"] * 1.0, name="z"))
    options = {"cov_type": "clustered", "clusters": cluster} if clustered else {"cov_type": "robust"}
    expected = model.fit(debiased=False, **options)
    found = _effect(arms, drawn, adjustment=adjustment, **({"cluster": cluster} if clustered else {}))
    clusters = pd.DataFrame({"g": cluster}) if clustered else None
    kind = "cr0" if clustered else "hc0"
    row = inference.summarize(found.effect, clusters, kind=kind).iloc[0]
    assert row["estimate"] == pytest.approx(expected.params["took"], rel=1e-10)
    # linearmodels 7.1 divides clustered covariances of an undebiased fit by nothing either: CR0.
    assert row["std_error"] == pytest.approx(expected.std_errors["took"], rel=1e-9)
    debiased = model.fit(debiased=True, **options)
    row = inference.summarize(found.effect, clusters, kind="cr1" if clustered else "hc1").iloc[0]
    assert row["std_error"] == pytest.approx(debiased.std_errors["took"], rel=1e-9)


def test_the_ratio_is_the_delta_method_of_both_effects(arms: Any) -> None:
    found = _effect(arms, _encouraged(), adjustment="lin")
    both = concat([found.reduced, found.first])
    ratio = both.nonlinear(lambda t: t[:1] / t[1], lambda t: np.array([[1 / t[1], -t[0] / t[1] ** 2]]), both.labels[:1])
    assert ratio.estimate[0] == pytest.approx(found.effect.estimate[0], rel=1e-12)
    np.testing.assert_allclose(found.effect.dense(), ratio.dense(), atol=1e-9)


def test_influence_is_the_infinitesimal_jackknife(arms: Any) -> None:
    drawn, h = _encouraged(60), 1e-4

    def effect(weight: np.ndarray) -> float:
        return float(_effect(arms, drawn, weight=weight, adjustment="ancova").effect.estimate[0])

    influence = _effect(arms, drawn, adjustment="ancova").effect.dense()[:, 0]
    for i in range(0, 60, 11):
        step = np.zeros(60)
        step[i] = h
        assert influence[i] == pytest.approx(60 * (effect(1 + step) - effect(1 - step)) / (2 * h), abs=1e-5)


@pytest.mark.parametrize("kind", ["hc0", "hc1", "hc2", "hc3"])
def test_a_set_is_what_regressions_of_the_outcome_less_the_ratio_do_not_reject(arms: Any, kind: str) -> None:
    drawn = _encouraged(80, strength=0.6)
    found = _effect(arms, drawn, adjustment="ancova", inference={"std_error": kind})
    known = found.anderson_rubin()
    for ratio in (known.low, known.high):  # at its ends the test of the draw on y - ratio took has p = 5 %
        sample, design = arms(
            "experiment",
            drawn["y"] - ratio * drawn["took"],
            drawn["d"],
            {"x": drawn["x"]},
            adjustment="ancova",
            inference={"std_error": kind},
        )
        row = experiment.estimate(sample, design).blocks[0].table(0.95).iloc[0]
        assert row["p_value"] == pytest.approx(0.05, abs=1e-9)


def test_with_clusters_a_set_has_their_errors_and_degrees_of_freedom(arms: Any) -> None:
    drawn, cluster = _encouraged(120), np.arange(120) // 8
    drawn["y"] = drawn["y"] + np.random.default_rng(1).normal(size=15)[cluster]
    for kind in ("cr1", "cr2"):
        options = {"cluster": cluster, "inference": {"std_error": kind}}
        known = _effect(arms, drawn, **options).anderson_rubin()
        sample, design = arms("experiment", drawn["y"] - known.high * drawn["took"], drawn["d"], **options)
        row = experiment.estimate(sample, design).blocks[0].table(0.95).iloc[0]
        assert row["p_value"] == pytest.approx(0.05, abs=1e-9)


def _set(r: float, f: float, v: list[list[float]], df: float = np.inf) -> inference.AndersonRubin:
    found = inference.Covariance(matrix=np.array(v), df=np.full(2, df), kind="hc2")
    return inference.anderson_rubin(np.array([r, f]), found, df)


def test_a_strong_first_stage_gives_an_interval_by_hand() -> None:
    # (2 - β)² <= c² with variance 1 and no error of the first stage 1: 2 ± 1.96.
    known = _set(2, 1, [[1, 0], [0, 0]])
    assert (known.shape, known.f_statistic) == ("interval", np.inf)
    assert (known.low, known.high) == pytest.approx((2 - 1.959963985, 2 + 1.959963985), abs=1e-8)
    assert known.p_value == pytest.approx(2 * stats.norm.sf(2), rel=1e-10)


@pytest.mark.parametrize(
    ("r", "f", "shape", "words"),
    [(3.0, 1.0, "two_rays", "up to"), (1.0, 1.0, "line", "every number"), (0.0, 0.0, "line", "every number")],
)
def test_a_first_stage_that_could_be_zero_leaves_a_set_without_end(r: float, f: float, shape: str, words: str) -> None:
    # Variances 1, no covariance: (r - βf)² <= 3.84 (1 + β²). For r = 3, f = 1: -2.84 β² - 6 β + 5.16 <= 0.
    known = _set(r, f, [[1, 0], [0, 1]])
    assert known.shape == shape
    assert known.describe().startswith(words)
    grid = np.linspace(-50, 50, 2001)
    expected = (r - grid * f) ** 2 <= stats.norm.ppf(0.975) ** 2 * (1 + grid**2)
    assert [known.holds(value) for value in grid] == expected.tolist()


def test_a_set_may_end_on_one_side_only() -> None:
    # f² = c² V_ff exactly: the quadratic is a line. V = [[1, 0], [0, 1]], f = c, r = 1: 1 - 2cβ <= c²: β >= (1-c²)/2c.
    c = float(stats.norm.ppf(0.975))
    known = _set(1, c, [[1, 0], [0, 1]])
    assert (known.low, known.high) == pytest.approx(((1 - c * c) / (2 * c), np.inf))
    assert _set(1, -c, [[1, 0], [0, 1]]).low == -np.inf
    assert _set(0, c, [[1, 0], [0, 1]]).shape == "line"


def test_an_impossible_level_is_refused() -> None:
    found = inference.Covariance(matrix=np.eye(2), df=np.full(2, np.inf), kind="hc2")
    with pytest.raises(ParametersError) as caught:
        inference.anderson_rubin(np.ones(2), found, np.inf, level=1.0)
    assert caught.value.code == "E-IMP-031"


def test_a_covariance_that_only_methods_have_is_refused_elsewhere(arms: Any) -> None:
    effects = _effect(arms, _encouraged(40)).effect
    for kind in ("linearised", "paired", "neyman", "abadie_imbens"):
        with pytest.raises(ParametersError) as caught:
            inference.covariance(effects, kind=kind)
        assert caught.value.code == "E-IMP-022"


def test_a_weak_first_stage_is_said(arms: Any) -> None:
    found = _estimated(arms, _encouraged(120, strength=0.1))
    row = found.tables["complier_effects"].iloc[0]
    assert row["first_stage_f"] < 23.1
    assert any("read the Anderson-Rubin set" in note for note in found.notes)
    (check,) = found.checks
    assert (check.check, check.value) == ("compliance.first_stage_f", pytest.approx(row["first_stage_f"]))


def test_the_f_of_the_first_stage_is_its_squared_t(arms: Any) -> None:
    drawn = _encouraged()
    row = _estimated(arms, drawn).tables["complier_effects"].iloc[0]
    took = experiment.estimate(*arms("experiment", drawn["took"], drawn["d"])).blocks[0].table(0.95).iloc[0]
    assert row["first_stage_f"] == pytest.approx((took["estimate"] / took["std_error"]) ** 2, rel=1e-10)


def test_one_sided_and_full_compliance_are_said(arms: Any) -> None:
    drawn = _encouraged()
    one_sided = _estimated(arms, {**drawn, "took": drawn["took"] * drawn["d"]})
    assert any(note.startswith("Nobody in the comparison arm took part") for note in one_sided.notes)
    full = _estimated(arms, {**drawn, "took": drawn["d"] * 1.0})
    row = full.tables["complier_effects"].iloc[0]
    assert row["estimate"] == pytest.approx(row["itt"], rel=1e-12)
    assert np.isnan(row["first_stage_f"])
    assert any(note.startswith("Everybody drawn to take part did") for note in full.notes)
    assert full.checks == ()


def test_take_up_that_is_the_same_in_both_arms_leaves_a_set_alone(arms: Any) -> None:
    drawn = _encouraged()
    found = _estimated(arms, {**drawn, "took": np.where(np.arange(300) % 4 < 2, 1.0, 0.0)})
    row = found.tables["complier_effects"].iloc[0]
    assert np.isnan(row[["estimate", "std_error", "ci_low", "ci_high"]].to_numpy(dtype=float)).all()
    assert (row["first_stage"], row["first_stage_f"]) == pytest.approx((0, 0), abs=1e-12)
    assert row["ar_shape"] in ("line", "two_rays")
    assert row["reason"] == "take-up is the same in both arms: there is only a set"
    assert "complier_profile" not in found.tables


def test_where_nobody_came_there_are_no_compliers(arms: Any) -> None:
    drawn = _encouraged()
    found = _estimated(arms, {**drawn, "took": np.zeros(300)})
    assert "complier_effects" not in found.tables
    assert "Nobody took part, or everybody did: there is no effect on compliers." in found.notes


def test_rows_without_take_up_count_in_the_intention_to_treat_only(arms: Any) -> None:
    drawn = _encouraged()
    drawn["took"] = np.where(np.arange(300) < 20, np.nan, drawn["took"])
    found = _estimated(arms, drawn)
    assert found.tables["complier_effects"].loc[0, "units"] == 280
    assert found.blocks[0].effects.n_units == 300
    assert "20 rows do not know take-up: they count in the intention to treat only." in found.notes


def test_who_the_compliers_are(arms: Any) -> None:
    # x is 1 for all whom the offer moves and 0 for the others: its mean among compliers is 1.
    rng = np.random.default_rng(20251103)
    kind, offered = rng.choice(["always", "complier", "never"], 400), np.arange(400) % 2 == 0
    took = (kind == "always") | ((kind == "complier") & offered)
    drawn = {"y": took * 3.0, "d": offered, "took": took * 1.0, "x": (kind == "complier") * 1.0}
    found = _estimated(arms, drawn).tables
    row = found["complier_profile"].iloc[0]
    share = found["compliers"].set_index("group")["share"]
    treated_compliers = drawn["x"][offered].mean()
    assert row["compliers"] == pytest.approx(treated_compliers / share["compliers"])
    assert found["complier_effects"].loc[0, "estimate"] == pytest.approx(3.0)


def test_strata_and_secondary_outcomes_have_effects_on_compliers(arms: Any) -> None:
    drawn = _encouraged()
    stratum = np.where(np.arange(300) < 120, "a", "b")
    found = _estimated(arms, drawn, stratum=stratum, secondary={"z": -drawn["y"]}, strata_effects="by_stratum")
    table = found.tables["complier_effects"]
    assert table["outcome"].tolist() == ["y", "z"]
    assert table["estimate"].iloc[1] == pytest.approx(-table["estimate"].iloc[0], rel=1e-12)
    means = pd.DataFrame(drawn).assign(s=stratum).groupby(["s", "d"])[["y", "took"]].mean()
    by = means.xs(True, level="d") - means.xs(False, level="d")
    sizes = np.array([0.4, 0.6])
    assert table["estimate"].iloc[0] == pytest.approx(sizes @ by["y"] / (sizes @ by["took"]), rel=1e-10)
