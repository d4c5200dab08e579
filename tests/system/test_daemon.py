# SPDX-License-Identifier: GPL-2.0-only
"""The daemon: whom it bans and whom not, and that it may be killed at any time."""
import re
import signal
import time

from daemon import FLOODER, IN_TIME, SHORT, STRANGE_MAC, Daemon, bans, judged, prepare, start_flood
from lab import NEAR4, NEAR6, Receiver, check, demand, run_tests, send_udp, wait_for


def test_source_is_banned_and_bans_double(lab):
    prepare(lab)
    daemon = Daemon(lab, sources=SHORT)
    flood, started = start_flood(lab), time.monotonic()
    wait_for(lambda: bans(lab), IN_TIME)
    took, shown = time.monotonic() - started, bans(lab)
    check(f"{FLOODER}/32" in shown and took < IN_TIME, "a source that stays over limit is banned",
          f"after {took:.1f} s: {shown}")
    wait_for(lambda: len(judged(lab, "ban-source")) >= 3, 20)
    flood.stop()
    log = judged(lab, "ban-source")
    check([each["ttl_seconds"] for each in log[:3]] == [2, 4, 8] and
          [each["strikes"] for each in log[:3]] == [0, 1, 2], "each ban is twice as long",
          f"{[each['ttl_seconds'] for each in log]} s, strikes {[each['strikes'] for each in log]}")
    check(all(each["limit_pps"] == 100 and each["seen_pps"] > 200 and each["windows"] == 2 and
              each["packets"] > 100 and each["share_permille"] > 500 for each in log),
          "with its evidence", log[0]["evidence"])
    lines = daemon.says(r"^<4>ban-source 198\.51\.100\.7/32: \d+ pps, 100 allowed, \d+ packets")
    check(len(lines) == len(log), "and a line in the journal", f"{len(lines)}: {lines[:1]}")
    text = lab.weir("show", "bans").out + lab.weir("ban-log").out
    check(max(map(len, text.splitlines())) <= 80 and f"weir block del {FLOODER}/32" in text,
          "shown in 80 columns, with how to undo it", f"{len(text.splitlines())} lines")
    stats = lab.stats()
    check(stats["ban"] > stats["rate-limit"] / 4, "banned packets fall at the block entries",
          f"{stats['ban']} ban, {stats['rate-limit']} rate-limit")
    check(daemon.stop() == 0 and daemon.says("stopped"), "SIGTERM ends it well", "status 0")


def test_judging_only(lab):
    prepare(lab)
    daemon = Daemon(lab, "monitor")
    flood = start_flood(lab)
    check(wait_for(lambda: judged(lab, "would-ban-source"), IN_TIME), "monitor: it judges",
          [each["evidence"] for each in judged(lab, "would-ban-source")])
    other = lab.weir("daemon", "config", daemon.settings, expect=1)
    check(f"process {daemon.process.pid}" in other.err, "a second daemon is refused", other.err)
    time.sleep(1.5)
    stats = lab.stats()
    check(not bans(lab) and stats["ban"] == 0 and not judged(lab, "ban-source") and
          len(judged(lab, "would-ban-source")) == 1, "and bans nobody, and says it once",
          f"{stats['ban']} dropped as banned, {stats['rate-limit']} by rate-limit")
    check(daemon.says("^<5>would-ban-source"), "a line in the journal", daemon.says("would")[:1])
    daemon.stop()
    daemon.start()
    check(wait_for(lambda: bans(lab), IN_TIME), "started in earnest it bans at once", bans(lab))
    flood.stop()


def test_spared(lab):
    known, allowed, stranger = "198.51.100.8", "198.51.100.9", "198.51.100.10"
    prepare(lab)
    daemon = Daemon(lab)
    (daemon.folder / "known").write_text(f"{known}\n")
    lab.weir("known", "import", daemon.folder / "known")
    lab.weir("allow", "add", allowed)
    flood = start_flood(lab, "198.51.100.8/30", "sources", 3)
    wait_for(lambda: bans(lab) and judged(lab, "spared"), IN_TIME)
    time.sleep(1.5)
    flood.stop()
    check(list(bans(lab)) == [f"{stranger}/32"], "known and allowed sources are not banned",
          list(bans(lab)))
    spared = judged(lab, "spared")
    check([each["prefix"] for each in spared] == [f"{known}/32"] and "known" in spared[0]["text"],
          "it is told once that and why a known source was spared",
          f"{len(spared)}: {spared[0]['evidence']}")


def test_network_is_banned_but_known_sources_pass(lab):
    known, stranger = "198.51.100.200", "198.51.100.201"
    prepare(lab)
    daemon = Daemon(lab, networks={"sources": 8, "ban": "20s"})
    (daemon.folder / "known").write_text(f"{known}\n")
    lab.weir("known", "import", daemon.folder / "known")
    for source in (known, stranger):
        lab.far.run("ip", "address", "add", f"{source}/32", "dev", lab.far_dev)
    flood = start_flood(lab, "198.51.100.0/28", "sources", 12, pps=12000)
    wait_for(lambda: bans(lab), IN_TIME)
    check(list(bans(lab)) == ["198.51.100.0/24"] and bans(lab)["198.51.100.0/24"]["spare_known"],
          "a network of which enough sources misbehave is banned, not each of them", bans(lab))
    receiver = Receiver(lab.near, port=4001)
    send_udp(lab.far, known, NEAR4, 20, pps=100, port=4001)
    send_udp(lab.far, stranger, NEAR4, 20, pps=100, port=4001)
    arrived = receiver.stop()
    flood.stop()
    check(len(arrived) == 20, "a known source in it passes, a stranger does not",
          f"{len(arrived)} of 20 and 20 arrived")
    log = judged(lab, "ban-network")
    check(len(log) == 1 and log[0]["sources"] == 12, "with its evidence", log[0]["evidence"])


def test_network_that_budgets_turn_away(lab):
    """No source is over its limit; a budget sees that one /24 asks for all of it."""
    lab.weir("budget", "set", "all", "rate", "2000pps", "burst", 400)
    lab.attach()
    Daemon(lab, networks={"windows": 2, "times": 3, "least": 2000})
    flood = start_flood(lab, "198.51.100.0/24", "sources", 250, pps=40000)
    wait_for(lambda: bans(lab), 10)
    log = judged(lab, "ban-network")
    flood.stop()
    check([each["prefix"] for each in log] == ["198.51.100.0/24"],
          "a network turned away far beyond its share is banned",
          [each["evidence"] for each in log] or lab.weir("show", "stats").out)


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
    lab.weir("block", "del", f"{FLOODER}/32")
    undone = time.monotonic()
    check(wait_for(lambda: daemon.says("unban"), 3) and len(judged(lab, "unban")) == 1,
          "the daemon hears of it", daemon.says("unban"))
    check(not wait_for(lambda: bans(lab), 3), "what a person undid is not banned again at once",
          f"{bans(lab)}")
    wait_for(lambda: bans(lab), 10)
    took, again = time.monotonic() - undone, judged(lab, "ban-source")[-1]
    flood.stop()
    check(bans(lab) and took >= 4.5 and again["strikes"] == 0, "but when `undo` is over",
          f"after {took:.1f} s, strikes {again['strikes']}")
    lab.weir("restore", "-", expect=None)
    saved = lab.weir("save").out
    check(FLOODER not in saved, "a ban of the daemon's is not saved as a person's", saved.strip())


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
    """50,000 sources over their limit at once: IPv6, where there are as many to document."""
    lab.use_ipv6()
    lab.weir("limit", "set", "from", "2001:db8::/32", "rate", "2/min", "burst", 1, "per", 128)
    lab.attach()
    daemon = Daemon(lab, sources={"least": 1},
                    networks={"sources": 1000000})
    flood = lab.start_flood("to", NEAR6, "from", "2001:db8:1::/64", "sources", 50000, "pps", 200000,
                            "seconds", 20, "mac", STRANGE_MAC)
    wait_for(lambda: lab.stats()["ban"] > 1000, 15)
    wait_for(lambda: len(bans(lab)) == 50000, 15)
    shown, lines = len(bans(lab)), daemon.says("<4>ban-source")
    flood.stop()
    longest = re.search(r"^weir_daemon_loop_duration_highest_seconds (.*)", lab.weir("metrics").out,
                        re.M).group(1)
    check(shown == 50000, "50,000 sources are banned",
          f"{shown} bans, the longest loop took {float(longest):.2f} s")
    check(0 < len(lines) <= 50 * len(daemon.says("more judgements")) + 50 and
          daemon.says("more judgements"), "a flood is not one of lines",
          f"{len(lines)} lines, {daemon.says('more judgements')[:2]}")


run_tests(__name__)
