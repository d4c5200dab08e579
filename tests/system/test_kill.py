# SPDX-License-Identifier: GPL-2.0-only
"""weir killed at any moment: packets see the old policy or the new one, and the next command works.

Four sources tell which policy is in force. Two of them are on one generation of
a list each, the third in a block entry, the fourth under a limit: so every
change of the settings shows as a pattern of who gets through. Meanwhile flows of
sources whose fate no change touches run without a pause.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import platform
import random
import signal
import socket
import subprocess
import tempfile
import time

from stage import (LONG, NEAR4, PINS, WEIR, Receiver, check, demand, libc, pins, run, run_tests,
                   skip, wait_for)
from test_lists import ask, use_sources, write

ON_OLD, ON_NEW, ENTRY, LIMITED = PROBES = ("203.0.113.10", "203.0.113.11", "203.0.113.12",
                                           "203.0.113.13")
PROBE_PORT, PROBE_PACKETS = 7010, 3
# By an entry and by a list, both sources of one flow.
BLOCKED_BY_ENTRY, BLOCKED_BY_LIST, BLOCKED = "198.51.100.16", "198.51.100.17", "198.51.100.16/31"
ALLOWED, NEUTRAL = "198.51.100.7", "203.0.113.7"
FLOWS = ((BLOCKED, 7001), (ALLOWED, 7002), (NEUTRAL, 7003))
FLOW_PPS = 1000
LIST_LENGTH = 200000
KILLS = 160 if LONG else 50
STEP = 1 if LONG else 4       # of the writes before which it is killed
LIMIT = ("from", f"{LIMITED}/32", "rate", "1/h", "burst", "1")


# ---- what is done, and what it must lead to ----

class Action:
    """A command, and the pattern of sources held back when it has taken effect."""

    def __init__(self, name, words, result):
        self.name, self.words, self.result = name, words, result

    def __str__(self):
        return self.name


def change(source, held):
    """Of one source; the others stay."""
    def result(before):
        return {**before, source: held}
    return result


def all_held(*held):
    """Of all: nothing of what was before stays."""
    return lambda before: {source: source in held for source in PROBES}


def actions(folder):
    """Each of a pair undoes the other."""
    for n, held in enumerate((ON_OLD, ON_NEW)):
        with open(f"{folder}/list {n}", "w", encoding="ascii") as file:
            file.write(f"{held}\n{BLOCKED_BY_LIST}\n{ALLOWED}\n")
            for i in range(LIST_LENGTH):
                file.write(f"10.{i >> 9 & 255}.{i >> 1 & 255}.{i & 1 | n << 1 | i >> 15 & 252}\n"
                           if i % 10 else f"2001:db8:{i >> 8:x}:{i & 255:x}{n}::/64\n")
    always = f"block add {BLOCKED_BY_ENTRY}\nallow add {ALLOWED}\n"
    write(folder, "settings 0", f"{always}list load a file \"{folder}/list 0\" force\nblock add {ENTRY}\n")
    write(folder, "settings 1", f"{always}list load a file \"{folder}/list 1\" force\n"
          f"limit set {' '.join(LIMIT)}\nlimit set proto tcp rate 10pps\nallow add 192.0.2.99\n")

    def load(n):
        return Action(f"list load {n}", ("list", "load", "a", "file", f"{folder}/list {n}", "force"),
                      lambda before: {**before, ON_OLD: n == 0, ON_NEW: n == 1})
    return {
        "list load": (load(1), load(0)),
        "restore": (Action("restore 1", ("restore", f"{folder}/settings 1"),
                           all_held(ON_NEW, LIMITED)),
                    Action("restore 0", ("restore", f"{folder}/settings 0"),
                           all_held(ON_OLD, ENTRY))),
        "limit": (Action("limit set", ("limit", "set", *LIMIT), change(LIMITED, True)),
                  Action("limit del", ("limit", "del", *LIMIT[:2]), change(LIMITED, False))),
        "block": (Action("block add", ("block", "add", ENTRY), change(ENTRY, True)),
                  Action("block del", ("block", "del", ENTRY), change(ENTRY, False))),
        "attach": (Action("attach", ("attach", "dev", "near0"), lambda before: before),) * 2,
    }


# ---- who gets through ----

class Probes:
    """Sockets of the four sources, and the one behind weir that hears them."""

    def __init__(self, lab):
        self.sockets, self.round = {}, 0
        for source in PROBES:
            with lab.far:
                self.sockets[source] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sockets[source].bind((source, 0))
        with lab.near:
            self.ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ear.bind(("", PROBE_PORT))

    def send(self, patience=0.004):
        """Returns which of the sources are held back: not all of their packets arrive."""
        self.round += 1
        for _ in range(PROBE_PACKETS):
            for sock in self.sockets.values():
                sock.sendto(str(self.round).encode(), (NEAR4, PROBE_PORT))
        arrived = dict.fromkeys(PROBES, 0)
        self.ear.settimeout(patience)
        with contextlib.suppress(TimeoutError):
            while sum(arrived.values()) < PROBE_PACKETS * len(PROBES):
                said, (source, _) = self.ear.recvfrom(64)
                arrived[source] += said == str(self.round).encode()
        return {source: count < PROBE_PACKETS for source, count in arrived.items()}

    def expect(self, *expected):
        """As one of @expected; what looks otherwise gets time, since it may only be late."""
        held = self.send()
        return held if held in expected else self.send(0.2)

    def close(self):
        for sock in (*self.sockets.values(), self.ear):
            sock.close()


def text(held):
    return "".join("x" if held[source] else "." for source in PROBES)


# ---- the field ----

class Field:
    """weir attached, flows of the untouched sources on, and a count of what went wrong."""

    def __init__(self, lab, folder):
        self.lab = lab
        self.maps, self.programs = ids("map"), ids("prog")
        lab.attach()
        use_sources(lab, *PROBES)
        self.actions = actions(folder)
        for action in (self.actions["restore"][1], self.actions["restore"][0]):
            lab.weir(*action.words)     # both, so that there is a previous generation
        self.receivers = [Receiver(lab.near, port) for _, port in FLOWS]
        self.floods = [lab.start_flood("to", NEAR4, "from", source, "sources",
                                       2 if source == BLOCKED else 1, "dport", port, "pps",
                                       FLOW_PPS, "seconds", 110) for source, port in FLOWS]
        self.probes = Probes(lab)
        self.held = self.probes.send(0.2)
        demand(text(self.held) == ".x.x", f"restore 1 is in force: {text(self.held)}")
        self.wrong, self.kills, self.ended = [], 0, 0

    def next_of(self, pair):
        """The one that changes something now; of attach, the same again."""
        return pair[0] if pair[0].result(self.held) != self.held else pair[1]

    def start(self, action):
        with self.lab.near:
            return subprocess.Popen([WEIR, *action.words], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)

    def after_a_kill(self, action, when):
        """Packets see the old or the new; the next command works; what is said is what is so."""
        before, after = self.held, action.result(self.held)
        self.held = self.probes.expect(before, after)
        if self.held not in (before, after):
            self.wrong.append(f"{action} {when}: {text(before)} or {text(after)} should be, "
                              f"{text(self.held)} is in force")
        said = self.said()
        if not said[ON_OLD] and not said[ON_NEW]:
            self.wrong.append(f"{action} {when}: the list is gone until the next command that writes")
        done = ask(self.lab, "limit", "set", "proto", "gre", "rate", "10pps")
        if done.status:
            self.wrong.append(f"{action} {when}: then {done}")
        left = [pin for pin in pins() if pin.endswith(("/next", "/doomed"))]
        if left:
            self.wrong.append(f"{action} {when}: leaves {left}")
        said = self.said()
        now = self.probes.expect(said)
        if said != now or now != self.held:
            self.wrong.append(f"{action} {when}: {text(self.held)} was in force, then "
                              f"{text(now)}, weir says {text(said)}")
            # Whatever came of it, the next kill starts from settings that are whole.
            self.repair()

    def said(self):
        """Whom weir itself says to be held back."""
        saved = self.lab.weir("save").out
        return {ON_OLD: '/list 0"' in saved, ON_NEW: '/list 1"' in saved,
                ENTRY: f"block add {ENTRY}/32" in saved, LIMITED: f"from {LIMITED}/32" in saved}

    def do(self, action):
        """Without a kill. Returns how long it took."""
        started = time.monotonic()
        self.lab.weir(*action.words)
        seconds = time.monotonic() - started
        self.held = self.probes.expect(action.result(self.held))
        return seconds

    def repair(self):
        self.lab.weir("limit", "flush")
        for action in self.actions["restore"]:
            self.do(action)

    def verdict(self, what):
        worst = "; ".join(self.wrong[:3])
        check(not self.wrong, what, f"{len(self.wrong)} wrong: {worst}" if self.wrong else
              f"{self.kills} killed, {self.ended} had ended")

    def close(self, what):
        """The flows; what is left when weir is gone."""
        blocked, allowed, neutral = floods = [flood.stop() for flood in self.floods]
        came = [len(receiver.stop()) for receiver in self.receivers]
        self.probes.close()
        stats, lost = self.lab.stats(), self.lab.lost()
        check(came[0] == 0 and blocked.packets > FLOW_PPS, f"{what}: a blocked source never passes",
              f"{blocked}, {came[0]} passed")
        for name, flood, count in (("an allowed source", allowed, came[1]),
                                   ("one that nothing is said of", neutral, came[2])):
            check(flood.packets - lost <= count <= flood.packets, f"{what}: {name} always passes",
                  f"{flood}, {count} passed, {lost} lost before")
        sent = sum(flood.packets for flood in floods)
        check(stats.packets >= sent - lost, f"{what}: counters are kept",
              f"{stats.packets} counted, {sent} sent in the flows")
        maps, programs = pinned_maps(), {self.lab.prog_id()}
        self.lab.weir("detach", "all")
        check(not pins() and not PINS.exists() and self.lab.prog_id() is None,
              f"{what}: detach all leaves no pins and no program", pins() or "none")
        check_gone(what, self.maps, self.programs, maps, programs)


# ---- what is loaded into the kernel ----

def ids(kind):
    return {each["id"] for each in json.loads(run("bpftool", "-j", kind, "show").out)}


def pinned_maps():
    """The maps that are pinned here, and those inside them."""
    found = set()
    for pin in pins():
        each = json.loads(run("bpftool", "-j", "map", "show", "pinned", pin).out)
        found.add(each["id"])
        if each["type"] == "array_of_maps":
            dump = json.loads(run("bpftool", "-j", "map", "dump", "id", each["id"]).out)
            found.update(int.from_bytes(bytes(int(byte, 16) for byte in slot["value"]), "little")
                         for slot in dump if "value" in slot and isinstance(slot["value"], list))
    return found


def others_use_bpf():
    """Whether anybody else on this machine has maps or programs, or pins that we cannot see."""
    own = os.readlink("/proc/self/ns/mnt")
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "ns/mnt") != own and \
               (process / f"root{PINS}").is_dir():
                return True
            for path in process.glob("fdinfo/*"):
                if path.read_text().find("\nmap_id:") >= 0:
                    return True
    return False


def check_gone(what, maps_before, programs_before, maps, programs):
    """@maps, @programs: those in use to the last."""
    gone = wait_for(lambda: not maps & ids("map") and not programs & ids("prog"))
    check(gone and maps and programs, f"{what}: no map and no program of ours is left",
          f"{len(maps & ids('map'))} of {len(maps)} maps, "
          f"{len(programs & ids('prog'))} of {len(programs)} programs")
    what = f"{what}: as many maps and programs as before"
    good = wait_for(lambda: not ids("map") - maps_before and not ids("prog") - programs_before, 5)
    figures = (f"{len(maps_before)} and {len(programs_before)} before, {len(ids('map'))} and "
               f"{len(ids('prog'))} after")
    if not good and others_use_bpf():
        skip(what, f"others make some at the same time: {figures}")
    else:
        check(good, what, figures)


# ---- at random moments ----

def test_kill_at_random_moments(lab):
    seed = int(os.environ.get("WEIR_SEED", "1"))
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        field = Field(lab, folder)
        pairs = list(field.actions.values())
        # From the first tenth of a millisecond on, to where the longer ones are over.
        latest = [max(0.06, *(1.1 * field.do(field.next_of(pair)) for _ in pair)) for pair in pairs]
        counts = dict.fromkeys(field.actions, 0)
        while field.kills < KILLS:
            n = (field.kills + field.ended) % len(pairs)
            action, name = field.next_of(pairs[n]), list(field.actions)[n]
            # The shorter ones end long before; half of the moments are for them.
            delay = 0.0001 * (latest[n] / 0.0001) ** moments.random() if moments.random() < 0.5 \
                else moments.uniform(0.0001, latest[n] if n < 2 else 0.02)
            process = field.start(action)
            time.sleep(delay)
            process.kill()
            if process.wait() == -signal.SIGKILL:
                field.kills += 1
                counts[name] += 1
            else:
                field.ended += 1
            field.after_a_kill(action, f"after {1000 * delay:.2f} ms")
            demand(field.ended < 4 * KILLS, "commands end before they can be killed")
        figures = ", ".join(f"{name} {count}" for name, count in counts.items())
        field.verdict(f"killed at random moments, seed {seed} ({figures})")
        field.close("killed at random moments")


# ---- between any two writes ----

TRACE_ME, SYSCALL, SET_OPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
TRACE_SYSGOOD, EXIT_KILL, ENTRY_STOP = 1, 0x100000, 1
UPDATE, DELETE, PROG_LOAD, PIN = 2, 3, 5, 6     # of bpf()
CALLS = {"x86_64": {"bpf": 321, "others": (82, 83, 84, 87, 263, 264, 316, 258, 44, 46)},
         "aarch64": {"bpf": 280, "others": (34, 35, 38, 276, 206, 211)}}


class SyscallInfo(ctypes.Structure):
    """struct ptrace_syscall_info, as it is when a call begins."""
    _fields_ = [("op", ctypes.c_uint8), ("arch", ctypes.c_uint32), ("ip", ctypes.c_uint64),
                ("sp", ctypes.c_uint64), ("number", ctypes.c_uint64), ("args", ctypes.c_uint64 * 6)]


def ptrace(request, pid, address=0, data=0):
    done = libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(address),
                       ctypes.c_void_p(data))
    demand(done >= 0, f"ptrace {request}: {os.strerror(ctypes.get_errno())}")


def begins_to_write(pid):
    """Whether the traced process has stopped where a call begins that changes something."""
    info, calls = SyscallInfo(), CALLS[platform.machine()]
    ptrace(GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info))
    if info.op != ENTRY_STOP:
        return False
    if info.number == calls["bpf"]:
        return info.args[0] in (UPDATE, DELETE, PROG_LOAD, PIN)
    return info.number in calls["others"]


def become_weir(action):
    """In the child."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        libc.ptrace(TRACE_ME, 0, None, None)
        # The leak checker is a tracer itself, and there can be only one.
        os.execve(WEIR, [str(WEIR), *map(str, action.words)],
                  {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    finally:
        os._exit(127)


def start_traced(field, action):
    """Returns when it has become weir, before its first instruction."""
    with field.lab.near:
        pid = os.fork()
        if not pid:
            become_weir(action)
    os.waitpid(pid, 0)
    ptrace(SET_OPTIONS, pid, 0, TRACE_SYSGOOD | EXIT_KILL)
    return pid


def kill_before_write(field, action, number):
    """Kills it when its write of that number begins. Returns whether it came so far."""
    pid, writes, passed_on = start_traced(field, action), 0, 0
    while True:
        ptrace(SYSCALL, pid, 0, passed_on)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            demand(os.WEXITSTATUS(status) == 0, f"{action}: exit status {os.WEXITSTATUS(status)}")
            return False
        demand(os.WIFSTOPPED(status), f"{action}: ended by signal {status & 127}")
        passed_on = os.WSTOPSIG(status)
        if passed_on != signal.SIGTRAP | 0x80:
            continue
        passed_on = 0
        if begins_to_write(pid):
            writes += 1
            if writes == number:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return True


def kill_between_writes(field, action, undo):
    """Returns how many writes there are, to within STEP."""
    number, came_so_far = 1 - STEP, True
    while came_so_far:
        if action is not undo and action.result(field.held) == field.held:
            field.do(undo)
        number += STEP
        came_so_far = kill_before_write(field, action, number)
        field.kills += came_so_far
        field.ended += not came_so_far
        field.after_a_kill(action, f"before write {number}" if came_so_far else "not killed")
    return number - STEP


def test_kill_between_any_two_writes(lab):
    """Every state that a command can leave behind, one after the other."""
    if platform.machine() not in CALLS:
        skip("killed between any two writes", f"system calls of {platform.machine()} not known")
        return
    with tempfile.TemporaryDirectory() as folder:
        field = Field(lab, folder)
        writes = {}
        for pair in field.actions.values():
            for action, undo in (pair, pair[::-1]):
                writes[str(action)] = kill_between_writes(field, action, undo)
        figures = ", ".join(f"{name} {count}" for name, count in writes.items())
        field.verdict(f"killed between any two writes ({figures})")
        field.close("killed between any two writes")


if __name__ == "__main__":
    run_tests(__name__)
