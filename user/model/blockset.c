// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/blockset.h"
#include "user/model/error.h"
#include "user/model/prefixes.h"

/* The lines of a set with their number: the set as bpf/pure/blockset.h looks it up here. */
struct set_lines {
	const struct weir_line *lines;
	size_t count;
};

static inline const void *line_at(const struct set_lines *view, uint32_t index)
{
	return index < view->count ? view->lines + index : NULL;
}

#define WEIR_SET_LINE(set, index) line_at(set, index)
#include "bpf/pure/blockset.h"

#define V6_LENGTHS	129		/* 0..128 */
#define NODES_PER_LINE	16
#define CONTENTS_PER_LINE	16
#define ALL_HOSTS	(0 | 255 << 8)	/* of a /24: the first and the last */
#define LINES_MAX	(1U << 27)	/* 8 GiB; indices of contents and bitmaps stay below 2^31 */

/*
 * A prefix shorter than /32 sets the filter bits of every /32 in it. From FILTER_FULL such /32s
 * on, four for each bit of the filter, nearly all bits would be set: then all are.
 */
#define FILTER_BITS	(WEIR_SET_FILTER_LINES * 512U)
#define FILTER_FULL	(4ULL * FILTER_BITS)

/*
 * The binary search over prefix lengths (Waldvogel et al., SIGCOMM 1997) as a tree, and for each
 * length the lengths at which its prefixes must leave a marker, to be found by that search.
 */
struct tree {
	uint32_t node[V6_LENGTHS];
	uint32_t nodes;
	uint8_t marks[V6_LENGTHS];
	uint8_t mark[V6_LENGTHS][WEIR_SET_STEPS]; /* lengths */
};

/* Where everything is in the lines. */
struct layout {
	const struct prefixes *set;
	struct weir_line *line;	/* NULL while only the size is computed */
	struct tree tree;
	uint64_t seed;
	size_t content;	/* first line of the contents of /24s, 32 bits each */
	size_t bitmap;	/* first line of the bitmaps of /24s, half a line each */
	size_t bucket;	/* first line of the IPv6 buckets, one line each */
	size_t buckets;	/* a power of two, or 0 */
	size_t lines;	/* in total */
};

/* An IPv6 prefix or a marker, as the hash table holds it. */
struct key {
	__u64 hi, lo;
	uint32_t length;
	bool blocked; /* false: a marker */
};

/*
 * Builds the balanced tree over @count ascending lengths, of depth 8 for 128 of them. @above: the
 * @aboves shorter lengths on the way to it, from which the search goes on only by a marker. Returns
 * the root. Nodes are numbered from the root of all on, which has number 0 and is never a child,
 * so that 0 as a child means "none".
 */
static uint32_t build_tree(struct tree *tree, const uint8_t *length, size_t count,
			   const uint8_t above[WEIR_SET_STEPS], uint8_t aboves)
{
	uint8_t path[WEIR_SET_STEPS];
	size_t mid = count / 2;
	uint32_t self, shorter, longer;

	if (!count)
		return 0;
	self = tree->nodes++;
	memcpy(path, above, sizeof(path));
	memcpy(tree->mark[length[mid]], above, sizeof(path));
	tree->marks[length[mid]] = aboves;
	path[aboves] = length[mid];
	shorter = build_tree(tree, length, mid, above, aboves);
	longer = build_tree(tree, length + mid + 1, count - mid - 1, path, aboves + 1);
	tree->node[self] = length[mid] | longer << 8 | shorter << 16;
	return self;
}

static void plan_tree(struct layout *layout)
{
	bool used[V6_LENGTHS] = { 0 };
	uint8_t length[V6_LENGTHS], none[WEIR_SET_STEPS] = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < layout->set->v6_count; i++)
		used[layout->set->v6[i].length] = true;
	for (int i = 0; i < V6_LENGTHS; i++)
		if (used[i])
			length[count++] = i;
	build_tree(&layout->tree, length, count, none, 0);
}

static bool same_key(const struct key *a, const struct key *b)
{
	return a->hi == b->hi && a->lo == b->lo && a->length == b->length;
}

/*
 * Calls @visit once for each IPv6 prefix and each marker. Prefixes come in order, so those under
 * one marker are neighbours, and a comparison with the last marker of that length suffices to
 * visit it once. Stops when @visit returns false, and returns whether all were visited.
 */
static bool each_key(const struct layout *layout, bool (*visit)(void *ctx, const struct key *key),
		     void *ctx)
{
	const struct tree *tree = &layout->tree;
	struct key last[V6_LENGTHS] = { 0 }; /* no marker has length 0 */

	for (size_t i = 0; i < layout->set->v6_count; i++) {
		const struct prefix *prefix = layout->set->v6 + i;
		struct key key = { prefix->hi, prefix->lo, prefix->length, true };

		if (!visit(ctx, &key))
			return false;
		for (int j = 0; j < tree->marks[prefix->length]; j++) {
			key = (struct key){ prefix->hi, prefix->lo, tree->mark[prefix->length][j],
					    false };
			weir_mask(&key.hi, &key.lo, key.length);
			if (same_key(&key, &last[key.length]))
				continue;
			last[key.length] = key;
			if (!visit(ctx, &key))
				return false;
		}
	}
	return true;
}

static bool count_key(void *count, const struct key *key)
{
	(void)key;
	++*(size_t *)count;
	return true;
}

/* A trial of whether all keys find a slot. @taken: how many slots of each bucket are taken. */
struct trial {
	const struct layout *layout;
	uint8_t *taken;
};

static size_t bucket_of(const struct layout *layout, const struct key *key, uint32_t probe)
{
	uint32_t home = weir_set_bucket(key->hi, key->lo, key->length, layout->seed);

	return (home + probe) & (layout->buckets - 1);
}

static bool try_key(void *ctx, const struct key *key)
{
	struct trial *trial = ctx;

	for (uint32_t probe = 0; probe < WEIR_SET_PROBES; probe++) {
		uint8_t *taken = trial->taken + bucket_of(trial->layout, key, probe);

		if (*taken < WEIR_SET_SLOTS) {
			++*taken;
			return true;
		}
	}
	return false;
}

/*
 * Finds a number of buckets and a seed with which every key has a slot within WEIR_SET_PROBES
 * buckets, as far as the look-up searches. It starts with at most five keys for every four buckets:
 * in simulations, some 3 % of the keys were then outside their first bucket, whereas from six keys
 * for every four buckets on, tables of a million keys failed with nearly every seed.
 */
static int plan_v6(struct layout *layout, char *err)
{
	struct trial trial = { .layout = layout };
	size_t keys = 0;
	bool fits;

	plan_tree(layout);
	each_key(layout, count_key, &keys);
	if (!keys)
		return 0;
	for (layout->buckets = 1; layout->buckets * 5 < keys * 4;)
		layout->buckets *= 2;
	for (int tries = 1; layout->buckets < LINES_MAX; tries++) {
		trial.taken = calloc(layout->buckets, 1);
		if (!trial.taken)
			return fail(err, ENOMEM, "no memory for %zu IPv6 buckets", layout->buckets);
		fits = each_key(layout, try_key, &trial);
		free(trial.taken);
		if (fits)
			return 0;
		layout->seed = weir_mix(layout->seed + tries);
		if (tries % 2 == 0)
			layout->buckets *= 2;
	}
	return fail(err, E2BIG, "%zu IPv6 prefixes are too many for a block set",
		    layout->set->v6_count);
}

static bool put_key(void *ctx, const struct key *key)
{
	const struct layout *layout = ctx;

	for (uint32_t probe = 0; probe < WEIR_SET_PROBES; probe++) {
		size_t index = layout->bucket + bucket_of(layout, key, probe);
		struct set_v6_bucket *bucket = (void *)(layout->line + index);

		for (int slot = 0; slot < WEIR_SET_SLOTS; slot++) {
			if (bucket->tag[slot])
				continue;
			bucket->hi[slot] = key->hi;
			bucket->lo[slot] = key->lo;
			bucket->tag[slot] = WEIR_SET_USED | key->length << 1 | key->blocked;
			return true;
		}
		bucket->spilled = 1;
	}
	return false;
}

static void put_filter_bits(struct weir_line *lines, uint32_t top)
{
	uint64_t hash = weir_set_filter_hash(top);
	struct set_filter *line = (void *)(lines + weir_set_filter_line(hash));

	for (int n = 0; n < WEIR_SET_FILTER_KEYS; n++) {
		uint32_t bit = weir_set_filter_bit(hash, n);

		line->bits[bit >> 6] |= 1ULL << (bit & 63);
	}
}

static void put_filter(struct weir_line *lines, const struct prefixes *set)
{
	uint64_t wide = 0;	/* how many /32s are in shorter prefixes */

	for (size_t i = 0; i < set->v6_count; i++)
		if (set->v6[i].length < 32)
			wide += 1ULL << (32 - set->v6[i].length);
	if (wide >= FILTER_FULL) {
		memset(lines + WEIR_SET_FILTER_LINE, 0xff,
		       WEIR_SET_FILTER_LINES * sizeof(*lines));
		return;
	}
	for (size_t i = 0; i < set->v6_count; i++) {
		uint32_t top = set->v6[i].hi >> 32;
		uint32_t count = set->v6[i].length < 32 ? 1U << (32 - set->v6[i].length) : 1;

		while (count--)
			put_filter_bits(lines, top++);
	}
}

/* Writes the IPv4 part; while layout->line is NULL, it only counts contents and bitmaps. */
struct v4_writer {
	struct layout *layout;
	size_t contents, bitmaps;
};

static void put_content(struct v4_writer *writer, uint32_t net, uint32_t content)
{
	struct weir_line *lines = writer->layout->line;
	size_t index = writer->layout->content * CONTENTS_PER_LINE + writer->contents++;
	struct set_contents *contents;
	struct set_v4_line *line;

	if (!lines)
		return;
	line = (void *)(lines + WEIR_SET_V4_LINE + (net >> 8));
	if (!line->base)
		line->base = index;
	line->nets[net >> 6 & 3] |= 1ULL << (net & 63);
	for (int word = (net >> 6 & 3) + 1; word < 4; word++)
		line->rank[word]++;
	contents = (void *)(lines + index / CONTENTS_PER_LINE);
	contents->content[index % CONTENTS_PER_LINE] = content;
}

/* Stores which hosts of a /24 are blocked: a range if they are one, else a bitmap. */
static void put_hosts(struct v4_writer *writer, uint32_t net, const uint64_t hosts[4])
{
	size_t index = writer->layout->bitmap * 2 + writer->bitmaps;
	uint32_t count = 0, first = 256, last = 0;
	struct weir_line *lines = writer->layout->line;
	struct set_bitmaps *bitmaps;

	for (int word = 0; word < 4; word++) {
		if (!hosts[word])
			continue;
		if (first == 256)
			first = word * 64 + __builtin_ctzll(hosts[word]);
		last = word * 64 + 63 - __builtin_clzll(hosts[word]);
		count += __builtin_popcountll(hosts[word]);
	}
	if (last - first + 1 == count) {
		put_content(writer, net, first | last << 8);
		return;
	}
	put_content(writer, net, WEIR_SET_BITMAP | index);
	if (lines) {
		bitmaps = (void *)(lines + index / 2);
		memcpy(&bitmaps->hosts[index % 2 * 4], hosts, 4 * sizeof(*hosts));
	}
	writer->bitmaps++;
}

/* Adds a prefix of @length 25..32: its hosts are a power of two, and aligned to it. */
static void add_hosts(uint64_t hosts[4], uint32_t host, uint32_t length)
{
	uint32_t count = 1U << (32 - length);

	if (count < 64)
		hosts[host >> 6] |= ((1ULL << count) - 1) << (host & 63);
	else
		for (uint32_t word = host >> 6; word < (host + count) >> 6; word++)
			hosts[word] = ~0ULL;
}

static void put_v4(struct v4_writer *writer, const struct prefixes *set)
{
	struct set_v4_line *lines = NULL;

	if (writer->layout->line)
		lines = (void *)(writer->layout->line + WEIR_SET_V4_LINE);
	for (size_t i = 0; i < set->v4_count;) {
		uint32_t addr = set->v4[i] >> 8, length = set->v4[i] & 255;
		uint64_t hosts[4] = { 0 };

		if (length <= 16) {
			for (uint32_t j = 0; lines && j < 1U << (16 - length); j++)
				lines[(addr >> 16) + j].whole = 1;
			i++;
		} else if (length <= 24) {
			for (uint32_t j = 0; j < 1U << (24 - length); j++)
				put_content(writer, (addr >> 8) + j, ALL_HOSTS);
			i++;
		} else {
			for (; i < set->v4_count && set->v4[i] >> 16 == addr >> 8; i++)
				add_hosts(hosts, set->v4[i] >> 8 & 255, set->v4[i] & 255);
			put_hosts(writer, addr >> 8, hosts);
		}
	}
}

static int plan(struct layout *layout, char *err)
{
	struct v4_writer writer = { .layout = layout };
	int rc;

	if (!prefixes_are_disjoint(layout->set))
		return fail(err, EINVAL, "the prefixes of a block set must be merged");
	put_v4(&writer, layout->set);
	rc = plan_v6(layout, err);
	if (rc)
		return rc;
	layout->content = WEIR_SET_FREE_LINE;
	layout->bitmap = layout->content + (writer.contents + CONTENTS_PER_LINE - 1) / CONTENTS_PER_LINE;
	layout->bucket = layout->bitmap + (writer.bitmaps + 1) / 2;
	layout->lines = layout->bucket + layout->buckets;
	if (layout->lines > LINES_MAX)
		return fail(err, E2BIG, "%zu prefixes are too many for a block set",
			    prefixes_count(layout->set));
	return 0;
}

static void put_head(const struct layout *layout, uint64_t generation)
{
	struct set_head *head = (void *)layout->line;
	struct set_tree *tree = (void *)(layout->line + WEIR_SET_TREE_LINE);

	*head = (struct set_head){
		.seed = layout->seed,
		.generation = generation,
		.v6_start = layout->bucket,
		.v6_mask = layout->buckets ? layout->buckets - 1 : 0,
		.v6_lengths = layout->tree.nodes,
		.lines = layout->lines,
		.v4_prefixes = layout->set->v4_count,
		.v6_prefixes = layout->set->v6_count,
	};
	for (uint32_t i = 0; i < layout->tree.nodes; i++)
		tree[i / NODES_PER_LINE].node[i % NODES_PER_LINE] = layout->tree.node[i];
}

int blockset_compile(const struct prefixes *set, uint64_t seed, uint64_t generation,
		     struct weir_line *(*alloc)(void *ctx, size_t lines), void *ctx, char *err)
{
	struct layout layout = { .set = set, .seed = seed };
	struct v4_writer writer = { .layout = &layout };
	int rc;

	rc = plan(&layout, err);
	if (rc)
		return rc;
	err[0] = '\0';
	layout.line = alloc(ctx, layout.lines);
	if (!layout.line && err[0])	/* @alloc has written the reason */
		return -ENOMEM;
	if (!layout.line)
		return fail(err, ENOMEM, "no memory for a block set of %zu MiB",
			    layout.lines * sizeof(*layout.line) >> 20);
	put_head(&layout, generation);
	put_v4(&writer, set);
	put_filter(layout.line, set);
	each_key(&layout, put_key, &layout);
	return 0;
}

bool blockset_has(const struct weir_line *lines, size_t count, const struct prefix *address)
{
	struct set_lines view = { lines, count };

	if (prefix_is_v4(&(struct prefix){ address->hi, address->lo, 128 }))
		return weir_set_has_v4(&view, address->lo);
	return weir_set_maybe_v6(&view, address->hi) &&
	       weir_set_has_v6(&view, address->hi, address->lo);
}
