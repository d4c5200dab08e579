// SPDX-License-Identifier: GPL-2.0-only
/* The daemon's settings file: any text is either accepted or refused with a line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/config.h"
#include "user/model/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config config, before;
	char err[ERR_LEN] = "", text[CONFIG_TEXT + 4];

	memset(&before, 0x5a, sizeof(before));
	memcpy(&config, &before, sizeof(config));
	if (config_parse("f", (const char *)data, size, &config, err)) {
		if (memcmp(&config, &before, sizeof(config)) || strncmp(err, "f:", 2))
			abort();
		return 0;
	}
	for (const struct config_key *key = config_keys; key->name; key++)
		for (size_t i = 0; i < (strcmp(key->section, "lists.load") ? 1 : config.list_count);
		     i++)
			config_format(key, strcmp(key->section, "lists.load") ?
					   (void *)&config : &config.lists[i], text, sizeof(text));
	/* What the loop and the judge rely on. */
	if (config.judge.source.times < 2 || !config.judge.source.windows || !config.window_ns ||
	    config.list_count > CONFIG_LISTS)
		abort();
	return 0;
}
