# SPDX-License-Identifier: GPL-2.0-only
"""`weir preset reflection`: what it reads, what it sets, and a real DNS client under a flood of
reflectors' answers."""
import contextlib
import pathlib
import shutil
import socket
import tempfile
import time

from stage import FAR4, NEAR4, WEIR, check, demand, run, run_tests, skip, wait_for
from unbound import COMMON, UNBOUND

ANSWER = "203.0.113.53"     # of every name in example.com
SERVER = COMMON + f"""
server:
  directory: "{{folder}}"
  interface: {FAR4}
  access-control: 0.0.0.0/0 allow
  local-zone: "example.com." redirect
  local-data: "example.com. 1 A {ANSWER}"
"""
REFLECTORS = 2000
PER_SOURCE = 10             # at once, and ten a minute
ASKED = 100


@contextlib.contextmanager
def host(resolv, timesyncd=""):
    """A host with this resolv.conf and this timesyncd.conf, for processes of this test only."""
    with tempfile.TemporaryDirectory() as folder:
        conf = pathlib.Path(folder, "resolv.conf")
        conf.write_text(resolv)
        run("mount", "--bind", conf, "/etc/resolv.conf")
        try:
            run("mount", "-t", "tmpfs", "tmpfs", "/etc/systemd")
            pathlib.Path("/etc/systemd/timesyncd.conf").write_text(timesyncd)
            yield pathlib.Path(folder)
        finally:
            run("umount", "/etc/systemd", expect=None)
            run("umount", "/etc/resolv.conf")


def rules(lab):
    return [line for line in lab.weir("save").out.splitlines()
            if line.startswith(("limit ", "budget "))]


def test_what_it_reads(lab):
    """Addresses from files and sockets; what cannot be known leaves its port out, and says why."""
    lab.up()
    with host("nameserver 192.0.2.77\nnameserver 127.0.0.53\n# nameserver 192.0.2.78\n"
              "nameserver fe80::1%eth0\n", "[Time]\nNTP=203.0.113.123 time.example\n"):
        with lab.near:
            clock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        clock.connect((FAR4, 123))
        said = lab.weir("preset", "reflection").out
        clock.close()
    for line in ("weir limit set from 192.0.2.77 proto udp sport 53 rate",
                 "weir limit set from fe80::1 proto udp sport 53 rate",
                 "weir limit set from 203.0.113.123 proto udp sport 123 rate",
                 f"weir limit set from {FAR4} proto udp sport 123 rate", "sport 17,19,53,111,123,137,161,",
                 "timesyncd.conf: time servers: 1 by address, 1 by name"):
        check(line in said, f"preset says: {line}", f"{len(said.splitlines())} lines")
    check("192.0.2.78" not in said, "a comment names no server", "192.0.2.78")
    for resolv, why in (("nameserver 127.0.0.1\n", "may ask any other"),
                        ("nameserver dns.example\n", "by its name only"),
                        ("", "no DNS server of this host was found")):
        with host(resolv):
            said = lab.weir("preset", "reflection").out
        check(why in said and "sport 17,19,111,123,137" in said,
              f"port 53 is left out: {why}", said.splitlines()[1])
    lab.near.set("ipv4/ip_forward", 1)
    with host("nameserver 192.0.2.77\n"):
        said = lab.weir("preset", "reflection").out
    check("this host forwards" in said and "sport 17,19,111,137" in said and "sport 53" not in said, "a router",
          next(line for line in said.splitlines() if "forwards" in line))


def test_as_printed(lab):
    """A shell and restore take what is printed; apply sets the same, or nothing."""
    lab.up()
    with host("nameserver 192.0.2.77\nnameserver 2001:db8::53\n"):
        printed = lab.weir("preset", "reflection").out
        lab.weir("preset", "reflection", "apply")
        applied = rules(lab)
        again = lab.weir("preset", "reflection", "apply")
        check(rules(lab) == applied and len(applied) >= 7, "apply, and once more", again.err.strip())
        lab.weir("limit", "flush")
        lab.weir("budget", "del", "reflectors")
        script = printed.replace("weir ", f"{WEIR} ")
        lab.near.run("sh", "-e", "-c", script)
        check(rules(lab) == applied, "a shell takes what is printed", f"{len(applied)} rules")
        lab.weir("limit", "flush")
        lab.weir("restore", "-", text_in=printed)
        check(rules(lab) == applied, "restore takes what is printed", f"{len(applied)} rules")
        lab.weir("limit", "flush")
        lab.weir("budget", "del", "reflectors")
        words = next(line for line in applied if line.startswith("budget")).split()[3:]
        lab.weir("budget", "set", "mine", *words)
        before = rules(lab)
        said = lab.weir("preset", "reflection", "apply", expect=1).err
        check(rules(lab) == before and "mine" in said, "where one cannot be set, none is", said.strip())


def ask(lab, count):
    """How many of @count questions a real client gets answered, each asked once."""
    return sum(ANSWER in lab.near.run("dig", f"@{FAR4}", f"n{number}.example.com", "A", "+tries=1",
                                      "+time=2", "+short", expect=None).out
               for number in range(count))


def resolver_drops(lab):
    """What weir dropped of the packets of the resolver, by its bucket; without one: none."""
    shown = lab.read("show", "source", FAR4)["sources"]
    return sum(row["dropped"] for row in shown)


def test_under_reflection(lab):
    """Answers of 2,000 reflectors, which nothing asked for, beside those of the own resolver."""
    if not shutil.which(UNBOUND) or not shutil.which("dig"):
        skip("under reflection", "unbound or dig (bind9-dnsutils) is not installed")
        return
    lab.attach()
    lab.near.run("ip", "route", "add", "198.18.0.0/15", "via", FAR4)
    with host(f"nameserver {FAR4}\n") as folder:
        path = folder / "unbound.conf"
        path.write_text(SERVER.format(folder=folder))
        lab.spawn(lab.far, ("setpriv", "--pdeathsig", "KILL", UNBOUND, "-d", "-c", path))
        demand(wait_for(lambda: ask(lab, 1) == 1), "unbound does not answer")
        answered = {"calm": ask(lab, ASKED)}
        words = ("to", NEAR4, "from", "198.18.0.0/15", "sources", REFLECTORS, "stride", 8, "sport", 53,
                 "dport", 40000, "size", 1000, "pps", 20000, "seconds", 120)
        flood = lab.start_flood(*words)
        time.sleep(1)
        answered["without"] = ask(lab, ASKED)
        lab.weir("preset", "reflection", "apply")
        before, began = lab.stats(), time.monotonic()
        answered["with"] = ask(lab, ASKED)
        after, took = lab.stats(), time.monotonic() - began
        flood.stop()
        dropped = after["rate-limit"] - before["rate-limit"]
        passed = after.packets - before.packets - dropped
        most = REFLECTORS * (PER_SOURCE + PER_SOURCE * (took + 2) / 60) + 1000
        check(resolver_drops(lab) == 0 and answered["with"] >= answered["calm"] - 1,
              "a client's answers under reflection",
              f"of {ASKED} answered: {answered}; {resolver_drops(lab)} of the resolver dropped")
        check(dropped > 0 and passed <= most, "what is left of the flood",
              f"{flood}; in {took:.1f} s {dropped} dropped, {passed} passed, at most {most:.0f}")


if __name__ == "__main__":
    run_tests(__name__)
