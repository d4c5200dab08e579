# SPDX-License-Identifier: GPL-2.0-only
"""`attach ... try`: an attachment that ends by itself unless the operator, who must still be able
to, confirms it."""
import os
import pathlib
import pty
import signal
import time

from stage import FAR4, WEIR, arrived, check, demand, run, run_tests, wait_for

COUNT = 20


def block_far(lab):
    """Drops everything from far, as when operators shut themselves out."""
    lab.weir("block", "add", FAR4)
    lab.up()


def device(lab):
    return lab.read("show", "status")["devices"][0]


def watchers(lab):
    """The pids of the processes that end a try on this stage."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            inode = os.stat(path / "ns/net").st_ino
        except OSError:
            continue
        if words[0] == os.fsencode(WEIR) and b"try" in words and \
                inode == os.stat(lab.near.path).st_ino:
            found.append(int(path.name))
    return found


def test_unconfirmed(lab):
    block_far(lab)
    started = time.monotonic()
    done = lab.weir("attach", "dev", "near0", "try", "4s")
    check("4s" in done.err and "weir confirm" in done.err, "attach reports the try and its end",
          done.err.strip())
    trial = device(lab)["try"]
    check(trial["then"] == "detached" and 0 < trial["seconds_left"] <= 4,
          "status shows the time left and what comes then", trial)
    text = " ".join(lab.weir("show", "status").out.split())
    check("on trial for" in text and "weir confirm" in text, "status says so in text", text[:120])
    check(arrived(lab) == 0, "the block drops during the try", f"0 of {COUNT} came through")
    gone = wait_for(lambda: lab.prog_id() is None, 20)
    took = time.monotonic() - started
    check(gone and took >= 4, "unconfirmed, it is taken off", f"after {took:.1f} s")
    check(arrived(lab) == COUNT, "afterwards all packets arrive", f"{COUNT} of {COUNT}")
    check(wait_for(lambda: not lab.read("show", "status")["devices"]) and
          FAR4 in lab.weir("save").out, "settings stay for the next try", "1 block entry")
    check(wait_for(lambda: not watchers(lab)), "no process stays", "none")
    done = lab.weir("confirm", expect=1)
    check("on trial" in done.err, "too late to confirm", done.err.strip())


def test_confirmed(lab):
    block_far(lab)
    lab.weir("attach", "dev", "near0", "try", "4s")
    first = lab.prog_id()
    done = lab.weir("confirm")
    check("near0" in done.err and device(lab)["try"] is None, "confirm keeps it", done.err.strip())
    check(wait_for(lambda: not watchers(lab), 20), "the waiting process ends at the deadline", "gone")
    check(lab.prog_id() not in (None, first) and arrived(lab) == 0, "after the deadline it drops on",
          f"0 of {COUNT}, program {first} became {lab.prog_id()}")
    done = lab.weir("confirm", expect=1)
    check("nothing is on trial" in done.err, "a second confirm has nothing to do", done.err.strip())


def test_killed_watcher(lab):
    """The program itself lets go in time, also where no process is left to detach it."""
    block_far(lab)
    lab.weir("attach", "dev", "near0", "try", "4s")
    pids = watchers(lab)
    demand(len(pids) == 1, f"one process waits, not {pids}")
    os.kill(pids[0], signal.SIGKILL)
    check(arrived(lab) == 0, "it drops until the deadline", f"0 of {COUNT}")
    time.sleep(4)
    check(arrived(lab) == COUNT and lab.prog_id(), "from then on the program itself passes all",
          f"{COUNT} of {COUNT} through program {lab.prog_id()}")
    block = lab.stats().reasons["block"]
    check(block["packets"] - block["monitored"] >= COUNT and block["monitored"] >= COUNT,
          "what passed is counted as in monitor mode", block)
    check(device(lab)["try"]["seconds_left"] == 0, "status shows that it is over",
          " ".join(lab.weir("show", "status").out.split())[:120])
    done = lab.weir("confirm", expect=1)
    check("too late" in done.err and lab.prog_id() is None, "confirm detaches what was left",
          done.err.strip())


def session_of(pid):
    """None: the process has ended."""
    try:
        return os.getsid(int(pid))
    except OSError:
        return None


def test_session_gone(lab):
    """The terminal hangs up and every process of its session is killed."""
    block_far(lab)
    session, terminal = pty.fork()
    if not session:
        os.execvp("nsenter", lab.near.command("bash", "--norc", "-i"))
    os.write(terminal, f"{WEIR} attach dev near0 try 4s\n".encode())
    demand(wait_for(lambda: lab.prog_id() is not None), "attached from the terminal")
    demand(wait_for(lambda: any(session_of(pid) not in (session, None) for pid in watchers(lab))),
           "a process of its own session waits")
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(path.name)) == session:
                os.kill(int(path.name), signal.SIGKILL)
        except OSError:
            pass
    os.close(terminal)
    os.waitpid(session, 0)
    check(arrived(lab) == 0, "the session is gone and the block drops", f"0 of {COUNT}")
    check(wait_for(lambda: lab.prog_id() is None, 20), "and still it is taken off",
          f"program {lab.prog_id()}")


def test_no_pipe_is_held(lab):
    """`ssh HOST weir attach ...` must not hang until the deadline."""
    lab.up()
    started = time.monotonic()
    lab.weir("attach", "dev", "near0", "try", "60s")
    took = time.monotonic() - started
    check(took < 30, "the command ends at once", f"{took:.1f} s")
    for pid in watchers(lab):
        held = [os.readlink(fd) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        check(set(held) == {"/dev/null"}, "the process that waits holds nothing", ", ".join(held))
        os.kill(pid, signal.SIGKILL)
    lab.weir("detach", "dev", "near0")
    check(lab.prog_id() is None, "detach ends a try", "no program")


def test_over_monitor(lab):
    block_far(lab)
    lab.weir("attach", "dev", "near0", "monitor")
    passed = arrived(lab)
    lab.weir("attach", "dev", "near0", "try", "4s")
    check(passed == COUNT and arrived(lab) == 0, "enforcing on trial over monitor mode",
          f"{passed} came through before, 0 during")
    check(device(lab)["try"]["then"] == "monitor", "then: monitor", device(lab)["try"])
    back = wait_for(lambda: device(lab)["try"] is None, 20)
    after = arrived(lab)
    check(back and device(lab)["monitor"] and lab.prog_id() and after == COUNT,
          "unconfirmed, it is back in monitor mode", f"{after} came through, {device(lab)}")


def test_over_enforcing(lab):
    block_far(lab)
    lab.weir("attach", "dev", "near0")
    done = lab.weir("attach", "dev", "near0", "try", "9s", expect=1)
    check("nothing to try" in done.err, "nothing to try where it changes nothing", done.err.strip())
    lab.weir("attach", "dev", "near0", "monitor", "try", "4s")
    os.kill(watchers(lab)[0], signal.SIGKILL)
    check(arrived(lab) == COUNT, "monitor mode on trial over enforcing", f"{COUNT} came through")
    time.sleep(4)
    check(arrived(lab) == 0, "the program goes back to enforcing by itself", f"0 of {COUNT}")
    lab.weir("attach", "dev", "near0", "monitor", "try", "9s")
    check(device(lab)["try"]["then"] == "enforcing", "the next try settles the old one first",
          device(lab)["try"])


def test_tried_again(lab):
    """A second try has its own time, and goes back to the state before the first."""
    block_far(lab)
    lab.weir("attach", "dev", "near0", "try", "2s")
    lab.weir("attach", "dev", "near0", "try", "8s")
    time.sleep(3)
    check(lab.prog_id() is not None and arrived(lab) == 0, "the second try outlives the first",
          f"0 of {COUNT}")
    check(wait_for(lambda: lab.prog_id() is None, 20), "and ends as the first would have", "detached")


def test_for_good(lab):
    block_far(lab)
    lab.weir("attach", "dev", "near0", "try", "1s")
    lab.weir("attach", "dev", "near0")
    time.sleep(1.5)
    check(lab.prog_id() and arrived(lab) == 0, "attach without `try` over a try is for good",
          f"0 of {COUNT}")


def test_words(lab):
    for words, wanted in (("try", "needs"), ("try 0s", "0s"), ("try 25h", "24h"), ("try x", "x")):
        done = lab.weir("attach", "dev", "near0", *words.split(), expect=2)
        check(wanted in done.err, f"attach {words} is refused", done.err.splitlines()[0])
    check(lab.prog_id() is None, "and nothing is attached", "no program")


run_tests(__name__)
