# SPDX-License-Identifier: GPL-2.0-only
"""Types lines to a shell, in a folder of its own, and puts back what a line has changed."""
import pathlib
import re

from stage import BUILD, run


class Typist:
    """weir is attached to eth0, and its settings are those of @prepared, lines without `weir`."""

    def __init__(self, lab, folder, files, prepared):
        self.lab, self.folder = lab, folder
        for name, text in files.items():
            pathlib.Path(folder, name).write_text(text)
        lab.near.run("ip", "link", "set", "near0", "name", "eth0")
        lab.near_dev = "eth0"
        lab.up()
        self.type("weir attach eth0")
        for line in prepared:
            self.type(f"weir {line}")
        pathlib.Path(folder, "prepared.weir").write_text(self.type("weir save").out)
        self.was = self.state()

    def command(self, line):
        return self.lab.near.command(
            "sh", "-c", f"cd {self.folder} && PATH={BUILD.resolve()}:$PATH && {line}")

    def type(self, line, expect=0):
        return run(*self.command(line), expect=expect)

    def state(self):
        """Programs and settings; the time that a ban has left passes by itself."""
        settings = re.sub(r" ttl \S+", "", self.type("weir save", expect=None).out)
        return self.lab.prog_id("eth0"), self.lab.prog_id("lo"), settings

    def put_back(self):
        """Puts back what differs, and takes what is then for what was. Whether anything differed."""
        now = self.state()
        if now == self.was:
            return False
        if now[1] != self.was[1]:
            self.type("weir -q detach lo")
        if now[0] != self.was[0]:
            self.type("weir -q attach eth0 force")
        if now[2] != self.was[2]:
            self.type("weir -q restore prepared.weir force")
        self.was = self.state()
        return True
