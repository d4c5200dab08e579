// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/weir.skel.h"
#include "user/model/error.h"
#include "user/model/text.h"
#include "user/state/cookie_clock.h"
#include "user/state/datapath.h"
#include "user/state/kernel_words.h"
#include "user/state/programs.h"
#include "user/state/stack.h"
#include "user/state/tcp_window.h"

/*
 * Under a dispatcher, programs with a low number run first. A packet that weir passes goes on
 * to the next program.
 */
#define RUN_PRIORITY	10

#define MTU_DEFAULT	1500
#define MTU_LEAST	576

/* Buckets get one part in 50 of the memory; each takes about 144 bytes of the hash. */
#define BUCKETS_SHARE	50
#define BUCKET_BYTES	144
#define BUCKETS_MIN	(1U << 16)

/* An MTU that every driver's XDP takes: a page less headroom, header and bookkeeping. */
#define PAGE_MTU	3000

static bool verbose_logs;

/* The verifier's log has lines; it also has names of foreign programs. */
static int print_log(const char *format, va_list args)
{
	char *text;
	int length = vasprintf(&text, format, args);

	if (length < 0)
		return 0;
	kernel_words_note(text);
	if (verbose_logs)
		text_print_lines(stderr, text);
	free(text);
	return length;
}

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level != LIBBPF_DEBUG ? print_log(format, args) : 0;
}

static int print_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	return verbose_logs && level != LIBXDP_DEBUG ? print_log(format, args) : 0;
}

void datapath_verbose(bool verbose)
{
	verbose_logs = verbose;
	libbpf_set_print(print_libbpf);
	libxdp_set_print(print_libxdp);
}

/* ---- the object and its maps ---- */

static struct bpf_map *skeleton_map(const struct weir_bpf *skel, enum map_id id)
{
	return bpf_object__find_map_by_name(skel->obj, map_names[id]);
}

/* The largest power of two for which the table takes at most 2 % of the memory. */
static uint32_t bucket_entries(void)
{
	uint64_t share = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / BUCKETS_SHARE;
	uint32_t entries = WEIR_BUCKETS;

	while (entries > BUCKETS_MIN && (uint64_t)entries * BUCKET_BYTES > share)
		entries /= 2;
	return entries;
}

uint64_t datapath_sources_bytes(void)
{
	return (uint64_t)bucket_entries() * BUCKET_BYTES;
}

int datapath_create_maps(struct maps *maps, char *err)
{
	struct weir_bpf *skel = weir_bpf__open();
	int rc;

	if (!skel)
		return fail(err, errno, "cannot open the BPF object that is built into weir: %s",
			    strerror(errno));
	bpf_program__set_autoload(skel->progs.weir_ingress, false);
	bpf_map__set_max_entries(skel->maps.buckets, bucket_entries());
	rc = weir_bpf__load(skel);
	if (rc)
		fail(err, -rc, "cannot create the maps of the data path: %s%s", strerror(-rc),
		     rc == -EPERM ? " (weir needs root)" : "");
	for (int i = 0; i < MAP_COUNT && !rc; i++) {
		maps->fd[i] = dup(bpf_map__fd(skeleton_map(skel, i)));
		if (maps->fd[i] < 0)
			rc = fail(err, errno, "cannot keep map %s open: %s", map_names[i],
				  strerror(errno));
	}
	weir_bpf__destroy(skel);
	return rc;
}

/* In bytes: the MSS that an answered SYN offers follows from it. */
static uint16_t mtu_of(const struct weir_device *device)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);	/* any family has the request */
	struct ifreq request = { .ifr_mtu = MTU_DEFAULT };

	if (fd < 0)
		return MTU_DEFAULT;
	if (!if_indextoname(device->ifindex, request.ifr_name) ||
	    ioctl(fd, SIOCGIFMTU, &request) || request.ifr_mtu < MTU_LEAST)
		request.ifr_mtu = MTU_DEFAULT;
	close(fd);
	return request.ifr_mtu < UINT16_MAX ? request.ifr_mtu : UINT16_MAX;
}

static void set_clock(struct weir_bpf *skel)
{
	struct cookie_clock clock;

	cookie_clock_read(&clock);
	skel->rodata->clock_fresh = clock.fresh;
	skel->rodata->clock_stamp_at = clock.stamp_at;
	skel->rodata->clock_group_at = clock.group_at;
	skel->rodata->clock_group_stamp_at = clock.group_stamp_at;
}

static void set_window(struct weir_bpf *skel)
{
	struct tcp_window window;

	tcp_window_read(&window);
	skel->rodata->window_next_at = window.next_at;
	skel->rodata->window_size_at = window.size_at;
}

/* The program of one device on the pinned maps, not loaded yet. NULL with @err. */
static struct weir_bpf *open_program(const struct maps *maps, uint32_t slot,
				     const struct weir_device *device, char *err)
{
	struct weir_bpf *skel = weir_bpf__open();
	int rc = skel ? 0 : -errno;

	for (int i = 0; i < MAP_COUNT && !rc; i++)
		rc = bpf_map__reuse_fd(skeleton_map(skel, i), maps->fd[i]);
	if (rc) {
		fail(err, -rc, "cannot open the BPF program on the pinned maps: %s", strerror(-rc));
		weir_bpf__destroy(skel);
		return NULL;
	}
	skel->rodata->device_slot = slot;
	skel->rodata->monitor = device->monitor;
	skel->rodata->try_until_ns = device->try_until_ns;
	skel->rodata->monitor_after = device->fallback != WEIR_BACK_TO_ENFORCING;
	skel->rodata->mtu = mtu_of(device);
	skel->rodata->bare = device->bare;
	skel->rodata->minute_shift = maps->meta.minute_shift;
	skel->rodata->link_cost = device->link_pps ? WEIR_TICKS_PER_S / device->link_pps : 0;
	set_clock(skel);
	set_window(skel);
	return skel;
}

/* ---- what is on an interface ---- */

static int look_at(const struct maps *maps, const struct weir_device *device,
		   struct programs *found, char *err)
{
	int rc = programs_read(maps, device->ifindex, found);

	return rc ? fail(err, -rc, "%s: cannot find out which XDP programs are on it: %s%s",
			 device->name, strerror(-rc), rc == -EPERM ? " (weir needs root)" : "") : 0;
}

/*
 * Without root no program may be opened. Then a lone program is recognised by its id, and one
 * under a dispatcher is assumed to be where attach recorded a dispatcher.
 */
int datapath_is_attached(const struct maps *maps, const struct weir_device *device)
{
	struct programs found;
	__u32 id = 0;
	int rc;

	if (!bpf_xdp_query_id(device->ifindex, 0, &id) && (!id || id == device->prog_id))
		return id != 0;
	if (!program_lives(id))
		return 0;
	rc = programs_read(maps, device->ifindex, &found);
	if (rc && geteuid())
		return device->dispatcher;
	return rc ? rc : found.ours || (device->dispatcher && geteuid());
}

/* ---- attaching ---- */

static const char *mode_name(enum xdp_attach_mode mode)
{
	return mode == XDP_MODE_SKB ? "skb" : "native";
}

/*
 * A netlink request was refused: the error, the kernel's words, and, where weir is on a device above,
 * that one.
 */
static int fail_link(const struct maps *maps, const struct weir_device *device, const char *what,
		     int rc, char *err)
{
	char above[16];

	if (stack_above(maps, device->ifindex, above))
		return fail(err, -rc, "%s: %s: %s%s; weir is on %s above it: `weir detach dev %s "
			    "keep` first", device->name, what, strerror(-rc), kernel_words(), above,
			    above);
	return fail(err, -rc, "%s: %s: %s%s", device->name, what, strerror(-rc), kernel_words());
}

/* Exchanges our lone program for a new one in one step: no packet goes unfiltered. */
static int swap_lone(const struct maps *maps, struct weir_bpf *skel, struct weir_device *device,
		     const struct programs *found, char *err)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	uint32_t flags = XDP_FLAGS_REPLACE;
	int rc;

	rc = weir_bpf__load(skel);
	if (rc)
		return fail(err, -rc, "the kernel refuses to load the program: %s (-v shows why)",
			    strerror(-rc));
	flags |= found->mode == XDP_MODE_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	opts.old_prog_fd = bpf_prog_get_fd_by_id(found->ours);
	rc = opts.old_prog_fd < 0 ? -errno : bpf_xdp_attach(device->ifindex,
					bpf_program__fd(skel->progs.weir_ingress), flags, &opts);
	if (opts.old_prog_fd >= 0)
		close(opts.old_prog_fd);
	if (rc)
		return fail_link(maps, device, "the old program goes on, as the kernel refuses the new "
				 "one", rc, err);
	device->prog_id = program_id_of(bpf_program__fd(skel->progs.weir_ingress));
	device->mode = found->mode == XDP_MODE_SKB ? WEIR_MODE_SKB : WEIR_MODE_NATIVE;
	device->dispatcher = 0;
	return 0;
}

static int attach_by_libxdp(struct weir_bpf *skel, struct weir_device *device,
			    enum xdp_attach_mode mode)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = skel->obj, .prog_name = "weir_ingress");
	struct xdp_program *program = xdp_program__create(&opts);
	int rc = libxdp_get_error(program);

	if (rc)
		return rc;
	rc = xdp_program__set_run_prio(program, RUN_PRIORITY);
	if (!rc)
		rc = xdp_program__set_chain_call_enabled(program, XDP_PASS, true);
	if (!rc)
		rc = xdp_program__attach(program, device->ifindex, mode, 0);
	if (!rc) {
		device->prog_id = xdp_program__id(program);
		device->mode = mode == XDP_MODE_SKB ? WEIR_MODE_SKB : WEIR_MODE_NATIVE;
	}
	xdp_program__close(program);
	return rc;
}

static int refuse_stranger(const struct weir_device *device, const struct programs *found,
			   char *err)
{
	return fail(err, EBUSY, "%s: XDP program %s (id %u) is there alone and not under libxdp's "
		    "dispatcher, so weir cannot join it and will not displace it; detach it first "
		    "(ip link set dev %s xdp off) if you may", device->name, found->lone_name,
		    found->lone, device->name);
}

static int explain(const struct weir_device *device, enum xdp_attach_mode mode, int rc, char *err)
{
	char why[256];
	size_t length;

	libxdp_strerror(rc, why, sizeof(why));
	length = strlen(why);
	snprintf(why + length, sizeof(why) - length, "%s", kernel_words());
	if (rc == -EPERM)
		return fail(err, EPERM, "%s: not permitted (weir needs root)", device->name);
	if (mode == XDP_MODE_NATIVE && mtu_of(device) > PAGE_MTU)
		return fail(err, -rc, "%s: cannot attach in native mode: %s; with its MTU of %d a "
			    "frame takes more than one page, which drivers refuse: `ip link set dev "
			    "%s mtu %d` (on a veth that of its peer too), or attach with mode skb",
			    device->name, why, mtu_of(device), device->name, PAGE_MTU);
	return fail(err, -rc, "%s: cannot attach in %s mode: %.180s%s", device->name, mode_name(mode),
		    why, *kernel_words() ? "" : " (-v shows more)");
}

/* Opens the object anew for each mode, as a load that failed leaves it unusable. */
static int attach_in_mode(struct maps *maps, uint32_t slot, struct weir_device *device,
			  enum xdp_attach_mode mode, char *err)
{
	struct weir_bpf *skel = open_program(maps, slot, device, err);
	struct programs found;
	int rc;

	if (!skel)
		return -EIO;
	rc = attach_by_libxdp(skel, device, mode);
	weir_bpf__destroy(skel);
	if (rc)
		return explain(device, mode, rc, err);
	device->dispatcher = programs_read(maps, device->ifindex, &found) || !found.lone;
	return 0;
}

/* Under a dispatcher the new program is added before the old one is removed. */
static int attach_anew(struct maps *maps, uint32_t slot, struct weir_device *device,
		       enum attach_mode mode, const struct programs *found,
		       struct attach_result *result, char *err)
{
	enum xdp_attach_mode first = mode == ATTACH_SKB ? XDP_MODE_SKB : XDP_MODE_NATIVE;
	int rc;

	if (found->ours || found->others)
		first = found->mode;
	rc = attach_in_mode(maps, slot, device, first, err);
	if (rc && mode == ATTACH_AUTO && first == XDP_MODE_NATIVE && rc != -EPERM &&
	    rc != -ENODEV && rc != -EBUSY && rc != -EEXIST) {
		snprintf(result->why, sizeof(result->why), "%s", err);
		rc = attach_in_mode(maps, slot, device, XDP_MODE_SKB, err);
		result->fell_back = !rc;
	}
	if (!rc && found->ours)
		programs_leave_dispatcher(device->ifindex, found->ours, found->mode);
	return rc;
}

int datapath_attach(struct maps *maps, uint32_t slot, struct weir_device *device,
		    enum attach_mode mode, struct attach_result *result, char *err)
{
	struct weir_bpf *skel;
	struct programs found;
	int rc;

	*result = (struct attach_result){ 0 };
	kernel_words_clear();
	rc = look_at(maps, device, &found, err);
	if (rc)
		return rc;
	if (found.lone && !found.ours)
		return refuse_stranger(device, &found, err);
	if (found.ours && mode != ATTACH_AUTO &&
	    (mode == ATTACH_SKB) != (found.mode == XDP_MODE_SKB))
		return fail(err, EBUSY, "%s: weir is attached in %s mode, and changing the mode "
			    "would leave a gap; `weir detach dev %s keep` first", device->name,
			    mode_name(found.mode), device->name);
	result->replaced = found.ours != 0;
	if (!found.lone)
		return attach_anew(maps, slot, device, mode, &found, result, err);

	skel = open_program(maps, slot, device, err);
	if (!skel)
		return -EIO;
	rc = swap_lone(maps, skel, device, &found, err);
	weir_bpf__destroy(skel);
	return rc;
}

/* ---- detaching ---- */

/* The kernel detaches it only if the program on the interface is still this one. */
static int detach_lone(const struct weir_device *device, const struct programs *found)
{
	uint32_t flags = found->mode == XDP_MODE_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	int rc;

	opts.old_prog_fd = bpf_prog_get_fd_by_id(found->ours);
	if (opts.old_prog_fd < 0)
		return -errno;
	rc = bpf_xdp_detach(device->ifindex, flags, &opts);
	close(opts.old_prog_fd);
	return rc;
}

int datapath_detach(const struct maps *maps, const struct weir_device *device, char *err)
{
	struct programs found;
	int rc = look_at(maps, device, &found, err);

	kernel_words_clear();
	if (rc)
		return rc;
	if (!found.ours)
		return 0;
	rc = found.lone ? detach_lone(device, &found) :
			  programs_leave_dispatcher(device->ifindex, found.ours, found.mode);
	return rc ? fail_link(maps, device, "cannot detach", rc, err) : 1;
}
