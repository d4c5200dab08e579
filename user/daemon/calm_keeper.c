// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>
#include <time.h>

#include "user/daemon/calm_keeper.h"
#include "user/daemon/worker.h"
#include "user/host/calm_store.h"
#include "user/host/clock.h"
#include "user/host/log.h"
#include "user/model/error.h"
#include "user/model/explain_packet.h"
#include "user/model/reasons.h"
#include "user/model/units.h"
#include "user/state/device.h"
#include "user/state/known.h"
#include "user/state/listen.h"
#include "user/state/pressure.h"

#define LOOK_NS		(2 * NS_PER_S)
#define POLL_MS		50
#define HEARD		4096	/* packets of a look; the data path sends about half of that */
#define DEVICES		8	/* interfaces that have a sample, 2.6 MiB each */
#define CALM_DROPS	100	/* calm: less than one packet in so many is turned away */

/* A packet that was heard, and is not taken yet. */
struct heard {
	struct explain_packet packet;
	uint8_t slot, known;
};

struct kept {
	char name[16];		/* of the interface; "": free */
	struct calm *calm;
	bool broken;		/* its file cannot be read: it is not written to either */
};

static struct {
	struct worker worker;
	bool running;
	char file[CONFIG_TEXT];
	uint64_t every_ns, save_every_ns, next_save_ns;
	pthread_mutex_t lock;	/* of kept[], which another thread copies */
	struct kept kept[DEVICES];
	/* Of the thread alone: */
	struct heard heard[HEARD];
	uint32_t count;
	uint64_t heard_unix_s;
	struct weir_device device[WEIR_DEVICES];	/* by slot, at the last look */
	struct known known;
	struct pressure before;	/* at the end of the last look */
	uint64_t maps_seed;	/* of that look; 0: there was none */
} keeper = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- samples of interfaces ---- */

static struct calm *new_calm(void)
{
	struct hash_seed secret;
	uint64_t random;

	if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret) ||
	    getrandom(&random, sizeof(random), 0) != sizeof(random))
		return NULL;
	return calm_new(&secret, random);
}

/* The sample of an interface, from its file where there is one. NULL: it has none. */
static struct calm *calm_of(const char *name)
{
	struct kept *free_one = NULL;
	char err[ERR_LEN];
	int rc;

	for (int i = 0; i < DEVICES; i++) {
		if (!strcmp(keeper.kept[i].name, name))
			return keeper.kept[i].calm;
		if (!free_one && !*keeper.kept[i].name)
			free_one = &keeper.kept[i];
	}
	if (!free_one)
		return NULL;
	free_one->calm = new_calm();
	if (!free_one->calm)
		return NULL;
	memcpy(free_one->name, name, sizeof(free_one->name));
	rc = calm_store_read(keeper.file, name, free_one->calm, err);
	free_one->broken = rc && rc != -ENOENT;
	if (free_one->broken)
		log_line(LOG_ERR, "%s; the file is kept, and not written to until the daemon is "
			 "started again", err);
	return free_one->calm;
}

static void save_all(void)
{
	char err[ERR_LEN];

	pthread_mutex_lock(&keeper.lock);
	for (int i = 0; i < DEVICES; i++) {
		struct kept *kept = &keeper.kept[i];

		if (*kept->name && !kept->broken &&
		    calm_store_write(keeper.file, kept->name, kept->calm, err))
			log_line(LOG_ERR, "%s", err);
	}
	pthread_mutex_unlock(&keeper.lock);
}

static void free_all(void)
{
	pthread_mutex_lock(&keeper.lock);
	for (int i = 0; i < DEVICES; i++)
		calm_free(keeper.kept[i].calm);
	memset(keeper.kept, 0, sizeof(keeper.kept));
	pthread_mutex_unlock(&keeper.lock);
}

int calm_keeper_copy(const char *interface, struct calm *into)
{
	char name[sizeof(keeper.kept[0].name)] = "";
	const struct calm *calm;

	snprintf(name, sizeof(name), "%s", interface);
	if (!keeper.running)
		return -ENOENT;
	pthread_mutex_lock(&keeper.lock);
	calm = calm_of(name);
	if (calm)
		*into = *calm;
	pthread_mutex_unlock(&keeper.lock);
	return calm ? 0 : -ENOENT;
}

/* ---- listening ---- */

static void hear(const struct weir_event *event, void *arg)
{
	uint32_t slot = event->slot % WEIR_DEVICES;
	struct prefix source = { event->hi, event->lo, 128 };
	struct heard *heard = &keeper.heard[keeper.count];

	(void)arg;
	if (keeper.count == HEARD || event->snap > WEIR_SNAP || !*keeper.device[slot].name)
		return;
	if (!explain_read_frame(event->data, event->snap, keeper.device[slot].bare, event->weight,
				&heard->packet))
		return;
	heard->slot = slot;
	heard->known = known_tier_of(&keeper.known, &source) >= WEIR_SEEN;
	keeper.count++;
}

/* A reader that gets no slot hears nothing this time: others wait for packets as well. */
static void listen(struct maps *maps)
{
	struct wanted wanted = { .reasons = reasons_of_action("pass") | reasons_of_action("tx") };
	struct listener *listener;
	char err[ERR_LEN];
	uint64_t until;

	keeper.count = 0;
	if (listen_open(&listener, maps, &wanted, hear, NULL, err))
		return;
	until = now_ns() + LOOK_NS;
	while (now_ns() < until && !worker_is_stopping(&keeper.worker))
		if (listen_poll(listener, POLL_MS))
			break;
	listen_close(listener);
	keeper.heard_unix_s = time(NULL);
}

/* ---- looks ---- */

static void take_heard(void)
{
	pthread_mutex_lock(&keeper.lock);
	for (uint32_t i = 0; i < keeper.count; i++) {
		const struct heard *heard = &keeper.heard[i];
		struct calm *calm = calm_of(keeper.device[heard->slot].name);

		if (calm)
			calm_offer(calm, heard->known ? CALM_KNOWN : CALM_STRANGERS,
				   &heard->packet, keeper.heard_unix_s);
	}
	pthread_mutex_unlock(&keeper.lock);
	keeper.count = 0;
}

/* Whether nothing was flooded since the pressure was read last; reads it anew. */
static bool was_calm(const struct maps *maps)
{
	struct pressure now;
	bool calm = false;

	if (pressure_read(maps, &now)) {
		keeper.maps_seed = 0;
		return false;
	}
	if (keeper.maps_seed == maps->meta.seed && now.packets >= keeper.before.packets)
		calm = !now.budgets && (now.turned_away - keeper.before.turned_away) * CALM_DROPS <=
				       now.packets - keeper.before.packets;
	keeper.before = now;
	keeper.maps_seed = maps->meta.seed;
	return calm;
}

static void look(void)
{
	char err[ERR_LEN];
	struct maps maps;

	if (maps_open(&maps, MAPS_READ, err)) {
		keeper.maps_seed = keeper.count = 0;
		return;
	}
	if (was_calm(&maps))
		take_heard();
	keeper.count = 0;
	if (keeper.maps_seed && !known_open(&maps, &keeper.known, err)) {
		devices_by_slot(&maps, keeper.device);
		listen(&maps);
		known_close(&keeper.known);
	}
	maps_close(&maps);
}

static void *keep(void *arg)
{
	uint64_t next_ns = now_ns();

	(void)arg;
	while (worker_sleep_until(&keeper.worker, next_ns)) {
		look();
		if (now_ns() >= keeper.next_save_ns) {
			save_all();
			keeper.next_save_ns = now_ns() + keeper.save_every_ns;
		}
		next_ns = now_ns() + keeper.every_ns;
	}
	save_all();
	free_all();
	return NULL;
}

/* ---- start and stop ---- */

static int start(const struct config *config)
{
	int rc;

	memcpy(keeper.file, config->calm_file, sizeof(keeper.file));
	keeper.every_ns = config->calm_every_ns;
	keeper.save_every_ns = config->save_every_ns;
	keeper.next_save_ns = now_ns() + config->save_every_ns;
	keeper.count = keeper.maps_seed = 0;
	rc = worker_start(&keeper.worker, keep, NULL);
	keeper.running = !rc;
	return rc;
}

void calm_keeper_stop(void)
{
	if (!keeper.running)
		return;
	worker_stop(&keeper.worker);
	keeper.running = false;
}

static bool keeps_the_same(const struct config *config)
{
	return keeper.running && !strcmp(keeper.file, config->calm_file) &&
	       keeper.every_ns == config->calm_every_ns &&
	       keeper.save_every_ns == config->save_every_ns;
}

void calm_keeper_set(const struct config *config)
{
	int rc;

	if (keeps_the_same(config))
		return;
	calm_keeper_stop();
	if (!*config->calm_file)
		return;
	rc = start(config);
	if (rc)
		log_line(LOG_ERR, "cannot start a thread: %s; no calm sample is kept", strerror(rc));
}
