# SPDX-License-Identifier: GPL-2.0-only
"""A short form of the laboratory: floods against a real server behind all of weir. Checked is what
holds on a busy machine, too; `make lab` measures the rest."""
import pathlib
import shutil
import sys
from dataclasses import replace

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))
import run as laboratory  # noqa: E402
from stage import check, run_tests, skip  # noqa: E402
from scenarios import BOTS_PORT, SCENARIOS, TO_SERVER  # noqa: E402
from unbound import UNBOUND  # noqa: E402
from world import addresses  # noqa: E402

FLOOD_S = 5
GAME_S, RULE_S = 10, 7      # how long its flood is, and when a rule is in force for certain
AT_MOST_REFUSED = 0.01


def play(number, mode="complete", **changes):
    scenario = next(each for each in SCENARIOS if each.number == number)
    laboratory.SETTLE_S, laboratory.CALM_S, laboratory.IN_TIME_S = 1, 2, 2
    with laboratory.privileged():
        return laboratory.run(replace(scenario, **changes), mode, changes.get("seconds", FLOOD_S))


def check_run(name, result):
    check(result["sums"]["good"], f"{name}: counters add up",
          ", ".join(f"{counter} {packets}" for counter, packets in result["sums"].items()
                    if counter != "good"))
    check(all(budget["passed"] <= laboratory.BUDGET_SLACK * budget["most"]
              for budget in result["budgets"].values()), f"{name}: within the budgets",
          ", ".join(f"{each} {budget['passed']} of {budget['most']:.0f}"
                    for each, budget in result["budgets"].items()))
    check(not sum(count for group, count in result.get("false_bans", {}).items()
                  if group.startswith("known")), f"{name}: no known source is banned",
          f"{result.get('bans', 0)} bans")
    passed, refused = (sum(budget[what] for budget in result["budgets"].values())
                       for what in ("proven", "refused"))
    check(passed > 100 and refused <= passed * AT_MOST_REFUSED,
          f"{name}: proven users go first", f"{passed} packets passed, {refused} did not; "
          f"{result['sent']} sent against them, {result['admitted']} admitted")
    check(all(group["flood"] > 0 for group in result["users"].values()), f"{name}: answered a second",
          ", ".join(f"{kind} {group['flood']:.0f} of {group['calm']:.0f}"
                    for kind, group in result["users"].items()))


def test_random_sources(_):
    attack = f"from 0.0.0.0/0 sources random proto tcp {TO_SERVER} pps 200000"
    check_run("random sources", play("4", attacks=(attack,)))


def test_botnet_among_users(_):
    attack = f"from 198.18.0.0/15 sources 1920 stride 4 proto tcp {TO_SERVER} pps 200000"
    check_run("botnet among users", play("5", attacks=(attack,)))


def test_crowd(_):
    result = play("9")
    check_run("crowd", result)
    check(not result.get("bans"), "crowd: no source is banned", f"{result.get('bans', 0)} bans")


def check_proof(name, result, forged, served):
    """The evidence of each group before the flood, and what that was worth in it. @forged: a group
    that is known too, and floods. @served: which part of their requests customers must get."""
    known, theirs = (result["tiers"][group] for group in ("known", forged))
    customers, others = sum(known.values()), sum(theirs.values())
    check(known["unknown"] <= customers / 10 and theirs["unknown"] <= others / 4,
          f"{name}: both are known before the flood",
          f"{customers - known['unknown']} of {customers} customers, "
          f"{others - theirs['unknown']} of {others} {forged}")
    check(result["sums"]["good"] and all(budget["passed"] <= laboratory.BUDGET_SLACK * budget["most"]
                                         for budget in result["budgets"].values()),
          f"{name}: counters add up, within the budgets", result["sums"])
    rates = result["users"]["known"]
    check(rates["flood"] >= served * rates["calm"], f"{name}: customers are served",
          f"{rates['flood']:.0f} a second of {rates['calm']:.0f}; "
          f"{result['sent']} sent against them, {result['admitted']} admitted")


def test_poisoned_calm(_):
    """Sources that were made known by spoofing come after customers with connections."""
    sources = "from 10.0.0.0/8 sources 2000 stride 256"
    scenario = next(each for each in SCENARIOS if each.number == "11")
    history = replace(scenario.history, attack=f"{sources} proto udp dport 9 pps 100000", seconds=9,
                      sources=addresses("10.0.0.0", 24, 200), minute_shift=28)
    check_proof("poisoned calm", play("11", history=history, attacks=(
        f"{sources} proto tcp {TO_SERVER} pps 180000",)), "spoofed", 0.5)


def test_patient_botnet(_):
    """Bots with connections of their own are held to the shares of their networks."""
    scenario = next(each for each in SCENARIOS if each.number == "12")
    history = replace(scenario.history, bots=(*scenario.history.bots[:2], 1000), pace=11000, seconds=10)
    check_proof("patient botnet", play("12", history=history, attacks=(
        f"from 10.2.0.0/16 sources 1000 stride 32 proto tcp dport 80 sport {BOTS_PORT} pps 100000",)),
                "bots", 0.5)


def test_eight_bytes(_):
    """A flood whose packets have eight bytes in common, and else what players have: the daemon finds
    the rule, and players who are not known are served as well."""
    if not shutil.which(UNBOUND):
        skip("eight bytes in common", "unbound is not installed")
        return
    scenario = next(each for each in SCENARIOS if each.number == "18")
    attack = scenario.attacks[0].replace("pps 400000", "pps 100000")
    result = play("18", "auto", attacks=(attack,), in_time=RULE_S, game=replace(
        scenario.game, known=4800, new=200), seconds=GAME_S)
    found = result["found"][0]
    check(any("payload 0 ffffffff" in rule for rule in found["rules"]),
          "eight bytes in common: the daemon finds them", found)
    if found["rules"]:
        check(found["share"] >= 0.9, "eight bytes in common: the rule drops the flood",
              f"{found['share']:.2%} of it since {found['seconds']:.1f} s")
    for name in ("known", "newcomers"):
        group = result["users"][name]
        check(group["sent"] > 100 and group["unanswered"] <= 0.05 * group["sent"],
              f"eight bytes in common: {name}, answered behind the rule",
              f"{group['unanswered']} of {group['sent']} datagrams are not")
    check(result["sums"]["good"], "eight bytes in common: counters add up", result["sums"])


if __name__ == "__main__":
    run_tests(__name__)
