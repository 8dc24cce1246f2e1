"""Laws of samples: order means nothing, every row is accounted for, notation does not change a number."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.sample import Sample, prepare
from evaluation.settings.designs import DESIGNS

SOME = settings(max_examples=30, deadline=None)


def panel_sample(frame: pd.DataFrame, **options: Any) -> Sample:
    with tempfile.TemporaryDirectory() as folder:
        frame.to_csv(Path(folder) / "data.csv", index=False)
        design = DESIGNS["did"](
            id="panel",
            data={"file": "data.csv"},
            outcomes={"column": "y", "unit": "points", "better": "higher"},
            unit="id",
            time="year",
            cohort={"column": "start", "never": 0},
            covariates=["x", "kind"],
            cluster="town",
            panel="unbalanced",
            **options,
        )
        return prepare(design, root=Path(folder))


@st.composite
def panels(draw: st.DrawFn) -> pd.DataFrame:
    """A panel of 4 to 8 units and 4 years, some outcomes missing; units 0 and 1 always make a contrast."""
    units, years = draw(st.integers(4, 8)), [2001, 2002, 2003, 2004]
    starts = [2003, 0, *draw(st.lists(st.sampled_from([0, 2002, 2003, 9999]), min_size=units - 2, max_size=units - 2))]
    frame = pd.DataFrame(
        [(f"u{i}", year, starts[i]) for i in range(units) for year in years], columns=["id", "year", "start"]
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frame["y"] = rng.normal(size=len(frame)).round(6)
    frame["x"], frame["kind"] = rng.normal(size=len(frame)).round(3), rng.choice(["a", "b", "c"], len(frame))
    frame.loc[[0, 4], "kind"] = ["a", "b"]
    frame["town"] = frame["id"].map(lambda name: f"t{int(name[1:]) // 2}")
    frame.loc[(rng.random(len(frame)) < 0.2) & (frame.index >= 8), "y"] = np.nan
    return frame


@given(data=panels(), seed=st.integers(0, 2**32 - 1))
@SOME
def test_the_order_of_rows_and_columns_changes_nothing(data: pd.DataFrame, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shuffled = data.iloc[rng.permutation(len(data)), rng.permutation(data.shape[1])]
    one, other = panel_sample(data), panel_sample(shuffled)
    pd.testing.assert_frame_equal(one.frame, other.frame)
    pd.testing.assert_frame_equal(one.codebook, other.codebook)
    assert one.flow == other.flow


@given(data=panels())
@SOME
def test_every_row_is_used_or_dropped_for_a_reason(data: pd.DataFrame) -> None:
    sample = panel_sample(data)
    assert sample.rows_used == sample.rows_read - sum(step.dropped for step in sample.flow)
    assert [step.left for step in sample.flow[1:]] == [
        before.left - step.dropped for before, step in zip(sample.flow, sample.flow[1:], strict=False)
    ]
    outcome = next(step for step in sample.flow if step.step == "missing_outcome")
    assert outcome.dropped == outcome.dropped_treated + outcome.dropped_comparison == data["y"].isna().sum()


@given(
    values=st.lists(st.floats(-1e9, 1e9), min_size=4, max_size=8, unique=True),
    decimal=st.sampled_from([".", ","]),
    thousands=st.sampled_from([None, " ", "'", "."]),
)
@SOME
def test_the_notation_of_numbers_changes_no_digit(values: list[float], decimal: str, thousands: str | None) -> None:
    if thousands == decimal:
        thousands = None
    mark = "\u202f" if thousands == " " else thousands or ""
    written = [f"{value:,.6f}".replace(",", "\0").replace(".", decimal).replace("\0", mark) for value in values]
    text = "arm;score\n" + "".join(f"{i % 2};{cell}\n" for i, cell in enumerate(written))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data.csv").write_text(text, encoding="utf-8")
        design = DESIGNS["experiment"](
            id="trial",
            data={"file": "data.csv", "separator": ";", "decimal": decimal, "thousands": thousands},
            outcomes={"column": "score", "unit": "points", "better": "higher"},
            treatment="arm",
        )
        sample = prepare(design, root=Path(folder))
    assert sample.frame["outcome_1"].tolist() == [float(f"{value:.6f}") for value in values]
