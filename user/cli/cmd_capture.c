// SPDX-License-Identifier: GPL-2.0-only
/* weir capture: samples of packets, each with its reason and action, as a pcapng file. */
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/cli/output.h"
#include "user/model/error.h"
#include "user/model/format.h"
#include "user/model/pcapng.h"
#include "user/cli/watch.h"
#include "user/model/reasons.h"

#define NOT_YET	UINT32_MAX

struct capture {
	struct watch watch;
	const struct call *call;
	struct watch_words words;
	FILE *file;
	bool regular;		/* a file of the file system, not a pipe */
	off_t whole;		/* bytes of it that end with a complete block */
	uint32_t interface[WEIR_DEVICES];	/* its number in the file, or NOT_YET */
	uint32_t interfaces;
	uint64_t written;
	int error;		/* of writing the file, negative; 0: none */
};

static void end_for_error(struct capture *capture, int error)
{
	capture->error = error;
	capture->watch.end = WATCH_FAILED;
}

/* An interface is described before its first packet. */
static int describe_interface(struct capture *capture, uint32_t slot)
{
	const char *name = capture->watch.device[slot];
	char text[64];
	int rc;

	if (capture->interface[slot] != NOT_YET)
		return 0;
	snprintf(text, sizeof(text), "packets as weir judged them on %s", name);
	rc = pcapng_interface(capture->file, capture->watch.bare[slot] ? PCAPNG_RAW_IP :
									 PCAPNG_ETHERNET,
			      name, text, WEIR_SNAP);
	if (!rc)
		capture->interface[slot] = capture->interfaces++;
	return rc;
}

static void write_packet(const struct weir_event *event, void *arg)
{
	struct capture *capture = arg;
	uint32_t slot = event->slot % WEIR_DEVICES;
	struct pcapng_packet packet = {
		.unix_ns = event->time_ns + capture->watch.unix_offset_ns,
		.data = event->data,
		.captured = event->snap < WEIR_SNAP ? event->snap : WEIR_SNAP,
		.length = event->bytes,
		.xdp_action = event->passed ? XDP_PASS : XDP_DROP,
	};
	char comment[128];
	int rc;

	if (capture->watch.end)
		return;
	snprintf(comment, sizeof(comment), "reason %s; action %s; weight %" PRIu64,
		 reason_name(event->reason), event_action(event), (uint64_t)event->weight);
	packet.comment = comment;
	rc = describe_interface(capture, slot);
	packet.interface = capture->interface[slot];
	if (!rc)
		rc = pcapng_packet(capture->file, &packet);
	if (rc) {
		end_for_error(capture, rc);
		return;
	}
	capture->written++;
	if (capture->words.count && capture->written >= capture->words.count)
		capture->watch.end = WATCH_ENOUGH;
}

static void flush(void *arg)
{
	struct capture *capture = arg;

	if (fflush(capture->file))
		end_for_error(capture, -errno);
	else if (watch_reader_left(fileno(capture->file)))
		end_for_error(capture, -EPIPE);
	else if (capture->regular)
		capture->whole = ftello(capture->file);
}

/* ---- the file ---- */

static bool to_stdout(const struct capture *capture)
{
	return !strcmp(capture->words.file, "-");
}

static int open_file(struct capture *capture, char *err)
{
	struct stat st;
	int rc;

	capture->file = to_stdout(capture) ? stdout : fopen(capture->words.file, "we");
	if (!capture->file)
		return fail(err, errno, "cannot write to %s: %s", capture->words.file,
			    strerror(errno));
	capture->regular = !fstat(fileno(capture->file), &st) && S_ISREG(st.st_mode) &&
			   !to_stdout(capture);
	rc = pcapng_section(capture->file, "weir", "samples of packets; the comment of each gives the "
			    "reason, the action and the number of packets that it represents (weight)");
	if (!rc && fflush(capture->file))
		rc = -errno;
	return rc ? fail(err, -rc, "cannot write to %s: %s", capture->words.file, strerror(-rc)) : 0;
}

/* After a full disk the incomplete last block is cut off, so that readers can open the file. */
static void close_file(struct capture *capture)
{
	if (capture->error && capture->regular && ftruncate(fileno(capture->file), capture->whole))
		failed(capture->call, "%s: its last packet is incomplete", capture->words.file);
	if (to_stdout(capture))
		return;
	if (fclose(capture->file) && !capture->error)
		capture->error = -errno;
}

/* ---- the command ---- */

static int parse_capture(const struct call *call, struct watch_words *w, char *err)
{
	static const struct word table[] = {
		WATCH_WORDS,
		WORD_TEXT("write", "a file, or - for standard output", struct watch_words, file),
		{ 0 },
	};
	int rc = watch_parse(call->words, table, w, err);

	if (rc)
		return rc;
	if (!w->file)
		return fail(err, EINVAL, "capture needs write FILE, such as write drops.pcapng");
	if (strcmp(w->file, "-"))
		return 0;
	if (call->json)
		return fail(err, EINVAL, "write - and -j both use standard output");
	if (isatty(STDOUT_FILENO))
		return fail(err, EINVAL, "write - is for a pipe: a terminal cannot show packets");
	return 0;
}

static void say_end(const struct capture *capture, enum watch_end end,
		    const struct listen_totals *totals)
{
	if (end == WATCH_DETACHED)
		remark(capture->call, "weir is detached: there is nothing more to capture");
	remark(capture->call, "%s: %" PRIu64 " packets matched, %" PRIu64 " written, %" PRIu64
	       " samples lost", capture->words.file, totals->packets, capture->written,
	       totals->lost);
}

static enum outcome report(const struct capture *capture, enum watch_end end,
			   const struct listen_totals *totals)
{
	if (!capture->call->json)
		say_end(capture, end, totals);
	return print_json(capture->call, json_pack("{s:s, s:I, s:I, s:I}", "file",
						   capture->words.file, "matched",
						   (json_int_t)totals->packets, "written",
						   (json_int_t)capture->written, "lost",
						   (json_int_t)totals->lost));
}

/* The file is opened after the maps, so that an older one is not overwritten in vain. */
static enum outcome run_capture(struct capture *capture)
{
	struct listen_totals totals;
	enum watch_end end;
	char err[ERR_LEN];

	if (watch_open(&capture->watch, &capture->words, write_packet, err))
		return failed(capture->call, "%s", err);
	if (open_file(capture, err)) {
		watch_close(&capture->watch);
		return failed(capture->call, "%s", err);
	}
	if (!capture->watch.attached)
		remark(capture->call, "weir is on no interface yet: waiting for `weir attach`");
	end = watch_run(&capture->watch);
	totals = watch_close(&capture->watch);
	close_file(capture);
	if (capture->error == -EPIPE)
		watch_die_of_pipe();
	if (capture->error)
		failed(capture->call, "cannot write to %s: %s", capture->words.file,
		       strerror(-capture->error));
	return report(capture, end, &totals) == DONE && end != WATCH_FAILED && !capture->error ?
		       DONE : FAILED;
}

enum outcome cmd_capture(const struct call *call)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	enum outcome outcome;
	char err[ERR_LEN];

	if (!capture)
		return failed(call, "out of memory");
	*capture = (struct capture){ .watch = { .flush = flush, .arg = capture }, .call = call };
	memset(capture->interface, 0xff, sizeof(capture->interface));
	outcome = parse_capture(call, &capture->words, err) ? usage(call, "%s", err) :
							       run_capture(capture);
	free(capture);
	return outcome;
}
