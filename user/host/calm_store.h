/* SPDX-License-Identifier: GPL-2.0-only */
/* The files of the calm samples: one for each interface, beside each other. */
#ifndef WEIR_HOST_CALM_STORE_H
#define WEIR_HOST_CALM_STORE_H

#include "user/model/calm.h"

/*
 * @file: the name that all have in common, as in the daemon's settings; that of an interface is
 * FILE.INTERFACE. 0, or -errno with @err: -ENOENT, there is none.
 */
int calm_store_read(const char *file, const char *interface, struct calm *calm, char *err);
int calm_store_write(const char *file, const char *interface, const struct calm *calm, char *err);

#endif
