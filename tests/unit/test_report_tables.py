"""Tables for people and for their spreadsheets: structure, escaping, formula injection."""

import csv
import io

import pandas as pd
import pytest
from markupsafe import Markup

from evaluation.report import tables

PAYLOAD = "<script>alert(1)</script>"


def test_a_table_has_a_caption_and_scoped_headers() -> None:
    html = tables.html(tables.frame([{"Lieu": "Creil", "Part": 0.5}]), caption="Parts", lang="fr")
    assert "<caption>Parts</caption>" in html
    assert '<th scope="col">Lieu</th><th scope="col">Part</th>' in html
    assert '<th scope="row" data-label="Lieu">Creil</th><td data-label="Part" class="num">0,5</td>' in html
    # Scrolls inside its own box, which the keyboard can reach and a screen reader can name.
    assert '<div class="box" role="region" tabindex="0" aria-label="Parts">' in html


def test_everything_that_is_not_markup_is_escaped() -> None:
    frame = tables.frame([{PAYLOAD: PAYLOAD, "b": Markup("<b>ours</b>"), '"x': PAYLOAD}])
    html = tables.html(frame, caption=f'"{PAYLOAD}', lang="fr")
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 6  # caption and its label, header and its label, two cells
    assert "<b>ours</b>" in html
    assert 'data-label="&#34;x"' in html


@pytest.mark.parametrize("value", [None, float("nan"), pd.NA, ""])
def test_what_is_missing_is_a_dash(value: object) -> None:
    assert '<td data-label="b">–</td>' in tables.html(tables.frame([{"a": 1, "b": value}]), caption="c", lang="fr")


def test_a_frame_of_text_columns_does_not_lose_its_markup() -> None:
    # pandas turns a column of strings into its own string type, and Markup into text, unless told not to.
    frame = tables.frame([{"a": "x", "b": Markup("<b>y</b>")}])
    assert isinstance(frame.loc[0, "b"], Markup)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_that_looks_like_a_formula_is_disarmed(start: str) -> None:
    formula = f'{start}HYPERLINK("http://evil")'
    text = tables.csv(tables.frame([{f"{start}name": formula, "n": -1.5}]))
    shown = start.replace("\r", " ").replace("\n", " ")  # a line break would end the row
    (header, row) = csv.reader(io.StringIO(text, newline=""))
    assert header == [f"'{shown}name", "n"]
    assert row == [f'\'{shown}HYPERLINK("http://evil")', "-1.5"]  # a negative number stays a number


def test_a_formula_behind_spaces_is_disarmed_too() -> None:
    assert tables.csv(tables.frame([{"a": "  =1+1"}])) == "a\n'  =1+1\n"


def test_numbers_keep_their_precision_and_missing_stays_empty() -> None:
    text = tables.csv(
        tables.frame([{"a": 1 / 3, "b": None, "c": float("nan"), "d": Markup("<b>x</b> y"), "e": "é, ü"}])
    )
    assert text == 'a,b,c,d,e\n0.333333333333,,,x y,"é, ü"\n'
