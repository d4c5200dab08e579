# SPDX-License-Identifier: GPL-2.0-only
"""Files of another user: pipes, links, files that change while they are read, odd names."""
import ctypes
import fcntl
import mmap
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import threading
import time

from daemon import Daemon
from stage import PINS, WEIR, check, demand, run_tests, wait_for
from test_lists import ask, check_says, write

STRANGER = 64997
SECRET = "hunter2-not-for-you"
ODD_NAMES = ("a\nb", "a\x1b[31mb", "a\x7fb", "a\u009bb", "a\u202eb", "a\rb")
MIB = 1 << 20
BPF_SYSCALL, BPF_OBJ_GET = {"x86_64": 321, "aarch64": 280}[os.uname().machine], 7
LIST_FILE_AT, LIST_FILE_LEN = 48, 256   # struct weir_list in bpf/tool.h


def folder_of_a_stranger():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-stranger-"))
    os.chmod(folder, 0o755)
    os.chown(folder, STRANGER, STRANGER)
    return folder


def controls(text):
    """The characters of a text that a terminal may obey."""
    return sorted({hex(ord(c)) for line in text.split("\n") for c in line
                   if ord(c) < 32 or 127 <= ord(c) < 160 or 0x202a <= ord(c) <= 0x202e})


# ---- what is not a file, or too much of one ----

def test_a_pipe_in_place_of_a_list(lab):
    folder = folder_of_a_stranger()
    pipe = folder / "list"
    os.mkfifo(pipe)
    for words in (("list", "load", "a", "file", pipe), ("list", "diff", "a", "file", pipe)):
        process = subprocess.Popen([WEIR, *map(str, words)], stderr=subprocess.PIPE, text=True)
        lab.children.append(process)
        ended = wait_for(lambda: process.poll() is not None, 5)
        said = process.stderr.read() if ended else "it waits"
        check(ended and process.returncode == 1 and "not a regular file" in said,
              f"{' '.join(words[:2])}: a pipe is refused at once", said)
        process.kill()
    settings = write(folder, "settings", f"limit set rate 10pps\nlist load a file {pipe}\n")
    process = subprocess.Popen([WEIR, "restore", str(settings)], stderr=subprocess.PIPE, text=True)
    lab.children.append(process)
    check(wait_for(lambda: process.poll() is not None, 5) and "10pps" in lab.weir("save").out,
          "restore: nor does a pipe among the lists hold it up", process.poll())
    process.kill()
    process.wait()


def test_the_daemon_and_a_pipe(lab):
    folder = folder_of_a_stranger()
    listed = write(folder, "list", "203.0.113.0/24\n")
    lab.weir("limit", "set", "rate", "10pps")
    lab.weir("list", "load", "a", "file", listed)
    daemon = Daemon(lab, lists={"settle": "1s"})
    time.sleep(1)
    os.mkfifo(folder / "pipe")
    os.rename(folder / "pipe", listed)
    wait_for(lambda: daemon.says("not a regular file"), 6)
    process = subprocess.Popen([WEIR, "limit", "set", "rate", "20pps"], stderr=subprocess.PIPE)
    lab.children.append(process)
    check(wait_for(lambda: process.poll() is not None, 5) and process.returncode == 0,
          "with a pipe in place of a list, the lock is free", process.poll())
    up = lab.read("show", "health")["daemon"]
    loops = up["loops"]
    check(wait_for(lambda: lab.read("show", "health")["daemon"]["loops"] > loops, 5) and
          daemon.says("stays as it was: .*not a regular file"), "and the daemon goes on",
          daemon.says("stays"))
    os.unlink(listed)
    listed.write_text("198.51.100.0/24\n")
    check(wait_for(lambda: ask(lab, "block", "test", "198.51.100.1").status == 0, 8),
          "a file in its place is loaded again", daemon.says("list a: "))


def test_large_files(lab):
    folder = folder_of_a_stranger()
    sparse = folder / "sparse"
    with open(sparse, "wb") as file:
        file.truncate(2 << 30)
    check_says("a sparse file of 2 GiB is refused by its size",
               ask(lab, "list", "load", "a", "file", sparse), 1, str(sparse), "larger than 64 MiB")
    line = write(folder, "line", "192.0.2.1\n# " + "x" * (64 << 10) + "\n")
    check_says("a line of more than 64 KiB", ask(lab, "list", "load", "a", "file", line), 1,
               f"{line}:2:", "64 KiB")
    settings = write(folder, "settings", "limit set rate 10pps\n" + "#" * MIB + "\n")
    check_says("the same in a settings file", ask(lab, "restore", settings), 1, f"{settings}:2:")


def test_a_file_that_is_cut_while_it_is_read(lab):
    """Through a mapping, reading behind the new end is SIGBUS."""
    folder = folder_of_a_stranger()
    listed = folder / "list"
    text = "".join(f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}\n" for n in range(400000)).encode()
    stop = threading.Event()

    def cut():
        while not stop.is_set():
            listed.write_bytes(text)
            time.sleep(0.02)
            os.truncate(listed, 0)
            time.sleep(0.001)
    thread = threading.Thread(target=cut)
    thread.start()
    try:
        statuses = [ask(lab, "list", "load", "a", "file", listed, "force").status for _ in range(30)]
    finally:
        stop.set()
        thread.join()
    check(set(statuses) <= {0, 1}, "a list that is cut while it is read ends no command",
          {status: statuses.count(status) for status in set(statuses)})


def test_a_lease(lab):
    """open() waits for the holder of a lease to give it up: up to 45 s."""
    folder = folder_of_a_stranger()
    listed = write(folder, "list", "192.0.2.0/24\n")
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    fd = os.open(listed, os.O_RDWR)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    process = subprocess.Popen([WEIR, "list", "load", "a", "file", str(listed)],
                               stderr=subprocess.PIPE, text=True)
    lab.children.append(process)
    ended = wait_for(lambda: process.poll() is not None, 5)
    check(ended and "lease" in process.stderr.read(), "a lease on a list makes nothing wait",
          process.poll())
    os.close(fd)
    process.kill()


# ---- what a message may quote ----

def test_messages_do_not_quote_secrets(lab):
    folder, own = folder_of_a_stranger(), pathlib.Path(tempfile.mkdtemp(prefix="weir-own-"))
    secret = write(own, "secret", f"{SECRET}\n")
    os.chmod(secret, 0o600)
    in_private = write(own, "readable", f"{SECRET}\n")
    os.chmod(in_private, 0o644)     # but its folder is 0700
    for what, target in (("a file of mode 0600", secret), ("a file in a folder of mode 0700",
                                                           in_private)):
        link = folder / f"link to {target.name}"
        link.symlink_to(target)
        done = ask(lab, "list", "load", "a", "file", link)
        check(done.status == 1 and SECRET not in done.err and ":1:" in done.err,
              f"a link to {what} shows nothing of it", done)
    done = ask(lab, "restore", write(own, "settings", f'list load a file "{link}"\n'))
    check(SECRET not in done.err, "nor does restore", done)
    in_link = folder / "folder"
    in_link.symlink_to(own)
    done = ask(lab, "list", "load", "a", "file", in_link / "secret")
    check(done.status == 1 and SECRET not in done.err, "nor does a link to its folder", done)
    done = ask(lab, "list", "load", "a", "file", secret)
    check(SECRET in done.err, "a file that the operator names, in the operator's folder, is quoted",
          done)
    public = write(folder, "public", f"{SECRET}\n")
    os.chmod(public, 0o644)
    done = ask(lab, "list", "load", "a", "file", public)
    check(SECRET in done.err, "and so is one that all can read", done)
    lab.weir("limit", "set", "rate", "10pps")
    daemon = Daemon(lab, lists={"settle": "1s", "load": f"[{{name: b, file: {folder}/b}}]"})
    (folder / "new").symlink_to(secret)
    os.rename(folder / "new", folder / "b")
    wait_for(lambda: daemon.says("list b") and daemon.says("list a"), 30)
    check(daemon.says("list b") and SECRET not in daemon.text(), "the journal shows nothing either",
          daemon.says("list b")[-1:])


# ---- odd names ----

def test_odd_names_are_refused(lab):
    folder = folder_of_a_stranger()
    lab.weir("limit", "set", "rate", "10pps")
    for name in ODD_NAMES:
        path = write(folder, name, "203.0.113.0/24\n")
        done = ask(lab, "list", "load", "a", "file", path)
        check(done.status == 1 and "control" in done.err and not controls(done.err),
              f"a file name with {name!r} is refused, and escaped", done)
        (folder / "link").unlink(missing_ok=True)
        (folder / "link").symlink_to(path)
        done = ask(lab, "list", "load", "a", "file", folder / "link")
        check(done.status == 1 and not controls(done.err), f"and a link to {name!r}", done)
        done = ask(lab, "block", "add", "198.51.100.7", "comment", name)
        check(done.status == 2 and not controls(done.err), f"and a comment with {name!r}", done)
    settings = write(folder, "weir.yaml", f'state:\n  known: "/tmp/a\\e[31m"\n')
    done = ask(lab, "daemon", "check", "config", settings)
    check(done.status == 1 and f"{settings}:2:" in done.err, "and a path in weir.yaml", done)
    check(lab.weir("save").out.count("\n") == 2, "nothing of it is stored", lab.weir("save").out)


def poke_file_name(name, path):
    """Puts a path into a list's map, as an older weir would have stored it."""
    pin = ctypes.create_string_buffer(str(PINS / "lists" / name / "current").encode())
    attr = struct.pack("QII", ctypes.addressof(pin), 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(BPF_SYSCALL, BPF_OBJ_GET, attr, len(attr))
    demand(fd >= 0, "the list's map cannot be opened")
    with mmap.mmap(fd, 4096) as view:
        view[LIST_FILE_AT:LIST_FILE_AT + LIST_FILE_LEN] = path.encode().ljust(LIST_FILE_LEN, b"\0")
    os.close(fd)


def test_odd_names_of_an_older_version(lab):
    """They are in the maps already: what save writes can be restored, and nothing is lost."""
    folder = folder_of_a_stranger()
    for name in ODD_NAMES[:4]:
        lab.weir("limit", "set", "rate", "10pps")
        lab.weir("list", "load", "old", "file", write(folder, "old", "203.0.113.0/24\n"))
        os.rename(folder / "old", folder / name)
        poke_file_name("old", f"{folder}/{name}")
        saved = lab.weir("save").out
        check(not controls(saved), f"save escapes {name!r}", saved)
        shown = lab.weir("list", "show").out
        check(not controls(shown), "and so does list show", shown)
        for option in ("-j", "-p"):
            shown = lab.weir(option, "list", "show").out
            check(not controls(shown), f"and {option}", shown)
        lab.weir("detach", "all")
        done = lab.near.run(WEIR, "restore", "-", expect=None, text_in=saved)
        check(done.status in (0, 3) and "10pps" in lab.weir("save").out and
              ask(lab, "block", "test", "203.0.113.7").status == 0,
              f"what save wrote with {name!r} restores limits and list", done)
        lab.weir("detach", "all")


def test_odd_interface_names(lab):
    odd = "a\x1b[31mb"
    lab.near.run("ip", "link", "set", "dev", lab.near_dev, "name", odd)
    done = ask(lab, "attach", "dev", odd)
    check(done.status == 2 and "control" in done.err and not controls(done.err),
          "an interface with control characters in its name is refused", done)
    lab.near.run("ip", "link", "set", "dev", odd, "name", lab.near_dev)
    lab.attach()
    lab.watched = None
    lab.near.run("ip", "link", "set", "dev", lab.near_dev, "down")
    for odd in ("a\x1b[31mb", b"a\xff\x9bb"):
        lab.near.run("ip", "link", "set", "dev", lab.near_dev, "name", odd)
        for words in (("show", "status"), ("-j", "show", "status"), ("-p", "show", "stats"),
                      ("show", "health"), ("metrics",)):
            done = ask(lab, *words)
            check(done.status == 0 and not controls(done.out),
                  f"{' '.join(words)}: an interface renamed to {odd!r}", done.status)
        lab.near.run("ip", "link", "set", "dev", odd, "name", lab.near_dev)


run_tests(__name__)
