// SPDX-License-Identifier: GPL-2.0-only
/*
 * Classifies the frames of captures as weir does: by the parser compiled
 * natively, and by the real program in test runs, which must agree. One line a
 * frame:
 *
 *	number file index bytes reason source proto what sport dport run
 *
 * what: packet, syn, fragment or -; run: 1 when the program saw it too.
 *
 *	classify MERGED.pcap [CAPTURE...]  the frames also go into one Ethernet capture
 *	classify -s FOLDER [CAPTURE...]   no verdicts: each frame as a file in FOLDER
 *
 * The frames of packets.h come first, as captures of fragments are rare.
 * Captures of bare IP get an Ethernet header; those of other links are left out.
 */
#define lib_pcap_bpf_h	/* its struct bpf_insn would be a second one */
#include <pcap/dlt.h>
#include <pcap/pcap.h>

/* Before the kernel's own <linux/in.h>, which then leaves out what is here. */
#include "tests/datapath/frame.h"

#include "bpf/pure/packet.h"
#include "bpf/weir.skel.h"
#include "tests/datapath/class_limits.h"
#include "tests/datapath/packets.h"
#include "tests/datapath/program.h"
#include "user/model/format.h"
#include "user/model/reasons.h"
#include "user/state/tables.h"

#define FRAME_MAX 262144
#define RUN_MAX	  3400 /* what a test run takes without fragments: a page, less rooms and info */

struct classifier {
	struct weir_bpf *skel;
	struct program program;
	pcap_dumper_t *merged;
	const char *folder;
	unsigned long frames, runs, disagreements, too_long, left_out;
};

static struct classifier job;

/* Each address by itself, so that the bucket has all of it. */
static void set_limits(void)
{
	static const struct weir_limit_spec ports[] = {
		{ .any_proto = 1, .dport_first = 1, .dport_last = 1023 },
		{ .any_proto = 1, .sport_first = 1, .sport_last = 1023 },
	};

	set_class_limits(&job.program, ports, sizeof(ports) / sizeof(*ports), 128);
}

static void load(void)
{
	job.skel = weir_bpf__open();
	if (!job.skel)
		die("cannot open the program", 0);
	program_size(job.skel->obj, PROGRAM_BUCKETS);
	job.skel->rodata->link_cost = 0;	/* here time goes faster than on the link */
	if (weir_bpf__load(job.skel))
		die("cannot load the program (root?)", 0);
	program_take(&job.program, job.skel->obj);
	set_limits();
}

/* A source without an address is named by the hardware address that its frame has. */
static void name_by_hardware(const uint8_t *frame, struct weir_bucket_key *key)
{
	key->hi = HARDWARE_HI;
	key->lo = 0;
	for (int i = 0; i < ETH_ALEN; i++)
		key->lo = key->lo << 8 | frame[ETH_ALEN + i];
}

static uint16_t sport_of(const uint8_t *frame, uint32_t size, const struct packet *pkt)
{
	if ((pkt->proto != IPPROTO_TCP && pkt->proto != IPPROTO_UDP) || !pkt->l4_at ||
	    pkt->l4_at + 2U > size)
		return 0;
	return frame[pkt->l4_at] << 8 | frame[pkt->l4_at + 1];
}

/* Plus 1; 0: it has none. */
static uint16_t icmp_type_of(const uint8_t *frame, uint32_t size, const struct packet *pkt)
{
	if (pkt->proto != (pkt->ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) || !pkt->l4_at ||
	    pkt->l4_at >= size)
		return 0;
	return frame[pkt->l4_at] + 1;
}

/* Whether the program charged the bucket of this source and class, and no other. */
static bool charged(const uint8_t *data, uint32_t size, const struct packet *pkt)
{
	const struct weir_policy *policy = job.program.settings.policy;
	struct packet_kind kind = { .proto = pkt->proto, .what = pkt->what, .dport = pkt->dport,
				    .sport = sport_of(data, size, pkt) };
	uint16_t type = icmp_type_of(data, size, pkt);
	struct prefix source = { pkt->hi, pkt->lo, 128 };
	struct weir_bucket_key key = { .hi = pkt->hi, .lo = pkt->lo };
	struct weir_bucket bucket;
	uint32_t limit;

	*(pkt->ipv6 ? &kind.icmp6 : &kind.icmp4) = type;
	limit = policy_lookup(policy, &source, &kind);
	if (is_unspecified(pkt->hi, pkt->lo))
		name_by_hardware(data, &key);
	key.serial = policy->limit[limit].serial;
	if (maps_read_bucket(&job.program.maps, &key, &bucket))
		return false;
	bpf_map_delete_elem(job.program.maps.fd[MAP_buckets], &key);
	return bucket.passed + bucket.dropped == 1;
}

static bool program_agrees(const uint8_t *data, uint32_t size, const struct packet *pkt,
			   enum weir_reason reason)
{
	struct weir_counters counters;
	uint64_t packets = 0, bytes = 0;

	run_frame(bpf_program__fd(job.skel->progs.weir_ingress), data, size, 1);
	counters = take_counters(&job.program);
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		packets += counters.reason[i].packets;
		bytes += counters.reason[i].bytes;
	}
	if (packets != 1 || bytes != size)
		return false;
	if (reason != WEIR_CONTINUE)
		return counters.reason[reason].packets == 1;
	return counters.reason[WEIR_PASS_LIMIT].packets + counters.reason[WEIR_DROP_RATE].packets ==
		       1 && charged(data, size, pkt);
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void classify_frame(const char *file, unsigned int index, uint8_t *data, uint32_t size)
{
	static const char *const whats[] = { "packet", "syn", "fragment" };
	struct frame frame = { data, data + size };
	struct packet pkt = { 0 };
	enum weir_reason reason = parse(&frame, &pkt, 0);
	bool ip = reason == WEIR_CONTINUE, run = size >= ETH_HLEN && size <= RUN_MAX;
	struct prefix source = { pkt.hi, pkt.lo, 128 };
	char text[PREFIX_STRLEN] = "-";

	job.too_long += size > RUN_MAX;
	job.runs += run;
	if (run && !program_agrees(data, size, &pkt, reason)) {
		job.disagreements++;
		fprintf(stderr, "%s frame %u: the program disagrees with the native parser (%s)\n",
			file, index, reason_name(reason));
	}
	if (ip)
		prefix_format_short(&source, text);
	printf("%lu\t%s\t%u\t%u\t%s\t%s\t%d\t%s\t%u\t%u\t%d\n", job.frames, name_of(file), index,
	       size, ip ? "ip" : reason_name(reason), text, ip ? pkt.proto : -1,
	       ip ? whats[pkt.what] : "-", sport_of(data, size, &pkt), pkt.dport, run);
}

static void save_frame(const uint8_t *data, uint32_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/frame-%05lu", job.folder, job.frames);
	file = fopen(path, "wb");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file))
		die(path, 0);
}

static void take_frame(const char *file, unsigned int index, int link, const uint8_t *data,
		       uint32_t size)
{
	static uint8_t copy[FRAME_MAX + ETH_HLEN];
	uint32_t head = link == DLT_EN10MB ? 0 : ETH_HLEN;
	struct pcap_pkthdr header = { .caplen = size + head, .len = size + head };

	if (size > FRAME_MAX || (head && !size))
		return;
	memset(copy, 0, ETH_HLEN);
	if (head) {
		copy[12] = *data >> 4 == 6 ? 0x86 : 0x08;
		copy[13] = *data >> 4 == 6 ? 0xdd : 0x00;
	}
	memcpy(copy + head, data, size);
	job.frames++;
	if (job.folder) {
		save_frame(copy, size + head);
		return;
	}
	pcap_dump((u_char *)job.merged, &header, copy);
	classify_frame(file, index, copy, size + head);
}

/* The frames of packets.h. */
static void take_built(void)
{
	for (size_t i = 0; i < sizeof(parse_rows) / sizeof(*parse_rows); i++) {
		struct frame_bytes bytes;

		build_frame(&bytes, parse_rows[i].words);
		set_source(&bytes, i + 1);
		take_frame("packets.h", i + 1, DLT_EN10MB, bytes.at, bytes.size);
	}
}

static void take_file(const char *path)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *capture = pcap_open_offline(path, why);
	struct pcap_pkthdr *header;
	const u_char *data;
	int link;

	if (!capture) {
		fprintf(stderr, "classify: %s: %s\n", name_of(path), why);
		job.left_out++;
		return;
	}
	link = pcap_datalink(capture);
	if (link == DLT_EN10MB || link == DLT_RAW || link == DLT_IPV4 || link == DLT_IPV6)
		for (unsigned int i = 1; pcap_next_ex(capture, &header, &data) == 1; i++)
			take_frame(path, i, link, data, header->caplen);
	else
		job.left_out++;
	pcap_close(capture);
}

int main(int argc, char **argv)
{
	bool seeds = argc > 1 && !strcmp(argv[1], "-s");
	pcap_t *ethernet = NULL;
	int first = seeds ? 3 : 2;

	if (argc < first) {
		fputs("usage: classify MERGED.pcap [CAPTURE...] | classify -s FOLDER [CAPTURE...]\n",
		      stderr);
		return 2;
	}
	if (seeds) {
		job.folder = argv[2];
	} else {
		datapath_verbose(false);
		load();
		ethernet = pcap_open_dead(DLT_EN10MB, FRAME_MAX + ETH_HLEN);
		job.merged = pcap_dump_open(ethernet, argv[1]);
		if (!job.merged)
			die(argv[1], 0);
	}
	take_built();
	for (int i = first; i < argc; i++)
		take_file(argv[i]);
	fprintf(stderr,
		"classify: %lu frames, %lu run, %lu too long for a test run, %lu disagreements, "
		"%lu captures left out\n",
		job.frames, job.runs, job.too_long,
		job.disagreements, job.left_out);
	if (job.merged) {
		pcap_dump_close(job.merged);
		pcap_close(ethernet);
	}
	return job.disagreements != 0;
}
