# SPDX-License-Identifier: GPL-2.0-only
"""Faults around weir: no memory, no bpffs, interfaces that go away, frames longer than a page, four
writers at once. And what is left in the kernel after many attachments and rotations of lists."""
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time

import owned
from stage import (BPFFS, LONG, NEAR4, PINS, UDP_PORT, WEIR, Receiver, arrived, check, demand,
                   mount_bpffs, pins, run, run_tests, skip, wait_for)
from strace import fail_each, strace_works

CYCLES = int(os.environ.get("WEIR_CYCLES", "0"))      # 0: as CYCLE_SECONDS allow, up to 1000
CYCLE_SECONDS, WARM_UP = 60 if LONG else 8, 10
ROTATIONS = 288             # one in five minutes, for a day
STEP = 1 if LONG else 5     # of the calls that are made to fail
LIST_LENGTH = 2000
MAKES = re.compile(r"bpf\((BPF_MAP_CREATE|BPF_MAP_UPDATE_ELEM|BPF_PROG_LOAD|BPF_BTF_LOAD|"
                   r"BPF_OBJ_PIN|BPF_LINK_CREATE)")     # calls that need memory


def check_none_left(what, group):
    """No map that was made in @group; a program would hold some."""
    gone = wait_for(lambda: not group.maps())
    check(gone, what, f"{len(group.maps())} are left")


# ---- an interface that goes away ----

def test_interface_comes_back(lab):
    """Five times under the same name, with the settings kept."""
    lab.weir("limit", "set", "rate", "1/h", "burst", 5)
    passed, seen = [], []
    for _ in range(5):
        lab.attach()
        passed.append(arrived(lab))
        lab.near.run("ip", "link", "del", "near0")
        lab.watched = None
        seen.append([each["attached"] for each in lab.read("show", "status")["devices"]])
        lab.join()
    check(passed == [5, 0, 0, 0, 0] and seen == [[False]] * 5,
          "an interface that goes and comes: settings and debts stay, status tells",
          f"arrived of 20 each time: {passed}")
    lab.weir("detach", "all")
    check(not pins(), "and nothing is left", "no pins")


# ---- no memory ----

def test_first_attach_without_memory(lab):
    """After a failure everything is attached, or nothing is."""
    what = "attach with any call failing"
    if not strace_works(lab, what):
        return
    lab.up()

    def before():
        if lab.prog_id() or PINS.exists():
            lab.weir("detach", "all", expect=None)

    def after(done):
        if done.status == 0:
            return None if lab.prog_id() else "nothing is attached"
        return f"{pins() or ''} program {lab.prog_id()} stay" if PINS.exists() or lab.prog_id() else None

    with owned.group(what) as group:
        wrong, failed, coped = fail_each(lab, ("attach", "dev", "near0"), MAKES, before, after,
                                         3 * STEP)
        check(not wrong and failed > 3, f"{what}: all or nothing, and a message",
              "; ".join(wrong[:3]) or f"{failed} failed, {coped} did without")
        before()
        if group:
            check_none_left(f"{what}: no map and no program stays", group)


def test_changes_without_memory(lab):
    """Changes of a running weir: the whole old policy is in force, or the whole new one."""
    if not strace_works(lab, "changes with any call failing"):
        return
    lab.attach()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "list")
        path.write_text("203.0.113.0/24\n2001:db8:bad::/48\n")
        for words, undo in ((("list", "load", "bad", "file", path), ("list", "del", "bad")),
                            (("limit", "set", "rate", "10pps"), ("limit", "flush")),
                            (("block", "add", "203.0.113.9"), ("block", "flush"))):
            lab.weir(*undo, expect=None)
            without = state(lab)
            lab.weir(*words)
            with_it = state(lab)
            demand(without != with_it, f"{words} changes what save says")

            def before(undo=undo):
                lab.weir(*undo, expect=None)

            def after(done, without=without, with_it=with_it):
                now = state(lab)
                if now != (without if done.status else with_it):
                    return "half of it is in force" if now not in (without, with_it) else \
                        "done, and said to have failed" if done.status else "not done"
                return None if lab.prog_id() else "no program"

            wrong, failed, coped = fail_each(lab, words, MAKES, before, after, STEP)
            check(not wrong and failed, f"{words[0]} {words[1]} with any call failing: "
                  "all or nothing", "; ".join(wrong[:3]) or f"{failed} failed, {coped} did without")


def state(lab):
    return [line for line in lab.weir("save").out.splitlines() if not line.startswith("#")]


def test_swap_without_memory(lab):
    """The old program stays where the new one cannot be attached."""
    if not strace_works(lab, "a swap with any call failing"):
        return
    lab.attach()
    lab.weir("limit", "set", "rate", "1/h", "burst", 3)
    arrived(lab)

    def after(_):
        return None if lab.prog_id() else "no program"

    # Most of these calls are libbpf's questions what the kernel can, which may fail.
    wrong, failed, coped = fail_each(lab, ("attach", "dev", "near0"), MAKES, lambda: None, after,
                                     min(STEP, 2))
    check(not wrong and failed, "a swap with any call failing: a program is always there",
          "; ".join(wrong[:3]) or f"{failed} failed, {coped} did without")
    passed = arrived(lab)
    check(passed == 0, "and the limit holds", f"{passed} of 20 arrived")


def test_memory_limit(lab):
    """A control group with too little memory for the maps: real failures, halfway."""
    what = "attach in a control group without memory"
    try:
        group = owned.make_group(f"weir-{os.getpid()}")
    except owned.Unavailable as why:
        skip(what, why)
        return
    lab.up()
    limit = group / ("memory.max" if (group / "memory.max").exists() else "memory.limit_in_bytes")
    failed, wrong = [], []
    try:
        for mib in (2, 4, 6, 8, 12, 16, 24, 48, 1024):
            limit.write_text(str(mib << 20))
            done = lab.near.run("sh", "-c", f"echo $$ >{group}/cgroup.procs && exec {WEIR} attach "
                                "dev near0", expect=None)
            if done.status == 0:
                lab.weir("detach", "all")
                continue
            failed.append(mib)
            left = pins() if done.status == 1 else []   # else killed for lack of memory
            if left or lab.prog_id() or (done.status == 1 and not done.err.startswith("weir: ")):
                wrong.append(f"{mib} MiB: {done}, left {left}, program {lab.prog_id()}")
            lab.weir("detach", "all", expect=None)
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()
    if not failed:
        skip(what, "this kernel does not charge maps to the group of the process that makes them")
        return
    check(not wrong, f"{what}: nothing half done", "; ".join(wrong) or
          f"failed with {', '.join(map(str, failed))} MiB")
    lab.weir("attach", "dev", "near0")
    check(lab.prog_id() is not None, "and with memory it works", f"program {lab.prog_id()}")


# ---- frames longer than a page ----

def test_jumbo_frames(lab):
    """Native mode is refused with the remedy; skb mode counts whole frames."""
    for namespace, dev in ((lab.near, "near0"), (lab.far, "far0")):
        namespace.run("ip", "link", "set", dev, "mtu", 9000)
    lab.up()
    done = lab.weir("attach", "dev", "near0", "mode", "native", expect=None)
    check(done.status == 1 and "MTU of 9000" in done.err and "mtu 3000" in done.err,
          "an MTU above a page: native mode is refused with the remedy", done)
    check(not pins() and lab.prog_id() is None, "and nothing is left", pins() or "no pins")
    done = lab.weir("attach", "dev", "near0")
    check("no native XDP" in done.err, "auto falls back to skb mode and says why",
          done.err.splitlines()[0])
    receiver = Receiver(lab.near)
    with lab.far:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(20):
        sock.sendto(b"x" * 8000, (NEAR4, UDP_PORT))
    sock.close()
    passed, stats = len(receiver.stop()), lab.stats()
    sizes = stats.reasons["no-limit"]["bytes"]
    check(passed == 20 and stats["no-limit"] == 20 and sizes == 20 * (8000 + 8 + 20 + 14),
          "frames of 8,042 bytes pass and are counted whole", f"{passed} of 20, {sizes} bytes")
    lab.weir("limit", "set", "rate", "1/h", "burst", 5)
    passed = arrived(lab)
    check(passed == 5, "and limited", f"{passed} of 20 arrived")
    lab.weir("detach", "all")
    for namespace, dev in ((lab.near, "near0"), (lab.far, "far0")):
        namespace.run("ip", "link", "set", dev, "mtu", 3000)
    lab.weir("attach", "dev", "near0", "mode", "native")
    check(lab.prog_id() is not None, "what the remedy says works", f"program {lab.prog_id()}")


# ---- bpffs ----

def test_bpffs_unmounted_under_it(lab):
    """The program stays in force; the tool reports that bpffs is gone, and displaces nothing."""
    lab.attach()
    lab.weir("limit", "set", "rate", "1/h", "burst", 5)
    first, program = arrived(lab), lab.prog_id()
    run("umount", "-l", BPFFS)
    lab.watched = None
    again = arrived(lab)
    done = lab.weir("show", "stats", expect=None)
    check(first == 5 and again == 0, "bpffs unmounted: the limit still works",
          f"{first} of 20 before, {again} of 20 after")
    check(done.status == 1 and "not mounted" in done.err, "bpffs unmounted: the tool says so", done)
    mount_bpffs()
    done = lab.weir("attach", "dev", "near0", expect=None)
    check(done.status == 1 and lab.prog_id() == program, "mounted anew: the old program is a stranger "
          "and stays", done)
    check(not pins() and not PINS.exists(), "and nothing is pinned beside it", pins() or "no pins")
    lab.near.run("ip", "link", "set", "dev", "near0", "xdp", "off")
    lab.weir("attach", "dev", "near0")
    passed = arrived(lab)
    check(passed == 20, "taken off by hand, weir begins anew", f"{passed} of 20 arrived")


# ---- two writers ----

def test_two_writers(lab):
    """Two lists rotate while limits are set: no change is lost."""
    lab.attach()
    with tempfile.TemporaryDirectory() as folder:
        scripts = []
        for n in (0, 1):
            for turn in range(10):
                pathlib.Path(folder, f"{n}-{turn}").write_text(
                    "".join(f"203.0.113.{n * 100 + i}\n" for i in range(turn + 1)))
            scripts.append(f"for n in 0 1 2 3 4 5 6 7 8 9; do {WEIR} -q list load l{n} file "
                           f"{folder}/{n}-$n force || exit; done")
        scripts += [f"for p in $(seq {first} {first + 9}); do {WEIR} -q limit set dport $p rate 9pps "
                    "|| exit; done" for first in (100, 200)]
        running = [subprocess.Popen(lab.near.command("sh", "-c", script), stderr=subprocess.PIPE,
                                    text=True) for script in scripts]
        said = [process.communicate(timeout=100)[1] for process in running]
    limits, saved = len(lab.read("limit", "show")["limits"]), lab.weir("save").out
    blocked = [lab.weir("block", "test", f"203.0.113.{n}", expect=None).status
               for n in (9, 109, 10, 110)]
    check(not "".join(said) and limits == 20 and saved.count("list load") == 2 and
          blocked == [0, 0, 1, 1], "four writers at once: all changes are there",
          "".join(said) or f"{limits} of 20 limits, 2 lists, the last of 10 generations of each")


# ---- many times ----

def settled(read):
    """What @read returns once it has stopped falling: the kernel frees maps in its own time."""
    def stands():
        before = read()
        time.sleep(0.3)
        return read() >= before

    wait_for(stands)
    return read()


def check_memory(what, group, before, times):
    """One map left behind each time would be 4 KiB at the least."""
    grown = settled(group.kernel_kib) - before
    check(grown <= 4 * times, f"{what}: memory does not grow",
          f"{grown} KiB more than the {before} KiB of this test's processes after the first ones")


def test_attach_and_detach_again_and_again(lab):
    """In one shell: starting each command from Python would take longer than the command."""
    lab.up()
    script = (f"n=0; while [ $n -lt $1 ]; do {WEIR} -q attach dev near0 || exit; "
              f"{WEIR} -q detach all || exit; n=$((n + 1)); done")

    def turns(count):
        run(*lab.near.command("sh", "-c", script, "sh", count))

    with owned.group("attached and detached again and again") as group:
        started = time.monotonic()
        turns(WARM_UP)
        each = (time.monotonic() - started) / WARM_UP
        count = CYCLES or min(1000, max(2 * WARM_UP, int(CYCLE_SECONDS / each)))
        before = group and settled(group.kernel_kib)
        turns(count - WARM_UP)
        what = f"{count} times attached and detached"
        check(not pins() and lab.prog_id() is None, f"{what}: no pins, no program on the interface",
              f"{1000 * each:.0f} ms each")
        if group:
            check_none_left(f"{what}: no map and no program is left", group)
            check_memory(what, group, before, count)


def test_a_day_of_rotations(lab):
    """One list with other contents each time, as by a cron job every five minutes."""
    what = "a day of rotations"
    with owned.group(what) as group, tempfile.TemporaryDirectory() as folder:
        lab.attach()
        receiver = Receiver(lab.near)
        for n in (0, 1):
            pathlib.Path(folder, str(n)).write_text("".join(
                f"198.51.{i >> 8}.{i & 255}\n" for i in range(n, LIST_LENGTH + 17 * n)))
        script = (f"n=0; while [ $n -lt $1 ]; do {WEIR} -q list load day file {folder}/$((n % 2)) "
                  "|| exit; n=$((n + 1)); done")
        run(*lab.near.command("sh", "-c", script, "sh", 8))
        maps = group and settled(lambda: len(group.maps()))
        memory = group and settled(group.kernel_kib)
        flood = lab.start_flood("to", NEAR4, "from", "203.0.113.7/32", "pps", 200, "seconds", 100)
        run(*lab.near.command("sh", "-c", script, "sh", ROTATIONS))
        flood.stop()
        passed, lost = len(receiver.stop()), lab.lost()
        shown = lab.read("list", "show")["lists"][0]
        check(shown["generation"] == ROTATIONS + 8, what,
              f"{ROTATIONS} in {flood.seconds:.0f} s, generation {shown['generation']}")
        if group:
            back = wait_for(lambda: len(group.maps()) == maps)
            check(back and maps, f"{what}: as many maps as before it",
                  f"{maps} before, {len(group.maps())} after")
            check_memory(what, group, memory, ROTATIONS)
        check(passed >= flood.packets - lost, "and not one packet of an unlisted source dropped",
              f"{passed} of {flood.packets} passed, {lost} lost before")


if __name__ == "__main__":
    run_tests(__name__)
