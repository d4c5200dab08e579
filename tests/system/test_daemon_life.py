# SPDX-License-Identifier: GPL-2.0-only
"""The daemon: killed, overruled by the operator, without maps, and with 50,000 sources to ban."""
import re
import signal
import time

from daemon import (FLOODER, IN_TIME, SHORT, Daemon, bans, judged, prepare,
                    start_flood)
from stage import NEAR6, STRANGE_MAC, check, demand, run_tests, skip, wait_for


def test_killed_and_started_again(lab):
    prepare(lab)
    daemon = Daemon(lab, sources=SHORT)
    flood = start_flood(lab)
    demand(wait_for(lambda: judged(lab, "ban-source"), IN_TIME), "no ban")
    daemon.stop(signal.SIGKILL)
    before = lab.stats()["ban"]
    time.sleep(0.5)
    during = lab.stats()["ban"]
    check(during > before, "killed: the ban stays in force", f"{during - before} more dropped")
    passed = lab.stats()["under-limit"]
    check(wait_for(lambda: lab.stats()["under-limit"] > passed, 4) and not bans(lab),
          "and ends without it", f"{lab.stats()['under-limit'] - passed} packets passed")
    daemon.start()
    check(wait_for(lambda: len(judged(lab, "ban-source")) == 2, IN_TIME) and
          judged(lab, "ban-source")[1]["strikes"] == 1, "started again it goes on counting strikes",
          [(each["strikes"], each["ttl_seconds"]) for each in judged(lab, "ban-source")])
    flood.stop()


def test_undone(lab):
    prepare(lab)
    daemon = Daemon(lab, undo="5s")
    flood = start_flood(lab)
    demand(wait_for(lambda: bans(lab), IN_TIME), "no ban")
    undone = time.monotonic()
    lab.weir("block", "del", f"{FLOODER}/32")
    check(wait_for(lambda: daemon.says("unban"), 3) and len(judged(lab, "unban")) == 1,
          "the daemon records it", daemon.says("unban"))
    wait_for(lambda: bans(lab), 13)
    took, again = time.monotonic() - undone, judged(lab, "ban-source")[-1]
    flood.stop()
    check(bans(lab) and took >= 4.5 and again["strikes"] == 0,
          "what the operator undid is banned again when `undo` is over, and not before",
          f"after {took:.1f} s, strikes {again['strikes']}")
    lab.weir("restore", "-", expect=None)
    saved = lab.weir("save").out
    check(FLOODER not in saved, "a ban of the daemon's is not saved", saved.strip())


def test_pins_removed_under_it(lab):
    prepare(lab)
    daemon = Daemon(lab)
    lab.weir("detach", "all")
    check(wait_for(lambda: daemon.says("not in use here.*waiting"), 5), "detach all: it waits",
          daemon.says("waiting"))
    prepare(lab)
    flood = start_flood(lab)
    check(wait_for(lambda: bans(lab), IN_TIME), "and goes on with the next weir", list(bans(lab)))
    flood.stop()


def test_many_offenders(lab):
    """50,000 sources over their limit at once. IPv6: its documentation prefix has as many."""
    lab.use_ipv6()
    lab.weir("limit", "set", "from", "2001:db8::/32", "rate", "2/min", "burst", 1, "per", 128)
    lab.attach()
    daemon = Daemon(lab, sources={"least": 1},
                    networks={"sources": 1000000})
    flood = lab.start_flood("to", NEAR6, "from", "2001:db8:1::/64", "sources", 50000, "pps", 200000,
                            "seconds", 40, "mac", STRANGE_MAC)
    wait_for(lambda: lab.stats()["ban"] > 1000, 20)
    wait_for(lambda: lab.read("show", "status")["block"] >= 50000, 20)
    shown, lines = len(bans(lab)), daemon.says("<4>ban-source")
    flood.stop()
    if flood.packets < 3 * 50000 * flood.seconds and shown < 50000:
        skip("50,000 sources are banned", f"this machine is too busy: {flood}, {shown} bans")
        return
    longest = re.search(r"^weir_daemon_loop_duration_highest_seconds (.*)", lab.weir("metrics").out,
                        re.M).group(1)
    check(shown == 50000, "50,000 sources are banned",
          f"{shown} bans, the longest loop took {float(longest):.2f} s")
    check(0 < len(lines) <= 50 * len(daemon.says("more judgements")) + 50 and
          daemon.says("more judgements"), "a flood is not one of lines",
          f"{len(lines)} lines, {daemon.says('more judgements')[:2]}")


run_tests(__name__)
