# SPDX-License-Identifier: GPL-2.0-only
"""The completion for bash agrees with the command table: each object, verb and word."""
import os
import pathlib
import re
import subprocess
import tempfile

from stage import ROOT, WEIR, check, run, run_tests

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
    """The commands as `weir help` lists them: object, the words behind it."""
    lines = run(WEIR, "help").out.splitlines()
    found = []
    for line in lines:
        if line.startswith("  weir "):
            found.append(line.split()[1:])
        elif re.match(" {10}[^ ]", line):
            found[-1] += line.split()
    return found


def alone_or_named(words):
    """The literal words of a grammar."""
    text = re.sub(r"\bproto \S+|\bformat \S+|\bmode \S+|\blink \S+", lambda m: m[0].split()[0],
                  " ".join(words))
    return set(re.findall(r"(?<![\w.|-])[a-z][a-z-]*(?![\w.])", text)) | \
        set(re.findall(r"(?<=[|])[a-z][a-z-]*(?=[\]|])", text))


def test_completion_of_commands(lab):
    commands = table()
    objects = {words[0] for words in commands} | {"help"}
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
        several = [each for each in commands if each[0] == words[0]]
        verb = words[1:2] if len(several) > 1 and re.fullmatch("[a-z-]+", (words + [""])[1]) else []
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
                          ("list load x file", {"README.md"}), ("restore", {"Makefile", "check"}),
                          ("attach dev lo link", {"off"}),
                          ("list load x format", {"auto", "plain", "nft"})):
        got = complete(*words.split(), "")
        check(wanted <= got, f"{words}: the values are offered", " ".join(sorted(wanted)))
    got = complete("attach", "dev", "lo", "monitor", "")
    check("try" in got and not {"dev", "monitor"} & got, "what was said is not offered again", got)
    check(complete("-") == {"--json", "--pretty", "--quiet", "--verbose", "--help"},
          "options are offered", "5")
    check(complete("-j", "show", "sta") == {"status", "stats"}, "also behind options", "-j show sta")
    check(not complete("nosuch", ""), "nothing for what is no command", "nosuch")


def test_completion_of_names(lab):
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("198.51.100.0/24\n")
        file.flush()
        lab.weir("list", "load", "drop", "file", file.name)
    ask = ["bash", "-c", ASK, "bash", SCRIPT, WEIR, "list", "rollback", ""]
    done = lab.near.run(*ask)
    check(done.out.split() == ["drop", "force"], "lists that exist are offered by name", done.out.split())


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


def test_completion_in_bash(lab):
    """As bash loads it, with the package's loader."""
    loader = pathlib.Path("/usr/share/bash-completion/bash_completion")
    script = f"source {loader}; source {SCRIPT}; complete -p weir"
    if not loader.exists():
        script = f"source {SCRIPT}; complete -p weir"
    done = run("bash", "--norc", "-c", script)
    check("-F _weir weir" in done.out, "bash has it for weir", done.out.strip())


run_tests(__name__)
