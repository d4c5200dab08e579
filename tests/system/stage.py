# SPDX-License-Identifier: GPL-2.0-only
"""The stage of the system tests.

Two network namespaces joined by a veth: "far" sends, "near" is behind weir.
All of it, and a bpffs of its own, is in a mount namespace that only this
process and its children see: no live weir on the machine is touched, runs may
go on side by side, and nothing outlives them, even if they are killed.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
WEIR = BUILD / "weir"
FLOOD = BUILD / "tests/tools/flood"
BPFFS = pathlib.Path("/sys/fs/bpf")
PINS = BPFFS / "weir"
STATE = pathlib.Path("/var/lib/weir")

# `make test-long`: every step where `make test` takes one of several.
LONG = os.environ.get("WEIR_LONG") == "1"

FAR4, NEAR4 = "192.0.2.2", "192.0.2.1"
FAR6, NEAR6 = "2001:db8::2", "2001:db8::1"
UDP_PORT = 9            # where floods go unless another port is named
STRANGE_MAC = "02:00:00:00:00:99"   # of no interface: weir sees the frame, the stack drops it

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
ROOM_BYTES = 256 << 20  # of a receiver's socket
SANITIZER_STATUS = 99   # tells a sanitizer's finding from weir's own 1

libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A step failed on which the rest of the test depends."""


# ---- results ----

failures = 0


def check(good, what, figures):
    """Prints one result as scripts/run-tests reads it. Returns @good."""
    global failures
    figures = " / ".join(str(figures).splitlines())
    print(f"ok - {what} ({figures})" if good else f"not ok - {what}: {figures}", flush=True)
    failures += not good
    return good


def skip(what, why):
    """Prints that this machine cannot run the check, and why."""
    print(f"skip - {what}: {why}", flush=True)


def demand(good, why):
    if not good:
        raise Failed(why)


# ---- commands ----

class Done:
    """A command that has ended."""

    def __init__(self, words, process):
        words = [str(word) for word in words]
        self.words = " ".join(word for word in words if not word.startswith(("nsenter", "--net")))
        self.status, self.out, self.err = process.returncode, process.stdout, process.stderr

    def __str__(self):
        said = " / ".join((self.err or self.out).strip().splitlines())
        return f"{self.words.replace(str(WEIR), 'weir')}: {self.status}: {said}"


def run(*words, expect=0, env=None, text_in=""):
    """@expect: the exit status that it must have; None: any. @text_in: its standard input."""
    process = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                             input=text_in, timeout=120, check=False,
                             env={**os.environ, **(env or {})})
    done = Done(words, process)
    demand("Sanitizer" not in done.err and "runtime error:" not in done.err, str(done))
    demand(expect is None or done.status == expect, f"{done} (not {expect})")
    return done


def wait_for(condition, seconds=10):
    """Waits for what the kernel finishes asynchronously. Returns whether it came true."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


# ---- namespaces ----

class Namespace:
    """A network namespace. `with` puts the calling thread into it."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        self.outside = []
        run("ip", "netns", "add", name)

    def __enter__(self):
        self.outside.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        inside = os.open(self.path, os.O_RDONLY)
        set_namespace(inside)
        os.close(inside)
        return self

    def __exit__(self, *_):
        outside = self.outside.pop()
        set_namespace(outside)
        os.close(outside)

    def command(self, *words):
        """`ip netns exec` would mount a /sys without bpffs."""
        return ["nsenter", f"--net={self.path}", *words]

    def run(self, *words, **options):
        return run(*self.command(*words), **options)

    def set(self, name, value):
        """Writes a sysctl below net."""
        with self:
            pathlib.Path("/proc/sys/net", name).write_text(str(value))

    def link(self, dev):
        return json.loads(self.run("ip", "-j", "-s", "-d", "link", "show", "dev", dev).out)[0]

    def remove(self):
        run("ip", "netns", "del", self.name, expect=None)


def set_namespace(fd):
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def bpffs_is_mounted():
    return any(line.split()[1] == str(BPFFS) and line.split()[2] == "bpf"
               for line in pathlib.Path("/proc/self/mounts").read_text().splitlines())


def unmount_bpffs():
    while bpffs_is_mounted():
        run("umount", BPFFS)


def mount_bpffs():
    run("mount", "-t", "bpf", "-o", "mode=0700", "bpf", BPFFS)


def enter_private_mounts():
    """A bpffs, /run/netns, /run/weir and /var/lib/weir for this process and its children only."""
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")
    os.makedirs("/run/netns", exist_ok=True)
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    os.makedirs("/run/weir", exist_ok=True)     # the daemon's lock
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run/weir")
    STATE.mkdir(parents=True, exist_ok=True)   # lists that are kept
    run("mount", "-t", "tmpfs", "tmpfs", STATE)
    BPFFS.mkdir(exist_ok=True)
    unmount_bpffs()
    mount_bpffs()


def pins():
    """All pins. bpffs itself shows two files, which do not count."""
    return sorted(str(path) for path in BPFFS.rglob("*")
                  if path.is_file() and path.suffix != ".debug")


# ---- traffic ----

class Flood:
    """A running tests/tools/flood."""

    def __init__(self, lab, words):
        self.words = words
        command = lab.far.command("setpriv", "--pdeathsig", "KILL", FLOOD, "dev", lab.far_dev,
                                  *(() if "mac" in words else ("mac", lab.mac)),
                                  *(str(word) for word in words), "json")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        lab.children.append(self.process)

    def wait(self):
        """Frames for which near's ring had no room are reported, and are no failure."""
        out, err = self.process.communicate(timeout=180)
        demand(self.process.returncode == 0 or "ring was full" in err,
               f"flood {' '.join(map(str, self.words))}: {self.process.returncode}: {err.strip()}")
        report = json.loads(out)
        self.packets, self.seconds = report["packets"], report["seconds"]
        return self

    def stop(self):
        self.process.terminate()
        return self.wait()

    def __str__(self):
        return f"{self.packets} sent in {self.seconds:.3f} s"


class Receiver:
    """A UDP socket behind weir that records the kernel's receive time of each datagram."""

    def __init__(self, namespace, port=UDP_PORT, family=socket.AF_INET):
        with namespace:
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM_BYTES)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind(("", port))
        self.socket.settimeout(0.3)
        self.times, self.stopping = [], False
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        while True:
            try:
                _, extra, _, _ = self.socket.recvmsg(1, 64)
            except TimeoutError:
                if self.stopping:
                    return
                continue
            seconds, nanoseconds = struct.unpack("qq", extra[0][2])
            self.times.append(seconds + nanoseconds / 1e9)

    def stop(self):
        """Waits until nothing more arrives. Returns the times in order."""
        self.stopping = True
        self.thread.join()
        self.socket.close()
        return sorted(self.times)


def send_udp(namespace, source, to, count, pps=None, port=UDP_PORT):
    """
    Sends from a real socket, never faster than @pps if that is given: a pause of this process is
    not made up for. Returns the seconds it took.
    """
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with namespace:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((source, 0))
    start = due = time.monotonic()
    for _ in range(count):
        if pps:
            time.sleep(max(0, due - time.monotonic()))
            due = max(due + 1 / pps, time.monotonic())
        sock.sendto(b"x" * 18, (to, port))
    sock.close()
    return time.monotonic() - start


def arrived(lab, count=20, port=UDP_PORT):
    """How many of @count datagrams that far sends come through to a socket of near."""
    receiver = Receiver(lab.near, port)
    send_udp(lab.far, FAR4, NEAR4, count, port=port)
    return len(receiver.stop())


# ---- the stage ----

class Stats:
    """One device of `show stats`."""

    def __init__(self, device):
        self.device = device
        self.packets, self.created = device["packets"], device["created"]
        self.reasons = {reason["reason"]: reason for reason in device["reasons"]}

    def __getitem__(self, reason):
        return self.reasons[reason]["packets"]

    def dropped(self):
        return sum(reason["packets"] - reason["monitored"] for reason in self.reasons.values()
                   if reason["action"] == "drop")


class Stage:
    """Far and near, joined by a veth, and what tests do with them. Each test gets a fresh one."""

    number = 0

    def __init__(self):
        Stage.number += 1
        name = f"wt-{os.getpid()}-{Stage.number}"
        self.children = []
        self.watched = None     # the device of which weir has seen every packet
        self.far_dev, self.near_dev = "far0", "near0"
        self.ipv6 = False
        self.far, self.near = Namespace(f"{name}-far"), Namespace(f"{name}-near")
        self.join()

    def join(self):
        """Makes the veth. @near stays down, so that weir can see the first packet."""
        self.near.run("ip", "link", "add", self.near_dev, "numrxqueues", "2", "numtxqueues", "2",
                      "type", "veth", "peer", "name", self.far_dev, "netns", self.far.name)
        self.mac = self.near.link(self.near_dev)["address"]
        for namespace, dev, address in ((self.near, self.near_dev, NEAR4),
                                        (self.far, self.far_dev, FAR4)):
            namespace.set("ipv6/conf/all/disable_ipv6", 1)
            namespace.set("ipv4/conf/all/rp_filter", 0)
            namespace.set(f"ipv4/conf/{dev}/rp_filter", 0)
            namespace.run("ip", "address", "add", f"{address}/24", "dev", dev)
            namespace.run("ip", "link", "set", "lo", "up")

    def use_ipv6(self):
        """Only for tests that need it: the IPv6 stack sends multicast reports by itself."""
        self.ipv6 = True
        for namespace, dev, address in ((self.near, self.near_dev, NEAR6),
                                        (self.far, self.far_dev, FAR6)):
            namespace.set("ipv6/conf/all/disable_ipv6", 0)
            namespace.run("ip", "address", "add", f"{address}/32", "dev", dev, "nodad")

    def up(self):
        """Adds routes to the sources of floods: without them the receiving stack drops packets."""
        self.near.run("ip", "link", "set", self.near_dev, "up")
        self.far.run("ip", "link", "set", self.far_dev, "up")
        for prefix in ("198.51.100.0/24", "203.0.113.0/24"):
            self.near.run("ip", "route", "replace", prefix, "via", FAR4)

    def attach(self, *words):
        """Attaches before the link is up, so that weir and the driver count the same packets."""
        self.weir("attach", "dev", self.near_dev, *words)
        self.up()
        self.watched = self.near_dev

    def weir(self, *words, expect=0, namespace=None, **options):
        if "detach" in words:
            self.watched = None
        return (namespace or self.near).run(WEIR, *words, expect=expect, **options)

    def read(self, *words):
        """A read command's JSON."""
        return json.loads(self.weir("-j", *words).out)

    def stats(self, dev=None):
        return Stats(self.read("show", "stats", "dev", dev or self.near_dev)["devices"][0])

    def spawn(self, namespace, command):
        """Starts a command whose output is read through a pipe; it ends with the test."""
        process = subprocess.Popen(namespace.command(*map(str, command)), stdout=subprocess.PIPE,
                                   text=True)
        self.children.append(process)
        return process

    def serve(self, command):
        """Starts a tests/tools/transact that serves behind weir, and waits until it does."""
        demand(self.spawn(self.near, command).stdout.readline() == "ready\n",
               "the server did not start")

    def start_flood(self, *words):
        return Flood(self, words)

    def flood(self, *words):
        return Flood(self, words).wait()

    def lost(self):
        """Frames for which near's ring had no room: weir has not seen them."""
        return self.near.link(self.near_dev)["stats64"]["rx"]["dropped"]

    def prog_id(self, dev=None):
        return self.near.link(dev or self.near_dev).get("xdp", {}).get("prog", {}).get("id")

    def check_sums(self, name):
        """Checks that weir counted each packet under one reason, and as many as the driver did."""
        if not (PINS / "meta").exists():
            return
        for device in self.read("show", "stats")["devices"]:
            dev = device["dev"]
            good = wait_for(lambda: len(set(self.sums(dev).values())) == 1, 3)
            check(good, f"{name}: every packet under one reason, {dev}",
                  ", ".join(f"{counter} {packets}" for counter, packets in self.sums(dev).items()))

    def sums(self, dev):
        stats = self.stats(dev)
        sums = {"by reason": sum(reason["packets"] for reason in stats.reasons.values()),
                "in all": stats.packets}
        if dev == self.watched:
            sums["by the driver"] = self.near.link(dev)["stats64"]["rx"]["packets"]
        return sums

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        self.near.remove()
        self.far.remove()
        unmount_bpffs()
        mount_bpffs()
        for path in STATE.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


# ---- the runner ----

def run_test(test):
    name = test.__name__.removeprefix("test_").replace("_", " ")
    with contextlib.closing(Stage()) as lab:
        try:
            test(lab)
            lab.check_sums(name)
        except Failed as why:
            check(False, name, why)
        except Exception as error:  # a broken test is a failed one, and the next must run
            traceback.print_exc()
            check(False, name, repr(error))


def run_tests(module):
    """All functions test_* of @module, in their order, or those named on the command line."""
    tests = [value for name, value in vars(sys.modules[module]).items()
             if name.startswith("test_") and (not sys.argv[1:] or name in sys.argv[1:])]
    if os.geteuid() != 0:
        sys.exit("these tests need root")
    for tool in (WEIR, FLOOD):
        if not tool.exists():
            sys.exit(f"{tool} is missing: make all tools")
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        os.environ.setdefault(name, f"exitcode={SANITIZER_STATUS}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    enter_private_mounts()
    for test in tests:
        run_test(test)
    sys.exit(1 if failures else 0)
