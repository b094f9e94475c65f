"""`signalbox eval` and `signalbox score`: from files to a report, and from prompts to scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from signalbox.errors import SetupError
from signalbox.evaluation import costs as cost_models
from signalbox.evaluation.baselines import COMPOSITE, WORD_COUNT, counted, fitted
from signalbox.evaluation.builtin import BUILTIN, BuiltinRouter
from signalbox.evaluation.compare import compare, with_choice
from signalbox.evaluation.folds import By, Fold, make_folds
from signalbox.evaluation.padding import Floats, Padding, pad
from signalbox.evaluation.progress import bar
from signalbox.evaluation.records import LABELS, NEITHER, Records, Scale, read_prompts, read_records
from signalbox.evaluation.report import Report
from signalbox.evaluation.routers import PolicyRouter, Said, Verdicts, features_of, nobody, read_scores

SCORES_PREFIX = "scores:"
FEW_ROWS = 100
"""Of a source, below which a note says that its figures tell little."""

MISSING_EXTRA = "TF-IDF + ridge and k-NN are left out: they need scikit-learn; pip install 'signalbox[train]'"


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of one evaluation.

    data: files of records. router: see `open_router`. strong, weak: sides; see `read_records`. strong_models: of the
    policy. threshold, target_share: in place of the router's own. padding: measure it.
    """

    data: tuple[Path, ...]
    router: str
    strong: str | None = None
    weak: str | None = None
    strong_models: tuple[str, ...] = ()
    scale: Scale | None = None
    split: str | None = None
    prices: Path | None = None
    answer_tokens: int = cost_models.ANSWER_TOKENS
    threshold: float | None = None
    target_share: float | None = None
    folds: By | None = None
    padding: bool = False
    resamples: int = 1_000
    seed: int = 0
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A router that is asked about prompts, or the scores of one that was."""

    asked: PolicyRouter | BuiltinRouter | None
    scores: Path | None = None

    def verdicts(self, records: Records, said: Said = nobody) -> Verdicts:
        """Return what the router says of each record."""
        if self.asked is not None:
            return self.asked.verdicts(records.prompts, said)
        assert self.scores is not None
        whole = read_scores(self.scores, records.found.in_files)
        return replace(whole, scores=whole.scores[records.places])

    def close(self) -> None:
        """Let go of what the router holds."""
        if isinstance(self.asked, PolicyRouter):
            self.asked.close()


def open_router(word: str, strong_models: Sequence[str] = ()) -> Opened:
    """Open `builtin`, `builtin:DIR` (heads of a bundle), `POLICY.yaml:ROUTER` or `scores:FILE.npy`.

    Raises SetupError for other words, and what the router's own parts raise.
    """
    if word == BUILTIN:
        return Opened(BuiltinRouter.load())
    kind, colon, name = word.rpartition(":")
    if colon and kind == BUILTIN:
        return Opened(BuiltinRouter.load(Path(name)))
    if word.startswith(SCORES_PREFIX):
        return Opened(None, Path(word.removeprefix(SCORES_PREFIX)))
    if not kind or not name:
        raise SetupError(
            f"--router {word!r}\n  expected: builtin, builtin:DIR, POLICY.yaml:ROUTER or scores:FILE.npy\n"
            "  fix: name a policy's file and, after a colon, one of its routers"
        )
    return Opened(PolicyRouter(Path(kind), name, strong_models))


def evaluate(options: Options) -> Report:
    """Evaluate a router on data with outcomes, beside the baselines.

    Raises DataError for data, scores and prices that cannot be used, SetupError for words that mean nothing here, and
    PolicyError, BundleError or RouterError for a router that cannot be opened.
    """
    records = read_records(options.data, options.strong, options.weak, scale=options.scale, split=options.split)
    folds = make_folds(records.prompts, records.sources, options.folds, seed=options.seed)
    costs = cost_models.shares(len(records))
    if options.prices is not None:
        costs = cost_models.priced(records, options.prices, options.answer_tokens)
    opened = open_router(options.router, options.strong_models)
    try:
        with bar("router", len(records), quiet=options.quiet) as said:
            router = with_choice(opened.verdicts(records, said), options.threshold, options.target_share)
        notes = [*_cautions(records), *_learned_from(records, opened.asked), *router.notes]
        baselines = counted(records)
        try:
            with bar("learning baselines", len(folds), quiet=options.quiet) as said:
                learned = fitted(records, folds, said)
        except ImportError:
            notes.append(MISSING_EXTRA)
        else:
            baselines += learned
            notes += learned[0].notes
        with bar("intervals", len(records.source_names) + 1, quiet=options.quiet) as said:
            comparison = compare(
                records, router, baselines, costs, resamples=options.resamples, seed=options.seed, said=said
            )
        padding = None
        if options.padding:
            padding = _padding(records, opened, comparison.pooled.strong_share, options.seed)
            if padding is None:
                notes.append("padding is not measured: a file of scores cannot be asked about other prompts")
    finally:
        opened.close()
    return Report(
        records=records,
        router=router,
        comparison=comparison,
        costs=costs,
        folds=_told(folds, options.folds),
        resamples=options.resamples,
        seed=options.seed,
        data={file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in options.data},
        notes=tuple(notes),
        padding=padding,
    )


def score(data: Path, out: Path, router: str = BUILTIN, *, quiet: bool = False) -> int:
    """Write a score for each row of `data`, in its order, to a .npy file: float32, higher = needs the strong model.

    Only `prompt` is read. Returns how many rows there are. Raises as `evaluate` does.
    """
    prompts = read_prompts(data)
    opened = open_router(router)
    if opened.asked is None:
        raise SetupError(f"--router {router!r}: these are scores already\n  fix: name a router that can be asked")
    try:
        with bar("router", len(prompts), quiet=quiet) as said:
            scores = opened.asked.verdicts(prompts, said).scores
    finally:
        opened.close()
    try:
        with out.open("wb") as file:
            np.save(file, scores.astype(np.float32), allow_pickle=False)
    except OSError as problem:
        raise SetupError(f"{out}: {problem.strerror}\n  fix: name a file that can be written after --out") from problem
    return len(prompts)


def _padding(records: Records, opened: Opened, strong_share: float, seed: int) -> Padding | None:
    asked = opened.asked
    if asked is None:
        return None

    def words(prompts: Sequence[str]) -> Floats:
        return np.array([each.words for each in features_of(prompts)], dtype=np.float64)

    def composite(prompts: Sequence[str]) -> Floats:
        return np.nan_to_num(np.array([each.complexity for each in features_of(prompts)], dtype=np.float64))

    scorers = {
        asked.name: lambda prompts: asked.verdicts(prompts).scores,
        WORD_COUNT: words,
        COMPOSITE: composite,
    }
    return pad(records.prompts, strong_share, scorers, seed=seed)


def _cautions(records: Records) -> list[str]:
    """Return what a reader of the figures should know about the data."""
    notes = []
    for source in records.source_names:
        rows = records.rows_of(source)
        strong, weak, labels = records.strong[rows], records.weak[rows], records.labels[rows]
        if len(rows) < FEW_ROWS:
            notes.append(f"{source}: {len(rows)} rows; its figures tell little")
        if strong.mean() <= weak.mean():
            notes.append(
                f"{source}: {records.strong_name} is no better than {records.weak_name} ({strong.mean():.3f} against "
                f"{weak.mean():.3f}); there is no gap to recover, and APGR and CPT do not exist"
            )
        classes = {label for label in labels.tolist() if label != NEITHER}
        if len(classes) < 2:
            told = "no prompt tells the sides apart" if not classes else f"every prompt that tells is {_word(classes)}"
            notes.append(f"{source}: {told}; AUROC does not exist")
    if records.found.contradictory:
        notes.append(
            f"{records.found.contradictory} rows contradict another one on the same prompt: no router gets all right"
        )
    return notes


def _learned_from(records: Records, asked: PolicyRouter | BuiltinRouter | None) -> list[str]:
    known = (
        [] if not isinstance(asked, BuiltinRouter) else [name for name in records.source_names if name in asked.sources]
    )
    if not known:
        return []
    return [f"the built-in heads were trained on {', '.join(known)}: on these, their figures are better than on yours"]


def _word(classes: set[int]) -> str:
    return next(name for name, label in LABELS.items() if label in classes)


def _told(folds: Sequence[Fold], by: By | None) -> str:
    if by == "source" or (by is None and not folds[0].name.startswith("part ")):
        return f"baselines learn from the other {len(folds) - 1} sources, never from the one they score"
    if len(folds) == 1:
        return "all prompts are equal: baselines have nothing to learn from"
    return f"baselines learn from the other {len(folds) - 1} of {len(folds)} parts, equal prompts in one part"
