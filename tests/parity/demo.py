"""`make models-demo`: each published router's architecture from a checkpoint to a request routed through Envoy.

The checkpoints are small and random, with the real classes and the published names, so what is shown is the way and not
the judgement. Router-R1 is served, as it is in earnest; a stand-in says what the model says when it calls another one.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

from signalbox.cli import main as signalbox
from tests.dataplane.stack import POLICY, Stack, running_stack
from tests.dataplane.test_served_engines import CALLED, TASKS
from tests.parity import small
from tests.parity.test_preference import MODELS
from tests.unit.bundles.export.checkpoints import factorization_arrays, write_checkpoint, write_safetensors
from tests.unit.engines.scripted_server import respond, serving

PROMPTS = ("Write a function that reverses a list.", "Explique-moi la photosynthèse, s'il te plaît !")
TIERS = {"strong": "hard", "weak": "simple"}


def checkpoints(folder: Path) -> dict[str, tuple[Path, Sequence[str]]]:
    """Make them. Returns name of the bundle -> checkpoint, and what its export says besides."""
    arrays = factorization_arrays(dims=small.COMMON["hidden_size"])
    factorization = write_checkpoint(folder / "mf_gpt4_augmented", {"dim": 8, "num_models": 64})
    write_safetensors(factorization / "model.safetensors", **arrays)
    int8 = ("--dtype", "int8", "--min-agreement", "0.5")  # random heads decide by a hair
    return {
        "bert": (small.xlm_roberta(folder / "bert_gpt4_augmented"), int8),
        "minilm": (small.bert(folder / "all-MiniLM-L6-v2"), ("--dtype", "int8")),
        "mf": (factorization, ()),
        "arch-router": (MODELS["arch-router"][0](folder), ()),
        "orchestrator": (MODELS["plano-orchestrator"][0](folder), ()),
        "router-r1": (small.qwen2(folder / "Router-R1-Qwen2.5-3B-Instruct"), ()),
        "modality": (small.modern_bert(folder / "mmbert32k-modality-router-merged"), int8),
    }


def policy(bundles: Path, served: str) -> Template:
    """The data-plane tests' policy, with an engine and a router for each model."""
    document = yaml.safe_load(POLICY.template)
    in_process = {
        "bert": {"kind": "classifier"},
        "mf": {"kind": "matrix_factorization", "embedding": {"bundle": str(bundles / "minilm")}},
        "arch-router": {"kind": "preference"},
        "orchestrator": {"kind": "preference"},
        "modality": {"kind": "modality"},
    }
    engines: dict[str, Any] = {
        name: {**engine, "bundle": str(bundles / name), "deadline_ms": 5000} for name, engine in in_process.items()
    }
    engines["router-r1"] = {"kind": "deliberate", "endpoint": served, "model": "router-r1", "deadline_ms": 5000}
    document["engines"] = engines
    by_label = {"tasks": {"AR": "simple", "DIFFUSION": "hard", "BOTH": "hard"}}
    asks = {"bert": TIERS, "mf": TIERS, "modality": by_label}
    document["routers"] |= {
        f"by-{name}": {"tasks": TASKS, "default_task": "simple", "engine": {"name": name, **asks.get(name, {})}}
        for name in engines
    }
    return Template(yaml.safe_dump(document, sort_keys=False))


def run(*words: str) -> None:
    print(f"\n$ signalbox {shlex.join(words)}", flush=True)
    if signalbox(list(words)):
        raise SystemExit(f"signalbox {words[0]} failed")


def show_request(stack: Stack, router: str, text: str) -> dict[str, str]:
    """Send one request through Envoy and print what its answer's headers say."""
    answer = stack.chat(f"router:{router}", text)
    if answer.status_code != 200:
        raise SystemExit(f"{router}: status {answer.status_code}: {answer.text}")
    headers = {name: answer.headers.get(name, "") for name in ("x-model-router-selected-route", "x-signalbox-model")}
    headers["reason"] = answer.headers["x-signalbox-reason"]
    print(f"{router:<16}{text[:44]:<46}{'  '.join(headers.values())}", flush=True)
    return headers


def main() -> None:
    """Export, inspect, serve, route, explain."""
    import torch

    torch.manual_seed(3)
    with tempfile.TemporaryDirectory(prefix="sbx-models-") as place:
        folder, bundles = Path(place) / "checkpoints", Path(place) / "bundles"
        folder.mkdir()
        made = checkpoints(folder)
        for name, (source, besides) in made.items():
            run("models", "export", str(source), "--out", str(bundles / name), "--quiet", *besides)
            run("models", "inspect", str(bundles / name))
        run("models", "bench", str(bundles / "bert"), "--lengths", "32,128", "--seconds", "0.3", "--quiet")
        speaks = respond(CALLED, "200 OK", "content-type: application/json")
        with serving(speaks) as server, running_stack(policy(bundles, server.url), workers=1) as stack:
            print("\nThrough Envoy: router, prompt, route, model, reason")
            for name in ("bert", "mf", "arch-router", "orchestrator", "router-r1", "modality"):
                for text in PROMPTS:
                    found = show_request(stack, f"by-{name}", text)
                    if not found["reason"].startswith("engine"):
                        raise SystemExit(f"by-{name}: expected the engine to have been asked, found {found['reason']}")
            body = Path(place) / "body.json"
            body.write_text(
                json.dumps({"model": "router:by-bert", "messages": [{"role": "user", "content": PROMPTS[0]}]})
            )
            run("route", str(body), "--policy", str(stack.policy_file), "--explain")


if __name__ == "__main__":
    main()
