"""Group-time effects against a second program: loops over cells, estimating equations, derivatives by complex steps.

The twin shares nothing with the package. Each estimator is a list of moments whose mean is zero at the estimate;
influence = -A⁻¹ moments with A the derivative of their mean, taken by complex steps (exact to rounding). Bookkeeping is
written again from the documentation. 60 random configurations by default, 1,000 in the slow run (of
which 600 have something to compare).

Source: Newey and McFadden (1994), section 6, for stacked moments; Squire and Trapp (1998) for complex steps.
"""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.evidence.calibration.designs import staggered
from evaluation.impact import did
from evaluation.impact.did_engine import by_cells, by_means, sorted_by_cohort
from evaluation.impact.did_rows import as_grid, read_table, window
from evaluation.impact.inference import covariance

ESTIMATORS = ("doubly_robust", "regression", "inverse_probability")
REFUSED = ("E-IMP-036", "E-IMP-037", "E-IMP-038", "E-IMP-039")  # nobody to look at, or to compare with
KINDS = ("balanced", "unbalanced", "repeated_cross_section")


# random configurations ------------------------------------------------------------------------------------------------


def configuration(seed):
    """A table and the options of a design; some cohorts start before the first or after the last period."""
    rng = np.random.default_rng([20250101, seed])
    kind, periods = KINDS[rng.integers(3)], int(rng.integers(2, 6))
    n = int(rng.integers(60, 110)) * (3 if kind == "repeated_cross_section" else 1)
    starts = [0, *rng.permutation(np.arange(1, periods + 3))[: rng.integers(1, 4)]]
    if rng.random() < 0.2 and len(starts) > 2:
        starts = starts[1:]  # nobody is never treated
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), periods), "period": np.tile(np.arange(1, periods + 1), n)})
    table["cohort"] = rng.choice(starts, n)[table["unit"]]
    own, moving = rng.normal(size=n)[table["unit"]], rng.normal(size=len(table))
    table["x"] = own + 0.2 * (table["cohort"] > 2) + (0.3 * moving if rng.random() < 0.4 else 0)
    table["z"] = rng.integers(0, 2, n)[table["unit"]]
    table["w"] = rng.uniform(0.5, 2, n)[table["unit"]]
    table["v"] = rng.uniform(0.5, 2, len(table))
    table["y"] = rng.normal(size=n)[table["unit"]] + 0.3 * table["x"] * table["period"] + rng.normal(size=len(table))
    options = {
        "panel": kind,
        "estimator": ESTIMATORS[rng.integers(3)],
        "comparison": ("never_treated", "not_yet_treated")[rng.integers(2)],
        "base_period": ("varying", "universal")[rng.integers(2)],
        "anticipation": int(rng.integers(2)) * int(periods > 3),
        "weight": (None, "w", "v")[rng.integers(3)],
        "covariates": ((), ("x",), ("x", "z"))[rng.integers(3)],
    }
    if kind != "balanced" and rng.random() < 0.9:
        table = table[rng.random(len(table)) > 0.15].reset_index(drop=True)
    if kind == "repeated_cross_section":
        table = table[rng.permutation(len(table)) < 0.4 * len(table)].reset_index(drop=True)
        table["unit"] = np.arange(len(table))
    table["period"] = table["period"] * 2 + 2000  # every second year
    table["cohort"] = np.where(table["cohort"] > 0, table["cohort"] * 2 + 2000, 0)
    return table, {**options, "anticipation": 2 * options["anticipation"]}


# the twin -------------------------------------------------------------------------------------------------------------


class FitError(Exception):
    """A cell in which a model cannot be fitted, or so nearly that rules of the package decide."""


def twin(table, options):
    """(cohort, period) -> (estimate, standard error), None where a model cannot be fitted; averages likewise."""
    rows, lead = bookkept(table, options)
    periods = sorted(rows["period"].unique())
    starts = sorted(set(rows["start"]) - {np.inf})
    whole = rows.groupby("unit")["period"].transform("size") == len(periods)
    sections = options["panel"] == "repeated_cross_section" or not whole.all()
    units = np.sort(rows["unit"].unique())
    found, influence = {}, {}
    for g in starts:
        reference = max(t for t in periods if t + lead < g)
        for t in periods:
            near = options["base_period"] == "varying" and t <= reference
            if near and t == periods[0]:
                continue
            base = periods[periods.index(t) - 1] if near else reference
            if t == base:
                found[g, t], influence[g, t] = (0.0, 0.0), np.zeros(len(units))
                continue
            late = max(t, base) + lead
            others = np.isinf(rows["start"])
            if options["comparison"] == "not_yet_treated":
                others |= (rows["start"] > late) & (rows["start"] != g)
            cell = rows[((rows["start"] == g) | others) & rows["period"].isin([t, base])]
            try:
                att, psi = (section if sections else change)(cell, g, t, base, options)
            except (FitError, np.linalg.LinAlgError):
                found[g, t] = None
                continue
            by_unit = psi.groupby(psi.index).sum()
            found[g, t] = (att, np.sqrt((by_unit**2).sum()) / len(psi))
            influence[g, t] = by_unit.reindex(units, fill_value=0.0).to_numpy() * len(units) / len(psi)
    return found, averages(rows, units, found, influence)


def bookkept(table, options):
    lead, weight = options["anticipation"], options["weight"]
    rows = table.sort_values(["unit", "period"], ignore_index=True)
    rows = rows.assign(weight=1.0 if weight is None else rows[weight])
    rows["start"] = rows["cohort"].where(rows["cohort"] > 0, np.inf).astype(float)
    first, last = rows["period"].min(), rows["period"].max()
    rows.loc[rows["start"] > last + lead, "start"] = np.inf
    rows = closed(rows[rows["start"] > first + lead], lead)
    if options["panel"] == "balanced":
        rows = rows[rows.groupby("unit")["period"].transform("size") == rows["period"].nunique()]
        rows = closed(rows, lead)
    return rows, lead


def closed(rows, lead):
    """Where nobody is never treated, the last cohort is the comparison until it may react."""
    if not len(rows) or np.isinf(rows["start"]).any():
        return rows
    last = rows["start"].max()
    rows = rows[rows["period"] < last - lead]
    return rows.assign(start=rows["start"].where(rows["start"] != last, np.inf))


def change(cell, g, t, base, options):
    """Panels: changes of the outcome, covariates and weights of the earlier period."""
    wide = cell.set_index(["unit", "period"]).sort_index()
    late, early = wide.xs(t, level="period"), wide.xs(base, level="period")
    nuisance = wide.xs(min(t, base), level="period")
    x = np.column_stack([np.ones(len(late)), *(nuisance[name] for name in options["covariates"])])
    d, y, w = (late["start"] == g).to_numpy(float), (late["y"] - early["y"]).to_numpy(), nuisance["weight"].to_numpy()
    p, k = x.shape[1], options["estimator"]
    b = line(y, x, w * (1 - d)) if k != "inverse_probability" else np.zeros(p)
    c = logit(d, x, w) if k != "regression" else np.zeros(p)

    def moments(theta):
        slopes, score, one, other = theta[:p], theta[p : 2 * p], theta[-2], theta[-1]
        odds = np.exp(x @ score) if k != "regression" else 1.0
        left = y - x @ slopes
        equations = [(w * (1 - d) * left)[:, None] * x if k != "inverse_probability" else slopes - 0 * x]
        equations += [(w * (d - 1 / (1 + np.exp(-x @ score))))[:, None] * x if k != "regression" else score - 0 * x]
        against = w * (1 - d) * odds if k != "regression" else 0 * y + 1
        return np.column_stack(
            [*equations, w * d * (left - one), against * (left - other) if k != "regression" else other + 0 * y]
        )

    left, odds = y - x @ b, np.exp(x @ c)
    one = mean(left, w * d)
    other = mean(left, w * (1 - d) * odds) if k != "regression" else 0.0
    psi = solved(moments, np.concatenate([b, c, [one, other]]))
    return one - other, pd.Series(psi[:, -2] - psi[:, -1], index=late.index)


def section(cell, g, t, base, options):
    """Rows of two periods, each with its covariates and weights."""
    x = np.column_stack([np.ones(len(cell)), *(cell[name] for name in options["covariates"])])
    d, y, w = (cell["start"] == g).to_numpy(float), cell["y"].to_numpy(), cell["weight"].to_numpy()
    here = {1: (cell["period"] == t).to_numpy(float), 0: (cell["period"] == base).to_numpy(float)}
    if any((w * arm * now).sum() == 0 for arm in (d, 1 - d) for now in here.values()):
        raise FitError
    p, k = x.shape[1], options["estimator"]
    theta = {}
    if k != "inverse_probability":
        theta |= {("b", 0, s): line(y, x, w * (1 - d) * here[s]) for s in (1, 0)}
    if k == "doubly_robust":
        theta |= {("b", 1, s): line(y, x, w * d * here[s]) for s in (1, 0)}
    if k != "regression":
        theta[("c",)] = logit(d, x, w)
    names, sizes = list(theta), p

    def parts(vector):
        return {name: vector[j * sizes : (j + 1) * sizes] for j, name in enumerate(names)}

    def means(value):
        """(weights, values) of the means whose signed sum is the effect."""
        out = []
        for s, sign in ((1, 1.0), (0, -1.0)):
            now = w * d * here[s]
            if k == "regression":
                out += [(sign, now, y + 0 * value[names[0]][0]), (-sign, w * d, x @ value["b", 0, s])]
                continue
            against = w * (1 - d) * here[s] * np.exp(x @ value[("c",)])
            left = y - x @ value["b", 0, s] if k == "doubly_robust" else y
            out += [(sign, now, left), (-sign, against, left)]
            if k == "doubly_robust":
                gap = x @ (value["b", 1, s] - value["b", 0, s])
                out += [(sign, w * d, gap), (-sign, now, gap)]
        return out

    def moments(vector):
        value, equations = parts(vector), []
        for name in names:
            if name[0] == "c":
                equations.append((w * (d - 1 / (1 + np.exp(-x @ value[name]))))[:, None] * x)
            else:
                arm = d if name[1] else 1 - d
                equations.append((w * arm * here[name[2]] * (y - x @ value[name]))[:, None] * x)
        pairs = zip(means(value), vector[sizes * len(names) :], strict=True)
        return np.column_stack([*equations, *(u * (v - m) for (_, u, v), m in pairs)])

    solution = np.concatenate(list(theta.values()))
    listed = means(parts(solution))
    levels = np.array([mean(v, u) for _, u, v in listed])
    signs = np.array([sign for sign, _, _ in listed])
    psi = solved(moments, np.concatenate([solution, levels]))[:, len(solution) :]
    return signs @ levels, pd.Series(psi @ signs, index=cell["unit"].to_numpy())


def solved(moments, theta):
    """(m, q) -A⁻¹ moments, A by complex steps."""
    step = 1e-30
    columns = [moments(theta + 1j * step * unit).imag.mean(axis=0) / step for unit in np.eye(len(theta))]
    return -np.linalg.solve(np.column_stack(columns), moments(theta.astype(complex)).real.T).T


def line(y, x, w):
    used = w > 0
    if used.sum() < x.shape[1] or np.linalg.matrix_rank(x[used]) < x.shape[1]:
        raise FitError
    root = np.sqrt(w[used])
    return np.linalg.lstsq(x[used] * root[:, None], y[used] * root, rcond=None)[0]


def logit(d, x, w):
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise FitError
    b = np.zeros(x.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ b, -30, 30)))
        b = b + np.linalg.solve((x * (w * p * (1 - p))[:, None]).T @ x, x.T @ (w * (d - p)))
    if p.max() > 0.98 or not np.isfinite(b).all():
        raise FitError
    return b


def mean(values, weights):
    return (weights @ values) / weights.sum()


def averages(rows, units, found, influence):
    """simple, cohort, event_time and calendar: overall averages with standard errors, shares estimated too."""
    first = rows.drop_duplicates("unit").set_index("unit").loc[units]
    w, start = (first["weight"] / first["weight"].mean()).to_numpy(), first["start"].to_numpy()
    post = [key for key, value in found.items() if value is not None and key[1] >= key[0]]
    groups = sorted({g for g, _ in post})
    members = np.column_stack([w * (start == g) for g in groups]) if groups else np.zeros((len(units), 0))
    theta = np.array([found[key][0] for key in post] + list(members.mean(axis=0)))
    psi = np.column_stack([*(influence[key] for key in post), *(members - members.mean(axis=0)).T])

    def overall(vector, name):
        att, p = dict(zip(post, vector, strict=False)), dict(zip(groups, vector[len(post) :], strict=True))
        whole = {"simple": lambda g, t: 0, "cohort": lambda g, t: g, "event_time": lambda g, t: t - g}
        by = {**whole, "calendar": lambda g, t: t}[name]
        within = [
            sum(p[g] * att[g, t] for g, t in post if by(g, t) == value)
            / sum(p[g] for g, t in post if by(g, t) == value)
            for value in sorted({by(g, t) for g, t in post})
        ]
        if name == "cohort":
            return sum(p[g] * m for g, m in zip(groups, within, strict=True)) / sum(p.values())
        return sum(within) / len(within)

    out = {}
    for name in ("simple", "cohort", "event_time", "calendar"):
        slope = [overall(theta + 1e-30j * unit, name).imag / 1e-30 for unit in np.eye(len(theta))]
        out[name] = (overall(theta, name), np.sqrt(((psi @ np.array(slope)) ** 2).sum()) / len(units))
    return out


# the comparison -------------------------------------------------------------------------------------------------------


def compare(panel, seed):
    """True if something was compared; the package may leave out only what the twin finds hard to fit."""
    table, options = configuration(seed)
    try:
        result = did.estimate(*panel(table, **options))
    except DataError as error:
        if error.code not in REFUSED:
            raise
        return False
    expected, means = twin(table, options)
    labels, errors = result.group_time.labels, covariance(result.group_time).std_error
    found = {
        key: pair
        for key, *pair in zip(
            zip(labels["cohort"], labels["period"], strict=True), result.group_time.estimate, errors, strict=True
        )
    }
    skipped = set(zip(result.skipped["cohort"], result.skipped["period"], strict=True))
    assert set(found) | skipped == set(expected)
    assert all(expected[key] is None for key in skipped), (seed, skipped)
    both = [key for key in found if expected[key] is not None]
    np.testing.assert_allclose([found[k] for k in both], [expected[k] for k in both], rtol=1e-8, atol=1e-10)
    if len(both) == len(expected):
        ours = [(result.overall[k].estimate[0], covariance(result.overall[k]).std_error[0]) for k in means]
        np.testing.assert_allclose(ours, list(means.values()), rtol=1e-8, atol=1e-10)
    return bool(both)


def test_sixty_configurations_equal_the_twin(panel):
    # At least two thirds must have something to compare: others are refused because nobody starts within the periods.
    assert sum(compare(panel, seed) for seed in range(60)) >= 40


@pytest.mark.slow
def test_a_thousand_configurations_equal_the_twin(panel):
    assert sum(compare(panel, seed) for seed in range(60, 1060)) >= 600


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("weight", [None, "w"])
def test_means_of_cohorts_and_single_cells_are_the_same_without_covariates(panel, estimator, weight):
    rng = np.random.default_rng(20250101)
    for comparison in ("never_treated", "not_yet_treated"):
        table = staggered(50, rng, starts=(0, 3, 4, 6))
        sample, design = panel(table, weight=weight, estimator=estimator, comparison=comparison)
        grid = sorted_by_cohort(as_grid(window(read_table(sample, "outcome_1", design), design), design))
        assert grid.means_suffice
        cells = list(did.plan(grid, design))
        fast, slow = by_means(grid, cells), by_cells(grid, cells, estimator)
        np.testing.assert_allclose(fast.estimate, slow.estimate, rtol=0, atol=1e-12)
        np.testing.assert_allclose(fast.influence.dense(), slow.influence.dense(), rtol=0, atol=1e-11)
        np.testing.assert_allclose(fast.shares.dense(), slow.shares.dense(), rtol=0, atol=1e-13)
