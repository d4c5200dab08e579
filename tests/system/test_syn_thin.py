# SPDX-License-Identifier: GPL-2.0-only
"""
Thin floods of SYNs that the stack discards: 1,500 a second against SYN cookies.

A listener accepts cookies only if its stack sent one in the last two minutes, so some SYN must
reach it. Here such floods come before the first client does: the listener has never sent a cookie
then, and is where it would be after two minutes of the flood. With WEIR_LONG=1 the two minutes are
real: clients connect before the flood and after 150 s of it.
"""
import functools
import json
import random
import socket
import struct
import threading
import time

from stage import BUILD, LONG, NEAR4, check, demand, run_tests

TRANSACT = BUILD / "tests/tools/transact"
PORT = 8080
OWN = "203.0.113.77"    # a second address of near
PPS = 1500
SECONDS = 150 if LONG else 3
CONNECTIONS, ROUNDS = 45, 20

MD5 = bytes((19, 18)) + bytes(range(16)) + bytes((1, 1))
AO = bytes((29, 16, 1, 1)) + bytes(range(12))
USUAL = bytes((2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7))


def folded_sum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def syn(lab, source, options=USUAL, port=PORT, fragment=False):
    """A frame with right checksums, from a random source port."""
    addresses = socket.inet_aton(source) + socket.inet_aton(NEAR4)
    length = 20 + len(options)
    tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65536), port, random.getrandbits(32), 0,
                      length // 4 << 4, 2, 64240, 0, 0) + options
    total = folded_sum(addresses + struct.pack("!HH", socket.IPPROTO_TCP, length) + tcp)
    tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, random.getrandbits(16),
                     0x2000 if fragment else 0, 64, socket.IPPROTO_TCP, 0) + addresses
    ip = ip[:10] + struct.pack("!H", folded_sum(ip)) + ip[12:]
    return bytes.fromhex(lab.mac.replace(":", "")) + b"\x02\0\0\0\0\x99\x08\0" + ip + tcp


def mixed(number):
    """weir_mix() of bpf/pure/hash.h."""
    mask = (1 << 64) - 1
    number ^= number >> 33
    number = number * 0xff51afd7ed558ccd & mask
    number ^= number >> 33
    number = number * 0xc4ceb9fe1a85ec53 & mask
    return number ^ number >> 33


@functools.cache
def twin_port(port):
    """Another port that an unkeyed hash of address and port, 12 bits of it, takes for this one."""
    to = 0xffff << 32 | struct.unpack("!I", socket.inet_aton(NEAR4))[0]

    def cell(which):
        return mixed((to * 3 ^ which) & (1 << 64) - 1) & 4095
    return next(twin for twin in range(1024, 65536) if twin != port and cell(twin) == cell(port))


class ThinFlood:
    """Sends frames in turn from a thread, PPS a second, until it is stopped."""

    def __init__(self, lab, frames):
        with lab.far:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind((lab.far_dev, 0))
        self.frames, self.sent, self.stopping = frames, 0, False
        self.thread = threading.Thread(target=self.send, daemon=True)
        self.thread.start()

    def send(self):
        start = time.monotonic()
        while not self.stopping:
            while self.sent < (time.monotonic() - start) * PPS:
                self.socket.send(self.frames[self.sent % len(self.frames)])
                self.sent += 1
            time.sleep(0.005)

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.socket.close()


def start_connecting(lab, port):
    """50 connections in two seconds, each with an exchange."""
    return lab.spawn(lab.far, ["setpriv", "--pdeathsig", "KILL", TRANSACT, "run", NEAR4, port, "seconds",
                               2, "clients", 1, "connect", "pace", 25, "json"])


def all_connected(total):
    return not total["failed"] and total["transactions"] >= CONNECTIONS


def connect(lab, ports):
    """50 connections to each port, to all at once, for as long as it takes: where the core has no
    time for a newcomer's SYN its connection waits for the next one. A port's client ends with the
    first that fails. Returns how many were made to each port."""
    totals = {port: {"transactions": 0, "failed": 0} for port in ports}
    for _ in range(ROUNDS):
        clients = {port: start_connecting(lab, port) for port, total in totals.items()
                   if not total["failed"] and not all_connected(total)}
        for port, client in clients.items():
            said = json.loads(client.communicate(timeout=60)[0].splitlines()[-1])
            for each in totals[port]:
                totals[port][each] += said[each]
    return list(totals.values())


def routed():
    return f"198.51.100.{random.randrange(1, 255)}"


# Each kind of flood as a function that makes one of its frames, against a service at @port.
KINDS = {
    # A listener without keys discards these two.
    "TCP-MD5": lambda lab, port: syn(lab, routed(), MD5, port=port),
    "TCP-AO": lambda lab, port: syn(lab, routed(), AO, port=port),
    # The rest of them never comes.
    "first fragments": lambda lab, port: syn(lab, routed(), port=port, fragment=True),
    # The stack takes these for martians.
    "from an own address": lambda lab, port: syn(lab, OWN, port=port),
    # Honest SYNs to another protected port, one that an unkeyed hash takes for this one.
    "to another port": lambda lab, port: syn(lab, routed(), port=twin_port(port)),
}


def protect(lab, services):
    """@services: the port of each kind's service."""
    lab.near.run("ip", "address", "add", f"{OWN}/32", "dev", "lo")
    ports = [*services.values(), *(twin_port(port) for kind, port in services.items()
                                   if kind == "to another port")]
    for port in ports:
        lab.serve(["setpriv", "--pdeathsig", "KILL", TRANSACT, "serve", NEAR4, port])
        lab.weir("syn", "protect", "dport", port, "always", "set-sysctl")
    lab.attach()
    lab.weir("-q", "attach", "dev", lab.far_dev, namespace=lab.far)


def frames(lab, kind, port):
    return [KINDS[kind](lab, port) for _ in range(1024)]


def attack(lab, kind):
    protect(lab, {kind: PORT})
    before = connect(lab, [PORT]) if LONG else None
    flood = ThinFlood(lab, frames(lab, kind, PORT))
    time.sleep(SECONDS)
    after = connect(lab, [PORT])
    flood.stop()
    stats = lab.stats()
    demand(flood.sent > 0.8 * PPS * SECONDS, f"only {flood.sent} were sent")
    for when, reports in (("before", before), (f"after {SECONDS} s of the flood", after)):
        for said in reports or ():
            check(all_connected(said), f"{kind}, {when}",
                  f"{said['transactions']} of {said['transactions'] + said['failed']} connected; "
                  f"{flood.sent} sent, {stats['newcomer']} went to the listener, "
                  f"{stats['syn-cookie']} answered")


def test_signed_md5(lab):
    attack(lab, "TCP-MD5")


def test_signed_ao(lab):
    attack(lab, "TCP-AO")


def test_first_fragments(lab):
    attack(lab, "first fragments")


def test_own_address(lab):
    attack(lab, "from an own address")


def test_other_port(lab):
    attack(lab, "to another port")


if __name__ == "__main__":
    run_tests(__name__)
