"""The answer to a request no candidate can take: which filter removed which model, and what would help."""

from __future__ import annotations

from collections.abc import Mapping

from signalbox.decide.filters import Demands
from signalbox.errors import RequestError
from signalbox.types import Refusal

SHOWN_MODELS = 5

FORBIDDEN = 403  # not a 5xx: client libraries would send local-only content again and again


def no_candidate(removed: Mapping[str, str], demands: Demands) -> RequestError:
    """Return the error for a pool that `removed` (model -> filter) emptied, in the order it happened.

    The filter that took the last model decides the status: 403 when it was privacy, because nothing the
    client may change would help; 400 otherwise, because a different request could be served.
    """
    by_filter: dict[str, list[str]] = {}
    for model, name in removed.items():
        by_filter.setdefault(name, []).append(model)
    steps = "; ".join(f"{name} removed {_listed(models)}" for name, models in by_filter.items())
    last = next(reversed(by_filter))
    status = FORBIDDEN if last == "privacy" else 400
    message = f"no model can take this request: {steps}. {_hint(last, demands)}"
    return RequestError(message, status=status, code=Refusal.NO_CANDIDATE)


def _listed(models: list[str]) -> str:
    more = len(models) - SHOWN_MODELS
    return ", ".join(models[:SHOWN_MODELS]) + (f" and {more} more" if more > 0 else "")


def _hint(name: str, demands: Demands) -> str:
    """Say what the last filter wanted, in the request's own numbers."""
    features = demands.features
    about = "about " if features.tokens_estimated else ""
    reserved = f" and {features.output_tokens} are reserved for the answer" if features.output_tokens else ""
    personal = f" (it holds {', '.join(demands.personal)})" if demands.personal else ""
    hints = {
        "endpoint": f"None of them serves {demands.endpoint.path}.",
        "privacy": f"It is local-only{personal}, and none of them is local.",
        "modality": f"It carries {', '.join(sorted(features.modalities))}.",
        "tools": "It carries tool definitions.",
        "json_schema": "It demands a JSON schema.",
        "models": "The body's models names none of the others.",
        "provider": "The body's provider allows none of the others.",
        "output": f"It asks for up to {features.output_tokens} tokens of output.",
        "input": f"The prompt has {about}{features.prompt_tokens} tokens, more than they are given.",
        "answers": "It demands an image, and none of them makes any.",
        "context": f"The prompt has {about}{features.prompt_tokens} tokens{reserved}.",
    }
    return hints[name]
