# SPDX-License-Identifier: GPL-2.0-only
"""docs/tutorial.md, command by command, on an interface that is being flooded."""
import json
import os
import pathlib
import re
import subprocess

from stage import (BUILD, NEAR4, PINS, ROOT, WEIR, check, demand, run, run_tests, wait_for)

TUTORIAL = ROOT / "docs/tutorial.md"
FLOODER = "198.51.100.7"
BLOCKLIST = "/tmp/blocklist.txt"
FOLDERS = ("/var/lib", "/etc/weir", "/run/weir")


def blocks():
    """The commands that run anywhere. Those that need packages or a boot are only indented."""
    return re.findall(r"```sh\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)


class Newcomer:
    """Types the commands of the tutorial. Without systemd here, the daemon is started by hand."""

    def __init__(self, lab):
        self.lab, self.daemon = lab, None
        self.made = [folder for folder in FOLDERS if not os.path.isdir(folder)]
        for folder in FOLDERS:
            os.makedirs(folder, exist_ok=True)
            run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder)

    def leave(self):
        """Leaves the machine's own folders as they were."""
        for folder in FOLDERS:
            run("umount", "--lazy", folder)
        for folder in self.made:
            os.rmdir(folder)
        pathlib.Path(BLOCKLIST).unlink(missing_ok=True)

    def systemctl(self, verb):
        if verb == "start":
            self.daemon = subprocess.Popen(self.lab.near.command(
                str(WEIR), "daemon", "config", str(ROOT / "packaging/systemd/weir.yaml")),
                stderr=subprocess.DEVNULL)
            self.lab.children.append(self.daemon)
            return wait_for(lambda: self.type("curl -sf http://127.0.0.1:9108/metrics").status == 0)
        self.daemon.terminate()
        return self.daemon.wait() == 0

    def type(self, line):
        return self.lab.near.run("bash", "-o", "pipefail", "-c", line, expect=None,
                                 env={"PATH": f"{BUILD}:{os.environ['PATH']}"})

    def run(self, line):
        """Returns what it printed. A pipe of which only the beginning is read is no failure."""
        if line.startswith("systemctl "):
            check(self.systemctl(line.split()[1]), line, "done by hand")
            return ""
        done = self.type(line)
        check(done.status == 0 or ("| head" in line and done.out), line,
              " / ".join((done.out + done.err).strip().splitlines())[:100])
        return done.out


def test_tutorial(lab):
    lab.near.run("ip", "link", "set", "near0", "name", "eth0")
    lab.near_dev = "eth0"
    lab.up()
    newcomer = Newcomer(lab)
    try:
        follow(lab, newcomer)
    finally:
        newcomer.leave()


def follow(lab, newcomer):
    said = {}
    lines = [line for block in blocks() for line in block.splitlines()]
    demand(len(lines) > 25, f"{len(lines)} commands were found in {TUTORIAL.name}")
    for line in lines:
        said[line] = newcomer.run(line)
        if line == "weir attach dev eth0 monitor" and not newcomer.daemon:
            lab.flood("to", NEAR4, "from", f"{FLOODER}/32", "proto", "syn", "dport", 443,
                      "count", 4000, "pps", 8000)
        elif line == "weir confirm":
            lab.flood("to", NEAR4, "from", f"{FLOODER}/32", "proto", "syn", "dport", 443,
                      "count", 4000, "pps", 8000)
            dropped = lab.stats().dropped()
            check(dropped > 1000, "after `confirm` the flood is dropped", f"{dropped} packets")
        elif line == "weir block test 198.51.100.7":
            check("by" in said[line], "the list blocks it", said[line].strip())
    check("would drop" in said["weir show stats"] and FLOODER in said["weir show sources"],
          "monitor mode shows what would drop, and from which source", FLOODER)
    check("weir" in said[lines[next(i for i, line in enumerate(lines) if "title" in line)]],
          "the page comes", "its title")
    check(not PINS.exists() and lab.prog_id("eth0") is None, "in the end nothing is left", "nothing")


def test_memory(lab):
    """The memory that weir takes beside the table of sources is what the text says."""
    lab.attach()
    lab.weir("limit", "set", "rate", "1000pps")
    taken = sum(json.loads(run("bpftool", "-j", "map", "show", "pinned", path).out)["bytes_memlock"]
                for path in PINS.rglob("*") if path.is_file() and path.name != "buckets")
    said = re.search(r"takes about (\d+) MiB of\s+kernel memory", pathlib.Path(
        ROOT, "README.md").read_text())
    mib = taken / (1 << 20)
    check(said and abs(mib - int(said[1])) < 0.1 * mib, "README tells the kernel memory",
          f"{mib:.1f} MiB, README says {said and said[1]}")


run_tests(__name__)
