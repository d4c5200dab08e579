#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Records of incidents over kills of the daemon, a full disk, and limits of what is kept."""
import json
import os
import signal
import time

from daemon import start_flood
from incidents import FOLDER, agrees, begins, ends, incidents, set_limits, states, turned_away, watch
from stage import check, run, run_tests, wait_for


def test_killed(lab):
    """A daemon that is killed in the middle goes on with the same incident."""
    set_limits(lab)
    daemon = watch(lab, mode="enforce")
    flood = start_flood(lab, pps=10000, seconds=30)
    begins(lab)
    time.sleep(6)
    daemon.stop(signal.SIGKILL)
    half = FOLDER / "9.json.new"
    half.write_text('{"version": 1, "num')
    check(states(lab) == ["goes on"], "after kill -9 it is in its file", incidents(lab))
    time.sleep(3)
    daemon.start()
    time.sleep(3)
    flood.stop()
    ends(lab)
    record, counted = incidents(lab)[0], turned_away(lab)
    check(len(incidents(lab)) == 1 and daemon.says("incident 1 goes on"), "it goes on after the restart",
          daemon.says("incident"))
    check(agrees(record["turned_away_packets"], counted) and
          abs(record["lasted_ms"] / 1000 - flood.seconds) < 3,
          "nothing of it is lost, not even while no daemon ran",
          f"{record['turned_away_packets']} of {counted}, {record['lasted_ms']} ms of {flood.seconds:.1f} s")
    record = lab.read("incidents", 1)
    check(record["sources_banned"] == 1 and record["banned"] == ["198.51.100.7/32"],
          "and what was done is in it", f"{record['sources_banned']} bans, {record['banned']}")
    check(not half.exists(), "what was half written is removed", list(FOLDER.iterdir()))


def test_killed_for_good(lab):
    """The maps are gone when the daemon starts again, as after a reboot."""
    set_limits(lab)
    daemon = watch(lab)
    flood = start_flood(lab, pps=10000, seconds=30)
    begins(lab)
    time.sleep(2)
    daemon.stop(signal.SIGKILL)
    flood.stop()
    lab.weir("detach", "all")
    daemon.start()
    wait_for(lambda: states(lab) == ["cut off"], 5)
    check(states(lab) == ["cut off"], "an incident of maps that are gone is cut off", incidents(lab))
    check("not seen" in lab.weir("incidents", 1).out, "and the text says so",
          lab.weir("incidents", 1).out.splitlines()[3])


def make_records(count, template, ended):
    """Copies of a record, as if there had been more floods."""
    for number in range(2, count + 1):
        record = {**template, "number": number, "end": ended(number)}
        path = FOLDER / f"{number}.json"
        path.write_text(json.dumps(record))
        path.chmod(0o600)


def test_retention(lab):
    set_limits(lab)
    daemon = watch(lab)
    start_flood(lab, pps=10000, seconds=4).wait()
    begins(lab)
    ends(lab)
    daemon.stop()
    template = json.loads((FOLDER / "1.json").read_text())
    small = {**template, "counted": {**template["counted"], "reasons":
                                     [{"reason": "rate-limit", "packets": 5000, "bytes": 300000,
                                       "let_through": 0}]}}
    now = int(time.time())
    make_records(30, small, lambda number: now - 60)
    (FOLDER / "12.json").write_text("{ damaged")
    daemon = watch(lab, keep=10)
    wait_for(lambda: len(list(FOLDER.glob("[1-9]*.json"))) <= 11, 10)
    left = sorted(each["number"] for each in incidents(lab))
    check(len(left) == 10 and 1 in left and left[-5:] == [26, 27, 28, 29, 30],
          "of too many, many small ones do not displace a large one", left)
    check(daemon.says("12.json:1: not the record") and (FOLDER / "12.json").read_text() == "{ damaged",
          "a damaged one is named and left alone", daemon.says("12.json"))
    done = lab.weir("incidents")
    check("12.json" in done.err and len(done.out.splitlines()) == 11, "the others are shown", done.err)
    (FOLDER / "12.json").unlink()
    daemon.stop()
    make_records(29, small, lambda number: now - 90000)
    daemon = watch(lab, age="1h")
    time.sleep(3)
    check(len(incidents(lab)) == 30, "a first look at their ages removes nothing: the clock may be wrong",
          f"{len(incidents(lab))} left")
    daemon.stop()
    daemon = watch(lab, age="24s")
    wait_for(lambda: len(incidents(lab)) <= 1, 10)
    check(len(incidents(lab)) <= 1, "those that are too old go", f"{len(incidents(lab))} left")
    daemon.stop()
    flood = start_flood(lab, pps=10000, seconds=20)
    daemon = watch(lab)
    wait_for(lambda: any(each["state"] == "goes on" for each in incidents(lab)), 8)
    flood.stop()
    check(incidents(lab)[-1]["number"] == 31, "a number is not used twice", incidents(lab)[-1]["number"])


def test_disk_full(lab):
    """Records wait in memory until there is room."""
    set_limits(lab)
    FOLDER.mkdir(mode=0o700)
    run("mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", FOLDER)
    try:
        daemon = watch(lab)
        filler = FOLDER / "filler"
        try:
            filler.write_bytes(b"x" * (1 << 20))
        except OSError:
            pass
        start_flood(lab, pps=10000, seconds=5).wait()
        wait_for(lambda: daemon.says("incident 1 ended"), 20)
        counted, lines = turned_away(lab), daemon.says("No space left")
        check(len(lines) == 1 and "stays in memory" in lines[0] and not daemon.ended(),
              "a full disk is reported once", lines)
        check(not incidents(lab) and not list(FOLDER.glob("*.new")), "nothing half is left",
              os.listdir(FOLDER))
        filler.unlink()
        ends(lab, seconds=10)
        record = incidents(lab)[0]
        check(agrees(record["turned_away_packets"], counted), "written when there is room",
              f"{record['turned_away_packets']} of {counted}")
        daemon.stop()
    finally:
        run("umount", FOLDER)


if __name__ == "__main__":
    run_tests(__name__)
