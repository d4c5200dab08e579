#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""CLOCK_REALTIME jumps: limits and bans go on as if nothing had happened.

It sets the clock, so it runs only where WEIR_GUEST says that the machine serves nothing else.
"""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from stage import FAR4, NEAR4, Receiver, check, run_tests, send_udp, skip  # noqa: E402

DAY = 86400
JUMPS = (365 * DAY, -2 * 365 * DAY, 365 * DAY)   # ahead, back behind the start, home again
PPS = 10


def jump(seconds):
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)


def passed(lab, seconds):
    """How many of twice the limit get through in @seconds of packets, and how long it took."""
    receiver = Receiver(lab.near)
    took = send_udp(lab.far, FAR4, NEAR4, int(2 * PPS * seconds), 2 * PPS)
    return len(receiver.stop()), took


def test_limit(lab):
    lab.weir("limit", "set", "rate", f"{PPS}pps", "burst", 2)
    lab.attach()
    passed(lab, 1)                  # the burst is gone
    for seconds in JUMPS:
        jump(seconds)
        count, took = passed(lab, 4)
        check(count <= PPS * took + 4, f"a jump of {seconds / DAY:+.0f} days refills nothing",
              f"{count} passed in {took:.1f} s at {PPS} a second")
        check(count >= PPS * took / 2, f"a jump of {seconds / DAY:+.0f} days stops nothing",
              f"{count} passed in {took:.1f} s at {PPS} a second")


def test_ban(lab):
    lab.weir("block", "add", FAR4, "ttl", "1h")
    lab.attach()
    for seconds in JUMPS:
        jump(seconds)
        count, _ = passed(lab, 1)
        left = lab.read("block", "show")["block"][0]
        check(count == 0, f"a ban outlasts a jump of {seconds / DAY:+.0f} days",
              f"{count} passed, {left}")


if __name__ == "__main__":
    if os.environ.get("WEIR_GUEST") != "1":
        skip("jumps of the clock", "only in a guest, whose clock may be set")
        sys.exit(0)
    run_tests(__name__)
