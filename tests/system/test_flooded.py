#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Commands that change settings, while a flood takes one core to send it and another to receive it.

How long they take depends on the machine and is printed; what is checked is that they do what they
say, and where they stand among the processes of a busy machine."""
import re
import time

from cores import become, place_napi
from stage import FLOOD, WEIR, check, run_tests
from strace import strace_works, traced

COMMANDS = (("limit", "set", "rate", "50pps"), ("attach", "dev"), ("limit", "set", "rate", "40pps"),
            ("limit", "set", "from", "198.51.100.0/24", "rate", "30pps"), ("attach", "dev"))
RECEIVER = 50


def start_flood(lab):
    """A core for NAPI, one for the sender, which is no real-time process."""
    for namespace, dev in ((lab.near, lab.near_dev), (lab.far, lab.far_dev)):
        namespace.run("ethtool", "-K", dev, "gro", "on", "tso", "off")
    lab.up()
    place_napi(lab.near, lab.near_dev, 0, RECEIVER)
    lab.spawn(lab.far, become(1, None, FLOOD, "dev", lab.far_dev, "mac", lab.mac, "to", "192.0.2.1",
                              "from", "198.51.100.0/24", "sources", 20, "proto", "syn", "dport", 80,
                              "sport", "random", "pps", 1000000, "seconds", 60))
    time.sleep(0.5)


def test_flooded_commands(lab):
    start_flood(lab)
    took = []
    for words in COMMANDS:
        words = (*words, lab.near_dev) if words[-1] == "dev" else words
        begun = time.monotonic()
        lab.weir(*words)
        took.append(f"{' '.join(words[:2])} {(time.monotonic() - begun) * 1000:.0f} ms")
    limits = {limit["from"]: limit["rate_packets"] for limit in lab.read("limit", "show")["limits"]}
    time.sleep(0.5)
    check(limits == {"any": 40, "198.51.100.0/24": 30} and lab.stats()["rate-limit"] > 0,
          "commands under a flood take effect", ", ".join(took))


def goes_first(lab, words):
    """Whether a command makes itself a real-time process."""
    done = lab.near.run(*traced("-f", "-e", "trace=sched_setscheduler"), WEIR, *words.split(),
                        expect=None)
    return re.search(r"sched_setscheduler\(0, SCHED_RR, \[1\]\) += 0", done.err) is not None


def test_flooded_priority(lab):
    if not strace_works(lab, "priority of commands"):
        return
    lab.weir("limit", "set", "rate", "50pps")
    first = {words: goes_first(lab, words) for words in
             ("limit set rate 40pps", f"attach dev {lab.near_dev}", "confirm", "limit show",
              "show status", "show stats", "detach all")}
    check([words for words, is_first in first.items() if not is_first] ==
          ["limit show", "show status", "show stats"],
          "commands that change something go before other processes, and others do not", first)
    lab.weir("limit", "set", "rate", "50pps")
    done = lab.near.run("setpriv", "--bounding-set", "-sys_nice", WEIR, "limit", "set", "rate", "30pps")
    check(done.status == 0 and lab.read("limit", "show")["limits"][0]["rate_packets"] == 30,
          "without the right to a priority they work as well", str(done))


run_tests(__name__)
