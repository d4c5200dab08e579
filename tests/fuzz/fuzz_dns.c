// SPDX-License-Identifier: GPL-2.0-only
/*
 * bpf/pure/dns.h over any bytes, as they are behind a UDP header: reading stays within the message
 * and changes nothing; an answer is a response to the same question, is never longer than the
 * query, and is not itself a query.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/pure/dns.h"

#define WANT(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(struct dns_message *message, const struct dns_query *query,
			 const uint8_t *data, size_t size)
{
	uint32_t len = dns_make_truncated(message, query), more;
	struct dns_query again;

	WANT(len <= size && len <= DNS_ANSWER_MAX && len >= DNS_LEAST);
	WANT(!memcmp(message->byte, data, 2) && !memcmp(message->byte + 4, data + 4, query->end - 4));
	WANT(message->byte[2] == (0x82 | (data[2] & 1)));
	WANT(message->byte[3] == (data[2] << 7 & 0x80) + (data[3] & 0x10));
	more = query->edns ? DNS_OPT_LEN + query->cookie_len : 0;
	WANT(len == query->end + more && message->byte[11] == query->edns);
	WANT(!query->edns || !memcmp(message->byte + query->end, data + query->end, 3));
	WANT(!query->cookie_len || !memcmp(message->byte + query->end + DNS_OPT_LEN,
					   data + query->cookie_at, query->cookie_len));
	WANT(!dns_is_query(message, &again, len, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size < DNS_READ ? size : DNS_READ;
	struct dns_message *message = malloc(sizeof(*message));
	struct dns_query query;

	WANT(message);
	/* What an earlier packet left behind this one differs from packet to packet. */
	memset(message, size & 1 ? 0xff : 0, sizeof(*message));
	memcpy(message, data, len);
	if (dns_is_query(message, &query, len, size)) {
		WANT(!memcmp(message, data, len) && query.end <= len);
		check_answer(message, &query, data, size);
	} else {
		WANT(!memcmp(message, data, len));
	}
	free(message);
	return 0;
}
