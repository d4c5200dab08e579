// SPDX-License-Identifier: GPL-2.0-only
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "user/host/file.h"
#include "user/host/listening.h"
#include "user/host/servers.h"
#include "user/model/error.h"

#define FILE_MOST	(256 << 10)
#define BLANKS		" \t\r="

/* A format: the words that begin a line with a server, or with several. */
struct format {
	const char *keys[4];	/* ends with NULL */
	bool several;
};

static const struct format resolv_format = { { "nameserver" } };
static const struct format ntp_format = { { "server", "pool", "peer" } };
static const struct format timesyncd_format = { { "NTP", "FallbackNTP" }, .several = true };

/* The stub of systemd-resolved stands for the servers in that daemon's own file. */
static bool is_stub(const struct prefix *address)
{
	uint32_t v4 = address->lo;

	return prefix_is_v4(address) && (v4 == 0x7f000035 || v4 == 0x7f000036);
}

static bool is_loopback(const struct prefix *address)
{
	return prefix_is_v4(address) ? (address->lo >> 24 & 0xff) == 127 :
				       !address->hi && address->lo == 1;
}

static void add_address(struct servers *servers, const struct prefix *address)
{
	if (is_stub(address))
		return;
	if (is_loopback(address)) {
		servers->local++;
		return;
	}
	for (size_t i = 0; i < servers->count; i++)
		if (!prefix_cmp(&servers->at[i], address))
			return;
	if (servers->count == SERVERS_MOST)
		servers->too_many = true;
	else
		servers->at[servers->count++] = *address;
}

/* @word: an address, perhaps with a zone, or a name. */
static void add_server(struct servers *servers, struct server_file *file, char *word)
{
	struct prefix address;
	char ignored[ERR_LEN];

	word[strcspn(word, "%")] = '\0';
	if (!prefix_parse(word, &address, NULL, ignored) && address.length == 128) {
		file->addresses++;
		add_address(servers, &address);
	} else {
		file->names++;
		servers->names++;
	}
}

static void read_line(struct servers *servers, struct server_file *file,
		      const struct format *format, char *line)
{
	char *left, *word = strtok_r(line, BLANKS, &left);
	bool known = false;

	for (int i = 0; word && format->keys[i]; i++)
		known |= !strcmp(word, format->keys[i]);
	while (known && (word = strtok_r(NULL, BLANKS, &left))) {
		add_server(servers, file, word);
		if (!format->several)
			return;
	}
}

/* A file that is not there, or that cannot be read, names no server. */
static void read_file(struct servers *servers, const struct format *format, const char *path)
{
	struct server_file *file = &servers->file[servers->files];
	struct file_text text;
	char ignored[ERR_LEN], *left, *line;

	if (file_read(path, FILE_MOST, &text, ignored))
		return;
	if (servers->files == SERVER_FILES) {
		servers->too_many = true;
		file_text_free(&text);
		return;
	}
	*file = (struct server_file){ 0 };
	snprintf(file->path, sizeof(file->path), "%s", path);
	servers->files++;
	for (line = strtok_r(text.data, "\n", &left); line; line = strtok_r(NULL, "\n", &left))
		read_line(servers, file, format, line);
	file_text_free(&text);
}

static void read_files(struct servers *servers, const struct format *format, const char *pattern)
{
	glob_t found;

	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		read_file(servers, format, found.gl_pathv[i]);
	globfree(&found);
}

static void add_peer(const struct prefix *peer, void *servers)
{
	add_address(servers, peer);
}

void read_resolv_conf(struct servers *servers)
{
	*servers = (struct servers){ 0 };
	read_file(servers, &resolv_format, "/etc/resolv.conf");
	read_file(servers, &resolv_format, "/run/systemd/resolve/resolv.conf");
}

void read_resolvers(struct servers *servers)
{
	read_resolv_conf(servers);
	udp_peers(53, add_peer, servers);
}

void read_time_servers(struct servers *servers)
{
	static const char *const ntp[] = {
		"/etc/chrony.conf", "/etc/chrony/chrony.conf", "/etc/chrony.d/*.conf",
		"/etc/chrony/conf.d/*.conf", "/etc/chrony/sources.d/*.sources",
		"/run/chrony-dhcp/*.sources", "/etc/ntp.conf", "/etc/ntpsec/ntp.conf",
	};

	*servers = (struct servers){ 0 };
	for (size_t i = 0; i < sizeof(ntp) / sizeof(*ntp); i++)
		read_files(servers, &ntp_format, ntp[i]);
	read_file(servers, &timesyncd_format, "/etc/systemd/timesyncd.conf");
	read_files(servers, &timesyncd_format, "/etc/systemd/timesyncd.conf.d/*.conf");
	udp_peers(123, add_peer, servers);
}
