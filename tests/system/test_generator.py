# SPDX-License-Identifier: GPL-2.0-only
"""What the traffic generator of the tests sends: frames that a stack takes, of the values asked for."""
import collections
import contextlib
import socket
import struct

from stage import FLOOD, NEAR4, NEAR6, ROOM_BYTES, SO_RCVBUFFORCE, check, run_tests
from test_explain import checksum

PPS, COUNT = 2000, 2000
SIZES, TTLS, PORTS = set(range(106, 161)), {47, *range(52, 56)}, range(32768, 32776)
FIXED = bytes.fromhex("fefd0900")


@contextlib.contextmanager
def heard(lab):
    """All packets of the generator that near's stack gets, once `with` is over."""
    with lab.near:
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    ear.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM_BYTES)
    ear.bind((lab.near_dev, 0))
    ear.settimeout(0.5)
    packets = []
    yield packets
    with contextlib.suppress(TimeoutError), ear:
        while True:
            frame = ear.recv(2048)
            ports = frame[36:38] if frame[12:14] == b"\x08\0" else frame[56:58]
            if ports == struct.pack(">H", 27015):
                packets.append(frame)


def words_sum(*parts):
    """0: the checksum that is within is right."""
    return checksum(b"".join(parts))


def test_values(lab):
    """Lengths, TTLs, ports and payload of IPv4, and the checksums over them."""
    lab.attach()
    with heard(lab) as frames:
        lab.flood("to", NEAR4, "from", "198.51.100.0/24", "sources", "random", "sport",
                  f"{PORTS[0]}-{PORTS[-1]}", "dport", 27015, "size", "106-160", "ttl", "47,52-55",
                  "payload", "fefd0900........" + "." * 112, "pps", PPS, "count", COUNT)
    check(len(frames) == COUNT, "each packet arrives", f"{len(frames)} of {COUNT}")
    for what, wanted, found in (
            ("length", SIZES, [len(frame) for frame in frames]),
            ("TTL", TTLS, [frame[22] for frame in frames]),
            ("source port", set(PORTS), [int.from_bytes(frame[34:36]) for frame in frames])):
        counts = collections.Counter(found)
        usual = COUNT / len(wanted)
        check(set(counts) == wanted and max(counts.values()) < 2 * usual + 20,
              f"each {what} that was asked for, and as often as the others",
              f"{len(counts)} of {len(wanted)}, from {min(counts.values())} to "
              f"{max(counts.values())} of {usual:.0f}")
    bad = [frame for frame in frames if frame[42:46] != FIXED or int.from_bytes(frame[16:18]) !=
           len(frame) - 14 or int.from_bytes(frame[38:40]) != len(frame) - 34]
    check(not bad and len({frame[46:106] for frame in frames}) == len(frames),
          "fixed bytes, other ones that are never the same, and lengths in all headers",
          f"{len(bad)} of {len(frames)} differ")
    wrong = [frame for frame in frames if words_sum(frame[14:34]) or words_sum(
        frame[26:34], b"\0\x11", frame[38:40], frame[34:])]
    check(not wrong, "the checksums of IPv4 and UDP", f"{len(wrong)} of {len(frames)} wrong")


def test_ipv6(lab):
    lab.use_ipv6()
    lab.attach()
    with heard(lab) as frames:
        lab.flood("to", NEAR6, "from", "2001:db8:bad::/48", "sources", "random", "sport", "random",
                  "dport", 27015, "size", "126-180", "ttl", "47,52-55", "payload", "." * 128,
                  "pps", PPS, "count", COUNT)
    wrong = [frame for frame in frames if int.from_bytes(frame[18:20]) != len(frame) - 54 or words_sum(
        frame[22:54], b"\0\x11", frame[58:60], frame[54:])]
    check(len(frames) == COUNT and not wrong and {frame[21] for frame in frames} == TTLS and
          len({len(frame) for frame in frames}) == 55, "IPv6: lengths, hop limits, checksums",
          f"{len(frames)} of {COUNT} arrived, {len(wrong)} wrong")


def test_tcp(lab):
    """Payload behind a TCP header; one length and one TTL, which are constants."""
    lab.attach()
    with heard(lab) as frames:
        lab.flood("to", NEAR4, "from", "198.51.100.0/24", "proto", "tcp", "dport", 27015, "size", 90,
                  "ttl", 61, "payload", "00112233445566.7", "pps", PPS, "count", COUNT)
    wrong = [frame for frame in frames if words_sum(frame[14:34]) or words_sum(
        frame[26:34], b"\0\x06", struct.pack(">H", 56), frame[34:])]
    check(len(frames) == COUNT and not wrong and {frame[22] for frame in frames} == {61} and
          {frame[54:62].hex() for frame in frames} == {f"00112233445566{i:x}7" for i in range(16)},
          "TCP: one length, one TTL, 16 payloads", f"{len(frames)} of {COUNT} arrived, {len(wrong)} wrong")


def test_refused(lab):
    lab.up()
    for words, named in ((("size", "40-60"), "size 40"), (("size", "70-1600"), "size"),
                         (("ttl", "0"), "ttl"), (("ttl", "9-5"), "ttl"), (("ttl", "5,"), "ttl"), (("payload", "abc"), "payload"),
                         (("payload", "0123456789abcdeg"), "payload"), (("sport", "9-8"), "sport"),
                         (("size", "49-70", "payload", "." * 16), "at least 50"),
                         (("proto", "dns", "payload", "." * 16), "payload")):
        command = [str(word) for word in ("dev", lab.far_dev, "to", NEAR4, "mac", lab.mac, "count", 1,
                                          *words)]
        done = lab.far.run(FLOOD, *command, expect=None)
        check(done.status != 0 and named in done.err.splitlines()[0],
              f"refused, and named: {' '.join(words)}", done.err.splitlines()[:1])


run_tests(__name__)
