// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any method, path, Host and Accept header as a request to the daemon's server. On a loopback
 * address nothing but a refusal may go to a request that names another host; nothing but GET and
 * HEAD is answered. The first line of the input is the method, then path, Host and Accept; an
 * empty line: there is no such header.
 */
#include <stdint.h>

#include "user/daemon/http.c"

#define ADDRESS	"127.0.0.2"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* ---- in place of libmicrohttpd ---- */

static const char *host, *accepts;
static unsigned int sent_status, responses;

const char *MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind,
					const char *key)
{
	(void)connection;
	must(kind == MHD_HEADER_KIND);
	return !strcmp(key, "Host") ? host : !strcmp(key, "Accept") ? accepts : NULL;
}

/* The client is none of the Unix socket's. */
const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *connection,
							enum MHD_ConnectionInfoType type, ...)
{
	(void)connection, (void)type;
	return NULL;
}

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer,
						     enum MHD_ResponseMemoryMode mode)
{
	size_t zeros = 0;

	(void)mode;
	for (size_t i = 0; i < size; i++)	/* all of it can be read */
		zeros += !((const uint8_t *)buffer)[i];
	must(zeros <= size);
	responses++;
	return (struct MHD_Response *)&responses;
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *response, const char *header,
					const char *content)
{
	(void)response;
	must(!strpbrk(header, "\r\n") && !strpbrk(content, "\r\n"));
	return MHD_YES;
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *connection, unsigned int status,
				   struct MHD_Response *response)
{
	(void)connection, (void)response;
	must(!sent_status);
	sent_status = status;
	return MHD_YES;
}

void MHD_destroy_response(struct MHD_Response *response)
{
	(void)response;
	responses--;
}

/* ---- a request ---- */

static int answer_words(const char *line, json_t **answer, char *err)
{
	(void)err;
	must(line && *line);
	*answer = json_pack("{s:s}", "line", line);
	return 0;
}

/* Without the server's own reading of the header. */
static bool names_this_host(const char *name)
{
	static const char *const ours[] = { "localhost", "127.0.0.1", "[::1]", ADDRESS };
	char copy[256];
	char *colon;

	if (!name || strlen(name) >= sizeof(copy))
		return false;
	strcpy(copy, name);
	colon = strrchr(copy, ':');
	if (colon && colon > copy && (*copy != '[' || colon[-1] == ']')) {
		if (!colon[1] || colon[1 + strspn(colon + 1, "0123456789")])
			return false;
		*colon = '\0';
	}
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (!strcasecmp(copy, ours[i]))
			return true;
	return false;
}

static char *next_line(char **rest)
{
	char *line = *rest, *end = strchr(line, '\n');

	if (end)
		*end = '\0';
	*rest = end ? end + 1 : line + strlen(line);
	return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *method, *path, *host_line, *accept_line;
	size_t upload = 0;
	void *state = NULL;

	must(text);
	memcpy(text, data, size);
	text[size] = '\0';
	method = next_line(&rest);
	path = next_line(&rest);
	host_line = next_line(&rest);
	accept_line = next_line(&rest);
	host = *host_line ? host_line : NULL;
	accepts = *accept_line ? accept_line : NULL;
	/* Those that are made from the maps depend on the machine. */
	if (!strcmp(path, METRICS_PATH) || !strcmp(path, "/api/bans") || !strcmp(path, "/api/history"))
		path = "/api/status";
	server.loopback = size % 4;
	server.answer = answer_words;
	strcpy(server.address, ADDRESS);
	sent_status = 0;
	must(handle(NULL, NULL, path, method, "HTTP/1.1", NULL, &upload, &state) == MHD_YES);
	must(sent_status == 200 || sent_status == 403 || sent_status == 404 || sent_status == 405);
	if (sent_status == 200)
		must(!strcmp(method, "GET") || !strcmp(method, "HEAD"));
	if (sent_status != 403 && sent_status != 405)
		must(!server.loopback || names_this_host(host));
	if (sent_status == 403)
		must(server.loopback && !names_this_host(host));
	must(!responses);
	free(text);
	return 0;
}
