"""What kind of answer a request wants, and which candidates can give it.

A parameter that demands an image leaves no doubt: whoever cannot make one is left out. Words that ask for one are
read by patterns or a model, and both err: where nobody can make images the request goes on to those who write,
because "I cannot draw" from a model is worth more than a refusal from a gateway.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from signalbox.features.extract import IMAGE_AT
from signalbox.features.parameters import demands_text
from signalbox.types import Candidate, Case, Endpoint, EngineOutcome, ImageAsked, Output

Candidates = tuple[Candidate, ...]

IMAGE_LABELS = frozenset({"diffusion", "both"})
"""What the published modality routers call requests for an image, in lower case; `both` wants text beside it."""

TEXT = frozenset({Output.TEXT})
IMAGE = frozenset({Output.IMAGE})


class Wanted(NamedTuple):
    """outputs: what will do, best first; empty where no kind of answer is to be had, as with embeddings."""

    asked: ImageAsked
    outputs: tuple[frozenset[Output], ...]

    @property
    def is_demand(self) -> bool:
        """Whether nothing but the first of `outputs` will do."""
        return self.asked is ImageAsked.PARAMETERS

    def keep(self, candidates: Candidates) -> Candidates:
        """Return those that give what is wanted, or the next best; all of them where nobody gives any of it.

        For a demand: those of whom nobody knows what they make, and nobody where there are none. The very same tuple
        when all stay.
        """
        for outputs in self.outputs:
            kept = [candidate for candidate in candidates if outputs <= (candidate.outputs or TEXT)]
            if len(kept) == len(candidates):
                return candidates
            if kept:
                return tuple(kept)
        if not self.is_demand:
            return candidates
        unknown = tuple([candidate for candidate in candidates if not candidate.outputs])
        return candidates if len(unknown) == len(candidates) else unknown

    def suits(self, candidate: Candidate) -> bool:
        """Whether a candidate gives what is wanted most."""
        return not self.outputs or self.outputs[0] <= (candidate.outputs or TEXT)


PLAIN = Wanted(ImageAsked.NO, (TEXT,))
NOTHING = Wanted(ImageAsked.NO, ())
ASKED_IN_WORDS = Wanted(ImageAsked.WORDS, (IMAGE, TEXT))
ASKED_BY_ENGINE = Wanted(ImageAsked.ENGINE, (IMAGE, TEXT))
DEMANDED = Wanted(ImageAsked.PARAMETERS, (IMAGE,))
DEMANDED_WITH_TEXT = Wanted(ImageAsked.PARAMETERS, (IMAGE | TEXT,))


def wanted(case: Case, heads: Collection[str]) -> Wanted:
    """Return what kind of answer a request wants. heads: engines whose labels say so, by name."""
    features, request = case.features, case.request
    if request.endpoint is Endpoint.EMBEDDINGS:
        return NOTHING
    if features.image_demanded:
        return DEMANDED_WITH_TEXT if demands_text(request) else DEMANDED
    if features.image_asked >= IMAGE_AT:
        return ASKED_IN_WORDS
    answers = case.signals.answers
    for name in heads:
        answer = answers.get(name)
        if answer is not None and answer.outcome is EngineOutcome.RESULT:
            chance = sum(score for label, score in answer.scores if label.lower() in IMAGE_LABELS)
            if chance >= IMAGE_AT:
                return ASKED_BY_ENGINE
    return PLAIN
