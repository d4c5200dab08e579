# SPDX-License-Identifier: GPL-2.0-only
"""A command that would cut off a live SSH session asks for `force` and names the session. The
sessions are real: Debian's sshd behind weir, ssh on the other side of the link."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from stage import (FAR4, FAR6, NEAR4, NEAR6, STRANGE_MAC, WEIR, check, demand, run, run_tests, skip,
                   wait_for)
from terminal import ENTER, Terminal

SSHD = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
OTHER = "192.0.2.77"        # of no session
RULES = "198.51.100.0/24"
RESTORE = pathlib.Path(__file__).resolve().parents[2] / "packaging/systemd/weir-restore"


class Sessions:
    """What sshd and ssh have left running in the namespaces of a test: it ends with the test."""

    def __init__(self, lab):
        self.namespaces = lab.near.name, lab.far.name

    def poll(self):
        return None

    def kill(self):
        for name in self.namespaces:
            for pid in map(int, run("ip", "netns", "pids", name).out.split()):
                with contextlib.suppress(OSError):
                    if pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("ssh"):
                        os.kill(pid, signal.SIGKILL)

    def wait(self):
        return 0


class Ssh:
    """An sshd at a port of near, and sessions from far with a master connection each."""

    def __init__(self, lab, port=22):
        self.lab, self.port = lab, port
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-ssh-"))
        for name in ("host", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name)
        (self.folder / "allowed").write_text((self.folder / "user.pub").read_text())
        (self.folder / "sshd_config").write_text(
            f"Port {port}\nHostKey {self.folder}/host\nAuthorizedKeysFile {self.folder}/allowed\n"
            f"PidFile {self.folder}/pid\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n")
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        lab.children.append(subprocess.Popen(
            lab.near.command(SSHD, "-D", "-e", "-f", self.folder / "sshd_config"),
            stderr=open(self.folder / "log", "w", encoding="utf-8"), stdin=subprocess.DEVNULL))
        lab.children.append(Sessions(lab))

    def words(self, address):
        return ["ssh", "-F", "none", "-p", self.port, "-i", self.folder / "user", "-o",
                "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-S", self.folder / f"master-{address}", f"root@{address}"]

    def open(self, address=NEAR4):
        """A session that stays."""
        words = self.words(address)
        demand(wait_for(lambda: self.lab.far.run(
            *words[:-1], "-M", "-f", "-N", "-o", "ControlPersist=yes", words[-1],
            expect=None).status == 0, 20),
            f"no session: {(self.folder / 'log').read_text()}")
        return self

    def type(self, *words, address=NEAR4, expect=None, clear=False):
        """Runs weir within the session. @clear: with an empty environment."""
        line = " ".join(f"'{word}'" for word in words)
        return self.lab.far.run(*self.words(address),
                                f"{'env -i ' if clear else ''}nsenter -m -t {os.getpid()} {WEIR} {line}; exit $?", expect=expect)

    def close(self, address=NEAR4):
        words = self.words(address)
        self.lab.far.run(*words[:-1], "-O", "exit", words[-1])


def prepare(lab, port=22):
    """Enforcing, with a session from far. None where there is no sshd."""
    if not SSHD or not shutil.which("ssh"):
        skip("live SSH sessions", "openssh-server is not installed")
        return None
    lab.attach()
    return Ssh(lab, port).open()


def refuses(lab, what, *words, by=FAR4):
    """It names the session and the remedies, changes nothing, and does it with `force`."""
    before = lab.weir("save").out
    done = lab.weir(*words, expect=None)
    said = done.err.replace("\n", " ")
    check(done.status == 1 and f"SSH session from {by}" in said and "`force`" in said and
          "allow add ssh" in said and lab.weir("save").out == before, f"{what} asks for force", done)


def takes(lab, what, *words):
    done = lab.weir(*words, expect=None)
    check(done.status == 0, f"{what}", done)


def test_settings(lab):
    ssh = prepare(lab)
    if not ssh:
        return
    for words in (("block", "add", FAR4), ("block", "add", "192.0.2.2/31", "ttl", "10m"),
                  ("limit", "set", "rate", "1pps"), ("limit", "set", "rate", "600/min"),
                  ("limit", "set", "proto", "tcp", "dport", 22, "rate", "10kbit"),
                  ("limit", "set", "from", "192.0.2.0/24", "rate", "20/h"),
                  ("budget", "set", "all", "rate", "10pps")):
        refuses(lab, " ".join(map(str, words)), *words)
    takes(lab, "a block of others is free", "block", "add", OTHER)
    takes(lab, "a block of many others, too", "block", "add", "203.0.113.0/24", RULES)
    takes(lab, "a limit that leaves room for a session", "limit", "set", "rate", "1000pps")
    takes(lab, "a slow limit of others", "limit", "set", "from", OTHER, "rate", "1pps")
    takes(lab, "a slow limit of other packets", "limit", "set", "proto", "udp", "rate", "1pps")
    takes(lab, "a slow limit of SYNs", "limit", "set", "syn", "rate", "100/min")
    takes(lab, "a slow budget of another port", "budget", "set", "web", "dport", 80, "rate", "1pps")
    takes(lab, "with force", "limit", "set", "proto", "tcp", "dport", 22, "rate", "1pps", "force")
    takes(lab, "what cuts off no more than before", "limit", "set", "dport", 22, "rate", "2pps")
    lab.weir("limit", "flush")
    ssh.close()
    takes(lab, "without a session", "block", "add", FAR4)


def test_allow(lab):
    """Sessions that are allowed are safe, until the entry goes."""
    ssh = prepare(lab)
    if not ssh:
        return
    takes(lab, "weir allow add ssh", "allow", "add", "ssh")
    entries = lab.read("allow", "show")["allow"]
    check([(entry["prefix"], entry["comment"]) for entry in entries] == [(f"{FAR4}/32", "ssh")],
          "it allows the peer, and nothing else", entries)
    takes(lab, "then a block of its network", "block", "add", "192.0.2.0/26", "force")
    takes(lab, "and a slow limit", "limit", "set", "rate", "1pps")
    refuses(lab, "allow del of the entry", "allow", "del", FAR4)
    refuses(lab, "allow flush", "allow", "flush")
    takes(lab, "allow flush force", "allow", "flush", "force")
    lab.weir("limit", "flush")
    lab.weir("block", "flush")
    ssh.close()
    done = lab.weir("allow", "add", "ssh", expect=1)
    check("there is no SSH session" in done.err, "allow add ssh without a session says so", done)
    done = lab.near.run(WEIR, "restore", "-", text_in="allow add ssh\n", expect=None)
    check(done.status == 1 and "can only be typed" in done.err, "not in a file of settings", done)


def test_limit_del(lab):
    """The limit beneath one that is removed may be slower."""
    ssh = prepare(lab)
    if not ssh:
        return
    lab.weir("limit", "set", "from", "192.0.2.0/24", "rate", "5kpps")
    takes(lab, "a slow limit for others", "limit", "set", "rate", "1pps")
    refuses(lab, "limit del", "limit", "del", "from", "192.0.2.0/24")
    takes(lab, "limit del force", "limit", "del", "from", "192.0.2.0/24", "force")
    lab.weir("limit", "flush")


def test_lists(lab):
    ssh = prepare(lab)
    if not ssh:
        return
    file = ssh.folder / "list"
    file.write_text("192.0.2.2/31\n203.0.113.0/24\n")
    refuses(lab, "list load", "list", "load", "drop", "file", file)
    file.write_text("203.0.113.0/24\n")
    takes(lab, "a list without the peer", "list", "load", "drop", "file", file)
    file.write_text(f"{FAR4}\n203.0.113.0/24\n")
    refuses(lab, "its next generation", "list", "load", "drop", "file", file)
    lab.weir("list", "load", "drop", "file", file, "force")
    lab.weir("limit", "flush")
    file.write_text("198.51.100.0/24\n203.0.113.0/24\n")
    takes(lab, "back to one without", "list", "load", "drop", "file", file)
    refuses(lab, "list rollback", "list", "rollback", "drop")
    takes(lab, "list rollback force", "list", "rollback", "drop", "force")
    lab.weir("list", "del", "drop")


def test_attach(lab):
    if not SSHD or not shutil.which("ssh"):
        skip("attach with a live SSH session", "openssh-server is not installed")
        return
    lab.up()
    ssh = Ssh(lab).open()
    done = lab.weir("attach", "dev", lab.near_dev, expect=None)
    check(done.status == 1 and f"SSH session from {FAR4}" in done.err and "try 60s" in done.err and
          lab.prog_id() is None, "attach that enforces asks, and attaches nothing", done)
    done = lab.weir("attach", "dev", lab.near_dev, "monitor")
    check(f"comes from {FAR4}" in done.err.replace("\n", " "), "monitor: a remark", done)
    refused = lab.weir("attach", "dev", lab.near_dev, expect=None)
    check(refused.status == 1, "from monitor to enforcing asks, too", refused)
    takes(lab, "attach with try", "attach", "dev", lab.near_dev, "try", "60s")
    refused = lab.weir("attach", "dev", lab.near_dev, expect=None)
    check(refused.status == 1, "from a try to enforcing for good asks", refused)
    takes(lab, "confirm is the answer to it", "confirm")
    takes(lab, "a swap of what enforces already", "attach", "dev", lab.near_dev)
    lab.weir("detach", "all")
    takes(lab, "attach force", "attach", "dev", lab.near_dev, "force")
    lab.weir("detach", "all")
    takes(lab, "an entry", "allow", "add", FAR4)
    takes(lab, "attach with it", "attach", "dev", lab.near_dev)
    lab.weir("detach", "all")
    ssh.close()
    takes(lab, "attach without a session", "attach", "dev", lab.near_dev)


def test_monitor(lab):
    """Where nothing is dropped, nothing is cut off."""
    if not SSHD or not shutil.which("ssh"):
        skip("monitor with a live SSH session", "openssh-server is not installed")
        return
    lab.attach("monitor")
    Ssh(lab).open()
    takes(lab, "in monitor mode a block is free", "block", "add", FAR4)
    takes(lab, "and a limit", "limit", "set", "rate", "1pps")


def test_top(lab):
    """A ban from `top` is a block like any other."""
    ssh = prepare(lab)
    if not ssh:
        return
    lab.weir("limit", "set", "rate", "100pps")
    flood = lab.start_flood("to", NEAR4, "from", f"{FAR4}/32", "pps", 3000, "seconds", 30, "mac",
                            STRANGE_MAC)
    top = Terminal(lab.near.command(WEIR, "top"), columns=120)
    demand(top.shows(f"{FAR4}/32"), top.text())
    top.type("b" + ENTER)
    check(top.shows(f"would cut off the SSH session from {FAR4}") and
          not lab.read("block", "show")["block"], "a ban from top says what it would cut off",
          top.lines()[-1])
    top.type("b force" + ENTER)
    check(top.shows(f"{FAR4}/32 is banned for 10m") and
          [entry["prefix"] for entry in lab.read("block", "show")["block"]] == [f"{FAR4}/32"],
          "with force it bans", top.lines()[-1])
    top.type("q")
    top.wait()
    flood.stop()


def test_typed_within(lab):
    """The session in which a command is typed is named as such; another port, and IPv6."""
    lab.use_ipv6()
    ssh = prepare(lab, port=2222)
    if not ssh:
        return
    done = ssh.type("block", "add", FAR4)
    check(done.status == 1 and "in which this is typed" in done.err.replace("\n", " "),
          "a block typed within the session it would cut off", done)
    done = ssh.type("block", "add", FAR4, clear=True)
    check(done.status == 1 and "in which this is typed" in done.err.replace("\n", " "),
          "also behind sudo, which clears the environment", done)
    ssh.open(NEAR6)
    done = ssh.type("block", "add", "2001:db8::2/127")
    check(done.status == 1 and FAR6 in done.err and "typed" not in done.err,
          "another session, over IPv6: named without", done)
    done = ssh.type("block", "add", OTHER)
    check(done.status == 0, "others are blocked from within", done)
    done = ssh.type("allow", "add", "ssh")
    check({entry["prefix"] for entry in lab.read("allow", "show")["allow"]} ==
          {f"{FAR4}/32", f"{FAR6}/128"}, "allow add ssh: both", done)


def test_strangers(lab):
    """What only looks like a session is none: another process's connection, another user's sshd."""
    if not SSHD:
        skip("connections of others", "openssh-server is not installed")
        return
    lab.attach()
    with lab.near:
        server = socket.create_server((NEAR4, 8080))
    with lab.far:
        client = socket.create_connection((NEAR4, 8080))
    held, _ = server.accept()
    takes(lab, "a connection of another service", "block", "add", FAR4)
    lab.weir("block", "flush")
    script = ("import os,socket,time; open('/proc/self/comm','w').write('sshd'); os.setuid(1); s=socket.create_server(('%s',8081));"
              "print('ready',flush=True); c=s.accept();"
              "print('held',flush=True); time.sleep(60)" % NEAR4)
    false = lab.spawn(lab.near, ["python3", "-c", script])
    demand(false.stdout.readline() == "ready\n", "no server")
    with lab.far:
        other = socket.create_connection((NEAR4, 8081))
    demand(false.stdout.readline() == "held\n", "no connection")
    takes(lab, "a process that a user has named sshd", "block", "add", FAR4)
    for each in (client, held, server, other):
        each.close()


def restores(lab, text, *words):
    return lab.near.run(WEIR, "restore", "-", *words, text_in=text, expect=None)


def test_restore(lab):
    """A file of settings that is restored by hand is a command like any other."""
    ssh = prepare(lab)
    if not ssh:
        return
    file = ssh.folder / "list"
    file.write_text(f"{FAR4}\n203.0.113.0/24\n")
    lists = f"list load drop file {file}\n"
    for what, text in (("a block", f"block add {FAR4}\n"),
                       ("a slow limit", "limit set syn rate 100/min\nlimit set rate 1pps\n"),
                       ("a slow budget", "budget set all rate 10pps\n"), ("a list", lists)):
        before = lab.weir("save").out
        done = restores(lab, text)
        said = done.err.replace("\n", " ")
        check(done.status == 1 and f"SSH session from {FAR4}" in said and "`force`" in said and
              "allow add ssh" in said and lab.weir("save").out == before,
              f"restore of {what} asks for force", done)
        done = restores(lab, text, "check")
        check(done.status == 0 and f"SSH session from {FAR4}" in done.err.replace("\n", " ") and
              lab.weir("save").out == before, f"check of {what} tells of it", done)
    keeps = f"allow add {FAR4}\n"
    for what, text in (("a block of others", f"block add {OTHER}\n"),
                       ("a limit that leaves room", "limit set rate 1000pps\n"),
                       ("a list that an entry of the file keeps it from", keeps + lists),
                       ("the same again", keeps + lists),
                       ("the entry goes with the list", "")):
        done = restores(lab, text)
        check(done.status == 0, f"restore of {what} is free", done)
    restores(lab, keeps + lists)
    done = restores(lab, lists)
    check(done.status == 1 and "list drop would cut off" in done.err.replace("\n", " "),
          "restore of a list without the entry that kept the session from it asks", done)
    refuses(lab, "allow del of an entry that keeps it from a list", "allow", "del", FAR4)
    file.unlink()
    done = restores(lab, lists)
    check(done.status == 1 and "list drop would cut off" in done.err.replace("\n", " "),
          "also when the list stays because its file is gone", done)
    done = restores(lab, f"block add {FAR4}\n", "ssh")
    check(done.status == 2 and "force ssh" in done.err, "`ssh` needs `force` before it", done)
    done = restores(lab, f"block add {FAR4}\nlimit set rate 1pps\n", "force", "ssh")
    check(done.status == 0, "with force ssh", done)
    done = restores(lab, "limit set rate 1pps\n")
    check(done.status == 0, "what cuts off no more than before", done)
    restores(lab, "")
    ssh.close()
    done = restores(lab, f"block add {FAR4}\n")
    check(done.status == 0, "without a session nothing asks", done)


def test_typed_restore(lab):
    """Within the session that it would cut off."""
    ssh = prepare(lab)
    if not ssh:
        return
    file = ssh.folder / "settings"
    file.write_text(f"block add {FAR4}\n")
    done = ssh.type("restore", file)
    check(done.status == 1 and "in which this is typed" in done.err.replace("\n", " "),
          "a restore typed within the session it would cut off", done)


def test_unit(lab):
    """weir-restore takes the settings as they are: it must not fall back to others for a session."""
    ssh = prepare(lab)
    if not ssh:
        return
    (ssh.folder / "policy").write_text(f"block add {FAR4}\n")
    done = lab.near.run("sh", RESTORE, expect=None, env={
        "WEIR": str(WEIR), "WEIR_POLICY": str(ssh.folder / "policy"),
        "WEIR_KEPT": str(ssh.folder / "settings")})
    check(done.status == 0 and "block add 192.0.2." in lab.weir("save").out,
          "weir-restore does not ask", done)


run_tests(__name__)
