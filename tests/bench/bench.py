# SPDX-License-Identifier: GPL-2.0-only
"""What the benches over veth share: a network like the tests', with the
receiving side's work on one core and the sender's on the other."""
import json
import os
import pathlib
import shutil
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "system"))
import stage  # noqa: E402
from cores import place_napi  # noqa: E402
from machine import describe  # noqa: E402

RECEIVER_CPU = 0
SENDER_CPU = 1 if os.cpu_count() > 1 else 0
NAPI_PRIORITY = 50      # real-time, and above all that benches start but a goodput's users
FIRST_S = 20    # at most, for a flood to have come from all its sources
STRIDE = 16     # between a list's addresses: none is merged with the next
SIZES = {"1k": 1000, "10k": 10000, "100k": 100000, "1M": 1000000}


class Absent(Exception):
    """This machine cannot show it; the text says why."""


class Bench(stage.Stage):
    """@near's NAPI threads run on RECEIVER_CPU before everything else, as interrupts do."""

    def join(self):
        self.threads = set()
        # Also in the names of the NAPI threads.
        self.near_dev, self.far_dev = (f"{end}{os.getpid()}x{stage.Stage.number}" for end in "nf")
        super().join()
        # TCP with segmentation offload would go past the queue that the flood fills.
        self.near.run("ethtool", "-K", self.near_dev, "gro", "on", "tso", "off")
        self.far.run("ethtool", "-K", self.far_dev, "gro", "on", "tso", "off")

    def up(self):
        super().up()
        self.near.run("ip", "route", "replace", "default", "via", stage.FAR4)
        self.place()

    def place(self):
        """Anew after whatever gave the device new queues."""
        self.threads.update(place_napi(self.near, self.near_dev, RECEIVER_CPU, NAPI_PRIORITY))

    def received(self):
        return self.near.link(self.near_dev)["stats64"]["rx"]["packets"]

    def busy_s(self):
        """Seconds that the receiving threads have run."""
        threads = (pathlib.Path(f"/proc/{pid}/schedstat") for pid in self.threads)
        return sum(int(each.read_text().split()[0]) for each in threads if each.exists()) / 1e9

    def measure(self, flood, seconds, warm=2, first=0):
        """Returns what near's driver took of @flood, packets a second, and how many of them
        its core would take if it did nothing else: a sender that gets no whole core of
        a shared machine lowers only the first. @first: so many packets come before."""
        running = self.start_flood(*flood, "cpu", SENDER_CPU, "seconds", warm + seconds + FIRST_S + 10)
        stage.run("renice", "-n", "-19", "-p", running.process.pid)
        time.sleep(warm)
        stage.wait_for(lambda: self.received() >= first, FIRST_S)
        stage.demand(running.process.poll() is None, "the flood ended early")
        start, packets, busy = time.monotonic(), self.received(), self.busy_s()
        time.sleep(seconds)
        packets, busy = self.received() - packets, self.busy_s() - busy
        seconds = time.monotonic() - start
        running.stop()
        return packets / seconds, packets / busy


def need(tool):
    if not shutil.which(tool):
        raise Absent(f"{tool} is not installed (scripts/setup bench)")


def must(bench, *words):
    """A command without which the row cannot be had."""
    done = bench.near.run(*words, expect=None)
    if done.status:
        raise Absent(f"{words[0]}: {(done.err or done.out).strip().splitlines()[-1]}")
    return done


def addresses(count):
    """A list's: from 10.0.0.0 on."""
    for i in range(count):
        number = (10 << 24) + i * STRIDE
        yield f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def write_file(path, lines):
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def save(name, rows):
    """Into build/bench/NAME.json."""
    folder = stage.BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"about": describe(), name: rows}, indent=1)
    (folder / f"{name}.json").write_text(text + "\n")


def start():
    if os.geteuid() != 0:
        sys.exit("the benches need root")
    stage.enter_private_mounts()
