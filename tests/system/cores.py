# SPDX-License-Identifier: GPL-2.0-only
"""Which core and which priority a process has, and the NAPI threads of an interface.

The laboratory and the benches give the packets of the receiving end to one core and those of the
sending end to another. NAPI runs in threads: a softirq would run on the core that sends.
"""
import pathlib

from stage import demand, run, wait_for


def become(cpu, priority, *words):
    """A command on one core, which ends with us. Round robin: its threads take turns.
    Without a @priority it is no real-time process, but comes first among the others."""
    how = ["chrt", "-r", priority] if priority else ["nice", "-n", "-19"]
    return [str(word) for word in
            ("setpriv", "--pdeathsig", "KILL", "taskset", "-c", cpu, *how, *words)]


def napi_threads(dev):
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().startswith(f"napi/{dev}-"):
                yield int(comm.parent.name)
        except OSError:
            pass


def place_napi(namespace, dev, cpu, priority):
    """Again after each change of XDP, which makes new threads. Returns their process ids.
    They are found by the interface's name: no other on the machine may have it."""
    namespace.run("unshare", "--mount", "sh", "-c",
                  f"mount -t sysfs sysfs /sys && echo 1 >/sys/class/net/{dev}/threaded")
    threads = []
    wait_for(lambda: threads.extend(napi_threads(dev)) or threads)
    demand(threads, f"{dev}: no NAPI thread")
    for pid in threads:
        run("taskset", "-pc", cpu, pid)
        run("chrt", "-f", "-p", priority, pid)
    return threads


def bring_home(stage, family, gateway, users):
    """Addresses or prefixes of users: far's own, and behind @gateway for near."""
    for namespace, line in ((stage.near, f"route replace {{}} via {gateway}"),
                            (stage.far, "route replace local {} dev lo")):
        namespace.run("ip", f"-{family}", "-batch", "-",
                      text_in="".join(line.format(user) + "\n" for user in users))
