# SPDX-License-Identifier: GPL-2.0-only
"""What shells offer agrees with the command table: each object, verb, word, and what exists now."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from stage import ROOT, WEIR, check, run, run_tests, skip
from terminal import TAB, Terminal

SCRIPT = ROOT / "packaging/bash-completion/weir"
ASK = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_weir 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words):
    """What bash offers for the last of @words."""
    done = subprocess.run(["bash", "-c", ASK, "bash", SCRIPT, WEIR, *words], text=True, cwd=ROOT,
                          capture_output=True, check=True)
    return set(done.stdout.split())


def table():
    """The commands as `weir help all` lists them: object, the words behind it."""
    lines = run(WEIR, "help", "all").out.splitlines()
    found = []
    for line in lines:
        if line.startswith("  weir ") and " = " not in line:
            found.append(line.split()[1:])
        elif re.match(" {10}[^ ]", line):
            found[-1] += line.split()
    return found


def alone_or_named(words):
    """The literal words of a grammar."""
    text = re.sub(r"\bproto \S+|\bformat \S+|\bmode \S+|\blink \S+|\bspare \S+",
                  lambda m: m[0].split()[0], " ".join(words))
    return set(re.findall(r"(?<![\w.|-])[a-z][a-z-]*(?![\w.])", text)) | \
        set(re.findall(r"(?<=[|])[a-z][a-z-]*(?=[\]|])", text))


def test_completion_of_commands(lab):
    commands = table()
    objects = {words[0] for words in commands}
    check(complete("") == objects, "every object is offered, and nothing else",
          f"{len(objects)} objects")
    missing = [(name, verb) for name, verb, *_ in (words + [""] for words in commands)
               if re.fullmatch("[a-z][a-z-]*", verb) and verb not in complete(name, "")]
    check(not missing, "every verb is offered", missing or f"{len(commands)} commands")
    wrong = [name for name in objects if complete(name[:-1]) != {
        each for each in objects if each.startswith(name[:-1])}]
    check(not wrong, "a beginning is completed", wrong or f"{len(objects)} objects")


def test_completion_of_words(lab):
    commands, lacking, offered = table(), [], 0
    for words in commands:
        has_verbs = len([each for each in commands if each[0] == words[0]]) > 1 or \
            complete(words[0], "") == set(words[1:2])
        verb = words[1:2] if has_verbs and re.fullmatch("[a-z-]+", (words + [""])[1]) else []
        behind = words[1 + len(verb):]
        wanted = alone_or_named(behind)
        got = complete(words[0], *verb, "")
        offered += len(wanted)
        lacking += [f"{' '.join(words[:2])}: {word}" for word in sorted(wanted - got)]
    check(not lacking and offered > 40, "every word of every command is offered",
          "; ".join(lacking) or f"{offered} words of {len(commands)} commands")


def test_completion_of_values(lab):
    for words, wanted in (("attach dev", {"lo"}), ("attach dev lo mode", {"native", "skb", "auto"}),
                          ("limit set proto", {"tcp", "udp", "icmp", "any"}),
                          ("limit set icmp-type", {"echo-request", "packet-too-big"}),
                          ("check 198.51.100.7 icmp-type", {"echo-request", "redirect"}),
                          ("list load x file", {"README.md"}), ("restore", {"Makefile", "check"}),
                          ("attach dev lo link", {"off"}),
                          ("show sources", {"all", "top", "seconds"}),
                          ("drop add x spare", {"known", "proven", "none"}),
                          ("list load x format", {"auto", "plain", "nft"})):
        got = complete(*words.split(), "")
        check(wanted <= got, f"{words}: the values are offered", " ".join(sorted(wanted)))
    got = complete("attach", "dev", "lo", "monitor", "")
    check("try" in got and not {"dev", "monitor"} & got, "what was said is not offered again", got)
    check(complete("-") == {"--json", "--pretty", "--quiet", "--verbose", "--help",
                               "--version"}, "options are offered", "6")
    check(complete("-j", "show", "sta") == {"status", "stats"}, "also behind options", "-j show sta")
    check(not complete("nosuch", ""), "nothing for what is no command", "nosuch")
    check({"lo", "dev", "monitor"} <= complete("attach", "") and "lo" in complete("attach", "l"),
          "an interface is offered without its dev", "attach lo")
    check({"limits", "lists", "stats"} <= complete("show", ""), "other words for the same: show limits",
          "limits, lists")
    check(complete("limit", "rm", "") == complete("limit", "del", "") and
          complete("show", "limits", "") == complete("limit", "show", "") and
          complete("monitor", "") == complete("events", "") and "dport" in complete("limit", "add", ""),
          "behind another word the same is offered", "limit rm, show limits, monitor, limit add")
    check({"limit", "all", "ban"} <= complete("help", "") and "flush" in complete("help", "limit", ""),
          "help: objects, and their verbs", "limit flush")


def offered(lab, *words):
    """The same in the namespace of the test, with what exists there."""
    return lab.near.run("bash", "-c", ASK, "bash", SCRIPT, WEIR, *words).out.split()


def test_completion_of_names(lab):
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("198.51.100.0/24\n")
        file.flush()
        lab.weir("list", "load", "drop", "file", file.name)
    for line in ("budget set web rate 10kpps", "block add 198.51.100.7 2001:db8:1::/48",
                 "allow add 203.0.113.4 comment office", "limit set from 203.0.113.0/24 rate 5pps",
                 "limit set proto udp dport 53 rate 5pps", "limit set syn dport 443 rate 5pps",
                 "limit set icmp-type ping rate 5pps"):
        lab.weir(*line.split())
    lab.attach()
    for line, wanted in (
            ("list rollback", {"drop", "force"}), ("list del", {"drop"}), ("budget del", {"web"}),
            ("block del", {"198.51.100.7/32", "2001:db8:1::/48"}),
            ("block del 198.51.100.7/32", {"198.51.100.7/32", "2001:db8:1::/48"}),
            ("allow del", {"203.0.113.4/32", "force"}),
            ("detach dev", {"near0"}), ("confirm dev", {"near0"}), ("show stats dev", {"near0"}),
            ("attach dev", {"lo", "near0"}),
            ("limit del", {"from", "proto", "dport", "syn", "icmp-type", "force"}),
            ("limit del icmp-type", {"echo-request"}),
            ("limit del from", {"203.0.113.0/24"}), ("limit del proto", {"udp"}),
            ("limit del dport", {"53", "443"}), ("limit del syn dport", {"443"}),
            ("limit del syn", {"dport", "force"}), ("limit del proto udp dport", {"53"})):
        got = set(offered(lab, *line.split(), ""))
        check(got == wanted, f"{line}: what exists is offered", " ".join(sorted(got)))
    got = offered(lab, "block", "del", "2001", ":", "db8", ":", "1")
    check(got == ["1::/48"], "an IPv6 prefix that bash takes apart is completed", got)


def test_completion_of_reasons(lab):
    reasons = {each["reason"] for each in lab.read("show", "reasons")["reasons"]}
    for line in ("events reason", "capture reason", "events reason shed reason", "show reasons"):
        got = complete(*line.split(), "")
        check(got == reasons and len(got) > 30, f"{line}: all reasons are offered", len(got))


def test_completion_without_rights(lab):
    """Who may not read the maps is offered words, and no error."""
    done = run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", WEIR, "complete",
               "block", "del", "", expect=None)
    check(done.status == 0 and not done.err and not done.out, "block del of a user: nothing", done)


def test_completion_runs_nothing(lab):
    """Names of interfaces are anyone's, and so is text that was pasted: neither is code."""
    evil = ["$(touch${IFS}x)", "`touch${IFS}x`", "a;touch${IFS}x", "a\\b'c\"d"]
    for name, peer in zip(evil[::2], evil[1::2]):
        lab.near.run("ip", "link", "add", name, "type", "veth", "peer", "name", peer)
    lab.near.run("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory() as folder:
        def ask(*words):
            """`ip netns exec` has a /sys with the interfaces of near."""
            return subprocess.run(["ip", "netns", "exec", lab.near.name, "bash", "-c", ASK, "bash",
                                   SCRIPT, WEIR, *words], text=True, cwd=folder, capture_output=True,
                                  check=True).stdout.splitlines()
        got = ask("attach", "dev", "")
        again = subprocess.run(["bash", "-c", "for word in " + " ".join(got) + "; do echo \"$word\"; done"],
                               text=True, cwd=folder, capture_output=True, check=False).stdout
        ran = os.listdir(folder)
        check(not ran and set(evil) <= set(again.splitlines()),
              "interface names are offered in quotes, and not run", ran or f"{got}")
        for words in (("attach", "dev", "$("), ("$(touch x)", ""), ("attach", "$(touch x)", ""),
                      ("attach", "dev", "$(touch x)", ""), ("list", "load", "`touch x`", ""),
                      ("limit", "set", "x$(touch x)]", "")):
            ask(*words)
        ran = os.listdir(folder)
        check(not ran, "what was typed is not run either", ran or "6 lines")
        check(len(ask("attach", "dev", "\\$")) == 1, "a beginning in quotes is completed",
              ask("attach", "dev", "\\$"))


def typed(lab, shell, keys, wanted):
    """Types into a shell on a terminal of its own; whether @wanted comes up."""
    terminal = Terminal(lab.near.command(*shell), env={"PATH": f"{WEIR.parent}:{os.environ['PATH']}",
                                                       "PS1": "$ ", "HOME": "/nonexistent"})
    if not terminal.shows("$", 10):
        return False, terminal.text()
    terminal.type(keys)
    shown = terminal.shows(wanted, 10)
    text = terminal.text()
    terminal.process.kill()     # an interactive shell ignores SIGTERM
    terminal.wait()
    return shown, " / ".join(line for line in text.splitlines() if line)


def test_completion_in_bash(lab):
    """As bash loads it, with the package's loader, and on a terminal."""
    loader = pathlib.Path("/usr/share/bash-completion/bash_completion")
    script = f"source {loader}; source {SCRIPT}; complete -p weir"
    if not loader.exists():
        script = f"source {SCRIPT}; complete -p weir"
    done = run("bash", "--norc", "-c", script)
    check("-F _weir weir" in done.out, "bash has it for weir", done.out.strip())
    lab.weir("block", "add", "2001:db8:1::/48")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"source {SCRIPT}\nPS1='$ '\n")
        file.flush()
        shell = "bash", "--noprofile", "--rcfile", file.name, "-i"
        for keys, wanted in (("weir sh" + TAB + "rea" + TAB + "network-" + TAB,
                              "weir show reasons network-share"),
                             ("weir block del 2001:" + TAB, "weir block del 2001:db8:1::/48")):
            shown, text = typed(lab, shell, keys, wanted)
            check(shown, f"bash on a terminal: {wanted}", text)


def test_completion_in_zsh(lab):
    if not shutil.which("zsh"):
        skip("completion in zsh", "zsh is not installed")
        return
    lab.weir("block", "add", "2001:db8:1::/48")
    lab.near.run("ip", "link", "add", "$(touch${IFS}x)", "type", "veth", "peer", "name", "other")
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, ".zshrc").write_text(
            f"fpath=({ROOT}/packaging/zsh $fpath)\nautoload -U compinit\ncompinit -u -D\nPS1='$ '\n")
        shell = "env", f"ZDOTDIR={folder}", "zsh", "-d", "-i"
        for keys, wanted in (("weir sh" + TAB + "rea" + TAB + "network-" + TAB,
                              "weir show reasons network-share"),
                             ("weir block del 20" + TAB, "weir block del 2001:db8:1::/48"),
                             ("weir limit " + TAB, "remove all limits"),
                             (f"weir restore {ROOT}/Makef" + TAB, f"{ROOT}/Makefile"),
                             ("weir attach dev \\$" + TAB, r"dev \$\(touch\$\{IFS\}x\)")):
            shown, text = typed(lab, shell, keys, wanted)
            check(shown, f"zsh on a terminal: {wanted}", text)


def test_completion_in_fish(lab):
    if not shutil.which("fish"):
        skip("completion in fish", "fish is not installed")
        return
    lab.weir("block", "add", "2001:db8:1::/48")
    with tempfile.TemporaryDirectory() as folder:
        for line, wanted in (("weir sh", "show"), ("weir show reasons network-", "network-share"),
                             ("weir block del 2001:", "2001:db8:1::/48"),
                             ("weir limit ", "flush"), ("weir restore Makef", "Makefile"),
                             ("weir -j show sta", "status")):
            done = lab.near.run("env", f"HOME={folder}", f"PATH={WEIR.parent}:{os.environ['PATH']}",
                                "fish", "--no-config", "-c",
                                f"source {ROOT}/packaging/fish/weir.fish; complete -C '{line}'")
            got = [each.split("\t")[0] for each in done.out.splitlines()]
            check(wanted in got, f"fish: {line}", done.out.splitlines()[:3])


run_tests(__name__)
