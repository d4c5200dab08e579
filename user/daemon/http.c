// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "user/daemon/history.h"
#include "user/daemon/http.h"
#include "user/daemon/http_server.h"
#include "user/daemon/metrics.h"
#include "user/daemon/web.h"
#include "user/host/clock.h"
#include "user/model/error.h"
#include "user/state/snapshot.h"

#define BACKLOG		64
/*
 * An answer is kept for twenty times as long as it took to make. However many pages are open, each
 * kind of answer takes at most a twentieth of one CPU.
 */
#define KEEP_TIMES	20
#define KEEP_LEAST_NS	200000000ULL

#define BANS_SHOWN	2000

#define HOST_LEN	64
#define TEXT_TYPE	"text/plain; charset=utf-8"
#define JSON_TYPE	"application/json"

/* The browser loads only this server's files, runs no inline script, and shows no frame around. */
#define POLICY                                                                      \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " \
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* An answer that is made on request, and kept for a while. */
struct answer {
	const char *path;
	const char *command;	/* the answer is the JSON of this command; NULL: that of make() */
	char *(*make)(char *err);
	const char *type;
	char *body;
	uint64_t made_ns, cost_ns;
};

static struct {
	char address[HOST_LEN];		/* as a Host header gives it */
	bool loopback;
	char path[CONFIG_TEXT];		/* of the Unix socket, if there is one */
	http_answer *answer;
} server;

/* ---- answers ---- */

static char *make_metrics(char *err)
{
	return metrics_text(false, err);
}

static char *make_open_metrics(char *err)
{
	return metrics_text(true, err);
}

static char *dump(json_t *root, char *err)
{
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	if (!text)
		fail(err, ENOMEM, "out of memory");
	return text;
}

static char *make_history(char *err)
{
	return dump(history_json(), err);
}

/* A million bans would be a hundred megabytes of JSON, and more than a page can show. */
static char *make_bans(char *err)
{
	struct snapshot snapshot;
	json_t *root = NULL;
	uint64_t bans;

	if (snapshot_read(&snapshot, err))
		return NULL;
	bans = (uint64_t)snapshot.tally.block[0][1] + snapshot.tally.block[1][1];
	snapshot_free(&snapshot);
	if (bans > BANS_SHOWN)
		return dump(json_pack("{s:b, s:I, s:[]}", "too_many", 1, "total", (json_int_t)bans,
				      "bans"), err);
	return server.answer("show bans", &root, err) ? NULL : dump(root, err);
}

#define METRICS_PATH	"/metrics"

/* One path, two formats: find_answer() chooses by the request's Accept header. */
static struct answer open_metrics = { METRICS_PATH, .make = make_open_metrics,
				      .type = METRICS_TYPE_OPEN };

static struct answer answers[] = {
	{ METRICS_PATH, .make = make_metrics, .type = METRICS_TYPE_TEXT },
	{ "/api/history", .make = make_history, .type = JSON_TYPE },
	{ "/api/status", "show status", .type = JSON_TYPE },
	{ "/api/stats", "show stats", .type = JSON_TYPE },
	{ "/api/reasons", "show reasons", .type = JSON_TYPE },
	{ "/api/sources", "show sources top 20", .type = JSON_TYPE },
	{ "/api/networks", "show networks top 20", .type = JSON_TYPE },
	{ "/api/health", "show health", .type = JSON_TYPE },
	{ "/api/limits", "limit show", .type = JSON_TYPE },
	{ "/api/budgets", "budget show", .type = JSON_TYPE },
	{ "/api/rules", "drop show", .type = JSON_TYPE },
	{ "/api/lists", "list show", .type = JSON_TYPE },
	{ "/api/bans", .make = make_bans, .type = JSON_TYPE },
	{ "/api/judgements", "ban-log last 50", .type = JSON_TYPE },
	{ "/api/incidents", "incidents", .type = JSON_TYPE },
};

static bool is_kept(const struct answer *answer, uint64_t now)
{
	uint64_t keep = answer->cost_ns * KEEP_TIMES;

	if (keep < KEEP_LEAST_NS)
		keep = KEEP_LEAST_NS;
	return answer->body && now - answer->made_ns < keep;
}

/* Only the server's one thread calls this, so there is no lock. */
static int refresh(struct answer *answer, char *err)
{
	uint64_t start = now_ns();
	json_t *root = NULL;

	if (is_kept(answer, start))
		return 0;
	free(answer->body);
	answer->body = NULL;
	if (answer->make)
		answer->body = answer->make(err);
	else if (!server.answer(answer->command, &root, err))
		answer->body = dump(root, err);
	answer->made_ns = start;
	answer->cost_ns = now_ns() - start;
	return answer->body ? 0 : -EIO;
}

static struct answer *find_answer(struct MHD_Connection *connection, const char *path)
{
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept");

	if (!strcmp(path, METRICS_PATH) && accept && strstr(accept, "application/openmetrics-text"))
		return &open_metrics;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++)
		if (!strcmp(answers[i].path, path))
			return &answers[i];
	return NULL;
}

static void forget_answers(void)
{
	free(open_metrics.body);
	open_metrics.body = NULL;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		free(answers[i].body);
		answers[i].body = NULL;
	}
}

/* ---- requests ---- */

static enum MHD_Result send_bytes(struct MHD_Connection *connection, unsigned int status,
				  const char *type, const void *bytes, size_t size,
				  enum MHD_ResponseMemoryMode mode)
{
	static const char *const headers[][2] = {
		{ "Content-Security-Policy", POLICY },
		{ "X-Content-Type-Options", "nosniff" },
		{ "X-Frame-Options", "DENY" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Cache-Control", "no-store" },
	};
	struct MHD_Response *response = MHD_create_response_from_buffer(size, (void *)bytes, mode);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
	MHD_add_response_header(response, "Content-Type", type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	if (!strcmp(type, METRICS_TYPE_OPEN) || !strcmp(type, METRICS_TYPE_TEXT))
		MHD_add_response_header(response, "Vary", "Accept");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned int status,
				 const char *text)
{
	return send_bytes(connection, status, TEXT_TYPE, text, strlen(text),
			  MHD_RESPMEM_MUST_COPY);
}

/* Whether @host, with or without a port ("localhost", "[::1]:9108"), is @name. */
static bool host_is(const char *host, const char *name)
{
	size_t length = strlen(name);
	const char *rest = host + length;

	if (strncasecmp(host, name, length) || (*rest && *rest != ':'))
		return false;
	return !*rest || (rest[1] && strspn(rest + 1, "0123456789") == strlen(rest + 1));
}

/*
 * DNS rebinding: a foreign page may let its own name resolve to this loopback address, and would
 * then be allowed to read from here. The Host header still has that name.
 */
static bool host_is_ours(struct MHD_Connection *connection)
{
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");

	/* A foreign page cannot make a browser use a Unix socket. */
	if (!server.loopback || http_server_is_local(connection))
		return true;
	return host && (host_is(host, "localhost") || host_is(host, "127.0.0.1") ||
			host_is(host, "[::1]") || host_is(host, server.address));
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **state)
{
	const struct web_file *file;
	struct answer *answer;
	char err[ERR_LEN];

	(void)arg, (void)version, (void)upload, (void)upload_size, (void)state;
	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				 "only GET and HEAD: this page changes nothing\n");
	if (!host_is_ours(connection))
		return send_text(connection, MHD_HTTP_FORBIDDEN,
				 "use localhost or the address: a request by another name might "
				 "come from a foreign page\n");
	file = web_find(path);
	if (file)
		return send_bytes(connection, MHD_HTTP_OK, file->type, file->bytes,
				  file->end - file->bytes, MHD_RESPMEM_PERSISTENT);
	answer = find_answer(connection, path);
	if (!answer)
		return send_text(connection, MHD_HTTP_NOT_FOUND, "not found\n");
	if (refresh(answer, err)) {
		strncat(err, "\n", sizeof(err) - strlen(err) - 1);
		return send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, err);
	}
	return send_bytes(connection, MHD_HTTP_OK, answer->type, answer->body, strlen(answer->body),
			  MHD_RESPMEM_MUST_COPY);
}

/* ---- start, stop ---- */

/* Returns a socket bound to @at, or -1 with errno. */
static int bind_tcp(const struct sockaddr *at, socklen_t size)
{
	int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (!bind(fd, at, size) && !listen(fd, BACKLOG))
		return fd;
	size = errno;
	close(fd);
	errno = size;
	return -1;
}

static int bind_v4(struct in_addr address, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = address,
				  .sin_port = htons(port) };

	server.loopback = ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
	inet_ntop(AF_INET, &address, server.address, sizeof(server.address));
	return bind_tcp((struct sockaddr *)&at, sizeof(at));
}

static int bind_v6(const struct in6_addr *address, uint16_t port)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = *address,
				   .sin6_port = htons(port) };
	char text[INET6_ADDRSTRLEN];

	server.loopback = IN6_IS_ADDR_LOOPBACK(address);
	inet_ntop(AF_INET6, address, text, sizeof(text));
	snprintf(server.address, sizeof(server.address), "[%s]", text);
	return bind_tcp((struct sockaddr *)&at, sizeof(at));
}

static int listen_on_port(const char *address, uint16_t port, int *fd, char *err)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, address, &v4) == 1)
		*fd = bind_v4(v4, port);
	else if (inet_pton(AF_INET6, address, &v6) == 1)
		*fd = bind_v6(&v6, port);
	else
		return fail(err, EINVAL, "http address %.40s: not an IPv4 or IPv6 address",
			    address);
	if (*fd < 0)
		return fail(err, errno, "cannot listen on %s port %u: %s%s", server.address, port,
			    strerror(errno), errno == EADDRINUSE ?
			    "; set another http port, or 0 for none" : errno == EADDRNOTAVAIL ?
			    "; set an address of this host" : "");
	return 0;
}

/* Only one daemon runs on a host, so a socket that lies at @path is left from an earlier one. */
static int make_socket(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int fd, rc;

	if (!lstat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path);
	memcpy(at.sun_path, path, strnlen(path, sizeof(at.sun_path) - 1));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	mask = umask(0177);	/* the mode that it has until the group is set */
	rc = bind(fd, (struct sockaddr *)&at, sizeof(at));
	umask(mask);
	if (!rc && !listen(fd, BACKLOG))
		return fd;
	rc = errno;
	close(fd);
	errno = rc;
	return -1;
}

/* With a group its members may connect, without one only root and the daemon's user. */
static int listen_on_socket(const char *path, const char *group, int *fd, char *err)
{
	struct group *found;

	*fd = make_socket(path);
	if (*fd < 0)
		return fail(err, errno, "cannot listen on the http socket %.100s: %s", path,
			    strerror(errno));
	snprintf(server.path, sizeof(server.path), "%s", path);
	if (!*group)
		return 0;
	found = getgrnam(group);
	if (!found)
		return fail(err, ENOENT, "http socket_group %.60s: there is no such group", group);
	if (chown(path, -1, found->gr_gid) || chmod(path, 0660))
		return fail(err, errno, "cannot give the http socket %.100s to the group %.60s: "
			    "%s%s", path, group, strerror(errno), errno == EPERM ?
			    "; the daemon's user must be in that group" : "");
	return 0;
}

int http_start(const struct config *config, http_answer *answer, char *err)
{
	int tcp = -1, local = -1, rc = 0;
	sigset_t all, was;

	server.answer = answer;
	if (config->http_port)
		rc = listen_on_port(config->http_address, config->http_port, &tcp, err);
	if (!rc && *config->http_socket)
		rc = listen_on_socket(config->http_socket, config->http_socket_group, &local, err);
	/* The threads of the server inherit this mask: signals go to the daemon's own thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	if (!rc)
		rc = history_start(err);
	if (!rc) {
		rc = http_server_start(tcp, local, handle, err);
		tcp = local = -1;	/* the server closes them */
	}
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (tcp >= 0)
		close(tcp);
	if (local >= 0)
		close(local);
	if (rc)
		http_stop();
	return rc;
}

void http_stop(void)
{
	http_server_stop();
	if (*server.path)
		unlink(server.path);
	server.path[0] = '\0';
	history_stop();
	forget_answers();
}
