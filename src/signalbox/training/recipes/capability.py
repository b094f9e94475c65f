"""The general capability heads: what tells hard prompts from easy ones within a source, and so perhaps elsewhere.

Each source's own mean is taken out of vectors and outcomes, and each counts the same, so that a head cannot learn which
benchmark a prompt comes from. Everything that is set or fitted on top (the blend with length, its familiarity, the
chances) is fitted to scores that each source got from heads that had never seen it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.artifact import write_manifest
from signalbox.brain.capability import CENTRES, MEAN, NEED, STRONG_SUCCEEDS, WEAK_FAILS, Capability, Logit
from signalbox.brain.encoder import Encoder
from signalbox.brain.surface import length_prior
from signalbox.errors import DataError
from signalbox.evaluation.metrics import apgr, auroc
from signalbox.evaluation.records import GOOD, NEEDS_STRONG, NEITHER, Records, read_records
from signalbox.evaluation.routers import nobody
from signalbox.training.linear import centres, logistic, ridge
from signalbox.training.prompts import Said, Seen, see

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]

RECIPE = 1
STRENGTH = 1.0
"""Of the ridge. Between 0.3 and 3, leave-one-source-out figures stay within 0.005 of each other."""
CENTRES_WANTED = 64
ROWS_PER_SOURCE = 1500  # that centres are looked for among: the largest source would take most of them otherwise
UNFAMILIAR, FAMILIAR = 0.01, 0.20
"""Shares of held-out rows whose nearest centre is further away: below the first the head counts nothing, from the
second on all of it. A source that is held out is new by definition, and the head helps with most of its rows."""
DIGITS = 6  # of weights: below it, processors differ in the order they add in


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """All rows with what is seen of them. prior: (rows,), `length_prior`."""

    records: Records
    vectors: Floats
    prior: Floats
    sources: NDArray[np.str_]

    @classmethod
    def of(cls, records: Records, seen: Seen) -> Material:
        prior = np.array([length_prior(features) for features in seen.features])
        return cls(records, seen.vectors.astype(np.float64), prior, np.array(records.sources))

    @property
    def names(self) -> list[str]:
        return sorted(set(self.sources.tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Heads fitted to some rows. directions: (CENTRES, dims) as in `brain.capability`; bias: (CENTRES,)."""

    directions: Floats
    bias: Floats
    centres: Floats  # (centres, dims), of vectors less their mean
    prior: tuple[float, float]

    def prior_of(self, material: Material) -> Floats:
        return (material.prior - self.prior[0]) / self.prior[1]

    def heads(self, vectors: Floats) -> Floats:
        """Return (rows, CENTRES)."""
        products: Floats = vectors @ self.directions.T + self.bias
        return products

    def nearest(self, vectors: Floats) -> Floats:
        """Return the cosine to the nearest centre, (rows,)."""
        apart = vectors - self.directions[MEAN]
        length = np.maximum(np.linalg.norm(apart, axis=1), 1e-9)
        return np.asarray((apart @ self.centres.T).max(axis=1) / length, np.float64)


def build(data: Path, out: Path) -> None:
    """Write capability.npz and capability.json to `out`, from data/capability and the encoder in `out`."""
    folder = data / "capability"
    files = sorted(folder.glob("*.jsonl.gz"))
    if not files:
        raise DataError.single(str(folder), "no *.jsonl.gz", expected="files in the record format", fix="see --data")
    records = read_records(files)
    encoder = Encoder.load(out if (out / "encoder.json").is_file() else None)
    write(records, encoder, out)


def write(records: Records, encoder: Encoder, out: Path, said: Said = nobody) -> None:
    """Fit the heads to records and write them. The same records and encoder make the same bytes."""
    material = Material.of(records, see(records.prompts, encoder, said))
    capability, report = fit(material, encoder.version)
    save(capability, out / "capability.npz")
    write_manifest(
        out,
        "capability",
        ["capability.npz"],
        form="general",
        recipe=RECIPE,
        seed=0,
        dims=encoder.dims,
        encoder=encoder.version,
        general=capability.says,
        rows=len(records),
        leave_one_source_out=report,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Heads as they are written. says: what the manifest holds of them."""

    rows: NDArray[np.float32]
    bias: NDArray[np.float32]
    says: dict[str, object]

    def open(self, encoder: str = "") -> Capability:
        """Return the heads as they run."""
        says = self.says
        return Capability(
            self.rows,
            self.bias,
            prior=tuple(says["prior"]),  # type: ignore[arg-type]
            familiar=tuple(says["familiar"]),  # type: ignore[arg-type]
            logits={name: Logit(*parts) for name, parts in says["logits"].items()},  # type: ignore[attr-defined]
            encoder=encoder,
        )


def save(made: Made, path: Path) -> None:
    """Write the arrays. `np.savez` stamps every member with the same date."""
    with path.open("wb") as file:
        np.savez(file, rows=made.rows, bias=made.bias)


def fit(material: Material, encoder: str = "") -> tuple[Made, dict[str, object]]:
    """Return the heads, and what they score on each source when they are fitted without it."""
    rows = len(material.sources)
    prior, nearest, heads = np.empty(rows), np.empty(rows), np.empty((rows, CENTRES))
    for name in material.names:
        held_out = material.sources == name
        if held_out.all():
            held_out_fit = fit_heads(material, held_out)
        else:
            held_out_fit = fit_heads(material, ~held_out)
        prior[held_out] = held_out_fit.prior_of(material)[held_out]
        nearest[held_out] = held_out_fit.nearest(material.vectors[held_out])
        heads[held_out] = held_out_fit.heads(material.vectors[held_out])
    low, high = (round(float(np.quantile(nearest, share)), DIGITS) for share in (UNFAMILIAR, FAMILIAR))
    high = max(high, low + 1e-3)
    familiarity = np.clip((nearest - low) / (high - low), 0.0, 1.0)
    logits = fit_logits(material, prior, heads * familiarity[:, None])
    whole = fit_heads(material, np.ones(rows, bool))
    made = _made(whole, logits, (low, high))
    logit = logits["need"]
    chances = 1 / (1 + np.exp(-(logit[0] * prior + logit[1] * familiarity * heads[:, NEED] + logit[2])))
    return made, _report(material, chances, familiarity)


def fit_heads(material: Material, rows: Rows) -> Fit:
    """Fit directions, centres and the prior's scale to some rows."""
    records, vectors = material.records, material.vectors
    solved = rows & (records.strong >= GOOD)
    failure, success = 1.0 - records.weak, records.strong
    targets = {
        NEED: ((failure, rows), (failure, solved)),  # what the weak tier gets wrong, and of it what the strong does not
        WEAK_FAILS: ((failure, rows),),
        STRONG_SUCCEEDS: ((success, rows),),
    }
    directions, bias = np.zeros((CENTRES, vectors.shape[1])), np.zeros(CENTRES)
    for place, parts in targets.items():
        for target, used in parts:
            direction = _within_sources(material, target, used)
            values = vectors[rows] @ direction
            spread = max(float(values.std()), 1e-9)
            directions[place] += direction / spread / len(parts)
            bias[place] -= float(values.mean()) / spread / len(parts)
    mean = np.mean([vectors[rows & (material.sources == name)].mean(axis=0) for name in _names(material, rows)], axis=0)
    directions[MEAN] = mean
    prior = material.prior[rows]
    return Fit(
        directions,
        bias,
        _centres(material, rows, mean),
        (round(float(prior.mean()), DIGITS), round(max(float(prior.std()), 1e-6), DIGITS)),
    )


def fit_logits(material: Material, prior: Floats, heads: Floats) -> dict[str, tuple[float, float, float]]:
    """Fit chances to scores of held-out sources, each source counting the same. heads: with their familiarity."""
    records = material.records
    labelled = records.labels != NEITHER
    everything = np.ones(len(labelled), bool)
    asked = {
        "need": (NEED, (records.labels == NEEDS_STRONG).astype(np.float64), labelled),
        "weak_fails": (WEAK_FAILS, 1.0 - records.weak, everything),
        "strong_succeeds": (STRONG_SUCCEEDS, records.strong, everything),
    }
    found = {}
    for name, (place, target, rows) in asked.items():
        columns = np.column_stack([prior, heads[:, place]])[rows]
        if name == "need":  # ranked by the blend that was chosen; only its scale and bias are fitted
            scale, bias = logistic(columns.sum(axis=1)[:, None], target[rows], _equal(material, rows))
            parts = (scale, scale, bias)
        else:
            parts = tuple(logistic(columns, target[rows], _equal(material, rows)))
        found[name] = tuple(round(float(part), DIGITS) for part in parts)
    return found  # type: ignore[return-value]


def _made(fitted: Fit, logits: Mapping[str, tuple[float, float, float]], familiar: tuple[float, float]) -> Made:
    rows = np.vstack([fitted.directions, fitted.centres]).round(DIGITS)
    bias = np.concatenate([fitted.bias, -(fitted.centres @ fitted.directions[MEAN])]).round(DIGITS)
    says: dict[str, object] = {
        "prior": list(fitted.prior),
        "familiar": list(familiar),
        "logits": {k: list(v) for k, v in logits.items()},
    }
    return Made(rows.astype(np.float32), bias.astype(np.float32), says)


def _within_sources(material: Material, target: Floats, rows: Rows) -> Floats:
    """Return the ridge direction of a target from vectors, both less their mean in each source."""
    vectors, centred = material.vectors.copy(), target.copy()
    for name in _names(material, rows):
        of_source = rows & (material.sources == name)
        vectors[of_source] -= vectors[of_source].mean(axis=0)
        centred[of_source] -= centred[of_source].mean()
    return ridge(vectors[rows], centred[rows], _equal(material, rows), STRENGTH)


def _equal(material: Material, rows: Rows) -> Floats:
    """Return weights of the rows by which each source counts the same."""
    sources = material.sources[rows]
    names, places, counts = np.unique(sources, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (len(names) * counts[places]), np.float64)


def _centres(material: Material, rows: Rows, mean: Floats) -> Floats:
    dice = np.random.default_rng(0)
    chosen = []
    for name in _names(material, rows):
        members = np.flatnonzero(rows & (material.sources == name))
        chosen.append(np.sort(dice.permutation(members)[:ROWS_PER_SOURCE]))
    vectors = material.vectors[np.concatenate(chosen)] - mean
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return centres(vectors, CENTRES_WANTED)


def _names(material: Material, rows: Rows) -> list[str]:
    return sorted(set(material.sources[rows].tolist()))


def _report(material: Material, chances: Floats, familiarity: Floats) -> dict[str, object]:
    """Return figures of each source, and their plain average."""
    found: dict[str, dict[str, float]] = {}
    records = material.records
    for name in material.names:
        rows = material.sources == name
        labelled = rows & (records.labels != NEITHER)
        found[name] = {
            "auroc": auroc(chances[labelled], records.labels[labelled] == NEEDS_STRONG),
            "apgr": apgr(chances[rows], records.strong[rows], records.weak[rows]),
            "familiarity": float(familiarity[rows].mean()),
            "chance": float(chances[labelled].mean()),
            "needs_strong": float((records.labels[labelled] == NEEDS_STRONG).mean()),
        }
    rounded = {name: {key: round(value, 4) for key, value in each.items()} for name, each in found.items()}
    average = {key: round(float(np.mean([each[key] for each in found.values()])), 4) for key in ("auroc", "apgr")}
    return {"sources": rounded, "average": average}
