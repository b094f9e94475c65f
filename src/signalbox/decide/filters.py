"""Hard filters: which candidates can take a request at all.

Each is a small function (candidates, demands) -> those that pass, in the same order, and the very same
tuple when all do. Privacy comes before everything a request could be changed for; context, which works with
an estimate, and the kind of answer, which may be a guess at what words mean, come last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from signalbox.decide.counts import Counts
from signalbox.decide.members import read_name_list, read_own_member
from signalbox.decide.outputs import PLAIN, Wanted, wanted
from signalbox.errors import RequestError
from signalbox.types import Candidate, Case, Endpoint, Features, ParsedRequest, Privacy, PrivacyVerdict, Refusal

Candidates = tuple[Candidate, ...]

ESTIMATE_SLACK = 3
"""An estimated prompt is at most about this many times the true one; features.tokens has the measurements."""


class Demands(NamedTuple):
    """What one request asks of a candidate."""

    endpoint: Endpoint
    privacy: Privacy
    features: Features
    counts: Counts
    models: tuple[str, ...] | None  # the body's `models`: only these, in this order
    only: tuple[str, ...] | None  # the body's `provider.only`
    ignore: tuple[str, ...] | None  # the body's `provider.ignore`
    wanted: Wanted = PLAIN  # kinds of answer
    personal: tuple[str, ...] = ()  # kinds of personal data that made it local-only


Filter = Callable[[Candidates, Demands], Candidates]


def read_demands(case: Case, verdict: PrivacyVerdict, counts: Counts, heads: Collection[str] = ()) -> Demands:
    """Return the demands of a request. Raises RequestError when `models` or `provider` is malformed.

    heads: names of engines that say what kind of answer a request wants.
    """
    request = case.request
    members = request.scan.members
    models = only = ignore = None
    if "models" in members:
        models = read_name_list(read_own_member(request, "models"), "models")
    if "provider" in members:
        only, ignore = _read_provider(request)
    return Demands(
        request.endpoint,
        verdict.privacy,
        case.features,
        counts,
        models,
        only,
        ignore,
        wanted(case, heads),
        verdict.kinds,
    )


def _read_provider(request: ParsedRequest) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    provider = read_own_member(request, "provider")
    if provider is None:
        return None, None
    if not isinstance(provider, dict):
        raise RequestError("provider must be an object with only, ignore or both", code=Refusal.INVALID_REQUEST)
    return (
        read_name_list(provider.get("only"), "provider.only"),
        read_name_list(provider.get("ignore"), "provider.ignore"),
    )


def keep_endpoint(candidates: Candidates, demands: Demands) -> Candidates:
    """Those that answer this API call."""
    endpoint = demands.endpoint
    return _same_or([c for c in candidates if endpoint in c.endpoints], candidates)


def keep_private(candidates: Candidates, demands: Demands) -> Candidates:
    """Local ones, when the request is local-only. Nothing overrides this."""
    if demands.privacy is Privacy.ANY:
        return candidates
    return _same_or([c for c in candidates if c.is_local], candidates)


def keep_modality(candidates: Candidates, demands: Demands) -> Candidates:
    """Those that take every kind of input the request carries."""
    modalities = demands.features.modalities
    return _same_or([c for c in candidates if modalities <= c.modalities], candidates)


def keep_tools(candidates: Candidates, demands: Demands) -> Candidates:
    """Those that take tool definitions, when there are any."""
    if not demands.features.tools:
        return candidates
    return _same_or([c for c in candidates if c.tools], candidates)


def keep_json_schema(candidates: Candidates, demands: Demands) -> Candidates:
    """Those that can be held to a JSON schema, when one is demanded."""
    if not demands.features.json_schema:
        return candidates
    return _same_or([c for c in candidates if c.json_schema], candidates)


def keep_requested_models(candidates: Candidates, demands: Demands) -> Candidates:
    """Those the body's `models` names. Their order is the ranking's business."""
    models = demands.models
    if models is None:
        return candidates
    return _same_or([c for c in candidates if c.model in models], candidates)


def keep_requested_providers(candidates: Candidates, demands: Demands) -> Candidates:
    """Those of providers the body's `provider` allows."""
    only, ignore = demands.only, demands.ignore
    if only is None and ignore is None:
        return candidates
    return _same_or(
        [
            c
            for c in candidates
            if (only is None or c.provider in only) and (ignore is None or c.provider not in ignore)
        ],
        candidates,
    )


def keep_output(candidates: Candidates, demands: Demands) -> Candidates:
    """Those that can write the longest answer asked for: a provider refuses a larger max_tokens with 400."""
    wanted = demands.features.output_tokens
    if wanted is None:
        return candidates
    return _same_or([c for c in candidates if c.max_output_tokens is None or wanted <= c.max_output_tokens], candidates)


def keep_input(candidates: Candidates, demands: Demands) -> Candidates:
    """Those whose `max_input_tokens` the prompt does not exceed; an estimate is taken at its word."""
    kept = []
    for candidate in candidates:
        limit = candidate.max_input_tokens
        if limit is not None:
            fits = demands.counts.fits(candidate, limit)
            if not (demands.features.prompt_tokens <= limit if fits is None else fits):
                continue
        kept.append(candidate)
    return _same_or(kept, candidates)


def keep_context(candidates: Candidates, demands: Demands) -> Candidates:
    """Those whose window holds the prompt and the answer reserved for; an unknown window holds anything.

    Where a candidate's tokenizer is known its own count decides, taken only as far as bounds leave it open. An
    estimate errs on the high side, so it moves requests to roomier models but does not turn one away that may
    fit: when no window is large enough, the widest of those estimated stay if they hold the prompt at its
    smallest, the estimate divided by `ESTIMATE_SLACK`.
    """
    features = demands.features
    reserved = features.output_tokens or 0
    kept, guessed = [], []
    for candidate in candidates:
        if candidate.context_tokens is None:
            kept.append(candidate)
            continue
        room = candidate.context_tokens - reserved
        fits = demands.counts.fits(candidate, room)
        if fits is None:
            fits = features.prompt_tokens <= room
        if fits:
            kept.append(candidate)
        elif features.tokens_estimated and not demands.counts.is_exact(candidate):
            guessed.append(candidate)
    if kept or not guessed:
        return _same_or(kept, candidates)
    widest = max(c.context_tokens or 0 for c in guessed)
    if features.prompt_tokens // ESTIMATE_SLACK + reserved > widest:
        return ()
    return _same_or([c for c in guessed if c.context_tokens == widest], candidates)


def keep_answers(candidates: Candidates, demands: Demands) -> Candidates:
    """Those that make images, when the request demands one in its parameters."""
    return demands.wanted.keep(candidates) if demands.wanted.is_demand else candidates


def keep_asked(candidates: Candidates, demands: Demands) -> Candidates:
    """Those that make images where words ask for one, and those that write elsewhere; all, where nobody does.

    The last filter: what is only asked for in words must not leave a request without a model for another reason.
    """
    return candidates if demands.wanted.is_demand else demands.wanted.keep(candidates)


def _same_or(kept: list[Candidate], candidates: Candidates) -> Candidates:
    return candidates if len(kept) == len(candidates) else tuple(kept)


FILTERS: tuple[tuple[str, Filter], ...] = (
    ("endpoint", keep_endpoint),
    ("privacy", keep_private),
    ("modality", keep_modality),
    ("tools", keep_tools),
    ("json_schema", keep_json_schema),
    ("answers", keep_answers),
    ("models", keep_requested_models),
    ("provider", keep_requested_providers),
    ("output", keep_output),
    ("input", keep_input),
    ("context", keep_context),
    ("asked", keep_asked),
)
"""Name, as decisions and errors show it, and filter, in the order they run."""

MAX_ATTEMPTS = "max_attempts"
"""Shown for candidates beyond the longest chain the policy allows."""
