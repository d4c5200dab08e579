# SPDX-License-Identifier: GPL-2.0-only
"""The daemon against senders that know its rules: known sources that flood, forged ones, pauses, floods
just below the bar, and more offenders than there may be bans; and honest ones beside them. The span is
of seconds here, where it is ten minutes by default."""
import concurrent.futures
import re
import shutil
import socket
import threading
import time

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from daemon import IN_TIME, Daemon, bans, judged, prepare, start_flood
from stage import NEAR4, check, demand, run_tests, skip, wait_for

CUSTOMER = "198.51.100.200"
PORT = 4001
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ, TCP_SEND_QUEUE = 19, 20, 21, 2
OVER_A_SPAN_S = 13      # the span, and windows for the judgement
SPAN = {"windows": 3, "span": "10s", "excess": 80}


def connect(lab, source=CUSTOMER):
    """A connection of the customer's to a server behind weir. Returns both its sockets."""
    lab.far.run("ip", "address", "add", f"{source}/32", "dev", lab.far_dev)
    with lab.near:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((NEAR4, PORT))
        listener.listen()
    with lab.far:
        client = socket.socket()
        client.bind((source, 0))
        client.settimeout(10)
        client.connect((NEAR4, PORT))
    server, _ = listener.accept()
    listener.close()
    server.settimeout(10)
    return client, server


def echoes(client, server):
    """Whether the connection carries data."""
    client.sendall(b"x" * 100)
    try:
        return server.recv(100) != b""
    except TimeoutError:
        return False


class OwnFlood:
    """Segments of a connection that a client has, far more than its TCP would send: with the ports and
    the sequence number that the server expects."""

    def __init__(self, lab, client, pps):
        client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE)
        seq = client.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xffffffff
        client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 0)
        self.frame = bytes(Ether(dst=lab.mac, src=lab.far.link(lab.far_dev)["address"]) /
                           IP(src=client.getsockname()[0], dst=NEAR4) /
                           TCP(sport=client.getsockname()[1], dport=PORT, seq=seq, ack=1, flags="A"))
        with lab.far:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind((lab.far_dev, 0))
        self.pps, self.stopping = pps, False
        self.thread = threading.Thread(target=self.send, daemon=True)
        self.thread.start()

    def send(self):
        due = time.monotonic()
        while not self.stopping:
            for _ in range(10):
                try:
                    self.socket.send(self.frame)
                except OSError:     # its queue is full for a moment
                    pass
            due += 10 / self.pps
            time.sleep(max(0, due - time.monotonic()))

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.socket.close()


def import_known(lab, daemon, *sources):
    (daemon.folder / "known").write_text("".join(f"{source}\n" for source in sources))
    lab.weir("known", "import", daemon.folder / "known")


def test_known_source_floods_on_its_own_connection(lab):
    """It is as known as a source can be, and its segments are of a connection that it has."""
    prepare(lab)
    daemon = Daemon(lab)
    import_known(lab, daemon, CUSTOMER)
    client, server = connect(lab)
    flood = OwnFlood(lab, client, 3000)
    check(wait_for(lambda: bans(lab), 40) and list(bans(lab)) == [f"{CUSTOMER}/32"],
          "a known source that floods on its own connection is banned", list(bans(lab)))
    flood.stop()
    said = judged(lab, "ban-source")
    found = re.match(r"known; (\d+) of its (\d+) dropped packets were on its own connections",
                     said[0]["text"]) if said else None
    check(found and int(found[1]) >= int(found[2]) / 2, "its judgement says what was proven",
          said[0]["evidence"] if said else daemon.text())
    before = lab.stats()["ban"]
    client.sendall(b"x")
    check(wait_for(lambda: lab.stats()["ban"] > before, 3), "and it holds although the source is known",
          f"{lab.stats()['ban'] - before} segments dropped")
    lab.weir("block", "del", f"{CUSTOMER}/32")
    flood = OwnFlood(lab, client, 3000)
    time.sleep(5)
    flood.stop()
    check(not bans(lab), "what the operator undid is not banned again, whatever is proven", bans(lab))
    client.close()
    server.close()


def test_spoofer_in_a_customers_name(lab):
    """The source ports are random: few of the packets, if any, belong to the customer's connection."""
    prepare(lab)
    daemon = Daemon(lab)
    import_known(lab, daemon, CUSTOMER)
    client, server = connect(lab)
    flood = start_flood(lab, CUSTOMER, "proto", "tcp", "dport", PORT, "sport", "random", pps=100000,
                        seconds=8)
    check(wait_for(lambda: judged(lab, "spared"), IN_TIME), "a known source is spared",
          [each["evidence"] for each in judged(lab, "spared")][:1])
    flood.wait()
    check(not bans(lab) and not judged(lab, "ban-source"), "and not banned for what is forged in its name",
          f"{flood}: {list(bans(lab))}")
    check(wait_for(lambda: echoes(client, server), 20), "its connection goes on afterwards", "it does")
    client.close()
    server.close()


def play(lab, source, pps, on, off, until, most):
    """Floods for @on seconds, pauses for @off, and so on, until the condition holds. 0 @off: at once."""
    started = time.monotonic()
    while not until() and time.monotonic() - started < most:
        flood = start_flood(lab, source, pps=pps, seconds=on)
        if off:
            flood.wait()
            time.sleep(off)
        else:
            wait_for(until, on)
            flood.stop()
    return time.monotonic() - started


def test_evasion(lab):
    """None of these is over its limit for three seconds in a row, or twice over it."""
    patterns = (("sending 1.9 times the limit", "198.51.100.11", 950, 60, 0),
                ("2 s on, 1 s off", "198.51.100.12", 5000, 2, 1),
                ("1 s on, 2 s off", "198.51.100.13", 5000, 1, 2))
    prepare(lab, rate="500pps", burst=50)
    daemon = Daemon(lab, sources={"windows": 5, "span": "10s"})
    with concurrent.futures.ThreadPoolExecutor() as pool:
        times = [pool.submit(play, lab, source, pps, on, off,
                             lambda source=source: f"{source}/32" in bans(lab), 60)
                 for _, source, pps, on, off in patterns]
    for (what, source, *_), took in zip(patterns, times):
        said = [each for each in judged(lab, "ban-source") if each["prefix"] == f"{source}/32"]
        check(said, f"{what} is banned", f"after {took.result():.1f} s: "
              f"{said[0]['evidence'] if said else daemon.text()}")
    spans = daemon.says("ban-source .*within 10s, not in a row")
    check(any(patterns[0][1] in line for line in spans), "for what was dropped in the span", spans)


class Upload:
    """iperf3 at a port of its own. It ends late where many connections share a limit, so it is ended."""

    def __init__(self, lab, connections):
        self.lab, self.source = lab, f"198.51.100.{100 + connections}"
        self.port = port = str(PORT + connections)
        lab.far.run("ip", "address", "add", f"{self.source}/32", "dev", lab.far_dev)
        server = lab.spawn(lab.near, ("iperf3", "-s", "-1", "-p", port))
        demand(wait_for(lambda: f":{port} " in lab.near.run("ss", "-Htln").out), "iperf3 does not listen")
        client = lab.spawn(lab.far, ("iperf3", "-c", NEAR4, "-B", self.source, "-p", port, "-P",
                                     connections, "-t", 2 * OVER_A_SPAN_S))
        self.processes = client, server

    def arrived(self):
        """Segments that came to its sockets. What a bucket counts begins only near the limit."""
        said = self.lab.near.run("ss", "-Htin", "sport", "=", f":{self.port}").out
        return sum(map(int, re.findall(r"\bsegs_in:(\d+)", said)))

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


def test_honest_uploads(lab):
    """TCP goes on losing segments at a limit for as long as it sends, and is never banned for that. With
    this short way, and all connections under one limit, it loses more than it would anywhere else.
    Beside it, what its limit holds, at 1.3 times, and a burst of a second of a hundred times as much."""
    lab.weir("limit", "set", "rate", "1000pps", "burst", 100)
    lab.weir("limit", "set", "from", "198.51.100.20/30", "rate", "500pps", "burst", 50)
    lab.attach()
    for namespace, dev in ((lab.near, lab.near_dev), (lab.far, lab.far_dev)):
        namespace.run("ethtool", "-K", dev, "tso", "off", "gso", "off")
    daemon = Daemon(lab, sources=SPAN)
    uploads = {}
    if shutil.which("iperf3"):
        uploads = {connections: Upload(lab, connections) for connections in (1, 8, 64)}
    else:
        skip("uploads at their limit are not banned", "iperf3 is not installed")
    steady = start_flood(lab, "198.51.100.21", pps=650, seconds=OVER_A_SPAN_S)
    burst = start_flood(lab, "198.51.100.22", pps=50000, seconds=1)
    burst.wait()
    steady.wait()
    shown = {each["source"]: each for each in lab.read("show", "sources")["sources"]}
    arrived = {connections: upload.arrived() for connections, upload in uploads.items()}
    for upload in uploads.values():
        upload.stop()
    check(not bans(lab) and not judged(lab, "ban-source"), "neither a steady sender nor a burst is banned",
          f"{steady}; {burst}; {lab.stats()['rate-limit']} dropped in all")
    for connections, upload in uploads.items():
        dropped = shown.get(f"{upload.source}/32", {"dropped": 0})["dropped"]
        check(dropped > 100 and arrived[connections] > 1000 and not bans(lab),
              f"{connections} uploads at their limit are not banned",
              f"{dropped} dropped, {arrived[connections]} arrived in {OVER_A_SPAN_S} s; "
              f"{daemon.says('spared .*' + upload.source)[-1:]}")


def test_full_table(lab):
    """The ban of a source that has gone leaves its place to one that floods; an operator's does not."""
    prepare(lab)
    daemon = Daemon(lab, sources={"ban": "10m", "longest": "10m"}, most_bans=3)
    lab.weir("block", "add", "203.0.113.9", "ttl", "10m")
    floods = [start_flood(lab, f"198.51.100.{41 + n}", pps=4000, seconds=110) for n in range(3)]
    demand(wait_for(lambda: len(judged(lab, "ban-source")) == 3, IN_TIME + 5), "three are not banned")
    late = start_flood(lab, "198.51.100.50", pps=400, seconds=90)
    check(wait_for(lambda: daemon.says("most_bans is reached: 1 bans were not made"), IN_TIME) and
          "198.51.100.50/32" not in bans(lab), "bans that drop as much keep their places",
          daemon.says("most_bans"))
    floods[1].stop()
    check(wait_for(lambda: "198.51.100.50/32" in bans(lab), 30), "the worst offender gets in",
          list(bans(lab)))
    shown = bans(lab)
    check(sorted(shown) == ["198.51.100.41/32", "198.51.100.43/32", "198.51.100.50/32", "203.0.113.9/32"],
          "in the place of the one that has stopped", sorted(shown))
    said = judged(lab, "gave-way")
    check([each["prefix"] for each in said] == ["198.51.100.42/32"] and
          daemon.says(r"^<5>gave-way 198\.51\.100\.42/32: most_bans is reached"),
          "the journal says which", daemon.says("gave-way"))
    metrics = lab.weir("metrics").out
    check("weir_bans_gave_way_total 1\n" in metrics and
          re.search(r"^weir_bans_put_off_total [1-9]", metrics, re.M), "and the metrics count it",
          re.findall(r"^weir_bans_.*", metrics, re.M))
    for flood in (floods[0], floods[2], late):
        flood.stop()


def test_network_replaces_its_sources(lab):
    prepare(lab)
    daemon = Daemon(lab, networks={"sources": 8, "ban": "5m"})
    flood = start_flood(lab, "198.51.100.16/29", "sources", 6, pps=10000)
    demand(wait_for(lambda: len(bans(lab)) == 6, IN_TIME + 5), f"six are not banned: {list(bans(lab))}")
    more = start_flood(lab, "198.51.100.32/29", "sources", 4, pps=8000)
    check(wait_for(lambda: "198.51.100.0/24" in bans(lab), IN_TIME + 5) and
          list(bans(lab)) == ["198.51.100.0/24"], "the ban of a network replaces those of its sources",
          f"{list(bans(lab))}; {daemon.says('replace')}")
    for each in (flood, more):
        each.stop()
    lab.weir("block", "del", "198.51.100.0/24")
    flood = start_flood(lab, "198.51.100.16/29", "sources", 6, pps=10000, seconds=8)
    flood.wait()
    check(not bans(lab), "when the operator undoes it, nothing in it is banned again", bans(lab))


run_tests(__name__)
