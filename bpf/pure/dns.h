/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DNS messages: whether one is a plain query, and the answer "truncated, come by TCP". Pure.
 *
 * A query that is answered has one question, whose name is whole and without a pointer (there is
 * nothing before it that a pointer could name), and no further record than an OPT of version 0.
 * Anything else is for the server: responses, NOTIFY, UPDATE, IXFR (it has a record), and signed
 * queries (TSIG, SIG(0)), since an answer to those must be signed as well.
 *
 * The answer is the query with the bits QR and TC, written in its place, and never longer. To a
 * query with OPT belongs an answer with OPT, also when it is truncated (RFC 6891, 7); without one
 * a resolver may take the server for one that knows no EDNS. Of its options, only a cookie that
 * has the server's half goes back, as it came: a resolver that has this half may discard an answer
 * without it (RFC 7873, 5.3). A cookie with the client's half alone must not go back like that,
 * since only the server can add its half; without it, the resolver takes the server for one
 * without cookies, until it comes by TCP.
 */
#ifndef WEIR_BPF_PURE_DNS_H
#define WEIR_BPF_PURE_DNS_H

#include <linux/types.h>

#include "bpf/pure/compiler.h"

#define DNS_HEADER		12	/* bytes: id, flags, four counts */
#define DNS_QUESTIONS_AT	4
#define DNS_ANSWERS_AT		6
#define DNS_AUTHORITIES_AT	8
#define DNS_ADDITIONALS_AT	10
#define DNS_NAME_MAX		255	/* of a name, the root's byte included */
#define DNS_LABEL_MAX		63
#define DNS_LABELS_MAX		128	/* with the root */
#define DNS_TYPE_AND_CLASS	4
#define DNS_LEAST		(DNS_HEADER + 1 + DNS_TYPE_AND_CLASS)	/* a query for the root */

/* Of the second and third word of the header. */
#define DNS_QR			0x80	/* a response */
#define DNS_OPCODE		0x78
#define DNS_TC			0x02
#define DNS_RD			0x01
#define DNS_RA			0x80
#define DNS_CD			0x10	/* copied as well, RFC 4035 */

#define DNS_OPT			41
#define DNS_OPT_LEN		11	/* without options; its name is the root */
#define DNS_OPT_SIZE		1232	/* what resolvers may send by UDP: the usual size */
#define DNS_OPT_DO		0x80	/* copied, RFC 3225 */
#define DNS_OPTIONS_READ	8	/* of one OPT at most */
#define DNS_COOKIE		10
#define DNS_COOKIE_LEAST	16	/* of one that has the server's half */
#define DNS_COOKIE_MOST		40
#define DNS_OPTION_HEAD		4	/* code and length */

/*
 * The first bytes of a message: all that is read. The longest name, an OPT and a cookie that is
 * its first option take 326 of them, which is also the longest answer.
 */
#define DNS_READ		512
#define DNS_ANSWER_MAX		(DNS_HEADER + DNS_NAME_MAX + DNS_TYPE_AND_CLASS + DNS_OPT_LEN + \
				 DNS_OPTION_HEAD + DNS_COOKIE_MOST)
struct dns_message {
	__u8 byte[DNS_READ];
};

struct dns_query {
	__u16 end;		/* of the question, as an offset in the message; 0: no query */
	__u16 cookie_at;	/* of the option that goes back */
	__u16 cookie_len;	/* its head included; 0: there is none */
	__u16 edns;		/* 1: an OPT follows the question */
};

_Static_assert(DNS_ANSWER_MAX < DNS_READ, "an answer fits where the query was");

/* @at: known to be within what was read; the mask is what the verifier needs to see. */
static __always_inline __u8 *dns_byte(struct dns_message *message, __u32 at)
{
	return &message->byte[weir_opaque(at) & (DNS_READ - 1)];
}

static __always_inline __u32 dns_word(struct dns_message *message, __u32 at)
{
	return (__u32)*dns_byte(message, at) << 8 | *dns_byte(message, at + 1);
}

static __always_inline void dns_put_word(struct dns_message *message, __u32 at, __u32 value)
{
	*dns_byte(message, at) = value >> 8;
	*dns_byte(message, at + 1) = value;
}

__noinline int dns_question_end(struct dns_message *message, __u32 len);
__noinline int dns_cookie_at(struct dns_message *message, __u32 at, __u32 end);

/*
 * Where the question ends, or 0 if its name is not well formed. Global, so that the verifier
 * forgets after how many labels it ended. @len: the bytes that were read.
 */
__noinline int dns_question_end(struct dns_message *message, __u32 len)
{
	__u32 at = DNS_HEADER;

	if (!message || len > DNS_READ)
		return 0;
	for (int i = 0; i < DNS_LABELS_MAX; i++) {
		__u32 size;

		if (at >= len)
			return 0;
		size = *dns_byte(message, at);
		at += size + 1;
		if (!size)
			break;
		if (size > DNS_LABEL_MAX || at >= DNS_HEADER + DNS_NAME_MAX)
			return 0;
	}
	return at + DNS_TYPE_AND_CLASS <= len ? at + DNS_TYPE_AND_CLASS : 0;
}

/*
 * Where between @at and @end the option with a cookie is that has the server's half; 0: nowhere.
 * Global for the same reason.
 */
__noinline int dns_cookie_at(struct dns_message *message, __u32 at, __u32 end)
{
	if (!message || end > DNS_READ)
		return 0;
	for (int i = 0; i < DNS_OPTIONS_READ; i++) {
		__u32 code, size;

		if (at + DNS_OPTION_HEAD > end)
			return 0;
		code = dns_word(message, at);
		size = dns_word(message, at + 2);
		if (at + DNS_OPTION_HEAD + size > end)
			return 0;
		if (code == DNS_COOKIE)
			return size < DNS_COOKIE_LEAST || size > DNS_COOKIE_MOST ? 0 : at;
		at += DNS_OPTION_HEAD + size;
	}
	return 0;
}

/* Reads the OPT behind the question. Returns 1 if it is one, of version 0, and whole. */
static __always_inline int dns_read_opt(struct dns_message *message, struct dns_query *query,
					__u32 len, __u32 whole)
{
	__u32 at = query->end, size, stop;

	if (at + DNS_OPT_LEN > len || *dns_byte(message, at) ||
	    dns_word(message, at + 1) != DNS_OPT || *dns_byte(message, at + 6))
		return 0;
	size = dns_word(message, at + 9);
	stop = at + DNS_OPT_LEN + size;
	if (stop > whole)
		return 0;
	query->edns = 1;
	query->cookie_at = dns_cookie_at(message, at + DNS_OPT_LEN, stop > len ? len : stop);
	if (query->cookie_at)
		query->cookie_len = (dns_word(message, query->cookie_at + 2) & 63) +
				    DNS_OPTION_HEAD;
	return 1;
}

/*
 * Whether the message is a query that can be answered with "truncated". @len: the bytes that were
 * read, of @whole.
 */
static __always_inline int dns_is_query(struct dns_message *message, struct dns_query *query,
					__u32 len, __u32 whole)
{
	__u32 more;

	*query = (struct dns_query){ 0 };
	if (len < DNS_LEAST || message->byte[2] & (DNS_QR | DNS_OPCODE) ||
	    dns_word(message, DNS_QUESTIONS_AT) != 1 || dns_word(message, DNS_ANSWERS_AT) ||
	    dns_word(message, DNS_AUTHORITIES_AT))
		return 0;
	more = dns_word(message, DNS_ADDITIONALS_AT);
	if (more > 1)
		return 0;
	query->end = dns_question_end(message, len);
	return query->end && (!more || dns_read_opt(message, query, len, whole));
}

/* The option moves towards the start, so the bytes that are read are not yet overwritten. */
static __always_inline void dns_move_option(struct dns_message *message, __u32 to, __u32 from,
					    __u32 len)
{
	for (__u32 i = 0; i < DNS_OPTION_HEAD + DNS_COOKIE_MOST; i++)
		if (i < len)
			*dns_byte(message, to + i) = *dns_byte(message, from + i);
}

/*
 * Turns the query into the answer and returns its length. Only the server knows what AA and RA
 * should be. Resolvers look at TC first, but glibc's stub takes a server for lame whose answer has
 * no record and neither of the two. So RA is set where recursion is desired, as by all stubs. Up to
 * three bytes behind the answer become 0, for a checksum by words.
 */
static __always_inline __u32 dns_make_truncated(struct dns_message *message,
						const struct dns_query *query)
{
	__u32 end = query->end;

	message->byte[2] = DNS_QR | DNS_TC | (message->byte[2] & DNS_RD);
	message->byte[3] = (message->byte[3] & DNS_CD) | (message->byte[2] & DNS_RD ? DNS_RA : 0);
	if (query->edns) {
		dns_put_word(message, end + 3, DNS_OPT_SIZE);
		*dns_byte(message, end + 5) = 0;
		*dns_byte(message, end + 7) &= DNS_OPT_DO;
		*dns_byte(message, end + 8) = 0;
		dns_put_word(message, end + 9, query->cookie_len);
		end += DNS_OPT_LEN;
		if (query->cookie_len)
			dns_move_option(message, end, query->cookie_at, query->cookie_len);
		end += query->cookie_len;
	}
	for (__u32 i = 0; i < 3; i++)
		*dns_byte(message, end + i) = 0;
	return end;
}

#endif
