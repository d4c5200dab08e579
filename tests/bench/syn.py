#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""New connections under a SYN flood from random sources, and who keeps them coming.

The server runs on the core that takes the flood. Its users connect anew for each
request, at a steady pace, without and with timestamps and in both families; beside them runs
a transfer that began before the flood.
usage: syn.py [SECONDS of each figure] [4|6] [PACE]
"""
import contextlib
import json
import pathlib
import subprocess
import sys
import time

from bench import RECEIVER_CPU, SENDER_CPU, Bench, lab, save, start

PACE = 500              # connections a second, of 5 packets each
MBITS = 100             # of the transfer
PORT, TRANSFER_PORT = 80, 5201
TRANSACT = lab.BUILD / "tests/tools/transact"
SINK = lab.BUILD / "tests/bench/sink.bpf.o"


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


SOME_PPS = 400000       # a flood that the core can take in, and not answer by the stack

# What, how it is set up, the flood's packets a second; None: as many as there can be.
ROWS = (("calm", calm, 0), ("calm, weir", weir, 0),
        ("some, no cookies", no_cookies, SOME_PPS), ("some, kernel's", kernel_cookies, SOME_PPS),
        ("some, weir", weir, SOME_PPS),
        ("flood, no cookies", no_cookies, None), ("flood, kernel's", kernel_cookies, None),
        ("flood, weir", weir, None))


def spawn(bench, namespace, cpu, *words):
    command = namespace.command("setpriv", "--pdeathsig", "KILL", "taskset", "-c", cpu, "nice",
                                "-n", "-19", *words)
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    bench.children.append(process)
    return process


def place_far(bench):
    """The far end's work is another machine's: on the sender's core."""
    bench.far.run("ip", "link", "set", "dev", bench.far_dev, "xdp", "obj", SINK, "sec", "xdp")
    bench.far.run("unshare", "--mount", "sh", "-c", "mount -t sysfs sysfs /sys && "
                  f"echo 1 >/sys/class/net/{bench.far_dev}/threaded")
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text().startswith(f"napi/{bench.far_dev}-"):
                lab.run("taskset", "-pc", SENDER_CPU, comm.parent.name)
                lab.run("chrt", "-f", "-p", "50", comm.parent.name)


def syn_acks(bench):
    """That the far end has swallowed."""
    program = bench.far.link(bench.far_dev)["xdp"]["prog"]["id"]
    ids = json.loads(lab.run("bpftool", "-j", "prog", "show", "id", program).out)["map_ids"]
    for number in ids:
        entries = json.loads(lab.run("bpftool", "-j", "map", "dump", "id", number).out)
        if isinstance(entries, list) and "values" in entries[0].get("formatted", {}):
            return sum(cpu["value"] for cpu in entries[0]["formatted"]["values"])
    raise lab.Failed("the far end's counter is gone")


def rate(transfer, begin, end):
    """Mbit/s of the transfer between two moments, by the second."""
    parts = [i["sum"]["bits_per_second"] for i in transfer["intervals"]
             if begin <= i["sum"]["start"] and i["sum"]["end"] <= end + 0.1]
    return sum(parts) / len(parts) / 1e6 if parts else 0


def measure(arrange, flood_pps, seconds, ipv6, pace):
    near = lab.NEAR6 if ipv6 else lab.NEAR4
    settle = 3
    with contextlib.closing(Bench()) as bench:
        if ipv6:
            bench.use_ipv6()
        bench.far.set("ipv4/conf/all/rp_filter", 0)
        bench.up()
        if ipv6:
            bench.near.run("ip", "-6", "route", "replace", "default", "via", lab.FAR6)
        place_far(bench)
        spawn(bench, bench.near, RECEIVER_CPU, "iperf3", "-s", "-p", TRANSFER_PORT)
        server = spawn(bench, bench.near, RECEIVER_CPU, TRANSACT, "serve", near, PORT)
        lab.demand(server.stdout.readline() == "ready\n", "the server did not start")
        arrange(bench)
        bench.place()
        time.sleep(1)
        transfer = spawn(bench, bench.far, SENDER_CPU, "iperf3", "-c", near, "-p", TRANSFER_PORT,
                         "-R", "-b", f"{MBITS}M", "-t", 2 * settle + seconds, "-J")
        time.sleep(settle)
        flood = None
        if flood_pps != 0:
            words = [] if flood_pps is None else ["pps", flood_pps]
            source = ("2000::/3" if ipv6 else "0.0.0.0/0")
            flood = bench.start_flood("to", near, "from", source, "sources", "random", "proto",
                                      "syn", "dport", PORT, "sport", "random", "size",
                                      74 if ipv6 else 60, "cpu", SENDER_CPU, *words, "seconds", seconds + 30)
        time.sleep(settle)
        before, rx, busy, began = syn_acks(bench), bench.received(), bench.busy_s(), time.monotonic()
        users = spawn(bench, bench.far, SENDER_CPU, TRANSACT, "run", near, PORT, "seconds",
                      seconds, "connect", "pace", pace, "clients", 50, "json")
        said = json.loads(users.communicate()[0].splitlines()[-1])
        took = time.monotonic() - began
        rx, busy = (bench.received() - rx) / took, (bench.busy_s() - busy) / took
        answers = (syn_acks(bench) - before) / took
        transferred = json.loads(transfer.communicate()[0])
        sent = 0
        if flood:
            flood.stop()
            sent = flood.packets / flood.seconds
        if arrange is weir and len(sys.argv) > 4:
            print(lab.run(*bench.near.command(lab.WEIR, "show", "stats")).out)
        return {"answered": said["per_second"], "failed": said["failed"],
                "connect_ms": said["connect_ms"], "sent_pps": round(sent), "rx_pps": round(rx),
                "busy": round(busy, 3), "syn_acks_per_s": round(answers),
                "mbits_before": round(rate(transferred, 1, settle), 1),
                "mbits": round(rate(transferred, 2 * settle - 1, 2 * settle + seconds), 1)}


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    families = [sys.argv[2]] if len(sys.argv) > 2 else ["4", "6"]
    pace = int(sys.argv[3]) if len(sys.argv) > 3 else PACE
    rows = []
    start()
    print(f"{pace} new connections a second asked for; a transfer of {MBITS} Mbit/s; \"flood\" is the "
          f"generator's maximum, \"some\" {SOME_PPS:,} a second")
    print(f"{'':26}{'conn/s':>8}{'set-up ms':>10}{'p99':>9}{'Mbit/s':>8}{'flood':>10}"
          f"{'taken':>10}{'core':>6}{'SYN-ACK/s':>11}")
    for family in families:
        for name, arrange, flood_pps in ROWS:
            row = measure(arrange, flood_pps, seconds, family == "6", pace)
            print(f"IPv{family} {name:21}{row['answered']:8.0f}{row['connect_ms']['median']:10.3f}"
                  f"{row['connect_ms']['p99']:9.3f}{row['mbits']:8.1f}{row['sent_pps']:10,d}"
                  f"{row['rx_pps']:10,d}{row['busy']:6.2f}{row['syn_acks_per_s']:11,d}", flush=True)
            rows.append({"family": family, "what": name, "asked": pace, **row})
    save("syn", rows)


main()
