# SPDX-License-Identifier: GPL-2.0-only
"""What people type, right, nearly right and wrong: what weir answers, and its exit status.

A row of TYPED is one line: what is typed behind `weir`, the exit status, and what the answer must
say (a part of standard output or standard error). "" demands nothing, "!TEXT" that TEXT is absent.
What a row has changed is put back before the next one, so rows may stand in any order. A row that
ends with 1 or 2 must have changed nothing.
"""
import re
import tempfile
import time

from stage import NEAR4, ROOT, WEIR, check, run_tests
from typist import Typist

PREPARED = (
    "limit set rate 20kpps",
    "limit set syn rate 100/min",
    "budget set web dport 80 rate 10kpps",
    "allow add 203.0.113.10",
    "block add 198.51.100.8",
    "ban 198.51.100.9",
    "list load drop file drop.txt",
)

TYPED = (
    # ---- bare, help and version
    ("", 0, "weir 0.2 (ABI"),
    ("", 0, "attached"),
    ("", 0, "limits 2, budgets 1, drop rules 0, lists 1, allow 1, block 2"),
    ("", 0, "packets/s pass"),
    ("-V", 0, "weir 0.2 (ABI"),
    ("--version", 0, "weir 0.2 (ABI"),
    ("version", 0, "weir 0.2 (ABI"),
    ("limit show -V", 0, "weir 0.2 (ABI"),
    ("-j version", 0, '"version":"0.2"'),
    ("help", 0, "weir help OBJECT"),
    ("help all", 0, "weir budget set NAME"),
    ("help limit", 0, "$ weir limit set syn rate 100/min"),
    ("limit help", 0, "$ weir limit set syn rate 100/min"),
    ("limit --help", 0, "$ weir limit set syn rate 100/min"),
    ("limit set --help", 0, "!weir limit flush"),
    ("limit set -h", 0, "$ weir limit set"),
    ("help list load", 0, "$ weir list load drop file drop.txt"),
    ("help show limits", 0, "weir limit show"),
    ("help nosuch", 2, "there is no command \"nosuch\"; `weir help` lists them"),
    ("--hlep", 2, "there is no option \"--hlep\""),
    # ---- nearly right: objects and verbs
    ("limt show", 2, "did you mean \"limit\"?"),
    ("Limit show", 2, "did you mean \"limit\"?"),
    ("att dev eth0", 2, "did you mean \"attach\"?"),
    ("blcok add 198.51.100.7", 2, "did you mean \"block\"?"),
    ("stats", 2, "did you mean `weir show stats`?"),
    ("incidents", 0, "no flood has been recorded"),
    ("incident", 2, "did you mean \"incidents\"?"),
    ("incidents 3", 1, "there is no incident 3; `weir incidents` lists them"),
    ("incidents raport 3", 2, "a whole number from 1"),
    ("incidents report", 2, "the number of an incident is needed"),
    ("-j incidents", 0, '{"total":0,"incidents":[]}'),
    ("limits", 2, "did you mean `weir limit show`?"),
    ("frobnicate", 2, "`weir help` lists them"),
    ("limit sett rate 10pps", 2, "did you mean `weir limit set`?"),
    ("limit sett rate 10pps", 2, "!weir limit flush"),
    ("show stat", 2, "did you mean `weir show stats`?"),
    ("limit rate 10pps", 2, "did you mean `weir limit set rate`?"),
    ("block 198.51.100.7", 2, "did you mean `weir block add 198.51.100.7`?"),
    ("allow 198.51.100.7", 2, "did you mean `weir allow add 198.51.100.7`?"),
    ("known 198.51.100.7", 2, "did you mean `weir known show 198.51.100.7`?"),
    ("show 198.51.100.7", 2, "did you mean `weir show source 198.51.100.7`?"),
    ("block", 2, "block needs a verb"),
    ("show bans last 5", 2, "\"last\" is not a word of this command"),
    ("show bans last 5", 2, "!weir show stats"),
    # ---- nearly right: words
    ("attach dev eth0 montior", 2, "did you mean \"monitor\"?"),
    ("attach montior eth0", 2, "did you mean \"monitor\"?"),
    ("attach eth0 60s", 2, "did you mean \"try 60s\"?"),
    ("limit set tcp dport 443 rate 10pps", 2, "did you mean \"proto tcp\"?"),
    ("limit set 198.51.100.0/24 rate 10pps", 2, "did you mean \"from 198.51.100.0/24\"?"),
    ("limit set syn 100/min", 2, "did you mean \"rate 100/min\"?"),
    ("limit set syn rate 100/min brust 5", 2, "did you mean \"burst\"?"),
    ("limit set icmp-type ping rate 10pps", 0, "icmp-type echo-request rate 10pps"),
    ("limit set icmp-type 3 rate 10pps", 2, "destination-unreachable in IPv4"),
    ("limit del icmp-type ping", 1, "there is no limit for icmp-type echo-request"),
    ("check 198.51.100.7 icmp-type ping", 0, "198.51.100.7"),
    ("drop add web proto udp sport ntp,1900", 0, "drop rule web: what matches is dropped"),
    ("drop add web proto udp sport nosuch", 2, "a service of /etc/services"),
    ("budget set web 443 rate 10kpps", 2, "did you mean \"dport 443\"?"),
    ("check 198.51.100.7 tcp", 2, "did you mean \"proto tcp\"?"),
    ("list load drop flie drop.txt", 2, "did you mean \"file\"?"),
    ("block add 198.51.100.7 coment x", 2, "did you mean \"comment\"?"),
    ("block add 198.51.100.7 host.example", 2, "\"host.example\": neither IPv4 nor IPv6"),
    # ---- another word for the same
    ("attach eth0 monitor", 0, "monitor: nothing is dropped"),
    ("detach eth0 keep", 0, "eth0: detached"),
    ("confirm eth0", 1, "nothing is on trial"),
    ("show stats eth0", 0, "eth0"),
    ("ban 198.51.100.7", 0, "blocked for 1h: 198.51.100.7"),
    ("ban 198.51.100.7 10m", 0, "blocked for 10m: 198.51.100.7"),
    ("ban 198.51.100.7 ttl 10m", 0, "blocked for 10m: 198.51.100.7"),
    ("ban 198.51.100.7 198.51.100.6 5m comment scan", 0, "blocked for 5m: 2 prefixes"),
    ("unban 198.51.100.9", 0, "removed from block: 198.51.100.9"),
    ("unban 198.51.100.7", 1, "198.51.100.7/32 is not a block entry"),
    ("show limits", 0, "100/min"),
    ("show lists", 0, "drop.txt"),
    ("show allow", 0, "203.0.113.10"),
    ("show blocks", 0, "198.51.100.8"),
    ("show budgets", 0, "web"),
    ("show syn", 0, "no service is protected"),
    ("show dns", 0, "no DNS service"),
    ("block list", 0, "198.51.100.8"),
    ("block rm 198.51.100.8", 0, "removed from block: 198.51.100.8"),
    ("block remove 198.51.100.8", 0, "removed from block: 198.51.100.8"),
    ("block delete 198.51.100.8", 0, "removed from block: 198.51.100.8"),
    ("list rm drop", 0, "list drop: removed"),
    ("list add more file drop.txt", 0, "list more: 1 prefixes"),
    ("limit add proto udp rate 200pps", 0, "limit set: proto udp rate 200pps"),
    ("budget add dns proto udp dport 53 rate 20kpps", 0, "budget dns set: proto udp dport 53"),
    ("allow set 203.0.113.11", 0, "allowed: 203.0.113.11"),
    ("syn add dport 443", 1, "nothing listens on port 443"),
    ("monitor count 1 seconds 1", 0, ""),
    # ---- options anywhere
    ("limit show -j", 0, '{"limits":'),
    ("limit -j show", 0, '{"limits":'),
    ("show limits --json", 0, '{"limits":'),
    ("-jq limit show", 0, '{"limits":'),
    ("show stats -v", 0, "eth0"),
    ("limit show -- -j", 2, "\"-j\" is not a word of this command"),
    ("allow add 203.0.113.12 comment -j", 0, "allowed: 203.0.113.12"),
    ("limit set rate -5pps", 2, "-5pps"),
    # ---- what was done
    ("limit set rate 10kpps", 0, "limit changed: rate 10000pps"),
    ("limit set rate 20kpps", 0, "limit unchanged: rate 20000pps"),
    ("limit set proto TCP dport 443 rate 1kpps", 0, "limit set: proto tcp dport 443 rate 1000pps"),
    ("limit set proto ICMPv6 rate 10pps", 0, "limit set: proto icmp rate 10pps"),
    ("limit set rate 10pps per 33", 0, "per 33 is for IPv6"),
    ("limit set rate 10pps per 56", 0, "!is for IPv6"),
    ("limit del syn", 0, "limit removed: syn from any source"),
    ("limit del fragment", 1, "there is no limit for fragment"),
    ("limit flush", 0, "2 limits removed"),
    ("budget set web dport 80 rate 20kpps", 0, "budget web changed: dport 80 rate 20000pps"),
    ("budget del web", 0, "budget web removed"),
    ("budget del wbe", 1, "there is no budget wbe"),
    ("budget set 'we b' rate 10pps", 2, "budget name \"we b\""),
    ("list load 'we b' file drop.txt", 2, "list name \"we b\""),
    ("block add 198.51.100.7 ttl 10m", 0, "blocked for 10m: 198.51.100.7"),
    ("block add 198.51.100.8", 0, "blocked: 198.51.100.8, which was there already"),
    ("block add 198.51.100.8 198.51.100.6", 0, "2 prefixes, of which 1 was there already"),
    ("block add 198.51.100.7", 0, "!there already"),
    ("block del 198.51.100.8", 0, "removed from block: 198.51.100.8"),
    ("allow add 203.0.113.11 comment office", 0, "allowed: 203.0.113.11"),
    ("allow del 203.0.113.10", 0, "removed from allow: 203.0.113.10"),
    ("syn share 20%", 0, "cookies may take 20% of each core's time"),
    ("-q limit set rate 10kpps", 0, "!limit"),
    ("limit set rate 10kpps", 0, "!acts on nothing"),
    ("attach dev lo monitor", 0, "this host's own traffic to itself"),
    # ---- wrong
    ("attach nosuch0", 1, "there is no interface nosuch0"),
    ("attach", 2, "attach needs dev IF"),
    ("attach eth0 lo", 2, "\"lo\" is too much beside \"eth0\""),
    ("detach lo", 1, "lo: weir is not attached"),
    ("ban", 2, "a prefix is needed"),
    ("ban 198.51.100.7 10m 20m", 2, "there is a duration already"),
    (f"ban {NEAR4}", 1, NEAR4),
    ("restore alias.weir", 1, "alias.weir:1: \"ban\" is for the command line; a file has `block add`"),
    ("restore synonym.weir", 1, "a file has `block del`"),
    ("daemon check config localhost.yaml", 1, "localhost"),
    ("daemon config localhost.yaml", 1, "localhost"),
)

FILES = {
    "drop.txt": "192.0.2.128/25\n",
    "alias.weir": "ban 198.51.100.7\n",
    "synonym.weir": "block rm 198.51.100.7\n",
    "localhost.yaml": "http:\n  address: localhost\n",
}


def fits(wanted, said):
    return wanted[1:] not in said if wanted.startswith("!") else wanted in said


def shorten(said, wanted):
    """The line of the answer that has what is wanted, or the first."""
    lines = said.splitlines() or [""]
    line = next((each for each in lines if not wanted.startswith("!") and wanted in each), lines[0])
    return line if len(line) <= 90 else line[:87] + "..."


def test_typed(lab):
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        typist = Typist(lab, folder, FILES, PREPARED)
        print(f"{'typed':52} {'exit':4} answer")
        for line, status, wanted in TYPED:
            done = typist.type(f"weir {line}", expect=None)
            said = done.out + done.err
            print(f"{'weir ' + line:52} {done.status:4} {shorten(said, wanted)}")
            if done.status != status or not fits(wanted, said):
                wrong.append(f"weir {line}: status {done.status}, not {status}, or \"{wanted}\": "
                             f"{said.strip()}")
            if typist.put_back() and status:
                wrong.append(f"weir {line}: has changed something")
    check(not wrong, "what people type is answered as it should be",
          " // ".join(wrong) or f"{len(TYPED)} lines")


def test_beginning(lab):
    """Where nothing is set up, `weir` names commands, and each of them works as it stands."""
    lab.near.run("ip", "link", "set", "near0", "name", "eth0")
    lab.near_dev = "eth0"
    lab.up()
    said = lab.weir()
    lines = [line.split("#")[0].split() for line in said.out.splitlines() if line.startswith("  weir ")]
    check(len(lines) == 7 and not said.err, "`weir` begins with seven commands", said.out)
    limits = re.findall(r"^    weir (limit set .*?) *(?:#.*)?$", (ROOT / "README.md").read_text(),
                        re.MULTILINE)
    said_limits = [" ".join(words[1:]) for words in lines if words[1] == "limit"]
    check(limits and said_limits == limits, "its limits are those of README.md", said_limits)
    for words in lines:
        done = lab.weir(*words[1:], expect=None)
        check(done.status == 0 and (done.out or words[1:3] == ["attach", "eth0"]), " ".join(words),
              (done.out + done.err).strip())
    after = lab.weir()
    lines = after.out.splitlines()
    check(len(lines[:5]) == 5 and lines[1].startswith("attached  eth0 (") and
          "monitor" in lines[1] and "limits 4" in lines[2] and "daemon" in lines[4],
          "then `weir` tells the state in five lines", " / ".join(lines[:5]))
    check("weir attach eth0 try 60s" in after.out, "and what to do next", " / ".join(lines[5:]))


def test_drops_now(lab):
    """The rate of what drops, as the flood tool sends it."""
    lab.weir("limit", "set", "rate", "1/h", "burst", 1)
    lab.attach()
    flood = lab.start_flood("to", NEAR4, "from", "198.51.100.7/32", "pps", 4000, "seconds", 6)
    try:
        lab.weir("events", "seconds", 1, "count", 20)    # until it arrives
        dropped, started = lab.stats().dropped(), time.monotonic()
        value = lab.read()
        pps = (lab.stats().dropped() - dropped) / (time.monotonic() - started)
        text = lab.weir().out
    finally:
        flood.stop()
    check(pps / 3 < value["dropped_pps"] < 3 * pps, "`weir` measures what drops",
          f"{value['dropped_pps']:.0f} packets/s; by the counters around it {pps:.0f}")
    check("rate-limit" in text.splitlines()[3], "and names the reason", text.splitlines()[3])


def test_not_attached(lab):
    """What is set while weir is on no interface says so."""
    for line in ("limit set rate 10kpps", "budget set web rate 10kpps", "ban 198.51.100.7",
                 "allow add 203.0.113.10", "syn share 20%"):
        done = lab.weir(*line.split())
        check(len(done.out.splitlines()) == 1 and "acts on nothing yet" in done.err and
              "weir attach near0 monitor" in done.err, line, f"{done.out.strip()} / {done.err.strip()}")
        quiet = lab.weir("-q", *line.split())
        check(not quiet.out + quiet.err, f"-q {line} is silent", quiet.out + quiet.err)
        json = lab.weir("-j", *line.split())
        check(not json.out and json.err, f"-j {line} has no JSON to print", json.err.strip())
    lab.weir("attach", "near0")
    done = lab.weir("limit", "set", "rate", "11kpps")
    check(not done.err, "attached, it says nothing of the kind", done.out.strip())


def test_other_user(lab):
    """As another user than root: what cannot be seen is said, and it is no failure."""
    lab.attach()
    done = lab.near.run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", WEIR,
                        expect=None)
    check(done.status == 0 and "cannot see" in done.out and "weir 0.2" in done.out,
          "`weir` as nobody", " / ".join(done.out.splitlines()))
    done = lab.near.run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", WEIR,
                        "show", "status", expect=None)
    check(done.status == 1 and "root" in done.err, "`weir show status` as nobody", done)


run_tests(__name__)
