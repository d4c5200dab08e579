// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/host/file.h"
#include "user/host/write_file.h"
#include "user/model/error.h"
#include "user/host/calm_store.h"

#define MODE	0640	/* it holds the first bytes of packets: for root and the daemon's group */

static int path_of(const char *file, const char *interface, char path[PATH_MAX], char *err)
{
	if ((size_t)snprintf(path, PATH_MAX, "%s.%s", file, interface) >= PATH_MAX)
		return fail(err, ENAMETOOLONG, "the name of the calm sample is too long");
	return 0;
}

int calm_store_read(const char *file, const char *interface, struct calm *calm, char *err)
{
	char path[PATH_MAX];
	struct file_text text;
	int rc = path_of(file, interface, path, err);

	if (!rc)
		rc = file_read(path, CALM_FILE_MOST, &text, err);
	if (rc)
		return rc;
	rc = calm_read(path, (const uint8_t *)text.data, text.size, calm, err);
	file_text_free(&text);
	return rc;
}

int calm_store_write(const char *file, const char *interface, const struct calm *calm, char *err)
{
	char path[PATH_MAX];
	size_t size;
	uint8_t *data;
	int rc = path_of(file, interface, path, err);

	if (rc)
		return rc;
	make_folder_of(file);
	data = calm_write(calm, &size);
	if (!data)
		return fail(err, ENOMEM, "cannot write the calm sample: out of memory");
	rc = file_replace(path, data, size, MODE, err);
	free(data);
	return rc;
}
