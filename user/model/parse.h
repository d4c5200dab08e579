/* SPDX-License-Identifier: GPL-2.0-only */
/* The words of the command line: one parser for each kind of value. */
#ifndef WEIR_MODEL_PARSE_H
#define WEIR_MODEL_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "user/model/prefix.h"

/*
 * A rate as it was spelt: packets in a unit of time, or bits per second.
 * `1000pps`, `10kpps`, `1mpps`, `100/s`, `100/min`, `20/h`; `500kbit`, `50mbit`, `1gbit`.
 */
struct rate {
	uint64_t packets;	/* in per_s seconds; 0: this is a bit rate */
	uint32_t per_s;		/* 1, 60 or 3600 */
	uint64_t bits_per_s;
};

/* A burst: packets (`100`) or bits (`512kbit`). */
struct burst {
	uint64_t packets;
	uint64_t bits;
};

/* All return 0, or -EINVAL with the reason in @err (ERR_LEN bytes). */
int parse_rate(const char *word, struct rate *rate, char *err);
int parse_burst(const char *word, struct burst *burst, char *err);
/* `30s`, `10m`, `2h`, `7d`; nanoseconds, at least one second, at most ten years. */
int parse_duration(const char *word, uint64_t *ns, char *err);
/* `53` or `1000-2000`; both bounds included, 1..65535. */
int parse_ports(const char *word, uint16_t *first, uint16_t *last, char *err);
/* `tcp`, `udp`, `icmp`, other names below, or a number 0..255; `any` sets *any. */
int parse_proto(const char *word, uint8_t *proto, bool *any, char *err);
/* A plain decimal number in [least, most]; @what names it in the message. */
int parse_number(const char *word, const char *what, uint64_t least, uint64_t most,
		 uint64_t *number, char *err);
/* A source prefix; host bits are an error here: they are most often a typo. */
int parse_prefix(const char *word, struct prefix *prefix, char *err);

/* One address; its length is 128. */
int parse_address(const char *word, struct prefix *address, char *err);

/* The name of a protocol number, or NULL. IPPROTO_ICMPV6 is "icmp" too. */
const char *proto_name(uint8_t proto);

#endif
