# SPDX-License-Identifier: GPL-2.0-only
"""The floods, and what an operator would have set against each."""
from dataclasses import dataclass, field

from game import GAME_PORT, LIKE_PLAYERS, PAYLOAD, QUERY, Game
from history import Days, Poison
from world import PORT, addresses

# Where weir is set up: a rate for each source that no user comes near, budgets that the
# server's core can carry beside its own work.
LIMIT = ("limit set rate 100pps burst 200",)
BUDGET_PPS, SYN_PPS = 40000, 10000
# SYNs a second that the stack behind the veth takes before users notice: measured on a
# core of an AMD EPYC (Zen 3) virtual machine.
STACK_PPS = 150000


def budgets(pps=BUDGET_PPS, syn_pps=SYN_PPS):
    return (f"budget set web to {{server}} proto tcp dport {PORT} rate {pps}pps",
            f"budget set web-syn to {{server}} proto tcp syn dport {PORT} rate {syn_pps}pps")


TO_SERVER = f"dport {PORT} sport random"


@dataclass
class Scenario:
    number: str
    name: str
    attacks: tuple              # of the generator's words, all at once
    family: int = 4
    budgets: tuple = budgets()
    pulses: tuple = ()          # seconds on, seconds off, how often; else once
    neighbours: bool = False    # users live in the attackers' networks, too
    crowd: tuple = ()           # no attack but newcomers: clients, requests a second
    evaders: dict = field(default_factory=dict)     # sources that shall be banned, by kind
    daemon: str = ""            # further settings, in YAML
    dns: bool = False           # the users are resolvers, see dns.py
    history: object = None      # of history.py: what came before; else customers are imported
    customers: tuple = ()       # where known users are, as in world.KNOWN
    seconds: int = 0            # how long the flood is with all of weir; 0: as the others
    game: object = None         # of game.py: the users are players, and packets are compared
    in_time: int = 0            # seconds until it must be well again; 0: as the others
    from_nothing: bool = False  # `rules: auto` has neither limits nor budgets beside it
    play: str = "flood"         # which part of the laboratory plays it
    unit: str = "/s"            # of what users get in calm times
    modes: tuple = ("none", "limits", "complete")
    goal: str = "known and newcomers"
    about: str = ""


DNS_PPS = 10000     # 14: queries a second that the server may get by UDP
# 11: sources that an attacker prepares, each in a network of its own.
POISONED = "from 10.0.0.0/8 sources 20000 stride 256"
# 12: bots, eight in each of 250 /24s.
BOTS, BOTS_EACH, BOTS_PORT = 2000, 27, 5000
# 15: sources that behave one second in three, and sources just under twice their limit.
PAUSING, LOUD = 400, 400
# 17 to 19: what the game may get, and its floods.
GAME_BUDGET = (f"budget set game to {{server}} proto udp dport {GAME_PORT} rate 20000pps",)
REFLECTION = (
    f"from 10.64.0.0/10 sources 10000 stride 256 proto udp sport 53 dport {GAME_PORT} "
    f"size 482-1414 payload ....83800001000c00000001{'.' * 104} pps 400000",
    f"from 10.128.0.0/9 sources 10000 stride 512 proto udp sport 123 dport {PORT} "
    f"size 482 payload d7..032a00060048{'.' * 112} pps 400000")
FROM_ALL = "from 0.0.0.0/0 sources random"
QUERIES = f"{FROM_ALL} {LIKE_PLAYERS} payload {QUERY}{'.' * 112} pps 400000"
SHORT_SPAN = "sources:\n  span: 15s\n"    # instead of ten minutes

def prepares(pps):
    """The same packets in calm times."""
    return QUERIES.replace("pps 400000", f"pps {pps}")


SCENARIOS = (
    Scenario("1", "one loud source", (f"from 198.51.100.7 proto syn {TO_SERVER} pps {20 * STACK_PPS}",),
             about="SYN, 20 times what the stack takes"),
    Scenario("2", "1,000 sources over the limit",
             (f"from 10.0.0.0/8 sources 1000 stride 2048 proto tcp {TO_SERVER} pps 1000000",),
             about="TCP segments of no connection, 1,000 a second from each"),
    Scenario("3", "50,000 sources below the limit",
             (f"from 10.0.0.0/8 sources 50000 stride 4 proto tcp {TO_SERVER} pps {20 * BUDGET_PPS}",),
             about="16 a second from each, 64 in each of 782 /24s, together 20 times the budget"),
    Scenario("3s", "50,000 sources, a /24 for each",
             (f"from 10.0.0.0/8 sources 50000 stride 256 proto tcp {TO_SERVER} pps {20 * BUDGET_PPS}",),
             about="as 3, but no two in one network: each looks like a newcomer"),
    Scenario("4", "every packet a random source",
             (f"from 0.0.0.0/0 sources random proto tcp {TO_SERVER} pps {20 * BUDGET_PPS}",),
             about="TCP segments of no connection, over all of IPv4"),
    Scenario("5", "a botnet in its users' /24s",
             (f"from 198.18.0.0/15 sources 1920 stride 4 proto tcp {TO_SERVER} pps {20 * BUDGET_PPS}",),
             neighbours=True,
             about="64 bots in each of 30 /24s, in which known users and newcomers are too"),
    Scenario("6", "pulses", (f"from 10.0.0.0/8 sources 50000 stride 4 proto tcp {TO_SERVER} "
                             f"pps {20 * BUDGET_PPS}",), pulses=(5, 5, 3),
             about="as 3, for 5 s three times, with 5 s between"),
    Scenario("7", "SYN flood, random sources",
             (f"from 0.0.0.0/0 sources random proto syn {TO_SERVER} pps 1000000",),
             modes=("none", "limits", "complete", "cookies"),
             about="a million a second"),
    Scenario("8", "IPv6, sources that rotate",
             (f"from 2001:db8:bad::/48 sources random proto tcp size 74 {TO_SERVER} pps {10 * BUDGET_PPS}",
              f"from 2001:db8:beef:1::/64 sources random proto tcp size 74 {TO_SERVER} "
              f"pps {10 * BUDGET_PPS}"), family=6,
             about="anywhere in a /48, and in a /64"),
    Scenario("9", "a crowd of newcomers", (), budgets=budgets(6000, 1500), crowd=(2000, 2000),
             goal="nobody banned",
             about="2,000 real ones, one request a second each, against budgets for half of them"),
    Scenario("10", "spoofed known addresses",
             (f"from 203.0.113.0/24 sources 254 proto tcp {TO_SERVER} pps {20 * BUDGET_PPS}",),
             goal="bounded",
             about="the attacker knows who the known customers are"),
    Scenario("11", "poisoned calm", (f"{POISONED} proto tcp {TO_SERVER} pps {20 * BUDGET_PPS}",),
             # Minutes of 2.1 s, 32 times as fast as in life.
             history=Poison(f"{POISONED} proto udp dport 9 pps {32 * 10000}",
                            addresses("10.0.0.0", 24, 1000), seconds=25, minute_shift=31),
             about="the attacker sends in the name of 20,000 sources in calm times, as 10,000 packets "
                   "a second for 13 minutes, and then floods in their names; customers visited"),
    Scenario("12", "a patient botnet",
             (f"from 10.2.0.0/16 sources {BOTS} stride 32 proto tcp dport {PORT} sport {BOTS_PORT} "
              f"pps {BOTS * 100}",),
             customers=("198.19.0.9", 24),
             # Minutes of 17 ms and days of 17 s.
             history=Days(("10.2.0.0", BOTS_EACH, BOTS), pace=12000, sport=BOTS_PORT, seconds=45,
                          minute_shift=24),
             about="2,000 real bots in 250 /24s visited on three days, as the customers did, and now "
                   "send segments of their connections, each as much as its limit allows"),
    Scenario("13", "SYNs that the stack discards", (), modes=("always",), play="thin", seconds=150,
             goal="all connect", unit="",
             about="five kinds, 1,500 a second of each, against services with cookies: connections "
                   "of 50 before and after 150 s"),
    Scenario("14", "spoofed DNS queries",
             ("from 0.0.0.0/0 sources random proto dns sport random pps 1000000",), dns=True,
             budgets=(f"budget set dns to {{server}} proto udp dport 53 rate {DNS_PPS}pps",),
             modes=("none", "limits", "complete", "dns"),
             about="a million a second against a real server; users are real resolvers, new ones come "
                   "with the flood"),
    Scenario("15", "evasion by pauses",
             (f"from 10.3.0.0/16 sources {PAUSING} stride 64 proto tcp {TO_SERVER} "
              f"pps {PAUSING * 2000} on 2000 off 1000",),
             evaders={"pausing": addresses("10.3.0.0", 26, PAUSING)}, daemon=SHORT_SPAN, seconds=20,
             about="400 sources at 20 times their limit that pause one second in three"),
    Scenario("15s", "evasion by moderation",
             (f"from 10.4.0.0/16 sources {LOUD} stride 64 proto tcp {TO_SERVER} pps {LOUD * 190}",),
             evaders={"just over": addresses("10.4.0.0", 26, LOUD)}, daemon=SHORT_SPAN, seconds=40,
             modes=("complete",), about="400 sources at 1.9 times their limit"),
    Scenario("16", "resets", (f"from 0.0.0.0/0 sources random proto resets {TO_SERVER} pps 1000000",),
             modes=("none", "cookies", "always"),
             about="spoofed RST and SYN+RST, a million a second, against a port with cookies"),
    Scenario("17", "reflection", REFLECTION, game=Game(), budgets=(), from_nothing=True, modes=("none", "limits", "preset", "auto"),
             seconds=20, in_time=10, goal="all well",
             about="20,000 reflectors, answers of DNS of 468 to 1,400 bytes to the game's port, and of "
                   "NTP of 468, as many packets as the generator gives, up to 800,000 a second"),
    Scenario("17b", "reflection, beside a budget", REFLECTION, game=Game(),
             budgets=(*GAME_BUDGET, "budget set others to {server} proto udp rate 5000pps",
                      "allow add 192.0.2.2"), modes=("auto",), seconds=20, in_time=10, goal="all well",
             about="as 17, with 20,000 packets a second for the game, and 5,000 for the rest of UDP; the "
                   "host's resolver is allowed, so that no rule can drop its answers"),
    Scenario("18", "eight bytes in common", (QUERIES,), game=Game(), budgets=GAME_BUDGET,
             modes=("none", "complete", "explain", "auto"), seconds=20, in_time=10, goal="found",
             about="random sources, and lengths, TTLs and ports as the players' packets have them; the "
                   "first eight bytes of payload are the same, 400,000 a second"),
    Scenario("19", "as calm traffic", (f"{FROM_ALL} {LIKE_PLAYERS} payload {PAYLOAD} pps 400000",),
             game=Game(), budgets=GAME_BUDGET, pulses=(3, 0, 20), modes=("explain", "auto"),
             in_time=10, goal="none found",
             about="20 floods of 3 s, of random sources, whose lengths, TTLs, ports and payload are "
                   "drawn as the players' are"),
    Scenario("19a", "a calm sample with 0.02 % of the flood", (QUERIES,),
             game=Game(poison=prepares(1)), budgets=GAME_BUDGET, modes=("explain", "auto"), seconds=20,
             in_time=10, goal="known", about="as 18, but the attacker sent one packet a second of them "
                                             "in calm times"),
    Scenario("19b", "a calm sample with 1 % of the flood", (QUERIES,), game=Game(poison=prepares(50)),
             budgets=GAME_BUDGET, modes=("explain", "auto"), seconds=20, in_time=10, goal="known",
             about="as 19a, 50 a second"),
    Scenario("19c", "a rule against customers", (QUERIES,), game=Game(queries=40),
             budgets=GAME_BUDGET, modes=("explain", "auto"), seconds=20, in_time=10, goal="known",
             about="as 18, and 40 known players begin to send with the flood what it consists of, 40 a "
                   "second in all: calm traffic says nothing against the rule")
)
