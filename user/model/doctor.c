// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/model/doctor.h"
#include "user/model/format.h"
#include "user/model/table.h"

/* A trial of monitor mode takes a day or two; after a week it was forgotten. */
#define MONITOR_LONG_S	(7 * 24 * 3600)
#define BUDGET_LEAST	300	/* net.core.netdev_budget: the kernel's default */
#define BACKLOG_LEAST	1000	/* net.core.netdev_max_backlog: the same */
#define SYN_BACKLOG_LEAST	1024	/* net.ipv4.tcp_max_syn_backlog */
#define SOMAXCONN_LEAST	1024	/* net.core.somaxconn; the default is 4096 since Linux 5.4 */

const char *level_name(enum level level)
{
	static const char *const names[] = { "ok", "note", "warn", "bad" };

	return names[level];
}

enum level findings_worst(const struct findings *findings)
{
	enum level worst = LEVEL_OK;

	for (size_t i = 0; i < findings->count; i++)
		if (findings->at[i].level > worst)
			worst = findings->at[i].level;
	return worst;
}

/* ---- writing findings ---- */

/* Adds a finding; its remedy is "" until mend() sets it. */
static void find(struct findings *findings, const char *subject, const char *check,
		 enum level level, const char *format, ...) __attribute__((format(printf, 5, 6)));
static void find(struct findings *findings, const char *subject, const char *check,
		 enum level level, const char *format, ...)
{
	struct finding *finding = &findings->at[findings->count];
	va_list args;

	if (findings->count >= FINDINGS)
		return;
	findings->count++;
	*finding = (struct finding){ .level = level, .check = check };
	snprintf(finding->subject, sizeof(finding->subject), "%s", subject);
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

/* The command that mends the last finding. */
static void mend(struct findings *findings, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void mend(struct findings *findings, const char *format, ...)
{
	struct finding *finding = &findings->at[findings->count - 1];
	va_list args;

	va_start(args, format);
	vsnprintf(finding->remedy, sizeof(finding->remedy), format, args);
	va_end(args);
}

/* ---- an interface: weir on it ---- */

static void examine_attachment(const struct doctor_device *device, struct findings *findings)
{
	const char *name = device->name;
	char since[FORMAT_LEN];

	format_left(device->attached_s, since);
	if (device->recorded && !device->attached) {
		find(findings, name, "attached", LEVEL_BAD, "weir's program is not there any more: the "
		     "interface or the program was removed, and nothing is filtered here");
		mend(findings, "weir attach dev %s", name);
	} else if (!device->recorded && *device->stranger) {
		find(findings, name, "attached", LEVEL_WARN, "the XDP program %s has the interface for "
		     "itself, without libxdp's dispatcher, so weir cannot be attached",
		     device->stranger);
		mend(findings, "ip link set dev %s xdp off", name);
	} else if (!device->recorded) {
		find(findings, name, "attached", LEVEL_NOTE, "weir is not attached here");
		mend(findings, "weir attach dev %s monitor", name);
	} else if (device->on_trial) {
		find(findings, name, "attached", LEVEL_NOTE, "weir is on trial here, and goes back by "
		     "itself unless that is confirmed");
		mend(findings, "weir confirm dev %s", name);
	} else if (device->monitor) {
		find(findings, name, "attached", LEVEL_WARN, "monitor mode for %s%s: nothing is dropped "
		     "here", since, device->attached_s >= MONITOR_LONG_S ? ", perhaps forgotten" : "");
		mend(findings, "weir attach dev %s try 60s", name);
	} else {
		find(findings, name, "attached", LEVEL_OK, "attached for %s, %s mode, enforcing", since,
		     device->skb ? "skb" : "native");
	}
	if (device->attached && device->others)
		find(findings, name, "others", LEVEL_NOTE, "%u other XDP program%s on this interface under "
		     "libxdp's dispatcher: what weir drops they see only if they run before it "
		     "(`xdp-loader status %s`)", device->others,
		     device->others == 1 ? " is" : "s are", name);
}

static void examine_mode(const struct doctor_device *device, struct findings *findings)
{
	const char *name = device->name;
	char driver[sizeof(device->driver) + 8] = "its driver";

	if (*device->driver)
		snprintf(driver, sizeof(driver), "driver %s", device->driver);
	if (device->attached && !device->skb) {
		find(findings, name, "driver", LEVEL_OK, "%s: weir runs in it (native mode)",
		     driver);
	} else if (device->attached && device->native == TOLD_YES) {
		find(findings, name, "driver", LEVEL_WARN, "skb mode, although %s has native XDP: "
		     "the kernel allocates a buffer for each packet before weir sees it", driver);
		mend(findings, "weir detach dev %s keep && weir attach dev %s mode native", name, name);
	} else if (device->attached) {
		find(findings, name, "driver", device->native == TOLD_NO ? LEVEL_WARN : LEVEL_NOTE,
		     "skb mode: %s %s, so the kernel allocates a buffer for each packet before "
		     "weir sees it", driver, device->native == TOLD_NO ? "has no native XDP" :
		     "does not tell whether it has native XDP");
	} else {
		find(findings, name, "driver", device->native == TOLD_NO ? LEVEL_WARN : LEVEL_OK,
		     "%s %s", driver, device->native == TOLD_YES ? "has native XDP" :
		     device->native == TOLD_NO ? "has no native XDP: weir would run in skb mode" :
		     "does not tell whether it has native XDP; `weir attach` tries");
	}
}

static void examine_frames(const struct doctor_device *device, struct findings *findings)
{
	const char *name = device->name;

	if (!device->up) {
		find(findings, name, "link", LEVEL_WARN, "the interface is down, so nothing arrives");
		mend(findings, "ip link set dev %s up", name);
	}
	if (device->mtu > DOCTOR_MTU && device->native != TOLD_NO) {
		find(findings, name, "mtu", LEVEL_WARN, "its MTU is %u: a frame takes more than one page, "
		     "which most drivers refuse in native mode", device->mtu);
		mend(findings, "ip link set dev %s mtu 1500", name);
	} else if (device->mtu) {
		find(findings, name, "mtu", LEVEL_OK, "its MTU of %u %s", device->mtu,
		     device->mtu > DOCTOR_MTU ? "is no matter in skb mode" : "fits in one page");
	}
	if (device->lro == TOLD_YES) {
		find(findings, name, "lro", LEVEL_WARN, "LRO is on: the card merges segments before weir "
		     "sees them, and native XDP is refused or sees frames that are too long");
		mend(findings, "ethtool -K %s lro off", name);
	}
	if (device->gro == TOLD_NO) {
		find(findings, name, "gro", LEVEL_NOTE, "GRO is off: what passes costs the stack its full "
		     "price for each segment; weir sees packets before GRO either way");
		mend(findings, "ethtool -K %s gro on", name);
	} else if (device->gro == TOLD_YES) {
		find(findings, name, "gro", LEVEL_OK, "GRO is on, behind weir");
	} else {
		find(findings, name, "gro", LEVEL_NOTE, "the driver does not tell of its offloads");
	}
}

/* ---- an interface: queues ---- */

static void examine_queues(const struct doctor_host *host, const struct doctor_device *device,
			   struct findings *findings)
{
	const struct doctor_amount *queues = &device->queues;
	uint32_t useful = queues->most < host->cpus ? queues->most : host->cpus;
	const char *name = device->name;

	if (!queues->told) {
		find(findings, name, "queues", LEVEL_NOTE, "the driver does not tell how many queues it has");
	} else if (queues->now < useful) {
		find(findings, name, "queues", LEVEL_WARN, "%u of %u queues receive on a machine with "
		     "%u CPUs: weir runs on %u CPU%s at most", queues->now, queues->most,
		     host->cpus, queues->now,
		     queues->now == 1 ? "" : "s");
		mend(findings, "ethtool -L %s %s %u", name, device->queues_are_rx ? "rx" : "combined",
		     useful);
	} else {
		find(findings, name, "queues", queues->now < host->cpus ? LEVEL_NOTE : LEVEL_OK,
		     "%u queue%s on a machine with %u CPUs%s", queues->now,
		     queues->now == 1 ? " receives" : "s receive", host->cpus, queues->now < host->cpus ?
		     ", and the driver accepts no more" : "");
	}
}

static void examine_ring(const struct doctor_device *device, struct findings *findings)
{
	const struct doctor_amount *ring = &device->ring;
	const char *name = device->name;

	if (!ring->told) {
		find(findings, name, "ring", LEVEL_NOTE, "the driver does not tell the size of its rings");
	} else if (ring->now < ring->most) {
		find(findings, name, "ring", *device->losing ? LEVEL_WARN : LEVEL_NOTE, "a receiving ring "
		     "has %u descriptors, and the driver accepts %u: a larger one bridges longer "
		     "moments in which its CPU is busy", ring->now, ring->most);
		mend(findings, "ethtool -G %s rx %u", name, ring->most);
	} else {
		find(findings, name, "ring", LEVEL_OK, "a receiving ring has %u descriptors, as many as the "
		     "driver accepts", ring->now);
	}
}

/* Interrupts decide on which CPUs weir runs. RPS spreads only what weir has let through. */
static void examine_placement(const struct doctor_host *host, const struct doctor_device *device,
			      struct findings *findings)
{
	const char *name = device->name;

	if (host->cpus < 2)
		return;
	if (!device->irqs) {
		find(findings, name, "irq", LEVEL_OK, "no interrupts of its own are known: it is a virtual "
		     "interface, or /sys is of another network namespace");
	} else if (device->irqs > 1 && device->irq_cpus == 1) {
		find(findings, name, "irq", LEVEL_WARN, "the interrupts of all %u queues go to CPU %u, so "
		     "weir has one CPU of %u", device->irqs, device->irq_cpu, host->cpus);
		mend(findings, "echo %u > /proc/irq/%u/smp_affinity_list",
		     (device->irq_cpu + 1) % host->cpus, device->irq);
	} else {
		find(findings, name, "irq", LEVEL_OK, "the interrupts of its %u queue%s go to %u CPU%s",
		     device->irqs, device->irqs == 1 ? "" : "s", device->irq_cpus,
		     device->irq_cpus == 1 ? "" : "s");
	}
	if (device->rps == TOLD_NO && device->queues.told && device->queues.now == 1) {
		find(findings, name, "rps", LEVEL_NOTE, "one queue and no RPS: one CPU handles all that weir "
		     "lets through; RPS can spread that, and cannot spread weir");
		mend(findings, "echo %x > /sys/class/net/%s/queues/rx-0/rps_cpus",
		     host->cpus < 32 ? (1U << host->cpus) - 1 : ~0U, name);
	}
}

static void examine_losses(const struct doctor_device *device, struct findings *findings)
{
	if (!device->attached)
		return;
	if (*device->losing)
		find(findings, device->name, "lost", LEVEL_BAD, "%.511s", device->losing);
	else if (*device->lost)
		find(findings, device->name, "lost", LEVEL_NOTE, "lost before weir saw them since it was "
		     "attached, though few lately: %s", device->lost);
	else
		find(findings, device->name, "lost", LEVEL_OK, "no packets were lost before weir saw them");
}

void doctor_examine_device(const struct doctor_host *host, const struct doctor_device *device,
			   struct findings *findings)
{
	examine_attachment(device, findings);
	examine_losses(device, findings);
	examine_mode(device, findings);
	examine_frames(device, findings);
	examine_queues(host, device, findings);
	examine_ring(device, findings);
	examine_placement(host, device, findings);
}

/* ---- the host ---- */

static void examine_kernel(const struct doctor_host *host, struct findings *findings)
{
	uint32_t version = host->kernel_major * 1000 + host->kernel_minor;

	if (version < 6001)
		find(findings, "host", "kernel", LEVEL_BAD, "Linux %s: weir needs 6.1 or later",
		     host->release);
	else if (version < 6003)
		find(findings, "host", "kernel", LEVEL_OK, "Linux %s; it does not tell which drivers have "
		     "native XDP (6.3 and later do)", host->release);
	else
		find(findings, "host", "kernel", LEVEL_OK, "Linux %s", host->release);
	if (host->jit == 0) {
		find(findings, "host", "jit", LEVEL_BAD, "the BPF JIT is off, so the kernel interprets "
		     "weir's program, which is many times slower");
		mend(findings, "sysctl -w net.core.bpf_jit_enable=1");
	}
}

/* kvm-clock, Hyper-V's page and arm64's counter are read without leaving the guest, too. */
static void examine_clock(const struct doctor_host *host, struct findings *findings)
{
	static const char *const slow[] = { "hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit" };
	const char *clock = host->clocksource;

	for (size_t i = 0; *clock && i < sizeof(slow) / sizeof(*slow); i++) {
		if (strcmp(clock, slow[i]))
			continue;
		find(findings, "host", "clock", LEVEL_WARN, "the clock source is %s: each packet that needs "
		     "the time waits for it; the kernel's log says why it is not tsc", clock);
		mend(findings, "dmesg | grep -i clocksource");
		return;
	}
	if (*clock)
		find(findings, "host", "clock", LEVEL_OK, "the clock source is %s", clock);
}

/* A sysctl that is smaller than what a server needs. */
static void examine_least(struct findings *findings, const char *name, long value, long least,
			  const char *why)
{
	if (value < 0 || value >= least)
		return;
	find(findings, "host", "sysctl", LEVEL_NOTE, "%s is %ld: %s", name, value, why);
	mend(findings, "sysctl -w %s=%ld", name, least);
}

static void examine_sysctls(const struct doctor_host *host, struct findings *findings)
{
	size_t before = findings->count;

	if (host->syncookies == 0) {
		find(findings, "host", "sysctl", host->protects_syn ? LEVEL_BAD : LEVEL_WARN,
		     "net.ipv4.tcp_syncookies is 0: %s", host->protects_syn ?
		     "the kernel refuses the cookies that weir's SYN rules send, and no client gets in" :
		     "a SYN flood that passes fills the queue, and new clients are turned away");
		mend(findings, "sysctl -w net.ipv4.tcp_syncookies=%d", host->protects_syn ? 2 : 1);
	}
	examine_least(findings, "net.ipv4.tcp_max_syn_backlog", host->syn_backlog, SYN_BACKLOG_LEAST,
		      "so few half-open connections of a listener are kept");
	examine_least(findings, "net.core.somaxconn", host->somaxconn, SOMAXCONN_LEAST,
		      "so few connections wait until a service accepts them");
	examine_least(findings, "net.core.netdev_budget", host->budget, BUDGET_LEAST,
		      "so few packets are taken from the queues in one go");
	examine_least(findings, "net.core.netdev_max_backlog", host->backlog, BACKLOG_LEAST,
		      "so few packets wait for a CPU's stack; more are lost (skb mode, RPS, tunnels)");
	if (findings->count == before)
		find(findings, "host", "sysctl", LEVEL_OK, "the sysctls of the network are right%s",
		     host->budget < 0 ? ", as far as this network namespace shows them" : "");
}

static void examine_memory(const struct doctor_host *host, struct findings *findings)
{
	char tables[FORMAT_LEN], available[FORMAT_LEN];

	if (!host->available_bytes)
		return;
	table_bytes(host->tables_bytes, tables);
	table_bytes(host->available_bytes, available);
	if (host->in_use)
		find(findings, "host", "memory", LEVEL_OK, "weir's tables have %s of kernel memory; %s are "
		     "available", tables, available);
	else
		find(findings, "host", "memory", host->tables_bytes > host->available_bytes / 2 ?
		     LEVEL_WARN : LEVEL_OK, "weir's table of sources would take up to %s; %s are "
		     "available", tables, available);
}

/* ---- weir itself ---- */

static void examine_settings(const struct doctor_host *host, struct findings *findings)
{
	if (*host->alarm) {
		find(findings, "host", "restore", LEVEL_BAD, "less is in force than was saved: %s",
		     host->alarm);
		mend(findings, "systemctl restart weir-restore");
	}
	if (!host->attached)
		find(findings, "host", "settings", LEVEL_WARN, "weir is attached to no interface");
	if (!host->something_set) {
		find(findings, "host", "settings", LEVEL_WARN, "no limit, budget, rule, entry or list is "
		     "set, so everything passes");
		mend(findings, "weir limit set syn rate 100pps");
	} else {
		find(findings, "host", "settings", LEVEL_OK, "settings that can drop are in force");
	}
}

static void examine_daemon(const struct doctor_host *host, struct findings *findings)
{
	char age[FORMAT_LEN];

	format_left(host->daemon_age_s > 0 ? host->daemon_age_s : 0, age);
	if (host->daemon_up && host->daemon_judges)
		find(findings, "host", "daemon", LEVEL_NOTE, "the daemon is up in mode judge: it bans "
		     "nothing (`mode: enforce` in /etc/weir/weir.yaml)");
	else if (host->daemon_up)
		find(findings, "host", "daemon", LEVEL_OK, "the daemon is up and enforces");
	else if (host->daemon_ran)
		find(findings, "host", "daemon", LEVEL_WARN, "the daemon has been silent for %s: it stopped "
		     "or hangs; limits, lists and bans are in force without it", age);
	else
		find(findings, "host", "daemon", LEVEL_NOTE, "the daemon never ran: nothing is banned, lists "
		     "are not kept up to date, and there are no metrics");
	if (!host->daemon_up && host->daemon_enabled != NOT_TOLD)
		mend(findings, host->daemon_ran ? "systemctl restart weir" :
						  "systemctl enable --now weir");
	else if (host->daemon_up && host->daemon_enabled == TOLD_NO) {
		find(findings, "host", "boot", LEVEL_NOTE, "weir.service is not enabled, so the daemon does "
		     "not start at the next boot");
		mend(findings, "systemctl enable weir");
	}
}

void doctor_examine_host(const struct doctor_host *host, struct findings *findings)
{
	examine_settings(host, findings);
	examine_daemon(host, findings);
	examine_kernel(host, findings);
	examine_clock(host, findings);
	examine_sysctls(host, findings);
	examine_memory(host, findings);
}
