# SPDX-License-Identifier: GPL-2.0-only
"""The live views: what `monitor` and `capture` show of the packets on which weir decides."""
import json
import signal
import subprocess
import tempfile
import time

from stage import BUILD, NEAR4, NEAR6, PINS, STRANGE_MAC, WEIR, check, demand, run, run_tests, wait_for

SOURCE, OTHER = "198.51.100.7", "203.0.113.9"
SOURCE6 = "2001:db8:1::7"
READERS = 4
EVENTS_PER_S = 1000
WIDTH = 80
EXPERT_COMMENT = 0x100000           # tshark's severity of a comment; notes and warnings are more


class Reader:
    """A live view that runs beside the test. It writes to a file: an unread pipe would fill."""

    def __init__(self, lab, *words, stdout=None):
        self.file = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen(lab.near.command(WEIR, *map(str, words)),
                                        stdout=stdout or self.file, stderr=subprocess.PIPE,
                                        text=True)
        lab.children.append(self.process)

    def listening(self):
        """Waits until it has taken its slot."""
        demand(wait_for(lambda: self.has_slot() or self.process.poll() is not None),
               "it never listened")
        demand(self.process.poll() is None, "it ended at once")
        return self

    def has_slot(self):
        """Its bit is set last; from then on it receives packets."""
        pids = listeners()
        return self.process.pid in pids and listening_bits() >> pids.index(self.process.pid) & 1

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        self.err = self.process.communicate(timeout=30)[1]
        self.status = self.process.returncode
        self.file.seek(0)
        self.out = self.file.read()
        demand("Sanitizer" not in self.err, self.err)
        return self

    def events(self):
        return [json.loads(line) for line in self.out.splitlines()]


def listeners():
    """The pids in the slots of map listeners, 0 in free ones."""
    dump = json.loads(run("bpftool", "-j", "map", "dump", "pinned", PINS / "listeners").out)
    return [int.from_bytes(bytes(int(byte, 16) for byte in each["value"][64:68]), "little")
            for each in dump]


def listening_bits():
    words = ("map", "lookup", "pinned", PINS / "hints", "key", "0", "0", "0", "0")
    value = json.loads(run("bpftool", "-j", *words).out)["value"]
    return int(value[4], 16)


def no_listeners():
    return not any(listeners()) and not listening_bits()


def limited(lab, *words):
    """A limit so low that the flood of a slow machine exceeds it, too."""
    lab.weir("limit", "set", "rate", "100pps", "burst", 10)
    lab.attach(*words)


# ---- events ----

def test_events_tells_every_packet_of_few(lab):
    """Of few packets each one is shown, and each field is right."""
    lab.weir("block", "add", SOURCE)
    lab.attach()
    reader = Reader(lab, "-j", "events").listening()
    lab.flood("to", NEAR4, "from", SOURCE, "pps", 200, "count", 100, "size", 100, "dport", 53,
              "sport", 1900)
    time.sleep(0.3)
    events = reader.end().events()
    dropped = lab.stats()["block"]
    check(len(events) == dropped == 100, "events: every dropped packet is told in calm times",
          f"{dropped} dropped, {len(events)} told; {reader.err.strip()}")
    wanted = {"event": "packet", "dev": "near0", "reason": "block", "action": "drop",
              "source": SOURCE, "destination": NEAR4, "proto": "udp", "what": None, "sport": 1900,
              "dport": 53, "bytes": 100, "weight": 1}
    strange = [event for event in events if {**event, **wanted} != event]
    check(not strange, "events: all fields of a packet", strange[:1] or events[0])
    late = [abs(event["time_ns"] / 1e9 - time.time()) for event in events]
    check(max(late) < 10, "events: the time of day", f"{max(late):.3f} s ago at most")
    check(reader.status == 0 and no_listeners(), "events: SIGINT gives the slot back",
          f"status {reader.status}, slots {listeners()}, bits {listening_bits()}")


def test_events_thins_out_a_flood(lab):
    """At full speed about 1,000 a second are shown, and their weights add up to all packets."""
    limited(lab)
    flood = lab.start_flood("to", NEAR4, "from", SOURCE, "seconds", 4, "mac", STRANGE_MAC)
    time.sleep(1)
    before = lab.stats()["rate-limit"]
    reader = Reader(lab, "-j", "events", "reason", "rate-limit", "seconds", 2).wait()
    after = lab.stats()["rate-limit"]
    flood.stop()
    events = reader.events()
    weights = sum(event["weight"] for event in events)
    check(0 < len(events) <= 2 * 2 * EVENTS_PER_S, "events: a flood is thinned out",
          f"{len(events)} of {after - before} packets told in 2 s, 1 of {events[-1]['weight']} "
          f"in the end; {reader.err.strip()}")
    check(0.3 * (after - before) < weights < 1.2 * (after - before),
          "events: weights add up to the packets", f"{weights} by weight, {after - before} counted")


def test_events_tells_few_beside_many(lab):
    """A flood under one reason does not hide packets under another."""
    limited(lab)
    lab.weir("block", "add", OTHER)
    flood = lab.start_flood("to", NEAR4, "from", SOURCE, "seconds", 4, "mac", STRANGE_MAC)
    time.sleep(1)
    reader = Reader(lab, "-j", "events").listening()
    before = lab.stats()["block"]
    lab.flood("to", NEAR4, "from", OTHER, "pps", 100, "count", 50, "mac", STRANGE_MAC)
    time.sleep(0.2)
    counted = lab.stats()["block"] - before
    events = reader.end().events()
    flood.stop()
    told = sum(event["reason"] == "block" for event in events)
    check(told >= 0.9 * counted > 0, "events: rare packets beside a flood are told",
          f"{told} of {counted} blocked packets told, beside {len(events) - told} of the flood")


def test_events_chooses(lab):
    """Filters by source and by action; no line of the text is wider than a terminal."""
    limited(lab, "monitor")
    reader = Reader(lab, "-j", "events", "from", "203.0.113.0/24", "count", 5).listening()
    passed = Reader(lab, "-j", "events", "passed", "count", 5).listening()
    text = Reader(lab, "events", "reason", "rate-limit", "count", 20).listening()
    for source in (SOURCE, OTHER):
        lab.flood("to", NEAR4, "from", source, "pps", 10000, "count", 5000, "mac", STRANGE_MAC)
    events = reader.wait().events()
    check({event["source"] for event in events} == {OTHER} and len(events) == 5,
          "events: from, count", [event["source"] for event in events])
    check({event["action"] for event in events} == {"would drop"},
          "events: what monitor mode lets pass is said to", events[0]["action"])
    events = passed.wait().events()
    check({event["reason"] for event in events} == {"under-limit"}, "events: passed",
          [event["reason"] for event in events])
    lines = text.wait().out.splitlines()
    widest = max(map(len, lines))
    check(len(lines) == 20 and widest <= WIDTH, "events: text fits 80 columns",
          f"{len(lines)} lines, widest {widest}: {lines[0]}")
    lab.weir("events", "reason", "no-such-reason", expect=2)
    lab.weir("events", "reason", "block", "passed", expect=2)


def test_events_by_family(lab):
    """A short prefix of IPv6 means IPv6 only, though addresses of IPv4 are mapped into ::/0."""
    lab.use_ipv6()
    limited(lab)
    readers = {prefix: Reader(lab, "-j", "events", "passed", "from", prefix).listening()
               for prefix in ("::/0", "::/3", "2000::/3", "0.0.0.0/0")}
    lab.flood("to", NEAR4, "from", SOURCE, "pps", 100, "count", 9, "mac", STRANGE_MAC)
    lab.flood("to", NEAR6, "from", f"{SOURCE6}/128", "pps", 100, "count", 9, "mac", STRANGE_MAC)
    time.sleep(0.3)
    told = {}
    for prefix, reader in readers.items():
        sources = {event["source"] for event in reader.end().events()}
        told[prefix] = (SOURCE in sources, SOURCE6 in sources, None in sources)
    check(told == {"::/0": (False, True, False), "::/3": (False, False, False),
                   "2000::/3": (False, True, False), "0.0.0.0/0": (True, False, False)},
          "events: from, IPv4 and IPv6 apart", told)


def test_events_former_name(lab):
    """`weir monitor` is `weir events`, and is called so in its messages."""
    limited(lab)
    reader = Reader(lab, "-j", "monitor", "count", 5).listening()
    lab.flood("to", NEAR4, "from", SOURCE, "pps", 10000, "count", 5000, "mac", STRANGE_MAC)
    check(len(reader.wait().events()) == 5, "monitor: the former name works", "5 events")
    done = lab.weir("monitor", "reason", "no-such-reason", expect=2)
    check("weir events " in done.err and "weir monitor" not in done.err,
          "monitor: its usage names events", done.err.splitlines()[-1].strip())


def test_events_tells_bans(lab):
    lab.attach()
    reader = Reader(lab, "-j", "events", "count", 4).listening()
    time.sleep(1.2)     # earlier judgements are not shown
    for words in (("add", SOURCE, "ttl", "2s", "comment", "short"), ("add", OTHER),
                  ("del", OTHER)):
        lab.weir("block", *words)
        time.sleep(1.3)
    events = reader.wait().events()
    told = sorted((event["event"], event["change"], event["prefix"]) for event in events)
    check(told == [("ban", "added", f"{SOURCE}/32"), ("ban", "ended", f"{SOURCE}/32"),
                   ("block", "added", f"{OTHER}/32"), ("block", "removed", f"{OTHER}/32")],
          "events: bans come, end and go", told)


def test_events_tells_judgements(lab):
    """Judgements, written here as the daemon writes them: number, time, prefix, kind ..."""
    lab.attach()
    reader = Reader(lab, "-j", "events", "count", 1).listening()
    time.sleep(0.5)
    judgement = bytearray(320)
    judgement[0:8] = (1).to_bytes(8, "little")
    judgement[8:16] = int(time.time()).to_bytes(8, "little")
    judgement[16:20] = (96 + 24).to_bytes(4, "little")
    judgement[20:36] = bytes(10) + b"\xff\xff" + bytes((198, 51, 100, 0))
    judgement[36] = 1
    judgement[40:48] = (600).to_bytes(8, "little")
    judgement[88:92] = b"test"
    run("bpftool", "map", "update", "pinned", PINS / "judgements", "key", 1, 0, 0, 0, "value",
        *judgement)
    event = reader.wait().events()[0]
    check((event["event"], event["verdict"], event["prefix"], event["ttl_seconds"], event["text"]) ==
          ("judgement", "ban-network", "198.51.100.0/24", 600, "test"),
          "events: judgements are told", event)


def test_events_ends_when_weir_is_detached(lab):
    lab.attach()
    reader = Reader(lab, "events").listening()
    lab.weir("detach", "all")
    reader.wait()
    check(reader.status == 0 and "detached" in reader.err, "events: ends when weir is detached",
          f"status {reader.status}: {reader.err.strip()}")


def test_events_ends_with_its_pipe(lab):
    """`weir events | head` leaves nothing behind and prints no error."""
    lab.weir("block", "add", SOURCE)
    lab.attach()
    reader = Reader(lab, "events", stdout=subprocess.PIPE).listening()
    flood = lab.start_flood("to", NEAR4, "from", SOURCE, "pps", 1000, "seconds", 5)
    reader.process.stdout.readline()
    reader.process.stdout.close()
    status = reader.process.wait(10)
    flood.stop()
    check(status == -signal.SIGPIPE and no_listeners(), "events: ends with its pipe",
          f"status {status}, slots {listeners()}")


def test_events_ends_where_nobody_reads(lab):
    """A full pipe stops the output, but not the end on a signal."""
    lab.weir("block", "add", SOURCE)
    lab.attach()
    reader = Reader(lab, "-j", "events", stdout=subprocess.PIPE).listening()
    lab.flood("to", NEAR4, "from", SOURCE, "pps", 2000, "seconds", 1, "mac", STRANGE_MAC)
    reader.process.send_signal(signal.SIGTERM)
    try:
        status = reader.process.wait(5)
    except subprocess.TimeoutExpired:
        status = "still there"
    told = reader.process.stderr.read().strip()
    check(status == 0 and "cannot" not in told and no_listeners(),
          "events: ends while its pipe is not read", f"status {status}: {told}")


# ---- capture ----

def tshark(path, *fields):
    """The @fields of all packets of a file, and what tshark warned of."""
    words = [word for field in fields for word in ("-e", field)]
    done = run("tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=/t", *words,
               env={"HOME": "/nonexistent"})
    minded = [line for line in done.err.splitlines() if "Running as user" not in line]
    return [line.split("\t") for line in done.out.splitlines()], minded


def captured(lab, name):
    """The file of a capture, kept as test output."""
    (BUILD / "live").mkdir(exist_ok=True)
    path = BUILD / "live" / f"{name}.pcapng"
    path.unlink(missing_ok=True)
    return path


def test_capture_opens_in_tshark(lab):
    """Lengths, times, interface, reason and verdict of each packet, without a warning by tshark."""
    lab.weir("block", "add", SOURCE)
    lab.attach()
    path = captured(lab, "block")
    reader = Reader(lab, "-j", "capture", "count", 60, "write", path).listening()
    before = time.time()
    for size in (60, 1000, 1514):
        lab.flood("to", NEAR4, "from", SOURCE, "pps", 200, "count", 20, "size", size)
    report = json.loads(reader.wait().out)
    check(report == {"file": str(path), "matched": 60, "written": 60, "lost": 0},
          "capture: says what it did", reader.out.strip())
    packets, minded = tshark(path, "frame.len", "frame.cap_len", "frame.comment", "ip.src",
                             "frame.interface_name", "frame.verdict.ebpf_xdp", "frame.time_epoch",
                             "_ws.expert.severity", "_ws.malformed")
    check(len(packets) == 60 and not minded, "capture: tshark reads all of it without a word",
          f"{len(packets)} packets; {minded}")
    sizes = sorted({(int(packet[0]), int(packet[1])) for packet in packets})
    check(sizes == [(60, 60), (1000, 256), (1514, 256)], "capture: true lengths, at most 256 bytes",
          sizes)
    check({tuple(packet[2:6]) for packet in packets} ==
          {("reason block; action drop; weight 1", SOURCE, "near0", "1")},
          "capture: reason, source, interface and verdict", packets[0][2:6])
    times = [packet[6] for packet in packets]
    late = [float(time_text) - before for time_text in times]
    check(times == sorted(times) and -0.1 < min(late) and max(late) < 20 and
          any(not time_text.endswith("000") for time_text in times),
          "capture: times in nanoseconds", f"{times[0]}, {min(late):.3f} to {max(late):.3f} s later")
    whole = [packet[7:] for packet in packets if packet[0] == packet[1]]
    check({tuple(minds) for minds in whole} == {(str(EXPERT_COMMENT), "")},
          "capture: no expert says more than the comment of a whole packet", whole[0])


def test_capture_during_a_flood(lab):
    """Under a flood the file stays small, the summary adds up, and the flood still drops."""
    limited(lab)
    path = captured(lab, "flood")
    flood = lab.start_flood("to", NEAR4, "from", SOURCE, "seconds", 4, "mac", STRANGE_MAC)
    time.sleep(1)
    before = lab.stats()["rate-limit"]
    reader = Reader(lab, "-j", "capture", "reason", "rate-limit", "seconds", 2, "write", path).wait()
    seen = lab.stats()["rate-limit"] - before
    flood.stop()
    report = json.loads(reader.out)
    packets, minded = tshark(path, "frame.comment")
    check(0 < len(packets) == report["written"] <= 2 * 2 * EVENTS_PER_S and not minded,
          "capture: a flood is thinned out", f"{report} of {seen} dropped, "
          f"{path.stat().st_size} bytes; {packets[-1][0]}; {minded}")
    weights = sum(int(packet[0].split()[-1]) for packet in packets)
    check(report["lost"] > 0 or weights == report["matched"], "capture: weights add up to the report",
          f"{weights} by weight, {report['matched']} reported")


def test_capture_ways(lab):
    """The verdict in monitor mode, a pipe, wrong arguments, a full disk."""
    lab.weir("block", "add", SOURCE)
    lab.attach("monitor")
    reader = Reader(lab, "capture", "count", 5, "write", "-").listening()
    full = Reader(lab, "capture", "write", "/dev/full")
    lab.flood("to", NEAR4, "from", SOURCE, "pps", 200, "count", 20)
    path = captured(lab, "monitor")
    reader.wait()
    reader.file.seek(0)
    path.write_bytes(reader.file.buffer.read())
    packets, minded = tshark(path, "frame.comment", "frame.verdict.ebpf_xdp")
    check({tuple(packet) for packet in packets} ==
          {("reason block; action would drop; weight 1", "2")} and not minded and len(packets) == 5,
          "capture: to a pipe, in monitor mode", f"{len(packets)}: {packets[:1]} {minded}")
    full.wait()
    check(full.status == 1 and "No space left" in full.err, "capture: a full disk is said",
          full.err.strip())
    check(no_listeners(), "capture: gives its slot back", listeners())
    for words in (["count", 5], ["write", "f", "count", 0], ["write", "f", "from", "192.0.2.1/24"]):
        lab.weir("capture", *words, expect=2)
    wrong = lab.weir("capture", "write", "/no/such/folder/f", expect=1)
    check("/no/such/folder/f" in wrong.err, "capture: a file that cannot be is said",
          wrong.err.strip())


# ---- slots ----

def test_readers_beside_each_other(lab):
    """Four readers at once, each of all packets. A fifth is refused with the pids of the others.
    The slots of killed readers are used again."""
    lab.weir("block", "add", SOURCE)
    lab.attach()
    readers = [Reader(lab, "-j", "events").listening() for _ in range(READERS)]
    fifth = lab.weir("events", expect=1)
    check(all(str(reader.process.pid) in fifth.err for reader in readers),
          "a fifth reader is refused, with the pids of the others", fifth.err.strip())
    for reader in readers[:2]:
        reader.process.kill()
        reader.process.wait()
    new = Reader(lab, "-j", "events").listening()
    lab.flood("to", NEAR4, "from", SOURCE, "pps", 200, "count", 50)
    time.sleep(0.3)
    told = [len(reader.end(signal.SIGTERM).events()) for reader in readers[2:] + [new]]
    check(told == [50, 50, 50], "readers beside each other, one in the slot of a killed one",
          f"{told} of 50 packets told")
    lab.weir("block", "add", OTHER)
    check(no_listeners(), "the next command that writes clears the slots of killed readers",
          f"slots {listeners()}, bits {listening_bits()}")


if __name__ == "__main__":
    run_tests(__name__)
