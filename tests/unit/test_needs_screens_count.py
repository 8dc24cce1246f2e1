"""Best-worst screens on the command line: counts by hand, utilities with intervals, the reason where there are none."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from evaluation.cli import app
from evaluation.errors import ParametersError
from evaluation.needs import best_worst, screens_count
from evaluation.settings.portfolio import read_portfolio

HEAD = "voter;shown_1;shown_2;shown_3;shown_4;best;worst\n"


@pytest.fixture
def names(repository: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("EVALUATION_ROOT", str(repository))
    return [row.id for row in read_portfolio().difficulties]


def test_counts_by_hand_where_no_utility_is_bounded(names: list[str], tmp_path: Path) -> None:
    # Shown twice, most serious twice: (2 - 0) / 2 = 1; shown twice, least serious once: (0 - 1) / 2.
    a, b, c, d, e = names[:5]
    file = tmp_path / "screens.csv"
    file.write_text(HEAD + f"1;{a};{b};{c};{d};{a};{b}\n2;{a};{b};{d};{e};{a};{e}\n", encoding="utf-8")
    found = screens_count.told(file)
    rows = {row["difficulty"]: row for row in found["rows"]}
    assert (found["voters"], found["screens"], found["ranked_by"]) == (2, 2, "score")
    assert (rows[a]["score"], rows[b]["score"], rows[names[5]]["score"]) == (1.0, -0.5, None)
    assert found["rows"][0]["difficulty"] == a
    assert "E-NEE-011" in found["reason"]
    assert "no utilities:" in screens_count.in_words(found)


def _drawn(names: list[str], file: Path, voters: int = 150) -> np.ndarray:
    """Choices drawn from the model itself, with utilities that rise along the list."""
    rng = np.random.default_rng(20261201)
    truth = np.linspace(-1, 1, len(names))
    lines = [HEAD]
    for voter, plan in enumerate(best_worst.screens(len(names), 5, voters, rng)):
        for shown in plan:
            best = int((truth[shown] + rng.gumbel(size=4)).argmax())
            against = -truth[shown] + rng.gumbel(size=4)
            against[best] = -np.inf
            words = [names[place] for place in shown]
            lines.append(";".join([str(voter), *words, words[best], words[int(against.argmax())]]) + "\n")
    file.write_text("".join(lines), encoding="utf-8")
    return truth


def test_utilities_rank_and_their_intervals_hold_the_truth(names: list[str], tmp_path: Path) -> None:
    file = tmp_path / "screens.csv"
    truth = dict(zip(names, _drawn(names, file), strict=True))
    found = screens_count.told(file)
    assert (found["ranked_by"], found["reason"]) == ("utility", "")
    assert found["rows"][0]["difficulty"] in names[-3:]
    held = [row["low"] <= truth[row["difficulty"]] <= row["high"] for row in found["rows"]]
    assert sum(held) >= len(names) - 2  # 95 % each, dependent
    assert screens_count.in_words(found).count("\n") == len(names) + 2


def test_the_command_counts_screens_and_keeps_none(names: list[str], tmp_path: Path) -> None:
    file = tmp_path / "screens.csv"
    _drawn(names, file, voters=40)
    result = CliRunner().invoke(app, ["ballots", str(file), "--best-worst", "--json"])
    assert result.exit_code == 0, result.output
    assert '"ranked_by": "utility"' in result.output
    kept = CliRunner().invoke(app, ["ballots", str(file), "--best-worst", "--keep"])
    assert isinstance(kept.exception, ParametersError)
    assert kept.exception.code == "E-CLI-037"
