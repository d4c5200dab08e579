# SPDX-License-Identifier: GPL-2.0-only
"""A host with a service over TCP and one over UDP, as a game has it, and with look-ups of its own;
and what weir learns of its calm traffic, to which the packets of a flood are compared."""
import json
import os
import pathlib
import re
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass

# First, since it makes tests/system importable.
from world import (DAEMON, LONGEST_S, SENDER_CPU, SERVER_CPU, SERVICE, USER, WINDOW_MS, Attack, Users,
                   World)
import dns
from cores import become
from stage import BUILD, FAR4, WEIR, demand, wait_for
from test_explain import packets_kept
from test_preset import host
from unbound import COMMON, UNBOUND

PLAYERS = BUILD / "tests/tools/players"
GAME_PORT = 27015
# A datagram of a player: a counter below 2^24, and what looks like noise. Sizes are of frames.
SIZES, TTLS, PAYLOAD = "106-460", "44-60,108-124", "......00" + "." * 120
PORTS = "32768-60999"   # from which Linux sends
QUERY = "ffffffff54536f75"      # eight bytes that ask a game's server for what it plays
LIKE_PLAYERS = f"proto udp dport {GAME_PORT} sport {PORTS} size {SIZES} ttl {TTLS}"
# Players: the first address and the prefix of each. One network is at most 1 % of the calm sample.
KNOWN_PLAYERS, NEW_PLAYERS = ("198.18.0.9", 24), ("198.19.0.9", 24)
ENOUGH = 7500           # calm packets of known sources, for rules to be sure
LEARN_S = 60            # at most
TYPED_S, LOOK_S = 0.5, 2     # before `weir explain`, and of it
# The daemon looks for calm traffic without long pauses.
QUICK = "  calm_every: 1s\n  every: 1s\n"

RESOLVER = COMMON + """
server:
  num-threads: 1
  interface: {address}
  access-control: 0.0.0.0/0 allow
  local-zone: "example.com." redirect
  local-data: "example.com. 1 A 203.0.113.53"
"""


class GameWorld(dns.DnsWorld):
    """A World whose server plays, too, and asks a resolver at the other end."""

    closed = False

    def start_server(self):
        World.start_server(self)
        self.serve(become(SERVER_CPU, SERVICE, PLAYERS, "serve", self.server, GAME_PORT))
        demand(os.path.exists(UNBOUND), "unbound is not installed")
        self.unbound(self.far, SENDER_CPU, USER, "resolver", RESOLVER.format(address=FAR4))
        demand(wait_for(lambda: f"{FAR4}:53 " in self.far.run("ss", "-ulnH").out),
               "the resolver does not listen")
        self.host = host(f"nameserver {FAR4}\n")
        self.host.__enter__()

    def sent_by_users(self):
        """TCP segments and datagrams that left far by its stack."""
        with self.far:
            lines = [line.split() for line in pathlib.Path("/proc/thread-self/net/snmp")
                     .read_text().splitlines() if line.startswith("Udp:")]
        datagrams = dict(zip(*lines))["OutDatagrams"]
        return super().sent_by_users() + int(datagrams)

    def close(self):
        self.closed = True
        if hasattr(self, "host"):
            self.host.__exit__(None, None, None)
        super().close()


class Players(Users):
    """Players, each with an address and a TTL of its own."""

    def __init__(self, world, first, each, clients, pace, payload=PAYLOAD, late=False, seed=1):
        super().__init__(world, first, each, clients, pace, late=late)
        self.sent = []      # (when the window ended, sent in it)
        self.words = become(SENDER_CPU, USER, PLAYERS, "run", world.server, GAME_PORT, "seconds",
                            LONGEST_S, "clients", clients, "pace", pace, "interval", WINDOW_MS,
                            "from", first, "each", each, "size", SIZES, "ttl", TTLS, "payload", payload,
                            "seed", seed)

    def take(self, begun, window):
        super().take(begun, window)
        self.sent.append((window["monotonic"], window["sent"]))

    def unanswered(self, start, end):
        """Datagrams that were sent between two moments, and how many of them had no answer."""
        sent = sum(count for ended, count in self.sent if start < ended <= end)
        done = sum(count for _, ended, count in self.windows if start < ended <= end)
        return sent, max(0, sent - done)


class LookUps(Users):
    """The server's own questions, each from a port of its own, sent once. Good: an answer with a
    record within a second."""

    def __init__(self, world, pace):    # pylint: disable=super-init-not-called
        self.world, self.pace, self.late = world, pace, False
        self.addresses, self.windows, self.stopping = [], [], False
        self.open = {}      # socket: when it asked

    def start(self):
        self.thread = threading.Thread(target=self.ask, daemon=True)
        self.thread.start()

    def ask(self):
        with self.world.near:
            start = begun = time.monotonic()
            asked = done = 0
            while not self.stopping and not self.world.closed:
                now = time.monotonic()
                if asked <= (now - start) * self.pace:
                    self.ask_one(asked)
                    asked += 1
                done += self.answered(start + asked / self.pace)
                if now - begun >= WINDOW_MS / 1000:
                    self.windows.append((begun, now, done))
                    begun, done = now, 0

    def ask_one(self, number):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.connect((FAR4, dns.PORT))
        one.send(dns.query(number & 0xffff, f"n{number}.example.com"))
        self.open[one] = time.monotonic()

    def answered(self, until):
        """Waits until then, or for answers; closes what waited too long."""
        ready, _, _ = select.select(list(self.open), (), (), max(0, until - time.monotonic()))
        good, now = 0, time.monotonic()
        for one in ready:
            try:
                answer = one.recv(512)
            except ConnectionError:     # there is no resolver
                continue
            good += int(len(answer) > 12 and struct.unpack("!H", answer[6:8])[0] > 0 and
                        now - self.open[one] <= dns.PATIENCE_S)
        for one in [one for one, asked in self.open.items()
                    if one in ready or now - asked > dns.PATIENCE_S]:
            one.close()
            del self.open[one]
        return good

    def stop(self):
        self.stopping = True
        self.thread.join()


@dataclass
class Game:
    """Users, in packets a second of all of a kind, and what comes before the flood."""
    known: int = 4000       # players whom weir knows
    new: int = 1000         # players whom it does not
    queries: int = 0        # players whom it knows, and who send QUERY from the flood's begin on
    questions: int = 50     # of the server, to its resolver
    poison: str = ""        # what an attacker sends in calm times, in the generator's words


def users(world, game):
    """By name; weir is told of those whose name begins with `known`."""
    made = {"known": Players(world, *KNOWN_PLAYERS, 200, game.known),
            "newcomers": Players(world, *NEW_PLAYERS, 100, game.new, seed=2),
            "known, web": Users(world, "198.19.128.9", 24, 100, 100),
            "newcomers, web": Users(world, "198.19.228.9", 28, 50, 50),
            "look-ups": LookUps(world, game.questions)}
    if game.queries:
        made["known, queries"] = Players(world, "203.0.113.1", 32, 40, game.queries, seed=3,
                                         payload=QUERY + "." * 112, late=True)
    return made


def learn(world, game):
    """
    Waits until the daemon has kept enough of the calm traffic, while the attacker prepares. Returns
    the number of packets of known sources, and of others.
    """
    poison = Attack(world, f"{game.poison} seconds 110".split()) if game.poison else None
    demand(wait_for(lambda: packets_kept(world)[0] >= ENOUGH, LEARN_S),
           f"the calm sample has {packets_kept(world)} packets after {LEARN_S} s")
    if poison:
        poison.stop()
    return packets_kept(world)


# ---- rules in a flood ----

class Found:
    """What was found in one flood, or in one pulse of it, and what that did."""

    def __init__(self, world):
        self.world, self.begun = world, time.monotonic()
        self.seconds = None     # until a rule was in force
        self.rules, self.said = [], ""
        self.hits = []          # of each that was found: calm packets of known sources, of others

    def set(self, rules):
        """They are in force from now on."""
        self.rules = rules
        if self.seconds is None:
            self.at = time.monotonic()
            self.seconds = self.at - self.begun
            self.before = self.counts()

    def counts(self):
        stats = self.world.stats()
        return (stats["rule"], stats.packets - self.world.sent_by_users(), self.world.lost_by_users())

    def report(self):
        """@share: of what came since and was not the users', what rules dropped. @no_room: packets of
        users that found the ring full since."""
        report = {"seconds": self.seconds, "rules": self.rules, "said": self.said, "hits": self.hits,
                  "share": None}
        if self.seconds is not None:
            dropped, came, no_room = (now - then for now, then in zip(self.counts(), self.before))
            report.update(share=dropped / max(1, came), no_room=no_room, since=self.at,
                          until=time.monotonic())
        return report


def from_explain(world, until):
    """As a person who sets what `weir explain` is sure of. It runs on the server's core, and comes
    before the server there."""
    found = Found(world)
    time.sleep(TYPED_S)
    said = json.loads(world.near.run(*become(SERVER_CPU, DAEMON, WEIR, "-j", "explain", "seconds",
                                             LOOK_S)).out)
    sure = [rule for rule in said["rules"] if rule["sure"]]
    for rule in sure:
        world.near.run(*become(SERVER_CPU, DAEMON, WEIR, "drop", "add", rule["name"],
                               *rule["match"].split(), "ttl", "1h"))
    found.said = "; ".join(f"{rule['match']}: {rule['doubt']}" for rule in said["rules"]
                           if not rule["sure"]) or said["remark"] or ""
    found.hits = [(rule["calm_hits"], rule["stranger_hits"]) for rule in said["rules"]]
    if sure:
        found.set([rule["match"] for rule in sure])
    time.sleep(max(0, until - time.monotonic()))
    return found.report()


def from_daemon(world, until):
    """What the daemon puts in force by itself (`rules: auto`)."""
    found = Found(world)
    while time.monotonic() < until:
        rules = world.read("drop", "show")["rules"]
        if rules:
            found.set([rule["match"] for rule in rules])
        time.sleep(max(0, min(0.5, until - time.monotonic())))
    found.said = "; ".join(journal(world, "^rules: |would-rule|rule-"))
    return found.report()


def journal(world, pattern):
    """What the daemon said of rules that it did not put in force, or took back; once each."""
    lines = [line[3:] for line in (world.folder / "daemon.log").read_text().splitlines()]
    return list(dict.fromkeys(line for line in lines if re.search(pattern, line)))[-4:]


def fate_of_players(groups, found):
    """Of their datagrams since a rule was in force: sent, without an answer, and at most so many of
    these found the ring full."""
    sums = {"sent": 0, "unanswered": 0, "no_room": found["no_room"]}
    for group in groups.values():
        if isinstance(group, Players):
            sent, unanswered = group.unanswered(found["since"], found["until"])
            sums["sent"] += sent
            sums["unanswered"] += unanswered
    return sums


LOOKS = {"explain": from_explain, "auto": from_daemon}
