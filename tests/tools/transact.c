// SPDX-License-Identifier: GPL-2.0-only
/*
 * transact: what a server's users notice. Clients send requests over real TCP
 * connections and wait for the answers; reported is how many are answered.
 *
 * One thread on either side, so that the tool itself takes little of the
 * machine that it measures.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/tool.h"
#include "user/model/error.h"
#include "user/model/parse.h"

#define REQUEST_LEN	64
#define REPLY_LEN	512
#define CLIENTS_MAX	10000
#define EVENTS		64
#define NS_PER_MS	1000000LL
#define RETRY_NS	(100 * NS_PER_MS) /* after a refusal, which costs no patience */

struct options {
	const char *host, *port, *from;
	const char *link; /* whose sent packets are reported, too */
	uint64_t seconds, clients, each, interval_ms, pace;
	uint64_t sport; /* of all clients; 0: the kernel chooses */
	uint64_t patience_ms; /* for one transaction, its connection included */
	bool connect_each, json;
};

enum state { IDLE, CONNECTING, WAITING };

struct client {
	int fd; /* -1: no connection */
	enum state state;
	size_t got;	/* bytes of the reply */
	int64_t when;	/* idle: the next transaction; else: when patience ends */
	int64_t due;	/* when the last transaction was to begin */
	int64_t began;	/* connecting: since when */
};

/* How long connections took to set up, in powers of two and quarters between. */
#define TIMES		128
#define TIME_LEAST_NS	1024

struct run {
	const struct options *options;
	struct sockaddr_storage to, from;
	socklen_t to_len, from_len;
	int epoll;
	struct client *clients;
	int64_t period;		/* of one client, ns; 0: no pace */
	int64_t look;		/* no client needs a look before */
	uint64_t done, failed;
	uint64_t sent;		/* by the link, at the last report */
	uint64_t connected;
	uint64_t took[TIMES];	/* how many connections, by time */
};

static volatile sig_atomic_t stopped;

static const char usage_text[] =
	"usage: transact serve ADDR PORT [work US]\n"
	"       transact run ADDR PORT seconds S [clients N] [interval MS] [pace N]\n"
	"                [patience MS] [connect] [from ADDR [each LEN [sport N]]] [link IF] [json]\n"
	"  work: microseconds of CPU time that the server computes for each answer; 0\n"
	"  connect: a new connection for each transaction\n"
	"  pace: transactions per second of all clients together\n"
	"  patience: a transaction that takes longer has failed; 1000\n"
	"  each: every client has an address, and a prefix of so many bits, of its own: from\n"
	"  that of ADDR on. What is sent to them must be routed to this host: ip route add local\n"
	"  sport: the port that each client connects from; otherwise any\n"
	"  link: also reports how many packets went out by that interface, from any source, those\n"
	"  for which its other end had no room included\n";

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

static bool resolve(const char *host, const char *port, struct sockaddr_storage *address,
		    socklen_t *len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *found;
	int rc = getaddrinfo(host, port, &hints, &found);

	if (rc) {
		failed("%s port %s: %s", host, port ? port : "none", gai_strerror(rc));
		return false;
	}
	memcpy(address, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

static void set(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

static bool watch(int epoll, int fd, int operation, uint32_t events, void *data)
{
	struct epoll_event event = { .events = events, .data.ptr = data };

	return !epoll_ctl(epoll, operation, fd, &event);
}

/* The usual limit is 1024 files, as many as there may be clients. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- the server ---- */

struct connection {
	int fd;
	size_t got; /* bytes of the request */
};

static void hang_up(struct connection *connection)
{
	close(connection->fd);
	free(connection);
}

static void take_connections(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct connection *connection = calloc(1, sizeof(*connection));

		if (!connection) {
			close(fd);
			return;
		}
		connection->fd = fd;
		set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		if (!watch(epoll, fd, EPOLL_CTL_ADD, EPOLLIN, connection))
			hang_up(connection);
	}
}

static int64_t own_time_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return used.tv_sec * NS_PER_S + used.tv_nsec;
}

/* By its own clock: what comes between, as the receiving of packets does, is not its work. */
static void compute(uint64_t us)
{
	int64_t end = us ? own_time_ns() + us * 1000 : 0;

	while (us && own_time_ns() < end)
		;
}

/* A reply that does not fit into the socket is for a client that reads none. */
static void answer(struct connection *connection, uint64_t work_us)
{
	static const char reply[REPLY_LEN];
	char request[REQUEST_LEN];
	ssize_t len = recv(connection->fd, request, sizeof(request) - connection->got, 0);

	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0) {
		hang_up(connection);
		return;
	}
	connection->got += len;
	if (connection->got < REQUEST_LEN)
		return;
	connection->got = 0;
	compute(work_us);
	if (send(connection->fd, reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply))
		hang_up(connection);
}

static int listen_on(const char *host, const char *port)
{
	struct sockaddr_storage address;
	socklen_t len;
	int fd;

	if (!resolve(host, port, &address, &len))
		return -1;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		if (!bind(fd, (struct sockaddr *)&address, len) && !listen(fd, 1024))
			return fd;
	}
	failed("cannot listen on %s port %s: %s", host, port, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static enum outcome serve(const char *host, const char *port, uint64_t work_us)
{
	int listener = listen_on(host, port), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[EVENTS];

	if (listener < 0)
		return FAILED;
	if (epoll < 0 || !watch(epoll, listener, EPOLL_CTL_ADD, EPOLLIN, NULL))
		return failed("cannot wait for connections: %s", strerror(errno));
	puts("ready");
	fflush(stdout);
	while (!stopped) {
		int count = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			if (!events[i].data.ptr)
				take_connections(epoll, listener);
			else if (events[i].events & (EPOLLERR | EPOLLHUP))
				hang_up(events[i].data.ptr); /* its client gave up */
			else
				answer(events[i].data.ptr, work_us);
		}
	}
	return DONE;
}

/* ---- the clients ---- */

/*
 * By a reset: a client that connects thousands of times a second would be out
 * of ports soon if each stood in TIME_WAIT for a minute.
 */
static void disconnect(struct client *client)
{
	struct linger at_once = { .l_onoff = 1 };

	if (client->fd < 0)
		return;
	setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(client->fd);
	client->fd = -1;
}

/* The client does nothing until then. */
static void rest(struct run *run, struct client *client, int64_t until)
{
	client->state = IDLE;
	client->when = until;
	if (until < run->look)
		run->look = until;
}

static void give_up(struct run *run, struct client *client, int64_t not_before)
{
	int64_t next = client->due + run->period;

	run->failed++;
	disconnect(client);
	rest(run, client, next > not_before ? next : not_before);
}

static void ask(struct run *run, struct client *client)
{
	static const char request[REQUEST_LEN];

	client->state = WAITING;
	client->got = 0;
	if (send(client->fd, request, sizeof(request), MSG_NOSIGNAL) != sizeof(request))
		give_up(run, client, now_ns() + RETRY_NS);
}

/* Adds @n << @shift to a number in network order. */
static void add_to_address(uint8_t *at, int len, uint64_t n, unsigned int shift)
{
	uint64_t sum = 0;

	for (int i = len - 1; i >= 0; i--) {
		unsigned int bit = (len - 1 - i) * 8;

		if (bit + 8 > shift && bit < shift + 64)
			sum += (bit >= shift ? n >> (bit - shift) : n << (shift - bit)) & 0xff;
		sum += at[i];
		at[i] = sum;
		sum >>= 8;
	}
}

static struct sockaddr_storage address_of(const struct run *run, uint64_t number)
{
	struct sockaddr_storage from = run->from;
	uint64_t each = run->options->each;

	if (each && from.ss_family == AF_INET)
		add_to_address((uint8_t *)&((struct sockaddr_in *)&from)->sin_addr, 4, number,
			       32 - each);
	else if (each)
		add_to_address((uint8_t *)&((struct sockaddr_in6 *)&from)->sin6_addr, 16, number,
			       128 - each);
	/* The port is at the same place for both families. */
	((struct sockaddr_in *)&from)->sin_port = htons(run->options->sport);
	return from;
}

/* Addresses that are only routed here, not this host's, may be bound to. */
static bool bind_to(const struct run *run, int fd, uint64_t number)
{
	struct sockaddr_storage from = address_of(run, number);

	if (run->options->each && from.ss_family == AF_INET)
		set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	else if (run->options->each)
		set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	return !bind(fd, (struct sockaddr *)&from, run->from_len);
}

static bool open_connection(struct run *run, struct client *client)
{
	client->fd = socket(run->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		return false;
	set(client->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	/* The port is chosen by connect(), which may give it to several destinations. */
	set(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (run->from_len && !bind_to(run, client->fd, client - run->clients))
		return false;
	return watch(run->epoll, client->fd, EPOLL_CTL_ADD, EPOLLOUT, client) &&
	       (!connect(client->fd, (struct sockaddr *)&run->to, run->to_len) ||
		errno == EINPROGRESS);
}

/* With a pace, what could not be asked in time is not asked in a burst later. */
static void begin(struct run *run, struct client *client, int64_t now)
{
	client->due = client->when + run->period < now ? now : client->when;
	client->when = now + run->options->patience_ms * NS_PER_MS;
	if (client->fd >= 0) {
		ask(run, client);
		return;
	}
	client->state = CONNECTING;
	client->began = now;
	if (!open_connection(run, client))
		give_up(run, client, now + RETRY_NS);
}

/* The index in run.took; the low quarter of its range is what is reported. */
static unsigned int time_index(uint64_t ns)
{
	unsigned int power, index;

	if (ns < TIME_LEAST_NS)
		ns = TIME_LEAST_NS;
	power = 63 - __builtin_clzll(ns);
	index = (power - 10) * 4 + (ns >> (power - 2) & 3);
	return index < TIMES ? index : TIMES - 1;
}

static void connected(struct run *run, struct client *client)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (!error) {
		run->connected++;
		run->took[time_index(now_ns() - client->began)]++;
	}
	if (error || !watch(run->epoll, client->fd, EPOLL_CTL_MOD, EPOLLIN, client))
		give_up(run, client, now_ns() + RETRY_NS);
	else
		ask(run, client);
}

static void succeed(struct run *run, struct client *client)
{
	int64_t now = now_ns(), next = client->due + run->period;

	run->done++;
	if (run->options->connect_each)
		disconnect(client);
	if (next > now) {
		rest(run, client, next);
		return;
	}
	client->when = next;
	begin(run, client, now);
}

static void read_reply(struct run *run, struct client *client)
{
	char reply[REPLY_LEN];
	ssize_t len = recv(client->fd, reply, sizeof(reply), 0);

	if (len < 0 && errno == EAGAIN)
		return;
	if (client->state == IDLE) {
		disconnect(client);
	} else if (len <= 0) {
		give_up(run, client, now_ns() + RETRY_NS);
	} else {
		client->got += len;
		if (client->got >= REPLY_LEN)
			succeed(run, client);
	}
}

/* Handles the clients that are due to begin or to give up. */
static void look_at_clients(struct run *run, int64_t now)
{
	run->look = INT64_MAX;
	for (uint64_t i = 0; i < run->options->clients; i++) {
		struct client *client = &run->clients[i];

		if (client->when <= now) {
			if (client->state == IDLE)
				begin(run, client, now);
			else
				give_up(run, client, now);
		}
		if (client->when < run->look)
			run->look = client->when;
	}
}

/* ---- the report ---- */

/* In milliseconds, within a quarter; 0: there was no connection. */
static double time_at(const struct run *run, double part)
{
	uint64_t before = 0;

	for (unsigned int i = 0; i < TIMES && run->connected; i++) {
		before += run->took[i];
		if (before >= part * run->connected)
			return (1ULL << (i / 4 + 8)) * (4 + i % 4) * 1.125 / NS_PER_MS;
	}
	return 0;
}

/* Since the last report. */
static uint64_t sent_by_link(struct run *run)
{
	uint64_t packets, drops, before = run->sent;
	char line[512], name[32];
	FILE *file = fopen("/proc/thread-self/net/dev", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %31[^:]: %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu %*u %lu", name,
			   &packets, &drops) != 3 || strcmp(name, run->options->link))
			continue;
		run->sent = packets + drops;
	}
	if (file)
		fclose(file);
	return run->sent - before;
}

static double unix_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec + now.tv_nsec / (double)NS_PER_S;
}

static void report(struct run *run, bool total, double at, double seconds, uint64_t done,
		   uint64_t failures)
{
	double rate = seconds > 0 ? done / seconds : 0;

	/* "monotonic": when that was, by the clock that other processes have too. */
	if (run->options->json)
		printf("{\"%s\":%.1f,\"transactions\":%lu,\"per_second\":%.0f,\"failed\":%lu,"
		       "\"monotonic\":%.3f", total ? "seconds" : "t", at, done, rate, failures,
		       (double)now_ns() / NS_PER_S);
	else
		printf("%s=%.1f unix=%.3f transactions=%lu per_second=%.0f failed=%lu",
		       total ? "total seconds" : "t", at, unix_seconds(), done, rate, failures);
	if (!total && run->options->link)
		printf(run->options->json ? ",\"sent\":%lu" : " sent=%lu", sent_by_link(run));
	if (total && run->options->connect_each)
		printf(run->options->json ? ",\"connect_ms\":{\"median\":%.3f,\"p90\":%.3f,\"p99\":%.3f}" :
					    " connect_ms=%.3f p90=%.3f p99=%.3f",
		       time_at(run, 0.5), time_at(run, 0.9), time_at(run, 0.99));
	puts(run->options->json ? "}" : "");
	fflush(stdout);
}

static void wait_for_events(struct run *run, int64_t until)
{
	struct epoll_event events[EVENTS];
	int64_t left = until - now_ns();
	struct timespec timeout = { .tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S };
	int count;

	if (left < 0)
		timeout = (struct timespec){ 0 };
	count = epoll_pwait2(run->epoll, events, EVENTS, &timeout, NULL);
	for (int i = 0; i < count; i++) {
		struct client *client = events[i].data.ptr;

		if (client->state == CONNECTING)
			connected(run, client);
		else
			read_reply(run, client);
	}
}

static void run_clients(struct run *run)
{
	int64_t start = now_ns(), end = start + run->options->seconds * NS_PER_S;
	int64_t interval = run->options->interval_ms * NS_PER_MS, now = start, last = start;
	int64_t next = start + interval, until;
	uint64_t done = 0, failures = 0;

	if (run->options->link)
		sent_by_link(run);
	for (uint64_t i = 0; i < run->options->clients; i++)
		run->clients[i] = (struct client){
			.fd = -1,
			.when = start + i * run->period / run->options->clients,
		};
	while (!stopped && now < end) {
		until = run->look < next ? run->look : next;
		wait_for_events(run, until < end ? until : end);
		now = now_ns();
		if (now >= run->look)
			look_at_clients(run, now);
		if (now < next)
			continue;
		report(run, false, (double)(now - start) / NS_PER_S, (double)(now - last) / NS_PER_S,
		       run->done - done, run->failed - failures);
		done = run->done;
		failures = run->failed;
		last = now;
		while (next <= now)
			next += interval;
	}
	report(run, true, (double)(now - start) / NS_PER_S, (double)(now - start) / NS_PER_S,
	       run->done, run->failed);
}

/* Without it every connection fails, which looks like a server that is gone. */
static bool has_address(const struct run *run)
{
	int fd = socket(run->from.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = bind_to(run, fd, 0);

	if (!good)
		failed("from %s: %s; give one of this host's addresses", run->options->from,
		       strerror(errno));
	close(fd);
	return good;
}

static enum outcome start_clients(const struct options *options)
{
	struct run run = { .options = options, .epoll = epoll_create1(EPOLL_CLOEXEC) };

	if (!resolve(options->host, options->port, &run.to, &run.to_len) ||
	    (options->from && !resolve(options->from, NULL, &run.from, &run.from_len)))
		return USAGE;
	if (run.from_len && run.from.ss_family != run.to.ss_family) {
		failed("from %s: not of the family of %s", options->from, options->host);
		return USAGE;
	}
	if (options->each && (!run.from_len || (run.from.ss_family == AF_INET && options->each > 32))) {
		failed("each: needs `from`, and is at most 32 with IPv4");
		return USAGE;
	}
	if (options->sport && !options->each) {
		failed("sport: needs `each`, since two clients of one address cannot share a port");
		return USAGE;
	}
	if (run.from_len && !has_address(&run))
		return FAILED;
	if (options->link && !if_nametoindex(options->link))
		return failed("link %s: there is no such interface", options->link);
	if (options->pace)
		run.period = NS_PER_S * options->clients / options->pace;
	run.clients = calloc(options->clients, sizeof(*run.clients));
	if (run.epoll < 0 || !run.clients)
		return failed("cannot start: %s", strerror(errno));
	prctl(PR_SET_TIMERSLACK, 1);
	run_clients(&run);
	/* Not in TIME_WAIT either: who comes next may need the same ports. */
	for (uint64_t i = 0; i < options->clients; i++)
		disconnect(&run.clients[i]);
	free(run.clients);
	return DONE;
}

/* ---- the command line ---- */

/* Returns how many words it took, or a negative errno. */
static int parse_word(const char *word, const char *value, struct options *options, char *err)
{
	const struct {
		const char *word;
		uint64_t *number, least, most;
	} numbers[] = {
		{ "seconds", &options->seconds, 1, 3600 },
		{ "clients", &options->clients, 1, CLIENTS_MAX },
		{ "each", &options->each, 1, 128 },
		{ "interval", &options->interval_ms, 10, 60000 },
		{ "pace", &options->pace, 1, 1000000 },
		{ "patience", &options->patience_ms, 10, 60000 },
		{ "sport", &options->sport, 1, 65535 },
	};
	int rc;

	if (!strcmp(word, "connect")) {
		options->connect_each = true;
		return 1;
	}
	if (!strcmp(word, "json")) {
		options->json = true;
		return 1;
	}
	if (!value)
		return fail(err, EINVAL, "\"%s\": unknown, or its value is missing", word);
	if (!strcmp(word, "from")) {
		options->from = value;
		return 2;
	}
	if (!strcmp(word, "link")) {
		options->link = value;
		return 2;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(word, numbers[i].word))
			continue;
		rc = parse_number(value, word, numbers[i].least, numbers[i].most,
				  numbers[i].number, err);
		return rc ? rc : 2;
	}
	return fail(err, EINVAL, "unknown word \"%s\"", word);
}

static enum outcome run_command(char **words)
{
	struct options options = { .host = words[0], .port = words[1], .clients = 10,
				   .interval_ms = 1000, .patience_ms = 1000 };
	char err[ERR_LEN] = "seconds must be given";
	int took = 0;

	for (words += 2; *words && took >= 0; words += took) {
		took = parse_word(words[0], words[1], &options, err);
		if (took < 0)
			break;
	}
	if (took < 0 || !options.seconds) {
		failed("%s", err);
		fputs(usage_text, stderr);
		return USAGE;
	}
	return start_clients(&options);
}

static enum outcome serve_command(char **words)
{
	uint64_t work_us = 0;
	char err[ERR_LEN] = "serve takes ADDR, PORT and `work US`";

	if (words[2] && (strcmp(words[2], "work") || !words[3] || words[4] ||
			 parse_number(words[3], "work", 0, 1000000, &work_us, err))) {
		failed("%s", err);
		fputs(usage_text, stderr);
		return USAGE;
	}
	return serve(words[0], words[1], work_us);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	raise_file_limit();
	if (argc >= 4 && !strcmp(argv[1], "serve"))
		return serve_command(argv + 2);
	if (argc >= 4 && !strcmp(argv[1], "run"))
		return run_command(argv + 2);
	fputs(usage_text, stderr);
	return USAGE;
}
