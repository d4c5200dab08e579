# SPDX-License-Identifier: GPL-2.0-only
"""Attaching, swapping and detaching: what it does to the interface, and what it leaves behind."""
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import time

from stage import (BPFFS, BUILD, NEAR4, PINS, WEIR, Receiver, arrived, bpffs_is_mounted, check,
                   demand, pins, run, run_tests, send_udp, skip, unmount_bpffs, wait_for)

def check_refused(what, done, *words):
    """Exit status 1, and a message that has @words in it."""
    missing = [word for word in words if word not in done.err]
    check(done.status == 1 and not missing, what, f"{done}{'; lacks ' if missing else ''}"
          f"{' and '.join(missing)}")


def check_no_pins(what, orphans=None):
    """@orphans: a folder of pins that are not weir's to remove."""
    left = [pin for pin in pins() if not orphans or not pin.startswith(f"{orphans}/")]
    check(not left and not PINS.exists(), f"{what}: nothing stays pinned", left or "no pins")


def test_attach_twice(lab):
    lab.attach()
    first, passed = lab.prog_id(), arrived(lab)
    before = lab.stats()
    done = lab.weir("attach", "dev", "near0", expect=None)
    after = lab.stats()
    check(done.status == 0 and lab.prog_id() != first, "the second attach swaps the program",
          f"status {done.status}, program {first} became {lab.prog_id()}")
    check(after.packets >= before.packets > passed, "counters are kept",
          f"{before.packets} before, {after.packets} after")
    check("without a gap" in done.err, "the command reports the swap", done.err.strip())
    lab.weir("attach", "dev", "near0", "monitor")
    monitored = lab.stats().device["monitor"]
    lab.weir("attach", "dev", "near0")
    check(monitored and not lab.stats().device["monitor"], "monitor goes on and off by a swap",
          "true, then false")


def test_detach_twice(lab):
    lab.attach()
    lab.weir("limit", "set", "rate", "1000pps")
    program = json.loads(run("bpftool", "-j", "prog", "show", "id", lab.prog_id()).out)
    lab.weir("detach", "dev", "near0")
    check(lab.prog_id() is None, "detached", "no program on near0")
    check_no_pins("detached")
    gone = wait_for(lambda: run("bpftool", "prog", "show", "id", program["id"],
                                expect=None).status != 0)
    left = [number for number in program["map_ids"] if not wait_for(
        lambda: run("bpftool", "map", "show", "id", number, expect=None).status != 0)]
    check(gone and not left, "no program and no map is left",
          f"program {program['id']} gone, {len(left)} of {len(program['map_ids'])} maps left")
    check_refused("the second detach fails", lab.weir("detach", "dev", "near0", expect=None),
                  "not in use")


def test_detach_of_what_is_not_attached(lab):
    lab.attach()
    done = lab.weir("detach", "dev", "lo", expect=None)
    check_refused("detach of an interface without weir", done, "lo", "not attached")
    check(lab.prog_id() is not None, "the other interface keeps its program",
          f"program {lab.prog_id()}")


def test_no_such_interface(lab):
    done = lab.weir("attach", "dev", "nosuch0", expect=None)
    check_refused("attach to no interface", done, "nosuch0")
    check_no_pins("attach to no interface")


def test_without_root(lab):
    """As user 65534, who may run this copy of weir."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        weir = shutil.copy(WEIR, folder)
        unprivileged = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", weir)
        done = lab.near.run(*unprivileged, "attach", "dev", "near0", expect=None)
        check_refused("attach without root", done, "root")
        check_no_pins("attach without root")
        lab.attach()
        for words in (("limit", "set", "rate", "10pps"), ("show", "stats"),
                      ("detach", "dev", "near0"), ("attach", "dev", "near0")):
            done = lab.near.run(*unprivileged, *words, expect=None)
            check_refused(f"{' '.join(words)} without root", done, "root")
    check(lab.prog_id() and lab.read("limit", "show") == {"limits": []}, "nothing has changed",
          f"program {lab.prog_id()}, no limits")


def test_without_root_where_bpffs_is_open(lab):
    """A folder that an unprivileged user made must not be in the way of root."""
    unmount_bpffs()
    run("mount", "-t", "bpf", "-o", "mode=1777", "bpf", BPFFS)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        weir = shutil.copy(WEIR, folder)
        for words in (("attach", "dev", "near0"), ("limit", "set", "rate", "10pps")):
            done = lab.near.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", weir,
                                *words, expect=None)
            check_refused(f"{words[0]} without root where bpffs is open to all", done, "root")
    check_no_pins("without root where bpffs is open to all")
    lab.attach()


def test_without_bpffs(lab):
    """In a mount namespace of a command's own, pins would end with the command."""
    unmount_bpffs()
    for words in (("attach", "dev", "near0"), ("limit", "set", "rate", "10pps"),
                  ("show", "status"), ("detach", "all")):
        done = lab.weir(*words, expect=None)
        check_refused(f"{' '.join(words)} without bpffs", done, str(BPFFS), "nsenter")
    check(not bpffs_is_mounted() and not os.listdir(BPFFS) and lab.prog_id() is None,
          "without bpffs nothing is mounted, pinned or attached", "nothing")


def test_mounts_bpffs(lab):
    """Where it is not a namespace of the command's own: here process 1 shares it."""
    script = f"""
        set -e
        umount {BPFFS}
        {WEIR} -q attach dev near0
        {WEIR} -q limit set rate 10pps
        grep -c '^[^ ]* {BPFFS} bpf ' /proc/mounts
        ls {PINS} | grep -cx meta
        {WEIR} -q detach all
        ls {BPFFS} | grep -cx weir || true
    """
    done = lab.near.run("unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", script,
                        expect=None)
    check(done.status == 0 and done.out.split() == ["1", "1", "0"],
          "attach mounts bpffs where it is missing",
          f"status {done.status}, mounts, pins, pins after: {done.out.split()} {done.err.strip()}")


def load_stranger(lab, mode):
    program = BUILD / "tests/system/stranger.bpf.o"
    lab.near.run("ip", "link", "set", "dev", "near0", mode, "object", program, "section", "xdp")
    return lab.prog_id()


def check_stranger_stays(lab, mode):
    stranger = load_stranger(lab, mode)
    before = arrived(lab)
    for words in ((), ("mode", "native"), ("mode", "skb")):
        done = lab.weir("attach", "dev", "near0", *words, expect=None)
        check_refused(f"a stranger in {mode}: attach {' '.join(words)}", done, "near0", "stranger")
    check(lab.prog_id() == stranger and before == 0 == arrived(lab),
          f"a stranger in {mode} stays and works",
          f"program {stranger} before, {lab.prog_id()} after; drops all before and after")
    check_no_pins(f"a stranger in {mode}")
    lab.near.run("ip", "link", "set", "dev", "near0", mode, "off")


def test_stranger(lab):
    lab.up()
    check_stranger_stays(lab, "xdpdrv")
    check_stranger_stays(lab, "xdpgeneric")


def test_stranger_in_our_place(lab):
    """Another program took weir's place by force: status says so, weir does not displace it, and
    detach leaves it there."""
    lab.attach()
    lab.near.run("ip", "link", "set", "dev", "near0", "xdpdrv", "off")
    lab.watched = None
    stranger = load_stranger(lab, "xdpdrv")
    status = lab.read("show", "status")["devices"]
    check([device["attached"] for device in status] == [False], "status tells that weir is off",
          status)
    done = lab.weir("attach", "dev", "near0", expect=None)
    check_refused("attach does not displace the program that took the place", done, "stranger")
    done = lab.weir("detach", "dev", "near0", expect=None)
    check(done.status == 0 and lab.prog_id() == stranger, "detach leaves the stranger alone",
          f"{done}, program {lab.prog_id()}")
    # A dispatcher that is taken off by hand leaves libxdp's pins behind.
    check_no_pins("detach of what was removed by hand", orphans=BPFFS / "xdp")


def xdp_mode(lab, dev="near0"):
    return {1: "native", 2: "skb"}.get(lab.near.link(dev).get("xdp", {}).get("mode"), "none")


def test_mode_skb(lab):
    lab.attach("mode", "skb")
    lab.weir("limit", "set", "rate", "1/min", "burst", 10)
    through = arrived(lab, 100)
    stats = lab.stats()
    check(xdp_mode(lab) == stats.device["mode"] == "skb", "attached in skb mode",
          f"the kernel says {xdp_mode(lab)}, weir {stats.device['mode']}")
    check(through == 10 and stats["rate-limit"] == 90, "skb mode limits",
          f"{through} of 100 arrived, {stats['rate-limit']} dropped")
    done = lab.weir("attach", "dev", "near0", "mode", "native", expect=None)
    check_refused("a change of the mode is refused", done, "near0", "skb", "detach")
    first = lab.prog_id()
    done = lab.weir("attach", "dev", "near0", expect=None)
    check(done.status == 0 and lab.prog_id() != first and xdp_mode(lab) == "skb",
          "a swap keeps the mode", f"{done.status}, {xdp_mode(lab)}")


def devices_without_native(lab):
    """lo is everywhere; the others where the kernel has them."""
    lab.near.run("ip", "link", "set", "lo", "up")
    yield "lo"
    for kind, words in (("ifb", ()), ("bridge", ()), ("macvlan", ("link", "near0"))):
        done = lab.near.run("ip", "link", "add", *words, "name", f"{kind}0", "type", kind,
                            expect=None)
        if done.status == 0:
            yield f"{kind}0"
        else:
            skip(f"attach to {kind}", "this kernel has none")


def test_falls_back_to_skb(lab):
    lab.up()
    for dev in devices_without_native(lab):
        done = lab.weir("attach", "dev", dev, "mode", "native", expect=None)
        check_refused(f"{dev}: no native mode", done, dev, "native")
        check_no_pins(f"{dev}: no native mode")
        done = lab.weir("attach", "dev", dev, expect=None)
        mode = xdp_mode(lab, dev)
        check(done.status == 0 and mode == "skb" and f"{dev}: no native XDP" in done.err,
              f"{dev}: falls back to skb mode and says so", f"{mode}; {done}")
        lab.weir("detach", "dev", dev)


def test_limits_on_lo(lab):
    lab.up()
    lab.weir("limit", "set", "rate", "1/min", "burst", 10)
    lab.weir("attach", "dev", "lo")
    receiver = Receiver(lab.near)
    send_udp(lab.near, NEAR4, NEAR4, 100)
    through, stats = len(receiver.stop()), lab.stats("lo")
    check(through == 10 and stats["rate-limit"] == 90, "limits in the mode that it fell back to",
          f"{through} of 100 arrived, {stats['rate-limit']} dropped")


def test_interface_removed(lab):
    lab.attach()
    lab.weir("limit", "set", "rate", "1000pps")
    lab.near.run("ip", "link", "del", "near0")
    lab.watched = None
    status = lab.read("show", "status")["devices"]
    text = lab.weir("show", "status").out
    check([device["attached"] for device in status] == [False] and "NOT attached" in text,
          "status tells that the interface is gone", text.splitlines()[0])
    done = lab.weir("detach", "dev", "near0", "keep", expect=None)
    check(done.status == 0 and not lab.read("show", "status")["devices"], "detach forgets it", done)
    lab.join()
    lab.attach()
    through = arrived(lab)
    check(lab.prog_id() and through == 20, "attach to a new one",
          f"program {lab.prog_id()}, {through} of 20 arrived")


def test_interface_replaced(lab):
    """Under the same name, without a detach between."""
    lab.attach()
    arrived(lab)
    lab.near.run("ip", "link", "del", "near0")
    lab.join()
    lab.attach()
    devices = lab.read("show", "stats")["devices"]
    check(len(devices) == 1 and devices[0]["packets"] == 0 and lab.prog_id(),
          "a new interface of the name takes the place of the old, counters at zero",
          f"{len(devices)} device, {devices[0]['packets']} packets, program {lab.prog_id()}")


def test_interface_renamed(lab):
    """weir knows an interface by its number, so it stays on one whose name changes."""
    lab.attach()
    arrived(lab)
    before = lab.stats().packets
    lab.near.run("ip", "link", "set", "near0", "down")
    lab.near.run("ip", "link", "set", "near0", "name", "lan0")
    lab.near.run("ip", "link", "set", "lan0", "up")
    lab.watched = None
    shown = [device["dev"] for device in lab.read("show", "status")["devices"]]
    check(shown == ["lan0"], "status has the new name", ", ".join(shown))
    done = lab.weir("attach", "dev", "lan0", expect=None)
    devices = lab.read("show", "stats")["devices"]
    check(done.status == 0 and len(devices) == 1 and devices[0]["packets"] >= before,
          "attach under the new name is a swap, counters kept",
          f"{before} packets before, {[(device['dev'], device['packets']) for device in devices]}")
    done = lab.weir("detach", "dev", "lan0", expect=None)
    check(done.status == 0 and lab.prog_id("lan0") is None, "detach by the new name", done)
    check_no_pins("detach by the new name")


def test_swap_under_a_flood(lab):
    """Each swap exchanges one program for the next: no packet meets none, none starts afresh."""
    rate, burst, swaps = 100, 50, 20
    lab.weir("limit", "set", "rate", f"{rate}pps", "burst", burst)
    lab.attach()
    receiver = Receiver(lab.near)
    flood = lab.start_flood("to", NEAR4, "from", "198.51.100.7/32", "pps", 50000, "seconds", 60)
    counts, programs = [], set()
    for _ in range(swaps):
        time.sleep(0.2)
        lab.weir("-q", "attach", "dev", "near0")
        counts.append(lab.stats().packets)
        programs.add(lab.prog_id())
    flood.stop()
    times, stats, lost = receiver.stop(), lab.stats(), lab.lost()
    seconds = max(flood.seconds, times[-1] - times[0])
    most = burst + rate * seconds + 1
    check(len(programs) == swaps, "swaps under a flood", f"{len(programs)} programs, {flood}")
    check(burst <= len(times) <= most, "not one packet more than the limit over all swaps",
          f"{len(times)} arrived of at most {most:.1f} in {seconds:.3f} s")
    check(len(times) == stats["under-limit"], "not one packet passed uncounted",
          f"{len(times)} arrived, {stats['under-limit']} counted")
    check(counts == sorted(counts) and stats.packets == flood.packets - lost,
          "counters go on over all swaps",
          f"{counts[0]} to {stats.packets}, {flood.packets} sent, {lost} lost before")


def readlink(path):
    try:
        return os.readlink(path)
    except OSError:     # it ended meanwhile, or is none of ours
        return None


def test_goes_on_alone(lab):
    """No process of weir's is left, and the limit works."""
    lab.attach()
    lab.weir("limit", "set", "rate", "1/min", "burst", 10)
    ours = [path for path in pathlib.Path("/proc").glob("[0-9]*")
            if readlink(path / "ns/mnt") == readlink("/proc/self/ns/mnt")]
    running = [path for path in ours if readlink(path / "exe") == str(WEIR.resolve())]
    through = arrived(lab, 100)
    check(through == 10 and not running, "the limit works with no process left",
          f"{through} of 100 arrived, {len(running)} processes")


def test_detach_keep(lab):
    lab.attach()
    lab.weir("limit", "set", "from", "203.0.113.0/24", "rate", "1000pps")
    lab.weir("limit", "set", "rate", "1/min", "burst", 10)
    before = lab.read("limit", "show")
    lab.weir("detach", "all", "keep")
    check(lab.prog_id() is None and lab.read("limit", "show") == before,
          "detach all keep keeps the limits", f"{len(before['limits'])} limits, no program")
    check(arrived(lab) == 20, "detached, all passes", "20 of 20")
    lab.weir("attach", "dev", "near0")
    through = arrived(lab, 100)
    check(through == 10, "attached again, the limits work", f"{through} of 100 arrived")
    lab.weir("detach", "dev", "near0", "keep")
    done = lab.weir("detach", "all", expect=None)
    check(done.status == 0, "detach all with nothing attached", done)
    check_no_pins("detach all without keep")


def test_two_interfaces(lab):
    lab.attach()
    lab.weir("limit", "set", "rate", "1000pps")
    lab.weir("attach", "dev", "lo")
    devices = [device["dev"] for device in lab.read("show", "status")["devices"]]
    check(sorted(devices) == ["lo", "near0"], "two interfaces", ", ".join(devices))
    lab.weir("detach", "dev", "lo")
    check(lab.prog_id() and len(lab.read("limit", "show")["limits"]) == 1,
          "detach of one leaves the other and the limits", f"program {lab.prog_id()} on near0")
    lab.weir("attach", "dev", "lo")
    lab.weir("detach", "all")
    check(lab.prog_id() is None and lab.prog_id("lo") is None, "detach all", "no program on either")
    check_no_pins("detach all")


def test_two_namespaces(lab):
    """The pins are shared by all network namespaces, interfaces are not."""
    lab.attach()
    lab.weir("attach", "dev", "far0", namespace=lab.far)
    status = {device["dev"]: device["attached"] for device in lab.read("show", "status")["devices"]}
    check(status == {"near0": True, "far0": True}, "status tells of both namespaces", status)
    done = lab.weir("detach", "dev", "near0", namespace=lab.far, expect=None)
    check_refused("detach from the wrong namespace", done, "near0")
    done = lab.weir("detach", "all", namespace=lab.far, expect=None)
    check_refused("detach all tells what it could not reach", done, "near0", "nsenter")
    devices = [device["dev"] for device in lab.read("show", "status")["devices"]]
    check(devices == ["near0"] and lab.prog_id(), "the one out of reach goes on",
          f"{', '.join(devices)}, program {lab.prog_id()}")


KERNEL_SAYS = "Cannot attach when an upper device already has a program"


def make_stack(lab, kind):
    """Makes a device above another one. Returns upper and lower; None: this kernel cannot."""
    if kind == "macvlan":
        words = ("link", "near0", "name", "mv0", "type", "macvlan")
    elif kind == "vlan":
        words = ("link", "near0", "name", "mv0", "type", "vlan", "id", "7")
    else:
        words = ("name", "mv0", "type", kind)
    if lab.near.run("ip", "link", "add", *words, expect=None).status:
        skip(f"weir below and upon a {kind}", "this kernel has no such devices")
        return None
    if kind == "bridge":
        lab.near.run("ip", "link", "set", "near0", "master", "mv0")
    lab.near.run("ip", "link", "set", "mv0", "up")
    return "mv0", "near0"


def test_devices_upon_each_other(lab):
    """A second weir directly above or below is refused, so that the first one stays movable."""
    lab.up()
    for kind in ("macvlan", "vlan", "bridge"):
        devices = make_stack(lab, kind)
        if not devices:
            continue
        upper, lower = devices
        for first, second in ((lower, upper), (upper, lower)):
            lab.weir("attach", "dev", first)
            check_refused(f"{kind}: {second} after {first}",
                          lab.weir("attach", "dev", second, expect=None), second, f"weir is on {first}",
                          f"weir detach dev {first} keep")
            done = lab.weir("attach", "dev", first, expect=None)
            check(done.status == 0 and "without a gap" in done.err, f"{kind}: {first} is swapped", done)
            done = lab.weir("detach", "dev", first, expect=None)
            check(done.status == 0, f"{kind}: {first} is detached", done)
            check_no_pins(kind)
        lab.near.run("ip", "link", "del", upper)


def test_bridge_made_later(lab):
    """Two interfaces with weir become a bridge and its port. The kernel says what is in the way."""
    lab.up()
    devices = make_stack(lab, "bridge")
    if not devices:
        return
    upper, lower = devices
    lab.near.run("ip", "link", "set", lower, "nomaster")
    lab.weir("attach", "dev", lower)
    lab.weir("attach", "dev", upper)
    lab.near.run("ip", "link", "set", lower, "master", upper)
    for words in (("attach", "dev", lower), ("detach", "dev", lower)):
        check_refused(f"{words[0]} of the lower one", lab.weir(*words, expect=None), lower,
                      KERNEL_SAYS, f"weir is on {upper}", f"weir detach dev {upper} keep")
    done = lab.weir("detach", "all", expect=None)
    check(done.status == 0 and lab.prog_id() is None, "detach all, from the top down", done)
    check_no_pins("detach all")

    lab.near.run("ip", "link", "set", lower, "nomaster")
    lab.weir("attach", "dev", upper)
    lab.weir("attach", "dev", lower, "try", "2s")
    lab.near.run("ip", "link", "set", lower, "master", upper)
    time.sleep(3)
    demand(lab.prog_id(), "the try ended, though the kernel refuses to detach")
    lab.weir("detach", "dev", upper, "keep")
    check(lab.prog_id() is None, "a try that could not end ends when the upper one is gone",
          lab.read("show", "status")["devices"])


def test_program_above(lab):
    """A program of others on the upper device: the kernel's own words are the message."""
    lab.up()
    devices = make_stack(lab, "macvlan")
    if not devices:
        return
    upper, lower = devices
    lab.near.run("ip", "link", "set", "dev", upper, "xdpgeneric", "obj",
                 BUILD / "tests/system/stranger.bpf.o", "sec", "xdp")
    for mode in ("auto", "native", "skb"):
        check_refused(f"attach below it, mode {mode}",
                      lab.weir("attach", "dev", lower, "mode", mode, expect=None), lower,
                      KERNEL_SAYS)
    check_no_pins("refused")


def test_many_commands_at_once(lab):
    """Writers take turns: each sees what the others have set."""
    lab.attach()
    commands = [lab.near.command(WEIR, "limit", "set", "dport", str(port), "rate", "10pps")
                for port in range(1, 21)]
    commands += [lab.near.command(WEIR, "attach", "dev", "near0") for _ in range(5)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
               for command in commands]
    errors = [err for process in running for err in [process.communicate(timeout=60)[1]]
              if process.returncode]
    limits = len(lab.read("limit", "show")["limits"])
    demand(not errors, "; ".join(errors))
    check(limits == 20 and len(lab.read("show", "status")["devices"]) == 1, "25 commands at once",
          f"{limits} of 20 limits, 5 swaps, {len(errors)} failed")


def test_making_and_removing_at_once(lab):
    """The first attach makes the maps and the last detach removes them, whole each time."""
    lab.up()
    set_limit = shlex.join(map(str, lab.near.command(WEIR, "-q", "limit", "set", "rate", "10pps")))
    remove = shlex.join(map(str, lab.near.command(WEIR, "-q", "detach", "all")))
    scripts = [f"for n in $(seq 25); do {set_limit} || exit; done"] * 2
    scripts += [f"for n in $(seq 25); do {remove} 2>&1 | grep -v 'not in use'; done >&2"] * 2
    running = [subprocess.Popen(["sh", "-c", script], stderr=subprocess.PIPE, text=True)
               for script in scripts]
    errors = "".join(process.communicate(timeout=120)[1] for process in running)
    check(not errors, "50 commands make the maps while 50 remove them",
          errors.strip() or "no error")
    lab.weir("limit", "set", "rate", "10pps")
    check(len(lab.read("limit", "show")["limits"]) == 1, "and the next one works", "1 limit")
    lab.weir("detach", "all")
    check_no_pins("and the last one removes them")


if __name__ == "__main__":
    run_tests(__name__)
