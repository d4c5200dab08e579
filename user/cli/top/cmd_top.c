// SPDX-License-Identifier: GPL-2.0-only
/* weir top: the present rates, on one screen. */
#include <ctype.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/cli/output.h"
#include "user/cli/top/top.h"
#include "user/cli/watch.h"
#include "user/host/clock.h"
#include "user/model/parse.h"
#include "user/model/units.h"
#include "user/state/side_settings.h"

#include <term.h>	/* last: it defines names such as lines */

#define REFRESH_NS	NS_PER_S
#define FIRST_NS	300000000ULL
#define MESSAGE_NS	6000000000ULL
#define TTL_DEFAULT	"10m"
#define COMMENT		"by weir top"
#define FORCE		"force"
#define KEY_ESCAPE	27
#define PAGE		10

enum question { NOTHING, HOW_LONG_TO_BAN, WHETHER_TO_ALLOW };

struct top {
	struct watch watch;
	struct weir_policy *policy;
	struct top_rates rates;
	struct top_rows rows[TABLES];
	struct top_sources *sources;
	struct top_screen screen;
	uint64_t next_read_ns, message_ends_ns;
	enum question question;
	char prefix[PREFIX_STRLEN];	/* the subject of the question */
	char answer[16];
};

static void say(struct top *top, bool alarming, const char *text)
{
	snprintf(top->screen.message, sizeof(top->screen.message), "%s", text);
	top->screen.alarming = alarming;
	top->message_ends_ns = now_ns() + MESSAGE_NS;
}

/* ---- reading ---- */

static void read_policy(struct top *top)
{
	struct settings settings;
	char ignored[ERR_LEN];

	if (maps_read_settings(&top->watch.maps, &settings, ignored))
		return;
	memcpy(top->policy, settings.policy, sizeof(*top->policy));
	settings_free(&settings);
}

static void read_all(struct top *top)
{
	const struct maps *maps = &top->watch.maps;

	read_policy(top);
	top_read_rates(&top->rates, maps, top->policy);
	top_read_networks(top->sources, maps, &top->rows[TABLE_NETWORKS]);
	top_read_sources(top->sources, maps, top->policy, &top->rows[TABLE_SOURCES]);
	top->screen.buckets = top_bucket_count(top->sources);
	top_sort_rows(&top->screen);
}

static void note_packet(const struct weir_event *event, void *arg)
{
	struct top *top = arg;

	if (!top->screen.paused)
		top_note_packet(top->sources, event);
}

/* ---- asking, and doing it ---- */

static void show_question(struct top *top)
{
	char text[ERR_LEN];

	if (top->question == HOW_LONG_TO_BAN)
		snprintf(text, sizeof(text), "ban %s for how long? %s_   (Enter does it, Esc does not)",
			 top->prefix, top->answer);
	else
		snprintf(text, sizeof(text), "allow %s past all limits, permanently? (y/n)",
			 top->prefix);
	say(top, false, text);
}

static void ask(struct top *top, enum question question)
{
	const struct top_row *row = top_selected(&top->screen);

	if (!row) {
		say(top, true, "no line is selected");
		return;
	}
	top->question = question;
	prefix_format(&row->prefix, top->prefix);
	snprintf(top->answer, sizeof(top->answer), TTL_DEFAULT);
	show_question(top);
}

/*
 * Runs the same command as on the command line, with its guards and messages. The answer "10m force"
 * passes the guards.
 */
static void act(struct top *top)
{
	char *force = strstr(top->answer, " " FORCE);
	char *ban[] = { "block", "add", top->prefix, "ttl", top->answer, "comment", COMMENT,
			force && !force[1 + strlen(FORCE)] ? FORCE : NULL, NULL };
	char *allow[] = { "allow", "add", top->prefix, "comment", COMMENT, NULL };
	bool to_ban = top->question == HOW_LONG_TO_BAN;
	char said[ERR_LEN] = "", text[ERR_LEN];

	if (ban[7])
		*force = '\0';
	top->question = NOTHING;
	if (edit_by_words(to_ban ? ban : allow, said) != DONE) {
		say(top, true, said);
		return;
	}
	if (to_ban)
		snprintf(text, sizeof(text), "%s is banned for %s (weir block del %s undoes it)",
			 top->prefix, top->answer, top->prefix);
	else
		snprintf(text, sizeof(text), "%s is allowed (weir allow del %s undoes it)",
			 top->prefix, top->prefix);
	say(top, false, text);
}

static void take_ttl(struct top *top, int key)
{
	size_t length = strlen(top->answer);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		act(top);
		return;
	}
	if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && length)
		top->answer[length - 1] = '\0';
	else if (key < 128 && (isalnum(key) || key == ' ') && length + 1 < sizeof(top->answer))
		snprintf(top->answer + length, 2, "%c", key);
	show_question(top);
}

static void take_answer(struct top *top, int key)
{
	if (key == KEY_ESCAPE || (top->question == WHETHER_TO_ALLOW && key != 'y')) {
		top->question = NOTHING;
		say(top, false, "nothing was changed");
	} else if (top->question == WHETHER_TO_ALLOW) {
		act(top);
	} else {
		take_ttl(top, key);
	}
}

/* ---- keys ---- */

static void pause_or_go_on(struct top *top)
{
	top->screen.paused = !top->screen.paused;
	top->next_read_ns = now_ns();
}

static void take_key(struct top *top, int key)
{
	struct top_screen *screen = &top->screen;

	screen->message[0] = '\0';
	switch (key) {
	case 'q':
		top->watch.end = WATCH_ENOUGH;
		break;
	case 'p':
	case ' ':
		pause_or_go_on(top);
		break;
	case 's':
		screen->sort = (screen->sort + 1) % SORTS;
		top_sort_rows(screen);
		break;
	case '\t':
		screen->focus = (screen->focus + 1) % TABLES;
		break;
	case KEY_UP:
	case 'k':
		top_select(screen, -1);
		break;
	case KEY_DOWN:
	case 'j':
		top_select(screen, 1);
		break;
	case KEY_PPAGE:
		top_select(screen, -PAGE);
		break;
	case KEY_NPAGE:
		top_select(screen, PAGE);
		break;
	case 'b':
		ask(top, HOW_LONG_TO_BAN);
		break;
	case 'a':
		ask(top, WHETHER_TO_ALLOW);
		break;
	case 'h':
	case '?':
		screen->help = !screen->help;
		break;
	default:
		break;
	}
}

static void flush(void *arg)
{
	struct top *top = arg;
	struct watch *watch = &top->watch;
	uint64_t now = now_ns();
	bool changed = false;
	int key;

	if (watch_reader_left(STDIN_FILENO))	/* the terminal was closed */
		watch->end = WATCH_SIGNAL;
	while (!watch->end && (key = getch()) != ERR) {
		changed = true;
		if (key == KEY_RESIZE)
			continue;
		if (top->question)
			take_answer(top, key);
		else
			take_key(top, key);
	}
	if (!top->question && top->screen.message[0] && now >= top->message_ends_ns)
		top->screen.message[0] = '\0';
	if (now >= top->next_read_ns) {
		if (!top->screen.paused)
			read_all(top);
		/* A rate needs two readings, so the second comes soon after the first. */
		top->next_read_ns = now + (top->next_read_ns ? REFRESH_NS : FIRST_NS);
		changed = true;
	}
	if (changed)
		top_draw(&top->screen);
}

/* ---- the command ---- */

/* Called before newterm(), which leaks memory when it does not know the terminal. */
static bool knows_terminal(void)
{
	int found;

	if (setupterm(NULL, STDOUT_FILENO, &found) != OK)
		return false;
	del_curterm(cur_term);
	return true;
}

static bool open_screen(struct top *top)
{
	setlocale(LC_CTYPE, "");
	top->screen.ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	if (!knows_terminal() || !newterm(NULL, stdout, stdin))
		return false;
	set_escdelay(25);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	return true;
}

static enum outcome run_top(const struct call *call, struct top *top)
{
	static const struct watch_words drops;
	enum watch_end end;
	char err[ERR_LEN];

	if (watch_open(&top->watch, &drops, note_packet, err))
		return failed(call, "%s", err);
	top->screen.deaf = !top->watch.listener;
	if (!open_screen(top)) {
		watch_close(&top->watch);
		return failed(call, "top cannot drive a terminal of type \"%s\" (TERM)",
			      getenv("TERM") ? getenv("TERM") : "");
	}
	if (top->screen.deaf)
		say(top, true, err);
	end = watch_run(&top->watch);
	endwin();
	watch_close(&top->watch);
	if (end == WATCH_DETACHED)
		remark(call, "weir is detached: there is nothing more to see");
	return end == WATCH_FAILED ? failed(call, "top: reading events failed") : DONE;
}

enum outcome cmd_top(const struct call *call)
{
	struct top *top = calloc(1, sizeof(*top));
	enum outcome outcome = FAILED;

	if (call->json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)) {
		free(top);
		return failed(call, "top needs a terminal; programs read `weir -j show stats` and "
			      "`weir -j events`");
	}
	if (top) {
		*top = (struct top){ .watch = { .flush = flush, .arg = top, .may_be_deaf = true } };
		top->screen = (struct top_screen){ .rates = &top->rates,
						   .rows = { &top->rows[0], &top->rows[1] } };
		top->policy = calloc(1, sizeof(*top->policy));
		top->sources = top_sources_new();
	}
	if (top && top->policy && top->sources)
		outcome = run_top(call, top);
	else
		failed(call, "out of memory");
	if (top) {
		top_sources_free(top->sources);
		free(top->policy);
	}
	free(top);
	return outcome;
}
