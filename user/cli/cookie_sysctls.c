// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "user/cli/cookie_sysctls.h"
#include "user/host/tcp.h"
#include "user/model/error.h"

#define READY	2

bool cookie_sysctls_ready(void)
{
	return read_sysctl(SYSCTL_SYNCOOKIES) == READY && read_sysctl(SYSCTL_TIMESTAMPS) == READY;
}

static int set_one(const char *path, long *before, char *err)
{
	long is = read_sysctl(path);
	int rc;

	if (is == READY)
		return 0;
	rc = write_sysctl(path, READY, err);
	if (!rc)
		*before = is;
	return rc;
}

static void put_back_one(const char *path, long before, char *err)
{
	char why[ERR_LEN];
	size_t used = strlen(err);

	if (before >= 0 && write_sysctl(path, before, why))
		snprintf(err + used, ERR_LEN - used, "; %s stays %d and was %ld", path, READY, before);
}

int cookie_sysctls_set(struct cookie_sysctls *before, char *err)
{
	int rc;

	*before = (struct cookie_sysctls){ .syncookies = -1, .timestamps = -1 };
	rc = set_one(SYSCTL_SYNCOOKIES, &before->syncookies, err);
	if (!rc)
		rc = set_one(SYSCTL_TIMESTAMPS, &before->timestamps, err);
	if (rc)
		cookie_sysctls_put_back(before, err);
	return rc;
}

void cookie_sysctls_put_back(const struct cookie_sysctls *before, char *err)
{
	put_back_one(SYSCTL_TIMESTAMPS, before->timestamps, err);
	put_back_one(SYSCTL_SYNCOOKIES, before->syncookies, err);
}
