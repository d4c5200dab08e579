/* SPDX-License-Identifier: GPL-2.0-only */
/* What several commands print. */
#ifndef WEIR_CLI_OUTPUT_H
#define WEIR_CLI_OUTPUT_H

#include <jansson.h>

#include "user/cli/command.h"

/*
 * Writes @root and a line feed. jansson escapes C0 only; DEL and C1, which terminals obey too, are
 * escaped here.
 */
void put_json(FILE *to, const json_t *root, bool pretty);
/* Prints @root when JSON is asked for; frees it in any case. */
enum outcome print_json(const struct call *call, json_t *root);

/* The values of a judgement and its evidence in words, of `ban-log` and `events`. */
json_t *judgement_json(const struct weir_judgement *judgement);

/* The figures of cookies that came back, of `syn show` and `show health`. */
json_t *cookies_json(const struct weir_cookie_watch *watch);

/*
 * Packets of a device that were lost before weir saw them, of `show status` and `show health`: by
 * counter since the attachment, how many at least were lost lately, and the alarm in words.
 */
struct losses;
json_t *losses_json(const struct losses *losses);

/* The origin of a block entry, WEIR_BY_...: "daemon" or "operator". */
const char *origin_name(uint8_t origin);

#endif
