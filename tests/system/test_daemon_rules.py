# SPDX-License-Identifier: GPL-2.0-only
"""The daemon finds drop rules in a flood: what it tells, puts in force, withdraws, and lets alone."""
import random
import signal
import socket
import struct
import threading
import time

from daemon import Daemon, judged
from players import (GAME_PORT, NETWORKS, STRANGERS, Players, Sender, calm_file, learn, udp)
from stage import FAR4, NEAR4, STATE, check, demand, run_tests, wait_for

FLOOD_PPS = 6000
CALM_PPS = 600
MARK = bytes.fromhex("fefd0900a5c3e19b")    # the 8 bytes that all packets of the flood have
IN_TIME = 30        # seconds in which a rule is found: a look every second, on a busy machine
SETTINGS = {"known": '""', "settings": '""', "calm": STATE / "calm", "calm_every": "1s",
            "every": "1s"}
learnt = {}         # the calm sample, made once


def marked(rnd, source=None):
    """A packet of the flood: the same 8 bytes to the game's port, all else random."""
    source = source or f"203.0.{rnd.randrange(256)}.{rnd.randrange(1, 255)}"
    return udp(source, NEAR4, rnd.randrange(1024, 65535), GAME_PORT,
               MARK + rnd.randbytes(rnd.randrange(16, 400)), rnd.randrange(40, 250))


def like_players(rnd, players):
    """As calm traffic, of other sources."""
    packet = bytearray(players.packet())
    packet[12:16] = bytes((198, 18, rnd.randrange(NETWORKS, 256), rnd.randrange(1, 255)))
    return bytes(packet)


class World:
    """A game with known players and a budget, a daemon with a calm sample of them, and senders."""

    def __init__(self, lab, rules, mode="enforce", **auto_rules):
        self.lab, self.rnd = lab, random.Random(21)
        self.players = Players(random.Random(20))
        self.known = self.players.all[STRANGERS:]
        lab.weir("budget", "set", "game", "rate", "2000pps", "burst", "500")
        lab.attach()
        lab.near.run("ip", "route", "replace", "198.18.0.0/16", "via", FAR4)
        lab.weir("known", "import", "-", "as", "seen",
                 text_in="".join(f"{each[0]}\n" for each in self.known))
        self.sender = Sender(lab)
        self.make_sample()
        self.settings = {"mode": mode, "rules": rules, "state": SETTINGS,
                         "auto_rules": {"every": "1s", **auto_rules}}
        self.daemon = Daemon(lab, **self.settings)
        self.stopping = threading.Event()
        self.threads = []

    def make_sample(self):
        """Of calm traffic, once: later tests get its file."""
        if not learnt:
            daemon = Daemon(self.lab, state=SETTINGS)
            learn(self.lab, self.sender, self.players)
            demand(daemon.stop() == 0, daemon.text())
            learnt["file"] = calm_file(self.lab).read_bytes()
        calm_file(self.lab).write_bytes(learnt["file"])

    def play(self, make, pps):
        """Sends from a thread of its own, until the end. Returns what counts the packets."""
        sender = Sender(self.lab)
        thread = threading.Thread(target=sender.play, args=(make, pps, self.stopping.is_set),
                                  daemon=True)
        thread.start()
        self.threads.append((thread, sender))
        return sender

    def flood(self, pps=FLOOD_PPS):
        return self.play(lambda: marked(self.rnd), pps)

    def quiet(self):
        """Ends all that is sent."""
        self.stopping.set()
        for thread, sender in self.threads:
            thread.join()
            sender.close()
        self.stopping, self.threads = threading.Event(), []

    def rules(self):
        return {rule["name"]: rule for rule in self.lab.read("drop", "show")["rules"]}

    def auto(self):
        return {name: rule for name, rule in self.rules().items() if rule["origin"] == "daemon"}

    def wait_for_rule(self):
        demand(wait_for(self.auto, IN_TIME), f"no rule after {IN_TIME} s: {self.daemon.text()}")
        return next(iter(self.auto().values()))


class Game:
    """The game's socket: counts what clients sent, and what of the flood came through."""

    def __init__(self, lab):
        with lab.near:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)     # SO_RCVBUFFORCE
        self.socket.bind(("", GAME_PORT))
        self.socket.settimeout(0.3)
        self.clients = self.marked = 0
        self.stopping = False
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        while True:
            try:
                data = self.socket.recv(64)
            except TimeoutError:
                if self.stopping:
                    return
                continue
            if data.startswith(MARK):
                self.marked += 1
            else:
                self.clients += 1

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.socket.close()


def known_player(world):
    """A packet of a player that is known, to the game."""
    source, port, ttl = world.rnd.choice(world.known)
    return udp(source, NEAR4, port, GAME_PORT, struct.pack("<I", world.rnd.randrange(400000)) +
               world.rnd.randbytes(world.rnd.randrange(20, 400)), ttl)


def test_suggest(lab):
    """`rules: suggest`: the rule is told, and nothing is dropped by it."""
    world = World(lab, "suggest")
    world.flood()
    said = wait_for(lambda: judged(lab, "would-rule"), IN_TIME)
    time.sleep(3)
    told = judged(lab, "would-rule")
    stats, log = lab.stats(), world.daemon.says("would-rule")
    world.quiet()
    demand(said, f"nothing was told: {world.daemon.text()}")
    rule = told[0]
    check("payload" in rule["match"] and rule["flood_share"] > 0.9 and
          0 < rule["calm_bound"] <= 0.001 and not rule["doubt"], "a rule is told with both figures",
          f"{rule['match']}: {rule['flood_share']:.3f} of the flood, less than "
          f"{rule['calm_bound']:.5f} of calm traffic, doubt {rule['doubt']}")
    check(not world.rules() and stats["rule"] == 0 and stats.dropped() > 1000,
          "and nothing is put in force", f"{len(world.rules())} rules, {stats['rule']} dropped by rules, "
          f"{stats.dropped()} by the budget")
    check(len(told) == 1 and len(log) == 1, "it is told once", f"{len(told)} in ban-log, {log}")
    words = rule["command"].removeprefix("do: weir ").split()
    lab.weir(*words)
    check(len(world.rules()) == 1 and not world.auto(), "the command that it tells can be run",
          " ".join(words))


def test_auto(lab):
    """`rules: auto`: the flood is dropped by a rule, and clients are untouched; undone, it stays away."""
    world, game = World(lab, "auto"), Game(lab)
    lab.weir("drop", "add", "mine", "proto", "udp", "dport", "9", "length", "99")
    world.flood()
    clients = world.play(lambda: known_player(world), CALM_PPS)
    rule = world.wait_for_rule()
    time.sleep(1)
    before, sent, got, through = lab.stats(), clients.sent, game.clients, game.marked
    time.sleep(6)
    after, sent, got = lab.stats(), clients.sent - sent, game.clients - got
    by_rule = after["rule"] - before["rule"]
    check(by_rule > 5 * (game.marked - through) and by_rule > 1000, "the flood is dropped by the rule",
          f"{rule['name']}: {rule['match']}; {by_rule} dropped, {game.marked - through} came through")
    check(sent > 100 and got >= 0.98 * sent, "clients are untouched", f"{got} of {sent} came")
    put = judged(lab, "rule")
    check(len(put) == 1 and put[0]["flood_share"] > 0.9 and 0 < put[0]["calm_bound"] <= 0.001 and
          put[0]["command"] == f"undo: weir drop del {rule['name']}" and
          put[0]["ttl_seconds"] == 60, "ban-log has both figures and the undo", put[0]["evidence"])
    check(len(world.daemon.says(f"rule {rule['name']}: .*undo: weir drop del")) == 1,
          "and so has the journal", world.daemon.says("rule auto")[0])
    saved = lab.weir("save").out
    check("auto-" not in saved and "drop add mine" in saved, "it is not saved, the operator's is",
          [line for line in saved.splitlines() if line.startswith("drop")])
    lab.weir("restore", "-", text_in=saved)
    check(set(world.rules()) == {"mine", rule["name"]}, "restore leaves it alone",
          ", ".join(world.rules()))
    status = lab.read("show", "status")["drop_rules"]
    check(status["count"] == 2 and status["daemon"] == 1, "show status counts it", status)
    lab.weir("drop", "del", rule["name"])
    time.sleep(8)
    undone = judged(lab, "rule-undone")
    check(len(undone) == 1 and not world.auto() and "mine" in world.rules() and
          len(judged(lab, "rule")) == 1 and world.daemon.says("rule-undone"),
          "undone, neither it nor one like it comes back",
          f"after 8 s of flood: {[each['verdict'] for each in undone]}, rules {list(world.rules())}")
    world.quiet()
    game.stop()


def test_killed(lab):
    """The daemon is killed while a rule is in force: it neither doubles nor forgets it."""
    world = World(lab, "auto", ttl="20s")
    world.flood()
    rule = world.wait_for_rule()
    world.daemon.stop(signal.SIGKILL)
    before = lab.stats()["rule"]
    time.sleep(1)
    check(lab.stats()["rule"] > before, "without the daemon it goes on",
          f"{lab.stats()['rule'] - before} dropped")
    world.daemon.start()
    time.sleep(6)
    check(list(world.auto()) == [rule["name"]] and len(judged(lab, "rule")) == 1,
          "started again it knows its rule", f"{list(world.auto())}, {len(judged(lab, 'rule'))} put")
    demand(wait_for(lambda: judged(lab, "rule-ended"), 40), world.daemon.text())
    ended = judged(lab, "rule-ended")[0]
    check(ended["rule"] == rule["name"] and ended["packets"] > 1000, "its end is noted",
          ended["evidence"])
    demand(wait_for(lambda: len(judged(lab, "rule")) == 2, IN_TIME), world.daemon.text())
    again = judged(lab, "rule")[1]
    check(again["ttl_seconds"] == 40 and again["strikes"] == 1,
          "the flood goes on: the next one lasts twice as long",
          f"{again['rule']} for {again['ttl_seconds']} s, strikes {again['strikes']}")
    world.daemon.reload(**{**world.settings, "rules": "off"})
    check(wait_for(lambda: not world.auto(), 10), "rules: off ends it",
          [each["verdict"] for each in judged(lab, "rule-off")])
    world.quiet()


def test_withdrawn(lab):
    """A rule that hits a known source is withdrawn, and stays away."""
    world = World(lab, "auto")
    world.flood()
    rule = world.wait_for_rule()
    victim = world.known[0][0]
    world.play(lambda: marked(world.rnd, victim), 50)
    demand(wait_for(lambda: judged(lab, "rule-withdrawn"), IN_TIME), world.daemon.text())
    gone = judged(lab, "rule-withdrawn")[0]
    check(gone["rule"] == rule["name"] and gone["prefix"] == f"{victim}/32", "it is withdrawn",
          gone["evidence"])
    time.sleep(6)
    check(not world.auto() and len(judged(lab, "rule")) == 1, "and not put again, 6 s later",
          f"rules {list(world.auto())}, {len(judged(lab, 'rule'))} put")
    world.quiet()


def test_hopeless(lab):
    """A flood as calm traffic: no rule, and the journal says so once."""
    world = World(lab, "auto")
    world.play(lambda: like_players(world.rnd, world.players), FLOOD_PPS)
    demand(wait_for(lambda: world.daemon.says("no rule tells"), IN_TIME), world.daemon.text())
    time.sleep(6)
    stats = lab.stats()
    check(not world.rules() and not judged(lab, "rule") and not judged(lab, "would-rule") and
          len(world.daemon.says("no rule tells")) == 1, "no rule, one line",
          f"{stats.dropped()} dropped by the budget, {world.daemon.says('no rule tells')}")
    world.quiet()


def test_judge_mode(lab):
    """`mode: judge` puts nothing in force, whatever `rules` says."""
    world = World(lab, "auto", mode="judge")
    world.flood()
    demand(wait_for(lambda: judged(lab, "would-rule"), IN_TIME), world.daemon.text())
    time.sleep(2)
    check(not world.rules() and not judged(lab, "rule"), "rules: auto is suggest in mode judge",
          f"{len(world.rules())} rules, {len(judged(lab, 'would-rule'))} told")
    world.quiet()


run_tests(__name__)
