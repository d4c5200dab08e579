# SPDX-License-Identifier: GPL-2.0-only
"""allow, block, list and check: what they print, and what happens to real packets then."""
import contextlib
import ipaddress
import json
import math
import os
import pathlib
import re
import socket
import tempfile
import time

from stage import (FAR4, NEAR4, NEAR6, PINS, UDP_PORT, WEIR, Failed, check, demand, pins, run_tests,
                   send_udp, skip, wait_for)

ASIDE = ("arp", "neighbour", "not-ip")  # of other sources than the one asked about
COLUMNS = 80


# ---- helpers, also for test_save.py and test_kill.py ----

def use_sources(lab, *addresses):
    """Gives far these addresses to send from."""
    for address in addresses:
        ipv6 = ":" in address
        lab.far.run("ip", "address", "add", f"{address}/{128 if ipv6 else 32}", "dev", lab.far_dev,
                    *(("nodad",) if ipv6 else ()))


def fate(lab, source, count=3, port=UDP_PORT):
    """The reason under which weir counts datagrams from @source, and how many of them arrive.

    All must be counted under one; with IPv6 the stack sends a few packets of its own.
    """
    to = NEAR6 if ":" in source else NEAR4
    with lab.near:
        ear = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET,
                            socket.SOCK_DGRAM)
    with contextlib.closing(ear):
        ear.bind(("", port))
        ear.setblocking(False)
        before = lab.stats()
        send_udp(lab.far, source, to, count, port=port)

        def moved():
            after = lab.stats()
            return {reason: after[reason] - before[reason] for reason in after.reasons
                    if reason not in ASIDE and after[reason] > before[reason]}
        wait_for(lambda: max(moved().values(), default=0) >= count, 3)
        reasons, arrived = moved(), 0
        with contextlib.suppress(BlockingIOError):
            while ear.recv(1):
                arrived += 1
    demand(reasons and (len(reasons) == 1 or lab.ipv6),
           f"{count} datagrams from {source} were counted as {reasons or 'nothing'}")
    return max(reasons, key=reasons.get), arrived


def write(folder, name, text):
    """A file in @folder. Bytes, or text with one \\n a line."""
    path = pathlib.Path(folder, name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def check_fate(lab, source, reason, what):
    arriving = 0 if reason in ("block", "ban", "blocklist", "rate-limit") else 3
    is_so = fate(lab, source)
    check(is_so == (reason, arriving), what,
          f"{source}: 3 sent, counted as {is_so[0]}, {is_so[1]} arrived")


def check_says(what, done, status, *words):
    """Checks the exit status, and that the output has @words."""
    said = done.out + done.err
    missing = [word for word in words if str(word) not in said]
    check(done.status == status and not missing, what,
          f"{done}{'; lacks ' if missing else ''}{' and '.join(map(str, missing))}")


def ask(lab, *words, **options):
    return lab.weir(*words, expect=None, **options)


def shape(value):
    """The types of the values in a JSON answer, by their place; of a list, those of its items."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__


def real_lists(what):
    """The folder of real lists; None, with a skip, where there is none."""
    folder = pathlib.Path(os.environ.get("WEIR_DATA", "/nonexistent"), "lists")
    if folder.is_dir():
        return folder
    skip(what, "WEIR_DATA names no folder with lists in it")
    return None


def networks(text):
    """The prefixes of a plain list, read by Python."""
    words = (re.split(r"[\s#;]", line.strip(), maxsplit=1)[0] for line in text.splitlines())
    return {str(ipaddress.ip_network(word, strict=False)) for word in words if word}


# ---- entries ----

def entries(lab, kind):
    return {entry["prefix"]: entry for entry in lab.read(kind, "show")[kind]}


def test_entries(lab):
    """The behaviour that allow and block share."""
    for kind, verdict in (("allow", "allowed"), ("block", "blocked")):
        done = ask(lab, kind, "add", "198.51.100.0/24", "2001:db8:7::/48", "203.0.113.7", "comment",
                   "of a friend, or not")
        check_says(f"{kind} add", done, 0, f"{verdict}: 3 prefixes\n")
        check_says(f"{kind} add again", ask(lab, kind, "add", "203.0.113.7", "203.0.113.8"), 0,
                   f"{verdict}: 2 prefixes, of which 1 was there already")
        there = entries(lab, kind)
        check(sorted(there) == ["198.51.100.0/24", "2001:db8:7::/48", "203.0.113.7/32",
                                "203.0.113.8/32"] and
              there["198.51.100.0/24"]["comment"] == "of a friend, or not" and
              abs(there["198.51.100.0/24"]["added"] - time.time()) < 60, f"{kind} show",
              ", ".join(there))
        text = lab.weir(kind, "show").out
        check(all(prefix in text for prefix in there) and "of a friend, or not" in text,
              f"{kind} show for people", f"{len(text.splitlines())} lines")

        check_says(f"{kind} test: inside", ask(lab, kind, "test", "198.51.100.7",
                                               "2001:db8:7:1::/64"), 0,
                   f"198.51.100.7/32 is {verdict} by 198.51.100.0/24", "by 2001:db8:7::/48")
        check_says(f"{kind} test: one of two", ask(lab, kind, "test", "203.0.113.7", "192.0.2.77"),
                   1, f"203.0.113.7/32 is {verdict}", f"192.0.2.77/32 is not {verdict}")
        check_says(f"{kind} test: more than an entry", ask(lab, kind, "test", "198.51.0.0/16"), 1,
                   f"is not {verdict}")
        done = ask(lab, "-j", kind, "test", "203.0.113.7", "203.0.113.9")
        check(done.status == 1 and json.loads(done.out) == {"tested": [
            {"prefix": "203.0.113.7/32", verdict: True, "by": "203.0.113.7/32"},
            {"prefix": "203.0.113.9/32", verdict: False, "by": None}]} or
            done.status == 1 and json.loads(done.out) == {"tested": [
                {"prefix": "203.0.113.7/32", verdict: True, "by": "203.0.113.7/32"},
                {"prefix": "203.0.113.9/32", verdict: False}]},
            f"{kind} test in JSON", done.out.strip())

        check_says(f"{kind} del: inside an entry", ask(lab, kind, "del", "198.51.100.7"), 1,
                   "198.51.100.7/32 is not", "inside 198.51.100.0/24")
        check_says(f"{kind} del: one of two is none",
                   ask(lab, kind, "del", "203.0.113.7", "192.0.2.77"), 1, "192.0.2.77/32 is not",
                   f"weir {kind} show")
        check(len(entries(lab, kind)) == 4, f"{kind} del: then nothing is deleted",
              ", ".join(entries(lab, kind)))
        check_says(f"{kind} del", ask(lab, kind, "del", "203.0.113.7", "198.51.100.0/24"), 0)
        check(sorted(entries(lab, kind)) == ["2001:db8:7::/48", "203.0.113.8/32"],
              f"{kind} del leaves the others", ", ".join(entries(lab, kind)))
        check_says(f"{kind} flush", ask(lab, kind, "flush"), 0, "2 entries removed")
        check_says(f"{kind} show of none", ask(lab, kind, "show"), 0, f"no {kind} entries")


def test_wrong_words(lab):
    """Exit status 2, and nothing is set or pinned."""
    for words in (("allow", "add"), ("allow", "add", "198.51.100.7", "ttl", "10m"),
                  ("allow", "add", "198.51.100.7/24"), ("allow", "del"), ("allow", "show", "all"),
                  ("allow", "test"), ("allow", "flush", "all"), ("allow", "ad", "198.51.100.7"),
                  ("block", "add", "198.51.100.7", "ttl"), ("block", "add", "198.51.100.7/33"),
                  ("block", "add", "198.51.100.7", "ttl", "0s"), ("block", "add", "ttl", "10m"),
                  ("block", "add", "198.51.100.7", "comment"),
                  ("block", "add", "198.51.100.7", "comment", "x" * 48),
                  ("block", "add", "198.51.100.7", "comment", "two\nlines"),
                  ("block", "test"), ("block", "show", "all"),
                  ("list", "load"), ("list", "load", "a"), ("list", "load", "A", "file", "/x"),
                  ("list", "load", "a/b", "file", "/x"), ("list", "load", "a", "file"),
                  ("list", "load", "a", "file", "/x", "format", "csv"),
                  ("list", "load", "x" * 32, "file", "/x"), ("list", "show", "a"),
                  ("list", "diff"), ("list", "rollback"), ("list", "del", "a", "b"), ("check",),
                  ("check", "198.51.100.0/24"), ("check", "198.51.100.7", "proto", "any"),
                  ("check", "198.51.100.7", "dport", "1-2"), ("save", "all"),
                  ("restore",), ("restore", "/x", "now")):
        for options in ((), ("-j",)):
            try:
                done = ask(lab, *options, *words)
                demand(done.status == 2 and "usage" in done.err and not done.out,
                       f"{done}: not 2 with the usage on stderr only")
            except Failed as why:
                check(False, f"wrong words: {' '.join((*options, *words))[:60]}", why)
    check(not pins(), "wrong words change nothing", pins() or "no pins")


def test_refused_where_nothing_is_set(lab):
    """Where weir is not in use, a command that fails leaves nothing behind."""
    with tempfile.TemporaryDirectory() as folder:
        bad = write(folder, "bad", "198.51.100.7\nno address\n")
        for words in (("block", "add", "0.0.0.0/0"), ("block", "add", NEAR4), ("block", "flush"),
                      ("allow", "del", "198.51.100.7"), ("list", "load", "a", "file", bad),
                      ("list", "load", "a", "file", folder), ("list", "del", "a"),
                      ("list", "load", "a", "file", f"{folder}/none")):
            done = ask(lab, *words)
            check(done.status == 1 and not pins(),
                  f"{' '.join(map(str, words[:2]))} that fails leaves nothing",
                  f"{done}; {len(pins())} pins")
            if pins():
                lab.weir("detach", "all")
    for words in (("allow", "show"), ("block", "test", "198.51.100.7"), ("list", "show"),
                  ("check", "198.51.100.7"), ("save",)):
        check_says(f"{' '.join(words)} where weir is not in use", ask(lab, *words), 1, "not in use")


def test_comments(lab):
    """Comments are shown as they were given, whatever characters they have."""
    comments = ['say "no"', "back\\slash", "# none", "a; b", "Grüße, 你好 🧱", "x" * 47, "'", ""]
    for i, comment in enumerate(comments):
        lab.weir("block", "add", f"198.51.100.{i}", "comment", comment)
    said = [entry["comment"] for entry in lab.read("block", "show")["block"]]
    check(said == comments, "comments come back", " | ".join(said))
    latin1 = b"caf\xe9".decode(errors="surrogateescape")
    done = ask(lab, "block", "add", "198.51.100.99", "comment", latin1)
    shown = lab.read("block", "show")["block"]
    check(len(shown) == len(comments) + (done.status == 0), "no comment hides its entry from JSON",
          f"one that is no UTF-8: {done.status}; {len(shown)} entries in JSON")


def first_arrival(lab, source, seconds):
    """Sends datagrams until the first arrives. Returns the time.monotonic() before the last one that did
    not was sent (0: none), and after that one arrived; or None. However long this process stood still,
    a ban that ended between these two was in force for the one packet and not for the other."""
    with lab.near:
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with lab.far:
        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with contextlib.closing(ear), contextlib.closing(mouth):
        ear.bind(("", 5353))
        ear.settimeout(0.005)
        mouth.bind((source, 0))
        sent = [0]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            sent.append(time.monotonic())
            mouth.sendto(b"%d" % (len(sent) - 1), (NEAR4, 5353))
            with contextlib.suppress(TimeoutError):
                number = int(ear.recv(16))
                return sent[number - 1], time.monotonic()
    return None


def check_end(lab, source, ttl, began, done, what):
    """The ban was made between @began and @done. The data path's clock lags by up to 10 ms."""
    ends = first_arrival(lab, source, 4 * ttl + 4)
    demand(ends, f"{source}: the ban of {ttl} s did not end")
    check(began + ttl <= ends[1] and ends[0] <= done + ttl + 0.02, what,
          f"{ttl} s: the first packet passed {ends[1] - began:.3f} s after the command began; the last one "
          f"that did not was sent {max(ends[0] - done, 0):.3f} s after it ended")


def make_ban(lab, prefix, ttl):
    """Returns when its command began and ended."""
    began = time.monotonic()
    lab.weir("block", "add", prefix, "ttl", f"{ttl}s")
    return began, time.monotonic()


def test_bans_end_by_themselves(lab):
    """A ban begins with the next packet and ends to the second, without any process of weir's."""
    lab.attach()
    use_sources(lab, "198.51.100.7", "203.0.113.1", "203.0.113.130")
    began, done = make_ban(lab, "192.0.2.99", 3600)
    # A second, or where commands are slow, as long as twenty of them take.
    short = max(1, math.ceil(20 * (done - began)))
    longer = 3 * short
    made = {}       # of each source the longer ban
    brief = make_ban(lab, "198.51.100.7", short)
    made["203.0.113.1"] = make_ban(lab, "203.0.113.0/25", longer)
    make_ban(lab, "203.0.113.1", short)
    make_ban(lab, "203.0.113.128/25", short)
    made["203.0.113.130"] = make_ban(lab, "203.0.113.130", longer)
    check_fate(lab, "198.51.100.7", "ban", "a ban works from the next packet on")
    ttl = entries(lab, "block")["198.51.100.7/32"].get("ttl_seconds")
    check(0 < ttl <= short, "a ban's rest is shown", f"{ttl} s of {short}")
    running = [path for path in pathlib.Path("/proc").glob("[0-9]*/exe")
               if path.exists() and os.path.realpath(path) == str(WEIR.resolve()) and
               lab.near.path in path.parent.joinpath("cmdline").read_text()]
    check(not running, "no process waits for its end", running or "none")
    check_end(lab, "198.51.100.7", short, *brief, "a ban ends by itself")
    check_fate(lab, "203.0.113.1", "ban", "a short ban does not end a longer one around it")
    check_fate(lab, "203.0.113.130", "ban", "a longer ban outlasts a short one around it")
    check("198.51.100.7/32" not in entries(lab, "block"), "a ban that ended is not shown",
          ", ".join(entries(lab, "block")))
    check_says("nor tested", ask(lab, "block", "test", "198.51.100.7"), 1, "is not blocked")
    for source, (began, done) in made.items():
        check_end(lab, source, longer, began, done, f"{source}: the longer ban ends")


def test_bans_change(lab):
    """A ban is made longer, made permanent, deleted."""
    lab.attach()
    use_sources(lab, "198.51.100.7")
    lab.weir("block", "add", "198.51.100.7", "ttl", "1s")
    lab.weir("block", "add", "198.51.100.7", "ttl", "1h")
    check_fate(lab, "198.51.100.7", "ban", "a ban made longer")
    lab.weir("block", "add", "198.51.100.7")
    check_fate(lab, "198.51.100.7", "block", "a ban made for good")
    time.sleep(1)
    check_fate(lab, "198.51.100.7", "block", "it does not end any more")
    lab.weir("block", "add", "198.51.100.0/24")
    lab.weir("block", "del", "198.51.100.7")
    check_fate(lab, "198.51.100.7", "block", "deleted inside a block")
    lab.weir("block", "del", "198.51.100.0/24")
    check_fate(lab, "198.51.100.7", "no-limit", "a block deleted")


def test_allow_wins(lab):
    lab.use_ipv6()
    lab.attach()
    sources = ("198.51.100.7", "2001:db8:7::7")
    use_sources(lab, *sources, "198.51.100.8", "2001:db8:7::8")
    with tempfile.TemporaryDirectory() as folder:
        file = write(folder, "all", "198.51.100.0/24\n2001:db8:7::/48\n")
        lab.weir("list", "load", "all", "file", file)
        for source in sources:
            check_fate(lab, source, "blocklist", "on a list")
        lab.weir("block", "add", *sources)
        for source in sources:
            check_fate(lab, source, "block", "blocked as well")
        lab.weir("allow", "add", *sources)
        for source in sources:
            check_fate(lab, source, "allow", "allowed, it passes all the same")
        for source in ("198.51.100.8", "2001:db8:7::8"):
            check_fate(lab, source, "blocklist", "its neighbour does not")
        lab.weir("allow", "flush")
        for source in sources:
            check_fate(lab, source, "block", "allowed no more")


def test_guards(lab):
    lab.use_ipv6()
    lab.attach()
    lab.weir("allow", "add", "198.51.100.7", "2001:db8:9::/48", "203.0.112.0/24")
    refused = (("0.0.0.0/0", "every address", "coverage"), ("::/0", "every address", "coverage"),
               ("8.0.0.0/7", "shorter than /8", "coverage"),
               ("2a00::/15", "shorter than /16", "coverage"),
               (NEAR4, "address of this host", "own"), (NEAR6, "address of this host", "own"),
               ("192.0.2.0/24", f"covers {NEAR4}", "own"),
               ("2001:db8::/64", f"covers {NEAR6}", "own"))
    contradict = (("198.51.100.7", "allow list"), ("198.51.100.0/24", "198.51.100.7/32"),
                  ("2001:db8:8::/46", "2001:db8:9::/48"), ("203.0.112.7", "lies in 203.0.112.0/24"))
    with tempfile.TemporaryDirectory() as folder:
        for prefix, why, word in (*refused, *((*row, "allow") for row in contradict)):
            check_says(f"block add {prefix} wants force",
                       ask(lab, "block", "add", "203.0.113.7", prefix), 1, prefix, why,
                       "force", word)
        for prefix, why, word in refused:
            file = write(folder, "list", f"203.0.113.7\n{prefix}\n")
            check_says(f"a list with {prefix} wants force",
                       ask(lab, "list", "load", "a", "file", file), 1, prefix, why, "force", word)
        check(not entries(lab, "block") and not lab.read("list", "show")["lists"],
              "what was refused is not set", "no entries, no lists")
        check_fate(lab, FAR4, "no-limit", "nor in force")
        for prefix in ("192.0.2.128/25", "198.51.100.8", "2001:db8:8::/48", "127.0.0.0/8"):
            check_says(f"block add {prefix} does not", ask(lab, "block", "add", prefix), 0)
        file = write(folder, "list", "192.0.2.0/24\n198.51.100.0/24\n")
        check_says("the wrong guard", ask(lab, "list", "load", "a", "file", file, "force", "size"),
                   1, "own")
        check_says("a list with force", ask(lab, "list", "load", "a", "file", file, "force"), 0,
                   "1 allow entries lie in it", "198.51.100.7/32")
        check_fate(lab, FAR4, "blocklist", "a list with force is in force")
        use_sources(lab, "198.51.100.7")
        check_fate(lab, "198.51.100.7", "allow", "and allow wins")
        saved = lab.weir("save").out
        check(f'list load a file "{file}" force own\n' in saved,
              "of a bare force, save keeps the guards that objected", saved.splitlines()[-1])
        lab.weir("list", "del", "a")
        check_says("block add with force", ask(lab, "block", "add", "0.0.0.0/0", "::/0", "force"), 0)
        check_fate(lab, FAR4, "block", "block add with force is in force")
    for words in (("block", "add", "203.0.113.7", "own"), ("block", "add", "203.0.113.7", "force",
                  "size"), ("allow", "add", "203.0.113.7", "force", "own")):
        check_says(" ".join(words), ask(lab, *words), 2, "usage")


def nearly_everything():
    """Prefixes of /8 and longer that cover all of IPv4 but the addresses of far and near."""
    hole, left = ipaddress.ip_network("192.0.2.0/30"), []
    for first in range(1, 224):
        net = ipaddress.ip_network(f"{first}.0.0.0/8")
        left += net.address_exclude(hole) if hole.subnet_of(net) else [net]
    return "".join(f"{net}\n" for net in left)


def test_guard_of_coverage(lab):
    """A list that blocks the Internet by many prefixes, none of which is conspicuous."""
    lab.attach()
    use_sources(lab, "8.8.8.8")
    with tempfile.TemporaryDirectory() as folder:
        file = write(folder, "list", nearly_everything())
        done = ask(lab, "list", "load", "a", "file", file)
        check_says("a list of nearly everything", done, 1, "99.", "of the IPv4 Internet",
                   "force coverage")
        check_fate(lab, "8.8.8.8", "no-limit", "it is not in force")
        for words in (("force", "own"), ("force", "size", "allow")):
            check_says(f"with {' '.join(words)}",
                       ask(lab, "list", "load", "a", "file", file, *words), 1, "coverage")
        check_says("with force coverage",
                   ask(lab, "list", "load", "a", "file", file, "force", "coverage"), 0)
        check_fate(lab, "8.8.8.8", "blocklist", "it is in force")
        saved = lab.weir("save")
        check("force coverage\n" in saved.out, "save names the guard", saved.out.splitlines()[-1])
        lab.weir("list", "del", "a")
        check_says("restore reads it", lab.weir("restore", "-", text_in=saved.out), 0)
        check_fate(lab, "8.8.8.8", "blocklist", "it is in force again")


def test_special_ranges_are_left_out(lab):
    """Lists of bogons name private networks; this host may be in one of them."""
    lab.attach()
    lab.near.run("ip", "address", "add", "10.1.2.1/24", "dev", lab.near_dev)
    use_sources(lab, "10.1.2.3", "172.16.0.9", "192.168.7.7", "8.8.8.8")
    with tempfile.TemporaryDirectory() as folder:
        bogons = ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                  "224.0.0.0/3")
        file = write(folder, "list", "".join(f"{net}\n" for net in (*bogons, "10.1.2.0/24", "192.168.7.7", "8.8.8.0/24")))
        check_says("a list with private networks", ask(lab, "list", "load", "a", "file", file), 0,
                   "list a: 3 prefixes", "6 prefixes of private", "left out", "10.0.0.0/8",
                   "force own")
        for source, reason in (("10.1.2.3", "no-limit"), ("172.16.0.9", "blocklist"),
                               ("192.168.7.7", "blocklist"), ("8.8.8.8", "blocklist")):
            check_fate(lab, source, reason, "left out" if reason == "no-limit" else "the rest is not")
        check_same_as_plain(lab, "diff leaves them out as well", "a", file)
        check_says("the same again", ask(lab, "list", "load", "a", "file", file), 0, "unchanged")
        check_says("with force own",
                   ask(lab, "list", "load", "a", "file", file, "force", "own"), 0, "9 prefixes")
        check_fate(lab, "10.1.2.3", "blocklist", "force own keeps them")


def test_guards_of_allow(lab):
    lab.attach()
    use_sources(lab, "8.8.8.8")
    lab.weir("block", "add", "8.8.8.8", "198.51.100.7")
    for words, why, word in ((("::/0",), "every address", "coverage"),
                             (("0.0.0.0/0",), "every address", "coverage"),
                             (("0.0.0.0/1", "128.0.0.0/1"), "shorter than /8", "coverage"),
                             ([f"{first}.0.0.0/8" for first in (11, 12, 13, 20)], "IPv4 Internet",
                              "coverage"),
                             (("8.8.8.0/24",), "block entry 8.8.8.8/32", "block")):
        check_says(f"allow add {' '.join(words)}", ask(lab, "allow", "add", *words), 1, why,
                   "force", word)
        check_fate(lab, "8.8.8.8", "block", "it is not in force")
    for words in (("8.8.8.0/24", "force", "block"), ("0.0.0.0/0", "force"),
                  ("198.51.100.7",), ("10.0.0.0/8",)):
        check_says(f"allow add {' '.join(words)}", ask(lab, "allow", "add", *words), 0)
    check_fate(lab, "8.8.8.8", "allow", "what was forced is in force")
    check_says("allow add of a blocked source says so", ask(lab, "allow", "add", "198.51.100.7"), 0,
               "198.51.100.7/32 is a block entry as well")
    saved = lab.weir("save").out
    lab.weir("allow", "flush")
    check_says("what save writes is restored", ask(lab, "restore", "-", text_in=saved), 0)
    check_fate(lab, "8.8.8.8", "allow", "it is in force again")


# ---- lists ----

ADDRESSES = ("198.51.100.7", "198.51.100.8/31", "203.0.113.0/24", "2001:db8:7::/48",
             "2001:db8:8::7")
FORMATS = {
    "plain": "# a list\n; of ours\n\n198.51.100.7\n  198.51.100.8/31  \n203.0.113.0/24 ; SBL1\n"
             "2001:db8:7::/48 # all\n2001:db8:8::7\n",
    "ipsum": "# IPsum\n198.51.100.7\t9\n198.51.100.8/31\t3\n203.0.113.0/24\t2\n"
             "2001:db8:7::/48\t1\n2001:db8:8::7\t1\n",
    "ndjson": '{"cidr":"198.51.100.7/32","sblid":"SBL1","rir":"ripencc"}\n'
              '{"cidr":"198.51.100.8/31"}\n{"cidr":"203.0.113.0/24"}\n'
              '{"cidr":"2001:db8:7::/48"}\n{"cidr":"2001:db8:8::7/128"}\n'
              '{"type":"metadata","timestamp":1,"size":5,"records":5}\n',
    "ipset": "create ours hash:net family inet hashsize 1024 maxelem 65536\n"
             "add ours 198.51.100.7\nadd ours 198.51.100.8/31 timeout 300\n"
             'add ours 203.0.113.0/24 comment "a test net"\n'
             "create ours6 hash:net family inet6\nadd ours6 2001:db8:7::/48\n"
             "add ours6 2001:db8:8::7\n",
    "nft": "table inet filter {\n\tset ours {\n\t\ttype ipv4_addr\n\t\tflags interval\n"
           "\t\telements = { 198.51.100.7, 198.51.100.8-198.51.100.9,\n"
           "\t\t\t     203.0.113.0/24 }\n\t}\n\tset ours6 {\n\t\ttype ipv6_addr\n"
           "\t\tflags interval\n\t\telements = { 2001:db8:7::/48, 2001:db8:8::7 }\n\t}\n}\n",
}


def check_same_as_plain(lab, what, name, file):
    """Checks that a list holds the prefixes of a file."""
    diff = lab.read("list", "diff", name, "file", file)
    check(diff == {"removed": [], "added": []}, what, diff)


def test_formats(lab):
    lab.use_ipv6()
    lab.attach()
    use_sources(lab, "203.0.113.9", "2001:db8:7::7")
    with tempfile.TemporaryDirectory() as folder:
        plain = write(folder, "plain", "".join(f"{address}\n" for address in ADDRESSES))
        for name, text in FORMATS.items():
            for how in ("auto", name):
                for ending in ("\n", "\r\n"):
                    file = write(folder, name, text.replace("\n", ending))
                    done = ask(lab, "list", "load", "a", "file", file, "format", how)
                    crlf = " with CRLF" if ending == "\r\n" else ""
                    check_says(f"format {how}: {name}{crlf}", done, 0, "list a: 5 prefixes",
                               "3 IPv4, 2 IPv6", f"format {name}")
                    check_same_as_plain(lab, f"format {how}: {name}{crlf}: the very prefixes", "a",
                                        plain)
                    if how == "auto" and not crlf:
                        check_fate(lab, "203.0.113.9", "blocklist", f"{name}: IPv4 drops")
                        check_fate(lab, "2001:db8:7::7", "blocklist", f"{name}: IPv6 drops")
                    lab.weir("list", "del", "a")
    check_fate(lab, "203.0.113.9", "no-limit", "the list deleted")
    check_fate(lab, "2001:db8:7::7", "no-limit", "the list deleted")


def test_untidy_lists(lab):
    """Accepted, with a warning."""
    with tempfile.TemporaryDirectory() as folder:
        file = write(folder, "untidy", b"\xef\xbb\xbf198.51.100.7\r\n\r\n 198.51.100.7 \n"
                     b"198.51.100.7/32\n203.0.113.77/24\t# a host in it\n\n\n2001:db8::1/32")
        done = ask(lab, "list", "load", "untidy", "file", file)
        check_says("duplicates, host bits, blank lines, no end of line", done, 0,
                   "3 prefixes (2 IPv4, 1 IPv6)", "2 duplicates dropped",
                   "2 entries had bits set beyond their length", "line 5")
        check_says("said again, unchanged", ask(lab, "list", "load", "untidy", "file", file), 0,
                   "list untidy: unchanged")
        write(folder, "untidy", "203.0.113.0/24\n2001:db8::/32\n198.51.100.7\n")
        check_says("the same prefixes in other words, unchanged",
                   ask(lab, "list", "load", "untidy", "file", file), 0, "unchanged")
        lists = lab.read("list", "show")["lists"]
        check(lists[0]["generation"] == 1, "unchanged is no new generation", lists[0])
        done = ask(lab, "-q", "list", "load", "other", "file", file)
        check(done.status == 0 and not done.err and not done.out, "-q says nothing", str(done))
        file = write(folder, "records", '{"cidr":"198.51.100.7/32"}\n'
                     '{"type":"metadata","records":2}\n')
        check_says("a list that was cut short is told",
                   ask(lab, "list", "load", "short", "file", file), 0, "declares 2 entries, but has 1")


def without_ttl(text):
    return re.sub(r" ttl (\d+[smhd])+", "", text)


def state(lab):
    """All that a failing command must leave as it is, without the time left of bans."""
    return without_ttl(lab.weir("save").out), lab.read("list", "show"), lab.read("limit", "show"), pins()


def test_bad_lists(lab):
    """Bad lists are refused by file and line, and none of their entries takes effect."""
    lab.attach()
    use_sources(lab, "198.51.100.7", "198.51.100.8", "203.0.113.7")
    with tempfile.TemporaryDirectory() as folder:
        good = write(folder, "good", "198.51.100.7\n")
        lab.weir("list", "load", "a", "file", good)
        before = state(lab)
        bads = {
            "plain": ("198.51.100.8\n203.0.113.7\n198.51.100.300\n198.51.100.9\n", 3),
            "ipsum": ("198.51.100.8\t3\n203.0.113.7\tmany\n", 2),
            "ndjson": ('{"cidr":"198.51.100.8/32"}\n{"cidr":"203.0.113.7/33"}\n', 2),
            "ipset": ("create a hash:ip\nadd a 198.51.100.8\nadd a 203.0.113\n", 3),
            "nft": ("table ip a {\n set b {\n  elements = { 198.51.100.8,\n  203.0.113.7/x }\n }\n}\n",
                    4),
            "html": ("<!DOCTYPE html>\n<html></html>\n", 1), "empty": ("# nothing\n", 0),
        }
        for name, (text, line) in bads.items():
            file = write(folder, f"bad-{name}", text)
            for target in ("a", "b"):
                done = ask(lab, "list", "load", target, "file", file)
                check_says(f"a bad list: {name}", done, 1, f"{file}:{line}:" if line else file)
        check(state(lab) == before, "bad lists change nothing", f"{len(before[3])} pins as before")
        check_fate(lab, "198.51.100.7", "blocklist", "the list before stays in force")
        check_fate(lab, "198.51.100.8", "no-limit", "what the bad lists had is not")
        done = ask(lab, "list", "load", "a", "file", f"{folder}/bad-plain", "skip-bad")
        check_says("skip-bad", done, 0, "3 prefixes", "1 lines hold no prefix and were skipped")
        check_fate(lab, "198.51.100.8", "blocklist", "skip-bad: the good lines are in force")
        check_fate(lab, "203.0.113.7", "blocklist", "skip-bad: the good lines are in force")
        check_fate(lab, "198.51.100.7", "no-limit", "and the list before is not")


def test_tenfold(lab):
    with tempfile.TemporaryDirectory() as folder:
        files = {count: write(folder, f"{count}", "".join(
            f"10.{n // 256}.{n % 256}.0/24\n" for n in range(count))) for count in
                 (9, 10, 89, 90, 100, 1000)}
        lab.weir("list", "load", "a", "file", files[100])
        for count in (1000, 10, 9):
            check_says(f"100 to {count} prefixes wants force",
                       ask(lab, "list", "load", "a", "file", files[count]), 1, "had 100 prefixes",
                       f"has {count}", "force")
        check(lab.read("list", "show")["lists"][0]["ipv4"] == 100, "refused, nothing changes", "100")
        check_says("with force it does", ask(lab, "list", "load", "a", "file", files[9], "force"), 0,
                   "9 prefixes")
        check_says("9 to 90 wants force", ask(lab, "list", "load", "a", "file", files[90]), 1,
                   "force")
        check_says("9 to 89 does not", ask(lab, "list", "load", "a", "file", files[89]), 0)


def test_generations(lab):
    """Load, diff, rollback twice, delete: each is in force for the next packet."""
    lab.attach()
    first, second, other = "198.51.100.7", "203.0.113.7", "203.0.113.99"
    use_sources(lab, first, second, other)
    with tempfile.TemporaryDirectory() as folder:
        one = write(folder, "one", f"{first}\n10.0.0.0/8\n")
        two = write(folder, "two", f"{second}\n10.0.0.0/8\n172.16.0.0/12\n")
        lab.weir("list", "load", "other", "file", write(folder, "other", f"{other}\n"))
        lab.weir("list", "load", "a", "file", one)
        check_says("rollback of a first generation", ask(lab, "list", "rollback", "a"), 1,
                   "list a has no previous generation")
        check_says("diff of a first generation", ask(lab, "list", "diff", "a"), 1, "no previous")
        diff = lab.read("list", "diff", "a", "file", two)
        check(diff == {"removed": [f"{first}/32"], "added": ["172.16.0.0/12", f"{second}/32"]},
              "diff to a file", diff)
        lab.weir("list", "load", "a", "file", two)
        done = ask(lab, "list", "diff", "a")
        check(done.out.split() == [f"-{first}/32", "+172.16.0.0/12", f"+{second}/32"] and
              "2 added, 1 removed" in done.err, "diff to the previous generation",
              " ".join(done.out.split()))
        for what, words, generation, listed, free in (
                ("loaded", (), 2, second, first), ("rolled back", ("rollback",), 1, first, second),
                ("and back again", ("rollback",), 2, second, first),
                ("a third time", ("rollback",), 1, first, second)):
            if words:
                check_says(what, ask(lab, "list", *words, "a"), 0, f"generation {generation}")
            a_list = lab.read("list", "show")["lists"][0]
            check(a_list["generation"] == generation and
                  a_list["previous_generation"] == 3 - generation, f"{what}: shown", a_list)
            check_fate(lab, listed, "blocklist", what)
            check_fate(lab, free, "no-limit", what)
            check_fate(lab, other, "blocklist", f"{what}: the other list stays")
        lab.weir("list", "load", "a", "file", two)
        generation = lab.read("list", "show")["lists"][0]["generation"]
        check(generation == 3, "after a rollback, a load is a new generation", generation)
        check_says("del", ask(lab, "list", "del", "a"), 0, "list a: removed")
        check_fate(lab, second, "no-limit", "deleted")
        check_fate(lab, other, "blocklist", "deleted: the other list stays")
        for words in (("del", "a"), ("rollback", "a"), ("diff", "a")):
            check_says(f"{words[0]} of no list", ask(lab, "list", *words), 1, "list a")
        left = sorted(path.name for path in (PINS / "lists").iterdir())
        check(left == ["other"], "del leaves no pins", left)


def test_block_test_over_lists(lab):
    with tempfile.TemporaryDirectory() as folder:
        lab.weir("list", "load", "one", "file", write(folder, "1", "198.51.100.0/25\n10.0.0.0/8\n"))
        lab.weir("list", "load", "two", "file",
                 write(folder, "2", "198.51.100.128/25\n2001:db8:7::/48\n"))
        lab.weir("block", "add", "203.0.113.7", "ttl", "1h")
        check_says("block test asks entries and lists",
                   ask(lab, "block", "test", "203.0.113.7", "10.1.2.3", "198.51.100.200",
                       "2001:db8:7:7::/64"), 0, "203.0.113.7/32 is blocked by 203.0.113.7/32",
                   "10.1.2.3/32 is blocked by list one", "198.51.100.200/32 is blocked by list two",
                   "2001:db8:7:7::/64 is blocked by list two")
        check_says("two lists together cover a prefix", ask(lab, "block", "test", "198.51.100.0/24"),
                   0, "by list (several)")
        check_says("none does", ask(lab, "block", "test", "198.51.101.0/24"), 1, "is not blocked")
        check_says("allow test asks no lists", ask(lab, "allow", "test", "10.1.2.3"), 1)


def test_many_lists(lab):
    """As many lists as there may be, and then one more."""
    most = 4096
    with tempfile.TemporaryDirectory() as folder:
        for n in range(most + 1):
            write(folder, f"{n}", f"10.{n // 256}.{n % 256}.0/24\n")
        words = "".join(f"list load list-{n} file {folder}/{n}\n" for n in range(most))
        started = time.monotonic()
        lab.weir("restore", write(folder, "all", words))
        seconds = time.monotonic() - started
        count = len(lab.read("list", "show")["lists"])
        check(count == most, f"{most} small lists are restored", f"{count} in {seconds:.2f} s")
        started = time.monotonic()
        done = ask(lab, "list", "load", "list-7", "file", f"{folder}/{most}")
        check(done.status == 0, "one of them is loaded anew",
              f"in {time.monotonic() - started:.2f} s; {done}")
        done = ask(lab, "list", "load", "one-more", "file", f"{folder}/{most}")
        count = len(lab.read("list", "show")["lists"])
        check(done.status == 1 and count == most, "one list too many is refused",
              f"{count} lists; {done}")
        for n in (0, most - 1):
            check_says(f"list {n} of {most} is in force",
                       ask(lab, "block", "test", f"10.{n // 256}.{n % 256}.7"), 0, "list list-")


# ---- real lists ----

def test_real_lists(lab):
    folder = real_lists("real lists")
    if not folder:
        return
    lab.use_ipv6()
    lab.attach()
    ipsum = folder / "ipsum.txt"
    addresses = networks(ipsum.read_text())
    started = time.monotonic()
    lab.weir("list", "load", "ipsum", "file", ipsum)
    seconds = time.monotonic() - started
    shown = lab.read("list", "show")["lists"][0]
    check(shown["ipv4"] == len(addresses) and shown["ipv6"] == 0, "IPsum",
          f"{shown['ipv4']} addresses, as Python counts them, in {seconds:.2f} s")
    words = sorted(addresses)
    listed = [address[:-3] for address in (words[0], words[len(words) // 2], words[-1])]
    free = [str(ipaddress.ip_address(address) + step) for address in listed for step in (-1, 1)
            if f"{ipaddress.ip_address(address) + step}/32" not in addresses]
    use_sources(lab, *listed, *free)
    for source in listed:
        check_fate(lab, source, "blocklist", "an address that IPsum has")
    for source in free:
        check_fate(lab, source, "no-limit", "its neighbour, which it has not")
    master = folder / "master.ipset"
    done = ask(lab, "list", "load", "master", "file", master)
    check_says("a real list with a broken line", done, 1, f"{master}:77184:")
    done = ask(lab, "list", "load", "master", "file", master, "skip-bad")
    check_says("and with this host's network in it", done, 1, f"covers {NEAR4}", "force")
    check(len(lab.read("list", "show")["lists"]) == 1, "refused, it is not there", "1 list")
    check_fate(lab, FAR4, "no-limit", "nor in force")
    done = ask(lab, "list", "load", "master", "file", master, "skip-bad", "force")
    check_says("skip-bad and force", done, 0, "1 lines hold no prefix and were skipped")
    check_fate(lab, FAR4, "blocklist", "then it is")
    lab.weir("list", "del", "master")
    lab.near.run("ip", "address", "del", f"{NEAR4}/24", "dev", lab.near_dev)
    done = ask(lab, "list", "load", "master", "file", master, "skip-bad")
    check_says("a host of the Internet loads it without force", done, 0, "left out", "0.0.0.0/8")
    lab.weir("list", "del", "master")
    lab.near.run("ip", "address", "add", f"{NEAR4}/24", "dev", lab.near_dev)
    for name in ("edrop.txt", "drop_ipv6.txt"):
        file = folder / name
        lab.weir("list", "load", "spamhaus", "file", file, "force")
        diff = lab.read("list", "diff", "spamhaus", "file", file)
        shown = lab.read("list", "show")["lists"][1]
        count = len(networks(file.read_text()))
        check(shown["ipv4"] + shown["ipv6"] == count and diff == {"removed": [], "added": []},
              name, f"{count} prefixes, as Python counts them")


def test_real_generations(lab):
    """Twenty generations of Spamhaus DROP, compared with Python's sets and tried by packets."""
    folder = real_lists("twenty generations of a real list")
    if not folder:
        return
    folder /= "drop-history"
    lab.attach()
    generations = [networks(file.read_text()) for file in sorted(folder.glob("*.txt"))]
    kept = set.intersection(*generations)
    source = str(ipaddress.ip_network(min(kept)).network_address + 1)
    late = min(generations[-1] - generations[0])
    comer = str(ipaddress.ip_network(late).network_address + 1)
    use_sources(lab, source, comer)
    added = removed = 0
    wrong = []
    for n, (file, now) in enumerate(zip(sorted(folder.glob("*.txt")), generations)):
        lab.weir("list", "load", "drop", "file", file)
        is_in = any(ipaddress.ip_address(comer) in ipaddress.ip_network(prefix) for prefix in now)
        if fate(lab, source)[0] != "blocklist" or \
           fate(lab, comer)[0] != ("blocklist" if is_in else "no-limit"):
            wrong.append(f"{file.name}: packets")
        if not n:
            continue
        diff = lab.read("list", "diff", "drop")
        if set(diff["added"]) != now - generations[n - 1] or \
           set(diff["removed"]) != generations[n - 1] - now:
            wrong.append(f"{file.name}: diff")
        added, removed = added + len(diff["added"]), removed + len(diff["removed"])
    shown = lab.read("list", "show")["lists"][0]
    check(not wrong and shown["generation"] == len(generations) and
          shown["ipv4"] == len(generations[-1]), f"{len(generations)} generations of a real list",
          f"{len(generations[0])} to {shown['ipv4']} prefixes, {added} added and {removed} removed "
          f"in all, wrong: {wrong or 'none'}")


# ---- check and show ----

def check_agrees(lab, source, reason, *words, port=UDP_PORT, before=0):
    """`weir check` predicts the reason of the next packets. @before: packets that use up limits."""
    if before:
        send_udp(lab.far, source, NEAR6 if ":" in source else NEAR4, before, port=port)
        wait_for(lambda: lab.stats()[reason], 3)
    said = lab.read("check", source, "proto", "udp", "dport", port)
    text = lab.weir("check", source, "proto", "udp", "dport", port).out
    is_so, arrived = fate(lab, source, port=port)
    check(said["reason"] == is_so == reason and (said["action"] == "pass") == (arrived == 3) and
          all(word in said["rule"] and word in text for word in (*words, said["action"])[:-1]),
          f"check agrees with the packets: {reason}, {source}",
          f"said {said['action']}, {said['reason']} ({said['rule']}); {is_so}, {arrived} of 3 arrived")


def test_check_agrees_with_packets(lab):
    lab.use_ipv6()
    lab.attach()
    nets = {4: "198.51.100.{}", 6: "2001:db8:7:{}::1"}
    with tempfile.TemporaryDirectory() as folder:
        file = write(folder, "list", "198.51.100.4\n2001:db8:7:4::/64\n")
        lab.weir("list", "load", "listed", "file", file)
        for net in nets.values():
            use_sources(lab, *(net.format(n) for n in range(1, 9)))
            lab.weir("allow", "add", net.format(1))
            lab.weir("block", "add", net.format(2), net.format(1), "comment", "a nuisance", "force")
            lab.weir("block", "add", net.format(3), "ttl", "1h")
        for net in nets.values():
            check_agrees(lab, net.format(8), "no-limit", "no limit")
            check_agrees(lab, net.format(1), "allow", f"allow {net.format(1)}")
            check_agrees(lab, net.format(2), "block", f"block {net.format(2)}", "a nuisance")
            check_agrees(lab, net.format(3), "ban", f"block {net.format(3)}", ", for ", " more")
            check_agrees(lab, net.format(4), "blocklist", "list listed")
        lab.weir("limit", "set", "proto", "udp", "dport", 5353, "rate", "1/min", "burst", 5)
        lab.weir("limit", "set", "proto", "udp", "rate", "1000pps")
        for net in nets.values():
            check_agrees(lab, net.format(5), "under-limit", "limit proto udp rate 1000pps")
            check_agrees(lab, net.format(6), "rate-limit", "dport 5353", "1/min", port=5353,
                         before=10)
            check_agrees(lab, net.format(6), "under-limit", "1000pps")
            check_agrees(lab, net.format(1), "allow", "allow", port=5353)
        lab.weir("limit", "flush")
        for net in nets.values():
            check_agrees(lab, net.format(6), "no-limit", "no limit", port=5353)


def check_width(lab, *words):
    lines = lab.weir(*words).out.splitlines()
    widest = max(lines, key=len, default="")
    check(lines and len(widest) <= COLUMNS, f"{' '.join(words)} fits {COLUMNS} columns",
          f"{len(lines)} lines, {len(widest)} columns: {widest}")


def fill_everything(lab, folder):
    """The longest line of each kind."""
    source = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"
    lab.weir("limit", "set", "proto", "udp", "rate", "1/min", "burst", 5, "per", 32, "per", 128)
    lab.weir("limit", "set", "from", "2001:db8:aaaa:bbbb::/64", "syn", "dport", "10000-20000",
             "rate", "1000000pps", "burst", 1000000, "rate", "123456kbit", "burst", "1234567bit",
             "per", 128)
    lab.weir("allow", "add", source, "198.51.100.7", "comment", "x" * 47)
    lab.weir("block", "add", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:fffe", "ttl", "86399s", "comment",
             "x" * 47)
    file = write(folder, "a-file-with-a-very-long-name-too.txt", "10.0.0.0/8\n")
    lab.weir("list", "load", f"{'a-long-name-':x<31}", "file", file)
    lab.weir("list", "load", "short", "file", file)
    use_sources(lab, "2001:db8:aaaa:bbbb:cccc:dddd:eeee:fffd")
    for sender in (FAR4, "2001:db8:aaaa:bbbb:cccc:dddd:eeee:fffd"):
        send_udp(lab.far, sender, NEAR6 if ":" in sender else NEAR4, 20)
    wait_for(lambda: lab.read("show", "sources")["total"] == 2, 3)


def test_show(lab):
    lab.use_ipv6()
    lab.attach()
    with tempfile.TemporaryDirectory() as folder:
        fill_everything(lab, folder)
        for words in (("show", "status"), ("show", "stats"), ("show", "sources"),
                      ("show", "source", FAR4), ("limit", "show"), ("allow", "show"),
                      ("block", "show"), ("list", "show")):
            check_width(lab, *words)
        shapes = {
            ("allow", "show"): {"allow": [{"prefix": "str", "comment": "str", "added": "int"}]},
            ("block", "show"): {"block": [{"prefix": "str", "comment": "str", "added": "int",
                                           "ttl_seconds": "int"}]},
            ("list", "show"): {"lists": [{"list": "str", "ipv4": "int", "ipv6": "int",
                                          "generation": "int", "loaded": "int", "file": "str",
                                          "format": "str"}]},
            ("check", FAR4): {"address": "str", "tier": "str", "action": "str", "reason": "str",
                              "rule": "str"},
            ("show", "sources"): {"total": "int", "sources": [
                {"source": "str", "class": "str", "passed": "int", "dropped": "int",
                 "dropped_bytes": "int", "dropped_percent": "int"}]},
        }
        for words, wanted in shapes.items():
            is_so, pretty = lab.read(*words), json.loads(lab.weir("-p", *words).out)
            check(shape(is_so) == wanted and shape(pretty) == wanted,
                  f"-j {' '.join(words)}: its shape", json.dumps(shape(is_so)))
        shown = lab.read("list", "show")["lists"][0]
        check(shown["file"] == os.path.realpath(f"{folder}/a-file-with-a-very-long-name-too.txt"),
              "a list's file is told in full", shown["file"])


if __name__ == "__main__":
    run_tests(__name__)
