#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The laboratory: what floods do to a server's users, without weir, with limits, and
with all of it. usage: run.py [seconds N] [mode MODE]... [SCENARIO...] | document

Each run has a fresh world: one second to settle, two of calm, then the flood. The
figures go to build/lab.json, where those of other scenarios stay, and the table of
all of them to build/lab.txt. `document` writes docs/lab.md with that table.
"""
import contextlib
import ipaddress
import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass

from scenarios import LIMIT, SCENARIOS
from world import (BUILD, DAEMON, KNOWN, NEWCOMERS, PORT, SENDER_CPU, SERVER_CPU, WATCHER, WINDOW_MS,
                   Attack, Users, World)
from history import tiers_of
import dns
import game
import thin
from cores import become
from stage import ROOT, WEIR, Failed, demand, enter_private_mounts, wait_for

SETTLE_S, CALM_S, FLOOD_S = 1, 2, 10
IN_TIME_S = 5           # after so long it must be well again
WELL = 0.95             # of calm
SEED = 20240917
MODES = {"none": "no weir", "limits": "limits only", "complete": "complete", "cookies": "and cookies",
         "always": "cookies always", "dns": "dns protect", "preset": "preset", "explain": "explain",
         "auto": "rules: auto"}
# All of weir, or what is set for this flood: these have goals.
WHOLE = ("complete", "cookies", "always", "dns", "preset", "explain", "auto")
COOKIES = {"cookies": "when-over-budget", "always": "always"}
DAEMON_SETTINGS = """mode: enforce
http:
  port: 0
state:
  known: ""
  settings: ""
"""


@dataclass
class Group:
    """Users of one kind."""
    name: str
    first: str
    each: int
    clients: int
    pace: int           # requests a second of all of them
    late: bool = False  # comes with the flood; in calm times it would get its pace


def groups_of(scenario):
    family = scenario.family
    if scenario.dns:
        return [Group("known", *KNOWN[family], 8, 200), Group("newcomers", *NEWCOMERS[family], 8, 100, True)]
    groups = [Group("known", *(scenario.customers or KNOWN[family]), 200, 400),
              Group("newcomers", *NEWCOMERS[family], 100, 200, bool(scenario.history))]
    if scenario.neighbours:     # those of the attackers are multiples of 4
        groups[1].first = "198.19.0.9"
        groups += [Group("known, neighbours", "198.18.0.5", 24, 30, 60),
                   Group("newcomers, neighbours", "198.18.0.6", 24, 30, 60)]
    if scenario.crowd:
        groups.append(Group("crowd", "10.1.0.9", 26, *scenario.crowd, True))
    return groups


def make_users(world, scenario):
    if scenario.game:
        return game.users(world, scenario.game)
    groups = groups_of(scenario)
    if scenario.dns:
        return dns.resolvers(world, groups)
    return {group.name: Users(world, group.first, group.each, group.clients, group.pace, late=group.late)
            for group in groups}


# ---- weir ----

def set_up_weir(world, scenario, mode, users):
    if mode == "preset":
        world.weir("preset", "reflection", "apply")
    elif not (scenario.from_nothing and mode == "auto"):
        for line in LIMIT + (scenario.budgets if mode != "limits" else ()):
            world.weir(*line.format(server=world.server).split())
    if mode in COOKIES:
        world.weir("syn", "protect", "dport", PORT, COOKIES[mode], "set-sysctl")
    if mode == "dns":
        world.weir("dns", "protect", "to", world.server, "always")
    world.attach_weir()
    if mode in ("limits", "preset"):
        return None
    if not scenario.history and mode != "dns":      # there they prove themselves
        known = world.folder / "customers"
        known.write_text("".join(f"{address}\n" for name, group in users.items()
                                 if name.startswith("known") for address in group.addresses))
        world.weir("known", "import", known)
    return start_daemon(world, (game.QUICK if scenario.game else "") + scenario.daemon +
                        ("rules: auto\n" if mode == "auto" else ""))


def start_daemon(world, more):
    """On the server's core, where it has to do its work during the flood."""
    settings, log = world.folder / "weir.yaml", world.folder / "daemon.log"
    settings.write_text(DAEMON_SETTINGS + more)
    with open(log, "w", encoding="utf-8") as out:
        daemon = subprocess.Popen(
            world.near.command(*become(SERVER_CPU, DAEMON, WEIR, "daemon", "config", settings)),
            stderr=out, stdin=subprocess.DEVNULL)
    world.children.append(daemon)
    demand(wait_for(lambda: "weir daemon, process" in log.read_text() or daemon.poll() is not None)
           and daemon.poll() is None, f"the daemon did not start: {log.read_text()}")
    return daemon


def bans_of(world):
    return world.read("show", "bans")["bans"]


def kept_out(bans, addresses, known=False):
    """How many of @addresses; a ban of a network spares known ones."""
    networks = [(ipaddress.ip_network(ban["prefix"]), ban["spare_known"]) for ban in bans]
    return sum(any(address in network and not (spares and known) for network, spares in networks)
               for address in addresses)


def false_bans(bans, users):
    """Users that a ban keeps out, by group."""
    return {name: kept_out(bans, group.addresses, name.startswith("known"))
            for name, group in users.items()}


@contextlib.contextmanager
def privileged():
    """We only look on, but must not be late; and not on the server's core."""
    cpus, policy, priority = os.sched_getaffinity(0), os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setaffinity(0, {SENDER_CPU})
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(WATCHER))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)
        os.sched_setaffinity(0, cpus)


# ---- one run ----

class Count:
    """What all counters said at a moment."""

    def __init__(self, world, weir):
        self.at = time.monotonic()
        self.users = world.sent_by_users()
        self.arrived, self.no_room = world.arrived()
        self.lost = world.lost_by_users()
        self.core = world.core()
        self.stacks = {"users": world.stack(world.far), "server": world.stack(world.near)}
        self.stats = world.stats() if weir else None
        self.budgets = world.read("budget", "show")["budgets"] if weir else []

    def passed(self):
        """To the stack: not those that weir answers itself."""
        if not self.stats:
            return self.arrived
        answered = sum(reason["packets"] for reason in self.stats.reasons.values()
                       if reason["action"] == "tx")
        return self.stats.packets - self.stats.dropped() - answered

    def reasons(self, before, actions):
        """Packets by reason, since @before."""
        if not self.stats:
            return {}
        return {name: self.stats[name] - before.stats[name]
                for name, reason in self.stats.reasons.items()
                if reason["action"] in actions and self.stats[name] > before.stats[name]}

    def drops(self, before):
        return self.reasons(before, ("drop",))

    def passes(self, before):
        return self.reasons(before, ("pass", "tx"))


    def stacks_since(self, before):
        """TCP's counters of either end: retransmissions, overflows, cookies."""
        return {end: {name: now - before.stacks[end].get(name, 0) for name, now in counts.items()
                      if now != before.stacks[end].get(name, 0)}
                for end, counts in self.stacks.items()}


def start_attacks(world, attacks, seed):
    return [Attack(world, f"{attack} seed {seed} seconds 110".split()) for attack in attacks]


def flood(world, scenario, users, seconds, look=None):
    """Returns how many packets were sent. Pulses: the same, several times, each of other random
    numbers. @look(world, until): what is done during each of them; returns what it found."""
    on, off, times = scenario.pulses or (seconds, 0, 1)
    sent, found = 0, []
    for turn in range(times):
        attacks = start_attacks(world, scenario.attacks, SEED + turn)
        for group in users.values():
            if group.late and not turn:
                group.start()
        if look:
            found.append(look(world, time.monotonic() + on))
        else:
            time.sleep(on)
        sent += sum(attack.stop() for attack in attacks)
        if turn < times - 1:
            time.sleep(off)
    return sent, found


def evaders_out(scenario, bans):
    """Of each kind of evader: how many there are, and how many are kept out."""
    return {kind: {"all": len(sources), "out": kept_out(bans, sources)}
            for kind, sources in scenario.evaders.items()}


def run(scenario, mode, seconds):
    history = scenario.history
    place = dns.DnsWorld if scenario.dns else game.GameWorld if scenario.game else World
    with contextlib.closing(place(scenario.family, history.minute_shift if history else 0)) as world:
        world.place()
        world.start_server()
        users = make_users(world, scenario)
        daemon = set_up_weir(world, scenario, mode, users) if mode != "none" else None
        tiers, others = {}, {}
        if history:
            others = history.play(world, users["known"], mode in WHOLE)
        for group in users.values():
            if not group.late:
                group.start()
        time.sleep(SETTLE_S)
        look = game.LOOKS.get(mode)
        kept = game.learn(world, scenario.game) if look else ()
        calm_from = time.monotonic()
        time.sleep(CALM_S)
        if mode in WHOLE and (history or mode == "dns"):
            tiers = {name: tiers_of(world, group) for name, group in (*users.items(), *others.items())}
        before = Count(world, mode != "none")
        sent, found = flood(world, scenario, users, seconds, look)
        after = Count(world, mode != "none")
        time.sleep(2 * WINDOW_MS / 1000)
        result = judge(users, calm_from, before, after, scenario.in_time)
        for each in found:
            if each["rules"]:
                each["players"] = game.fate_of_players(users, each)
        result.update(sent=sent, daemon=daemon is not None, tiers=tiers, found=found, calm_sample=kept)
        if daemon:
            bans = bans_of(world)
            result.update(bans=len(bans), false_bans=false_bans(bans, users),
                          evaders=evaders_out(scenario, bans))
        for group in (*users.values(), *others.values()):
            group.stop()
        if mode != "none":
            result.update(sums=add_up(world))
        return result


def judge(users, calm_from, before, after, in_time=0):
    """What is left of calm: from IN_TIME_S on, or @in_time, and how soon it is back."""
    late = before.at + (in_time or IN_TIME_S)
    groups = {}
    for name, group in users.items():
        calm = group.pace if group.late else group.rate(calm_from, before.at)
        groups[name] = {"calm": calm, "flood": group.rate(late, after.at),
                        "first": group.rate(before.at, late),
                        "back_after": group.back_after(before.at, after.at, calm * WELL)}
        if hasattr(group, "unanswered"):
            groups[name]["sent"], groups[name]["unanswered"] = group.unanswered(late, after.at)
    admitted = after.passed() - before.passed() - (after.users - before.users)
    return {"users": groups, "seconds": after.at - before.at,
            "arrived": after.arrived - before.arrived, "no_room": after.no_room - before.no_room,
            "users_lost": after.lost - before.lost, "users_sent": after.users - before.users,
            "stacks": after.stacks_since(before),
            "core": {what: round((after.core[what] - before.core[what]) / (after.at - before.at), 3)
                     for what in after.core},
            "admitted": max(0, admitted), "drops": after.drops(before),
            "passed": after.passes(before), "budgets": spent(before, after)}


def add_up(world):
    """Whether every packet is under one reason, and as many as the driver saw; the sums."""
    wait_for(lambda: len(set(world.sums_here().values())) == 1, 10)
    sums = world.sums_here()
    return {"good": len(set(sums.values())) == 1, **sums}


# What CPUs had in hand of a budget before, and that two counters are not read at one moment.
BUDGET_SLACK = 1.02


def proven(budget):
    """Of a budget's proven sources under pressure: packets that passed, and those that did not."""
    tiers = [each for each in budget["tiers"] if each["tier"] in ("proven", "long")]
    return (sum(each["passed"] for each in tiers),
            sum(each["no_room"] + each["over_share"] for each in tiers))


def spent(before, after):
    """
    Of each budget: packets let through in the meantime and the most that there may be; and,
    under pressure, how many packets of proven sources passed and how many did not.
    """
    rows = {}
    for then, now in zip(before.budgets, after.budgets):
        passed, refused = (late - early for early, late in zip(proven(then), proven(now)))
        rows[then["name"]] = {
            "most": then["burst_packets"] + then["rate_packets"] * (after.at - before.at),
            "passed": now["passed"] - then["passed"], "proven": passed, "refused": refused}
    return rows


# ---- the table ----

def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = next((line.split(":")[1].strip() for line in info if "model name" in line), "?")
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                            capture_output=True, text=True, check=False).stdout.strip()
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(),
            "machine": platform.machine(), "commit": commit, "date": time.strftime("%Y-%m-%d")}


def short(number):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def percent(group):
    """As no more can be answered than is asked, above 100 % is what was late before."""
    return f"{min(1, group['flood'] / group['calm']):.0%}" if group and group["calm"] else "-"


# Of 17 to 19.
FOUND_IN_S = 10
PLAYERS_LOST = 0.005    # of the players' datagrams, since then: at most
FLOOD_DROPPED = 0.9     # of the flood, since a rule is in force: at least


def missed_by_rules(scenario, result):
    """What the goals of 17 to 19 say, beside those of all."""
    users = result["users"]
    if scenario.goal == "found" and not result["found"]:
        return      # no rule was looked for
    if scenario.goal in ("all well", "found"):
        yield from (f"{name} back" for name, group in users.items()
                    if group["back_after"] is None or group["back_after"] > FOUND_IN_S)
        yield from (name for name, group in users.items() if group["flood"] < WELL * group["calm"])
    if scenario.goal == "found":
        for fate in (each["players"] for each in result["found"] if each["rules"]):
            if fate["unanswered"] - fate["no_room"] > PLAYERS_LOST * fate["sent"]:
                yield "players lost"
        if not any(each["share"] and each["share"] >= FLOOD_DROPPED for each in result["found"]):
            yield "found"
    if scenario.goal == "none found" and any(each["rules"] for each in result["found"]):
        yield "none found"
    if scenario.game and scenario.goal in ("none found", "known"):
        yield from (name for name, group in users.items() if name not in ("known", "newcomers") and
                    name.startswith("known") and group["flood"] < WELL * group["calm"])


def verdict(scenario, result):
    """Of the complete mode: what its goals say."""
    known, newcomers = (result["users"].get(name) for name in ("known", "newcomers"))
    missed = list(missed_by_rules(scenario, result))
    if not result["sums"]["good"]:
        missed.append("sums")
    if any(count for name, count in result.get("false_bans", {}).items()
           if name.startswith("known") or scenario.goal == "nobody banned"):
        missed.append("false bans")
    if any(budget["passed"] > BUDGET_SLACK * budget["most"] for budget in result["budgets"].values()):
        missed.append("budgets")
    if scenario.goal == "nobody banned" and result.get("bans"):
        missed.append("bans")
    if known and scenario.goal not in ("bounded", "all well", "found") and known["flood"] < WELL * known["calm"]:
        missed.append("known")
    if newcomers and scenario.goal == "known and newcomers" and \
            newcomers["flood"] < 0.5 * newcomers["calm"]:
        missed.append("newcomers")
    if scenario.goal == "all connect":
        missed += [name for name, group in result["users"].items() if group["flood"] < group["calm"]]
    missed += [f"{kind} not banned" for kind, each in result.get("evaders", {}).items()
               if each["out"] < WELL * each["all"]]
    return "missed: " + ", ".join(missed) if missed else "met"


HEAD = ("", "known", "newc.", "back", "sent/s", "no room", "admitted", "bans", "false")
WIDTHS = (15, 7, 7, 7, 8, 8, 9, 6, 6)


def row(cells):
    return "".join(f"{cell:<{width}}" if not at else f"{cell:>{width}}"
                   for at, (cell, width) in enumerate(zip(cells, WIDTHS)))


def cells(mode, result):
    known, newcomers = (result["users"].get(name) for name in ("known", "newcomers"))
    back = known and known["back_after"]
    offered = result["arrived"] + result["no_room"]
    return (f"  {MODES[mode]}", percent(known), percent(newcomers),
            "-" if not known else "never" if back is None else f"{back:.1f} s",
            short(result["sent"] / result["seconds"]),
            f"{result['no_room'] / max(1, offered):.0%}",
            short(result["admitted"] / result["seconds"]) + "/s",
            str(result.get("bans", "")), str(sum(result.get("false_bans", {}).values())))


def remarks(result):
    """What no column has: who was known before the flood, and which evaders were caught."""
    for name, tiers in result.get("tiers", {}).items():
        yield f"{name} before: " + ", ".join(f"{count} {tier}" for tier, count in tiers.items())
    for kind, each in result.get("evaders", {}).items():
        yield f"{kind}: {each['out']} of {each['all']} banned"
    if result.get("found"):
        yield from remarks_on_rules(result)
    players = [group for group in result["users"].values() if group.get("sent")]
    if players and not any(each["rules"] for each in result["found"]):
        sent, lost = (sum(group[what] for group in players) for what in ("sent", "unanswered"))
        yield f"players' datagrams without an answer: {lost} of {sent}, {lost / sent:.2%}"


def remarks_on_rules(result):
    """When the first rule was in force, and what it did; or why there is none."""
    found = [each for each in result["found"] if each["rules"]]
    many = len(result["found"]) > 1
    if many or not found:
        yield f"rules found in {len(found)} of {len(result['found'])} floods"
    for each in found[:1]:
        yield (f"in force after {each['seconds']:.1f} s: " + "; ".join(each["rules"]) +
               f": dropped {each['share']:.2%} of the flood since; of {each['players']['sent']} "
               f"players' datagrams {each['players']['unanswered']} had no answer, and the ring had no "
               f"room for {each['players']['no_room']}")
    said = {each["said"] for each in result["found"] if each["said"]}
    yield from sorted(said)[:3]


def table(report):
    where = report["machine"]
    lines = [f"{where['cpu']}, {where['cpus']} CPUs, Linux {where['kernel']}, {where['commit']}, "
             f"{where['date']}", "", row(HEAD)]
    for scenario in SCENARIOS:
        runs = report["scenarios"].get(scenario.number)
        if not runs:    # not played
            continue
        calm = next(iter(runs.values()))["users"]
        lines += ["", textwrap.fill(f"{scenario.number}. {scenario.name}: {scenario.about}", 100,
                                    subsequent_indent="   "),
                  "  calm: " + ", ".join(f"{name} {group['calm']:.0f}{scenario.unit}"
                                         for name, group in calm.items())]
        played = report.get("played", {}).get(scenario.number)
        if played and played != played_by(where):
            lines.append(f"  played on {played}")
        for mode, result in sorted(runs.items(), key=lambda each: list(MODES).index(each[0])):
            lines.append(row(cells(mode, result)))
            others = [f"{name} {percent(group)}" for name, group in result["users"].items()
                      if name not in ("known", "newcomers")]
            lines += [textwrap.fill(line, 100, initial_indent="    ", subsequent_indent="      ")
                      for line in ("; ".join(others), *remarks(result)) if line]
        for mode in WHOLE:
            if mode in runs:
                lines.append(f"  {MODES[mode]}: goals {verdict(scenario, runs[mode])}")
    return "\n".join(lines) + "\n"


def played_by(where):
    return f"{where['commit']}, {where['date']}"


def length(scenario, mode):
    return scenario.seconds if scenario.seconds and (scenario.game or mode in WHOLE) else FLOOD_S


def play(scenario, seconds, only, report, path):
    """Returns whether all modes, or those of @only, could be played."""
    runs = report["scenarios"].setdefault(scenario.number, {})
    if not only:
        runs.clear()
    report.setdefault("played", {})[scenario.number] = played_by(report["machine"])
    complete = True
    for mode in [each for each in scenario.modes if not only or each in only]:
        print(f"{scenario.number}. {scenario.name}: {MODES[mode]}", end="", flush=True)
        try:
            runs[mode] = PLAYS[scenario.play](scenario, mode, seconds or length(scenario, mode))
        except (Failed, subprocess.SubprocessError, OSError, LookupError, ValueError) as why:
            print(f": could not be played: {why!r}", flush=True)   # the others shall not go with it
            complete = False
            continue
        print(":" + " ".join(cells(mode, runs[mode])[1:]), runs[mode]["drops"], flush=True)
        path.write_text(json.dumps(report, indent=1))
    return complete


PLAYS = {"flood": run, "thin": thin.run}

PAGE = """# The laboratory

`tests/lab/run.py document` writes this page from what `make lab` measured; do not edit it by hand.
[cost.md](cost.md#what-the-laboratory-shows) says how to read the figures.

`make lab` plays floods against a real server and counts what its users get: without weir, with
limits for each source only, and with all of weir: limits, budgets, known sources imported by `weir
known import`, and the daemon in mode `enforce` with its default settings. SYN floods are also
played with `weir syn protect ... when-over-budget`, or with `always`; DNS with `weir dns protect
... always`. What 17 to 19 have is said below.
`tests/lab/scenarios.py` describes the floods, `tests/lab/world.py` the network. `make lab LAB="3
7"` plays only these, `LAB="mode auto 18"` one mode of one, and `build/lab.json` keeps the figures of
the others. `make test` has a short form that checks what does not depend on the machine
(`tests/system/test_lab.py`).

There are two network namespaces and one veth pair with one queue in each direction. 200 known users
in 203.0.113.0/24 and 100 newcomers, each in a /24 of its own, make 600 requests a second, each on a
TCP connection of its own. A request that is not answered within a second has failed. The server,
the daemon and the NAPI thread that receives share one core; the generator and the users have the
other. Every source is limited to 100 packets a second. The server's budget is 40,000 packets a
second, and 10,000 a second for SYNs.

Some floods are not like that:

- *11* and *12* have a history (`tests/lab/history.py`): customers become known by their own
  connections before the flood, as weir looks at one packet in 64, and nothing is imported. Days do
  not last so long here: a minute of the table of known sources is 2.1 s in 11 and 17 ms in 12, and
  so a generation of 1,024 minutes 37 minutes or 17 s. In 11 the attacker's packets come faster by
  the same factor. In 12 customers are in networks of their own, as the bots are in theirs.
  Newcomers come with the flood: in calm times one connection may be enough to become known.
- *13* (`tests/lab/thin.py`) plays the floods of `tests/system/test_syn_thin.py` all at once, each
  against a service of its own, for longer than a listener accepts cookies without sending one, and
  then has a client of each service connect 50 times.
- *14* (`tests/lab/dns.py`) has a DNS server, and resolvers as users, all unbound. A question counts
  as answered if the resolver has the answer within a second, by UDP or TCP. The budget is 10,000
  queries a second by UDP. With `dns protect` nothing is imported: resolvers that came before the
  flood are proven by their own connections, and newcomers come with the flood.
- *15* and *15s* run for 20 and 40 s with all of weir. `sources.span` of the daemon is 15 s there
  instead of ten minutes.
- *17* to *19c* (`tests/lab/game.py`) have a service over UDP, which answers each datagram, and 300
  players: *known* are the 200 that weir knows, *newc.* the others. Their lengths, TTLs, ports and
  payload vary. Beside them are users over TCP, as above but fewer, and look-ups of the server's
  own, 50 a second, at a real resolver in the other namespace (unbound). The columns are from the
  tenth second of the flood on. With `preset` nothing is set but what `weir preset reflection apply`
  sets. With `explain` the rules are set of which `weir explain` is sure, asked half a second after
  the flood began. With `rules: auto` the daemon finds rules; in 17 it has neither limits nor
  budgets beside it. Before the flood the daemon has kept 7,500 calm packets of known sources, in
  half a minute instead of weeks. Goals of 17 are that all are back at 95 % within 10 s and stay
  there; of 18 the same, that 90 % of the flood is dropped since a rule is in force, and that fewer
  than 0.5 % of the players' datagrams have no answer, without those for which the ring had no room;
  of 19 that no rule is found in 20 floods; of 19a to 19c that all known ones are served.

| column | meaning |
|---|---|
| *known*, *newc.* | requests of known users and newcomers that were answered from the fifth second of the flood on, as a part of those answered just before the flood |
| *back* | seconds from the start of the flood until known users had 95 % of their calm rate for two seconds; 0.0: the rate never fell below; `never`: not within the flood |
| *no room* | packets that found the receive ring (256 frames) full, as a part of all that arrived; weir never sees these |
| *admitted* | attack packets that reached the stack: all that passed, less what the users' stack sent |
| *bans*, *false* | bans at the end, and users that these bans keep out |

```
"""


def document():
    """Writes docs/lab.md whole: what is played, what the columns mean, and the table."""
    table_text = (BUILD / "lab.txt").read_text()
    (ROOT / "docs/lab.md").write_text(f"{PAGE}{table_text}```\n")


def main():
    if sys.argv[1:] == ["document"]:
        document()
        return
    words, seconds, only = sys.argv[1:], None, []
    while words[:1] in (["seconds"], ["mode"]):
        if words[0] == "seconds":
            seconds = int(words[1])
        else:
            only.append(words[1])
        words = words[2:]
    path = BUILD / "lab.json"
    report = json.loads(path.read_text()) if path.exists() and words else {"scenarios": {}}
    report["machine"] = machine()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    enter_private_mounts()
    chosen = [scenario for scenario in SCENARIOS if not words or scenario.number in words]
    with privileged():
        played = [play(scenario, seconds, only, report, path) for scenario in chosen]
    (BUILD / "lab.txt").write_text(table(report))
    print(table(report))
    sys.exit(not all(played))


if __name__ == "__main__":
    main()
