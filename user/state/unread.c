// SPDX-License-Identifier: GPL-2.0-only
#include "user/state/unread.h"

__u64 counted_packets(const struct weir_counters *counters)
{
	__u64 all = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		all += counters->reason[i].packets;
	return all;
}

bool is_mostly_unread(const struct weir_counters *counters, __u64 least, unsigned int *percent)
{
	__u64 unread = counters->reason[WEIR_PASS_NOT_IP].packets +
		       counters->reason[WEIR_DROP_NOT_IP].packets +
		       counters->reason[WEIR_DROP_VLAN].packets;
	__u64 all = counted_packets(counters);

	*percent = all ? unread * 100 / all : 0;
	return all >= least && unread > all / 2;
}
