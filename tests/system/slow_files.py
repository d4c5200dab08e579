# SPDX-License-Identifier: GPL-2.0-only
"""A file system whose server stops to answer, as that of a network does: FUSE, spoken by hand."""
import ctypes
import os
import select
import stat
import struct
import threading
import time

from stage import libc, run

LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT, INTERRUPT = 1, 2, 3, 14, 15, 18, 25, 26, 36
BATCH_FORGET = 42
ROOT, FILE = 1, 2
ENOENT, ENOSYS = 2, 38


class SlowFiles:
    """A folder with one file, `name`. While `hangs` is true no request is answered."""

    def __init__(self, folder, name, text):
        self.folder, self.name, self.text = folder, name, text
        self.hangs, self.changed, self.waiting, self.held = False, int(time.time()), [], 0
        self.lock = threading.Lock()
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        words = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if libc.mount(b"slow", bytes(folder), b"fuse", 6, words):       # nosuid, nodev
            raise OSError(ctypes.get_errno(), "mount")
        threading.Thread(target=self.serve, daemon=True).start()

    def path(self):
        return self.folder / self.name

    def set(self, text):
        self.text, self.changed = text, int(time.time()) + 1

    def answer_again(self):
        with self.lock:
            self.hangs = False
            waiting, self.waiting = self.waiting, []
        for request in waiting:
            self.answer(request)

    def close(self):
        """Requests that wait fail with ENOTCONN."""
        os.close(self.fd)
        run("umount", "-l", self.folder)

    def serve(self):
        try:
            while select.select([self.fd], [], []):
                request = os.read(self.fd, 1 << 18)
                with self.lock:
                    if self.hangs and struct.unpack_from("=I", request, 4)[0] != INTERRUPT:
                        self.held += 1
                        self.waiting.append(request)
                        continue
                self.answer(request)
        except (OSError, ValueError):
            pass

    def attributes(self, node):
        mode = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o644
        size = 0 if node == ROOT else len(self.text)
        return struct.pack("=6Q10I", node, size, 1, 0, self.changed, self.changed, 0, 0, 0, mode, 1, 0,
                           0, 0, 4096, 0)

    def answer(self, request):
        _, kind, unique, node = struct.unpack_from("=IIQQ", request)
        body, error = b"", 0
        if kind in (FORGET, BATCH_FORGET, INTERRUPT):
            return
        if kind == INIT:
            body = struct.pack("=4I2H2I2HI7I", 7, 31, 0, 0, 8, 8, 4096, 1, 0, 0, 0, *[0] * 7)
        elif kind == LOOKUP:
            if request[40:].rstrip(b"\0").decode() == self.name:
                body = struct.pack("=4Q2I", FILE, 0, 0, 0, 0, 0) + self.attributes(FILE)
            else:
                error = ENOENT
        elif kind == GETATTR:
            body = struct.pack("=Q2I", 0, 0, 0) + self.attributes(node)
        elif kind == OPEN:
            body = struct.pack("=Q2I", 0, 1, 0)     # each read comes here
        elif kind == READ:
            _, offset, size = struct.unpack_from("=QQI", request, 40)
            body = self.text.encode()[offset:offset + size]
        elif kind not in (RELEASE, FLUSH):
            error = ENOSYS
        try:
            os.write(self.fd, struct.pack("=IiQ", 16 + len(body), -error, unique) + body)
        except OSError:
            pass        # the request was given up
