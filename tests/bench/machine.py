#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Where and of what figures were measured. Prints it as JSON, for all benches."""
import datetime
import json
import os
import pathlib
import platform
import subprocess


def first_line(*words):
    try:
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.splitlines()[0].strip() if said else "unknown"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def describe():
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) >> 20
    return {
        "machine": f"{processor()}, {os.cpu_count()} CPUs, {memory} GiB",
        "kernel": f"{platform.release()} {platform.machine()}",
        "compiler": f"{first_line(os.environ.get('CLANG', 'clang'), '--version')}, "
                    f"gcc {first_line(os.environ.get('CC', 'gcc'), '-dumpfullversion')}",
        "commit": first_line("git", "describe", "--always", "--dirty"),
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    print(json.dumps({"about": describe()}, indent=1))
