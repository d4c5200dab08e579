# SPDX-License-Identifier: GPL-2.0-only
"""A DNS server behind weir, and its users: resolvers that forward to it. Both are unbound. A
resolver asks by UDP and, where the answer is truncated, by TCP; it sends again what gets no answer,
and has no cache here."""
import os
import socket
import struct
import subprocess
import threading
import time

from cores import become
from stage import demand, wait_for
from unbound import COMMON, UNBOUND
from world import SENDER_CPU, SERVER_CPU, SERVICE, USER, WINDOW_MS, Users, World, addresses

PORT = 53
PATIENCE_S = 1
ASKED_AT = 5300         # the port of a group's first resolver, at 127.0.0.1 of far

SERVER = COMMON + """
server:
  num-threads: 1
  interface: {server}
  access-control: 0.0.0.0/0 allow
  incoming-num-tcp: 200
  so-rcvbuf: 4m
  minimal-responses: yes
  local-zone: "example.com." redirect
  local-data: "example.com. 1 A 203.0.113.53"
"""
RESOLVER = COMMON + """
server:
  num-threads: 1
  interface: 127.0.0.1@{port}
  outgoing-interface: {source}
  do-ip6: no
  cache-max-ttl: 0
  msg-cache-size: 1m
  rrset-cache-size: 1m
forward-zone:
  name: "."
  forward-addr: {server}
"""


class DnsWorld(World):
    """A World whose server answers DNS."""

    def unbound(self, namespace, cpu, priority, name, text):
        path = self.folder / name
        path.write_text(text)
        self.children.append(subprocess.Popen(
            namespace.command(*become(cpu, priority, UNBOUND, "-d", "-c", path)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def start_server(self):
        demand(os.path.exists(UNBOUND), "unbound is not installed")
        self.unbound(self.near, SERVER_CPU, SERVICE, "server", SERVER.format(server=self.server))
        demand(wait_for(lambda: f":{PORT} " in self.near.run("ss", "-tlnH").out),
               "unbound does not listen")


def query(number, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)


class Resolvers(Users):
    """Resolvers, each with an address of its own, and what asks them. Answered in time: what has an
    answer within a second, whatever the resolver had to do for it."""

    def __init__(self, world, group, first_port):
        self.addresses = addresses(group.first, group.each, group.clients)
        self.world, self.pace, self.late = world, group.pace, group.late
        self.ports = range(first_port, first_port + group.clients)
        self.name = group.name
        world.bring_home(self.addresses)
        for source, port in zip(self.addresses, self.ports):
            world.unbound(world.far, SENDER_CPU, USER, f"resolver-{port}",
                          RESOLVER.format(port=port, source=source, server=world.server))
        with world.far:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.windows, self.waiting, self.asked = [], {}, 0
        self.stopping = False

    def start(self):
        self.thread = threading.Thread(target=self.ask, daemon=True)
        self.thread.start()

    def ask(self):
        """Queries at the pace, and answers as they come; counted in windows."""
        start = begun = time.monotonic()
        done = 0
        while not self.stopping:
            now = time.monotonic()
            while self.asked < (now - start) * self.pace:
                number = self.asked & 0xffff
                self.waiting[number] = now
                self.socket.sendto(query(number, f"{self.name[0]}{self.asked}.example.com"),
                                   ("127.0.0.1", self.ports[self.asked % len(self.ports)]))
                self.asked += 1
            done += self.answered(0.5 / self.pace)
            if now - begun >= WINDOW_MS / 1000:
                self.windows.append((begun, now, done))
                begun, done = now, 0

    def answered(self, seconds):
        """Waits for one answer; 1 if it is good and in time. An answer without a record is none."""
        self.socket.settimeout(seconds)
        try:
            answer = self.socket.recv(512)
        except (TimeoutError, BlockingIOError):
            return 0
        number, flags, _, records = struct.unpack("!4H", answer[:8])
        asked = self.waiting.pop(number, 0)
        return int(not flags & 0xf and records > 0 and time.monotonic() - asked <= PATIENCE_S)

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.socket.close()


def resolvers(world, groups):
    made, port = {}, ASKED_AT
    for group in groups:
        made[group.name] = Resolvers(world, group, port)
        port += group.clients
    demand(wait_for(lambda: all(f":{each} " in world.far.run("ss", "-ulnH").out
                                for each in range(ASKED_AT, port)), 30), "not all resolvers started")
    return made
