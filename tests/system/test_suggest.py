# SPDX-License-Identifier: GPL-2.0-only
"""What `weir suggest` suggests touches none of the users whom it saw, and holds a flood. The users
are paced below what a busy machine can do, so that they send the same while they are watched and
while they are limited."""
import collections
import json
import pathlib
import socket
import subprocess
import threading
import time

from daemon import Daemon
from services import Bulk, Names, Web, lacking
from stage import (BUILD, FAR4, NEAR4, ROOM_BYTES, SO_RCVBUFFORCE, STATE, STRANGE_MAC, check, demand,
                   run_tests, skip, wait_for)

WATCH_S, USE_S = 8, 12
BROWSERS = [f"192.0.2.{10 + i}" for i in range(4)]
RESOLVERS = [f"192.0.2.{20 + i}" for i in range(4)]
QUERIES_PER_S = 200
UPLOAD_MBIT = "40M"
SOURCES = 20
FLOOD_FROM = "198.51.100.0/24"
FLOOD_S = 3
STEP = 2 ** 0.25        # of needs
WINDOW_S = 10           # of the daemon's samples


def classes(suggestion):
    return {each["class"]: each for each in suggestion["classes"]}


def start_users(lab, bulk, web, names):
    """An upload, wrk, browsers and resolvers; these have each an address of their own."""
    commands = [lab.far.command("iperf3", "-c", NEAR4, "-t", USE_S, "-b", UPLOAD_MBIT, "-J")]
    commands.append(web.paced(USE_S))
    commands.append(lab.far.command("ping", "-q", "-i", "0.1", "-w", USE_S, NEAR4))
    commands += [web.browser(source, pages=1000, kbytes_per_s=300) for source in BROWSERS]
    commands += [lab.far.command(*names.client(USE_S, QUERIES_PER_S, source))
                 for source in RESOLVERS]
    demand(bulk.mbit("-n", "1M") > 0, "iperf3 does not answer")
    users = [subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) for command in commands]
    lab.children += users
    time.sleep(1)       # they have begun
    return users


def end_users(users, seconds=0):
    """Checks that they still work after so long, and ends them."""
    time.sleep(seconds)
    ended = [user for user in users if user.poll() not in (None, 0)]
    for user in users:
        if user.poll() is None:
            user.terminate()
        out = user.communicate()[0]
        demand(user not in ended, f"{user.args}: {out}")


def start_services(lab):
    """Bulk, Web and Names, or None where the machine has not what they need."""
    missing = lacking(*Bulk.needs, *Web.needs, *Names.needs)
    if missing:
        skip("suggested limits beside real services", f"{missing} is not installed")
        return None
    lab.attach()
    for source in BROWSERS + RESOLVERS:
        lab.far.run("ip", "address", "add", f"{source}/24", "dev", lab.far_dev)
    return Bulk(lab), Web(lab), Names(lab)


def check_touches_none(suggestion):
    seen = classes(suggestion)
    wanted = {"syn": len(BROWSERS), "proto tcp": 1 + len(BROWSERS),
              "proto udp dport 53": len(RESOLVERS)}
    for name, sources in wanted.items():
        check(name in seen and seen[name]["sources"] >= sources and
              seen[name]["suggested"]["touched"] == 0, f"suggest, {name}: each source was seen",
              json.dumps(seen.get(name)))
    tight = [name for name, each in seen.items()
             if each["suggested"]["rate_packets"] < 2 * each["packets_per_s"]["max"]]
    check(not tight, "suggest: at least twice what any source needs", tight or ", ".join(seen))


def test_users_and_flood(lab):
    services = start_services(lab)
    if not services:
        return
    users = start_users(lab, *services)
    suggestion = lab.read("suggest", "seconds", WATCH_S)
    end_users(users)
    check_touches_none(suggestion)
    for each in suggestion["classes"]:
        lab.weir(*each["suggested"]["command"].split()[1:])
    users = start_users(lab, *services)
    before = lab.stats()
    end_users(users, WATCH_S)
    after = lab.stats()
    check(after["rate-limit"] == 0, "the suggested limits touch none of the users",
          f"{after['rate-limit']} of {after.packets - before.packets} packets dropped; " +
          "; ".join(each["suggested"]["command"] for each in suggestion["classes"]))
    hold_flood(lab, classes(suggestion)["proto udp dport 53"]["suggested"]["rate_packets"], "udp", 53)
    hold_flood(lab, classes(suggestion)["syn"]["suggested"]["rate_packets"], "syn", 80)
    hold_flood(lab, classes(suggestion)["icmp"]["suggested"]["rate_packets"], "icmp")
    hold_flood(lab, classes(suggestion)["proto tcp"]["suggested"]["rate_packets"], "tcp", 80)


def segments(lab):
    """Those that far's stack has sent; the flood's are not among them."""
    with lab.far:
        lines = [line.split() for line in pathlib.Path("/proc/thread-self/net/snmp").read_text()
                 .splitlines() if line.startswith("Tcp:")]
    return int(dict(zip(*lines))["OutSegs"])


def hold_flood(lab, rate, proto, port=None):
    """At ten times the suggestion. No single source may have more passed than the sum allows it, nor
    may all of them; users' segments, which pass beside them, are not counted."""
    before, users = lab.stats(), segments(lab)
    flood = lab.flood("to", NEAR4, "from", FLOOD_FROM, "sources", SOURCES, "proto", proto,
                      *(("dport", port) if port else ()), "pps", 10 * rate * SOURCES, "seconds", FLOOD_S, "mac", STRANGE_MAC)
    passed = lab.stats()["under-limit"] - before["under-limit"]
    passed -= segments(lab) - users
    each = rate * (1 + flood.seconds + 0.01) + 1
    what = f"a flood of {SOURCES} sources at ten times the suggested limit, {proto}"
    if flood.packets < 2 * SOURCES * each:
        skip(what, f"this machine is too busy to send twice as much as passes: {flood}")
        return
    sent = flood.packets / flood.seconds / SOURCES / rate
    check(passed <= SOURCES * each, what,
          f"{flood}, {sent:.1f} times the limit, {passed} passed, at most {SOURCES} times {each:.0f}")
    return sent


def test_tcp_data(lab):
    """Segments of no connection, beside clients with small requests: the limit for TCP is so low that
    this machine sends ten times as much, from each source."""
    lab.attach()
    transact = BUILD / "tests/tools/transact"
    lab.serve([transact, "serve", NEAR4, 80])
    words = [transact, "run", NEAR4, 80, "seconds", 60, "clients", 10, "pace", 100, "connect", "json"]
    users = lab.spawn(lab.far, words)
    time.sleep(1)
    suggestion = classes(lab.read("suggest", "seconds", WATCH_S))
    for each in suggestion.values():
        lab.weir(*each["suggested"]["command"].split()[1:])
    time.sleep(3)
    check(lab.stats()["rate-limit"] == 0, "the suggested limit for TCP touches no client",
          suggestion["proto tcp"]["suggested"]["command"])
    sent = hold_flood(lab, suggestion["proto tcp"]["suggested"]["rate_packets"], "tcp", 80)
    users.terminate()
    if sent and sent < 8:
        skip("ten times the suggested limit of TCP data",
             f"this machine is too busy: {sent:.1f} times were sent")
        return
    windows = [json.loads(line) for line in users.communicate()[0].splitlines()]
    check(windows[-1]["failed"] == 0, "and no request of the clients fails beside that flood",
          f"{windows[-1]['transactions']} answered")


def test_flood_by_source(lab):
    """What each source of a flood gets through to a socket, behind a limit that was suggested."""
    lab.attach()
    calm = lab.start_flood("to", NEAR4, "from", f"{FAR4}/32", "pps", 100, "seconds", 8, "dport", 53)
    suggestion = lab.read("suggest", "seconds", 5)
    calm.wait()
    suggested = classes(suggestion)["proto udp dport 53"]["suggested"]
    need = classes(suggestion)["proto udp dport 53"]["packets_per_s"]["max"]
    check(2 * need <= max(suggested["rate_packets"], 50) <= max(4 * need, 50),
          "one source: twice its need is suggested, or a little more", f"need {need}, {suggested}")
    lab.weir(*suggested["command"].split()[1:])
    rate, counts = suggested["rate_packets"], collections.Counter()
    with lab.near:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM_BYTES)
    receiver.bind((NEAR4, 53))
    receiver.settimeout(1)
    thread = threading.Thread(target=count_sources, args=(receiver, counts))
    thread.start()
    flood = lab.flood("to", NEAR4, "from", FLOOD_FROM, "sources", SOURCES, "dport", 53, "pps",
                      10 * rate * SOURCES, "seconds", FLOOD_S)
    thread.join()
    receiver.close()
    most = rate * (1 + flood.seconds + 0.01) + 1
    check(len(counts) == SOURCES and max(counts.values()) <= most,
          "no source of a flood gets more through than rate and burst",
          f"{flood}, {len(counts)} sources, from {min(counts.values())} to "
          f"{max(counts.values())} each, at most {most:.0f}")


def count_sources(receiver, counts):
    while True:
        try:
            counts[receiver.recvfrom(1)[1][0]] += 1
        except TimeoutError:
            return


def test_show_sources_all(lab):
    """Sources far under their limit are listed, each with its rate."""
    lab.weir("limit", "set", "rate", "1000pps")
    lab.attach()
    flood = lab.start_flood("to", NEAR4, "from", FLOOD_FROM, "sources", SOURCES, "pps",
                            300 * SOURCES, "seconds", 8, "dport", 53)
    time.sleep(1)
    before = lab.stats().packets
    found = lab.read("show", "sources", "all", "seconds", 3, "top", SOURCES)
    counted = lab.stats().packets - before
    text = lab.weir("show", "sources", "all", "seconds", 1).out
    flood.wait()
    rates = [each["packets_per_s"] for each in found["sources"]]
    seen = sum(rates) * found["seconds"]
    check(len(rates) == SOURCES and max(rates) <= 1.3 * min(rates) and seen <= 1.1 * counted,
          "20 sources under a limit of 1000 packets/s are listed, with what they send",
          f"from {min(rates)} to {max(rates)} a second, {seen:.0f} in all, {counted} counted")
    check({each["mostly"] for each in found["sources"]} == {"udp 53"} and "udp 53" in text and
          max(map(len, text.splitlines())) <= 80, "class and port are told", text.splitlines()[1])
    check(lab.read("show", "sources")["total"] == 0, "none of them is near the limit", 0)


def test_big_beside_small(lab):
    """Beside 200,000 packets/s a source of 500 is seen, within what the sample can tell."""
    lab.attach()
    big = lab.start_flood("to", NEAR4, "from", "203.0.113.7/32", "pps", 200000, "seconds", 10)
    small = lab.start_flood("to", NEAR4, "from", "198.51.100.7/32", "pps", 500, "seconds", 10,
                            "dport", 53)
    time.sleep(1)
    found = lab.read("show", "sources", "all", "seconds", 5)
    for flood in (big, small):
        flood.stop()
    by_source = {each["source"]: each for each in found["sources"]}
    each = by_source.get("198.51.100.7", {"packets_per_s": 0, "error_percent": 100})
    # Twice the bound of 95 %: not missed in one of 10,000 runs. The sender may be held up.
    error = 2 * each["error_percent"] / 100
    check(0 < each["packets_per_s"] <= 500 * (1 + error) * 1.1,
          "a small source beside a large one", found["sources"])
    check(found["sources"][0]["source"] == "203.0.113.7",
          "the large one comes first", found["sources"][0])


def test_nothing_to_say(lab):
    lab.weir("limit", "set", "rate", "1000pps")
    done = lab.weir("suggest", "seconds", 5, expect=1)
    check("no interface: weir is not attached" in done.err and "monitor" in done.err,
          "not attached: refused, with the remedy", done)
    lab.attach()
    done = lab.weir("suggest", "seconds", 5, "dev", "lo", expect=1)
    check("lo: weir is not attached" in done.err, "another interface: refused by name", done)
    done = lab.weir("suggest", "seconds", 5)
    check("nothing passed" in done.err and "limit set" not in done.out, "no traffic: no limits", done)


def test_monitor_mode(lab):
    """A limit that is in force in monitor mode hides nothing from the suggestion."""
    lab.weir("limit", "set", "rate", "10pps")
    lab.attach("monitor")
    flood = lab.start_flood("to", NEAR4, "from", "198.51.100.7/32", "pps", 400, "seconds", 7,
                            "dport", 53)
    seen = classes(lab.read("suggest", "seconds", 5, "dev", lab.near_dev))
    flood.wait()
    need = seen["proto udp dport 53"]["packets_per_s"]["max"]
    check(need >= 20, "monitor mode: what a limit of 10 packets/s would drop is counted", need)


def test_daemon_keeps(lab):
    """The daemon's week: no address in its file, and `suggest` tells it without watching."""
    lab.attach()
    file = STATE / "traffic"
    daemon = Daemon(lab, state={"traffic": file})
    flood = lab.start_flood("to", NEAR4, "from", FLOOD_FROM, "sources", SOURCES, "pps",
                            100 * SOURCES, "seconds", 6, "dport", 53)
    flood.wait()
    daemon.stop()
    text = file.read_text() if file.exists() else ""
    check(text and "198.51" not in text and len(text) < 4000 and file.stat().st_mode & 0o777 == 0o600,
          "the daemon keeps needs and no addresses", f"{len(text)} bytes: {text[:300]}")
    began = time.monotonic()
    kept = lab.read("suggest")
    check(kept["seen_by"] == "daemon" and time.monotonic() - began < 5,
          "suggest takes what the daemon has kept", json.dumps(kept)[:300])
    seen = classes(kept)["proto udp dport 53"]
    need, each = seen["packets_per_s"]["max"], seen["samples"] / SOURCES
    check(seen["sources"] == SOURCES and each / (WINDOW_S + 1) / STEP <= need and
          need <= STEP * each * seen["weight"] + 1 and seen["suggested"]["touched"] == 0,
          "20 sources, and no need that they could not have", json.dumps(seen))
    broken(lab, file)


def broken(lab, file):
    """A file that is not right is named, neither used nor overwritten."""
    file.write_text('{"version": 1, "days": 7}')
    done = lab.weir("suggest", "seconds", 5)
    demand("nothing passed" in done.err, done)
    daemon = Daemon(lab, state={"traffic": file})
    wait_for(lambda: daemon.says(str(file)), 5)
    daemon.stop()
    check(daemon.says(f"{file} is not what") and file.read_text() == '{"version": 1, "days": 7}',
          "a broken file is named, and left as it is", daemon.says(str(file)))


run_tests(__name__)
