// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "user/host/clock.h"
#include "user/model/units.h"
#include "user/state/proof.h"

#define LOOKED_UP_LEAST	100	/* TCP segments that say something together */
#define SAMPLED_LEAST	1000	/* packets that do */
#define TCP_LEAST	100	/* of so many of these one is TCP, or they are hardly any */
#define FULL_LASTS_NS	(600 * NS_PER_S)

enum proof proof_on(const struct weir_counters *counters)
{
	if (counters->own || counters->reason[WEIR_PASS_COOKIE].packets)
		return PROOF_POSSIBLE;
	if (counters->looked_up >= LOOKED_UP_LEAST &&
	    counters->looked_up >= counters->sampled / TCP_LEAST)
		return PROOF_ELSEWHERE;
	if (counters->sampled >= SAMPLED_LEAST &&
	    counters->looked_up < counters->sampled / TCP_LEAST)
		return PROOF_NO_TCP;
	return PROOF_UNKNOWN;
}

const char *proof_name(enum proof proof)
{
	static const char *const names[PROOFS] = {
		[PROOF_UNKNOWN] = "unknown", [PROOF_POSSIBLE] = "possible",
		[PROOF_ELSEWHERE] = "elsewhere", [PROOF_NO_TCP] = "no-tcp",
	};

	return proof < PROOFS ? names[proof] : "?";
}

#define ONLY_SEEN "so its sources become known as seen at most, which can be forged; `weir known " \
	"import` vouches for those that you know"

bool proof_remark(const char *device, const struct weir_counters *counters, char *text, size_t size)
{
	switch (proof_on(counters)) {
	case PROOF_ELSEWHERE:
		snprintf(text, size, "%s: of %llu TCP segments that were looked up, none belongs to a "
			 "connection of this host: they go on to other hosts or network namespaces, "
			 ONLY_SEEN, device, (unsigned long long)counters->looked_up);
		return true;
	case PROOF_NO_TCP:
		snprintf(text, size, "%s: hardly any of its packets is TCP, and no other protocol proves "
			 "that a source is there, " ONLY_SEEN "; to a DNS server, `weir dns protect` makes "
			 "resolvers prove themselves", device);
		return true;
	default:
		return false;
	}
}

bool known_is_full(const struct weir_common *common)
{
	return common->known_full_ns && common->known_full_ns + FULL_LASTS_NS > now_ns();
}
