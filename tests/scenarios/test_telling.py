"""What a scenario tells: exit status, table, and plots that change only with their figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="plots are drawn with matplotlib; pip install signalbox[bench]")

from scenarios import __main__ as command
from scenarios import budget, dies, session
from scenarios.budget import Account
from scenarios.load import Sample
from scenarios.story import Row, Story, table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
MAX_PLOT_BYTES = 60_000


def sample(at: float, model: str = "amber", status: int = 200, error: str = "") -> Sample:
    return Sample(at, model, "default", 1, status, None if error else 0.1, 0.2, error, (2, 101), "60")


def test_a_broken_check_makes_the_exit_status_1_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def play(holds: bool) -> Story:
        story = Story(lambda file: file.write_text("drawn") and None)
        story.check("errors a client saw", holds, 0 if holds else 3, 0)
        return story

    monkeypatch.setattr(command, "_missing", lambda: None)
    monkeypatch.setattr(command, "SCENARIOS", {"good": lambda: play(True), "bad": lambda: play(False)})
    assert command.main(["good", "--plots", str(tmp_path)]) == 0
    assert (tmp_path / "scenario-good.svg").read_text() == "drawn"
    assert command.main([]) == 1
    assert "broken: bad: errors a client saw: 3, wanted 0" in capsys.readouterr().err


def test_an_unknown_name_and_a_missing_server_are_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["fast"])
    assert caught.value.code == 2
    assert "no scenario 'fast'; there are slow, dies" in capsys.readouterr().err
    monkeypatch.setattr(command, "find_envoy", lambda: Path("/bin/true"))
    monkeypatch.setattr(command, "PROGRAMS", ("no-such-program",))
    assert command.main(["slow"]) == 2
    assert "not on PATH: no-such-program" in capsys.readouterr().err


def test_the_table_shows_what_did_not_hold() -> None:
    text = table("slow", [Row("a", "1", "1"), Row("b", "2", "1", holds=False)])
    assert text.splitlines() == [
        "| slow | found | wanted |",
        "|---|---|---|",
        "| a | 1 | 1 |",
        "| b | **2** (broken) | 1 |",
    ]


def test_the_same_figures_give_the_same_plot(tmp_path: Path) -> None:
    samples = [sample(at / 10, "amber" if at % 3 else "blue") for at in range(270)]
    circuit = [(at / 4, int(6 < at / 4 < 12) * 2) for at in range(108)]
    story = dies._story(samples, circuit, 0.01)
    story.draw(tmp_path / "one.svg")
    story.draw(tmp_path / "two.svg")
    one = (tmp_path / "one.svg").read_text()
    assert one == (tmp_path / "two.svg").read_text()
    assert len(one) < MAX_PLOT_BYTES
    assert not re.search(r"\d{4}-\d{2}-\d{2}T", one), "a date in the plot changes it with every run"


def test_a_circuit_that_never_opens_breaks_the_story_of_a_death() -> None:
    samples = [sample(at / 10) for at in range(270)]
    story = dies._story(samples, [(at / 4, 0) for at in range(108)], 0.01)
    assert "seconds until its circuit was open" in [row.what for row in story.broken]
    assert "seconds until it was closed again" in [row.what for row in story.broken]


@pytest.mark.parametrize(
    ("spent", "held", "status", "broken"),
    [
        (1.004, 0.0, 429, []),
        (1.02, 0.0, 429, ["spent in the end", "spent and held together, at most"]),
        (0.9, 0.0, 429, ["spent in the end"]),
        (1.004, 0.01, 429, ["held in the end", "spent and held together, at most"]),
        (1.004, 0.0, 503, ["refusals", "other errors a client saw"]),
    ],
)
def test_a_budget_that_leaks_breaks_its_story(spent: float, held: float, status: int, broken: list[str]) -> None:
    usd = budget._usd(2, 101)
    samples = [sample(0, "dear")] * int(spent / usd) + [sample(1, "", status, f"status {status}")] * 200
    accounts = [Account(1, 0.5, 0.0051, 0.0051), Account(2, spent, held, 0.0)]
    found = [row.what for row in budget._story(samples, accounts, 0.0).broken if not row.what.startswith("spent, less")]
    assert set(broken) <= set(found)
    if not broken:
        assert found == []


def test_a_session_changes_when_another_model_answers_than_before() -> None:
    turns = [sample(at, model) for at, model in enumerate("aabbba")]
    assert session.changes(turns) == [2, 5]


@pytest.mark.parametrize("name", command.SCENARIOS)
def test_the_page_shows_every_scenario_its_plot_and_its_figures(name: str) -> None:
    assert f"](plots/scenario-{name}.svg)" in PAGE
    assert f"| {name} | found | wanted |" in PAGE
    assert (ROOT / "docs" / "plots" / f"scenario-{name}.svg").stat().st_size < MAX_PLOT_BYTES


def test_the_page_shows_nothing_broken() -> None:
    assert "(broken)" not in PAGE
