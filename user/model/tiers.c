// SPDX-License-Identifier: GPL-2.0-only
#include "user/model/tiers.h"

static const struct {
	const char *name, *meaning;
} tiers[WEIR_TIERS] = {
	[WEIR_FIRST_SEEN] = { "first-seen", "is not known" },
	[WEIR_RETURNING] = { "returning", "is not known, but came within the last minute" },
	[WEIR_SEEN] = { "seen", "was seen behaving in calm times, without proof that it is there" },
	[WEIR_PROVEN] = { "proven", "has proved that it receives what this host sends to it" },
	[WEIR_LONG] = { "long", "has proved itself in two generations of the table" },
};

const char *tier_name(enum weir_tier tier)
{
	return tier < WEIR_TIERS ? tiers[tier].name : "?";
}

const char *tier_meaning(enum weir_tier tier)
{
	return tier < WEIR_TIERS ? tiers[tier].meaning : "?";
}
