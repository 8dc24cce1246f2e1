"""Proposals: what was received, which are eligible, and which are the most worth learning about.

Nothing is known of a new idea but what it resembles. Its effect is believed to be

    mean = mu + rho (m - mu),    sd^2 = rho^2 s^2 + tau^2 (1 - rho^2)

where N(mu, tau^2) is the prior of all programmes, N(m, s^2) what is believed of the known programme it resembles, and
rho the resemblance (params.yaml, house); with rho = 0, or with nothing known, it is the prior. Triage is by the
expected value of learning (agenda.py), not by the size of a promise: no answer of the form raises the belief in an
effect.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evaluation import store
from evaluation.errors import ParametersError
from evaluation.selection.agenda import Stake, Worth, ranks, worth
from evaluation.selection.intake_fields import FIELDS, NONE, OTHER, Options
from evaluation.selection.intake_reading import BECAME, Proposal, read
from evaluation.settings.fact_tables import FOLDER
from evaluation.settings.policy import Selection
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.synthesis import Synthesis

KEPT = f"{FOLDER}/intake"

Reason = Literal["", "other_difficulty", "known_already", "sent_twice"]
Beliefs = Mapping[str, tuple[float, float]]
"""Innovation -> mean and standard deviation of its effect, in standard deviations of the outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Triaged:
    """One proposal after triage.

    Attributes:
        eligible: goes on; reason: why not, "" if it does.
        missing: answers that were left out and will be looked for together.
        learning: what there is to learn; rank: its place among eligible ones, None where no study alone is worth it.
    """

    proposal: Proposal
    eligible: bool
    reason: Reason
    missing: tuple[str, ...]
    learning: Worth
    rank: int | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "file": self.proposal.source,
            "answers": dict(self.proposal.answers),
            "innovation": self.proposal.innovation,
            "eligible": self.eligible,
            "reason": self.reason,
            "missing": self.missing,
            "rank": self.rank,
            "learning": asdict(self.learning),
        }


def triage(
    proposals: Sequence[Proposal], portfolio: Portfolio, beliefs: Beliefs, policy: Selection, synthesis: Synthesis
) -> tuple[Triaged, ...]:
    """Every proposal, in the order in which they came.

    Args:
        proposals: read and valid.
        portfolio: what is known already.
        beliefs: about known programmes.
        policy: the study that could be made, the resemblance.
        synthesis: the prior.
    """
    reasons = _reasons(proposals, portfolio)
    learned = [worth(_stake(each, beliefs, policy, synthesis), policy.learning) for each in proposals]
    order = ranks(
        (str(place), found) for place, (found, reason) in enumerate(zip(learned, reasons, strict=True)) if not reason
    )
    return tuple(
        Triaged(
            proposal=each,
            eligible=not reason,
            reason=reason,
            missing=tuple(field.key for field in FIELDS if each[field.key] is None and field.key != "group"),
            learning=found,
            rank=order.get(str(place)),
        )
        for place, (each, reason, found) in enumerate(zip(proposals, reasons, learned, strict=True))
    )


def beliefs_of(synthesis: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """From data/evidence/synthesis.json: of each innovation the outcome about which most is known."""
    found: dict[str, tuple[float, float]] = {}
    for row in synthesis.get("effects", ()):
        posterior = row["posterior"]
        if posterior["basis"] != "records" or posterior["standardised_sd"] is None:
            continue
        name, pair = row["innovation"], (posterior["standardised_mean"], posterior["standardised_sd"])
        if name not in found or pair[1] < found[name][1]:
            found[name] = pair
    return found


def kept(choices: Options) -> tuple[Proposal, ...]:
    """Proposals that were received and kept, by name of file; none before the first one came."""
    folder = store.path(*KEPT.split("/"))
    return tuple(read(file, choices) for file in sorted(folder.glob("*.yaml"))) if folder.is_dir() else ()


def keep(proposal: Proposal) -> Path:
    """Keep a proposal in data/portfolio/intake as YAML.

    Raises:
        ParametersError: one of this title is kept already.
    """
    target = store.path(*KEPT.split("/"), f"{slug(proposal['title'])}.yaml")
    if target.exists():
        raise ParametersError(
            code="E-CLI-043",
            what="Une proposition de ce titre est déjà gardée. / A proposal of this title is kept already.",
            where=str(target.name),
            found=repr(proposal["title"]),
            expected="a new title",
            fix="Changez le titre, ou gardez celle qui est là. / Change the title, or keep the one that is there.",
        )
    store.write_text(target, as_yaml(proposal))
    return target


def as_yaml(proposal: Proposal) -> str:
    """The proposal in the form that `read` reads."""
    import json

    answers = [(field.key, proposal[field.key]) for field in FIELDS]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in answers if value is not None]
    lines += [f"{BECAME}: {proposal.innovation}"] if proposal.innovation else []
    return "\n".join(lines) + "\n"


def slug(title: str) -> str:
    """The name of a file from a title: a-z, 0-9 and hyphens; `proposal` where nothing is left."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:60].strip("-") or "proposal"
    return name if store.is_slug(name) else f"proposal-{name}"[:60].strip("-")


def _reasons(proposals: Sequence[Proposal], portfolio: Portfolio) -> list[Reason]:
    known = {slug(label) for row in portfolio.decision_innovations for label in (row.label_fr, row.label_en)}
    seen: set[str] = set()
    found: list[Reason] = []
    for each in proposals:
        title = slug(each["title"])
        found.append(_reason(each, title, known, seen))
        seen.add(title)
    return found


def _reason(each: Proposal, title: str, known: set[str], seen: set[str]) -> Reason:
    if title in seen:
        return "sent_twice"
    if each.innovation is not None:
        return ""
    if title in known:
        return "known_already"
    return "other_difficulty" if each["difficulty"] == OTHER else ""


def _stake(each: Proposal, beliefs: Beliefs, policy: Selection, synthesis: Synthesis) -> Stake:
    prior, rho = synthesis.prior, policy.intake.resemblance
    known = beliefs.get(each["resembles"]) if each["resembles"] != NONE else None
    mean, sd = prior.mean, prior.sd
    if known is not None:
        mean = prior.mean + rho * (known[0] - prior.mean)
        sd = float(np.sqrt(rho**2 * known[1] ** 2 + prior.sd**2 * (1 - rho**2)))
    years = policy.learning.months / 12
    return Stake(
        mean=mean,
        sd=sd,
        smallest=synthesis.smallest_effect_sd,
        basis="prior" if known is None else "records",
        grade=0,
        people=2 * each["reach"] * years,  # as many again for comparison
        served=each["reach"] * policy.learning.horizon_years,
    )
