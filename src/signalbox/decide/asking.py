"""Engines that answer at once, asked on the request's own thread before anybody is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signalbox.decide.asks import Asks
from signalbox.decide.pipeline import Pipeline
from signalbox.engines.heads import IMAGE_KEY, IMAGE_LABEL
from signalbox.features.extract import asking_for_image
from signalbox.types import Case, EngineOutcome

if TYPE_CHECKING:  # a worker without engines does not wait for what they need
    from signalbox.engines.builtin import Sight
    from signalbox.engines.open import Engines


def answer_at_once(pipeline: Pipeline, engines: Engines, case: Case) -> tuple[Case, Asks | None]:
    """Return the case with the answers that built-in engines gave, and whom to ask and wait for; None if nobody.

    Whether an image is asked for is among the case's features then, and running thresholds are among its signals, for
    all whom the request is asked about. Never raises.
    """
    sight = engines.sight(case.request, case.features)
    if pipeline.tells_images and sight is not None:
        case = _with_image(engines, sight, case)
    asks = pipeline.asks(case)
    if asks is None:
        return case, None
    answers = {} if sight is None else engines.answer_at_once(asks.keys, sight)
    cuts = engines.cuts.of(asks.shares)
    if answers or cuts:
        case = Case(case.request, case.features, case.signals.knowing(answers, cuts))
    if not answers:
        return case, asks
    if pipeline.has_seconds or asks.held_back:
        return case, pipeline.asks(case)
    return case, None if len(answers) == len(asks.questions) else asks.without(answers)


def _with_image(engines: Engines, sight: Sight, case: Case) -> Case:
    """Return the case with the model's word on whether an image is asked for, instead of the patterns' alone.

    Without one the patterns' stands, and so does what a parameter demands.
    """
    if case.features.image_demanded:
        return case
    answers = engines.answer_at_once((IMAGE_KEY,), sight)
    answer = answers.get(IMAGE_KEY)
    if answer is None or answer.outcome is not EngineOutcome.RESULT:
        return case
    features = asking_for_image(case.features, dict(answer.scores)[IMAGE_LABEL])
    return Case(case.request, features, case.signals.knowing(answers, {}))
