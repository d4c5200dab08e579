// SPDX-License-Identifier: GPL-2.0-only
/* Rates and bursts: what has one meaning is taken, of what has two both are offered. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/model/decimal.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/parse.h"

#define RATE_MAX	1000000000ULL		/* packets per second */
#define BITS_LEAST	1000ULL			/* per second */
#define BITS_MAX	1000000000000ULL	/* of a burst, or per second */
#define BURST_MAX	1000000000ULL		/* packets */
#define MINUTE		60
#define HOUR		3600
#define BITS_OF_BYTE	8

/* What stands behind the number. */
enum unit {
	UNIT_NONE,		/* nothing, or a k, m or g alone */
	UNIT_UNKNOWN,
	UNIT_PACKETS,		/* packets */
	UNIT_PACKET_RATE,	/* pps, or packets in per_s seconds */
	UNIT_BITS,
	UNIT_BIT_RATE,		/* bits per second, said so: bps, bit/s */
	UNIT_BYTES,		/* MB, MBps, bytes */
	UNIT_MAYBE_BITS,	/* mb: written like that by whoever means bits, and bytes */
	UNIT_PER_DAY,
};

struct amount {
	struct decimal number;
	int digits;		/* the bytes of the number in the word */
	char prefix;		/* 'k', 'm', 'g', or 0 */
	uint64_t factor;	/* of that prefix */
	enum unit unit;
	uint32_t per_s;
};

static const struct {
	const char *word;
	enum unit unit;
	uint32_t per_s;
} units[] = {
	{ "", UNIT_NONE, 1 },
	{ "p", UNIT_PACKETS, 1 }, { "pkt", UNIT_PACKETS, 1 }, { "pkts", UNIT_PACKETS, 1 },
	{ "packet", UNIT_PACKETS, 1 }, { "packets", UNIT_PACKETS, 1 },
	{ "pps", UNIT_PACKET_RATE, 1 }, { "p/s", UNIT_PACKET_RATE, 1 },
	{ "packets/s", UNIT_PACKET_RATE, 1 },
	{ "/s", UNIT_PACKET_RATE, 1 }, { "/sec", UNIT_PACKET_RATE, 1 },
	{ "/second", UNIT_PACKET_RATE, 1 },
	{ "/m", UNIT_PACKET_RATE, MINUTE }, { "/min", UNIT_PACKET_RATE, MINUTE },
	{ "/minute", UNIT_PACKET_RATE, MINUTE },
	{ "/h", UNIT_PACKET_RATE, HOUR }, { "/hour", UNIT_PACKET_RATE, HOUR },
	{ "/d", UNIT_PER_DAY, 1 }, { "/day", UNIT_PER_DAY, 1 },
	{ "bit", UNIT_BITS, 1 }, { "bits", UNIT_BITS, 1 },
	{ "bps", UNIT_BIT_RATE, 1 }, { "bit/s", UNIT_BIT_RATE, 1 }, { "bits/s", UNIT_BIT_RATE, 1 },
	{ "b", UNIT_MAYBE_BITS, 1 }, { "b/s", UNIT_MAYBE_BITS, 1 },
	{ "byte", UNIT_BYTES, 1 }, { "bytes", UNIT_BYTES, 1 }, { "byte/s", UNIT_BYTES, 1 },
	{ "bytes/s", UNIT_BYTES, 1 },
};

/*
 * The case of a letter has a meaning in one place: B are bytes, and b behind a capital letter, as
 * in Mb, are bits. Who writes mb does not care for capitals.
 */
static enum unit by_case(enum unit unit, const char *base, char prefix)
{
	if ((unit == UNIT_MAYBE_BITS || unit == UNIT_BIT_RATE) && base[0] == 'B' &&
	    base[1] != 'i' && base[1] != 'I')
		return UNIT_BYTES;
	return unit == UNIT_MAYBE_BITS && isupper((unsigned char)prefix) ? UNIT_BITS : unit;
}

static bool find_unit(const char *base, char prefix, struct amount *amount)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcasecmp(units[i].word, base))
			continue;
		amount->unit = by_case(units[i].unit, base, prefix);
		amount->per_s = units[i].per_s;
		return true;
	}
	return false;
}

static void read_unit(const char *suffix, struct amount *amount)
{
	static const char prefixes[] = "kmg";
	static const uint64_t factors[] = { 1000, 1000000, 1000000000 };
	const char *found = *suffix ? strchr(prefixes, tolower((unsigned char)*suffix)) : NULL;

	amount->unit = UNIT_UNKNOWN;
	amount->factor = 1;
	if (find_unit(suffix, 0, amount) || !found)
		return;
	amount->prefix = *found;
	amount->factor = factors[found - prefixes];
	find_unit(suffix + 1, *suffix, amount);
}

/* False where @word does not begin with a number. */
static bool read_amount(const char *word, struct amount *amount)
{
	*amount = (struct amount){ 0 };
	amount->digits = decimal_read(word, &amount->number);
	if (amount->digits)
		read_unit(word + amount->digits, amount);
	return amount->digits;
}

/* ---- what is refused with a better word ---- */

/* "10kbit" of "10K" and "bit". */
static const char *other_unit(const char *word, const struct amount *amount, const char *unit,
			      char text[FORMAT_LEN])
{
	snprintf(text, FORMAT_LEN, "%.*s%.1s%s", amount->digits, word,
		 amount->prefix ? &amount->prefix : "", unit);
	return text;
}

/* "1000 what? 1000pps or 1000bit", or the reading that can be meant. */
static int ask_unit(const char *what, const char *word, const struct amount *amount,
		    const char *packets, uint64_t bits_least, char *err)
{
	char bits[FORMAT_LEN];
	uint64_t number;

	if (decimal_times(&amount->number, amount->factor, &number) && number >= bits_least)
		return fail(err, EINVAL, "%s \"%s\": %s what? %s or %s", what, word, word, packets,
			    other_unit(word, amount, "bit", bits));
	return fail(err, EINVAL, "%s \"%s\": %s what? Packets are %s", what, word, word, packets);
}

static int refuse_bytes(const char *what, const char *word, const struct amount *amount, char *err)
{
	char bits[FORMAT_LEN], bytes[FORMAT_LEN] = "";
	uint64_t number;

	other_unit(word, amount, "bit", bits);
	if (decimal_times(&amount->number, amount->factor * BITS_OF_BYTE, &number))
		format_bits(number, bytes);
	if (!*bytes)
		return fail(err, EINVAL, "%s \"%s\": weir counts bits, such as 8mbit", what, word);
	if (amount->unit == UNIT_BYTES)
		return fail(err, EINVAL, "%s \"%s\": %s are bytes, and weir counts bits: that is "
			    "%s, or %s if bits are meant", what, word, word + amount->digits, bytes,
			    bits);
	return fail(err, EINVAL, "%s \"%s\": bits or bytes? %s for bits, %s for bytes", what, word,
		    bits, bytes);
}

/* ---- rates ---- */

/* Of packets that are no whole number in the unit that was said. */
static int refuse_fraction(const char *word, const struct amount *amount, char *err)
{
	uint64_t number;

	if (amount->per_s == 1 && decimal_times(&amount->number, amount->factor * MINUTE, &number))
		return fail(err, EINVAL, "rate \"%s\": not a whole number of packets; say %llu/min",
			    word, (unsigned long long)number);
	if (decimal_times(&amount->number, amount->factor * HOUR / amount->per_s, &number))
		return fail(err, EINVAL, "rate \"%s\": not a whole number of packets; say %llu/h",
			    word, (unsigned long long)number);
	return fail(err, EINVAL, "rate \"%s\": not a whole number of packets", word);
}

static int packet_rate(const char *word, const struct amount *amount, struct rate *rate, char *err)
{
	uint64_t number;

	if (!decimal_times(&amount->number, amount->factor, &number))
		return refuse_fraction(word, amount, err);
	if (number == 0)
		return fail(err, EINVAL, "rate \"%s\": a rate of zero would pass nothing; use "
			    "`weir block` for that", word);
	if (number / amount->per_s > RATE_MAX)
		return fail(err, EINVAL, "rate \"%s\": at most 1000mpps", word);
	rate->packets = number;
	rate->per_s = amount->per_s;
	return 0;
}

static int bit_rate(const char *word, const struct amount *amount, struct rate *rate, char *err)
{
	uint64_t number;

	if (!decimal_times(&amount->number, amount->factor, &number))
		return fail(err, EINVAL, "rate \"%s\": not a whole number of bits", word);
	if (number < BITS_LEAST)
		return fail(err, EINVAL, "rate \"%s\": at least 1kbit", word);
	if (number > BITS_MAX)
		return fail(err, EINVAL, "rate \"%s\": at most 1000gbit", word);
	rate->bits_per_s = number;
	return 0;
}

static int not_a_rate(const char *word, char *err)
{
	return fail(err, EINVAL, "rate \"%s\": not a rate such as 1000pps, 10kpps, 1mpps, 100/min, "
		    "20/h, 50mbit or 1gbit", word);
}

int parse_rate(const char *word, struct rate *rate, char *err)
{
	struct amount amount;
	char packets[FORMAT_LEN];

	*rate = (struct rate){ 0 };
	if (!read_amount(word, &amount))
		return not_a_rate(word, err);
	switch (amount.unit) {
	case UNIT_PACKET_RATE:
		return packet_rate(word, &amount, rate, err);
	case UNIT_BITS:
	case UNIT_BIT_RATE:
		return bit_rate(word, &amount, rate, err);
	case UNIT_NONE:
	case UNIT_PACKETS:
		other_unit(word, &amount, "pps", packets);
		if (amount.unit == UNIT_PACKETS)
			return fail(err, EINVAL, "rate \"%s\": packets in which time? %s for a "
				    "second", word, packets);
		return ask_unit("rate", word, &amount, packets, BITS_LEAST, err);
	case UNIT_BYTES:
	case UNIT_MAYBE_BITS:
		return refuse_bytes("rate", word, &amount, err);
	case UNIT_PER_DAY:
		return fail(err, EINVAL, "rate \"%s\": an hour is the longest time here; 1/h are 24 a day",
			    word);
	default:
		return not_a_rate(word, err);
	}
}

/* ---- bursts ---- */

static int packet_burst(const char *word, const struct amount *amount, struct burst *burst,
			char *err)
{
	uint64_t number;

	if (!decimal_times(&amount->number, amount->factor, &number) || number < 1 ||
	    number > BURST_MAX)
		return fail(err, EINVAL, "burst \"%s\": 1..%llu packets", word, BURST_MAX);
	burst->packets = number;
	return 0;
}

static int bit_burst(const char *word, const struct amount *amount, struct burst *burst, char *err)
{
	uint64_t number;

	if (!decimal_times(&amount->number, amount->factor, &number) || number < 1 ||
	    number > BITS_MAX)
		return fail(err, EINVAL, "burst \"%s\": 1bit..1000gbit", word);
	burst->bits = number;
	return 0;
}

/* A burst is an amount and no rate: @better is the word without its "per second". */
static int refuse_rate(const char *word, const char *better, char *err)
{
	return fail(err, EINVAL, "burst \"%s\": a burst is an amount, not a rate: %s", word, better);
}

int parse_burst(const char *word, struct burst *burst, char *err)
{
	char text[FORMAT_LEN], packets[FORMAT_LEN];
	struct amount amount;
	uint64_t number;

	*burst = (struct burst){ 0 };
	if (!read_amount(word, &amount))
		amount.unit = UNIT_UNKNOWN;
	switch (amount.unit) {
	case UNIT_NONE:
		if (!amount.prefix)
			return packet_burst(word, &amount, burst, err);
		if (!decimal_times(&amount.number, amount.factor, &number))
			break;
		snprintf(packets, sizeof(packets), "%llu packets", (unsigned long long)number);
		return ask_unit("burst", word, &amount, packets, 1, err);
	case UNIT_PACKETS:
		return packet_burst(word, &amount, burst, err);
	case UNIT_PACKET_RATE:
		return refuse_rate(word, other_unit(word, &amount, "", text), err);
	case UNIT_BITS:
		return bit_burst(word, &amount, burst, err);
	case UNIT_BIT_RATE:
		return refuse_rate(word, other_unit(word, &amount, "bit", text), err);
	case UNIT_BYTES:
	case UNIT_MAYBE_BITS:
		return refuse_bytes("burst", word, &amount, err);
	default:
		break;
	}
	return fail(err, EINVAL, "burst \"%s\": not a number of packets, nor bits such as 512kbit",
		    word);
}
