"""The files of the tutorial: a twin with a planted effect and the design of its study."""

import json
from dataclasses import dataclass
from pathlib import Path

from evaluation import store
from evaluation.pipeline.scaffold import texts, twin
from evaluation.pipeline.scaffold.request import from_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where they are, and what is planted.

    Attributes:
        data: the twin, a CSV.
        design: the design of its study.
        truth: the planted effect, in the unit of the outcome.
    """

    data: Path
    design: Path
    truth: float


def files(method: str = "experiment") -> Files:
    """Write them in tmp/tutorial, which nobody keeps; the same bytes every time.

    Args:
        method: experiment, did, matching or weighting.
    """
    request = from_words("tutorial", difficulty="mobility", method=method)
    said = texts.design(request)
    alone = {key: value for key, value in said.items() if key not in ("role", "innovation")}
    alone["data"] = {"public": True, "simulated": True}
    data, design = (store.path("tmp", "tutorial", name) for name in ("twin.csv", "design.yaml"))
    store.write_csv(data, twin.made(request))
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in alone.items()]
    store.write_text(design, "# DONNÉES SIMULÉES / SIMULATED DATA\n" + "\n".join(lines) + "\n")
    return Files(data=data, design=design, truth=twin.truth(request))
