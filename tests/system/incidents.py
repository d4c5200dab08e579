# SPDX-License-Identifier: GPL-2.0-only
"""What tests of incidents share: a daemon that records them, and what it has recorded."""
import time

from daemon import Daemon
from stage import STATE, demand, wait_for

FOLDER = STATE / "incidents"
QUIET = 13      # seconds in which the end of a flood is noticed: ten of quiet, a look, a busy machine
RECORDED = {"keep": 100, "age": "90d", "least": 1000, "times": 3}
WITHIN = 0.02   # of the counters


def watch(lab, *words, mode="judge", **incidents):
    return Daemon(lab, *words, mode=mode, incidents={**RECORDED, **incidents})


def incidents(lab):
    """The oldest first."""
    return lab.read("incidents")["incidents"][::-1]


def states(lab):
    return [each["state"] for each in incidents(lab)]


def turned_away(lab):
    return sum(each["packets"] for each in lab.stats().reasons.values() if each["action"] != "pass")


def begins(lab, count=1, seconds=10):
    """How long it takes until @count incidents are there."""
    started = time.monotonic()
    demand(wait_for(lambda: len(incidents(lab)) >= count, seconds), "no incident begins")
    return time.monotonic() - started


def ends(lab, count=1, seconds=40):
    started = time.monotonic()
    demand(wait_for(lambda: states(lab) == ["ended"] * count, seconds),
           f"the incident does not end: {incidents(lab)}")
    return time.monotonic() - started


def agrees(part, whole):
    return abs(part - whole) <= WITHIN * whole


def set_limits(lab):
    """Each source is held; what many of them send together is held by a budget."""
    lab.weir("limit", "set", "rate", "20pps", "burst", 10)
    lab.weir("budget", "set", "all", "rate", "300pps", "burst", 100)
    lab.attach()
