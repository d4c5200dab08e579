# SPDX-License-Identifier: GPL-2.0-only
"""Calls that fail beneath the tool: a message that names what failed, and nothing half done.

strace makes one call in turn fail.
"""
import pathlib
import re
import tempfile

from stage import PINS, check, run_tests
from strace import fail_each, strace_works

CREATES = re.compile(r"bpf\(BPF_MAP_CREATE\b")
OPENS = re.compile(r"bpf\((BPF_OBJ_GET|BPF_MAP_GET_FD_BY_ID)\b")
LOOKS = re.compile(r"bpf\((BPF_PROG_GET_FD_BY_ID|BPF_OBJ_GET_INFO_BY_FD)\b")


def check_each(lab, what, words, kind, before, after):
    """Checks a command with each bpf() call of this kind failing in turn."""
    wrong, failed, coped = fail_each(lab, words, kind, before, after)
    check(not wrong and failed, what,
          "; ".join(wrong[:3]) or f"{failed} of {failed + coped} failed")


def test_message_names_the_map(lab):
    """The message is of the map that could not be made, not of all that was to be done."""
    what = "limit set with a map that cannot be made: the message names it"
    if not strace_works(lab, what):
        return
    lab.attach()

    def before():
        lab.weir("limit", "flush", expect=None)

    def after(done):
        named = done.status == 0 or "cannot create" in done.err
        return None if named else "the message names no map"

    check_each(lab, what, ("limit", "set", "from", "192.0.2.0/24", "rate", "10pps"), CREATES,
               before, after)
    check_each(lab, what + ", of a limit for all", ("limit", "set", "rate", "10pps"), CREATES,
               before, after)


def test_list_that_cannot_be_opened(lab):
    """Left out of the union, a list would be left out of the block set without a word."""
    what = "list load while any map cannot be opened: the other list stays in force"
    if not strace_works(lab, what):
        return
    lab.attach()
    with tempfile.TemporaryDirectory() as folder:
        for name, prefix in (("other", "203.0.113.0/24"), ("old", "198.51.100.0/24"),
                             ("new", "198.51.101.0/24")):
            pathlib.Path(folder, name).write_text(f"{prefix}\n")
        lab.weir("list", "load", "other", "file", f"{folder}/other")

        def before():
            lab.weir("list", "load", "turn", "file", f"{folder}/old", expect=None)

        def after(done):
            held = [lab.read("check", address)["reason"] == "blocklist" for address in
                    ("203.0.113.1", "198.51.100.1", "198.51.101.1")]
            in_force = done.status == 0 or re.search("(is|are) in force", done.err)
            wanted = [True, False, True] if in_force else [True, True, False]
            return None if held == wanted else f"other, old, new are held back: {held}"

        words = ("list", "load", "turn", "file", f"{folder}/new")
        check_each(lab, what, words, OPENS, before, after)


def test_detach_that_cannot_look(lab):
    """A program that cannot be looked at is not one that is gone."""
    what = "detach with any look at the programs failing: all or nothing"
    if not strace_works(lab, what):
        return

    def before():
        lab.weir("attach", "dev", "near0", expect=None)

    def after(done):
        left = bool(lab.prog_id()), PINS.exists()
        return None if left == (done.status != 0,) * 2 else f"program and pins: {left}"

    lab.up()
    check_each(lab, what, ("detach", "dev", "near0"), LOOKS, before, after)
    lab.weir("detach", "all", expect=None)


if __name__ == "__main__":
    run_tests(__name__)
