from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from grpc._cython import cygrpc

from signalbox.errors import SetupError
from signalbox.extproc.core_server import PINNED_GRPCIO, check_shape
from signalbox.extproc.exchange import Exchange
from signalbox.extproc.server import make_server

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_the_pin_named_in_errors_is_the_one_that_is_installed_by_the_package() -> None:
    dependencies = tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]
    assert f"grpcio=={PINNED_GRPCIO}" in dependencies


def test_the_installed_grpcio_has_the_shape_the_loop_needs() -> None:
    check_shape(cygrpc, version("grpcio"))


def test_a_grpcio_of_another_shape_is_refused_with_its_version_the_pin_and_the_way_out() -> None:
    changed = ModuleType("cygrpc")
    for name in dir(cygrpc):
        if name != "ReceiveMessageOperation":
            setattr(changed, name, getattr(cygrpc, name))
    with pytest.raises(SetupError) as refusal:
        check_shape(changed, "9.9.9")
    text = str(refusal.value)
    assert "grpcio 9.9.9 lacks ReceiveMessageOperation" in text
    assert f"grpcio=={PINNED_GRPCIO}" in text
    assert "--server aio" in text


def test_an_unknown_kind_of_server_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SetupError, match=re.escape("'uvloop'; expected core or aio")):
        make_server("uvloop", Exchange(), max_message_bytes=1024)  # type: ignore[arg-type]
