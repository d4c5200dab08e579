/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages of ICMP by number or by name. IPv4 and IPv6 number the same messages differently, so a name
 * stands for the message in each family that has it: echo-request is 8 of ICMP, 128 of ICMPv6.
 */
#ifndef WEIR_MODEL_ICMP_TYPES_H
#define WEIR_MODEL_ICMP_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#define ICMP_TYPE_TEXT	32	/* bytes of a name or number, NUL included */

/* Types as in weir_limit_spec: plus 1; 0: the family has no such message. */
struct icmp_types {
	uint16_t v4, v6;
};

/*
 * A name, in any case, or a number of 0..255, which is the type of both families. 0, or -EINVAL with
 * @err.
 */
int icmp_types_parse(const char *word, struct icmp_types *types, char *err);
/* What icmp_types_parse() reads back. */
void icmp_types_format(struct icmp_types types, char text[ICMP_TYPE_TEXT]);
/* The names of a number that is one message in IPv4 and another in IPv6. False: it is not. */
bool icmp_type_differs(struct icmp_types types, const char **v4, const char **v6);
/* The @n-th name, in the order of the numbers; NULL behind the last one. */
const char *icmp_type_name(unsigned int n);

#endif
