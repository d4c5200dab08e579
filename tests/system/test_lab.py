# SPDX-License-Identifier: GPL-2.0-only
"""A short form of the laboratory: floods against a real server behind all of weir. Checked is what
holds on a busy machine, too; `make lab` measures the rest."""
import dataclasses
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))
import run as laboratory  # noqa: E402
from stage import check, run_tests  # noqa: E402
from scenarios import SCENARIOS, TO_SERVER  # noqa: E402

FLOOD_S = 5
AT_MOST_REFUSED = 0.01


def play(number, mode="complete", **changes):
    scenario = next(each for each in SCENARIOS if each.number == number)
    laboratory.SETTLE_S, laboratory.CALM_S, laboratory.IN_TIME_S = 1, 2, 2
    with laboratory.privileged():
        return laboratory.run(dataclasses.replace(scenario, **changes), mode, FLOOD_S)


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
    known, over = (sum(budget[what] for budget in result["budgets"].values())
                   for what in ("known", "over"))
    check(known > 100 and over <= known * AT_MOST_REFUSED,
          f"{name}: known users go first", f"{known} packets passed, {over} did not; "
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


if __name__ == "__main__":
    run_tests(__name__)
