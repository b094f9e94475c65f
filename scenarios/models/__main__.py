"""Take six routers from checkpoint to routed request, then break each thing that may break, and say what was seen.

    python -m scenarios.models --export-python .venv-export/bin/python

Exit status 1 when anything was not as it should be, and which.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.environment import describe
from scenarios.models import trouble
from scenarios.models.checkpoints import CHECKPOINTS
from scenarios.models.damage import DAMAGES
from scenarios.models.exports import DemoError, Exported, called, export_all
from scenarios.models.gateway import Gateway, running_gateway
from scenarios.story import Row, table
from signalbox.envoy.binary import find_envoy
from signalbox.errors import SetupError
from tests.dataplane.stack import Stack, wait_until

ROUTERS = ("bert", "mf", "arch-router", "orchestrator", "router-r1", "modality")
SAID = {"orchestrator": ("unsure", "no_route")}  # of these weights; all others give a result
NOT_ASKED = {"outcome": "not asked", "detail": "", "scores": {}}
BENCHED = "arch-router"
FAULTY = "bert"  # the engine whose bundle is damaged


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 all as it should be, 1 something was not, 2 it could not be tried."""
    parser = argparse.ArgumentParser(prog="scenarios.models", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--export-python", type=Path, default=Path(sys.executable), metavar="FILE",
        help="Python of an environment with the extra `export`; this one by default",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        find_envoy()
    except SetupError as problem:
        print(problem, file=sys.stderr)
        return 2
    began = time.monotonic()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="sbx-models-") as folder:
        try:
            rows = list(play(options.export_python, Path(folder)))
        except DemoError as problem:
            print(f"broken: {problem}", file=sys.stderr)
            return 1
    print("\n" + table("checks", rows))
    print(f"\n{time.monotonic() - began:.0f} seconds in all")
    broken = [row for row in rows if not row.holds]
    for row in broken:
        print(f"broken: {row.what}: {row.found}, wanted {row.wanted}", file=sys.stderr)
    return 1 if broken else 0


def play(export_python: Path, folder: Path) -> Iterator[Row]:
    """Print what is seen, and yield what had to hold."""
    _head("checkpoint", "architecture", "export s", "kB", "inspect", "bench: p50 ms")
    exported = {}
    for each in export_all(export_python, Path(sys.executable), folder):
        exported[each.name] = each
        _line(*_told(each))
    unusable = [name for name, each in exported.items() if not each.inspected["usable"]]
    yield Row("bundles that `models inspect` finds unusable", ", ".join(unusable) or "none", "none", not unusable)

    bundles = folder / "bundles"
    words: list[str | Path] = [
        "models",
        "bench",
        bundles / BENCHED,
        "--quiet",
        "--lengths",
        "64,256,1024",
        "--seconds",
        "0.2",
    ]
    print("\n```\n" + called([sys.executable, "-m", "signalbox", *words]) + "```", flush=True)

    engines = trouble.engines(folder, bundles / FAULTY)
    with running_gateway(bundles, engines, trouble.act) as gateway:
        yield from _routed(gateway)
        yield from _damaged(gateway, bundles, folder)
        yield from _troubled(gateway)


def _told(each: Exported) -> tuple[object, ...]:
    manifest = each.inspected["manifest"]
    usable = "fine" if each.inspected["usable"] else "**unusable**"
    name = CHECKPOINTS[each.name].published
    return (
        name,
        manifest["architecture"] or "three tensors",
        f"{each.export_seconds:.1f}",
        f"{each.kilobytes:.0f}",
        usable,
        f"{each.p50_ms:.3g}",
    )


def _routed(gateway: Gateway) -> Iterator[Row]:
    print()
    _head("router", "engine says", "scores", "ms", "reason", "route", "answered by", "`route --explain`")
    refused, differing = [], []
    for name in ROUTERS:
        found, told = gateway.ask(name), gateway.explain(name)
        engine, decision = told.get("engine", NOT_ASKED), told["decision"]
        explained = (decision["route"], decision["reason"], decision["chain"][0])
        same = explained == (found.route, found.reason, found.model)
        same &= decision.get("engine", {}).get("score") == found.score
        scores = ", ".join(f"{label} {score:.3f}" for label, score in engine["scores"].items())
        _line(
            CHECKPOINTS[name].published,
            _answer(engine),
            scores or "none",
            f"{found.took_ms:.1f}",
            found.reason,
            found.route,
            found.model,
            "the same" if same else "**another**",
        )
        if found.status != 200 or (engine["outcome"], engine["detail"]) != SAID.get(name, ("result", "")):
            refused.append(f"{name}: {found.status}, {_answer(engine)}")
        if not same:
            differing.append(name)
    asked = [body for body in gateway.judge.requests if body.startswith(b"POST /r1/")]
    yield Row(
        "requests not judged as these weights do, or not answered", ", ".join(refused) or "none", "none", not refused
    )
    yield Row("decisions that `route --explain` tells otherwise", ", ".join(differing) or "none", "none", not differing)
    yield Row("rounds of Router-R1, asked through Envoy", str(len(asked)), "4: two for each of two", len(asked) == 4)


def _damaged(gateway: Gateway, bundles: Path, folder: Path) -> Iterator[Row]:
    stack = gateway.stack
    print()
    _head("at load", "message", "meanwhile")
    before, healthy = stack.policy_in_use(), stack.policy_file.read_text()
    silent, unanswered = [], []
    for number, (name, (damage, says)) in enumerate(DAMAGES.items(), start=1):
        place = folder / "damaged" / name.replace(" ", "-")
        shutil.copytree(bundles / FAULTY, place)
        damage(place, bundles / "modality")
        _refused(stack, place, number)
        message = cause(stack.api("/readyz"), place)
        found = gateway.ask(FAULTY)
        _line(name, message, f"{found.status} by {found.model}, {found.reason}")
        if says not in message:
            silent.append(name)
        if found.status != 200 or found.reason != "engine" or stack.policy_in_use() != before:
            unanswered.append(name)
    stack.replace_policy(healthy)
    yield Row("damaged bundles whose message names no cause", ", ".join(silent) or "none", "none", not silent)
    yield Row("damaged bundles that touched the policy in use", ", ".join(unanswered) or "none", "none", not unanswered)


def _refused(stack: Stack, bundle: Path, times: int) -> None:
    """Point the policy at a bundle, and wait until it was refused so many times."""
    stack.edit_policy(lambda policy: policy["engines"][FAULTY].update(bundle=str(bundle)))
    wait_until(
        lambda: stack.metric("signalbox_policy_reloads_total", outcome="refused") == times,
        f"a policy with {bundle.name} is refused",
    )


def _troubled(gateway: Gateway) -> Iterator[Row]:
    print()
    _head("at run time", "engine says", "after ms", "reason", "meanwhile")
    wrong, unanswered, latest = [], [], 0.0
    for name, expected in trouble.TROUBLES.items():
        router = trouble.key(name)
        engine = gateway.explain(router, trouble.QUESTION).get("engine", NOT_ASKED)
        found = gateway.ask(router, trouble.QUESTION)
        _line(
            name,
            _answer(engine),
            f"{found.took_ms:.0f}",
            found.reason,
            f"{found.status} by {found.model}, {found.route}",
        )
        if (engine["outcome"], engine["detail"], found.reason) != (expected.outcome, expected.detail, expected.reason):
            wrong.append(name)
        if found.status != 200:
            unanswered.append(name)
        latest = max(latest, found.took_ms)
    over = latest - trouble.DEADLINE_MS
    yield Row("faults with another outcome or reason", ", ".join(wrong) or "none", "none", not wrong)
    yield Row("requests without an answer", ", ".join(unanswered) or "none", "none", not unanswered)
    yield Row("longest wait past a deadline, ms", f"{over:.1f}", "< 250, on a busy machine", over < 250)


def _answer(engine: dict[str, Any]) -> str:
    return " ".join(filter(None, (engine["outcome"], engine["detail"])))


def cause(ready: str | None, folder: Path) -> str:
    """Return the first problem of a refused policy, without places: file, found, expected.

    ready: what `/readyz` says. folder: of the bundle.
    """
    problem = str(json.loads(ready or "{}").get("policy", {}).get("error") or "nothing")
    told = problem.replace(f"{folder}/", "").partition(f"engines.{FAULTY}.bundle: ")[2] or problem
    first = [line.strip() for line in told.splitlines()[:2]]
    return re.sub(r"([0-9a-f]{8})[0-9a-f]{56}", r"\1…", "; ".join(first).replace(f'"{folder}"', "it"))


def _head(*names: str) -> None:
    _line(*names)
    print("|" + "---|" * len(names), flush=True)


def _line(*cells: object) -> None:
    print("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
