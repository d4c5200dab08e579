// SPDX-License-Identifier: GPL-2.0-only
/* The calm sample: who gets into it, and its file; and how packets are read for it. */
#include <string.h>

#include "tests/unit/check.h"
#include "tests/unit/explain_traffic.h"
#include "user/model/calm.h"
#include "user/model/error.h"
#include "user/model/explain_fields.h"
#include "user/model/explain_packet.h"
#include "user/model/explain_text.h"

#define HOUR_S	3600
#define WEEK_S	(168 * HOUR_S)
#define BEGIN_S	(2900 * WEEK_S)	/* a week that begins at hour 0 */

static struct check check;
static struct traffic traffic;
static const struct hash_seed secret = { { 1234567, 7654321 } };

static struct calm *fresh_calm(void)
{
	struct calm *calm = calm_new(&secret, 1);

	if (!calm)
		exit(EXIT_FAILURE);
	return calm;
}

static uint32_t of_network(const struct calm_sample *sample, uint64_t lo)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < sample->count; i++)
		count += sample->packet[i].lo >> 8 == lo >> 8;
	return count;
}

static void test_networks(void)
{
	struct calm *calm = fresh_calm();
	struct calm_sample *sample = &calm->sample[CALM_STRANGERS];
	struct calm_extent extent;
	uint32_t most = 0;
	clock_t began = clock();
	double us;

	traffic_begin(&traffic, 1, PEOPLE);
	for (uint32_t i = 0; i < 100000; i++) {
		struct explain_packet packet = game(&traffic);

		/* Half of all is of one network. */
		packet.lo = V4(0xc6336400 + below(&traffic, 256) + 256 * (i & 1 ? 0 : below(&traffic, 400)));
		calm_offer(calm, CALM_STRANGERS, &packet, BEGIN_S + i / 100);
	}
	us = (clock() - began) * 1e6 / CLOCKS_PER_SEC / 100000;
	for (uint32_t net = 0; net < 400; net++) {
		uint32_t count = of_network(sample, V4(0xc6336400 + 256 * net));

		most = count > most ? count : most;
	}
	calm_measure(sample, &extent);
	CHECK(&check, most == CALM_OF_NETWORK, "%u packets of one network", most);
	CHECK(&check, sample->count == CALM_PACKETS, "%u packets", sample->count);
	CHECK(&check, extent.networks == 400 && extent.hours == 1, "%u networks, %u hours",
	      extent.networks, extent.hours);
	CHECK(&check, !calm->sample[CALM_KNOWN].count, "%u known", calm->sample[CALM_KNOWN].count);
	check_done(&check, "no network has more than 1 % of the calm sample",
		   "%u of %u, though it sent half of all; %.0f us an offer", most, sample->count, us);
	calm_free(calm);
}

/* A busy hour has no more of the sample than a quiet one. */
static void test_hours(void)
{
	struct calm *calm = fresh_calm();
	struct calm_sample *sample = &calm->sample[CALM_KNOWN];
	uint32_t least = UINT32_MAX, most = 0;

	traffic_begin(&traffic, 2, PEOPLE);
	for (uint32_t hour = 0; hour < 48; hour++)
		for (uint32_t i = 0; i < (hour % 24 == 12 ? 30000U : 1500U); i++) {
			struct explain_packet packet = game(&traffic);

			packet.lo = V4(below(&traffic, 1 << 24) << 8);
			calm_offer(calm, CALM_KNOWN, &packet, BEGIN_S + hour * HOUR_S + i / 10);
		}
	for (uint32_t hour = 0; hour < 48; hour++) {
		least = sample->of_hour[hour] < least ? sample->of_hour[hour] : least;
		most = sample->of_hour[hour] > most ? sample->of_hour[hour] : most;
	}
	CHECK(&check, sample->count == CALM_PACKETS && most - least <= 1 &&
	      least == CALM_PACKETS / 48, "%u to %u of %u packets", least, most, sample->count);
	check_done(&check, "each hour has the same part of the calm sample",
		   "%u to %u packets of 48 hours, some of 30,000 and some of 1,500", least, most);
	calm_free(calm);
}

/* Within an hour the first packets and the last have the same chance. */
static void test_fair(void)
{
	struct calm *calm = fresh_calm();
	struct calm_sample *sample = &calm->sample[CALM_KNOWN];
	uint32_t early = 0;

	traffic_begin(&traffic, 3, PEOPLE);
	for (uint32_t i = 0; i < 60000; i++) {
		struct explain_packet packet = game(&traffic);

		packet.lo = V4(below(&traffic, 1 << 24) << 8);
		packet.number[EXPLAIN_TTL] = i < 30000;
		calm_offer(calm, CALM_KNOWN, &packet, BEGIN_S + i / 20);
	}
	for (uint32_t i = 0; i < sample->count; i++)
		early += sample->packet[i].number[EXPLAIN_TTL];
	/* Binomial: 5120, and 51 is its standard deviation. */
	CHECK(&check, early > 5120 - 200 && early < 5120 + 200, "%u of the first half", early);
	check_done(&check, "first packets and last have the same chance", "%u of %u are of the first "
		   "half", early, sample->count);
	calm_free(calm);
}

/* Packets of one source stay of one source, those of two stay of two; no address is kept. */
static void test_sources(void)
{
	struct calm *calm = fresh_calm();
	struct calm_sample *sample = &calm->sample[CALM_KNOWN];
	bool seen[256] = { false };
	uint32_t kept = 0, different = 0;

	for (uint32_t host = 0; host < 100; host++) {
		struct explain_packet packet = packet_of(V4(0xc6336400 + host), 17, 1, 2, 100, 64);

		calm_offer(calm, CALM_KNOWN, &packet, BEGIN_S);
		kept += (sample->packet[host].lo & 255) == host;
		different += !seen[sample->packet[host].lo & 255];
		seen[sample->packet[host].lo & 255] = true;
	}
	CHECK(&check, different == 100 && kept < 10, "%u different, %u as they were", different, kept);
	check_done(&check, "sources are hidden, and stay apart", "%u sources, %u as they were by chance",
		   different, kept);
	calm_free(calm);
}

/* ---- the file ---- */

static void fill(struct calm *calm)
{
	traffic_begin(&traffic, 4, PEOPLE);
	for (uint32_t i = 0; i < 3000; i++) {
		struct explain_packet packet = i % 3 ? web(&traffic) : dns_answer(&traffic);

		packet.shift = i % 20;
		if (i % 5 == 0)
			packet.hi = 0x20010db800000000ULL + ((uint64_t)i << 16);
		calm_offer(calm, i % 4 ? CALM_KNOWN : CALM_STRANGERS, &packet, BEGIN_S + 60 * i);
	}
}

static bool same_packet(const struct explain_packet *a, const struct explain_packet *b)
{
	return a->hi == b->hi && a->lo == b->lo && a->shift == b->shift &&
	       a->payload_bytes == b->payload_bytes &&
	       !memcmp(a->number, b->number, sizeof(a->number)) &&
	       !memcmp(a->payload, b->payload, sizeof(a->payload));
}

static void test_file(void)
{
	struct calm *calm = fresh_calm(), *again = fresh_calm();
	char err[ERR_LEN] = "";
	size_t size;
	uint8_t *data;
	int rc;

	fill(calm);
	data = calm_write(calm, &size);
	again->secret = (struct hash_seed){ { 0 } };
	rc = data ? calm_read("f", data, size, again, err) : -1;
	CHECK(&check, !rc, "%s", err);
	CHECK(&check, !memcmp(&again->secret, &secret, sizeof(secret)), "the secret differs");
	for (int kind = 0; kind < CALM_KINDS; kind++) {
		const struct calm_sample *a = &calm->sample[kind], *b = &again->sample[kind];

		CHECK(&check, a->count == b->count && !memcmp(a->of_hour, b->of_hour,
		      sizeof(a->of_hour)), "%u and %u packets", a->count, b->count);
		for (uint32_t i = 0; i < a->count && i < b->count; i++)
			CHECK(&check, same_packet(&a->packet[i], &b->packet[i]) &&
			      a->unix_minute[i] == b->unix_minute[i], "packet %u differs", i);
	}
	check_done(&check, "the file of a calm sample is read as it was written", "%zu bytes", size);
	free(data);
	calm_free(calm);
	calm_free(again);
}

static void test_damaged(void)
{
	struct calm *calm = fresh_calm(), *again = fresh_calm();
	unsigned long long state = check_seed();
	char err[ERR_LEN] = "";
	uint32_t refused = 0, tried = 0;
	size_t size;
	uint8_t *data;

	fill(calm);
	data = calm_write(calm, &size);
	for (size_t cut = 0; data && cut < size; cut += 1 + cut / 3, tried++)
		refused += calm_read("f", data, cut, again, err) == -EINVAL && *err;
	for (int i = 0; data && i < 400; i++, tried++) {
		size_t at = i < 48 ? (size_t)i : check_random(&state) % size;
		uint8_t bit = 1 << check_random(&state) % 8;

		data[at] ^= bit;
		refused += calm_read("f", data, size, again, err) == -EINVAL && *err &&
			   !again->sample[0].count && !again->sample[1].count;
		data[at] ^= bit;
	}
	CHECK(&check, data && refused == tried, "%u of %u", refused, tried);
	check_done(&check, "cut and damaged files are refused", "%u of %u", refused, tried);
	free(data);
	calm_free(calm);
	calm_free(again);
}

/* ---- packets ---- */

static size_t from_hex(const char *hex, uint8_t *data)
{
	size_t size = 0;
	unsigned int byte;

	for (; sscanf(hex, " %2x", &byte) == 1; size++) {
		data[size] = byte;
		hex += strspn(hex, " ") + 2;
	}
	return size;
}

#define ETH4	"020000000001 020000000002 0800 "
#define IP4(length, where, proto) "4500 " length " 0001 " where " 40 " proto " 0000 c6336407 c0000201 "
#define ETH6	"020000000001 020000000002 86dd "
#define IP6(length, proto) "60000000 " length " " proto " 37 20010db8000000010000000000000007 " \
	"20010db8000000020000000000000001 "

static void test_frames(void)
{
	static const struct {
		const char *hex, *match;	/* NULL: it cannot be read */
	} cases[] = {
		{ ETH4 IP4("0020", "0000", "11") "007b 9c40 000c 0000 d7000300",
		  "proto udp sport 123 dport 40000 length 32 ip-ttl 64 payload 0 d7000300" },
		{ ETH4 IP4("0024", "0000", "11") "007b 9c40 000c 0000 d7000300 dead",
		  "proto udp length 36 payload 0 d7000300" },
		/* what follows the IP packet is padding */
		{ ETH4 IP4("001e", "0000", "11") "007b 9c40 000a 0000 d7000300",
		  "proto udp length 30" },
		{ ETH4 IP4("05dc", "00b9", "11") "01020304", "proto udp fragment length 1500" },
		{ ETH4 IP4("0028", "4000", "06") "9c40 01bb 00000001 00000000 5002 ffff 0000 0000",
		  "proto tcp sport 40000 dport 443 flags syn/fin,syn,rst,psh,ack,urg length 40" },
		{ ETH4 IP4("0054", "0000", "01") "0800 0000 0001 0001 00000000",
		  "proto icmp icmp-type 8 length 84 payload 0 00000000" },
		{ ETH4 IP4("0030", "0000", "2f") "00000800 45000000", "proto gre payload 0 00000800" },
		{ ETH6 IP6("000c", "11") "0035 9c40 000c 0000 00010203",
		  "proto udp sport 53 length 52 ip-ttl 55 payload 0 00010203" },
		{ ETH6 IP6("0014", "2c") "1100 0001 00000001 0035 9c40 000c 0000 00010203",
		  "proto udp sport 53 length 60" },
		{ ETH6 IP6("0010", "2c") "1100 0010 00000001 0102030405060708",
		  "proto udp fragment length 56" },
		{ ETH6 IP6("0008", "3a") "8000 0000 0001 0001", "proto icmp icmp-type 128" },
		{ "020000000001 020000000002 8100 0001 0800 " IP4("0020", "0000", "11")
		  "007b 9c40 000c 0000 d7000300", "proto udp sport 123" },
		{ ETH4 IP4("0020", "0000", "11") "007b 9c40 00", NULL },
		{ ETH4 "4500 0020", NULL }, { "020000000001 020000000002 0806 0001", NULL },
		{ "", NULL }, { ETH4 "6500 0020 0001 0000 40 11 0000 c6336407 c0000201", NULL },
		{ ETH6 IP6("0008", "00") "1100", NULL },
		{ ETH4 IP4("0028", "4000", "06") "9c40 01bb 00000001 00000000 1002 ffff 0000 0000", NULL },
	};
	size_t count = sizeof(cases) / sizeof(*cases);
	uint8_t data[128];

	for (size_t i = 0; i < count; i++) {
		size_t size = from_hex(cases[i].hex, data);
		struct explain_packet packet;
		bool read = explain_read_frame(data, size, false, 4, &packet);
		struct explain_share shares[EXPLAIN_SHARES];
		uint32_t found = read ? explain_shares(&packet, 1, NULL, 0, shares) : 0;
		char all[512] = " ", word[EXPLAIN_TEXT + 2];

		CHECK(&check, read == (cases[i].match != NULL), "frame %zu: %d", i, read);
		for (uint32_t f = 0; f < found; f++) {
			struct explain_rule rule = { 1, { shares[f].condition } };

			explain_rule_text(&rule, word);
			strcat(strcat(all, word), " ");
			CHECK(&check, explain_holds(&shares[f].condition, &packet), "%zu: %s", i, word);
		}
		for (const char *at = cases[i].match; read && at && *at; at += strcspn(at, " "),
		     at += strspn(at, " ")) {
			snprintf(word, sizeof(word), " %.*s ", (int)strcspn(at, " "), at);
			CHECK(&check, strstr(all, word), "frame %zu:%slacks%s", i, all, word);
		}
		CHECK(&check, !read || packet.shift == 2, "weight 2^%u", packet.shift);
	}
	check_done(&check, "frames are read", "%zu frames", count);
}

static void test_text(void)
{
	static const struct {
		struct explain_condition condition;
		const char *text;
	} cases[] = {
		{ { EXPLAIN_PAYLOAD, 3, 0x5a000000, 0xff000000 }, "payload 3 5a" },
		{ { EXPLAIN_PAYLOAD, 3, 0x00005a5b, 0x0000ffff }, "payload 5 5a5b" },
		{ { EXPLAIN_PAYLOAD, 0, 0x12005600, 0xff00ff00 }, "payload 0 120056/ff00ff" },
		{ { EXPLAIN_PAYLOAD, 0, 0x10000000, 0xf0000000 }, "payload 0 10/f0" },
		{ { EXPLAIN_FLAGS, 0, 0, 0x12 }, "flags none/syn,ack" },
		{ { EXPLAIN_PROTO, 0, 200, 200 }, "proto 200" },
		{ { EXPLAIN_TTL, 0, 243, 246 }, "ip-ttl 243-246" },
		{ { EXPLAIN_SOURCE, 120, 0, 0, 0, V4(0xc6336400) }, "from 198.51.100.0/24" },
		{ { EXPLAIN_SOURCE, 32, 0, 0, 0x20010db800000000, 0 }, "from 2001:db8::/32" },
	};
	size_t count = sizeof(cases) / sizeof(*cases);

	for (size_t i = 0; i < count; i++) {
		struct explain_rule rule = { 1, { cases[i].condition } };
		char text[EXPLAIN_TEXT];

		explain_rule_text(&rule, text);
		CHECK(&check, !strcmp(text, cases[i].text), "\"%s\", not \"%s\"", text, cases[i].text);
	}
	check_done(&check, "rules as words", "%zu conditions", count);
}

int main(void)
{
	test_networks();
	test_hours();
	test_fair();
	test_sources();
	test_file();
	test_damaged();
	test_frames();
	test_text();
	return check_exit(&check);
}
