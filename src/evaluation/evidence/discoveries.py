"""Which programmes of a portfolio can be called effective while few of those named are not.

The local false sign rate of a programme is its posterior probability of not being better than the bound. Sorted by it,
the running mean is the expected share of false ones among those named: its largest set within the rate is the list of
discoveries. The step-up procedure of Benjamini and Hochberg on conventional p-values stands beside it for comparison;
it knows nothing of bias.

Source: Newton, Noueiry, Sarkar and Ahlquist (2004), *Biostatistics* 5(2); Stephens (2017), *Biostatistics* 18(2), for
    the false sign rate; Müller, Parmigiani and Rice (2006).
"""

import numpy as np

Array = np.ndarray


def bayesian_q_values(false_probability: Array) -> Array:
    """Expected share of false ones among all programmes at least as sure, (…, m) along the last axis.

    Args:
        false_probability: P(effect ≤ bound), local false sign rates.
    """
    p = np.asarray(false_probability, dtype=float)
    order = np.argsort(p, axis=-1, kind="stable")
    running = np.cumsum(np.take_along_axis(p, order, axis=-1), axis=-1) / np.arange(1, p.shape[-1] + 1)
    out = np.empty_like(p)
    np.put_along_axis(out, order, running, axis=-1)
    return out


def discoveries(false_probability: Array, rate: float) -> Array:
    """(…, m) True for the programmes named: the largest set whose expected share of false ones is within `rate`."""
    return np.asarray(bayesian_q_values(false_probability) <= rate)
