# SPDX-License-Identifier: GPL-2.0-only
"""What breaks around weir: memory, mounts, interfaces; and what is left after a thousand turns."""
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time

from stage import (BPFFS, FAR4, LONG, NEAR4, PINS, UDP_PORT, WEIR, Failed, Receiver, check, demand,
                   mount_bpffs, pins, run, run_tests, send_udp, skip, wait_for)

CYCLES = int(os.environ.get("WEIR_CYCLES", "0"))      # 0: what CYCLE_SECONDS allow, at most 1000
CYCLE_SECONDS, WARM_UP = 60 if LONG else 8, 10
ROTATIONS = 288             # one in five minutes, for a day
STEP = 1 if LONG else 5     # of the calls that are made to fail
LIST_LENGTH = 2000
MAKES = re.compile(r"bpf\((BPF_MAP_CREATE|BPF_MAP_UPDATE_ELEM|BPF_PROG_LOAD|BPF_BTF_LOAD|"
                   r"BPF_OBJ_PIN|BPF_LINK_CREATE)")     # what wants memory


def arrived(lab, count=20):
    receiver = Receiver(lab.near)
    send_udp(lab.far, FAR4, NEAR4, count)
    return len(receiver.stop())


def loaded(kind):
    return {each["id"] for each in json.loads(run("bpftool", "-j", kind, "show").out)}


def names_of_ours(kind, before):
    """What is loaded beyond @before under names of ours: others may be at work meanwhile."""
    new = [each for each in json.loads(run("bpftool", "-j", kind, "show").out)
           if each["id"] not in before]
    ours = re.compile(r"weir|buckets|blockset|hints|counters|policy|gate|allow|block|scopes|meta")
    return [each for each in new if ours.match(each.get("name", ""))]


# ---- an interface that goes away ----

def test_interface_comes_back(lab):
    """Again and again, under the same name, with the same settings in force."""
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


# ---- memory that runs out ----

def trace(lab, words, *options):
    """Runs weir under strace. Returns it, and its bpf() calls."""
    with tempfile.NamedTemporaryFile("r") as log:
        done = lab.near.run("strace", "-qq", "-o", log.name, "-e", "trace=bpf", *options, WEIR,
                            *words, expect=None, env={"ASAN_OPTIONS": "detect_leaks=0"})
        return done, log.read().splitlines()


def strace_works(lab, what):
    done = lab.near.run("strace", "-qq", "-o", "/dev/null", "true", expect=None)
    if done.status:
        skip(what, f"strace may not trace here: {done.err.strip()}")
    return done.status == 0


def fail_each_call(lab, words, before, after, step=STEP):
    """Each call in turn, or one of @step, that takes memory says that there is none.

    @before: makes the state to start from; @after(done): what is wrong with the state now.
    Returns lines that say what went wrong, how often it failed, and how often it did without.
    """
    before()
    done, calls = trace(lab, words)
    demand(done.status == 0, str(done))
    wrong, failed, coped = [], 0, 0
    for number in [n for n, call in enumerate(calls, 1) if MAKES.match(call)][::step]:
        before()
        done, calls = trace(lab, words, "-e", f"inject=bpf:error=ENOMEM:when={number}")
        demand(any("INJECTED" in call for call in calls), f"call {number} does not come")
        if done.status not in (0, 1) or (done.status == 1 and not done.err.startswith("weir: ")):
            wrong.append(f"call {number}: {done}")
        why = after(done)
        if why:
            wrong.append(f"call {number}: {why} after {done}")
        failed, coped = failed + (done.status != 0), coped + (done.status == 0)
    return wrong, failed, coped


def test_first_attach_without_memory(lab):
    """It is all there, or nothing is."""
    what = "attach with any call failing"
    if not strace_works(lab, what):
        return
    lab.up()
    maps, programs = loaded("map"), loaded("prog")

    def before():
        if lab.prog_id() or PINS.exists():
            lab.weir("detach", "all", expect=None)

    def after(done):
        if done.status == 0:
            return None if lab.prog_id() else "nothing is attached"
        return f"{pins() or ''} program {lab.prog_id()} stay" if PINS.exists() or lab.prog_id() else None

    wrong, failed, coped = fail_each_call(lab, ("attach", "dev", "near0"), before, after, 3 * STEP)
    check(not wrong and failed > 3, f"{what}: all or nothing, and a message",
          "; ".join(wrong[:3]) or f"{failed} failed, {coped} did without")
    before()
    gone = wait_for(lambda: not names_of_ours("map", maps) and not names_of_ours("prog", programs))
    what = f"{what}: no map and no program stays"
    left = names_of_ours("map", maps) + names_of_ours("prog", programs)
    if gone:
        check(True, what, "none")
    else:
        check_theirs(what, left)


def check_theirs(what, left):
    """Maps that some process holds open are that process's, another test's for example."""
    held = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/fdinfo/*"):
        try:
            held.update(map(int, re.findall(r"^(?:map|prog)_id:\s*(\d+)", path.read_text(), re.M)))
        except OSError:
            continue
    ours = [each for each in left if each["id"] not in held]
    if ours and other_mounts():
        skip(what, f"{len(left)} are there, which others may have made at the same time")
    else:
        check(not ours, what, f"{len(ours)} that nobody holds, {len(left) - len(ours)} of others")


def other_mounts():
    """Whether another mount namespace has pins of a weir's."""
    own = os.readlink("/proc/self/ns/mnt")
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "ns/mnt") != own and (process / f"root{PINS}").is_dir():
                return True
        except OSError:
            continue
    return False


def test_changes_without_memory(lab):
    """Of a running weir: the old policy goes on as a whole, or the new one is in force."""
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

            wrong, failed, coped = fail_each_call(lab, words, before, after)
            check(not wrong and failed, f"{words[0]} {words[1]} with any call failing: "
                  "all or nothing", "; ".join(wrong[:3]) or f"{failed} failed, {coped} did without")


def state(lab):
    return [line for line in lab.weir("save").out.splitlines() if not line.startswith("#")]


def test_swap_without_memory(lab):
    """The old program goes on when the new one does not get in."""
    if not strace_works(lab, "a swap with any call failing"):
        return
    lab.attach()
    lab.weir("limit", "set", "rate", "1/h", "burst", 3)
    arrived(lab)

    def after(_):
        return None if lab.prog_id() else "no program"

    wrong, failed, coped = fail_each_call(lab, ("attach", "dev", "near0"), lambda: None, after)
    check(not wrong and failed, "a swap with any call failing: a program is always there",
          "; ".join(wrong[:3]) or f"{failed} failed, {coped} did without")
    passed = arrived(lab)
    check(passed == 0, "and the limit holds", f"{passed} of 20 arrived")


def test_memory_limit(lab):
    """A control group with too little for the maps: real failures, in the middle."""
    root = next((path for path in map(pathlib.Path, ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"))
                 if (path / "cgroup.procs").exists() and
                 ((path / "memory.limit_in_bytes").exists() or
                  "memory" in (path / "cgroup.controllers").read_text())), None)
    what = "attach in a control group without memory"
    group = root / f"weir-{os.getpid()}" if root else None
    try:
        demand(group, "no memory controller")
        group.mkdir()
    except (OSError, Failed) as why:
        skip(what, f"no control group of one's own: {why}")
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
            left = pins() if done.status == 1 else []   # killed for want of memory: no time to
            if left or lab.prog_id() or (done.status == 1 and not done.err.startswith("weir: ")):
                wrong.append(f"{mib} MiB: {done}, left {left}, program {lab.prog_id()}")
            lab.weir("detach", "all", expect=None)
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()
    if not failed:
        skip(what, "maps are not charged to the group of who makes them here")
        return
    check(not wrong, f"{what}: nothing half done", "; ".join(wrong) or
          f"failed with {', '.join(map(str, failed))} MiB")
    lab.weir("attach", "dev", "near0")
    check(lab.prog_id() is not None, "and with memory it works", f"program {lab.prog_id()}")


# ---- frames longer than a page ----

def test_jumbo_frames(lab):
    """Native mode is refused by name; skb mode sees whole frames, headers and lengths right."""
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
    """The program goes on; the tool says what it misses and displaces nothing."""
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
    """Rotations of two lists and changes of limits at once: every one of them is kept."""
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


# ---- a thousand times ----

def kernel_memory_kib():
    """What maps and programs take."""
    fields = dict(re.findall(r"^(\w+):\s+(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.M))
    return int(fields["Percpu"]) + int(fields["VmallocUsed"]) + int(fields["Slab"])


def test_attach_and_detach_again_and_again(lab):
    """In one shell each, so that it is weir's time and not Python's."""
    lab.up()
    maps, programs = loaded("map"), loaded("prog")
    script = (f"n=0; while [ $n -lt $1 ]; do {WEIR} -q attach dev near0 || exit; "
              f"{WEIR} -q detach all || exit; n=$((n + 1)); done")

    def turns(count):
        run(*lab.near.command("sh", "-c", script, "sh", count))

    started = time.monotonic()
    turns(WARM_UP)
    each = (time.monotonic() - started) / WARM_UP
    count = CYCLES or min(1000, max(2 * WARM_UP, int(CYCLE_SECONDS / each)))
    first = kernel_memory_kib()
    turns(count - WARM_UP)
    gone = wait_for(lambda: not names_of_ours("map", maps) and not names_of_ours("prog", programs))
    grown = kernel_memory_kib() - first
    left = names_of_ours("map", maps) + names_of_ours("prog", programs)
    what = f"{count} times attached and detached"
    check(not pins() and lab.prog_id() is None, f"{what}: no pins, no program on the interface",
          f"{1000 * each:.0f} ms each")
    if gone:
        check(True, f"{what}: no map and no program is left", "none")
    else:
        check_theirs(f"{what}: no map and no program is left", left)
    figures = f"{grown} KiB more than after the first {WARM_UP}, of all the machine"
    # One map left behind in each turn would be 4 KiB at the least.
    if grown > 4 * count and other_mounts():
        skip(f"{what}: memory", f"others use it at the same time: {figures}")
    else:
        check(grown <= 4 * count, f"{what}: memory does not grow", figures)


def test_a_day_of_rotations(lab):
    """One list, another content each time, as a cron job would every five minutes."""
    lab.attach()
    receiver = Receiver(lab.near)
    with tempfile.TemporaryDirectory() as folder:
        for n in (0, 1):
            pathlib.Path(folder, str(n)).write_text("".join(
                f"198.51.{i >> 8}.{i & 255}\n" for i in range(n, LIST_LENGTH + 17 * n)))
        script = (f"n=0; while [ $n -lt $1 ]; do {WEIR} -q list load day file {folder}/$((n % 2)) "
                  "|| exit; n=$((n + 1)); done")
        run(*lab.near.command("sh", "-c", script, "sh", 8))
        settled = wait_for(lambda: count_ours(lab) == count_ours(lab, 0.3))
        maps, memory = count_ours(lab), kernel_memory_kib()
        flood = lab.start_flood("to", NEAR4, "from", "203.0.113.7/32", "pps", 200, "seconds", 100)
        run(*lab.near.command("sh", "-c", script, "sh", ROTATIONS))
        flood.stop()
    back = wait_for(lambda: count_ours(lab) == maps)
    passed, lost = len(receiver.stop()), lab.lost()
    shown = lab.read("list", "show")["lists"][0]
    check(shown["generation"] == ROTATIONS + 8, "a day of rotations", f"{ROTATIONS} in {flood.seconds:.0f} s, "
          f"generation {shown['generation']}")
    check(settled and back, "as many maps as before it", f"{maps} before, {count_ours(lab)} after")
    grown = kernel_memory_kib() - memory
    if grown > 4 * ROTATIONS and other_mounts():
        skip("a day of rotations: memory", f"others use it at the same time: {grown} KiB more")
    else:
        check(grown <= 4 * ROTATIONS, "a day of rotations: memory does not grow", f"{grown} KiB more")
    check(passed >= flood.packets - lost, "and not one packet of somebody unlisted fell",
          f"{passed} of {flood.packets} passed, {lost} lost before")


def count_ours(lab, wait=0):
    """Maps that this lab's weir has, those inside others included: all have ids from it."""
    time.sleep(wait)
    return sum(1 for path in PINS.rglob("*") if path.is_file()) + len(inner_maps())


def inner_maps():
    found = []
    for pin in pins():
        each = json.loads(run("bpftool", "-j", "map", "show", "pinned", pin).out)
        if each["type"] == "array_of_maps":
            dump = json.loads(run("bpftool", "-j", "map", "dump", "id", each["id"]).out)
            found += [slot for slot in dump if "value" in slot]
    return found


if __name__ == "__main__":
    run_tests(__name__)
