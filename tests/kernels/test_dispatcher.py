# SPDX-License-Identifier: GPL-2.0-only
"""weir under libxdp's dispatcher, beside another program: each works while the other comes and
goes. The kernel must know BPF programs of type ext."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from stage import (BUILD, NEAR4, Receiver, arrived, check, demand, pins, run,  # noqa: E402
                   run_tests, skip)

COMPANION = BUILD / "tests/system/companion.bpf.o"
COMPANIONS_PORT = 7777      # that the companion drops
LIMIT, SENT = 10, 60        # packets that a source may send, and that it sends


def dispatcher_works(lab):
    """Whether this kernel has dispatchers, tried with the companion's own loader."""
    done = lab.near.run("xdp-loader", "load", "-m", "native", "near0", COMPANION, COMPANION,
                        expect=None)
    lab.near.run("xdp-loader", "unload", "near0", "--all", expect=None)
    if done.status:
        skip("beside another program", f"this kernel has no dispatcher: {done.err.strip()[-100:]}")
    return done.status == 0


def programs(lab):
    """Names of what runs on the interface, in its order."""
    rows = lab.near.run("xdp-loader", "status", "near0").out.splitlines()
    return [row.split()[2] for row in rows if row.strip().startswith("=>")]


def load_companion(lab):
    lab.near.run("xdp-loader", "load", "-m", "native", "near0", COMPANION)


def unload_companion(lab):
    rows = lab.near.run("xdp-loader", "status", "near0").out.splitlines()
    number = [row.split()[3] for row in rows if " companion " in row][0]
    lab.near.run("xdp-loader", "unload", "near0", "--id", number)


def set_limit(lab):
    """A source that has used it up stays over it for as long as the test takes."""
    lab.weir("limit", "set", "rate", "1/h", "burst", LIMIT)


def check_both(lab, what, expected, weir=True, companion=True):
    """That both act on real packets. The limit was not used up before."""
    names = programs(lab)
    check(sorted(names) == sorted(expected), f"{what}: on the interface", ", ".join(names) or "none")
    if not companion:   # so that none of its packets falls to the limit
        lab.weir("limit", "flush")
    dropped = arrived(lab, 5, COMPANIONS_PORT)
    if not companion:
        set_limit(lab)
    check((dropped == 0) == companion, f"{what}: the other program "
          f"{'works' if companion else 'is gone'}", f"{dropped} of 5 arrived")
    if weir:
        passed, stats = arrived(lab, SENT), lab.stats()
        check(passed <= LIMIT and stats["rate-limit"] > 0, f"{what}: weir works",
              f"{passed} of {SENT} arrived, {stats['rate-limit']} dropped")
    else:
        passed = arrived(lab, SENT)
        check(passed == SENT, f"{what}: weir is gone", f"{passed} of {SENT} arrived")


def test_beside_a_program_that_was_there(lab):
    lab.up()
    if not dispatcher_works(lab):
        return
    load_companion(lab)
    done = lab.weir("attach", "dev", "near0")
    status = lab.read("show", "status")["devices"]
    check("with other programs" in done.err and [each["attached"] for each in status] == [True],
          "attach says that it is not alone", done.err.strip().splitlines()[0])
    set_limit(lab)
    check_both(lab, "the other was first", ["weir_ingress", "companion"])
    check(programs(lab)[0] == "weir_ingress", "weir goes first", " before ".join(programs(lab)))
    lab.weir("detach", "dev", "near0", "keep")
    check_both(lab, "weir has left", ["companion"], weir=False)
    lab.weir("detach", "all")
    check(not [pin for pin in pins() if "/weir/" in pin], "nothing of weir's stays pinned", "none")


def test_beside_a_program_that_comes_later(lab):
    lab.up()
    if not dispatcher_works(lab):
        return
    lab.weir("attach", "dev", "near0")
    check(programs(lab) == ["weir_ingress"], "alone in the dispatcher", ", ".join(programs(lab)))
    load_companion(lab)
    set_limit(lab)
    check_both(lab, "the other came later", ["weir_ingress", "companion"])
    unload_companion(lab)
    check_both(lab, "the other has left", ["weir_ingress"], companion=False)
    lab.weir("detach", "all")
    check(not programs(lab) and not pins(), "the last one leaves nothing behind",
          f"{len(programs(lab))} programs, {len(pins())} pins")


def test_upgrade_in_place(lab):
    """A new program takes over under the dispatcher: counters, debts and company stay."""
    lab.up()
    if not dispatcher_works(lab):
        return
    load_companion(lab)
    lab.weir("attach", "dev", "near0")
    set_limit(lab)
    arrived(lab, SENT)
    before, first = lab.stats(), lab.read("show", "status")["devices"]
    done = lab.weir("attach", "dev", "near0")
    after = lab.stats()
    check("without a gap" in done.err, "the command reports the swap", done.err.strip())
    check(after.packets >= before.packets > LIMIT, "counters are kept",
          f"{before.packets} before, {after.packets} after")
    passed = arrived(lab, SENT)
    check(passed == 0, "what is owed stays owed", f"{passed} of {SENT} arrived")
    check_both(lab, "upgraded", ["weir_ingress", "companion"])
    demand(len(first) == 1, "one device before")
    devices = lab.read("show", "status")["devices"]
    check(len(devices) == 1 and devices[0]["attached"], "one device, attached", len(devices))


def test_upgrade_under_traffic(lab):
    """Not one packet over the limit passes while programs are swapped."""
    lab.up()
    if not dispatcher_works(lab):
        return
    load_companion(lab)
    lab.weir("limit", "set", "rate", "1/h", "burst", LIMIT)
    lab.weir("attach", "dev", "near0")
    receiver = Receiver(lab.near)
    flood = lab.start_flood("to", NEAR4, "from", "198.51.100.7/32", "pps", 500, "seconds", 60)
    swaps = 5
    for _ in range(swaps):
        time.sleep(0.3)
        lab.weir("-q", "attach", "dev", "near0")
    time.sleep(0.3)
    flood.stop()
    passed, stats = len(receiver.stop()), lab.stats()
    check(passed == LIMIT and flood.packets > 20 * LIMIT,
          "not one packet too many over all swaps under the dispatcher",
          f"{passed} of {flood.packets} passed, {swaps} swaps")
    check(stats.packets >= flood.packets - lab.lost(), "every packet was counted",
          f"{stats.packets} counted, {flood.packets} sent, {lab.lost()} lost before")


def test_monitor_mode(lab):
    lab.up()
    if not dispatcher_works(lab):
        return
    load_companion(lab)
    lab.weir("attach", "dev", "near0", "monitor")
    set_limit(lab)
    passed, dropped, stats = arrived(lab, SENT), arrived(lab, 5, COMPANIONS_PORT), lab.stats()
    over = stats.reasons["rate-limit"]
    check(passed == SENT and over["monitored"] == over["packets"] == SENT + 5 - LIMIT,
          "monitor mode drops nothing and counts it", f"{passed} of {SENT} passed, "
          f"{over['monitored']} of {over['packets']} counted as monitored")
    check(dropped == 0, "what weir lets through goes on to the other program",
          f"{dropped} of 5 arrived")


def test_ping(lab):
    """Real ICMP through both programs, limited by its own class."""
    lab.up()
    if not dispatcher_works(lab):
        return
    load_companion(lab)
    lab.weir("attach", "dev", "near0")
    free = lab.far.run("ping", "-c", 5, "-i", "0.05", "-W", 1, NEAR4, expect=None)
    lab.weir("limit", "set", "icmp", "rate", "1/h", "burst", 2)
    held = lab.far.run("ping", "-c", 6, "-i", "0.05", "-W", 1, NEAR4, expect=None)
    check(" 5 received" in free.out and " 2 received" in held.out, "ping",
          f"{free.out.splitlines()[-2]}; limited to 2: {held.out.splitlines()[-2]}"
          if len(held.out.splitlines()) > 2 else held)


if __name__ == "__main__":
    if run("sh", "-c", "command -v xdp-loader", expect=None).status:
        skip("beside another program", "xdp-loader is not installed (scripts/setup kernels)")
        sys.exit(0)
    run_tests(__name__)
