/* SPDX-License-Identifier: GPL-2.0-only */
/* The far ends of the SSH connections to this host, which a block could cut off. */
#ifndef WEIR_HOST_SSH_H
#define WEIR_HOST_SSH_H

#include "user/model/prefix.h"
#include "user/model/prefixes.h"

/*
 * Appends to @peers the addresses from which this session and all others are logged in, and sorts
 * it. They come from SSH_CONNECTION in the environment of this process and of its ancestors (sudo
 * and su clear the environment), and from utmp (inside tmux and screen, those variables name the
 * session that started them). Returns 0 or -ENOMEM.
 */
int ssh_peers(struct prefixes *peers);

#endif
