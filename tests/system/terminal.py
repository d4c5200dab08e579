# SPDX-License-Identifier: GPL-2.0-only
"""A terminal for programs that draw on it: its screen as lines of text."""
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time

import pyte

UP, DOWN, ENTER, ESCAPE, TAB = "\x1bOA", "\x1bOB", "\r", "\x1b", "\t"


class Terminal:
    """Runs a command on a pseudo-terminal of its own."""

    def __init__(self, command, columns=80, lines=24, env=None):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.lock = threading.Lock()
        self.master, slave = pty.openpty()
        self.set_size(columns, lines)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, close_fds=True,
            preexec_fn=own_terminal,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(env or {})})
        os.close(slave)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:     # the other side is closed
                return
            with self.lock:
                self.stream.feed(data)

    def set_size(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        with self.lock:
            self.screen.resize(lines, columns)
        self.set_size(columns, lines)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def lines(self):
        with self.lock:
            return [line.rstrip() for line in self.screen.display]

    def text(self):
        return "\n".join(self.lines()) + "\n"

    def shows(self, what, seconds=5):
        """Whether a line with @what comes up in time."""
        until = time.monotonic() + seconds
        while not any(what in line for line in self.lines()):
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def line(self, start):
        """The words of the first line that begins so."""
        return next((line.split() for line in self.lines()
                     if line.lstrip("> ").startswith(start)), None)

    def colours(self):
        with self.lock:
            return {cell.fg for row in self.screen.buffer.values() for cell in row.values()}

    def wait(self, seconds=10):
        status = self.process.wait(seconds)
        self.thread.join(1)
        return status


def own_terminal():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
