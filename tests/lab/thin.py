# SPDX-License-Identifier: GPL-2.0-only
"""Thin floods of SYNs that the stack discards, for as long as a listener goes on accepting cookies
without sending one, and longer. tests/system/test_syn_thin.py has the floods and says what they
are; here all kinds are played at once, each against a service of its own."""
import contextlib
import time

from stage import Stage, demand, wait_for
from test_syn_thin import (CONNECTIONS, KINDS, PORT, PPS, ThinFlood, all_connected, connect, frames,
                           protect)


def run(_scenario, _mode, seconds):
    services = {kind: PORT + number for number, kind in enumerate(KINDS)}
    with contextlib.closing(Stage()) as lab:
        protect(lab, services)
        demand(all(map(all_connected, connect(lab, services.values()))),
               "not all could connect before the flood")
        begun, before, lost = time.monotonic(), lab.stats(), lab.lost()
        floods = [ThinFlood(lab, frames(lab, kind, port)) for kind, port in services.items()]
        time.sleep(seconds)
        said = dict(zip(services, connect(lab, services.values())))
        for flood in floods:
            flood.stop()
        took, after = time.monotonic() - begun, lab.stats()
        demand(all(flood.sent > 0.8 * PPS * seconds for flood in floods),
               f"only {[flood.sent for flood in floods]} were sent")
        wait_for(lambda: len(set(lab.sums(lab.near_dev).values())) == 1, 3)
        sums = lab.sums(lab.near_dev)
        users = {kind: {"calm": max(CONNECTIONS, each["transactions"] + each["failed"]),
                        "flood": each["transactions"]} for kind, each in said.items()}
        reasons = {name: after[name] - before[name] for name in after.reasons}
        return {"users": users, "seconds": took, "sent": sum(flood.sent for flood in floods),
                "arrived": after.packets - before.packets, "no_room": lab.lost() - lost,
                "admitted": reasons["newcomer"], "budgets": {},
                "drops": {name: count for name, count in reasons.items()
                          if count and after.reasons[name]["action"] == "drop"},
                "passed": {name: count for name, count in reasons.items()
                           if count and after.reasons[name]["action"] != "drop"},
                "sums": {"good": len(set(sums.values())) == 1, **sums}}
