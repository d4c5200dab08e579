// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/state/dry_run.h"
#include "user/state/verdict.h"

/* The possibilities of one kind; the first is what is taken where nothing else is said. */
struct choice {
	int count;
	int option[3];
};

struct choices {
	struct choice socket, cookie, again, clock;
};

static void list_choices(const struct verdict_question *question, struct choices *choices)
{
	*choices = (struct choices){ .socket = { 1, { DRY_ASK } },
				     .cookie = { 1, { question->cookie } },
				     .again = { 1, { DRY_ASK } },
				     .clock = { 1, { question->clock } } };
	if (question->any_connection)
		choices->socket = (struct choice){ 2, { TCP_ESTABLISHED, DRY_ASK } };
	if (question->any_socket && question->any_connection)
		choices->socket = (struct choice){ 3, { TCP_ESTABLISHED, TCP_LISTEN, 0 } };
	else if (question->any_socket)
		choices->socket = (struct choice){ 2, { TCP_LISTEN, 0 } };
	if (question->any_cookie)
		choices->cookie = (struct choice){ 2, { 0, 1 } };
	if (question->any_clock)
		choices->clock = (struct choice){ 2, { WEIR_CLOCK_FRESH, WEIR_CLOCK_STALE } };
	if (question->any_sequence)
		choices->again = (struct choice){ 2, { 0, 1 } };
}

/* @depends: what in this run was not the first of its possibilities. */
static int add_reason(struct verdict *verdict, enum weir_reason reason, uint32_t rule,
		      uint8_t depends)
{
	if (reason >= WEIR_REASON_MAX)
		return -EIO;
	if (!verdict->possible)
		verdict->reason = reason;
	if (!(verdict->possible >> reason & 1))
		verdict->depends[reason] = depends;
	if (reason == WEIR_DROP_RULE && !(verdict->possible >> reason & 1))
		verdict->rule = rule;
	verdict->possible |= 1ULL << reason;
	return 0;
}

/* One run for each combination: the number of a combination has a digit for each choice. */
static int try_choices(struct dry_run *run, const struct verdict_question *question,
		       const struct choices *choices, struct verdict *verdict)
{
	static const uint8_t bits[] = { VERDICT_CLOCK, VERDICT_AGAIN, VERDICT_COOKIE, VERDICT_SOCKET };
	const struct choice *each[] = { &choices->clock, &choices->again, &choices->cookie,
					&choices->socket };
	int *into[] = { &run->clock, &run->again, &run->cookie, &run->socket };
	enum weir_reason reason;
	int rest = 0, rc = 0;

	for (int number = 0; !rest && !rc; number++) {
		uint8_t depends = run->copies->cpu != (question->cpu < 0 ? 0 : question->cpu) ?
					  VERDICT_CPU : 0;

		rest = number;
		for (int i = 0; i < 4; i++) {
			int option = rest % each[i]->count;

			rest /= each[i]->count;
			*into[i] = each[i]->option[option];
			depends |= option ? bits[i] : 0;
		}
		if (rest)	/* all were tried */
			break;
		memcpy(run->frame, question->frame, question->size);
		reason = dry_run(run);
		rc = add_reason(verdict, reason, run->rule, depends);
	}
	return rc;
}

int verdict_of(struct copies *copies, const struct verdict_question *question,
	       struct verdict *verdict, char *err)
{
	struct dry_run run = { .copies = copies, .size = question->size, .now_ns = question->now_ns,
			       .coarse_ns = question->coarse_ns };
	struct verdict_question wider = *question;
	struct choices choices;
	int rc = 0;

	if (question->size > sizeof(run.frame))
		return fail(err, EMSGSIZE, "a frame of more than %zu bytes", sizeof(run.frame));
	if (!run.now_ns)
		run.now_ns = now_ns();
	if (!run.coarse_ns)
		run.coarse_ns = now_coarse_ns();
	do {
		run.no_socket = false;
		*verdict = (struct verdict){ 0 };
		list_choices(&wider, &choices);
		for (int cpu = 0; cpu < copies->cpus && !rc; cpu++) {
			copies->cpu = cpu;
			if (question->cpu < 0 || question->cpu == cpu)
				rc = try_choices(&run, question, &choices, verdict);
		}
		wider.any_socket = true;
	} while (run.no_socket && !rc);
	return rc || !verdict->possible ? fail(err, EIO, "the maps could not be read") : 0;
}
