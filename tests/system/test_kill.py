# SPDX-License-Identifier: GPL-2.0-only
"""weir is killed at any moment: packets see the old policy or the new one, and the next command
works.

Four sources show which policy is in force. Two are each on one generation of a list, the third is
in a block entry, the fourth has a limit: so each change of the settings shows as a pattern of
sources that are held back. Meanwhile flows of sources that no change concerns run without a pause.
"""
import contextlib
import ctypes
import json
import os
import platform
import random
import signal
import socket
import subprocess
import tempfile
import time

import owned
from stage import (LONG, NEAR4, PINS, WEIR, Receiver, check, demand, libc, pins, run, run_tests,
                   skip, wait_for)
from test_lists import ask, use_sources, write

ON_OLD, ON_NEW, ENTRY, LIMITED = PROBES = ("203.0.113.10", "203.0.113.11", "203.0.113.12",
                                           "203.0.113.13")
PROBE_PORT, PROBE_PACKETS = 7010, 3
# Both are sources of one flow.
BLOCKED_BY_ENTRY, BLOCKED_BY_LIST, BLOCKED = "198.51.100.16", "198.51.100.17", "198.51.100.16/31"
ALLOWED, NEUTRAL = "198.51.100.7", "203.0.113.7"
FLOWS = ((BLOCKED, 7001), (ALLOWED, 7002), (NEUTRAL, 7003))
FLOW_PPS = 1000
LIST_LENGTH = 200000
KILLS = 160 if LONG else 50
STEP = 1 if LONG else 4       # of the writes: it is killed before each of these
LIMIT = ("from", f"{LIMITED}/32", "rate", "1/h", "burst", "1")


# ---- commands, and their results ----

class Action:
    """A command, and which sources are held back once it has taken effect."""

    def __init__(self, name, words, result):
        self.name, self.words, self.result = name, words, result

    def __str__(self):
        return self.name


def change(source, held):
    """The result of a command that changes one source only."""
    def result(before):
        return {**before, source: held}
    return result


def all_held(*held):
    """The result of a command that replaces all settings."""
    return lambda before: {source: source in held for source in PROBES}


def actions(folder):
    """Pairs of commands of which each undoes the other."""
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


# ---- probes ----

class Probes:
    """Sockets of the four sources, and the one behind weir that receives from them."""

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
        """Returns which sources are held back, that is, of which not all packets arrive."""
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
        """Returns what is held back. If that is none of @expected, packets may only be late, and it
        asks again with more patience."""
        held = self.send()
        return held if held in expected else self.send(0.2)

    def close(self):
        for sock in (*self.sockets.values(), self.ear):
            sock.close()


def text(held):
    return "".join("x" if held[source] else "." for source in PROBES)


# ---- one run ----

class Field:
    """weir attached, the flows running, and a list of what went wrong."""

    def __init__(self, lab, folder, group):
        self.lab, self.group = lab, group
        lab.attach()
        use_sources(lab, *PROBES)
        self.actions = actions(folder)
        for action in (self.actions["restore"][1], self.actions["restore"][0]):
            lab.weir(*action.words)     # both: there is a previous generation then
        self.receivers = [Receiver(lab.near, port) for _, port in FLOWS]
        self.floods = [lab.start_flood("to", NEAR4, "from", source, "sources",
                                       2 if source == BLOCKED else 1, "dport", port, "pps",
                                       FLOW_PPS, "seconds", 110) for source, port in FLOWS]
        self.probes = Probes(lab)
        self.held = self.probes.send(0.2)
        demand(text(self.held) == ".x.x", f"restore 1 is in force: {text(self.held)}")
        self.wrong, self.kills, self.ended = [], 0, 0

    def next_of(self, pair):
        """The command of @pair that changes something now."""
        return pair[0] if pair[0].result(self.held) != self.held else pair[1]

    def start(self, action):
        with self.lab.near:
            return subprocess.Popen([WEIR, *action.words], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)

    def after_a_kill(self, action, when):
        """Packets see the old or the new policy, the next command works, and `save` says which."""
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
            # The next kill must start from settings that are whole.
            self.repair()

    def said(self):
        """Which sources are held back by what `save` prints."""
        saved = self.lab.weir("save").out
        return {ON_OLD: '/list 0"' in saved, ON_NEW: '/list 1"' in saved,
                ENTRY: f"block add {ENTRY}/32" in saved, LIMITED: f"from {LIMITED}/32" in saved}

    def do(self, action):
        """Runs it to its end. Returns the seconds that it took."""
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
        """Checks the flows, and what is left after `detach all`."""
        blocked, allowed, neutral = floods = [flood.stop() for flood in self.floods]
        came = [len(receiver.stop()) for receiver in self.receivers]
        self.probes.close()
        stats, lost = self.lab.stats(), self.lab.lost()
        check(came[0] == 0 and blocked.packets > FLOW_PPS, f"{what}: a blocked source never passes",
              f"{blocked}, {came[0]} passed")
        for name, flood, count in (("an allowed source", allowed, came[1]),
                                   ("a source without any entry", neutral, came[2])):
            check(flood.packets - lost <= count <= flood.packets, f"{what}: {name} always passes",
                  f"{flood}, {count} passed, {lost} lost before")
        sent = sum(flood.packets for flood in floods)
        check(stats.packets >= sent - lost, f"{what}: counters are kept",
              f"{stats.packets} counted, {sent} sent in the flows")
        if self.group:
            missed = len(pinned_maps() - self.group.maps())
            check(not missed, f"{what}: the group's maps include those in use",
                  f"{len(pinned_maps())} in use, {missed} not counted")
        self.lab.weir("detach", "all")
        check(not pins() and not PINS.exists() and self.lab.prog_id() is None,
              f"{what}: detach all leaves no pins and no program", pins() or "none")
        if self.group:
            # The kernel frees maps when it gets to it, on a busy machine later.
            gone = wait_for(lambda: not self.group.maps(), 60)
            check(gone, f"{what}: no map that weir made is left",
                  f"{len(self.group.maps())} are left")


# ---- the maps in use ----

def pinned_maps():
    """The ids of the maps that are pinned here, and of those inside them."""
    found = set()
    for pin in pins():
        each = json.loads(run("bpftool", "-j", "map", "show", "pinned", pin).out)
        found.add(each["id"])
        if each["type"] == "array_of_maps":
            dump = json.loads(run("bpftool", "-j", "map", "dump", "id", each["id"]).out)
            found.update(int.from_bytes(bytes(int(byte, 16) for byte in slot["value"]), "little")
                         for slot in dump if "value" in slot and isinstance(slot["value"], list))
    return found


# ---- at random moments ----

def test_kill_at_random_moments(lab):
    seed = int(os.environ.get("WEIR_SEED", "1"))
    moments = random.Random(seed)
    with owned.group("killed at random moments") as group, \
            tempfile.TemporaryDirectory() as folder:
        field = Field(lab, folder, group)
        pairs = list(field.actions.values())
        # The latest moment of each pair: a little after the slower command ends.
        latest = [max(0.06, *(1.1 * field.do(field.next_of(pair)) for _ in pair)) for pair in pairs]
        counts = dict.fromkeys(field.actions, 0)
        while field.kills < KILLS:
            n = (field.kills + field.ended) % len(pairs)
            action, name = field.next_of(pairs[n]), list(field.actions)[n]
            # Short commands end early: half of the moments are spread by their logarithm.
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
    """struct ptrace_syscall_info as filled in on entry of a system call."""
    _fields_ = [("op", ctypes.c_uint8), ("arch", ctypes.c_uint32), ("ip", ctypes.c_uint64),
                ("sp", ctypes.c_uint64), ("number", ctypes.c_uint64), ("args", ctypes.c_uint64 * 6)]


def ptrace(request, pid, address=0, data=0):
    done = libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(address),
                       ctypes.c_void_p(data))
    demand(done >= 0, f"ptrace {request}: {os.strerror(ctypes.get_errno())}")


def begins_to_write(pid):
    """Whether the traced process has stopped on entry of a call that changes something."""
    info, calls = SyscallInfo(), CALLS[platform.machine()]
    ptrace(GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info))
    if info.op != ENTRY_STOP:
        return False
    if info.number == calls["bpf"]:
        return info.args[0] in (UPDATE, DELETE, PROG_LOAD, PIN)
    return info.number in calls["others"]


def become_weir(action):
    """Runs in the child."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        libc.ptrace(TRACE_ME, 0, None, None)
        # The leak checker traces, too, and a process has only one tracer.
        os.execve(WEIR, [str(WEIR), *map(str, action.words)],
                  {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    finally:
        os._exit(127)


def start_traced(field, action):
    """Returns once the child has executed weir, before its first instruction."""
    with field.lab.near:
        pid = os.fork()
        if not pid:
            become_weir(action)
    os.waitpid(pid, 0)
    ptrace(SET_OPTIONS, pid, 0, TRACE_SYSGOOD | EXIT_KILL)
    return pid


def kill_before_write(field, action, number):
    """Kills it before the write of that number. Returns whether it had as many."""
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
    """Returns the number of writes, to within STEP."""
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
    """Kills each command before each of its writes: all states that it can leave behind."""
    if platform.machine() not in CALLS:
        skip("killed between any two writes", f"system calls of {platform.machine()} not known")
        return
    with owned.group("killed between any two writes") as group, \
            tempfile.TemporaryDirectory() as folder:
        field = Field(lab, folder, group)
        writes = {}
        for pair in field.actions.values():
            for action, undo in (pair, pair[::-1]):
                writes[str(action)] = kill_between_writes(field, action, undo)
        figures = ", ".join(f"{name} {count}" for name, count in writes.items())
        field.verdict(f"killed between any two writes ({figures})")
        field.close("killed between any two writes")


if __name__ == "__main__":
    run_tests(__name__)
