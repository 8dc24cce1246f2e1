"""Best-worst scaling: counts by hand, the conditional logit against statsmodels, its influence against leaving out."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.discrete.conditional_models import ConditionalLogit

from evaluation.errors import DataError
from evaluation.needs import best_worst as bw
from evaluation.settings.portfolio import read_portfolio

TRUTH = np.array([-1.2, -0.6, 0.0, 0.3, 0.6, 0.9])


def answered(voters: int, seed: int, per_voter: int = 3) -> bw.Choices:
    """Choices drawn from the model itself: largest utility plus Gumbel noise, then smallest of the others."""
    rng = np.random.default_rng(seed)
    shown = bw.screens(len(TRUTH), per_voter, voters, rng).reshape(-1, bw.SIZE)
    best = (TRUTH[shown] + rng.gumbel(size=shown.shape)).argmax(axis=1)
    against = -TRUTH[shown] + rng.gumbel(size=shown.shape)
    against[np.arange(len(shown)), best] = -np.inf
    return choices(shown, best, against.argmax(axis=1), np.repeat(np.arange(voters), per_voter))


def choices(shown, best, worst, voters) -> bw.Choices:
    return bw.Choices(
        difficulties=tuple("abcdef"),
        screens=np.asarray(shown),
        best=np.asarray(best),
        worst=np.asarray(worst),
        voters=np.asarray(voters, dtype=object),
    )


def test_counts_by_hand() -> None:
    # a is shown twice, most serious twice: 2/2; b least serious once of two: -1/2; e never shown: missing.
    table = bw.counts(choices([[0, 1, 2, 3], [0, 1, 2, 5]], [0, 0], [1, 2], [1, 1]))
    assert table.loc["a"].tolist() == [2, 2, 0, 1]
    assert table.loc["b"].tolist() == [2, 0, 1, -0.5]
    assert np.isnan(table.loc["e", "score"])


def test_every_voter_sees_all_difficulties_as_equally_often_as_can_be() -> None:
    plan = bw.screens(12, 5, 40, np.random.default_rng(1))
    assert plan.shape == (40, 5, 4)
    for screens in plan:
        times = np.bincount(screens.ravel(), minlength=12)
        assert times.max() - times.min() <= 1  # 20 places for 12 difficulties: once or twice each
        assert all(len(set(screen)) == 4 for screen in screens)


def test_utilities_are_those_of_statsmodels() -> None:
    vote = answered(80, seed=2)
    utility = bw.utilities(vote)
    estimate = utility.estimate
    assert estimate.sum() == pytest.approx(0, abs=1e-12)
    # One group a choice: all of the screen for the best, the others with reversed signs for the worst; a is the base.
    rows = []
    for group, (shown, best, worst) in enumerate(zip(vote.screens, vote.best, vote.worst, strict=True)):
        rows += [(2 * group, place == best, 1, item) for place, item in enumerate(shown)]
        rows += [(2 * group + 1, place == worst, -1, item) for place, item in enumerate(shown) if place != best]
    long = pd.DataFrame(rows, columns=["group", "chosen", "sign", "item"])
    exog = (long.item.to_numpy()[:, None] == np.arange(1, 6)) * long.sign.to_numpy()[:, None]
    peer = ConditionalLogit(long.chosen.astype(int).to_numpy(), exog.astype(float), groups=long.group.to_numpy()).fit(
        disp=0, method="newton", maxiter=50
    )
    np.testing.assert_allclose(estimate[1:] - estimate[0], peer.params, atol=1e-5)  # its Hessian is numerical
    assert bw.log_likelihood(vote, estimate) == pytest.approx(peer.llf, abs=1e-6)


def test_the_influence_of_a_voter_is_what_leaving_it_out_changes() -> None:
    vote = answered(60, seed=3)
    found = bw.utilities(vote)
    influence, ids = found.dense(), list(found.units)
    moved = []
    for voter in ids:
        kept = vote.voters.astype(str) != voter
        part = choices(vote.screens[kept], vote.best[kept], vote.worst[kept], vote.voters[kept])
        moved.append(59 * (found.estimate - bw.utilities(part).estimate))
    # First order: leaving out one of sixty changes the information by a sixtieth, hence a few per cent of the spread.
    np.testing.assert_allclose(np.array(moved), influence, atol=0.08 * np.abs(influence).max())
    assert np.corrcoef(np.ravel(moved), influence.ravel())[0, 1] > 0.999


def test_the_truth_is_found_again() -> None:
    found = bw.utilities(answered(2000, seed=4))
    error = np.sqrt((found.dense() ** 2).sum(axis=0)) / found.n_units
    assert (np.abs(found.estimate - (TRUTH - TRUTH.mean())) < 4 * error).all()
    assert (error < 0.06).all()


def test_an_answer_that_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match="E-NEE-010") as caught:
        choices([[0, 1, 2, 3], [0, 1, 1, 3]], [0, 0], [0, 3], [1, 2])
    assert caught.value.where == "screens 1, 2"


def test_difficulties_that_always_win_have_no_utility() -> None:
    with pytest.raises(DataError, match="E-NEE-011") as caught:
        bw.utilities(choices([[0, 1, 2, 3], [0, 2, 4, 5], [0, 3, 1, 5]], [0, 0, 0], [1, 1, 1], [1, 2, 3]))
    assert "a" in caught.value.where


# typed answers -------------------------------------------------------------------------------------------------------

HEAD = "voter;shown_1;shown_2;shown_3;shown_4;best;worst"


@pytest.fixture
def typed(tmp_path, repository):
    def read(*rows: str) -> bw.Choices:
        file = tmp_path / "screens.csv"
        file.write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8-sig")
        return bw.read(file, read_portfolio(repository).difficulties)

    return read


def test_screens_are_read_by_id_and_by_label(typed) -> None:
    found = typed(
        "1;mobility;banking;housing;non-take-up;housing;banking",
        "2;Se déplacer;banking;housing;Obtenir ses droits;obtenir ses droits;MOBILITY",
    )
    assert found.screens.tolist() == [[0, 2, 9, 3], [0, 2, 9, 3]]
    assert (found.best.tolist(), found.worst.tolist()) == ([2, 3], [1, 0])
    assert found.voters.tolist() == ["1", "2"]


def test_an_unknown_difficulty_is_refused_with_its_row(typed) -> None:
    with pytest.raises(DataError, match="E-NEE-016") as caught:
        typed("1;mobility;banking;housing;non-take-up;housing;bankin")
    assert "column worst, row 2" in caught.value.where


def test_an_answer_that_was_not_shown_is_refused(typed) -> None:
    with pytest.raises(DataError, match="E-NEE-010"):
        typed("1;mobility;banking;housing;non-take-up;school-dropout;banking")
