# SPDX-License-Identifier: GPL-2.0-only
"""weir doctor: what it finds is provoked on a veth, and is gone when its remedy was typed."""
import json

import daemon
import test_losses as losses
from stage import BUILD, WEIR, check, demand, run_tests, wait_for

STRANGER = BUILD / "tests/system/stranger.bpf.o"


def examine(lab, *words):
    """The findings by what was looked at, the worst first, and the exit status."""
    done = lab.weir("-j", "doctor", *words, expect=None)
    demand(done.status in (0, 1), str(done))
    value = json.loads(done.out)
    demand((value["worst"] == "bad") == bool(done.status), f"{value['worst']}: status {done.status}")
    findings = {}
    for each in value["findings"]:
        findings.setdefault(each["check"], []).append(each)
    return findings


def finding(findings, what, text=""):
    """The first finding about @what that is not in order; None where there is none."""
    return next((each for each in findings.get(what, ())
                 if each["level"] != "ok" and text in each["text"]), None)


def mends(lab, what, level, text="", remedy=None):
    """It is found, and the command that it names ends it."""
    found = finding(examine(lab), what, text)
    if not check(found and found["level"] == level, f"{what}: found", found):
        return
    command = remedy or found["remedy"]
    if command.startswith("weir "):
        command = command.replace("weir", str(WEIR))
    lab.near.run("sh", "-c", command)
    after = finding(examine(lab), what, text)
    check(not after, f"{what}: `{found['remedy']}` mends it", after or "in order")


def prepared(lab, *words):
    lab.weir("limit", "set", "rate", "1000pps")
    lab.attach(*words)


def test_before(lab):
    """Where weir is not in use: nothing is bad, and it says how to begin."""
    lab.up()
    findings = examine(lab, "dev", lab.near_dev)
    attached = finding(findings, "attached")
    check(attached and attached["remedy"] == f"weir attach dev {lab.near_dev} monitor",
          "weir doctor where weir is not in use", attached)
    driver = findings["driver"][0]
    check("veth" in driver["text"], "the driver", driver["text"])
    lab.weir("doctor", "dev", "nosuch0", expect=1)


def test_clean(lab):
    """Of the interface itself nothing is bad or to be warned of, but its queues where CPUs have none."""
    prepared(lab)
    findings = examine(lab)
    loud = [each for list_ in findings.values() for each in list_
            if each["subject"] == lab.near_dev and each["level"] in ("warn", "bad") and
            each["check"] != "queues"]
    check(not loud and findings["attached"][0]["level"] == "ok", "an interface in order",
          loud or findings["attached"][0]["text"])
    ring = findings["ring"][0]
    check("does not tell" in ring["text"], "a driver that does not answer", ring["text"])
    text = lab.weir("doctor", expect=None).out
    check(all(len(line) <= 80 or "/" in line for line in text.splitlines()) and
          " in order" in text.splitlines()[-1], "as text", text.splitlines()[-1])


def test_mends(lab):
    """Each remedy, typed as it stands."""
    prepared(lab, "mode", "skb", "monitor")
    for dev, namespace in ((lab.near_dev, lab.near), (lab.far_dev, lab.far)):
        namespace.run("ip", "link", "set", "dev", dev, "mtu", "9000")
    mends(lab, "mtu", "warn", "9000")
    lab.far.run("ip", "link", "set", "dev", lab.far_dev, "mtu", "1500")
    lab.near.run("ethtool", "-K", lab.near_dev, "gro", "off")
    mends(lab, "gro", "note")
    lab.near.set("ipv4/tcp_syncookies", 0)
    mends(lab, "sysctl", "warn", "tcp_syncookies")
    lab.near.set("core/somaxconn", 100)
    mends(lab, "sysctl", "note", "somaxconn")
    lab.near.run("ip", "link", "set", "dev", lab.near_dev, "down")
    mends(lab, "link", "warn")
    told = "does not tell" not in examine(lab)["driver"][0]["text"]     # Linux 6.3 and later
    mends(lab, "driver", "warn" if told else "note", "skb mode", f"{WEIR} detach dev {lab.near_dev} keep && "
          f"{WEIR} attach dev {lab.near_dev} mode native monitor")
    mends(lab, "attached", "warn", "monitor", f"{WEIR} attach dev {lab.near_dev} force")


def test_settings(lab):
    lab.attach("force")
    mends(lab, "settings", "warn", "everything passes")
    found = finding(examine(lab), "daemon")
    check(found and "never ran" in found["text"], "no daemon", found)
    running = daemon.Daemon(lab, "judge")
    check(wait_for(lambda: "judge" in (finding(examine(lab), "daemon") or {"text": ""})["text"]),
          "the daemon judges only", finding(examine(lab), "daemon"))
    running.stop()


def test_cookies(lab):
    """SYN rules without the kernel's cookies turn all new clients away: that is bad."""
    lab.weir("syn", "protect", "dport", "80", "force", "set-sysctl")
    prepared(lab)
    lab.near.set("ipv4/tcp_syncookies", 0)
    mends(lab, "sysctl", "bad", "tcp_syncookies")


def test_program_gone(lab):
    prepared(lab)
    lab.near.run("ip", "link", "set", "dev", lab.near_dev, "xdp", "off")
    mends(lab, "attached", "bad", "not there", f"{WEIR} attach dev {lab.near_dev} force")


def test_stranger(lab):
    """A program that has the hook for itself."""
    lab.up()
    lab.near.run("ip", "link", "set", "dev", lab.near_dev, "xdp", "object", STRANGER, "section",
                 "xdp")
    found = finding(examine(lab, lab.near_dev), "attached")
    check(found and found["remedy"] == f"ip link set dev {lab.near_dev} xdp off",
          "a program of somebody else", found)
    lab.near.run("sh", "-c", found["remedy"])
    check(not finding(examine(lab, lab.near_dev), "attached", "has the interface"),
          "its remedy", lab.prog_id())


def test_losses(lab):
    """Packets that the ring lost are bad, and the exit status says so."""
    prepared(lab, "monitor")
    losses.slow_ring(lab)
    losses.overrun(lab)
    found = finding(examine(lab), "lost")
    check(found and found["level"] == "bad" and "rx_dropped" in found["text"],
          "packets that the ring lost", found)
    status = lab.weir("doctor", expect=None).status
    check(status == 1, "and the exit status", status)


if __name__ == "__main__":
    run_tests(__name__)
