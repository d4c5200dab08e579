/* SPDX-License-Identifier: GPL-2.0-only */
/* The files of the web page, which the build puts into the binary. */
#ifndef WEIR_DAEMON_WEB_H
#define WEIR_DAEMON_WEB_H

#include <stddef.h>

struct web_file {
	const char *path, *type;	/* "/", "text/html; charset=utf-8" */
	const unsigned char *bytes, *end;
};

/* NULL: there is no such file. */
const struct web_file *web_find(const char *path);

#endif
