# SPDX-License-Identifier: GPL-2.0-only
"""Devices of the kernel without an Ethernet header, and tunnels that have one: what comes through
them is limited and blocked by its inner source, or the device is refused by name."""
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from stage import (FAR4, FAR6, NEAR4, NEAR6, Receiver, check, demand, run, run_tests,  # noqa: E402
                   send_udp, skip, wait_for)

import socket  # noqa: E402

TUNNEL = "tn0"
OURS, PEER, BLOCKED = "10.9.0.1", "10.9.0.2", "10.9.0.66"
OURS6, PEER6, BLOCKED6 = "2001:db8:9::1", "2001:db8:9::2", "2001:db8:9::66"
BURST, SENT, OF_BLOCKED = 10, 30, 5
GROUP = "239.1.2.3"

OVER4 = (("local", NEAR4, "remote", FAR4), ("local", FAR4, "remote", NEAR4))
OVER6 = (("local", NEAR6, "remote", FAR6), ("local", FAR6, "remote", NEAR6))
# What is called, its kind, its words here and at the far end, and whether it carries IPv4 and IPv6.
TUNNELS4 = (
    ("gre", "gre", *OVER4, "46"),
    ("gre external", "gre", ("external",), OVER4[1], "46"),
    ("ipip", "ipip", *OVER4, "4"),
    ("ipip external", "ipip", ("external",), OVER4[1], "4"),
    ("sit", "sit", *OVER4, "6"),
    ("gretap", "gretap", *OVER4, "46"),
)
TUNNELS6 = (
    ("ip6gre", "ip6gre", *OVER6, "46"),
    ("ip6gre external", "ip6gre", ("external",), OVER6[1], "46"),
    ("ip6gre without a remote end", "ip6gre", ("local", NEAR6), OVER6[1], "46"),
    ("ip6tnl", "ip6tnl", OVER6[0] + ("mode", "any"), OVER6[1] + ("mode", "any"), "46"),
    ("ip6tnl external", "ip6tnl", ("external",), OVER6[1] + ("mode", "any"), "46"),
)
# Devices that show XDP the outer header.
REFUSED = (
    ("gre without a remote end", "gre", ("local", NEAR4)),
    ("gre to a group", "gre", ("local", NEAR4, "remote", GROUP, "dev", "near0")),
)


def make(space, kind, words):
    """Whether the kernel has such a device."""
    return not space.run("ip", "link", "add", TUNNEL, "type", kind, *words, expect=None).status


def address(space, four, six):
    for each in four:
        space.run("ip", "address", "add", f"{each}/24", "dev", TUNNEL)
    for each in six:
        space.run("ip", "-6", "address", "add", f"{each}/64", "dev", TUNNEL, "nodad")
    space.set(f"ipv4/conf/{TUNNEL}/rp_filter", 0)
    space.run("ip", "link", "set", TUNNEL, "up")


def remove(lab):
    for space in (lab.near, lab.far):
        space.run("ip", "link", "del", TUNNEL, expect=None)


def send_all(lab, families):
    """How many datagrams arrive, by family."""
    arrived = {}
    for family, peer, blocked, ours in (("4", PEER, BLOCKED, OURS), ("6", PEER6, BLOCKED6, OURS6)):
        if family not in families:
            continue
        receiver = Receiver(lab.near, family=socket.AF_INET6 if family == "6" else socket.AF_INET)
        send_udp(lab.far, blocked, ours, OF_BLOCKED)
        send_udp(lab.far, peer, ours, SENT)
        arrived[family] = len(receiver.stop())
    return arrived


def filters(lab, what, families):
    """That limits and block entries meet the inner sources."""
    said = lab.weir("attach", "dev", TUNNEL, expect=None)
    if said.status:
        check(False, f"{what}: filtered", said.err.strip())
        return
    lab.weir("limit", "set", "proto", "udp", "rate", "1/h", "burst", BURST)
    lab.weir("block", "add", BLOCKED, BLOCKED6)
    arrived, stats = send_all(lab, families), lab.stats(TUNNEL)
    blocked, limited = stats["block"], stats["rate-limit"]
    n = len(families)
    check(set(arrived.values()) == {BURST} and blocked == n * OF_BLOCKED and
          limited == n * (SENT - BURST), f"{what}: filtered by the inner source",
          f"{arrived} of {SENT + OF_BLOCKED} arrive, block {blocked}, rate-limit {limited}, "
          f"{stats.device['mode']}")
    lab.weir("-q", "detach", "all")


def try_all(lab, tunnels):
    lab.use_ipv6()
    lab.up()
    for what, kind, here, there, families in tunnels:
        if make(lab.near, kind, here) and make(lab.far, kind, there):
            four, six = "4" in families, "6" in families
            address(lab.near, [OURS] * four, [OURS6] * six)
            address(lab.far, [PEER, BLOCKED] * four, [PEER6, BLOCKED6] * six)
            filters(lab, what, families)
        else:
            skip(f"{what}: limits on what it carries", "this kernel has none")
        remove(lab)


def test_over_ipv4(lab):
    try_all(lab, TUNNELS4)


def test_over_ipv6(lab):
    try_all(lab, TUNNELS6)


def test_refused(lab):
    """What would be judged by the outer header is refused, and the message says what to do."""
    lab.use_ipv6()
    lab.up()
    for what, kind, words in REFUSED:
        if make(lab.near, kind, words):
            said = lab.weir("attach", "dev", TUNNEL, expect=None)
            check(said.status == 1 and TUNNEL in said.err and "GRE" in said.err and
                  "remote" in said.err, f"{what}: refused", said.err.strip() or said.status)
            lab.weir("detach", "all", expect=None)
        else:
            skip(f"{what}: refused", "this kernel has none")
        remove(lab)


def test_wireguard(lab):
    what = "wireguard"
    if not shutil.which("wg"):
        skip(f"{what}: limits on what it carries", "wireguard-tools is not installed")
        return
    lab.up()
    if not make(lab.near, what, ()) or not make(lab.far, what, ()):
        skip(f"{what}: limits on what it carries", "this kernel has none")
        return
    keys = [run("wg", "genkey").out for _ in range(2)]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-wg-"))
    for space, own, other, end in ((lab.near, 0, 1, FAR4), (lab.far, 1, 0, NEAR4)):
        (folder / "key").write_text(keys[own])
        space.run("wg", "set", TUNNEL, "listen-port", 5000, "private-key", folder / "key", "peer",
                  run("wg", "pubkey", text_in=keys[other]).out.strip(), "allowed-ips",
                  "0.0.0.0/0,::/0", "endpoint", f"{end}:5000")
    address(lab.near, [OURS], [])
    address(lab.far, [PEER, BLOCKED], [])
    demand(wait_for(lambda: not lab.far.run("ping", "-c", 1, "-W", 2, OURS, expect=None).status, 20),
           "no handshake")
    filters(lab, what, "4")
    remove(lab)


run_tests(__name__)
