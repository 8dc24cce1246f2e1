"""Propensity score: probability of treatment given covariates, by logit or probit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, log_ndtr, ndtr

from evaluation.errors import DataError
from evaluation.impact.covariates import Covariates, Floats, independent_columns

Link = Literal["logit", "probit"]

ITERATIONS = 50
HALVINGS = 30
# A step of this size (in standard deviations of the covariates) is no step: rounding is 1e-16 times the condition.
CONVERGED = 1e-10
NEXT = 1e-13  # nor is this for the next step, which Newton's last ones foretell
SAFE_MOVE = 1.0  # of any linear predictor of a logit: Newton's step then never lowers the likelihood
SOME_ROWS = 10_000  # rows whose coefficients are the first guess for many more
BLOCK = 8192  # rows taken at a time: with their covariates they fit into a processor's cache
LEAST = 1e-300  # of the information of a row, so that its root can be divided by
SMALL = 1e-2  # a step of this size, after which the information hardly changes
GUESSED = 1e-2  # a step of this size ends the first guess: chance among some rows is larger than what is left
CONDITIONED = 1e-3  # ratio of pivots below which a Newton step is taken by QR


@dataclass(frozen=True, slots=True, kw_only=True)
class Propensity:
    """A fitted binary model of treatment.

    Attributes:
        link: "logit" or "probit".
        labels: k column labels, the intercept first; columns that are combinations of earlier ones are left out.
        coefficients: (k,) in the units of the covariates.
        design: (n, k) columns that were used, the intercept first.
        linear: (n,) linear predictor.
        probability: (n,) probability of treatment.
        influence: (n, k) rows with coefficients - truth ~ mean(influence); (0, k) where it was not asked for.
        left_out: labels of columns that are constant or combinations of earlier ones.
    """

    link: Link
    labels: tuple[str, ...]
    coefficients: Floats
    design: Floats
    linear: Floats
    probability: Floats
    influence: Floats
    left_out: tuple[str, ...]

    @property
    def slope(self) -> Floats:
        """(n,) derivative of the probability with respect to the linear predictor."""
        return _slope(self.linear, self.link)


def fit_propensity(
    covariates: Covariates,
    treated: NDArray[np.bool_],
    weights: Floats | None = None,
    *,
    link: Link = "logit",
    influence: bool = True,
) -> Propensity:
    """Maximum likelihood by Newton's method with the observed information.

    Columns are centred and scaled; a step that lowers the log likelihood is halved (a step of a logit that moves no
    linear predictor by more than 1 cannot: Bach 2010, proposition 1). The steps solve normal equations by Cholesky, or
    by QR where these are badly conditioned: the score alone decides where they end. Logit score of one row:
    w (d - p) x. Probit: w q phi(q eta) / Phi(q eta) x, q = 2d - 1.
    Influence of the coefficients: n H^-1 score, H = the observed information, so that it is the exact derivative with
    respect to each row's weight (McCullagh and Nelder 1989, section 2.5; Newey and McFadden 1994, section 6).

    Args:
        covariates: (n, k) without missing values.
        treated: (n,) True for treated rows.
        weights: (n,) sampling weights, any positive scale; None = all one.
        link: "logit" or "probit".
        influence: whether that of each row on the coefficients is wanted, a table as large as the covariates.

    Returns:
        The fitted model.

    Raises:
        DataError: one arm is empty; or covariates separate the arms (no maximum exists), with their names.
    """
    _require_both_arms(treated)
    weights = np.ones(len(treated)) if weights is None else weights / weights.mean()
    design = np.empty((len(treated), 1 + covariates.matrix.shape[1]), order="F")  # columns are what is worked on
    design[:, 0], design[:, 1:] = 1.0, covariates.matrix
    labels = ("intercept", *covariates.labels)
    kept = independent_columns(design, weights)
    design = design if kept.all() else np.asfortranarray(design[:, kept])
    labels_kept = tuple(np.array(labels, dtype=object)[kept])
    scaled, back = _standardise(design)
    beta = _newton(
        scaled, treated, weights, link, labels_kept, _first_guess(scaled, treated, weights, link, labels_kept)
    ).coefficients
    linear = scaled @ beta
    return Propensity(
        link=link,
        labels=labels_kept,
        coefficients=back @ beta,
        design=design,
        linear=linear,
        probability=expit(linear) if link == "logit" else ndtr(linear),
        influence=_influence(scaled, back, linear, treated, weights, link) if influence else np.empty((0, len(beta))),
        left_out=tuple(np.array(labels, dtype=object)[~kept]),
    )


def _require_both_arms(treated: NDArray[np.bool_]) -> None:
    if treated.all() or not treated.any():
        raise DataError(
            code="E-IMP-050",
            what="the propensity score needs treated and comparison units",
            found=f"{int(treated.sum())} treated of {len(treated)} units",
            expected="at least one unit in each arm",
            fix="check `treatment` and `keep` of this evaluation in params.yaml",
        )


def _standardise(design: Floats) -> tuple[Floats, Floats]:
    """Centre and scale all columns but the intercept; also the matrix that takes coefficients back."""
    center = design.mean(axis=0)
    center[0] = 0.0
    scaled = design - center
    scale = np.sqrt(np.einsum("ij,ij->j", scaled, scaled) / len(scaled))
    scale[0] = 1.0
    back = np.diag(1 / scale)
    back[0, 1:] = -center[1:] / scale[1:]
    scaled /= scale
    return scaled, back


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """Coefficients of scaled columns, and L with X'WX = LL' near them where it is known."""

    coefficients: Floats
    lower: Floats | None


def _first_guess(
    design: Floats, treated: NDArray[np.bool_], weights: Floats, link: Link, labels: tuple[str, ...]
) -> Guess:
    """Zero, or for many rows what every k-th of them say, from where few of Newton's steps are left."""
    zero, step = Guess(coefficients=np.zeros(design.shape[1]), lower=None), len(design) // SOME_ROWS
    if step < 2:
        return zero
    some, of_some = treated[::step], weights[::step]
    if some.all() or not some.any() or not (of_some > 0).any():
        return zero
    try:
        found = _newton(np.asfortranarray(design[::step]), some, of_some, link, labels, zero, GUESSED)
    except DataError:  # separated among some rows need not be so among all
        return zero
    if found.lower is None:
        return found
    return Guess(coefficients=found.coefficients, lower=found.lower * np.sqrt(weights.sum() / of_some.sum()))


def _influence(
    scaled: Floats, back: Floats, linear: Floats, treated: NDArray[np.bool_], weights: Floats, link: Link
) -> Floats:
    """n H⁻¹ score of each row, in the units of the covariates."""
    score, information = _derivatives(linear, treated, link)
    inverse = _inverse_information(scaled, weights * information)
    rows: Floats = ((back @ inverse) @ (scaled * (len(treated) * weights * score)[:, None]).T).T
    return rows


def _newton(
    design: Floats,
    treated: NDArray[np.bool_],
    weights: Floats,
    link: Link,
    labels: tuple[str, ...],
    start: Guess,
    near: float = CONVERGED,
) -> Guess:
    """Coefficients from where the next step would be no larger than `near`, or is foretold to be far smaller.

    Steps that are small already solve the equations of the step before (the chord method): what a row adds to the
    information is then not summed anew. Where one does not shrink the step to a tenth, Newton's follows.
    """
    beta, lower, size = start.coefficients, start.lower, np.nan
    step, old = np.full(design.shape[1], np.nan), lower is not None  # no step was taken yet
    linear = design @ beta if beta.any() else np.zeros(len(design))
    for _ in range(ITERATIONS):
        before, last = step, size
        gradient, gram = _sums(design, linear, treated, weights, link, with_information=not old)
        lower = lower if gram is None else _lower(gram)
        step = _by_factor(lower, gradient) if lower is not None else _by_qr(design, linear, treated, weights, link)
        if not np.isfinite(step).all():
            step = before
            break
        move = design @ step
        share = _share_of_step(linear, move, treated, weights, link)
        beta, linear = beta + share * step, linear + share * move
        size, scale = float(np.abs(step).max()), 1 + float(np.abs(beta).max())
        if size <= near * scale or _next_step(size, last, 1 if old else 2) <= NEXT * scale:
            return Guess(coefficients=beta, lower=lower)
        old = lower is not None and size <= SMALL * scale and (not old or size <= last / 10)
    raise _separation(labels, step)


def _next_step(step: float, last: float, order: int) -> float:
    """step (step / last) ** order, as linear (1) or quadratic (2) convergence has it; no better while steps grow."""
    return step * min((step / last) ** order, 1.0)


def _by_factor(lower: Floats, gradient: Floats) -> Floats:
    """Solve L L' step = X'(w score)."""
    return np.asarray(np.linalg.solve(lower.T, np.linalg.solve(lower, gradient)))


def _sums(
    design: Floats,
    linear: Floats,
    treated: NDArray[np.bool_],
    weights: Floats,
    link: Link,
    *,
    with_information: bool,
) -> tuple[Floats, Floats | None]:
    """X'(w score), and X'WX with W = w information, in one pass: some rows at a time, which stay in the cache."""
    k = design.shape[1]
    gradient, gram, room = np.zeros(k), np.zeros((k, k)), np.empty((min(BLOCK, len(design)), k), order="F")
    for start in range(0, len(design), BLOCK):
        rows = slice(start, start + BLOCK)
        x, w = design[rows], weights[rows]
        score, information = _derivatives(linear[rows], treated[rows], link)
        gradient += x.T @ (w * score)
        if with_information:
            np.maximum(information, LEAST, out=information)
            gram += x.T @ np.multiply(x, (w * information)[:, None], out=room[: len(x)])
    return gradient, gram if with_information else None


def _lower(gram: Floats) -> Floats | None:
    """L with X'WX = LL'; None where forming X'WX loses too many digits."""
    try:
        lower = np.asarray(np.linalg.cholesky(gram))
    except np.linalg.LinAlgError:
        return None
    diagonal = np.diag(lower)
    return None if diagonal.min() <= CONDITIONED * diagonal.max() else lower


def _by_qr(design: Floats, linear: Floats, treated: NDArray[np.bool_], weights: Floats, link: Link) -> Floats:
    score, information = _derivatives(linear, treated, link)
    return _step_by_qr(design, weights, score, weights * np.maximum(information, LEAST))


def _step_by_qr(design: Floats, weights: Floats, score: Floats, curvature: Floats) -> Floats:
    """The same without forming X'WX; missing where a direction has no information left."""
    root = np.sqrt(curvature)
    q, r = np.linalg.qr(design * root[:, None])
    diagonal = np.abs(np.diag(r))
    if diagonal.min() <= 1e-13 * diagonal.max():
        return np.full(design.shape[1], np.nan)
    step: Floats = np.linalg.solve(r, q.T @ (weights * score / root))
    return step


def _share_of_step(linear: Floats, move: Floats, treated: NDArray[np.bool_], weights: Floats, link: Link) -> float:
    """1, or the first of its halves at which the log likelihood is no worse than before."""
    share = 1.0
    if link == "logit" and np.abs(move).max() <= SAFE_MOVE:
        return share
    before = _log_likelihood(linear, treated, weights, link)
    slack = 1e-12 * (1 + abs(before))
    for _ in range(HALVINGS):
        if _log_likelihood(linear + share * move, treated, weights, link) >= before - slack:
            break
        share /= 2
    return share


def _log_likelihood(linear: Floats, treated: NDArray[np.bool_], weights: Floats, link: Link) -> float:
    signed = np.where(treated, linear, -linear)
    return float(weights @ (log_expit(signed) if link == "logit" else log_ndtr(signed)))


def _derivatives(linear: Floats, treated: NDArray[np.bool_], link: Link) -> tuple[Floats, Floats]:
    """First derivative and minus the second derivative of the log likelihood in the linear predictor."""
    sign = np.where(treated, 1.0, -1.0)
    if link == "logit":
        wrong = expit(-sign * linear)  # of the arm that the row is not in: exact also where it is nearly 0
        return sign * wrong, wrong * (1 - wrong)
    mills = np.exp(_log_density(linear) - log_ndtr(sign * linear))
    return sign * mills, mills * (sign * linear + mills)


def _slope(linear: Floats, link: Link) -> Floats:
    slope: Floats = expit(linear) * expit(-linear) if link == "logit" else np.exp(_log_density(linear))
    return slope


def _log_density(linear: Floats) -> Floats:
    return np.asarray(-0.5 * linear**2 - 0.5 * np.log(2 * np.pi))


def _inverse_information(design: Floats, weights: Floats) -> Floats:
    lower = _lower(design.T @ (design * weights[:, None]))
    r = np.linalg.qr(design * np.sqrt(weights)[:, None], mode="r") if lower is None else lower.T
    half = np.linalg.solve(r, np.eye(len(r)))
    inverse: Floats = half @ half.T
    return inverse


def _separation(labels: tuple[str, ...], step: Floats) -> DataError:
    moving = (
        np.abs(step) > 1e-3 * np.nanmax(np.abs(step)) if np.isfinite(step).any() else np.ones(len(step), dtype=bool)
    )
    names = [label for label, moves in zip(labels, moving, strict=True) if moves and label != "intercept"]
    return DataError(
        code="E-IMP-051",
        what="covariates tell treated and comparison units apart perfectly, so no propensity score exists",
        where=", ".join(names) or "intercept",
        found=f"no maximum of the likelihood within {ITERATIONS} Newton steps; these coefficients keep growing",
        expected="for every value of the covariates, both treated and comparison units",
        fix="merge rare levels, drop a covariate that decides treatment, or restrict the sample with `keep`",
    )
