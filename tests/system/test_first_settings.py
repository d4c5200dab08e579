# SPDX-License-Identifier: GPL-2.0-only
"""The first settings of README.md harm no user, and hold a flood of 20 sources. What limits dropped
of the users is counted; how fast they were beside no limits is printed only, since other processes
of the machine have a part in it."""
import re

from services import Bulk, Names, Web, lacking
from stage import NEAR4, ROOT, STRANGE_MAC, check, demand, run_tests, skip

SOURCES = 20
FLOOD_FROM = "198.51.100.0/24"
FLOOD_S = 3
LEAST_PART = 1e-3       # of the users' packets that may be dropped


def first_settings():
    """The limits of the block below "Use it"."""
    text = (ROOT / "README.md").read_text().split("## Use it")[1].split("\n## ")[0]
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    limits = [line[1:] for line in lines if line[:3] == ["weir", "limit", "set"]]
    demand(len(limits) >= 3, f"README.md has {len(limits)} limits below \"Use it\"")
    return limits


def set_all(lab):
    for words in first_settings():
        lab.weir(*words)


def compare(lab, what, unit, measure):
    """Runs @measure without limits and with them. What limits dropped is the check."""
    lab.weir("limit", "flush")
    calm = measure()
    set_all(lab)
    before = lab.stats()
    limited = measure()
    after = lab.stats()
    dropped, packets = after.dropped() - before.dropped(), after.packets - before.packets
    check(dropped <= LEAST_PART * packets, f"{what}: not touched by the first settings",
          f"{dropped} of {packets} packets dropped; {limited:.4g} {unit} after {calm:.4g} without "
          f"limits, {100 * limited / calm:.0f} %")


def start(lab, service):
    """The service, or None where the machine has not what it needs."""
    missing = lacking(*service.needs)
    if missing:
        skip(f"{service.__name__.lower()} behind the first settings", f"{missing} is not installed")
        return None
    lab.weir("limit", "set", "rate", "1mpps")       # attach wants maps
    lab.attach()
    return service(lab)


def test_bulk(lab):
    bulk = start(lab, Bulk)
    if bulk:
        compare(lab, "an upload over TCP", "Mbit/s", bulk.upload)
        compare(lab, "a download over TCP", "Mbit/s", bulk.download)
        compare(lab, "a stream of UDP at 50 Mbit/s", "Mbit/s", bulk.stream)


def test_web(lab):
    web = start(lab, Web)
    if web:
        compare(lab, "a web server under load, 64 connections of one source", "requests/s",
                web.requests)
        compare(lab, "a page of 60 objects and 2 MB", "packets", web.page)


def test_names(lab):
    names = start(lab, Names)
    if names:
        compare(lab, "a name server, 1000 queries/s of one source", "answers/s", names.answers)


def test_ping(lab):
    lab.attach()
    set_all(lab)
    lab.far.run("ping", "-c", 20, "-i", 0.05, "-q", NEAR4)
    check(lab.stats().dropped() == 0, "20 pings a second: not touched", lab.stats()["under-limit"])


def packets_per_s(text):
    number, unit = re.fullmatch(r"(\d+)(mpps|kpps|pps)", text).groups()
    return int(number) * {"pps": 1, "kpps": 1000, "mpps": 1000000}[unit]


def limit_of(*class_words):
    """Its rate in packets/s; its burst is a second of that."""
    for words in first_settings():
        if words[2:-2] == list(class_words):
            return packets_per_s(words[-1])
    return demand(False, f"README.md has no limit for {' '.join(class_words)}")


def hold(lab, what, rate, proto, *words):
    before = lab.stats()
    flood = lab.flood("to", NEAR4, "from", FLOOD_FROM, "sources", SOURCES, "proto", proto, "pps",
                      10 * rate * SOURCES, "seconds", FLOOD_S, "mac", STRANGE_MAC, *words)
    after = lab.stats()
    passed = after["under-limit"] - before["under-limit"]
    most = SOURCES * rate * (1 + flood.seconds) * 1.01
    if flood.packets < 2 * most:
        skip(what, f"this machine is too busy to send twice as much: {flood}, at most {most:.0f}")
        return
    check(SOURCES * rate <= passed <= most, what,
          f"{flood}, {passed} passed of at most {most:.0f}: {SOURCES} sources, {rate} pps and a "
          "second of it at once")


def test_floods(lab):
    lab.attach()
    set_all(lab)
    hold(lab, "a flood of SYNs is held", limit_of("syn"), "syn", "dport", 443)
    hold(lab, "a flood of ICMP is held", limit_of("icmp"), "icmp")
    hold(lab, "a flood of UDP is held", limit_of("proto", "udp"), "udp")


run_tests(__name__)
