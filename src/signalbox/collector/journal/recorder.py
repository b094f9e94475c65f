"""A decision and what came of it, as one entry of the journal; names closed, nothing else let through."""

from __future__ import annotations

import re
from collections.abc import Mapping

from signalbox.collector.afterwards import Terms, answer_usd, spent_usd
from signalbox.collector.join import Exchange
from signalbox.collector.journal.entry import DECISION_ID, VERSION, RequestEntry
from signalbox.collector.names import Names, close
from signalbox.collector.records import RequestRecord
from signalbox.collector.verdict import POLICY_ID, match
from signalbox.record import Record
from signalbox.telemetry import StoreFault
from signalbox.types import (
    Endpoint,
    EngineOutcome,
    ImageAsked,
    LocalBy,
    PersonalData,
    PinOutcome,
    Price,
    Privacy,
    Reason,
    Refusal,
    ThresholdState,
)

_ENDPOINTS = frozenset(Endpoint)
_REASONS = frozenset(Reason)
_REFUSALS = frozenset(Refusal)
_PRIVACY = frozenset(Privacy)
_ENGINE_OUTCOMES = frozenset(EngineOutcome)
_CUTS = frozenset(ThresholdState)
_PINS = frozenset(PinOutcome)
_ROLLOUT = frozenset({"in", "out"})
_STORE_FAULTS = frozenset(StoreFault)
_LOCAL_BY = frozenset(LocalBy)
_PERSONAL = frozenset(PersonalData)
_IMAGE_ASKED = frozenset(ImageAsked)
_HASH = DECISION_ID
_DETAIL = re.compile(r"[a-z_]{1,32}")
_BUDGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,159}")  # a name of the policy, and its period


def request_entry(
    record: Record,
    exchange: Exchange,
    request: RequestRecord,
    names: Names,
    prices: Mapping[str, Price | None],
    terms: Terms,
    now_seconds: float,
) -> RequestEntry:
    """Return the entry of one request.

    request: of `exchange`, which has one. prices: by model. now_seconds: since the epoch, for an entry of Envoy's that
    does not say when it ended.
    """
    usage = request.usage
    provider, model = names.target(request.served)
    served = request.served.model if request.served is not None else None
    usd, whole_usd = spent_usd(request, prices.get(served) if served is not None else None), None
    if record.spent_on_answer:
        usd, whole_usd = answer_usd(record, prices, terms, counted=False), answer_usd(record, prices, terms)
    return RequestEntry(
        v=VERSION,
        ended_seconds=round(now_seconds if request.ended_seconds is None else request.ended_seconds, 3),
        id=_shaped(DECISION_ID, record.id),
        endpoint=close(record.endpoint, _ENDPOINTS),
        policy=_shaped(POLICY_ID, record.policy),
        error=close(record.error, _REFUSALS),
        router=close(record.router, names.routers),
        route=close(record.route, names.routes),
        reason=close(record.reason, _REASONS),
        rule=close(record.rule, names.rules),
        privacy=close(record.privacy, _PRIVACY),
        stream=record.stream,
        chain=tuple([names.target(candidate) for candidate in record.chain]),
        tokens=record.tokens,
        estimate_tokens=record.estimate,
        complexity=record.complexity,
        decide_us=record.decide_us,
        expected_usd=record.expected_usd,
        expected_output_tokens=record.expected_output,
        session=_shaped(_HASH, record.session),
        pin=close(record.pin, _PINS),
        spent=_shaped(_BUDGET, record.spent),
        rollout=close(record.rollout, _ROLLOUT),
        shadow=record.shadow and (close(record.shadow[0], names.routes), close(record.shadow[1], names.models)),
        explored=record.explored,
        engine=close(record.engine, names.engines),
        engine_outcome=close(record.engine_outcome, _ENGINE_OUTCOMES),
        engine_detail=match(_DETAIL, record.engine_detail) or "",
        engine_us=record.engine_us,
        score=record.score,
        threshold=record.threshold,
        store=close(record.store, _STORE_FAULTS),
        world=record.world,
        provider=provider,
        model=model,
        attempts=request.attempts,
        outcomes=tuple([attempt.outcome.value for attempt in exchange.attempts]),
        status=request.status,
        details=request.details,
        client_gone=request.client_gone,
        ttft_ms=None if request.ttft_us is None else request.ttft_us / 1e3,
        duration_ms=None if request.duration_seconds is None else round(request.duration_seconds * 1e3, 3),
        retry_after_seconds=exchange.retry_after_seconds,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usd=None if usd is None else round(usd, 9),  # to a billionth, which is what budgets count in
        features=record.features,
        goal=close(record.goal, names.routers),
        spent_on_answer=tuple(
            [
                (names.consulted(each.model, record.engine), each.input_tokens, each.output_tokens, each.counted)
                for each in record.spent_on_answer
            ]
        ),
        asked=tuple(
            [
                (*names.engine(each.engine, each.outcome), match(_DETAIL, each.detail) or "", each.microseconds)
                for each in record.asked
            ]
        ),
        answer_usd=None if whole_usd is None else round(whole_usd, 9),
        local_by=close(record.local_by, _LOCAL_BY),
        personal=tuple([close(kind, _PERSONAL) for kind in record.personal]),
        image_asked=close(record.image_asked, _IMAGE_ASKED),
        image_served=record.image_served,
        first_score=record.first_score,
        cut=close(record.cut, _CUTS),
    )


def _shaped(shape: re.Pattern[str], text: str) -> str:
    return text if shape.fullmatch(text) else ""
