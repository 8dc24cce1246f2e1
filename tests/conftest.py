"""Fixtures for all tests."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

Project = Callable[..., Path]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this repository, to read only."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Reference data that lie beside the repository; tests that need them skip where they are absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared reference data are not beside this repository")
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Make a small project and let EVALUATION_ROOT point to it.

    `project(text)` takes the content of params.yaml, `project()` that of this repository; dvc.yaml is a stub and
    data/portfolio a copy. The folder is returned.
    """

    def make(params: str | None = None) -> Path:
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        text = (REPOSITORY / "params.yaml").read_text(encoding="utf-8") if params is None else params
        (root / "params.yaml").write_text(text, encoding="utf-8")
        (root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
        portfolio = REPOSITORY / "data" / "portfolio"
        if portfolio.is_dir():
            shutil.copytree(portfolio, root / "data" / "portfolio", dirs_exist_ok=True)
        monkeypatch.setenv("EVALUATION_ROOT", str(root))
        return root

    return make


@pytest.fixture(scope="session")
def arms() -> Callable[..., tuple[Any, Any]]:
    """Build a small sample of two arms with its design, for methods that read one row a unit."""
    return _sample_of_arms


def _sample_of_arms(
    method: str, outcome: Any, treated: Any, covariates: dict[str, Any] | None = None, **options: Any
) -> tuple[Any, Any]:
    """A sample and a design.

    Args:
        method: experiment, matching or weighting.
        outcome: (n,) values of the outcome `y`.
        treated: (n,) arm.
        covariates: name -> (n,) values.
        options: more fields of the design, and the columns unit, weight, cluster, stratum, territory, exact, secondary
            and baseline_outcome; `more` holds others by their canonical name, which the fields of the design name.
    """
    from evaluation.sample import FlowStep, Sample
    from evaluation.settings.designs import DESIGNS

    covariates, more = covariates or {}, options.pop("more", {})
    columns = {name: options.pop(name, None) for name in ("unit", "weight", "cluster", "stratum", "territory", "exact")}
    secondary, baseline = options.pop("secondary", {}), options.pop("baseline_outcome", None)
    n = len(outcome)
    frame = pd.DataFrame(
        {
            "unit": np.arange(n) if columns["unit"] is None else columns["unit"],
            "treated": np.asarray(treated, dtype=bool),
            "outcome_1": np.asarray(outcome, dtype=float),
            **{f"outcome_{k}": np.asarray(v, dtype=float) for k, v in enumerate(secondary.values(), start=2)},
            **{f"covariate_{k}": v for k, v in enumerate(covariates.values(), start=1)},
            "weight": np.ones(n) if columns["weight"] is None else np.asarray(columns["weight"], dtype=float),
        }
    )
    names = {f"covariate_{k}": name for k, name in enumerate(covariates, start=1)} | {"outcome_1": "y"}
    for canonical, option in {"cluster_1": "cluster", "stratum": "stratum", "territory": "territory"}.items():
        if columns[option] is not None:
            frame[canonical], names[canonical] = columns[option], option
    if columns["exact"] is not None:
        frame["exact_1"] = pd.Categorical(columns["exact"])
    if baseline is not None:
        frame["baseline_outcome"] = baseline
    for canonical, values in more.items():
        frame[canonical] = values
    frame = frame.sort_values("unit", ignore_index=True)
    outcomes = [{"column": "y", "role": "primary", "unit": "points", "better": "higher", "source": "self-report"}]
    outcomes += [{"column": name, "role": "secondary", "unit": "points", "better": "higher"} for name in secondary]
    design = DESIGNS[method](
        id="small",
        method=method,
        treatment="d",
        outcomes=outcomes,
        covariates=list(covariates),
        cluster=["cluster"] if columns["cluster"] is not None else [],
        weight="weight" if columns["weight"] is not None else None,
        territory="territory" if columns["territory"] is not None else None,
        **({"strata": "stratum"} if columns["stratum"] is not None else {}),
        **({"exact": ["stratum"]} if columns["exact"] is not None else {}),
        **({"baseline_outcome": "y0"} if baseline is not None else {}),
        **options,
    )
    sample = Sample(
        id="small",
        frame=frame,
        names=names,
        flow=(FlowStep(step="read", dropped=0, left=n, reason="rows of the test"),),
        codebook=pd.DataFrame(),
        data_sha256="0" * 64,
        data_source="test",
        rows_read=n,
    )
    return sample, design


@pytest.fixture(scope="session")
def panel() -> Callable[..., tuple[Any, Any]]:
    """Build a sample of units by period with its design, for difference-in-differences."""
    return _sample_of_panel


def _sample_of_panel(
    table: pd.DataFrame,
    *,
    names: tuple[str, str, str, str] = ("unit", "period", "cohort", "y"),
    covariates: tuple[str, ...] = (),
    weight: str | None = None,
    cluster: tuple[str, ...] = (),
    **options: Any,
) -> tuple[Any, Any]:
    """A sample and a design.

    Args:
        table: a row for each unit and period; a cohort of 0 or missing means never treated.
        names: columns of unit, period, cohort and outcome.
        covariates, weight, cluster: columns.
        options: more fields of the design; the columns that eligible, territory, subgroups and placebo_outcomes name
            become canonical ones.
    """
    from evaluation.sample import FlowStep, Sample
    from evaluation.settings.designs import DESIGNS

    unit, period, cohort, outcome = names
    canonical = dict(zip(("unit", "period", "cohort", "outcome_1"), names, strict=True))
    canonical |= {f"covariate_{k}": name for k, name in enumerate(covariates, start=1)}
    canonical |= {f"cluster_{k}": name for k, name in enumerate(cluster, start=1)}
    canonical |= {f"subgroup_{k}": name for k, name in enumerate(options.get("subgroups", ()), start=1)}
    canonical |= {f"placebo_{k}": name for k, name in enumerate(options.get("placebo_outcomes", ()), start=1)}
    canonical |= {key: options[key] for key in ("eligible", "territory") if key in options}
    start = table[cohort].where(table[cohort] > 0)
    frame = pd.DataFrame({key: table[name] for key, name in canonical.items()}).assign(
        period=table[period].astype("int64"),
        cohort=start.astype("Int64"),
        treated=start.notna(),
        weight=1.0 if weight is None else table[weight].astype(float),
    )
    if "eligible" in frame:
        frame["eligible"] = frame["eligible"].astype(bool)
    sample = Sample(
        id="small",
        frame=frame.sort_values(["unit", "period"], ignore_index=True),
        names=canonical | ({} if weight is None else {"weight": weight}),
        flow=(FlowStep(step="read", dropped=0, left=len(table), reason="rows of the test"),),
        codebook=pd.DataFrame(),
        data_sha256="0" * 64,
        data_source="test",
        rows_read=len(table),
    )
    design = DESIGNS["did"](
        id="small",
        method="did",
        outcomes=[{"column": outcome, "role": "primary", "unit": "points", "better": "higher"}],
        unit=unit,
        time=period,
        cohort={"column": cohort, "never": [0]},
        covariates=list(covariates),
        weight=weight,
        cluster=list(cluster),
        **options,
    )
    return sample, design
