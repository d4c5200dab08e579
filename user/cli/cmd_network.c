// SPDX-License-Identifier: GPL-2.0-only
/* weir show networks: the networks of newcomers from which budgets dropped most. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/cli/output.h"
#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/model/parse.h"
#include "user/model/table.h"
#include "user/model/units.h"
#include "user/state/networks.h"

#define TOP_DEFAULT	20

static int worst_first(const void *a, const void *b)
{
	const struct network *x = a, *y = b;

	if (x->dropped != y->dropped)
		return x->dropped < y->dropped ? 1 : -1;
	return x->key < y->key ? -1 : x->key > y->key;
}

struct found {
	struct network *at;
	size_t count;
};

static int keep_network(const struct network *network, void *arg)
{
	struct found *found = arg;

	if (network->dropped)
		found->at[found->count++] = *network;
	return 0;
}

/* Networks that lost packets, the worst first. To be freed; NULL with @err. */
static struct network *read_networks(const struct maps *maps, size_t *count, char *err)
{
	struct found found = { .at = calloc(WEIR_NETWORKS, sizeof(*found.at)) };
	int rc = found.at ? networks_each(maps, keep_network, &found) : -ENOMEM;

	if (rc) {
		fail(err, -rc, "cannot read the table of networks: %s", strerror(-rc));
		free(found.at);
		return NULL;
	}
	qsort(found.at, found.count, sizeof(*found.at), worst_first);
	*count = found.count;
	return found.at;
}

static uint64_t seconds_ago(const struct network *network, uint64_t now)
{
	return now > network->seen_ns ? (now - network->seen_ns) / NS_PER_S : 0;
}

static const struct column network_columns[] = {
	{ "NETWORK", 24 }, { "TURNED AWAY", 16, true }, { "LAST, AGO", 12, true }, { 0 },
};

static json_t *show_network(const struct call *call, const struct network *network)
{
	char text[PREFIX_STRLEN], dropped[FORMAT_LEN], ago[FORMAT_LEN];
	uint64_t seconds = seconds_ago(network, now_ns());

	prefix_format(&network->prefix, text);
	if (!call->json) {
		format_left(seconds, ago);
		table_row(network_columns, text, table_count(network->dropped, dropped), ago);
	}
	return json_pack("{s:s, s:I, s:I}", "network", text, "dropped",
			 (json_int_t)network->dropped, "seconds_ago", (json_int_t)seconds);
}

enum outcome cmd_show_networks(const struct call *call)
{
	struct words words = call->words;
	char err[ERR_LEN];
	uint64_t wanted = TOP_DEFAULT;
	struct network *networks;
	json_t *list;
	struct maps maps;
	size_t count;

	if (take_count(&words, "top", WEIR_NETWORKS, &wanted, err))
		return usage(call, "%s", err);
	if (maps_open(&maps, MAPS_READ, err))
		return failed(call, "%s", err);
	networks = read_networks(&maps, &count, err);
	maps_close(&maps);
	if (!networks)
		return failed(call, "%s", err);
	list = json_array();
	if (!call->json && count)
		table_head(network_columns);
	for (size_t i = 0; i < count && i < wanted; i++)
		json_array_append_new(list, show_network(call, &networks[i]));
	free(networks);
	if (!call->json)
		remark(call, count ? "%zu networks of newcomers were turned away" :
			     "no budget has turned a newcomer away", count);
	return print_json(call, json_pack("{s:I, s:o}", "total", (json_int_t)count, "networks",
					  list));
}
