"""`signalbox calibrate`, from a policy and a file or a journal to lines of policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from signalbox.cli import main
from signalbox.collector.journal.entry import VERSION, FeedbackEntry, RequestEntry, encode
from signalbox.errors import SetupError
from signalbox.evaluation.calibrate.run import Options, run
from signalbox.policy.load import load_text
from tests.unit.decide.cases import MODELS, PROVIDERS
from tests.unit.engines.brains import HARD, ODD, use

ENGINE = {"name": "builtin", "strong": "hard", "weak": "simple", "otherwise": "hard"}
TASKS = [
    {"name": "simple", "models": ["acme-mini"]},
    {"name": "hard", "models": ["acme-large", "bolt-large"]},
]


def policy(folder: Path, **engine: Any) -> Path:
    document = {
        "version": 1,
        "providers": PROVIDERS,
        "models": MODELS,
        "routers": {
            "r": {"tasks": TASKS, "default_task": "simple", "engine": {**ENGINE, **engine}},
            "plain": {"models": ["acme-mini"]},
        },
        "default_router": "r",
    }
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def prompts(folder: Path, count: int = 100, **more: Any) -> Path:
    """Prompts whose scores are 0, 0.1, up to 0.9: that many of ten words are hard."""
    path = folder / "prompts.jsonl"
    rows = []
    for number in range(count):
        hard = number % 10
        row = {"prompt": " ".join([HARD] * hard + ["word"] * (10 - hard)), "p_strong": 1.0, "p_weak": float(hard < 7)}
        rows.append({**row, **{name: value(number) if callable(value) else value for name, value in more.items()}})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(autouse=True)
def _brain(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


def calibrated(folder: Path, **options: Any) -> Any:
    options.setdefault("policy", policy(folder))
    if "journal" not in options and "data" not in options:
        options["data"] = prompts(folder)
    return run(Options(router="r", **options))


def pasted(report: Any, lines: str, folder: Path) -> Any:
    """The router's engine after the lines were pasted over it."""
    document = yaml.safe_load((folder / "policy.yaml").read_text())
    document["routers"]["r"] |= yaml.safe_load(f"routers:\n{lines}")["routers"]["r"]
    return load_text(yaml.safe_dump(document).encode(), "policy.yaml").policy.routers["r"].judge


def test_a_share_becomes_a_threshold_and_lines_that_a_policy_takes(tmp_path: Path) -> None:
    report = calibrated(tmp_path, target_share=0.3)
    assert report.calibration.threshold.value == pytest.approx(0.7)
    assert report.calibration.strong_share.value == pytest.approx(0.3)
    judge = pasted(report, report.policy_lines, tmp_path)
    assert (judge.threshold, judge.target_share, judge.otherwise) == (0.7, None, "hard")
    running = pasted(report, report.also, tmp_path)
    assert (running.threshold, running.target_share) == (0.7, 0.3)
    bounds = running.threshold_bounds
    assert (bounds.min, bounds.max) == (pytest.approx(0.5, abs=0.06), pytest.approx(0.8, abs=0.06))  # shares 0.45, 0.15


def test_a_budget_counts_the_first_model_of_each_tier(tmp_path: Path) -> None:
    report = calibrated(tmp_path, usd_per_1000=2.5)
    usd = report.calibration.usd_per_1000
    assert usd is not None
    assert usd.value <= 2.5
    strong_usd, weak_usd = 300 * 15 / 1000, 300 * 0.8 / 1000  # for 1,000 answers; prompts of 20 tokens cost little
    share = report.calibration.strong_share.value
    assert usd.value == pytest.approx(share * strong_usd + (1 - share) * weak_usd, rel=0.05)
    assert pasted(report, report.also, tmp_path).usd_per_1000 == 2.5


def test_a_quality_floor_looks_at_what_both_sides_scored(tmp_path: Path) -> None:
    report = calibrated(tmp_path, quality_floor=0.9)
    assert report.calibration.strong_share.value == pytest.approx(0.2)  # of the three tenths the weak side fails at
    assert report.calibration.of_strong is not None
    assert report.calibration.of_strong.value == pytest.approx(0.9)


def test_two_models_of_the_data_may_be_the_sides(tmp_path: Path) -> None:
    data = prompts(tmp_path, scores=lambda number: {"big": 1, "small": 0, "other": number % 2})
    report = calibrated(tmp_path, data=data, quality_floor=0.5, strong="big", weak="small")
    assert report.calibration.strong_share.value == pytest.approx(0.5)


def test_prompts_that_got_no_score_are_counted_and_left_out(tmp_path: Path) -> None:
    data = prompts(tmp_path, prompt=lambda number: ODD if number < 20 else f"{HARD} " * (number % 9) + "word")
    report = calibrated(tmp_path, data=data, target_share=0.5)
    assert (report.calibration.requests, report.passed) == (80, {"unfamiliar": 20})
    assert "20 unfamiliar" in report.text


def journal(folder: Path, entries: list[RequestEntry | FeedbackEntry]) -> Path:
    folder = folder / "journal"
    folder.mkdir()
    (folder / "journal-20261121T120000.000000Z.jsonl").write_bytes(b"".join(map(encode, entries)))
    return folder


def entry(number: int, score: float | None, **more: Any) -> RequestEntry:
    given = {
        "router": "r",
        "engine": "builtin",
        "engine_outcome": "result",
        "route": "hard" if (score or 0) >= 0.5 else "simple",
        "tokens": (1000,),
        "expected_output_tokens": 300,
    }
    return RequestEntry(v=VERSION, ended_seconds=1.0, id=f"sb-{number:024x}", score=score, **{**given, **more})


def test_a_journal_has_the_scores_the_requests_came_with(tmp_path: Path) -> None:
    entries: list[Any] = [entry(number, number / 100) for number in range(100)]
    entries += [
        entry(200, 0.9, router="other"),
        entry(201, 0.9, engine="bert"),
        entry(202, None, engine_outcome="unsure", engine_detail="no_text"),
        entry(203, 0.9, engine_outcome="unsure", engine_detail="unfamiliar"),
        entry(204, 0.9, rule="traces"),
        entry(205, 0.9, router="leader", goal="r"),
        entry(206, 0.1, engine="bert", first_score=0.95),
    ]
    report = calibrated(tmp_path, journal=journal(tmp_path, entries), target_share=0.25)
    assert (report.calibration.requests, report.passed) == (102, {"unfamiliar": 1})
    assert report.calibration.threshold.value == pytest.approx(0.77)
    assert report.calibration.usd_per_1000 is not None
    assert report.calibration.usd_per_1000.value == pytest.approx((25 * 7.5 + 77 * 0.44) / 102, rel=0.001)


def test_a_journals_quality_is_what_feedback_says_of_each_tier(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    entries: list[Any] = []
    for number in range(800):
        score = number / 800
        chance = 0.9 if score >= 0.5 else 0.9 - score
        entries.append(entry(number, score))
        entries.append(FeedbackEntry(VERSION, 2.0, f"sb-{number:024x}", float(dice.random() < chance)))
    report = calibrated(tmp_path, journal=journal(tmp_path, entries), quality_floor=0.9)
    quality = report.calibration.of_strong
    assert quality is not None
    assert quality.value == pytest.approx(0.9, abs=0.01)
    # The weak tier loses as much as the score says: 0.9 of 0.9 is 0.09 lost on average, at a share of about 0.58.
    assert report.calibration.strong_share.value == pytest.approx(0.58, abs=0.1)
    assert "a straight line through" in report.text


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"usd_per_1000": 0.1}, "the weak tier alone costs"),
        ({"journal": "empty", "target_share": 0.3}, "holds no journal"),
        ({"journal": "unscored", "target_share": 0.3}, "no request of router 'r' with a score"),
        ({"journal": "unmarked", "quality_floor": 0.9}, "0 requests of the strong tier have a mark"),
        ({"journal": "unpriced", "usd_per_1000": 5}, "is not known for both tiers"),
    ],
)
def test_what_cannot_be_met_is_said(tmp_path: Path, options: dict[str, Any], found: str) -> None:
    made = policy(tmp_path)
    kind = options.get("journal")
    if kind == "empty":
        options["journal"] = tmp_path
    elif kind is not None:
        score = None if kind == "unscored" else 0.7
        options["journal"] = journal(tmp_path, [entry(number, score and number / 100) for number in range(100)])
    if kind == "unpriced":
        document = yaml.safe_load(made.read_text())
        document["routers"]["r"]["tasks"][1]["models"] = ["bolt-large"]
        made.write_text(yaml.safe_dump(document))
    with pytest.raises(SetupError, match=found):
        run(Options(policy=made, router="r", **({"data": prompts(tmp_path)} | options if not kind else options)))


@pytest.mark.parametrize(("router", "found"), [("plain", "has no engine with"), ("nobody", "is not in the policy")])
def test_a_router_without_a_threshold_is_refused_and_those_with_one_are_named(
    tmp_path: Path, router: str, found: str
) -> None:
    with pytest.raises(SetupError, match=found) as refused:
        run(Options(policy=policy(tmp_path), router=router, data=prompts(tmp_path), target_share=0.3))
    assert "a threshold: r" in str(refused.value)


def words(tmp_path: Path, *more: str) -> list[str]:
    return ["calibrate", "--policy", str(policy(tmp_path)), "--router", "r", *more]


def test_the_command_prints_the_report_or_an_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(prompts(tmp_path)), "--target-share", "0.3"]
    assert main(words(tmp_path, *data)) == 0
    told = capsys.readouterr().out
    assert "strong share           0.300" in told
    assert "USD per 1,000 requests 1." in told
    assert main(words(tmp_path, *data, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["requests"], found["threshold"][0], found["strong_share"][0]) == (100, 0.7, 0.3)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("", "no rows"),
        ("{}\n", "prompt"),
        ("not json\n", "line"),
        ('{"prompt": "a", "p_strong": "high", "p_weak": 0}\n', "p_strong"),
        ('{"prompt": "word", "p_strong": 1, "p_weak": 0}\n', "1 requests have a score"),
    ],
)
def test_data_that_cannot_be_used_is_an_error_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: str, found: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(data)
    assert main(words(tmp_path, "--data", str(path), "--quality-floor", "0.9")) == 1
    assert found in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [["--target-share", "1.5"], ["--budget-per-1000", "0"], [], ["--target-share", "0.3", "--quality-floor", "1"]],
)
def test_words_that_are_off_are_refused(tmp_path: Path, more: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words(tmp_path, "--data", "x", *more))
    assert ended.value.code == 2
