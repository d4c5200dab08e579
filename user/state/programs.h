/* SPDX-License-Identifier: GPL-2.0-only */
/* The XDP programs that the kernel has on an interface: which of them is weir's. */
#ifndef WEIR_STATE_PROGRAMS_H
#define WEIR_STATE_PROGRAMS_H

#include <xdp/libxdp.h>

#include "user/state/maps.h"

struct programs {
	uint32_t ours;		/* id of our program, 0: none */
	uint32_t lone;		/* id of a program attached without a dispatcher, 0: none */
	uint32_t others;	/* programs beside ours, under the dispatcher */
	enum xdp_attach_mode mode;
	char lone_name[32];
};

/*
 * A program is ours when it uses our map of counters: any program may have our name or tag.
 * @maps NULL: none is ours. 0; -EPERM where programs may not be opened; -errno.
 */
int programs_read(const struct maps *maps, uint32_t ifindex, struct programs *programs);

/* Takes the program @id off the dispatcher. 0 or -errno. */
int programs_leave_dispatcher(uint32_t ifindex, uint32_t id, enum xdp_attach_mode mode);

uint32_t program_id_of(int fd);
/* Whether a program of this id is loaded, on whatever interface. */
bool program_lives(uint32_t prog_id);

#endif
