// SPDX-License-Identifier: GPL-2.0-only
/* weir doctor: facts become findings. Each row changes the facts of a machine where all is in order. */
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/doctor.h"

struct facts {
	struct doctor_host host;
	struct doctor_device device;
};

static struct facts good(void)
{
	return (struct facts){
		.host = { .cpus = 4, .kernel_major = 6, .kernel_minor = 12, .release = "6.12.1",
			  .clocksource = "tsc", .jit = 1, .budget = 300, .backlog = 1000,
			  .syncookies = 1, .syn_backlog = 4096, .somaxconn = 4096,
			  .available_bytes = 8ULL << 30, .tables_bytes = 400 << 20, .in_use = true,
			  .attached = 1, .something_set = true, .daemon_ran = true,
			  .daemon_age_s = 0.5, .daemon_up = true, .daemon_enabled = TOLD_YES },
		.device = { .name = "eth0", .driver = "ice", .recorded = true, .attached = true,
			    .attached_s = 60, .up = true, .mtu = 1500, .native = TOLD_YES,
			    .queues = { true, 4, 8 }, .ring = { true, 4096, 4096 },
			    .lro = TOLD_NO, .gro = TOLD_YES, .irqs = 4, .irq_cpus = 4, .irq = 77,
			    .irq_cpu = 3, .rps = TOLD_NO },
	};
}

static void no_program(struct facts *f) { f->device.attached = false; }
static void stranger(struct facts *f)
{
	f->device.recorded = f->device.attached = false;
	strcpy(f->device.stranger, "other");
}
static void not_attached(struct facts *f) { f->device.recorded = f->device.attached = false; }
static void on_trial(struct facts *f) { f->device.on_trial = true; }
static void monitor(struct facts *f) { f->device.monitor = true; f->device.attached_s = 8 * 86400; }
static void others(struct facts *f) { f->device.others = 1; }
static void skb(struct facts *f) { f->device.skb = true; }
static void skb_only(struct facts *f) { f->device.skb = true; f->device.native = TOLD_NO; }
static void silent(struct facts *f) { f->device.skb = true; f->device.native = NOT_TOLD; }
static void down(struct facts *f) { f->device.up = false; }
static void mtu(struct facts *f) { f->device.mtu = 9000; }
static void lro(struct facts *f) { f->device.lro = TOLD_YES; }
static void gro(struct facts *f) { f->device.gro = TOLD_NO; }
static void one_queue(struct facts *f) { f->device.queues.now = 1; f->device.irqs = 1; }
static void rx_queue(struct facts *f) { f->device.queues.now = 2; f->device.queues_are_rx = true; }
static void no_queues(struct facts *f) { f->device.queues.told = false; }
static void ring(struct facts *f) { f->device.ring.now = 512; }
static void ring_loses(struct facts *f) { ring(f); strcpy(f->device.losing, "eth0: 500 lost"); }
static void losing(struct facts *f) { strcpy(f->device.losing, "eth0: 500 lost"); }
static void lost(struct facts *f) { strcpy(f->device.lost, "rx_dropped 3"); }
static void one_cpu(struct facts *f) { f->device.irq_cpus = 1; }
static void one_rps(struct facts *f) { f->device.queues = (struct doctor_amount){ true, 1, 1 }; }
static void old(struct facts *f) { f->host.kernel_major = 5; f->host.kernel_minor = 15; }
static void jit(struct facts *f) { f->host.jit = 0; }
static void hpet(struct facts *f) { strcpy(f->host.clocksource, "hpet"); }
static void cookies(struct facts *f) { f->host.syncookies = 0; }
static void own_cookies(struct facts *f) { f->host.syncookies = 0; f->host.protects_syn = true; }
static void syn_backlog(struct facts *f) { f->host.syn_backlog = 128; }
static void somaxconn(struct facts *f) { f->host.somaxconn = 128; }
static void budget(struct facts *f) { f->host.budget = 64; }
static void backlog(struct facts *f) { f->host.backlog = 300; }
static void memory(struct facts *f)
{
	f->host.in_use = false;
	f->host.available_bytes = 500 << 20;
}
static void nowhere(struct facts *f) { f->host.attached = 0; }
static void nothing(struct facts *f) { f->host.something_set = false; }
static void alarm(struct facts *f) { strcpy(f->host.alarm, "no list"); }
static void never(struct facts *f) { f->host.daemon_ran = f->host.daemon_up = false; }
static void hangs(struct facts *f) { f->host.daemon_up = false; f->host.daemon_age_s = 99; }
static void judge(struct facts *f) { f->host.daemon_judges = true; }
static void boot(struct facts *f) { f->host.daemon_enabled = TOLD_NO; }

static const struct row {
	void (*change)(struct facts *facts);
	const char *check;
	enum level level;
	const char *text, *remedy;	/* parts; remedy "": there is none */
} rows[] = {
	{ no_program, "attached", LEVEL_BAD, "not there any more", "weir attach dev eth0" },
	{ stranger, "attached", LEVEL_WARN, "program other", "ip link set dev eth0 xdp off" },
	{ not_attached, "attached", LEVEL_NOTE, "not attached", "weir attach dev eth0 monitor" },
	{ on_trial, "attached", LEVEL_NOTE, "on trial", "weir confirm dev eth0" },
	{ monitor, "attached", LEVEL_WARN, "for 8d, perhaps forgotten", "weir attach dev eth0 try" },
	{ others, "others", LEVEL_NOTE, "1 other XDP program is", "" },
	{ skb, "driver", LEVEL_WARN, "although driver ice has native", "mode native" },
	{ skb_only, "driver", LEVEL_WARN, "has no native XDP", "" },
	{ silent, "driver", LEVEL_NOTE, "does not tell", "" },
	{ down, "link", LEVEL_WARN, "is down", "ip link set dev eth0 up" },
	{ mtu, "mtu", LEVEL_WARN, "9000", "ip link set dev eth0 mtu 1500" },
	{ lro, "lro", LEVEL_WARN, "LRO is on", "ethtool -K eth0 lro off" },
	{ gro, "gro", LEVEL_NOTE, "GRO is off", "ethtool -K eth0 gro on" },
	{ one_queue, "queues", LEVEL_WARN, "1 of 8 queues", "ethtool -L eth0 combined 4" },
	{ rx_queue, "queues", LEVEL_WARN, "2 of 8 queues", "ethtool -L eth0 rx 4" },
	{ no_queues, "queues", LEVEL_NOTE, "does not tell", "" },
	{ ring, "ring", LEVEL_NOTE, "512 descriptors", "ethtool -G eth0 rx 4096" },
	{ ring_loses, "ring", LEVEL_WARN, "512 descriptors", "ethtool -G eth0 rx 4096" },
	{ losing, "lost", LEVEL_BAD, "500 lost", "" },
	{ lost, "lost", LEVEL_NOTE, "rx_dropped 3", "" },
	{ one_cpu, "irq", LEVEL_WARN, "all 4 queues go to CPU 3", "echo 0 > /proc/irq/77/" },
	{ one_rps, "rps", LEVEL_NOTE, "one queue and no RPS", "echo f > /sys/class/net/eth0/" },
	{ old, "kernel", LEVEL_BAD, "needs 6.1", "" },
	{ jit, "jit", LEVEL_BAD, "JIT is off", "sysctl -w net.core.bpf_jit_enable=1" },
	{ hpet, "clock", LEVEL_WARN, "hpet", "dmesg" },
	{ cookies, "sysctl", LEVEL_WARN, "tcp_syncookies is 0", "tcp_syncookies=1" },
	{ own_cookies, "sysctl", LEVEL_BAD, "no client gets in", "tcp_syncookies=2" },
	{ syn_backlog, "sysctl", LEVEL_NOTE, "tcp_max_syn_backlog is 128", "backlog=1024" },
	{ somaxconn, "sysctl", LEVEL_NOTE, "somaxconn is 128", "somaxconn=1024" },
	{ budget, "sysctl", LEVEL_NOTE, "netdev_budget is 64", "netdev_budget=300" },
	{ backlog, "sysctl", LEVEL_NOTE, "netdev_max_backlog is 300", "netdev_max_backlog=1000" },
	{ memory, "memory", LEVEL_WARN, "would take up to", "" },
	{ nowhere, "settings", LEVEL_WARN, "no interface", "" },
	{ nothing, "settings", LEVEL_WARN, "everything passes", "weir limit set" },
	{ alarm, "restore", LEVEL_BAD, "no list", "weir-restore" },
	{ never, "daemon", LEVEL_NOTE, "never ran", "systemctl enable --now weir" },
	{ hangs, "daemon", LEVEL_WARN, "silent for 1m39s", "systemctl restart weir" },
	{ judge, "daemon", LEVEL_NOTE, "bans nothing", "" },
	{ boot, "boot", LEVEL_NOTE, "next boot", "systemctl enable weir" },
};

static void examine(const struct facts *facts, struct findings *findings)
{
	findings->count = 0;
	doctor_examine_device(&facts->host, &facts->device, findings);
	doctor_examine_host(&facts->host, findings);
}

static const struct finding *look_up(const struct findings *findings, const char *check)
{
	for (size_t i = 0; i < findings->count; i++)
		if (!strcmp(findings->at[i].check, check) && findings->at[i].level > LEVEL_OK)
			return &findings->at[i];
	return NULL;
}

static void test_good(struct check *check, struct findings *findings)
{
	struct facts facts = good();

	examine(&facts, findings);
	for (size_t i = 0; i < findings->count; i++)
		CHECK(check, findings->at[i].level == LEVEL_OK && !*findings->at[i].remedy, "%s: %s",
		      findings->at[i].check, findings->at[i].text);
	CHECK(check, findings_worst(findings) == LEVEL_OK && findings->count > 10, "%zu findings",
	      findings->count);
	check_done(check, "where all is in order", "%zu findings, all ok", findings->count);
}

static void test_rows(struct check *check, struct findings *findings)
{
	size_t count = sizeof(rows) / sizeof(*rows);

	for (size_t i = 0; i < count; i++) {
		struct facts facts = good();
		const struct finding *found;

		rows[i].change(&facts);
		examine(&facts, findings);
		found = look_up(findings, rows[i].check);
		if (!CHECK(check, found, "row %zu: no finding about %s", i, rows[i].check))
			continue;
		CHECK(check, found->level == rows[i].level, "row %zu, %s: level %s", i, found->check,
		      level_name(found->level));
		CHECK(check, strstr(found->text, rows[i].text), "row %zu: %s", i, found->text);
		CHECK(check, *rows[i].remedy ? !!strstr(found->remedy, rows[i].remedy) :
		      !*found->remedy, "row %zu: remedy %s", i, found->remedy);
	}
	check_done(check, "each fact alone", "%zu rows", count);
}

/* A machine that tells nothing is not accused of anything bad. */
static void test_silent(struct check *check, struct findings *findings)
{
	struct facts facts = { .host = { .cpus = 1, .kernel_major = 6, .kernel_minor = 1, .jit = -1,
					 .budget = -1, .backlog = -1, .syncookies = -1,
					 .syn_backlog = -1, .somaxconn = -1 },
			       .device = { .name = "tun0", .up = true } };

	examine(&facts, findings);
	CHECK(check, findings_worst(findings) == LEVEL_WARN, "worst: %s",
	      level_name(findings_worst(findings)));
	facts.device.native = TOLD_NO;
	facts.device.mtu = 65536;
	examine(&facts, findings);
	CHECK(check, !look_up(findings, "mtu") && look_up(findings, "driver") &&
	      strstr(look_up(findings, "driver")->text, "its driver has no native XDP") ==
	      look_up(findings, "driver")->text, "an interface as lo is");
	CHECK(check, look_up(findings, "queues") && look_up(findings, "ring") &&
	      !look_up(findings, "sysctl"), "what is not told");
	check_done(check, "where nothing is told", "%zu findings", findings->count);
}

int main(void)
{
	static struct findings findings;
	struct check check = { 0 };

	test_good(&check, &findings);
	test_rows(&check, &findings);
	test_silent(&check, &findings);
	return check_exit(&check);
}
