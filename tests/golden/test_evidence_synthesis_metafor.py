"""Pooled effects against R metafor: common, DL, PM, REML, Hartung-Knapp, several levels, regressions, publication bias.

R metafor stops its iterations at changes of 1e-5 in τ²; ours are solved to the last digits. τ² is therefore compared to
3e-5, and what follows from it at metafor's own τ², to 1e-10. Where a table prints four digits, half a unit of the last
one is the tolerance.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import linalg

from evaluation.evidence.publication_bias import egger, mixed_egger, trim_and_fill
from evaluation.impact.inference.heterogeneity import between_variance, heterogeneity, variance_components
from evaluation.impact.inference.selection_model import fit_selection
from evaluation.impact.inference.studies import fit_studies, prediction_interval, study_heterogeneity, study_table

HERE = Path(__file__).parent
EFFECTS = pd.read_csv(HERE / "synthesis_effects.csv", comment="#")
METAFOR = pd.read_csv(HERE / "synthesis_metafor.csv", comment="#")
OURS = {"FE": "common", "DL": "DL", "PM": "PM", "REML": "REML", "EB": "PM"}  # EB and PM have the same fixed point
FOUR_DIGITS = 0.00005001


def data(name):
    rows = EFFECTS[EFFECTS["dataset"] == name]
    return rows, rows["effect"].to_numpy(), rows["variance"].to_numpy()


def constant(y):
    return np.ones((len(y), 1))


def id_of(row):
    return f"{row['dataset']}-{row['method']}-{row['test']}"


@pytest.mark.parametrize("row", [row for _, row in METAFOR.iterrows()], ids=id_of)
def test_the_variance_between_studies(row):
    _, y, v = data(row["dataset"])
    exact = row["method"] in ("FE", "DL")  # closed forms; metafor stops PM, EB and REML at steps of 1e-5
    found = study_heterogeneity(y, v, method=OURS[row["method"]])
    assert found.variance == pytest.approx(row["tau2"], abs=1e-12 if exact else 3e-5)
    assert found.q == pytest.approx(row["Q"], rel=1e-12)
    assert 100 * found.i_squared == pytest.approx(row["I2"], abs=1e-9 if exact else 0.02)


@pytest.mark.parametrize("row", [row for _, row in METAFOR.iterrows()], ids=id_of)
def test_means_errors_and_intervals(row):
    """At metafor's own τ², so that all digits are compared; the microcredit table holds standard errors with 15."""
    _, y, v = data(row["dataset"])
    fitted = fit_studies(y, v, between=row["tau2"])
    kind = "known" if row["test"] == "z" else "hartung_knapp"
    found = study_table(fitted, kind=kind).iloc[0]
    for ours, theirs in (("estimate", "mu"), ("std_error", "se"), ("ci_low", "lo"), ("ci_high", "hi")):
        assert found[ours] == pytest.approx(row[theirs], abs=1e-11 * row["se"], rel=1e-10)
    assert found["p_value"] == pytest.approx(row["p"], rel=1e-9)
    if np.isfinite(row["pi_lo"]):
        df = np.inf if row["test"] == "z" else len(y) - 1  # metafor's choice; ours by default is k - 2
        low, high = prediction_interval(found, row["tau2"], df=df)
        np.testing.assert_allclose([low, high], [row["pi_lo"], row["pi_hi"]], rtol=1e-10)


@pytest.mark.parametrize("name", sorted(set(METAFOR["dataset"])))
def test_our_variances_are_closer_to_their_definition_than_a_step(name):
    """PM: Q(τ²) = df. REML: no τ² nearby has a higher likelihood; metafor's does not."""
    _, y, v = data(name)
    pm = between_variance(y, v, constant(y), "PM")
    if pm > 0:
        w = 1 / (v + pm)
        assert w @ (y - w @ y / w.sum()) ** 2 == pytest.approx(len(y) - 1, rel=1e-9)

    def height(between):
        w = 1 / (v + between)
        return 0.5 * (np.log(w).sum() - np.log(w.sum()) - w @ (y - w @ y / w.sum()) ** 2)

    top = between_variance(y, v, constant(y), "REML")
    theirs = METAFOR[(METAFOR["dataset"] == name) & (METAFOR["method"] == "REML")]["tau2"].iloc[0]
    assert height(top) >= max(height(theirs), height(1.01 * top), height(0.99 * top)) - 1e-12


def test_the_figures_of_the_issue():
    """BCG REML −.7145 (.1798); microcredit 3.5147 (2.8388), I² 0, Hartung-Knapp 2.7522: below 1 and not floored."""
    _, y, v = data("bcg")
    bcg = study_table(fit_studies(y, v), kind="known").iloc[0]
    assert (round(bcg["estimate"], 4), round(bcg["std_error"], 4)) == (-0.7145, 0.1798)
    _, y, v = data("microcredit_consumption")
    fitted = fit_studies(y, v)
    known, knapp = (study_table(fitted, kind=kind).iloc[0] for kind in ("known", "hartung_knapp"))
    assert (round(known["estimate"], 4), round(known["std_error"], 4)) == (3.5147, 2.8388)
    assert round(knapp["std_error"], 4) == 2.7522
    assert fitted.hartung_knapp_factor < 1
    assert study_heterogeneity(y, v).i_squared == 0.0


def test_the_interval_of_the_variance():
    # metafor's own tests (test_misc_confint.r, test_analysis_example_konstantopoulos2011.r), 2026-11
    _, y, v = data("bcg")
    found = heterogeneity(y, v, constant(y), method="DL")
    np.testing.assert_allclose(
        [found.variance, found.variance_low, found.variance_high], [0.3088, 0.1197, 1.1115], atol=FOUR_DIGITS
    )
    rows, y, v = data("konstantopoulos2011")
    found = heterogeneity(y, v, constant(y))
    np.testing.assert_allclose([found.variance_low, found.variance_high], [0.0564, 0.1388], atol=0.0001)
    year = rows["moderator"].to_numpy()
    found = heterogeneity(y, v, np.column_stack([np.ones(len(y)), year - year.mean()]))
    np.testing.assert_allclose(
        [found.variance, found.variance_low, found.variance_high], [0.0889, 0.0560, 0.1376], atol=0.0001
    )


def test_schools_within_districts():
    # rma.mv(random = ~ 1 | district/school): the last row of metadat_golden.csv, and metafor's own test for the
    # variances (0.06506194, 0.03273652) and the log-likelihood (−7.9587); ML: 0.0577, 0.0329
    rows, y, v = data("konstantopoulos2011")
    groups = [rows["study"].to_numpy(), np.arange(len(y))]
    variances, height = variance_components(y, v, constant(y), groups)
    np.testing.assert_allclose(variances, [0.06506194, 0.03273652], atol=1e-8)
    assert height == pytest.approx(-7.9587, abs=FOUR_DIGITS)
    found = study_table(fit_studies(y, v, groups=groups), kind="known").iloc[0]
    assert found["estimate"] == pytest.approx(0.184713163672882, abs=1e-7)
    assert found["std_error"] == pytest.approx(0.0845559187420597, abs=1e-7)
    assert found["ci_low"] == pytest.approx(0.0189866082587493, abs=2e-7)
    assert found["p_value"] == pytest.approx(0.02892486825771, abs=1e-7)
    likelihood = variance_components(y, v, constant(y), groups, restricted=False)[0]
    np.testing.assert_allclose(likelihood, [0.0577, 0.0329], atol=FOUR_DIGITS)


def test_regressions():
    # README of metafor: rma(yi, vi, mods = ~ ablat, test = "knha") on dat.bcg
    rows, y, v = data("bcg")
    design = np.column_stack([np.ones(13), rows["moderator"].to_numpy()])
    fitted = fit_studies(y, v, design=design, names=("constant", "latitude"))
    table = study_table(fitted)
    assert fitted.between == pytest.approx(0.0764, abs=1e-4)  # 0.07635 at the top; metafor stops a few steps before
    # what follows from τ² is off by as much in the fourth digit
    np.testing.assert_allclose(table["estimate"], [0.2515, -0.0291], atol=2e-4)
    np.testing.assert_allclose(table["std_error"], [0.2839, 0.0082], atol=2e-4)
    np.testing.assert_allclose(table["p_value"], [0.3948, 0.0046], atol=2e-4)
    np.testing.assert_allclose(table["ci_low"], [-0.3735, -0.0472], atol=2e-4)
    # Raudenbush (2009), pages 90 and 92: weeks cut at 3; τ² is 0
    rows, y, v = data("raudenbush1985")
    design = np.column_stack([np.ones(19), np.minimum(rows["moderator"].to_numpy(), 3)])
    fitted = fit_studies(y, v, design=design, names=("constant", "weeks"))
    table = study_table(fitted, kind="known")
    np.testing.assert_allclose(table["estimate"], [0.4072, -0.1572], atol=FOUR_DIGITS)
    np.testing.assert_allclose(table["estimate"] / table["std_error"], [4.6782, -4.3884], atol=0.0002)
    assert study_heterogeneity(y, v, design).q == pytest.approx(16.5708, abs=FOUR_DIGITS)


def test_study_by_study():
    # cumul(rma(yi, vi, data = dat.bcg), order = year), metafor's own test: the mean as studies came
    rows, y, v = data("bcg")
    order = np.argsort(rows["year"].to_numpy(), kind="stable")
    expected = [-0.889311, -1.325003, -0.97208, -1.001094, -1.101424, -0.973464, -0.901251, -0.788566, -0.865607]
    expected += [-0.785211, -0.708206, -0.794768, -0.714532]
    found = [fit_studies(y[order[:n]], v[order[:n]]).fit.coefficients[0] for n in range(1, 14)]
    np.testing.assert_allclose(found, expected, atol=3e-6)  # through τ², see above


def test_robust_errors_of_single_effects():
    # robust(rma(...), cluster = trial, adjust = FALSE), metafor's own test: variance 0.029636, the sum of squared
    # weighted residuals; CR2 divides each by 1 - h
    _, y, v = data("bcg")
    fitted = fit_studies(y, v)
    weights = fitted.row_weights[0]
    residuals = y - fitted.fit.coefficients[0]
    assert (weights**2 @ residuals**2) == pytest.approx(0.029636, abs=5e-7)
    cr2 = study_table(fitted, kind="cr2").iloc[0]["std_error"]
    assert cr2**2 == pytest.approx(weights**2 @ (residuals**2 / (1 - weights)), rel=1e-10)


def root_of_pustejovsky_and_tipton(y, total, codes):
    """CR2 with the root of Pustejovsky and Tipton (2018): A = D′ (D (I − H) Φ (I − H)′ D′)^(−½) D, Φ = D′D; and df."""
    x = np.ones((len(y), 1))
    inverse = np.linalg.inv(total)
    bread = np.linalg.inv(x.T @ inverse @ x)
    left = np.eye(len(y)) - x @ bread @ x.T @ inverse
    parts, rows_of_p = [], []
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        phi = total[np.ix_(rows, rows)]
        d = linalg.cholesky(phi)
        values, vectors = np.linalg.eigh(d @ (left[rows] @ total @ left[rows].T) @ d.T)
        adjusted = bread @ x[rows].T @ np.linalg.inv(phi) @ d.T @ ((vectors * values**-0.5) @ vectors.T) @ d
        parts.append(float((adjusted @ (left @ y)[rows])[0]))
        rows_of_p.append((adjusted @ left[rows])[0])
    quadratic = np.array(rows_of_p) @ total @ np.array(rows_of_p).T
    return np.sqrt(np.sum(np.square(parts))), np.trace(quadratic) ** 2 / np.trace(quadratic @ quadratic)


def test_another_square_root_changes_robust_errors_by_less_than_a_thousandth():
    """The root decides nothing where effects of a sample are equally precise, and next to nothing elsewhere."""
    rows, y, v = data("konstantopoulos2011")
    districts = rows["study"].to_numpy()
    fitted = fit_studies(y, v, groups=[districts, np.arange(len(y))])
    ours = study_table(fitted, kind="cr2", clusters=districts).iloc[0]
    error, df = root_of_pustejovsky_and_tipton(y, fitted.total, districts)
    assert ours["std_error"] == pytest.approx(error, rel=1e-3)
    assert ours["df"] == pytest.approx(df, rel=1e-5)
    equal = fit_studies(y, np.full(len(y), 0.05), method="common")
    ours = study_table(equal, kind="cr2", clusters=districts).iloc[0]
    error, df = root_of_pustejovsky_and_tipton(y, np.diag(equal.total), districts)
    assert ours["std_error"] == pytest.approx(error, rel=1e-10)
    assert ours["df"] == pytest.approx(df, rel=1e-10)


def test_asymmetry_of_the_funnel():
    # README of metafor, regtest(res) with Hartung-Knapp on dat.bcg
    _, y, v = data("bcg")
    found = mixed_egger(y, v)
    assert (round(found.statistic, 4), found.df, round(found.slope_p, 4)) == (-0.7812, 11.0, 0.4512)
    limit = (round(found.limit, 4), round(found.limit_low, 4), round(found.limit_high, 4))
    assert limit == (-0.5104, -1.2123, 0.1915)
    # metafor's own test (test_misc_pub_bias.r), dat.egger2001: lm with predictor sqrt(1 / people)
    rows, y, v = data("egger2001")
    found = egger(y, v, predictor=1 / np.sqrt(rows["moderator"].to_numpy()))
    assert round(found.statistic, 4) == -5.6083
    fitted = fit_studies(y, v, design=np.column_stack([np.ones(len(y)), np.sqrt(v)]), names=("limit", "slope"))
    slope = study_table(fitted, kind="known").iloc[1]
    assert round(slope["estimate"] / slope["std_error"], 4) == -4.6686


def test_trim_and_fill():
    # trimfill(rma(yi, vi, data = dat.hackshaw1998)): 7 on the left (SE 4.0399), 0.1745 (0.0484), printed by metafor in
    # a public course (stored copy read 2026-11)
    _, y, v = data("hackshaw1998")
    found = trim_and_fill(y, v)
    assert (found.missing, found.side, round(found.missing_error, 4)) == (7, "left", 4.0399)
    assert (round(found.estimate, 4), round(found.std_error, 4)) == (0.1745, 0.0484)
    mirrored = trim_and_fill(-y, v)
    assert (mirrored.missing, mirrored.side) == (7, "right")
    assert mirrored.estimate == pytest.approx(-found.estimate, rel=1e-12)


def test_selection_by_p_values():
    # selmodel(res, type = "stepfun", steps = c(.05, .10, .50, 1)) on dat.hackshaw1998, metafor's own test; its
    # optimiser stops at about 1e-6
    _, y, v = data("hackshaw1998")
    found = fit_selection(y, v, steps=(0.05, 0.10, 0.50))
    np.testing.assert_allclose(found.delta, [1, 2.422079, 0.977543, 0.396713], atol=1e-5)
    assert found.variance == pytest.approx(0.03071325, abs=1e-7)
    assert found.statistic == pytest.approx(7.066137, abs=2e-6)
    assert found.df == 3


def test_meagers_trials_in_their_own_currencies_are_refused_and_in_standard_deviations_pooled(shared_data, repository):
    """Meager (2019): seven trials, each in its currency. In SD of the comparison group the profits pool to .0287
    (.0241) by DerSimonian-Laird, the row of the portfolio.
    """
    from evaluation.errors import DataError
    from evaluation.evidence.eligibility import entries
    from evaluation.evidence.portfolio_synthesis import settings_of
    from evaluation.evidence.record import parse
    from evaluation.evidence.synthesis import pool
    from evaluation.settings.params import read_params

    sites = pd.read_csv(shared_data / "portfolio" / "microcredit_site_effects.csv")
    sites = sites[sites["outcome"] == "profit"]
    rules = settings_of(read_params(repository))

    def findings(estimate, error, unit):
        records = [
            parse(
                {
                    "id": site["site"],
                    "role": "decision",
                    "innovation": "microcredit",
                    "method": "experiment",
                    "design_class": "randomised",
                    "source": {"kind": "published", "citation": "Meager 2019", "address": "https://example.org"},
                    "plan": "exploratory",
                    "outcome": {"name": "profit", "unit": unit.format(site["site"]), "better": "higher"},
                    "headline": {"estimate": float(site[estimate]), "std_error": float(site[error])},
                    "sample": {},
                    "checks": [],
                    "provenance": {"public": True},
                }
            )
            for _, site in sites.iterrows()
        ]
        return entries(records, {each.id: 4 for each in records})[0]

    with pytest.raises(DataError, match="E-EVI-051"):
        pool(findings("itt_local_currency", "se_naive_local", "currency of {}"), rules)
    found = pool(findings("itt_control_sd", "se_naive_sd", "control-group SD"), rules)
    assert (len(found.ids), round(found.by_method["DL"].estimate, 4)) == (7, 0.0287)
    y, v = np.array(found.values), np.square(found.errors)
    row = study_table(fit_studies(y, v, method="DL"), kind="known").iloc[0]
    assert round(row["std_error"], 4) == 0.0241
