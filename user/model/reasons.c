// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "user/model/reasons.h"

const char *reason_name(enum weir_reason reason)
{
	static const char *const names[] = {
#define R(id, name, action) name,
		WEIR_REASONS(R)
#undef R
	};

	return reason < WEIR_REASON_MAX ? names[reason] : "?";
}

const char *reason_action(enum weir_reason reason)
{
	static const char PASS[] = "pass", DROP[] = "drop", TX[] = "tx";
	static const char *const actions[] = {
#define R(id, name, action) action,
		WEIR_REASONS(R)
#undef R
	};

	return reason < WEIR_REASON_MAX ? actions[reason] : "?";
}

uint64_t reasons_of_action(const char *action)
{
	uint64_t reasons = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (!strcmp(reason_action(i), action))
			reasons |= 1ULL << i;
	return reasons;
}
