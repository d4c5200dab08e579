# SPDX-License-Identifier: GPL-2.0-only
"""The network of the floods: a server behind one veth, its users and its attackers
at the other end, and the work of each core.

The server, the daemon and NAPI share one core; the senders, users and attackers alike, have
the other. The NAPI that takes packets in is a thread, since a
softirq would run on the core that sends; it goes before the server, as a softirq goes
before every process. So a user's packet that finds the ring full is lost, and one that
does not is answered only if the flood leaves the server time.

All of it is real-time, so that figures do not depend on what else runs, as long as that
is not much: Linux sees to it that other processes get 5 % of a core if they want it. In
that time a flood stands still, and a server that it had brought to a stop answers.

Both directions go through one queue each, as on a NIC with one, and without
segmentation offload, which would let TCP past the queue that the flood fills.
"""
import ipaddress
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
from cores import become, bring_home, place_napi  # noqa: E402
from stage import BUILD, FAR4, FAR6, FLOOD, NEAR4, NEAR6, Stage, demand  # noqa: E402

TRANSACT = BUILD / "tests/tools/transact"
SINK = BUILD / "tests/lab/sink.bpf.o"
SERVER_CPU, SENDER_CPU = 0, 1
PORT = 80
WINDOW_MS = 250         # in which answers are counted
AT_LEAST = 2            # seconds that it must be well again, to count as well
LONGEST_S = 300         # that users live if they are not stopped

# Users, each an address of its own, or in IPv6 a /64 of its own: where the first one
# is, and how long the prefix is that each has to itself.
KNOWN = {4: ("203.0.113.1", 32), 6: ("2001:db8:c::9", 64)}
NEWCOMERS = {4: ("198.18.0.9", 24), 6: ("2001:db8:1000::9", 48)}
VOID4, VOID6 = "169.254.9.9", "fe80::9"     # the gateway to all others: drops all


# Real-time priorities.
ATTACKER, DAEMON, SERVICE, WATCHER, NAPI, USER, USER_NAPI = 65, 69, 70, 75, 80, 85, 90


def addresses(first, each, count):
    """Of users: see KNOWN."""
    first = ipaddress.ip_address(first)
    return [first + (n << first.max_prefixlen - each) for n in range(count)]


class Users:
    """Clients that ask over real TCP: each request on a connection of its own, or each client on
    one that it keeps, from the port @sport."""

    def __init__(self, world, first, each, clients, pace, connect=True, sport=None, late=False):
        self.addresses = addresses(first, each, clients)
        world.bring_home(self.addresses)
        self.place = (world, first, each, clients)
        self.sport = sport
        self.world, self.pace, self.late = world, pace, late
        self.windows = []       # (when it began, when it ended, answered in it)
        self.words = become(SENDER_CPU, USER, TRANSACT, "run", world.server, PORT, "seconds",
                            LONGEST_S, "clients", clients, "pace", pace, "interval", WINDOW_MS,
                            *(("connect",) if connect else ()), "json", "from", first, "each", each,
                            *(("sport", sport) if sport else ()))

    def others(self, pace):
        """The same clients at another pace, each with one connection."""
        return Users(*self.place, pace, connect=False, sport=self.sport)

    def start(self):
        self.process = self.world.spawn(self.world.far, self.words)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        """Clients that get no time report late, and of all that time at once."""
        begun = time.monotonic()
        for line in self.process.stdout:
            window = json.loads(line)
            if "t" in window:
                self.take(begun, window)
                begun = window["monotonic"]

    def take(self, begun, window):
        self.windows.append((begun, window["monotonic"], window["transactions"]))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.thread.join()

    def rate(self, start, end):
        """Answered a second between two moments."""
        return sum(done * max(0, min(end, ended) - max(start, begun)) / (ended - begun)
                   for begun, ended, done in self.windows) / (end - start)

    def back_after(self, start, end, wanted):
        """Seconds from @start until @wanted a second are answered for as long as AT_LEAST; or None."""
        steps = int((end - start - AT_LEAST) * 1000 / WINDOW_MS)
        for begin in (start + step * WINDOW_MS / 1000 for step in range(steps + 1)):
            if self.rate(begin, begin + AT_LEAST) >= wanted:
                return begin - start
        return None


class Attack:
    """A running generator. What near's ring had no room for is part of what it sent."""

    def __init__(self, world, words):
        self.process = subprocess.Popen(
            world.far.command(*become(SENDER_CPU, ATTACKER, FLOOD, "dev", world.far_dev, "mac", world.mac,
                                      "to", world.server, *words, "json")),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        world.children.append(self.process)
        self.packets = 0

    def stop(self):
        """Its main thread, which waits for the signal, must not wait for the one that sends."""
        if self.process.poll() is None:
            os.sched_setscheduler(self.process.pid, os.SCHED_RR, os.sched_param(WATCHER))
            self.process.terminate()
        out, err = self.process.communicate(timeout=60)
        demand(self.process.returncode == 0 or "ring was full" in err, f"flood: {err.strip()}")
        self.packets = json.loads(out)["packets"]
        return self.packets


class World(Stage):
    """One server, IPv4 or IPv6; weir in front of it or not."""

    def __init__(self, family=4, minute_shift=0):
        self.family = family
        self.env = {"WEIR_MINUTE_SHIFT": str(minute_shift)} if minute_shift else {}
        self.server = NEAR4 if family == 4 else NEAR6
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-lab-"))
        super().__init__()

    def join(self):
        """The name of a device is also that of its NAPI thread, so it must be the only one."""
        self.near_dev, self.far_dev = (f"{end}{os.getpid()}x{Stage.number}" for end in "nf")
        self.near.run("ip", "link", "add", self.near_dev, "type", "veth", "peer", "name",
                      self.far_dev, "netns", self.far.name)
        self.mac = self.near.link(self.near_dev)["address"]
        for namespace, dev, address4, address6 in (
                (self.near, self.near_dev, NEAR4, NEAR6), (self.far, self.far_dev, FAR4, FAR6)):
            namespace.set("ipv6/conf/all/disable_ipv6", 0 if self.family == 6 else 1)
            namespace.set("ipv6/conf/all/accept_dad", 0)
            namespace.set(f"ipv6/conf/{dev}/accept_dad", 0)
            namespace.set("ipv4/conf/all/rp_filter", 0)
            namespace.set(f"ipv4/conf/{dev}/rp_filter", 0)
            namespace.run("ip", "address", "add", f"{address4}/24", "dev", dev)
            namespace.run("ethtool", "-K", dev, "gro", "on", "tso", "off")
            namespace.run("ip", "link", "set", "lo", "up")
            if self.family == 6:
                namespace.run("ip", "address", "add", f"{address6}/64", "dev", dev, "nodad")
        self.up()

    def up(self):
        """
        Only users are behind far. What the server answers to attackers goes through the whole
        stack, and then into a veth whose other end is down.
        """
        for namespace, dev in ((self.near, self.near_dev), (self.far, self.far_dev)):
            namespace.run("ip", "link", "set", dev, "up")
        self.far.run("ip", "link", "set", self.far_dev, "xdp", "obj", SINK, "sec", "xdp")
        self.near.run("ip", "link", "add", "void0", "type", "veth", "peer", "name", "void1")
        self.near.run("ip", "link", "set", "void0", "up")
        for gateway in (VOID4, VOID6)[:1 + (self.family == 6)]:
            self.near.run("ip", "neigh", "add", gateway, "lladdr", "02:00:00:00:00:99", "dev", "void0")
            self.near.run("ip", "route", "add", "default", "via", gateway, "dev", "void0", "onlink")

    def bring_home(self, users):
        """Makes the users' addresses far's own, and routes them."""
        bring_home(self, self.family, FAR4 if self.family == 4 else FAR6, users)

    def place(self):
        """Again after each change of XDP, which makes new threads."""
        self.napi = place_napi(self.near, self.near_dev, SERVER_CPU, NAPI)
        place_napi(self.far, self.far_dev, SENDER_CPU, USER_NAPI)

    def start_server(self):
        self.serve(become(SERVER_CPU, SERVICE, TRANSACT, "serve", self.server, PORT))

    def weir(self, *words, **options):
        return super().weir(*words, env=self.env, **options)

    def attach_weir(self):
        self.weir("attach", "dev", self.near_dev, "mode", "native")
        self.place()
        # No packets come yet: from here on weir and the driver count the same ones.
        self.before_weir = self.arrived()[0] - self.stats().packets

    def detach_weir(self):
        self.weir("detach", "all")
        self.place()

    def sent_by_users(self):
        """TCP segments that left far by its stack; the generator's do not."""
        return self.stack(self.far)["OutSegs"]

    def arrived(self):
        """Packets that the interface took, and those for which its ring had no room."""
        received = self.near.link(self.near_dev)["stats64"]["rx"]
        return received["packets"], received["dropped"]

    def lost_by_users(self):
        """Packets of the users' stack for which near's ring had no room; the generator's, which
        are XDP frames, are counted by both ends."""
        sent, received = (namespace.link(dev)["stats64"] for namespace, dev in
                          ((self.far, self.far_dev), (self.near, self.near_dev)))
        return max(0, sent["tx"]["dropped"] - received["rx"]["dropped"])

    def stack(self, namespace):
        """The counters of TCP."""
        with namespace:
            lines = [line.split() for name in ("snmp", "netstat") for line in
                     pathlib.Path("/proc/thread-self/net", name).read_text().splitlines()
                     if line.startswith(("Tcp:", "TcpExt:"))]
        return {name: int(number) for names, numbers in zip(lines[::2], lines[1::2])
                for name, number in zip(names[1:], numbers[1:])}

    def core(self):
        """Seconds so far: of NAPI on the server's core, and those that the core was idle, or that
        the host of this virtual machine gave to others."""
        ran = sum(int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])
                  for pid in self.napi)
        with open("/proc/stat", encoding="utf-8") as stat:
            words = next(line.split() for line in stat if line.startswith(f"cpu{SERVER_CPU} "))
        tick = os.sysconf("SC_CLK_TCK")
        return {"napi": ran / 1e9, "idle": int(words[4]) / tick, "stolen": int(words[8]) / tick}

    def sums_here(self):
        """What weir and the driver counted since the attach, which came late."""
        stats = self.stats()
        return {"by reason": sum(reason["packets"] for reason in stats.reasons.values()),
                "in all": stats.packets, "by the driver": self.arrived()[0] - self.before_weir}

    def close(self):
        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)
