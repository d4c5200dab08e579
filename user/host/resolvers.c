// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "user/host/resolvers.h"
#include "user/model/error.h"

static bool is_loopback(const struct prefix *address)
{
	return prefix_is_v4(address) ? (address->lo >> 24 & 0xff) == 127 :
				       !address->hi && address->lo == 1;
}

static int read_file(const char *path, struct prefixes *resolvers)
{
	FILE *file = fopen(path, "re");
	char line[256], text[PREFIX_STRLEN], err[ERR_LEN];
	struct prefix address;
	int rc = 0;

	while (file && !rc && fgets(line, sizeof(line), file))
		if (sscanf(line, " nameserver %49s", text) == 1 &&
		    !prefix_parse(text, &address, NULL, err) && address.length == 128 &&
		    !is_loopback(&address))
			rc = prefixes_add(resolvers, &address);
	if (file)
		fclose(file);
	return rc;
}

int host_resolvers(struct prefixes *resolvers)
{
	int rc = read_file("/etc/resolv.conf", resolvers);

	if (!rc)
		rc = read_file("/run/systemd/resolve/resolv.conf", resolvers);
	return rc ? rc : prefixes_sort(resolvers, NULL);
}
