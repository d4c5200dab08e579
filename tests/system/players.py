# SPDX-License-Identifier: GPL-2.0-only
"""Calm traffic of many sources, and the calm sample that the daemon makes of it."""
import random
import socket
import struct
import time

from stage import NEAR4, STATE, demand

GAME_PORT = 27015
CALM_ENOUGH = 7500      # rules need 5,500; half of these, by source, are enough to be sure
STRANGERS = 90          # of the players
NETWORKS = 120          # of calm sources: at most 1 % of the sample may be of one


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip_packet(source, to, proto, body, ttl):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), random.getrandbits(16), 0, ttl,
                       proto, 0, socket.inet_aton(source), socket.inet_aton(to))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def udp(source, to, sport, dport, payload, ttl=60):
    return ip_packet(source, to, 17, struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) +
                     payload, ttl)


def tcp(source, to, sport, dport, flags, payload=b"", ttl=60):
    head = struct.pack(">HHIIBBHHH", sport, dport, random.getrandbits(32), random.getrandbits(32),
                       0x50, flags, 501, 0, 0)
    return ip_packet(source, to, 6, head + payload, ttl)


class Sender:
    """Sends frames of any source from far, at a pace."""

    def __init__(self, lab):
        with lab.far:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind((lab.far_dev, 0))
        self.head = (bytes.fromhex(lab.mac.replace(":", "")) + b"\x02\0\0\0\0\x77" + b"\x08\0")
        self.sent = 0

    def send(self, packet):
        self.socket.send(self.head + packet)
        self.sent += 1

    def play(self, make, pps, until):
        """Sends what @make returns, about @pps, until @until() is true."""
        start, sent = time.monotonic(), 0
        while not until():
            due = int((time.monotonic() - start) * pps)
            while sent < due:
                self.send(make())
                sent += 1
            time.sleep(0.005)

    def close(self):
        self.socket.close()


class Players:
    """Sources with a habit each, of many networks: a port, a TTL, a share of the traffic."""

    def __init__(self, rnd, count=900):
        self.rnd = rnd
        self.all = [(f"198.18.{rnd.randrange(NETWORKS)}.{rnd.randrange(1, 255)}",
                     rnd.randrange(32768, 60999), rnd.choice((64, 128)) - rnd.randrange(4, 26))
                    for _ in range(count)]

    def packet(self):
        rnd = self.rnd
        source, port, ttl = rnd.choice(self.all)
        if rnd.random() < 0.05:
            return tcp(source, NEAR4, port, 22, 0x18, rnd.randbytes(rnd.randrange(12, 68)), ttl)
        size = int(rnd.triangular(24, 420, 60))
        return udp(source, NEAR4, port, GAME_PORT,
                   struct.pack("<I", rnd.randrange(400000)) + rnd.randbytes(size - 4), ttl)


def calm_file(lab):
    return STATE / f"calm.{lab.near_dev}"


def packets_kept(lab):
    """Of known sources and of strangers, from the head of the file."""
    if not calm_file(lab).exists():
        return 0, 0
    head = calm_file(lab).read_bytes()[:24]
    return struct.unpack("<QIIII", head)[3:] if len(head) == 24 else (0, 0)


def learn(lab, sender, players, seconds=90):
    """Calm traffic until the sample is large enough."""
    until = time.monotonic() + seconds
    sender.play(players.packet, 1200, lambda: packets_kept(lab)[0] >= CALM_ENOUGH or
                time.monotonic() > until)
    kept = packets_kept(lab)
    demand(kept[0] >= CALM_ENOUGH, f"the calm sample has {kept} packets after {seconds} s")
    return kept
