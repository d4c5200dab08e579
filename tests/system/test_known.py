# SPDX-License-Identifier: GPL-2.0-only
"""Known sources by their tiers: what proves that a source is there, and what anybody can forge."""
import contextlib
import json
import os
import pathlib
import socket
import tempfile
import threading
import time

from daemon import Daemon, prepare
from stage import FAR4, FAR6, NEAR4, NEAR6, Namespace, check, demand, run_tests

PORT = 8080
ENOUGH = 400        # of one request and its answer: the program looks at one packet in 64
INNER4, ROUTER4 = "198.18.0.2", "198.18.0.1"
VERSION = "# weir known sources, version 2"


@contextlib.contextmanager
def brief_minutes():
    """Minutes of 134 ms in the table of known sources, for maps that are made meanwhile."""
    os.environ["WEIR_MINUTE_SHIFT"] = "27"
    try:
        yield
    finally:
        del os.environ["WEIR_MINUTE_SHIFT"]


class Echo:
    """A TCP server that sends back what it gets, one connection after the other."""

    def __init__(self, namespace, address):
        with namespace:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, PORT))
        self.socket.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(64):
                    connection.sendall(data)

    def close(self):
        self.socket.close()


def talk(namespace, to, count=ENOUGH):
    """One connection, and @count requests that are answered: so many segments at least."""
    with namespace:
        sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(20)
    sock.connect((to, PORT))
    for _ in range(count):
        sock.sendall(b"x")
        demand(sock.recv(1) == b"x", "the server sends back something else")
    sock.close()


def read_any(lab, *words):
    """The JSON of a command that may answer no."""
    return json.loads(lab.weir("-j", *words, expect=None).out)


def tiers(lab, *addresses):
    return [each["tier"] for each in read_any(lab, "known", "show", *addresses)["sources"]]


def proof(lab):
    return lab.read("show", "status")["devices"][0]["proof"]


def flat(text):
    """Text as it was before it was wrapped."""
    return " ".join(text.split())


def test_connections(lab):
    """A client with a connection is proven; packets in the name of others make those seen."""
    with brief_minutes():
        lab.use_ipv6()
        lab.attach()
        for near, far in ((NEAR4, FAR4), (NEAR6, FAR6)):
            with contextlib.closing(Echo(lab.near, near)):
                talk(lab.far, near)
            check(tiers(lab, far) == ["proven"], f"a client of {near} is proven", tiers(lab, far))
        lab.flood("to", NEAR4, "from", "203.0.113.0/24", "sources", 4, "proto", "tcp", "dport", PORT,
                  "pps", 4000, "seconds", 2)
        spoofed = [f"203.0.113.{i}" for i in range(4)]
        check(set(tiers(lab, *spoofed)) == {"seen"}, "packets in their name make sources seen, no more",
              tiers(lab, *spoofed))
        shown = lab.read("known", "show")
        check((shown["proven"], shown["seen"], shown["long"], shown["known"]) == (2, 4, 0, 6),
              "known show counts them by tier", shown)
        check(proof(lab) == "possible" and "connection of this host" not in
              lab.weir("show", "status").out, "this device sees the connections", proof(lab))
        said = flat(lab.weir("known", "show", FAR4, spoofed[0]).out)
        check(f"{FAR4}: known, proven" in said and "proof given less than" in said and
              f"{spoofed[0]}: known, seen" in said and "without proof" in said, "and says so in words",
              said)
        unknown = lab.weir("known", "show", "203.0.113.200", expect=1)
        check("203.0.113.200: not known" in unknown.out, "an address that is not known: status 1",
              unknown.out.strip())


def test_udp(lab):
    """UDP proves nothing, and the operator is told."""
    with brief_minutes():
        lab.attach()
        lab.flood("to", NEAR4, "from", "198.51.100.0/24", "sources", 8, "pps", 25000, "count", 90000)
        clients = [f"198.51.100.{i}" for i in range(8)]
        check(set(tiers(lab, *clients)) == {"seen"}, "sources of UDP become seen",
              tiers(lab, *clients))
        for command in ("status", "health"):
            said = flat(lab.weir("show", command).out)
            check("near0: hardly any of its packets is TCP" in said and "weir known import" in said,
                  f"show {command} says that none can prove itself", said)
        devices = lab.read("show", "health")["devices"]
        check(proof(lab) == devices[0]["proof"] == "no-tcp", "and JSON does", devices)


def make_router(lab, inner):
    """Far reaches @inner through near, which forwards."""
    lab.near.run("ip", "link", "add", "near1", "type", "veth", "peer", "name", "inner0", "netns",
                 inner.name)
    lab.near.run("ip", "address", "add", f"{ROUTER4}/24", "dev", "near1")
    lab.near.run("ip", "link", "set", "near1", "up")
    inner.run("ip", "address", "add", f"{INNER4}/24", "dev", "inner0")
    inner.run("ip", "link", "set", "inner0", "up")
    inner.run("ip", "route", "add", "default", "via", ROUTER4)
    lab.near.set("ipv4/ip_forward", 1)
    lab.far.run("ip", "route", "add", "198.18.0.0/24", "via", NEAR4)


def test_router(lab):
    """A server in a namespace behind this one: its clients cannot prove themselves here."""
    inner = Namespace(f"{lab.near.name}-inner")
    try:
        with brief_minutes():
            lab.attach()
            make_router(lab, inner)
            with contextlib.closing(Echo(inner, INNER4)):
                talk(lab.far, INNER4, 200)
                check(proof(lab) == "unknown" and "connection of this host" not in
                      lab.weir("show", "status").out, "a few packets say nothing", proof(lab))
                for _ in range(4):      # in different minutes, however fast this machine is
                    talk(lab.far, INNER4, 2500)
                    time.sleep(0.15)
        check(tiers(lab, FAR4) == ["seen"], "its client is seen at most", tiers(lab, FAR4))
        for command in ("status", "health"):
            said = flat(lab.weir("show", command).out)
            check("near0: of " in said and "none belongs to a connection of this host" in said and
                  "other hosts or network namespaces" in said and "weir known import" in said,
                  f"show {command} says so, and what to do", said)
        check(proof(lab) == "elsewhere", "and JSON does", proof(lab))
        lab.weir("known", "import", "-", text_in=f"{FAR4}\n")
        check(tiers(lab, FAR4) == ["proven"], "the remedy: a person vouches for the client",
              tiers(lab, FAR4))
    finally:
        inner.remove()


def test_files(lab):
    """Export and import keep the tiers, and sources that were only seen are left out."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-known-"))
    plain, kept, later = folder / "plain", folder / "kept", folder / "later"
    plain.write_text(f"{VERSION}\n203.0.113.1\n203.0.113.2 # long\n2001:db8:7::/64 # long\n")
    sources = ("203.0.113.1", "203.0.113.2", "2001:db8:7::1", "203.0.113.9")
    lab.weir("known", "import", plain)
    said = lab.weir("known", "import", "-", "as", "seen", text_in="203.0.113.9\n203.0.113.2\n").out
    check(tiers(lab, *sources) == ["proven", "long", "long", "seen"] and "as seen" in said,
          "import: as the file says, or as seen; which takes no proof away", tiers(lab, *sources))
    lab.weir("known", "export", kept)
    lines = kept.read_text().splitlines()
    check(lines[0] == VERSION and sorted(lines[1:]) == sorted(plain.read_text().splitlines()[1:]),
          "export: the version, and proven sources only", lines)
    check(lab.weir("known", "export", "-").out == kept.read_text(), "also to standard output",
          f"{kept.stat().st_size} bytes")
    lab.weir("detach", "all")
    lab.weir("known", "import", kept)
    check(tiers(lab, *sources) == ["proven", "long", "long", "none"], "and over again",
          tiers(lab, *sources))
    lab.weir("list", "load", "customers", "file", kept)
    check(lab.weir("block", "test", "203.0.113.2").status == 0, "it is a list, too", "loaded")
    later.write_text("# weir known sources, version 3\n203.0.113.50\n")
    refused = lab.weir("known", "import", later, expect=1).err
    check("version 3" in refused and tiers(lab, "203.0.113.50") == ["none"],
          "a file of a later version is refused", refused.strip())
    wrong = lab.weir("known", "import", plain, "as", "proven", expect=2).err
    check("as:" in wrong and "seen" in wrong, "as: a wrong word is named", wrong.strip())


def restart_with(lab, daemon, known, text):
    """As after a reboot: no maps, and a file from before."""
    daemon.stop()
    lab.weir("detach", "all", expect=None)
    known.write_text(text)
    os.utime(known, (1, 1))
    daemon.start()


def test_migration(lab):
    """What an earlier weir saved had sources that anybody could have put there: they are no proof."""
    known = pathlib.Path(tempfile.mkdtemp(prefix="weir-known-")) / "known"
    prepare(lab)
    daemon = Daemon(lab, state={"known": known})
    both = ("203.0.113.1", "2001:db8:7::1")
    restart_with(lab, daemon, known, "203.0.113.1\n2001:db8:7::/64\n")
    check(tiers(lab, *both) == ["seen", "seen"] and daemon.says("earlier weir.*restored as seen"),
          "the file of an earlier weir is restored as seen, and the journal says so",
          daemon.says("earlier weir"))
    lab.weir("known", "import", "-", text_in="203.0.113.1\n")
    daemon.stop()
    check(known.read_text().splitlines() == [VERSION, "203.0.113.1"],
          "what is saved then is what was proven", known.read_text())
    restart_with(lab, daemon, known, known.read_text())
    check(tiers(lab, *both) == ["proven", "none"] and not daemon.says("earlier weir"),
          "and that is restored as proven", tiers(lab, *both))
    restart_with(lab, daemon, known, "")
    check(daemon.says("restored known") and not daemon.says("earlier weir|cannot restore"),
          "an empty one is no broken one", daemon.says("known"))
    restart_with(lab, daemon, known, "# weir known sources, version 9\n203.0.113.1\n")
    daemon.stop()
    check(daemon.says("cannot restore") and "version 9" in known.read_text(),
          "one of a later weir is not restored, and is kept", daemon.says("version 9"))


def test_full_table(lab):
    """Where the lines are full of proven sources, a further one that proves itself is told of."""
    lab.attach()
    lab.weir("known", "import", "-", text_in="".join(f"10.{i}.0.0/16\n" for i in range(128)))
    before = lab.read("show", "status")
    with contextlib.closing(Echo(lab.near, NEAR4)):
        talk(lab.far, NEAR4)
    shown = lab.read("known", "show")
    check(shown["no_room"] > 0 and tiers(lab, FAR4) == ["none"], "it found no room, which is counted",
          shown)
    health = lab.read("show", "health")["known"]
    check(health["full"] and health["no_room"] == shown["no_room"] and not before["known_full"] and
          lab.read("show", "status")["known_full"], "health and status know", health)
    for command in ("status", "health"):
        said = flat(lab.weir("show", command).out)
        check("ALARM: the table of known sources is full" in said, f"show {command}: an alarm", said)
    metrics = lab.weir("metrics").out
    proven = [line for line in metrics.splitlines() if line.startswith('weir_known_sources{')]
    check(f"weir_known_no_room_total {shown['no_room']}" in metrics, "metrics have it", proven)
    estimate = int(proven[1].split()[-1])
    check('tier="proven"' in proven[1] and abs(estimate - shown["proven"]) < 0.05 * shown["proven"],
          "and the sources of each tier, estimated", f"{estimate} for {shown['proven']}")


def test_under_pressure(lab):
    """check, budget show and metrics tell the tiers, while a budget is used up."""
    lab.weir("budget", "set", "all", "rate", "500pps")
    lab.weir("known", "import", "-", text_in="# weir known sources, version 2\n203.0.113.1 # long\n"
             "203.0.113.2\n")
    lab.weir("known", "import", "-", "as", "seen", text_in="203.0.113.3\n")
    lab.attach()
    for address, word, effect in (("203.0.113.1", "long", "comes first"),
                                  ("203.0.113.2", "proven", "before sources without proof"),
                                  ("203.0.113.3", "seen", "after proven sources"),
                                  ("203.0.113.4", "newcomer", "after all known sources")):
        said = flat(lab.weir("check", address).out)
        check(lab.read("check", address)["tier"] == word and
              f"while budget all is used up, a source of the tier {word} " in said and effect in said,
              f"check: {word}, and what that means", said)
        shown = lab.read("show", "source", address)["tier"]
        check(shown == ("first-seen" if word == "newcomer" else word), "show source: the same", shown)
    lab.flood("to", NEAR4, "from", "203.0.113.0/24", "sources", 8, "pps", 4000, "seconds", 2)
    budget = lab.read("budget", "show")["budgets"][0]
    rows = {each["tier"]: each for each in budget["tiers"]}
    check(list(rows) == ["long", "proven", "seen", "returning", "first-seen"] and
          all(rows[name]["passed"] > 0 for name in ("long", "proven", "seen")),
          "budget show: packets by tier", rows)
    check(sum(rows[name]["passed"] for name in ("long", "proven", "seen")) == budget["known"] and
          sum(each["no_room"] + each["over_share"] for each in rows.values()) ==
          budget["shed"] + budget["share"] + budget["over"], "and their sums are those of all",
          f"{budget['known']} known")
    metrics = lab.weir("metrics").out
    for name in ("long", "proven", "seen"):
        line = f'weir_budget_tier_passed_packets_total{{budget="all",tier="{name}"}} {rows[name]["passed"]}'
        check(line in metrics, f"metrics: the same of {name}", line)


if __name__ == "__main__":
    run_tests(__name__)
