/* SPDX-License-Identifier: GPL-2.0-only */
/* Values from words of the command line and of weir.yaml: one parser for each kind. */
#ifndef WEIR_MODEL_PARSE_H
#define WEIR_MODEL_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "user/model/prefix.h"

/* A rate in the unit in which it was given: packets in some seconds, or bits per second. */
struct rate {
	uint64_t packets;	/* in per_s seconds; 0: this is a bit rate */
	uint32_t per_s;		/* 1, 60 or 3600 */
	uint64_t bits_per_s;	/* 0: this is a packet rate */
};

/* A burst in packets or in bits; the other is 0. */
struct burst {
	uint64_t packets;
	uint64_t bits;
};

/*
 * All parsers return 0, or -EINVAL with the reason in @err. They read the whole word. What has one
 * meaning is taken; of what has two, the message offers both. What is taken is kept in one form,
 * which model/format.h writes and these read back.
 */

/*
 * `1000pps`, `1.5kpps`, `100/s`, `60/m`, `100/min`, `20/h`; `500kbit`, `50Mbit`, `50Mbps`, `50Mb`.
 * Capitals count in one place: MB are bytes, and refused, as is mb, which may be either.
 */
int parse_rate(const char *word, struct rate *rate, char *err);
/* `100` or `100packets`, or `512kbit`, `1.5Mbit`. */
int parse_burst(const char *word, struct burst *burst, char *err);
/*
 * `30s`, `10m`, `10min`, `2h`, `7d`, `1w`, `1h30m`, `1h 30min`, `1.5h`, into nanoseconds: whole
 * seconds from one to ten years.
 */
int parse_duration(const char *word, uint64_t *ns, char *err);

/* The ports of a service by protocol; 0: it has none. */
struct service {
	uint16_t tcp, udp;
};
typedef bool service_look_up(const char *name, struct service *service);
/*
 * Where parse_ports() finds services by name, which the host knows (host/services.h). Until this is
 * called there are none.
 */
void parse_services_with(service_look_up *look_up);

/*
 * `53`, `1000-2000` or `https`: ports 1..65535 in host byte order; the range includes both. @proto:
 * IPPROTO_TCP or IPPROTO_UDP, which the service must have; else its port for both, unless they
 * differ. @what is for the message: "dport".
 */
int parse_ports(const char *what, const char *word, uint8_t proto, uint16_t *first, uint16_t *last,
		char *err);
/*
 * `tcp`, `udp`, `icmp` or another name that proto_name() returns, in any case, `icmpv6`, or a number
 * 0..255. Both protocols of ICMP become IPPROTO_ICMP. `any` sets @any, and @proto to 0.
 */
int parse_proto(const char *word, uint8_t *proto, bool *any, char *err);
/* A decimal number from @least to @most; @what names it in the message. */
int parse_number(const char *word, const char *what, uint64_t least, uint64_t most,
		 uint64_t *number, char *err);
/* A prefix. Bits behind the length are an error here, because they are most often a typo. */
int parse_prefix(const char *word, struct prefix *prefix, char *err);
/* A single address of either family; its length becomes 128. */
int parse_address(const char *word, struct prefix *address, char *err);

/*
 * Whether it can name a list, a budget or a rule: 1 to 31 of a-z, 0-9, - and _. @object, such as
 * "list", is for the message.
 */
int check_name(const char *object, const char *name, char *err);

/* The name of an IP protocol number, or NULL. IPPROTO_ICMPV6 is "icmp", too. */
const char *proto_name(uint8_t proto);

#endif
