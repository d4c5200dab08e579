#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What a server's users get while a flood grows: with no filter, nft and weir.

The server runs on the core that takes the flood. Its users ask below the limit,
each time over a new connection; the flood is SYNs from 20 sources over it.
usage: goodput.py [SECONDS of each figure]
"""
import contextlib
import json
import sys
import time

from bench import RECEIVER_CPU, SENDER_CPU, Absent, Bench, must, need, save, stage, start
from cores import become

PACE = 150              # transactions a second, of 5 packets each
LIMIT_PPS, BURST = 1000, 100
FLOODS = (0, 125000, 250000, 500000, 1000000, 2000000, "max")
TRANSACT = stage.BUILD / "tests/tools/transact"


def no_filter(bench):
    bench.up()


def nft(bench):
    need("nft")
    bench.up()
    must(bench, "nft", f"""table netdev t {{
        set s {{ type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }}
        chain c {{ type filter hook ingress device {bench.near_dev} priority 0; policy accept;
            update @s {{ ip saddr limit rate over {LIMIT_PPS}/second burst {BURST} packets }} \
drop; }}; }}""")


def weir(bench):
    bench.weir("limit", "set", "rate", f"{LIMIT_PPS}pps", "burst", BURST)
    bench.weir("attach", "dev", bench.near_dev, "mode", "native")
    bench.up()


FILTERS = {"no filter": no_filter, "nft": nft, "weir": weir}


# Real-time priorities, so that the order does not depend on what else runs: NAPI comes before the
# server, as a softirq does, and users come before the flood beside them.
FLOOD_PRIORITY, SERVER_PRIORITY, USER_PRIORITY = 30, 40, 60


def measure(arrange, pps, seconds):
    """Returns the transactions a second that were answered, and the packets a second sent."""
    with contextlib.closing(Bench()) as bench:
        arrange(bench)
        bench.place()
        bench.serve(become(RECEIVER_CPU, SERVER_PRIORITY, TRANSACT, "serve", stage.NEAR4, 80))
        flood = None
        if pps:
            pace = [] if pps == "max" else ["pps", pps]
            flood = bench.start_flood("to", stage.NEAR4, "from", "198.51.100.0/24", "sources", 20,
                                      "proto", "syn", "dport", 80, "sport", "random", *pace,
                                      "cpu", SENDER_CPU, "seconds", seconds + 20)
            stage.run("chrt", "-a", "-r", "-p", str(FLOOD_PRIORITY), str(flood.process.pid))
        time.sleep(2)
        users = bench.spawn(bench.far, become(SENDER_CPU, USER_PRIORITY, TRANSACT, "run",
                                              stage.NEAR4, 80, "seconds", seconds, "connect",
                                              "pace", PACE, "json"))
        said = users.communicate()[0].splitlines()[-1]
        sent = 0
        if flood:
            flood.stop()
            sent = flood.packets / flood.seconds
        return json.loads(said)["per_second"], sent


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    rows = []
    start()
    print(f"Transactions a second answered, of {PACE} asked (flood as sent, million packets/s)")
    print(f"{'flood, packets/s':18}" + "".join(f"{name:>19}" for name in FILTERS))
    for pps in FLOODS:
        print(f"{pps if isinstance(pps, str) else format(pps, ',d'):18}", end="", flush=True)
        for name, arrange in FILTERS.items():
            try:
                answered, sent = measure(arrange, pps, seconds)
                print(f"{answered:10.0f} ({sent / 1e6:6.2f})", end="", flush=True)
            except Absent as why:
                answered = sent = None
                print(f"{'absent':>19}", end="", flush=True)
                print(why, file=sys.stderr)
            rows.append({"flood": pps, "filter": name, "sent_pps": sent and round(sent),
                         "asked": PACE, "answered": answered})
        print()
    save("goodput", rows)


main()
