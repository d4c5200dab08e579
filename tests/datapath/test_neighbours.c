// SPDX-License-Identifier: GPL-2.0-only
/*
 * Neighbours on the link: none of them has another one's bucket, and none can take away ARP,
 * neighbour discovery or what is not IP from the others. In real time, with bounds that a slow
 * machine keeps, too.
 */
#include <linux/bpf.h>

/* Before the kernel's own <linux/in.h>, which then leaves out what is here. */
#include "tests/datapath/frame.h"

#include "bpf/pure/address.h"
#include "bpf/weir.skel.h"
#include "tests/datapath/program.h"
#include "user/host/clock.h"
#include "user/model/reasons.h"
#include "user/state/known.h"

#define ARP_PPS		10000	/* of the device; a neighbour has a tenth */
#define MINUTE_SHIFT	24	/* a "minute" of 17 ms */
#define MINUTE_NS	(1ULL << MINUTE_SHIFT)

static struct program program;
static int prog_fd;
static struct check check;

static struct weir_bpf *load(uint64_t link_cost)
{
	struct weir_bpf *skel = weir_bpf__open();

	if (!skel)
		die("cannot open the program", 0);
	program_size(skel->obj, PROGRAM_BUCKETS);
	if (program.object)
		program_share(&program, skel->obj);
	skel->rodata->minute_shift = MINUTE_SHIFT;
	skel->rodata->link_cost = link_cost;
	if (weir_bpf__load(skel))
		die("cannot load the program", 0);
	return skel;
}

static void from_mac(struct frame_bytes *frame, uint64_t mac)
{
	for (int i = 0; i < 6; i++)
		frame->at[6 + i] = mac >> (40 - 8 * i);
}

/* Sends @count frames from the neighbour. Returns how many of them passed. */
static unsigned int transmit(const char *words, uint64_t mac, unsigned int count)
{
	struct frame_bytes frame;
	unsigned int passed = 0;

	build_frame(&frame, words);
	from_mac(&frame, mac);
	for (unsigned int i = 0; i < count; i++)
		passed += run_frame(prog_fd, frame.at, frame.size, 1) == XDP_PASS;
	return passed;
}

static void forget_link(void)
{
	static const struct weir_neighbours line;
	static const struct weir_link link;

	for (__u32 i = 0; i < WEIR_NEIGHBOUR_LINES; i++)
		if (bpf_map_update_elem(program.maps.fd[MAP_neighbours], &i, &line, BPF_ANY))
			die("neighbours", 0);
	for (__u32 i = 0; i < WEIR_DEVICES; i++)
		if (bpf_map_update_elem(program.maps.fd[MAP_links], &i, &link, BPF_ANY))
			die("links", 0);
	take_counters(&program);
}

/* ---- frames of the link ---- */

static void test_one_floods(void)
{
	static const struct {
		const char *what, *words;
		enum weir_reason pass, drop;
		unsigned int burst;
	} rows[] = {
		{ "ARP", "arp", WEIR_PASS_ARP, WEIR_DROP_ARP, 1000 },
		{ "ARP in a VLAN", "vlan arp", WEIR_PASS_ARP, WEIR_DROP_ARP, 1000 },
		{ "neighbour discovery", "ip6 icmp6:135 data:16 hl=255", WEIR_PASS_NEIGHBOUR,
		  WEIR_DROP_NEIGHBOUR, 1000 },
		{ "LLDP", "type:88cc data:40", WEIR_PASS_NOT_IP, WEIR_DROP_NOT_IP, 10000 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned int offered = 4 * rows[i].burst, passed, most;
		struct weir_counters counters;
		double start = check_seconds();

		forget_link();
		passed = transmit(rows[i].words, 0x020000000001, offered);
		most = rows[i].burst * (check_seconds() - start + 0.02) + rows[i].burst;
		counters = take_counters(&program);
		CHECK(&check, passed >= rows[i].burst && passed <= most,
		      "%s: %u of %u passed, wanted %u to %u", rows[i].what, passed, offered,
		      rows[i].burst, most);
		CHECK(&check, counters.reason[rows[i].pass].packets == passed &&
			      counters.reason[rows[i].drop].packets == offered - passed,
		      "%s: %llu %s, %llu %s", rows[i].what,
		      (unsigned long long)counters.reason[rows[i].pass].packets,
		      reason_name(rows[i].pass),
		      (unsigned long long)counters.reason[rows[i].drop].packets,
		      reason_name(rows[i].drop));
		CHECK(&check, transmit(rows[i].words, 0x020000000002, 10) == 10,
		      "%s: another neighbour's frames drop", rows[i].what);
	}
	check_done(&check, "one neighbour floods, the others do not notice", "%zu kinds of frames",
		   sizeof(rows) / sizeof(*rows));
}

/* Each frame has another address: the device's part runs out, and the gateway is still heard. */
static void test_forged_addresses(void)
{
	const uint64_t gateway = 0x02aabbccddee, stranger = 0x02aabbccddef;
	unsigned int flood = 60000, passed = 0, most;
	struct frame_bytes frame;
	double start;

	forget_link();
	for (int i = 0; i < 3; i++) {	/* two of them are in different minutes */
		CHECK(&check, transmit("arp", gateway, 1) == 1, "the gateway's ARP drops in calm times");
		usleep(MINUTE_NS / 1000);
	}
	build_frame(&frame, "arp");
	start = check_seconds();
	for (unsigned int i = 0; i < flood; i++) {
		from_mac(&frame, 0x060000000000 + i);
		passed += run_frame(prog_fd, frame.at, frame.size, 1) == XDP_PASS;
	}
	most = ARP_PPS / 2 + ARP_PPS * (check_seconds() - start + 0.02);
	CHECK(&check, passed >= ARP_PPS / 4 && passed <= most, "%u of %u forged frames passed, "
	      "at most %u may", passed, flood, most);
	for (unsigned int i = 0; i < 2000; i++) {	/* whatever came in again meanwhile */
		from_mac(&frame, 0x070000000000 + i);
		run_frame(prog_fd, frame.at, frame.size, 1);
	}
	passed = transmit("arp", gateway, 20);
	CHECK(&check, passed == 20, "%u of 20 frames of the gateway passed", passed);
	passed = transmit("arp", stranger, 20);
	CHECK(&check, passed < 20, "all frames of a stranger passed");
	check_done(&check, "forged addresses do not shut out a neighbour seen in calm times",
		   "%u frames, each of another address", flood);
}

static void test_carriers(void)
{
	static const char *const words[] = { "type:8864 data:40", "type:8847 data:40",
					     "type:88e5 data:40", "vlan type:8864 data:40" };
	unsigned int sent = 0, passed = 0;

	forget_link();
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++, sent += 30000)
		passed += transmit(words[i], 0x020000000001, 30000);
	CHECK(&check, passed == sent, "%u of %u passed", passed, sent);
	check_done(&check, "PPPoE sessions, MPLS and MACsec are not slowed down", "%u frames", sent);
}

static void test_off(void)
{
	struct weir_bpf *off = load(0);
	int with_limit = prog_fd;
	unsigned int passed;

	forget_link();
	prog_fd = bpf_program__fd(off->progs.weir_ingress);
	passed = transmit("arp", 0x020000000001, 30000);
	CHECK(&check, passed == 30000, "%u of 30000 passed", passed);
	prog_fd = with_limit;
	weir_bpf__destroy(off);
	check_done(&check, "without the limit all pass", "30000 frames");
}

/* ---- sources on the link ---- */

static void set_limit(uint8_t v6_bits)
{
	struct settings settings;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	settings.policy->next_serial = program.settings.policy->next_serial;
	add_limit(&settings, NULL,
		  (struct weir_limit_spec){ .any_proto = 1, .rate_packets = 1, .per_s = 3600,
					    .burst_packets = 5 }, 32, v6_bits);
	program_set(&program, &settings);
}

static unsigned int send_from(const uint8_t source[16], unsigned int count)
{
	struct frame_bytes frame;
	unsigned int passed = 0;

	build_frame(&frame, "ip6 udp:547 data:40");
	memcpy(frame.at + frame.ip + 8, source, 16);
	for (unsigned int i = 0; i < count; i++)
		passed += run_frame(prog_fd, frame.at, frame.size, 1) == XDP_PASS;
	return passed;
}

static void test_link_local(void)
{
	static const uint8_t bits[] = { 64, 48, 128 };
	struct prefix address = { 0xfe80ULL << 48, 1, 128 };
	struct known known;
	char err[ERR_LEN];

	for (size_t i = 0; i < sizeof(bits); i++) {
		set_limit(bits[i]);
		for (uint8_t n = 1; n < 5; n++) {
			uint8_t source[16] = { 0xfe, 0x80, [8] = n };
			unsigned int passed = send_from(source, 20);

			CHECK(&check, passed == 5, "per /%u: %u packets of neighbour %u passed, "
			      "wanted 5", bits[i], passed, n);
		}
	}
	if (known_open(&program.maps, &known, err))
		die(err, -EIO);
	CHECK(&check, !known_add(&known, &address, WEIR_PROVEN) &&
		      known_tier_of(&known, &address) == WEIR_FIRST_SEEN,
	      "a link-local address can be known: all neighbours have its key");
	known_close(&known);
	check_done(&check, "each link-local address is a source of its own", "4 neighbours, 3 limits");
}

static int note_source(const struct weir_bucket_key *key, const struct weir_bucket *bucket,
		       void *arg)
{
	unsigned int *named = arg;

	(void)bucket;
	*named += key->hi == HARDWARE_HI && key->lo >> 8 == 0x0200000000;
	return 0;
}

/* Hosts that have no address yet, from 0.0.0.0 or ::, each with a hardware address of its own. */
static void test_without_address(void)
{
	unsigned int named = 0;

	for (int v6 = 0; v6 < 2; v6++) {
		set_limit(64);
		for (uint64_t mac = 0x020000000001; mac < 0x020000000005; mac++) {
			struct frame_bytes frame;
			unsigned int passed = 0;

			build_frame(&frame, v6 ? "ip6 icmp6:143 data:20" : "ip4 udp:67 data:240");
			memset(frame.at + frame.ip + (v6 ? 8 : 12), 0, v6 ? 16 : 4);
			from_mac(&frame, mac);
			for (int i = 0; i < 20; i++)
				passed += run_frame(prog_fd, frame.at, frame.size, 1) == XDP_PASS;
			CHECK(&check, passed == 5, "%s: %u packets of neighbour %llx passed, "
			      "wanted 5", v6 ? "::" : "0.0.0.0", passed, (unsigned long long)mac);
		}
	}
	maps_each_bucket(&program.maps, note_source, &named);
	CHECK(&check, named == 8, "%u buckets are named by a hardware address, not 8", named);
	check_done(&check, "hosts without an address are told apart by hardware address",
		   "4 neighbours, both families");
}

int main(void)
{
	struct weir_bpf *skel;

	datapath_verbose(false);
	skel = load(WEIR_TICKS_PER_S / ARP_PPS);
	program_take(&program, skel->obj);
	prog_fd = bpf_program__fd(skel->progs.weir_ingress);
	test_one_floods();
	test_forged_addresses();
	test_carriers();
	test_off();
	test_link_local();
	test_without_address();
	program_close(&program);
	weir_bpf__destroy(skel);
	return check_exit(&check);
}
