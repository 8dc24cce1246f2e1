"""The sentences about what would overturn a finding, as a function of its numbers."""

from typing import Any, get_args

import pytest

from evaluation.impact.overturn import Measure, Way, found, frame, missing
from evaluation.report.sensitivity_words import sentence, sentences

LANGUAGES = ("fr", "en")


def _row(measure: str, value: float | None = None, way: str = "reach_zero", **more: Any) -> dict[str, Any]:
    made = missing(measure, "nobody knows", way) if value is None else found(measure, value, way, **more)  # type: ignore[arg-type]
    return frame([made]).iloc[0].to_dict()


def _plain(text: str) -> str:
    """French printing has spaces of its own, which are tested where they are made."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("row", "fr", "en"),
    [
        (
            _row("hidden_factor", 0.8299, benchmark=1.0, benchmark_name="race"),
            (
                "Il faudrait un facteur caché 0,83 fois aussi fort que « race », le plus fort des facteurs observés, "
                "pour que l’effet disparaisse."
            ),
            (
                "It would take a hidden factor 0.83 times as strong as “race”, the strongest one observed, for the "
                "effect to vanish."
            ),
        ),
        (
            _row("hidden_share", 0.13877, "lose_significance", benchmark=0.0334, benchmark_name="female"),
            (
                "Il faudrait un facteur caché qui explique 14 % de ce qui reste inexpliqué, à la fois dans la "
                "participation et dans le résultat, pour que l’effet ne se distingue plus du hasard ; "
                "« female » équivaut à 3,3 %."
            ),
            (
                "It would take a hidden factor that explains 14% of what is left unexplained, in both participation "
                "and outcome, for the effect no longer to be told apart from chance; “female” amounts to 3.3%."
            ),
        ),
        (
            _row("hidden_share", 0.05, "below_smallest_effect"),
            (
                "Il faudrait un facteur caché qui explique 5 % de ce qui reste inexpliqué, à la fois dans la "
                "participation et dans le résultat, pour que l’effet passe sous le plus petit effet qui compte."
            ),
            (
                "It would take a hidden factor that explains 5% of what is left unexplained, in both participation and "
                "outcome, for the effect to fall below the smallest one that matters."
            ),
        ),
        (
            _row("trend_departure", 1.234, "lose_significance", benchmark=1.0),
            (
                "Il faudrait un écart d’évolution 1,2 fois aussi grand que le plus grand observé avant le programme "
                "pour que l’effet ne se distingue plus du hasard."
            ),
            (
                "It would take a difference in trends 1.2 times as large as the largest one seen before the programme "
                "for the effect no longer to be told apart from chance."
            ),
        ),
        (
            _row("direct_effect", 0.51, "lose_significance"),
            (
                "Il faudrait que 51 % de ce que la variable instrumentale change au résultat ne passe pas par le "
                "programme pour que l’effet ne se distingue plus du hasard."
            ),
            (
                "51% of what the instrument does to the outcome would have to bypass the programme for the effect no "
                "longer to be told apart from chance."
            ),
        ),
        (
            _row("hidden_bias", 1.0, "lose_significance"),
            "Facteur caché dans les paires : l’effet ne se distingue déjà pas du hasard.",
            "Hidden factor within pairs: the effect is not told apart from chance to begin with.",
        ),
        (
            _row("single_donor", 5000.0, benchmark=1.0, benchmark_name="Ohio"),
            ("Une unité de comparaison en moins : rien de ce qui a été essayé ne suffit pour que l’effet disparaisse."),
            "One comparison unit less: nothing that was tried is enough for the effect to vanish.",
        ),
        (_row("bandwidth"), "Largeur de la fenêtre : pas de chiffre.", "Width of the window: no number."),
        (
            _row("cannot_be_judged"),
            "Sans groupe de comparaison, rien dans les données ne dit de combien ce résultat pourrait se tromper.",
            "Without a comparison group nothing in the data says how wrong this result could be.",
        ),
    ],
)
def test_sentences(row: dict[str, Any], fr: str, en: str) -> None:
    assert _plain(sentence(row, "fr")) == fr
    assert sentence(row, "en") == en


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("measure", get_args(Measure))
@pytest.mark.parametrize("way", get_args(Way))
def test_every_measure_has_a_sentence_for_all_that_can_be_known_of_it(measure: str, way: str, lang: Any) -> None:
    known = [_row(measure, value, way, benchmark=1.0, benchmark_name="x") for value in (0.0, 2.5, 1e9)]
    said = [sentence(row, lang) for row in [*known, _row(measure, None, way)]]
    assert all(text.endswith(".") and "{" not in text for text in said)
    if measure != "cannot_be_judged":
        assert len(set(said)) == 4


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_record_and_a_table_say_the_same(lang: Any) -> None:
    table = _row("hidden_share", 0.1)
    assert sentence({**table, "benchmark": None}, lang) == sentence(table, lang)


def test_the_judged_measure_comes_first() -> None:
    rows = [_row("risk_ratio", 2.0), _row("hidden_factor", 1.5, benchmark_name="x", judged=True)]
    assert sentences(rows, "en")[0].startswith("It would take a hidden factor 1.5 times")
    assert sentences([], "fr") == []
