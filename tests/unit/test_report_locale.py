"""Numbers, amounts and dates as French and English readers write them."""

import math

import pytest

from evaluation.report import locale

NBSP, NARROW, MINUS = "\u00a0", "\u202f", "\u2212"


@pytest.mark.parametrize(
    ("value", "french", "english"),
    [
        (0.0, "0", "0"),
        (0.05, "0,05", "0.05"),
        (-0.02134, f"{MINUS}0,0213", f"{MINUS}0.0213"),
        (1.005, "1", "1"),
        (35.16, "35,2", "35.2"),
        (1794.34, f"1{NARROW}794", "1,794"),
        (-1234567.0, f"{MINUS}1{NARROW}234{NARROW}567", f"{MINUS}1,234,567"),
        (0.9999, "1", "1"),
    ],
)
def test_numbers_keep_three_significant_digits(value: float, french: str, english: str) -> None:
    assert locale.number(value, "fr") == french
    assert locale.number(value, "en") == english


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert locale.number(-0.0004, "fr", digits=2) == "0"
    assert locale.signed(-0.0004, "fr", digits=2) == "0"
    assert locale.signed(0.5, "fr") == "+0,5"
    assert locale.signed(-0.5, "fr") == f"{MINUS}0,5"


@pytest.mark.parametrize(
    ("share", "french", "english"), [(0.125, f"12,5{NBSP}%", "12.5%"), (0.0016, f"0,16{NBSP}%", "0.16%")]
)
def test_a_percentage_has_a_no_break_space_in_french_only(share: float, french: str, english: str) -> None:
    assert locale.percent(share, "fr") == french
    assert locale.percent(share, "en") == english


@pytest.mark.parametrize(
    ("difference", "french", "english"),
    [
        (0.12, f"12{NBSP}points", f"12{NBSP}percentage points"),
        (0.01, f"1{NBSP}point", f"1{NBSP}percentage point"),
        (0.015, f"1,5{NBSP}point", f"1.5{NBSP}percentage points"),  # French counts one up to 1,9
    ],
)
def test_a_difference_of_shares_is_in_points(difference: float, french: str, english: str) -> None:
    assert locale.points(difference, "fr") == french
    assert locale.points(difference, "en") == english


def test_money_names_its_currency() -> None:
    assert locale.money(1000, "EUR", "fr") == f"1{NARROW}000{NBSP}€"
    assert locale.money(1000, "EUR", "en") == "€1,000"
    assert locale.money(7011.4, "USD", "fr") == f"7{NARROW}011{NBSP}$US"
    assert locale.money(14000, "CAD", "en") == "CA$14,000"
    assert locale.money(0.75, "EUR", "fr", digits=2) == f"0,75{NBSP}€"


@pytest.mark.parametrize(
    ("value", "unit", "french", "english"),
    [
        (15e6, "adultes", f"15{NBSP}millions{NBSP}d’adultes", f"15{NBSP}million{NBSP}adultes"),
        (4.1e6, "personnes", f"4,1{NBSP}millions{NBSP}de personnes", f"4.1{NBSP}million{NBSP}personnes"),
        (1e6, "habitants", f"1{NBSP}million{NBSP}d’habitants", f"1{NBSP}million{NBSP}habitants"),
        (130_000, "élèves", f"130{NARROW}000{NBSP}élèves", f"130,000{NBSP}élèves"),
        (71, "% des ménages", f"71{NBSP}% des ménages", "71% des ménages"),
        (10.8, "%", f"10,8{NBSP}%", "10.8%"),
        (885_026, "", f"885{NARROW}026", "885,026"),
    ],
)
def test_counts_of_people_are_in_millions_from_one_million(value: float, unit: str, french: str, english: str) -> None:
    assert locale.people(value, "fr", unit) == french
    assert locale.people(value, "en", unit) == english


def test_intervals_and_p_values_are_in_words() -> None:
    assert locale.interval(-0.02, 1.5, "fr") == f"de{NBSP}{MINUS}0,02 à{NBSP}1,5"
    assert locale.interval(-0.02, 1.5, "en") == f"from {MINUS}0.02 to 1.5"
    assert locale.p_value(0.0314, "fr") == f"p{NBSP}={NBSP}0,031"
    assert locale.p_value(1e-9, "fr") == f"p{NBSP}<{NBSP}0,001"


def test_the_first_of_a_month_is_premier_in_french() -> None:
    assert locale.date("2026-01-01", "fr") == f"1er{NBSP}janvier{NBSP}2026"
    assert locale.date("2026-11-21", "fr") == f"21{NBSP}novembre{NBSP}2026"
    assert locale.date("2026-11-21", "en") == "21 November 2026"


def test_french_text_gets_its_spaces_and_apostrophes_once() -> None:
    once = locale.typography("« L'effet » : 12 % ; vrai ?", "fr")
    assert once == f"«{NBSP}L’effet{NBSP}»{NBSP}: 12{NBSP}%{NARROW}; vrai{NARROW}?"
    assert locale.typography(once, "fr") == once
    assert locale.typography("it's 12 %; true?", "en") == "it's 12 %; true?"


def test_every_number_is_written_without_an_ordinary_space() -> None:
    # A line never breaks inside a number.
    assert all(" " not in locale.number(math.pi * 10**power, "fr") for power in range(-6, 9))
