/* SPDX-License-Identifier: GPL-2.0-only */
/* The record of an incident as text of 80 columns. */
#ifndef WEIR_CLI_INCIDENT_REPORT_H
#define WEIR_CLI_INCIDENT_REPORT_H

#include "user/model/incident.h"

/* What is known of it, for the operator. */
void print_incident(const struct incident *incident);
/* The same as a report for others: of which host, how to read it, what to do; to be mailed. */
void print_incident_report(const struct incident *incident);

#endif
