// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/host/clock.h"
#include "user/host/packet_rules.h"
#include "user/host/tcp.h"
#include "user/model/units.h"

#define LOOSE		"/proc/sys/net/netfilter/nf_conntrack_tcp_loose"
#define PATIENCE_NS	(5 * NS_PER_S)
#define MOST		(64U << 20)	/* bytes of a program's output */

/* Where the programs are; PATH may be another user's. */
static const char *const folders[] = { "/usr/sbin", "/sbin", "/usr/local/sbin", NULL };

static void run_child(int out, const char *name, char *const *argv)
{
	static char *const environment[] = { "LC_ALL=C", NULL };
	int null = open("/dev/null", O_RDWR);
	char path[64];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	for (const char *const *folder = folders; *folder; folder++) {
		snprintf(path, sizeof(path), "%s/%s", *folder, name);
		execve(path, argv, environment);
	}
	_exit(127);
}

/* Reads what comes until the end, or until it takes too long. NULL: not all of it came. */
static char *read_all(int fd)
{
	uint64_t until = now_ns() + PATIENCE_NS, now;
	size_t size = 0, room = 65536;
	char *text = malloc(room);

	while (text && (now = now_ns()) < until && size + 1 < MOST) {
		struct pollfd ready = { fd, POLLIN, 0 };
		ssize_t got;

		if (size + 1 == room) {
			char *more = realloc(text, room *= 2);

			if (!more)
				break;
			text = more;
		}
		if (poll(&ready, 1, (until - now) / NS_PER_MS + 1) <= 0)
			continue;
		got = read(fd, text + size, room - size - 1);
		if (got < 0)
			break;
		if (!got) {
			text[size] = '\0';
			return text;
		}
		size += got;
	}
	free(text);
	return NULL;
}

/* What the program writes, to be freed; NULL: it is not there, failed, or took too long. */
static char *output_of(const char *name, char *const *argv)
{
	int ends[2], status = -1;
	char *text;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return NULL;
	pid = fork();
	if (!pid)
		run_child(ends[1], name, argv);
	close(ends[1]);
	text = pid > 0 ? read_all(ends[0]) : NULL;
	close(ends[0]);
	if (pid > 0 && !text)
		kill(pid, SIGKILL);
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (text && (!WIFEXITED(status) || WEXITSTATUS(status))) {
		free(text);
		text = NULL;
	}
	return text;
}

/* The start of a small file of the kernel's; NULL: it is not there, or empty. */
static char *file_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd >= 0 ? read_all(fd) : NULL;

	if (fd >= 0)
		close(fd);
	if (text && !*text) {
		free(text);
		text = NULL;
	}
	return text;
}

/* Asking for the old tables makes the kernel load them: only where there are some already. */
static bool iptables_obstacle(const char *names, const char *program, bool loose,
			      const struct weir_syn_rule *rule, char text[OBSTACLE_LEN])
{
	char *const argv[] = { (char *)program, NULL };
	char *tables = file_of(names), *save = tables ? output_of(program, argv) : NULL;
	bool found = save && obstacle_in_iptables(save, program, loose, rule, text);

	free(save);
	free(tables);
	return found;
}

bool packet_rules_obstacle(const struct weir_syn_rule *rule, char text[OBSTACLE_LEN])
{
	static char *const nft[] = { "nft", "-j", "list", "ruleset", NULL };
	bool loose = read_sysctl(LOOSE) != 0;
	char *json = output_of("nft", nft), *services = file_of("/proc/thread-self/net/ip_vs");
	bool found = json && obstacle_in_nft(json, loose, rule, text);

	found = found || iptables_obstacle("/proc/thread-self/net/ip_tables_names",
					   "iptables-legacy-save", loose, rule, text);
	found = found || iptables_obstacle("/proc/thread-self/net/ip6_tables_names",
					   "ip6tables-legacy-save", loose, rule, text);
	found = found || (services && obstacle_in_ipvs(services, rule, text));
	free(services);
	free(json);
	return found;
}
