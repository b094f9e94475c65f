"""Names that one place gives and another uses."""

from __future__ import annotations

from typing import Any

import pytest

from .policies import changed, errors_of, load, only_error


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("models/large/provider", "acmee", "provider"),
        ("models/mini/fallback/0", "smal", "model"),
        ("aliases/best", "lage", "model or router"),
        ("routers/everyday/tasks/0/models/1", "minni", "model"),
        ("routers/everyday/rules/1/models/0", "smal", "model"),
        ("routers/everyday/rules/0/task", "hrad", "task"),
        ("routers/everyday/complexity/below", "simpel", "task"),
        ("routers/everyday/complexity/above", "hrad", "task"),
        ("routers/everyday/default_task", "simpel", "task"),
        ("routers/everyday/fallback/0", "minni", "model"),
        ("default_router", "evryday", "router"),
        ("routing_preference/quality", "evryday", "router"),
        ("unknown_model/use", "dsk", "model, alias or router"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_with_the_nearest_one(path: str, name: str, kind: str) -> None:
    problem = only_error(changed(path, name))
    assert problem.found == f'unknown {kind} "{name}"'
    assert problem.expected.startswith("known ")
    assert problem.fix.startswith("did you mean")


@pytest.mark.parametrize("name", ["large", "best", "house", "everyday"])
def test_unknown_models_may_go_to_a_model_an_alias_or_a_router(name: str) -> None:
    policy = load(changed("unknown_model/use", name)).policy
    assert policy.unknown_model is not None
    assert policy.unknown_model.use == name


@pytest.mark.parametrize(
    ("path", "name", "found", "fix"),
    [
        ("routers/everyday/tasks/1/models/0", "best", '"best" is an alias; only a model', "what it stands for: large"),
        ("routers/everyday/fallback/0", "house", '"house" is an alias', "what it stands for: mini, small"),
        ("routers/everyday/rules/1/models/0", "everyday", '"everyday" is a router', "one of the models"),
        ("models/mini/fallback/0", "desk", '"desk" is an alias', "what it stands for: everyday"),
        ("aliases/desk", "best", '"best" is an alias; only a model or a router', "what it stands for: large"),
        ("default_router", "large", '"large" is a model; only a router', "one of the routers"),
        ("default_router", "desk", '"desk" is an alias; only a router', "what it stands for: everyday"),
        ("default_router", "router:everyday", 'unknown router "router:everyday"', 'did you mean "everyday"'),
    ],
)
def test_a_name_of_the_wrong_kind_is_told_from_an_unknown_one(path: str, name: str, found: str, fix: str) -> None:
    problem = next(problem for problem in errors_of(changed(path, name)) if found in problem.found)
    assert fix in problem.fix


def test_the_weights_of_an_alias_are_for_models() -> None:
    problem = only_error(changed("aliases/house/everyday", 5))
    assert problem.found == '"everyday" is a router; only a model can be named here'


def test_aliases_that_name_each_other_are_refused_rather_than_followed() -> None:
    document = changed("aliases/best", "desk")
    document["aliases"]["desk"] = "best"
    assert [problem.path for problem in errors_of(document)] == ["aliases.best", "aliases.desk"]


@pytest.mark.parametrize(
    ("section", "name", "content", "taken_by"),
    [
        ("aliases", "mini", "large", "a model"),
        ("routers", "large", {"models": ["large"]}, "a model"),
        ("routers", "best", {"models": ["large"]}, "an alias"),
    ],
)
def test_models_aliases_and_routers_share_one_set_of_names(
    section: str, name: str, content: Any, taken_by: str
) -> None:
    problem = only_error(changed(f"{section}/{name}", content))
    assert problem.path == f"{section}.{name}"
    assert f"already the name of {taken_by}, on line" in problem.found


@pytest.mark.parametrize("name", ["auto", "inference-router", "router:x"])
@pytest.mark.parametrize(
    ("section", "content"), [("models", {"provider": "acme"}), ("aliases", "large"), ("routers", {"models": ["large"]})]
)
def test_names_that_mean_something_else_to_clients_are_refused(section: str, content: Any, name: str) -> None:
    problem = only_error(changed(f"{section}/{name}", content))
    assert "reserved" in problem.found or "starts with router:" in problem.found


def test_a_router_named_with_its_prefix_is_told_that_clients_add_it() -> None:
    document = changed("aliases/best", "large")
    document["routers"]["router/code"] = {"models": ["large"]}
    assert 'write "code"; clients may still say "router/code"' in only_error(document).fix


def test_two_tasks_of_a_router_cannot_share_a_name() -> None:
    document = changed("routers/everyday/tasks/1/name", "simple")
    found = [problem for problem in errors_of(document) if "already" in problem.found]
    assert [problem.path for problem in found] == ["routers.everyday.tasks[1].name"]


def test_a_pattern_can_be_captured_once() -> None:
    document = changed("routers/other", {"models": ["large"], "capture": ["claude-*", "gpt-5*"]})
    problem = only_error(document)
    assert problem.path == "routers.other.capture[1]"
    assert 'captured by router "everyday" already' in problem.found


@pytest.mark.parametrize("pattern", ["gpt-[45]", "gpt 5", "gpt\\*", "gpt-{4,5}"])
def test_a_capture_pattern_knows_star_and_question_mark_only(pattern: str) -> None:
    assert "with * for any text" in only_error(changed("routers/everyday/capture/0", pattern)).expected


def test_one_mistake_brings_no_others_with_it() -> None:
    """A section that cannot be read says so once; what refers into it is not called unknown."""
    for section in ("models", "providers", "routers"):
        assert [problem.path for problem in errors_of(changed(section, "oops"))] == [section]
    assert [problem.path for problem in errors_of(changed("models", {}))] == ["models"]
    assert [problem.path for problem in errors_of(changed("routers/everyday/tasks", "oops"))] == [
        "routers.everyday.tasks"
    ]
    assert only_error(changed("models/large/tools", "oops")).path == "models.large.tools"


def test_a_provider_cannot_be_called_like_a_cluster_of_the_sidecar() -> None:
    problem = only_error(changed("providers/signalbox-workers", {"endpoint": "https://a.test/v1"}))
    assert problem.path == "providers.signalbox-workers"
    assert "starts with signalbox-" in problem.found


def test_a_gateway_listens_on_an_address_and_not_on_a_name() -> None:
    problem = only_error(changed("gateway/address", "localhost"))
    assert problem.path == "gateway.address"
    assert "IPv4 or IPv6" in problem.expected + problem.found
