"""What to believe about the effect of each innovation on each outcome, from the findings that can be numbers.

`posterior_of(innovation, outcome)` is what selection reads. A posterior names the findings it rests on, those left out
and why, and says on what basis it stands:

* records: findings with the variance of their bias, shrunk toward the prior;
* unshrunk: a finding whose outcome has no known standard deviation or wanted direction, so that neither prior nor bias
  can be expressed in its unit (or only the bias): the estimate as it was read. Too sure by what is missing;
* prior: nothing that was read is a number with an error: the prior alone, in standard deviations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from evaluation import store
from evaluation.errors import DataError
from evaluation.evidence import posterior
from evaluation.evidence.eligibility import Entry, LeftOut, entries
from evaluation.evidence.overlaps import Overlap, find_overlaps, independent
from evaluation.evidence.posterior import Belief
from evaluation.evidence.record import Record
from evaluation.evidence.synthesis import bias_adjusted_fit
from evaluation.settings.problems import nearest
from evaluation.settings.synthesis import Synthesis

Array = np.ndarray
Basis = Literal["records", "unshrunk", "prior"]

SAID: Mapping[str, tuple[str, str]] = {
    "records": (
        "fondé sur {n} résultats, avec le doute que leur niveau de preuve ajoute, et rapproché de l'effet habituel",
        "rests on {n} findings, with the doubt that their grades add, drawn toward what programmes usually achieve",
    ),
    "record": (
        "fondé sur un résultat, avec le doute que son niveau de preuve ajoute, et rapproché de l'effet habituel",
        "rests on one finding, with the doubt that its grade adds, drawn toward what programmes usually achieve",
    ),
    "alone": (
        "fondé sur un seul résultat, qui ne peut pas être regroupé avec d'autres ({id})",
        "rests on a single finding that cannot be put together with others ({id})",
    ),
    "unshrunk": (
        "effet tel qu'il a été lu : sans l'écart-type du résultat ou le sens favorable, la prudence ne s'applique pas",
        "the effect as it was read: without the outcome's spread or the wanted direction, no caution could be applied",
    ),
    "prior": (
        "aucun chiffre lu avec sa marge d'erreur : ce qu'on attend d'un programme dont on ne sait rien",
        "no figure was read with its margin of error: what is expected of a programme about which nothing is known",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What to believe about one effect.

    Attributes:
        innovation, outcome, difficulty, role, better: as in the records.
        unit: of mean and sd: that of the outcome, its sign as measured; SD (favourable above zero) for basis prior and
            where findings have different units.
        mean, sd: normal posterior.
        basis: see the module.
        standardised_mean, standardised_sd: in standard deviations, favourable above zero; None if unshrunk.
        estimate, std_error: pooled, in standard deviations, bias included, before the prior; None if unshrunk or prior.
        spread: standard deviation of the outcome that joins the two scales.
        weight: of the findings against the prior, 0 to 1.
        between_sd: of true effects between places, in standard deviations.
        smallest_effect: worth having, in standard deviations.
        favourable, useful, precise_null, unfavourable, harmful: P(θ > 0), P(θ > smallest), P(|θ| < smallest), P(θ < 0),
            P(θ < −smallest); None if unshrunk.
        fat_tailed: mean, sd and `useful` with a t prior.
        grade: best among the findings used; 0 without any.
        records: ids used.
        left_out: findings about the same outcome that were not, and why.
        reason_fr, reason_en: on what it rests, in words.
    """

    innovation: str
    outcome: str
    difficulty: str
    role: str
    better: str | None
    unit: str
    mean: float
    sd: float
    basis: Basis
    standardised_mean: float | None
    standardised_sd: float | None
    estimate: float | None
    std_error: float | None
    spread: float | None
    weight: float
    between_sd: float
    smallest_effect: float
    favourable: float | None
    useful: float | None
    precise_null: float | None
    unfavourable: float | None
    harmful: float | None
    fat_tailed: Mapping[str, float] | None
    grade: int
    records: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    reason_fr: str
    reason_en: str

    @property
    def reason(self) -> Mapping[str, str]:
        """On what it rests, by language."""
        return {"fr": self.reason_fr, "en": self.reason_en}

    def draws(self, seed: int, n: int) -> Array:
        """(n,) draws in `unit`, the same for the same seed; independent between innovations and outcomes."""
        name = int(store.sha256_bytes(f"{self.innovation}\0{self.outcome}".encode())[:16], 16)
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, name])))
        return np.asarray(self.mean + self.sd * rng.standard_normal(n))

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"left_out": [item.as_dict() for item in self.left_out]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Posterior":
        """The posterior that `as_dict` wrote."""
        left = tuple(LeftOut(id=item["id"], code=item["reason"], other=item["other"]) for item in data["left_out"])
        return cls(**{**data, "left_out": left, "records": tuple(data["records"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Posteriors:
    """All of them, and the prior they share.

    Attributes:
        belief: the prior that was used.
        all: sorted by innovation and outcome.
    """

    belief: Belief
    all: tuple[Posterior, ...]

    def of(self, innovation: str, outcome: str | None = None) -> Posterior:
        """The posterior of an effect; without an outcome the one the innovation is best known by.

        Raises:
            DataError: no finding speaks of it.
        """
        mine = [each for each in self.all if each.innovation == innovation]
        found = [each for each in mine if outcome is None or each.outcome == outcome]
        if not found:
            options = [each.outcome for each in mine] or sorted({each.innovation for each in self.all})
            near = nearest(outcome if mine else innovation, options)
            raise DataError(
                code="E-EVI-053",
                what="no finding speaks of this innovation and outcome",
                found=f"{innovation}, {outcome or 'any outcome'}",
                expected=f"one of {', '.join(options)}" if options else "a finding",
                fix=f"did you mean {near!r}?" if near else "add the finding to data/portfolio/findings.csv",
            )
        return min(found, key=_best_known)

    def headlines(self, role: str = "decision") -> tuple[Posterior, ...]:
        """The posterior each innovation is best known by, where findings carry it."""
        names = sorted({each.innovation for each in self.all if each.role == role})
        best = [self.of(name) for name in names]
        return tuple(each for each in best if each.basis == "records")


def posteriors(records: Sequence[Record], grades: Mapping[str, int], settings: Synthesis) -> Posteriors:
    """Posteriors of all effects that the records speak of.

    Args:
        records: findings.
        grades: record id -> grade.
        settings: bias by grade, prior, correlations.
    """
    entered, left = entries(records, grades)
    overlaps = find_overlaps(records)
    house = posterior.house_belief(settings.prior)
    groups = _by_outcome(records)
    found = [_of_group(group, entered, left, overlaps, settings, house) for group in groups]
    belief = _belief(Posteriors(belief=house, all=tuple(found)), settings)
    if belief.basis == "portfolio":
        found = [_of_group(group, entered, left, overlaps, settings, belief) for group in groups]
    return Posteriors(belief=belief, all=tuple(found))


def _best_known(each: Posterior) -> tuple[bool, int, float, str]:
    return each.basis != "records", -each.grade, each.std_error if each.std_error is not None else np.inf, each.outcome


def _by_outcome(records: Sequence[Record]) -> list[tuple[Record, ...]]:
    """Records of one role, innovation and outcome, in sorted order."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in sorted(records, key=lambda record: record.id):
        groups.setdefault((record.innovation or "", record.outcome.name, record.role), []).append(record)
    return [tuple(groups[key]) for key in sorted(groups)]


def _belief(first: Posteriors, settings: Synthesis) -> Belief:
    known = [each for each in first.headlines() if each.estimate is not None and each.std_error is not None]
    y = np.array([each.estimate for each in known], dtype=float)
    v = np.array([each.std_error for each in known], dtype=float) ** 2
    return posterior.portfolio_belief(y, v, settings.prior)


def _of_group(
    group: Sequence[Record],
    entered: Sequence[Entry],
    left: Sequence[LeftOut],
    overlaps: Sequence[Overlap],
    settings: Synthesis,
    belief: Belief,
) -> Posterior:
    """The posterior of one innovation and outcome."""
    ids = {record.id for record in group}
    candidates = [entry for entry in entered if entry.id in ids]
    poolable = [entry for entry in candidates if entry.poolable]
    chosen = poolable or candidates
    alone = [] if poolable else sorted(chosen, key=lambda entry: (-entry.grade, entry.std_error, entry.id))[1:]
    out = [item for item in left if item.id in ids]
    out += [LeftOut(id=entry.id, code="not_poolable") for entry in candidates if entry not in chosen or entry in alone]
    kept, same = independent([entry for entry in chosen if entry not in alone], overlaps)
    comparable = tuple(entry for entry in kept if entry.comparable)
    if comparable:
        out += [LeftOut(id=entry.id, code=_no_scale(entry)) for entry in kept if not entry.comparable]
    left_out = tuple(sorted([*out, *same], key=lambda item: item.id))
    if comparable:
        return _shrunk(group[0], comparable, left_out, settings, belief)
    return _unshrunk(group[0], kept, left_out, settings) if kept else _prior_only(group[0], left_out, settings, belief)


def _no_scale(entry: Entry) -> str:
    return "no_spread" if entry.spread is None else "no_direction"


def _shrunk(
    first: Record, used: Sequence[Entry], left_out: tuple[LeftOut, ...], settings: Synthesis, belief: Belief
) -> Posterior:
    fitted = bias_adjusted_fit(used, settings)
    if fitted is None:  # grade 0 has been left out before
        return _prior_only(first, left_out, settings, belief)
    y, v = float(fitted.fit.coefficients[0]), float(fitted.fit.bread[0, 0])
    shrunk = posterior.shrink_variance(np.array(y), np.array(v), belief)
    scale, unit = _unit_of(used, fitted.row_weights[0])
    said = SAID[("records" if len(used) > 1 else "record") if used[0].poolable else "alone"]
    return Posterior(
        **_names(first),
        unit=unit,
        mean=float(shrunk.mean) * scale,
        sd=float(shrunk.sd) * abs(scale),
        basis="records",
        standardised_mean=float(shrunk.mean),
        standardised_sd=float(shrunk.sd),
        estimate=y,
        std_error=float(np.sqrt(v)),
        spread=abs(scale),
        weight=float(shrunk.weight),
        between_sd=float(np.sqrt(fitted.between)),
        **_probabilities(shrunk, np.array(y), np.array(v), belief, settings, _smallest(used, settings)),
        grade=max(entry.grade for entry in used),
        records=tuple(entry.id for entry in used),
        left_out=left_out,
        reason_fr=said[0].format(n=len(used), id=used[0].id),
        reason_en=said[1].format(n=len(used), id=used[0].id),
    )


def _unit_of(used: Sequence[Entry], weights: Array) -> tuple[float, str]:
    """What a favourable standard deviation is in the outcome's own unit, signed as measured; 1 SD where units differ.

    Standard deviations that differ between findings are averaged with the weights of the findings.
    """
    if len({(entry.unit, entry.better) for entry in used}) > 1:
        return 1.0, "SD"
    spread = float(np.average([entry.spread or 1.0 for entry in used], weights=np.abs(weights)))
    return used[0].toward_better * spread, used[0].unit


def _smallest(used: Sequence[Entry], settings: Synthesis) -> float:
    """Smallest effect worth having in standard deviations: the largest that a finding names, or the house's."""
    named = [entry.smallest_effect / entry.spread for entry in used if entry.smallest_effect and entry.spread]
    return max(named) if named else settings.smallest_effect_sd


def _probabilities(
    shrunk: posterior.Shrunk, y: Array, v: Array, belief: Belief, settings: Synthesis, smallest: float
) -> dict[str, Any]:
    mean, sd, useful = (
        float(part) for part in posterior.fat_tailed(y, v, belief, settings.prior.fat_tail_df, smallest)
    )
    return {
        "smallest_effect": smallest,
        "favourable": float(shrunk.above(0.0)),
        "useful": float(shrunk.above(smallest)),
        "precise_null": float(shrunk.within(smallest)),
        "unfavourable": 1 - float(shrunk.above(0.0)),
        "harmful": 1 - float(shrunk.above(-smallest)),
        "fat_tailed": {"mean": mean, "sd": sd, "useful": useful},
    }


def _unshrunk(first: Record, kept: Sequence[Entry], left_out: tuple[LeftOut, ...], settings: Synthesis) -> Posterior:
    """The best finding as it was read, with the variance of its bias where the outcome's spread is known."""
    best = min(kept, key=lambda entry: (-entry.grade, entry.std_error, entry.id))
    others = tuple(LeftOut(id=entry.id, code=_no_scale(entry)) for entry in kept if entry is not best)
    bias = 0.0 if best.spread is None else float(posterior.bias_sd(best.grade, settings)) * best.spread
    return Posterior(
        **_names(first),
        unit=best.unit,
        mean=best.estimate,
        sd=float(np.hypot(best.std_error, bias)),
        basis="unshrunk",
        **_without_scale(settings),
        spread=best.spread,
        weight=1.0,
        grade=best.grade,
        records=(best.id,),
        left_out=tuple(sorted([*left_out, *others], key=lambda item: item.id)),
        reason_fr=SAID["unshrunk"][0],
        reason_en=SAID["unshrunk"][1],
    )


def _prior_only(first: Record, left_out: tuple[LeftOut, ...], settings: Synthesis, belief: Belief) -> Posterior:
    mean, sd = np.array(belief.mean), np.array(belief.sd)
    shrunk = posterior.Shrunk(mean=mean, sd=sd, weight=np.array(0.0))
    smallest = settings.smallest_effect_sd
    return Posterior(
        **_names(first),
        unit="SD",
        mean=float(mean),
        sd=float(sd),
        basis="prior",
        **_without_scale(settings)
        | {
            "standardised_mean": float(mean),
            "standardised_sd": float(sd),
            "favourable": float(shrunk.above(0.0)),
            "useful": float(shrunk.above(smallest)),
            "precise_null": float(shrunk.within(smallest)),
            "unfavourable": 1 - float(shrunk.above(0.0)),
            "harmful": 1 - float(shrunk.above(-smallest)),
        },
        spread=None,
        weight=0.0,
        grade=0,
        records=(),
        left_out=left_out,
        reason_fr=SAID["prior"][0],
        reason_en=SAID["prior"][1],
    )


def _without_scale(settings: Synthesis) -> dict[str, Any]:
    missing = ("standardised_mean", "standardised_sd", "estimate", "std_error", "favourable", "useful")
    names = (*missing, "precise_null", "unfavourable", "harmful", "fat_tailed")
    return dict.fromkeys(names) | {"between_sd": 0.0, "smallest_effect": settings.smallest_effect_sd}


def _names(first: Record) -> dict[str, Any]:
    return {
        "innovation": first.innovation or "",
        "outcome": first.outcome.name,
        "difficulty": first.difficulty or "",
        "role": first.role,
        "better": first.outcome.better,
    }
