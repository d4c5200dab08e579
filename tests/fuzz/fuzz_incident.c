// SPDX-License-Identifier: GPL-2.0-only
/* The record of an incident: any text is refused by name, or is the same when written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "user/model/error.h"
#include "user/model/incident_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_summary(const char *data, size_t size)
{
	struct incident_summary summary, again;
	char err[ERR_LEN] = "", *text;

	if (incident_summary_parse("f", data, size, &summary, err)) {
		if (err[0] != 'f' || summary.last)
			abort();
		return;
	}
	text = incident_summary_text(&summary);
	if (!text || incident_summary_parse("f", text, strlen(text), &again, err) ||
	    memcmp(&summary, &again, sizeof(again)))
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct incident incident, again;
	static struct incident_sample sample;
	char err[ERR_LEN] = "", *text, *second;

	check_summary((const char *)data, size);
	if (incident_file_parse("f", (const char *)data, size, &incident, err)) {
		if (err[0] != 'f' || incident.number)
			abort();
		return 0;
	}
	text = incident_file_text(&incident);
	if (!text || incident_file_parse("f", text, strlen(text), &again, err))
		abort();
	second = incident_file_text(&again);
	if (!second || strcmp(text, second))
		abort();
	free(text);
	free(second);
	incident_sample_resume(&sample, &incident);	/* what a daemon does with it */
	incident_sample_tell(&sample, &incident);
	incident_grow(&incident.counted, &incident.raw, &incident.pending);
	return 0;
}
