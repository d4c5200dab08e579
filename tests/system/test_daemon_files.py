# SPDX-License-Identifier: GPL-2.0-only
"""The daemon: lists whose files change, its settings file, the state it saves, and its messages to
systemd."""
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

from daemon import IN_TIME, Daemon, bans, prepare, start_flood
from slow_files import SlowFiles
from stage import BUILD, STATE, WEIR, check, demand, run, run_tests, skip, wait_for


def test_lists(lab):
    prepare(lab)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-lists-"))
    by_hand, named = folder / "hand.txt", folder / "named.txt"
    by_hand.write_text("203.0.113.0/28\n")
    named.write_text("203.0.113.64/28\n")
    lab.weir("list", "load", "hand", "file", by_hand)
    daemon = Daemon(lab, lists={"settle": "1s", "load": f"[{{name: named, file: {named}}}]"})

    def blocked(*prefixes):
        return all(lab.weir("block", "test", prefix, expect=None).status == 0
                   for prefix in prefixes)
    check(wait_for(lambda: blocked("203.0.113.0/28", "203.0.113.64/28"), 5),
          "a list of the settings file is loaded", daemon.says("list named"))
    (folder / "new").write_text("203.0.113.0/28\n203.0.113.16/28\n")
    os.rename(folder / "new", by_hand)
    started = time.monotonic()
    check(wait_for(lambda: blocked("203.0.113.16/28"), 8), "a changed file is loaded again",
          f"after {time.monotonic() - started:.1f} s")
    by_hand.write_text("203.0.113.0/28\nnonsense\n")
    check(wait_for(lambda: daemon.says("^<3>list hand stays as it was: .*:2:"), 8) and
          blocked("203.0.113.0/28", "203.0.113.16/28"),
          "a broken one is refused with its line, and the old generation stays",
          daemon.says("stays")[:1])
    by_hand.write_text("0.0.0.0/0\n")
    check(wait_for(lambda: daemon.says("stays as it was: .*every address"), 8),
          "the guards hold for the daemon too", daemon.says("every address")[:1])
    by_hand.write_text("203.0.113.32/28\n")
    check(wait_for(lambda: blocked("203.0.113.32/28"), 8) and not blocked("203.0.113.0/28"),
          "and a good one afterwards is loaded", daemon.says("list hand: "))


def test_list_without_its_file(lab):
    """A list of the settings file whose file is missing or broken when the daemon starts."""
    prepare(lab)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-lists-"))
    named, kept = folder / "named.txt", STATE / "kept/named"
    named.write_text("203.0.113.0/28\n")
    lists = {"settle": "1s", "load": f"[{{name: named, file: {named}}}]"}
    daemon = Daemon(lab, lists=lists)

    def blocked(prefix):
        return lab.weir("block", "test", prefix, expect=None).status == 0
    check(wait_for(lambda: blocked("203.0.113.0/28") and kept.exists(), 5), "what it loads is kept",
          f"{kept.stat().st_size} bytes")
    kept.unlink()
    check(wait_for(kept.exists, 8), "and kept again, should it be missing there", daemon.says("kept"))
    for what, spoil in (("missing", named.unlink), ("broken", lambda: named.write_text("x\n"))):
        daemon.stop()
        lab.weir("detach", "all")
        spoil()
        prepare(lab)
        lab.watched = None  # it was attached before
        daemon.start()
        check(wait_for(lambda: blocked("203.0.113.0/28"), 5) and daemon.says("^<3>list named: .* ago"),
              f"its file is {what}: what the file had last is loaded", daemon.says("list named"))
    named.write_text("198.51.100.0/28\n")
    check(wait_for(lambda: blocked("198.51.100.0/28"), 8), "the file is there again, and loaded",
          daemon.says("list named: 1"))


def test_file_system_that_hangs(lab):
    """One list is on a file system that stops to answer: the daemon, and other lists, go on."""
    what = "lists on a file system that hangs"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        skip(what, "there is no /dev/fuse")
        return
    prepare(lab)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-lists-"))
    mount, quick = folder / "far", folder / "quick"
    mount.mkdir()
    quick.write_text("203.0.113.0/28\n")
    with contextlib.closing(SlowFiles(mount, "slow", "198.51.100.0/28\n")) as slow:
        daemon = Daemon(lab, lists={
            "settle": "1s", "load": f"[{{name: slow, file: {slow.path()}}}, {{name: quick, file: {quick}}}]"})
        check(wait_for(lambda: daemon.says("list slow: 1 prefixes") and
                       daemon.says("list quick: 1 prefixes"), 20), "both are loaded",
              daemon.says("list"))
        slow.hangs = True
        check(wait_for(lambda: daemon.says("<3>list slow: .*does not answer"), 40),
              "the operator is told which file does not answer", daemon.says("does not answer"))
        held, loops = slow.held, lab.read("show", "health")["daemon"]["loops"]
        quick.write_text("203.0.113.0/27\n203.0.113.64/28\n")
        check(wait_for(lambda: daemon.says("list quick: 2 prefixes"), 40) and
              lab.read("show", "health")["daemon"]["loops"] > loops,
              "other lists are loaded meanwhile, and the daemon's loop goes on",
              lab.read("show", "health")["daemon"])
        check(slow.held == held and len(daemon.says("does not answer")) == 1,
              "it is not asked again while its answer is owed", f"{slow.held} requests")
        done = lab.weir("block", "test", "198.51.100.0/28", expect=None)
        check(done.status == 0, "what was loaded stays in force", done)
        status = daemon.stop()
        daemon.start()
        check(status == 0, "the daemon can be stopped and started all the same", status)
        done = lab.near.run(WEIR, "restore", "-", text_in=f"list load slow file {slow.path()}\n",
                            expect=None)
        check(done.status == 3 and "within 20 s" in done.err.replace("\n", " ") and
              lab.weir("block", "test", "198.51.100.0/28", expect=None).status == 0,
              "restore does not wait for it for long; the list stays", done)
        slow.set("198.51.100.0/27\n198.51.100.64/28\n")
        demand(wait_for(lambda: daemon.says("list slow: .*does not answer"), 40), daemon.text())
        slow.answer_again()
        check(wait_for(lambda: daemon.says("list slow: .*answers again") and
                       daemon.says("list slow: 2 prefixes"), 60),
              "when it answers, what it has is loaded", daemon.says("list slow"))
        daemon.stop()


def test_guards_of_lists(lab):
    """The daemon overrules for a list what the settings file or the operator overruled."""
    prepare(lab)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-lists-"))
    wide = "".join(f"{first}.0.0.0/8\n" for first in range(11, 31))
    for name in ("refused", "named", "hand"):
        (folder / name).write_text(wide)
    lab.weir("list", "load", "hand", "file", folder / "hand", "force", "coverage", "size")
    daemon = Daemon(lab, lists={
        "settle": "1s",
        "load": f"[{{name: named, file: {folder}/named, force: [coverage]}}, "
                f"{{name: refused, file: {folder}/refused}}]"})
    check(wait_for(lambda: daemon.says("<6>list named: 20"), 5), "force: [coverage] loads it",
          daemon.says("list named"))
    check(wait_for(lambda: daemon.says("<3>list refused is EMPTY.*force coverage"), 5),
          "without it, it is refused", daemon.says("list refused"))
    (folder / "hand").write_text(wide + "31.0.0.0/8\n127.0.0.0/8\n")
    check(wait_for(lambda: daemon.says("<6>list hand: 21"), 8) and
          daemon.says("list hand: 1 prefixes .*left out.*127.0.0.0/8"),
          "what was forced by hand stays overruled", daemon.says("list hand"))
    (folder / "hand").write_text("11.0.0.0/24\n")
    # Behind a load a file rests for 20 times as long as that took, on a slow machine for a while.
    check(wait_for(lambda: daemon.says("list hand stays as it was: .*force size"), 60),
          "but the size is that of one load", daemon.says("list hand stays"))
    said = lab.read("daemon", "check", "config", daemon.settings)["lists"]["load"]
    check([each["force"] for each in said] == [["coverage"], []], "daemon check shows it",
          [each["force"] for each in said])


def test_settings_file(lab):
    prepare(lab)
    daemon = Daemon(lab)
    bad = daemon.folder / "bad.yaml"
    bad.write_text("sources:\n  windows: 3\n  widnows: 4\n")
    said = lab.weir("daemon", "check", "config", bad, expect=1)
    check(f"{bad}:3: " in said.err and "widnows" in said.err, "check: an unknown key and its line",
          said)
    said = lab.weir("daemon", "config", bad, expect=1)
    check(f"{bad}:3: " in said.err and "weir daemon check" in said.err and
          "systemctl restart weir" in said.err, "the daemon does not start with it, and says what to do",
          said)
    said = lab.weir("daemon", "check", "config", daemon.settings)
    check("sources.windows: 2" in said.out and "remember: 1d" in said.out,
          "check: what holds, defaults and all", f"{len(said.out.splitlines())} keys")
    good = daemon.settings.read_text()
    daemon.settings.write_text("mode: judge\nfoo: 1\n")
    daemon.kill(signal.SIGHUP)
    check(wait_for(lambda: daemon.says(r"^<3>.*weir\.yaml:2: .*stay in force"), 3),
          "SIGHUP with a broken file is told with its line", daemon.says("<3>"))
    flood = start_flood(lab)
    check(wait_for(lambda: bans(lab), IN_TIME), "and the settings from before stay in force",
          list(bans(lab)))
    flood.stop()
    daemon.settings.write_text(good.replace("mode: enforce", "mode: judge"))
    daemon.kill(signal.SIGHUP)
    check(wait_for(lambda: daemon.says("mode judge: "), 3), "SIGHUP with a good one counts",
          daemon.says("mode judge: "))
    daemon.settings.write_text(good.replace("mode: enforce", "mode: monitor"))
    daemon.kill(signal.SIGHUP)
    check(wait_for(lambda: len(daemon.says("mode judge: ")) == 2, 3) and
          daemon.says("^<5>.*is called mode: judge now"), "mode: monitor is judge, with a remark",
          daemon.says("called"))


def test_settings_with_syn_rules_alone(lab):
    """They are settings like any other: the saved file does not replace them."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-syn-"))
    saved = folder / "settings"
    saved.write_text("limit set rate 300pps\n")
    os.utime(saved, (1, 1))
    for name, value in (("tcp_syncookies", 2), ("tcp_timestamps", 2)):
        lab.near.set(f"ipv4/{name}", value)
    lab.weir("syn", "protect", "dport", 443, "force")
    before = lab.weir("save").out
    daemon = Daemon(lab, state={"settings": saved})
    check(lab.weir("save").out == before and "syn protect dport 443" in before,
          "a SYN rule that was set before the daemon started stays in force", lab.weir("save").out)
    daemon.stop()


def test_lock(lab):
    """Another user cannot hold the daemon's lock, nor put another one in its place."""
    os.makedirs("/run/weir", exist_ok=True)
    lock = pathlib.Path("/run/weir/daemon.lock")
    lock.touch()
    lock.chmod(0o644)      # of an earlier version
    prepare(lab)
    daemon = Daemon(lab)
    mode = lock.stat().st_mode & 0o7777
    check(mode == 0o600, "the lock is for its owner only", f"{mode:o}")
    daemon.stop()
    code = ("import fcntl, os, sys; os.setgid(65534); os.setuid(65534)\n"
            f"file = open('{lock}'); fcntl.flock(file, fcntl.LOCK_EX)\n"
            "print('held', flush=True); sys.stdin.read()")
    holder = subprocess.Popen(["python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    lab.children.append(holder)
    held = holder.stdout.readline()
    check(not held, "another user cannot open it", held or holder.stderr.read().splitlines()[-1])
    daemon.start()
    check(not daemon.ended(), "the daemon starts beside it", "up")
    daemon.stop()
    os.chmod("/run/weir", 0o1777)
    done = lab.weir("daemon", "config", daemon.settings, expect=None)
    check(done.status == 1 and "/run/weir can be written by all users" in done.err,
          "a folder in which all users may write is refused", done)
    os.chmod("/run/weir", 0o755)
    lock.unlink()
    lock.symlink_to("/etc/hostname")
    done = lab.weir("daemon", "config", daemon.settings, expect=None)
    check(done.status == 1 and "cannot open /run/weir/daemon.lock" in done.err,
          "a link in place of the lock is not followed", done)
    lock.unlink()


@contextlib.contextmanager
def full_disk():
    """A folder with a few free bytes' worth of files, and no block for their content."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-full-"))
    run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
    (folder / "old").write_text("what was there\n")
    try:
        with open(folder / "filler", "wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
    except OSError:
        pass
    try:
        yield folder
    finally:
        run("umount", folder)


def test_full_disk(lab):
    prepare(lab)
    (BUILD / "full-known.txt").write_text("".join(f"203.0.{i // 250}.{i % 250}\n" for i in range(2000)))
    lab.weir("known", "import", BUILD / "full-known.txt")
    for i in range(100):
        lab.weir("block", "add", f"198.51.100.{i}", "comment", "x" * 40)
    with full_disk() as folder:
        said = lab.weir("known", "export", folder / "known", expect=1).err
        check("No space left on device" in said, "known export says what is wrong", said.strip())
        for words in (("save",), ("known", "export", "-"), ("-j", "block", "show")):
            with open(folder / "out", "w") as out:
                done = subprocess.run(lab.near.command(WEIR, *words), stdout=out,
                                      stderr=subprocess.PIPE, text=True, check=False)
            check(done.returncode == 1 and "No space left on device" in done.stderr,
                  f"so does {' '.join(words)}", done.stderr.strip())
        (folder / "out").unlink()
        daemon = Daemon(lab, state={"known": folder / "old", "settings": folder / "settings",
                                    "every": "1s"})
        told = [wait_for(lambda name=name: daemon.says(f"^<3>cannot write .*{name}"), 10)
                for name in ("old", "settings")]
        check(all(told) and daemon.says("No space left on device"), "and the daemon",
              daemon.says("cannot write")[:3])
        daemon.stop()
        left = sorted(path.name for path in folder.iterdir())
        check(left == ["filler", "old"] and (folder / "old").read_text() == "what was there\n",
              "no empty file is left, and the old one stays", left)


def test_state_over_a_reboot(lab):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-state-"))
    state = {"known": folder / "deep/known", "settings": folder / "deep/settings"}
    prepare(lab)
    daemon = Daemon(lab, state=state)
    (folder / "customers").write_text("203.0.113.0/28\n2001:db8:7::/64\n")
    lab.weir("known", "import", folder / "customers")
    lab.weir("allow", "add", "203.0.113.77", "comment", "mine")
    saved = lab.weir("save").out
    daemon.stop()
    check(all(path.exists() for path in state.values()), "known sources and settings are saved",
          ", ".join(f"{path.name}: {path.stat().st_size} bytes" for path in state.values()))
    lab.weir("detach", "all")
    daemon.start()
    counted = lab.read("known", "show")["known"]
    check(counted == 17 and lab.weir("save").out == saved,
          "and are there again when the maps are fresh", f"{counted} known, {len(saved)} bytes set")
    lab.weir("limit", "flush")
    daemon.stop(signal.SIGKILL)
    daemon.start()
    check("limit set" not in lab.weir("save").out, "what was taken away since is not brought back",
          daemon.says("restored"))
    daemon.stop()
    lab.weir("detach", "all", expect=None)
    state["settings"].write_text("limit set rate nonsense\n")
    os.utime(state["settings"], (1, 1))
    daemon.start()
    check(daemon.says("^<3>cannot restore"), "a broken file is told", daemon.says("<3>"))
    daemon.stop()
    check("nonsense" in state["settings"].read_text(), "and is not overwritten",
          state["settings"].read_text().strip())


def test_earlier_settings(lab):
    """What was saved before is kept beside the settings, and used if they are damaged."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-state-"))
    state = {"known": '""', "settings": folder / "settings"}
    prepare(lab)
    daemon = Daemon(lab, state=state)
    for rate in ("111pps", "222pps"):
        daemon.stop()
        lab.weir("limit", "set", "rate", rate)
        daemon.start()
    daemon.stop()
    before = pathlib.Path(folder, "settings.before")
    check("222pps" in state["settings"].read_text() and "111pps" in before.read_text(),
          "the settings before are kept beside", sorted(path.name for path in folder.iterdir()))
    lab.weir("detach", "all")
    state["settings"].write_text("limit set rate nonsense\n")
    os.utime(state["settings"], (1, 1))
    daemon.start()
    check("111pps" in lab.weir("save").out and daemon.says("^<3>.*settings.before"),
          "and used if the settings are damaged", daemon.says("<3>"))
    os.mkfifo(folder / "pipe")
    os.rename(folder / "pipe", state["settings"])
    daemon.stop()
    lab.weir("detach", "all", expect=None)
    daemon.start()
    check(daemon.says("mode "), "a pipe in their place does not stop the daemon", daemon.says("<3>"))


def test_service(lab):
    """The messages to systemd: ready, reloading, watchdog, stopping."""
    prepare(lab)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-notify-"))
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(folder / "notify"))
    heard.settimeout(5)
    daemon = Daemon(lab, env={"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000"})
    messages = [heard.recv(4096).decode() for _ in range(4)]
    check(messages[0] == "READY=1" and messages[1:] == ["WATCHDOG=1"] * 3,
          "READY=1, then WATCHDOG=1 in time", messages)
    daemon.kill(signal.SIGHUP)
    time.sleep(0.5)
    daemon.stop()
    heard.setblocking(False)
    rest = []
    try:
        while True:
            rest.append(heard.recv(4096).decode())
    except BlockingIOError:
        pass
    rest = [message.splitlines()[0] for message in rest if message != "WATCHDOG=1"]
    check(rest == ["RELOADING=1", "READY=1", "STOPPING=1"], "RELOADING=1, READY=1 and STOPPING=1",
          rest)


run_tests(__name__)
