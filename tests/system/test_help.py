# SPDX-License-Identifier: GPL-2.0-only
"""`weir help`: what it lists, and that every example in it works as it stands."""
import re
import signal
import subprocess
import tempfile

from stage import NEAR4, ROOT, STATE, WEIR, check, run, run_tests, skip, wait_for
from typist import Typist

PREPARED = (
    "limit set rate 20kpps",
    "limit set syn rate 100/min",
    "limit set from 198.51.100.0/24 proto udp rate 200pps",
    "budget set web dport 443 rate 200mbit",
    "budget set dns proto udp dport 53 rate 20kpps",
    "drop add ntp proto udp sport 123 length 468",
    "drop add query proto udp dport 27015 payload 0 ffffffff",
    "allow add 203.0.113.10",
    "allow add 2001:db8:1::/48",
    "block add 198.51.100.7",
    "block add 198.51.100.8",
    "block add 2001:db8:bad::/48",
    "dns protect always force",
    "dns protect to 192.0.2.1 always force",
    "list load drop file drop.txt",
    "known import customers.txt",
)
FILES = {
    "drop.txt": "198.51.100.128/25\n",
    "more.txt": "198.51.100.128/25\n203.0.113.64/26\n",
    "feed.json": '{"cidr":"203.0.113.128/25"}\nno prefix\n',
    "customers.txt": "203.0.113.10\n",
    "visitors.txt": "203.0.113.11\n",
    "weir.yaml": "mode: judge\nhttp:\n  port: 0\nstate:\n  known: \"\"\n  settings: \"\"\n",
}
# What must have been typed before.
BEFORE = {
    "weir confirm": "weir attach eth0 monitor && weir attach eth0 try 60s",
    "weir confirm eth0": "weir attach eth0 monitor && weir attach eth0 try 60s",
    "weir attach eth0 try 60s": "weir attach eth0 monitor",
    "weir syn del dport 443": "weir syn protect dport 443 always force set-sysctl",
    "weir syn del dport 8000-8010": "weir syn protect dport 8000-8010 always force set-sysctl",
    "weir restore settings.weir": "weir save > settings.weir",
    "weir list diff drop": "weir list load drop file more.txt",
    "weir list rollback drop": "weir list load drop file more.txt",
    "weir list diff drop && weir list rollback drop": "weir list load drop file more.txt",
}
# Commands that go on until they are interrupted.
ENDLESS = ("weir daemon judge", "weir daemon config weir.yaml", "weir top")

FOR_A_FLOOD = ("weir events", "weir capture")


try:
    from terminal import Terminal
except ImportError:     # pyte is not installed
    Terminal = None


def listed():
    """The first lines of the commands in `weir help all`, without the other words for the same."""
    return [line.split()[1:] for line in run(WEIR, "help", "all").out.splitlines()
            if line.startswith("  weir ") and " = " not in line]


def commands():
    """For each command of the tool its examples, as `weir help OBJECT` prints them."""
    found = {}
    for name in sorted({words[0] for words in listed()}):
        for line in run(WEIR, "help", name).out.splitlines():
            if line.startswith("  weir "):
                command = line.strip()
                found[command] = []
            elif re.match(r" {8}\$ ", line):
                found[command].append(line[10:])
    return found


def listen(lab, port, kind):
    script = ("import socket, time; s = socket.socket(type=socket.SOCK_%s); s.bind(('%s', %d)); "
              "%s; time.sleep(600)" % (kind, NEAR4, port, "s.listen()" if kind == "STREAM" else "0"))
    lab.spawn(lab.near, ["/usr/bin/python3", "-c", script])


def connect(lab):
    """A session at port 22, which is what `allow add ssh` looks for."""
    script = ("import socket, time; s = socket.create_connection(('%s', 22)); "
              "print('ready', flush=True); time.sleep(600)" % NEAR4)
    wait_for(lambda: lab.near.run("ss", "-Hltn", "sport = 22").out)
    lab.spawn(lab.far, ["/usr/bin/python3", "-c", script]).stdout.readline()


def record_incident():
    """As if the daemon had seen a flood: number 12."""
    (STATE / "incidents").mkdir(mode=0o700)
    seed = ROOT / "tests/fuzz/seeds/incident/ended.json"
    (STATE / "incidents/12.json").write_bytes(seed.read_bytes())


def interrupt(lab, typist, line):
    """Runs what goes on until it is told to stop, `top` on a terminal. Returns its status."""
    if "top" in line:
        terminal = Terminal(typist.command(f"exec {line}"))
        shown = wait_for(lambda: "eth0" in terminal.text() or "weir" in terminal.text())
        terminal.type("q")
        return terminal.process.wait(timeout=20) or int(not shown), terminal.text()
    process = subprocess.Popen(typist.command(f"exec {line}"), stderr=subprocess.PIPE, text=True)
    lab.children.append(process)
    said = process.stderr.readline()    # the daemon says that it has started
    process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=20)[1]
    return process.returncode, said


def try_example(lab, typist, line):
    """Returns the status and what was said."""
    typist.put_back()
    if " known " in line:
        typist.type("weir -q known import customers.txt")
    if line in BEFORE:
        typist.type(BEFORE[line])
    if line in ENDLESS:
        return interrupt(lab, typist, line)
    flood = lab.start_flood("to", NEAR4, "from", "198.51.100.7/32", "pps", 2000, "seconds", 60) \
        if line.startswith(FOR_A_FLOOD) else None
    done = typist.type(line, expect=None)
    if flood:
        flood.stop()
    return done.status, done.out + done.err


def test_list(lab):
    """It is short, and every command has a place in it."""
    lines = run(WEIR, "help").out.splitlines()
    check(len(lines) <= 48, "`weir help` fits in two screens of 24 lines", f"{len(lines)} lines")
    shown = {line.split()[0] for line in lines if re.match(r"  [a-z]", line)}
    objects = {words[0] for words in listed()}
    check(shown == objects, "each object is in the list, and nothing else",
          " ".join(shown ^ objects) or f"{len(objects)}")
    text, several = "\n".join(lines), ("limit", "budget", "syn", "dns", "allow", "block", "list",
                                       "known", "show")
    verbs = [words[1] for words in listed() if words[0] in several]
    lacking = [verb for verb in verbs if verb not in text]
    check(not lacking and len(verbs) > 30, "and each verb", " ".join(lacking) or f"{len(verbs)}")


def test_examples(lab):
    """As they are printed, typed to a shell."""
    examples = commands()
    lacking = [command for command, lines in examples.items()
               if len(lines) < (1 if command == "weir top" else 2)]
    check(not lacking and len(examples) > 50, "each command has two examples, top one",
          "; ".join(lacking) or f"{len(examples)} commands")
    failed, ran = [], 0
    with tempfile.TemporaryDirectory() as folder:
        typist = Typist(lab, folder, FILES, PREPARED)
        for port, kind in ((443, "STREAM"), (80, "STREAM"), (22, "STREAM"), (53, "STREAM"),
                           (53, "DGRAM")):
            listen(lab, port, kind)
        connect(lab)
        record_incident()
        for line in [line for lines in examples.values() for line in lines]:
            if "top" in line and line in ENDLESS and not Terminal:
                skip(line, "pyte is not installed")
                continue
            status, said = try_example(lab, typist, line)
            print(f"{status} $ {line}: {(said.splitlines() or [''])[0][:60]}", flush=True)
            ran += 1
            if status:
                failed.append(f"{line}: {status}: {said.strip()}")
    check(not failed, "every example works as it stands", " // ".join(failed) or f"{ran} examples")


run_tests(__name__)
