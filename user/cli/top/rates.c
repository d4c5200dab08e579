// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/cli/top/top.h"
#include "user/host/clock.h"
#include "user/model/drop_rules.h"
#include "user/model/reasons.h"
#include "user/model/units.h"
#include "user/state/budgets.h"
#include "user/state/device.h"
#include "user/state/loss_watch.h"
#include "user/state/tables.h"


static double rate_of(uint64_t is, uint64_t was, double seconds)
{
	return seconds > 0 && is > was ? (is - was) / seconds : 0;
}

static void describe_device(const struct weir_device *device, char *text, size_t size)
{
	size_t used = strlen(text);

	snprintf(text + used, size - used, "%s%s %s%s", used ? ", " : "", device->name,
		 device_mode(device), device->monitor ? " monitor" : "");
}

static void describe_devices(struct top_rates *rates, const struct maps *maps)
{
	struct weir_device device;

	rates->devices[0] = '\0';
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++)
		describe_device(&device, rates->devices, sizeof(rates->devices));
}

static void push_history(struct top_reason *reason)
{
	memmove(reason->history, reason->history + 1, sizeof(reason->history) - sizeof(double));
	reason->history[TOP_HISTORY - 1] = reason->pps;
}

static void read_reasons(struct top_rates *rates, const struct maps *maps, double seconds)
{
	struct weir_counters sum, *was = &rates->sum;
	struct top_reason *all = &rates->all;

	describe_devices(rates, maps);
	if (devices_sum(maps, &sum))
		sum = *was;
	all->packets = 0;
	all->pps = all->bits_per_s = rates->dropped_pps = 0;
	for (int i = 0; i < WEIR_REASON_MAX; i++) {
		struct top_reason *reason = &rates->reason[i];

		reason->packets = sum.reason[i].packets;
		reason->pps = rate_of(sum.reason[i].packets, was->reason[i].packets, seconds);
		reason->bits_per_s = 8 * rate_of(sum.reason[i].bytes, was->reason[i].bytes, seconds);
		reason->monitored_pps = rate_of(sum.monitored[i].packets,
						was->monitored[i].packets, seconds);
		push_history(reason);
		all->packets += reason->packets;
		all->pps += reason->pps;
		all->bits_per_s += reason->bits_per_s;
		if (!strcmp(reason_action(i), "drop"))
			rates->dropped_pps += reason->pps - reason->monitored_pps;
	}
	push_history(all);
	*was = sum;
}

/* Of a device that has been attached meanwhile, the counts begin at 0 again. */
static void read_losses(struct top_rates *rates, const struct maps *maps, double seconds)
{
	struct weir_device device;
	struct losses losses;

	rates->lost_pps = 0;
	loss_watch_look(maps);
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++) {
		loss_watch_read(maps, slot, &device, &losses);
		rates->lost_pps += rate_of(losses_least(&losses.watch.all, losses.own),
					   losses_least(&rates->lost[slot], losses.own), seconds);
		rates->lost[slot] = losses.watch.all;
	}
}

static void read_budgets(struct top_rates *rates, const struct maps *maps,
			 const struct weir_policy *policy, double seconds)
{
	rates->budgets = 0;
	for (uint32_t slot = 1; slot < WEIR_BUDGETS; slot++) {
		const struct weir_budget_spec *spec = &policy->budget_spec[slot];
		struct weir_spending sum, *was = &rates->spending[slot];
		struct top_budget *budget = &rates->budget[rates->budgets];
		struct budget_counts counts, counted;
		struct weir_budget_state state;

		if (!spec->name[0] || maps_read_budget(maps, slot, &state, &sum))
			continue;
		rates->budgets++;
		snprintf(budget->name, sizeof(budget->name), "%s", spec->name);
		if (spec->limit.rate_packets)
			format_packet_rate(spec->limit.rate_packets, spec->limit.per_s, budget->rate);
		else
			format_bits(spec->limit.rate_bits_per_s, budget->rate);
		budget->used = budget_used(&policy->budget[slot], &state);
		budget->pressed = budget_is_pressed(&state);
		budget->passed_pps = rate_of(sum.passed, was->passed, seconds);
		counts = budget_count(&sum);
		counted = budget_count(was);
		budget->known_pps = rate_of(counts.known, counted.known, seconds);
		budget->proven_pps = rate_of(counts.proven, counted.proven, seconds);
		budget->dropped_pps = rate_of(counts.dropped, counted.dropped, seconds);
		*was = sum;
	}
}

static int most_first(const void *a, const void *b)
{
	const struct top_rule *x = a, *y = b;

	if (x->dropped_pps != y->dropped_pps)
		return x->dropped_pps < y->dropped_pps ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void read_rules(struct top_rates *rates, const struct maps *maps,
		       const struct weir_policy *policy, double seconds, uint64_t now)
{
	rates->rules = 0;
	for (uint32_t slot = 0; slot < WEIR_RULES; slot++) {
		const struct weir_rule_spec *spec = &policy->rule_spec[slot];
		struct weir_rule_count sum, *was = &rates->rule_count[slot];
		struct top_rule *rule = &rates->rule[rates->rules];

		if (!rule_is_in_force(spec, now) || maps_read_rule(maps, slot, &sum))
			continue;
		rates->rules++;
		snprintf(rule->name, sizeof(rule->name), "%s", spec->name);
		rule->monitor = spec->monitor;
		rule->dropped_pps = rate_of(sum.packets, was->packets, seconds);
		rule->spared_pps = rate_of(sum.spared, was->spared, seconds);
		*was = sum;
	}
	qsort(rates->rule, rates->rules, sizeof(*rates->rule), most_first);
}

void top_read_rates(struct top_rates *rates, const struct maps *maps,
		    const struct weir_policy *policy)
{
	uint64_t now = now_ns();
	double seconds = rates->read_ns ? (now - rates->read_ns) / (double)NS_PER_S : 0;

	read_reasons(rates, maps, seconds);
	read_losses(rates, maps, seconds);
	read_budgets(rates, maps, policy, seconds);
	read_rules(rates, maps, policy, seconds, now);
	rates->read_ns = now;
}
