# SPDX-License-Identifier: GPL-2.0-only
"""What a test's own processes hold in the kernel, whatever else runs on the machine.

A test enters a memory control group of its own. The kernel charges each BPF map to the group of
the process that made it, and keeps that account after the process has ended; so the maps of the
group, and its kernel memory, are those of this test and of no other process. A BPF program of
weir's holds its maps: where no map of the group is left, no program is.
"""
import contextlib
import os
import pathlib
import re
import struct
import tempfile
import time

from stage import BUILD, run, skip

ITERATOR = BUILD / "tests/system/owned.bpf.o"
RECORD = struct.Struct("QQ")    # struct record of owned.bpf.c
ROOTS = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup")     # version 1; version 2


class Unavailable(Exception):
    """This machine gives a test no control group; the text says why."""


def make_group(name):
    """A memory control group: a folder. Its limit is memory.max, or memory.limit_in_bytes."""
    for root in map(pathlib.Path, ROOTS):
        if not (root / "cgroup.procs").exists():
            continue
        group = root / name
        try:
            group.mkdir()
        except OSError as why:
            raise Unavailable(f"no control group can be made: {why}") from why
        if any((group / file).exists() for file in ("memory.max", "memory.limit_in_bytes")):
            return group
        group.rmdir()
    raise Unavailable("no memory controller")


def current_group(root):
    """This process's, below @root."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == ("" if str(root) == ROOTS[1] else "memory"):
            return root / path.lstrip("/")
    return root


class Group:
    """`with` puts this process, and all that it starts, into a memory control group of its own."""

    def __enter__(self):
        self.path = make_group(f"weir-own-{os.getpid()}")
        self.before = current_group(self.path.parent)
        self.mount = pathlib.Path(tempfile.mkdtemp(prefix="weir-owned-"))
        try:
            # A bpffs beside the stage's, whose pins the tests count.
            run("mount", "-t", "bpf", "bpf", self.mount)
            done = run("bpftool", "iter", "pin", ITERATOR, self.mount / "maps", expect=None)
            if done.status:
                raise Unavailable(f"no iterator over maps: {done}")
            (self.path / "cgroup.procs").write_text(str(os.getpid()))
        except Unavailable:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        """Processes that end take their time to leave the group."""
        run("umount", self.mount, expect=None)
        self.mount.rmdir()
        (self.before / "cgroup.procs").write_text(str(os.getpid()))
        for _ in range(100):
            if not (self.path / "cgroup.procs").read_text().strip():
                break
            time.sleep(0.02)
        self.path.rmdir()

    def maps(self):
        """The ids of the maps that processes of this group have made, and that are there."""
        group = self.path.stat().st_ino
        return {number for owner, number in
                RECORD.iter_unpack((self.mount / "maps").read_bytes()) if owner == group}

    def kernel_kib(self):
        """What the kernel has allocated for this group: maps, programs, slabs, page tables."""
        old = self.path / "memory.kmem.usage_in_bytes"
        if old.exists():
            return int(old.read_text()) >> 10
        stat = (self.path / "memory.stat").read_text()
        return int(re.search(r"^kernel (\d+)$", stat, re.M)[1]) >> 10


@contextlib.contextmanager
def group(what):
    """A Group; or None, and the reason in a line of @what, where this machine gives none."""
    with contextlib.ExitStack() as stack:
        try:
            entered = stack.enter_context(Group())
        except Unavailable as why:
            entered = None
            skip(f"{what}: what is left in the kernel", why)
        yield entered
