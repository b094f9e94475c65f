from __future__ import annotations

import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from signalbox.errors import SetupError
from signalbox.extproc.address import claim
from signalbox.extproc.exchange import Exchange

from .conftest import Served
from .decisions import exchange
from .envoy_peer import connected


def test_a_free_path_is_claimed_as_it_is(socket_path: Path) -> None:
    assert claim(f"unix:{socket_path}") == socket_path


def test_a_socket_nobody_listens_on_is_removed(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path))
    claim(f"unix:{socket_path}")
    assert not socket_path.exists()


def test_a_socket_somebody_listens_on_is_left_to_them(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(socket_path))
        alive.listen(1)
        with pytest.raises(SetupError, match="another process serves it"):
            claim(f"unix:{socket_path}")
        assert socket_path.exists()


def test_a_file_that_is_no_socket_is_left_alone(socket_path: Path) -> None:
    socket_path.write_text("precious")
    with pytest.raises(SetupError, match="not a socket"):
        claim(f"unix:{socket_path}")
    assert socket_path.read_text() == "precious"


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "unix:", "unix://host/path", "/run/w.sock", "dns:x"])
def test_an_address_of_another_kind_is_refused_with_the_right_one(address: str) -> None:
    with pytest.raises(SetupError, match="expected unix:PATH"):
        claim(address)


def test_a_path_too_long_for_a_socket_says_how_long_it_may_be(socket_path: Path) -> None:
    with pytest.raises(SetupError, match="107"):
        claim(f"unix:{socket_path.parent / ('x' * 108)}")


def test_a_missing_directory_is_named(socket_path: Path) -> None:
    with pytest.raises(SetupError, match="does not exist"):
        claim(f"unix:{socket_path.parent / 'missing' / 'w.sock'}")


def test_a_bound_socket_is_open_to_owner_and_group_only(serve: Callable[[Exchange], Served]) -> None:
    served = serve(exchange())
    assert stat.S_IMODE(served.socket_path.stat().st_mode) == 0o660


def test_a_second_server_on_a_served_path_is_refused_and_the_first_goes_on(serve: Callable[[Exchange], Served]) -> None:
    first = serve(exchange())
    with pytest.raises(SetupError, match="another process serves it"):
        serve(exchange())
    with connected(first.address) as peer:
        assert peer.health() == 1
