# SPDX-License-Identifier: GPL-2.0-only
"""What happened before a flood: who visited the server, and who prepared an attack.

Customers become known here by their own connections, not by `weir known import`. weir looks at
one packet in 64, so it takes visits of many requests. Days are too long to play: the maps are made
with shorter minutes (WEIR_MINUTE_SHIFT, nanoseconds as a power of two; 36 without it). A generation
of known sources is 1,024 minutes.
"""
import json
import time
from collections import Counter
from dataclasses import dataclass

from world import Attack, Users
from stage import STRANGE_MAC

VISITS_PPS = 4000       # requests a second of all customers while they visit
HELD_PPS, CONNECT_S = 1000, 4   # bots that only hold their connections; until all have one


class Sources:
    """Addresses without users."""

    def __init__(self, addresses):
        self.addresses = addresses

    def stop(self):
        """Is nothing that runs."""


def tiers_of(world, users):
    """How many of a group weir knows, by tier."""
    found = world.weir("-j", "known", "show", *users.addresses, expect=None)
    return Counter(each.get("tier", "known") if each["known"] else "unknown"
                   for each in json.loads(found.out)["sources"])


@dataclass
class Poison:
    """
    Customers visit, and an attacker sends in the name of sources that shall look like good
    ones. What takes him minutes is played faster, minutes and packets alike. The stack
    would have no time for so many packets, so they bear a hardware address of no interface: weir
    sees and counts them, and the stack drops them at once.
    """
    attack: str             # of the generator's words
    sources: tuple          # some of the attack's
    seconds: int
    minute_shift: int

    def play(self, world, customers, learns):
        """Returns groups of sources beside the users. Without weir there is nothing to poison."""
        if not learns:
            return {}
        visits = customers.others(pace=VISITS_PPS)
        visits.start()
        attack = Attack(world, f"{self.attack} mac {STRANGE_MAC} seconds 110".split())
        time.sleep(self.seconds)
        attack.stop()
        visits.stop()
        return {"spoofed": Sources(self.sources)}


@dataclass
class Days:
    """
    Customers and bots visit on the same days. A bot keeps one connection and sends its requests
    over it, from a port that the generator knows: the flood then is of segments of connections
    that the server has.
    """
    bots: tuple             # where the first one is, the prefix of each, how many
    pace: int               # requests a second of all bots on these days
    sport: int
    seconds: int
    minute_shift: int

    def play(self, world, customers, learns):
        """Returns the bots. Their connections stay through the flood."""
        bots = Users(world, *self.bots, self.pace if learns else HELD_PPS, connect=False,
                     sport=self.sport)
        bots.start()
        if learns:
            visits = customers.others(pace=VISITS_PPS)
            visits.start()
            time.sleep(self.seconds)
            visits.stop()
            bots.stop()
            bots = bots.others(pace=HELD_PPS)
            bots.start()
        time.sleep(CONNECT_S)
        return {"bots": bots}
