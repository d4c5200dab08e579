/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `weir doctor` finds: facts about this machine and its interfaces become findings, each with
 * the command that mends it. Pure: user/host and user/state gather the facts.
 */
#ifndef WEIR_MODEL_DOCTOR_H
#define WEIR_MODEL_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An MTU that every driver's native XDP takes: a page less headroom, header and bookkeeping. */
#define DOCTOR_MTU	3000

/* A yes or no that may not have been told. */
enum told { NOT_TOLD, TOLD_NO, TOLD_YES };

struct doctor_amount {
	bool told;
	uint32_t now, most;
};

/* Of an interface, attached or not. Texts are plain and NUL-terminated; "" where there is none. */
struct doctor_device {
	char name[16];
	char driver[32];		/* "": the driver does not answer ethtool */
	bool recorded;			/* weir was attached to it, and not detached */
	bool attached;			/* the program is there */
	bool skb, monitor, on_trial;
	uint64_t attached_s;		/* for how long, in seconds */
	uint32_t others;		/* XDP programs beside weir's under the dispatcher */
	char stranger[32];		/* a program that has the interface for itself */
	bool up;
	uint32_t mtu;			/* bytes; 0: not told */
	enum told native;		/* whether the driver has native XDP */
	struct doctor_amount queues;	/* that receive; most: that the driver accepts */
	bool queues_are_rx;		/* what `ethtool -L` calls them: rx, else combined */
	struct doctor_amount ring;	/* descriptors of a receiving queue */
	enum told lro, gro;
	uint32_t irqs, irq_cpus;	/* interrupts of its queues, and on how many CPUs; 0: not told */
	uint32_t irq, irq_cpu;		/* one of them, and its CPU */
	enum told rps;			/* whether packets are spread to other CPUs behind weir */
	char lost[256];			/* packets that weir never saw, by counter */
	char losing[512];		/* the alarm about these */
};

struct doctor_host {
	uint32_t cpus;			/* online */
	uint32_t kernel_major, kernel_minor;
	char release[65];
	char clocksource[32];
	/* sysctls; -1: not visible in this network namespace */
	long jit, budget, backlog, syncookies, syn_backlog, somaxconn;
	uint64_t available_bytes;	/* MemAvailable; 0: not told */
	uint64_t tables_bytes;		/* kernel memory that weir's tables have, or would take */
	bool in_use;			/* the tables exist */
	uint32_t attached;		/* interfaces */
	bool something_set;		/* a limit, budget, rule, entry or list that can drop */
	bool protects_syn;		/* SYN cookies of weir */
	bool daemon_ran;
	double daemon_age_s;		/* since its last loop */
	bool daemon_up, daemon_judges;	/* judges: it bans nothing */
	enum told daemon_enabled;	/* at boot, by systemd; NOT_TOLD: no systemd */
	char alarm[512];		/* what could not be restored at boot */
};

enum level { LEVEL_OK, LEVEL_NOTE, LEVEL_WARN, LEVEL_BAD };
/* "ok", "note", "warn", "bad" */
const char *level_name(enum level level);

struct finding {
	enum level level;
	char subject[16];		/* the interface, or "host" */
	const char *check;		/* what was looked at: "driver", "ring", ... */
	char text[640];			/* a sentence, with the figure */
	char remedy[128];		/* the command that mends it; "": none is needed or known */
};
#define FINDINGS	1024		/* 64 devices with 12 findings, and the host */
struct findings {
	struct finding at[FINDINGS];
	size_t count;
};

void doctor_examine_device(const struct doctor_host *host, const struct doctor_device *device,
			   struct findings *findings);
void doctor_examine_host(const struct doctor_host *host, struct findings *findings);
/* The worst of all; LEVEL_OK where there are none. */
enum level findings_worst(const struct findings *findings);

#endif
