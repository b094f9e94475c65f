"""docs/models.md: every member of a manifest in order, every option, and commands that do what the table says."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from signalbox.bundles.commands import add_arguments
from signalbox.bundles.export.published import published
from signalbox.bundles.manifest import Kind, Manifest

TEXT = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
COMMANDS = re.findall(r"\| `signalbox (models export [^`]+)` \|", TEXT)
KINDS = {
    "bert": Kind.CLASSIFIER,
    "mf": Kind.MATRIX_FACTORIZATION,
    "arch-router": Kind.PREFERENCE,
    "orchestrator": Kind.PREFERENCE,
    "router-r1": Kind.DELIBERATE,
    "modality": Kind.MODALITY,
    "pii": Kind.MODALITY,
    "minilm": Kind.ENCODER,
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    add_arguments(made)
    return made


def test_every_member_of_the_manifest_is_described_in_order() -> None:
    table = TEXT[TEXT.index("| member of `router.json`") :].split("\n\n")[0]
    first = [cell for row in table.splitlines()[2:] for cell in re.findall(r"`(\w+)`", row.split("|")[1])]
    expected = [name for name in Manifest.__struct_fields__ if name != "sizes"]
    expected.insert(expected.index("files") + 1, "sizes")
    assert first == expected


@pytest.mark.parametrize("name", ["export", "bench", "inspect"])
def test_every_option_is_documented(name: str) -> None:
    [subparsers] = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    options = [option for action in subparsers.choices[name]._actions for option in action.option_strings]
    missing = [option for option in options if option not in ("-h", "--help") and option not in TEXT]
    assert not missing


def test_the_table_has_a_command_for_each_published_router() -> None:
    assert [re.search(r"--out bundles/(\S+)", words)[1] for words in COMMANDS] == list(KINDS)  # type: ignore[index]


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_of_the_table_is_understood_and_its_model_known(words: str) -> None:
    options = parser().parse_args(words.split()[1:])
    known = published(options.source)
    assert known is not None
    assert known.kind is KINDS[options.out.name]
    assert options.kind in (None, known.kind)
