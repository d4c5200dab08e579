# SPDX-License-Identifier: GPL-2.0-only
"""What show status, stats and reasons say, on a terminal and in a pipe, and how times are shown."""
import re
import signal
import tempfile

import daemon
from stage import FAR4, NEAR4, WEIR, check, run, run_tests, wait_for
from terminal import Terminal

DROPS = "limit", "set", "rate", "100/h", "burst", "10"


def lines_of(text):
    """The lines of `show status` by their label."""
    return {line[:16].strip(): line[17:] for line in text.splitlines() if line[:1].strip()}


def set_all(lab, folder):
    """A setting of each kind."""
    with open(f"{folder}/drop", "w") as file:
        file.write("".join(f"198.18.{i // 256}.{i % 256}\n" for i in range(1, 1500)))
    for line in ("limit set proto udp rate 10pps", "limit set rate 1000pps",
                 "budget set web dport 9 rate 10pps", "budget set rest rate 10kpps",
                 "drop add ntp proto udp sport 123", "drop add try proto udp sport 53 monitor",
                 "drop add hour proto udp sport 389 monitor ttl 1h",
                 f"list load drop file {folder}/drop", "allow add 192.0.2.77",
                 "block add 198.51.100.1", "block add 198.51.100.2 198.51.100.3 ttl 2h",
                 "syn protect dport 80 force set-sysctl", "dns protect always force"):
        lab.weir(*line.split())
    with open(f"{folder}/known", "w") as file:
        file.write("203.0.113.1\n203.0.113.2\n")
    lab.weir("known", "import", f"{folder}/known")


def test_status(lab):
    """Each setting has its line, and the JSON says the same."""
    with tempfile.TemporaryDirectory() as folder:
        set_all(lab, folder)
    lab.attach()
    lab.weir("attach", "dev", "near0", "monitor", "try", "90s")
    text = lab.weir("show", "status").out
    lines, value = lines_of(text), lab.read("show", "status")
    for label, words in (
            ("weir", f"version {value['version']}, ABI {value['abi']}"),
            ("near0", "attached for "), ("near0", "monitor: nothing is dropped"),
            ("daemon", "never ran"), ("limits", "2; sources near or over one: "),
            ("budgets", "web 0% used"), ("budgets", "rest 0% used"),
            ("drop rules", "3; 2 only count, 1 ends by itself"),
            ("lists", "drop with 1,499 prefixes"),
            ("block", "1 permanent, 2 for a time (0 by the daemon)"), ("allow", "1"),
            ("SYN cookies", "1 service protected"), ("DNS", "1 service protected"),
            ("known sources", "0 proven for long, 2 proven, 0 only seen")):
        if not check(words in lines.get(label, ""), f"show status: {label}", lines.get(label, text)):
            return
    check(re.search(r"on trial for (1m\d+s|1m|\d+s) more", text), "show status: the trial",
          text.splitlines()[2].strip())
    check((value["limits"], value["allow"], value["block"], value["bans"], value["syn_rules"],
           value["dns_rules"]) == (2, 1, 3, 2, 1, 1), "the JSON has the same counts", value)
    check([budget["name"] for budget in value["budgets"]] == ["web", "rest"] and
          value["drop_rules"] == {"count": 3, "monitor": 2, "temporary": 1, "daemon": 0} and
          value["lists"] == [{"list": "drop", "prefixes": 1499}] and
          value["daemon"] == {"up": False, "mode": None, "seconds_since_loop": -1.0},
          "the JSON has budgets, drop rules, lists and the daemon", value)


def test_drop_rules(lab):
    """A rule whose time is over is counted no more; `weir` alone says how many there are."""
    lab.attach()
    check(lines_of(lab.weir("show", "status").out)["drop rules"] == "none",
          "show status: no drop rules", "none")
    lab.weir("drop", "add", "ntp", "proto", "udp", "sport", "123")
    lab.weir("drop", "add", "short", "proto", "udp", "sport", "389", "ttl", "2s")
    first, summary = lab.read("show", "status")["drop_rules"], lab.weir().out
    check(first == {"count": 2, "monitor": 0, "temporary": 1, "daemon": 0} and "drop rules 2," in summary,
          "show status and weir alone count the drop rules", f"{first}")
    check("limit set syn" not in summary, "with rules weir alone does not say that nothing is set",
          summary.splitlines()[-3:])
    over = wait_for(lambda: lab.read("show", "status")["drop_rules"] ==
                    {"count": 1, "monitor": 0, "temporary": 0, "daemon": 0}, 6)
    check(over and "drop rules 1," in lab.weir().out, "and no more one whose time is over",
          lines_of(lab.weir("show", "status").out)["drop rules"])


def test_status_under_pressure(lab):
    lab.weir("budget", "set", "web", "proto", "udp", "rate", "10pps")
    lab.attach()
    flood = lab.start_flood("to", NEAR4, "from", f"{FAR4}/32", "pps", 2000, "seconds", 8)
    shows = wait_for(lambda: "TURNING AWAY" in lab.weir("show", "status").out, 5)
    pressed = lab.read("show", "status")["budgets"][0]["pressed"]
    terminal = Terminal(lab.near.command(str(WEIR), "show", "status"))
    terminal.wait()
    flood.stop()
    check(shows and pressed, "a budget that is used up is said to turn away", f"pressed: {pressed}")
    check("red" in terminal.colours(), "and is red on a terminal", terminal.colours())


def test_status_of_the_daemon(lab):
    """Up and in which mode, also after the file was read again."""
    served = daemon.Daemon(lab, mode="judge")
    for mode in ("judge", "enforce"):
        served.configure(mode=mode)
        served.process.send_signal(signal.SIGHUP)
        is_so = wait_for(lambda: lab.read("show", "status")["daemon"]["up"] and
                         lab.read("show", "status")["daemon"]["mode"] == mode)
        line = lines_of(lab.weir("show", "status").out)["daemon"]
        check(is_so and line == f"up, mode {mode}", f"show status: the daemon in mode {mode}", line)
    served.process.terminate()
    served.process.wait(10)


def test_stats(lab):
    """Shares, groups of digits and rates are those of the counters."""
    lab.weir(*DROPS)
    lab.attach()
    lab.flood("to", NEAR4, "from", f"{FAR4}/32", "count", 3000, "pps", 10000)
    text, value = lab.weir("show", "stats").out, lab.read("show", "stats")["devices"][0]
    check("PER SECOND" not in text and "packets_per_second" not in value,
          "in a pipe the counters come at once, without rates", text.splitlines()[1])
    wrong = []
    for reason in value["reasons"]:
        line = next((line.split() for line in text.splitlines()
                     if line.startswith(reason["reason"] + " ")), None)
        permille = 1000 * reason["packets"] // value["packets"]
        share = "<0.1" if not permille else f"{permille // 10}.{permille % 10}"
        if reason["packets"] and line[1:4] != [reason["action"], f"{reason['packets']:,}", share]:
            wrong.append(f"{reason}: {line}")
    check(not wrong, "each row has its count and its share", "; ".join(wrong) or text)


def test_rates(lab):
    """A rate is what was counted in a second or more: no more than came since an earlier look."""
    lab.attach()
    flood = lab.start_flood("to", NEAR4, "from", f"{FAR4}/32", "pps", 1000, "seconds", 10)
    wait_for(lambda: lab.stats()["no-limit"] > 100)
    before = lab.stats().packets
    value = lab.read("show", "stats", "rates")["devices"][0]
    text = lab.weir("show", "stats", "rates").out
    flood.stop()
    rates = [reason["packets_per_second"] for reason in value["reasons"]]
    check(0 < value["packets_per_second"] <= value["packets"] - before and
          abs(sum(rates) - value["packets_per_second"]) < 1 and value["bits_per_second"] > 0,
          "rates of a flood of 1000 pps", f"{value['packets_per_second']:.1f} a second; "
          f"{value['packets'] - before} in that second and a little more")
    check("PER SECOND" in text, "the table has them, too", text)


def colours(lab, *words, **env):
    terminal = Terminal(lab.near.command(str(WEIR), *words), env=env)
    terminal.wait()
    return terminal.colours() - {"default"}, terminal.text()


def test_colour(lab):
    """Sparse, and only where it can be seen."""
    lab.weir(*DROPS)
    lab.attach()
    lab.flood("to", NEAR4, "from", f"{FAR4}/32", "count", 100, "pps", 10000)
    seen, text = colours(lab, "show", "stats")
    check(seen == {"red"} and "PER SECOND" in text,
          "on a terminal drops are red, and rates are shown", seen)
    for what, env in (("NO_COLOR", {"NO_COLOR": "1"}), ("TERM=dumb", {"TERM": "dumb"}),
                      ("an unknown terminal", {"TERM": "nosuch"})):
        seen, text = colours(lab, "show", "stats", **env)
        check(not seen and "rate-limit" in text, f"no colour: {what}", seen or text.splitlines()[0])
    piped = lab.weir("show", "stats").out + lab.weir("limit", "set", expect=2).err
    check("\x1b" not in piped, "no colour in a pipe", "no escape")
    check(colours(lab, "limit", "set", "rate", "10MB")[0] == {"red"}, "errors are red", "red")
    lab.weir("attach", "dev", "near0", "monitor")
    lab.weir("limit", "flush")
    check(not colours(lab, "limit", "show")[0], "what is well has no colour", "limit show")


def test_times(lab):
    """`show bans` and `block show` say the same of a time that is left."""
    lab.weir("block", "add", "198.51.100.1", "ttl", "7199s", "comment", "x")
    lab.weir("block", "add", "198.51.100.2", "ttl", "3649d23h59m59s")
    bans, block = lab.weir("show", "bans").out, lab.weir("block", "show").out
    times = [[next(word for word in line.split()[1:] if re.fullmatch(r"(\d+[dhms])+", word))
              for line in text.splitlines()[1:]] for text in (bans, block)]
    check(times[0] == times[1] == ["1h59m", "3649d23h"], "times that are left, in two units", times)
    check("block 198.51.100.1/32, for 1h59m more" in lab.weir("check", "198.51.100.1").out,
          "check says the same", lab.weir("check", "198.51.100.1").out.strip())


def test_reasons(lab):
    """Each reason of the ABI, of this tool alone: no maps, no root."""
    names = [each["reason"] for each in
             lab.read("show", "reasons")["reasons"]]
    text = run(WEIR, "show", "reasons").out
    lacking = [name for name in names if not re.search(f"^{name} ", text, re.MULTILINE)]
    check(not lacking and len(names) > 30, "show reasons has a row for each", lacking or len(names))
    long = max(text.splitlines(), key=len)
    check(len(long) <= 80, "within 80 columns", len(long))
    wrong = [name for name in names
             if f"{name}:" not in (one := run(WEIR, "show", "reasons", name).out) or
             "What to do:" not in one or len(max(one.splitlines(), key=len)) > 80]
    check(not wrong, "and more of each one", wrong or len(names))
    done = run(WEIR, "show", "reasons", "nosuch", expect=None)
    check(done.status == 2 and "nosuch" in done.err, "no such reason", done)


if __name__ == "__main__":
    run_tests(__name__)
