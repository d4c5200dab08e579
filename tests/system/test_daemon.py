# SPDX-License-Identifier: GPL-2.0-only
"""The daemon: which sources and networks it bans, which it spares, and with which evidence."""
import time

from daemon import FLOODER, IN_TIME, SHORT, Daemon, bans, judged, prepare, start_flood
from stage import NEAR4, Receiver, check, run_tests, send_udp, wait_for


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
    # A later ban may come sooner: what was dropped before the last one counts for ten minutes.
    check(all(each["limit_pps"] == 100 and each["seen_pps"] > 200 and each["windows"] >= 2 and
              each["packets"] > 100 and each["share_permille"] > 500 for each in log) and
          log[0]["windows"] == 2, "with its evidence", [each["evidence"] for each in log])
    lines = daemon.says(r"^<4>ban-source 198\.51\.100\.7/32: (within 10m, not in a row: )?"
                        r"\d+ pps, 100 allowed, \d+ packets")
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
    daemon = Daemon(lab, "judge")
    flood = start_flood(lab)
    check(wait_for(lambda: judged(lab, "would-ban-source"), IN_TIME), "judge: it judges",
          [each["evidence"] for each in judged(lab, "would-ban-source")])
    other = lab.weir("daemon", "config", daemon.settings, expect=1)
    check(f"process {daemon.process.pid}" in other.err, "a second daemon is refused", other.err)
    time.sleep(1.5)
    stats = lab.stats()
    check(not bans(lab) and stats["ban"] == 0 and not judged(lab, "ban-source") and
          len(judged(lab, "would-ban-source")) == 1, "and bans nothing, and says it once",
          f"{stats['ban']} dropped as banned, {stats['rate-limit']} by rate-limit")
    alias = lab.weir("daemon", "config", daemon.settings, "monitor", expect=1)
    check(alias.err.endswith(other.err), "`monitor`, the former name of `judge`, is accepted", alias.err.strip())
    check(daemon.says("^<5>would-ban-source"), "a line in the journal", daemon.says("would")[:1])
    daemon.stop()
    daemon.start()
    check(wait_for(lambda: bans(lab), IN_TIME), "started with mode enforce it bans at once", bans(lab))
    flood.stop()
    daemon.stop()
    daemon.start("monitor")
    check(daemon.says("called `weir daemon judge` now") and
          wait_for(lambda: daemon.says("mode judge: "), 3), "monitor: its older name is accepted",
          daemon.text())


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
    """No source exceeds a limit, but one /24 takes most of a budget."""
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


run_tests(__name__)
