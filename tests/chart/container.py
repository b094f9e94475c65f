"""One container as a process here: `python container.py SPEC`, where SPEC is JSON; it becomes the container's process.

A user and a mount namespace of its own, a file system that holds what the image holds and can be read only, the pod's
volumes where the manifest mounts them, the user that the manifest names, no capabilities and no way to get any. Network
and processes are the machine's. Needs no privileges, only a kernel that lets users make namespaces. Standard library
alone, and no imports of ours: it runs before anything of the image does.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000
READ_ONLY, REMOUNT, BIND, RECURSIVE = 1, 32, 4096, 16384
KEPT_FLAGS = 2 | 4 | 8  # nosuid, nodev, noexec: a namespace may not take them away
NO_NEW_PRIVILEGES = 38
LIBC = ctypes.CDLL(None, use_errno=True)


def main(spec: dict[str, Any]) -> None:
    """Become the container.

    root: an empty folder to mount it on. user, group: ids inside. mounts: {source, target, writable}, in order.
    links: {target: source}. hosts: text of /etc/hosts. environment, command: of the process.
    """
    become(spec["user"], spec["group"])
    root = Path(spec["root"])
    mount("tmpfs", root, "tmpfs", 0, "mode=0755")
    for target, source in spec["links"].items():
        (root / target.lstrip("/")).symlink_to(source)
    for each in spec["mounts"]:
        bind(Path(each["source"]), root / each["target"].lstrip("/"), writable=each["writable"])
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "hosts").write_text(spec["hosts"])
    mount(None, root, None, REMOUNT | BIND | READ_ONLY)
    os.chroot(root)
    os.chdir("/")
    check(LIBC.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no new privileges")
    # A program that is started by another user than root keeps no capability.
    os.execvpe(spec["command"][0], spec["command"], spec["environment"])


def become(user: int, group: int) -> None:
    """Enter the namespaces, in which whoever runs this is `user`."""
    mine, my_group = os.geteuid(), os.getegid()
    check(LIBC.unshare(NEW_USER | NEW_MOUNTS), "a namespace of its own")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {mine} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {my_group} 1")


def bind(source: Path, target: Path, *, writable: bool) -> None:
    """Show a file or folder of this machine at `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    mount(str(source), target, None, BIND | RECURSIVE)
    if not writable:
        kept = os.statvfs(target).f_flag & KEPT_FLAGS
        mount(None, target, None, REMOUNT | BIND | READ_ONLY | kept)


def mount(source: str | None, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [word.encode() if word is not None else None for word in (source, str(target), kind)]
    check(LIBC.mount(*words, flags, data.encode() if data else None), f"mount of {source or target}")


def check(status: int, what: str) -> None:
    if status:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
