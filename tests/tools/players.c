// SPDX-License-Identifier: GPL-2.0-only
/*
 * players: users of a service over UDP. Each sends datagrams at a pace, whose length and first
 * bytes vary, and the server answers each one; reported is how many are answered.
 *
 * One thread on either side, as in transact.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tools/tool.h"
#include "tests/tools/values.h"
#include "user/model/parse.h"

#define TAG_LEN		16	/* of a datagram, that its answer begins with */
#define ANSWER_LEN	128
#define DATAGRAM_MOST	1472
#define HEADERS		42	/* Ethernet, IPv4, UDP: sizes are of frames, as the generator's */
#define PLAYERS_MOST	10000
#define WAITING		64	/* datagrams of one player, for which an answer may come */
#define EVENTS		64
#define NS_PER_MS	1000000LL
#define ROOM_BYTES	(1 << 20)

struct options {
	struct sockaddr_in to;
	struct in_addr from;
	uint64_t seconds, clients, pace, interval_ms, patience_ms, each, seed;
	struct values sizes, ttls;
	struct pattern payload;
};

struct datagram {
	uint8_t tag[TAG_LEN];
	int64_t sent;		/* 0: it is answered, or there is none */
};

struct player {
	int fd;
	uint32_t next;		/* place of the next datagram */
	struct datagram waiting[WAITING];
};

struct game {
	struct options options;
	struct player *players;
	int epoll;
	uint64_t random, sent, answered;
};

static volatile sig_atomic_t stopped;

static const char usage_text[] =
	"usage: players serve ADDR PORT\n"
	"       players run ADDR PORT seconds S clients N pace N from ADDR each LEN\n"
	"               [size BYTES] [ttl N] [payload HEX] [interval MS] [patience MS] [seed N]\n"
	"  pace: datagrams a second of all players together; IPv4 alone\n"
	"  size, ttl, payload: as of `flood`; a player keeps its TTL\n";

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

/* splitmix64, as the generator has it. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static bool read_address(const char *host, const char *port, struct sockaddr_in *address)
{
	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	if (inet_pton(AF_INET, host, &address->sin_addr) == 1 && address->sin_port)
		return true;
	failed("%s port %s: not an IPv4 address and a port", host, port);
	return false;
}

/* ---- the server ---- */

static enum outcome serve(const char *host, const char *port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t datagram[DATAGRAM_MOST], answer[ANSWER_LEN] = { 0 };
	struct sockaddr_in address, from;

	if (!read_address(host, port, &address))
		return USAGE;
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return failed("cannot serve at %s port %s: %s", host, port, strerror(errno));
	puts("ready");
	fflush(stdout);
	while (!stopped) {
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(fd, datagram, sizeof(datagram), 0,
				       (struct sockaddr *)&from, &from_len);

		if (len < TAG_LEN)	/* also an interrupted wait, and errors of answers before */
			continue;
		memcpy(answer, datagram, TAG_LEN);
		sendto(fd, answer, sizeof(answer), MSG_DONTWAIT, (struct sockaddr *)&from, from_len);
	}
	close(fd);
	return DONE;
}

/* ---- the players ---- */

static int open_player(const struct options *options, uint32_t number)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	int ttl = options->ttls.at[number * 97 % VALUES];	/* 97 is odd: each as often */
	struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(ntohl(options->from.s_addr) + (number << (32 - options->each))),
	};

	/* Addresses that are only routed here, not this host's. */
	setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (const struct sockaddr *)&options->to, sizeof(options->to)))
		return -1;
	return fd;
}

static void send_one(struct game *game, struct player *player)
{
	struct datagram *datagram = &player->waiting[player->next++ % WAITING];
	const struct options *options = &game->options;
	uint8_t bytes[DATAGRAM_MOST] = { 0 };
	uint64_t random = 0;

	memcpy(bytes, options->payload.fixed, options->payload.len);
	for (uint32_t i = 0; i < options->payload.len; i++) {
		if (i % 8 == 0)
			random = next_random(&game->random);
		bytes[i] |= (random >> i % 8 * 8) & options->payload.random[i];
	}
	memcpy(datagram->tag, bytes, TAG_LEN);
	datagram->sent = now_ns();
	/* What the device has no room for has no answer, as what is lost further on. */
	send(player->fd, bytes, options->sizes.at[next_random(&game->random) % VALUES] - HEADERS, 0);
	game->sent++;
}

static void take_answers(struct game *game, struct player *player)
{
	int64_t oldest = now_ns() - game->options.patience_ms * NS_PER_MS;
	uint8_t answer[ANSWER_LEN];

	while (recv(player->fd, answer, sizeof(answer), 0) >= TAG_LEN)
		for (uint32_t i = 0; i < WAITING; i++) {
			struct datagram *datagram = &player->waiting[i];

			if (!datagram->sent || memcmp(datagram->tag, answer, TAG_LEN))
				continue;
			game->answered += datagram->sent >= oldest;
			datagram->sent = 0;
			break;
		}
}

static void report(const struct game *game, const char *kind, double at, uint64_t sent,
		   uint64_t answered)
{
	printf("{\"%s\":%.3f,\"transactions\":%lu,\"sent\":%lu,\"monotonic\":%.3f}\n", kind, at,
	       game->answered - answered, game->sent - sent, (double)now_ns() / NS_PER_S);
	fflush(stdout);
}

static void wait_until(struct game *game, int64_t until)
{
	struct epoll_event events[EVENTS];
	int64_t left = until - now_ns();
	struct timespec timeout = { .tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S };
	int count;

	if (left < 0)
		timeout = (struct timespec){ 0 };
	count = epoll_pwait2(game->epoll, events, EVENTS, &timeout, NULL);
	for (int i = 0; i < count; i++)
		take_answers(game, events[i].data.ptr);
}

/*
 * Players take turns. After a delay the pauses are halved until it is made good: a burst would not
 * find room in the receiver's ring. More than a second is not made good.
 */
static void play(struct game *game)
{
	const struct options *options = &game->options;
	int64_t start = now_ns(), now = start, due = start, each = NS_PER_S / options->pace;
	int64_t interval = options->interval_ms * NS_PER_MS, next = start + interval;
	int64_t soonest = start;
	uint64_t sent = 0, answered = 0, turn = 0;

	while (!stopped && now < start + (int64_t)options->seconds * NS_PER_S) {
		int64_t turn_at = due > soonest ? due : soonest;

		wait_until(game, turn_at < next ? turn_at : next);
		now = now_ns();
		if (now >= turn_at) {
			send_one(game, &game->players[turn++ % options->clients]);
			due = due + NS_PER_S < now ? now + each : due + each;
			soonest = now + each / 2;
		}
		if (now < next)
			continue;
		report(game, "t", (double)(now - start) / NS_PER_S, sent, answered);
		sent = game->sent;
		answered = game->answered;
		while (next <= now)
			next += interval;
	}
	report(game, "seconds", (double)(now - start) / NS_PER_S, 0, 0);
}

static enum outcome start_players(struct game *game)
{
	const struct rlimit files = { PLAYERS_MOST + 100, PLAYERS_MOST + 100 };

	setrlimit(RLIMIT_NOFILE, &files);
	game->random = game->options.seed;
	game->epoll = epoll_create1(EPOLL_CLOEXEC);
	game->players = calloc(game->options.clients, sizeof(*game->players));
	if (game->epoll < 0 || !game->players)
		return failed("cannot start: %s", strerror(errno));
	for (uint64_t i = 0; i < game->options.clients; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &game->players[i] };

		game->players[i].fd = open_player(&game->options, i);
		if (game->players[i].fd < 0 ||
		    epoll_ctl(game->epoll, EPOLL_CTL_ADD, game->players[i].fd, &event))
			return failed("player %lu cannot send: %s", i, strerror(errno));
	}
	prctl(PR_SET_TIMERSLACK, 1);
	play(game);
	free(game->players);
	return DONE;
}

/* ---- the command line ---- */

static int parse_pair(const char *word, const char *value, struct options *options, char *err)
{
	const struct {
		const char *word;
		uint64_t *number, least, most;
	} numbers[] = {
		{ "seconds", &options->seconds, 1, 3600 },
		{ "clients", &options->clients, 1, PLAYERS_MOST },
		{ "pace", &options->pace, 1, 1000000 },
		{ "each", &options->each, 1, 32 },
		{ "interval", &options->interval_ms, 10, 60000 },
		{ "patience", &options->patience_ms, 10, 60000 },
		{ "seed", &options->seed, 0, UINT64_MAX - 1 },
	};

	if (!strcmp(word, "from"))
		return inet_pton(AF_INET, value, &options->from) == 1 ? 0 :
		       fail(err, EINVAL, "from \"%s\": not an IPv4 address", value);
	if (!strcmp(word, "size"))
		return values_parse(value, word, HEADERS + PATTERN_MOST, HEADERS + DATAGRAM_MOST,
				    &options->sizes, err);
	if (!strcmp(word, "ttl"))
		return values_parse(value, word, 1, 255, &options->ttls, err);
	if (!strcmp(word, "payload"))
		return pattern_parse(value, &options->payload, err);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!strcmp(word, numbers[i].word))
			return parse_number(value, word, numbers[i].least, numbers[i].most,
					    numbers[i].number, err);
	return fail(err, EINVAL, "unknown word \"%s\"", word);
}

static enum outcome run_command(char **words)
{
	struct game game = { .options = { .interval_ms = 1000, .patience_ms = 1000 } };
	struct options *options = &game.options;
	char err[ERR_LEN] = "seconds, clients, pace, from and each must be given";

	if (!read_address(words[0], words[1], &options->to))
		return USAGE;
	values_parse("106-460", "size", 0, DATAGRAM_MOST, &options->sizes, err);
	values_parse("64", "ttl", 1, 255, &options->ttls, err);
	pattern_parse("................................", &options->payload, err);
	for (words += 2; *words; words += 2)
		if (!words[1] || parse_pair(words[0], words[1], options, err))
			break;
	if (*words || !options->seconds || !options->clients || !options->pace || !options->each ||
	    options->payload.len < TAG_LEN) {
		failed("%s", *words && !words[1] ? *words : err);
		fputs(usage_text, stderr);
		return USAGE;
	}
	return start_players(&game);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (argc == 4 && !strcmp(argv[1], "serve"))
		return serve(argv[2], argv[3]);
	if (argc >= 4 && !strcmp(argv[1], "run"))
		return run_command(argv + 2);
	fputs(usage_text, stderr);
	return USAGE;
}
