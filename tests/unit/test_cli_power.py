"""`evaluation power`: a sentence that stands alone, in French or English, and numbers for other programs."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from evaluation import cli
from evaluation.errors import ProblemsError
from evaluation.report import figures

PLAN = """
design: cluster
outcome: {share: 0.30}
names: {units: jeunes, clusters: communes}
clusters: 40
cluster_size: 25
icc: 0.05
"""


def plain(text):
    """No-break spaces as spaces, the apostrophe as typed."""
    return re.sub("[\u00a0\u202f]", " ", text).replace("’", "'")


@pytest.fixture
def power(tmp_path):
    def run(text, *options):
        file = tmp_path / "plan.yaml"
        file.write_text(text, encoding="utf-8")
        return CliRunner().invoke(cli.app, ["power", str(file), *options])

    return run


def test_the_answer_is_a_sentence_in_french(power):
    # SE at the effect: see test_impact_power; here only that the sentence says the number of the table
    ended = power(PLAN)
    assert ended.exit_code == 0, ended.output
    first = plain(ended.stdout.splitlines()[0])
    found = re.fullmatch(
        r"Avec 40 communes de 25 jeunes, l'effet le plus petit que l'on détecte 8 fois sur 10 est de (\d+,?\d*) "
        r"points\.",
        first,
    )
    told = json.loads(power(PLAN, "--json").stdout)
    assert float(found[1].replace(",", ".")) == pytest.approx(100 * told["planned"]["mde"], abs=0.05)


def test_the_answer_is_a_sentence_in_english(power):
    first = plain(power(PLAN.replace("names: {units: jeunes, clusters: communes}\n", ""), "--lang", "en").stdout)
    assert first.startswith("With 40 groups of 25 people, the smallest effect that is detected 8 times out of 10 is ")
    assert "percentage points." in first


def test_a_size_is_found_for_an_effect_and_its_price_is_said(power):
    text = PLAN.replace("clusters: 40\n", "effect: 0.1\ncost: {cluster: 500, unit: 20}\n")
    said = plain(power(text).stdout)
    assert re.match(r"Pour détecter 8 fois sur 10 un effet de 10 points, il faut \d+ communes de 25 jeunes\.", said)
    assert re.search(r"Une telle étude coûte [\d ]+ €\.", said)
    found = json.loads(power(text, "--json").stdout)
    assert found["planned"]["mde"] <= 0.1
    assert found["planned"]["cost"] == found["planned"]["clusters"] * (500 + 25 * 20)


def test_effect_take_up_and_few_groups_have_their_sentences(power):
    text = PLAN.replace("clusters: 40", "clusters: 10") + "effect: 0.1\ntake_up: {offered: 0.5}\nattrition: 0.1\n"
    said = plain(power(text).stdout)
    assert re.search(r"Un effet de 10 points y est détecté \d+ fois sur 10", said)
    told = json.loads(power(text, "--json").stdout)
    assert told["on_takers"] == pytest.approx(2 * told["planned"]["mde"])
    assert "Sur ceux qu'elle fait participer" in said
    assert "moins de 12 groupes" in said
    assert "perdus de vue : 0,1" in said


def test_options_replace_what_the_file_says(power):
    told = json.loads(power(PLAN, "--clusters", "80", "--cluster-size", "10", "--json").stdout)
    assert (told["planned"]["clusters"], told["planned"]["n"]) == (80, 800)


def test_a_simulation_is_told_with_its_error(power):
    text = "design: individual\noutcome: {sd: 1, unit: points}\nunits: 60\neffect: 2\n"
    said = plain(power(text, "--simulate", "10").stdout)
    assert "dans 10 études tirées au sort" in said
    assert "est détecté dans 100 % des cas (à 0 point près)" in said


def test_the_curve_is_drawn(power, tmp_path):
    target = tmp_path / "curve.svg"
    assert power(PLAN, "--figure", str(target)).exit_code == 0
    drawn = target.read_text(encoding="utf-8")
    assert drawn.startswith("<svg role=")
    assert "pour 40" in plain(drawn)


def test_a_study_like_an_evaluation_is_planned(project):
    project()
    ended = CliRunner().invoke(cli.app, ["power", "work-experience-trial", "--units", "900", "--lang", "en", "--json"])
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert (told["planned"]["design"], told["planned"]["n"]) == ("individual", 900)
    # twice the 445 units of the trial: the detectable effect falls by √(445/900)
    smaller = json.loads(CliRunner().invoke(cli.app, ["power", "work-experience-trial", "--json"]).stdout)
    assert told["planned"]["mde"] == pytest.approx(smaller["planned"]["mde"] * np.sqrt(445 / 900), rel=2e-3)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["no/such.yaml"], "E-CLI-010"),
        (["PLAN", "--lang", "de"], "E-CLI-011"),
        (["PLAN", "--figure", "curve.png"], "E-CLI-012"),
    ],
)
def test_what_the_command_cannot_do(tmp_path, arguments, code):
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    named = [str(tmp_path / "plan.yaml") if word == "PLAN" else word for word in arguments]
    assert CliRunner().invoke(cli.app, ["power", *named]).exception.code == code


def test_an_option_that_contradicts_the_plan_is_refused(power):
    ended = power(PLAN, "--units", "900")
    assert isinstance(ended.exception, ProblemsError)
    assert [problem.code for problem in ended.exception.problems] == ["E-SET-164"]
    assert "the command line" in str(ended.exception)


# figures -------------------------------------------------------------------------------------------------------------


def test_the_flow_says_who_came_how_far():
    flow = pd.DataFrame(
        {
            "step": ["assigned", "assigned", "endline", "endline"],
            "arm": ["treated", "comparison"] * 2,
            "units": [120, 118, 110, 90],
            "share": [1, 1, 110 / 120, 90 / 118],
            "clusters": [12, 12, 12, 11],
        }
    )
    figure = figures.attrition_flow(flow, "fr")
    said = plain(figures.alt(figure))
    assert "avec : 120 tirés au sort, 110 résultat connu" in said
    assert "comparaison : 118 tirés au sort, 90 résultat connu" in said
    drawn = plain(figures.svg(figure))
    assert "76,3 %" in drawn  # 90 of 118
    assert "−28" in drawn
    assert "11 groupes" in drawn
    assert figures.svg(figures.attrition_flow(flow, "fr")) == figures.svg(figure)


def test_the_curve_marks_the_study():
    curve = pd.DataFrame({"units": [50, 100, 200], "mde": [0.8, 0.57, 0.4]})
    said = plain(figures.alt(figures.power_curve(curve, 100, "points", "en", power=0.9, effect=0.5)))
    assert said.startswith("Smallest effect found with power 90%, by size: 0.8 at 50, 0.4 at 200;")
    assert said.endswith("the planned study: 0.57 at 100.")
