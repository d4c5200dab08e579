// SPDX-License-Identifier: GPL-2.0-only
/* Commands that change the settings: read the maps, run the edit, write the difference. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "user/cli/command.h"
#include "user/cli/cookie_sysctls.h"
#include "user/cli/resolver_guard.h"
#include "user/cli/ssh_guard.h"
#include "user/host/addresses.h"
#include "user/host/clock.h"
#include "user/host/priority.h"
#include "user/host/interfaces.h"
#include "user/host/link_speed.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/policy.h"
#include "user/state/device.h"
#include "user/state/judgements.h"
#include "user/state/session.h"
#include "user/state/side_settings.h"

enum outcome outcome_of_value(int rc)
{
	if (rc == -EINVAL || rc == -ERANGE)
		return USAGE;
	return rc < 0 ? FAILED : DONE;
}

/* What an edit says: err where it fails, otherwise said and note of struct edit. */
struct speech {
	char *said, note[ERR_LEN];
	bool attached;		/* to any interface; of an edit that is done */
};

/* Checks the words by an edit of empty settings, before any maps are opened or made. */
static enum outcome rehearse(const struct command *command, struct words words, char *said)
{
	static const struct prefixes no_addresses;
	struct edit edit = { .words = words, .own = &no_addresses };
	struct settings empty;
	enum outcome outcome;

	if (settings_init(&empty)) {
		fail(said, ENOMEM, "out of memory");
		return FAILED;
	}
	edit.settings = &empty;
	outcome = command->edit(&edit);
	settings_free(&empty);
	snprintf(said, ERR_LEN, "%s", edit.err);
	return outcome == USAGE ? USAGE : DONE;
}

/* Writes the edited settings and the sysctls; cookie_sysctls.h gives the reason for the order. */
static int write_edit(struct maps *maps, const struct settings *was, struct edit *edit)
{
	struct cookie_sysctls before;

	if (edit->changed && policy_compile(edit->settings->policy, edit->err))
		return -1;
	if (edit->changed && !edit->force &&
	    (ssh_guard_settings(maps, was, edit->settings, edit->err) ||
	     resolver_guard(was, edit->settings, edit->err)))
		return -1;
	if (edit->set_sysctls && cookie_sysctls_set(&before, edit->err))
		return -1;
	if (!edit->changed)
		return 0;
	if (maps_write_settings(maps, was, edit->settings, false, edit->err)) {
		if (edit->set_sysctls)
			cookie_sysctls_put_back(&before, edit->err);
		return -1;
	}
	return judgements_note_undone(maps, was, edit->settings, edit->err);
}

static enum outcome edit_maps(const struct command *command, struct words words, struct maps *maps,
			      const struct prefixes *own, struct speech *speech)
{
	struct settings was, is;
	struct edit edit = { .words = words, .settings = &is, .own = own, .ssh_peers = ssh_peers,
			     .fastest_link = fastest_link, .now_ns = now_ns(), .now_unix_s = time(NULL) };
	enum outcome outcome;

	if (maps_read_settings(maps, &was, speech->said))
		return FAILED;
	if (settings_copy(&is, &was)) {
		settings_free(&was);
		fail(speech->said, ENOMEM, "out of memory");
		return FAILED;
	}
	entries_expire(&is.block, edit.now_ns);
	rules_expire(is.policy, edit.now_ns);
	outcome = command->edit(&edit);
	if (outcome == DONE && write_edit(maps, &was, &edit))
		outcome = FAILED;
	snprintf(speech->said, ERR_LEN, "%s", outcome == DONE ? edit.said : edit.err);
	snprintf(speech->note, ERR_LEN, "%s", edit.note);
	speech->attached = devices_attached(maps);
	settings_free(&is);
	settings_free(&was);
	return outcome;
}

static enum outcome do_edit(const struct command *command, struct words words,
			    struct speech *speech)
{
	enum outcome outcome = rehearse(command, words, speech->said);
	struct prefixes own = { 0 };
	struct maps maps;

	if (outcome != DONE)
		return outcome;
	if (open_maps(&maps, command->needs == MAKES_MAPS ? MAPS_CREATE : MAPS_WRITE, speech->said))
		return FAILED;
	if (own_addresses(&own)) {
		fail(speech->said, EIO, "cannot read this host's addresses");
		outcome = FAILED;
	} else {
		outcome = edit_maps(command, words, &maps, &own, speech);
	}
	prefixes_free(&own);
	close_maps(&maps, outcome == DONE);
	return outcome;
}

void remark_unattached(const struct call *call)
{
	char name[IF_NAMESIZE];

	remark(call, "it acts on nothing yet, since weir is attached to no interface; `weir attach %s "
	       "monitor` attaches it and drops nothing", interface_to_begin(name));
}

enum outcome run_edit(const struct call *call)
{
	char said[ERR_LEN] = "";
	struct speech speech = { .said = said };
	enum outcome outcome;

	run_before_others();
	outcome = do_edit(call->command, call->words, &speech);
	if (outcome == USAGE)
		return usage(call, "%s", said);
	if (outcome == FAILED)
		return failed(call, "%s", said);
	if (said[0])
		tell(call, "%s", said);
	if (speech.note[0])
		remark(call, "%s", speech.note);
	if (call->command->needs == MAKES_MAPS && !speech.attached)
		remark_unattached(call);
	return DONE;
}

enum outcome edit_by_words(char **line, char said[ERR_LEN])
{
	struct words words = { line };
	const struct command *command = find_command(&words, said);
	struct speech speech = { .said = said };

	return command && command->edit ? do_edit(command, words, &speech) : USAGE;
}
