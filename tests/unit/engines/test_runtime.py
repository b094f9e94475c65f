"""One session for all threads, and what opening a model refuses."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from signalbox.engines import runtime
from signalbox.engines.runtime import CPU, CUDA, Gauge, Pace, open_network
from signalbox.errors import RouterError, SetupError

from . import tiny

IDS = [2, 5, 6, 3]


def model(folder: Path, **options: bool) -> Path:
    return tiny.classifier(folder / "model.onnx", {"proof": (3, 0, 0), "theorem": (0, 1, 0)}, 3, **options)


def test_threads_share_one_session_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    network = open_network(model(tmp_path))
    rows = [[2, token, 3] for token in range(4, 16)]
    alone = [network.run_ids(ids).tolist() for ids in rows]
    found: list[list[object]] = [[] for _ in rows]

    def work(number: int) -> None:
        for _ in range(50):
            found[number].append(network.run_ids(rows[number]).tolist())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(rows))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers == [alone[number]] * 50 for number, answers in enumerate(found))


def test_prepared_weights_give_the_same_answers_and_are_made_once(tmp_path: Path) -> None:
    file, prepared = model(tmp_path, external=True), tmp_path / "prepared"
    plain = open_network(file)
    first, second = open_network(file, prepared=prepared), open_network(file, prepared=prepared)
    assert first.path == second.path != file
    assert plain.run_ids(IDS).tolist() == first.run_ids(IDS).tolist() == second.run_ids(IDS).tolist()
    assert len([place for place in prepared.iterdir() if place.is_dir()]) == 1


def test_another_model_in_the_same_place_is_prepared_anew(tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    before = open_network(model(tmp_path), prepared=prepared)
    tiny.classifier(tmp_path / "model.onnx", {"proof": (0, 7, 0)}, 3)
    after = open_network(tmp_path / "model.onnx", prepared=prepared)
    assert before.path != after.path
    assert after.run_ids(IDS).argmax() == 1


def test_a_place_that_cannot_be_written_costs_memory_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    network = open_network(model(tmp_path), prepared=tmp_path / "file" / "below")
    assert network.run_ids(IDS).shape == (1, 3)


def test_float16_is_never_run_on_a_cpu(tmp_path: Path) -> None:
    with pytest.raises(RouterError, match="float16 weights are for accelerators"):
        open_network(model(tmp_path), device="cpu", dtype="float16")


def test_a_gpu_is_used_where_onnx_runtime_offers_one_and_demanded_only_by_name() -> None:
    class Offers:
        def __init__(self, *providers: str) -> None:
            self.get_available_providers = lambda: list(providers)

    assert runtime._providers(Offers(CUDA, CPU), "auto") == [CUDA, CPU]
    assert runtime._providers(Offers(CUDA, CPU), "cpu") == [CPU]
    assert runtime._providers(Offers(CPU), "auto") == [CPU]
    with pytest.raises(SetupError, match="onnxruntime-gpu"):
        runtime._providers(Offers(CPU), "cuda")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08" * 50])
def test_a_file_that_is_no_model_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(RouterError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        open_network(file, prepared=tmp_path / "prepared")


def test_a_run_that_fails_says_so_without_its_input(tmp_path: Path) -> None:
    with pytest.raises(RouterError, match="ONNX Runtime failed with") as failure:
        open_network(model(tmp_path)).run_ids([999_999])
    assert "999999" not in str(failure.value)


def test_an_input_nobody_knows_is_named() -> None:
    with pytest.raises(RouterError, match="'pixel_values'"):
        runtime.Network._feed("pixel_values", np.zeros((1, 1), dtype=np.int64))


def test_measuring_warms_up_and_gives_a_pace_that_grows_with_length(tmp_path: Path) -> None:
    pace = open_network(model(tmp_path)).measure((64, 8, 64))
    assert [tokens for tokens, _ in pace.points] == [8, 64]
    assert all(seconds > 0 for _, seconds in pace.points)


def test_a_run_refused_by_a_pace_measured_too_slow_is_tried_again_and_then_believed() -> None:
    gauge = Gauge(Pace(((64, 0.1),)))
    refused = 0
    while not gauge.fits(64, 0.02):
        refused += 1
        assert refused < 100
    assert refused > 20
    gauge.took(64, 0.005)
    assert gauge.fits(64, 0.02)


def test_a_run_that_really_is_too_slow_stays_refused_but_for_a_few() -> None:
    gauge, begun = Gauge(Pace(((64, 0.1),))), 0
    for _ in range(1000):
        if gauge.fits(64, 0.05):
            gauge.took(64, 0.1)
            begun += 1
    assert 5 < begun < 100


def test_a_run_that_others_held_up_makes_no_estimate_longer() -> None:
    gauge = Gauge(Pace(((64, 0.1),)))
    for _ in range(50):
        gauge.took(64, 3.0)
    assert gauge.fits(64, 0.1)


def test_a_pace_is_read_between_lengths_and_beyond() -> None:
    pace = Pace(((100, 1.0), (200, 3.0)))
    assert pace.seconds(100) == 1.0
    assert pace.seconds(150) == 2.0
    assert pace.seconds(400) == 6.0
    assert pace.seconds(1) == 0.25
    assert Pace().seconds(500) == 0.0
