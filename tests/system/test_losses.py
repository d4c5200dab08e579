# SPDX-License-Identifier: GPL-2.0-only
"""Packets that are lost before weir sees them: told wherever weir tells of packets, and agreeing with
the interface's own counters. What weir drops itself is no loss."""
import contextlib
import fcntl
import json
import os
import struct
import time

import daemon
from stage import NEAR4, STRANGE_MAC, WEIR, check, demand, run, run_tests, skip, wait_for

try:
    from terminal import Terminal
except ImportError:     # pyte is not installed
    Terminal = None

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 0x2, 0x1000
ALARM = "were lost lately that weir never saw"


def slow_ring(lab):
    """near's ring of 256 frames is emptied by a thread of its own, which a flood outruns."""
    run("ip", "netns", "exec", lab.near.name, "sh", "-c",
        f"echo 1 > /sys/class/net/{lab.near_dev}/threaded")


def overrun(lab, seconds=1):
    """A flood of which near's ring must lose a part."""
    flood = lab.flood("to", NEAR4, "mac", STRANGE_MAC, "seconds", seconds, "threads", 2)
    time.sleep(0.6)     # two looks are half a second apart
    return flood


def lost(lab, *words):
    return lab.read(*(words or ("show", "health")))["devices"][0]["lost"]


def statistics(lab, ending):
    """The sum of ethtool's statistics of receiving queues with this name."""
    return sum(int(line.split(":")[1])
               for line in lab.near.run("ethtool", "-S", lab.near_dev).out.splitlines()
               if line.strip().startswith("rx_queue_") and line.split(":")[0].endswith(ending))


def metric(lab, name, **labels):
    want = [f'{key}="{value}"' for key, value in labels.items()]
    return [float(line.split()[-1]) for line in lab.weir("metrics").out.splitlines()
            if line.startswith(name + "{") and all(each in line for each in want)]


def test_ring(lab):
    """A flood that overruns the ring, with weir dropping nearly all that it sees."""
    lab.weir("limit", "set", "rate", "1000pps")
    lab.attach()
    slow_ring(lab)
    flood = overrun(lab)
    health, status, counted, stats = lost(lab), lost(lab, "show", "status"), lab.lost(), lab.stats()
    demand(counted > 1000, f"the ring lost only {counted} of {flood}")
    check(health["packets"]["dropped"] == status["packets"]["dropped"] == counted,
          "losses on a veth, as the interface counts them",
          f"{counted} of {flood.packets} sent, weir saw {stats.packets} and dropped {stats.dropped()}")
    check(health["packets"]["queues"] == statistics(lab, "_drops") - statistics(lab, "_xdp_drops"),
          "of the driver's statistics those of the queues, without xdp_drops",
          f"{health['packets']['queues']}; {statistics(lab, '_xdp_drops')} xdp_drops")
    check(ALARM in health["alarm"] and ALARM in status["alarm"] and
          health["recent_least"] == counted, "the alarm", health["alarm"])
    check(metric(lab, "weir_device_lost_packets_total", where="dropped") == [counted] and
          metric(lab, "weir_device_losing") == [1], "the metrics",
          metric(lab, "weir_device_lost_packets_total"))
    for words in ("show", "health"), ("show", "status"):
        text = " ".join(lab.weir(*words).out.split())
        check(ALARM in text and f"rx_dropped {counted}" in text, f"{' '.join(words)} says so",
              text[text.index("ALARM"):][:100])


def test_since_attach(lab):
    """What was lost before the attachment is no loss of it; a swap of the program forgets nothing."""
    lab.attach("monitor")
    slow_ring(lab)
    overrun(lab)
    lab.weir("detach", "all")
    before = lab.lost()
    lab.weir("attach", "dev", lab.near_dev, "monitor")
    fresh = lost(lab)
    check(before > 1000 and fresh["packets"]["dropped"] == 0 and not fresh["alarm"],
          "losses of before the attachment", f"{before} then, {fresh['packets']['dropped']} now")
    overrun(lab)
    first = lost(lab)["packets"]["dropped"]
    lab.weir("attach", "dev", lab.near_dev, "force")
    swapped = lost(lab)["packets"]["dropped"]
    check(first == swapped == lab.lost() - before > 0, "a swap of the program keeps the count",
          f"{first}, {swapped}, {lab.lost() - before} by the interface")


def own_drops(lab, mode):
    lab.weir("limit", "set", "rate", "100pps")
    lab.attach("mode", mode)
    lab.near.run("ethtool", "-K", lab.near_dev, "gro", "on")    # without it, skb mode takes no frames
    lab.flood("to", NEAR4, "mac", STRANGE_MAC, "count", 50000, "pps", 50000)
    time.sleep(0.6)
    packets, stats, counted = lost(lab)["packets"], lab.stats(), lab.lost()
    check(stats.dropped() > 40000 and packets["dropped"] == packets["queues"] == counted == 0,
          f"what weir drops in {mode} mode is no loss",
          f"{stats.dropped()} dropped, rx_dropped {counted}, lost {packets['dropped']}")


def test_own_native(lab):
    own_drops(lab, "native")


def test_own_skb(lab):
    own_drops(lab, "skb")


@contextlib.contextmanager
def tap(lab, name):
    """The driver runs a program natively for frames that are written without blocking."""
    with lab.near:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    lab.near.run("ip", "address", "add", "198.18.0.1/24", "dev", name)
    try:
        yield fd
    finally:
        os.close(fd)


def test_own_tap(lab):
    """The driver tun counts as rx_dropped what a program drops: it is taken off."""
    packet = (bytes.fromhex("020000000098" "020000000097" "0800") + bytes.fromhex("450000200000400040110000") + bytes([198, 18, 0, 2, 198, 18, 0, 1]) +
              bytes.fromhex("04d20009000c0000") + b"abcd")
    with tap(lab, "tap0") as fd:
        lab.weir("limit", "set", "rate", "100pps")
        lab.weir("attach", "dev", "tap0", "mode", "native")
        lab.near.run("ip", "link", "set", "tap0", "up")
        for _ in range(3000):
            os.write(fd, packet)
        time.sleep(0.6)
        figures, stats = lost(lab), lab.stats("tap0")
        counted = lab.near.link("tap0")["stats64"]["rx"]["dropped"]
    check(counted >= stats.dropped() > 1000 and figures["packets"]["dropped"] <= counted - stats.dropped() and
          not figures["alarm"], "what weir drops on a tap is no loss",
          f"{stats.dropped()} dropped, rx_dropped {counted}, lost {figures['packets']['dropped']}")
    check(figures["own_drops"] == "program", "and is known to be in rx_dropped", figures["own_drops"])


def test_daemon(lab):
    """The daemon's log has a line when losses begin."""
    lab.attach("monitor")
    slow_ring(lab)
    running = daemon.Daemon(lab, "judge")
    overrun(lab, seconds=2)
    check(wait_for(lambda: running.says(ALARM)), "the daemon's alarm",
          (running.says(ALARM) or [running.text()])[0])
    running.stop()


def test_top(lab):
    if not Terminal:
        skip("weir top with losses", "pyte is not installed")
        return
    lab.attach("monitor")
    slow_ring(lab)
    terminal = Terminal(lab.near.command(WEIR, "top"))
    lab.children.append(terminal.process)
    demand(terminal.shows("weir on"), terminal.text())
    check("lost" not in terminal.lines()[1], "weir top without losses", terminal.lines()[1])
    flood = lab.start_flood("to", NEAR4, "mac", STRANGE_MAC, "seconds", 4, "threads", 2)
    check(terminal.shows("; lost "), "weir top with losses", terminal.lines()[1])
    flood.wait()


def test_bond(lab):
    """The idle port of a bond (nohandler) is told, and is no alarm."""
    made = lab.near.run("ip", "link", "add", "bond7", "type", "bond", "mode", "active-backup",
                        expect=None)
    if made.status:
        skip("the idle port of a bond", made)
        return
    lab.near.run("ip", "link", "add", "spare0", "type", "veth", "peer", "name", "spare1")
    for port in "spare0", lab.near_dev:
        lab.near.run("ip", "link", "set", port, "down")
        lab.near.run("ip", "link", "set", port, "master", "bond7")
    for dev in "bond7", "spare0", "spare1":
        lab.near.run("ip", "link", "set", dev, "up")
    lab.attach("mode", "skb", "monitor")
    lab.near.run("ethtool", "-K", lab.near_dev, "gro", "on")
    lab.near.run("ip", "link", "set", "bond7", "type", "bond", "active_slave", "spare0")
    lab.flood("to", NEAR4, "count", 5000, "pps", 50000)
    time.sleep(0.6)
    figures = lost(lab)
    counted = int(run("ip", "netns", "exec", lab.near.name, "cat",
                      f"/sys/class/net/{lab.near_dev}/statistics/rx_nohandler").out)
    check(figures["packets"]["nohandler"] == counted > 0 and not figures["alarm"],
          "the idle port of a bond", json.dumps(figures["packets"]))


if __name__ == "__main__":
    run_tests(__name__)
