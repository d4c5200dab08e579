// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bytes of the calm sample's file: a head, then the packets of both samples. Integers are
 * little-endian, as this machine's. The file is weir's own, but a broken disk or another hand may
 * have been at it: the reader takes nothing that the writer would not have written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/calm.h"
#include "user/model/error.h"

#define MAGIC	0x6d6c616372696577ULL	/* "weircalm" */
#define VERSION	1
#define HAS_PORTS	1
#define HAS_ICMP	2
#define HAS_FLAGS	4
#define IS_FRAGMENT	8
#define ALL_FLAGS	0x3f

struct head {
	uint64_t magic;
	uint32_t version, record_bytes;
	uint32_t count[CALM_KINDS];
	struct hash_seed secret;
	uint64_t check;		/* of all records: a hash by the secret */
};

struct record {
	uint64_t hi, lo;
	uint32_t unix_minute;
	uint16_t sport, dport, length;
	uint8_t has, icmp, flags, ttl, proto, shift, payload_bytes, pad;
	uint8_t payload[EXPLAIN_BYTES];
	uint8_t end[6];		/* 0 */
};

_Static_assert(sizeof(struct head) == 48, "format of the file");
_Static_assert(sizeof(struct record) == 104, "format of the file");

static uint64_t check_of(const struct hash_seed *secret, const uint8_t *data, size_t size)
{
	uint64_t check = size;

	for (size_t at = 0; at + 8 <= size; at += 8) {
		struct hash_key key = { check, 0, 0 };

		memcpy(&key.lo, data + at, 8);
		check = hash_of_key(secret, &key);
	}
	return check;
}

/* ---- writing ---- */

static void to_record(const struct explain_packet *packet, uint32_t unix_minute,
		      struct record *record)
{
	const int32_t *number = packet->number;

	*record = (struct record){ .hi = packet->hi, .lo = packet->lo, .unix_minute = unix_minute,
				   .length = number[EXPLAIN_LENGTH], .ttl = number[EXPLAIN_TTL],
				   .proto = number[EXPLAIN_PROTO], .shift = packet->shift,
				   .payload_bytes = packet->payload_bytes };
	if (number[EXPLAIN_DPORT] >= 0) {
		record->has |= HAS_PORTS;
		record->sport = number[EXPLAIN_SPORT];
		record->dport = number[EXPLAIN_DPORT];
	}
	if (number[EXPLAIN_ICMP] >= 0) {
		record->has |= HAS_ICMP;
		record->icmp = number[EXPLAIN_ICMP];
	}
	if (number[EXPLAIN_FLAGS] >= 0) {
		record->has |= HAS_FLAGS;
		record->flags = number[EXPLAIN_FLAGS];
	}
	record->has |= number[EXPLAIN_FRAGMENT] ? IS_FRAGMENT : 0;
	memcpy(record->payload, packet->payload, packet->payload_bytes);
}

uint8_t *calm_write(const struct calm *calm, size_t *size)
{
	struct head head = { .magic = MAGIC, .version = VERSION,
			     .record_bytes = sizeof(struct record), .secret = calm->secret };
	uint32_t count = calm->sample[CALM_KNOWN].count + calm->sample[CALM_STRANGERS].count;
	uint8_t *data = malloc(sizeof(head) + count * sizeof(struct record)), *at;

	*size = sizeof(head) + count * sizeof(struct record);
	if (!data)
		return NULL;
	at = data + sizeof(head);
	for (int kind = 0; kind < CALM_KINDS; kind++) {
		const struct calm_sample *sample = &calm->sample[kind];

		head.count[kind] = sample->count;
		for (uint32_t i = 0; i < sample->count; i++, at += sizeof(struct record)) {
			struct record record;

			to_record(&sample->packet[i], sample->unix_minute[i], &record);
			memcpy(at, &record, sizeof(record));
		}
	}
	head.check = check_of(&head.secret, data + sizeof(head), *size - sizeof(head));
	memcpy(data, &head, sizeof(head));
	return data;
}

/* ---- reading ---- */

/* What a packet does not have is 0. */
static bool has_only_its_fields(const struct record *record)
{
	return (record->has & HAS_PORTS || !(record->sport | record->dport)) &&
	       (record->has & HAS_ICMP || !record->icmp) &&
	       (record->has & HAS_FLAGS || !record->flags);
}

static bool is_written_by_us(const struct record *record)
{
	static const uint8_t none[sizeof(record->end)];

	if (record->has & ~(HAS_PORTS | HAS_ICMP | HAS_FLAGS | IS_FRAGMENT) || record->pad ||
	    memcmp(record->end, none, sizeof(none)) || !has_only_its_fields(record))
		return false;
	if (record->flags & ~ALL_FLAGS || record->shift > EXPLAIN_SHIFT_MOST ||
	    record->payload_bytes > EXPLAIN_BYTES)
		return false;
	for (int at = record->payload_bytes; at < EXPLAIN_BYTES; at++)
		if (record->payload[at])
			return false;
	return true;
}

static void from_record(const struct record *record, struct explain_packet *packet)
{
	bool ports = record->has & HAS_PORTS;
	int32_t *number = packet->number;

	memset(packet, 0, sizeof(*packet));
	packet->hi = record->hi;
	packet->lo = record->lo;
	packet->shift = record->shift;
	packet->payload_bytes = record->payload_bytes;
	memcpy(packet->payload, record->payload, sizeof(record->payload));
	number[EXPLAIN_SPORT] = ports ? record->sport : EXPLAIN_NONE;
	number[EXPLAIN_DPORT] = ports ? record->dport : EXPLAIN_NONE;
	number[EXPLAIN_LENGTH] = record->length;
	number[EXPLAIN_TTL] = record->ttl;
	number[EXPLAIN_PROTO] = record->proto;
	number[EXPLAIN_FRAGMENT] = (record->has & IS_FRAGMENT) != 0;
	number[EXPLAIN_ICMP] = record->has & HAS_ICMP ? record->icmp : EXPLAIN_NONE;
	number[EXPLAIN_FLAGS] = record->has & HAS_FLAGS ? record->flags : EXPLAIN_NONE;
}

static bool take_records(const uint8_t *at, uint32_t count, struct calm_sample *sample)
{
	for (uint32_t i = 0; i < count; i++, at += sizeof(struct record)) {
		struct record record;

		memcpy(&record, at, sizeof(record));
		if (!is_written_by_us(&record))
			return false;
		from_record(&record, &sample->packet[i]);
		sample->network[i] = calm_network(&sample->packet[i]);
		sample->unix_minute[i] = record.unix_minute;
		sample->of_hour[record.unix_minute / 60 % CALM_HOURS]++;
	}
	sample->count = count;
	return true;
}

static int check_head(const char *name, const struct head *head, size_t size, char *err)
{
	uint64_t count = (uint64_t)head->count[CALM_KNOWN] + head->count[CALM_STRANGERS];

	if (head->magic != MAGIC)
		return fail(err, EINVAL, "%.180s is no calm sample of weir", name);
	if (head->version != VERSION)
		return fail(err, EINVAL, "%.160s is a calm sample of version %u, and this weir "
			    "reads version %u", name, head->version, VERSION);
	if (head->record_bytes != sizeof(struct record) || head->count[CALM_KNOWN] > CALM_PACKETS ||
	    head->count[CALM_STRANGERS] > CALM_PACKETS ||
	    size != sizeof(*head) + count * sizeof(struct record))
		return fail(err, EINVAL, "%.160s is damaged: it does not have the size that its "
			    "head tells", name);
	return 0;
}

int calm_read(const char *name, const uint8_t *data, size_t size, struct calm *calm, char *err)
{
	struct head head;
	int rc;

	memset(calm->sample, 0, sizeof(calm->sample));
	if (size < sizeof(head))
		return fail(err, EINVAL, "%.180s is too short for a calm sample", name);
	memcpy(&head, data, sizeof(head));
	rc = check_head(name, &head, size, err);
	if (rc)
		return rc;
	if (head.check != check_of(&head.secret, data + sizeof(head), size - sizeof(head)) ||
	    !take_records(data + sizeof(head), head.count[CALM_KNOWN], &calm->sample[CALM_KNOWN]) ||
	    !take_records(data + sizeof(head) + head.count[CALM_KNOWN] * sizeof(struct record),
			  head.count[CALM_STRANGERS], &calm->sample[CALM_STRANGERS])) {
		memset(calm->sample, 0, sizeof(calm->sample));
		return fail(err, EINVAL, "%.180s is damaged: what it holds is not what was written",
			    name);
	}
	calm->secret = head.secret;
	return 0;
}
