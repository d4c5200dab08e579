# SPDX-License-Identifier: GPL-2.0-only
"""What a limit lets through, end to end: from a flood to a socket behind weir, within 1 %."""
import json
import os
import re
import socket
import struct
import threading
import time

from stage import (FAR4, FAR6, NEAR4, NEAR6, PINS, STRANGE_MAC, Receiver, check, demand, run, run_tests,
                   send_udp, skip, wait_for)

RATE, BURST = 1000, 100
FLOOD_S = 3                         # 1 % of what passes in that time is 31 packets
SOURCE = "198.51.100.7/32"
IPV6 = "2001:db8::/32"              # not link-local: multicast reports are no part of this
PACKET_ROOM = 64                    # bytes of weir_counters that come before them
CLOCK_STEP = 0.010                  # of the coarse clock, which may lag by as much at first


def stalls(times, rate):
    """Seconds without a packet: a limit passes packets evenly, so the sender stood still then."""
    gaps = (late - early for early, late in zip(times, times[1:]))
    return sum(gap for gap in gaps if gap > max(10 / rate, 0.005))


def check_rate(what, flood, times, rate, burst):
    """Checks for burst + rate x time, within 1 %, from the first to the last arrival."""
    under = [time for time in times if time <= times[0] + flood.seconds]
    span, stalled = under[-1] - under[0], stalls(under, rate)
    expected, least = burst + rate * span, burst + rate * (span - stalled)
    figures = (f"{flood}, {len(under)} arrived in {span:.3f} s, stalled {stalled:.3f} s: "
               f"{100 * (len(under) / expected - 1):+.2f} % of {expected:.0f}")
    if flood.packets < 2 * expected:
        skip(what, f"this machine is too busy to send twice as much: {figures}")
    else:
        check(0.99 * least <= len(under) <= 1.01 * expected, what, figures)
    most = burst + rate * (max(times[-1] - times[0], flood.seconds) + CLOCK_STEP) + 1
    check(len(times) <= most, f"{what}: never more", f"{len(times)} of at most {most:.0f}")


def flood_and_check(lab, what, *words, rate=RATE, burst=BURST, to=NEAR4):
    before = lab.stats()["under-limit"]
    receiver = Receiver(lab.near, family=socket.AF_INET6 if ":" in to else socket.AF_INET)
    flood = lab.start_flood("to", to, *words)
    if "pps" in words:      # a sender that waits for its CPU sends less than the limit allows
        run("chrt", "-a", "-r", "-p", 10, flood.process.pid)
    flood.wait()
    times = receiver.stop()
    passed = lab.stats()["under-limit"] - before
    demand(times, f"{what}: nothing arrived of {flood}")
    check_rate(what, flood, times, rate, burst)
    check(len(times) == passed, f"{what}: all that weir let through arrived",
          f"{passed} let through, {len(times)} arrived")


def seen_by_cpu(lab):
    """How many packets the program handled on each CPU."""
    key = ("key", "0", "0", "0", "0")   # the first device
    dump = json.loads(run("bpftool", "-j", "map", "lookup", "pinned", PINS / "counters", *key).out)
    reasons = len(lab.stats().reasons)
    each = [bytes(int(byte, 16) for byte in cpu["value"]) for cpu in dump["values"]]
    return [sum(struct.unpack_from(f"{2 * reasons}Q", counters, PACKET_ROOM)[::2])
            for counters in each]


def test_one_source(lab):
    lab.weir("limit", "set", "rate", f"{RATE}pps", "burst", BURST)
    lab.attach()
    flood_and_check(lab, "one source at ten times its limit", "from", SOURCE, "pps", 10 * RATE,
                    "seconds", FLOOD_S)


def test_source_port(lab):
    """A limit and a budget of what comes from one port: no other packet is held to them."""
    lab.weir("limit", "set", "proto", "udp", "sport", "11211,1900", "rate", f"{RATE}pps",
             "burst", BURST)
    lab.attach()
    flood_and_check(lab, "from a limited port", "from", SOURCE, "sport", 1900, "pps", 10 * RATE,
                    "seconds", FLOOD_S)
    before = lab.stats()
    lab.flood("to", NEAR4, "from", SOURCE, "sport", 1901, "pps", 10 * RATE, "count", 10 * RATE)
    lab.flood("to", NEAR4, "from", "198.51.100.8/32", "proto", "tcp", "sport", 1900, "pps", 10 * RATE,
              "count", 10 * RATE)
    passed = lab.stats()["no-limit"] - before["no-limit"]
    check(passed >= 20 * RATE and lab.stats()["rate-limit"] == before["rate-limit"],
          "other ports and TCP are not limited", f"{passed} of {20 * RATE} passed")
    for port, rule in ((1900, f"limit proto udp sport 1900,11211 rate {RATE}pps"), (1901, "no limit")):
        said = lab.read("check", SOURCE.split("/")[0], "proto", "udp", "dport", 9, "sport", port)
        check(said["rule"].startswith(rule), f"check, from port {port}", said)
    lab.weir("limit", "flush")
    lab.weir("budget", "set", "ntp", "proto", "udp", "sport", 123, "rate", f"{RATE}pps")
    before = lab.stats()
    lab.flood("to", NEAR4, "from", "203.0.113.0/24", "sources", 200, "sport", 123, "pps", 10 * RATE,
              "count", 20 * RATE)
    lab.flood("to", NEAR4, "from", "203.0.113.0/24", "sources", 200, "sport", 124, "pps", 10 * RATE,
              "count", 10 * RATE)
    after = lab.stats()
    dropped = sum(after[reason] - before[reason] for reason in ("shed", "network-share",
                                                                "over-budget"))
    (budget,) = lab.read("budget", "show")["budgets"]
    # Two seconds at ten times the rate. Shares of networks begin low, which costs a tenth of a second.
    check(14 * RATE <= dropped <= 18.2 * RATE and budget["class"] == "proto udp sport 123" and
          after["no-limit"] - before["no-limit"] >= 10 * RATE, "a budget of one source port",
          f"{dropped} of {20 * RATE} dropped, none of another port")


def test_one_source_on_two_cpus(lab):
    lab.weir("limit", "set", "rate", f"{RATE}pps", "burst", BURST)
    lab.attach()
    flood_and_check(lab, "one source on two CPUs", "from", SOURCE, "pps", 10 * RATE, "seconds",
                    FLOOD_S, "threads", 2, "cpu", 0)
    seen = seen_by_cpu(lab)
    if os.cpu_count() < 2:
        skip("both CPUs took part", "this machine has one")
    else:
        check(min(seen[:2]) > max(seen[:2]) / 4, "both CPUs took part",
              f"{seen} packets by CPU")


def test_one_source_at_full_speed_on_two_cpus(lab):
    """Both CPUs use the one bucket at full speed."""
    lab.weir("limit", "set", "rate", f"{RATE}pps", "burst", BURST)
    lab.attach()
    flood_and_check(lab, "two CPUs at full speed", "from", SOURCE, "seconds", 3, "threads", 2,
                    "cpu", 0)


def test_ipv6_sources_in_one_64(lab):
    """A /64 belongs to one host, so it is one source."""
    lab.weir("limit", "set", "from", IPV6, "rate", f"{RATE}pps", "burst", BURST)
    lab.use_ipv6()
    lab.attach()
    flood_and_check(lab, "IPv6 sources all over one /64", "from", "2001:db8:1::/64", "sources",
                    "random", "pps", 10 * RATE, "seconds", FLOOD_S, to=NEAR6)
    shown = lab.read("show", "sources")["sources"]
    check([source["source"] for source in shown] == ["2001:db8:1::/64"],
          "a /64 is shown as one source", ", ".join(source["source"] for source in shown))


def test_many_sources_under_their_limit(lab):
    """1,000 sources at half of their rate. IPv6: its documentation prefix has as many."""
    lab.weir("limit", "set", "from", IPV6, "rate", "100pps", "burst", 10, "per", 128)
    lab.use_ipv6()
    lab.attach()
    flood = lab.flood("to", NEAR6, "from", "2001:db8:1::/64", "sources", 1000, "pps", 50000,
                      "seconds", 4, "mac", STRANGE_MAC)
    lost, stats = lab.lost(), lab.stats()
    passed, dropped = stats["under-limit"], stats.dropped()
    check(dropped == 0 and passed == flood.packets - lost, "1000 sources under their limit",
          f"{flood}, {passed} let through, {dropped} dropped, {lost} lost before")


def test_random_sources(lab):
    """2 million spoofed sources make no entries, and a real source keeps its rate."""
    lab.weir("limit", "set", "rate", f"{RATE}pps", "burst", BURST)
    lab.attach()
    receiver = Receiver(lab.near, port=5353)
    sent = {}

    def legitimate():
        sent["seconds"] = send_udp(lab.far, FAR4, NEAR4, 1200, pps=300, port=5353)
    sender = threading.Thread(target=legitimate)
    sender.start()
    flood = lab.flood("to", NEAR4, "from", "0.0.0.0/0", "sources", "random", "pps", 500000,
                      "count", 2000000, "mac", STRANGE_MAC)
    sender.join()
    times, stats, total = receiver.stop(), lab.stats(), lab.read("show", "sources")["total"]
    lost = lab.lost()
    check(flood.packets == 2000000 and stats.packets >= 2000000 - lost,
          "2 million packets, each of another source",
          f"{flood}, {stats.packets} seen, {lost} lost before")
    check(total < 1000 and stats.created < 1000, "spoofed sources make no entries",
          f"{total} entries, {stats.created} created")
    check(stats.dropped() == 0 and len(times) >= 1200 - lost,
          "a real source keeps its rate meanwhile",
          f"1200 datagrams in {sent['seconds']:.2f} s, {len(times)} arrived, "
          f"{stats.dropped()} dropped")


def check_window(receiver, what, rate, burst, owed=0):
    """Checks the next second: the rate, and at most a burst more; less what is @owed."""
    start = time.time()
    time.sleep(1)
    end = time.time()
    time.sleep(0.2)     # until the receiver has read all of it
    times = [start, *(when for when in list(receiver.times) if start < when < end), end]
    arrived, stalled = len(times) - 2, stalls(sorted(times), rate)
    most = burst + rate * (end - start + CLOCK_STEP) + 1
    check(0.99 * rate * (end - start - stalled) - owed - 1 <= arrived <= most, what,
          f"{arrived} in {end - start:.3f} s at {rate}pps burst {burst}, stalled {stalled:.3f} s")


def test_changes_take_effect_at_once(lab):
    """A changed limit is in force at once, and what a source owes stays owed, in packets."""
    lab.weir("limit", "set", "rate", "1000pps", "burst", 100)
    lab.attach()
    receiver = Receiver(lab.near)
    flood = lab.start_flood("to", NEAR4, "from", SOURCE, "pps", 20000, "seconds", 60)
    demand(wait_for(lambda: receiver.times), "no packet came")
    check_window(receiver, "the limit as it was set", 1000, 100)
    lab.weir("limit", "set", "rate", "200pps", "burst", 50)
    check_window(receiver, "lowered", 200, 50, owed=50)
    lab.weir("limit", "set", "rate", "4000pps", "burst", 400)
    check_window(receiver, "raised", 4000, 400)
    lab.weir("limit", "set", "from", "198.51.100.0/24", "rate", "500pps", "burst", 50)
    check_window(receiver, "overridden for the source's prefix", 500, 50)
    lab.weir("limit", "del", "from", "198.51.100.0/24")
    check_window(receiver, "the override deleted", 4000, 400)
    lab.weir("limit", "del")
    before = lab.stats()
    time.sleep(0.5)
    flood.stop()
    after = lab.stats()
    others = [after.dropped() - before.dropped(), after["under-limit"] - before["under-limit"]]
    check(after["no-limit"] > before["no-limit"] and others == [0, 0],
          "the limit deleted: all passes, by no limit",
          f"{after['no-limit'] - before['no-limit']} packets, {others[0]} dropped")
    receiver.stop()


def answered(side, to, count=12):
    """How many of so many pings were answered; -W: the last one is waited for only so long."""
    done = side.run("ping", "-n", "-q", "-c", count, "-i", "0.05", "-W", "1", to, expect=None)
    return int(re.search(r"(\d+) received", done.out).group(1))


def test_icmp_type(lab):
    """A limit of one type of ICMP, by the name for both families, holds no other type to it."""
    lab.use_ipv6()
    lab.weir("limit", "set", "icmp-type", "echo-request", "rate", "1/h", "burst", 3)
    lab.attach()
    for family, far, near in (("IPv4", FAR4, NEAR4), ("IPv6", FAR6, NEAR6)):
        before = lab.stats()
        requests, replies = answered(lab.far, near), answered(lab.near, far)
        over = lab.stats()["rate-limit"] - before["rate-limit"]
        check(requests == 3 and replies == 12 and over == 9,
              f"{family}: requests are limited, replies to this host's own pings are not",
              f"{requests} and {replies} of 12, {over} over the limit")
        for kind, rule in (("echo-request", "limit icmp-type echo-request"), ("echo-reply", "no limit")):
            said = lab.read("check", far, "icmp-type", kind)
            check(said["rule"].startswith(rule), f"check {far} icmp-type {kind}", said["rule"])
    lab.weir("limit", "flush")
    lab.weir("limit", "set", "icmp-type", 129, "rate", "1/h", "burst", 2)
    got = answered(lab.near, FAR4), answered(lab.near, FAR6)
    check(got == (12, 2), "by a number that only one message of IPv6 has", f"{got} of 12 and 12")
    lab.weir("limit", "del", "icmp-type", 129)
    lab.weir("limit", "set", "icmp", "rate", "1/h", "burst", 4)
    lab.weir("limit", "set", "icmp-type", "echo-reply", "rate", "1/h", "burst", 2)
    got = answered(lab.far, NEAR4), answered(lab.near, FAR4)
    check(got == (4, 2), "beside a limit of all ICMP the type's own counts", f"{got} of 12 and 12")
    (of_type, _) = sorted(lab.read("limit", "show")["limits"], key=lambda limit: limit["burst_packets"])
    check(of_type["class"] == "icmp-type echo-reply", "limit show", of_type)
    lab.weir("limit", "flush")
    lab.weir("budget", "set", "pings", "icmp-type", "echo-request", "rate", "8/h")
    requests, replies = answered(lab.far, NEAR4, 30), answered(lab.near, FAR4, 30)
    check(requests < 10 and replies == 30, "a budget of one type",
          f"{requests} and {replies} of 30")


def test_override_by_prefix(lab):
    """The longest prefix decides; all other sources keep the default."""
    lab.weir("limit", "set", "rate", "200pps", "burst", 20)
    lab.weir("limit", "set", "from", "198.51.100.0/24", "rate", "1000pps", "burst", 100)
    lab.weir("limit", "set", "from", "198.51.100.128/25", "rate", "4000pps", "burst", 400)
    lab.attach()
    for source, rate in (("203.0.113.7", 200), ("198.51.100.7", 1000), ("198.51.100.200", 4000)):
        flood_and_check(lab, f"{source} has {rate}pps", "from", f"{source}/32", "pps", 20000,
                        "seconds", 1, rate=rate, burst=rate / 10)


def test_monitor_mode(lab):
    """Nothing is dropped, and what would have been is counted."""
    lab.weir("limit", "set", "rate", f"{RATE}pps", "burst", BURST)
    lab.attach("monitor")
    receiver = Receiver(lab.near)
    flood = lab.flood("to", NEAR4, "from", SOURCE, "pps", 10 * RATE, "seconds", 2)
    arrived, lost = len(receiver.stop()), lab.lost()
    stats = lab.stats()
    over, would = stats["rate-limit"], stats.reasons["rate-limit"]["monitored"]
    check(arrived == flood.packets - lost and stats.dropped() == 0, "monitor mode drops nothing",
          f"{flood}, {arrived} arrived, {lost} lost before")
    expected = flood.packets - lost - BURST - RATE * flood.seconds
    check(over == would and over >= expected - 1, "monitor mode counts what would drop",
          f"{over} over their limit, {would} monitored, at least {expected:.0f} expected")
    check(stats.device["monitor"], "monitor mode is shown", f"monitor {stats.device['monitor']}")


if __name__ == "__main__":
    run_tests(__name__)
