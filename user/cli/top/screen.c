// SPDX-License-Identifier: GPL-2.0-only
#include <ncurses.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/cli/top/top.h"
#include "user/model/reasons.h"
#include "user/model/text.h"

enum colour { PLAIN, RED, GREEN, YELLOW };

#define SOURCE_WIDTH	23	/* columns of a prefix, on a terminal of 80 */
#define FIXED_WIDTH	72	/* columns of a row of sources, without the class */
#define REASON_FIXED	59	/* columns of a row of reasons, without the history */
#define RULE_COLUMNS	96	/* of what is told of a drop rule */
#define RECENT_S	10	/* seconds over which reasons are compared */

static const char *const sort_names[] = { "drops/s", "passed/s", "drops", "address" };

/* ---- pieces ---- */

static int pair_of(enum colour colour)
{
	static bool started, has;

	if (!started) {
		started = true;
		has = has_colors() && start_color() == OK;
		if (has) {
			int back = use_default_colors() == OK ? -1 : COLOR_BLACK;

			init_pair(RED, COLOR_RED, back);
			init_pair(GREEN, COLOR_GREEN, back);
			init_pair(YELLOW, COLOR_YELLOW, back);
		}
	}
	return has && colour != PLAIN ? COLOR_PAIR(colour) : (int)A_NORMAL;
}

/* Writes a line, cut at the right edge, and clears the rest of it. */
static void put_line(int line, int attributes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void put_line(int line, int attributes, const char *format, ...)
{
	char text[1024], shown[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	attrset(attributes);
	mvaddnstr(line, 0, text_escape(text, shown, sizeof(shown)), COLS);
	attrset(A_NORMAL);
	clrtoeol();
}

/* At most 9 columns. */
static const char *rate_text(double rate, char text[FORMAT_LEN])
{
	if (rate <= 0)
		snprintf(text, FORMAT_LEN, "0");
	else if (rate < 9.95)
		snprintf(text, FORMAT_LEN, "%.1f", rate);
	else if (rate < 1e8)
		snprintf(text, FORMAT_LEN, "%.0f", rate);
	else
		snprintf(text, FORMAT_LEN, "%.0fM", rate / 1e6);
	return text;
}

static const char *count_text(uint64_t count, char text[FORMAT_LEN])
{
	if (count < 1000000000000ULL)
		snprintf(text, FORMAT_LEN, "%llu", (unsigned long long)count);
	else
		snprintf(text, FORMAT_LEN, "%.0fM", count / 1e6);
	return text;
}

/* Draws the last @columns seconds; the highest of them fills the cell. */
static void put_history(const double history[TOP_HISTORY], int columns, bool ascii)
{
	static const char *const bars[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char *const signs[] = { " ", ".", ":", "-", "=", "+", "*", "%", "#" };
	double most = 0;

	if (columns > TOP_HISTORY)
		columns = TOP_HISTORY;
	for (int i = TOP_HISTORY - columns; i < TOP_HISTORY; i++)
		most = history[i] > most ? history[i] : most;
	for (int i = TOP_HISTORY - columns; i < TOP_HISTORY; i++) {
		int level = history[i] > 0 ? 1 + (int)(7 * history[i] / most) : 0;

		addstr(ascii ? signs[level] : bars[level]);
	}
}

static bool is_drop(enum weir_reason reason)
{
	return !strcmp(reason_action(reason), "drop");
}

/* ---- the head ---- */

static void put_head(const struct top_screen *screen)
{
	const struct top_rates *rates = screen->rates;
	char in[FORMAT_LEN], dropped[FORMAT_LEN], rate[FORMAT_LEN], clock[16];
	char lost[FORMAT_LEN + 16] = "";
	time_t now = time(NULL);
	struct tm day;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &day));
	put_line(0, A_BOLD, "weir on %.*s", COLS - 28 > 0 ? COLS - 28 : 0,
		 *rates->devices ? rates->devices : "no interface yet");
	if (screen->paused) {
		attrset(A_REVERSE);
		mvaddstr(0, COLS - 17, " PAUSED ");
	}
	attrset(A_NORMAL);
	mvaddstr(0, COLS - 8, clock);
	if (rates->lost_pps > 0)
		snprintf(lost, sizeof(lost), "; lost %s/s", rate_text(rates->lost_pps, rate));
	put_line(1, *lost ? pair_of(RED) : (int)A_NORMAL,
		 "%s pps in, %.1f Mbit/s; %s pps dropped (%.1f%%)%s",
		 rate_text(rates->all.pps, in), rates->all.bits_per_s / 1e6,
		 rate_text(rates->dropped_pps, dropped),
		 rates->all.pps > 0 ? 100 * rates->dropped_pps / rates->all.pps : 0, lost);
}

/* ---- reasons ---- */

static double recent(const struct top_reason *reason)
{
	double sum = 0;

	for (int i = TOP_HISTORY - RECENT_S; i < TOP_HISTORY; i++)
		sum += reason->history[i];
	return sum;
}

/*
 * Compares the sum of the last seconds, so that lines do not change places every second, and then
 * all packets.
 */
static int busiest_first(const void *a, const void *b, void *arg)
{
	const struct top_rates *rates = arg;
	const struct top_reason *x = &rates->reason[*(const int *)a];
	const struct top_reason *y = &rates->reason[*(const int *)b];
	double left = recent(x), right = recent(y);

	if (left != right)
		return left < right ? 1 : -1;
	return (x->packets < y->packets) - (x->packets > y->packets);
}

static int list_reasons(const struct top_rates *rates, int order[WEIR_REASON_MAX])
{
	int count = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (rates->reason[i].packets)
			order[count++] = i;
	qsort_r(order, count, sizeof(*order), busiest_first, (void *)rates);
	return count;
}

static void put_reason(int line, enum weir_reason id, const struct top_reason *reason, bool ascii)
{
	bool drop = is_drop(id), monitored = drop && reason->monitored_pps > 0 &&
			reason->monitored_pps >= reason->pps;
	char pps[FORMAT_LEN], total[FORMAT_LEN];

	put_line(line, A_NORMAL, "%-13.13s %-10s %9s %9.1f %13s ", reason_name(id),
		 monitored ? "would drop" : reason_action(id), rate_text(reason->pps, pps),
		 reason->bits_per_s / 1e6, count_text(reason->packets, total));
	attrset(pair_of(!drop ? GREEN : monitored ? YELLOW : RED));
	put_history(reason->history, COLS - REASON_FIXED, ascii);
	attrset(A_NORMAL);
}

/* Draws at most @lines lines; returns the next free one. */
static int put_reasons(const struct top_screen *screen, int line, int lines)
{
	int order[WEIR_REASON_MAX], count = list_reasons(screen->rates, order);

	put_line(line++, A_BOLD, "%-13s %-10s %9s %9s %13s %s", "REASON", "ACTION", "PPS", "MBIT/S",
		 "PACKETS", "LAST SECONDS");
	for (int i = 0; i < count && i < lines - 1; i++)
		put_reason(line++, order[i], &screen->rates->reason[order[i]], screen->ascii);
	return line;
}

/* ---- budgets ---- */

static int put_budgets(const struct top_screen *screen, int line, int lines)
{
	put_line(line++, A_BOLD, "%-14s %10s %5s %9s %9s %9s %9s", "BUDGET", "RATE", "USED",
		 "PASSED/S", "KNOWN/S", "PROVEN/S", "SHED/S");
	for (uint32_t i = 0; i < screen->rates->budgets && (int)i < lines - 1; i++) {
		const struct top_budget *budget = &screen->rates->budget[i];
		char passed[FORMAT_LEN], known[FORMAT_LEN], proven[FORMAT_LEN];
		char shed[FORMAT_LEN];

		put_line(line++, budget->pressed ? pair_of(RED) : (int)A_NORMAL,
			 "%-14.14s %10.10s %4.0f%% %9s %9s %9s %9s%s", budget->name, budget->rate,
			 100 * budget->used, rate_text(budget->passed_pps, passed),
			 rate_text(budget->known_pps, known), rate_text(budget->proven_pps, proven),
			 rate_text(budget->dropped_pps, shed), budget->pressed ? " used up" : "");
	}
	return line;
}

/* ---- drop rules ---- */

/* As `ntp 1200/s, spared 3/s`; returns the length. */
static int describe_rule(const struct top_rule *rule, char text[RULE_COLUMNS])
{
	char dropped[FORMAT_LEN], spared[FORMAT_LEN];
	int length = snprintf(text, RULE_COLUMNS, "%s %s/s%s", rule->name,
			      rate_text(rule->dropped_pps, dropped), rule->monitor ? " would" : "");

	if (rule->spared_pps > 0)
		length += snprintf(text + length, RULE_COLUMNS - length, ", spared %s/s",
				   rate_text(rule->spared_pps, spared));
	return length;
}

/* One line: those that drop most, as far as they fit, and how many more there are. */
static int put_rules(const struct top_rates *rates, int line)
{
	const int label = 12, rest = sizeof("; 63 more") - 1;
	char text[1024] = "", item[RULE_COLUMNS];
	int used = 0, room = COLS < 1000 ? COLS - label - rest : 1000 - label - rest;
	uint32_t shown = 0;

	while (shown < rates->rules) {
		const struct top_rule *rule = &rates->rule[shown];
		int length = describe_rule(rule, item);

		if ((shown && used + 2 + length > room) ||
		    (shown && rule->dropped_pps <= 0 && rule->spared_pps <= 0))
			break;
		used += snprintf(text + used, sizeof(text) - used, "%s%s", used ? "; " : "", item);
		shown++;
	}
	if (shown < rates->rules)
		snprintf(text + used, sizeof(text) - used, "; %u more", rates->rules - shown);
	put_line(line, A_NORMAL, "%*s%s", label, "", text);
	attrset(A_BOLD);
	mvaddstr(line, 0, "DROP RULES");
	attrset(A_NORMAL);
	return line + 1;
}

/* ---- sources and networks ---- */

static int compare_rows(const void *a, const void *b, void *arg)
{
	enum top_sort sort = *(const enum top_sort *)arg;
	const struct top_row *x = a, *y = b;
	double left[] = { x->dropped_pps, x->passed_pps, x->dropped };
	double right[] = { y->dropped_pps, y->passed_pps, y->dropped };

	if (sort != SORT_PREFIX && left[sort] != right[sort])
		return left[sort] < right[sort] ? 1 : -1;
	if (sort != SORT_PREFIX && x->dropped != y->dropped)
		return x->dropped < y->dropped ? 1 : -1;
	return prefix_cmp(&x->prefix, &y->prefix);
}

static bool same_row(const struct top_row *a, const struct top_row *b)
{
	return !prefix_cmp(&a->prefix, &b->prefix) && a->reason == b->reason &&
	       !strcmp(a->class, b->class);
}

/* A selected line, other than the first, follows its row to the row's new place. */
static void follow(struct top_screen *screen, enum top_table table, const struct top_row *row)
{
	const struct top_rows *rows = screen->rows[table];

	for (size_t i = 0; i < rows->count; i++) {
		if (!same_row(&rows->at[i], row))
			continue;
		screen->line[table] = i;
		return;
	}
}

void top_select(struct top_screen *screen, int by)
{
	size_t *line = &screen->line[screen->focus], count = screen->rows[screen->focus]->count;
	const struct top_row *row;

	if (by < 0)
		*line -= *line >= (size_t)-by ? (size_t)-by : *line;
	else
		*line = *line + by < count ? *line + by : count ? count - 1 : 0;
	row = top_selected(screen);
	if (row)
		screen->chosen[screen->focus] = *row;
}

void top_sort_rows(struct top_screen *screen)
{
	for (enum top_table table = 0; table < TABLES; table++) {
		qsort_r(screen->rows[table]->at, screen->rows[table]->count, sizeof(struct top_row),
			compare_rows, &screen->sort);
		if (screen->line[table])
			follow(screen, table, &screen->chosen[table]);
	}
}

const struct top_row *top_selected(const struct top_screen *screen)
{
	const struct top_rows *rows = screen->rows[screen->focus];
	size_t line = screen->line[screen->focus];

	return line < rows->count ? &rows->at[line] : NULL;
}

static void put_row(const struct top_screen *screen, int line, enum top_table table, size_t index)
{
	const struct top_row *row = &screen->rows[table]->at[index];
	bool selected = screen->focus == table && screen->line[table] == index;
	char prefix[PREFIX_STRLEN], drops[FORMAT_LEN], passed[FORMAT_LEN] = "", total[FORMAT_LEN];
	int extra = COLS - FIXED_WIDTH, wide = SOURCE_WIDTH;

	if (extra > 30) {	/* the class takes 30 columns first, then the prefix up to 20 */
		wide += extra - 30 < 20 ? extra - 30 : 20;
		extra -= wide - SOURCE_WIDTH;
	}
	prefix_format(&row->prefix, prefix);
	if (!row->sampled)
		rate_text(row->passed_pps, passed);
	put_line(line, selected ? A_REVERSE : A_NORMAL, "%c%-*.*s %-13.13s %c%9s %9s %12s %.*s",
		 selected ? '>' : ' ', wide, wide, prefix, reason_name(row->reason),
		 row->sampled ? '~' : ' ', rate_text(row->dropped_pps, drops), passed,
		 count_text(row->dropped, total), extra > 0 ? extra : 0, row->class);
}

static int put_table(const struct top_screen *screen, int line, int lines, enum top_table table)
{
	static const char *const names[] = { "SOURCE", "NETWORK" };
	const struct top_rows *rows = screen->rows[table];
	size_t first = 0, shown = lines - 1;
	int wide = COLS - FIXED_WIDTH > 30 ? SOURCE_WIDTH + (COLS - FIXED_WIDTH - 30 < 20 ?
		   COLS - FIXED_WIDTH - 30 : 20) : SOURCE_WIDTH;

	if (screen->line[table] >= shown)
		first = screen->line[table] - shown + 1;
	put_line(line++, A_BOLD | (screen->focus == table ? A_UNDERLINE : 0),
		 " %-*s %-13s %10s %9s %12s %s", wide, names[table], "REASON", "DROPS/S", "PASSED/S",
		 "DROPS", table == TABLE_SOURCES ? "CLASS" : "");
	for (size_t i = first; i < rows->count && i < first + shown; i++)
		put_row(screen, line++, table, i);
	if (!rows->count && shown)
		put_line(line++, A_DIM, " %s", table == TABLE_SOURCES ?
			 "no source is near a limit or dropped" : "no network is being shed");
	return line;
}

/* ---- all of it ---- */

/* A message that is too long for one line takes the line above as well. */
static void put_message(const struct top_screen *screen)
{
	int attributes = screen->alarming ? A_BOLD | pair_of(RED) : A_BOLD;
	int length = strlen(screen->message), first = COLS;

	while (length > COLS && first && screen->message[first] != ' ')
		first--;
	if (length > COLS && first) {
		put_line(LINES - 2, attributes, "%.*s", first, screen->message);
		put_line(LINES - 1, attributes, "%s", screen->message + first + 1);
	} else {
		put_line(LINES - 1, attributes, "%s", screen->message);
	}
}

static void put_foot(const struct top_screen *screen)
{
	if (screen->message[0])
		put_message(screen);
	else
		put_line(LINES - 1, A_DIM, "q quit  p pause  s sort:%-8s Tab table  arrows line  b ban  "
			 "a allow  h help", sort_names[screen->sort]);
}

static void put_help(const struct top_screen *screen)
{
	static const char *const text[] = {
		"q, Ctrl-C   quit",
		"p, Space    pause the display; the data path goes on",
		"s           sort by drops/s, passed/s, drops, address",
		"Tab         between sources and networks",
		"arrows, j k select a line",
		"b           ban the selected source or network for a time, after a question;",
		"            the answer `10m force` passes the guards",
		"a           allow it permanently, after a question",
		"h, ?        show or hide this help",
		"",
		"Sources with a bucket are counted exactly. Rows marked ~ are estimates: of",
		"sources from samples of dropped packets, of networks from the sketch that",
		"is kept while a budget sheds newcomers.",
		"PACKETS and DROPS count from the first attach; of sampled sources, from when",
		"top was started. USED is how much of a budget's burst is used.",
		"DROP RULES are those that drop most now; `would`: a rule that only counts.",
	};
	int line = 3;

	for (size_t i = 0; i < sizeof(text) / sizeof(*text); i++)
		put_line(line++, A_NORMAL, "  %s", text[i]);
	line++;
	put_line(line++, A_NORMAL, "  %llu sources have a bucket.",
		 (unsigned long long)screen->buckets);
	if (screen->deaf)
		put_line(line++, pair_of(YELLOW), "  All four slots for readers of packets are "
			 "taken: nothing is estimated.");
}

static void put_too_small(const struct top_screen *screen)
{
	char in[FORMAT_LEN], dropped[FORMAT_LEN];

	put_line(0, A_BOLD, "weir top needs %dx%d, this is %dx%d", TOP_WIDTH, TOP_HEIGHT, COLS,
		 LINES);
	if (LINES > 1)
		put_line(1, A_NORMAL, "%s pps in, %s dropped", rate_text(screen->rates->all.pps, in),
			 rate_text(screen->rates->dropped_pps, dropped));
	if (LINES > 2)
		put_line(2, A_NORMAL, "q quits");
}

static int at_most(int wanted, int most)
{
	return wanted < most ? wanted : most;
}

/*
 * The lines of the terminal: two for the head, one for the keys, up to a third for reasons, up to a
 * sixth for budgets, one for drop rules; networks get a quarter of the rest, and sources what
 * remains.
 */
static void put_tables(const struct top_screen *screen)
{
	int order[WEIR_REASON_MAX], line = 2, left = LINES - 3, lines;

	lines = at_most(1 + list_reasons(screen->rates, order), left / 3 + 1);
	line = put_reasons(screen, line, lines);
	left -= lines;
	if (screen->rates->budgets) {
		lines = at_most(1 + (int)screen->rates->budgets, LINES / 6 > 3 ? LINES / 6 : 3);
		line = put_budgets(screen, line, lines);
		left -= lines;
	}
	if (screen->rates->rules) {
		line = put_rules(screen->rates, line);
		left--;
	}
	lines = left / 4 > 4 ? left / 4 : 4;
	if (screen->focus == TABLE_NETWORKS)	/* the focused table gets the larger part */
		lines = left - lines;
	else if (screen->rows[TABLE_NETWORKS]->count < (size_t)lines)
		lines = screen->rows[TABLE_NETWORKS]->count ?
				(int)screen->rows[TABLE_NETWORKS]->count + 1 : 2;
	put_table(screen, line, left - lines, TABLE_SOURCES);
	put_table(screen, LINES - 1 - lines, lines, TABLE_NETWORKS);
}

void top_draw(struct top_screen *screen)
{
	for (int table = 0; table < TABLES; table++)
		if (screen->line[table] >= screen->rows[table]->count)
			screen->line[table] = screen->rows[table]->count ?
						      screen->rows[table]->count - 1 : 0;
	erase();
	if (COLS < TOP_WIDTH || LINES < TOP_HEIGHT) {
		put_too_small(screen);
	} else {
		put_head(screen);
		if (screen->help)
			put_help(screen);
		else
			put_tables(screen);
		put_foot(screen);
	}
	refresh();
}
