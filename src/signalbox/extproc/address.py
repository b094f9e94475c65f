"""The address a worker listens on: a unix socket, taken over only from the dead."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from signalbox.errors import SetupError

SOCKET_MODE = 0o660  # Envoy runs as another user of the same group
MAX_PATH_BYTES = 107  # sun_path on Linux, less its terminating zero


def claim(address: str) -> Path:
    """Return the path of `unix:PATH`, free to bind: a socket file nobody listens on is removed.

    Binding a path that is served succeeds without a word and cuts the other server off, so it is tried
    with a connection first. Raises SetupError for another kind of address, a path that is too long, a
    missing directory, a file that is no socket, or a live server.
    """
    scheme, _, name = address.partition(":")
    path = Path(name)
    if scheme != "unix" or not name or name.startswith("//"):
        raise SetupError(f"cannot listen on {address!r}: expected unix:PATH")
    if len(os.fsencode(name)) > MAX_PATH_BYTES:
        raise SetupError(
            f"cannot listen on {address!r}: the path is {len(os.fsencode(name))} bytes long, a unix socket "
            f"allows {MAX_PATH_BYTES}; choose a shorter run directory"
        )
    if not path.parent.is_dir():
        raise SetupError(f"cannot listen on {address!r}: the directory {str(path.parent)!r} does not exist")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return path
    if not stat.S_ISSOCK(mode):
        raise SetupError(f"cannot listen on {address!r}: the file there is not a socket; move it away")
    if _is_served(name):
        raise SetupError(f"cannot listen on {address!r}: another process serves it; stop that one first")
    path.unlink(missing_ok=True)
    return path


def share(path: Path) -> None:
    """Let owner and group use a bound socket."""
    path.chmod(SOCKET_MODE)


def _is_served(name: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(name)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (BlockingIOError, TimeoutError):
            return True  # its backlog is full: busy, but alive
    return True
