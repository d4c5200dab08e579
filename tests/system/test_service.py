# SPDX-License-Identifier: GPL-2.0-only
"""weir as a service: without root, with few capabilities and system calls, and with a broken policy
file at boot."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from stage import BPFFS, FAR4, NEAR4, PINS, ROOT, WEIR, check, run, run_tests, skip, wait_for
from strace import traced

SYSTEMD = ROOT / "packaging/systemd"
MOST_EXPOSED = {"weir.service": 2.5, "weir-restore.service": 3.0, "weir-attach@eth0.service": 3.0}
UID, GID = 64998, 997
CAPS = "-all,+bpf,+net_admin,+perfmon"


def have_group():
    """A system group "weir", in this test's mount namespace only."""
    if f"weir:x:{GID}:" in pathlib.Path("/etc/group").read_text():
        return
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write("".join(line + "\n" for line in pathlib.Path("/etc/group").read_text().splitlines()
                           if not line.startswith("weir:")) + f"weir:x:{GID}:\n")
    os.chmod(file.name, 0o644)
    run("mount", "--bind", file.name, "/etc/group")
    os.unlink(file.name)


class Service:
    """Runs weir as weir.service does: as its own user, with three capabilities."""

    def __init__(self, lab, folder, caps=CAPS, gid=GID):
        os.chmod(folder, 0o755)
        self.weir = shutil.copy(WEIR, folder)
        self.lab, self.caps, self.gid = lab, caps, gid

    def command(self, *words):
        return self.lab.near.command("setpriv", f"--reuid={UID}", f"--regid={self.gid}",
                                     "--clear-groups", f"--inh-caps={self.caps}",
                                     f"--ambient-caps={self.caps}", f"--bounding-set={self.caps}",
                                     self.weir, *words)

    def __call__(self, *words, expect=0):
        return run(*self.command(*words), expect=expect)


def test_exposure(lab):
    if not shutil.which("systemd-analyze"):
        skip("the unit's exposure", "systemd-analyze is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        for source in SYSTEMD.glob("*.in"):
            unit = pathlib.Path(folder, source.stem.replace("@", "@eth0"))
            unit.write_text(source.read_text().replace("@PREFIX@", "/usr"))
            done = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit, expect=None)
            figure = re.search(r"exposure level for \S+: ([0-9.]+)", done.out)
            figure = float(figure[1]) if figure else None
            most = MOST_EXPOSED[unit.name]
            check(figure is not None and figure <= most, f"{unit.name}: systemd-analyze security",
                  f"{figure}, at most {most}" if figure else done)


def test_without_root(lab):
    have_group()
    os.chmod(BPFFS, 0o711)
    lab.weir("limit", "set", "rate", "1000pps")
    lab.attach()
    mode = PINS.stat()
    check((mode.st_gid, mode.st_mode & 0o7777) == (GID, 0o2770), "the folder of the pins is the group's",
          f"{mode.st_gid}, {mode.st_mode & 0o7777:o}")
    with tempfile.TemporaryDirectory() as folder:
        service = Service(lab, folder)
        path = pathlib.Path(folder, "list")
        path.write_text("203.0.113.0/24\n")
        for words in (("show", "status"), ("show", "stats"), ("limit", "show"), ("save",),
                      ("block", "add", "198.51.100.1", "ttl", "10m"),
                      ("limit", "set", "from", "198.51.100.0/24", "rate", "5pps"),
                      ("list", "load", "drop", "file", path), ("list", "show"),
                      ("check", "203.0.113.9")):
            done = service(*words, expect=None)
            check(done.status == 0, f"{' '.join(map(str, words[:2]))} without root", done)
        check('"attached":true' in service("-j", "show", "status").out, "attached: known without root",
              "true")
        check("rule" in service("-j", "check", "203.0.113.9").out and
              lab.weir("save").out == service("save").out, "root and the service see the same",
              f"{len(service('save').out.splitlines())} lines")
        saved = lab.weir("save").out
        file = pathlib.Path(folder, "saved")
        file.write_text(saved)
        service("restore", file)
        check(lab.weir("save").out == saved, "restore without root", f"{len(saved)} bytes")
        path.write_text("203.0.113.0/25\n")
        lab.weir("list", "load", "drop", "file", path)
        lab.weir("limit", "set", "rate", "900pps")
        check("900pps" in service("save").out, "the service sees what root writes afterwards", "900pps")
        lab.flood("to", NEAR4, "from", f"{FAR4}/32", "count", 1000, "pps", 5000)
        done = service("attach", "dev", "near0", expect=None)
        check(done.status == 1, "attach needs root", done)
        stranger = Service(lab, folder, gid=65534)
        done = stranger("show", "status", expect=None)
        check(done.status == 1 and "root" in done.err, "a user outside the group is refused", done)
    lab.weir("detach", "all")
    check(not PINS.exists(), "detach all removes what the service pinned", "nothing left")


def members_of(group):
    """The system calls of one of systemd's groups, with those of the groups in it."""
    found = set()
    for word in run("systemd-analyze", "syscall-filter", "--no-pager", group).out.split("\n"):
        word = word.strip()
        if word.startswith("@") and word != group:
            found |= members_of(word)
        elif re.fullmatch("[a-z0-9_]+", word):
            found.add(word)
    return found


def calls_allowed(unit="weir.service"):
    """The system calls that the SystemCallFilter= lines of a unit allow."""
    allowed = members_of("@default")
    for line in re.findall("^SystemCallFilter=(.*)$", (SYSTEMD / f"{unit}.in").read_text(), re.M):
        for word in line.lstrip("~").split():
            each = members_of(word) if word.startswith("@") else {word}
            allowed = allowed - each if line.startswith("~") else allowed | each
    return allowed


def test_system_calls(lab):
    """No systemd runs here to enforce the filter: the daemon's calls are compared with it."""
    if not shutil.which("systemd-analyze"):
        skip("the unit's filter of system calls", "systemd-analyze is not installed")
        return
    os.makedirs("/run/weir", exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run/weir")
    lab.weir("limit", "set", "rate", "10pps")
    lab.attach()
    with tempfile.TemporaryDirectory() as folder:
        config, trace = pathlib.Path(folder, "weir.yaml"), pathlib.Path(folder, "trace")
        listed = pathlib.Path(folder, "listed")
        listed.write_text("203.0.113.0/24\n")
        config.write_text(f"mode: enforce\nsources:\n  windows: 2\n  least: 10\nstate:\n  known: {folder}/known\n"
                          f"  settings: {folder}/settings\nlists:\n  load:\n    - name: one\n"
                          f"      file: {listed}\n")
        daemon = subprocess.Popen(lab.near.command(*traced("-f", "-o", trace), WEIR, "daemon",
                                                   "config", config), stderr=subprocess.DEVNULL)
        lab.children.append(daemon)
        flood = lab.start_flood("to", NEAR4, "from", "198.51.100.9/32", "pps", 500, "seconds", 6)
        wait_for(lambda: lab.read("show", "bans")["bans"], 10)
        served = wait_for(lambda: lab.near.run("curl", "-sf", "http://127.0.0.1:9108/metrics",
                                               expect=None).status == 0)
        flood.wait()
        inner = int(pathlib.Path("/run/weir/daemon.lock").read_text().split()[0])
        os.kill(inner, signal.SIGHUP)
        time.sleep(1)
        os.kill(inner, signal.SIGTERM)
        daemon.wait(20)
        called = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", trace.read_text(errors="replace"), re.M))
    refused = sorted(called - calls_allowed() - {"execve"})
    check(not refused and served and "bpf" in called and len(called) > 20,
          "the daemon makes no system call that weir.service refuses",
          refused or f"{len(called)} different calls")


def confined(unit, trace):
    """Words before a command: root with the unit's capabilities alone, and a trace of its calls."""
    text = (SYSTEMD / f"{unit}.in").read_text()
    caps = re.search("^CapabilityBoundingSet=(.*)$", text, re.M)[1].lower().replace("cap_", "+").split()
    return ["setpriv", "--no-new-privs", f"--bounding-set=-all,{','.join(caps)}", "--inh-caps=-all",
            *traced("-f", "-o", trace)]


def refused_calls(unit, trace):
    called = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", trace.read_text(errors="replace"), re.M))
    # A command that may not go before others does its work all the same (RestrictRealtime=).
    tried = {"execve", "sched_setscheduler"}
    return sorted(called - calls_allowed(unit) - tried), called


def sockets_outside(unit, trace):
    """The address families that RestrictAddressFamilies= would refuse."""
    line = re.search("^RestrictAddressFamilies=(.*)$", (SYSTEMD / f"{unit}.in").read_text(), re.M)[1]
    used = set(re.findall(r"socket\((?:AF|PF)_([A-Z0-9]+)", trace.read_text(errors="replace")))
    return sorted(used - {family[3:] for family in line.split()})


def test_root_units(lab):
    """weir-restore and weir-attach@ do their work with the capabilities, calls and sockets that their
    units leave them."""
    if not shutil.which("systemd-analyze"):
        skip("the root units' filter of system calls", "systemd-analyze is not installed")
        return
    have_group()
    lab.up()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "list").write_text("203.0.113.0/24\n2001:db8::/48\n")
        (folder / "policy").write_text(
            "limit set rate 100pps\nbudget set web dport 80 rate 5kpps\nallow add 192.0.2.9\n"
            f"block add 198.51.100.7\nlist load drop file {folder}/list\n"
            "syn protect dport 443 set-sysctl force\n")
        env = {"WEIR": str(WEIR), "WEIR_POLICY": f"{folder}/policy", "WEIR_KEPT": f"{folder}/kept"}
        steps = [("weir-restore.service", ["sh", SYSTEMD / "weir-restore"]),
                 ("weir-attach@.service", [WEIR, "attach", "dev", "near0", "force"]),
                 ("weir-attach@.service", [WEIR, "attach", "dev", "near0", "force", "monitor"]),
                 ("weir-restore.service", ["sh", SYSTEMD / "weir-restore"]),
                 ("weir-attach@.service", [WEIR, "detach", "dev", "near0", "keep"])]
        for number, (unit, command) in enumerate(steps):
            trace = folder / f"trace-{number}"
            what = " ".join(str(word) for word in command[1:3]).replace(str(SYSTEMD) + "/", "")
            done = lab.near.run(*confined(unit, trace), *command, env=env, expect=None)
            refused, called = refused_calls(unit, trace)
            outside = sockets_outside(unit, trace)
            check(done.status == 0 and not refused and not outside and "bpf" in called,
                  f"{unit} may do all that it does: {what}",
                  f"{done.err.strip()} {refused} {outside}" if done.status or refused or outside else
                  f"{len(called)} different calls")
            if number == 1:
                check(lab.prog_id() is not None and oct(PINS.stat().st_mode) == "0o42770" and
                      PINS.stat().st_gid == GID, "weir is attached, the pins are the group's",
                      oct(PINS.stat().st_mode))
        saved = lab.weir("save").out
        check(all(word in saved for word in ("100pps", "budget set web", "syn protect", "list load")),
              "and all settings are in force", f"{len(saved.splitlines())} lines")
        check(lab.prog_id() is None, "detached", "no program")


def test_no_unit_closes_bpffs(lab):
    """ProtectKernelTunables= makes /sys/fs/bpf read-only, and ReadWritePaths= does not undo that."""
    for source in SYSTEMD.glob("*.in"):
        text = source.read_text()
        check(not re.search("^ProtectKernelTunables=", text, re.M) and
              re.search("^ReadOnlyPaths=/sys /proc/sys$", text, re.M) and
              re.search("^ReadWritePaths=.*-/sys/fs/bpf( |$)", text, re.M),
              f"{source.stem}: bpffs can be written, the rest of /sys cannot", "ReadOnlyPaths=")


def test_folders_of_lists(lab):
    """The daemon makes folders of pins without chmod to set-group-ID, which its unit refuses."""
    have_group()
    os.chmod(BPFFS, 0o711)
    lab.weir("limit", "set", "rate", "1000pps")
    with tempfile.TemporaryDirectory() as folder:
        service = Service(lab, folder)
        path, trace = pathlib.Path(folder, "list"), pathlib.Path(folder, "trace")
        path.write_text("203.0.113.0/24\n")
        trace.touch()
        os.chmod(trace, 0o666)
        words = service.command("list", "load", "drop", "file", path)
        at = words.index(service.weir)
        done = run(*words[:at], *traced("-e", "trace=mkdir,mkdirat,chmod,fchmod,fchmodat", "-o", trace),
                   *words[at:], expect=None)
        set_ids = [line for line in trace.read_text().splitlines() if re.search(r"0[246][0-7]{3}\)", line)]
        mode = (PINS / "lists/drop").stat()
        check(done.status == 0 and not set_ids and (mode.st_mode & 0o7777, mode.st_gid) == (0o2770, GID),
              "a folder of a list is set-group-ID by its parent, not by chmod",
              set_ids or f"{mode.st_mode & 0o7777:o}")


def test_broken_settings_are_tried_again(lab):
    """Without an end, and not so often that the journal fills."""
    text = (SYSTEMD / "weir.service.in").read_text()
    every = re.search("^RestartSec=([0-9]+)s$", text, re.M)
    check("Restart=always" in text and "StartLimitIntervalSec=0" in text and every and
          int(every[1]) >= 5, "weir.service goes on trying", every and every[0])


def test_daemon_without_root(lab):
    """With three capabilities the daemon bans, saves its state, and reloads."""
    have_group()
    os.chmod(BPFFS, 0o711)
    os.makedirs("/run/weir", exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"uid={UID},gid={GID},mode=0755", "tmpfs", "/run/weir")
    lab.weir("limit", "set", "rate", "10pps")
    lab.attach()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(lab, folder)
        state = pathlib.Path(folder, "state")
        state.mkdir()
        os.chown(state, UID, GID)
        config = pathlib.Path(folder, "weir.yaml")
        config.write_text(f"mode: enforce\nsources:\n  windows: 2\n  least: 10\nhttp:\n  port: 0\nstate:\n"
                          f"  known: {state}/known\n  settings: {state}/settings\n")
        with open(f"{folder}/log", "w+") as log:
            daemon = subprocess.Popen(service.command("daemon", "config", config), stderr=log)
            lab.children.append(daemon)
            flood = lab.start_flood("to", NEAR4, "from", "198.51.100.9/32", "pps", 500, "seconds", 8)
            banned = wait_for(lambda: lab.read("show", "bans")["bans"], 10)
            flood.wait()
            daemon.terminate()
            daemon.wait()
            log.seek(0)
            said = log.read().strip().splitlines()
        bans = lab.read("show", "bans")["bans"]
        check(banned and bans[0]["prefix"] == "198.51.100.9/32", "the daemon bans without root",
              bans or said)
        kept = {path.name for path in state.iterdir() if path.stat().st_size}
        check("settings" in kept, "and writes what it keeps", f"{kept}; {said[-1] if said else ''}")
        wrong = [line for line in said if "ermission" in line or "ermitted" in line or "root" in line]
        check(not wrong, "nothing was refused to it", wrong or f"{len(said)} lines in its log")


# ---- weir-restore ----

def restore(lab, folder, expect=0):
    return lab.near.run("sh", SYSTEMD / "weir-restore", expect=expect,
                        env={"WEIR": str(WEIR), "WEIR_POLICY": f"{folder}/policy",
                             "WEIR_KEPT": f"{folder}/kept"})


def test_restore(lab):
    with tempfile.TemporaryDirectory() as folder:
        policy, kept = pathlib.Path(folder, "policy"), pathlib.Path(folder, "kept")
        restore(lab, folder)
        check((PINS / "meta").exists() and not lab.read("limit", "show")["limits"],
              "without any file weir starts empty", "no limits")
        policy.write_text("limit set rate 100pps\n")
        restore(lab, folder)
        check("100pps" in lab.weir("save").out, "the policy file is in force", "100pps")
        policy.write_text("limit set rate 200pps\nlimit set rate nonsense\n")
        done = restore(lab, folder, expect=1)
        check("100pps" in lab.weir("save").out and f"{policy}:2" in done.err,
              "a broken policy leaves the one in force", done.err.splitlines()[0])
        lab.weir("detach", "all")
        kept.write_text("limit set rate 300pps\n")
        done = restore(lab, folder, expect=1)
        check("300pps" in lab.weir("save").out and "last" in done.err,
              "at boot a broken policy gives way to what was last in force",
              done.err.splitlines()[-1])
        policy.unlink()
        lab.weir("limit", "set", "rate", "400pps")
        restore(lab, folder)
        check("400pps" in lab.weir("save").out, "without a policy file nothing is touched at run time",
              "400pps")
        lab.weir("detach", "all")
        restore(lab, folder)
        check("300pps" in lab.weir("save").out, "and at boot what was kept comes back", "300pps")


def test_restore_never_ends_in_less(lab):
    """At boot, each of the files may be broken: the next best is used, and said so."""
    with tempfile.TemporaryDirectory() as folder:
        policy, kept = pathlib.Path(folder, "policy"), pathlib.Path(folder, "kept")
        before, good = pathlib.Path(folder, "kept.before"), pathlib.Path(folder, "kept.good")
        listed = pathlib.Path(folder, "listed")

        def boot(status, rate, what, *words):
            lab.weir("detach", "all", expect=None)
            done = restore(lab, folder, expect=None)
            saved = lab.weir("save").out
            lacks = [word for word in words if str(word) not in done.err]
            check(done.status == status and not lacks and
                  (f"{rate}pps" in saved if rate else "limit" not in saved), what,
                  f"{done.status}, {saved.splitlines()[1:]}, {done.err.splitlines()[-1:]}")
            return saved
        listed.write_text("203.0.113.0/24\n")
        policy.write_text(f"limit set rate 100pps\nlist load a file {listed}\n")
        boot(0, 100, "a policy with a list")
        listed.unlink()
        boot(0, 100, "its list is missing: the limits are in force", "<4>", "list a")
        check(lab.weir("block", "test", "203.0.113.7", expect=None).status == 0,
              "and what the list had last", "203.0.113.7 is blocked")
        listed.write_text("nonsense\n")
        boot(0, 100, "its list is broken: the same", "<4>", f"{listed}:1:")
        policy.write_text("nonsense\n")
        boot(1, 100, "a policy with a mistake, no daemon: the last that was good", "<3>", good)
        kept.write_text("limit set rate 300pps\n")
        boot(1, 300, "a policy with a mistake: what was in force last", "<3>", kept)
        policy.unlink()
        before.write_text("limit set rate 200pps\n")
        kept.write_text('list load a file "cut\n')
        boot(1, 200, "what was in force last is damaged: what was saved before it", "<3>", before)
        check("cut" in pathlib.Path(folder, "kept.broken").read_text(), "the damaged one is kept aside",
              "kept.broken")
        before.write_text("nonsense\n")
        good.write_text("limit set rate 50pps\n")
        boot(1, 50, "and when that is damaged, too: what the last boot used", "<3>", good)
        os.mkfifo(f"{folder}/pipe")
        os.rename(f"{folder}/pipe", before)
        boot(0, 50, "a pipe in its place does not stop the boot")
        before.unlink()
        good.write_text('limit set rate 40pps\nlist load a file "cut\n')
        boot(1, 40, "a file whose lists are damaged: its limits, without the lists", "<2>ALARM")
        check("WITHOUT its lists" in lab.read("show", "health")["alarm"] and
              "weir_restore_alarm 1" in lab.weir("metrics").out and
              "ALARM" in lab.weir("show", "health").out, "that is an alarm in health and metrics",
              lab.read("show", "health")["alarm"])
        good.write_text("nonsense\n")
        boot(1, 0, "nothing is of use: weir starts without settings", "<2>ALARM", good)
        check("WITHOUT SETTINGS" in lab.read("show", "health")["alarm"], "an alarm in health",
              lab.read("show", "health")["alarm"])
        policy.write_text("limit set rate 10pps\n")
        boot(0, 10, "the next good start")
        check(not lab.read("show", "health")["alarm"] and
              "weir_restore_alarm 0" in lab.weir("metrics").out, "ends the alarm", "none")


run_tests(__name__)
