/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose session this is: the far ends of the SSH connections that could be cut off. */
#ifndef WEIR_HOST_SSH_H
#define WEIR_HOST_SSH_H

#include "user/model/prefix.h"
#include "user/model/prefixes.h"

/*
 * Adds the peers of this session and of everybody who is logged in from
 * elsewhere: from SSH_CONNECTION, also of the processes above (sudo and su
 * clear the environment), and from utmp (inside tmux and screen the other two
 * name the session that started them). 0 or -ENOMEM; sorted.
 */
int ssh_peers(struct prefixes *peers);

#endif
