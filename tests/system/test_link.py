# SPDX-License-Identifier: GPL-2.0-only
"""Devices whose frames begin with IP, link types that weir cannot read, and frames of the link."""
import fcntl
import os
import pathlib
import select
import socket
import struct
import tempfile
import time

from stage import FAR4, NEAR4, UDP_PORT, WEIR, Receiver, check, demand, run_tests, skip, wait_for

TUNSETIFF, TUNSETLINK = 0x400454ca, 0x400454cd
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
TUN = "tun0"
OURS, PEER = "10.9.0.1", "10.9.0.2"
OURS6, PEER6 = "2001:db8:9::1", "2001:db8:9::2"
PORT = 8080

# Link types of <linux/if_arp.h>, given to a tun device: the frames stay what they are.
BARE = {"rawip": 519, "ppp": 512, "ipip": 768, "ip6tnl": 769, "sit": 776,
        "ip6gre": 823}
UNREADABLE = {"cisco": 513, "can": 280, "infiniband": 32, "ieee80211 radiotap": 803}


class Tun:
    """A tun device of a namespace; what is written to it, the namespace receives."""

    def __init__(self, namespace, kind=None):
        with namespace:
            self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", TUN.encode(), IFF_TUN | IFF_NO_PI))
            if kind is not None:
                fcntl.ioctl(self.fd, TUNSETLINK, kind)
        namespace.run("ip", "address", "add", f"{OURS}/24", "dev", TUN)
        namespace.run("ip", "link", "set", TUN, "up")

    def close(self):
        os.close(self.fd)

    def send(self, packet, count=1):
        for _ in range(count):
            os.write(self.fd, packet)

    def receive(self, seconds=2):
        """The packets that come until none has come for a while."""
        packets = []
        while select.select([self.fd], [], [], seconds if not packets else 0.2)[0]:
            packets.append(os.read(self.fd, 65536))
        return packets


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(proto, source, to, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0,
                       socket.inet_aton(source), socket.inet_aton(to))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(source, to=OURS, port=UDP_PORT):
    return ipv4(17, source, to, struct.pack("!HHHH", 1025, port, 8 + 18, 0) + b"x" * 18)


def udp6(source, to, port=UDP_PORT):
    """Without a checksum, which the stack refuses: only weir sees it."""
    payload = struct.pack("!HHHH", 1025, port, 8 + 18, 0) + b"x" * 18
    return struct.pack("!IHBB", 6 << 28, len(payload), 17, 64) + \
        socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to) + payload


def tcp(source, to, flags, seq, ack=0, sport=4000):
    head = struct.pack("!HHIIBBHHH", sport, PORT, seq, ack, 5 << 4, flags, 64240, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack("!BBH", 0, 6, len(head))
    return ipv4(6, source, to, head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:])


def filters(lab, tun, mode):
    """A limit, a block entry and no judgement of bytes that are not there, on a device of IP."""
    lab.weir("-q", "attach", "dev", TUN, *mode)
    lab.weir("limit", "set", "rate", "1/h", "burst", 10)
    lab.weir("block", "add", "10.9.0.66")
    receiver = Receiver(lab.near)
    tun.send(udp(PEER), 50)
    tun.send(udp("10.9.0.66"), 20)
    tun.send(udp("8.0.0.1"), 3)        # its first bytes would be the type of IPv4 in Ethernet
    tun.send(udp6(PEER6, OURS6), 30)
    arrived = len(receiver.stop())
    stats = lab.stats(TUN)
    lab.weir("limit", "flush")
    lab.weir("block", "flush")
    return arrived, stats


def test_tun(lab):
    """Limits and lists on a tun device; the kernel has no native XDP for one of IP."""
    tun = Tun(lab.near)
    lab.near.set(f"ipv4/conf/{TUN}/rp_filter", 0)
    for mode in ((), ("mode", "skb")):
        arrived, stats = filters(lab, tun, mode)
        check(arrived == 13 and stats["rate-limit"] == 40 + 20 and stats["block"] == 20 and
              stats["bad-ipv4"] == 0 and stats["not-ip"] == 0,
              f"tun, {' '.join(mode) or 'auto'}",
              f"{arrived} of 53 arrived, rate-limit {stats['rate-limit']}, block {stats['block']}, "
              f"bad-ipv4 {stats['bad-ipv4']}, not-ip {stats['not-ip']}")
        lab.weir("-q", "detach", "dev", TUN)
    tun.close()


def test_tun_watched(lab):
    """Events name the packets, and a capture of a tun device says that they begin with IP."""
    tun = Tun(lab.near)
    lab.weir("-q", "attach", "dev", TUN)
    lab.weir("block", "add", "10.9.0.66")
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir-link-")) / "tun.pcapng"
    events = lab.spawn(lab.near, [WEIR, "-j", "events", "count", 5, "seconds", 10])
    capture = lab.spawn(lab.near, [WEIR, "capture", "write", path, "count", 5, "seconds", 10])
    demand(wait_for(lambda: path.exists()), "the capture does not begin")
    for _ in range(50):
        tun.send(udp("10.9.0.66"))
        time.sleep(0.02)
    said = events.communicate(timeout=20)[0].splitlines()
    capture.communicate(timeout=20)
    check(len(said) == 5 and all('"10.9.0.66"' in line for line in said), "events of a tun device",
          said[0] if said else "none")
    data = path.read_bytes()
    at = struct.unpack_from("<I", data, 4)[0]
    kind, _, link = struct.unpack_from("<IIH", data, at)
    check(kind == 1 and link == 101, "the interface's link type is RAW", f"block {kind}, type {link}")
    at += struct.unpack_from("<I", data, at + 4)[0]
    packet = data[at + 28:at + 28 + 46]
    check(packet == udp("10.9.0.66"), "the packet is there from its first byte", packet[:20].hex())
    tun.close()


def test_tun_cookies(lab):
    """A SYN on a tun device is answered with a cookie, and its ACK makes the connection."""
    tun = Tun(lab.near)
    with lab.near:
        server = socket.socket()
    server.bind((OURS, PORT))
    server.listen()
    server.settimeout(3)
    lab.weir("syn", "protect", "dport", PORT, "always", "set-sysctl")
    lab.weir("-q", "attach", "dev", TUN)
    tun.receive(0.3)
    answers, seq = [], 1000
    for n in range(5):      # the first ones go to the listener, which then accepts cookies
        tun.send(tcp(PEER, OURS, 0x02, seq, sport=4000 + n))
        answers.append(tun.receive())
    answer = answers[-1][0] if answers[-1] else b""
    cookies = lab.stats(TUN)["syn-cookie"]
    good = len(answer) >= 40 and answer[9] == 6 and answer[33] == 0x12 and \
        struct.unpack_from("!I", answer, 28)[0] == seq + 1
    check(good and cookies >= 3, "a SYN on a tun device is answered",
          f"{cookies} answered here; {answer.hex()}")
    demand(good, "no answer")
    check(checksum(answer[:20]) == 0 and answer[12:20] == socket.inet_aton(OURS) +
          socket.inet_aton(PEER), "the answer is a whole IP packet", answer[:20].hex())
    tun.send(tcp(PEER, OURS, 0x10, seq + 1, struct.unpack_from("!I", answer, 24)[0] + 1, sport=4004))
    try:
        connection, peer = server.accept()
        connection.close()
    except TimeoutError:
        peer = None
    check(peer == (PEER, 4004), "the cookie's ACK makes the connection", str(peer))
    server.close()
    tun.close()


def test_types(lab):
    """Each link type is read as what it is, or refused by name."""
    for name, kind in BARE.items():
        tun = Tun(lab.near, kind)
        lab.near.set(f"ipv4/conf/{TUN}/rp_filter", 0)
        arrived, stats = filters(lab, tun, ())
        check(arrived == 13 and stats["rate-limit"] == 60, f"link type {kind} ({name})",
              f"{arrived} of 53 arrived, rate-limit {stats['rate-limit']}")
        lab.weir("-q", "detach", "dev", TUN)
        tun.close()
    for name, kind in UNREADABLE.items():
        tun = Tun(lab.near, kind)
        said = lab.weir("attach", "dev", TUN, expect=1).err
        check(TUN in said and f"link type is {kind}" in said, f"link type {kind} ({name}) is refused",
              said.strip())
        tun.close()
    tun = Tun(lab.near, 778)
    said = lab.weir("attach", "dev", TUN, expect=1).err
    check("GRE" in said and "remote" in said, "GRE without a remote end is refused", said.strip())
    tun.close()


def test_loopback(lab):
    """On lo weir works, and says what it is that it limits."""
    said = lab.weir("attach", "dev", "lo").err
    check("own traffic" in said, "a warning about lo", said.strip())
    lab.weir("-q", "detach", "dev", "lo")


def flood_frames(lab, head, count):
    """Sends Ethernet frames from far."""
    with lab.far:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((lab.far_dev, 0))
    mac = bytes.fromhex(lab.mac.replace(":", ""))
    for _ in range(count):
        raw.send(mac + b"\x02\0\0\0\0\x63" + head)
    raw.close()


def test_unread(lab):
    """Traffic that is mostly not IP to weir: said by attach and by health."""
    lab.attach()
    session = bytes.fromhex("88641100000100220021") + udp(FAR4, NEAR4)
    flood_frames(lab, session, 3000)
    said = lab.weir("show", "health").out
    percent = lab.read("show", "health")["devices"][0]["not_ip_percent"]
    check("are not IP" in said and "ppp0" in said and percent > 90, "health says so",
          f"{percent} %; " + " / ".join(said.splitlines()[:3]))
    said = lab.weir("attach", "dev", lab.near_dev).err
    check("are not IP" in said, "attach says so", said.strip())
    lab.weir("-q", "detach", "all")
    lab.weir("attach", "dev", lab.near_dev)
    lab.watched = None
    lab.weir("limit", "set", "rate", "10kpps")
    flood_frames(lab, bytes.fromhex("0800") + udp(FAR4, NEAR4), 2000)
    said = lab.weir("show", "health").out + lab.weir("attach", "dev", lab.near_dev).err
    check("are not IP" not in said, "and says nothing where it is IP", "2000 packets")


def test_tags(lab):
    """Three VLAN tags with VID 0, which Linux takes off: no way around a limit or a block entry."""
    lab.attach()
    lab.weir("limit", "set", "rate", "1/h", "burst", 10)
    receiver = Receiver(lab.near)
    flood_frames(lab, bytes.fromhex("8100000081000000810000000800") + udp(FAR4, NEAR4), 500)
    tagged = len(receiver.stop())
    receiver = Receiver(lab.near)
    flood_frames(lab, bytes.fromhex("81000000810000000800") + udp(FAR4, NEAR4), 50)
    twice = len(receiver.stop())
    stats = lab.stats()
    check(tagged == 0 and stats["vlan-tags"] == 500, "three tags drop",
          f"{tagged} of 500 arrived, vlan-tags {stats['vlan-tags']}")
    check(twice <= 10 and stats["rate-limit"] == 40, "two tags are read",
          f"{twice} of 50 arrived, rate-limit {stats['rate-limit']}")


def test_long_frames(lab):
    """In skb mode a frame may be longer than 64 KiB, and costs what it is long."""
    for space, dev in ((lab.near, lab.near_dev), (lab.far, lab.far_dev)):
        space.run("ip", "link", "set", dev, "mtu", 65535)
    lab.attach("mode", "skb")
    lab.weir("limit", "set", "rate", "1mbit", "burst", f"{4 * 65549 * 8}bit")
    packet = ipv4(17, FAR4, NEAR4, struct.pack("!HHHH", 1025, UDP_PORT, 65515, 0) + b"x" * 65507)
    flood_frames(lab, bytes.fromhex("0800") + packet, 40)
    stats = lab.stats()
    check(stats["under-limit"] <= 6 and stats["rate-limit"] >= 34, "frames of 65549 bytes",
          f"{stats['under-limit']} passed of 4 that the burst holds, {stats['rate-limit']} dropped")


def test_known_neighbours(lab):
    """Sources that neighbours have in common are left out of an import, and the others are not."""
    lab.attach()
    done = lab.near.run(WEIR, "known", "import", "-", text_in="fe80::1\n198.51.100.9\n0.0.0.0\n")
    known = [line for line in lab.weir("known", "export", "-").out.splitlines()
             if line[:1] != "#"]
    check("2 link-local" in done.err and known == ["198.51.100.9"], "known import of a neighbour",
          f"{done.err.strip()}; exported {known}")


def test_families(lab):
    """`check`, `block test` and the program agree that a prefix of IPv6 is not one of IPv4."""
    lab.attach()
    lab.weir("block", "add", "::/8", "force")
    lab.weir("block", "add", "203.0.0.0/24")
    asked = lab.read("check", "203.0.113.14")["reason"]
    tested = lab.weir("block", "test", "203.0.113.14", expect=None)
    check(asked == "no-limit" and tested.status == 1, "check and block test agree",
          f"check: {asked}; block test: {tested.status}, {(tested.out + tested.err).strip()}")
    check(lab.read("check", "12::1")["reason"] == "block" and
          lab.weir("block", "test", "12::1", expect=None).status == 0, "and about IPv6", "12::1")


def test_link_limit(lab):
    """`attach link`: the rate is what was asked for, and off is off."""
    arp = bytes.fromhex("08060001080006040001") + bytes(18)
    for words, least, most in ((("link", "1000pps"), 90, 400), (("link", "off"), 3000, 3000)):
        lab.weir("-q", "attach", "dev", lab.near_dev, *words)
        lab.up()
        flood_frames(lab, arp, 3000)
        stats = lab.stats()
        check(least <= stats["arp"] <= most, f"ARP with {' '.join(words)}",
              f"{stats['arp']} of 3000 passed, arp-limit {stats['arp-limit']}")
        lab.weir("-q", "detach", "all")
        lab.watched = None


run_tests(__name__)
