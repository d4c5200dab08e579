// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop: once a window the ban engine, the list watcher and the state saver look at what has
 * happened; in between the loop sleeps until a signal, a changed file or the watchdog wakes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "user/daemon/ban_engine.h"
#include "user/daemon/calm_keeper.h"
#include "user/daemon/cookie_log.h"
#include "user/daemon/daemon.h"
#include "user/daemon/incident_log.h"
#include "user/daemon/list_watcher.h"
#include "user/daemon/loss_log.h"
#include "user/daemon/rule_finder.h"
#include "user/daemon/state_saver.h"
#include "user/daemon/traffic_log.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/host/notify.h"
#include "user/model/error.h"
#include "user/model/units.h"
#include "user/state/hints.h"
#include "user/state/maps.h"

#define LOCK_FOLDER	"/run/weir"
#define LOCK_NAME	"daemon.lock"
#define LOCK_FILE	LOCK_FOLDER "/" LOCK_NAME
#define LOCK_TEXT	32		/* bytes of it */
#define MODE_ENFORCE	"enforce"
#define MODE_JUDGE	"judge"
#define BUSY_PART	4	/* looks take at most a quarter of the CPU time */

struct daemon {
	const struct daemon_options *options;
	struct config config;
	int lock, signals;
	struct ban_engine *engine;
	struct list_watcher *watcher;
	struct state_saver *saver;
	struct traffic_log *traffic;	/* NULL: it could not be started */
	struct incident_log *incidents;	/* NULL: it could not be started */
	struct cookie_log cookies;
	struct loss_log losses[WEIR_DEVICES];
	uint64_t seed;		/* of the maps at the last look; 0: there was none */
	bool waiting_logged;	/* that weir is not in use here */
	struct config served;	/* of which the keys of http hold now; none before the first */
	uint64_t next_ns, watchdog_ns, watchdog_next_ns;
	bool stopping;
};

int daemon_config(const struct daemon_options *options, struct config *config, char *err)
{
	int rc = 0;

	config_defaults(config);
	if (options->file)
		rc = config_read(options->file, config, err);
	else if (!access(CONFIG_FILE, F_OK))
		rc = config_read(CONFIG_FILE, config, err);
	if (!rc && options->judge_only)
		config->judge.enforce = false;
	return rc;
}

/* ---- only one daemon runs on a host ---- */

/*
 * A lock that others can open is one that others can hold: no daemon would start. The file is for
 * its owner only, one of an earlier version too, and only the owner of the folder may replace it.
 */
static int open_lock(char *err)
{
	struct stat st;
	int folder, fd;

	if (mkdir(LOCK_FOLDER, 0755) && errno != EEXIST)
		return fail(err, errno, "cannot make " LOCK_FOLDER ": %s", strerror(errno));
	folder = open(LOCK_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0 || fstat(folder, &st)) {
		fd = fail(err, errno, "cannot open " LOCK_FOLDER ": %s", strerror(errno));
	} else if (st.st_mode & S_IWOTH) {
		fd = fail(err, EPERM, LOCK_FOLDER " can be written by all users, who could replace the "
			  "lock in it: `chmod 0755 " LOCK_FOLDER "`");
	} else {
		fd = openat(folder, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			fd = fail(err, errno, "cannot open " LOCK_FILE ": %s", strerror(errno));
		else if (!fstat(fd, &st) && st.st_mode & 077)
			fchmod(fd, 0600);
	}
	if (folder >= 0)
		close(folder);
	return fd;
}

/* The lock says to others which process it is, and in which mode. */
static int write_lock(const struct daemon *daemon, char *err)
{
	char text[LOCK_TEXT];

	snprintf(text, sizeof(text), "%d\n%s\n", getpid(),
		 daemon->config.judge.enforce ? MODE_ENFORCE : MODE_JUDGE);
	if (ftruncate(daemon->lock, 0) || pwrite(daemon->lock, text, strlen(text), 0) < 0)
		return fail(err, errno, "cannot write " LOCK_FILE ": %s", strerror(errno));
	return 0;
}

static int take_lock(struct daemon *daemon, char *err)
{
	char pid[16] = "";

	daemon->lock = open_lock(err);
	if (daemon->lock < 0)
		return daemon->lock;
	if (flock(daemon->lock, LOCK_EX | LOCK_NB)) {
		if (read(daemon->lock, pid, sizeof(pid) - 1) < 0)
			pid[0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		return fail(err, EBUSY, "another weir daemon runs on this host%s%s: "
			    LOCK_FILE " is locked", *pid ? ", process " : "", pid);
	}
	return write_lock(daemon, err);
}

/* The folder is the daemon's user's, who could put a pipe there that would hold up a reader. */
const char *daemon_mode(void)
{
	static const char *const modes[] = { MODE_ENFORCE, MODE_JUDGE };
	int fd = open(LOCK_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[LOCK_TEXT], *mode;
	ssize_t length;

	if (fd < 0)
		return NULL;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	mode = text + strcspn(text, "\n");
	mode += strspn(mode, "\n");
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (!strncmp(mode, modes[i], strlen(modes[i])))
			return modes[i];
	return NULL;
}

/* ---- signals ---- */

static int take_signals(struct daemon *daemon, char *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	daemon->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (daemon->signals < 0)
		return fail(err, errno, "cannot receive signals: %s", strerror(errno));
	return 0;
}

static void log_mode(const struct daemon *daemon)
{
	if (daemon->config.mode_was_monitor)
		log_line(LOG_NOTICE, "mode: monitor is called mode: judge now; please change the "
			 "settings file");
	log_line(LOG_INFO, daemon->config.judge.enforce ?
		 "mode enforce: sources and networks are banned as the settings say" :
		 "mode judge: nothing is banned; `weir ban-log` shows what would have been, and "
		 "`mode: enforce` in the settings file makes the bans");
}

static bool serves_the_same(const struct config *a, const struct config *b)
{
	return a->http_port == b->http_port && !strcmp(a->http_address, b->http_address) &&
	       !strcmp(a->http_socket, b->http_socket) &&
	       !strcmp(a->http_socket_group, b->http_socket_group);
}

/* Without the web page weir still filters and bans, so a failure here is not fatal. */
static void serve(struct daemon *daemon)
{
	const struct config *config = &daemon->config;
	const char *address = config->http_address;
	char err[ERR_LEN];

	if (serves_the_same(config, &daemon->served))
		return;
	http_stop();
	daemon->served = (struct config){ 0 };
	if (!config->http_port && !*config->http_socket)
		return;
	if (http_start(config, daemon->options->answer, err)) {
		log_line(LOG_ERR, "%s; the daemon continues without metrics and web page", err);
		return;
	}
	daemon->served = *config;
	if (config->http_port)
		log_line(LOG_INFO, "metrics and web page on http://%s%s%s:%llu/",
			 strchr(address, ':') ? "[" : "", address, strchr(address, ':') ? "]" : "",
			 (unsigned long long)config->http_port);
	if (*config->http_socket)
		log_line(LOG_INFO, "metrics and web page on the Unix socket %s",
			 config->http_socket);
}

/* A file with a mistake changes nothing. */
static void reload(struct daemon *daemon)
{
	struct config config;
	char err[ERR_LEN];

	notify_reloading();
	if (daemon_config(daemon->options, &config, err)) {
		log_line(LOG_ERR, "%s; the previous settings stay in force", err);
	} else {
		daemon->config = config;
		if (write_lock(daemon, err))
			log_line(LOG_ERR, "%s", err);
		traffic_log_configure(daemon->traffic, &config);
		incident_log_configure(daemon->incidents, &config);
		log_line(LOG_INFO, "the settings file was read again");
		log_mode(daemon);
		serve(daemon);
		calm_keeper_set(&daemon->config);
		rule_finder_set(&daemon->config);
	}
	notify("READY=1");
}

static void handle_signals(struct daemon *daemon)
{
	struct signalfd_siginfo info;

	while (read(daemon->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload(daemon);
		else if (info.ssi_signo == SIGCHLD)
			state_saver_child_ended(daemon->saver);
		else
			daemon->stopping = true;
	}
}

/* ---- looks, one in each window ---- */

/* After `detach all` the next maps are new ones: nothing learnt from the old ones holds. */
static int reset_if_new_maps(struct daemon *daemon, const struct maps *maps)
{
	if (maps->meta.seed == daemon->seed)
		return 0;
	ban_engine_free(daemon->engine);
	daemon->engine = ban_engine_new();
	if (!daemon->engine)
		return -ENOMEM;
	daemon->seed = maps->meta.seed;
	daemon->waiting_logged = false;
	return 0;
}

static void look(struct daemon *daemon, uint64_t began)
{
	char err[ERR_LEN];
	struct maps maps;
	int rc = maps_open(&maps, MAPS_READ, err);

	if (rc) {
		if (!daemon->waiting_logged)
			log_line(rc == -ENOENT ? LOG_INFO : LOG_ERR, "%s; waiting", err);
		daemon->waiting_logged = true;
		return;
	}
	if (reset_if_new_maps(daemon, &maps))
		log_line(LOG_ERR, "out of memory");
	else if (ban_engine_look(daemon->engine, &maps, &daemon->config, err))
		log_line(LOG_ERR, "%s", err);
	list_watcher_look(daemon->watcher, &daemon->config);
	state_saver_look(daemon->saver, &daemon->config);
	cookie_log_look(&daemon->cookies, &maps);
	loss_log_look(daemon->losses, &maps);
	tally_loop(maps.hints, began);
	maps_close(&maps);
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return used.tv_sec * NS_PER_S + used.tv_nsec;
}

/*
 * With millions of sources over their limit a look takes long, and is then taken less often.
 * Measured in CPU time, so that a busy host does not slow the daemon down.
 */
static void look_and_pace(struct daemon *daemon)
{
	uint64_t began = now_ns(), used = thread_cpu_ns(), window = daemon->config.window_ns;

	look(daemon, began);
	used = thread_cpu_ns() - used;
	daemon->next_ns = began + (used * BUSY_PART > window ? used * BUSY_PART : window);
}

static void wait_and_handle(struct daemon *daemon)
{
	struct pollfd fds[] = { { daemon->signals, POLLIN, 0 },
				{ list_watcher_fd(daemon->watcher), POLLIN, 0 } };
	uint64_t now = now_ns(), until = daemon->next_ns;

	if (daemon->watchdog_ns && daemon->watchdog_next_ns < until)
		until = daemon->watchdog_next_ns;
	poll(fds, 2, until > now ? (until - now + NS_PER_MS - 1) / NS_PER_MS : 0);
	if (fds[0].revents)
		handle_signals(daemon);
	if (fds[1].revents)
		list_watcher_event(daemon->watcher);
	now = now_ns();
	if (daemon->watchdog_ns && now >= daemon->watchdog_next_ns) {
		notify("WATCHDOG=1");
		daemon->watchdog_next_ns = now + daemon->watchdog_ns;
	}
	if (!daemon->stopping && now >= daemon->next_ns)
		look_and_pace(daemon);
}

static int start(struct daemon *daemon, char *err)
{
	struct maps maps;
	int rc = daemon_config(daemon->options, &daemon->config, err);

	if (rc)
		log_line(LOG_NOTICE, "the settings file must be mended: `weir daemon check` says whether "
			 "it is right. Limits and bans stay in force meanwhile; weir.service tries to "
			 "start the daemon again every few seconds, `systemctl restart weir` does at once");
	if (!rc)
		rc = take_lock(daemon, err);
	if (!rc)
		rc = take_signals(daemon, err);
	if (!rc)
		rc = maps_open(&maps, MAPS_CREATE, err);
	if (rc)
		return rc;
	maps_close(&maps);
	daemon->watcher = list_watcher_new();
	daemon->saver = state_saver_new();
	if (!daemon->watcher || !daemon->saver)
		return fail(err, ENOMEM, "out of memory");
	state_saver_restore(daemon->saver, &daemon->config);
	daemon->traffic = traffic_log_start(&daemon->config, err);
	if (!daemon->traffic)	/* only `weir suggest` misses it */
		log_line(LOG_ERR, "%s", err);
	daemon->incidents = incident_log_start(&daemon->config, err);
	if (!daemon->incidents)
		log_line(LOG_ERR, "%s; no incidents are recorded", err);
	daemon->watchdog_ns = notify_watchdog_ns();
	return 0;
}

int daemon_run(const struct daemon_options *options, char *err)
{
	struct daemon daemon = { .options = options, .lock = -1, .signals = -1 };
	int rc = start(&daemon, err);

	if (!rc) {
		log_line(LOG_INFO, "weir daemon, process %d", getpid());
		log_mode(&daemon);
		serve(&daemon);
		calm_keeper_set(&daemon.config);
		rule_finder_set(&daemon.config);
		notify("READY=1");
		while (!daemon.stopping)
			wait_and_handle(&daemon);
		notify("STOPPING=1");
		http_stop();
		rule_finder_stop();
		calm_keeper_stop();
		state_saver_finish(daemon.saver, &daemon.config);
		traffic_log_stop(daemon.traffic);
		incident_log_stop(daemon.incidents);
		log_line(LOG_INFO, "stopped; limits and bans stay in force");
	}
	ban_engine_free(daemon.engine);
	list_watcher_free(daemon.watcher);
	state_saver_free(daemon.saver);
	if (daemon.signals >= 0)
		close(daemon.signals);
	if (daemon.lock >= 0)
		close(daemon.lock);
	return rc;
}
