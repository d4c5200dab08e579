// SPDX-License-Identifier: GPL-2.0-only
/* weir doctor: gathers the facts for model/doctor.h, and prints what it finds. */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/cli/colour.h"
#include "user/cli/output.h"
#include "user/daemon/daemon.h"
#include "user/host/interfaces.h"
#include "user/host/machine.h"
#include "user/model/doctor.h"
#include "user/model/table.h"
#include "user/state/datapath.h"
#include "user/state/device.h"
#include "user/state/loss_watch.h"
#include "user/state/programs.h"
#include "user/state/session.h"
#include "user/state/side_settings.h"
#include "user/state/snapshot.h"

#define LEVEL_WIDTH	4
#define SUBJECT_WIDTH	15	/* of an interface's name */

/* ---- facts ---- */

/* @maps NULL: weir is not in use, and nothing on the interface is weir's. */
static void read_programs(const struct maps *maps, uint32_t ifindex, struct doctor_device *device)
{
	struct programs found;

	if (programs_read(maps, ifindex, &found))
		return;
	if (found.lone && !found.ours)
		snprintf(device->stranger, sizeof(device->stranger), "%s", found.lone_name);
	else
		device->others = found.others;
}

static void read_record(const struct maps *maps, uint32_t slot, const struct weir_device *record,
			struct doctor_device *device)
{
	int64_t seconds = time(NULL) - (int64_t)record->attached_unix_s;
	struct losses losses;

	device->recorded = true;
	device->attached = device_is_attached(maps, record);
	device->skb = record->mode == WEIR_MODE_SKB;
	device->monitor = record->monitor;
	device->on_trial = record->try_until_ns;
	device->attached_s = seconds > 0 ? seconds : 0;
	loss_watch_read(maps, slot, record, &losses);
	losses_list(&losses.watch.all, device->lost, sizeof(device->lost));
	snprintf(device->losing, sizeof(device->losing), "%s", losses.complaint);
}

/* @name: as the kernel has it, in this network namespace. */
static void examine(const struct maps *maps, const struct doctor_host *host, const char *name,
		    struct findings *findings)
{
	struct doctor_device device = { .name = "" };
	struct weir_device record;
	uint32_t slot = maps ? device_find(maps, name, &record) : WEIR_DEVICES;

	machine_read_device(name, &device);
	read_programs(maps, if_nametoindex(name), &device);
	if (slot != WEIR_DEVICES)
		read_record(maps, slot, &record, &device);
	doctor_examine_device(host, &device, findings);
}

/* Of a removed interface only that is told. */
static void examine_attached(const struct maps *maps, const struct doctor_host *host,
			     struct findings *findings)
{
	struct weir_device record;
	char name[IF_NAMESIZE];

	for (uint32_t slot = 0; device_next(maps, &slot, &record); slot++) {
		struct finding *gone = &findings->at[findings->count];

		if (record.netns != own_netns())
			continue;
		if (if_indextoname(record.ifindex, name)) {
			examine(maps, host, name, findings);
		} else if (findings->count < FINDINGS) {
			findings->count++;
			*gone = (struct finding){ .level = LEVEL_BAD, .check = "attached" };
			memcpy(gone->subject, record.name, sizeof(gone->subject));
			snprintf(gone->text, sizeof(gone->text), "the interface was removed, and weir's "
				 "record of it is left");
			snprintf(gone->remedy, sizeof(gone->remedy), "weir detach dev %s", record.name);
		}
	}
}

static int read_host_of_maps(const struct maps *maps, struct doctor_host *host, char *err)
{
	const char *mode = daemon_mode();
	struct snapshot snapshot;
	struct settings settings;
	int rc = maps_read_settings(maps, &settings, err);

	if (rc)
		return rc;
	host->in_use = true;
	host->tables_bytes = maps_bytes(maps);
	host->something_set = !nothing_is_set(maps, &settings);
	host->protects_syn = settings.policy->syn_rules;
	settings_free(&settings);
	rc = snapshot_read(&snapshot, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < snapshot.device_count; i++)
		host->attached += snapshot.devices[i].attached;
	host->daemon_ran = snapshot.daemon_age_s >= 0;
	host->daemon_age_s = snapshot.daemon_age_s;
	host->daemon_up = snapshot_daemon_is_up(&snapshot);
	host->daemon_judges = mode && !strcmp(mode, "judge");
	snprintf(host->alarm, sizeof(host->alarm), "%.500s", snapshot.alarm);
	snapshot_free(&snapshot);
	return 0;
}

/* @name NULL: each interface that weir is on, or, where it is on none, the one to begin with. */
static int read_all(const char *name, struct findings *findings, char *err)
{
	struct doctor_host host = { .tables_bytes = datapath_sources_bytes() };
	char begin[IF_NAMESIZE];
	struct maps maps;
	int rc = maps_open(&maps, MAPS_READ, err);
	bool in_use = !rc;

	if (rc && rc != -ENOENT)
		return rc;
	machine_read_host(&host);
	rc = in_use ? read_host_of_maps(&maps, &host, err) : 0;
	if (!rc && name)
		examine(in_use ? &maps : NULL, &host, name, findings);
	else if (!rc && host.attached)
		examine_attached(&maps, &host, findings);
	else if (!rc && if_nametoindex(interface_to_begin(begin)))
		examine(in_use ? &maps : NULL, &host, begin, findings);
	if (!rc)
		doctor_examine_host(&host, findings);
	if (in_use)
		maps_close(&maps);
	return rc;
}

/* ---- text ---- */

static void print_finding(const struct finding *finding)
{
	static const enum colour colours[] = { COLOUR_NONE, COLOUR_NONE, COLOUR_YELLOW, COLOUR_RED };
	const int indent = LEVEL_WIDTH + 1 + SUBJECT_WIDTH + 1;

	colour_begin(stdout, colours[finding->level]);
	printf("%-*s", LEVEL_WIDTH, level_name(finding->level));
	colour_end(stdout, colours[finding->level]);
	printf(" %-*s ", SUBJECT_WIDTH, finding->subject);
	print_wrapped(stdout, finding->text, indent, indent);
	if (*finding->remedy)
		printf("%*s%s\n", indent, "", finding->remedy);
}

/* The worst first, and of one level in the order in which they were found. */
static void print_findings(const struct findings *findings)
{
	size_t count[LEVEL_BAD + 1] = { 0 };

	for (int level = LEVEL_BAD; level >= LEVEL_OK; level--)
		for (size_t i = 0; i < findings->count; i++)
			if ((int)findings->at[i].level == level) {
				print_finding(&findings->at[i]);
				count[level]++;
			}
	printf("%zu bad, %zu to be warned of, %zu to note, %zu in order\n", count[LEVEL_BAD],
	       count[LEVEL_WARN], count[LEVEL_NOTE], count[LEVEL_OK]);
}

/* ---- JSON ---- */

static json_t *findings_json(const struct findings *findings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *each = &findings->at[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "level",
						      level_name(each->level), "subject",
						      each->subject, "check", each->check, "text",
						      each->text, "remedy", each->remedy));
	}
	return json_pack("{s:s, s:o}", "worst", level_name(findings_worst(findings)), "findings",
			 list);
}

enum outcome cmd_doctor(const struct call *call)
{
	struct words words = call->words;
	struct findings *findings;
	const char *name = NULL;
	enum outcome outcome;
	char err[ERR_LEN];

	if (take_interface(&words, &name, err))
		return usage(call, "%s", err);
	if (name && !if_nametoindex(name))
		return failed(call, "there is no interface %s in this network namespace; `ip -br link` "
			      "lists them", name);
	findings = calloc(1, sizeof(*findings));
	if (!findings)
		return failed(call, "out of memory");
	if (read_all(name, findings, err)) {
		free(findings);
		return failed(call, "%s", err);
	}
	if (!call->json)
		print_findings(findings);
	outcome = print_json(call, findings_json(findings));
	if (outcome == DONE && findings_worst(findings) == LEVEL_BAD)
		outcome = FAILED;
	free(findings);
	return outcome;
}
