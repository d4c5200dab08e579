#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A second opinion on the parser: every frame of a collection of odd captures
through weir (tests/tools/classify: natively and by test run, which must agree) and
through tshark. Both must name the same class, source and fragment status, and a
frame that weir calls malformed must be so by tshark's figures too.

The captures are $WEIR_DATA/pcap.tar.xz; without them the frames of packets.h remain.
"""
import collections
import ipaddress
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLASSIFY = ROOT / os.environ.get("BUILD", "build") / "tests/tools/classify"

FIELDS = """frame.number frame.len frame.protocols eth.type vlan.etype vlan.len ieee8021ah.etype
ip.version ip.hdr_len ip.len ip.src ip.proto ip.frag_offset ip.flags.mf
ipv6.version ipv6.plen ipv6.src ipv6.dst ipv6.nxt ipv6.hlim
ipv6.hopopts.len_oct ipv6.dstopts.len_oct ipv6.routing.len_oct ah.length mip6.hlen
ipv6.fraghdr.offset ipv6.fraghdr.more
ipv6.hopopts.nxt ipv6.dstopts.nxt ipv6.routing.nxt ipv6.fraghdr.nxt ah.next_header
tcp.srcport tcp.dstport tcp.hdr_len tcp.flags.syn tcp.flags.ack udp.srcport udp.dstport
udp.length
icmpv6.type""".split()

# Nothing is put together from several frames, and no field is believed that the
# frame does not bear out.
OPTIONS = """ip.defragment:false ipv6.defragment:false ip.tso_support:false
tcp.desegment_tcp_streams:false tcp.try_heuristic_first:false
udp.try_heuristic_first:false tcp.analyze_sequence_numbers:false""".split()

VLAN = {"0x8100", "0x88a8"}
IPV6_EXTENSIONS = ("ipv6.hopopts", "ipv6.dstopts", "ipv6.routing", "ipv6.fraghdr", "ah", "mipv6")


class Frame:
    """What tshark says of a frame: lists of values, since headers may repeat."""

    def __init__(self, line):
        cells = line.rstrip("\n").split("\t")
        self.all = {name: cell.split(",") if cell else [] for name, cell in zip(FIELDS, cells)}

    def number(self, name, index=0, default=None):
        values = self.all[name]
        return int(values[index], 0) if len(values) > index else default

    def text(self, name, default=None):
        return self.all[name][0] if self.all[name] else default


Opinion = collections.namedtuple("Opinion", "verdict source what proto sport dport")
NOT_IP = {"0x0806": "arp", "0x8100": "vlan-tags", "0x88a8": "vlan-tags"}


def is_set(value):
    return value in ("1", "True", "true")


def link(frame):
    """The ethertype behind up to two tags, and how many bytes are before it."""
    kind, at = frame.text("eth.type"), 14
    inner = {"0x8100": list(frame.all["vlan.etype"]), "0x88a8": list(frame.all["ieee8021ah.etype"])}
    for _ in range(2):
        if kind not in VLAN:
            break
        tags = inner[kind]
        if not tags:
            return ("802.3" if frame.all["vlan.len"] else "cut"), at
        kind, at = tags.pop(0), at + 4
    return kind, at


def layer4(frame, left, proto, whole, ipv6):
    """The class by protocol, port and flags; "bad-..." when the header lies."""
    bad = None
    sport, dport, what = 0, 0, "packet"
    if proto == 6:
        header = frame.number("tcp.hdr_len", default=0)
        if left < 20 or header < 20 or (whole and header > left):
            bad = "bad-tcp"
        sport = frame.number("tcp.srcport", default=0)
        dport = frame.number("tcp.dstport", default=0)
        if is_set(frame.text("tcp.flags.syn")) and not is_set(frame.text("tcp.flags.ack")):
            what = "syn"
    elif proto == 17:
        said = frame.number("udp.length", default=0)
        if said == 0 and ipv6 and left >= 8:
            said = left
        if left < 8 or said < 8 or (whole and said > left):
            bad = "bad-udp"
        sport = frame.number("udp.srcport", default=0)
        dport = frame.number("udp.dstport", default=0)
    elif proto == (58 if ipv6 else 1):
        if left < 8:
            bad = "bad-icmp"
        elif (ipv6 and whole and frame.number("ipv6.hlim") == 255 and
              133 <= frame.number("icmpv6.type", default=0) <= 137):
            bad = "neighbour"
    return bad, what, sport, dport


def ipv4(frame, left):
    if (left < 20 or frame.number("ip.version") != 4 or
            frame.number("ip.hdr_len", default=0) < 20 or
            frame.number("ip.len", default=0) < frame.number("ip.hdr_len") or
            frame.number("ip.len") > left):
        return Opinion("bad-ipv4", None, None, None, None, None)
    source, proto = frame.text("ip.src"), frame.number("ip.proto")
    if frame.number("ip.frag_offset"):
        return Opinion("ip", source, "fragment", proto, 0, 0)
    whole = not is_set(frame.text("ip.flags.mf"))
    rest = frame.number("ip.len") - frame.number("ip.hdr_len")
    verdict, what, sport, dport = layer4(frame, rest, proto, whole, False)
    return Opinion(verdict or "ip", source, what, proto, sport, dport)


def chain(frame):
    """Extension headers right behind the first IPv6 header, as tshark names them."""
    names = frame.text("frame.protocols", "").split(":")
    after = names[names.index("ipv6") + 1:] if "ipv6" in names else []
    found = []
    for name in after:
        if name not in IPV6_EXTENSIONS:
            break
        found.append(name)
    return found


def ipv6(frame, left):
    if left < 40 or frame.number("ipv6.version") != 6 or \
            frame.number("ipv6.plen", default=0) > left - 40:
        return Opinion("bad-ipv6", None, None, None, None, None)
    source, proto = frame.text("ipv6.src"), frame.number("ipv6.nxt")
    if any(ipaddress.IPv6Address(frame.text(end)).ipv4_mapped for end in ("ipv6.src", "ipv6.dst")):
        return Opinion("bad-ipv6", None, None, None, None, None)
    rest, whole, seen = frame.number("ipv6.plen"), True, collections.Counter()
    length = {"ipv6.hopopts": "ipv6.hopopts.len_oct", "ipv6.dstopts": "ipv6.dstopts.len_oct",
              "ipv6.routing": "ipv6.routing.len_oct"}
    headers = chain(frame)
    for name in headers:
        n = seen[name]
        seen[name] += 1
        following = "ah.next_header" if name == "ah" else name + ".nxt"
        proto = frame.number(following, n) if following in frame.all else None
        if name == "ipv6.fraghdr":
            rest -= 8
            if frame.number("ipv6.fraghdr.offset", n):
                return Opinion("ip", source, "fragment", proto, 0, 0)
            whole = whole and not is_set("".join(frame.all["ipv6.fraghdr.more"][n:n + 1]))
        elif name == "ah":
            rest -= (frame.number("ah.length", n, 0) + 2) * 4
        elif name == "mipv6":
            rest -= (frame.number("mip6.hlen", n, 0) + 1) * 8
            proto = 59
        else:
            rest -= frame.number(length[name], n, 10 ** 6)
    if rest < 0 or proto in (0, 43, 44, 51, 60, 135) or proto is None or len(headers) > 8:
        return Opinion("ipv6-chain", source, None, proto, None, None)
    verdict, what, sport, dport = layer4(frame, rest, proto, whole, True)
    return Opinion(verdict or "ip", source, what, proto, sport, dport)


def opinion(frame):
    kind, at = link(frame)
    left = frame.number("frame.len") - at
    if frame.number("frame.len") < 14 or kind == "cut":
        return Opinion("bad-ethernet", None, None, None, None, None)
    if kind == "0x0800":
        return ipv4(frame, left)
    if kind == "0x86dd":
        return ipv6(frame, left)
    return Opinion(NOT_IP.get(kind, "not-ip"), None, None, None, None, None)


CAUSES = []


def cause(function):
    """A named reason for which tshark and weir may differ; its text is the why."""
    CAUSES.append(function)
    return function


@cause
def nothing_may_follow_a_mobility_header(frame, ours, theirs):
    """RFC 6275 wants 59 (none) as what follows it. tshark stops there; Linux has no handler
    for the header and drops the packet, whatever follows. weir steps over it as over the
    others: the packet is limited by its source all the same."""
    return "mipv6" in chain(frame) and ours.verdict == theirs.verdict == "ip" and \
        ours.source == theirs.source


def explain(frame, ours, theirs):
    return next((why.__name__ for why in CAUSES if why(frame, ours, theirs)), None)


def same(ours, theirs):
    if ours.verdict != theirs.verdict:
        return False
    return ours.verdict != "ip" or ours == theirs


def run_classify(folder, captures):
    merged = folder / "merged.pcap"
    done = subprocess.run([CLASSIFY, merged, *captures], text=True, capture_output=True)
    if done.returncode not in (0, 1):       # 1: it disagrees; else its last line may be cut
        sys.exit(f"not ok - the oracle: classify: {done.returncode}, {done.stderr.strip()}")
    names, ours = [], []
    for line in done.stdout.splitlines():
        _, name, index, size, verdict, source, proto, what, sport, dport, _ = line.split("\t")
        names.append(f"{name} frame {index} ({size} bytes)")
        ours.append(Opinion(verdict, source, what, int(proto), int(sport), int(dport)))
    return done, merged, names, ours


def run_tshark(merged):
    command = ["tshark", "-n", "-r", merged, "-T", "fields", "-E", "occurrence=a"]
    for option in OPTIONS:
        command += ["-o", option]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"not ok - the oracle: tshark: {done.stderr.strip()}")
    return [Frame(line) for line in done.stdout.splitlines()]


def compare(names, ours, frames):
    kinds, causes, bad = collections.Counter(), collections.Counter(), []
    for name, mine, frame in zip(names, ours, frames):
        theirs = opinion(frame)
        kinds[mine.verdict if mine.verdict != "ip" else mine.what] += 1
        if same(mine, theirs):
            continue
        why = explain(frame, mine, theirs)
        print(f"# {name}: weir {tuple(mine)}, tshark {tuple(theirs)}: {why or 'NOT EXPLAINED'}")
        causes[why] += 1
        if not why:
            bad.append(name)
    return kinds, causes, bad


def main():
    archive = pathlib.Path(os.environ.get("WEIR_DATA", "/nonexistent")) / "pcap.tar.xz"
    if not archive.exists():
        print("skip - the parser against tshark on captures: WEIR_DATA names no folder with "
              "pcap.tar.xz")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        if archive.exists():
            with tarfile.open(archive) as tar:
                tar.extractall(folder)
        captures = sorted(pathlib.Path(folder).rglob("*.pcap"))
        classified, merged, names, ours = run_classify(pathlib.Path(folder), captures)
        frames = run_tshark(merged)
    print("# " + classified.stderr.strip().replace("\n", "\n# "))
    if classified.returncode or not names:
        print("not ok - the program agrees with the parser compiled natively: see above")
        return 1
    print(f"ok - the program agrees with the parser compiled natively ({len(names)} frames of "
          f"{len(captures)} captures)")
    if len(frames) != len(names):
        print(f"not ok - the parser against tshark: {len(names)} frames, tshark read {len(frames)}")
        return 1
    kinds, causes, bad = compare(names, ours, frames)
    print("# " + ", ".join(f"{name} {count}" for name, count in kinds.most_common()))
    explained = sum(causes.values()) - len(bad)
    figures = f"{len(names)} frames, {explained} disagreements explained" + "".join(
        f", {name} {count}" for name, count in causes.most_common() if name)
    if bad:
        print(f"not ok - the parser against tshark: {len(bad)} disagreements: {bad[0]} ... ({figures})")
        return 1
    print(f"ok - the parser against tshark ({figures}; {time.monotonic() - started:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
