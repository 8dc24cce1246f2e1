"""Effect of one innovation: estimates with the influence of each unit, and what follows from them.

`effects` holds what every method returns, `inference` is the only place that turns it into standard errors, and the
method modules (`did`, `experiment`, `matching`, `weighting`) are siblings that do not import one another.
"""
