"""`signalbox label`: a file of requests in, what a router's engine says of each out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox.cli import main
from signalbox.decide.label import Tally, label_file
from signalbox.errors import SetupError
from signalbox.label import Label, decode
from tests.unit.engines.brains import HARD, use
from tests.unit.engines.bundles import classifier_bundle
from tests.unit.engines.scripted_server import Server, Turn, respond, serving, wait

SECRET = "zanzibar"
REPLY = {"choices": [{"message": {"role": "assistant", "content": '{"route": "hard"}'}}]}
ANSWERS = respond(json.dumps(REPLY).encode())
TASKS = [
    {"name": "simple", "description": "Small talk", "models": ["mini"]},
    {"name": "hard", "description": "Reasoning", "models": ["large"]},
]


def body(text: str) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}]}


def lines(path: Path, *requests: object) -> Path:
    path.write_bytes(b"".join(r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in requests))
    return path


def policy(folder: Path, engine: dict[str, Any], use: Any) -> Path:
    document = {
        "version": 1,
        "providers": {"acme": {"endpoint": "https://api.acme.test/v1"}},
        "models": {"mini": {"provider": "acme"}, "large": {"provider": "acme"}},
        "engines": {"judge": engine},
        "routers": {
            "r": {"tasks": TASKS, "default_task": "simple", "engine": use},
            "plain": {"models": ["mini"]},
        },
        "privacy": {"local_only": {"headers": {"x-data-class": "restricted"}}},
    }
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def tiers(tmp_path: Path) -> Path:
    """A policy whose engine is a classifier on this machine, with a deadline it cannot make."""
    classifier_bundle(tmp_path / "bundle")
    engine = {"kind": "classifier", "bundle": str(tmp_path / "bundle"), "deadline_ms": 0.001}
    return policy(tmp_path, engine, {"name": "judge", "strong": "hard", "weak": "simple", "threshold": 0.4})


def served(folder: Path, server: Server, **more: Any) -> Path:
    engine = {"kind": "preference", "endpoint": server.url, "model": "arch-router", **more}
    return policy(folder, engine, "judge")


def labels(path: Path) -> list[Label]:
    return [decode(line) for line in path.read_bytes().splitlines()]


def test_each_request_gets_a_label_by_line_whatever_the_policys_deadline(tiers: Path, tmp_path: Path) -> None:
    file = lines(tmp_path / "in", body("proof of the theorem"), b"\n", {"id": 7, "body": body("hi thanks")})
    out = tmp_path / "out"
    tally = label_file(file, tiers, "r", out)
    assert (tally.asked, tally.outcomes, tally.refused) == (2, {"result": 2}, 0)
    hard, easy = labels(out)
    assert (hard.line, hard.id, hard.router, hard.engine) == (1, "", "r", "judge")
    assert (hard.task, hard.threshold) == ("hard", 0.4)
    assert hard.score is not None
    assert hard.score > 0.5
    assert dict(hard.scores)["strong"] == hard.score
    assert hard.engine_us > 0
    assert (easy.line, easy.id, easy.task) == (3, "7", "simple")


def test_a_line_that_is_no_request_is_counted_and_the_others_are_labelled(tiers: Path, tmp_path: Path) -> None:
    file = lines(
        tmp_path / "in", b"{nonsense\n", [], {"body": 5}, b"\xff\xfe\n", b"[" * 100_000 + b"\n",
        {"body": body("x"), "endpoint": "nowhere"}, body("proof"),
    )  # fmt: skip
    tally = label_file(file, tiers, "r", tmp_path / "out")
    assert (tally.asked, tally.refused) == (1, 6)
    assert tally.text == "1 labelled: 1 result; 6 lines are no request"
    assert [label.line for label in labels(tmp_path / "out")] == [7]


def test_a_run_goes_on_where_it_was_broken_off(tiers: Path, tmp_path: Path) -> None:
    file, out = lines(tmp_path / "in", *(body(f"proof {n}") for n in range(5))), tmp_path / "out"
    assert label_file(file, tiers, "r", out, most=2).asked == 2
    with out.open("ab") as torn:
        torn.write(b'{"kind":"label","v":1,"li')
    tally = label_file(file, tiers, "r", out)
    assert (tally.asked, tally.known) == (3, 2)
    assert [label.line for label in labels(out)] == [1, 2, 3, 4, 5]
    assert label_file(file, tiers, "r", out).asked == 0


def test_nothing_of_a_request_is_in_a_label(tiers: Path, tmp_path: Path) -> None:
    file = lines(tmp_path / "in", body(f"the proof of {SECRET}"), {"body": body("x"), "headers": {"x-a": SECRET}})
    label_file(file, tiers, "r", tmp_path / "out")
    assert SECRET not in (tmp_path / "out").read_text()


def test_a_server_outside_the_site_is_not_asked_about_local_only_requests(tmp_path: Path) -> None:
    restricted = {"body": body(SECRET), "headers": {"X-Data-Class": "restricted"}}
    file = lines(tmp_path / "in", restricted, body("hello"))
    with serving(ANSWERS) as server:
        label_file(file, served(tmp_path, server), "r", tmp_path / "out")
        assert SECRET not in json.dumps(server.bodies)
        assert len(server.bodies) == 1
        label_file(file, served(tmp_path, server, location="local"), "r", tmp_path / "local")
        assert SECRET in json.dumps(server.bodies)
    held, asked = labels(tmp_path / "out")
    assert (held.outcome, held.detail, held.task) == ("unsure", "local_only", "")
    assert (asked.outcome, asked.task) == ("result", "hard")


@pytest.mark.parametrize(
    ("turn", "outcome", "detail"),
    [(respond(b"<html>"), "failed", "garbage"), (wait, "late", "deadline")],
)
def test_a_server_that_fails_is_an_outcome_of_the_label(tmp_path: Path, turn: Turn, outcome: str, detail: str) -> None:
    file = lines(tmp_path / "in", body("hello"))
    with serving(turn) as server:
        label_file(file, served(tmp_path, server), "r", tmp_path / "out", deadline_seconds=0.3)
    [label] = labels(tmp_path / "out")
    assert (label.outcome, label.detail, label.task) == (outcome, detail, "")


def test_it_says_how_far_it_is(tiers: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def said(tally: Tally) -> None:
        seen.append((tally.asked, tally.lines))

    label_file(lines(tmp_path / "in", body("a"), body("b")), tiers, "r", tmp_path / "out", said=said)
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("router", "out", "endpoint", "found"),
    [
        ("plain", b"", "chat_completions", "has no engine"),
        ("nobody", b"", "chat_completions", "is not there"),
        ("r", b"something else\n", "chat_completions", "holds something else than labels"),
        ("r", b'{"kind":"label","v":1,"at_seconds":1,"router":"q","engine":"e"}\n', "chat_completions", "router 'q'"),
        ("r", b"", "chat", "unknown endpoint"),
    ],
)
def test_what_cannot_be_labelled_is_said_with_the_fix(
    tiers: Path, tmp_path: Path, router: str, out: bytes, endpoint: str, found: str
) -> None:
    (tmp_path / "out").write_bytes(out)
    with pytest.raises(SetupError, match=found):
        label_file(lines(tmp_path / "in", body("a")), tiers, router, tmp_path / "out", endpoint=endpoint)
    assert (tmp_path / "out").read_bytes() == out


def test_the_command_says_what_came_of_it(tiers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = lines(tmp_path / "in", body("proof"), body("hi"))
    words = ["label", str(file), "--policy", str(tiers), "--router", "r", "--out", str(tmp_path / "out")]
    assert main([*words, "--most", "1"]) == 0
    assert capsys.readouterr().out == "1 labelled: 1 result\n"
    assert main(words) == 0
    assert capsys.readouterr().out == "1 labelled: 1 result; 1 were already\n"
    assert main(["label", str(tmp_path / "nothing"), *words[2:]]) == 1
    assert "nothing" in capsys.readouterr().err


def test_the_built_in_engine_labels_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    made = policy(tmp_path, {"kind": "builtin"}, {"name": "judge", "strong": "hard", "weak": "simple"})
    tally = label_file(lines(tmp_path / "in", body(f"{HARD} it"), body("hi")), made, "r", tmp_path / "out")
    assert tally.outcomes == {"result": 2}
    found = [decode(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    assert [(label.engine, label.task, label.score) for label in found] == [
        ("judge", "hard", 0.5),
        ("judge", "simple", 0.0),
    ]
