/* SPDX-License-Identifier: GPL-2.0-only */
/* One way to write each kind of value, for tables and for `save` alike. */
#ifndef WEIR_MODEL_FORMAT_H
#define WEIR_MODEL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/model/prefix.h"

#define FORMAT_LEN 96

/* "1000pps", "100/min", "20/h" */
void format_packet_rate(uint64_t packets, uint32_t per_s, char text[FORMAT_LEN]);
/* "50mbit": the largest unit that is exact */
void format_bits(uint64_t bits, char text[FORMAT_LEN]);
/* "all", "proto tcp", "syn dport 443", "fragment": the words that select the class */
void format_class(const struct weir_limit_spec *spec, char text[FORMAT_LEN]);
/* "10m", "90s": the largest unit that is exact; what a duration parses from */
void format_duration(uint64_t seconds, char text[FORMAT_LEN]);
/* The words of `limit set` that make this limit. */
void format_limit(const struct weir_limit_spec *spec, const struct weir_limit *limit, char *text,
		  size_t size);
/* The words of `budget set` behind the name. */
void format_budget(const struct weir_limit_spec *spec, char *text, size_t size);
/* The words of `syn protect` that make this rule. */
void format_syn(const struct weir_syn_rule *rule, char *text, size_t size);
/* "any", or the prefix that a limit is from or a budget to. */
void format_end(const struct weir_prefix *end, char text[PREFIX_STRLEN]);

/* False of text that JSON cannot hold. */
bool is_utf8(const char *text);

#endif
