"""What one more study is worth before a decision: closed forms for a normal belief about the net benefit.

    EVPI = sd phi(m / sd) + m Phi(m / sd) - max(m, 0)
    EVSI = the same with the preposterior sd  s = sd^2 / sqrt(sd^2 + se^2)
    value of a test = (1 - delay) E[max(m', 0)] - max(m, 0) - cost,   E[max(m', 0)] = s phi(m / s) + m Phi(m / s)

m and sd are those of the net benefit, se is the standard error of the new study on the same scale; `delay` is the share
of the benefits that is over when the study is read. All arrays of one shape.

Source: Raiffa and Schlaifer 1961; Claxton 1999; Willan and Pinto 2005.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]


def expected_gain(mean: Floats, sd: Floats) -> Floats:
    """E[max(X, 0)] for X normal."""
    safe = np.where(sd > 0, sd, 1.0)
    z = mean / safe
    return np.where(sd > 0, safe * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) + mean * ndtr(z), np.maximum(mean, 0.0))


def value_of_perfect_information(mean: Floats, sd: Floats) -> Floats:
    """What it would be worth to know the net benefit exactly."""
    return np.asarray(expected_gain(mean, sd) - np.maximum(mean, 0.0))


def value_of_sample_information(mean: Floats, sd: Floats, std_error: float | Floats) -> Floats:
    """What a study with this standard error is worth, before its cost and its delay."""
    return np.asarray(expected_gain(mean, preposterior_sd(sd, std_error)) - np.maximum(mean, 0.0))


def value_of_test(mean: Floats, sd: Floats, std_error: float | Floats, *, cost: float, delay: float) -> Floats:
    """What it is worth to test before deciding, against deciding now; its cost and its delay are charged."""
    after = (1 - delay) * expected_gain(mean, preposterior_sd(sd, std_error)) - cost
    return np.asarray(after - np.maximum(mean, 0.0))


def value_of_phase_in(mean: Floats, sd: Floats, std_error: float | Floats, *, cost: float, delay: float) -> Floats:
    """The same for a roll-out drawn by lot: half of the people are served while the study runs."""
    served = value_of_test(mean, sd, std_error, cost=cost, delay=delay)
    return np.asarray(served + delay / 2 * mean)


def preposterior_sd(sd: Floats, std_error: float | Floats) -> Floats:
    """Standard deviation of the posterior mean, before the study is read."""
    return np.asarray(np.square(sd) / np.sqrt(np.square(sd) + np.square(std_error)))
