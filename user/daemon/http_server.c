// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client costs a place until its request is answered. Places are few, so they must not be for
 * the slowest to keep:
 *
 * - A request has to be complete, and its answer taken, REQUEST_S after the connection or the
 *   answer before it. libmicrohttpd's own timeout begins anew with each byte.
 * - Remote clients, clients of this host and clients of the Unix socket have places of their own;
 *   no number of one kind takes a place of another.
 * - No newcomer is refused. If its address has its share, the connection of this address that has
 *   waited longest is closed; if all places are taken, that of the address with the most
 *   connections. A request that arrives whole is answered at once, and is thus not reached by this.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "user/daemon/http_server.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/model/error.h"
#include "user/model/units.h"

#define REQUEST_S	20
#define IDLE_S		15	/* without a byte */
#define REQUEST_BYTES	16384	/* head of a request and of its answer */
#define ADDRESS_PLACES	16	/* of one address, one /64 of IPv6, or one user of the Unix socket */
#define ACCEPT_MOST	64	/* connections that are accepted before others are looked at */
#define LOG_EVERY_NS	(60 * NS_PER_S)
#define PAUSE_MS	100	/* after the process had no file descriptor for a connection */

enum kind { REMOTE, OF_THIS_HOST, UNIX_SOCKET, KINDS };

static const struct {
	const char *name;
	unsigned int places;
} kinds[KINDS] = { { "remote clients", 64 }, { "clients of this host", 16 },
		   { "clients of the Unix socket", 16 } };

#define PLACES		96	/* of all kinds */

struct client {
	enum kind kind;
	struct in6_addr address;	/* of a remote IPv6 client its /64; of a local one the user */
	int fd;
	uint64_t since_ns;		/* connected, or its last answer was taken; 0: the place is free */
	bool started;			/* libmicrohttpd has it, and tells when it ends */
};

static struct {
	struct MHD_Daemon *daemon;
	pthread_t thread;
	bool running;
	int listener[2];	/* TCP, Unix */
	int stop;		/* an eventfd */
	struct client clients[PLACES];
	uint64_t logged_ns;
} server = { .listener = { -1, -1 }, .stop = -1 };

/* ---- places ---- */

static unsigned int count_of(const struct client *like)
{
	unsigned int count = 0;

	for (struct client *each = server.clients; each < server.clients + PLACES; each++)
		count += each->since_ns && each->kind == like->kind &&
			 !memcmp(&each->address, &like->address, sizeof(each->address));
	return count;
}

/* The end of the stream makes libmicrohttpd close the connection, and client_ended() follows. */
static void release(struct client *client)
{
	if (client->started)
		shutdown(client->fd, SHUT_RDWR);
	client->since_ns = 0;
}

/*
 * The connection to close for one of @kind: of the address that has the most of them, the one that
 * has waited longest. @address: only those of it are looked at.
 */
static struct client *choose_victim(enum kind kind, const struct in6_addr *address)
{
	struct client *victim = NULL;
	unsigned int most = 0;

	for (struct client *each = server.clients; each < server.clients + PLACES; each++) {
		unsigned int count;

		if (!each->since_ns || each->kind != kind ||
		    (address && memcmp(&each->address, address, sizeof(*address))))
			continue;
		count = count_of(each);
		if (!victim || count > most || (count == most && each->since_ns < victim->since_ns))
			victim = each;
		if (count > most)
			most = count;
	}
	return victim;
}

static void log_shortage(enum kind kind, uint64_t now)
{
	if (server.logged_ns && now - server.logged_ns < LOG_EVERY_NS)
		return;
	server.logged_ns = now;
	log_line(LOG_WARNING, "http: all %u places for %s are taken; slow connections are closed "
		 "for new ones", kinds[kind].places, kinds[kind].name);
}

static struct client *take_place(const struct client *newcomer)
{
	unsigned int taken = 0;
	struct client *victim = NULL, *place = NULL;

	for (struct client *each = server.clients; each < server.clients + PLACES; each++)
		taken += each->since_ns && each->kind == newcomer->kind;
	if (count_of(newcomer) >= ADDRESS_PLACES) {
		victim = choose_victim(newcomer->kind, &newcomer->address);
	} else if (taken >= kinds[newcomer->kind].places) {
		victim = choose_victim(newcomer->kind, NULL);
		log_shortage(newcomer->kind, newcomer->since_ns);
	}
	if (victim)
		release(victim);
	for (struct client *each = server.clients; each < server.clients + PLACES && !place; each++)
		if (!each->since_ns)
			place = each;
	if (place)
		*place = *newcomer;
	return place;
}

/* Returns for how long nothing is overdue, in milliseconds; -1: for ever. */
static int close_overdue(uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (struct client *each = server.clients; each < server.clients + PLACES; each++) {
		if (each->since_ns && now - each->since_ns >= REQUEST_S * NS_PER_S)
			release(each);
		else if (each->since_ns && each->since_ns + REQUEST_S * NS_PER_S < next)
			next = each->since_ns + REQUEST_S * NS_PER_S;
	}
	return next == UINT64_MAX ? -1 : (int)((next - now) / NS_PER_MS + 1);
}

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	for (struct client *each = server.clients; info && each < server.clients + PLACES; each++)
		if (each->since_ns && each->fd == info->connect_fd)
			return each;
	return NULL;
}

bool http_server_is_local(struct MHD_Connection *connection)
{
	const struct client *client = client_of(connection);

	return client && client->kind == UNIX_SOCKET;
}

/* ---- what libmicrohttpd tells ---- */

/*
 * A connection that was released has no place any more. Its socket is still open, so that no
 * other client has its number.
 */
static void notice_connection(void *arg, struct MHD_Connection *connection, void **context,
			      enum MHD_ConnectionNotificationCode code)
{
	struct client *client = client_of(connection);

	(void)arg, (void)context;
	if (client && code == MHD_CONNECTION_NOTIFY_STARTED)
		client->started = true;
	else if (client)
		client->since_ns = 0;
}

static void notice_answered(void *arg, struct MHD_Connection *connection, void **context,
			    enum MHD_RequestTerminationCode code)
{
	struct client *client = client_of(connection);

	(void)arg, (void)context;
	if (client && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		client->since_ns = now_ns();
}

/* ---- accepting ---- */

static bool is_loopback(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LOOPBACK(address) ||
	       (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == IN_LOOPBACKNET);
}

/* As an IPv6 address; one of IPv4 is mapped. */
static struct in6_addr address_of(const struct sockaddr_storage *at)
{
	struct in6_addr address = { 0 };

	if (at->ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)at)->sin6_addr;
	address.s6_addr[10] = address.s6_addr[11] = 0xff;
	memcpy(&address.s6_addr[12], &((const struct sockaddr_in *)at)->sin_addr, 4);
	return address;
}

/*
 * A client of this host has a loopback address, or the one to which it is connected, which is the
 * configured one unless that is 0.0.0.0 or ::.
 */
static void describe_tcp(struct client *client, const struct sockaddr_storage *peer)
{
	struct sockaddr_storage here = { 0 };
	socklen_t size = sizeof(here);
	struct in6_addr own;

	client->address = address_of(peer);
	getsockname(client->fd, (struct sockaddr *)&here, &size);
	own = address_of(&here);
	if (is_loopback(&client->address) || !memcmp(&client->address, &own, sizeof(own)))
		client->kind = OF_THIS_HOST;
	else if (!IN6_IS_ADDR_V4MAPPED(&client->address))
		memset(&client->address.s6_addr[8], 0, 8);
}

static void describe_local(struct client *client)
{
	struct ucred user = { .uid = -1 };
	socklen_t size = sizeof(user);

	client->kind = UNIX_SOCKET;
	getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &user, &size);
	memcpy(&client->address, &user.uid, sizeof(user.uid));
}

/* Returns whether another connection may wait. */
static bool accept_one(int listener, bool local)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t size = sizeof(peer);
	struct client client = { .since_ns = now_ns(), .kind = REMOTE }, *place;

	client.fd = accept4(listener, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client.fd < 0)
		return errno == EINTR || errno == ECONNABORTED;
	if (local)
		describe_local(&client);
	else
		describe_tcp(&client, &peer);
	place = take_place(&client);
	if (!place)
		close(client.fd);
	else if (MHD_add_connection(server.daemon, client.fd, (struct sockaddr *)&peer, size) != MHD_YES)
		place->since_ns = 0;	/* and it has closed the socket */
	return true;
}

static void accept_some(int listener, bool local)
{
	for (int i = 0; i < ACCEPT_MOST; i++) {
		if (accept_one(listener, local))
			continue;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			poll(NULL, 0, PAUSE_MS);
		return;
	}
}

/* ---- the thread ---- */

static int least_ms(int a, int b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

static void *serve(void *arg)
{
	int epoll = MHD_get_daemon_info(server.daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	struct pollfd fds[] = { { server.stop, POLLIN, 0 }, { epoll, POLLIN, 0 },
				{ server.listener[0], POLLIN, 0 }, { server.listener[1], POLLIN, 0 } };
	MHD_UNSIGNED_LONG_LONG wait;

	(void)arg;
	while (!fds[0].revents) {
		int ms = close_overdue(now_ns());

		if (MHD_get_timeout(server.daemon, &wait) == MHD_YES)
			ms = least_ms(ms, wait > INT32_MAX ? INT32_MAX : (int)wait);
		poll(fds, sizeof(fds) / sizeof(*fds), ms);
		/* What has ended gives its place back before newcomers take one. */
		MHD_run(server.daemon);
		for (int i = 0; i < 2; i++)
			if (fds[2 + i].revents)
				accept_some(server.listener[i], i == 1);
		MHD_run(server.daemon);
	}
	return NULL;
}

int http_server_start(int tcp, int local, MHD_AccessHandlerCallback handle, char *err)
{
	int rc;

	server.listener[0] = tcp;
	server.listener[1] = local;
	server.logged_ns = 0;
	memset(server.clients, 0, sizeof(server.clients));
	server.stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Those that were released still count until their sockets are closed. */
	server.daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
					 handle, NULL,
					 MHD_OPTION_CONNECTION_LIMIT, PLACES + 2 * ACCEPT_MOST,
					 MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
					 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
					 MHD_OPTION_NOTIFY_CONNECTION, notice_connection, NULL,
					 MHD_OPTION_NOTIFY_COMPLETED, notice_answered, NULL,
					 MHD_OPTION_END);
	if (server.stop < 0 || !server.daemon) {
		http_server_stop();
		return fail(err, EIO, "cannot start the HTTP server");
	}
	rc = pthread_create(&server.thread, NULL, serve, NULL);
	server.running = !rc;
	if (rc) {
		http_server_stop();
		return fail(err, rc, "cannot start the thread of the HTTP server: %s", strerror(rc));
	}
	return 0;
}

void http_server_stop(void)
{
	if (server.running && eventfd_write(server.stop, 1) == 0)
		pthread_join(server.thread, NULL);
	server.running = false;
	if (server.daemon)
		MHD_stop_daemon(server.daemon);
	server.daemon = NULL;
	for (int i = 0; i < 2; i++) {
		if (server.listener[i] >= 0)
			close(server.listener[i]);
		server.listener[i] = -1;
	}
	if (server.stop >= 0)
		close(server.stop);
	server.stop = -1;
}
