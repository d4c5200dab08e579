#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The demo: its figures are right, and it leaves nothing behind, however it ends."""
import os
import pathlib
import re
import signal
import subprocess
import time
import uuid

from stage import ROOT, WEIR, check, demand, pins, run_tests, wait_for

DEMO = ROOT / "scripts/demo"
MARK = "DEMO_TEST_MARK"     # all processes of a demo inherit it
ACTS = ("one loud botnet", "spoofed sources", "100,000 sources", "a SYN flood")
# What weir counts most in each act, and what it lets through.
COUNTED = (("rate-limit", "under-limit"), ("network-share", "known"), ("blocklist", "no-limit"),
           ("syn-cookie", "no-limit"))
WHOLE_S, LEAST_PERCENT = 60, 90
PACE = 150      # what users ask for in a second

FLOODED, ATTACHED = "<- the flood begins", "<- weir attach"
ROW = re.compile(r"^ +(\d+) s +([\d,]+) +(\d+)  (#*) *(<-.*)?$")
SUM = re.compile(r"answered: (\d+)/s in calm times; in the flood (\d+) % of that, with weir (\d+) %")
REASON = re.compile(r"^([a-z-]+) +(?:pass|drop|tx) +([\d,]+) ", re.M)
ALL = re.compile(r"^all +([\d,]+) ", re.M)
LAST = re.compile(r"^   (.{18}) +(\d+)/s +(\d+) % +(\d+) % +(.+)$", re.M)


class Demo:
    """A demo that runs, in a process group of its own and without a terminal."""

    def __init__(self, *acts):
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [DEMO, *acts], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, text=True, start_new_session=True,
            env={**os.environ, MARK: self.mark})
        self.said = ""

    def read_until(self, text):
        while text not in self.said:
            line = self.process.stdout.readline()
            demand(line, f"the demo ended before it said \"{text}\": {self.said[-300:]}")
            self.said += line

    def finish(self):
        """Not by communicate(): a process that was left behind may hold the pipe."""
        self.said += self.process.stdout.read()
        return self.process.wait(timeout=60)

    def left(self):
        """Its processes; and the interfaces, which are known by their NAPI threads."""
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                name = (folder / "comm").read_text().strip()
                marked = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes()
            except OSError:
                continue
            if marked or re.match(rf"napi/(demo|peer){self.process.pid}-", name):
                found.append(f"{folder.name} {name}")
        return found


def seen_from_outside(lab):
    """The state of another weir, which a demo must not touch."""
    return {"prog": lab.prog_id(), "pins": pins(), "netns": sorted(os.listdir("/run/netns")),
            "limits": lab.read("limit", "show"), "lib": sorted(os.listdir("/var/lib"))}


def start_beside_live_weir(lab):
    lab.attach()
    lab.weir("limit", "set", "rate", "77pps")
    return seen_from_outside(lab)


def check_nothing_left(lab, demo, before, how):
    gone = wait_for(lambda: not demo.left(), 5)
    check(gone, f"demo, {how}: no process and no interface stays",
          "none" if gone else ", ".join(demo.left()))
    after = seen_from_outside(lab)
    check(after == before, f"demo, {how}: a live weir is as before",
          f"program {after['prog']}, {len(after['pins'])} pins, {len(after['netns'])} namespaces")


def check_rows(name, act):
    """Rows of calm, flood and weir come in this order, each of the next second, and the means are
    theirs: none of a second before the attach counts as one with weir."""
    rows = [ROW.match(line) for line in act.splitlines() if ROW.match(line)]
    times = [int(row[1]) for row in rows]
    marks = [row[5] for row in rows]
    demand(FLOODED in marks and ATTACHED in marks, f"{name}: a mark is missing: {marks}")
    begun, attached = marks.index(FLOODED), marks.index(ATTACHED)
    whole = len(marks) - marks[::-1].index(ATTACHED)
    parts = [[int(row[3]) for row in rows[first:end]]
             for first, end in ((0, begun), (begun + 1, attached), (whole, len(rows)))]
    calm, without, within = map(int, SUM.search(act).groups())
    means = [sum(part) / len(part) if part else -1 for part in parts]
    check(all(len(part) >= 2 for part in parts) and times == sorted(set(times)) and
          abs(min(means[0], PACE) - calm) <= 1 and abs(means[1] * 100 / calm - without) <= 1 and
          abs(means[2] * 100 / calm - within) <= 1,
          f"demo, {name}: each second is a row, and the means are of the rows of their part",
          f"{times[0]} to {times[-1]} s; calm {parts[0]}, flood {parts[1]}, weir {parts[2]}")
    packets = [int(row[2].replace(",", "")) for row in rows]
    check(max(packets[:begun]) < 10000 < min(packets[begun + 1:]),
          f"demo, {name}: the flood comes in its seconds alone",
          f"packets/s {max(packets[:begun])} at most before, {min(packets[begun + 1:])} at least in it")


def check_act(number, name, act):
    check_rows(name, act)
    reasons = {reason: int(count.replace(",", "")) for reason, count in REASON.findall(act)}
    total = ALL.search(act)
    demand(total, f"{name}: no counters: {act[-300:]}")
    total = int(total[1].replace(",", ""))
    check(all(reasons.get(reason, 0) > 100 for reason in COUNTED[number]) and
          sum(reasons.values()) == total,
          f"demo, {name}: packets by reason, which add up", f"{reasons}, all {total}")


def test_demo_whole(lab):
    before = start_beside_live_weir(lab)
    begun = time.monotonic()
    demo = Demo()
    status = demo.finish()
    took = time.monotonic() - begun
    demand(status == 0, f"status {status}: {demo.said[-500:]}")
    check(took < WHOLE_S, "demo: all four acts in less than a minute", f"{took:.1f} s")

    parts = re.split(r"^\d  (.+)$", demo.said, flags=re.M)
    demand(parts[1::2] == list(ACTS), f"acts: {parts[1::2]}")
    for number, (name, act) in enumerate(zip(parts[1::2], parts[2::2])):
        check_act(number, name, act)
    table = LAST.findall(demo.said)
    demand([row[0].strip() for row in table] == list(ACTS), f"the table at the end: {table}")
    for name, calm, without, within, again in table:
        check(int(calm) > 0 and LEAST_PERCENT <= int(within) <= 110,
              f"demo, {name.strip()}: users are served with weir",
              f"{calm}/s calm, {without} % flooded, {within} % with weir, again after {again}")

    lines = demo.said.splitlines()
    widest = max(map(len, lines))
    check(widest <= 80 and all(line.isprintable() for line in lines),
          "demo: plain text of at most 80 columns", f"{len(lines)} lines, widest {widest}")
    check("attach dev eth0" in "".join(lines[-6:]), "demo: says last how to attach for real",
          lines[-2].strip())
    check_nothing_left(lab, demo, before, "run to its end")


def test_demo_words(lab):
    demo = Demo("5")
    status = demo.finish()
    check(status == 2 and demo.said.startswith("usage: demo"), "demo: an act that there is not",
          demo.said.splitlines()[0])


def chroot_words(folders, *words):
    """Runs @words in a plain chroot with some folders of this machine. It is a folder, and no mount
    point, of a file system that goes with the mounts when the last process in it ends."""
    script = """set -e
        mount -t tmpfs tmpfs /mnt
        mkdir /mnt/root
        ln -s usr/bin usr/sbin usr/lib usr/lib64 /mnt/root
        for folder in $0; do
            mkdir -p /mnt/root$folder
            mount --rbind $folder /mnt/root$folder
        done
        exec chroot /mnt/root "$@"
    """
    return ["unshare", "--mount", "bash", "-c", script, " ".join(folders), *words]


def test_demo_refused(lab):
    """Where a right is missing: a sentence with its name, and nothing of the tool that failed."""
    plain = ("/usr", "/dev", str(ROOT))
    for what, words, name in (
            ("root", ["setpriv", "--reuid", "65534", "--clear-groups", DEMO], "root"),
            ("a capability", ["setpriv", "--bounding-set", "-sys_admin", DEMO], "CAP_SYS_ADMIN"),
            ("/proc", chroot_words(plain, DEMO), "mount -t proc"),
            ("/sys", chroot_words((*plain, "/proc"), DEMO), "mount -t sysfs"),
            ("a root that is a mount point", chroot_words((*plain, "/proc", "/sys"), DEMO),
             "mount --bind")):
        done = lab.near.run(*words, expect=None)
        said = (done.out + done.err).strip()
        check(done.status == 1 and said.startswith("the demo cannot run here: ") and name in said
              and not re.search("unshare: |propagation:", said),
              f"demo, without {what}: says what is missing", said)


def test_demo_interrupted(lab):
    before = start_beside_live_weir(lab)
    for how, number, whole_group, moment, expected in (
            ("^C under flood", signal.SIGINT, True, FLOODED, 130),
            ("SIGTERM to it alone", signal.SIGTERM, False, "answered/s", 143),
            ("SIGKILL with weir attached", signal.SIGKILL, False, ATTACHED, -9)):
        demo = Demo("3")
        demo.read_until(moment)
        demand(demo.left(), "a running demo is not seen: the check is blind")
        (os.killpg if whole_group else os.kill)(demo.process.pid, number)
        status = demo.finish()
        check(status == expected, f"demo, {how}: its status says so", f"{status}")
        check_nothing_left(lab, demo, before, how)


demand(WEIR.exists(), f"{WEIR} is missing: make all tools")
run_tests(__name__)
