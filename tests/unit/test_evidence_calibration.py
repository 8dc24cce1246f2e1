"""Calibration: planted records and micro-data through the code that grades, the card, the file and its page.

The whole file is made by `evaluation calibrate` (about ten minutes of one core). Its parts on a few repetitions are
tested here; that the file can be made again is tested by

    python3 run.py test -m slow tests/unit/test_evidence_calibration.py
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from evaluation import cli
from evaluation.errors import DataError, ParametersError
from evaluation.evidence import rubric
from evaluation.evidence.calibration import card, computed, designs, page, planted, results, shrinkage, within_study
from evaluation.evidence.portfolio_synthesis import settings_of
from evaluation.evidence.worlds import WORLDS
from evaluation.settings.params import read_params


@pytest.fixture(scope="module")
def scale(repository):
    return rubric.read(repository)


@pytest.fixture(scope="module")
def rules(repository):
    return settings_of(read_params(repository))


@pytest.fixture(scope="module")
def kept(repository):
    return json.loads((repository / "data" / "calibration" / "calibration.json").read_text(encoding="utf-8"))


# level 1 -------------------------------------------------------------------------------------------------------------


def test_planted_records_are_graded_from_their_checks(scale, rules):
    """W1: the grade is computed; intervals with its bias cover, usual ones fall with it."""
    rows = planted.calibrate(["W1"], 400, 3, scale, rules)["W1"]
    assert [row["grade"] for row in rows] == [5, 4, 3, 2, 1]
    assert all(row["inclusive"] + 3 * row["monte_carlo_error"] > 0.94 for row in rows)  # 240 findings have grade 5
    usual = [row["conventional"] for row in rows[1:]]
    assert usual == sorted(usual, reverse=True)
    assert all(row["planted_bias_sd"] <= row["declared_bias_sd"] + 1e-9 for row in rows)


def test_a_bad_check_means_more_bias_and_a_lower_grade(scale):
    made = planted.templates(scale, np.random.default_rng(1), 40)
    trials = [each for each in made if each.record.design_class == "randomised" and each.std_error == 0.05]
    worse = [planted.grade_of(each, 0.2, scale) for each in trials if each.bias > planted.BIASES[0]]
    better = [planted.grade_of(each, 0.2, scale) for each in trials if each.bias == planted.BIASES[0]]
    assert worse
    assert np.mean(worse) < np.mean(better)


def test_worlds_have_streams_of_their_own(scale, rules):
    both = planted.calibrate(["W0", "W6"], 10, 3, scale, rules)
    assert planted.calibrate(["W6"], 10, 3, scale, rules)["W6"] == both["W6"]


def test_templates_are_valid_records_and_take_their_numbers(scale):
    from evaluation.evidence import record

    made = planted.templates(scale, np.random.default_rng(1), 3)
    assert len({each.record.id for each in made}) == len(made) == 3 * len(planted.DESIGNS)
    assert all(record.parse(each.record.as_dict()) == each.record for each in made)
    assert {planted.filled(each, 0.2).headline.estimate for each in made} == {0.2}


# shrinkage -----------------------------------------------------------------------------------------------------------


def test_posteriors_hold_the_truth_where_they_say(rules):
    """Uniform ranks with the bias; without it the test notices at once (reference note, ST19: p < 1e-44)."""
    found = shrinkage.uniformity(2000, 5, rules)
    assert found.p_value > 0.001
    assert found.p_without_bias < 1e-20


def test_a_prior_that_is_too_narrow_is_noticed(rules):
    wide = rules.model_copy(update={"bias_sd": dict.fromkeys(range(1, 6), 0.0)})
    assert shrinkage.uniformity(2000, 5, wide).p_value > 0.001  # nothing left out: the same model twice
    assert shrinkage.uniformity(2000, 5, wide).p_without_bias == shrinkage.uniformity(2000, 5, wide).p_value


# level 2 -------------------------------------------------------------------------------------------------------------


def one(name, scale, seed=3):
    return computed.study(computed.CASES[name], np.random.SeedSequence(seed), scale)


def test_a_trial_is_graded_from_its_file_and_nothing_rings(scale):
    found = one("trial", scale)
    assert found.grade == 4  # nobody knows who evaluated it, nor whom else it touched
    assert found.rang == ()
    assert found.low < 0 < found.high


def test_lost_participants_ring(scale):
    """10 % and 30 % lost: above the WWC's optimistic boundary, which allows 9 points at 20 % overall."""
    found = one("trial-lost", scale)
    assert "attrition.overall" in found.rang
    assert found.grade <= 3
    assert found.error > 0.1  # those who did badly are missing


def test_a_hidden_factor_is_seen_by_nothing_but_the_ceiling_of_the_design(scale):
    found = one("weighted-hidden", scale)
    assert found.error > 0.2
    assert found.rang == ()
    assert found.grade <= scale.ceilings["matching_pretest"].level


def test_instruments_that_contradict_each_other_ring(scale):
    assert "instrument.overidentification_p" in one("letters-direct", scale).rang
    assert one("letters", scale).rang == ()


def test_a_region_that_no_mixture_follows_rings(scale):
    assert "synthetic.pre_fit_sd" in one("region-apart", scale).rang


def test_people_who_choose_their_side_leave_a_trace():
    """With 80 % of those just below with a high x moving, the mean of x jumps; nobody moves elsewhere."""
    table = designs.threshold(20000, np.random.default_rng(4), sorted_share=0.8)
    below, above = (table[table["score"].between(*ends)] for ends in ((-0.1, -1e-9), (0, 0.1)))
    assert len(above) > 1.5 * len(below)
    assert above["x"].mean() - below["x"].mean() > 0.05
    same = designs.threshold(20000, np.random.default_rng(4))
    assert abs(same.loc[same["score"].between(0, 0.1), "x"].mean()) < 0.02


def test_truths_of_the_states_are_those_of_the_reference_note():
    """G3, scenario 5: .2383 over the cells that somebody can be compared with, .3326 over all, in errors."""
    table = designs.baker_larcker_wang(5, None)
    assert computed.while_somebody_waits(table) == pytest.approx(0.2383, abs=5e-5)
    assert computed.of_all_treated(table) == pytest.approx(0.3326, abs=5e-5)


def test_letters_move_people_and_nothing_else():
    """The ratio of what a letter does to y and to d is the effect: .2, .2 + direct / pull on d for one that acts."""
    table = designs.encouragement(400_000, np.random.default_rng(5), direct=0.1)
    by = [table.groupby(name)[["y", "d"]].mean().diff().iloc[1] for name in ("z1", "z2")]
    assert by[0]["y"] / by[0]["d"] == pytest.approx(0.2, abs=0.03)
    assert by[1]["y"] - 0.2 * by[1]["d"] == pytest.approx(0.1, abs=0.01)


def test_a_refusal_is_not_covered(scale, rules):
    nobody = replace(computed.CASES["trial"], draw=lambda rng: designs.trial(40, rng).assign(treated=True))
    found = computed.study(nobody, np.random.SeedSequence(1), scale)
    assert found.error is None
    told = computed.summarise(nobody, [found, found], rules)
    assert (told["refused"], told["conventional"], told["inclusive"]) == (2, 0.0, 0.0)


def test_summaries_by_hand(rules):
    """Two findings of grade 3 (bias .075): errors .1 and .3, standard errors .05.

    Usual intervals ± .098 hold neither; with bias 1.96 x .0901 = .177 holds the first.
    """
    rows = [
        computed.Studied(error=e, std_error=0.05, low=e - 0.098, high=e + 0.098, truth=0.2, grade=3, again=g)
        for e, g in ((0.1, 3), (0.3, 2))
    ]
    told = computed.summarise(computed.CASES["trial"], rows, rules)
    assert (told["conventional"], told["inclusive"], told["wrong_sign"]) == (0.0, 0.5, 0.0)
    assert told["bias"] == pytest.approx(0.2)
    assert (told["graded_twice"], told["flips"]) == (2, 1)
    assert computed.by_computed_grade(rows, rules)[0]["root_mean_square_error"] == pytest.approx(np.sqrt(0.05))


def test_wrong_signs_by_hand(rules):
    """Truth .2; estimates .5 (right), -.3 (wrong) and .1 (not called an effect: its interval holds zero)."""
    rows = [
        computed.Studied(error=e - 0.2, std_error=0.1, low=e - 0.396, high=e - 0.004, truth=0.2, grade=3)
        for e in (0.5, -0.3, 0.1)
    ]
    assert computed.summarise(computed.CASES["trial"], rows, rules)["wrong_sign"] == pytest.approx(0.5)


def test_growing_effects_by_hand():
    """Cohorts 2 and 4 of four periods: 1, 2, 3 on average 2, and 1; two units of the first, one of the second."""
    table = designs._long(np.zeros((4, 4)), np.array([2, 2, 4, 0]))
    assert computed.by_cohort(table) == pytest.approx((2 + 2 + 1) / 3)


# real trials ---------------------------------------------------------------------------------------------------------


def test_comparisons_by_grade_by_hand():
    row = {"grade": 2, "trial": "a", "declared_bias_sd": 0.12, "held": True, "held_conventional": False, "rang": ()}
    told = within_study.by_grade(
        [{**row, "difference": 0.3}, {**row, "difference": -0.1, "held": False, "rang": ("x",)}]
    )
    assert told[0]["root_mean_square"] == pytest.approx(np.sqrt(0.05))
    assert (told[0]["largest"], told[0]["held"], told[0]["held_conventional"], told[0]["flagged"]) == (0.3, 1, 0, 1)


def test_the_trial_and_its_imitations_are_the_pipelines_own(kept):
    """NSW: 1,794 dollars (LaLonde's trial, Dehejia and Wahba's sample) over a standard deviation of 5,484."""
    rows = [row for row in kept["within_study"]["comparisons"] if row["trial"] == "NSW"]
    assert {row["comparison"] for row in rows} == {"CPS", "PSID"}
    assert rows[0]["trial_estimate"] == pytest.approx(1794.342 / 5483.836, rel=1e-5)
    assert all(row["difference"] == pytest.approx(row["estimate"] - row["trial_estimate"]) for row in rows)


# the file ------------------------------------------------------------------------------------------------------------


def test_the_file_is_dated_seeded_and_large_enough(kept):
    assert kept["simulated"] is True
    assert kept["planted"]["repetitions"] >= 2000
    assert list(kept["planted"]["worlds"]) == list(WORLDS)
    assert (kept["seed"], len(kept["date"])) == (results.SEED, 10)
    assert list(kept["computed"]["designs"]) == list(computed.CASES)


def test_the_page_is_the_file(kept, repository):
    made = (repository / "docs" / "calibration.md").read_text(encoding="utf-8")
    assert made == page.text(kept)


def test_what_was_promised_at_level_one_holds(kept):
    """The bounds of the issue; what fails at level 2 is on the page and must stay there until it is mended."""
    told = page.verdicts(kept)
    assert [held for promise, _, held in told if promise.startswith(("planted", "ranks"))] == [True, True, True]
    made = page.text(kept)
    assert made.count("**fails**") == sum(not held for *_, held in told)


def test_the_card_of_a_finding(kept):
    told = card.card(kept, "randomised", 4)
    assert told["grade"]["grade"] == told["silent"]["grade"] == 4
    assert [row["method"] for row in told["designs"]] == ["experiment"]
    assert told["hidden"] == []
    region = card.card(kept, "synthetic_control", 3)
    assert [row["method"] for row in (*region["designs"], *region["hidden"])] == ["synthetic_control"] * 2
    assert card.card(kept, "meta_analysis", 3)["designs"] == []
    assert card.card(kept, "account", 0) is None
    assert card.card({}, "randomised", 4) is None


def test_a_file_of_another_version_is_refused(project):
    file = project() / "data" / "calibration" / "calibration.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"schema_version": "0.9"}', encoding="utf-8")
    with pytest.raises(DataError, match="E-EVI-080"):
        results.read()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"worlds": ["W9"]}, "E-EVI-081"),
        ({"repetitions": 9}, "E-EVI-082"),
        ({"level": 3}, "E-EVI-082"),
    ],
)
def test_impossible_calibrations_are_refused(options, code, scale, rules):
    with pytest.raises(ParametersError, match=code):
        results.calibrate(scale, rules, date="2026-11-25", **options)


# the command ---------------------------------------------------------------------------------------------------------


def test_a_part_is_written_elsewhere(project, tmp_path):
    project()
    file = tmp_path / "part.json"
    options = ["--worlds", "W0,W6", "--level", "1", "--repetitions", "10"]
    ran = CliRunner().invoke(cli.app, ["calibrate", *options, "--to", str(file)])
    assert ran.exit_code == 0, ran.output
    found = json.loads(file.read_text(encoding="utf-8"))
    assert list(found["planted"]["worlds"]) == ["W0", "W6"]
    assert "computed" not in found


def test_a_part_does_not_take_the_place_of_the_whole(project):
    project()
    refused = CliRunner().invoke(cli.app, ["calibrate", "--level", "1"])
    assert "E-CLI-030" in str(refused.exception)


@pytest.mark.slow
def test_the_file_can_be_made_again(kept, scale, rules):
    """World W1 and the trials come out as they stand in the file."""
    first = planted.calibrate(["W1"], kept["planted"]["repetitions"], kept["seed"], scale, rules)
    assert [pytest.approx(row) for row in kept["planted"]["worlds"]["W1"]] == first["W1"]
    whole = computed.repeat("trial", kept["computed"]["repetitions"], kept["seed"], scale)
    told = computed.summarise(computed.CASES["trial"], whole, rules)
    assert told["bias"] == pytest.approx(kept["computed"]["designs"]["trial"]["bias"], abs=1e-9)
    assert told["grades"] == kept["computed"]["designs"]["trial"]["grades"]


@pytest.mark.slow
def test_a_thousand_portfolios_are_graded_and_decided_in_a_minute(scale, rules, repository):
    """The issue asks for 60 s on two cores; this is one."""
    import time

    from evaluation.selection import trials
    from evaluation.selection.rules import rules as ordered_rules

    selection = read_params(repository).selection
    rng, began = np.random.default_rng(1), time.process_time()
    made = planted.templates(scale, rng)
    drawn = planted.declared(planted.portfolios(WORLDS["W1"], 1000, made, scale, rng), rules)
    known = replace(drawn, bias_sd=np.where(drawn.grade > 0, drawn.bias_sd, 10.0))  # grade 0: next to nothing is known
    news = trials.news_of(known, trials.Study(), rng)
    course = trials.ours(ordered_rules(selection), rules.prior)(known, trials.Study(), news)
    seconds = time.process_time() - began
    print(f"1,000 portfolios of 20: {seconds:.1f} s")  # noqa: T201
    assert course.first.shape == (1000, 20)
    assert seconds < 60


@pytest.mark.slow
def test_ten_thousand_records_are_graded_by_all_schemes_in_two_seconds(scale):
    import time

    from evaluation.evidence import grading, schemes

    made = planted.templates(scale, np.random.default_rng(1), 40)
    numbers = np.random.default_rng(2).normal(0.1, 0.2, 10_000)
    records = [
        planted.filled(made[place % len(made)], float(value)).model_copy(update={"id": f"r{place}"})
        for place, value in enumerate(numbers)
    ]
    seconds = []
    for _ in range(3):  # the first turn fills caches, others share the machine
        began = time.process_time()
        grading.grade_all(records, scale, explain=False)
        schemes.verdicts_of_all(records)
        seconds.append(time.process_time() - began)
    print(f"10,000 records, grades as simulations read them, and schemes: {min(seconds):.2f} s")  # noqa: T201
    assert min(seconds) < 2
