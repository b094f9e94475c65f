"""Whether trained heads are worth having: on rows held out, beside what needs no training, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from signalbox.brain.capability import Capability
from signalbox.evaluation.baselines import WORD_COUNT, counted, fitted
from signalbox.evaluation.calibration import Calibration, calibrate
from signalbox.evaluation.folds import Fold, make_folds
from signalbox.evaluation.metrics import Interval, Measure, Ranking, Resamples, Separation, bootstrap
from signalbox.evaluation.records import NEEDS_STRONG, WEAK_OK
from signalbox.evaluation.routers import Said, nobody
from signalbox.training.data import Data
from signalbox.training.learner import Heads, Labels, fit
from signalbox.training.prompts import Seen

Floats = NDArray[np.float64]

TRAINED, GENERAL = "trained", "built-in"
APGR, AUROC = "APGR", "AUROC"
NO_SCIKIT = "TF-IDF + ridge and k-NN are left out: they need scikit-learn; pip install 'signalbox[train]'"


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Figures on rows held out. figure: the one that counts: APGR, or AUROC of what the weak side gets wrong.

    figures: contender -> figure -> interval. differences: baseline -> trained minus it, of the figure that counts.
    """

    rows: int
    figure: str
    figures: dict[str, dict[str, Interval]]
    differences: dict[str, Interval]
    calibration: Calibration | None
    notes: tuple[str, ...]

    @property
    def recommended(self) -> bool:
        """Whether the heads beat a word count, the whole interval of the difference above zero, and the built-in heads
        do not beat them."""
        return self.differences[WORD_COUNT].above_zero and not self.differences[GENERAL].below_zero


def judge(data: Data, seen: Seen, general: Capability, *, resamples: int = 1_000, said: Said = nobody) -> Judgement:
    """Train on four fifths of the prompts and score the fifth, five times; compare with the baselines on the same rows.

    seen: of `data.labels`. said: told how many of twice five parts are done.
    """
    records = data.records
    folds = make_folds(records.prompts, records.sources, "prompt")
    scores = _held_out(data, seen, general, folds, said)
    contenders = {TRAINED: scores, GENERAL: _general(data, seen, general)}
    contenders |= {each.name: each.scores for each in counted(records)}
    notes: tuple[str, ...] = ()
    try:
        learned = fitted(records, folds, lambda done: said(len(folds) + done))
    except ImportError:
        notes = (NO_SCIKIT,)
    else:
        contenders |= {each.name: each.scores for each in learned}
        notes = learned[0].notes
    needed, spared = records.labels == NEEDS_STRONG, records.labels == WEAK_OK
    labelled = needed | spared
    measures: dict[str, Measure] = {}
    for name, values in contenders.items():
        measures[f"{name}/{AUROC}"] = Separation(values, needed, spared).auroc
        if not data.feedback:
            measures[f"{name}/{APGR}"] = Ranking(values, records.strong, records.weak).apgr
    figure = AUROC if data.feedback else APGR
    found = bootstrap(
        measures, Resamples(len(records), units=[p.strip() for p in records.prompts], resamples=resamples)
    )
    kinds = (AUROC,) if data.feedback else (APGR, AUROC)
    return Judgement(
        rows=len(records),
        figure=figure,
        figures={name: {kind: found[f"{name}/{kind}"].interval for kind in kinds} for name in contenders},
        differences={
            name: found[f"{TRAINED}/{figure}"].minus(found[f"{name}/{figure}"])
            for name in contenders
            if name != TRAINED
        },
        calibration=calibrate(scores[labelled], needed[labelled]),
        notes=notes,
    )


def _held_out(data: Data, seen: Seen, general: Capability, folds: list[Fold], said: Callable[[int], None]) -> Floats:
    """Return the score that each row of the records gets from heads which never saw its prompt."""
    places = _places(data)
    texts = np.array([prompt.strip() for prompt in data.labels.prompts], dtype=object)
    scores = np.zeros(len(data.records))
    for number, fold in enumerate(folds):
        asked = {data.records.prompts[int(row)].strip() for row in fold.test}
        train = np.flatnonzero([text not in asked for text in texts])
        heads = fit_some(data.labels, seen, train, general).open(general)
        for row in fold.test:
            place = int(places[row])
            scores[row] = heads.need(seen.vectors[place], seen.features[place]).strong
        said(number + 1)
    return scores


def fit_some(labels: Labels, seen: Seen, rows: NDArray[np.intp], general: Capability) -> Heads:
    """Fit the heads of the sides to some of the rows."""
    some = Seen(seen.vectors[rows], tuple(seen.features[int(row)] for row in rows))
    return fit(labels.only(rows), some, general, each_model=False)


def _general(data: Data, seen: Seen, general: Capability) -> Floats:
    places = _places(data)
    return np.array([general.need(seen.vectors[int(row)], seen.features[int(row)]).strong for row in places])


def _places(data: Data) -> NDArray[np.intp]:
    """Return which row of the labels each record is."""
    if data.feedback:
        return np.flatnonzero(np.isfinite(data.labels.weak))
    return np.arange(len(data.labels))
