"""The command line: words in, exit status and text out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signalbox.cli import main
from tests.unit.trim.encoders import body, wordpiece

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
POLICY = EXAMPLES / "cost.yaml"


def test_check_accepts_an_example_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(POLICY)]) == 0
    assert "0 errors" in capsys.readouterr().out


def test_check_reports_every_problem_in_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "policy.yaml"
    broken.write_text(
        "version: 1\nproviders: {a: {endpoint: 'ftp://x'}}\nmodels: {m: {provider: b, contxt_tokens: 5}}\nnonsense: 1\n"
    )
    assert main(["check", str(broken)]) == 1
    text = capsys.readouterr().out
    for expected in (
        "policy.yaml:2",
        "providers.a.endpoint",
        "contxt_tokens",
        "context_tokens",
        "nonsense",
        "models.m",
    ):
        assert expected in text


def test_check_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(POLICY)]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_a_missing_policy_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["envoy", "render", "--policy", "/nowhere.yaml", "--out", "/nowhere"]) == 1
    assert "/nowhere.yaml" in capsys.readouterr().err


def test_render_writes_bootstrap_and_discovery_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["envoy", "render", "--policy", str(POLICY), "--out", str(tmp_path)]) == 0
    written = {Path(line).name for line in capsys.readouterr().out.split()}
    assert {"bootstrap.yaml", "lds.yaml", "rds.yaml", "cds.yaml"} <= written
    assert all((tmp_path / name).stat().st_size for name in ("bootstrap.yaml", "cds.yaml"))


def test_route_prints_the_decision_and_explains_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}')
    assert main(["route", str(body), "--policy", str(POLICY)]) == 0
    decision = json.loads(capsys.readouterr().out)
    assert decision["chain"]
    assert main(["route", str(body), "--policy", str(POLICY), "--explain"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"]["chain"] == decision["chain"]


def test_route_says_what_a_router_model_would_read_without_the_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer, request = tmp_path / "tokenizer.json", tmp_path / "body.json"
    wordpiece().save(str(tokenizer))
    request.write_bytes(body(("user", "<bash-stdout>ok</bash-stdout>the router " * 999), ("assistant", "a decision")))
    words = ["route", str(request), "--policy", str(POLICY), "--router-tokenizer", str(tokenizer)]
    assert main([*words, "--router-budget", "128"]) == 0
    printed = capsys.readouterr().out
    read = json.loads(printed)["router_prompt"]
    assert 0.97 * 128 <= read["tokens"] <= read["budget"] == 128
    [question] = read["kept"]
    assert (question["turn"], question["role"]) == (1, "user")
    assert question["cut_bytes"] > 5000
    assert question["harness_bytes"] >= 999 * len("<bash-stdout>ok</bash-stdout>")
    assert "the router" not in printed
    assert main([*words, "--router-budget", "20"]) != 0
    assert "fix: a budget of" in capsys.readouterr().err


def test_route_says_why_a_request_would_be_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]}')
    assert main(["route", str(body), "--policy", str(POLICY)]) == 1
    assert json.loads(capsys.readouterr().out)["refused"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    "words",
    [["up", "--port", "0"], ["serve"], ["serve", "--policy", "x", "--run-dir", "y", "--api", "nope"], ["route"]],
)
def test_words_that_are_off_end_with_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err
