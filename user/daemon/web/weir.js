// SPDX-License-Identifier: GPL-2.0-only
// The page: asks the daemon for its figures every second, and shows them.
"use strict";

const FAST_MS = 1000;		// counters and plots
const SLOW_MS = 3000;		// tables
const ANSWER_MS = 8000;		// without an answer for so long the connection counts as lost
const SPAN_S = 300;		// the longest span of a plot
const SPAN_LEAST_S = 60;

const dark = matchMedia("(prefers-color-scheme: dark)");
const byId = id => document.getElementById(id);

// ---- words and figures ----

const whole = new Intl.NumberFormat("en");

function short(value, unit = "") {
	const steps = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
	for (const [size, letter] of steps)
		if (value >= size)
			return `${(value / size).toPrecision(3)} ${letter}${unit}`;
	return unit ? `${Math.round(value)} ${unit}` : String(Math.round(value));
}

const trimmed = value => short(value).replace(/(\.\d*?)0+(?= )/, "$1").replace(/\.(?= )/, "");

// Prefixes are powers of a thousand, for bytes as for packets and bits.
const bytes = value => short(value, "B");

function duration(seconds) {
	if (seconds < 90)
		return `${Math.round(seconds)} s`;
	if (seconds < 5400)
		return `${Math.round(seconds / 60)} min`;
	return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

function moment(unixSeconds) {
	const time = new Date(unixSeconds * 1000), pad = n => String(n).padStart(2, "0");
	const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(pad).join(":");
	const today = time.toDateString() === new Date().toDateString();
	return today ? clock : `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())} ${clock}`;
}

// ---- elements; strings become text, never HTML ----

function element(tag, properties = {}, ...children) {
	const made = document.createElement(tag);
	const { data = {}, ...rest } = properties;
	Object.assign(made, rest);
	Object.assign(made.dataset, data);
	made.append(...children);
	return made;
}

const cell = (text, className = "", data = {}) => element("td", { className, data }, text);
const count = (value, data = {}) => cell(whole.format(value), "n", { ...data, value });
const volume = (value, data = {}) => element("td", { className: "n", title: `${whole.format(value)} bytes`,
						     data: { ...data, value } }, bytes(value));
const heading = (text, className = "") => element("th", { scope: "row", className }, text);
// What a reason means and what to do, in the words of `weir show reasons`.
const meanings = new Map();
const meaningOf = reason => meanings.get(reason) || "";
const reasonHeading = reason => element("th", { scope: "row", className: "reason", title: meaningOf(reason) },
					reason);
// A long (IPv6) address may wrap at any character, a short one must not.
const address = text => heading(text, text.length > 20 ? "address long" : "address");

function drawing(tag, attributes, ...children) {
	const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
	Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
	made.append(...children);
	return made;
}

const GAUGE_WIDTH = 84;

function gauge(share, label) {
	const kind = share >= 0.9 ? "bad" : share >= 0.7 ? "warn" : "good";
	const percent = share > 0 && share < 0.01 ? "< 1 %" : `${Math.round(share * 100)} %`;
	const box = { x: 0, y: 0, height: 8, rx: 4 };
	const filled = Math.min(share, 1) * GAUGE_WIDTH;
	return element("td", {}, drawing("svg", { class: "gauge", width: GAUGE_WIDTH, height: 8, role: "img",
						  "aria-label": `${label}: ${percent}` },
	drawing("rect", { ...box, class: "track", width: GAUGE_WIDTH }),
	drawing("rect", { ...box, class: kind, width: filled && Math.max(filled, 3) })),
	element("span", { className: "percent" }, percent));
}

// The roles are explicit: on a narrow page CSS lays rows out as blocks, which removes the implied ones.
function rowOf(cells, labels) {
	cells.forEach((each, i) => {
		each.dataset.label = labels[i];
		each.setAttribute("role", each.tagName === "TH" ? "rowheader" : "cell");
	});
	const row = element("tr", {}, ...cells);
	row.setAttribute("role", "row");
	return row;
}

function fill(id, rows, nothing) {
	const table = byId(id), body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
	const labels = heads.map(head => head.textContent);
	if (rows.length)
		body.replaceChildren(...rows.map(cells => rowOf(cells, labels)));
	else
		body.replaceChildren(element("tr", {}, element("td", {
			className: "none", colSpan: heads.length }, nothing)));
}

// ---- plots ----

// A colour for light and for dark, and a dash pattern, so that reasons differ without colour too.
const looks = {
	"under-limit": ["#1f7a5c", "#63c9a2", []],
	"no-limit": ["#2f6db3", "#7ab3ee", [6, 3]],
	"allow": ["#6f8f1f", "#b5cf5f", [2, 2]],
	"known": ["#0f7f96", "#5cc6da", [8, 3, 2, 3]],
	"newcomer": ["#7b66b8", "#b7a5ee", [4, 4]],
	"rate-limit": ["#b3412e", "#f08a75", []],
	"block": ["#7a3f86", "#cf93da", [6, 3]],
	"ban": ["#a8326b", "#f086b4", [2, 2]],
	"blocklist": ["#4f5aa8", "#9aa6f2", [8, 3, 2, 3]],
	"shed": ["#9a6a00", "#e3b04b", [4, 4]],
	"network-share": ["#7a5c3a", "#cfae86", [10, 4]],
	"over-budget": ["#c2571a", "#f5a266", [1, 3]],
};
const plain = ["#5d6b73", "#a5b3ba", [3, 3]];
const lookOf = reason => looks[reason] || plain;
const colourOf = reason => lookOf(reason)[dark.matches ? 1 : 0];

function faded(colour) {
	return `${colour}${dark.matches ? "40" : "33"}`;
}

function plot(id) {
	const root = document.documentElement;
	const style = name => getComputedStyle(root).getPropertyValue(name).trim();
	const made = new Chart(byId(id), {
		type: "line",
		data: { datasets: [] },
		options: {
			animation: false, maintainAspectRatio: false, parsing: false, normalized: true,
			interaction: { mode: "index", intersect: false },
			elements: { point: { radius: 0, hitRadius: 8 },
				    line: { borderWidth: 1.6, cubicInterpolationMode: "monotone" } },
			scales: {
				x: {
					type: "linear", min: -SPAN_S, max: 0, grid: { display: false },
					ticks: { maxTicksLimit: 6, maxRotation: 0, autoSkipPadding: 16,
						 callback: s => !s ? "now" : s % 60 ? `−${-s} s` : `−${-s / 60} min` },
				},
				y: {
					stacked: true, beginAtZero: true, suggestedMax: 10,
					border: { display: false },
					ticks: { maxTicksLimit: 6, precision: 0, callback: v => v < 1000 ? String(v) : trimmed(v) },
				},
			},
			plugins: {
				legend: { display: false },
				tooltip: {
					callbacks: {
						title: items => items.length ? `${Math.round(-items[0].parsed.x)} s ago` : "",
						label: item => `${item.dataset.label}: ${short(item.parsed.y)}/s`,
					},
					filter: item => item.parsed.y > 0,
				},
			},
		},
	});
	made.paint = () => {
		const { x, y } = made.options.scales;
		x.ticks.color = y.ticks.color = style("--quiet");
		y.grid = { color: style("--line"), drawBorder: false };
	};
	made.paint();
	return made;
}

const plots = {};

const swatch = reason => drawing("svg", { width: 26, height: 8, "aria-hidden": "true" },
	drawing("line", { x1: 0, x2: 26, y1: 4, y2: 4, "stroke-width": 3, stroke: colourOf(reason),
			  "stroke-dasharray": lookOf(reason)[2].join(" ") }));

const nameOf = series => series.action === "would-drop" ? `${series.reason} (would drop)` : series.reason;

function draw(which, title, times, series, nothing) {
	const chart = plots[which], last = times[times.length - 1];
	const at = times.map(time => (time - last) / 1000);
	chart.options.scales.x.min = Math.max(-SPAN_S, Math.min(at[0], -SPAN_LEAST_S));
	chart.data.datasets = series.map((each, i) => ({
		label: nameOf(each),
		data: each.packets_per_s.map((y, i) => ({ x: at[i], y })),
		borderColor: colourOf(each.reason), backgroundColor: faded(colourOf(each.reason)),
		borderDash: lookOf(each.reason)[2], fill: i ? "-1" : "origin",
	}));
	chart.update("none");
	const now = series.map(each => [each, each.packets_per_s.at(-1) || 0]).sort((a, b) => b[1] - a[1]);
	byId(`legend-${which}`).replaceChildren(...(now.length ? now.map(([each, rate]) =>
		element("li", { className: "reason", title: meaningOf(each.reason) },
			swatch(each.reason), nameOf(each),
			element("b", {}, `${short(rate)}/s`))) :
		[element("li", { className: "quiet" }, nothing)]));
	byId(`plot-${which}`).setAttribute("aria-label", `${title} packets per second over five minutes; now ` +
		(now.map(([each, rate]) => `${nameOf(each)} ${short(rate)}`).join(", ") || "nothing"));
}

const lastOf = series => series.reduce((sum, each) => sum + (each.packets_per_s.at(-1) || 0), 0);

function showHistory(history) {
	const of = action => history.reasons.filter(each => each.action === action);
	const passed = of("pass"), dropped = of("drop"), would = of("would-drop");
	if (!history.time_ms.length)
		return;
	draw("passed", "Passed", history.time_ms, [...passed, ...would], "nothing in the last five minutes");
	draw("dropped", "Dropped", history.time_ms, dropped, "nothing in the last five minutes");
	byId("now-passed").textContent = short(lastOf(passed) + lastOf(would));
	byId("now-dropped").textContent = short(lastOf(dropped));
	byId("now-would").textContent = short(lastOf(would));
	byId("tile-would").hidden = !would.length;
	document.title = lastOf(dropped) ? `${short(lastOf(dropped))}/s dropped · weir` : "weir";
	byId("now-passed-bits").textContent = short(history.passed_bits_per_s.at(-1), "bit/s");
	byId("now-dropped-bits").textContent = short(history.dropped_bits_per_s.at(-1), "bit/s");
}

// ---- tables ----

let chosenDevice = "";

function chooseDevice(devices) {
	const select = byId("device");
	const names = ["", ...devices.map(device => device.dev)];
	if (names.join() !== [...select.options].map(option => option.value).join()) {
		select.replaceChildren(...names.map(name =>
			element("option", { value: name }, name || "all interfaces")));
		chosenDevice = names.includes(chosenDevice) ? chosenDevice : "";
		select.value = chosenDevice;
	}
	byId("device-choice").hidden = devices.length < 2;
	return devices.filter(device => !chosenDevice || device.dev === chosenDevice);
}

function sumReasons(devices) {
	const sums = new Map();
	for (const { reasons } of devices) {
		for (const each of reasons) {
			const sum = sums.get(each.reason) ||
				{ reason: each.reason, action: each.action, packets: 0, bytes: 0, monitored: 0 };
			sum.packets += each.packets;
			sum.bytes += each.bytes;
			sum.monitored += each.monitored || 0;
			sums.set(each.reason, sum);
		}
	}
	return [...sums.values()];
}

function keepMeanings({ reasons }) {
	for (const { reason, meaning, remedy } of reasons)
		meanings.set(reason, remedy === "Nothing." ? meaning : `${meaning} ${remedy}`);
}

function action(each) {
	if (!each.monitored)
		return cell(each.action, `action ${each.action}`);
	if (each.monitored === each.packets)
		return cell("would drop", "action would");
	return cell(`drop (${whole.format(each.monitored)} only would)`, "action drop");
}

function showStats({ devices }) {
	const sums = sumReasons(chooseDevice(devices));
	fill("reasons", sums.filter(each => each.packets).sort((a, b) => b.packets - a.packets).map(each => [
		reasonHeading(each.reason), action(each),
		count(each.packets, { reason: each.reason, field: "packets" }),
		volume(each.bytes, { reason: each.reason, field: "bytes" })]), "no packets yet");
	const all = field => sums.reduce((sum, each) => sum + each[field], 0);
	byId("reasons").tFoot.replaceChildren(element("tr", {}, heading("all"), cell(""),
		count(all("packets"), { reason: "all", field: "packets" }),
		volume(all("bytes"), { reason: "all", field: "bytes" })));
}

function showSources({ total, sources }) {
	byId("now-sources").textContent = short(total);
	fill("sources", sources.map(each => [
		address(each.source), cell(each.class), count(each.dropped), count(each.passed)]),
	"no source is near a limit");
}

function showNetworks({ networks }) {
	fill("networks", networks.map(each => [
		address(each.network), count(each.dropped),
		cell(`${duration(each.seconds_ago)} ago`, "n")]), "no budget has dropped a newcomer's packet");
}

function showBans({ bans, total, too_many: tooMany }) {
	fill("bans", bans.map(each => [
		address(each.prefix), cell(each.reason || "no reason was given", "why"),
		cell(each.origin), cell(duration(each.ttl_seconds), "n")]),
	tooMany ? `${whole.format(total)} bans, too many for this page: weir show bans lists them` :
		"nothing is banned");
}

function budgetRate(each) {
	const unit = { 1: "s", 60: "min", 3600: "h" }[each.per_seconds] || `${each.per_seconds} s`;
	return [each.rate_packets && `${trimmed(each.rate_packets)} packets/${unit}`,
		each.rate_bits_per_s && short(each.rate_bits_per_s, "bit/s")].filter(Boolean).join(", ");
}

function showBudgets({ budgets }) {
	fill("budgets", budgets.map(each => {
		const used = gauge(each.used, `budget ${each.name} used`);
		if (each.pressed)
			used.append(element("span", { className: "short" }, "dropping"));
		return [heading(each.name), cell(budgetRate(each)), used, count(each.passed),
			count(each.shed + each.share + each.over)];
	}), "no budgets are set");
}

// Packets a second since the answer before, of each rule; a changed rule counts from 0.
let rulesBefore = new Map();

function ruleRates(rules) {
	const now = performance.now(), after = new Map();
	const rates = rules.map(each => {
		const key = `${each.name} ${each.added}`, before = rulesBefore.get(key);
		const seconds = before ? (now - before.at) / 1000 : 0;
		after.set(key, { at: now, packets: each.packets, spared: each.spared });
		return field => seconds > 0 && each[field] >= before[field] ?
			(each[field] - before[field]) / seconds : null;
	});
	rulesBefore = after;
	return rates;
}

const rate = value => cell(value === null ? "…" : short(value), "n");

// What is not as most rules have it.
function ruleAction(each) {
	const spares = { proven: "spares only proven sources", none: "spares no source" };
	return [budgetRate(each) && `above ${budgetRate(each)}`, spares[each.spare],
		each.monitor && "only counts", each.origin === "daemon" && "by the daemon"].filter(Boolean).map(text => `; ${text}`).join("");
}

function showRules({ rules }) {
	const rates = ruleRates(rules);
	fill("rules", rules.map((each, i) => {
		// One element, since CSS lays out the parts of a cell beside each other on a narrow page.
		const match = cell(element("span", {}, each.match,
			element("span", { className: "quiet" }, ruleAction(each))), "why");
		return [heading(each.name), match, rate(rates[i]("packets")), rate(rates[i]("spared")),
			cell(duration(each.age_seconds), "n"),
			cell(each.ttl_seconds === undefined ? "stays" : duration(each.ttl_seconds), "n")];
	}), "no drop rules are set");
}

function showLists({ lists }) {
	fill("lists", lists.map(each => [
		heading(each.list), count(each.ipv4), count(each.ipv6), count(each.generation),
		cell(moment(each.loaded))]), "no lists are loaded");
}

function showIncidents({ incidents }) {
	const bans = each => each.sources_banned + each.networks_banned;
	fill("incidents", incidents.slice(0, 20).map(each => [
		heading(each.number), cell(moment(each.begin), "when"),
		cell(each.state === "ended" ? moment(each.end) : each.state, "when"), cell(each.kind),
		count(each.peak_packets_per_s), count(each.turned_away_packets),
		cell(bans(each) ? `${whole.format(bans(each))} bans` : "dropped")]),
	"no flood has been recorded");
}

function showJudgements({ judgements }) {
	fill("judgements", judgements.sort((a, b) => b.number - a.number).map(each => [
		cell(moment(each.time), "when"), cell(each.verdict, "when"), address(each.prefix),
		cell(each.evidence, "why")]), "nothing has been judged");
}

function pill(sign, kind, text) {
	return element("li", { className: kind },
		element("span", { className: "sign", ariaHidden: "true" }, sign), text);
}

function devicePill(device) {
	if (!device.attached)
		return pill("✕", "bad", `${device.dev}: no longer attached`);
	return device.monitor ? pill("◌", "warn", `${device.dev}: ${device.mode}, monitor mode: drops nothing`) :
		pill("✓", "good", `${device.dev}: ${device.mode}, attached`);
}

const tableNames = { buckets: "sources near a limit", known: "known sources", allow: "allow entries",
		     block: "block entries" };

function daemonText(daemon) {
	if (daemon.up)
		return `up; its last loop took ${(daemon.loop_seconds * 1000).toFixed(1)} ms, ` +
			`the longest ${(daemon.longest_loop_seconds * 1000).toFixed(1)} ms`;
	return daemon.loops ? `has not finished a loop for ${duration(daemon.seconds_since_loop)}` :
		"has not finished a loop yet";
}

// The last boot ended in less than what was saved: a restore that succeeds ends that alarm. Packets
// that are lost before weir are in none of the page's other figures.
function showAlarm({ alarm, devices }) {
	const text = [alarm && `Since the last boot less is in force than was saved. ${alarm}. ` +
		"A successful weir restore ends this alarm.",
	...devices.map(each => each.lost.alarm)].filter(Boolean).join(" ");
	const banner = byId("alarm");
	if (banner.textContent !== text)
		banner.textContent = text;
	banner.hidden = !text;
}

function knownText({ devices, known }) {
	const blind = devices.filter(each => ["elsewhere", "no-tcp"].includes(each.proof)).map(each => each.dev);
	return [`${whole.format(known.long)} proven for long, ${whole.format(known.proven)} proven, ${whole.format(known.seen)} only seen`,
		known.put_off && `${whole.format(known.put_off)} times put off`,
		known.no_room && `${whole.format(known.no_room)} times no room for a proof`,
		known.full && "the table is full of proven sources where others belong",
		blind.length && `${blind.join(", ")}: no source can prove itself there, see weir show health`,
	].filter(Boolean).join("; ");
}

function lostText(devices) {
	return devices.map(({ dev, lost }) => [dev, Object.entries(lost.packets).filter(([, packets]) => packets)])
		.filter(([, counts]) => counts.length)
		.map(([dev, counts]) => `${dev}: ${counts.map(([name, packets]) =>
			`${name} ${whole.format(packets)}`).join(", ")}`).join("; ") || "none since weir was attached";
}

function showHealth(health) {
	showAlarm(health);
	byId("devices").replaceChildren(...(health.devices.length ? health.devices.map(devicePill) :
		[pill("–", "off", "attached to no interface")]),
	health.daemon.up ? pill("✓", "good", "daemon") : pill("✕", "bad", `daemon ${daemonText(health.daemon)}`));
	const facts = [["Daemon", daemonText(health.daemon)],
		       ["Gate", `${(health.gate_saturation * 100).toFixed(1)} % of its cells have a debt`],
		       ["Known sources", knownText(health)],
		       ["Lost before weir", lostText(health.devices)],
		       ["Block set", health.blockset_generation ? `generation ${health.blockset_generation}` : "none"]];
	byId("health").replaceChildren(...facts.flatMap(([name, text]) =>
		[element("dt", {}, name), element("dd", {}, text)]));
	fill("tables", health.tables.map(each => [
		heading(tableNames[each.table] || each.table),
		gauge(each.entries / each.capacity, `${each.table}: how full`), count(each.entries),
		count(each.highest), count(each.capacity)]), "");
	const block = health.block;
	byId("now-bans").textContent = short(block.operator_bans + block.daemon_bans);
	byId("now-blocks").textContent = `${short(block.daemon_bans)} by the daemon; ` +
		`${short(block.operator_permanent + block.daemon_permanent)} permanent block entries`;
	const known = health.known;
	byId("now-known").textContent = `known: ${short(known.long + known.proven)} proven, ` +
		`${short(known.seen)} only seen`;
	byId("version").textContent = `weir ${health.version}, ABI ${health.abi}`;
}

// ---- requests ----

async function ask(path) {
	const answer = await fetch(path, { signal: AbortSignal.timeout(ANSWER_MS) });
	if (!answer.ok)
		throw new Error((await answer.text()).trim());
	return answer.json();
}

function showError(error) {
	const alert = byId("alert");
	const text = error instanceof TypeError || error?.name === "TimeoutError" ?
		"The daemon does not answer; these figures are old. Limits, lists and bans take effect without it." :
		error?.message || "";
	if (alert.textContent !== text)
		alert.textContent = text;
	alert.hidden = !text;
	document.body.classList.toggle("stale", Boolean(text));
	if (!text)
		byId("updated").textContent = `updated ${moment(Date.now() / 1000)}`;
}

const rounds = [
	[FAST_MS, [["/api/history", showHistory], ["/api/stats", showStats]]],
	[SLOW_MS, [["/api/health", showHealth], ["/api/sources", showSources], ["/api/networks", showNetworks],
		   ["/api/bans", showBans], ["/api/budgets", showBudgets],
		   ["/api/rules", showRules], ["/api/lists", showLists],
		   ["/api/judgements", showJudgements], ["/api/incidents", showIncidents]]],
];

async function round(asked) {
	let failed = null;
	for (const [path, show] of asked) {
		try {
			show(await ask(path));
		} catch (error) {
			failed = error;
		}
	}
	return failed;
}

async function repeat(every, asked, first) {
	for (;;) {
		if (!document.hidden) {
			const failed = await round(asked);
			if (first || failed)
				showError(failed);
		}
		await new Promise(resolve => setTimeout(resolve, every));
	}
}

function start() {
	plots.passed = plot("plot-passed");
	plots.dropped = plot("plot-dropped");
	dark.addEventListener("change", () => Object.values(plots).forEach(each => each.paint()));
	byId("device").addEventListener("change", event => {
		chosenDevice = event.target.value;
		round([["/api/stats", showStats]]);
	});
	round([["/api/reasons", keepMeanings]]);
	rounds.forEach(([every, asked], i) => repeat(every, asked, i === 0));
}

start();
