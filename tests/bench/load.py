#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What loading a list takes, and replacing it by its next generation: time,
the tool's memory and the kernel's. weir list load, ipset restore, nft -f.

The time is by the wall, and that of the processor, which what else the machine
does disturbs less. Kernel memory is what a memory cgroup was charged.
"""
import contextlib
import os
import pathlib
import random
import re
import tempfile
import time

from bench import SIZES, Absent, Bench, must, need, save, stage, start, write_file

COLUMNS = ("10k", "100k", "1M")
CGROUPS = (("/sys/fs/cgroup", "memory.current"),
           ("/sys/fs/cgroup/memory", "memory.usage_in_bytes"))


class Account:
    """A memory cgroup; counts what stays charged after a command ended."""

    def __init__(self):
        self.folder = None
        for root, usage in CGROUPS:
            folder = pathlib.Path(root, f"weir-bench-{os.getpid()}")
            with contextlib.suppress(OSError):
                folder.mkdir()
                if (folder / usage).exists():
                    self.folder, self.usage = folder, usage
                    return
                folder.rmdir()

    def bytes(self):
        return int((self.folder / self.usage).read_text()) if self.folder else None

    def join(self):
        if self.folder:
            (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def close(self):
        if self.folder:
            (self.folder.parent / "cgroup.procs").write_text(str(os.getpid()))
            stage.wait_for(lambda: not self.remove(), 5)

    def remove(self):
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        return self.folder.exists()


def run_timed(bench, account, *words):
    """Returns wall and processor seconds, the tool's MiB at most, the kernel's that stayed."""
    command = [str(word) for word in bench.near.command(*words)]
    before, began = account.bytes(), time.monotonic()
    pid = os.fork()
    if not pid:
        with contextlib.suppress(OSError):
            account.join()
            quiet = os.open(os.devnull, os.O_RDWR)
            os.dup2(quiet, 1)
            os.execvp(command[0], command)
        os._exit(127)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - began
    stage.demand(status == 0, f"{' '.join(command)}: status {status >> 8}")
    kept = None if before is None else (account.bytes() - before) / 2**20
    return {"seconds": round(seconds, 3), "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
            "tool_mib": round(usage.ru_maxrss / 1024, 1), "kernel_mib": kept and round(kept, 1)}


def prefixes(count, generation):
    """Of /28 to /32, none within another; a tenth differs between generations."""
    draw = random.Random(generation)
    lengths = random.Random(1)
    for i in range(count):
        number, length = (10 << 24) + i * 16, lengths.randint(28, 32)
        if draw.random() < 0.1:
            length = draw.randint(28, 32)
        yield f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/{length}"


def weir(bench, account, path, generation):
    if generation == 1:
        bench.weir("limit", "set", "rate", "1000pps")     # makes the maps
    return run_timed(bench, account, stage.WEIR, "-q", "list", "load", "bench", "file", path, "force")


def ipset(bench, account, path, generation):
    need("ipset")
    lines = pathlib.Path(path).read_text(encoding="ascii").split()
    name = f"s{generation}"
    script = [f"create {name} hash:net family inet hashsize {max(1024, len(lines) // 4)} "
              "maxelem 2000000"]
    script += [f"add {name} {line}" for line in lines]
    if generation == 2:
        script += ["swap s1 s2", "destroy s2"]
    text = write_file(f"{path}.ipset", script)
    done = run_timed(bench, account, "ipset", "restore", "-f", text)
    size = re.search(r"Size in memory: (\d+)", must(bench, "ipset", "list", "-t", "s1").out)
    done["kernel_mib"] = round(int(size.group(1)) / 2**20, 1)     # by its own word
    return done


def nft(bench, account, path, generation):
    need("nft")
    elements = ",\n".join(pathlib.Path(path).read_text(encoding="ascii").split())
    text = "table netdev t { set s { type ipv4_addr; flags interval; }; }\n"
    if generation == 2:
        text += "flush set netdev t s\n"
    script = pathlib.Path(f"{path}.nft")
    script.write_text(f"{text}add element netdev t s {{ {elements} }}\n", encoding="ascii")
    return run_timed(bench, account, "nft", "-f", script)


LOADERS = {"weir list load": weir, "ipset restore": ipset, "nft -f": nft}


def measure(load, folder, size):
    with contextlib.closing(Bench()) as bench, contextlib.closing(Account()) as account:
        return [load(bench, account,
                     write_file(pathlib.Path(folder, f"{size}.{generation}"),
                                prefixes(SIZES[size], generation)), generation)
                for generation in (1, 2)]


def main():
    rows = []
    start()
    print(f"{'':17}{'':>6}{'load':>10}{'cpu':>8}{'next':>10}{'cpu':>8}{'tool':>9}{'kernel':>9}")
    print(f"{'list load':17}{'size':>6}{'s':>10}{'s':>8}{'s':>10}{'s':>8}{'MiB':>9}{'MiB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for name, load in LOADERS.items():
            for size in COLUMNS:
                try:
                    first, second = measure(load, folder, size)
                except (Absent, stage.Failed) as why:
                    print(f"{name:17}{size:>6}  absent: {why}", flush=True)
                    rows.append({"tool": name, "size": size, "absent": str(why)})
                    continue
                kernel = first["kernel_mib"]
                print(f"{name:17}{size:>6}{first['seconds']:10.2f}{first['cpu_s']:8.2f}"
                      f"{second['seconds']:10.2f}{second['cpu_s']:8.2f}{first['tool_mib']:9.0f}"
                      + (f"{'unknown':>9}" if kernel is None else f"{kernel:9.1f}"), flush=True)
                rows.append({"tool": name, "size": size, "first": first, "next": second})
    save("load", rows)


main()
