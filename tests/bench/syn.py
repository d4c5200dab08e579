#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""New connections a second under a SYN flood from random sources, with and without weir.

The server runs on the core that takes the flood. Its users come at a steady pace whether
others are served or not, each from an address of its own and for one request. A user without an
answer within PATIENCE_MS, in which TCP sends a SYN three times, has failed. Beside them runs a
transfer that began before the flood.
usage: syn.py [SECONDS of each figure] [4|6] [PART-OF-NAME]
"""
import contextlib
import json
import sys
import time

from bench import NAPI_PRIORITY, RECEIVER_CPU, SENDER_CPU, Bench, save, stage, start
from cores import become, bring_home, place_napi

PACE = 250              # connections a second, of 5 packets each, of each kind of users
PATIENCE_MS = 3500
MBITS = 100             # of the transfer
SETTLE = 4              # seconds, until flood and users are steady: PATIENCE_MS and a little
PORT, TRANSFER_PORT = 80, 5201
# Users: how many, and for each family the first one's address and the length of what each has to itself.
REGULARS = (500, {4: ("198.18.0.1", 32), 6: ("2001:db8:1000::1", 64)})      # every two seconds
NEWCOMERS = (10000, {4: ("198.18.64.1", 32), 6: ("2001:db8:1100::1", 64)})   # once
USERS_AT = {4: "198.18.0.0/16", 6: "2001:db8:1000::/36"}
TRANSACT = stage.BUILD / "tests/tools/transact"
SINK = stage.BUILD / "tests/bench/sink.bpf.o"
UNSEEN = stage.BUILD / "tests/bench/unseen.bpf.o"


def calm(bench):
    bench.near.set("ipv4/tcp_syncookies", 1)


def no_cookies(bench):
    bench.near.set("ipv4/tcp_syncookies", 0)


def kernel_cookies(bench):
    bench.near.set("ipv4/tcp_syncookies", 1)


def weir(bench):
    for port in (PORT, TRANSFER_PORT):
        bench.weir("-q", "syn", "protect", "dport", port, "always", "set-sysctl", "force")
    bench.weir("attach", "dev", bench.near_dev, "mode", "native")


def users_only(bench):
    """The bound: whatever is not from a user drops unseen."""
    bench.near.run("ip", "link", "set", "dev", bench.near_dev, "xdp", "obj", UNSEEN, "sec", "xdp")


# The flood's packets a second; None: as many as there can be.
FLOODS = (("400k", 400000), ("1M", 1000000), ("max", None))
DEFENCES = (("no cookies", no_cookies), ("kernel's", kernel_cookies), ("weir", weir),
            ("users only", users_only))
ROWS = (("calm", calm, 0), ("calm, weir", weir, 0),
        *((f"{flood}, {name}", arrange, pps) for flood, pps in FLOODS for name, arrange in DEFENCES))


def place_far(bench):
    """The far end's work is another machine's: on the sender's core."""
    bench.far.run("ip", "link", "set", "dev", bench.far_dev, "xdp", "obj", SINK, "sec", "xdp")
    place_napi(bench.far, bench.far_dev, SENDER_CPU, NAPI_PRIORITY)


def syn_acks(bench):
    """The SYN-ACKs that the far end has dropped."""
    program = bench.far.link(bench.far_dev)["xdp"]["prog"]["id"]
    ids = json.loads(stage.run("bpftool", "-j", "prog", "show", "id", program).out)["map_ids"]
    for number in ids:
        entries = json.loads(stage.run("bpftool", "-j", "map", "dump", "id", number).out)
        if isinstance(entries, list) and "values" in entries[0].get("formatted", {}):
            return sum(cpu["value"] for cpu in entries[0]["formatted"]["values"])
    raise stage.Failed("the far end's counter is gone")


def rate(transfer, begin, end):
    """Mbit/s of the transfer between two moments, by the second."""
    parts = [i["sum"]["bits_per_second"] for i in transfer["intervals"]
             if begin <= i["sum"]["start"] and i["sum"]["end"] <= end + 0.1]
    return sum(parts) / len(parts) / 1e6 if parts else 0


def start_flood(bench, family, pps, seconds):
    words = [] if pps is None else ["pps", pps]
    return bench.start_flood("to", stage.NEAR6 if family == 6 else stage.NEAR4,
                             "from", "2000::/3" if family == 6 else "0.0.0.0/0", "sources", "random",
                             "proto", "syn", "dport", PORT, "sport", "random",
                             "size", 74 if family == 6 else 60, "cpu", SENDER_CPU, *words,
                             "seconds", seconds)


def start_users(bench, users, near, family, seconds):
    count, at = users
    first, each = at[family]
    return bench.spawn(bench.far, become(
        SENDER_CPU, None, TRANSACT, "run", near, PORT, "seconds", SETTLE + seconds, "connect",
        "pace", PACE, "clients", count, "patience", PATIENCE_MS, "from", first, "each", each,
        "json"))


def reported(users):
    """How many were served a second after PATIENCE_MS of the first, and how soon."""
    *windows, total = (json.loads(line) for line in users.communicate()[0].splitlines())
    late = [window["transactions"] for window in windows if window["t"] > SETTLE + 0.5]
    return {"answered": round(sum(late) / len(late)), "failed": total["failed"],
            "connect_ms": total["connect_ms"]}


def measure(arrange, flood_pps, seconds, family):
    near = stage.NEAR6 if family == 6 else stage.NEAR4
    with contextlib.closing(Bench()) as bench:
        if family == 6:
            bench.use_ipv6()
        bench.far.set("ipv4/conf/all/rp_filter", 0)
        bench.up()
        if family == 6:
            bench.near.run("ip", "-6", "route", "replace", "default", "via", stage.FAR6)
        bring_home(bench, family, stage.FAR6 if family == 6 else stage.FAR4, [USERS_AT[family]])
        place_far(bench)
        bench.spawn(bench.near, become(RECEIVER_CPU, None, "iperf3", "-s", "-p", TRANSFER_PORT))
        bench.serve(become(RECEIVER_CPU, None, TRANSACT, "serve", near, PORT))
        arrange(bench)
        bench.place()
        time.sleep(1)
        transfer = bench.spawn(bench.far, become(
            SENDER_CPU, None, "iperf3", "-c", near, "-p", TRANSFER_PORT, "-R", "-b", f"{MBITS}M",
            "-t", 3 * SETTLE + seconds, "-J"))
        time.sleep(SETTLE)
        flood = start_flood(bench, family, flood_pps, seconds + 30) if flood_pps != 0 else None
        time.sleep(SETTLE)
        before, rx, busy, began = syn_acks(bench), bench.received(), bench.busy_s(), time.monotonic()
        users = [start_users(bench, each, near, family, seconds) for each in (REGULARS, NEWCOMERS)]
        regulars, newcomers = map(reported, users)
        took = time.monotonic() - began
        rx, busy = (bench.received() - rx) / took, (bench.busy_s() - busy) / took
        answers = (syn_acks(bench) - before) / took
        transferred = json.loads(transfer.communicate()[0])
        sent = 0
        if flood:
            flood.stop()
            sent = flood.packets / flood.seconds
        return {"regulars": regulars, "newcomers": newcomers, "sent_pps": round(sent), "rx_pps": round(rx),
                "busy": round(busy, 3), "syn_acks_per_s": round(answers),
                "mbits_before": round(rate(transferred, 1, SETTLE), 1),
                "mbits": round(rate(transferred, 2 * SETTLE, 3 * SETTLE + seconds), 1)}


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    families = [int(sys.argv[2])] if len(sys.argv) > 2 else [4, 6]
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    rows = []
    start()
    print(f"New connections a second of {PACE} asked for by regulars and as many by newcomers; a transfer "
          f"of {MBITS} Mbit/s;\nSYNs from random sources, \"max\": as many as the generator can")
    print(f"{'':21}{'regulars':>9}{'median ms':>10}{'newcomers':>10}{'median ms':>10}{'p90':>9}"
          f"{'Mbit/s':>8}{'flood':>10}{'taken':>10}{'core':>6}{'SYN-ACK/s':>10}")
    for family in families:
        for name, arrange, flood_pps in ROWS:
            if only not in name:
                continue
            row = measure(arrange, flood_pps, seconds, family)
            times = row["newcomers"]["connect_ms"]
            print(f"IPv{family} {name:16}{row['regulars']['answered']:9}"
                  f"{row['regulars']['connect_ms']['median']:10.2f}{row['newcomers']['answered']:10}"
                  f"{times['median']:10.2f}{times['p90']:9.2f}{row['mbits']:8.1f}{row['sent_pps']:10,d}"
                  f"{row['rx_pps']:10,d}{row['busy']:6.2f}{row['syn_acks_per_s']:10,d}", flush=True)
            rows.append({"family": str(family), "what": name, "asked": PACE, **row})
    save("syn", rows)


main()
