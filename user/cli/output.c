// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/cli/output.h"
#include "user/model/rule_judge.h"
#include "user/state/cookie_watch.h"
#include "user/state/judgements.h"
#include "user/state/loss_watch.h"

void put_json(FILE *to, const json_t *root, bool pretty)
{
	char *text = json_dumps(root, pretty ? JSON_INDENT(2) : JSON_COMPACT);

	/* Such bytes occur in strings only, which jansson has checked to be UTF-8. */
	for (const char *c = text; c && *c; c++) {
		bool is_c1 = (unsigned char)c[0] == 0xc2 && (unsigned char)c[1] < 0xa0;

		if (*c == 0x7f || is_c1)
			fprintf(to, "\\u%04x", is_c1 ? (unsigned char)*++c : *c);
		else
			putc(*c, to);
	}
	putc('\n', to);
	free(text);
}

/* Whether it could be written is checked once, at the end of main(). */
enum outcome print_json(const struct call *call, json_t *root)
{
	if (!root)
		return failed(call, "out of memory");
	if (call->answer) {
		*call->answer = root;
		return DONE;
	}
	if (call->json)
		put_json(stdout, root, call->pretty);
	json_decref(root);
	return DONE;
}

/* What only judgements of drop rules have. */
static void add_rule(json_t *json, const struct weir_judgement *j)
{
	char name[JUDGEMENT_SUBJECT];
	const char *match = j->text + strcspn(j->text, " ");

	if (!judgement_is_of_rule(j->kind))
		return;
	json_object_set_new(json, "rule", json_string(judgement_subject(j, name)));
	json_object_set_new(json, "match", json_string(match + strspn(match, " ")));
	json_object_set_new(json, "flood_share", json_real(j->flood_millionths / 1e6));
	json_object_set_new(json, "calm_bound", json_real(j->calm_millionths / 1e6));
	json_object_set_new(json, "doubt", *j->why ? json_string(j->why) : json_null());
}

json_t *judgement_json(const struct weir_judgement *j)
{
	char why[JUDGEMENT_TEXT], prefix[PREFIX_STRLEN] = "", command[JUDGEMENT_COMMAND] = "";
	struct prefix source;
	json_t *json;

	judgement_explain(j, why, sizeof(why));
	judgement_command(j, command);
	prefix_from_key(&j->prefix, &source);
	if (source.length || !judgement_is_of_rule(j->kind))
		prefix_format(&source, prefix);
	json = json_pack("{s:I, s:I, s:s, s:s, s:i, s:i, s:I, s:I, s:I, s:I, s:i, s:i, s:s, s:s, "
			 "s:s}", "number", (json_int_t)j->number, "time", (json_int_t)j->unix_s, "verdict",
			 judgement_name(j->kind), "prefix", prefix, "strikes", j->strikes, "windows",
			 j->windows, "ttl_seconds", (json_int_t)j->ttl_s, "packets",
			 (json_int_t)j->packets, "limit_pps", (json_int_t)j->limit_pps, "seen_pps",
			 (json_int_t)j->seen_pps, "sources", (int)j->sources, "share_permille",
			 (int)j->share_permille, "text", j->text, "evidence", why, "command",
			 command);
	add_rule(json, j);
	return json;
}

const char *origin_name(uint8_t origin)
{
	return origin == WEIR_BY_DAEMON ? "daemon" : "operator";
}

json_t *losses_json(const struct losses *losses)
{
	struct weir_loss_count recent = losses_recent(&losses->watch);
	json_t *counts = json_object();

	for (int i = 0; i < WEIR_LOSSES; i++)
		json_object_set_new(counts, loss_name(i),
				    json_integer((json_int_t)losses->watch.all.lost[i]));
	return json_pack("{s:o, s:I, s:I, s:s, s:s}", "packets", counts, "recent_least",
			 (json_int_t)losses_least(&recent, losses->own), "recent_seen",
			 (json_int_t)recent.seen, "own_drops", own_drops_name(losses->own),
			 "alarm", losses->complaint);
}

json_t *cookies_json(const struct weir_cookie_watch *watch)
{
	struct cookie_recent recent = cookie_watch_recent(watch);
	char complaint[COOKIE_COMPLAINT];

	cookie_watch_complaint(watch, complaint);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "returned",
			 (json_int_t)watch->all.returned, "refused", (json_int_t)watch->all.refused,
			 "listen_overflows", (json_int_t)watch->all.overflows, "recent_returned",
			 (json_int_t)recent.returned, "recent_refused", (json_int_t)recent.refused,
			 "recent_listen_overflows", (json_int_t)recent.overflows, "alarm", complaint);
}
