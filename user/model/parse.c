// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "user/model/error.h"
#include "user/model/parse.h"

/* Digits alone; false for anything else, and for what takes more than 64 bits. */
static bool read_digits(const char *word, uint64_t *number)
{
	*number = 0;
	if (!*word)
		return false;
	for (; *word; word++)
		if (!isdigit((unsigned char)*word) ||
		    __builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, *word - '0', number))
			return false;
	return true;
}

int parse_number(const char *word, const char *what, uint64_t least, uint64_t most,
		 uint64_t *number, char *err)
{
	if (!read_digits(word, number) || *number < least || *number > most)
		return fail(err, EINVAL, "%s \"%s\": a whole number from %llu to %llu", what, word,
			    (unsigned long long)least, (unsigned long long)most);
	return 0;
}

static service_look_up *look_up_service;

void parse_services_with(service_look_up *look_up)
{
	look_up_service = look_up;
}

/* @proto: IPPROTO_TCP or IPPROTO_UDP; others: the service may be of both. */
static int service_port(const char *what, const char *name, uint8_t proto, uint16_t *port,
			char *err)
{
	struct service service;

	if (!look_up_service || !look_up_service(name, &service))
		return fail(err, ENOENT, "%s \"%.40s\": neither a port, a range such as 1000-2000, nor "
			    "a service of /etc/services", what, name);
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP) {
		*port = proto == IPPROTO_TCP ? service.tcp : service.udp;
		return *port ? 0 : fail(err, EINVAL, "%s \"%.40s\": /etc/services has it for %s only",
					what, name, proto == IPPROTO_TCP ? "udp" : "tcp");
	}
	if (service.tcp && service.udp && service.tcp != service.udp)
		return fail(err, EINVAL, "%s \"%.40s\": it is %u for tcp, %u for udp: say proto tcp or "
			    "proto udp", what, name, service.tcp, service.udp);
	*port = service.tcp ? service.tcp : service.udp;
	return 0;
}

/* "1000-2000" for "1000:2000", in which @colon stands. */
static int refuse_colon(const char *what, const char *word, const char *colon, char *err)
{
	return fail(err, EINVAL, "%s \"%.40s\": a range is %.*s-%.20s", what, word,
		    (int)(colon - word), word, colon + 1);
}

#define NOT_PORTS	"%s \"%.40s\": not a port or a range such as 1000-2000"

int parse_ports(const char *what, const char *word, uint8_t proto, uint16_t *first, uint16_t *last,
		char *err)
{
	char low[8], *dash, *colon;
	uint64_t from, to;

	if (strpbrk(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
		if (service_port(what, word, proto, first, err))
			return -EINVAL;
		*last = *first;
		return 0;
	}
	colon = strchr(word, ':');
	if (colon && strspn(word, "0123456789:") == strlen(word))
		return refuse_colon(what, word, colon, err);
	if (strlen(word) >= 2 * sizeof(low))
		return fail(err, EINVAL, NOT_PORTS, what, word);
	dash = strchr(word, '-');
	if (dash && (size_t)(dash - word) >= sizeof(low))
		return fail(err, EINVAL, NOT_PORTS, what, word);
	snprintf(low, sizeof(low), "%.*s", dash ? (int)(dash - word) : 7, word);
	if (!dash && strlen(word) >= sizeof(low))
		return fail(err, EINVAL, "%s \"%s\": ports are 1..65535", what, word);
	if (parse_number(low, what, 1, 65535, &from, err))
		return -EINVAL;
	to = from;
	if (dash && parse_number(dash + 1, what, 1, 65535, &to, err))
		return -EINVAL;
	if (to < from)
		return fail(err, EINVAL, "%s \"%s\": the range is empty; did you mean %llu-%llu?",
			    what, word, (unsigned long long)to, (unsigned long long)from);
	*first = from;
	*last = to;
	return 0;
}

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{ "tcp", IPPROTO_TCP },	  { "udp", IPPROTO_UDP },   { "icmp", IPPROTO_ICMP },
	{ "icmp", IPPROTO_ICMPV6 }, { "sctp", IPPROTO_SCTP }, { "gre", IPPROTO_GRE },
	{ "esp", IPPROTO_ESP },	  { "ah", IPPROTO_AH },	    { "ipip", IPPROTO_IPIP },
	{ "igmp", IPPROTO_IGMP }, { "icmpv6", IPPROTO_ICMP },
};

const char *proto_name(uint8_t proto)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (protocols[i].number == proto)
			return protocols[i].name;
	return NULL;
}

int parse_proto(const char *word, uint8_t *proto, bool *any, char *err)
{
	uint64_t number;

	*any = !strcasecmp(word, "any");
	*proto = 0;
	if (*any)
		return 0;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++) {
		if (strcasecmp(word, protocols[i].name))
			continue;
		*proto = protocols[i].number;
		return 0;
	}
	if (parse_number(word, "proto", 0, 255, &number, err))
		return fail(err, EINVAL, "proto \"%s\": tcp, udp, icmp, any, or a number 0..255", word);
	*proto = number == IPPROTO_ICMPV6 ? IPPROTO_ICMP : number;
	return 0;
}

int parse_prefix(const char *word, struct prefix *prefix, char *err)
{
	char text[PREFIX_STRLEN];
	bool host_bits;
	int rc;

	rc = prefix_parse(word, prefix, &host_bits, err);
	if (rc)
		return rc;
	if (host_bits) {
		prefix_format(prefix, text);
		return fail(err, EINVAL, "\"%s\": bits are set behind the prefix length; did you mean %s?",
			    word, text);
	}
	return 0;
}

int parse_address(const char *word, struct prefix *address, char *err)
{
	if (parse_prefix(word, address, err))
		return -EINVAL;
	return address->length == 128 ? 0 : fail(err, EINVAL, "\"%s\": this must be an "
						 "address, not a prefix", word);
}

int check_name(const char *object, const char *name, char *err)
{
	size_t len = strlen(name);

	if (len < 1 || len >= WEIR_NAME_LEN ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len)
		return fail(err, EINVAL, "%s name \"%.40s\": 1 to %d of a-z, 0-9, - and _", object, name,
			    WEIR_NAME_LEN - 1);
	return 0;
}

