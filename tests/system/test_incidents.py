#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Incidents: floods become records of the right kind, with figures that agree with the counters."""
import contextlib
import ipaddress
import json
import re
import resource
import socket
import subprocess
import threading
import time

from daemon import start_flood
from incidents import (FOLDER, RECORDED, agrees, begins, ends, incidents, set_limits, states, turned_away,
                       watch)
from stage import FAR4, NEAR4, WEIR, check, run_tests, wait_for

FLOODS = (
    ("one-source", ("198.51.100.7",)),
    ("syn-flood", ("198.18.0.0/16", "sources", "random", "proto", "syn", "dport", 80, "sport", "random")),
    ("reflection", ("203.0.113.0/24", "sources", 200, "proto", "udp", "sport", 123, "dport", 4000)),
    ("icmp-flood", ("203.0.113.0/24", "sources", 200, "proto", "icmp")),
)


def test_floods(lab):
    set_limits(lab)
    daemon = watch(lab)
    time.sleep(2)
    for number, (kind, words) in enumerate(FLOODS, 1):
        before = turned_away(lab)
        flood = start_flood(lab, *words, pps=20000, seconds=20)
        began = begins(lab, number)
        check(began < 3.5, f"{kind}: it is noticed at once", f"after {began:.1f} s")
        wait_for(lambda: daemon.says(f"incident {number} is "), 6)
        time.sleep(2)
        flood.stop()
        took = ends(lab, number)
        counted, record = turned_away(lab) - before, incidents(lab)[-1]
        check(took < 15, f"{kind}: its end is noticed", f"after {took:.1f} s")
        check(record["kind"] == kind and daemon.says(rf"incident {number} is .*\({kind}\)"),
              f"{kind}: one incident of its kind", record)
        check(agrees(record["turned_away_packets"], counted),
              f"{kind}: it agrees with the counters",
              f"{record['turned_away_packets']} of {counted}, {flood.packets} sent")
        check(abs(record["lasted_ms"] / 1000 - flood.seconds) < 3 and
              record["peak_packets_per_s"] >= flood.packets / flood.seconds / 2,
              f"{kind}: how long and how much", f"{record['lasted_ms']} ms of {flood.seconds:.1f} s, "
              f"{record['peak_packets_per_s']} pps")
    check_records(lab)
    check_metrics(lab)
    daemon.stop()


def check_records(lab):
    one, syn, reflection, _ = [lab.read("incidents", number) for number in (1, 2, 3, 4)]
    check(one["sources"][0]["prefix"] == "198.51.100.7/32" and len(one["sources"]) == 1 and
          one["targets"][0]["prefix"] == f"{NEAR4}/32", "a loud source is named, and what it attacked",
          [one["sources"], one["targets"]])
    check(not syn["sources"] and syn["sources_estimated"] > 10000 and syn["dports"][0]["port"] == 80,
          "random addresses are not named, but how many there are",
          f"{syn['sources_estimated']}, more: {syn['sources_are_more']}")
    check(reflection["sports"][0]["port"] == 123 and 150 <= reflection["sources_estimated"] <= 250 and
          reflection["networks"][0]["prefix"] == "203.0.113.0/24" and
          len(reflection["sources"]) <= 10, "reflectors: their port, their number, their network",
          f"{reflection['sources_estimated']} sources of 200, {reflection['networks']}")
    modes = {oct(path.stat().st_mode & 0o777) for path in FOLDER.glob("*.json")}
    check(modes == {"0o600"} and FOLDER.stat().st_mode & 0o777 == 0o700, "only the daemon's user reads them",
          f"files {modes}, folder {oct(FOLDER.stat().st_mode & 0o777)}")
    text = lab.weir("incidents", "report", 3).out
    check(max(map(len, text.splitlines())) <= 80 and "answers of reflectors from UDP port 123" in text and
          "udp port 123" in text and " UTC (here " in text and "203.0.113.0/24" in text and
          re.search(r"At most +[\d,]+ packets/s, [\d.]+ Mbit/s turned away", text) and
          re.search(r"About \d+ source addresses", text) and "What remains" in text and
          "The budget all dropped" in text and NEAR4 in text, "the report for others", text)
    text = lab.weir("incidents").out
    check(max(map(len, text.splitlines())) <= 80 and len(text.splitlines()) == 5, "the list",
          text)
    gone = lab.weir("incidents", 77, expect=1)
    check("there is no incident 77" in gone.err, "one that is not there", gone)


def check_metrics(lab):
    text = lab.weir("metrics").out
    good = all(f'weir_incidents_total{{kind="{kind}"}} 1' in text for kind, _ in FLOODS)
    check(good and "weir_incident_active 0" in text, "metrics",
          [line for line in text.splitlines() if line.startswith("weir_incident")][:6])


def test_pulses(lab):
    """5 s on, 5 s off are one incident."""
    set_limits(lab)
    daemon = watch(lab)
    told = daemon.folder / "events"
    with open(told, "wb") as file:
        lab.children.append(subprocess.Popen(lab.near.command(WEIR, "-j", "events"), stdout=file))
    flood = start_flood(lab, "198.51.100.7", "on", 5000, "off", 5000, pps=10000, seconds=26)
    begins(lab)
    text = lab.weir("metrics").out
    check("weir_incident_active 1" in text, "it shows in the metrics while it lasts",
          [line for line in text.splitlines() if "incident_active" in line][-1])
    flood.wait()
    ends(lab)
    record, counted = incidents(lab)[0], turned_away(lab)
    check(len(incidents(lab)) == 1 and record["pulses"] == 2, "pulses are one incident", record)
    check(agrees(record["turned_away_packets"], counted), "and all of them are counted",
          f"{record['turned_away_packets']} of {counted}")
    time.sleep(2)
    events = [json.loads(line) for line in told.read_text().splitlines() if '"incident"' in line]
    check([(each["change"], each["number"]) for each in events] == [("began", 1), ("ended", 1)] and
          events[1]["kind"] == "one-source", "and weir events tells both", events)


def test_no_incident(lab):
    """What is no flood: a short burst, and drops below the bar."""
    lab.weir("limit", "set", "rate", "20pps", "burst", 10)
    lab.attach()
    daemon = watch(lab)
    start_flood(lab, pps=1900, seconds=1).wait()    # in two windows of a second one is below the bar
    start_flood(lab, pps=700, seconds=6).wait()
    time.sleep(2)
    check(not incidents(lab) and not daemon.says("incident"), "a burst of a second, and 700 pps",
          f"{turned_away(lab)} turned away")
    daemon.reload(incidents={**RECORDED, "keep": 0})
    start_flood(lab, pps=20000, seconds=5).wait()
    check(not incidents(lab), "with `keep: 0` nothing is recorded", states(lab))


class Crowd:
    """People that come from addresses of their own: each opens one connection, sends, and waits."""

    def __init__(self, lab, network="203.0.112.0/21"):
        lab.far.run("ip", "route", "add", "local", network, "dev", "lo")
        lab.near.run("ip", "route", "add", network, "via", FAR4)
        with lab.near:
            self.server = socket.create_server(("", 80), backlog=4096)
        self.lab, self.sockets, self.stopping = lab, [], False
        self.base = int(ipaddress.ip_network(network)[0])
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.serve, self.come)]

    def serve(self):
        self.server.settimeout(0.3)
        while not self.stopping:
            with contextlib.suppress(TimeoutError):
                self.sockets.append(self.server.accept()[0])

    def come(self):
        """500 a second; the kernel tries again after 1, 3 and 7 s for those that are refused."""
        due = time.monotonic()
        with self.lab.far:
            for number in range(8000):
                if self.stopping:
                    return
                person = socket.socket()
                person.setblocking(False)
                person.bind((str(ipaddress.ip_address(self.base + number % 2000 + 1)), 0))
                person.connect_ex((NEAR4, 80))
                self.sockets.append(person)
                due += 0.002
                time.sleep(max(0, due - time.monotonic()))

    def run(self, seconds):
        for thread in self.threads:
            thread.start()
        time.sleep(seconds)
        self.stopping = True
        for thread in self.threads:
            thread.join()
        for each in self.sockets:
            each.close()
        self.server.close()


def test_crowd(lab):
    """Newcomers that are refused and try again are no SYN flood."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    lab.weir("budget", "set", "web", "proto", "tcp", "dport", "80", "rate", "100pps", "burst", 50)
    lab.attach()
    watch(lab, least=300)
    Crowd(lab).run(9)
    ends(lab)
    record = lab.read("incidents", 1)
    counted = record["counted"]
    check(record["kind"] == "crowd", "a crowd of newcomers",
          f"{record['kind']}: {record['sources_estimated']} sources of 2000, first seen "
          f"{counted['first_seen_dropped']}, returning {counted['returning_dropped']}, "
          f"{counted['connections']} connections, {counted['strangers_passed']} strangers' packets")


run_tests(__name__)
