# SPDX-License-Identifier: GPL-2.0-only
"""Runs weir under strace, which makes system calls fail."""
import os
import re
import tempfile

from stage import WEIR, demand, skip

SAYS_WHY = re.compile(r"weir: \S")


def traced(*options):
    """The words of strace before a command. The sanitizer for leaks cannot work under it."""
    found = os.environ.get("ASAN_OPTIONS", "")
    return ["strace", "-E", f"ASAN_OPTIONS={found}:detect_leaks=0", "-qq", *options]


def strace_works(lab, what):
    done = lab.near.run("strace", "-qq", "-o", "/dev/null", "true", expect=None)
    if done.status:
        skip(what, f"strace may not trace here: {done.err.strip()}")
    return done.status == 0


def trace(lab, words, *options):
    """Runs weir under strace. Returns it, and its bpf() calls."""
    with tempfile.NamedTemporaryFile("r") as log:
        done = lab.near.run(*traced("-o", log.name, "-e", "trace=bpf", *options), WEIR, *words,
                            expect=None)
        return done, log.read().splitlines()


def is_clear(done):
    """Done, or failed with a message that says something."""
    return done.status == 0 or (done.status == 1 and SAYS_WHY.match(done.err))


def fail_each(lab, words, kind, before, after, step=1):
    """Each bpf() call that @kind matches, or one of @step, fails in turn with ENOMEM.

    @before: makes the state to start from; @after(done): what is wrong then, or None.
    Returns what went wrong, how often the command failed, and how often it succeeded all the same.
    """
    before()
    done, calls = trace(lab, words)
    demand(done.status == 0, str(done))
    wrong, failed, coped = [], 0, 0
    for number in [n for n, call in enumerate(calls, 1) if kind.match(call)][::step]:
        before()
        done, calls = trace(lab, words, "-e", f"inject=bpf:error=ENOMEM:when={number}")
        demand(any("INJECTED" in call for call in calls), f"call {number} does not come")
        why = after(done) if is_clear(done) else "no message"
        if why:
            wrong.append(f"call {number}: {why} after {done}")
        failed, coped = failed + (done.status != 0), coped + (done.status == 0)
    return wrong, failed, coped
