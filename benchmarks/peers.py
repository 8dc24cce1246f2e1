"""The peers' side of the races: each gets the table in the form it wants, made beforehand, and its fastest options.

All compute effects by cohort and period against the never treated, with a base period that varies, and by event time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import simulated
from measure import Numbers, Program

SEED = 1
METHOD = "dr"  # without covariates, the difference of means


def diff_diff(*, units: int, covariates: int, shuffled: bool, draws: int) -> Program:
    """diff-diff; `fit(aggregate=)` is deprecated but, with draws, twice as fast as `aggregate` afterwards."""
    from diff_diff import CallawaySantAnna

    frame = simulated.staggered(units, covariates=covariates, shuffled=shuffled)
    columns = {"outcome": "outcome", "unit": "unit", "time": "period", "first_treat": "cohort"}

    def run() -> Any:
        estimator = CallawaySantAnna(
            control_group="never_treated",
            estimation_method=METHOD,
            n_bootstrap=draws,
            bootstrap_weights="rademacher",
            cband=draws > 0,
            seed=SEED,
        )
        return estimator.fit(frame, **columns, covariates=names_of(covariates) or None, aggregate="event_study")

    def numbers(found: Any) -> Numbers:
        cells = {f"{g}, {t}": (cell["effect"], cell["se"]) for (g, t), cell in found.group_time_effects.items()}
        events = {f"event {e}": (cell["effect"], cell["se"]) for e, cell in found.event_study_effects.items()}
        return staggered_numbers(cells | events, draws)

    return Program(run=run, numbers=numbers)


def diff_diff_synthetic(*, units: int, periods: int, treated: int, draws: int) -> Program:
    """diff-diff's synthetic difference-in-differences with placebo draws."""
    from diff_diff import SyntheticDiD

    frame = simulated.few_treated(units, periods, treated=treated)
    columns = {"outcome": "y", "treatment": "treated", "unit": "unit", "time": "period"}
    post = list(range(periods - periods // 3, periods))

    def run() -> Any:
        estimator = SyntheticDiD(variance_method="placebo", n_bootstrap=draws, seed=SEED)
        return estimator.fit(frame, **columns, post_periods=post)

    return Program(run=run, numbers=lambda found: {"estimate": {"att": found.att}, "drawn_error": {"att": found.se}})


def csdid(*, units: int, covariates: int, shuffled: bool, draws: int) -> Program:
    """The Python port of R's did; it draws Mammen's multipliers."""
    from csdid.att_gt import ATTgt

    frame = simulated.staggered(units, covariates=covariates, shuffled=shuffled)
    formula = "outcome~" + ("+".join(names_of(covariates)) or "1")
    drawn = {"bstrap": draws > 0, "cband": draws > 0, "biters": draws}

    def run() -> Any:
        columns = ("outcome", "period", "unit", "cohort")
        cells = ATTgt(
            *columns, frame, control_group=["nevertreated"], xformla=formula, cband=draws > 0, biters=max(draws, 1)
        ).fit(est_method=METHOD, bstrap=draws > 0)
        return cells, cells.aggte("dynamic", **drawn)

    def numbers(found: Any) -> Numbers:
        cells, events = found[0].results, found[1].atte
        by_cell = zip(cells["group"], cells["year"], cells["att"], cells["se"], strict=True)
        errors = np.ravel(events["se_egt"])
        by_event = zip(events["egt"], events["att_egt"], errors, strict=True)
        return staggered_numbers(joined(by_cell, by_event), draws)

    return Program(run=run, numbers=numbers)


def moderndid(*, units: int, covariates: int, shuffled: bool, draws: int) -> Program:
    """moderndid, which draws Mammen's multipliers."""
    from moderndid import aggte, att_gt

    frame = simulated.staggered(units, covariates=covariates, shuffled=shuffled)
    columns = {"yname": "outcome", "tname": "period", "idname": "unit", "gname": "cohort"}
    formula = f"~{' + '.join(names_of(covariates))}" if covariates else None
    drawn = {"boot": draws > 0, "cband": draws > 0, "biters": max(draws, 1), "random_state": SEED}

    def run() -> Any:
        cells = att_gt(frame, **columns, xformla=formula, est_method=METHOD, **drawn)
        return cells, aggte(cells, type="dynamic", **drawn)

    def numbers(found: Any) -> Numbers:
        cells, events = found
        by_cell = zip(cells.groups, cells.times, cells.att_gt, cells.se_gt, strict=True)
        by_event = zip(events.event_times, events.att_by_event, events.se_by_event, strict=True)
        return staggered_numbers(joined(by_cell, by_event), draws)

    return Program(run=run, numbers=numbers)


def differences(*, units: int, covariates: int, shuffled: bool, draws: int) -> Program:
    """differences, which wants an index of unit and period and no cohort for the never treated."""
    from differences import ATTgt

    frame = simulated.staggered(units, covariates=covariates, shuffled=shuffled)
    frame["cohort"] = frame["cohort"].astype(float).replace(0.0, np.nan)
    frame = frame.set_index(["unit", "period"])
    formula = "outcome" + (f" ~ {' + '.join(names_of(covariates))}" if covariates else "")
    drawn = {"boot_iterations": draws, "random_state": SEED}

    def run() -> Any:
        cells = ATTgt(data=frame, cohort_column="cohort").fit(
            formula, est_method=METHOD, control_group="never_treated", progress_bar=False, **drawn
        )
        return cells.to_pandas(), cells.aggregate("event", **drawn)

    def numbers(found: Any) -> Numbers:
        cells, events = (table.set_axis(table.columns.get_level_values(-1), axis=1) for table in found)
        keys = cells.index.to_frame(index=False)
        by_cell = zip(keys["cohort"], keys["time"], cells["ATT"], cells["std_error"], strict=True)
        by_event = zip(events.index, events["ATT"], events["std_error"], strict=True)
        return staggered_numbers(joined(by_cell, by_event), draws)

    return Program(run=run, numbers=numbers)


def pyfixest_rust(*, rows: int, balanced: bool) -> Program:
    """pyfixest with its default engine."""
    return _pyfixest(simulated.two_way(rows, balanced=balanced), "rust")


def pyfixest_numba(*, rows: int, balanced: bool) -> Program:
    """pyfixest with the engine that compiles at the first run, which is not timed."""
    return _pyfixest(simulated.two_way(rows, balanced=balanced), "numba")


def _pyfixest(frame: pd.DataFrame, engine: str) -> Program:
    from pyfixest import feols
    from pyfixest.demeaners import MapDemeaner

    def run() -> Any:
        return feols(
            "y ~ x1 + x2 | unit + period",
            frame,
            vcov={"CRV1": "unit"},
            demeaner=MapDemeaner(backend=engine),
            copy_data=False,
            store_data=False,
        )

    def numbers(found: Any) -> Numbers:
        return {"estimate": dict(found.coef()), "std_error": dict(found.se())}

    return Program(run=run, numbers=numbers)


def linearmodels(*, rows: int, balanced: bool) -> Program:
    """linearmodels, which wants an index of unit and period."""
    from linearmodels.panel import PanelOLS

    frame = simulated.two_way(rows, balanced=balanced).set_index(["unit", "period"])

    def run() -> Any:
        model = PanelOLS(frame["y"], frame[["x1", "x2"]], entity_effects=True, time_effects=True)
        return model.fit(cov_type="clustered", cluster_entity=True)

    def numbers(found: Any) -> Numbers:
        return {"estimate": dict(found.params), "all_counted_error": dict(found.std_errors)}

    return Program(run=run, numbers=numbers)


def wildboottest(*, rows: int, clusters: int, draws: int) -> Program:
    """wildboottest, compiled at the first run; it makes the fit itself."""
    from statsmodels.api import OLS
    from wildboottest.wildboottest import wildboottest

    frame = simulated.clustered(rows, clusters=clusters)
    design = frame[["x1", "x2"]].assign(constant=1.0)

    def run() -> Any:
        model = OLS(frame["y"], design)
        return wildboottest(model, B=draws, cluster=frame["cluster"], param="x1", seed=SEED, show=False)

    def numbers(found: Any) -> Numbers:
        statistic, p_value = (float(np.ravel(found[name])[0]) for name in ("statistic", "p-value"))
        return {"statistic": {"x1": statistic}, "p_value": {"x1": p_value}}

    return Program(run=run, numbers=numbers)


def scikit_learn(*, number: int) -> Program:
    """The score by Newton's method and a tree of neighbours; no standard error."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestNeighbors

    x, treated, y = simulated.people(number)

    def run() -> float:
        score = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky").fit(x, treated).predict_proba(x)[:, 1]
        pool = NearestNeighbors(n_neighbors=1).fit(score[~treated, None])
        rows = pool.kneighbors(score[treated, None], return_distance=False)[:, 0]
        return float(np.mean(y[treated] - y[~treated][rows]))

    return Program(run=run, numbers=lambda found: {"estimate": {"att": found}})


def scikit_learn_matched(*, number: int, options: Any) -> Program:
    """`scikit_learn` for a score, or whitened covariates (pooled covariance within arms); no standard error."""
    if options.get("distance") != "mahalanobis":
        return scikit_learn(number=number)
    from sklearn.neighbors import NearestNeighbors

    x, treated, y = simulated.people(number)

    def run() -> float:
        within = x - np.where(treated[:, None], x[treated].mean(axis=0), x[~treated].mean(axis=0))
        root = np.linalg.cholesky(np.linalg.inv(within.T @ within / (len(x) - 2)))
        points = x @ root
        pool = NearestNeighbors(n_neighbors=1).fit(points[~treated])
        rows = pool.kneighbors(points[treated], return_distance=False)[:, 0]
        return float(np.mean(y[treated] - y[~treated][rows]))

    return Program(run=run, numbers=lambda found: {"estimate": {"att": found}})


def pymatchit(*, number: int, options: Any) -> Program:
    """pymatchit-causal, a port of MatchIt; the effect is the weighted difference of means, without standard error."""
    from pymatchit import MatchIt

    x, treated, y = simulated.people(number)
    names = [f"x{k}" for k in range(1, 9)]
    frame = pd.DataFrame(x, columns=names).assign(treat=treated.astype(int))
    formula = f"treat ~ {' + '.join(names)}"
    given = {key: value for key, value in options.items() if key != "distance"}
    given |= {"distance": options["distance"]} if "distance" in options else {}

    def run() -> float:
        fitted = MatchIt(frame, method="nearest", **given).fit(formula)
        weights = np.asarray(fitted.weights, dtype=float)
        return float(
            np.average(y[treated], weights=weights[treated]) - np.average(y[~treated], weights=weights[~treated])
        )

    return Program(run=run, numbers=lambda found: {"estimate": {"att": found}})


def causalml(*, number: int, options: Any) -> Program:
    """The score by scikit-learn and causalml's nearest neighbours; it gives the matched rows."""
    from causalml.match import NearestNeighborMatch
    from sklearn.linear_model import LogisticRegression

    x, treated, y = simulated.people(number)

    def run() -> float:
        score = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky").fit(x, treated).predict_proba(x)[:, 1]
        frame = pd.DataFrame({"treat": treated.astype(int), "score": score, "y": y})
        matcher = NearestNeighborMatch(
            replace=options.get("replace", False),
            ratio=options.get("ratio", 1),
            caliper=options.get("caliper", 1e9),
            shuffle=False,
            random_state=SEED,
        )
        found = matcher.match(frame, "treat", ["score"])
        means = found.groupby("treat")["y"].mean()
        return float(means[1] - means[0])

    return Program(run=run, numbers=lambda found: {"estimate": {"att": found}})


# numbers --------------------------------------------------------------------------------------------------------------


def names_of(covariates: int) -> list[str]:
    """covariate_1 and so on."""
    return [f"covariate_{k + 1}" for k in range(covariates)]


def joined(by_cell: Any, by_event: Any) -> dict[str, tuple[float, float]]:
    """Estimates and standard errors by label, from (cohort, period, …) and (event time, …)."""
    cells = {f"{int(g)}, {int(t)}": (estimate, error) for g, t, estimate, error in by_cell}
    return cells | {f"event {int(e)}": (estimate, error) for e, estimate, error in by_event}


def staggered_numbers(found: dict[str, tuple[float, float]], draws: int) -> Numbers:
    """Errors by draws are random and judged as such; what is missing is left out."""
    measures = ("estimate", "drawn_error" if draws else "std_error")
    return {
        measure: {label: float(pair[k]) for label, pair in found.items() if np.isfinite(float(pair[k]))}
        for k, measure in enumerate(measures)
    }


def ebal(*, number: int) -> Program:
    """ebal without its principal components, which rotate the covariates and change no weight."""
    from ebal import ebal_bin

    x, treated, y = simulated.people(number)
    indicator = treated.astype(int)

    def run() -> Any:
        return ebal_bin(print_level=-1, PCA=False).ebalance(indicator, x, y)

    return Program(run=run, numbers=lambda found: {"estimate": {"att": float(found["wls"].params[-1])}})


def doubleml(*, number: int) -> Program:
    """DoubleML's interactive regression with scikit-learn's linear model and unpenalised logit."""
    import doubleml as package
    from sklearn.linear_model import LinearRegression, LogisticRegression

    x, treated, y = simulated.people(number)
    data = package.DoubleMLData.from_arrays(x, y, treated.astype(float))

    def run() -> Any:
        logit = LogisticRegression(C=np.inf, solver="newton-cholesky")
        return package.DoubleMLIRM(data, LinearRegression(), logit, n_folds=5, score="ATE").fit()

    def numbers(found: Any) -> Numbers:
        return {"estimate": {"ate": float(found.coef[0])}, "std_error": {"ate": float(found.se[0])}}

    return Program(run=run, numbers=numbers)
