# SPDX-License-Identifier: GPL-2.0-only
"""weir top on a terminal: its figures, keys and sizes. Screens are kept in build/live."""
import re
import signal
import tempfile
import time

from stage import BUILD, NEAR4, PINS, STRANGE_MAC, WEIR, check, demand, run, run_tests, wait_for
from terminal import DOWN, ENTER, ESCAPE, Terminal

SOURCE, OTHER = "198.51.100.7", "203.0.113.9"
READERS = 4
RATE = 100                          # low, so that the flood of a slow machine exceeds it, too
SCREENS = 4


def start(lab, columns=80, lines=24, **env):
    """Starts a top and waits for its screen."""
    terminal = Terminal(lab.near.command(WEIR, "top"), columns, lines, env)
    lab.children.append(terminal.process)
    demand(terminal.shows("weir"), f"top shows nothing: {terminal.text()}")
    return terminal


def keep(terminal, name):
    (BUILD / "live").mkdir(exist_ok=True)
    (BUILD / "live" / f"{name}.txt").write_text(terminal.text())


def words_of(lines, start):
    return next(line.split() for line in lines if line.startswith(start))


def flood(lab, source, pps, seconds=100, **words):
    extra = [word for pair in words.items() for word in pair]
    return lab.start_flood("to", NEAR4, "from", source, "pps", pps, "seconds", seconds, "mac",
                           STRANGE_MAC, *extra)


def limited(lab):
    lab.weir("limit", "set", "rate", f"{RATE}pps", "burst", 10)
    lab.attach()


def no_listeners():
    words = ("map", "lookup", "pinned", PINS / "hints", "key", "0", "0", "0", "0")
    return '"value":["0x00","0x00","0x00","0x00","0x00"' in run("bpftool", "-j", *words).out


def test_figures(lab):
    """Under a flood of two sources and one network the screen agrees with `show stats`."""
    limited(lab)
    lab.weir("block", "add", OTHER)
    lab.weir("budget", "set", "web", "dport", 80, "rate", f"{RATE}pps")
    floods = [flood(lab, SOURCE, 5000), flood(lab, OTHER, 3000),
              flood(lab, "203.0.113.0/24", 4000, sources=200, dport=80)]
    terminal = start(lab)
    demand(terminal.shows("198.51.100.7/32"), terminal.text())
    screens, head = [], terminal.lines()[1]
    first, at = lab.stats(), time.monotonic()
    while len(screens) < SCREENS:       # one for each second
        if terminal.lines()[1] != head:
            time.sleep(0.1)             # until all of it is drawn
            screens.append(terminal.lines())
            head = screens[-1][1]
        time.sleep(0.05)
    last, seconds = lab.stats(), time.monotonic() - at
    shown = screens[-1]
    keep(terminal, "top-80x24")
    for reason in ("rate-limit", "block", "network-share", "under-limit"):
        counted = (last[reason] - first[reason]) / seconds
        mean = sum(float(words_of(lines, reason)[2]) for lines in screens) / SCREENS
        check(abs(mean - counted) < 0.35 * counted, f"top: packets a second, {reason}",
              f"{mean:.0f} shown, {counted:.0f} by `show stats`")
    rows = {line.lstrip("> ").split()[0]: line.lstrip("> ").replace("~", "").split()
            for line in shown if line[1:].lstrip().startswith(("198.", "203."))}
    row, reason = rows[f"{SOURCE}/32"], words_of(shown, "rate-limit")
    check(row[1] == "rate-limit" and abs(float(row[2]) - float(reason[2])) < 0.3 * float(reason[2]),
          "top: a source over its limit", f"{row}, all of {reason}")
    row, mean = rows[f"{OTHER}/32"], (last["block"] - first["block"]) / seconds
    check(row[1] == "block" and 0.5 * mean < float(row[2]) < 2 * mean,
          "top: a blocked source, from samples", f"{row}, {mean:.0f} a second counted")
    network = rows.get("203.0.113.0/24", ["not there", "", "0"])
    mean = (last["network-share"] - first["network-share"]) / seconds
    check(network[1] == "network-share" and 0.3 * mean < float(network[2]) < 3 * mean,
          "top: a network that is shed", f"{network}, {mean:.0f} a second counted")
    budget = words_of(shown, "web")
    check(0 < float(budget[3]) < 1.3 * RATE and float(budget[6]) > 0, "top: a budget", budget)
    for each in floods:
        each.stop()
    time.sleep(2)
    stats = lab.stats()
    totals = {reason: int(terminal.line(reason)[4]) for reason in ("rate-limit", "block")}
    check(totals == {reason: stats[reason] for reason in totals},
          "top: totals are those of `show stats`", totals)
    check({"red", "green"} <= terminal.colours(), "top: colours where the terminal has them",
          sorted(terminal.colours()))
    check(max(map(len, shown)) <= 80 and any("▇" in line or "█" in line for line in shown),
          "top: 80 columns, sparklines", max(map(len, shown)))
    terminal.type("q")
    check(terminal.wait() == 0 and no_listeners(), "top: q ends it, its slot is free", "status 0")


def rules_of(terminal):
    return next((line for line in terminal.lines() if line.startswith("DROP RULES")), "")


def rules_line(lab, columns, lines):
    """What a top says of the drop rules once it has drawn twice."""
    terminal = start(lab, columns, lines)
    demand(wait_for(lambda: "/s" in rules_of(terminal), 6), terminal.text())
    time.sleep(2.5)
    said = rules_of(terminal)
    keep(terminal, f"top-rules-{columns}x{lines}")
    heads = [line.split()[0] for line in terminal.lines() if line.split()]
    check("SOURCE" in heads and "NETWORK" in heads and "BUDGET" in heads,
          f"top: {columns}x{lines} has room for the other tables", heads)
    terminal.type("q")
    terminal.wait()
    return said


def test_drop_rules(lab):
    """A line says which rules drop most, at the rates that `drop show` counts."""
    limited(lab)
    lab.weir("budget", "set", "web", "dport", 80, "rate", f"{RATE}pps")
    for i in range(12):
        lab.weir("drop", "add", f"idle-{i}", "proto", "udp", "sport", 100 + i)
    lab.weir("drop", "add", "much", "proto", "udp", "dport", 81)
    lab.weir("drop", "add", "try", "proto", "udp", "dport", 82, "length", "20-1500", "monitor")
    lab.weir("drop", "add", "less", "proto", "udp", "dport", 82)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"{OTHER}\n")
        file.flush()
        lab.weir("known", "import", file.name)
    floods = [flood(lab, SOURCE, 4000, dport=81), flood(lab, SOURCE, 1000, dport=82),
              flood(lab, OTHER, 1000, dport=81)]
    for columns, lines in ((80, 24), (200, 60)):
        before, at = counts(lab), time.monotonic()
        said = rules_line(lab, columns, lines)
        after, seconds = counts(lab), time.monotonic() - at
        much, less = ((after[name][0] - before[name][0]) / seconds for name in ("much", "less"))
        shown = dict(re.findall(r"([a-z0-9-]+) ([0-9.]+)/s", said))
        check(0.6 * much < float(shown.get("much", 0)) < 1.6 * much and
              said.split()[2] == "much" and len(said) <= columns,
              f"top: {columns}x{lines}: the rule that drops most, at its rate",
              f"{said}; {much:.0f} and {less:.0f} a second by `drop show`")
        spared = (after["much"][1] - before["much"][1]) / seconds
        check(0.6 * spared < float(shown.get("spared", 0)) < 1.6 * spared,
              f"top: {columns}x{lines}: what it spares", f"{shown.get('spared')}, {spared:.0f} by "
              "`drop show`")
        check(re.search(r"; 1[23] more$", said) and "idle" not in said,
              f"top: {columns}x{lines}: idle rules are counted", said)
    check(f"try {shown.get('try')}/s would" in said, "top: a rule that only counts is marked", said)
    for each in floods:
        each.stop()


def counts(lab):
    return {rule["name"]: (rule["packets"], rule["spared"])
            for rule in lab.read("drop", "show")["rules"]}


def test_keys(lab):
    """Pause, sort, select, ban, allow, and what is refused."""
    limited(lab)
    floods = [flood(lab, SOURCE, 4000), flood(lab, OTHER, 3000)]
    terminal = start(lab)
    demand(terminal.shows(f"{OTHER}/32"), terminal.text())
    time.sleep(1.5)
    terminal.type("p")
    demand(terminal.shows("PAUSED"), terminal.text())
    still = terminal.lines()[1:]
    time.sleep(1.5)
    check(terminal.lines()[1:] == still, "top: paused, figures stand still", still[0])
    terminal.type("p")
    check(wait_for(lambda: terminal.lines()[1:] != still), "top: and go on", terminal.lines()[1])

    terminal.type("sss")
    check(terminal.shows("sort:address"), "top: the order is shown", terminal.lines()[-1])
    order = [line.lstrip("> ").split()[0] for line in terminal.lines()
             if line.lstrip("> ").startswith(("198.", "203."))]
    check(order == sorted(order), "top: sorted by address", order)

    terminal.type(DOWN)
    check(terminal.shows(f">{OTHER}/32"), "top: an arrow selects", terminal.line(OTHER))
    terminal.type("b")
    demand(terminal.shows(f"ban {OTHER}/32 for how long?"), terminal.text())
    keep(terminal, "top-question")
    terminal.type(ESCAPE)
    check(terminal.shows("nothing was changed") and not lab.read("block", "show")["block"],
          "top: Esc bans no source", terminal.lines()[-1])
    terminal.type("b" + 3 * "\x7f" + "2h" + ENTER)
    check(terminal.shows(f"{OTHER}/32 is banned for 2h"), "top: banned", terminal.lines()[-1])
    entries = lab.read("block", "show")["block"]
    check([entry["prefix"] for entry in entries] == [f"{OTHER}/32"] and
          7000 < entries[0]["ttl_seconds"] <= 7200 and "top" in entries[0]["comment"],
          "top: and is in force", entries)
    check(terminal.shows("ban  ", 4) and lab.stats()["ban"] > 0, "top: and drops packets",
          f"{lab.stats()['ban']} packets")

    terminal.type("k")
    demand(terminal.shows(f">{SOURCE}/32"), terminal.text())
    terminal.type("an")
    time.sleep(0.3)
    check(not lab.read("allow", "show")["allow"], "top: without a yes no source is allowed", "none")
    terminal.type("ay")
    check(terminal.shows(f"{SOURCE}/32 is allowed"), "top: allowed", terminal.lines()[-1])
    terminal.type("b" + ENTER)
    check(terminal.shows("allow list") and len(lab.read("block", "show")["block"]) == 1,
          "top: what `block add` refuses is refused", terminal.lines()[-1])
    for each in floods:
        each.stop()
    terminal.type("q")
    check(terminal.wait() == 0, "top: q ends it", "status 0")


def test_terminals(lab):
    """Terminals that are small, large, without colours or UTF-8; and no terminal."""
    limited(lab)
    lab.flood("to", NEAR4, "from", SOURCE, "pps", 5000, "count", 3000, "mac", STRANGE_MAC)
    terminal = start(lab, 79, 23)
    check(terminal.shows("weir top needs 80x24, this is 79x23"), "top: too small a terminal",
          terminal.lines()[0])
    keep(terminal, "top-79x23")
    terminal.resize(130, 45)
    check(terminal.shows("REASON") and terminal.shows("h help"), "top: a larger one is used",
          terminal.lines()[-1])
    time.sleep(0.5)
    keep(terminal, "top-130x45")
    terminal.resize(20, 2)
    check(terminal.shows("weir top needs"), "top: tiny", terminal.lines())
    terminal.resize(80, 24)
    terminal.type("h")
    check(terminal.shows("Ctrl-C"), "top: help", terminal.lines()[3])
    keep(terminal, "top-help")
    terminal.process.send_signal(signal.SIGTERM)
    check(terminal.wait() == 0 and no_listeners(), "top: SIGTERM ends it well", "status 0")

    plain = start(lab, TERM="vt100", LC_ALL="C")
    demand(plain.shows("REASON"), plain.text())
    plain.type("\x03")
    check(plain.wait() == 0 and plain.colours() == {"default"} and plain.text().isascii(),
          "top: neither colours nor UTF-8 where there are none", plain.colours())
    strange = Terminal(lab.near.command(WEIR, "top"), env={"TERM": "no-such-terminal"})
    check(strange.wait() == 1 and strange.shows("no-such-terminal", 1), "top: an unknown terminal",
          strange.lines()[0])
    check("terminal" in lab.weir("top", expect=1).err, "top: not a terminal", "said")
    check(no_listeners(), "top: no slot stays taken", "none")


def test_beside_four_readers(lab):
    """Without a slot it shows all but the estimates, with a notice. It ends with weir."""
    limited(lab)
    tops = [start(lab) for _ in range(READERS)]
    fifth = start(lab)
    check(fifth.shows("readers of packets are at work already"), "top: beside four readers",
          fifth.lines()[-1])
    demand(fifth.shows("under-limit") or fifth.shows("REASON"), fifth.text())
    lab.weir("detach", "all")
    status = [terminal.wait() for terminal in [fifth, *tops]]
    check(status == [0] * 5 and fifth.shows("detached", 1), "top: ends when weir is detached", status)


if __name__ == "__main__":
    run_tests(__name__)
