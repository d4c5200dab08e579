/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A limit for each class of packets, of one packet an hour: a packet that is parsed leaves a
 * bucket, which names its source and its class.
 */
#ifndef WEIR_TESTS_CLASS_LIMITS_H
#define WEIR_TESTS_CLASS_LIMITS_H

#include <netinet/in.h>

#include "tests/datapath/program.h"

static const struct weir_limit_spec class_specs[] = {
	{ .any_proto = 1 },
	{ .proto = IPPROTO_TCP },
	{ .proto = IPPROTO_UDP },
	{ .proto = IPPROTO_ICMP },
	{ .any_proto = 1, .what = WEIR_FRAGMENT },
	{ .proto = IPPROTO_TCP, .what = WEIR_SYN },
};

static inline void add_class_limits(struct settings *settings, const struct weir_limit_spec *specs,
				    size_t count, uint8_t v6_bits)
{
	for (size_t i = 0; i < count; i++) {
		struct weir_limit_spec spec = specs[i];

		spec.rate_packets = 1;
		spec.per_s = 3600;
		spec.burst_packets = 1;
		add_limit(settings, NULL, spec, 32, v6_bits);
	}
}

/* Puts them in force, with @count more in @ports, for sources of @v6_bits in IPv6. */
static inline void set_class_limits(struct program *program, const struct weir_limit_spec *ports,
				    size_t count, uint8_t v6_bits)
{
	struct settings settings;

	if (settings_init(&settings))
		die("settings", -ENOMEM);
	settings.policy->next_serial = program->settings.policy->next_serial;
	add_class_limits(&settings, class_specs, sizeof(class_specs) / sizeof(*class_specs),
			 v6_bits);
	add_class_limits(&settings, ports, count, v6_bits);
	program_set(program, &settings);
}

#endif
