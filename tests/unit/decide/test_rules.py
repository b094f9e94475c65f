from __future__ import annotations

from typing import Any

import pytest

from signalbox.types import Endpoint, Reason
from tests.unit.decide.cases import decide, make_case, make_policy


def takes(when: dict[str, Any], *arguments: Any, **case: Any) -> bool:
    """Whether a rule with these conditions takes a request made from the other arguments."""
    router = {"models": ["acme-mini"], "rules": [{"when": when, "models": ["acme-large"]}]}
    policy = make_policy(routers={"r": router}, default_router="r")
    reason = decide(policy, make_case("auto", *arguments, **case)).reason
    assert reason in (Reason.RULE, Reason.DEFAULT)  # a rule that raised would look like one that does not hold
    return reason is Reason.RULE


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("stack trace", "Here is my Stack\n  Trace."),
        ("fix", "“Fix” this"),
        ("fix", "fix"),
        ("größe", "welche GRÖSSE? nein: GRÖßE"),
        ("ошибка", "Тут ОШИБКА!"),
        ("c++", "port it to C++17"),
        (".net", "a .NET service"),
        ("错误", "这里有一个错误吗"),
        ("python", "用Python写一个函数"),
        ("오류", "여기에 오류가 있나요"),
        ("fix", "fix🎉"),
        ("त्रुटि", "यहाँ त्रुटि।"),
        ("a.b", "call a.b now"),
    ],
)
def test_a_keyword_is_found_as_a_whole_word_in_any_case_and_script(keyword, text):
    assert takes({"keywords": [keyword]}, text)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("fix", "a prefix, suffixes and fix_me"),
        ("fix", "préfixé"),
        ("été", "l'étélé"),
        ("ошибка", "ошибками"),
        ("fix", "fixе"),  # a Cyrillic letter after it
        ("त्रुट", "त्रुटि"),
        ("a.b", "axb"),
        ("stack trace", "stack of traces"),
    ],
)
def test_a_keyword_is_not_found_inside_another_word(keyword, text):
    assert not takes({"keywords": [keyword]}, text)


def test_one_keyword_is_enough_unless_all_are_asked_for():
    words = ["alpha", "beta"]
    assert takes({"keywords": words}, "only beta")
    assert not takes({"keywords": words, "any": False}, "only beta")
    assert takes({"keywords": words, "any": False}, "beta and alpha")


HISTORY = [
    {"role": "system", "content": "You know Kubernetes."},
    {"role": "user", "content": "What is a pod?"},
    {"role": "assistant", "content": "A group of containers."},
    {"role": "user", "content": "And a node?"},
]


@pytest.mark.parametrize("condition", [{"keywords": ["kubernetes"]}, {"regex": "Kuber[a-z]+"}])
def test_text_conditions_look_at_the_last_user_turn_unless_told_otherwise(condition):
    assert not takes(condition, messages=HISTORY)
    assert takes({**condition, "scope": "conversation"}, messages=HISTORY)


def test_keywords_of_several_rules_and_scopes_do_not_get_mixed_up():
    both = {"keywords": ["kubernetes", "pod"], "scope": "conversation", "any": False}
    rules = [
        {"name": "one", "when": both, "task": "a"},
        {"name": "two", "when": {"keywords": ["pod"]}, "task": "b"},
        {"name": "three", "when": {"keywords": ["node", "pod"]}, "task": "c"},
    ]
    tasks = [{"name": name, "models": ["acme-mini"]} for name in "abc"]
    policy = make_policy(routers={"r": {"tasks": tasks, "rules": rules, "default_task": "a"}}, default_router="r")
    assert decide(policy, make_case("auto", messages=HISTORY)).rule == "one"
    assert decide(policy, make_case("auto", messages=HISTORY[1:])).rule == "three"
    assert decide(policy, make_case("auto", messages=HISTORY[1:2])).rule == "two"


def test_the_first_rule_that_holds_wins_and_is_named():
    rules = [
        {"when": {"keywords": ["nothing"]}, "models": ["acme-mini"]},
        {"when": {"keywords": ["hello"]}, "task": "greet"},
        {"name": "late", "when": {"keywords": ["hello"]}, "models": ["acme-mini"]},
    ]
    router = {"models": ["acme-mini"], "tasks": [{"name": "greet", "models": ["acme-large"]}], "rules": rules}
    decision = decide(make_policy(routers={"r": router}), make_case("router:r"))
    assert (decision.route, decision.rule, decision.reason) == ("greet", "rule-2", Reason.RULE)


def test_a_rule_that_names_models_goes_by_the_routers_name():
    router = {"models": ["acme-mini"], "rules": [{"when": {"tools": False}, "models": ["acme-large"]}]}
    assert decide(make_policy(routers={"r": router}), make_case("router:r")).route == "r"


def test_all_conditions_of_a_rule_must_hold():
    when = {"keywords": ["hello"], "tools": False, "messages": {"max": 1}}
    assert takes(when)
    assert not takes(when, "goodbye")
    assert not takes(when, messages=[*HISTORY, {"role": "user", "content": "hello"}])


@pytest.mark.parametrize(
    ("wanted", "headers", "holds"),
    [
        ("Batch", {"x-kind": "batch"}, True),
        ("batch", {"x-kind": " interactive , BATCH "}, True),
        ("batch", {"x-kind": "batches"}, False),
        ("batch", {}, False),
        ("*", {"x-kind": ""}, True),
        ("*", {}, False),
    ],
)
def test_a_header_condition_ignores_case_and_looks_into_lists(wanted, headers, holds):
    assert takes({"headers": {"x-kind": wanted}}, headers=headers) is holds


@pytest.mark.parametrize(
    ("wanted", "metadata", "holds"),
    [
        ({"team": "search"}, {"team": "search", "n": 1}, True),
        ({"team": "search"}, {"team": "Search"}, False),
        ({"beta": True}, {"beta": True}, True),
        ({"beta": True}, {"beta": 1}, False),
        ({"level": 1}, {"level": True}, False),
        ({"level": 1}, {"level": 1}, True),
        ({"team": "search"}, {"team": ["search"]}, False),
        ({"team": "search"}, {}, False),
        ({"team": "search"}, None, False),
        ({"team": "search"}, ["team", "search"], False),
        ({"team": "search"}, {"team": "search", "filler": "x" * 70_000}, False),
    ],
)
def test_a_metadata_condition_compares_value_and_type_and_never_fails(wanted, metadata, holds):
    assert takes({"metadata": wanted}, metadata=metadata) is holds


@pytest.mark.parametrize(
    ("when", "case", "holds"),
    [
        ({"prompt_tokens": {"min": 1_000}}, {"text": "word " * 1_000}, True),
        ({"prompt_tokens": {"min": 1_000}}, {"text": "word"}, False),
        ({"prompt_tokens": {"max": 1_000}}, {"text": "word"}, True),
        ({"tools": True}, {"tools": [{"type": "function", "function": {"name": "f"}}]}, True),
        ({"tools": True}, {}, False),
        ({"images": True}, {}, False),
        ({"turns": {"max": 1}}, {"text": "word"}, True),
        ({"turns": {"min": 2}}, {"text": "word"}, False),
        ({"modality": ["image_out", "mixed"]}, {"text": "Draw a picture of a cat"}, True),
        ({"modality": ["image_out"]}, {"text": "How do I draw a picture?"}, False),
        ({"reasoning": True}, {"text": "think carefully"}, True),
        ({"reasoning": True}, {"reasoning_effort": "none", "text": "think carefully"}, False),
        ({"reasoning": False}, {"text": "hello"}, True),
        ({"endpoint": ["messages"]}, {"endpoint": Endpoint.MESSAGES}, True),
        ({"endpoint": ["messages", "responses"]}, {}, False),
    ],
)
def test_conditions_on_size_and_shape(when, case, holds):
    assert takes(when, **case) is holds


def test_a_regex_is_searched_for_as_written():
    assert takes({"regex": r"(?i)invoice\s+\d{4}"}, "the Invoice 2041 is late")
    assert not takes({"regex": r"invoice\s+\d{4}"}, "the Invoice 2041 is late")
