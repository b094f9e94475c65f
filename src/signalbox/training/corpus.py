"""Texts of the data folder, without their labels: what teacher and student both read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from signalbox.errors import Problem, SetupError

INTENTS = ("banking77", "clinc150", "hwu64", "llm_tasks")
CAPABILITY = (
    "arena_bench_v1",
    "evalperf",
    "llmrouter",
    "mmlu_pro",
    "reasoning_gym",
    "zeroeval_crux",
    "zeroeval_math_l5",
)


def records(path: Path) -> Iterator[Mapping[str, Any]]:
    """The records of a compressed JSON Lines file. Raises SetupError that names file and line."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = json.loads(line)
                except ValueError as problem:
                    raise SetupError(str(Problem(str(path), number, "", f"not JSON: {problem}", "an object"))) from None
                if not isinstance(record, dict):
                    raise SetupError(str(Problem(str(path), number, "", f"{type(record).__name__}", "an object")))
                yield record
    except (OSError, EOFError) as problem:
        raise SetupError(str(Problem(str(path), None, "", f"{problem}", "gzip-compressed JSON Lines"))) from problem


def texts(data: Path, split: str = "train") -> dict[str, list[str]]:
    """Source -> its texts of one split, each once, in the order of the files. The labels are left behind.

    The other splits are for measuring: nothing of them may reach a model.
    """
    found = {name: texts_of(data / f"intents/{name}.jsonl.gz", "text", split) for name in INTENTS}
    dialogues = [
        record["turns"] for record in records(data / "intents/sgd_multiturn.jsonl.gz") if record["split"] == split
    ]
    for name, speaker in (("sgd_user", "u"), ("sgd_assistant", "a")):
        found[name] = list(dict.fromkeys(turn["t"] for turns in dialogues for turn in turns if turn["r"] == speaker))
    found |= {name: texts_of(data / f"capability/{name}.jsonl.gz", "prompt", split) for name in CAPABILITY}
    found["image_prompts"] = texts_of(data / "modality/image_prompts.jsonl.gz", "text", split)
    found["presidio_synth"] = texts_of(data / "privacy/presidio_synth.jsonl.gz", "text", split)
    return found


def texts_of(path: Path, field: str, split: str) -> list[str]:
    """One field of the records of a split, each text once."""
    return list(dict.fromkeys(record[field] for record in records(path) if record["split"] == split))
