# SPDX-License-Identifier: GPL-2.0-only
"""DNS: real resolvers and a real server behind weir. What is not proven comes by TCP, and by UDP
from then on; a flood of spoofed queries does not reach the server."""
import functools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from stage import (FAR4, FAR6, NEAR4, NEAR6, check, demand, run, run_tests, skip, wait_for)
from unbound import COMMON, UNBOUND

NAMED = shutil.which("named") or "/usr/sbin/named"
KRESD = shutil.which("kresd") or "/usr/sbin/kresd"
ANSWER = "203.0.113.53"     # of every name in example.com
SPOOFED = ("proto", "dns", "from", "198.18.0.0/15", "sources", "random", "sport", "random")
# Addresses of far, each of a resolver of its own: none profits from the proof of another one.
DIG, PLAIN, FORWARDER, BIND, KNOT, LATE = (f"198.51.100.{n}" for n in (10, 11, 20, 30, 40, 50))

SERVER = COMMON + f"""
server:
  directory: "{{folder}}"
  ip-freebind: yes
  interface: {NEAR4}
  interface: {NEAR6}
  interface: 127.0.0.1
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  minimal-responses: yes
  local-zone: "example.com." redirect
  local-data: "example.com. 1 A {ANSWER}"
  local-data: "example.com. 1 AAAA 2001:db8::53"
"""

RESOLVER = COMMON + """
server:
  directory: "{folder}"
  interface: 127.0.0.1
  outgoing-interface: {source}
  do-ip6: no
  do-not-query-localhost: no
  cache-max-ttl: 0
forward-zone:
  name: "."
  forward-addr: {server}
"""

BIND_OPTIONS = """
options {{
  directory "{folder}"; pid-file none; session-keyfile none; recursion yes; dnssec-validation no;
  listen-on port 53 {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; max-cache-ttl 0;
  query-source address {source}; forward only; forwarders {{ {server}; }};
}};
controls {{ }};
"""

KNOT_LUA = """
net.listen('127.0.0.1', 53, {{ kind = 'dns' }})
net.outgoing_v4('{source}')
trust_anchors.remove('.')
cache.size = 1 * MB
policy.add(policy.all(policy.STUB('{server}')))
"""


def real(test):
    """Marks a test that needs a real server and dig."""
    def wrapped(lab):
        if not shutil.which(UNBOUND) or not shutil.which("dig"):
            skip(test.__name__, "unbound or dig (bind9-dnsutils) is not installed")
            return
        test(lab)
    return functools.wraps(test)(wrapped)


# ---- servers and resolvers ----

class Files:
    """A folder for the configurations; it ends with the test."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-dns-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name, text, **values):
        path = self.folder / name
        path.write_text(text.format(folder=self.folder, **values))
        return path


def listens(namespace, port=53):
    return f":{port} " in namespace.run("ss", "-tlnH").out


def start(lab, namespace, *words):
    with open(os.devnull, "wb") as nothing:
        lab.children.append(subprocess.Popen(
            namespace.command("setpriv", "--pdeathsig", "KILL", *map(str, words)),
            stdout=nothing, stderr=nothing))
    demand(wait_for(lambda: listens(namespace)), f"{words[0]} does not listen")


def stop_last(lab):
    child = lab.children.pop()
    child.kill()
    child.wait()


def serve(lab, files):
    """A real DNS server behind weir."""
    start(lab, lab.near, UNBOUND, "-d", "-c", files.write("server.conf", SERVER))


def up(lab, *words):
    """Attaches at both ends: a veth takes what its peer sends back at once only if it has XDP."""
    lab.attach(*words)
    lab.weir("-q", "attach", "dev", lab.far_dev, namespace=lab.far)
    for address in (DIG, PLAIN, FORWARDER, BIND, KNOT, LATE):
        lab.far.run("ip", "address", "add", f"{address}/32", "dev", "lo")
    # What goes back to spoofed sources must not be answered with ICMP.
    lab.near.run("ip", "route", "add", "198.18.0.0/15", "via", FAR4)


def stage(lab, files, *words, attach=()):
    """All of it, under a rule."""
    lab.use_ipv6()
    serve(lab, files)
    said = lab.weir("dns", "protect", *words)
    up(lab, *attach)
    return said


def snmp(lab):
    """What near's stack has counted."""
    with lab.near:
        lines = [line.split() for line in pathlib.Path("/proc/net/snmp").read_text().splitlines()]
        six = dict(line.split() for line in
                   pathlib.Path("/proc/net/snmp6").read_text().splitlines())
    count = {}
    for names, values in zip(lines[::2], lines[1::2]):
        count.update({names[0] + name: int(value) for name, value in zip(names[1:], values[1:])})
    return (count["Udp:InDatagrams"] + int(six["Udp6InDatagrams"]), count["Tcp:PassiveOpens"])


def dig(lab, *words, source=None, to=NEAR4, name="a.example.com"):
    bound = ("-b", source) if source else ()
    return lab.far.run("dig", *bound, f"@{to}", name, "A", "+tries=1", "+time=5", *words,
                       expect=None).out


# ---- each resolver ----

class Seen:
    """What one question made of the counters."""

    def __init__(self, lab, ask):
        before, at = lab.stats(), snmp(lab)
        began = time.monotonic()
        self.good = ask()
        self.ms = (time.monotonic() - began) * 1000
        after, then = lab.stats(), snmp(lab)
        self.truncated = after["dns-truncated"] - before["dns-truncated"]
        self.udp, self.tcp = then[0] - at[0], then[1] - at[1]

    def by_tcp(self):
        return self.good and self.truncated >= 1 and self.tcp >= 1

    def by_udp(self):
        return self.good and not self.truncated and not self.tcp and self.udp >= 1

    def __str__(self):
        return (f"{'answered' if self.good else 'no answer'} in {self.ms:.0f} ms, {self.truncated} "
                f"truncated, {self.tcp} connections, {self.udp} by UDP to the server")


def compare(lab, name, ask, begin=None):
    """The first question comes by TCP; what follows it, by UDP. @begin: starts what asks, which
    may ask something by itself."""
    first, second, third = (Seen(lab, each) for each in (lambda: (begin and begin(), ask())[1], ask, ask))
    check(first.by_tcp() and (begin or not first.udp) and second.by_udp() and third.by_udp(),
          f"{name}: by TCP at first, then by UDP", f"first {first}; second {second}; third {third}")


@real
def test_dig(lab):
    """With EDNS and a cookie, plain, and over IPv6; and what the answer looks like to dig."""
    with Files() as files:
        stage(lab, files, "always")
        said = dig(lab, "+ignore", "+qr", source=LATE)
        check("flags: qr tc rd ra;" in said and "EDNS: version: 0" in said and
              "QUERY: 1, ANSWER: 0, AUTHORITY: 0, ADDITIONAL: 1" in said and
              "mismatch" not in said and "Warning" not in said,
              "the answer as dig reads it", " ".join(line for line in said.splitlines()
                                                     if "flags" in line))
        said = dig(lab, "+ignore", "+cookie=0123456789abcdef00112233445566778899aabb", source=LATE)
        check("COOKIE: 0123456789abcdef00112233445566778899aabb" in said and
              "mismatch" not in said, "a full cookie comes back",
              " ".join(line for line in said.splitlines() if "COOKIE" in line))
        compare(lab, "dig", lambda: ANSWER in dig(lab, source=DIG))
        compare(lab, "dig without EDNS", lambda: ANSWER in dig(lab, "+noedns", source=PLAIN))
        compare(lab, "dig over IPv6", lambda: ANSWER in dig(lab, to=NEAR6))


@real
def test_getent(lab):
    """The stub resolver of glibc, which asks for A and AAAA from one socket."""
    with Files() as files:
        stage(lab, files, "always")
        conf = files.write("resolv.conf", "nameserver {server}\n", server=NEAR4)
        run("mount", "--bind", conf, "/etc/resolv.conf")
        try:
            compare(lab, "getent", lambda: ANSWER in lab.far.run(
                "getent", "ahostsv4", "b.example.com", expect=None).out)
        finally:
            run("umount", "/etc/resolv.conf")


def through(lab, name):
    """Asks a resolver of far, for a name that it has not in its cache."""
    number = iter(range(100))
    return lambda: ANSWER in dig(lab, to="127.0.0.1", name=f"{name}{next(number)}.example.com")


@real
def test_resolvers(lab):
    """Resolvers that forward to the server behind weir."""
    with Files() as files:
        stage(lab, files, "always")
        values = {"server": NEAR4}
        resolvers = (
            ("unbound", (UNBOUND, "-d", "-c",
                         files.write("unbound.conf", RESOLVER, source=FORWARDER, **values))),
            ("named", (NAMED, "-f", "-c",
                       files.write("named.conf", BIND_OPTIONS, source=BIND, **values))),
            ("kresd", (KRESD, "-n", "-c", files.write("kresd.conf", KNOT_LUA, source=KNOT, **values),
                       files.folder)))
        for name, words in resolvers:
            if not shutil.which(str(words[0])):
                skip(f"{name}: by TCP at first, then by UDP", f"{name} is not installed")
                continue
            compare(lab, f"{name} as a forwarder", through(lab, name),
                    functools.partial(start, lab, lab.far, *words))
            stop_last(lab)
            wait_for(lambda: not listens(lab.far))


# ---- floods ----

@real
def test_flood(lab):
    """Spoofed queries, of any source and of one: the server sees none, and each source gets few."""
    with Files() as files:
        stage(lab, files, "always")
        demand(ANSWER in dig(lab, source=DIG), "dig is not answered")
        lab.far.set("ipv4/icmp_ratelimit", 0)
        before, at = lab.stats(), snmp(lab)
        many = lab.flood(*SPOOFED, "pps", 50000, "seconds", 3, "to", NEAR4)
        after, then = lab.stats(), snmp(lab)
        answered = after["dns-truncated"] - before["dns-truncated"]
        dropped = after["dns-limit"] - before["dns-limit"]
        check(then[0] == at[0] and answered + dropped >= 0.98 * many.packets and answered,
              "spoofed queries from everywhere do not reach the server",
              f"{many}: {answered} answered here, {dropped} dropped, {then[0] - at[0]} to the server")
        before, at = lab.stats(), snmp(lab)
        began = time.monotonic()
        one = lab.flood("proto", "dns", "from", "203.0.113.7/32", "pps", 20000, "seconds", 3, "to",
                        NEAR4)
        after, then = lab.stats(), snmp(lab)
        answered = after["dns-truncated"] - before["dns-truncated"]
        most = 100 + 50 * (time.monotonic() - began) + 1
        check(then[0] == at[0] and 100 <= answered <= most,
              "spoofed queries in one name get few answers",
              f"{one}: {answered} answered, at most {most:.0f}; {then[0] - at[0]} to the server")


@real
def test_users_under_flood(lab):
    """A proven resolver, and one that is new, are answered while spoofed queries come."""
    with Files() as files:
        stage(lab, files, "always")
        demand(ANSWER in dig(lab, source=DIG), "dig is not answered")
        flood = lab.start_flood(*SPOOFED, "pps", 50000, "seconds", 30, "to", NEAR4)
        time.sleep(1)
        good = sum(ANSWER in dig(lab, "+notcp", source=DIG, name=f"p{n}.example.com")
                   for n in range(10))
        before = snmp(lab)
        late = sum(ANSWER in dig(lab, "+tries=3", "+time=2", source=LATE, name=f"n{n}.example.com")
                   for n in range(10))
        connections = snmp(lab)[1] - before[1]
        flood.stop()
        check(good >= 9 and late >= 9 and 1 <= connections <= 5, "resolvers under a flood",
              f"{flood}; {good} of 10 questions of a proven one answered, {late} of 10 of a new one, "
              f"with {connections} connections")


@real
def test_when_over_budget(lab):
    """In calm times nothing is truncated; beyond the budget, what is not proven is."""
    with Files() as files:
        lab.weir("budget", "set", "dns", "proto", "udp", "dport", 53, "rate", "200pps")
        stage(lab, files)
        calm = [Seen(lab, lambda: ANSWER in dig(lab, source=PLAIN)) for _ in range(3)]
        check(all(seen.by_udp() for seen in calm), "below the budget queries go to the server",
              "; ".join(map(str, calm)))
        at, before = snmp(lab), lab.stats()
        flood = lab.start_flood(*SPOOFED, "pps", 20000, "seconds", 30, "to", NEAR4)
        time.sleep(1)
        began = time.monotonic()
        good = sum(ANSWER in dig(lab, "+tries=3", "+time=2", source=DIG, name=f"q{n}.example.com")
                   for n in range(20))
        took = time.monotonic() - began
        flood.stop()
        then, after = snmp(lab), lab.stats()
        udp = then[0] - at[0]
        check(good >= 19 and udp <= 200 * (flood.seconds + 3) and
              after["dns-truncated"] > before["dns-truncated"],
              "beyond the budget resolvers come by TCP",
              f"{flood}: {udp} queries reached the server by UDP, of 200 a second, "
              f"{after['dns-truncated'] - before['dns-truncated']} truncated, {good} of 20 questions "
              f"answered in {took:.1f} s, {then[1] - at[1]} connections")


# ---- the commands ----

def listen(namespace, address, kind=socket.SOCK_STREAM, port=53):
    with namespace:
        sock = socket.socket(socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


def test_refusals(lab):
    """Each refusal names its cause and remedy, and sets nothing."""
    lab.up()
    said = lab.weir("dns", "protect", "always", expect=1).err
    check("nothing listens on TCP port 53" in said and "serve TCP" in said, "no server listens",
          said.strip())
    with listen(lab.near, "127.0.0.1"):
        said = lab.weir("dns", "protect", "always", expect=1).err
        check("nothing listens on TCP port 53" in said, "a server for this host only", said.strip())
    with listen(lab.near, NEAR4):
        said = lab.weir("dns", "protect", expect=1).err
        check("no budget applies to UDP port 53" in said and "weir budget set" in said,
              "no budget", said.strip())
        said = lab.weir("dns", "protect", "always", "to", "203.0.113.1", expect=1).err
        check("nothing listens on TCP port 53 of 203.0.113.1" in said and "router" in said,
              "another host's address", said.strip())
        lab.near.set("ipv4/ip_forward", 1)
        said = lab.weir("dns", "protect", "always", expect=1).err
        check("ip_forward" in said and "to ADDRESS" in said, "a host that forwards", said.strip())
        check(not pathlib.Path("/sys/fs/bpf/weir/meta").exists() or
              lab.read("dns", "show") == {"protected": []}, "refused rules are not set", "none")
        done = lab.weir("dns", "protect", "always", "to", NEAR4)
        check("nothing listens on UDP" in done.out + done.err, "no server of UDP is a remark",
              (done.out + done.err).strip())
        with listen(lab.near, NEAR4, socket.SOCK_DGRAM):
            done = lab.weir("dns", "protect", "always", "to", NEAR4)
            check("nothing listens" not in done.out + done.err, "a server of both is protected",
                  done.out.strip())
    shown = lab.weir("dns", "show")
    check("nothing listens on TCP" in shown.err, "a server that went away", shown.err.strip())
    lab.weir("dns", "protect", "dport", 5353, "always", "force")
    said = lab.weir("dns", "protect", "always", "when-over-budget", expect=2).err
    check("not both" in said, "two words that exclude each other", said.splitlines()[0])
    said = lab.weir("dns", "protect", "dport", "53-54", expect=2).err
    check("one port" in said, "a range", said.splitlines()[0])


def test_commands(lab):
    """Set, shown, saved, restored, and removed by the words that set it."""
    lab.attach()
    rules = [("to", NEAR4, "always"), ("dport", 5353, "always"),
             ("to", "2001:db8::/64", "when-over-budget"), ("when-over-budget",)]
    for words in rules:
        lab.weir("dns", "protect", *words, "force")
    shown = lab.read("dns", "show")["protected"]
    wanted = [{"port": 53, "to": "192.0.2.1/32", "when": "always"},
              {"port": 5353, "to": "any", "when": "always"},
              {"port": 53, "to": "2001:db8::/64", "when": "when-over-budget"},
              {"port": 53, "to": "any", "when": "when-over-budget"}]
    check(shown == wanted, "dns show", json.dumps(shown))
    saved = lab.weir("save").out
    lines = [line for line in saved.splitlines() if line.startswith("dns ")]
    check(len(lines) == 4 and all(line.endswith(" force") for line in lines), "save",
          "; ".join(lines))
    for words in (("to", NEAR4), ("dport", 5353), ("to", "2001:db8::/64"), ()):
        lab.weir("dns", "del", *words)
    check(lab.read("dns", "show") == {"protected": []}, "dns del", "none is left")
    said = lab.weir("dns", "del", "to", NEAR4, expect=1).err
    check("no rule for port 53 of 192.0.2.1" in said, "dns del of what is not there", said.strip())
    lab.weir("restore", "-", text_in=saved)
    check(lab.read("dns", "show")["protected"] == wanted and lab.weir("save").out == saved,
          "restore", "the same four")


@real
def test_check(lab):
    """`weir check` knows what would happen to a query, and says by which rule."""
    with Files() as files:
        stage(lab, files, "always")
        query = ("check", DIG, "proto", "udp", "dport", 53, "to", NEAR4)
        said = lab.read(*query)
        check(said["reason"] == "dns-truncated" and said["action"] == "tx" and
              said["rule"].startswith("dns protect dport 53 always"), "a source without proof",
              json.dumps(said))
        text = lab.weir(*query).out
        check("dns-truncated" in text, "the same as text", text.strip())
        said = lab.read("check", FAR6, "proto", "udp", "dport", 53, "to", NEAR6)
        check(said["reason"] == "dns-truncated", "IPv6", json.dumps(said))
        demand(ANSWER in dig(lab, source=DIG), "dig is not answered")
        said = lab.read(*query)
        check(said["reason"] == "no-limit", "once it is proven", json.dumps(said))
        said = lab.read("check", DIG, "proto", "udp", "dport", 54, "to", NEAR4)
        check(said["reason"] == "no-limit", "another port", json.dumps(said))


@real
def test_monitor(lab):
    """In monitor mode each query goes to the server, and is counted as what it would be."""
    with Files() as files:
        stage(lab, files, "always", attach=("monitor",))
        seen = Seen(lab, lambda: ANSWER in dig(lab, source=DIG))
        monitored = lab.stats().reasons["dns-truncated"]["monitored"]
        check(seen.good and seen.udp and not seen.tcp and monitored == 1, "monitor mode",
              f"{seen}; {monitored} monitored")


if __name__ == "__main__":
    run_tests(__name__)
