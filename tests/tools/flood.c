// SPDX-License-Identifier: GPL-2.0-only
/*
 * flood: a packet generator with bounds, for tests and the demo. It sends into
 * one veth that it was given, for at most two minutes, and into nothing else.
 *
 * The frames are made in the kernel by flood.bpf.c; this side says what they
 * look like, paces them, and counts.
 */
#include <errno.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/tools/flood.skel.h"
#include "tests/tools/tool.h"
#include "tests/tools/values.h"
#include "user/model/error.h"
#include "user/model/parse.h"

#define SECONDS_MAX	120
#define FRAME_MAX	1518		/* MTU 1500, Ethernet, one VLAN tag */
#define THREADS_MAX	16
#define SLOW_PPS	10000		/* of a thread: up to here it sleeps, faster it polls */
#define WATCH_NS	5000000LL	/* how soon a signal, or a count's end, is noticed */
#define REST_TRIES	25		/* times 20 ms */

/* KIND_RESETS: RST, and every second one with SYN. */
enum kind { KIND_UDP, KIND_TCP, KIND_SYN, KIND_RESETS, KIND_ICMP, KIND_DNS, KINDS };

static const char *const kind_names[KINDS] = { "udp", "tcp", "syn", "resets", "icmp", "dns" };

struct options {
	const char *dev;
	struct prefix to, from;
	bool ipv6, from_given, random_source, json, mac_given;
	enum kind kind;
	uint8_t mac[ETH_ALEN];
	struct values sizes, ttls;
	struct pattern payload;
	uint64_t sources, dport, sport, sport_most, size, pps, count, seconds, cpu, threads, vlan, seed,
		stride, on, off;
};

#define UNSET UINT64_MAX

/* What the kernel knows of a device. */
struct link {
	char kind[16];
	uint8_t mac[ETH_ALEN];
	uint32_t mtu, peer;
	bool up, peer_is_elsewhere;
	uint64_t tx_packets;
};

struct frame {
	uint8_t bytes[FRAME_MAX];
	uint32_t len, header_len;
	uint32_t ip_at, l4_at, check_at; /* check_at: from l4_at */
	uint8_t proto;
};

struct worker {
	pthread_t thread;
	const struct options *options;
	const struct frame *frame;
	struct flood_bpf *skel;
	unsigned int number;
	bool slow;
	int64_t start; /* CLOCK_MONOTONIC, ns, as in the BPF program */
	atomic_bool finished;
	int error;
};

/* Set by a signal, by the clock, or by a thread that cannot go on. */
static atomic_bool stopped;

static const char usage_text[] =
	"usage: flood dev VETH to DST-IP [from PREFIX] [sources N|random] [stride N]\n"
	"             [proto udp|tcp|syn|resets|icmp|dns] [dport N] [sport N|N-M|random]\n"
	"             [size BYTES] [ttl N] [payload HEX]\n"
	"             [pps N] [count N] [seconds S] [cpu N] [threads N] [mac DST-MAC]\n"
	"             [vlan ID] [seed N] [on MS off MS] [json]\n"
	"  on, off: sends for so long at the pace, then pauses, again and again\n"
	"  size, ttl: a number, or several as in 64,468-1400, of which each packet has one\n"
	"  payload: its first bytes, 8, 16 or so, up to 64; a \".\" is a random digit\n"
	"  count or seconds must be given; seconds is at most 120\n"
	"  dns: queries for the A record of LETTERS.example.com, of random letters\n";

/* Whole: an odd number of bytes would not fit the sums of the BPF program. */
struct dns_query {
	uint16_t id, flags, questions, others[3];
	char name[22], type_and_class[4];
};
#define LABEL_AT (offsetof(struct dns_query, name) + 1)

/* ---- the command line ---- */

static int parse_mac(const char *word, uint8_t mac[ETH_ALEN], char *err)
{
	int used = 0;

	if (sscanf(word, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &used) == ETH_ALEN && !word[used])
		return 0;
	return fail(err, EINVAL, "mac \"%s\": not an address such as 02:00:00:00:00:01", word);
}

static int parse_kind(const char *word, enum kind *kind, char *err)
{
	for (*kind = 0; *kind < KINDS; ++*kind)
		if (!strcmp(word, kind_names[*kind]))
			return 0;
	return fail(err, EINVAL, "proto \"%s\": not udp, tcp, syn, resets, icmp or dns", word);
}

static int parse_numbers(const char *word, const char *value, struct options *options, char *err)
{
	const struct {
		const char *word;
		uint64_t *number, least, most;
	} numbers[] = {
		{ "sources", &options->sources, 1, UINT32_MAX },
		{ "dport", &options->dport, 0, 65535 },
		{ "pps", &options->pps, 1, 100000000 },
		{ "count", &options->count, 1, 1000000000 },
		{ "seconds", &options->seconds, 1, SECONDS_MAX },
		{ "cpu", &options->cpu, 0, CPU_SETSIZE - 1 },
		{ "threads", &options->threads, 1, THREADS_MAX },
		{ "vlan", &options->vlan, 1, 4094 },
		{ "stride", &options->stride, 1, UINT32_MAX },
		{ "seed", &options->seed, 0, UINT64_MAX - 1 },
		{ "on", &options->on, 1, SECONDS_MAX * 1000 },
		{ "off", &options->off, 1, SECONDS_MAX * 1000 },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!strcmp(word, numbers[i].word))
			return parse_number(value, word, numbers[i].least, numbers[i].most,
					    numbers[i].number, err);
	return fail(err, EINVAL, "unknown word \"%s\"", word);
}

/* One port, N-M, or "random": all but the privileged ones. */
static int parse_sport(const char *value, struct options *options, char *err)
{
	char least[8] = "";
	const char *dash;

	if (!strcmp(value, "random"))
		value = "1024-65535";
	dash = strchr(value, '-');
	if (!dash)
		dash = value + strlen(value);
	if ((size_t)(dash - value) < sizeof(least))
		memcpy(least, value, dash - value);
	if (parse_number(least, "sport", 0, 65535, &options->sport, err))
		return -EINVAL;
	options->sport_most = options->sport;
	return *dash ? parse_number(dash + 1, "sport", options->sport, 65535, &options->sport_most,
				    err) : 0;
}

static int parse_pair(const char *word, const char *value, struct options *options, char *err)
{
	if (!strcmp(word, "dev")) {
		options->dev = value;
	} else if (!strcmp(word, "to")) {
		return parse_prefix(value, &options->to, err);
	} else if (!strcmp(word, "from")) {
		options->from_given = true;
		return parse_prefix(value, &options->from, err);
	} else if (!strcmp(word, "sources") && !strcmp(value, "random")) {
		options->random_source = true;
	} else if (!strcmp(word, "sport")) {
		return parse_sport(value, options, err);
	} else if (!strcmp(word, "proto")) {
		return parse_kind(value, &options->kind, err);
	} else if (!strcmp(word, "size")) {
		return values_parse(value, word, 1, FRAME_MAX, &options->sizes, err);
	} else if (!strcmp(word, "ttl")) {
		return values_parse(value, word, 1, 255, &options->ttls, err);
	} else if (!strcmp(word, "payload")) {
		return pattern_parse(value, &options->payload, err);
	} else if (!strcmp(word, "mac")) {
		options->mac_given = true;
		return parse_mac(value, options->mac, err);
	} else {
		return parse_numbers(word, value, options, err);
	}
	return 0;
}

/* Checks the words together. */
static const char *contradiction(const struct options *options)
{
	bool from_is_v4 = prefix_is_v4(&options->from);
	unsigned int host_bits = 128 - options->from.length;

	if (!options->dev || !options->to.length)
		return "dev and to must be given";
	if (options->to.length != 128)
		return "to: an address, not a prefix";
	if (options->ipv6 == from_is_v4)
		return "from: not of the family of the address in `to`";
	if (options->count == UNSET && options->seconds == UNSET)
		return "count or seconds must be given";
	if ((options->on == UNSET) != (options->off == UNSET))
		return "on and off: one needs the other";
	if (!options->random_source && host_bits < 64 &&
	    (options->sources - 1) * options->stride >= 1ULL << host_bits)
		return "sources: more than there are in the prefix";
	if (options->kind == KIND_ICMP &&
	    (options->dport != UNSET || options->sport != UNSET))
		return "dport and sport: ICMP has no ports";
	if (options->kind == KIND_DNS && options->payload.len)
		return "payload: a DNS query has its own";
	if (options->cpu != UNSET && options->cpu >= (uint64_t)sysconf(_SC_NPROCESSORS_ONLN))
		return "cpu: more than this machine has";
	return NULL;
}

static void fill_defaults(struct options *options)
{
	uint64_t paced;

	if (options->dport == UNSET)
		options->dport = options->kind == KIND_DNS ? 53 : 9;
	if (options->sport == UNSET)
		options->sport = options->sport_most = 40000;
	if (options->sizes.most)
		options->size = options->sizes.most;
	else if (options->kind != KIND_DNS)
		options->size = 64;
	if (options->seconds == UNSET)
		options->seconds = SECONDS_MAX;
	/* What the clock would stop, a packet sooner or later, is counted instead. */
	paced = options->pps * options->seconds;
	if (options->pps != UNSET && paced < options->count)
		options->count = paced;
	/* Nothing moves a thread to a free core while it is in the kernel. */
	if (options->threads > 1 && options->cpu == UNSET)
		options->cpu = 0;
	if (options->seed == UNSET &&
	    getrandom(&options->seed, sizeof(options->seed), 0) != sizeof(options->seed))
		options->seed = time(NULL);
}

static enum outcome parse_options(char **words, struct options *options)
{
	char err[ERR_LEN] = "";
	const char *why;

	*options = (struct options){ .sources = 1, .stride = 1, .dport = UNSET,
				     .sport = UNSET, .size = UNSET, .pps = UNSET,
				     .count = UNSET, .seconds = UNSET, .cpu = UNSET,
				     .threads = 1, .vlan = UNSET, .seed = UNSET, .on = UNSET,
				     .off = UNSET };
	for (; *words; words++) {
		if (!strcmp(*words, "json")) {
			options->json = true;
			continue;
		}
		if (!words[1])
			snprintf(err, ERR_LEN, "\"%s\": unknown, or its value is missing", *words);
		if (!words[1] || parse_pair(words[0], words[1], options, err)) {
			failed("%s", err);
			fputs(usage_text, stderr);
			return USAGE;
		}
		words++;
	}

	options->ipv6 = !prefix_is_v4(&options->to);
	if (!options->from_given)
		parse_prefix(options->ipv6 ? "2001:db8:1::/64" : "198.51.100.0/24", &options->from,
			     err);
	why = contradiction(options);
	if (why) {
		failed("%s", why);
		fputs(usage_text, stderr);
		return USAGE;
	}
	fill_defaults(options);
	return DONE;
}

/* ---- the device ---- */

static int ask_link(int index, char *reply, size_t size)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg link;
	} request = {
		.head = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST },
		.link = { .ifi_index = index },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t len = -1;

	if (fd < 0)
		return -1;
	if (send(fd, &request, sizeof(request), 0) == sizeof(request))
		len = recv(fd, reply, size, 0);
	close(fd);
	return len;
}

static void read_kind(struct rtattr *info, char *kind, size_t size)
{
	int len = RTA_PAYLOAD(info);

	for (struct rtattr *each = RTA_DATA(info); RTA_OK(each, len); each = RTA_NEXT(each, len))
		if (each->rta_type == IFLA_INFO_KIND)
			snprintf(kind, size, "%s", (char *)RTA_DATA(each));
}

static void read_attribute(struct rtattr *attribute, struct link *link)
{
	struct rtnl_link_stats64 stats;

	switch (attribute->rta_type) {
	case IFLA_ADDRESS:
		if (RTA_PAYLOAD(attribute) == ETH_ALEN)
			memcpy(link->mac, RTA_DATA(attribute), ETH_ALEN);
		break;
	case IFLA_MTU:
		link->mtu = *(uint32_t *)RTA_DATA(attribute);
		break;
	case IFLA_LINK:
		link->peer = *(uint32_t *)RTA_DATA(attribute);
		break;
	case IFLA_LINK_NETNSID:
		link->peer_is_elsewhere = true;
		break;
	case IFLA_LINKINFO:
		read_kind(attribute, link->kind, sizeof(link->kind));
		break;
	case IFLA_STATS64:
		memset(&stats, 0, sizeof(stats));
		memcpy(&stats, RTA_DATA(attribute),
		       RTA_PAYLOAD(attribute) < sizeof(stats) ? RTA_PAYLOAD(attribute) :
								sizeof(stats));
		link->tx_packets = stats.tx_packets;
		break;
	}
}

static bool read_link(int index, struct link *link)
{
	_Alignas(struct nlmsghdr) char reply[16384];
	struct nlmsghdr *head = (struct nlmsghdr *)reply;
	struct ifinfomsg *info = NLMSG_DATA(head);
	int len = ask_link(index, reply, sizeof(reply));

	*link = (struct link){ 0 };
	if (len < (int)NLMSG_LENGTH(sizeof(*info)) || head->nlmsg_type != RTM_NEWLINK)
		return false;
	link->up = info->ifi_flags & IFF_UP;
	len = IFLA_PAYLOAD(head);
	for (struct rtattr *each = IFLA_RTA(info); RTA_OK(each, len); each = RTA_NEXT(each, len))
		read_attribute(each, link);
	return true;
}

/* Refuses all that is no veth, and finds the address to send to. */
static enum outcome check_device(struct options *options, struct link *link)
{
	int index = if_nametoindex(options->dev);
	struct link peer;

	if (!index || !read_link(index, link))
		return failed("%s: no such device in this network namespace", options->dev);
	if (strcmp(link->kind, "veth"))
		return failed("%s: not a veth but %s; flood sends into nothing else", options->dev,
			      *link->kind ? link->kind : "a device of its own");
	if (!link->up)
		return failed("%s: down; ip link set %s up", options->dev, options->dev);
	if (options->mac_given)
		return DONE;
	if (link->peer_is_elsewhere || !read_link(link->peer, &peer))
		return failed("%s: its peer is in another network namespace; "
			      "give the peer's address: mac 02:...", options->dev);
	memcpy(options->mac, peer.mac, ETH_ALEN);
	return DONE;
}

/* ---- the frame ---- */

/* Of 16-bit words as they lie in memory, not folded. */
static uint32_t sum_words(const void *at, size_t len)
{
	const uint8_t *byte = at;
	uint32_t sum = 0;
	uint16_t word;

	for (; len > 1; len -= 2, byte += 2) {
		memcpy(&word, byte, 2);
		sum += word;
	}
	word = 0;
	memcpy(&word, byte, len);
	return sum + word;
}

static void put_ethernet(const struct options *options, const struct link *link,
			 struct frame *frame)
{
	struct ethhdr *eth = (void *)frame->bytes;
	uint16_t type = htons(options->ipv6 ? ETH_P_IPV6 : ETH_P_IP), tag[2];

	memcpy(eth->h_dest, options->mac, ETH_ALEN);
	memcpy(eth->h_source, link->mac, ETH_ALEN);
	eth->h_proto = type;
	frame->ip_at = sizeof(*eth);
	if (options->vlan == UNSET)
		return;
	eth->h_proto = htons(ETH_P_8021Q);
	tag[0] = htons(options->vlan);
	tag[1] = type;
	memcpy(frame->bytes + frame->ip_at, tag, sizeof(tag));
	frame->ip_at += sizeof(tag);
}

/* Whether the BPF program writes the lengths. */
static bool has_sizes(const struct options *options)
{
	return options->sizes.least != options->sizes.most;
}

static void put_ip(const struct options *options, struct frame *frame)
{
	uint32_t len = has_sizes(options) ? 0 : frame->len - frame->ip_at;
	uint8_t ttl = options->ttls.most ? options->ttls.most : 64;
	struct weir_prefix to;

	prefix_to_key(&options->to, &to);
	if (options->ipv6) {
		struct ip6_hdr ip = { .ip6_flow = htonl(6U << 28), .ip6_hlim = ttl,
				      .ip6_plen = len ? htons(len - sizeof(ip)) : 0,
				      .ip6_nxt = frame->proto };

		memcpy(&ip.ip6_dst, to.addr, 16);
		memcpy(frame->bytes + frame->ip_at, &ip, sizeof(ip));
	} else {
		struct iphdr ip = { .version = 4, .ihl = 5, .ttl = ttl, .tot_len = htons(len),
				    .frag_off = htons(IP_DF), .protocol = frame->proto };

		memcpy(&ip.daddr, to.addr + 12, 4);
		memcpy(frame->bytes + frame->ip_at, &ip, sizeof(ip));
	}
}

static void put_l4(const struct options *options, struct frame *frame)
{
	uint16_t sport = options->sport_most > options->sport ? 0 : htons(options->sport);
	struct udphdr udp = { .source = sport, .dest = htons(options->dport),
			      .len = has_sizes(options) ? 0 : htons(frame->len - frame->l4_at) };
	struct tcphdr tcp = { .source = sport, .dest = htons(options->dport), .doff = 5,
			      .seq = htonl(1), .window = htons(65535),
			      .syn = options->kind == KIND_SYN, .ack = options->kind == KIND_TCP,
			      .rst = options->kind == KIND_RESETS };
	struct icmphdr icmp = { .type = options->ipv6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO };
	struct dns_query dns = { .id = htons(1), .flags = htons(0x100), .questions = htons(1),
				 .name = "\010........\7example\3com",
				 .type_and_class = { 0, 1, 0, 1 } };
	uint8_t *at = frame->bytes + frame->l4_at;

	memset(dns.name + 1, 0, 8);	/* the sum of constants does without the letters */
	if (options->kind == KIND_UDP || options->kind == KIND_DNS)
		memcpy(at, &udp, sizeof(udp));
	else if (options->kind == KIND_ICMP)
		memcpy(at, &icmp, sizeof(icmp));
	else
		memcpy(at, &tcp, sizeof(tcp));
	if (options->kind == KIND_DNS)
		memcpy(at + sizeof(udp), &dns, sizeof(dns));
	memcpy(frame->bytes + frame->header_len, options->payload.fixed, options->payload.len);
}

static enum outcome build_frame(const struct options *options, const struct link *link,
				struct frame *frame)
{
	static const struct {
		uint8_t proto, len, check_at;
	} kinds[KINDS] = {
		[KIND_UDP] = { IPPROTO_UDP, sizeof(struct udphdr), 6 },
		[KIND_TCP] = { IPPROTO_TCP, sizeof(struct tcphdr), 16 },
		[KIND_SYN] = { IPPROTO_TCP, sizeof(struct tcphdr), 16 },
		[KIND_RESETS] = { IPPROTO_TCP, sizeof(struct tcphdr), 16 },
		[KIND_ICMP] = { IPPROTO_ICMP, sizeof(struct icmphdr), 2 },
		[KIND_DNS] = { IPPROTO_UDP, sizeof(struct udphdr) + sizeof(struct dns_query), 6 },
	};
	uint32_t least, most, shortest;

	*frame = (struct frame){ .len = options->size, .proto = kinds[options->kind].proto };
	if (options->ipv6 && options->kind == KIND_ICMP)
		frame->proto = IPPROTO_ICMPV6;
	put_ethernet(options, link, frame);
	frame->l4_at = frame->ip_at +
		       (options->ipv6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr));
	frame->check_at = frame->l4_at + kinds[options->kind].check_at;
	frame->header_len = frame->l4_at + kinds[options->kind].len;
	if (options->size == UNSET)
		frame->len = frame->header_len;
	least = frame->header_len + options->payload.len;
	most = link->mtu + frame->ip_at;
	shortest = options->sizes.most ? options->sizes.least : frame->len;
	if (shortest < least || frame->len > most)
		return failed("size %u: at least %u for these headers, at most %u into %s",
			      shortest < least ? shortest : frame->len, least, most, options->dev);
	put_ip(options, frame);
	put_l4(options, frame);
	return DONE;
}

/* The constant part of the checksum: all but what the BPF program draws. */
static uint32_t l4_sum(const struct options *options, const struct frame *frame)
{
	uint32_t len = frame->len - frame->l4_at;
	uint32_t sum = sum_words(frame->bytes + frame->l4_at, len);
	struct weir_prefix to;

	if (frame->proto == IPPROTO_ICMP)
		return sum;
	prefix_to_key(&options->to, &to);
	sum += options->ipv6 ? sum_words(to.addr, 16) : sum_words(to.addr + 12, 4);
	return sum + htons(frame->proto) + (has_sizes(options) ? 0 : htons(len));
}

/* ---- threads ---- */

static void describe_frame(const struct options *options, const struct frame *frame,
			   struct flood_bpf *skel)
{
	uint32_t ip_at = frame->ip_at;

	memcpy((void *)skel->rodata->header, frame->bytes, frame->header_len);
	skel->rodata->header_len = frame->header_len;
	skel->rodata->ipv6 = options->ipv6;
	skel->rodata->ip_check_at = ip_at + offsetof(struct iphdr, check);
	skel->rodata->ip_at = ip_at;
	skel->rodata->l4_at = frame->l4_at;
	skel->rodata->source_at = ip_at + (options->ipv6 ? offsetof(struct ip6_hdr, ip6_src) :
							   offsetof(struct iphdr, saddr));
	skel->rodata->sport_at = frame->l4_at;
	skel->rodata->label_at = options->kind == KIND_DNS ?
				 frame->l4_at + sizeof(struct udphdr) + LABEL_AT : 0;
	skel->rodata->check_at = frame->check_at;
	skel->rodata->sum = l4_sum(options, frame);
	skel->rodata->sum_has_source = frame->proto != IPPROTO_ICMP;
	skel->rodata->zero_means_none = frame->proto == IPPROTO_UDP;
	skel->rodata->flags_at = frame->l4_at + 12;
	if (options->kind == KIND_RESETS)
		skel->rodata->second_flags = htons(2);
}

/* What of a packet is drawn, but its source and port. */
static void describe_values(const struct options *options, const struct frame *frame,
			    struct flood_bpf *skel)
{
	struct iphdr *ip = (void *)(skel->rodata->header + frame->ip_at);

	skel->rodata->random_ttl = options->ttls.least != options->ttls.most;
	skel->rodata->ttl_at = frame->ip_at + (options->ipv6 ? offsetof(struct ip6_hdr, ip6_hlim) :
							       offsetof(struct iphdr, ttl));
	for (int i = 0; i < VALUES; i++)
		skel->rodata->ttls[i] = options->ttls.at[i];
	if (skel->rodata->random_ttl && !options->ipv6)
		ip->ttl = 0;
	skel->rodata->ip_sum = sum_words((void *)ip, sizeof(*ip));
	skel->rodata->random_size = has_sizes(options);
	skel->rodata->size_most = frame->len;
	memcpy((void *)skel->rodata->sizes, options->sizes.at, sizeof(options->sizes.at));
	skel->rodata->udp_len_at = frame->proto == IPPROTO_UDP ?
				   frame->l4_at + offsetof(struct udphdr, len) : 0;
	if (!options->payload.varies)
		return;
	skel->rodata->pattern_words = options->payload.len / 8;
	memcpy((void *)skel->rodata->fixed_words, options->payload.fixed, PATTERN_MOST);
	memcpy((void *)skel->rodata->random_words, options->payload.random, PATTERN_MOST);
}

static void describe_sources(const struct options *options, struct flood_bpf *skel)
{
	unsigned int host_bits = 128 - options->from.length;

	skel->rodata->random_source = options->random_source;
	if (options->sport_most > options->sport) {
		skel->rodata->sport_least = options->sport;
		skel->rodata->sport_count = options->sport_most - options->sport + 1;
	}
	skel->rodata->sources = options->sources;
	skel->rodata->step = options->threads % options->sources;
	skel->rodata->stride = options->stride;
	skel->rodata->prefix_hi = options->from.hi;
	skel->rodata->prefix_lo = options->from.lo;
	skel->rodata->host_lo = host_bits >= 64 ? ~0ULL : (1ULL << host_bits) - 1;
	if (host_bits >= 64)
		skel->rodata->host_hi = host_bits == 128 ? ~0ULL : (1ULL << (host_bits - 64)) - 1;
}

/* Gives each thread its share of the packets and of the pace. */
static void describe_share(struct worker *worker)
{
	const struct options *options = worker->options;
	struct flood_bpf *skel = worker->skel;
	double ns_each = (double)NS_PER_S * options->threads / options->pps;

	if (options->off != UNSET) {
		skel->rodata->on_ns = options->on * (NS_PER_S / 1000);
		skel->rodata->off_ns = options->off * (NS_PER_S / 1000);
	}
	skel->bss->turn = worker->number % options->sources;
	skel->bss->random_state = options->seed + worker->number * 0x632be59bd9b4e019ULL;
	skel->rodata->quota = UINT64_MAX;
	if (options->count != UNSET)
		skel->rodata->quota = options->count / options->threads +
				      (worker->number < options->count % options->threads);
	if (options->pps == UNSET)
		return;
	skel->rodata->ns_each_q8 = ns_each * 256 + 0.5;
	worker->slow = options->pps <= SLOW_PPS * options->threads;
	worker->start += ns_each / options->threads * worker->number;
}

/* Programs of their own keep the threads' state apart, each in pages of its own. */
static enum outcome load_worker(struct worker *worker)
{
	struct flood_bpf *skel = flood_bpf__open();

	worker->skel = skel;
	if (!skel)
		return failed("cannot open the BPF program: %s", strerror(errno));
	describe_frame(worker->options, worker->frame, skel);
	describe_values(worker->options, worker->frame, skel);
	describe_sources(worker->options, skel);
	describe_share(worker);
	skel->rodata->ifindex = if_nametoindex(worker->options->dev);
	if (flood_bpf__load(skel))
		return failed("cannot load the BPF program: %s%s", strerror(errno),
			      errno == EPERM ? " (flood needs root)" : "");
	return DONE;
}

static void sleep_until(int64_t ns)
{
	struct timespec until = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* The program sends, or declines when nothing is due. */
static int run_program(struct worker *worker, int repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = worker->frame->bytes,
		    .data_size_in = worker->frame->len, .repeat = repeat,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	int rc = bpf_prog_test_run_opts(bpf_program__fd(worker->skel->progs.flood), &opts);

	return rc == -EINTR ? 0 : rc;
}

/*
 * Either one call for all packets, which only a signal ends, or one for each,
 * and nothing between: a call that repeats the program waits for RCU twice, and
 * for any process that attaches XDP. A call costs some 13 us. Sleeping between
 * calls leaves the core to others; polling the clock in one call does not.
 */
static void *work(void *argument)
{
	struct worker *worker = argument;
	const volatile struct flood_bpf__bss *state = worker->skel->bss;

	/* The default slack is 50 us, half of the shortest sleep. */
	prctl(PR_SET_TIMERSLACK, 1);
	sleep_until(worker->start);
	while (!stopped && !worker->error && !state->ended) {
		if (!worker->slow)
			worker->error = run_program(worker, INT_MAX);
		else if (now_ns() < state->due)
			sleep_until(state->due);
		else
			worker->error = run_program(worker, 1);
	}
	if (worker->error)
		stopped = true;
	worker->finished = true;
	return NULL;
}

static enum outcome start_worker(struct worker *worker)
{
	const struct options *options = worker->options;
	unsigned int cpu = (options->cpu + worker->number) % sysconf(_SC_NPROCESSORS_ONLN);
	pthread_attr_t attributes;
	cpu_set_t cpus;
	int rc;

	pthread_attr_init(&attributes);
	if (options->cpu != UNSET) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	}
	rc = pthread_create(&worker->thread, &attributes, work, worker);
	pthread_attr_destroy(&attributes);
	return rc ? failed("cannot start a thread: %s", strerror(rc)) : DONE;
}

/* ---- the run ---- */

static void on_signal(int signal)
{
	if (signal != SIGUSR1)
		stopped = true;
}

/* A first signal can come just before the call or the sleep that it is to end. */
static unsigned int interrupt_workers(struct worker *workers, unsigned int count)
{
	unsigned int running = 0;

	for (unsigned int i = 0; i < count; i++) {
		const volatile struct flood_bpf__bss *state = workers[i].skel->bss;

		if (workers[i].finished)
			continue;
		running++;
		if (stopped || state->ended)
			pthread_kill(workers[i].thread, SIGUSR1);
	}
	return running;
}

/* 0: none was sent yet. */
static int64_t first_packet(const struct worker *workers, unsigned int count)
{
	int64_t first = 0;

	for (unsigned int i = 0; i < count; i++) {
		const volatile struct flood_bpf__bss *state = workers[i].skel->bss;

		if (state->first && (!first || (int64_t)state->first < first))
			first = state->first;
	}
	return first;
}

/*
 * Waits for the end. Returns for how long packets were sent, which is not how
 * long the calls took: they are slow to begin and to return.
 */
static int64_t watch_workers(struct worker *workers, unsigned int count, int64_t ns)
{
	int64_t first, now, ended = 0;

	for (;;) {
		first = first_packet(workers, count);
		now = now_ns();
		if (first && now >= first + ns)
			stopped = true;
		if (stopped && !ended)
			ended = now;
		if (!interrupt_workers(workers, count))
			break;
		now += WATCH_NS;
		sleep_until(first && !stopped && first + ns < now ? first + ns : now);
	}
	for (unsigned int i = 0; i < count && !stopped; i++)
		if ((int64_t)workers[i].skel->bss->ended > ended)
			ended = workers[i].skel->bss->ended;
	return first ? ended - first : 0;
}

/*
 * The veth does not tell the sender which frames it dropped. Frames may still
 * stand in its ring, so its counter is read until it rests; not for long, since
 * others may be sending over the same device.
 */
static enum outcome report_lost(const struct options *options, uint64_t before, uint64_t sent)
{
	uint64_t taken = 0, seen = UINT64_MAX;
	struct link link;

	for (int i = 0; i < REST_TRIES && taken < sent && taken != seen; i++) {
		seen = taken;
		usleep(20000);
		if (!read_link(if_nametoindex(options->dev), &link))
			return failed("%s: gone", options->dev);
		taken = link.tx_packets - before;
	}
	if (!sent || taken >= sent)
		return DONE;
	if (!taken)
		return failed("%s: no frame reached its peer, which takes none unless it has GRO or "
			      "XDP; ethtool -K PEER gro on", options->dev);
	failed("%s: its peer could not take %lu of %lu frames: its ring was full", options->dev,
	       sent - taken, sent);
	return DONE;
}

static void report(const struct options *options, uint64_t sent, int64_t ns)
{
	double seconds = (double)ns / NS_PER_S;
	double pps = seconds > 0 ? sent / seconds : 0;

	printf(options->json ? "{\"packets\":%lu,\"seconds\":%.3f,\"pps\":%.0f}\n" :
			       "sent %lu packets in %.3f s (%.0f pps)\n", sent, seconds, pps);
}

static enum outcome start_workers(const struct options *options, const struct frame *frame,
				  struct worker *workers, unsigned int *started)
{
	int64_t start;

	for (unsigned int i = 0; i < options->threads; i++) {
		workers[i].options = options;
		workers[i].frame = frame;
		workers[i].number = i;
		if (load_worker(&workers[i]) != DONE)
			return FAILED;
	}
	/* Late enough for all threads to be there in time. */
	start = now_ns() + NS_PER_S / 1000;
	for (; *started < options->threads; ++*started) {
		workers[*started].start += start;
		if (start_worker(&workers[*started]) != DONE) {
			stopped = true;
			return FAILED;
		}
	}
	return DONE;
}

static enum outcome run(const struct options *options, const struct frame *frame,
			const struct link *link)
{
	struct worker workers[THREADS_MAX] = { 0 };
	unsigned int started = 0;
	enum outcome outcome = start_workers(options, frame, workers, &started);
	int64_t ns = watch_workers(workers, started, options->seconds * NS_PER_S);
	uint64_t sent = 0;

	for (unsigned int i = 0; i < started; i++) {
		pthread_join(workers[i].thread, NULL);
		sent += workers[i].skel->bss->sent;
		if (workers[i].error)
			outcome = failed("%s: cannot send: %s", options->dev,
					 strerror(-workers[i].error));
	}
	for (unsigned int i = 0; i < options->threads; i++)
		flood_bpf__destroy(workers[i].skel);
	if (!started)
		return FAILED;
	if (outcome == DONE)
		outcome = report_lost(options, link->tx_packets, sent);
	report(options, sent, ns);
	return outcome;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct options options;
	struct frame frame;
	struct link link;
	enum outcome outcome;

	(void)argc;
	outcome = parse_options(argv + 1, &options);
	if (outcome == DONE)
		outcome = check_device(&options, &link);
	if (outcome == DONE)
		outcome = build_frame(&options, &link, &frame);
	if (outcome != DONE)
		return outcome;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	return run(&options, &frame, &link);
}
