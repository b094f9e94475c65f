"""Each value by itself: what the schema refuses, in words an operator can act on."""

from __future__ import annotations

from typing import Any

import pytest

from signalbox.policy.export import json_schema
from signalbox.policy.shape import PATTERN_WORDS, section_at

from .policies import changed, errors_of, load, only_error


def test_a_policy_that_is_fine_loads_without_a_word() -> None:
    loaded = load(changed("gateway/port", 10443))
    assert loaded.policy.gateway.port == 10443
    assert loaded.policy.aliases["house"] == {"mini": 90.0, "small": 10.0}
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("path", "value", "place", "found", "expected", "fix"),
    [
        ("version", 2, "version", "2", "1", ""),
        ("gateway/prot", 1, "gateway.prot", 'unknown key "prot"', "known keys: address", 'did you mean "port"'),
        ("gateway/port", "1000", "gateway.port", '"1000"', "a whole number", "write a bare number"),
        ("gateway/port", True, "gateway.port", "true", "a whole number", ""),
        ("gateway/port", 70000, "gateway.port", "70000", "at most 65535", ""),
        ("gateway/port", 1.5, "gateway.port", "1.5", "a whole number", ""),
        ("gateway/mode", "priority", "gateway.mode", '"priority"', "one of priority_group", '"priority_group"'),
        ("models/large/tools", "yes", "models.large.tools", '"yes"', "true or false", ""),
        ("models/large/modalities", "text", "models.large.modalities", 'text: "text"', "a list", "[text]"),
        ("models/large/modalities", [], "models.large.modalities", "an empty list", "1 entry or more", ""),
        ("models/large/modalities/1", "imgae", "models.large.modalities[1]", '"imgae"', "one of text", '"image"'),
        ("models/gpt-4.1/name", 4.1, 'models["gpt-4.1"].name', "4.1", "text", 'quote it: "4.1"'),
        ("models/large", None, "models.large", "nothing", "a mapping with the keys provider", "give it a value"),
        ("models/large", {}, "models.large.provider", '"provider" is missing', "Name of an entry", "add provider"),
        ("models/large/price/input", -1, "models.large.price.input", "-1", "at least 0", ""),
        ("providers/acme/endpoint", "api.acme.test", "providers.acme.endpoint", '"api.acme.test"', "http://HOST", ""),
        ("providers/Acme", {"endpoint": "http://a"}, "providers.Acme", '"Acme" cannot be used', "lower-case", '"acme"'),
        ("routers/everyday/rules/0/when", {}, "routers.everyday.rules[0].when", "without conditions", "", ""),
        ("privacy/local_only/headers", {"X-Class": "a"}, "privacy.local_only.headers.X-Class", "", "", '"x-class"'),
        ("aliases/house", 3, "aliases.house", "3", "text or a mapping", 'quote it: "3"'),
        ("aliases/house", ["mini"], "aliases.house", "a list", "text or a mapping", ""),
        ("aliases/house", {}, "aliases.house", "an empty mapping", "1 entry or more", ""),
        ("aliases/house", "bad name", "aliases.house", '"bad name"', "up to 128 letters", ""),
        ("aliases/house", {"mini": 0}, "aliases.house.mini", "0", "more than 0", ""),
        ("routing_preference", {"qualty": "everyday"}, "routing_preference.qualty", "", "budget", '"quality"'),
    ],
)  # fmt: skip
def test_a_mistake_is_one_problem_with_place_value_expectation_and_fix(
    path: str, value: Any, place: str, found: str, expected: str, fix: str
) -> None:
    problem = only_error(changed(path, value))
    assert problem.path == place
    assert problem.line is not None
    assert found in problem.found
    assert expected in problem.expected
    assert fix in problem.fix
    assert bool(fix) == bool(problem.fix)


def test_a_value_of_no_allowed_kind_is_one_problem_however_many_kinds_are_allowed() -> None:
    problem = only_error(changed("routers/everyday/rules/0/when/metadata", {"score": 1.5}))
    assert problem.path == "routers.everyday.rules[0].when.metadata.score"
    assert problem.expected == "text, a whole number or true or false"
    assert problem.fix == 'quote it: "1.5"'


def test_a_word_that_yaml_made_a_truth_value_is_shown_as_written() -> None:
    text = "version: 1\nproviders:\n  a: {endpoint: http://a}\nmodels: {m: {provider: a, name: on}}\n"
    problem = only_error(text)
    assert (problem.line, problem.path) == (4, "models.m.name")
    assert problem.found == '"on", which YAML reads as true'
    assert problem.fix == 'quote it: "on"'


def test_all_mistakes_are_reported_in_one_run_in_file_order() -> None:
    text = (
        "version: 2\n"
        "models:\n"
        "  m: {provider: nowhere, tools: 3}\n"
        "  m: {provider: a}\n"
        "providers:\n"
        "  a: {endpoint: ftp://a, locaton: local}\n"
        "routers:\n"
        "  r: {models: [n], rules: [{when: {regex: '('}, task: t}]}\n"
    )
    problems = [(problem.line, problem.path) for problem in errors_of(text)]
    assert sorted(problems, key=lambda problem: problem[0] or 0) == problems
    assert set(problems) == {
        (1, "version"),
        (3, "models.m.provider"),
        (3, "models.m.tools"),
        (4, "models.m"),
        (6, "providers.a.endpoint"),
        (6, "providers.a.locaton"),
        (8, "routers.r.models[0]"),
        (8, "routers.r.rules[0].when.regex"),
        (8, "routers.r.rules[0].task"),
    }


SECRETS = ["sk-proj-abcdefgh12345678", "Bearer abcdef", "AKIAIOSFODNN7EXAMPLE", "a1" * 20, "hunter2-password"]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_key_pasted_into_the_policy_is_never_shown(secret: str) -> None:
    (problem,) = [problem for problem in errors_of(changed("providers/acme/key", secret)) if "key" in problem.path]
    assert secret not in str(problem)
    assert "keys are read from files" in problem.fix
    for path in ("key/value", "key/file", "api_key", "headers/authorization", "headers/X-Key"):
        document = changed(f"providers/acme/{path}", [secret] if path == "key/file" else secret)
        assert all(secret not in str(problem) for problem in errors_of(document)), path


@pytest.mark.parametrize("secret", SECRETS[:-1])
def test_what_looks_like_a_key_is_hidden_wherever_it_is(secret: str) -> None:
    for path in ("default_router", f"gateway/{secret}", "models/large/provider", "gateway/mode", "aliases/best"):
        assert all(secret not in str(problem) for problem in errors_of(changed(path, secret))), path


def test_the_password_and_query_of_a_url_are_hidden() -> None:
    problem = only_error(changed("providers/acme/endpoint", "https://me:pass@api.acme.test/v1?key=abc"))
    assert "pass" not in problem.found
    assert "abc" not in problem.found
    assert "api.acme.test" in problem.found


def test_every_pattern_of_the_schema_has_words() -> None:
    patterns: set[str] = set()

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            patterns.update(node.get("patternProperties", {}))
            patterns.update([node["pattern"]] if isinstance(node.get("pattern"), str) else [])
            node = list(node.values())
        for child in node if isinstance(node, list) else []:
            collect(child)

    collect(json_schema())
    assert patterns == set(PATTERN_WORDS)


def test_a_place_in_the_document_leads_to_its_section() -> None:
    def name(*loc: str | int) -> str | None:
        section = section_at(loc)
        return section.__name__ if section else None

    assert name() == "Policy"
    assert name("routers", "x", "rules", 3, "when", "prompt_tokens") == "Range"
    assert name("providers", "x", "key") == "Key"
    assert name("aliases", "x") is None
    assert name("nowhere", "x") is None
