/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether sources can prove themselves here, and whether the table has room for those that do. */
#ifndef WEIR_STATE_PROOF_H
#define WEIR_STATE_PROOF_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/weir.h"

/*
 * What a device has seen of this host's connections: proof needs a socket in the network namespace
 * that the device is in, or a cookie.
 */
enum proof {
	PROOF_UNKNOWN,		/* too few packets to say */
	PROOF_POSSIBLE,
	PROOF_ELSEWHERE,	/* TCP came, and its connections are not in this namespace */
	PROOF_NO_TCP,		/* hardly any TCP came */
	PROOFS
};
enum proof proof_on(const struct weir_counters *counters);

/* "unknown", "possible", "elsewhere", "no-tcp". */
const char *proof_name(enum proof proof);

/*
 * What the operator should know of a device on which no source can prove itself: false if there is
 * nothing to say.
 */
bool proof_remark(const char *device, const struct weir_counters *counters, char *text,
		  size_t size);

/* Whether a source that proved itself found no room in the table in the last minutes. */
bool known_is_full(const struct weir_common *common);
#define KNOWN_FULL_TEXT "the table of known sources is full of proven ones where others belong: " \
	"these stay unknown; if a botnet proves itself, lists and bans must stop it; " \
	"`weir known flush` starts anew"

#endif
