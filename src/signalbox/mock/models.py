"""GET /models and /models/ID, in either vendor's shape."""

from __future__ import annotations

from collections.abc import Sequence

from signalbox.mock.errors import ApiError, Vendor
from signalbox.mock.fields import Json

PATH = "/models"
DEFAULT_MODELS = ("mock-small", "mock-large")  # listed by a provider that serves any model


def check_served(model: str, served: Sequence[str], provider: str) -> None:
    """Raises ApiError(404), with the models there are, unless `model` is served; empty `served` is any."""
    if served and model not in served:
        message = f"The model does not exist at {provider}; it serves {', '.join(served)}."
        raise ApiError(404, message, code="model_not_found", param="model")


def write_models(path: str, served: Sequence[str], provider: str, vendor: Vendor) -> Json:
    """The list, or one model where `path` goes on below `/models/`. Raises ApiError(404) if that is not served."""
    names = tuple(served) or DEFAULT_MODELS
    wanted = path.rpartition(PATH)[2].strip("/")
    if wanted:
        check_served(wanted, served, provider)
        return _model(wanted, provider, vendor)
    listed: Json = {"data": [_model(name, provider, vendor) for name in names]}
    if vendor is Vendor.ANTHROPIC:
        return listed | {"has_more": False, "first_id": names[0], "last_id": names[-1]}
    return {"object": "list"} | listed


def _model(name: str, provider: str, vendor: Vendor) -> Json:
    if vendor is Vendor.ANTHROPIC:
        return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
    return {"id": name, "object": "model", "created": 0, "owned_by": provider}
