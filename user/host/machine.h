/* SPDX-License-Identifier: GPL-2.0-only */
/* Facts about this machine and its interfaces for `weir doctor`; model/doctor.h says what they mean. */
#ifndef WEIR_HOST_MACHINE_H
#define WEIR_HOST_MACHINE_H

#include "user/model/doctor.h"

/*
 * Each fills in what belongs to the host or the driver, and leaves alone what is known from weir's
 * maps. What cannot be read stays as it was: not told.
 */
void machine_read_host(struct doctor_host *host);
void machine_read_device(const char *name, struct doctor_device *device);

#endif
