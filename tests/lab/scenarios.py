# SPDX-License-Identifier: GPL-2.0-only
"""The floods, and what an operator would have set against each."""
from dataclasses import dataclass, field

from world import PORT

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
    modes: tuple = ("none", "limits", "complete")
    goal: str = "known and newcomers"
    about: str = ""


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
)
