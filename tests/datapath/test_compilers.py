# SPDX-License-Identifier: GPL-2.0-only
"""Objects of the oldest and the newest clang of this machine both load into the kernel."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("BUILD", "build")


def version(clang):
    said = subprocess.run([clang, "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"version (\d+)", said)[1])


def compilers():
    """The compilers by version. The plain name is the distribution's choice, which `make` uses."""
    found = {version("clang"): "clang"}
    for path in pathlib.Path("/usr/bin").glob("clang-*"):
        if re.fullmatch(r"clang-\d+", path.name) and shutil.which(path):
            found.setdefault(version(path), path.name)
    return dict(sorted(found.items()))


def loads(clang, number):
    folder = f"{BUILD}/clang-{number}"
    target = f"{folder}/bpf/weir.bpf.o"
    made = subprocess.run(["make", "-s", f"CLANG={clang}", f"B={folder}", target], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    if made.returncode:
        print(f"not ok - clang {number} builds the object: {made.stderr.strip()[-2000:]}")
        return False
    print(f"ok - clang {number} builds the object "
          f"({(ROOT / target).stat().st_size} bytes without complaint)", flush=True)
    test = ROOT / BUILD / "tests/datapath/test_switches"
    return subprocess.run([test, target], cwd=ROOT, check=False).returncode == 0


def main():
    found = compilers()
    oldest, newest = min(found), max(found)
    good = [loads(found[number], number) for number in sorted({oldest, newest})]
    if oldest == newest:
        print(f"skip - a second clang: only {oldest} is installed; `scripts/setup kernels` "
              "installs the newest")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
