# SPDX-License-Identifier: GPL-2.0-only
"""Drop rules, end to end: each kind of condition by real packets, the sources that are spared,
rates, ends, saving and restoring, and changes under traffic."""
import contextlib
import json
import os
import socket
import struct
import tempfile
import time

from daemon import Daemon, prepare
from stage import (FAR4, FAR6, NEAR4, NEAR6, PINS, UDP_PORT, Receiver, check, demand, run, run_tests,
                   wait_for)
from test_limit import check_rate

COUNT = 8               # packets of each kind
SWITCH_S = 6            # of changes under traffic
PORT = 8080


# ---- packets ----

def summed(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def udp(sport=1234, dport=UDP_PORT, data=b"x" * 18):
    return socket.IPPROTO_UDP, struct.pack("!4H", sport, dport, 8 + len(data), 0) + data


def tcp(flags, sport=1234, dport=UDP_PORT, window=1000, data=b""):
    return socket.IPPROTO_TCP, struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 5 << 4, flags, window,
                                           0, 0) + data


def icmp(kind):
    message = struct.pack("!BBHI", kind, 0, 0, 1)
    return socket.IPPROTO_ICMP, message[:2] + struct.pack("!H", summed(message)) + message[4:]


def fragment(data=b"x" * 32):
    """A later one, of UDP."""
    return socket.IPPROTO_UDP, data


class Sender:
    """Packets with any header, from far."""

    def __init__(self, lab):
        with lab.far:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, packet, source="198.51.100.7", to=NEAR4, ttl=64, offset=0):
        proto, data = packet
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 1, offset, ttl, proto, 0,
                             socket.inet_aton(source), socket.inet_aton(to))
        self.socket.sendto(header + data, (to, 0))

    def close(self):
        self.socket.close()


def rules(lab):
    return {rule["name"]: rule for rule in lab.read("drop", "show")["rules"]}


def dropped(lab):
    return lab.stats()["rule"]


# ---- conditions ----

# What the rule says, the packets that meet it, and those that miss it by one thing.
CONDITIONS = (
    ("proto udp sport 123", dict(packet=udp(sport=123)),
     [dict(packet=udp(sport=124)), dict(packet=tcp(0x10, sport=123))]),
    ("sport 53,123,1000-2000", dict(packet=tcp(0x10, sport=2000)), [dict(packet=udp(sport=2001))]),
    ("dport 1000-2000", dict(packet=udp(dport=1000)), [dict(packet=udp(dport=999))]),
    ("proto udp length 46", dict(packet=udp()), [dict(packet=udp(data=b"x" * 19))]),
    ("length 400-500", dict(packet=udp(data=b"x" * 440)), [dict(packet=udp(data=b"x" * 600))]),
    ("ip-ttl 52", dict(packet=udp(), ttl=52), [dict(packet=udp(), ttl=53)]),
    ("flags syn,ack/syn,ack,fin,rst", dict(packet=tcp(0x12)),
     [dict(packet=tcp(0x02)), dict(packet=tcp(0x10)), dict(packet=udp())]),
    ("icmp-type echo-request", dict(packet=icmp(8)), [dict(packet=icmp(0)), dict(packet=udp())]),
    ("icmp-type 8", dict(packet=icmp(8)), [dict(packet=icmp(13)), dict(packet=udp())]),
    ("proto udp fragment", dict(packet=fragment(), offset=4), [dict(packet=udp())]),
    ("payload 0 ffffffff", dict(packet=udp(data=b"\xff\xff\xff\xffgetstatus")),
     [dict(packet=udp(data=b"\xff\xff\xff\xfegetstatus")), dict(packet=udp(data=b"\xff\xff\xff"))]),
    ("payload 2 20/f0", dict(packet=udp(data=b"ab\x2fd")), [dict(packet=udp(data=b"ab\x3fd"))]),
    ("payload 1 62", dict(packet=tcp(0x18, data=b"abc")), [dict(packet=tcp(0x18, data=b"bac"))]),
    ("l4 14 0000", dict(packet=tcp(0x10, window=0)), [dict(packet=tcp(0x10, window=1))]),
    ("from 198.51.100.0/25", dict(packet=udp(), source="198.51.100.127"),
     [dict(packet=udp(), source="198.51.100.128")]),
    ("to 192.0.2.1 proto udp length 46", dict(packet=udp()), [dict(packet=udp(data=b"x"))]),
)


def try_condition(lab, sender, match, hit, misses):
    lab.weir("drop", "flush", expect=None)
    lab.weir("drop", "add", "one", *match.split(), "force")
    before, stats = dropped(lab), lab.stats().packets
    for _ in range(COUNT):
        for packet in (hit, *misses):
            sender.send(**packet)
    sent = COUNT * (1 + len(misses))
    wait_for(lambda: lab.stats().packets >= stats + sent, 3)
    rule, seen = rules(lab)["one"], lab.stats().packets - stats
    check(rule["packets"] == COUNT and dropped(lab) - before == COUNT and seen >= sent,
          f"drop {match}", f"{rule['packets']} of {COUNT} dropped that meet it, {seen} came, "
          f"{COUNT * len(misses)} miss it")


def test_conditions(lab):
    lab.attach()
    sender = Sender(lab)
    for match, hit, misses in CONDITIONS:
        try_condition(lab, sender, match, hit, misses)
    lab.weir("drop", "flush")
    lab.weir("drop", "add", "one", "proto", "icmp", "length", "20-200")
    for kind in (3, 11, 8):
        sender.send(icmp(kind))
    check(wait_for(lambda: rules(lab)["one"]["packets"] == 1, 3) and
          lab.stats()["no-limit"] >= 2, "ICMP errors are never dropped",
          f"of types 3, 11 and 8: {rules(lab)['one']['packets']} dropped")
    sender.close()


def test_ipv6(lab):
    lab.use_ipv6()
    lab.attach()
    lab.weir("drop", "add", "six", "to", f"{NEAR6}/128", "proto", "udp", "sport", 1000, "ip-ttl",
             "60-64", "payload", 0, "6162")
    lab.weir("drop", "add", "four", "to", f"{NEAR4}/32", "proto", "udp", "sport", 1000)
    receiver = Receiver(lab.near, family=socket.AF_INET6)
    with lab.far:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind((FAR6, 1000))
    for data in (b"abcd", b"acbd"):
        for hops in (64, 65):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
            for _ in range(COUNT):
                sock.sendto(data, (NEAR6, UDP_PORT))
    sock.close()
    came, found = len(receiver.stop()), rules(lab)
    check(came == 3 * COUNT and found["six"]["packets"] == COUNT and not found["four"]["packets"],
          "a rule for IPv6", f"{found['six']['packets']} dropped, {came} of {4 * COUNT} arrived")


# ---- who is spared ----

def arrive(lab, source):
    """How many of COUNT datagrams from port 123 of this address of far arrive."""
    receiver = Receiver(lab.near)
    with lab.far:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((source, 123))
    for _ in range(COUNT):
        sock.sendto(b"x" * 18, (NEAR4, UDP_PORT))
    sock.close()
    return len(receiver.stop())


def import_known(lab, address, *words):
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"{address}\n")
        file.flush()
        lab.weir("known", "import", file.name, *words)


def test_spared(lab):
    stranger, seen, proven = (f"198.51.100.{n}" for n in (10, 11, 12))
    lab.attach()
    for address in (stranger, seen, proven):
        lab.far.run("ip", "address", "add", f"{address}/32", "dev", "lo")
    import_known(lab, seen, "as", "seen")
    import_known(lab, proven)
    for spare, passes in (("known", (0, 1, 1)), ("proven", (0, 0, 1)), ("none", (0, 0, 0))):
        lab.weir("drop", "flush", expect=None)
        lab.weir("drop", "add", "one", "sport", 123, "spare", spare)
        came = tuple(arrive(lab, address) for address in (stranger, seen, proven))
        rule = rules(lab)["one"]
        wanted = tuple(COUNT * each for each in passes)
        check(came == wanted and rule["spared"] == sum(wanted) and
              rule["packets"] == 3 * COUNT - sum(wanted), f"spare {spare}",
              f"{came} of {COUNT} each arrive of a stranger, a seen and a proven source")
    lab.weir("drop", "flush")
    lab.weir("drop", "add", "watch", "sport", 123, "monitor")
    came, rule = arrive(lab, stranger), rules(lab)["watch"]
    check(came == COUNT and rule["packets"] == COUNT and rule["monitor"], "monitor",
          f"{came} arrive, {rule['packets']} would drop")


def test_connection(lab):
    """An established connection goes on under a rule that drops all segments, and no new one begins;
    what proved its source is noted, so that its UDP passes, too."""
    lab.attach()
    with lab.near:
        listener = socket.create_server((NEAR4, PORT))
    with lab.far:
        client = socket.create_connection((NEAR4, PORT), timeout=10)
        late = socket.socket()
    server, _ = listener.accept()
    server.settimeout(10)
    lab.weir("drop", "add", "all", "proto", "tcp", "length", "20-1500", "force")
    for _ in range(50):
        client.sendall(b"x")
        demand(server.recv(1) == b"x", "the connection does not go on")
    late.settimeout(1.5)
    late.bind((FAR4, 0))
    rule, tier = rules(lab)["all"], lab.read("known", "show", FAR4)["sources"][0]["tier"]
    check(rule["spared"] >= 50 and not rule["packets"] and tier == "proven",
          "a connection of this host goes on", f"50 bytes, {rule['spared']} segments spared, its "
          f"source is {tier}")
    sender = Sender(lab)
    for _ in range(COUNT):
        sender.send(tcp(0x10, dport=PORT))
    check(wait_for(lambda: rules(lab)["all"]["packets"] == COUNT, 3),
          "segments of no connection drop", f"{rules(lab)['all']['packets']} of {COUNT}")
    for sock in (client, server, late, listener):
        sock.close()
    sender.close()


# ---- rates and ends ----

def test_rate(lab):
    lab.attach()
    lab.weir("drop", "add", "slow", "proto", "udp", "dport", UDP_PORT, "rate", "1000pps")
    receiver = Receiver(lab.near)
    flood = lab.start_flood("to", NEAR4, "from", "198.51.100.0/24", "sources", 200, "pps", 10000,
                            "seconds", 3, "threads", 2, "cpu", 0)
    run("chrt", "-a", "-r", "-p", 10, flood.process.pid)
    flood.wait()
    times = receiver.stop()
    demand(times, f"nothing arrived of {flood}")
    check_rate("a rule with a rate, 200 sources on two CPUs", flood, times, 1000, 100)
    rule = rules(lab)["slow"]
    check(rule["passed"] == len(times) and rule["packets"] == flood.packets - len(times) -
          lab.lost(), "the rule counts both", f"{rule['passed']} passed, {rule['packets']} dropped")


def stored_rules():
    """The names in the policy in force, ended ones included: they stand where nothing else looks
    like them."""
    data = b""
    for pin in sorted((PINS / "sides").glob("policy*")):
        dump = json.loads(run("bpftool", "-j", "map", "dump", "pinned", pin).out)
        data += bytes(int(byte, 16) for byte in dump[0]["value"])
    return {name for name in (b"brief", b"long") if name + b"\0" * 8 in data}


def test_end(lab):
    """A rule ends by itself, and the daemon removes what is left of it."""
    lab.attach()
    lab.weir("drop", "add", "brief", "sport", 123, "ttl", "2s")
    lab.weir("drop", "add", "long", "sport", 124, "ttl", "10m")
    lab.far.run("ip", "address", "add", "198.51.100.10/32", "dev", "lo")
    before, left = arrive(lab, "198.51.100.10"), rules(lab)["brief"]["ttl_seconds"]
    time.sleep(2.1)
    after, found = arrive(lab, "198.51.100.10"), rules(lab)
    check(not before and after == COUNT and list(found) == ["long"] and 0 < left <= 2,
          "a rule ends by itself", f"{before}, then {after} of {COUNT} arrive; {left} s were left")
    prepare(lab)
    daemon = Daemon(lab)
    gone = wait_for(lambda: stored_rules() == {b"long"}, 20)
    check(gone, "the daemon removes a rule that has ended", stored_rules())
    daemon.stop()


# ---- settings ----

SAVED = (
    "drop add a proto udp sport 53,123,1900 length 400-1500 rate 1000pps force",
    "drop add b to 192.0.2.1/32 proto tcp flags syn/fin,syn,rst,ack spare proven monitor ttl 10m force",
    "drop add c proto icmp icmp-type 8 force",
    "drop add d from 198.51.100.0/24 proto udp fragment rate 10mbit spare none force",
    "drop add e ip-ttl 30-64 payload 0 ffff0000/ffff00ff l4 4 0026 force",
)


def restore(lab, text, *words, expect=0):
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(text + "\n")
        file.flush()
        return lab.weir("restore", file.name, *words, expect=expect)


def test_save(lab):
    lab.attach()
    restore(lab, "\n".join(SAVED), "check")
    restore(lab, "\n".join(SAVED))
    saved = lab.weir("save").out
    check(all(line in saved for line in SAVED), "rules are saved as they were set", saved)
    sender = Sender(lab)
    for _ in range(COUNT):
        sender.send(icmp(8))
    sender.close()
    check("unchanged" in restore(lab, saved).err and rules(lab)["c"]["packets"] == COUNT,
          "the same file changes nothing, and counts stay", rules(lab)["c"]["packets"])
    metric = 'weir_rule_dropped_packets_total{rule="c",mode="drop"} '
    lines = [line for line in lab.weir("metrics").out.splitlines() if line.startswith(metric)]
    check(lines == [f"{metric}{COUNT}"], "the metrics have what each rule dropped", lines)
    wrong = restore(lab, saved + "drop add f sport 70000\n", expect=1)
    check(":7: " in wrong.err and len(rules(lab)) == 5 and lab.weir("save").out == saved,
          "a wrong line changes nothing", wrong.err)
    lab.weir("drop", "del", "b")
    restore(lab, saved)
    check(list(rules(lab)) == ["a", "b", "c", "d", "e"] and rules(lab)["c"]["packets"] == COUNT,
          "what was missing comes back", ", ".join(rules(lab)))
    shown = lab.weir("drop", "show").out
    check(all(name in shown for name in ("sport 53,123,1900", "rate 1000pps", "monitor")) and
          max(map(len, shown.splitlines())) <= 80, "drop show", f"{len(shown)} bytes")


@contextlib.contextmanager
def resolver(address):
    """The host asks this DNS server, as far as this process and its children can see."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"nameserver {address}\n")
        file.flush()
        run("mount", "--bind", file.name, "/etc/resolv.conf")
        try:
            yield
        finally:
            run("umount", "/etc/resolv.conf")


def test_guards(lab):
    lab.attach()
    said = [lab.weir("drop", "add", "x", *words.split(), expect=1).err for words in
            ("proto udp", "proto tcp to 192.0.2.0/24", "length 20-1500")]
    check(all("force" in each for each in said), "a rule that says hardly anything asks for force",
          said[0])
    lab.weir("drop", "add", "x", "proto", "udp", "force")
    lab.weir("drop", "add", "x", "proto", "udp", "monitor")
    lab.weir("drop", "flush")
    if not os.path.exists("/etc/resolv.conf"):
        open("/etc/resolv.conf", "w", encoding="utf-8").close()
    with resolver("203.0.113.53"):
        refused = lab.weir("drop", "add", "dns", "proto", "udp", "sport", 53, expect=1)
        lab.weir("drop", "add", "dns", "proto", "udp", "sport", 53, "length", "1000-1500")
        some = lab.weir("drop", "add", "none", "proto", "udp", "sport", 53, "length", "1000-1500",
                        "spare", "none", expect=1)
        lab.weir("allow", "add", "203.0.113.53")
        lab.weir("drop", "add", "dns", "proto", "udp", "sport", 53)
    check("203.0.113.53" in refused.err and "203.0.113.53" in some.err,
          "answers of the host's own resolver are guarded", refused.err)


def test_guard_of_restore(lab):
    """The file's lines say `force`, as those of `save` do; `restore` asks all the same, once."""
    lab.attach()
    line = "drop add dns proto udp sport 53 force"
    if not os.path.exists("/etc/resolv.conf"):
        open("/etc/resolv.conf", "w", encoding="utf-8").close()
    with resolver("203.0.113.53"):
        told = restore(lab, line, "check")
        refused, ssh = restore(lab, line, expect=1), restore(lab, line, "force", "ssh", expect=1)
        nothing = rules(lab)
        restore(lab, line + "\nallow add 203.0.113.53")
        lab.weir("drop", "flush")
        restore(lab, line, "force")
        again = restore(lab, line + "\ndrop add ntp proto udp sport 123")
    said = [each.err.replace("\n", " ") for each in (told, refused, ssh)]
    check(all("203.0.113.53" in each and "force" in each for each in said) and not nothing,
          "restore asks before a rule drops the answers of the host's own resolver", said[1])
    check(set(rules(lab)) == {"dns", "ntp"}, "with force, where it is allowed, and where the rule is in "
          "force already, it does not ask", again.err)


def test_check(lab):
    """What `check` says of packets, and what becomes of them."""
    lab.attach()
    lab.weir("drop", "add", "ntp", "proto", "udp", "sport", 123, "length", 468)
    lab.weir("drop", "add", "query", "payload", 0, "ffffffff", "force")
    lab.weir("drop", "add", "zero", "flags", "syn/syn,ack", "ip-ttl", "60-64", "spare", "none",
             "force")
    rows = (
        ("proto udp sport 123 length 468", "drop", "ntp"), ("proto udp sport 123", "pass", None),
        ("proto udp sport 124 length 468", "pass", None),
        ("proto udp payload ffffffff67", "drop", "query"), ("proto udp payload ffff", "pass", None),
        ("syn dport 80", "drop", "zero"), ("syn ip-ttl 65", "pass", None),
        ("flags syn", "drop", "zero"), ("flags syn,ack", "pass", None),
    )
    for words, action, name in rows:
        found = lab.read("check", "198.51.100.7", *words.split())
        check(found["action"] == action and (not name or (found["reason"] == "rule" and
              found["rule"].startswith(f"drop {name}: "))), f"check {words}",
              f"{found['action']}, {found['reason']} ({found['rule']})")


def test_change_under_traffic(lab):
    """Two sets of rules that drop all of a flood between them, and no part of them does: while one
    replaces the other, no packet may pass."""
    sets = ("drop add a proto udp sport 1-32767 force\ndrop add b proto udp sport 32768-65535 force",
            "drop add c dport 9 length 20-63 force\ndrop add d dport 9 length 64-1500 force\n"
            "drop add e dport 9 ip-ttl 0-32 force")
    lab.attach()
    restore(lab, sets[0], "force")  # ports of DNS servers are among them
    flood = lab.start_flood("to", NEAR4, "from", "198.51.100.0/24", "sources", "random", "sport",
                            "random", "pps", 60000, "seconds", SWITCH_S)
    changes, until = 0, time.monotonic() + SWITCH_S - 0.5
    while time.monotonic() < until:
        changes += 1
        restore(lab, sets[changes % 2], "force")
    flood.wait()
    wait_for(lambda: lab.stats().packets >= flood.packets - lab.lost(), 3)
    stats = lab.stats()
    check(stats["rule"] == stats.packets and changes >= 5, "no packet is judged by half of the rules",
          f"{changes} sets in turn, {stats.packets} packets, {stats.packets - stats['rule']} passed")


if __name__ == "__main__":
    run_tests(__name__)
