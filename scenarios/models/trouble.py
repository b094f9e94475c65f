"""What may go wrong with an engine while it serves: numbers, memory, and a model server in every mood."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from scenarios.models.damage import seal
from scenarios.models.gateway import completion
from signalbox.bundles.manifest import MODEL
from tests.dataplane.stack import free_port
from tests.unit.engines.scripted_server import Server, Turn, drip, respond, say, wait

DEADLINE_MS = 500
LABELS = 3
SHORTEST_WARM_UP = 64  # tokens
QUESTION = "Hi"  # shorter than that in any vocabulary, so that models fail at run time and not when they are loaded


@dataclass(frozen=True)
class Trouble:
    """One fault. outcome, detail: what the engine answers; reason: of the decision. turn: what its server does."""

    outcome: str
    detail: str
    reason: str
    turn: Turn | None = None
    section: Mapping[str, Any] = field(default_factory=dict)


def _chosen(content: str) -> Turn:
    message = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return respond(completion(message), "200 OK", "content-type: application/json")


def _said(text: str) -> Turn:
    return respond(completion({"text": text, "finish_reason": "stop"}), "200 OK", "content-type: application/json")


R1 = {"kind": "deliberate", "model": "router-r1-3b", "rounds": 3}

TROUBLES = {
    "NaN logits": Trouble("failed", "not_finite", "engine_failed"),
    "out of memory": Trouble("failed", "run", "engine_failed"),
    "server down": Trouble("failed", "unreachable", "engine_failed"),
    "server slow": Trouble("late", "deadline", "engine_late", wait),
    "server drips": Trouble("late", "deadline", "engine_late", drip(b"HTTP/1.1 200 OK\r\nx-slow: " + b"a" * 999, 0.05)),
    "server says 500": Trouble("failed", "status", "engine_failed", respond(b"{}", "500 Internal Server Error")),
    "server hangs up": Trouble(
        "failed", "unreachable", "engine_failed", say(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", close=True)
    ),
    "garbage": Trouble("failed", "garbage", "engine_failed", respond(b"<html>It works!</html>")),
    "fenced JSON": Trouble("result", "", "engine", _chosen('Sure!\n```json\n{"route": "bug-fixing"}\n```')),
    "unknown route": Trouble("unsure", "unknown_route", "engine_unsure", _chosen('{"route": "poetry"}')),
    "Router-R1 loops": Trouble("unsure", "no_action", "engine_unsure", _said("<think> Hm. </think>"), R1),
    "Router-R1 calls a model nobody has": Trouble(
        "unsure", "unknown_model", "engine_unsure", _said("<search> gpt-9: Why? "), R1
    ),
}


def key(name: str) -> str:
    """Name of the engine and the router of a fault."""
    return name.lower().replace(" ", "-")


def engines(folder: Path, healthy: Path) -> dict[str, dict[str, Any]]:
    """Return an engine for each fault. folder: for bundles that have one. healthy: a classifier's bundle."""
    made = {}
    for name, trouble in TROUBLES.items():
        if trouble.turn is not None or name == "server down":
            address = f"http://127.0.0.1:{free_port()}" if trouble.turn is None else "{judge}"
            section = {"kind": "preference", "model": "arch-router", "endpoint": f"{address}/{key(name)}/v1"}
            made[key(name)] = {**section, "location": "local", "deadline_ms": DEADLINE_MS, **trouble.section}
        else:
            place = folder / key(name)
            shutil.copytree(healthy, place)
            (_without_numbers if name == "NaN logits" else _without_bounds)(place)
            made[key(name)] = {"kind": "classifier", "bundle": str(place), "deadline_ms": DEADLINE_MS}
    return made


def act(server: Server, sock: socket.socket) -> None:
    """Be the model server of the fault that the request's path names."""
    path = server.requests[-1].split(b" ")[1].decode()
    turns = {key(name): trouble.turn for name, trouble in TROUBLES.items()}
    turn = turns[path.split("/")[1]]
    assert turn is not None
    turn(server, sock)


def _without_numbers(folder: Path) -> None:
    """Add NaN to the logits of short texts: a model that has numbers for none is refused when it is loaded."""

    def change(graph: onnx.GraphProto) -> str:
        _missing_tokens(graph)
        graph.initializer.append(numpy_helper.from_array(np.zeros(LABELS, np.float32), "nothing"))
        graph.node.extend(
            [
                helper.make_node("Neg", ["missing"], ["below"]),
                helper.make_node("Cast", ["below"], ["number"], to=TensorProto.FLOAT),
                helper.make_node("Sqrt", ["number"], ["root"]),
                helper.make_node("Mul", ["root", "nothing"], ["ruined"]),
            ]
        )
        return "ruined"

    _add_to_logits(folder, change)


def _without_bounds(folder: Path) -> None:
    """Let a run ask for memory that no address space has, if the text is short: the first request finds out."""

    def change(graph: onnx.GraphProto) -> str:
        _missing_tokens(graph)
        graph.initializer.append(numpy_helper.from_array(np.array([1 << 50], np.int64), "far_too_many"))
        zero = helper.make_tensor("v", TensorProto.FLOAT, [1], [0])
        graph.node.extend(
            [
                helper.make_node("Mul", ["missing", "far_too_many"], ["wanted"]),
                helper.make_node("ConstantOfShape", ["wanted"], ["zeros"], value=zero),
                helper.make_node("ReduceSum", ["zeros"], ["nothing"], keepdims=0),
            ]
        )
        return "nothing"

    _add_to_logits(folder, change)


def _missing_tokens(graph: onnx.GraphProto) -> None:
    """Count by how much a text is shorter than all that a model is warmed up with: `missing`, (1,), 0 for those."""
    constants = {"one": [1], "two": [2], "none": [0], "shortest": [SHORTEST_WARM_UP]}
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    graph.node.extend(
        [
            helper.make_node("Shape", ["input_ids"], ["shape"]),
            helper.make_node("Slice", ["shape", "one", "two"], ["tokens"]),
            helper.make_node("Sub", ["shortest", "tokens"], ["difference"]),
            helper.make_node("Max", ["difference", "none"], ["missing"]),
        ]
    )


def _add_to_logits(folder: Path, change: Any) -> None:
    """Rewrite a classifier's graph so that its logits have something added, which `change` puts there and names."""
    model = onnx.load(folder / MODEL, load_external_data=False)
    for node in model.graph.node:
        node.output[:] = ["sound" if name == "logits" else name for name in node.output]
    added = change(model.graph)
    model.graph.node.append(helper.make_node("Add", ["sound", added], ["logits"]))
    (folder / MODEL).write_bytes(model.SerializeToString())
    seal(folder)
