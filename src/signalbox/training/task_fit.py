"""Fits of the task matcher. All in double precision and closed form or to convergence: the same data, the same bits.

Whether a task is meant at all, and how sharp probabilities are, is learned from tasks that the space does not know:
each family is met through a space that was fitted without it, so that the figures hold for tasks of somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.encoder import Encoder
from signalbox.brain.task_carry import ENTROPY_SHARPNESS, SHARPNESS, STATED_FEATURES
from signalbox.brain.task_space import PARTS_WEIGHT, Space
from signalbox.brain.task_text import words_of
from signalbox.training.task_descriptions import FOLLOW_UPS
from signalbox.training.task_sets import Dialogue, TaskSet, described, without

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

VECTOR_SCALE = 3.0  # unit vectors beside features of size one: so that one regularisation suits both
CENTRING = 0.5  # of the mean that is taken off: all of it costs accuracy on labels not trained on
SHIFT_RIDGE = 3.0
FEWEST_PROMPTS = 5
SETS_PER_SOURCE = 120
MOST_TASKS = 20
IN_SCOPE, NEAR, FAR = 60, 20, 10  # prompts of a drawn set: of its tasks, of others of its source, of other sources
ROUTES = 10
ALONE_PER_SET = 300
TEMPERS = tuple(round(0.02 * step, 2) for step in range(5, 51))
THRESHOLDS = tuple(round(0.02 * step, 2) for step in range(5, 36))
MOST_LEFT = 0.04  # of prompts in scope, on the average of families: what an honest `none` may cost those it is not for
SEED = 11


def fit_space(sets: Sequence[TaskSet]) -> Space:
    """Fit where prompts and descriptions meet to described tasks."""
    families = {one.family: one for one in sets}
    prompt_mean = CENTRING * np.mean([one.prompts.mean(axis=0, dtype=np.float64) for one in families.values()], axis=0)
    description_mean = CENTRING * np.mean([one.wholes.mean(axis=0, dtype=np.float64) for one in sets], axis=0)
    descriptions, prompts = [], []
    for one in sets:
        moved = _unit(one.prompts - prompt_mean)
        plain = _unit(one.wholes - description_mean)
        for task in range(len(one.names)):
            mine = moved[one.task == task]
            if len(mine) >= FEWEST_PROMPTS:
                descriptions.append(plain[task])
                prompts.append(mine.mean(axis=0))
    known, means = np.array(descriptions), _unit(np.array(prompts))
    gram = known.T @ known + SHIFT_RIDGE * np.eye(known.shape[1])
    shift = np.linalg.solve(gram, known.T @ (means - known))
    # Half precision is what is shipped: fits of what follows see the same numbers.
    return Space(*(_as_shipped(array) for array in (prompt_mean, description_mean, shift, known, means)))


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Prompts and what they were matched with: similarities with a drawn set of tasks, summed up one by one."""

    features: Doubles  # (n, 6), of scope_features
    in_scope: NDArray[np.bool_]
    right: NDArray[np.bool_]  # the most alike task is the one that is meant
    gap: list[Doubles]  # of prompts in scope: similarities less that of the task that is meant


def draw(sets: Sequence[TaskSet], family: str, space: Space, dice: np.random.Generator) -> Drawn:
    """Draw sets of tasks of one family, and prompts in and out of their scope. space: fitted without that family."""
    elsewhere = np.concatenate([one.prompts[:: max(1, len(one.prompts) // 400)] for one in without(sets, family)])
    features, in_scope, right, gap = [], [], [], []
    for one in sets:
        if one.family != family:
            continue
        similar = similarities(space, one.prompts, one.wholes, one.parts, one.starts)
        away = similarities(space, elsewhere, one.wholes, one.parts, one.starts)
        total = len(one.names)
        for _ in range(SETS_PER_SOURCE if total > 1 else 4):
            tasks = np.sort(dice.choice(total, int(dice.integers(1, min(MOST_TASKS, total) + 1)), replace=False))
            place = np.full(total + 1, -1)
            place[tasks] = np.arange(len(tasks))
            meant = place[one.task]  # -1 of a prompt without a task finds the -1 at the end
            inside, outside = np.flatnonzero(meant >= 0), np.flatnonzero(meant < 0)
            inside = dice.choice(inside, min(IN_SCOPE, len(inside)), replace=False)
            outside = dice.choice(outside, min(NEAR, len(outside)), replace=False)
            rows = np.concatenate([similar[inside], similar[outside], away[dice.choice(len(away), FAR)]])[:, tasks]
            features.append(scope_features(rows))
            scope = np.arange(len(rows)) < len(inside)
            in_scope.append(scope)
            hit = np.zeros(len(rows), bool)
            hit[: len(inside)] = rows[: len(inside)].argmax(axis=1) == meant[inside]
            right.append(hit)
            gap += [row.astype(np.float64) - row[task] for row, task in zip(rows, meant[inside], strict=False)]
    return Drawn(np.concatenate(features), np.concatenate(in_scope), np.concatenate(right), gap)


def fit_scope(drawn: Sequence[Drawn]) -> Doubles:
    """Fit the log odds that one of the tasks is meant; each family counts alike. Returns (7,)."""
    weights = [np.full(len(one.in_scope), 1.0 / len(one.in_scope)) for one in drawn]
    return _as_shipped_doubles(
        logistic(
            np.concatenate([one.features for one in drawn]),
            np.concatenate([one.in_scope for one in drawn]),
            np.concatenate(weights) * sum(map(len, weights)) / len(drawn),
        )
    )


def fit_settings(drawn: Sequence[Drawn], scope: Doubles) -> Doubles:
    """Fit temper and threshold: (2,). The one to the likelihood of the right task; the other is the highest one that
    leaves no more than MOST_LEFT of the prompts in scope to nobody.
    """

    def loss(temper: float) -> float:
        return float(
            np.mean([np.mean([np.log(np.exp(SHARPNESS * temper * gap).sum()) for gap in one.gap]) for one in drawn])
        )

    def left(threshold: float) -> float:
        shares = []
        for one in drawn:
            known = 1.0 / (1.0 + np.exp(-(one.features[one.in_scope] @ scope[:-1] + scope[-1])))
            shares.append(float((known < threshold).mean()))
        return float(np.mean(shares))

    return np.array(
        [min(TEMPERS, key=loss), max(at for at in THRESHOLDS if at == min(THRESHOLDS) or left(at) <= MOST_LEFT)]
    )


def fit_stated(
    sets: Sequence[TaskSet],
    spaces: Mapping[str, Space],
    dialogues: Sequence[Dialogue],
    services: Mapping[str, str],
    encoder: Encoder,
) -> tuple[Doubles, Doubles]:
    """Fit the log odds that a turn asks for something by itself. Returns `Carry.stated` and `Carry.direction`.

    spaces: family -> the space that was fitted without it.

    From dialogues: turns that state an intent do, whether or not it is another service's; the others do not. Prompts of
    single-turn sources do, and turns that mean nothing without the one before them do not, whatever the tasks.
    """
    dice = np.random.default_rng(SEED)
    features: list[Doubles] = []
    stated: list[NDArray[np.bool_]] = []
    space = spaces["sgd"]
    names = list(services)
    place = {name: number for number, name in enumerate(names)}
    turns = np.concatenate([dialogue.turns for dialogue in dialogues])
    every = similarities(space, turns, *described(services, encoder))
    moved = space.prompts(turns)
    at = 0
    for dialogue in dialogues:
        mine = slice(at, at + len(dialogue.turns))
        at = mine.stop
        tasks = [place[name] for name in sorted({name for of_turn in dialogue.services for name in of_turn})]
        kinds = {words_of(names[task]) for task in tasks}
        for task in dice.permutation(len(names)).tolist():
            if len(tasks) < ROUTES and words_of(names[task]) not in kinds:
                tasks.append(task)
                kinds.add(words_of(names[task]))
        rows = [
            turn for turn in range(1, len(dialogue.services)) if dialogue.services[turn] and dialogue.turns[turn].any()
        ]
        if rows:
            features.append(stated_features(every[mine][:, tasks], moved[mine], dialogue.lengths)[rows])
            stated.append(np.array([dialogue.stated[turn] for turn in rows]))
    follow = [text.encode() for text in FOLLOW_UPS]
    follow_vectors, follow_lengths = encoder.vectors(follow), [len(text) for text in follow]
    for one in sets:
        if one.family in ("sgd", "modality"):
            continue
        space = spaces[one.family]
        drawn = dice.choice(len(one.prompts), min(ALONE_PER_SET, len(one.prompts)), replace=False)
        for vectors, lengths, alone in (
            (one.prompts[drawn], one.lengths[drawn].tolist(), True),
            (follow_vectors, follow_lengths, False),
        ):
            similar = similarities(space, vectors, one.wholes, one.parts, one.starts)
            features.append(stated_features(similar, space.prompts(vectors), lengths))
            stated.append(np.full(len(vectors), alone))
    y = np.concatenate(stated)
    weights = logistic(np.concatenate(features), y, np.ones(len(y)), plain=STATED_FEATURES)
    return np.append(weights[:STATED_FEATURES], weights[-1]), VECTOR_SCALE * weights[STATED_FEATURES:-1]


def scope_features(similarities: Floats) -> Doubles:
    """Return the figures of `Summary.of`, (turns, 6), of all turns at once."""
    scores = similarities.astype(np.float64)
    tasks = scores.shape[1]
    best = scores.max(axis=1)
    second = np.partition(scores, tasks - 2, axis=1)[:, tasks - 2] if tasks > 1 else np.zeros_like(best)
    behind = scores - best[:, None]
    shares = np.exp(ENTROPY_SHARPNESS * behind)
    total = shares.sum(axis=1)
    expected = (shares * behind).sum(axis=1) / total
    entropy = (np.log(total) - ENTROPY_SHARPNESS * expected) / np.log(tasks + 1)
    size = np.full_like(best, np.log(tasks))
    return np.stack([best, best - second, entropy, size, scores.mean(axis=1), scores.std(axis=1)], axis=1)


def stated_features(similarities: Floats, vectors: Floats, lengths: Sequence[int]) -> Doubles:
    """Return what tells whether a turn asks for something by itself: (turns, STATED_FEATURES + dims)."""
    best, lead, entropy, _, _, spread = scope_features(similarities).T
    told = np.stack([np.log1p(np.asarray(lengths, np.float64)), best, lead, entropy, spread], axis=1)
    return np.hstack([told, VECTOR_SCALE * vectors.astype(np.float64)])


def similarities(space: Space, prompts: Floats, wholes: Floats, parts: Floats, starts: NDArray[np.intp]) -> Floats:
    """Return how alike prompts and tasks are, (prompts, tasks), as the matcher has it."""
    moved = space.prompts(prompts)
    best: Floats = np.maximum.reduceat(moved @ space.descriptions(parts).T, starts, axis=1)
    return moved @ space.descriptions(wholes).T + np.float32(PARTS_WEIGHT) * best


def logistic(features: Doubles, y: NDArray[np.bool_], weights: Doubles, *, plain: int | None = None) -> Doubles:
    """Fit log odds by Newton's method, with a unit Gaussian prior on standardised features. Returns (features + 1,).

    plain: how many features, the first, are standardised; the others are vectors of a common scale.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    scale[plain if plain is not None else len(scale) :] = 1.0
    x = np.hstack([(features - mean) / scale, np.ones((len(features), 1))])
    prior = np.ones(x.shape[1])
    prior[-1] = 0.0
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        chance = 1.0 / (1.0 + np.exp(-(x @ beta)))
        slope = x.T @ (weights * (chance - y)) + prior * beta
        curve = (x * (weights * chance * (1.0 - chance))[:, None]).T @ x + np.diag(prior)
        step = np.linalg.solve(curve, slope)
        beta -= step
        if np.abs(step).max() < 1e-10:
            break
    slopes = beta[:-1] / scale
    return np.append(slopes, beta[-1] - mean @ slopes)


def _unit(vectors: Doubles) -> Doubles:
    result: Doubles = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12)
    return result


def _as_shipped(array: Doubles) -> Floats:
    return array.astype(np.float16).astype(np.float32)


def _as_shipped_doubles(array: Doubles) -> Doubles:
    return array.astype(np.float32).astype(np.float64)
