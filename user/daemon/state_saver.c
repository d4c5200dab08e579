// SPDX-License-Identifier: GPL-2.0-only
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
#include "user/host/write_file.h"
#include "user/model/drop_rules.h"
#include "user/model/error.h"
#include "user/model/known_file.h"
#include "user/state/known.h"
#include "user/state/lists.h"
#include "user/state/maps.h"
#include "user/state/side_settings.h"

/* What is saved, a file each. */
enum state_part { KNOWN_SOURCES, SETTINGS, STATE_PARTS };

struct state_saver {
	pid_t child[STATE_PARTS];		/* the process that writes it; 0: none */
	char file[STATE_PARTS][CONFIG_TEXT];	/* the file that the process writes */
	bool broken[STATE_PARTS];		/* not restored: must not be overwritten */
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

static const char *file_of(const struct config *config, enum state_part part)
{
	return part == KNOWN_SOURCES ? config->known_file : config->settings_file;
}

/*
 * Runs this tool with @words; its standard output goes to the file @to, if that is not NULL.
 * Returns the process, or -1.
 */
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

/* Status 3 of `restore`: the settings are in force, and it has said what is wrong with lists. */
static bool ended_well(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && (!WEXITSTATUS(status) || WEXITSTATUS(status) == 3);
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
	for (uint32_t i = 0; i < WEIR_SYN_RULES && nothing; i++)
		nothing = !settings.policy->syn_rule[i].used;
	for (uint32_t i = 0; i < WEIR_DNS_RULES && nothing; i++)
		nothing = !settings.policy->dns_rule[i].used;
	for (uint32_t i = 0; i < WEIR_RULES && nothing; i++)
		nothing = !rule_is_used(&settings.policy->rule_spec[i]);
	settings_free(&settings);
	return nothing;
}

static bool no_source_is_known(const struct maps *maps)
{
	struct known_count count;
	struct known known;
	char ignored[ERR_LEN];

	if (known_open(maps, &known, ignored))
		return false;
	known_count(&known, &count);
	known_close(&known);
	return !known_count_all(&count);
}

/*
 * A file that is older than the maps is from before the reboot. One that is newer was written from
 * these maps: what it has and the maps lack was removed by an operator since.
 */
static bool is_from_before(const char *file, const struct maps *maps)
{
	struct stat st;

	return *file && !stat(file, &st) && S_ISREG(st.st_mode) &&	/* a pipe would block */
	       (uint64_t)st.st_mtim.tv_sec <= maps->meta.created_unix_s;
}

/*
 * Whether the file says which sources are proven. Those of before did not, and held sources for
 * which only packets spoke that anybody can send.
 */
static bool holds_proof(const char *file)
{
	char head[128];
	ssize_t len;
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	len = read(fd, head, sizeof(head));
	close(fd);
	return !len || (len > 0 && known_file_version(head, len));
}

static bool restore_file(enum state_part part, const char *file)
{
	const char *const known[] = { "known", "import", file, NULL };
	const char *const only_seen[] = { "known", "import", file, "as", "seen", NULL };
	const char *const settings[] = { "restore", file, "force", NULL };
	bool proof = part != KNOWN_SOURCES || holds_proof(file);
	pid_t pid = run_self(part == SETTINGS ? settings : proof ? known : only_seen, NULL);

	if (!proof)
		log_line(LOG_NOTICE, "%s was written by an earlier weir, or by hand: it does not say "
			 "which of its sources are proven, so all are restored as seen; `weir known "
			 "import` vouches for them", file);
	return pid >= 0 && ended_well(pid);
}

/* The files beside the settings that weir-restore would use, too. */
static void restore_earlier(const char *file)
{
	static const char *const endings[] = { ".before", ".good" };
	char earlier[CONFIG_TEXT + 8];
	struct stat st;

	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		snprintf(earlier, sizeof(earlier), "%s%s", file, endings[i]);
		if (lstat(earlier, &st) || !S_ISREG(st.st_mode) || !restore_file(SETTINGS, earlier))
			continue;
		log_line(LOG_ERR, "the settings of %s are in force instead", earlier);
		return;
	}
}

static void restore(struct state_saver *saver, enum state_part part, const char *file)
{
	saver->broken[part] = !restore_file(part, file);
	if (saver->broken[part])
		log_line(LOG_ERR, "cannot restore %s: the file is kept, and not written to until "
			 "the daemon is started again", file);
	else
		log_line(LOG_INFO, "restored %s from %s",
			 part == KNOWN_SOURCES ? "known sources" : "settings", file);
	if (saver->broken[part] && part == SETTINGS)
		restore_earlier(file);
}

void state_saver_restore(struct state_saver *saver, const struct config *config)
{
	bool wanted[STATE_PARTS] = { false };
	char err[ERR_LEN];
	struct maps maps;

	saver->next_ns = now_ns() + config->save_every_ns;
	if (maps_open(&maps, MAPS_READ, err)) {
		log_line(LOG_ERR, "%s", err);
		return;
	}
	wanted[KNOWN_SOURCES] = is_from_before(config->known_file, &maps) &&
				no_source_is_known(&maps);
	wanted[SETTINGS] = is_from_before(config->settings_file, &maps) && nothing_is_set(&maps);
	maps_close(&maps);
	for (enum state_part part = 0; part < STATE_PARTS; part++)
		if (wanted[part])
			restore(saver, part, file_of(config, part));
}

/* ---- saving ---- */

static void begin(struct state_saver *saver, enum state_part part, const char *file)
{
	const char *const known[] = { "known", "export", file, NULL };
	const char *const settings[] = { "save", NULL };
	char aside[CONFIG_TEXT + 8];

	if (!*file || saver->broken[part] || saver->child[part])
		return;
	make_folder_of(file);
	snprintf(aside, sizeof(aside), "%s.new", file);
	snprintf(saver->file[part], sizeof(saver->file[part]), "%s", file);
	saver->child[part] = part == KNOWN_SOURCES ? run_self(known, NULL) :
						     run_self(settings, aside);
	if (saver->child[part] < 0) {
		log_line(LOG_ERR, "cannot start a process to write %s: %s", file, strerror(errno));
		saver->child[part] = 0;
	}
}

/* The file before it stays as FILE.before: the newest one may turn out to be damaged. */
static void keep_before(const char *file)
{
	char before[CONFIG_TEXT + 8], aside[CONFIG_TEXT + 16];
	struct stat st;

	if (lstat(file, &st) || !S_ISREG(st.st_mode))
		return;
	snprintf(before, sizeof(before), "%s.before", file);
	snprintf(aside, sizeof(aside), "%s.new", before);
	unlink(aside);
	if (link(file, aside) || rename(aside, before))
		unlink(aside);
}

static void sync_folder_of(const char *file)
{
	char folder[CONFIG_TEXT];
	char *slash;
	int fd;

	snprintf(folder, sizeof(folder), "%s", file);
	slash = strrchr(folder, '/');
	if (!slash)
		return;
	slash[slash == folder] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* `known export` renames its file itself; `save` has written to its standard output. */
static int put_in_place(const char *file)
{
	char aside[CONFIG_TEXT + 8];
	int fd, rc = 0;

	snprintf(aside, sizeof(aside), "%s.new", file);
	fd = open(aside, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		rc = -errno;
	if (!rc)
		keep_before(file);
	if (!rc && rename(aside, file))
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (!rc)
		sync_folder_of(file);
	return rc;
}

/* What could not be written whole, on a full disk for example. */
static void remove_aside(const char *file)
{
	char aside[CONFIG_TEXT + 8];

	snprintf(aside, sizeof(aside), "%s.new", file);
	unlink(aside);
}

static void end(struct state_saver *saver, enum state_part part, int status)
{
	const char *file = saver->file[part];
	int rc = WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;

	saver->child[part] = 0;
	if (!rc && part == SETTINGS)
		rc = put_in_place(file);
	if (rc && part == SETTINGS)
		remove_aside(file);
	if (rc)
		log_line(LOG_ERR, "cannot write %s: %s; the file keeps its old content", file,
			 rc == -EIO ? "the reason is above" : strerror(-rc));
}

static void reap(struct state_saver *saver, int flags)
{
	int status;

	for (enum state_part part = 0; part < STATE_PARTS; part++)
		if (saver->child[part] && waitpid(saver->child[part], &status, flags) > 0)
			end(saver, part, status);
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
	for (enum state_part part = 0; part < STATE_PARTS; part++)
		begin(saver, part, file_of(config, part));
}

void state_saver_finish(struct state_saver *saver, const struct config *config)
{
	char ignored[ERR_LEN];
	struct maps maps;

	reap(saver, 0);
	/* After `detach all` there is no state to save. The files keep what they have. */
	if (maps_open(&maps, MAPS_READ, ignored))
		return;
	maps_close(&maps);
	for (enum state_part part = 0; part < STATE_PARTS; part++)
		begin(saver, part, file_of(config, part));
	reap(saver, 0);
}
