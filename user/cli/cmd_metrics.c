// SPDX-License-Identifier: GPL-2.0-only
/* weir metrics: the text of a scrape over HTTP, on standard output. */
#include <stdio.h>
#include <stdlib.h>

#include "user/cli/command.h"
#include "user/model/error.h"
#include "user/daemon/metrics.h"

enum outcome cmd_metrics(const struct call *call)
{
	struct words words = call->words;
	char err[ERR_LEN], *text;
	bool open_metrics = take_word(&words, "openmetrics");

	if (no_more_words(&words, err))
		return usage(call, "%s", err);
	text = metrics_text(open_metrics, err);
	if (!text)
		return failed(call, "%s", err);
	fputs(text, stdout);
	free(text);
	return DONE;
}
