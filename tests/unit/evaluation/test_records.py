"""Data files: what is read, what is left out and counted, and what is refused with its place and its fix."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from signalbox.errors import DataError
from signalbox.evaluation.records import NEEDS_STRONG, NEITHER, WEAK_OK, Scale, read_prompts, read_records
from tests.unit.evaluation.data import made_up, write


def test_tiers_are_read_from_plain_and_from_compressed_files(tmp_path: Path) -> None:
    rows = made_up(12)
    plain = read_records(write(tmp_path / "a.jsonl", rows))
    packed = read_records(write(tmp_path / "a.jsonl.gz", rows))
    assert plain.prompts == packed.prompts == tuple(row["prompt"] for row in rows)
    assert plain.strong.tolist() == [row["p_strong"] for row in rows]
    assert plain.weak_name == "weak tier"


def test_a_gzip_file_is_recognised_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "renamed.jsonl"
    file.write_bytes(gzip.compress(json.dumps(made_up(1)[0]).encode()))
    assert len(read_records(file)) == 1


def test_models_are_named_one_by_one_or_as_a_tier_of_several(tmp_path: Path) -> None:
    scores = {"a": 1.0, "b": 0.5, "c": 0.0}
    file = write(tmp_path / "x.jsonl", [{"prompt": "p", "scores": scores}])
    records = read_records(file, "a,b", "c")
    assert (records.strong[0], records.weak[0]) == (0.75, 0.0)
    assert records.sources == ("x",)


def test_of_two_models_the_better_one_is_the_strong_side_without_being_named(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "scores": {"x": n % 2, "y": 1}} for n in range(6)]
    records = read_records(write(tmp_path / "x.jsonl", rows))
    assert (records.strong_name, records.weak_name) == ("y", "x")


def test_of_three_models_the_two_sides_have_to_be_named(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", [{"prompt": "p", "scores": {"a": 1, "b": 0.5, "c": 0}}])
    with pytest.raises(DataError, match=r"(?s)which of 3 models is the strong one.*a \(1\.00\), b \(0\.50\).*--strong"):
        read_records(file)


def test_a_name_that_no_row_has_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", [{"prompt": "p", "scores": {"gpt-large": 1, "gpt-small": 0}}])
    with pytest.raises(DataError, match="did you mean 'gpt-large'"):
        read_records(file, "gpt-lage", "gpt-small")


def test_both_sides_cannot_be_the_same_model(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", [{"prompt": "p", "scores": {"a": 1, "b": 0}}])
    with pytest.raises(DataError, match="both sides are 'a'"):
        read_records(file, "a", "a")


def test_labels_say_who_gets_it_right(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "p_strong": 1, "p_weak": 0.4},
        {"prompt": "b", "p_strong": 0, "p_weak": 0.5},
        {"prompt": "c", "p_strong": 0.4, "p_weak": 0.4},
        {"prompt": "d", "p_strong": 0.4996, "p_weak": 0.1, "label": "needs_strong"},
    ]
    labels = read_records(write(tmp_path / "x.jsonl", rows)).labels
    assert labels.tolist() == [NEEDS_STRONG, WEAK_OK, NEITHER, NEEDS_STRONG]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [((1, 10), (0.0, 1.0)), ((0, 5), (0.0, 0.5)), ((50, 100), (0.5, 1.0)), ((0.25, 1), (0.25, 1.0))],
)
def test_scores_on_a_judges_scale_are_brought_to_0_to_1(tmp_path: Path, scores, expected) -> None:
    file = write(tmp_path / "x.jsonl", [{"prompt": "p", "scores": {"a": scores[0], "b": scores[1]}}])
    records = read_records(file, "b", "a")
    assert (records.weak[0], records.strong[0]) == expected


def test_a_scale_that_is_not_recognised_has_to_be_said(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", [{"prompt": "p", "scores": {"a": -3, "b": 3}}])
    with pytest.raises(DataError, match=r"scores from -3 to 3[\s\S]*--scale"):
        read_records(file, "b", "a")
    assert read_records(file, "b", "a", scale=Scale(-3, 3)).strong[0] == 1.0


def test_each_source_has_its_own_scale(tmp_path: Path) -> None:
    rows = [
        {"prompt": "p", "source": "judged", "scores": {"a": 1, "b": 10}},
        {"prompt": "q", "source": "checked", "scores": {"a": 0, "b": 1}},
    ]
    records = read_records(write(tmp_path / "x.jsonl", rows), "b", "a")
    assert records.strong.tolist() == [1.0, 1.0]
    assert records.found.scales == {"judged": "1 to 10"}


def test_rows_without_an_outcome_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [*made_up(3), {"prompt": "p", "scores": {"big": 1}, "source": "other"}, {"prompt": "q", "p_strong": None}]
    records = read_records(write(tmp_path / "x.jsonl", rows))
    assert len(records) == 3
    assert records.found.no_outcome == {"other": 1, "x": 1}


def test_repeated_and_contradictory_prompts_are_counted(tmp_path: Path) -> None:
    rows = [
        {"prompt": "same", "p_strong": 1, "p_weak": 0},
        {"prompt": " same ", "p_strong": 1, "p_weak": 0},
        {"prompt": "odd", "p_strong": 1, "p_weak": 0},
        {"prompt": "odd", "p_strong": 1, "p_weak": 1},
        {"prompt": "alone", "p_strong": 1, "p_weak": 1},
    ]
    found = read_records(write(tmp_path / "x.jsonl", rows)).found
    assert (found.repeated, found.contradictory) == (2, 2)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("7", "x.jsonl:2: the line holds the number 7"),
        ({"scores": {}}, "x.jsonl:2: prompt: found nothing"),
        ({"prompt": ["secret"]}, "x.jsonl:2: prompt: found a list"),
        ({"prompt": "secret", "scores": [1]}, "x.jsonl:2: scores: found a list"),
        ({"prompt": "secret", "scores": {"a": "0.5"}}, 'x.jsonl:2: scores["a"]: found a string'),
        ('{"prompt": "secret", "scores": {"a": NaN}}', 'scores["a"]: found the number nan'),
        ('{"prompt": "secret", "p_strong": Infinity}', "p_strong: found the number inf"),
        ({"prompt": "secret", "p_weak": 1.5}, "p_weak: found the number 1.5"),
        ({"prompt": "secret", "source": 1.5}, "source: found the number 1.5"),
        ({"prompt": "secret", "label": "hard"}, "label: found a string"),
        ('{"prompt": "secret"', "x.jsonl:2: not JSON"),
        ("[" * 200_000, "x.jsonl:2: not JSON"),
    ],
)
def test_what_cannot_be_used_is_named_with_line_and_member_and_without_its_text(tmp_path: Path, row, told) -> None:
    with pytest.raises(DataError) as refused:
        read_records(write(tmp_path / "x.jsonl", [made_up(1)[0], row]))
    assert told in str(refused.value)
    assert "expected:" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_every_bad_row_is_reported_at_once_and_the_rest_counted(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "scores": {"a": "x"}} for _ in range(30)]
    with pytest.raises(DataError) as refused:
        read_records(write(tmp_path / "x.jsonl", rows))
    assert len(refused.value.problems) == 20
    assert str(refused.value).endswith("and 10 more problems")


def test_an_empty_file_and_one_of_blank_lines_have_no_rows(tmp_path: Path) -> None:
    for text in ("", "\n \n"):
        file = tmp_path / "x.jsonl"
        file.write_text(text)
        with pytest.raises(DataError, match="no rows"):
            read_records(file)
        with pytest.raises(DataError, match="no rows"):
            read_prompts(file)


def test_a_cut_archive_is_said_to_be_broken(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl.gz", made_up(200))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match="broken gzip"):
        read_records(file)


def test_a_damaged_archive_is_said_to_be_broken(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl.gz", made_up(200))
    content = bytearray(file.read_bytes())
    content[60:90] = bytes(30)
    file.write_bytes(bytes(content))
    with pytest.raises(DataError):
        read_records(file)


def test_a_file_that_is_not_there_and_one_that_is_not_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_records(tmp_path / "nowhere.jsonl")
    file = tmp_path / "x.jsonl"
    file.write_bytes(b'{"prompt": "\xff"}\n')
    with pytest.raises(DataError, match=r"x\.jsonl:1: byte 12 of the line is not UTF-8"):
        read_records(file)


def test_prompts_alone_are_read_whatever_else_a_row_says(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", [{"prompt": "a", "scores": "?"}, {"prompt": "b"}, '{"prompt": "\\ud800c"}'])
    assert read_prompts(file) == ["a", "b", "?c"]


def test_one_split_can_be_read_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", made_up(8))
    assert set(read_records(file, split="valid").splits) == {"valid"}
    with pytest.raises(DataError, match="no row with split 'test'"):
        read_records(file, split="test")
