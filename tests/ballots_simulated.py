"""Simulated ballots: those of data/examples/ballots, which a test makes again, and small ones for tests."""

import io

import numpy as np
import pandas as pd

DIFFICULTIES = (
    "mobility",
    "internship-3e",
    "banking",
    "non-take-up",
    "digital-exclusion",
    "elderly-isolation",
    "food-insecurity",
    "long-term-unemployment",
    "school-dropout",
    "housing",
)
SEED = 20261124
# How serious each difficulty is made to be, in town and in the countryside; invented, and true for nobody.
SEVERITY = {
    "urban": (0.2, 0.1, 0.5, 0.3, -0.4, -0.2, 0.6, 0.4, 0.0, 0.9),
    "rural": (1.1, 0.0, 0.2, 0.3, 0.1, 0.3, 0.2, 0.4, -0.1, 0.2),
}


def example_csv() -> str:
    """The example: 360 ballots, 12 collection points, of which 40 of professionals; blanks and gaps included."""
    rng = np.random.default_rng(SEED)
    rows = [_ballot(number, rng) for number in range(1, 361)]
    out = io.StringIO()
    pd.DataFrame(rows).to_csv(out, index=False, sep=";", lineterminator="\n")
    return out.getvalue()


def _ballot(number: int, rng: np.random.Generator) -> dict[str, object]:
    point = int(rng.integers(1, 13))
    kind = "urban" if point <= 8 else "rural"
    professional = rng.random() < 0.11
    level = np.array(SEVERITY[kind]) + 0.25 * np.sin(point * np.arange(1, 11)) + rng.normal(0, 0.5)
    level += 0.6 * np.array([0, 1, 0, 1, 0, 0, 0, 1, 1, 0]) * professional
    answers = np.digitize(level + rng.normal(0, 1, 10), [-1.0, -0.2, 0.6, 1.5])
    answers = [str(grade) if rng.random() > 0.05 else "" for grade in answers]
    if number % 90 == 0:
        answers = [""] * 10
    return {
        "simulated": "SIMULATED",
        "voter": f"S{number:04d}",
        "collection_point": f"point-{point:02d}",
        "territory": "creil-sud-oise" if kind == "urban" else "thierache-du-centre",
        "role": "professional" if professional else "lives",
        "age": str(rng.choice(["15-29", "30-59", "60+"], p=[0.15, 0.45, 0.40])),
        "sex": str(rng.choice(["F", "M"], p=[0.62, 0.38])),
        **dict(zip(DIFFICULTIES, answers, strict=True)),
    }
