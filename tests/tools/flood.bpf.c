// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packet generator's inner loop: each call writes one frame with the next
 * source and sends it into a veth. Run by BPF_PROG_TEST_RUN with live frames,
 * one program and so one set of state for each thread.
 *
 * The kernel hands used pages back as the last receiver left them: a router has
 * counted the TTL down, a VLAN tag was cut out. So all of the header is written
 * each time, and a checksum is a sum over constants, never an update.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define HEADER_MAX 104 /* Ethernet, one VLAN tag, IPv6, UDP, a DNS query */
#define VALUES	   256 /* as in values.h */
#define PATTERN_MAX 64

/*
 * Set before loading: the verifier takes them as constants and removes the
 * branches that they rule out. Sums are of 16-bit words as they lie in memory.
 */
const volatile __u8 header[HEADER_MAX]; /* source, random port, checksums: 0 */
const volatile __u32 header_len;
const volatile __u32 source_at, sport_at;
const volatile __u32 label_at; /* eight letters of a DNS name, all random; 0: none */
const volatile __u32 ip_check_at, ip_sum; /* IPv4 only */
const volatile __u32 ttl_at;
const volatile __u8 ttls[VALUES], random_ttl; /* else it is in the header */
/* Of the frame. If they vary, all lengths in the header, and in its sums, are 0. */
const volatile __u16 sizes[VALUES];
const volatile __u8 random_size;
const volatile __u32 size_most;
const volatile __u32 ip_at, l4_at;
const volatile __u32 udp_len_at; /* 0: it is not UDP */
/* The payload's first words: what is fixed, which is in the sum, and which bits are random. */
const volatile __u64 fixed_words[PATTERN_MAX / 8], random_words[PATTERN_MAX / 8];
const volatile __u32 pattern_words; /* 0: nothing in it is random */
const volatile __u32 check_at, sum;	  /* of the payload's protocol */
const volatile __u8 ipv6, random_source;
const volatile __u32 sport_least, sport_count; /* 0: the port in the header */
const volatile __u8 sum_has_source; /* all but ICMP over IPv4 have a pseudo header */
const volatile __u8 zero_means_none; /* UDP */
const volatile __u32 flags_at;	     /* the 16-bit word with TCP's flags */
const volatile __u16 second_flags;   /* that every second packet has as well */
const volatile __u32 ifindex;

/* Numbers in host order; IPv4 in the last 32 bits. */
const volatile __u64 prefix_hi, prefix_lo, host_hi, host_lo;
const volatile __u64 sources, step; /* @step: how many threads take turns */
const volatile __u64 stride;	    /* from one source's address to the next */
const volatile __u64 quota;	    /* packets */
const volatile __u64 ns_each_q8;    /* nanoseconds from packet to packet, times 256; 0: no pace */
const volatile __u64 on_ns, off_ns; /* sends for so long, then pauses; off_ns 0: no pauses */

__u64 turn; /* which source comes next */
__u64 random_state;
__u64 sent;
__u64 first, due, ended; /* CLOCK_MONOTONIC; 0: not yet. Ended: the quota is used up. */

/* splitmix64: one word of state, so that a seed repeats a run. */
static __always_inline __u64 next_random(void)
{
	__u64 z = random_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static __always_inline __u32 sum_of(__u64 words)
{
	return (words & 0xffff) + (words >> 16 & 0xffff) + (words >> 32 & 0xffff) + (words >> 48);
}

static __always_inline __u16 checksum(__u32 total)
{
	total = (total & 0xffff) + (total >> 16);
	total = (total & 0xffff) + (total >> 16);
	return ~total;
}

/* In words of eight, the last one overlapping: the length is even, but no multiple. */
static __always_inline void write_header(void *data)
{
	for (__u32 i = 0; i < (HEADER_MAX + 7) / 8; i++) {
		__u32 at = i * 8;

		if (at >= header_len)
			break;
		if (at > header_len - 8)
			at = header_len - 8;
		*(__u64 *)(data + at) = *(const volatile __u64 *)(header + at);
	}
}

/* Returns the sum of its words. */
static __always_inline __u32 write_source(void *data)
{
	__u64 hi = prefix_hi, lo = prefix_lo;

	if (random_source) {
		if (ipv6)
			hi |= next_random() & host_hi;
		lo |= next_random() & host_lo;
	} else {
		lo += turn * stride;
		turn += step;
		if (turn >= sources)
			turn -= sources;
	}

	if (!ipv6) {
		__u32 source = __builtin_bswap32(lo);

		*(__u32 *)(data + source_at) = source;
		return sum_of(source);
	}
	hi = __builtin_bswap64(hi);
	lo = __builtin_bswap64(lo);
	*(__u64 *)(data + source_at) = hi;
	*(__u64 *)(data + source_at + 8) = lo;
	return sum_of(hi) + sum_of(lo);
}

/* Returns the sum of its words; the label begins at the second byte of one. */
static __always_inline __u32 write_label(void *data)
{
	__u64 letters = (next_random() & 0x0f0f0f0f0f0f0f0fULL) + 0x6161616161616161ULL;

	*(__u64 *)(data + label_at) = letters;
	return sum_of(letters << 8) + (letters >> 56);
}

/* Returns the sum of what is random in them. */
static __always_inline __u32 write_pattern(void *data)
{
	__u32 total = 0;

	for (__u32 i = 0; i < PATTERN_MAX / 8; i++) {
		__u64 random;

		if (i >= pattern_words)
			break;
		random = next_random() & random_words[i];
		*(__u64 *)(data + header_len + i * 8) = fixed_words[i] | random;
		total += sum_of(random);
	}
	return total;
}

/* Lengths of all headers, for a frame of @size bytes. @ip_total: what the IPv4 header adds to. */
static __always_inline __u32 write_lengths(void *data, __u32 size, __u32 *ip_total)
{
	__u16 ip_len = __builtin_bswap16(size - (ipv6 ? l4_at : ip_at));
	__u16 l4_len = __builtin_bswap16(size - l4_at);
	__u32 total = sum_has_source ? l4_len : 0; /* of the pseudo header */

	*(__u16 *)(data + ip_at + (ipv6 ? 4 : 2)) = ip_len;
	*ip_total += ip_len;
	if (udp_len_at) {
		*(__u16 *)(data + udp_len_at) = l4_len;
		total += l4_len;
	}
	return total;
}

/* A clock that stands still in pauses, of time since the first packet. */
static __always_inline __u64 without_pauses(__u64 ns)
{
	__u64 into = ns % (on_ns + off_ns);

	return ns / (on_ns + off_ns) * on_ns + (into < on_ns ? into : on_ns);
}

/*
 * Packet n is owed at first + n * ns_each. After a delay the pauses are halved
 * until it is made good: no burst, the receiver may be a limiter. The last
 * packet's pause counts too, so that the rate of the run is the pace.
 */
static __always_inline int is_due(void)
{
	__u64 now = 0, soonest;

	if (ns_each_q8 || off_ns || !first)
		now = bpf_ktime_get_ns();
	if (!first)
		first = now;
	if (off_ns) {
		if ((now - first) % (on_ns + off_ns) >= on_ns)
			return 0;
		now = first + without_pauses(now - first);
	}
	if (now < due)
		return 0;
	if (sent >= quota) {
		if (!ended)
			ended = bpf_ktime_get_ns();
		return 0;
	}
	if (ns_each_q8) {
		due = first + ((sent + 1) * ns_each_q8 >> 8);
		soonest = now + (ns_each_q8 >> 9);
		if (due < soonest)
			due = soonest;
	}
	return 1;
}

/* Before any pointer is taken: each call begins with the longest frame. */
static __always_inline __u32 choose_size(struct xdp_md *ctx)
{
	__u32 size = sizes[next_random() & (VALUES - 1)];

	return bpf_xdp_adjust_tail(ctx, (int)(size - size_most)) ? 0 : size;
}

SEC("xdp")
int flood(struct xdp_md *ctx)
{
	__u32 source_sum, ip_total = ip_sum, total = sum, size = 0;
	void *data;
	__u16 check;

	if (!is_due())
		return XDP_DROP;
	if (random_size) {
		size = choose_size(ctx);
		if (!size)
			return XDP_ABORTED;
	}
	data = (void *)(long)ctx->data;
	if (data + header_len + pattern_words * 8 > (void *)(long)ctx->data_end)
		return XDP_ABORTED;

	write_header(data);
	source_sum = write_source(data);
	if (random_size)
		total += write_lengths(data, size, &ip_total);
	if (random_ttl) {
		__u8 ttl = ttls[next_random() & (VALUES - 1)];

		*(__u8 *)(data + ttl_at) = ttl;
		ip_total += ttl; /* the first byte of its word */
	}
	if (!ipv6)
		*(__u16 *)(data + ip_check_at) = checksum(ip_total + source_sum);
	if (sum_has_source)
		total += source_sum;
	if (sport_count) {
		__u32 drawn = (next_random() >> 48) * sport_count >> 16;
		__u16 port = __builtin_bswap16(sport_least + drawn);

		*(__u16 *)(data + sport_at) = port;
		total += port;
	}
	if (label_at)
		total += write_label(data);
	if (pattern_words)
		total += write_pattern(data);
	if (second_flags && sent & 1) {
		*(__u16 *)(data + flags_at) |= second_flags;
		total += second_flags;
	}
	check = checksum(total);
	if (zero_means_none && !check)
		check = 0xffff;
	*(__u16 *)(data + check_at) = check;

	sent++;
	return bpf_redirect(ifindex, 0);
}

char _license[] SEC("license") = "GPL";
