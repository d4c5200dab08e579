#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The demo: its figures are right, and it leaves nothing behind, however it ends."""
import os
import pathlib
import re
import signal
import subprocess
import uuid

from stage import ROOT, WEIR, check, demand, pins, run_tests, wait_for

DEMO = ROOT / "scripts/demo"
PART_S = 3
MARK = "DEMO_TEST_MARK"     # all processes of a demo inherit it


class Demo:
    """A demo that runs, in a process group of its own and without a terminal."""

    def __init__(self):
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [DEMO, str(PART_S)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
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
        """Its processes; and the interface, which is known by its NAPI thread."""
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                name = (folder / "comm").read_text().strip()
                marked = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes()
            except OSError:
                continue
            if marked or name.startswith(f"napi/demo{self.process.pid}-"):
                found.append(f"{folder.name} {name}")
        return found


def seen_from_outside(lab):
    """The state of another weir, which a demo must not touch."""
    return {"prog": lab.prog_id(), "pins": pins(), "netns": sorted(os.listdir("/run/netns")),
            "limits": lab.read("limit", "show")}


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


def test_demo_whole(lab):
    before = start_beside_live_weir(lab)
    demo = Demo()
    status = demo.finish()
    lines = demo.said.splitlines()
    demand(status == 0, f"status {status}: {demo.said[-500:]}")

    rates = {}
    for part in ("before the flood", "during the flood, without weir",
                 "during the flood, with weir"):
        found = re.search(rf"^  {part} +(\d+)", demo.said, re.M)
        demand(found, f"no line \"{part}\"")
        rates[part] = int(found.group(1))
    calm, without, within = rates.values()
    check(0 < calm and without < within <= calm * 1.1,
          "demo: the flood hurts, weir helps",
          f"transactions/s: {calm} calm, {without} flooded, {within} with weir")

    rows = re.findall(r"^ +(\d+) s +([\d,]+) +(\d+)( +#+)?$", demo.said, re.M)
    packets = [int(row[1].replace(",", "")) for row in rows]
    check(len(rows) == 3 * PART_S and max(packets[:PART_S]) < 10000 < min(packets[PART_S + 1:]),
          "demo: a row for each second, the flood in two of three parts",
          f"{len(rows)} rows, packets/s {min(packets)} to {max(packets)}")

    reasons = dict(re.findall(r"^  ([a-z-]+) +(?:pass|drop) +(\d+) ", demo.said, re.M))
    total = re.search(r"^  all +(\d+) ", demo.said, re.M)
    check(total and int(reasons.get("rate-limit", 0)) > 0 and
          sum(map(int, reasons.values())) == int(total.group(1)),
          "demo: drops by reason, which add up", f"{reasons}, all {total and total.group(1)}")
    offenders = re.findall(r"^(198\.51\.100\.\d+)/32 ", demo.said, re.M)
    check(len(offenders) == 5, "demo: the top offenders are the flood's sources",
          ", ".join(offenders))

    widest = max(map(len, lines))
    check(widest <= 80 and all(line.isprintable() for line in lines),
          "demo: plain text of at most 80 columns", f"{len(lines)} lines, widest {widest}")
    check("attach dev eth0" in "".join(lines[-6:]), "demo: says last how to attach for real",
          lines[-2].strip())
    check_nothing_left(lab, demo, before, "run to its end")


def test_demo_interrupted(lab):
    before = start_beside_live_weir(lab)
    for how, number, whole_group, moment, expected in (
            ("^C under flood", signal.SIGINT, True, "flood, no weir", 130),
            ("SIGTERM to it alone", signal.SIGTERM, False, "calm", 143),
            ("SIGKILL with weir attached", signal.SIGKILL, False, "flood, weir", -9)):
        demo = Demo()
        demo.read_until(moment)
        demand(demo.left(), "a running demo is not seen: the check is blind")
        (os.killpg if whole_group else os.kill)(demo.process.pid, number)
        status = demo.finish()
        check(status == expected, f"demo, {how}: its status says so", f"{status}")
        check_nothing_left(lab, demo, before, how)


demand(WEIR.exists(), f"{WEIR} is missing: make all tools")
run_tests(__name__)
