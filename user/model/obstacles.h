/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands between an interface and a listener, so that a cookie made at the driver does not
 * come back to that listener as a cookie: NAT, TPROXY, SYNPROXY and IPVS for its port, and rules of
 * conntrack that let a connection begin with a SYN only. Here the descriptions are read that the
 * host's programs and files give. Pure.
 *
 * Each function returns whether there is one for the ports and the destination of @rule, and names
 * the first in @text. A condition that is not understood counts as met.
 */
#ifndef WEIR_MODEL_OBSTACLES_H
#define WEIR_MODEL_OBSTACLES_H

#include <stdbool.h>

#include "bpf/weir.h"

#define OBSTACLE_LEN	200

/*
 * @json: of `nft -j list ruleset`. @loose: net.netfilter.nf_conntrack_tcp_loose is not 0, so that
 * conntrack takes an ACK for the beginning of a connection and does not call it invalid.
 */
bool obstacle_in_nft(const char *json, bool loose, const struct weir_syn_rule *rule,
		     char text[OBSTACLE_LEN]);
/* @save: of `iptables-legacy-save`; @program: its name, for @text. */
bool obstacle_in_iptables(const char *save, const char *program, bool loose,
			  const struct weir_syn_rule *rule, char text[OBSTACLE_LEN]);
/* @services: /proc/net/ip_vs. */
bool obstacle_in_ipvs(const char *services, const struct weir_syn_rule *rule,
		      char text[OBSTACLE_LEN]);

#endif
