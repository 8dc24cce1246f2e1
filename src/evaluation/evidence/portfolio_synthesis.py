"""data/evidence/synthesis.json: every pooled estimate with the findings it rests on, those left out, and why.

    innovations   innovation × outcome, in its own unit: pooled findings and the posterior
    difficulties  all innovations of a difficulty, in standard deviations, favourable above zero
    portfolio     the prior, discoveries, the best of all after the winner's curse, design and territory
    overlaps      findings that rest on the same people

The findings that come with this repository were chosen, not searched for by a protocol; the file says so.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import store
from evaluation.errors import DataError, InternalError, ParametersError
from evaluation.evidence import posterior
from evaluation.evidence.discoveries import bayesian_q_values
from evaluation.evidence.eligibility import Entry, LeftOut, entries
from evaluation.evidence.overlaps import Overlap, find_overlaps, independent
from evaluation.evidence.posterior import Belief
from evaluation.evidence.posteriors import Posterior, Posteriors, posteriors
from evaluation.evidence.record import Outcome, Record
from evaluation.evidence.synthesis import moderators, pool
from evaluation.impact.inference import benjamini_hochberg
from evaluation.impact.inference.studies import fit_studies, study_table
from evaluation.impact.inference.winners import best_of
from evaluation.settings.params import FILE, Params
from evaluation.settings.synthesis import Synthesis

SCHEMA_VERSION = "1.0"
COLLECTION = {
    "kind": "purposive",
    "fr": (
        "Ces résultats ont été choisis, et non recherchés selon un protocole. Une synthèse dit ce que disent les "
        "études lues, pas ce que dirait toute la littérature ; les résultats favorables y sont sans doute en excès."
    ),
    "en": (
        "These findings were chosen, not searched for by a protocol. A synthesis says what the studies that were read "
        "say, not what the whole literature would; favourable results are probably too many among them."
    ),
}


def synthesise(records: Sequence[Record], grades: Mapping[str, int], settings: Synthesis) -> dict[str, Any]:
    """Everything in synthesis.json, as plain data.

    Args:
        records: all findings.
        grades: record id -> grade.
        settings: the `synthesis:` section of params.yaml.
    """
    entered, left = entries(records, grades)
    overlaps = find_overlaps(records)
    beliefs = posteriors(records, grades, settings)
    real = _real(records)
    words: dict[tuple[str, str, str], Outcome] = {
        (each.innovation or "", each.outcome.name, each.role): each.outcome for each in reversed(_sorted(records))
    }
    data = {
        "schema_version": SCHEMA_VERSION,
        "collection": COLLECTION,
        "settings": settings.model_dump(mode="json"),
        "prior": asdict(beliefs.belief),
        "effects": [_words(each, words) | _effect(each, entered, overlaps, settings) for each in beliefs.all],
        "difficulties": _difficulties(real, entered, left, overlaps, settings),
        "portfolio": _portfolio(beliefs, entered, settings, {record.id for record in real}),
        "overlaps": [asdict(pair) for pair in overlaps],
    }
    require_consistent(data, records)
    return data


def _real(records: Sequence[Record]) -> Sequence[Record]:
    """Simulated findings stand by themselves and are never pooled with real ones; alone they are pooled like any."""
    return [record for record in records if not record.simulated] or records


def settings_of(params: Params) -> Synthesis:
    """The section `synthesis` of params.yaml.

    Raises:
        ParametersError: there is none.
    """
    if params.synthesis is None:
        raise ParametersError(
            code="E-EVI-055",
            what="Nothing says how findings become one number.",
            where=FILE,
            found="no section 'synthesis'",
            expected="synthesis: {version: …, bias_sd: …}",
            fix="restore the section from the repository",
        )
    return params.synthesis


def require_consistent(data: Mapping[str, Any], records: Sequence[Record]) -> None:
    """Refuse a synthesis that loses a finding, counts one twice, or whose numbers cannot be.

    Raises:
        InternalError: the first thing that is wrong.
    """
    problems = _problems(data, {record.id for record in records})
    if problems:
        raise InternalError(
            code="E-EVI-056",
            what="the synthesis contradicts itself",
            where="data/evidence/synthesis.json",
            found="; ".join(problems[:3]),
            expected="each finding used or left out once, weights that sum to one, estimates within their intervals",
        )


def write(data: Mapping[str, Any]) -> Path:
    """Write data/evidence/synthesis.json; return its path."""
    file = _file()
    store.write_json(file, data)
    return file


def read() -> Posteriors:
    """The posteriors of data/evidence/synthesis.json.

    Raises:
        StaleError: the evidence stage has not run.
        DataError: the file is of another version.
    """
    data = store.read_json(_file())
    if not isinstance(data, dict) or data.get("schema_version") != SCHEMA_VERSION:
        raise DataError(
            code="E-EVI-054",
            what="The synthesis is of another version.",
            where=str(_file()),
            found=str(data.get("schema_version") if isinstance(data, dict) else type(data).__name__),
            expected=SCHEMA_VERSION,
            fix="run the evidence stage again",
        )
    found = tuple(Posterior.from_dict(each["posterior"]) for each in data["effects"])
    return Posteriors(belief=Belief(**data["prior"]), all=found)


def posterior_of(innovation: str, outcome: str | None = None) -> Posterior:
    """What to believe about an effect, from data/evidence/synthesis.json; see `posteriors.Posteriors.of`."""
    return read().of(innovation, outcome)


def _problems(data: Mapping[str, Any], ids: set[str]) -> list[str]:
    """What is wrong, in words."""
    named = [
        name
        for effect in data["effects"]
        for name in (*effect["posterior"]["records"], *(item["id"] for item in effect["left_out"]))
    ]
    lost, twice = sorted(ids - set(named)), sorted({name for name in named if named.count(name) > 1})
    found = [f"{name} is neither used nor left out" for name in lost]
    found += [f"{name} is used or left out twice" for name in twice]
    pooled = [part["pooled"] for part in (*data["effects"], *data["difficulties"].values())]
    for each in (part for part in pooled if part["computed"]):
        total = sum(item["weight"] for item in each["records"])
        found += [] if abs(total - 1) < 1e-9 else [f"weights sum to {total}"]
        for name in ("common", "random"):
            low, at, high = (each[name][key] for key in ("ci_low", "estimate", "ci_high"))
            found += [] if low <= at <= high else [f"{name} {at} is outside [{low}, {high}]"]
    return found


def _file() -> Path:
    return store.path("data", "evidence", "synthesis.json")


def _effect(
    each: Posterior, entered: Sequence[Entry], overlaps: Sequence[Overlap], settings: Synthesis
) -> dict[str, Any]:
    """One innovation and outcome: the posterior, and the pooled findings in their own unit, or why they are not."""
    mine = [entry for entry in entered if entry.id in each.records]
    kept, _ = independent(mine, overlaps)
    pooled: dict[str, Any] = {"computed": False, "fr": each.reason_fr, "en": each.reason_en}
    if kept:
        try:
            pooled = {"computed": True, **pool(kept, settings).as_dict()}
        except DataError as error:
            pooled = {"computed": False, "code": error.code, "fr": _REFUSED, "en": f"{error.what}: {error.found}"}
    return {
        "innovation": each.innovation,
        "outcome": each.outcome,
        "role": each.role,
        "difficulty": each.difficulty,
        "pooled": pooled,
        "findings": [_finding(entry) for entry in kept],
        "left_out": [item.as_dict() for item in each.left_out],
        "posterior": each.as_dict(),
    }


_REFUSED = "Ces résultats n'ont pas la même unité ou la même monnaie : ils ne sont pas regroupés."


def _sorted(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.id)


def _words(each: Posterior, words: Mapping[tuple[str, str, str], Outcome]) -> dict[str, Any]:
    """What the outcome and its unit are called in both languages, where the findings say so."""
    outcome = words[each.innovation, each.outcome, each.role]
    return {
        "outcome_fr": outcome.label_fr or outcome.name,
        "outcome_en": outcome.label_en or outcome.name,
        "unit_fr": outcome.unit_fr or outcome.unit,
        "unit_en": outcome.unit,
    }


def _finding(entry: Entry) -> dict[str, Any]:
    names = ("id", "estimate", "std_error", "error_rule", "unit", "spread", "spread_rule", "grade", "ratio", "year")
    return {name: getattr(entry, name) for name in names}


def _difficulties(
    records: Sequence[Record],
    entered: Sequence[Entry],
    left: Sequence[LeftOut],
    overlaps: Sequence[Overlap],
    settings: Synthesis,
) -> dict[str, Any]:
    """Pooled over the innovations of each difficulty, on the common scale."""
    about = {record.id: record.difficulty for record in records if record.role == "decision" and record.difficulty}
    return {
        name: _difficulty(
            name, {key for key, value in about.items() if value == name}, entered, left, overlaps, settings
        )
        for name in sorted({value for value in about.values() if value})
    }


def _difficulty(
    name: str,
    ids: set[str],
    entered: Sequence[Entry],
    left: Sequence[LeftOut],
    overlaps: Sequence[Overlap],
    settings: Synthesis,
) -> dict[str, Any]:
    mine = [entry for entry in entered if entry.id in ids]
    doubles = [pair for pair in overlaps if pair.kind != "same_people"]
    kept, same = independent([entry for entry in mine if entry.poolable and entry.comparable], doubles)
    out = [item for item in left if item.id in ids] + list(same)
    out += [LeftOut(id=entry.id, code=_why_not(entry)) for entry in mine if not (entry.poolable and entry.comparable)]
    return {
        "difficulty": name,
        "pooled": {"computed": True, **pool(kept, settings, scale="sd").as_dict()} if kept else _NOTHING,
        "innovations": sorted({entry.innovation for entry in kept}),
        "by_design": moderators(kept, settings, by="design"),
        "by_territory": moderators(kept, settings, by="territory"),
        "left_out": [item.as_dict() for item in sorted(out, key=lambda item: item.id)],
    }


_NOTHING = {
    "computed": False,
    "fr": "Aucun résultat ne peut être mis sur une échelle commune.",
    "en": "No finding can be set on a common scale.",
}


def _why_not(entry: Entry) -> str:
    if not entry.poolable:
        return "not_poolable"
    return "no_spread" if entry.spread is None else "no_direction"


def _portfolio(
    beliefs: Posteriors, entered: Sequence[Entry], settings: Synthesis, real: Collection[str]
) -> dict[str, Any]:
    """What holds across innovations: discoveries, the best of all, design, territory, the prior it would make."""
    known = [each for each in beliefs.headlines() if set(each.records) <= set(real)]
    mine = [entry for entry in entered if entry.id in real]
    usable = [entry for entry in mine if entry.role == "decision" and entry.poolable and entry.comparable]
    y = np.array([each.estimate for each in known], dtype=float)
    se = np.array([each.std_error for each in known], dtype=float)
    enough = len(known) >= settings.prior.empirical_from
    own = posterior.empirical_prior(y, se**2) if enough else None
    return {
        "programmes": len(known),
        "own_prior": None if own is None else {"mean": float(own[0]), "sd": float(own[1])},
        "discoveries": _discoveries(known, settings),
        "best": _best(known, y, se, settings) if len(known) > 1 else None,
        "by_design": moderators(usable, settings, by="design"),
        "by_territory": moderators(usable, settings, by="territory"),
    }


def _discoveries(known: Sequence[Posterior], settings: Synthesis) -> dict[str, Any]:
    """The programmes that can be named while the expected share of false ones stays within the rate."""
    if not known:
        return {"rate": settings.false_discovery_rate, "rows": []}
    false = np.array([1 - (each.useful or 0.0) for each in known])
    q = bayesian_q_values(false)
    conventional = benjamini_hochberg(np.array([_conventional_p(each) for each in known]))
    rows = [
        {
            "innovation": each.innovation,
            "outcome": each.outcome,
            "false_probability": float(one),
            "q_value": float(two),
            "named": bool(two <= settings.false_discovery_rate),
            "benjamini_hochberg": float(three),
        }
        for each, one, two, three in zip(known, false, q, conventional, strict=True)
    ]
    return {"rate": settings.false_discovery_rate, "rows": rows}


def _conventional_p(each: Posterior) -> float:
    """Two-sided p of no effect, bias included, prior not."""
    fitted = fit_studies(np.array([each.estimate]), np.array([each.std_error]) ** 2, method="common")
    return float(study_table(fitted, kind="known")["p_value"].iloc[0])


def _best(known: Sequence[Posterior], y: np.ndarray, se: np.ndarray, settings: Synthesis) -> dict[str, Any]:
    """The largest estimate of all (bias included, in standard deviations) after the winner's curse."""
    found = best_of(y, se, level=settings.level)
    winner = known[int(found.index)]
    names = ("naive", "naive_low", "naive_high", "hybrid", "hybrid_low", "hybrid_high", "runner_up")
    conditional = ("conditional", "conditional_low", "conditional_high")
    numbers = {name: float(getattr(found, name)) for name in (*names, *conditional)}
    return {
        "innovation": winner.innovation,
        "outcome": winner.outcome,
        "among": len(known),
        **{name: (value if np.isfinite(value) else None) for name, value in numbers.items()},
        "posterior_mean": winner.standardised_mean,
        "posterior_sd": winner.standardised_sd,
    }
