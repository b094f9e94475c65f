"""What can be wrong with a policy's text, before anything is known about policies."""

from __future__ import annotations

import pytest
import yaml

from signalbox.errors import PolicyError
from signalbox.policy import document as document_module
from signalbox.policy.document import MAX_DEPTH, MAX_POLICY_BYTES, read_document

from .policies import errors_of


def read(text: str | bytes) -> document_module.Document:
    return read_document(text.encode() if isinstance(text, str) else text, "policy.yaml")


def refusal(text: str | bytes) -> str:
    with pytest.raises(PolicyError) as caught:
        read(text)
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_every_value_has_the_line_it_stands_on() -> None:
    document = read("a: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\n")
    assert document.data == {"a": 1, "b": ["x", {"c": 2, "d": 3}]}
    assert {loc: document.lines[loc] for loc in [("a",), ("b",), ("b", 0), ("b", 1, "c"), ("b", 1, "d")]} == {
        ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1, "c"): 4, ("b", 1, "d"): 5,
    }  # fmt: skip


def test_a_missing_place_has_the_line_of_what_is_around_it() -> None:
    document = read("a: 1\nb:\n  c: 2\n")
    assert document.line(("b", "c", "nowhere", 3)) == 3
    assert document.line(("z",)) == 1


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        (b"", "policy.yaml:", "the file is empty"),
        (b"# only a comment\n", "policy.yaml:", "the file is empty"),
        (b"- a\n", "policy.yaml:1:", "the document is a list"),
        (b"just text\n", "policy.yaml:1:", "the document is a single value"),
        (b"a: 1\nb: \xff\n", "policy.yaml:2:", "byte 8 is not UTF-8"),
        ("a: 1\n".encode("utf-16"), "policy.yaml:1:", "not UTF-8"),
        (b"a: 1\n---\nb: 2\n", "policy.yaml:2:", "a second document starts here"),
        (b"a:\n\tb: 1\n", "policy.yaml:2:", "a tab in the indentation"),
        (b"a: 1\nb: 'open\n", "policy.yaml:", "unexpected end of stream"),
        (b"a: 1\nb: c: d\n", "policy.yaml:2:", "mapping values are not allowed"),
        (b"a: @x\n", "policy.yaml:1:", "text that starts with @ must be quoted"),
        (b"a: 1\nb: \x01\n", "policy.yaml:2:", "a control character"),
        (b"a: *nowhere\n", "policy.yaml:1:", "an alias to an anchor that is not there"),
        (b"a: &x [1, *x]\n", "policy.yaml:1:", "an alias inside its own anchor"),
    ],
)
def test_text_that_is_no_single_mapping_is_refused_with_its_line(text: bytes, place: str, found: str) -> None:
    message = refusal(text)
    assert message.startswith(place)
    assert found in message


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert read("\ufeffversion: 1\n").data == {"version": 1}


def test_a_file_above_the_size_limit_is_refused_unparsed() -> None:
    assert "larger than 4194304 bytes" in refusal(b"#" * (MAX_POLICY_BYTES + 1))


@pytest.mark.parametrize("brackets", [MAX_DEPTH + 1, 100_000])
def test_deep_nesting_is_refused_before_it_can_overflow_the_stack(brackets: int) -> None:
    assert "nested deeper than" in refusal("a: " + "[" * brackets)


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "more than 50000 values" in refusal("\n".join(lines))


def test_an_alias_stands_for_its_anchor() -> None:
    document = read("a: &a {x: 1}\nb: *a\n")
    assert document.data == {"a": {"x": 1}, "b": {"x": 1}}
    assert document.problems == []


def test_a_key_that_is_there_twice_is_reported_with_both_lines() -> None:
    document = read("a: 1\nb: 2\na: 3\n")
    (problem,) = document.problems
    assert (problem.line, problem.path) == (3, "a")
    assert "the first is on line 1" in problem.found
    assert document.data["a"] == 1


@pytest.mark.parametrize(("key", "read_as"), [("on", "true or false"), ("4", "a number"), ("2025-06-01", "a date")])
def test_a_key_that_yaml_reads_as_something_else_is_reported_with_the_quotes_it_needs(key: str, read_as: str) -> None:
    document = read(f"{key}: 1\n")
    (problem,) = document.problems
    assert read_as in problem.found
    assert problem.fix == f'quote it: "{key}"'
    assert document.data == {key: 1}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2025-06-01", "as a date"),
        ("10:30", "as the number 630"),
        ("0777", "as the number 511"),
        (".nan", "a finite number"),
        (".inf", "a finite number"),
        ("0x" + "f" * 40, "a finite number"),
        ("0x_", "is no int"),
        ("!!python/name:os.system x", "the YAML tag"),
        ("!!binary aGk=", "the YAML tag"),
        ("!secret x", "the YAML tag"),
        ("!!set {a}", "the YAML tag"),
    ],
)
def test_values_that_yaml_would_quietly_turn_into_something_else_are_reported(value: str, found: str) -> None:
    (problem,) = read(f"a: {value}\n").problems
    assert found in str(problem)
    assert (problem.line, problem.path) == (1, "a")


@pytest.mark.parametrize(
    ("text", "found"), [("a: {<<: {b: 1}}", "merge key"), ("? [a, b]\n: 1", "a key that is a list")]
)
def test_keys_that_are_no_text_are_reported(text: str, found: str) -> None:
    assert found in read(text).problems[0].found


def test_what_yaml_made_of_a_word_is_remembered() -> None:
    document = read("a: yes\nb: 0x10\nc: ~\nd: 'yes'\n")
    assert document.data == {"a": True, "b": 16, "c": None, "d": "yes"}
    assert document.spelling == {("a",): "yes", ("b",): "0x10", ("c",): "~"}


def test_both_yaml_parsers_agree_on_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a:\n\tb: 1\n", "a: @x\n", "a: 'open\n", "a: b: c\n", 'a: "\\ud800"\n', "a: \x01\n"]
    lines = [errors_of(text)[0].line for text in texts]
    monkeypatch.setattr(document_module, "_LOADER", yaml.SafeLoader)
    assert [errors_of(text)[0].line for text in texts] == lines


def test_a_document_with_far_too_many_values_is_refused_before_all_of_it_is_read() -> None:
    assert "more than 50000 values" in refusal("a: [" + "x," * 200_000 + "]")
