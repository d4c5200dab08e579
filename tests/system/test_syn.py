# SPDX-License-Identifier: GPL-2.0-only
"""SYN cookies: real clients connect through them, and which SYNs are answered."""
import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from daemon import Daemon
from stage import (BUILD, FAR4, NEAR4, NEAR6, WEIR, check, demand, pins, run, run_tests, skip, wait_for)
from strace import traced

TRANSACT = BUILD / "tests/tools/transact"
SINK = BUILD / "tests/lab/sink.bpf.o"     # drops what is for none of the users
PORT = 8080
SYN_FLOOD = ("proto", "syn", "size", 60, "dport", PORT, "sport", "random")


def serve(lab, address, port=PORT):
    """Starts a server behind weir; it ends with the test."""
    lab.serve(["setpriv", "--pdeathsig", "KILL", TRANSACT, "serve", address, port])


def up(lab, *words):
    """Attaches at both ends: a veth takes what its peer sends back at once only if it has XDP."""
    lab.attach(*words)
    lab.weir("-q", "attach", "dev", lab.far_dev, namespace=lab.far)


def protect(lab, *words):
    return lab.weir("syn", "protect", "dport", PORT, *words)


def connect(lab, address, count=20):
    """Makes @count connections in a second, one after the other. Returns transact's report."""
    said = lab.far.run(TRANSACT, "run", address, PORT, "seconds", 1, "clients", 1, "connect",
                       "pace", count, "json").out
    return json.loads(said.splitlines()[-1])


def folded_sum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def received(lab):
    """The number of connections that the kernel has made from cookies."""
    with lab.near:
        text = pathlib.Path("/proc/net/netstat").read_text().splitlines()
    names, values = text[0].split(), text[1].split()
    return int(values[names.index("SyncookiesRecv")])


def test_clients(lab):
    """IPv4 and IPv6, with and without timestamps: each connection is made, and by cookie."""
    lab.use_ipv6()
    serve(lab, "::")
    protect(lab, "always", "set-sysctl")
    up(lab)
    for timestamps in (1, 0):
        lab.far.set("ipv4/tcp_timestamps", timestamps)
        for address in (NEAR4, NEAR6):
            before, cookies = received(lab), lab.stats()["syn-cookie"]
            said = connect(lab, address)
            cookies = lab.stats()["syn-cookie"] - cookies
            check(said["failed"] == 0 and said["transactions"] >= 5 and cookies >= 4 and
                  received(lab) - before >= cookies,
                  f"connections to {address}, timestamps {timestamps}",
                  f"{said['transactions']} made, {said['failed']} failed, {cookies} answered here, "
                  f"{received(lab) - before} by cookie in all")
    check(lab.stats()["cookie-ack"] >= 2, "a source that returns a cookie becomes known",
          f"{lab.stats()['cookie-ack']} did, known from then on")


def start(lab, *words):
    """Starts any server behind weir; it ends with the test."""
    lab.children.append(subprocess.Popen(lab.near.command("setpriv", "--pdeathsig", "KILL", *words),
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    demand(wait_for(lambda: f":{PORT} " in lab.near.run("ss", "-tlnH").out), f"{words[0]} does not listen")


def test_curl(lab):
    """Files over HTTP arrive whole, each over a connection made by cookie."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-syn-"))
    content = os.urandom(1 << 20)
    (folder / "file").write_bytes(content)
    try:
        start(lab, "python3", "-m", "http.server", "-d", str(folder), "-b", NEAR4, str(PORT))
        protect(lab, "always", "set-sysctl")
        up(lab)
        got = [subprocess.run(lab.far.command("curl", "-sSf", "-m", "10", f"http://{NEAR4}:{PORT}/file"),
                              capture_output=True, check=False).stdout for _ in range(5)]
    finally:
        shutil.rmtree(folder)
    cookies = lab.stats()["syn-cookie"]
    check(all(each == content for each in got) and cookies >= 4, "curl",
          f"{sum(each == content for each in got)} of 5 files of 1 MiB whole, {cookies} by cookie")


def test_iperf3(lab):
    """The control connection and four streams are made by cookies, and carry the traffic."""
    start(lab, "iperf3", "-s", "-B", NEAR4, "-p", str(PORT))
    protect(lab, "always", "set-sysctl")
    up(lab)
    said = json.loads(lab.far.run("iperf3", "-c", NEAR4, "-p", PORT, "-P", 4, "-b", "5M", "-t", 2, "-J").out)
    mbit = said["end"]["sum_received"]["bits_per_second"] / 1e6
    cookies = lab.stats()["syn-cookie"]
    check(cookies >= 4 and mbit > 10, "iperf3",
          f"{mbit:.0f} of 20 Mbit/s over four streams, {cookies} connections by cookie")


def test_options_survive(lab):
    """A connection made by cookie has window scale, SACK and timestamps."""
    serve(lab, NEAR4)
    protect(lab, "always", "set-sysctl")
    up(lab)
    connect(lab, NEAR4, 4)     # until the listener has sent a cookie, SYNs go through to it
    before = lab.stats()["syn-cookie"]
    users = subprocess.Popen(lab.far.command(TRANSACT, "run", NEAR4, str(PORT), "seconds", "3",
                                             "clients", "3"), stdout=subprocess.DEVNULL)
    lab.children.append(users)
    time.sleep(1)
    said = lab.near.run("ss", "-tinoOH", "state", "established", "sport", "=", f":{PORT}").out
    users.wait()
    lines = said.splitlines()
    cookies = lab.stats()["syn-cookie"] - before
    good = [line for line in lines if " ts sack " in line and "wscale:" in line]
    check(lines and len(good) == len(lines) and cookies >= 2,
          "options of connections by cookie", f"{len(good)} of {len(lines)} have all, {cookies} by "
          f"cookie: {' '.join(lines[0].split()[0:9]) if lines else said}")


def test_refusals(lab):
    """Each refusal names its cause and remedy, and sets nothing."""
    lab.up()
    lab.near.set("ipv4/tcp_syncookies", 1)
    unserved = lab.weir("syn", "protect", "dport", PORT, "always", expect=1)
    check("nothing listens on port 8080" in unserved.err, "no server listens", unserved.err.strip())
    serve(lab, NEAR4)
    sysctl = lab.weir("syn", "protect", "dport", PORT, "always", expect=1)
    check("tcp_syncookies is 1" in sysctl.err and "set-sysctl" in sysctl.err,
          "the sysctl is not right", sysctl.err.strip())
    lab.near.set("ipv4/ip_forward", 1)
    forwards = lab.weir("syn", "protect", "dport", PORT, "always", "set-sysctl", expect=1)
    check("ip_forward" in forwards.err and "to ADDRESS" in forwards.err, "a host that forwards",
          forwards.err.strip())
    shown = lab.weir("syn", "show", expect=None)
    check("8080" not in shown.out, "nothing was set", shown.err.strip())
    protect(lab, "to", NEAR4, "always", "set-sysctl")
    with lab.near:
        value = pathlib.Path("/proc/sys/net/ipv4/tcp_syncookies").read_text().strip()
    check(value == "2", "set-sysctl", f"tcp_syncookies is {value}")
    over = lab.weir("syn", "protect", "dport", PORT, "to", NEAR4, "when-over-budget")
    check("no budget applies" in over.err, "when-over-budget without a budget", over.err.strip())


def test_monitor(lab):
    """Monitor mode answers nothing, passes all, and counts what it would have answered."""
    serve(lab, NEAR4)
    protect(lab, "always", "set-sysctl")
    up(lab, "monitor")
    said = connect(lab, NEAR4)
    reason = lab.stats().reasons["syn-cookie"]
    check(said["failed"] == 0 and reason["packets"] > 10 and received(lab) > 0,
          "monitor mode", f"{said['transactions']} made, {reason['packets']} would be answered")


def test_over_budget(lab):
    """Below the budget no SYN is answered; above it newcomers are, and users are served."""
    serve(lab, NEAR4)
    lab.weir("budget", "set", "web", "syn", "dport", PORT, "rate", "100pps")
    protect(lab, "when-over-budget", "set-sysctl")
    up(lab)
    calm = connect(lab, NEAR4)
    check(calm["failed"] == 0 and not lab.stats()["syn-cookie"], "below the budget",
          f"{calm['transactions']} made, none by cookie")
    flood = lab.start_flood("to", NEAR4, "from", "198.51.100.0/24", "sources", 200, *SYN_FLOOD,
                            "pps", 2000, "seconds", 20)
    demand(wait_for(lambda: lab.stats()["syn-cookie"] > 100), "no cookies under the flood")
    busy = connect(lab, NEAR4)
    flood.stop()
    check(busy["failed"] <= 1 and busy["transactions"] >= 15, "above the budget",
          f"{busy['transactions']} made, {busy['failed']} failed, "
          f"{lab.stats()['syn-cookie']} cookies for {flood}")


def test_budget_by_source_port(lab):
    """The budget that counts is that of the SYN's own source port: the SYNs from other ports than
    the flood's go to the kernel, and their connections are made without a cookie."""
    serve(lab, NEAR4)
    lab.weir("budget", "set", "low", "syn", "dport", PORT, "sport", "1-1023", "rate", "100pps")
    said = protect(lab, "when-over-budget", "set-sysctl")
    check("no budget" not in said.err, "a budget of some source ports is one", said.err.strip())
    up(lab)
    flood = lab.start_flood("to", NEAR4, "from", "198.51.100.0/24", "sources", 200, "proto", "syn",
                            "size", 60, "dport", PORT, "sport", 1000, "pps", 2000, "seconds", 20)
    demand(wait_for(lambda: lab.stats()["syn-cookie"] > 100), "no cookies for SYNs over the budget")
    busy = connect(lab, NEAR4)
    flood.stop()
    stats = lab.stats()
    check(busy["failed"] <= 1 and busy["transactions"] >= 15 and not stats["cookie-ack"],
          "other source ports", f"{busy['transactions']} made, {busy['failed']} failed, "
          f"{stats['cookie-ack']} of {stats['syn-cookie']} cookies came back")


def test_shortage(lab):
    """More SYNs than a core has time for: a newcomer's first SYN may drop, its next is answered."""
    serve(lab, NEAR4)
    protect(lab, "always", "set-sysctl")
    lab.attach()
    lab.near.run("ip", "route", "replace", "default", "via", FAR4)
    lab.far.run("ip", "route", "replace", "local", "203.0.113.0/24", "dev", "lo")
    lab.far.set("ipv4/conf/all/rp_filter", 0)
    lab.far.run("ip", "link", "set", "dev", lab.far_dev, "xdp", "obj", SINK, "sec", "xdp")
    flood = lab.start_flood("to", NEAR4, "from", "0.0.0.0/0", "sources", "random", *SYN_FLOOD,
                            "cpu", 0, "seconds", 20)
    # Real-time, so that it has the core whatever else runs: else SYNs do not take half of it.
    run("chrt", "-a", "-r", "-p", 10, flood.process.pid)
    demand(wait_for(lambda: lab.stats()["first-syn"] > 0), "there is time for every SYN")
    said = lab.far.run(TRANSACT, "run", NEAR4, PORT, "seconds", 8, "clients", 100, "pace", 25, "connect",
                       "patience", 3500, "from", "203.0.113.1", "each", 32, "json").out
    said = json.loads(said.splitlines()[-1])
    flood.stop()
    stats = lab.stats()
    check(said["transactions"] >= 0.8 * 4.5 * 25, "newcomers, each from an address of its own",
          f"{said['transactions']} of 200 served, {said['failed']} failed; SYNs answered "
          f"{stats['syn-cookie']}, for which there was no time {stats['first-syn']}")


def test_check(lab):
    """`weir check` of a protected service says what depends on more than a tool can know."""
    serve(lab, NEAR4)
    protect(lab, "always", "set-sysctl")
    lab.attach()
    syn = lab.read("check", FAR4, "syn", "dport", PORT, "to", NEAR4)
    others = {other["reason"]: other["if"] for other in syn.get("or", ())}
    check(syn["reason"] == "syn-cookie" and
          others == {"newcomer": "its listener has sent no cookie in the last minute"} and
          f"syn protect dport {PORT}" in syn["rule"], "a SYN", syn)
    segment = lab.read("check", FAR4, "dport", PORT, "to", NEAR4)
    others = {other["reason"]: other["if"] for other in segment.get("or", ())}
    check(segment["reason"] == "no-limit" and
          others == {"cookie-ack": "it belongs to no connection, and it acknowledges a cookie"},
          "a segment", segment)
    text = lab.weir("check", FAR4, "dport", PORT, "to", NEAR4).out
    check("no-limit" in text and "or, if it belongs to no connection" in text, "in words",
          text.splitlines()[-1])
    closed = lab.read("check", FAR4, "syn", "dport", PORT + 1, "to", NEAR4)
    check(closed["reason"] == "no-limit" and "or" not in closed, "another port", closed)


def test_save(lab):
    """Rules are saved and restored, and an allowed source gets no cookie."""
    serve(lab, NEAR4)
    protect(lab, "to", NEAR4, "always", "set-sysctl")
    saved = lab.weir("save").out
    check(f"syn protect dport {PORT} to {NEAR4}" in saved, "save", saved.splitlines()[-1])
    lab.weir("allow", "add", "192.0.2.2")
    up(lab)
    said = connect(lab, NEAR4)
    check(said["failed"] == 0 and not lab.stats()["syn-cookie"], "the allow list passes",
          f"{said['transactions']} made, none by cookie")
    lab.weir("syn", "del", "dport", PORT)
    check(not lab.read("syn", "show")["protected"], "del", "no rule")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(saved)
        file.flush()
        lab.weir("restore", file.name)
    check(lab.weir("save").out == saved, "restore", "saves the same again")
    before = lab.stats()["syn-cookie"]
    said = connect(lab, NEAR4)
    cookies = lab.stats()["syn-cookie"] - before
    check(said["failed"] == 0 and cookies > 5, "a restored rule answers",
          f"{said['transactions']} made, {cookies} by cookie")


def test_share(lab):
    """The share of a core is one setting: shown, saved, restored, and back to the usual one."""
    serve(lab, NEAR4)
    protect(lab, "always", "set-sysctl")
    up(lab)
    program = lab.prog_id()
    usual = lab.read("syn", "show")["share_percent"]
    lab.weir("syn", "share", "20%")
    saved, shown = lab.weir("save").out, lab.read("syn", "show")["share_percent"]
    check(usual == 30 and shown == 20 and "syn share 20%\n" in saved and
          "20% of each core" in lab.weir("syn", "show").out, "syn share",
          f"{usual}% by default, then {shown}%, in the same program: {lab.prog_id() == program}")
    lab.weir("syn", "share", "default")
    gone = lab.read("syn", "show")["share_percent"]
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(saved)
        file.flush()
        lab.weir("restore", file.name)
    back = lab.read("syn", "show")["share_percent"]
    check(gone == 30 and back == 20 and lab.weir("save").out == saved and lab.prog_id() == program,
          "syn share: saved and restored", f"default {gone}%, restored {back}%")


# ---- RSTs ----

def frames(lab, flags, count=2048):
    """Frames with these flags to the service, from sources in 198.18.0.0/15 that never come again."""
    made = []
    for number in range(count):
        source = f"198.{18 + number % 2}.{number // 256 % 256}.{number % 256}"
        addresses = socket.inet_aton(source) + socket.inet_aton(NEAR4)
        tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65536), PORT, random.getrandbits(32),
                          random.getrandbits(32), 5 << 4, flags, 0, 0, 0)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, number, 0, 64, socket.IPPROTO_TCP, 0) + addresses
        ip = ip[:10] + struct.pack("!H", folded_sum(ip)) + ip[12:]
        total = folded_sum(addresses + struct.pack("!HH", socket.IPPROTO_TCP, 20) + tcp)
        made.append(bytes.fromhex(lab.mac.replace(":", "")) + b"\x02\0\0\0\0\x99\x08\0" + ip +
                    tcp[:16] + struct.pack("!H", total) + tcp[18:])
    return made


def send(lab, made, times):
    """Sends the frames as fast as a socket does. Returns how many, and how long it took."""
    with lab.far:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((lab.far_dev, 0))
    start = time.monotonic()
    for _ in range(times):
        for frame in made:
            raw.send(frame)
    raw.close()
    return times * len(made), time.monotonic() - start


def test_spoofed_resets(lab):
    """RSTs and SYNs with RST from everywhere: few reach the stack, and a client's own ends its socket."""
    serve(lab, NEAR4)
    protect(lab, "always", "set-sysctl")
    up(lab)
    connect(lab, NEAR4, 4)
    for what, flags, reason in (("RST", 0x04, "stray-ack"), ("RST with ACK", 0x14, "stray-ack"),
                                ("SYN with RST", 0x06, "bad-tcp"), ("SYN with FIN", 0x03, "bad-tcp"),
                                ("no flag", 0x00, "bad-tcp")):
        before, lost = lab.stats(), lab.lost()
        sent, seconds = send(lab, frames(lab, flags), 20)
        after = lab.stats()
        came = after.packets - before.packets
        dropped = after[reason] - before[reason]
        first = after["first-ack"] - before["first-ack"]
        passed = after["no-limit"] - before["no-limit"]
        most = 0 if reason == "bad-tcp" else 1100 + 10000 * seconds * 1.1
        check(passed <= most and dropped + first + passed >= came - 20 and came > sent / 2,
              f"a flood of: {what}", f"{sent} sent in {seconds:.2f} s, {lab.lost() - lost} lost by the "
              f"ring, {passed} passed, {dropped} {reason}, {first} first-ack")


def test_real_reset(lab):
    """A client that closes with SO_LINGER 0 sends a RST; its connection is gone at once."""
    with lab.near:
        listener = socket.create_server((NEAR4, PORT), backlog=64)
    protect(lab, "always", "set-sysctl")
    up(lab)
    gone, tries = 0, 20
    for _ in range(tries):
        with lab.far:
            client = socket.create_connection((NEAR4, PORT), timeout=5)
        server, _ = listener.accept()
        server.settimeout(5)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        try:
            server.recv(1)
        except ConnectionResetError:
            gone += 1
        except TimeoutError:
            pass
        server.close()
        # Of a source that is not known, too.
        lab.weir("known", "flush")
    listener.close()
    stats = lab.stats()
    check(gone == tries and not stats["stray-ack"], "RSTs of clients", f"{gone} of {tries} reached their "
          f"sockets, {stats['syn-cookie']} connections by cookie, {stats['stray-ack']} stray")


def test_ack_flood(lab):
    """ACKs from everywhere beside new clients, with the least share of a core: all are served."""
    serve(lab, NEAR4)
    protect(lab, "always", "set-sysctl")
    lab.weir("syn", "share", "1%")
    up(lab)
    connect(lab, NEAR4, 4)
    flood = lab.start_flood("to", NEAR4, "from", "198.18.0.0/15", "sources", "random", "proto", "tcp",
                            "size", 60, "dport", PORT, "sport", "random", "pps", 150000, "seconds", 30)
    demand(wait_for(lambda: lab.stats()["first-ack"] > 1000), "there is time for every ACK")
    lab.weir("known", "flush")
    before = lab.stats()
    said = connect(lab, NEAR4)
    flood.stop()
    stats = lab.stats()
    looked_up = stats["stray-ack"] + stats["no-limit"]
    check(said["failed"] == 0 and said["transactions"] >= 1 and
          stats["cookie-ack"] > before["cookie-ack"] and looked_up < stats["first-ack"],
          "a flood of ACKs", f"{said['transactions']} connections made, {said['failed']} failed; {flood}: "
          f"{looked_up} looked up, {stats['first-ack']} not")


# ---- cookies that make no connection ----

def many_sources(lab):
    lab.far.run("ip", "route", "replace", "local", "203.0.113.0/24", "dev", "lo")
    lab.far.set("ipv4/conf/all/rp_filter", 0)


def connect_from(lab, first, count):
    """A connection from each of so many addresses: the clients that think they have one."""
    made = []
    for number in range(first, first + count):
        with lab.far:
            client = socket.socket()
        client.setsockopt(socket.SOL_IP, 15, 1)     # IP_FREEBIND
        client.settimeout(3)
        client.bind((f"203.0.113.{number}", 0))
        with contextlib.suppress(OSError):
            client.connect((NEAR4, PORT))
            made.append(client)
    return made


def cookies_of(lab):
    return lab.read("show", "health")["cookies"]


def test_refused_cookies(lab):
    """The kernel stops to accept cookies: said within seconds, by health, syn show, daemon, metrics."""
    serve(lab, NEAR4)
    protect(lab, "always", "set-sysctl")
    up(lab)
    many_sources(lab)
    connect(lab, NEAR4, 4)
    daemon = Daemon(lab)
    connect_from(lab, 1, 40)
    good = cookies_of(lab)
    check(good["returned"] >= 20 and not good["refused"] and not good["alarm"], "cookies that are taken",
          good)
    lab.near.set("ipv4/tcp_syncookies", 0)
    start = time.monotonic()
    connect_from(lab, 50, 40)
    demand(wait_for(lambda: cookies_of(lab)["alarm"], 5), f"no alarm: {cookies_of(lab)}")
    took, bad = time.monotonic() - start, cookies_of(lab)
    check(bad["refused"] >= 20 and "made no connection" in bad["alarm"], "cookies that are refused",
          f"{bad['refused']} of {bad['returned']} after {took:.1f} s: {bad['alarm']}")
    check("ALARM: SYN cookies" in lab.weir("show", "health").out and
          f"refused by the kernel: {bad['refused']}" in lab.weir("syn", "show").out, "in words",
          lab.weir("syn", "show").out.splitlines()[-1])
    demand(wait_for(lambda: daemon.says("SYN cookies: .*made no connection"), 5), daemon.text())
    metrics = dict(line.split(" ") for line in lab.weir("metrics").out.splitlines() if line[0] != "#")
    check(int(metrics["weir_syncookies_refused_total"]) == bad["refused"] and
          len(daemon.says("SYN cookies:")) == 1, "the daemon and the metrics",
          f"{metrics['weir_syncookies_refused_total']} of {metrics['weir_syncookies_returned_total']}; "
          f"{daemon.says('SYN cookies')[0]}")
    lab.near.set("ipv4/tcp_syncookies", 2)
    demand(wait_for(lambda: daemon.says("become connections again"), 40), daemon.text())
    check(not cookies_of(lab)["alarm"], "it is over", daemon.says("become connections again")[0])
    daemon.stop()


def test_full_queue(lab):
    """A service that accepts nothing: its queue overflows, and health says so, without a daemon."""
    with lab.near:
        listener = socket.create_server((NEAR4, PORT), backlog=1)
    protect(lab, "always", "set-sysctl")
    up(lab)
    many_sources(lab)
    connect_from(lab, 1, 40)
    wait_for(lambda: cookies_of(lab)["alarm"], 3)   # a look within 200 ms of another finds nothing new
    said = cookies_of(lab)
    listener.close()
    check(said["listen_overflows"] >= 10 and "accept queue" in said["alarm"], "a queue that is full",
          f"{said['returned']} came back, {said['listen_overflows']} overflows: {said['alarm']}")


# ---- packet filters in between ----

def refused(lab, what, *names):
    """Checks that `syn protect` refuses, naming the rule."""
    done = protect_any(lab, "always", "set-sysctl")
    check(done.status == 1 and all(name in done.err for name in names) and "force" in done.err, what,
          done.err.strip() or "not refused")


def protect_any(lab, *words):
    return lab.weir("syn", "protect", "dport", PORT, *words, expect=None)


def test_nft_between(lab):
    """A rule of nftables takes the connections: refused by name, and where forced, noticed."""
    if not shutil.which("nft") or lab.near.run("nft", "add table ip weirtest", expect=None).status:
        skip("rules of nftables", "nft (Debian package nftables) is not there, or the kernel has none")
        return
    serve(lab, NEAR4)
    lab.near.run("nft", "add chain ip weirtest pre { type nat hook prerouting priority -100; }")
    lab.near.run("nft", "add rule ip weirtest pre tcp dport 81 redirect to :9090")
    check(protect_any(lab, "always", "set-sysctl").status == 0, "a redirect of another port", "no objection")
    lab.weir("syn", "del", "dport", PORT)
    lab.near.run("nft", f"add rule ip weirtest pre tcp dport {PORT} redirect to :9090")
    refused(lab, "a redirect", "weirtest", "chain pre", "handle")
    lab.near.run("nft", "flush chain ip weirtest pre")
    lab.near.run("nft", "add chain ip weirtest published")
    lab.near.run("nft", "add rule ip weirtest pre fib daddr type local jump published")
    lab.near.run("nft", f"add rule ip weirtest published tcp dport {{ 80, {PORT} }} dnat to 192.0.2.77")
    refused(lab, "DNAT in a chain that is jumped to", "chain published")
    lab.near.run("nft", "flush chain ip weirtest pre")
    lab.near.run("nft", "add chain ip weirtest in { type filter hook input priority 0; }")
    lab.near.run("nft", "add rule ip weirtest in tcp flags & (fin|syn|rst|ack) != syn ct state new drop")
    refused(lab, "a rule that wants a SYN first", "chain in", "SYN first")
    # Forced: the rule drops the ACKs of cookies, which is noticed by what becomes of them.
    protect(lab, "always", "set-sysctl", "force")
    up(lab)
    many_sources(lab)
    # They stay open: conntrack takes the FIN of a closed one for invalid, and the rule lets it in.
    clients = connect_from(lab, 1, 40)
    wait_for(lambda: cookies_of(lab)["alarm"], 5)
    said, shown = cookies_of(lab), lab.weir("syn", "show")
    check(said["refused"] >= 20 and said["alarm"] and "chain in" in shown.err, "in spite of it",
          f"{said['refused']} of {said['returned']} refused for {len(clients)} clients; "
          f"{shown.err.strip()}")


def test_iptables_between(lab):
    """The same by iptables, which is a front end of nftables or the old tables."""
    serve(lab, NEAR4)
    for program in ("iptables-nft", "iptables-legacy"):
        words = ("-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", PORT, "-j", "REDIRECT",
                 "--to-ports", 9090)
        if not shutil.which(program) or (program == "iptables-nft" and not shutil.which("nft")) or \
                lab.near.run(program, *words, expect=None).status:
            skip(f"rules of {program}", "it is not installed, or the kernel has no tables for it")
            continue
        refused(lab, program, "PREROUTING")
        lab.near.run(program, "-t", "nat", "-F")
        done = protect_any(lab, "always", "set-sysctl")
        check(done.status == 0, f"{program}: the rule is gone", "no objection")
        lab.weir("syn", "del", "dport", PORT)


# ---- the host's sysctls ----

HOST = ("tcp_syncookies", "tcp_timestamps")


def host_tcp(lab):
    """What the host behind weir has of what cookies ask for."""
    with lab.near:
        return [pathlib.Path("/proc/sys/net/ipv4", name).read_text().strip() for name in HOST]


def host_not_ready(lab):
    for name in HOST:
        lab.near.set(f"ipv4/{name}", 1)


def test_failed_restore_leaves_the_sysctls(lab):
    """A right `syn protect ... set-sysctl`, and behind it something that is wrong."""
    host_not_ready(lab)
    serve(lab, NEAR4)
    with tempfile.TemporaryDirectory() as folder:
        path, bad = pathlib.Path(folder, "settings"), pathlib.Path(folder, "bad")
        bad.write_text("no address\n")
        right = f"syn protect dport {PORT} always set-sysctl\n"
        for what, text, words, status in (
                ("a wrong second line", f"{right}limit set rate nonsense\n", (), 1),
                ("a list with a wrong name", f"{right}list load No! file {bad}\n", (), 1),
                ("check", right, ("check",), 0),
                ("check of a list that is wrong", f"{right}list load bad file {bad}\n", ("check",), 3)):
            path.write_text(text)
            done = lab.weir("restore", path, *words, expect=None)
            check(done.status == status and host_tcp(lab) == ["1", "1"],
                  f"restore, {what}: the sysctls stay", f"exit {done.status}, {host_tcp(lab)}, "
                  f"{done.err.strip()}")
            host_not_ready(lab)
        path.write_text(right)
        lab.weir("restore", path)
        rule = lab.read("syn", "show")["protected"][0]
        check(host_tcp(lab) == ["2", "2"] and rule["timestamps"],
              "restore of the right line alone sets them", f"{host_tcp(lab)}, {rule}")
        host_not_ready(lab)
        lab.weir("restore", path)
        check(host_tcp(lab) == ["2", "2"], "again, where no setting of weir's changes", host_tcp(lab))


def test_sysctls_both_or_none(lab):
    """One of them cannot be written: the other is put back, and no rule is set."""
    host_not_ready(lab)
    serve(lab, NEAR4)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"syn protect dport {PORT} always set-sysctl\n")
        file.flush()
        for words in (("syn", "protect", "dport", str(PORT), "always", "set-sysctl"),
                      ("restore", file.name)):
            path = "/proc/sys/net/ipv4/tcp_timestamps"
            done = lab.near.run("unshare", "-m", "sh", "-c", f"mount --bind {path} {path} && "
                                f'mount -o remount,bind,ro {path} && exec "$@"', "sh", WEIR, *words,
                                expect=None)
            check(done.status == 1 and "tcp_timestamps" in done.err and host_tcp(lab) == ["1", "1"] and
                  not pins(), f"{words[0]}: tcp_timestamps is read-only",
                  f"exit {done.status}, {host_tcp(lab)}, {len(pins())} pins, {done.err.strip()}")
            host_not_ready(lab)
            if pins():
                lab.weir("detach", "all")


def test_sysctls_where_the_maps_cannot_be_written(lab):
    """Each of the calls that write settings fails once: sysctls and rule are set, or neither is."""
    serve(lab, NEAR4)
    lab.weir("limit", "set", "rate", "1000pps")
    command = ("syn", "protect", "dport", PORT, "always", "set-sysctl")
    with tempfile.NamedTemporaryFile("r") as log:
        lab.near.run(*traced("-f", "-o", log.name, "-e", "trace=bpf"), WEIR, *command)
        calls = log.read().count("bpf(")
    failed, wrong = 0, []
    for call in range(1, calls + 1):
        lab.weir("syn", "del", "dport", PORT, expect=None)
        host_not_ready(lab)
        done = lab.near.run(*traced("-f", "-o", "/dev/null", "-e", "trace=bpf", "-e",
                                    f"inject=bpf:error=ENOMEM:when={call}"), WEIR, *command,
                            expect=None)
        rule, host = bool(lab.read("syn", "show")["protected"]), host_tcp(lab)
        failed += done.status != 0
        if (rule, host) not in ((True, ["2", "2"]), (False, ["1", "1"])):
            wrong.append(f"call {call}: exit {done.status}, rule {rule}, {host}")
    check(failed >= 5 and not wrong, "rule and sysctls: both or neither",
          "; ".join(wrong[:3]) or f"{failed} of {calls} runs failed")


if __name__ == "__main__":
    run_tests(__name__)
