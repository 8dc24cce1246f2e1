"""Pages: what would overturn a finding, for experts; the stamp of blinded evaluations, for everybody."""

from dataclasses import replace

from site_simulated import site_inputs
from typer.testing import CliRunner

from evaluation import cli
from evaluation.report import inputs as room
from evaluation.report import pages

ROW = {
    "measure": "lost_people", "scale": "standard deviations of the outcome", "overturns": "reach_zero", "value": 1.1,
    "unbounded": False, "already": False, "benchmark": None, "benchmark_name": "", "judged": False, "reason": "",
    "source": "house",
}  # fmt: skip


def test_experts_read_what_would_overturn_a_finding() -> None:
    inputs = site_inputs()
    with_rows = {name: {**record, "sensitivity": [ROW]} for name, record in inputs.records.items()}
    site = pages.render(replace(inputs, records=with_rows))
    without = pages.render(inputs, ["fr"])
    for page in ("innovations/garage.html", "preuves.html"):
        text = site[f"fr/{page}"]
        assert text.count("Ce qu’il faudrait pour renverser ce résultat") >= 1, page
        assert "s’écartent des autres de 1,1 fois l’écart-type du résultat" in text
        assert "pour renverser ce résultat" not in without[f"fr/{page}"]
        assert "AVEUGLE" not in without[f"fr/{page}"]
    assert "differ from the others by 1.1 standard deviations" in site["en/innovations/garage.html"]


def test_every_page_says_that_an_evaluation_is_blinded() -> None:
    site = pages.render(replace(site_inputs(), blinded=("a-trial",)))
    made = {name: text for name, text in site.items() if name.endswith("index.html") or "innovations/" in name}
    made |= {name: site[name] for name in ("fr/preuves.html", "en/proofs.html")}
    assert len(made) >= 6
    unstamped = [name for name, text in made.items() if "AVEUGLE / BLINDED" not in text or "a-trial" not in text]
    assert unstamped == []


def test_blinded_evaluations_are_read_from_params_and_said_by_check(project, repository) -> None:
    text = (repository / "params.yaml").read_text(encoding="utf-8")
    project(text.replace("    treatment: intensive\n", "    treatment: intensive\n    blinded: true\n"))
    from evaluation.settings.params import read_params

    blinded = [name for name, design in read_params().evaluations.items() if design.blinded]
    assert blinded == ["crop-insurance-sessions"]
    ended = CliRunner().invoke(cli.app, ["check"])
    assert ended.exception is None
    said = ended.stdout
    assert "AVEUGLE / BLINDED" in said
    assert "crop-insurance-sessions" in said
    assert room.Inputs.__dataclass_fields__["blinded"].default == ()
