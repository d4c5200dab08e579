# SPDX-License-Identifier: GPL-2.0-only
"""The name server unbound, as tests start it: as the user that they run as, in the foreground, with
no control socket, and without DNSSEC, for which no test has a key."""
import shutil

UNBOUND = shutil.which("unbound") or "/usr/sbin/unbound"
# What each of them has; further sections `server:` add to it.
COMMON = """
server:
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  module-config: "iterator"
remote-control:
  control-enable: no
"""
