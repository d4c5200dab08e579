// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/host/file.h"
#include "user/host/incident_store.h"
#include "user/host/write_file.h"
#include "user/model/error.h"

#define PATH_LEN	64
#define LISTED_MOST	65536	/* files that are looked at; the daemon keeps far fewer */
#define SUMMARY_FILE	INCIDENT_FOLDER "/summary.json"
#define ASIDE		".json.new"
#define MODE		0600

static void path_of(uint64_t number, char path[PATH_LEN])
{
	snprintf(path, PATH_LEN, INCIDENT_FOLDER "/%llu.json", (unsigned long long)number);
}

/* 0: the name is not that of a record. */
static uint64_t number_of(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	if (!digits || digits > 9 || *name == '0' || strcmp(name + digits, ".json"))
		return 0;
	return strtoull(name, NULL, 10);
}

static int ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int incident_store_list(uint64_t **numbers, size_t *count, char *err)
{
	DIR *folder = opendir(INCIDENT_FOLDER);
	struct dirent *entry;
	size_t room = 0;

	*numbers = NULL;
	*count = 0;
	if (!folder && errno == ENOENT)
		return 0;
	if (!folder)
		return fail(err, errno, "cannot read " INCIDENT_FOLDER ": %s", strerror(errno));
	while ((entry = readdir(folder)) && *count < LISTED_MOST) {
		uint64_t number = number_of(entry->d_name), *more;

		if (!number)
			continue;
		if (*count == room) {
			room = room ? 2 * room : 64;
			more = realloc(*numbers, room * sizeof(*more));
			if (!more) {
				closedir(folder);
				free(*numbers);
				*numbers = NULL;
				return fail(err, ENOMEM, "cannot list the incidents: out of memory");
			}
			*numbers = more;
		}
		(*numbers)[(*count)++] = number;
	}
	closedir(folder);
	if (*count)
		qsort(*numbers, *count, sizeof(**numbers), ascending);
	return 0;
}

int incident_store_read(uint64_t number, struct incident *incident, char *err)
{
	struct file_text text = { 0 };
	char path[PATH_LEN];
	int rc;

	*incident = (struct incident){ 0 };
	path_of(number, path);
	rc = file_read(path, INCIDENT_FILE_MOST, &text, err);
	if (!rc)
		rc = incident_file_parse(path, text.data, text.size, incident, err);
	file_text_free(&text);
	if (!rc && incident->number != number)
		rc = fail(err, EINVAL, "%s is the record of another incident; remove it", path);
	return rc;
}

static int write_text(const char *path, char *text, char *err)
{
	int rc;

	if (!text)
		return fail(err, ENOMEM, "cannot write %s: out of memory", path);
	make_folder_of(path);
	rc = file_replace(path, text, strlen(text), MODE, err);
	free(text);
	return rc;
}

int incident_store_write(const struct incident *incident, char *err)
{
	char path[PATH_LEN];

	path_of(incident->number, path);
	return write_text(path, incident_file_text(incident), err);
}

int incident_store_remove(uint64_t number, char *err)
{
	char path[PATH_LEN];

	path_of(number, path);
	if (!unlink(path) || errno == ENOENT)
		return 0;
	return fail(err, errno, "cannot remove %s: %s", path, strerror(errno));
}

void incident_store_tidy(void)
{
	DIR *folder = opendir(INCIDENT_FOLDER);
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		size_t length = strlen(entry->d_name);

		if (length > strlen(ASIDE) &&
		    !strcmp(entry->d_name + length - strlen(ASIDE), ASIDE))
			unlinkat(dirfd(folder), entry->d_name, 0);
	}
	if (folder)
		closedir(folder);
}

int incident_store_read_summary(struct incident_summary *summary, char *err)
{
	struct file_text text = { 0 };
	int rc = file_read(SUMMARY_FILE, INCIDENT_FILE_MOST, &text, err);

	*summary = (struct incident_summary){ 0 };
	if (!rc)
		rc = incident_summary_parse(SUMMARY_FILE, text.data, text.size, summary, err);
	file_text_free(&text);
	return rc;
}

int incident_store_write_summary(const struct incident_summary *summary, char *err)
{
	return write_text(SUMMARY_FILE, incident_summary_text(summary), err);
}
