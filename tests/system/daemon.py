# SPDX-License-Identifier: GPL-2.0-only
"""A running daemon, and what its tests ask it for."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

from stage import NEAR4, STRANGE_MAC, WEIR, demand, wait_for

FLOODER = "198.51.100.7"
QUICK = {"mode": "enforce", "sources": {"windows": 2, "ban": "60s", "longest": "60s"},
         "state": {"known": '""', "settings": '""', "traffic": '""', "calm": '""'}, "http": {"port": 0},
         "incidents": {"keep": 0}}
SHORT = {"ban": "2s", "longest": "8s"}
IN_TIME = 10    # seconds from the first packet to the ban: 2 windows, the first look, a busy machine


def yaml(settings):
    """The settings file has two levels."""
    lines = []
    for key, value in settings.items():
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {name}: {each}" for name, each in value.items())]
        else:
            lines.append(f"{key}: {value}")
    return "\n".join(lines) + "\n"


class Daemon:
    """A running `weir daemon` with settings of its own."""

    def __init__(self, lab, *words, env=None, **settings):
        self.lab, self.folder = lab, pathlib.Path(tempfile.mkdtemp(prefix="weir-daemon-"))
        self.settings = self.folder / "weir.yaml"
        self.configure(**settings)
        self.start(*words, env=env)

    def configure(self, **settings):
        merged = {key: dict(value) if isinstance(value, dict) else value
                  for key, value in QUICK.items()}
        for key, value in settings.items():
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
        self.settings.write_text(yaml(merged))

    def start(self, *words, env=None):
        self.log = self.folder / f"log-{time.monotonic_ns()}"
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.lab.near.command(WEIR, "daemon", "config", self.settings, *words),
                stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        self.lab.children.append(self.process)
        demand(wait_for(lambda: self.says("weir daemon, process") or self.ended(), 10) and
               not self.ended(), f"the daemon did not start: {self.text()}")

    def text(self):
        return self.log.read_text(encoding="utf-8")

    def says(self, pattern):
        """The lines of its log that match."""
        return [line for line in self.text().splitlines() if re.search(pattern, line)]

    def ended(self):
        return self.process.poll() is not None

    def reload(self, **settings):
        self.configure(**settings)
        self.kill(signal.SIGHUP)

    def kill(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        self.kill(number)
        return self.process.wait(timeout=20)


def bans(lab):
    return {ban["prefix"]: ban for ban in lab.read("show", "bans")["bans"]}


def judged(lab, verdict):
    return [each for each in lab.read("ban-log", "last", 4096)["judgements"]
            if each["verdict"] == verdict]


def start_flood(lab, source=FLOODER, *words, pps=12000, seconds=30):
    prefix = source if "/" in source else f"{source}/32"
    return lab.start_flood("to", NEAR4, "from", prefix, "pps", pps, "seconds", seconds, "mac",
                           STRANGE_MAC, *words)


def prepare(lab, rate="100pps", burst=20):
    lab.weir("limit", "set", "rate", rate, "burst", burst)
    lab.attach()
