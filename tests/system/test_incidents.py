#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Incidents: floods become records of the right kind, with figures that agree with the counters,
over kills of the daemon, pulses, a full disk, and limits of what is kept."""
import contextlib
import ipaddress
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time

from daemon import Daemon, start_flood
from stage import FAR4, NEAR4, STATE, WEIR, check, demand, run, run_tests, wait_for

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


FLOODS = (
    ("one-source", ("198.51.100.7",)),
    ("syn-flood", ("198.18.0.0/16", "sources", "random", "proto", "syn", "dport", 80, "sport", "random")),
    ("reflection", ("203.0.113.0/24", "sources", 200, "proto", "udp", "sport", 123, "dport", 4000)),
    ("icmp-flood", ("203.0.113.0/24", "sources", 200, "proto", "icmp")),
)


def set_limits(lab):
    """Each source is held; what many of them send together is held by a budget."""
    lab.weir("limit", "set", "rate", "20pps", "burst", 10)
    lab.weir("budget", "set", "all", "rate", "300pps", "burst", 100)
    lab.attach()


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


def test_killed(lab):
    """A daemon that is killed in the middle goes on with the same incident."""
    set_limits(lab)
    daemon = watch(lab, mode="enforce")
    flood = start_flood(lab, pps=10000, seconds=30)
    begins(lab)
    time.sleep(6)
    daemon.stop(signal.SIGKILL)
    half = FOLDER / "9.json.new"
    half.write_text('{"version": 1, "num')
    check(states(lab) == ["goes on"], "after kill -9 it is in its file", incidents(lab))
    time.sleep(3)
    daemon.start()
    time.sleep(3)
    flood.stop()
    ends(lab)
    record, counted = incidents(lab)[0], turned_away(lab)
    check(len(incidents(lab)) == 1 and daemon.says("incident 1 goes on"), "it goes on after the restart",
          daemon.says("incident"))
    check(agrees(record["turned_away_packets"], counted) and
          abs(record["lasted_ms"] / 1000 - flood.seconds) < 3,
          "nothing of it is lost, not even while no daemon ran",
          f"{record['turned_away_packets']} of {counted}, {record['lasted_ms']} ms of {flood.seconds:.1f} s")
    record = lab.read("incidents", 1)
    check(record["sources_banned"] == 1 and record["banned"] == ["198.51.100.7/32"],
          "and what was done is in it", f"{record['sources_banned']} bans, {record['banned']}")
    check(not half.exists(), "what was half written is removed", list(FOLDER.iterdir()))


def test_killed_for_good(lab):
    """The maps are gone when the daemon starts again, as after a reboot."""
    set_limits(lab)
    daemon = watch(lab)
    flood = start_flood(lab, pps=10000, seconds=30)
    begins(lab)
    time.sleep(2)
    daemon.stop(signal.SIGKILL)
    flood.stop()
    lab.weir("detach", "all")
    daemon.start()
    wait_for(lambda: states(lab) == ["cut off"], 5)
    check(states(lab) == ["cut off"], "an incident of maps that are gone is cut off", incidents(lab))
    check("not seen" in lab.weir("incidents", 1).out, "and the text says so",
          lab.weir("incidents", 1).out.splitlines()[3])


def make_records(count, template, ended):
    """Copies of a record, as if there had been more floods."""
    for number in range(2, count + 1):
        record = {**template, "number": number, "end": ended(number)}
        path = FOLDER / f"{number}.json"
        path.write_text(json.dumps(record))
        path.chmod(0o600)


def test_retention(lab):
    set_limits(lab)
    daemon = watch(lab)
    start_flood(lab, pps=10000, seconds=4).wait()
    begins(lab)
    ends(lab)
    daemon.stop()
    template = json.loads((FOLDER / "1.json").read_text())
    small = {**template, "counted": {**template["counted"], "reasons":
                                     [{"reason": "rate-limit", "packets": 5000, "bytes": 300000,
                                       "let_through": 0}]}}
    now = int(time.time())
    make_records(30, small, lambda number: now - 60)
    (FOLDER / "12.json").write_text("{ damaged")
    daemon = watch(lab, keep=10)
    wait_for(lambda: len(list(FOLDER.glob("[1-9]*.json"))) <= 11, 10)
    left = sorted(each["number"] for each in incidents(lab))
    check(len(left) == 10 and 1 in left and left[-5:] == [26, 27, 28, 29, 30],
          "of too many, many small ones do not displace a large one", left)
    check(daemon.says("12.json:1: not the record") and (FOLDER / "12.json").read_text() == "{ damaged",
          "a damaged one is named and left alone", daemon.says("12.json"))
    done = lab.weir("incidents")
    check("12.json" in done.err and len(done.out.splitlines()) == 11, "the others are shown", done.err)
    (FOLDER / "12.json").unlink()
    daemon.stop()
    make_records(29, small, lambda number: now - 90000)
    daemon = watch(lab, age="1h")
    time.sleep(3)
    check(len(incidents(lab)) == 30, "a first look at their ages removes nothing: the clock may be wrong",
          f"{len(incidents(lab))} left")
    daemon.stop()
    daemon = watch(lab, age="24s")
    wait_for(lambda: len(incidents(lab)) <= 1, 10)
    check(len(incidents(lab)) <= 1, "those that are too old go", f"{len(incidents(lab))} left")
    daemon.stop()
    flood = start_flood(lab, pps=10000, seconds=20)
    daemon = watch(lab)
    wait_for(lambda: any(each["state"] == "goes on" for each in incidents(lab)), 8)
    flood.stop()
    check(incidents(lab)[-1]["number"] == 31, "a number is not used twice", incidents(lab)[-1]["number"])


def test_disk_full(lab):
    """Records wait in memory until there is room."""
    set_limits(lab)
    FOLDER.mkdir(mode=0o700)
    run("mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", FOLDER)
    try:
        daemon = watch(lab)
        filler = FOLDER / "filler"
        try:
            filler.write_bytes(b"x" * (1 << 20))
        except OSError:
            pass
        start_flood(lab, pps=10000, seconds=5).wait()
        wait_for(lambda: daemon.says("incident 1 ended"), 20)
        counted, lines = turned_away(lab), daemon.says("No space left")
        check(len(lines) == 1 and "stays in memory" in lines[0] and not daemon.ended(),
              "a full disk is reported once", lines)
        check(not incidents(lab) and not list(FOLDER.glob("*.new")), "nothing half is left",
              os.listdir(FOLDER))
        filler.unlink()
        ends(lab, seconds=10)
        record = incidents(lab)[0]
        check(agrees(record["turned_away_packets"], counted), "written when there is room",
              f"{record['turned_away_packets']} of {counted}")
        daemon.stop()
    finally:
        run("umount", FOLDER)


def test_no_incident(lab):
    """What is no flood: a short burst, and drops below the bar."""
    lab.weir("limit", "set", "rate", "20pps", "burst", 10)
    lab.attach()
    daemon = watch(lab)
    start_flood(lab, pps=20000, seconds=1).wait()
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
