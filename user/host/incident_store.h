/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The records of incidents: a folder with a file N.json for each, and summary.json. Files hold
 * addresses of sources, which are personal data: the folder is 0700, each file 0600.
 */
#ifndef WEIR_HOST_INCIDENT_STORE_H
#define WEIR_HOST_INCIDENT_STORE_H

#include "user/model/incident.h"

#define INCIDENT_FOLDER	"/var/lib/weir/incidents"

/*
 * The numbers of all records, ascending, to be freed; none where there is no folder. 0, or -errno
 * with @err.
 */
int incident_store_list(uint64_t **numbers, size_t *count, char *err);
/* 0, or -errno with @err, which names the file: -ENOENT, -EINVAL where it is no record. */
int incident_store_read(uint64_t number, struct incident *incident, char *err);
/* The file is the old one or the new one at each moment. Makes the folder. 0, or -errno with @err. */
int incident_store_write(const struct incident *incident, char *err);
/* 0, also where it was gone, or -errno with @err. */
int incident_store_remove(uint64_t number, char *err);
/* Removes what a killed daemon has left half written. */
void incident_store_tidy(void);

/* 0, or -errno with @err and an empty @summary: -ENOENT where there is none. */
int incident_store_read_summary(struct incident_summary *summary, char *err);
int incident_store_write_summary(const struct incident_summary *summary, char *err);

#endif
