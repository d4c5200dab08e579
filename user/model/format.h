/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Values as text. Each kind of value has one form, in tables, messages and `save`; the words
 * parse back to the same value (model/parse.h). Text that does not fit is cut.
 */
#ifndef WEIR_MODEL_FORMAT_H
#define WEIR_MODEL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/model/prefix.h"

#define FORMAT_LEN	96	/* bytes of every text below that has no @size, NUL included */
#define CLASS_LEN	448	/* bytes of a class, with two full sets of ports */

/* "1000pps", "100/min" or "20/h": @packets in @per_s (1, 60 or 3600) seconds. */
void format_packet_rate(uint64_t packets, uint32_t per_s, char text[FORMAT_LEN]);
/* "50mbit", in the largest unit that is exact; bits, or bits per second. */
void format_bits(uint64_t bits, char text[FORMAT_LEN]);
/* The words that select the class of packets: "all", "proto tcp", "syn dport 443", "fragment". */
void format_class(const struct weir_limit_spec *spec, char text[CLASS_LEN]);
/* "10m", "1h30m" or "1d2h3m4s": exact. */
void format_duration(uint64_t seconds, char text[FORMAT_LEN]);
/* "1d2h", "59m59s": the two largest units, for tables; at most 8 columns up to ten years. */
void format_left(uint64_t seconds, char text[FORMAT_LEN]);
/* The words behind `limit set` that make this limit. */
void format_limit(const struct weir_limit_spec *spec, const struct weir_limit *limit, char *text,
		  size_t size);
/* The words behind `budget set NAME` that make this budget. */
void format_budget(const struct weir_limit_spec *spec, char *text, size_t size);
/* The words behind `syn protect` that make this rule. */
void format_syn(const struct weir_syn_rule *rule, char *text, size_t size);
/* The words behind `dns protect` that make this rule. */
void format_dns(const struct weir_dns_rule *rule, char *text, size_t size);
/* The source prefix of a limit or the destination prefix of a budget; "any" for both families. */
void format_end(const struct weir_prefix *end, char text[PREFIX_STRLEN]);

/* Whether the text is valid UTF-8; JSON can hold no other. */
bool is_utf8(const char *text);

#endif
