// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "user/cli/ssh_guard.h"
#include "user/host/clock.h"
#include "user/host/ssh.h"
#include "user/model/cut.h"
#include "user/model/error.h"
#include "user/state/block_set.h"
#include "user/state/device.h"
#include "user/state/side_settings.h"

#define TO_KEEP	"`weir allow add ssh` keeps the present sessions; say `force` if you mean it"

/* Whether a program in this network namespace, where the sessions are, drops packets. */
static bool drops_here(const struct maps *maps)
{
	struct weir_device device;

	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++)
		if (!device.monitor && device.netns == own_netns() && !device_is_gone(&device))
			return true;
	return false;
}

static struct connection connection_of(const struct ssh_session *session)
{
	return (struct connection){ session->peer, session->here, session->port,
				    session->peer_port };
}

/* "the SSH session from 198.51.100.7, in which this is typed" */
static const char *name_session(const struct ssh_session *session, char *text, size_t size)
{
	char peer[PREFIX_STRLEN];

	prefix_format_short(&session->peer, peer);
	snprintf(text, size, "the SSH session from %s%s", peer,
		 session->own ? ", in which this is typed" : "");
	return text;
}

#define NAME_LEN	(PREFIX_STRLEN + 60)

/* What makes a session one that would be cut off. */
struct change {
	const struct maps *maps;
	const struct settings *was, *is;
	const struct prefixes *list;	/* instead of the rules in is: the prefixes of a list */
	uint64_t now_ns;
};

static bool is_allowed(const struct ssh_session *session, void *arg)
{
	const struct change *change = arg;

	return entries_cover(&change->was->allow, &session->peer, change->now_ns);
}

static bool is_not_allowed(const struct ssh_session *session, void *arg)
{
	return !is_allowed(session, arg);
}

static bool is_cut_already(const struct ssh_session *session, const struct change *change)
{
	struct connection connection = connection_of(session);
	char rule[CUT_RULE];

	return settings_cut(change->was, &connection, change->now_ns, rule) ||
	       (!entries_cover(&change->was->allow, &session->peer, change->now_ns) &&
		block_set_has(change->maps, &session->peer) > 0);
}

static bool is_cut(const struct ssh_session *session, void *arg)
{
	struct connection connection = connection_of(session);
	const struct change *change = arg;
	char rule[CUT_RULE];

	return settings_cut(change->is, &connection, change->now_ns, rule) &&
	       !is_cut_already(session, change);
}

/* Only the allow entries of @change->is are asked. */
static bool is_listed(const struct ssh_session *session, void *arg)
{
	const struct change *change = arg;
	bool covered = false;

	for (int length = 128; length >= 0 && !covered; length--) {
		struct prefix prefix = { .hi = session->peer.hi, .lo = session->peer.lo,
					 .length = length };

		prefix_mask(&prefix);
		covered = prefixes_has(change->list, &prefix);
	}
	return covered && !entries_cover(&change->is->allow, &session->peer, change->now_ns) &&
	       !is_cut_already(session, change);
}

/* Where the lists in force stay as they are: what an allow entry has kept from them. */
static bool is_bared(const struct ssh_session *session, void *arg)
{
	const struct change *change = arg;

	return !entries_cover(&change->is->allow, &session->peer, change->now_ns) &&
	       block_set_has(change->maps, &session->peer) > 0 && !is_cut_already(session, change);
}

/*
 * The first session that is @wanted; the one in which this is typed, if it is among them. False:
 * there is none, or the kernel does not list connections.
 */
static bool find_session(ssh_wanted *wanted, struct change *change, struct ssh_session *found)
{
	struct ssh_session *sessions;
	size_t count;

	change->now_ns = now_ns();
	if (ssh_sessions(wanted, change, &sessions, &count))
		return false;
	if (count)
		*found = sessions[0];
	for (size_t i = 1; i < count && !found->own; i++)
		if (sessions[i].own)
			*found = sessions[i];
	free(sessions);
	return count;
}

int ssh_guard_rules(const struct maps *maps, const struct settings *was, const struct settings *is,
		    char *err)
{
	struct change change = { .maps = maps, .was = was, .is = is };
	char rule[CUT_RULE], name[NAME_LEN];
	struct connection connection;
	struct ssh_session session;

	if (!drops_here(maps) || !find_session(is_cut, &change, &session))
		return 0;
	connection = connection_of(&session);
	settings_cut(is, &connection, change.now_ns, rule);
	return fail(err, EPERM, "%s would cut off %s; " TO_KEEP, rule,
		    name_session(&session, name, sizeof(name)));
}

int ssh_guard_settings(const struct maps *maps, const struct settings *was,
		       const struct settings *is, char *err)
{
	struct change change = { .maps = maps, .was = was, .is = is };
	struct ssh_session session;
	char name[NAME_LEN];
	int rc = ssh_guard_rules(maps, was, is, err);

	if (rc || !drops_here(maps) || !find_session(is_bared, &change, &session))
		return rc;
	return fail(err, EPERM, "a list in force would cut off %s; " TO_KEEP,
		    name_session(&session, name, sizeof(name)));
}

int ssh_guard_list(const struct maps *maps, const struct settings *was, const struct settings *is,
		   const char *name, const struct prefixes *set, char *err)
{
	struct change change = { .maps = maps, .was = was, .is = is, .list = set };
	struct ssh_session session;
	char text[NAME_LEN];

	if (!drops_here(maps) || !find_session(is_listed, &change, &session))
		return 0;
	return fail(err, EPERM, "list %s would cut off %s; " TO_KEEP, name,
		    name_session(&session, text, sizeof(text)));
}

int ssh_guard_attach(const struct maps *maps, const char *device, char *err)
{
	struct change change = { .maps = maps };
	struct ssh_session session;
	struct settings settings;
	char text[NAME_LEN];
	int rc = maps_read_settings(maps, &settings, err);

	if (rc)
		return rc;
	change.was = &settings;
	if (find_session(is_not_allowed, &change, &session))
		rc = fail(err, EPERM, "%s: %s is not allowed, and could be cut off. `weir allow add "
			  "ssh` keeps the present sessions, `try 60s` ends by itself; say `force` "
			  "if you mean it", device, name_session(&session, text, sizeof(text)));
	settings_free(&settings);
	return rc;
}

void ssh_warn(const struct call *call, const struct maps *maps, const char *device)
{
	struct prefixes peers = { 0 };
	char text[PREFIX_STRLEN], err[ERR_LEN];
	struct settings settings;

	if (maps_read_settings(maps, &settings, err))
		return;
	if (ssh_peers(&peers))
		prefixes_free(&peers);
	for (size_t i = 0; i < prefixes_count(&peers); i++) {
		struct prefix peer = prefixes_at(&peers, i);

		if (entries_cover(&settings.allow, &peer, now_ns()))
			continue;
		prefix_format_short(&peer, text);
		remark(call, "%s: an SSH session comes from %s, which is not allowed: a limit, a "
		       "block or a list could cut it off. To keep it: `weir allow add ssh`", device,
		       text);
	}
	prefixes_free(&peers);
	settings_free(&settings);
}

int ssh_peers(struct prefixes *peers)
{
	struct ssh_session *sessions;
	size_t count;
	int rc = ssh_sessions(NULL, NULL, &sessions, &count);

	for (size_t i = 0; i < count && !rc; i++)
		rc = prefixes_add(peers, &sessions[i].peer);
	free(sessions);
	return rc ? rc : prefixes_sort(peers, NULL);
}
