"""Envoy's configuration as plain dicts, and the few shapes that every part of it repeats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from signalbox.envoy.layout import METADATA_NAMESPACE

Resource = dict[str, Any]
"""A message of Envoy's API in its JSON form: field names as in the .proto files."""


def typed(message: str, **fields: Any) -> Resource:
    """A message that carries its own type, as `Any` fields want it."""
    return {"@type": f"type.googleapis.com/{message}", **fields}


def extension(name: str, message: str, **fields: Any) -> Resource:
    """An extension: registered name and typed configuration."""
    return {"name": name, "typed_config": typed(message, **fields)}


def seconds(value: float) -> str:
    """A duration in protobuf's JSON form; Envoy keeps milliseconds at best."""
    return f"{value:.3f}".rstrip("0").rstrip(".") + "s"


def literal(text: str) -> str:
    """Text that Envoy's formatter leaves as it is: a lone percent sign would begin a command."""
    return text.replace("%", "%%")


def set_header(name: str, value: str) -> Resource:
    """A HeaderValueOption that replaces whatever is there. `value` is a format string."""
    return {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": {"key": name, "value": value}}


def metadata(key: str, value: Resource) -> Resource:
    """A MetadataMatcher on one key of the decision."""
    return {"filter": METADATA_NAMESPACE, "path": [{"key": key}], "value": value}


def is_text(text: str) -> Resource:
    """A ValueMatcher for exactly this string."""
    return {"string_match": {"exact": text}}


def is_number(number: int) -> Resource:
    """A ValueMatcher for exactly this number; metadata knows doubles only."""
    return {"double_match": {"exact": number}}


IS_PRESENT: Resource = {"present_match": True}


def pipe_cluster(name: str, sockets: Iterable[object], **fields: Any) -> Resource:
    """A cluster of gRPC servers on unix sockets, which Envoy balances per stream."""
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "0.25s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(socket)}}}} for socket in sockets]}
            ],
        },
        "typed_extension_protocol_options": http_options(explicit_http_config={"http2_protocol_options": {}}),
        **fields,
    }


def remote_cluster(name: str, host: str, port: int, **fields: Any) -> Resource:
    """The same at a host: each of its addresses is an endpoint."""
    address = {"socket_address": {"address": host, "port_value": port}}
    return {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "typed_extension_protocol_options": http_options(explicit_http_config={"http2_protocol_options": {}}),
        **fields,
    }


def http_options(**fields: Any) -> Resource:
    """`typed_extension_protocol_options` of a cluster that speaks HTTP."""
    message = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {message: typed(message, **fields)}
