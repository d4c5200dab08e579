# SPDX-License-Identifier: GPL-2.0-only
"""The daemon: whom it bans and whom not, and that it may be killed at any time."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

from lab import (FAR4, NEAR4, NEAR6, WEIR, Receiver, check, demand, run_tests, send_udp, wait_for)

STRANGE_MAC = "02:00:00:00:00:99"   # of nobody: weir sees the frame, the stack drops it at once
FLOODER = "198.51.100.7"
QUICK = {"sources": {"windows": 2, "ban": "2s", "longest": "8s"}, "state": {"known": '""',
         "settings": '""'}, "http": {"port": 0}}
IN_TIME = 6     # seconds from the first packet to the ban: 2 windows, the first look, a busy machine


def yaml(settings):
    """Two levels are all there is."""
    lines = []
    for key, value in settings.items():
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {name}: {each}" for name, each in value.items())]
        else:
            lines.append(f"{key}: {value}")
    return "\n".join(lines) + "\n"


class Daemon:
    """A running `weir daemon` with settings of its own."""

    def __init__(self, lab, *words, env=None, **settings):
        self.lab, self.folder = lab, pathlib.Path(tempfile.mkdtemp(prefix="weir-daemon-"))
        self.settings = self.folder / "weir.yaml"
        self.configure(**settings)
        self.start(*words, env=env)

    def configure(self, **settings):
        merged = {key: dict(value) if isinstance(value, dict) else value
                  for key, value in QUICK.items()}
        for key, value in settings.items():
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
        self.settings.write_text(yaml(merged))

    def start(self, *words, env=None):
        self.log = self.folder / f"log-{time.monotonic_ns()}"
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.lab.near.command(WEIR, "daemon", "config", self.settings, *words),
                stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        self.lab.children.append(self.process)
        demand(wait_for(lambda: self.says("weir daemon, process") or self.ended(), 10) and
               not self.ended(), f"the daemon did not start: {self.text()}")

    def text(self):
        return self.log.read_text(encoding="utf-8")

    def says(self, pattern):
        """Lines of its log."""
        return [line for line in self.text().splitlines() if re.search(pattern, line)]

    def ended(self):
        return self.process.poll() is not None

    def reload(self, **settings):
        self.configure(**settings)
        self.kill(signal.SIGHUP)

    def kill(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        self.kill(number)
        return self.process.wait(timeout=20)


def bans(lab):
    return {ban["prefix"]: ban for ban in lab.read("show", "bans")["bans"]}


def judged(lab, verdict):
    return [each for each in lab.read("ban-log", "last", 4096)["judgements"]
            if each["verdict"] == verdict]


def start_flood(lab, source=FLOODER, *words, pps=5000, seconds=30):
    prefix = source if "/" in source else f"{source}/32"
    return lab.start_flood("to", NEAR4, "from", prefix, "pps", pps, "seconds", seconds, "mac",
                           STRANGE_MAC, *words)


def prepare(lab, rate="100pps", burst=20):
    lab.weir("limit", "set", "rate", rate, "burst", burst)
    lab.attach()


def test_source_is_banned_and_bans_double(lab):
    prepare(lab)
    daemon = Daemon(lab)
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
    """Under a flood that uses a budget up: in calm times a source over its limit is known no more."""
    known, allowed, stranger = "198.51.100.10", "198.51.100.11", "198.51.100.12"
    prepare(lab)
    lab.weir("budget", "set", "all", "rate", "100pps", "burst", 20)
    daemon = Daemon(lab)
    (daemon.folder / "known").write_text(f"{known}\n")
    lab.weir("known", "import", daemon.folder / "known")
    lab.weir("allow", "add", allowed)
    floods = [start_flood(lab, source) for source in (known, allowed, stranger)]
    wait_for(lambda: bans(lab) and judged(lab, "spared"), IN_TIME)
    time.sleep(1.5)
    for flood in floods:
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
    daemon = Daemon(lab)
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
    daemon = Daemon(lab, undo="5s", sources={"ban": "60s", "longest": "60s"})
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


def test_lists(lab):
    prepare(lab)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-lists-"))
    by_hand, named = folder / "hand.txt", folder / "named.txt"
    by_hand.write_text("203.0.113.0/28\n")
    named.write_text("203.0.113.64/28\n")
    lab.weir("list", "load", "hand", "file", by_hand)
    daemon = Daemon(lab, lists={"settle": "1s", "load": f"[{{name: named, file: {named}}}]"})

    def blocked(*prefixes):
        return all(lab.weir("block", "test", prefix, expect=None).status == 0
                   for prefix in prefixes)
    check(wait_for(lambda: blocked("203.0.113.0/28", "203.0.113.64/28"), 5),
          "a list of the settings file is loaded", daemon.says("list named"))
    (folder / "new").write_text("203.0.113.0/28\n203.0.113.16/28\n")
    os.rename(folder / "new", by_hand)
    started = time.monotonic()
    check(wait_for(lambda: blocked("203.0.113.16/28"), 8), "a changed file is loaded again",
          f"after {time.monotonic() - started:.1f} s")
    by_hand.write_text("203.0.113.0/28\nnonsense\n")
    check(wait_for(lambda: daemon.says("^<3>list hand stays as it was: .*:2:"), 8) and
          blocked("203.0.113.0/28", "203.0.113.16/28"),
          "a broken one is refused with its line, and the old generation stays",
          daemon.says("stays")[:1])
    by_hand.write_text("0.0.0.0/0\n")
    check(wait_for(lambda: daemon.says("stays as it was: .*everybody"), 8),
          "the guards hold for the daemon too", daemon.says("everybody")[:1])
    by_hand.write_text("203.0.113.32/28\n")
    check(wait_for(lambda: blocked("203.0.113.32/28"), 8) and not blocked("203.0.113.0/28"),
          "and a good one afterwards is loaded", daemon.says("list hand: "))


def test_settings_file(lab):
    prepare(lab)
    daemon = Daemon(lab)
    bad = daemon.folder / "bad.yaml"
    bad.write_text("sources:\n  windows: 3\n  widnows: 4\n")
    said = lab.weir("daemon", "check", "config", bad, expect=1)
    check(f"{bad}:3: " in said.err and "widnows" in said.err, "check: an unknown key and its line",
          said)
    said = lab.weir("daemon", "config", bad, expect=1)
    check(f"{bad}:3: " in said.err, "the daemon does not start with it", said)
    said = lab.weir("daemon", "check", "config", daemon.settings)
    check("sources.windows: 2" in said.out and "remember: 1d" in said.out,
          "check: what holds, defaults and all", f"{len(said.out.splitlines())} keys")
    good = daemon.settings.read_text()
    daemon.settings.write_text("mode: judge\nfoo: 1\n")
    daemon.kill(signal.SIGHUP)
    check(wait_for(lambda: daemon.says(r"^<3>.*weir\.yaml:2: .*stay in force"), 3),
          "SIGHUP with a broken file is told with its line", daemon.says("<3>"))
    flood = start_flood(lab)
    check(wait_for(lambda: bans(lab), IN_TIME), "and the settings from before stay in force",
          list(bans(lab)))
    flood.stop()
    daemon.settings.write_text(good + "mode: judge\n")
    daemon.kill(signal.SIGHUP)
    check(wait_for(lambda: daemon.says("judging only"), 3), "SIGHUP with a good one counts",
          daemon.says("judging only"))


def test_state_over_a_reboot(lab):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-state-"))
    state = {"known": folder / "deep/known", "settings": folder / "deep/settings"}
    prepare(lab)
    daemon = Daemon(lab, state=state)
    (folder / "customers").write_text("203.0.113.0/28\n2001:db8:7::/64\n")
    lab.weir("known", "import", folder / "customers")
    lab.weir("allow", "add", "203.0.113.77", "comment", "mine")
    saved = lab.weir("save").out
    daemon.stop()
    check(all(path.exists() for path in state.values()), "known sources and settings are saved",
          ", ".join(f"{path.name}: {path.stat().st_size} bytes" for path in state.values()))
    lab.weir("detach", "all")
    daemon.start()
    counted = lab.read("known", "show")["known"]
    check(counted == 17 and lab.weir("save").out == saved,
          "and are there again when the maps are fresh", f"{counted} known, {len(saved)} bytes set")
    lab.weir("limit", "flush")
    daemon.stop(signal.SIGKILL)
    daemon.start()
    check("limit set" not in lab.weir("save").out, "what was taken away since is not brought back",
          daemon.says("restored"))
    daemon.stop()
    lab.weir("detach", "all", expect=None)
    state["settings"].write_text("limit set rate nonsense\n")
    os.utime(state["settings"], (1, 1))
    daemon.start()
    check(daemon.says("^<3>cannot restore"), "a broken file is told", daemon.says("<3>"))
    daemon.stop()
    check("nonsense" in state["settings"].read_text(), "and is not overwritten",
          state["settings"].read_text().strip())


def test_service(lab):
    """What systemd hears."""
    prepare(lab)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-notify-"))
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(folder / "notify"))
    heard.settimeout(5)
    daemon = Daemon(lab, env={"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000"})
    messages = [heard.recv(4096).decode() for _ in range(4)]
    check(messages[0] == "READY=1" and messages[1:] == ["WATCHDOG=1"] * 3,
          "READY=1, then WATCHDOG=1 in time", messages)
    daemon.kill(signal.SIGHUP)
    time.sleep(0.5)
    daemon.stop()
    heard.setblocking(False)
    rest = []
    try:
        while True:
            rest.append(heard.recv(4096).decode())
    except BlockingIOError:
        pass
    rest = [message.splitlines()[0] for message in rest if message != "WATCHDOG=1"]
    check(rest == ["RELOADING=1", "READY=1", "STOPPING=1"], "RELOADING=1, READY=1 and STOPPING=1",
          rest)


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
    lab.weir("limit", "set", "from", "2001:db8::/32", "rate", "1pps", "burst", 1, "per", 128)
    lab.attach()
    daemon = Daemon(lab, sources={"least": 1, "ban": "60s", "longest": "60s"},
                    networks={"sources": 1000000})
    flood = lab.start_flood("to", NEAR6, "from", "2001:db8:1::/64", "sources", 50000, "pps", 250000,
                            "seconds", 20, "mac", STRANGE_MAC)
    wait_for(lambda: lab.stats()["ban"] > 1000, 15)
    wait_for(lambda: len(bans(lab)) == 50000, 15)
    shown, lines = len(bans(lab)), daemon.says("<4>ban-source")
    flood.stop()
    check(shown == 50000, "50,000 sources are banned", f"{shown} bans; {daemon.says('look took')}")
    check(0 < len(lines) <= 50 * len(daemon.says("more judgements")) + 50 and
          daemon.says("more judgements"), "a flood is not one of lines",
          f"{len(lines)} lines, {daemon.says('more judgements')[:2]}")


run_tests(__name__)
