// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is kept over a reboot: known sources and what a person set. Written and
 * read by the very commands that a person would use, in processes of their own:
 * a million known sources take a second to write, and the loop must not wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "user/daemon/state_saver.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/model/error.h"
#include "user/state/known.h"
#include "user/state/lists.h"
#include "user/state/maps.h"
#include "user/state/side_settings.h"

enum what { KEPT_KNOWN, KEPT_SETTINGS, KEPT };

struct state_saver {
	pid_t child[KEPT];		/* 0: none */
	char file[KEPT][CONFIG_TEXT];	/* what it writes */
	bool broken[KEPT];		/* could not be restored: must not be overwritten */
	uint64_t next_ns;
};

struct state_saver *state_saver_new(void)
{
	return calloc(1, sizeof(struct state_saver));
}

void state_saver_free(struct state_saver *saver)
{
	free(saver);
}

static const char *file_of(const struct config *config, enum what what)
{
	return what == KEPT_KNOWN ? config->known_file : config->settings_file;
}

/* @words: of this very tool; its standard output into @to, if not NULL. Returns the process. */
static pid_t run_self(const char *const *words, const char *to)
{
	const char *argv[8] = { "weir", "-q" };
	sigset_t none;
	pid_t pid;
	int fd;

	for (int i = 0; words[i]; i++)
		argv[i + 2] = words[i];
	pid = fork();
	if (pid)
		return pid;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (to) {
		fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
			log_line(LOG_ERR, "cannot write %s: %s", to, strerror(errno));
			_exit(1);
		}
	}
	execv("/proc/self/exe", (char *const *)argv);
	_exit(127);
}

static bool ended_well(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/* ---- restoring ---- */

static bool nothing_is_set(const struct maps *maps)
{
	struct list_info *infos = NULL;
	struct settings settings;
	char ignored[ERR_LEN];
	size_t lists = 0;
	bool nothing;

	if (maps_read_settings(maps, &settings, ignored))
		return false;
	if (lists_read(&infos, &lists, ignored))
		lists = 1;
	free(infos);
	nothing = !settings.allow.count && !settings.block.count && !lists;
	for (uint32_t i = 0; i < WEIR_LIMITS && nothing; i++)
		nothing = !settings.policy->spec[i].used;
	for (uint32_t i = 0; i < WEIR_BUDGETS && nothing; i++)
		nothing = !settings.policy->budget_spec[i].limit.used;
	settings_free(&settings);
	return nothing;
}

static bool nobody_is_known(const struct maps *maps)
{
	struct known_count count;
	struct known known;
	char ignored[ERR_LEN];

	if (known_open(maps, &known, ignored))
		return false;
	known_count(&known, &count);
	known_close(&known);
	return !count.known;
}

/* Written before these maps were made: what was taken away since is not brought back. */
static bool is_from_before(const char *file, const struct maps *maps)
{
	struct stat st;

	return *file && !stat(file, &st) && (uint64_t)st.st_mtim.tv_sec <= maps->meta.created_unix_s;
}

static void restore(struct state_saver *saver, enum what what, const char *file)
{
	const char *const known[] = { "known", "import", file, NULL };
	const char *const settings[] = { "restore", file, NULL };
	pid_t pid = run_self(what == KEPT_KNOWN ? known : settings, NULL);

	saver->broken[what] = pid < 0 || !ended_well(pid);
	if (saver->broken[what])
		log_line(LOG_ERR, "cannot restore %s: it stays as it is, and nothing is written to "
			 "it until the daemon is started again", file);
	else
		log_line(LOG_INFO, "restored %s from %s",
			 what == KEPT_KNOWN ? "known sources" : "settings", file);
}

void state_saver_restore(struct state_saver *saver, const struct config *config)
{
	bool wanted[KEPT] = { false };
	char err[ERR_LEN];
	struct maps maps;

	saver->next_ns = now_ns() + config->save_every_ns;
	if (maps_open(&maps, MAPS_READ, err)) {
		log_line(LOG_ERR, "%s", err);
		return;
	}
	wanted[KEPT_KNOWN] = is_from_before(config->known_file, &maps) && nobody_is_known(&maps);
	wanted[KEPT_SETTINGS] = is_from_before(config->settings_file, &maps) &&
				nothing_is_set(&maps);
	maps_close(&maps);
	for (enum what what = 0; what < KEPT; what++)
		if (wanted[what])
			restore(saver, what, file_of(config, what));
}

/* ---- saving ---- */

static void make_folder_of(const char *file)
{
	char folder[CONFIG_TEXT];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", file);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return;
	*slash = '\0';
	mkdir(folder, 0700);
}

static void begin(struct state_saver *saver, enum what what, const char *file)
{
	const char *const known[] = { "known", "export", file, NULL };
	const char *const settings[] = { "save", NULL };
	char aside[CONFIG_TEXT + 8];

	if (!*file || saver->broken[what] || saver->child[what])
		return;
	make_folder_of(file);
	snprintf(aside, sizeof(aside), "%s.new", file);
	snprintf(saver->file[what], sizeof(saver->file[what]), "%s", file);
	saver->child[what] = what == KEPT_KNOWN ? run_self(known, NULL) : run_self(settings, aside);
	if (saver->child[what] < 0) {
		log_line(LOG_ERR, "cannot start a process to write %s: %s", file, strerror(errno));
		saver->child[what] = 0;
	}
}

/* `known export` renames by itself; `save` wrote to its standard output. */
static int put_in_place(const char *file)
{
	char aside[CONFIG_TEXT + 8];
	int fd, rc = 0;

	snprintf(aside, sizeof(aside), "%s.new", file);
	fd = open(aside, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) || rename(aside, file))
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

static void end(struct state_saver *saver, enum what what, int status)
{
	const char *file = saver->file[what];
	int rc = WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;

	saver->child[what] = 0;
	if (!rc && what == KEPT_SETTINGS)
		rc = put_in_place(file);
	if (rc)
		log_line(LOG_ERR, "cannot write %s: %s; what it held stays", file,
			 rc == -EIO ? "see above" : strerror(-rc));
}

static void reap(struct state_saver *saver, int flags)
{
	int status;

	for (enum what what = 0; what < KEPT; what++)
		if (saver->child[what] && waitpid(saver->child[what], &status, flags) > 0)
			end(saver, what, status);
}

void state_saver_child_ended(struct state_saver *saver)
{
	reap(saver, WNOHANG);
}

void state_saver_look(struct state_saver *saver, const struct config *config)
{
	if (now_ns() < saver->next_ns)
		return;
	saver->next_ns = now_ns() + config->save_every_ns;
	for (enum what what = 0; what < KEPT; what++)
		begin(saver, what, file_of(config, what));
}

void state_saver_finish(struct state_saver *saver, const struct config *config)
{
	char ignored[ERR_LEN];
	struct maps maps;

	reap(saver, 0);
	/* After `detach all` there is nothing to be kept, and the files are not emptied. */
	if (maps_open(&maps, MAPS_READ, ignored))
		return;
	maps_close(&maps);
	for (enum what what = 0; what < KEPT; what++)
		begin(saver, what, file_of(config, what));
	reap(saver, 0);
}
