# SPDX-License-Identifier: GPL-2.0-only
"""save and restore: all settings of the operator, at once or not at all."""
import os
import pathlib
import re
import subprocess
import tempfile
import time

from stage import (FAR4, NEAR4, PINS, STATE, WEIR, Receiver, check, demand, pins, run_tests, send_udp,
                   wait_for)
from test_lists import (ask, check_fate, check_says, entries, fate, first_arrival, make_ban, state,
                        use_sources, without_ttl, write)

BLOCKED, NEUTRAL = "198.51.100.7", "203.0.113.7"
BLOCKED_PORT, NEUTRAL_PORT = 7001, 7002


def restore(lab, folder, text, *words, expect=0):
    return lab.weir("restore", write(folder, "settings", text), *words, expect=expect)


def save_to_restore(lab):
    """weir save | weir restore -"""
    return lab.near.run("bash", "-o", "pipefail", "-c", f"'{WEIR}' save | '{WEIR}' restore -",
                        expect=None)


def fill(lab, folder):
    """Makes settings of each kind."""
    for number in (1, 2):
        write(folder, f"list {number}", f"10.{number}.0.0/16\n2001:db8:{number}::/48\n")
    write(folder, "list 3", "10.3.0.0/16\nno address\n")
    for words in (("limit", "set", "rate", "1/min", "burst", 5),
                  ("limit", "set", "rate", "50mbit", "from", "203.0.113.0/24", "per", 24),
                  ("limit", "set", "syn", "dport", "80-443", "rate", "100/min"),
                  ("limit", "set", "proto", "udp", "dport", 5353, "sport", "1900,53-123", "rate", "9pps"),
                  ("limit", "set", "icmp-type", "ping", "rate", "8pps"),
                  ("limit", "set", "from", "0.0.0.0/0", "icmp-type", 3, "rate", "7pps"),
                  ("budget", "set", "ptb", "icmp-type", "packet-too-big", "rate", "50pps"),
                  ("budget", "set", "ntp", "proto", "udp", "sport", "11211,123,389", "rate", "2kpps"),
                  ("limit", "set", "fragment", "proto", "udp", "rate", "10pps", "rate", "1mbit"),
                  ("limit", "set", "icmp", "from", "2001:db8:9::/48", "rate", "20/h", "per", 128),
                  ("allow", "add", "192.0.2.128/25", "2001:db8:5::/48", "comment", "friends"),
                  ("block", "add", "198.51.100.0/25", "comment", "for good"),
                  ("block", "add", "198.51.100.128/25", "2001:db8:6::6", "ttl", "1h"),
                  ("block", "add", "192.0.2.128/26", "force"),
                  ("list", "load", "one", "file", f"{folder}/list 1"),
                  ("list", "load", "two", "file", f"{folder}/list 2", "format", "plain"),
                  ("list", "load", "two", "file", f"{folder}/list 3", "skip-bad")):
        lab.weir(*words)


def exhaust(lab, source):
    """Uses up a limit of a few packets."""
    send_udp(lab.far, source, NEAR4, 20)
    demand(wait_for(lambda: lab.stats()["rate-limit"] >= 15, 3), "20 packets exhaust a burst of 5")


def test_save_to_restore(lab):
    """What is restored over itself changes nothing, debts included."""
    lab.attach()
    use_sources(lab, "203.0.113.200")
    with tempfile.TemporaryDirectory() as folder:
        fill(lab, folder)
        exhaust(lab, FAR4)
        dates = {prefix: entry["added"] for prefix, entry in entries(lab, "block").items()}
        before, sources = state(lab), lab.read("show", "sources")
        began, done = make_ban(lab, "203.0.113.200", 3)
        time.sleep(1.1)     # dates have a resolution of a second
        for _ in range(4):
            check_says("save | restore - says unchanged", save_to_restore(lab), 0, "unchanged")
        after = state(lab)
        kept = re.sub(r"block add 203.0.113.200/32 .*\n", "", after[0])
        check(kept == before[0] and after[1:] == before[1:],
              "entries, lists, limits and pins as they were", f"{len(kept.splitlines())} lines")
        check(lab.read("show", "sources") == sources, "buckets as they were", sources)
        now = {prefix: entry["added"] for prefix, entry in entries(lab, "block").items()}
        now.pop("203.0.113.200/32", None)   # has ended by now on a slow machine
        check(now == dates, "dates as they were", f"{len(dates)} entries")
        check_fate(lab, FAR4, "rate-limit", "a source that was exhausted still is")
        restore(lab, folder, f"{lab.weir('save').out}allow add 203.0.113.99\n")
        check_fate(lab, FAR4, "rate-limit", "exhausted after a restore with a change, too")
        check(lab.read("show", "sources")["sources"][0]["class"] == "all",
              "its bucket belongs to the limit that stayed", lab.read("show", "sources"))
        check(entries(lab, "block")["198.51.100.0/25"]["added"] == dates["198.51.100.0/25"],
              "dates after a restore with a change", "as they were")
        lab.weir("limit", "flush")
        ends = first_arrival(lab, "203.0.113.200", 5)
        demand(ends, "the ban of 3 s did not end")
        check(began + 2.9 < ends[1] and ends[0] < done + 3.3, "five restores put no ban's end off",
              f"a ban of 3 s: the last packet that did not pass was sent {max(ends[0] - done, 0):.2f} s, "
              f"and one had passed {ends[1] - done:.2f} s after it was made")


def test_save_to_restore_where_nothing_is_set(lab):
    """Into fresh maps, as after a reboot."""
    with tempfile.TemporaryDirectory() as folder:
        fill(lab, folder)
        saved, json = lab.weir("save").out, [entries(lab, kind) for kind in ("allow", "block")]
        lab.weir("detach", "all")
        demand(not pins(), "detach all leaves no pins")
        check_says("restore where nothing is set", restore(lab, folder, saved), 0, "restored from")
        again = [entries(lab, kind) for kind in ("allow", "block")]
        for kind in json + again:
            for entry in kind.values():
                entry.pop("added"), entry.pop("ttl_seconds", None)
        check(without_ttl(lab.weir("save").out) == without_ttl(saved) and json == again,
              "everything is there again", f"{len(saved.splitlines())} lines")
        check_says("the lists as well", ask(lab, "block", "test", "10.1.2.3", "10.3.2.1"), 0,
                   "by list one", "by list two")

        lab.weir("detach", "all")
        lab.up()
        forced = write(folder, "forced", "192.0.2.0/24\n")
        lab.weir("list", "load", "forced", "file", forced, "force")
        saved = lab.weir("save").out
        lab.weir("detach", "all")
        done = restore(lab, folder, saved, expect=None)
        check(done.status == 0, "a list that was loaded with force is restored", done)


def test_restore_replaces_everything(lab):
    lab.attach()
    use_sources(lab, BLOCKED, NEUTRAL, "203.0.113.8", "10.1.0.7", "10.2.0.7", "10.4.0.7")
    with tempfile.TemporaryDirectory() as folder:
        fill(lab, folder)
        lab.weir("limit", "set", "from", "203.0.113.8", "proto", "udp", "rate", "1/min", "burst", 5)
        exhaust(lab, "203.0.113.8")
        for source, reason in ((BLOCKED, "block"), ("10.1.0.7", "blocklist"),
                               ("10.2.0.7", "under-limit"), ("203.0.113.8", "rate-limit")):
            check_fate(lab, source, reason, "before")
        write(folder, "list 4", "10.4.0.0/16\n")
        write(folder, "list 2", "10.2.0.0/16\n")
        settings = (f'# all new\nlist load two file "{folder}/list 2"\n'
                    f'list load four file "{folder}/list 4"\n\nallow add {BLOCKED}\n'
                    f'block add {NEUTRAL} ttl 1h comment "now"   # a comment\n'
                    "limit set from 203.0.113.8/32 proto udp rate 1/min burst 5\n"
                    "limit set from 10.1.0.0/16 rate 1000pps")
        restore(lab, folder, settings)
        for source, reason in ((BLOCKED, "allow"), ("10.1.0.7", "under-limit"),
                               ("10.2.0.7", "blocklist"), ("10.4.0.7", "blocklist"),
                               (NEUTRAL, "ban"), ("203.0.113.8", "rate-limit"), (FAR4, "no-limit")):
            check_fate(lab, source, reason, "after")
        saved = sorted(line for line in lab.weir("save").out.splitlines() if line[0] != "#")
        check(without_ttl("\n".join(saved)).splitlines() == [
            f"allow add {BLOCKED}/32", f'block add {NEUTRAL}/32 comment "now" force',
            "limit set from 10.1.0.0/16 rate 1000pps burst 1000",
            "limit set from 203.0.113.8/32 proto udp rate 1/min burst 5",
            f'list load four file "{folder}/list 4"', f'list load two file "{folder}/list 2"'],
            "nothing else is set", " / ".join(saved))
        left = sorted(f"{path.parent.name}/{path.name}" for path in (PINS / "lists").glob("*/*"))
        check(left == ["four/current", "two/current", "two/previous"], "lists gone are gone", left)
        check_says("diff and rollback know the list from before", ask(lab, "list", "diff", "two"), 0,
                   "-10.3.0.0/16", "+10.2.0.0/16")
        for text in ("# nothing\n", ""):
            restore(lab, folder, text)
            check(lab.weir("save").out.count("\n") == 1, "restore of an empty file removes all",
                  lab.weir("save").out)
        for source in (BLOCKED, "10.2.0.7", "10.4.0.7", NEUTRAL, "203.0.113.8"):
            check_fate(lab, source, "no-limit", "then all pass")
        check(not list((PINS / "lists").glob("*/*")), "no list is left", pins())


RIGHT = ["limit set rate 1000pps", "allow add 203.0.113.0/24 comment x", "block add 10.9.0.0/16",
         "list load right file {folder}/list", "limit set from 10.0.0.0/8 proto tcp rate 10pps"]
WRONG = ["frobnicate", "limit", "limit set", "limit set rate", "limit set rate 10", "allow add",
         "allow add 198.51.100.7/24", "allow add 198.51.100", "allow ad 198.51.100.7",
         "allow add 198.51.100.7 ttl 10m", "block add 198.51.100.7 ttl 10", "block add 0.0.0.0/0",
         f"block add {NEAR4}", "block add 203.0.113.0/24", "block del 198.51.100.7",
         "limit del rate 10pps", "limit del from 10.7.0.0/16",
         'block add 198.51.100.7 comment "not closed', f"block add 10.0.0.1 comment {'x' * 48}",
         'block add 198.51.100.7 "198.51.100.8 "', "list load a", "list load A file {folder}/list",
         "list load right file {folder}/list", "list del right", "list show", "show status",
         "attach dev near0", "detach all", "save", "restore {folder}/list", "block add " + "10.0.0.1 " * 70,
         "block add 10.0.0.1 # " + "x" * 5000, "help", "-j block add 10.0.0.1", '"limit set" rate 10pps',
         "block add 10.0.0.1\x00 10.0.0.2/33"]


def test_wrong_lines(lab):
    """A mistake anywhere is reported by file and line, and nothing is changed."""
    lab.attach()
    use_sources(lab, BLOCKED)
    with tempfile.TemporaryDirectory() as folder:
        fill(lab, folder)
        write(folder, "list", "10.8.0.0/16\n")
        before, wrong = state(lab), []
        for n, line in enumerate(WRONG):
            at = len(RIGHT) if line.startswith(("list load right", "block add 203")) else n % 6
            lines = [text.format(folder=folder) for text in RIGHT[:at] + [line] + RIGHT[at:]]
            text = "\n".join(lines) + ("" if n % 2 else "\n")
            for words in ((), ("check",)):
                done = restore(lab, folder, text, *words, expect=None)
                if done.status != 1 or f"{folder}/settings:{at + 1}: " not in done.err:
                    wrong.append(f"line {at + 1}, {line[:60]!r}: {done}")
        check(not wrong, "a wrong line is told by file and line", "; ".join(wrong) or
              f"{len(WRONG)} kinds of wrong, at any place")
        after = state(lab)
        check(after == before, "wrong lines change nothing", f"{len(before[3])} pins as before")
        check_fate(lab, BLOCKED, "block", "what was in force is")
        check_says("restore of no file", ask(lab, "restore", f"{folder}/none"), 1, f"{folder}/none")
        check_says("restore of a folder", ask(lab, "restore", folder), 1, folder)


def test_lists_that_cannot_be_read(lab):
    """Limits and entries take effect; the list stays as it was, or is what it last was, or empty."""
    lab.attach()
    use_sources(lab, BLOCKED)
    with tempfile.TemporaryDirectory() as folder:
        listed = write(folder, "listed", "198.51.100.0/24\n")
        lab.weir("list", "load", "one", "file", listed)
        write(folder, "bad", "no address\n")
        for n, file in enumerate(("none", "", "bad")):
            done = restore(lab, folder, f'limit set rate {n + 1}pps\nlist load one file '
                           f'"{folder}/{file}"\nallow add 203.0.113.{n}\n', expect=None)
            check_says("a list that cannot be read", done, 3, "list one stays as it was",
                       f"{folder}/{file}")
            saved = lab.weir("save").out
            check(f"rate {n + 1}pps" in saved and f"203.0.113.{n}/32" in saved,
                  "limits and entries take effect without it", saved.splitlines()[1:])
        check_fate(lab, BLOCKED, "blocklist", "and the list stays in force")
        saved = lab.weir("save").out
        done = lab.near.run(WEIR, "restore", "-", "check", text_in=saved)
        check(done.status == 0, "save keeps the file that was good", done)
        os.unlink(listed)
        lab.weir("detach", "all")
        done = restore(lab, folder, saved, expect=None)
        check_says("after a reboot, without the file", done, 3, "list one", " ago is loaded",
                   "1 prefixes")
        lab.attach()
        lab.watched = None  # it was attached twice
        check_fate(lab, BLOCKED, "blocklist", "what the file had last is in force")
        check("3pps" in lab.weir("save").out and lab.weir("save").out == saved,
              "with all other settings, and the list's file", saved.splitlines()[1:])
        kept = STATE / "kept/one"
        for what, spoil in (("damaged", lambda: kept.write_bytes(
                kept.read_bytes()[:-1] + bytes([kept.read_bytes()[-1] ^ 1]))),
                            ("cut", lambda: os.truncate(kept, 40)),
                            ("a pipe", lambda: (kept.unlink(), os.mkfifo(kept))),
                            ("missing", kept.unlink)):
            spoil()
            lab.weir("detach", "all")
            done = restore(lab, folder, saved, expect=None)
            check_says(f"and with what is kept {what}", done, 3, "list one is EMPTY")
            check(lab.weir("save").out == saved, "the other settings, and the list's file, remain",
                  lab.weir("list", "show").out.splitlines()[-1])
        write(folder, "listed", "198.51.100.0/24\n")
        check_says("the file is there again", restore(lab, folder, saved), 0, "restored")
        lab.attach()
        lab.watched = None  # it was attached twice
        check_fate(lab, BLOCKED, "blocklist", "and in force")


def test_what_is_kept_of_lists(lab):
    with tempfile.TemporaryDirectory() as folder:
        kept = STATE / "kept"
        listed = write(folder, "listed", "198.51.100.0/24\n2001:db8::/32\n")
        lab.weir("list", "load", "one", "file", listed)
        lab.weir("list", "load", "two", "file", listed)
        first = (kept / "one").read_bytes()
        os.utime(kept / "one", (1, 1))
        lab.weir("list", "load", "one", "file", listed)
        check((kept / "one").stat().st_mtime > 1, "a list that is loaded again, unchanged, is as new",
              "its date")
        write(folder, "listed", "203.0.113.0/24\n")
        lab.weir("list", "load", "one", "file", listed)
        check((kept / "one").read_bytes() != first, "a new generation is kept",
              f"{(kept / 'one').stat().st_size} bytes")
        lab.weir("list", "rollback", "one")
        check((kept / "one").read_bytes() == first, "and after a rollback, the one before", "the same")
        lab.weir("list", "del", "two")
        check([path.name for path in kept.iterdir()] == ["one"], "what is deleted is not kept",
              [path.name for path in kept.iterdir()])
        kept.rename(STATE / "gone")
        kept.symlink_to(folder)
        done = ask(lab, "list", "load", "three", "file", listed)
        check(done.status == 0 and "cannot be kept" in done.err and
              not pathlib.Path(folder, "three").exists(),
              "where it cannot be kept, the list is in force, and no link is followed", done)


def test_some_lists_change_and_one_is_wrong(lab):
    """Lists of one file that are as before, changed, or wrong."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("same", "other", "wrong"):
            lab.weir("list", "load", name, "file", write(folder, name, "10.1.0.0/16\n10.2.0.0/16\n"))
        before, text = state(lab), lab.weir("save").out
        write(folder, "other", "10.3.0.0/16\n" * 3)
        write(folder, "wrong", "no address\n")
        lines = [line for line in text.splitlines() if line.startswith("list")]
        for order in ((0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 1, 0)):
            # lists are saved by name: other, same, wrong
            done = restore(lab, folder, "".join(f"{lines[n]}\n" for n in order), expect=None)
            check_says(f"lists in the order {order}, one of them wrong", done, 3, f"{folder}/wrong:1:")
        check(state(lab)[0] == before[0] and
              [each["ipv4"] for each in lab.read("list", "show")["lists"]] == [1, 2, 2],
              "then that one stays as it was, and the others are loaded",
              lab.read("list", "show")["lists"])


def test_check_changes_nothing(lab):
    """With weir in use, and without."""
    with tempfile.TemporaryDirectory() as folder:
        write(folder, "list", "10.8.0.0/16\n")
        write(folder, "bad", "10.8.0.0/33\n")
        right = "\n".join(RIGHT).format(folder=folder)
        check_says("check where weir is not in use", restore(lab, folder, right, "check"), 0,
                   "is right; nothing was changed")
        for text, words, status in (("limit set", (), 1), ("limit set", ("check",), 1),
                                    (f"list load a file {folder}/bad", ("check",), 3)):
            done = restore(lab, folder, f"{text}\n", *words, expect=None)
            check(done.status == status and not pins() and not PINS.exists(),
                  f"restore {' '.join(words)} of {text[:9]} where weir is not in use",
                  f"{done}; {len(pins())} pins")
            if pins():
                lab.weir("detach", "all")
        check(not PINS.exists(), "no pins are made", pins() or "none")
        fill(lab, folder)
        before = state(lab)
        check_says("check where it is", restore(lab, folder, right, "check"), 0,
                   "is right; nothing was changed")
        check(state(lab) == before, "nothing is changed", f"{len(before[3])} pins as before")


def test_odd_texts(lab):
    """Comments and file names with all characters that need quoting."""
    texts = ['say "no"', "back\\slash", "\\", '"', "# none", "a # b", "Grüße, 你好 🧱", "'single'",
             "two  blanks ", " ", "force", "ttl 10m", "$HOME `id` %s", "x" * 47, ""]
    with tempfile.TemporaryDirectory() as folder:
        for n, text in enumerate(texts):
            lab.weir("block", "add", f"198.51.100.{n}", "comment", text)
            lab.weir("allow", "add", f"203.0.113.{n}", "comment", text)
        for n, name in enumerate(('a "list"', "back\\slash", "# none", "Grüße 🧱", "two  blanks ")):
            lab.weir("list", "load", f"list-{n}", "file", write(folder, name, f"10.{n}.0.0/16\n"))
        before, saved = state(lab), lab.weir("save").out
        comments = [entry["comment"] for kind in ("allow", "block")
                    for entry in entries(lab, kind).values()]
        check(comments == texts * 2, "odd comments", " | ".join(texts))
        check_says("odd texts: save | restore -", save_to_restore(lab), 0, "unchanged")
        restore(lab, folder, "")
        demand(not entries(lab, "block"), "all is removed")
        restore(lab, folder, saved)
        again = [entry["comment"] for kind in ("allow", "block")
                 for entry in entries(lab, kind).values()]
        check(again == comments and lab.weir("save").out == before[0], "odd texts come back",
              f"{len(again)} comments, 5 file names")


class Readers:
    """Reading commands, repeated until they are stopped."""

    def __init__(self, lab, *commands):
        loop = "while :; do " + "".join(f"{command} || echo FAILED: {command}; " for command in
                                        commands) + "done"
        self.process = subprocess.Popen(lab.near.command("bash", "-c", loop), text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lab.children.append(self.process)

    def stop(self):
        self.process.terminate()
        return self.process.communicate(timeout=60)[0].splitlines()


def test_restore_under_a_flood(lab):
    """Each of the settings blocks the source in another way: no packet may pass between them."""
    restores = 20
    ways = (f"block add {BLOCKED}\nallow add 192.0.2.77\n",
            "list load l file {folder}/list\nlimit set rate 1000mpps\n",
            "block add 198.51.100.0/24 ttl 1h\nlimit set from 203.0.113.0/24 rate 1000mpps\n",
            "list load m file {folder}/list\nlist load n file {folder}/other\n")
    with tempfile.TemporaryDirectory() as folder:
        write(folder, "list", "198.51.100.0/28\n2001:db8:7::/48\n")
        write(folder, "other", "".join(f"10.{n // 256}.{n % 256}.7\n" for n in range(20000)))
        files = [write(folder, f"way {n}", way.format(folder=folder)) for n, way in enumerate(ways)]
        lab.weir("restore", files[-1])
        lab.attach()
        receivers = [Receiver(lab.near, port) for port in (BLOCKED_PORT, NEUTRAL_PORT)]
        floods = [lab.start_flood("to", NEAR4, "from", f"{source}/32", "dport", port, "pps", pps,
                                  "seconds", 100) for source, port, pps in
                  ((BLOCKED, BLOCKED_PORT, 40000), (NEUTRAL, NEUTRAL_PORT, 4000))]
        readers = Readers(lab, f"'{WEIR}' save", f"'{WEIR}' check {BLOCKED}")
        demand(wait_for(lambda: lab.stats()["blocklist"] > 1000), "the flood is on")
        for n in range(restores):
            lab.weir("restore", files[n % len(files)])
        said = readers.stop()
        blocked, neutral = (flood.stop() for flood in floods)
        passed, arrived = (len(receiver.stop()) for receiver in receivers)
        stats, lost = lab.stats(), lab.lost()
        dropped = {reason: stats[reason] for reason in ("block", "ban", "blocklist")}
        check(passed == 0, f"{restores} restores under a flood: not one packet passes",
              f"{blocked}, {passed} passed")
        check(all(dropped.values()) and sum(dropped.values()) == stats.dropped() and
              blocked.packets - lost <= stats.dropped() <= blocked.packets,
              "each way of blocking had its part", f"{dropped}, {lost} lost before")
        check(neutral.packets - lost <= arrived <= neutral.packets and stats["under-limit"],
              "a source in none of them always passes", f"{neutral}, {arrived} arrived")
        bad = [line for line in said if "FAILED" in line or line.startswith("weir:")]
        check(not bad and said, "commands that read never fail meanwhile",
              f"{len(bad)} failed: {bad[:2]}" if bad else f"{len(said)} lines read")
        answers = [line for line in said if line.startswith(f"{BLOCKED}:")]
        free = [answer for answer in answers if ": drop" not in answer]
        check(answers and not free, "nor do they ever say that it passes",
              f"{len(free)} of {len(answers)} answers{': ' if free else ''}{' '.join(free[:1])}")
        check(fate(lab, FAR4)[0] != "rate-limit", "all is well afterwards", str(lab.weir("save").out))


if __name__ == "__main__":
    run_tests(__name__)
