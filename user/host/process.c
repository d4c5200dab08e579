// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "user/host/process.h"

/*
 * Reads /proc/PID/stat into @line and returns its fields from the third on (proc_pid_stat(5)),
 * or NULL. The second field is the name in brackets, which may hold blanks, brackets and
 * digits: only the last ')' ends it for certain.
 */
static const char *read_stat(pid_t pid, char *line, int size)
{
	const char *fields = NULL;
	char path[40];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return NULL;
	if (fgets(line, size, file))
		fields = strrchr(line, ')');
	fclose(file);
	return fields ? fields + 1 : NULL;
}

uint64_t process_started(pid_t pid)
{
	unsigned long long started;
	char line[1024];
	const char *fields = read_stat(pid, line, sizeof(line));

	/* Field 22, behind the fields 3 to 21. */
	if (!fields || sscanf(fields, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
				      "%*s %*s %*s %*s %*s %llu", &started) != 1)
		return 0;
	return started;
}

bool process_is_running(pid_t pid, uint64_t started)
{
	return pid > 0 && process_started(pid) == started;
}

pid_t process_parent(pid_t pid)
{
	char line[1024];
	const char *fields = read_stat(pid, line, sizeof(line));
	int parent;

	return fields && sscanf(fields, " %*c %d", &parent) == 1 ? parent : 0;
}
