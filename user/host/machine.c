// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "user/host/ethtool.h"
#include "user/host/machine.h"
#include "user/host/rtnl.h"
#include "user/host/tcp.h"
#include "user/model/text.h"

#define IRQS_MOST	4096	/* of one card */
#define CPUS_MOST	8192

/* The first line of a file of the kernel, without its end. False: it cannot be read. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool got = file && fgets(line, size, file);

	if (file)
		fclose(file);
	if (!got)
		*line = '\0';
	line[strcspn(line, "\n")] = '\0';
	return got;
}

/* ---- the host ---- */

static uint64_t read_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib * 1024;
}

/* What `systemctl enable weir` makes. Without systemd nothing is told. */
static enum told read_enabled(void)
{
	if (access("/run/systemd/system", F_OK))
		return NOT_TOLD;
	return access("/etc/systemd/system/multi-user.target.wants/weir.service", F_OK) ? TOLD_NO :
											  TOLD_YES;
}

void machine_read_host(struct doctor_host *host)
{
	struct utsname name;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	host->cpus = cpus > 0 ? cpus : 1;
	if (!uname(&name)) {
		snprintf(host->release, sizeof(host->release), "%.64s", name.release);
		sscanf(name.release, "%u.%u", &host->kernel_major, &host->kernel_minor);
	}
	read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		  host->clocksource, sizeof(host->clocksource));
	host->jit = read_sysctl("/proc/sys/net/core/bpf_jit_enable");
	host->budget = read_sysctl("/proc/sys/net/core/netdev_budget");
	host->backlog = read_sysctl("/proc/sys/net/core/netdev_max_backlog");
	host->syncookies = read_sysctl(SYSCTL_SYNCOOKIES);
	host->syn_backlog = read_sysctl("/proc/sys/net/ipv4/tcp_max_syn_backlog");
	host->somaxconn = read_sysctl("/proc/sys/net/core/somaxconn");
	host->available_bytes = read_available();
	host->daemon_enabled = read_enabled();
}

/* ---- interrupts ---- */

/* /sys shows the interfaces of the network namespace that it was mounted in. */
static bool sysfs_is_ours(const char *name)
{
	char path[128], line[32];

	snprintf(path, sizeof(path), "/sys/class/net/%s/ifindex", name);
	return read_line(path, line, sizeof(line)) && strtoul(line, NULL, 10) == if_nametoindex(name);
}

/* The name that a driver gave to an interrupt, such as "eth0-TxRx-3" or "virtio0-input.0". */
static bool is_of_a_receiving_queue(unsigned int irq)
{
	static const char *const others[] = { "config", "control", "output", "async", "mgmnt", "-tx-",
					      "other" };
	char path[64];
	bool receives = true;
	struct dirent *each;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/irq/%u", irq);
	folder = opendir(path);
	if (!folder)
		return false;
	while (receives && (each = readdir(folder)))
		for (size_t i = 0; each->d_type == DT_DIR && i < sizeof(others) / sizeof(*others); i++)
			receives &= !strstr(each->d_name, others[i]);
	closedir(folder);
	return receives;
}

/* The CPUs that were met before, a bit for each. */
struct cpus {
	uint64_t bits[CPUS_MOST / 64];
};

static void add_irq(struct doctor_device *device, struct cpus *cpus, unsigned int irq)
{
	char path[64], line[256];
	uint32_t cpu;

	snprintf(path, sizeof(path), "/proc/irq/%u/effective_affinity_list", irq);
	if (!is_of_a_receiving_queue(irq) || !read_line(path, line, sizeof(line)) || !*line ||
	    device->irqs >= IRQS_MOST)
		return;
	cpu = strtoul(line, NULL, 10) % CPUS_MOST;
	device->irq_cpus += !(cpus->bits[cpu / 64] >> cpu % 64 & 1);
	cpus->bits[cpu / 64] |= 1ULL << cpu % 64;
	device->irqs++;
	device->irq = irq;
	device->irq_cpu = cpu;
}

/* A virtio device has its interrupts at the PCI device above it. */
static void read_irqs(const char *name, struct doctor_device *device)
{
	static const char *const places[] = { "device/msi_irqs", "device/../msi_irqs" };
	struct cpus cpus = { { 0 } };
	struct dirent *each;
	char path[128];
	DIR *folder = NULL;

	for (size_t i = 0; i < 2 && !folder; i++) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/%s", name, places[i]);
		folder = opendir(path);
	}
	while (folder && (each = readdir(folder)))
		if (*each->d_name != '.')
			add_irq(device, &cpus, strtoul(each->d_name, NULL, 10));
	if (folder)
		closedir(folder);
}

static enum told read_rps(const char *name)
{
	char path[128], line[1024];

	snprintf(path, sizeof(path), "/sys/class/net/%s/queues/rx-0/rps_cpus", name);
	if (!read_line(path, line, sizeof(line)))
		return NOT_TOLD;
	return line[strspn(line, "0,")] ? TOLD_YES : TOLD_NO;
}

/* ---- an interface ---- */

static void read_link(const char *name, struct doctor_device *device)
{
	struct ifreq ifr = { .ifr_flags = 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	device->up = !ioctl(fd, SIOCGIFFLAGS, &ifr) && ifr.ifr_flags & IFF_UP;
	if (!ioctl(fd, SIOCGIFMTU, &ifr) && ifr.ifr_mtu > 0)
		device->mtu = ifr.ifr_mtu;
	close(fd);
}

static enum told told(int rc, bool is)
{
	return rc ? NOT_TOLD : is ? TOLD_YES : TOLD_NO;
}

static void read_amount(int (*read)(const char *, struct ethtool_amount *), const char *name,
			struct doctor_amount *amount)
{
	struct ethtool_amount found;

	if (!read(name, &found))
		*amount = (struct doctor_amount){ true, found.now, found.most };
}

void machine_read_device(const char *name, struct doctor_device *device)
{
	bool is = false;
	int rc;

	snprintf(device->name, sizeof(device->name), "%s", name);
	text_make_plain(device->name);
	ethtool_driver(name, device->driver);
	read_link(name, device);
	rc = link_has_native_xdp(if_nametoindex(name), &is);
	device->native = told(rc, is);
	read_amount(ethtool_queues, name, &device->queues);
	device->queues_are_rx = ethtool_queues_are_rx(name);
	read_amount(ethtool_ring, name, &device->ring);
	rc = ethtool_lro(name, &is);
	device->lro = told(rc, is);
	rc = ethtool_gro(name, &is);
	device->gro = told(rc, is);
	if (!sysfs_is_ours(name))
		return;
	read_irqs(name, device);
	device->rps = read_rps(name);
}
