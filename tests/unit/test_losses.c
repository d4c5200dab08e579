// SPDX-License-Identifier: GPL-2.0-only
/* Packets that were lost before weir saw them: names of statistics, sums, windows, the alarm. */
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/losses.h"
#include "user/model/units.h"

static void test_names(struct check *check)
{
	static const struct {
		const char *driver, *name;
		uint64_t lost, own;
	} cases[] = {
		{ "veth", "rx_queue_0_drops", 7, 0 }, { "veth", "rx_queue_17_drops", 7, 0 },
		{ "veth", "rx_queue_0_xdp_drops", 0, 0 }, { "veth", "rx_queue__drops", 0, 0 },
		{ "veth", "rx_queue_0_drops2", 0, 0 }, { "veth", "rx_queue_0_drop", 0, 0 },
		{ "virtio_net", "rx_queue_3_drops", 7, 0 }, { "virtio_net", "rx3_drops", 7, 0 },
		{ "virtio_net", "rx_queue_3_xdp_drops", 0, 7 },
		{ "virtio_net", "rx3_xdp_drops", 0, 7 }, { "virtio_net", "tx3_drops", 0, 0 },
		{ "mlx5_core", "rx_out_of_buffer", 7, 0 }, { "igb", "rx_out_of_buffer", 0, 0 },
		{ "strange", "rx_queue_0_drops", 0, 0 }, { "", "rx_queue_0_drops", 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct loss_reading reading = { 0 };

		losses_add_statistic(&reading, cases[i].driver, cases[i].name, 7);
		CHECK(check, reading.raw[WEIR_LOST_QUEUES] == cases[i].lost &&
		      reading.own[WEIR_LOST_QUEUES] == cases[i].own &&
		      reading.own[WEIR_LOST_DROPPED] == cases[i].own, "%s %s", cases[i].driver,
		      cases[i].name);
	}
	CHECK(check, losses_own("virtio_net", true) == OWN_STATISTIC &&
	      losses_own("virtio_net", false) == OWN_APART &&
	      losses_own("strange", true) == OWN_UNKNOWN, "what is known of drivers");
	check_done(check, "names of statistics", "%zu of them", sizeof(cases) / sizeof(*cases));
}

static struct loss_reading reading(uint64_t dropped, uint64_t own, uint64_t missed, uint64_t seen)
{
	return (struct loss_reading){ .raw = { [WEIR_LOST_DROPPED] = dropped,
					       [WEIR_LOST_MISSED] = missed },
				      .own = { [WEIR_LOST_DROPPED] = own }, .seen = seen };
}

static void take(struct weir_loss_watch *watch, struct loss_reading now, uint64_t seconds)
{
	losses_take(watch, &now, seconds * NS_PER_S);
}

/* What was before is no loss; a counter that begins anew takes nothing away and adds nothing. */
static void test_sums(struct check *check)
{
	struct loss_reading first = reading(5000, 0, 1000000, 70);
	struct weir_loss_watch watch = { 0 };

	losses_begin(&watch, &first, NS_PER_S);
	take(&watch, reading(5000, 0, 1000000, 70), 2);
	CHECK(check, !losses_least(&watch.all, OWN_APART), "lost before the attachment");
	take(&watch, reading(5010, 0, 1000100, 170), 3);
	CHECK(check, watch.all.lost[WEIR_LOST_DROPPED] == 10 &&
	      watch.all.lost[WEIR_LOST_MISSED] == 100 && watch.all.seen == 100, "%llu, %llu",
	      (unsigned long long)watch.all.lost[WEIR_LOST_DROPPED],
	      (unsigned long long)watch.all.lost[WEIR_LOST_MISSED]);
	CHECK(check, losses_least(&watch.all, OWN_APART) == 110 &&
	      losses_least(&watch.all, OWN_UNKNOWN) == 100, "dropped and missed are added");
	take(&watch, reading(0, 0, 50, 200), 4);
	CHECK(check, watch.all.lost[WEIR_LOST_MISSED] == 100, "a counter that fell");
	take(&watch, reading(3, 0, 80, 200), 5);
	CHECK(check, watch.all.lost[WEIR_LOST_MISSED] == 130 &&
	      watch.all.lost[WEIR_LOST_DROPPED] == 13, "and grows again");
	check_done(check, "sums since the attachment", "%llu missed, %llu dropped",
		   (unsigned long long)watch.all.lost[WEIR_LOST_MISSED],
		   (unsigned long long)watch.all.lost[WEIR_LOST_DROPPED]);
}

/* Of a million own drops none becomes a loss, although the counters are of different moments. */
static void test_own(struct check *check)
{
	struct loss_reading first = reading(0, 0, 0, 0);
	struct weir_loss_watch watch = { 0 };
	unsigned long long state = check_seed();
	uint64_t own = 0, lost = 0;

	losses_begin(&watch, &first, NS_PER_S);
	for (uint64_t i = 2; i < 1002; i++) {
		uint64_t meanwhile = check_random(&state) % 1000;

		own += 1000;
		lost += i == 500 ? 12345 : 0;
		take(&watch, reading(own + lost, own + meanwhile, 0, own), i);
	}
	take(&watch, reading(own + lost, own, 0, own), 1003);
	CHECK(check, watch.all.lost[WEIR_LOST_DROPPED] == lost, "%llu of %llu",
	      (unsigned long long)watch.all.lost[WEIR_LOST_DROPPED], (unsigned long long)lost);
	check_done(check, "own drops are taken off", "%llu lost among %llu own drops",
		   (unsigned long long)lost, (unsigned long long)own);
}

static void test_alarm(struct check *check)
{
	struct loss_reading first = reading(0, 0, 0, 0);
	struct weir_loss_watch watch = { 0 };
	char text[LOSS_COMPLAINT];

	losses_begin(&watch, &first, NS_PER_S);
	take(&watch, reading(0, 0, 99, 0), 2);
	CHECK(check, !losses_complaint(&watch, OWN_APART, "eth0", text) && !*text, "99 packets");
	take(&watch, reading(0, 0, 200, 30000), 3);
	CHECK(check, !losses_complaint(&watch, OWN_APART, "eth0", text), "200 of 30,200");
	take(&watch, reading(0, 0, 400, 30000), 4);
	CHECK(check, losses_complaint(&watch, OWN_APART, "eth0", text) &&
	      strstr(text, "eth0: 400 packets") && strstr(text, "(rx_missed_errors 400)"), "%s", text);
	for (uint64_t i = 5; i < 40; i++)
		take(&watch, reading(0, 0, 400, 30000), i);
	CHECK(check, !losses_complaint(&watch, OWN_APART, "eth0", text), "half a minute later");
	take(&watch, reading(9000, 0, 400, 30000), 41);
	CHECK(check, !losses_complaint(&watch, OWN_UNKNOWN, "eth0", text) &&
	      losses_complaint(&watch, OWN_APART, "eth0", text), "rx_dropped of unknown meaning");
	check_done(check, "the alarm", "%s", text);
}

int main(void)
{
	struct check check = { 0 };

	test_names(&check);
	test_sums(&check);
	test_own(&check);
	test_alarm(&check);
	return check_exit(&check);
}
