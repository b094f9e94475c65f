"""The policy's schema file and guide say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from signalbox.errors import PolicyError
from signalbox.policy import export
from signalbox.policy.load import LoadedPolicy, load_text
from signalbox.policy.problems import render_report

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))
SNIPPETS = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
COMPLETE = SNIPPETS[0]
VALIDATOR = jsonschema.Draft202012Validator(json.loads(export.SCHEMA_FILE.read_text(encoding="utf-8")))


def fits_the_schema(document: Any) -> bool:
    return bool(VALIDATOR.is_valid(document))


def load(text: str) -> LoadedPolicy:
    return load_text(text.encode(), "policy.yaml")


def is_refused(document: Any) -> bool:
    try:
        load(yaml.safe_dump(document))
    except PolicyError:
        return True
    return False


def test_schema_file_and_reference_are_what_the_code_generates(capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main(["--check"]) == 0, f"run `python -m signalbox.policy.export`: {capsys.readouterr().out}"


def test_check_notices_a_stale_file_and_writing_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guide, schema = tmp_path / "policy.md", tmp_path / "schema.json"
    guide.write_text(f"intro\n{export.BEGIN}\nhow it was\n{export.END}\nafter\n")
    monkeypatch.setattr(export, "GUIDE_FILE", guide)
    monkeypatch.setattr(export, "SCHEMA_FILE", schema)
    assert export.main(["--check"]) == 1
    assert not schema.exists()
    assert export.main([]) == 0
    assert export.main(["--check"]) == 0
    assert "how it was" not in guide.read_text()
    assert guide.read_text().startswith("intro\n")
    assert guide.read_text().endswith("after\n")


def test_a_guide_without_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="markers"):
        export.guide_text("no markers here")


def test_every_key_of_the_policy_is_described_in_the_reference() -> None:
    schema = export.json_schema()
    sections = [schema, *(section for section in schema["$defs"].values() if "properties" in section)]
    for section in sections:
        assert section.get("description"), section["title"]
        for key, prop in section["properties"].items():
            assert f"| `{key}` |" in GUIDE
            assert "description" in prop or "$ref" in prop, f"{section['title']}.{key} has no description"


def test_the_schema_is_valid_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(export.json_schema())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_load_without_a_warning_and_fit_the_schema(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    assert load(text).warnings == ()
    VALIDATOR.validate(yaml.safe_load(text))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text.split(":", 1)[0])
def test_snippets_of_the_guide_load_as_part_of_its_policy(snippet: str) -> None:
    document = yaml.safe_load(COMPLETE) | yaml.safe_load(snippet)
    loaded = load(yaml.safe_dump(document, sort_keys=False))
    assert loaded.warnings == ()
    VALIDATOR.validate(document)


def test_the_guides_error_example_is_what_check_prints() -> None:
    broken, printed = re.findall(r"^```yaml broken\n(.*?)^```\n\n```text\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)[
        0
    ]
    with pytest.raises(PolicyError) as caught:
        load(broken)
    assert printed == render_report(caught.value) + "\n"


BROKEN: dict[str, Any] = {
    "no version": {"version": None},
    "another version": {"version": 2},
    "unknown key": {"budgets": {}},
    "no providers": {"providers": {}},
    "provider name in capitals": {"providers": {"OpenAI": {"endpoint": "https://a/v1"}}},
    "unknown location": {"providers": {"openai": {"endpoint": "https://a/v1", "location": "onprem"}}},
    "key as text": {"providers": {"openai": {"endpoint": "https://a/v1", "key": "sk-1"}}},
    "unknown call": {"providers": {"openai": {"endpoint": "https://a/v1", "serves": ["chat"]}}},
    "underscore in a header": {"privacy": {"local_only": {"headers": {"x_class": "a"}}}},
    "model without provider": {"models": {"m": {"name": "x"}}},
    "number as text": {"models": {"m": {"provider": "openai", "context_tokens": "1000"}}},
    "truth as number": {"models": {"m": {"provider": "openai", "tools": 1}}},
    "negative price": {"models": {"m": {"provider": "openai", "price": {"input": -1, "output": 0}}}},
    "one price": {"models": {"m": {"provider": "openai", "price": {"input": 1}}}},
    "alias as list": {"aliases": {"a": ["gpt-5"]}},
    "zero weight": {"aliases": {"a": {"gpt-5": 0}}},
    "empty weights": {"aliases": {"a": {}}},
    "task without models": {"routers": {"everyday": {"models": ["gpt-5"], "tasks": [{"name": "t"}]}}},
    "threshold above one": {
        "routers": {"everyday": {"models": ["gpt-5"], "complexity": {"threshold": 2, "below": "a", "above": "b"}}}
    },
    "unknown preference": {"routing_preference": {"speed": "everyday"}},
    "port as text": {"gateway": {"port": "10000"}},
    "port out of range": {"gateway": {"port": 0}},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
def test_what_a_schema_can_refuse_is_refused_by_schema_and_loader(change: dict[str, Any]) -> None:
    document = yaml.safe_load(COMPLETE)
    assert fits_the_schema(document)
    document |= change
    assert not fits_the_schema(document)
    assert is_refused(document)
