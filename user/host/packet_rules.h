/* SPDX-License-Identifier: GPL-2.0-only */
/* The rules of this host's packet filters, in the network namespace of the caller. */
#ifndef WEIR_HOST_PACKET_RULES_H
#define WEIR_HOST_PACKET_RULES_H

#include "user/model/obstacles.h"

/*
 * Whether a rule of nftables, of iptables or of IPVS stands between the interface and the listeners
 * of @rule (obstacles.h), and names it. What is not installed, or does not answer within seconds,
 * has none.
 */
bool packet_rules_obstacle(const struct weir_syn_rule *rule, char text[OBSTACLE_LEN]);

#endif
