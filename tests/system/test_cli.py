# SPDX-License-Identifier: GPL-2.0-only
"""The command line: refusals, exit statuses, the shape of the JSON, and the width of the text."""
import json
import pathlib
import re
import shlex
import tempfile

from stage import NEAR4, NEAR6, PINS, ROOT, WEIR, check, pins, run_tests

# Wrong command lines, and a word that the first line of the message must name.
WRONG = {
    "no command": [
        ("frobnicate", "frobnicate"), ("Limit show", "Limit"), ("limi show", "limi"),
        ("att dev near0", "att"), ("'' show", ""), ("--jason limit show", "jason"),
        ("-x limit show", "x"), ("limit show -x", "-x"), ("limit show -- -j", "-j"),
        ("help nosuch", "nosuch"), ("version now", "now"),
    ],
    "attach": [
        ("attach", "dev"), ("attach dev", "dev"), ("attach near0 lo", "lo"),
        ("attach Dev near0", "Dev"), ("attach dev near0 fast", "fast"),
        ("attach dev near0 dev lo", "dev"), ("attach dev near0 mode", "mode"),
        ("attach dev near0 mode fast", "fast"), ("attach dev near0 mode native mode skb", "mode"),
        ("attach dev near0 monitor monitor", "monitor"), ("attach dev near0 mode ''", "mode"),
        ("attach dev near0 link", "link"), ("attach dev near0 link fast", "fast"),
        ("attach dev near0 link 1mbit", "1mbit"), ("attach dev near0 link 100/min", "100/min"),
        ("attach dev near0 link 0pps", "0pps"), ("attach dev near0 link 101mpps", "101mpps"),
        ("attach dev near0 link off link off", "link"),
    ],
    "doctor": [
        ("doctor dev", "dev"), ("doctor near0 lo", "lo"), ("doctor dev near0 now", "now"),
    ],
    "detach": [
        ("detach", "dev"), ("detach dev", "dev"), ("detach near0 lo", "lo"),
        ("detach dev near0 dev lo", "dev"), ("detach all all", "all"),
        ("detach all dev near0", "all"), ("detach dev near0 all", "all"), ("detach keep", "dev"),
        ("detach dev near0 keep keep", "keep"), ("detach dev near0 now", "now"),
    ],
    "limit": [("limit", "limit"), ("limit frobnicate", "frobnicate"), ("limit se rate 1pps", "se")],
    "limit set, rate": [
        ("limit set", "rate"), ("limit set rate", "rate"),
        *((f"limit set rate '{rate}'", rate) for rate in (
            "0pps", "0/min", "0/h", "0mbit", "999bit", "1", "-5pps", "+5pps", "1.5pps", "1e3pps",
            "pps", "1kpp", "1MB", " 5pps", "5pps ", "0x10pps", "1001mpps", "1001gbit",
            "99999999999999999999pps", "18446744073709551616pps", "18446744073709551615mpps",
            "18446744073709551615gbit", "99999999999999999999/h", "1/day")),
        ("limit set rate 1000 pps", "1000"), ("limit set rate 1pps rate 2pps", "2pps"),
        ("limit set rate 1mbit rate 2mbit", "2mbit"), ("limit set rate 10pps please", "please"),
    ],
    "limit set, burst": [
        ("limit set rate 10pps burst", "burst"),
        *((f"limit set rate 10pps burst '{burst}'", burst) for burst in (
            "0", "-1", "1.5", "x", "1000000001", "99999999999999999999", "10pps")),
        ("limit set rate 10pps burst 5 burst 6", "6"), ("limit set rate 1mbit burst 100", "100"),
        ("limit set rate 10pps burst 1mbit", "burst"),
        ("limit set rate 1mbit burst 100bit", "100bit"),
        ("limit set rate 1/h burst 1000000", "burst"),
    ],
    "limit set, per": [
        ("limit set rate 10pps per", "per"),
        *((f"limit set rate 10pps per '{bits}'", bits) for bits in ("0", "129", "x", "/24", "-1")),
        ("limit set rate 10pps per 24 per 16", "per"),
        ("limit set rate 10pps per 48 per 56", "per"),
        ("limit set from 198.51.100.0/24 per 48 rate 10pps", "48"),
        ("limit set per 48 from 198.51.100.0/24 rate 10pps", "48"),
    ],
    "limit set, from": [
        ("limit set rate 10pps from", "from"),
        *((f"limit set rate 10pps from '{prefix}'", prefix) for prefix in (
            "198.51.100.7/24", "2001:db8::1/64", "198.51.100.0/33", "2001:db8::/129",
            "198.51.100", "198.51.100.256", "198.51.100.0/-1", "198.51.100.0/", "host.example",
            "::/0", "", "2001:db8:::1", "198.51.100.0/255.255.255.0", "fe80::1%near0")),
        ("limit set from 198.51.100.1 from 198.51.100.2 rate 10pps", "from"),
    ],
    "limit set, class": [
        ("limit set rate 10pps proto", "proto"), ("limit set rate 10pps dport", "dport"),
        *((f"limit set rate 10pps proto '{proto}'", proto) for proto in (
            "tpc", "256", "-1", "", "6x")),
        *((f"limit set rate 10pps dport '{ports}'", "dport") for ports in (
            "0", "65536", "80-", "-80", "90-80", "80-90-100", "nosuch", "", "99999999999999999999")),
        ("limit set proto tcp proto udp rate 10pps", "proto"),
        ("limit set proto any proto udp rate 10pps", "proto"),
        ("limit set dport 1 dport 2 rate 10pps", "dport"), ("limit set syn syn rate 10pps", "syn"),
        ("limit set syn fragment rate 10pps", "fragment"),
        ("limit set syn proto udp rate 10pps", "syn"),
        ("limit set fragment dport 80 rate 10pps", "fragment"),
        ("limit set proto icmp dport 80 rate 10pps", "dport"),
        ("limit set proto icmp sport 80 rate 10pps", "sport"),
        ("limit set fragment sport 80 rate 10pps", "fragment"),
        ("limit set icmp-type 256 rate 10pps", "icmp-type"),
        ("limit set icmp-type 3 rate 10pps", "time-exceeded"),
        ("limit set proto udp icmp-type 8 rate 10pps", "icmp-type"),
        ("budget set x to 192.0.2.0/24 icmp-type packet-too-big rate 10pps", "IPv4"),
        ("limit del icmp-type echo", "echo-request"),
        ("limit set sport 0 rate 10pps", "sport"), ("limit set sport 9-8 rate 10pps", "sport"),
        ("preset", "preset"), ("preset flood", "flood"), ("preset reflection now", "now"),
        ("preset reflection apply apply", "apply"),
        *((f"limit set {word} {ports} rate 10pps", word) for word in ("dport", "sport")
          for ports in ("80,", ",80", "80,,81", "80,0", "80,9-8",
                        ",".join(map(str, range(1, 35, 2))))),
        ("check 198.51.100.1 dport 80,81", "dport"), ("check 198.51.100.1 sport 80,81", "sport"),
        ("limit set sport 65536 rate 10pps", "sport"), ("limit set rate 10pps sport", "sport"),
        ("limit set sport 1 sport 2 rate 10pps", "sport"),
        ("budget set x sport 70000 rate 10pps", "sport"),
        ("check 198.51.100.1 sport 1-2", "sport"), ("check 198.51.100.1 sport 0", "sport"),
        ("check 198.51.100.1 fragment sport 1", "fragment"),
        ("check 198.51.100.1 proto icmp sport 80", "sport"),
        ("limit set proto gre dport 80 rate 10pps", "dport"),
    ],
    "limit del, show, flush": [
        ("limit del rate 10pps", "rate"), ("limit del burst 5", "burst"), ("limit del all", "all"),
        ("limit del from 198.51.100.7/24", "198.51.100.7/24"), ("limit del proto tpc", "tpc"),
        ("limit del from", "from"), ("limit show all", "all"), ("limit flush all", "all"),
    ],
    "allow": [
        ("allow", "allow"), ("allow frob", "frob"), ("allow add", "prefix"),
        ("allow del", "prefix"), ("allow test", "prefix"),
        ("allow add 198.51.100.7/24", "198.51.100.7/24"),
        ("allow add 198.51.100.1 host.example", "host.example"),
        ("allow add 198.51.100.1 comment", "comment"), ("allow add 198.51.100.1 ttl 10m", "ttl"),
        (f"allow add 198.51.100.1 comment {'x' * 48}", "comment"),
        ("allow add 198.51.100.1 comment 'a\nb'", "comment"),
        ("allow add 198.51.100.1 comment a comment b", "comment"),
        ("allow del 198.51.100.1 comment a", "comment"), ("allow show all", "all"),
        ("allow flush all", "all"),
    ],
    "block": [
        ("block", "block"), ("block frob", "frob"), ("block add", "prefix"),
        ("block del", "prefix"), ("block test", "prefix"),
        ("block add 2001:db8::1/64", "2001:db8::1/64"),
        *((f"block add 198.51.100.1 ttl '{ttl}'", ttl) for ttl in (
            "0s", "10", "10x", "-1m", "1m1h", "4000d", "99999999999999999999s")),
        ("block add 198.51.100.1 ttl", "ttl"), ("block add 198.51.100.1 ttl 1m ttl 2m", "ttl"),
        ("block add 198.51.100.1 comment", "comment"), ("block show all", "all"),
        ("block flush all", "all"),
    ],
    "ban": [
        ("ban", "prefix"), ("ban 10m", "prefix"), ("ban 198.51.100.1 10m 20m", "20m"),
        ("ban 198.51.100.1 10m ttl 20m", "20m"), ("ban 198.51.100.1 10x", "10x"),
        ("ban host.example", "host.example"), ("unban", "prefix"), ("unban 198.51.100.1 10m", "10m"),
        ("ban show", "show"),
    ],
    "list": [
        ("list", "list"), ("list frob", "frob"), ("list load", "name"), ("list load a", "file"),
        ("list load UPPER file /dev/null", "UPPER"), ("list load a/b file /dev/null", "a/b"),
        ("list load .. file /dev/null", ".."), ("list load '' file /dev/null", "name"),
        (f"list load {'a' * 32} file /dev/null", "a" * 32), ("list load a file", "file"),
        ("list load a file /dev/null format xml", "xml"),
        ("list load a file /dev/null format", "format"),
        ("list load a file /dev/null file /dev/zero", "file"),
        ("list load a file /dev/null x", "x"), ("list show a", "a"), ("list diff", "name"),
        ("list rollback", "name"), ("list del", "name"),
        ("list rollback a b", "b"), ("list del a b", "b"), ("list diff a b", "b"),
    ],
    "syn share": [
        ("syn share", "default"), ("syn share 0%", "0"), ("syn share 81%", "81"),
        ("syn share -5%", "-5"), ("syn share half", "half"), ("syn share %", "share"),
        ("syn share ''", "share"), ("syn share 1.5%", "1.5"), ("syn share 30%%", "30%"),
        ("syn share 30% 40%", "40%"), ("syn share default 5%", "5%"),
    ],
    "dns": [
        ("dns", "dns"), ("dns frob", "frob"), ("dns show all", "all"),
        ("dns protect always when-over-budget", "always"), ("dns protect always always", "always"),
        ("dns protect dport 53-54", "dport"), ("dns protect dport 0", "dport"),
        ("dns protect dport", "dport"), ("dns protect 53", "53"), ("dns protect to", "to"),
        ("dns protect to 198.51.100.7/24", "198.51.100.7/24"), ("dns protect set-sysctl", "set-sysctl"),
        ("dns del always", "always"), ("dns del dport 53 dport 54", "dport"),
    ],
    "drop": [
        ("drop", "drop"), ("drop frob", "frob"), ("drop show all", "all"), ("drop add", "name"),
        ("drop add A proto udp", "A"), ("drop add a", "condition"), ("drop add a ttl 64", "ip-ttl 64"),
        ("drop add a sport 0", "sport"), ("drop add a sport 1-70000", "sport"),
        ("drop add a dport 9-8", "dport"), ("drop add a length 10", "length"),
        ("drop add a ip-ttl 256", "ip-ttl"), ("drop add a flags syn", "mask"),
        ("drop add a flags sin/syn", "sin"), ("drop add a icmp-type 3", "icmp-type"),
        ("drop add a payload 0", "payload"), ("drop add a payload 0 fff", "payload"),
        ("drop add a l4 2000 ff", "l4"), ("drop add a fragment dport 53", "fragment"),
        ("drop add a proto icmp sport 53", "sport"), ("drop add a proto udp flags syn/syn", "flags"),
        ("drop add a sport 53 rate 0pps", "rate"), ("drop add a sport 53 spare all", "spare"),
        ("drop add a sport 53 sport 54", "sport"), ("drop add a from 192.0.2.1/24", "192.0.2.1/24"),
        ("drop del", "name"), ("drop del a b", "b"), ("drop flush all", "all"),
        ("check 198.51.100.7 length 19", "length"), ("check 198.51.100.7 ip-ttl 1-2", "ip-ttl"),
        ("check 198.51.100.7 proto udp flags syn", "flags"), ("check 198.51.100.7 payload f", "payload"),
        ("check 198.51.100.7 sport 1-2", "sport"),
        ("check 198.51.100.7 proto udp icmp-type 8", "icmp-type"),
        ("check 198.51.100.7 icmp-type packet-too-big", "IPv4"),
        ("check 2001:db8::1 icmp-type timestamp-reply", "IPv6"),
        ("check 198.51.100.7 fragment sport 53", "fragment"),
    ],
    "check, save, restore": [
        ("check", "address"), ("check 198.51.100.0/24", "198.51.100.0/24"),
        ("check host.example", "host.example"), ("check 198.51.100.1 proto any", "proto"),
        ("check 198.51.100.1 proto", "proto"), ("check 198.51.100.1 dport 1-2", "dport"),
        ("check 198.51.100.1 dport 0", "dport"), ("check 198.51.100.1 from", "from"),
        ("check 198.51.100.1 proto udp syn", "syn"),
        ("check 198.51.100.1 proto icmp dport 80", "dport"),
        ("check 198.51.100.1 proto tcp proto udp", "proto"), ("save all", "all"),
        ("restore", "file"), ("restore /dev/null now", "now"),
    ],
    "explain": [
        ("explain eth0", "eth0"), ("explain dev", "dev"), ("explain seconds 0", "0"),
        ("explain seconds x", "x"), ("explain seconds 3601", "3601"), ("explain to", "to"),
        ("explain to host.example", "host.example"), ("explain proto frob", "frob"),
        ("explain dev a dev b", "dev"), ("explain calm", "calm"), ("explain passed", "passed"),
    ],
    "incidents": [
        ("incidents x", "x"), ("incidents 0", "0"), ("incidents 1 2", "2"), ("incidents -1", "-1"),
        ("incidents report", "number"), ("incidents report 1 2", "2"), ("incidents show", "show"),
    ],
    "show": [
        ("show", "show"), ("show frob", "frob"), ("show stat", "stat"), ("show status all", "all"),
        ("show stats near0 lo", "lo"), ("show stats dev", "dev"),
        ("show stats dev near0 dev lo", "dev"), ("show sources 5", "5"),
        ("show sources top", "top"),
        ("show sources top 0", "0"), ("show sources top x", "x"), ("show sources top -1", "-1"),
        ("show sources top 99999999999999999999", "99999999999999999999"),
        ("show sources top 5 top 6", "top"), ("show sources seconds 5", "all"),
        ("show sources all seconds 61", "61"), ("show sources all all", "all"),
        ("suggest 60", "60"), ("suggest seconds 4", "4"), ("suggest seconds 90000", "90000"),
        ("suggest dev", "dev"), ("suggest seconds 5 seconds 5", "seconds"), ("show source", "address"),
        ("show source 198.51.100.0/24", "198.51.100.0/24"),
        ("show source host.example", "host.example"),
        ("show source 198.51.100.1 198.51.100.2", "198.51.100.2"),
    ],
}


def complaint(lab, line, word):
    """What is wrong with how such a line was refused; empty: nothing."""
    done = lab.weir(*shlex.split(line), expect=None)
    first = done.err.partition("\n")[0]
    if done.status != 2:
        return [f"{line}: status {done.status}"]
    if word not in first:
        return [f"{line}: \"{first}\" does not name {word}"]
    return [f"{line}: wrote to standard output"] if done.out else []


def state(lab):
    """All state that a wrong command line could have changed."""
    if not PINS.exists():
        return None
    return lab.weir("save").out, lab.read("limit", "show"), lab.read("show", "status")


def set_something(lab):
    if lab.prog_id() is None:
        lab.attach()
    lab.weir("limit", "set", "rate", "1000pps", "burst", 100)
    lab.weir("limit", "set", "from", "198.51.100.0/24", "syn", "dport", "80-90", "rate", "20/h")


def test_wrong_words(lab):
    """Exit status 2, the wrong word named, nothing changed."""
    for what, lines in WRONG.items():
        set_something(lab)
        before, complaints = state(lab), []
        for line, word in lines:
            complaints += complaint(lab, line, word)
        if state(lab) != before:
            complaints.append("the settings have changed")
            lab.weir("detach", "all", expect=None)
        check(not complaints, f"{what}: wrong words are refused and named",
              "; ".join(complaints) or f"{len(lines)} lines")


def test_wrong_words_make_no_maps(lab):
    lines = [line for what, lines in WRONG.items() for line, _ in lines if what != "detach"]
    made = []
    for line in lines:
        lab.weir(*shlex.split(line), expect=None)
        if PINS.exists():
            made.append(line)
            lab.weir("detach", "all", expect=None)
    check(not made, "wrong words make no maps", "; ".join(made) or f"{len(lines)} lines, no pins")


def test_not_in_use(lab):
    """Without weir in use, reading commands show nothing and make nothing."""
    for line in ("show status", "show stats", "show sources", "show sources all",
                 "suggest seconds 5", "show source 198.51.100.1", "limit show", "limit del",
                 "limit flush", "allow show", "block show", "list show",
                 "allow test 198.51.100.1", "block test 198.51.100.1", "check 198.51.100.1",
                 "dns show", "dns del", "drop show", "drop del a", "drop flush", "save", "explain",
                 "detach all", "detach dev near0"):
        done = lab.weir(*line.split(), expect=None)
        if done.status != 1 or "not in use" not in done.err or done.out:
            check(False, f"{line} where weir is not in use", done)
            return
    check(not PINS.exists(), "all that reads says where weir is not in use", "24 commands, no pins")


def test_failures(lab):
    """Exit status 1, with the reason, for what is right but cannot be done."""
    set_something(lab)
    before = state(lab)
    for line, words in (
            ("limit del from 203.0.113.0/24", "203.0.113.0/24"), ("limit del proto udp", "udp"),
            ("limit del from 198.51.100.0/24", "198.51.100.0/24"),  # of another class
            ("drop del a", "drop rule a"), ("drop add a proto udp", "force"),
            ("dns del to 198.51.100.7", "198.51.100.7"), ("dns protect always", "nothing listens"),
            ("unban 198.51.100.1", "198.51.100.1"), ("attach nosuch0", "nosuch0"),
            ("show stats dev lo", "lo"), ("detach dev lo", "lo"), ("attach dev nosuch0", "nosuch0"),
            ("allow del 198.51.100.1", "198.51.100.1"), ("block del 198.51.100.1", "198.51.100.1"),
            ("block add 0.0.0.0/0", "force"), ("block add ::/0", "force"),
            (f"block add {NEAR4}", NEAR4), ("list load a file /nosuch", "/nosuch"),
            ("list rollback a", "a"), ("list del a", "a"), ("list diff a", "a"),
            ("restore /nosuch", "/nosuch")):
        done = lab.weir(*line.split(), expect=None)
        check(done.status == 1 and words in done.err and not done.out, f"fails: {line}", done)
    check(state(lab) == before, "what failed has changed nothing",
          f"{len(before[1]['limits'])} limits")


def test_limit_set_again(lab):
    """A limit that is set again, also in other words, stays one limit."""
    set_something(lab)
    before = lab.read("limit", "show")
    for line in ("limit set rate 1000pps burst 100", "limit set rate 1kpps burst 100",
                 "limit set burst 100 rate 1000/s proto any"):
        lab.weir(*line.split())
    check(lab.read("limit", "show") == before, "a limit set again is no second limit",
          f"{len(before['limits'])} limits")
    lab.weir("limit", "del", "dport", "80-90", "from", "198.51.100.0/24", "syn")
    lab.weir("limit", "del")
    check(lab.read("limit", "show") == {"limits": []}, "limit del takes what limit set took",
          "none left")
    lab.weir("limit", "set", "rate", "1000pps")
    done = lab.weir("limit", "flush")
    check(lab.read("limit", "show") == {"limits": []}, "limit flush", done.out.strip())


def test_rates_are_shown_as_set(lab):
    for rate in ("1pps", "1000pps", "7/min", "20/h", "1kbit", "50mbit", "1gbit", "1000gbit",
                 "1000000000pps"):
        lab.weir("limit", "set", "rate", rate)
        shown = lab.weir("limit", "show").out.splitlines()[1].split()[2]
        if not check(shown == rate, f"rate {rate}", f"shown as {shown}"):
            return
        lab.weir("limit", "flush")


# ---- JSON ----

def reasons_of_the_abi():
    text = (ROOT / "bpf/weir.h").read_text()
    return [(name, action.lower())
            for name, action in re.findall(r'R\(\w+,\s*"([a-z0-9-]+)",\s*(PASS|DROP|TX)\)', text)]


def lacks(value, wanted, path="$"):
    """The places at which @value lacks the shape @wanted. More keys are allowed."""
    if isinstance(wanted, dict):
        if not isinstance(value, dict):
            return [path]
        return [gap for key, item in wanted.items()
                for gap in (lacks(value[key], item, f"{path}.{key}") if key in value
                            else [f"{path}.{key}"])]
    if isinstance(wanted, list):
        if not isinstance(value, list) or not value:
            return [path]
        return [gap for item in value for gap in lacks(item, wanted[0], f"{path}[]")]
    return [] if type(value) is wanted else [path]


STATS = {"devices": [{"dev": str, "mode": str, "monitor": bool, "packets": int, "bytes": int,
                      "reasons": [{"reason": str, "action": str, "packets": int, "bytes": int}]}]}
SOURCES = {"total": int, "sources": [{"source": str, "class": str, "passed": int, "dropped": int,
                                      "dropped_bytes": int, "dropped_percent": int}]}
ALL_SOURCES = {"seconds": float, "samples": int, "total": int,
               "sources": [{"source": str, "packets_per_s": int, "bits_per_s": int,
                            "dropped_per_s": int, "error_percent": int, "mostly": str}]}
NEEDS = {"p50": int, "p99": type(None), "p99_9": type(None), "max": int}
SUGGESTION = {"seen_by": str, "from": int, "to": int, "parts": int, "lost_percent": int,
              "classes": [{"class": str, "sources": int, "samples": int, "weight": int,
                           "coarse": bool, "packets_per_s": NEEDS, "bits_per_s": NEEDS,
                           "suggested": {"command": str, "rate_packets": int, "touched": int},
                           "tighter": type(None)}]}
STATUS = {"abi": int, "limits": int, "sources": int,
          "drop_rules": {"count": int, "monitor": int, "temporary": int},
          "devices": [{"dev": str, "mode": str, "monitor": bool, "attached": bool,
                       "lost": {"packets": {"dropped": int, "missed": int, "over": int, "fifo": int,
                                            "nohandler": int, "queues": int},
                                "recent_least": int, "recent_seen": int, "own_drops": str,
                                "alarm": str}}]}
DOCTOR = {"worst": str, "findings": [{"level": str, "subject": str, "check": str, "text": str,
                                      "remedy": str}]}
LIMITS = {"limits": [{"from": str, "class": str, "rate_packets": int, "per_seconds": int,
                      "burst_packets": int, "rate_bits_per_s": int, "burst_bits": int,
                      "per_v4": int, "per_v6": int}]}


def flood_sources(lab):
    """Three sources over the limit, each further than the one before."""
    for number, count in ((7, 100), (8, 200), (9, 300)):
        lab.flood("to", NEAR4, "from", f"198.51.100.{number}/32", "count", count, "pps", 1000)


def test_json(lab):
    lab.weir("limit", "set", "rate", "1/h", "burst", 10)
    lab.attach()
    flood_sources(lab)
    for words, wanted in (("show stats", STATS), ("show sources", SOURCES), ("show status", STATUS),
                          ("limit show", LIMITS), ("doctor", DOCTOR), ("show source 198.51.100.9", SOURCES)):
        value = lab.read(*words.split())
        gaps = lacks(value, wanted)
        check(not gaps, f"{words} has the documented shape",
              ", ".join(gaps) or json.dumps(value)[:60])
    reasons = [(reason["reason"], reason["action"])
               for reason in lab.read("show", "stats")["devices"][0]["reasons"]]
    wanted = reasons_of_the_abi()
    check(reasons == wanted and len(wanted) > 10, "every reason of the ABI is there, in its order",
          f"{len(reasons)} of {len(wanted)}")


def test_json_of_traffic(lab):
    lab.attach()
    lab.spawn(lab.far, ["ping", "-q", "-i", "0.05", NEAR4])
    for words, wanted in (("show sources all seconds 1", ALL_SOURCES),
                          ("suggest seconds 5", SUGGESTION)):
        value = lab.read(*words.split())
        gaps = lacks(value, wanted)
        check(not gaps and len(json.dumps(value)) > 150, f"{words} has the documented shape",
              ", ".join(gaps) or json.dumps(value)[:60])
    for words in ("show sources all seconds 1", "suggest seconds 5"):
        done = lab.weir(*words.split())
        lines = (done.out + done.err).splitlines()
        wide = [line for line in lines if len(line) > 80]
        check(not wide and len(lines) > 2, f"{words}: within 80 columns", wide or lines[-1])


def test_json_sources(lab):
    lab.weir("limit", "set", "rate", "1/h", "burst", 10)
    lab.attach()
    flood_sources(lab)
    value = lab.read("show", "sources")
    dropped = [(source["source"], source["class"], source["dropped"])
               for source in value["sources"]]
    wanted = [("198.51.100.9/32", "all", 290), ("198.51.100.8/32", "all", 190),
              ("198.51.100.7/32", "all", 90)]
    check(value["total"] == 3 and dropped == wanted, "sources, worst first", dropped)
    first = lab.read("show", "sources", "top", "1")
    check(first == {"total": 3, "sources": value["sources"][:1]}, "show sources top 1",
          f"total {first['total']}, {len(first['sources'])} shown")
    for shown in value["sources"]:
        address = shown["source"].partition("/")[0]
        one = lab.read("show", "source", address)
        check(one == {"total": 1, "sources": [shown], "tier": "first-seen"},
              f"show source {address}", one)
    none = lab.read("show", "source", "203.0.113.1")
    check(none == {"total": 0, "sources": [], "tier": "first-seen"},
          "show source of one far from its limit", none)
    stats = lab.stats()
    check(stats["rate-limit"] == 570 and stats["under-limit"] == 30, "the counters agree",
          f"{stats['rate-limit']} dropped, {stats['under-limit']} let through")


def test_dropped_percent(lab):
    """Of what a source sends beyond half its burst: rounded down, in the table as in the JSON."""
    lab.weir("limit", "set", "rate", "1/h", "burst", 10)
    lab.attach()
    for number, count in ((6, 10), (7, 15), (8, 1200)):
        lab.flood("to", NEAR4, "from", f"198.51.100.{number}/32", "count", count, "pps", 1000)
    parts = [(source["dropped"], source["dropped_percent"], source["passed"])
             for source in lab.read("show", "sources")["sources"]]
    wanted = [(1190, 99, 5), (5, 50, 5), (0, 0, 5)]
    check(parts == wanted, "dropped_percent, rounded down", parts)
    head, *rows = (line.split() for line in lab.weir("show", "sources").out.splitlines())
    shown = [tuple(map(int, row[-3:])) for row in rows]
    check(head[-3:] == ["DROPPED", "%", "PASSED"] and shown == wanted, "% in the table", shown)


def test_known_import_as_a_whole(lab):
    """What is wrong in the middle of the file leaves everything as it was."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "customers")
        for what, line, named in (("a prefix too wide", "203.0.0.0/8", "203.0.0.0/8 is too wide"),
                                  ("an IPv6 prefix too wide", "2001:db8::/32", "2001:db8::/32 is too"),
                                  ("a line that is no prefix", "no address", f"{path}:2")):
            path.write_text(f"10.0.0.1\n{line}\n10.0.0.2\n")
            done = lab.weir("known", "import", path, expect=1)
            check(named in done.err and not pins(), f"known import of {what} makes no maps",
                  f"{len(pins())} pins; {done.err.strip()}")
            lab.weir("limit", "set", "rate", "1000pps")
            lab.weir("known", "import", path, expect=1)
            known = lab.weir("known", "show", "10.0.0.1", expect=None)
            check(known.status == 1, f"known import of {what} makes nothing known", known.out.strip())
            lab.weir("detach", "all")
        path.write_text("10.0.0.1\n203.0.113.0/24\n2001:db8:1::/63\n")
        done = lab.weir("known", "import", path)
        check(lab.read("known", "show")["known"] == 1 + 256 + 2 and done.out.startswith("259 "),
              "known import of a right file", done.out.strip())


def test_options(lab):
    done = lab.weir("attach", "dev", "near0")
    loud = lab.weir("-q", "attach", "dev", "near0")
    check(done.err and not loud.err, "-q says nothing when all goes well", f"without: {done}")
    done = lab.weir("-q", "limit", "del", expect=1)
    check(done.err, "-q still says what failed", done)
    lab.weir("limit", "set", "rate", "1000pps")
    for words in ("show stats", "show status", "show sources", "limit show"):
        plain, pretty = (lab.weir(option, *words.split()).out for option in ("-j", "-p"))
        check(json.loads(plain) == json.loads(pretty) and plain.count("\n") == 1 and
              pretty.count("\n") > 1, f"-p {words} is -j in many lines",
              f"{plain.count(chr(10))} and {pretty.count(chr(10))} lines")
    quiet = lab.weir("attach", "dev", "lo", "mode", "native", expect=1)
    verbose = lab.weir("-v", "attach", "dev", "lo", "mode", "native", expect=1)
    check(len(verbose.err) > len(quiet.err), "-v says more",
          f"{len(verbose.err.splitlines())} lines, {len(quiet.err.splitlines())} without")
    for words in (("limit", "show", "-j"), ("limit", "-j", "show"), ("-j", "--", "limit", "show")):
        done = lab.weir(*words)
        check("limits" in json.loads(done.out), f"{' '.join(words)}: options stand anywhere",
              done.out.strip()[:40])
    lab.weir("allow", "add", "198.51.100.9", "comment", "-j")
    lab.weir("allow", "add", "--", "198.51.100.8", "comment", "--json")
    comments = [entry["comment"] for entry in lab.read("allow", "show")["allow"]]
    check(comments == ["--json", "-j"], "a comment that looks like an option is a comment", comments)


def test_output_that_cannot_be_written(lab):
    """Output that cannot be written is a failure."""
    lab.attach()
    lab.weir("limit", "set", "rate", "1000pps")
    for words in ("-j show stats", "show stats", "limit show", "show status", "save"):
        done = lab.near.run("sh", "-c", f"exec {WEIR} {words} > /dev/full", expect=None)
        check(done.status == 1 and done.err, f"{words} to a full disk", done)


def show_all(lab):
    """The text of each read command, standard error included."""
    for line in ("help", "help all", "help list", "", "version", "limit show", "budget show", "allow show",
                 "block show", "list show", "show status", "-q dns show", "drop show", "show stats", "show sources",
                 "show source 2001:db8:1234:5678:9abc:def0:1234:5678",
                 "allow test 2001:db8:1:2::/64", "block test 2001:db8:1:2::/64",
                 "check 2001:db8:1:2::1", "show health", "doctor"):
        done = lab.weir(*line.split(), expect=None)
        yield " ".join(line.split()[:2]), (done.out + done.err).splitlines()


LONG_SET = ",".join(f"{port}-{port + 1}" for port in range(20000, 20160, 10))


def test_text_fits_80_columns(lab):
    """The text of all commands fits 80 columns, also with the longest names and numbers."""
    source, network = "2001:db8:1234:5678:9abc:def0:1234:5678", "2001:db8:1234:5678::/64"
    lab.use_ipv6()
    lab.attach("monitor")
    for line in (f"limit set from {network} syn dport 10000-20000 rate 1000000000pps rate 1000gbit",
                 f"limit set from {source} proto udp dport 10000-20000 rate 1/h burst 1 per 128",
                 f"limit set dport {LONG_SET} sport {LONG_SET} rate 1pps",
                 f"budget set longest proto udp dport {LONG_SET} sport {LONG_SET} rate 1pps",
                 f"limit set from {source} icmp-type destination-unreachable rate 1000000000pps",
                 f"drop add {'r' * 31} proto udp sport {LONG_SET} dport {LONG_SET} from {source} "
                 f"to {source} length 20-65535 ip-ttl 0-255 payload 1400 00000000/ffffffff l4 1400 01/01",
                 f"allow add 2001:db8:9:9:9abc:def0:1234:5678 comment {'c' * 47}",
                 f"dns protect to {source} dport 65535 force",
                 f"block add 2001:db8:8:8:9abc:def0:1234:5678 ttl 3650d comment {'c' * 47}",
                 "allow add 2001:db8:1:2::/64"):
        lab.weir(*line.split())
    lab.flood("to", NEAR6, "from", f"{source}/128", "dport", 10000, "count", 50, "pps", 1000)
    lab.near.run("ip", "link", "add", "namedwith15char", "type", "veth", "peer", "name", "peer0")
    lab.weir("attach", "dev", "namedwith15char", "monitor")
    lab.near.run("ip", "link", "del", "namedwith15char")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a" * 100)
        path.write_text("203.0.113.0/24\n")
        lab.weir("list", "load", "l" * 31, "file", path)
        shown = dict(show_all(lab))
    for what, lines in shown.items():
        longest = max(lines, key=len)
        check(len(longest) <= 80, f"{what} fits 80 columns",
              f"{len(lines)} lines, the longest of {len(longest)}: {longest}")


if __name__ == "__main__":
    run_tests(__name__)
