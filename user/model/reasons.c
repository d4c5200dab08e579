// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "user/model/reasons.h"

const char *reason_name(enum weir_reason reason)
{
	static const char *const names[] = {
#define R(id, name, action) name,
		WEIR_REASONS(R)
#undef R
	};

	return reason < WEIR_REASON_MAX ? names[reason] : "?";
}

const char *reason_action(enum weir_reason reason)
{
	static const char PASS[] = "pass", DROP[] = "drop", TX[] = "tx";
	static const char *const actions[] = {
#define R(id, name, action) action,
		WEIR_REASONS(R)
#undef R
	};

	return reason < WEIR_REASON_MAX ? actions[reason] : "?";
}

uint64_t reasons_of_action(const char *action)
{
	uint64_t reasons = 0;

	for (int i = 0; i < WEIR_REASON_MAX; i++)
		if (!strcmp(reason_action(i), action))
			reasons |= 1ULL << i;
	return reasons;
}

enum weir_reason reason_find(const char *name)
{
	int i = 0;

	while (i < WEIR_REASON_MAX && strcmp(reason_name(i), name))
		i++;
	return i;
}

#define BROKEN_REMEDY "No stack sends such packets; `weir events reason R` names their senders."
#define LINK_REMEDY \
	"If it is no attack, raise the limit: `weir attach dev IF link 20kpps`, or `link off`."
#define COOKIES_BUSY "The part of the core's time that this may take is set by `weir syn share`."

/* A row for each reason, in the words of the man page. */
static const struct reason_text texts[WEIR_REASON_MAX] = {
	[WEIR_PASS_NO_LIMIT] = { "No limit applies to such packets.",
		"Nothing; `weir limit set` makes limits." },
	[WEIR_PASS_LIMIT] = { "The source keeps to its limit.", "Nothing." },
	[WEIR_PASS_ALLOW] = { "The source is on the allow list.",
		"Allow little: the address can be spoofed, and nothing limits it.",
		"An allow entry passes before all lists, limits and budgets." },
	[WEIR_PASS_ARP] = { "ARP, within the limit of the link.", "Nothing." },
	[WEIR_PASS_NEIGHBOUR] = { "IPv6 neighbour discovery, within the limit of the link.",
		"Nothing." },
	[WEIR_PASS_NOT_IP] = { "Another frame that is not IP, within the limit of the link.",
		"Nothing; if it carries IP (PPPoE, MPLS), attach to the interface that unwraps "
		"it." },
	[WEIR_DROP_ETHERNET] = { "A frame that is shorter than its Ethernet or VLAN header.",
		BROKEN_REMEDY },
	[WEIR_DROP_IPV4] = { "An IPv4 header that is cut short, or has wrong lengths.",
		BROKEN_REMEDY },
	[WEIR_DROP_IPV6] = { "An IPv6 header that is cut short, or has wrong lengths.",
		BROKEN_REMEDY },
	[WEIR_DROP_IPV6_CHAIN] = {
		"More than eight extension headers, or one that runs out of the packet.",
		BROKEN_REMEDY },
	[WEIR_DROP_TCP] = { "A TCP header that is cut short, or has wrong lengths or flags.",
		BROKEN_REMEDY,
		"Flags are looked at where cookies protect the port: SYN with FIN or RST, or none "
		"of SYN, ACK and RST, is sent by no stack." },
	[WEIR_DROP_UDP] = { "A UDP header that is cut short, or has a wrong "
		"length.", BROKEN_REMEDY },
	[WEIR_DROP_ICMP] = { "An ICMP header that is cut short.", BROKEN_REMEDY },
	[WEIR_DROP_BLOCK] = { "The source is in an entry of `block add` without an end.",
		"`weir block show` lists them; `weir block del PREFIX` removes one." },
	[WEIR_DROP_BAN] = { "The source is in an entry of `block add` with an end, as bans are.",
		"`weir show bans` has the cause; `weir block del PREFIX` ends one.",
		"The daemon's bans have their evidence in `weir ban-log`. To spare an address, say "
		"`weir allow add ADDRESS`." },
	[WEIR_DROP_LIST] = { "The source is in a loaded list.",
		"`weir block test ADDRESS` names the list; `weir allow add ADDRESS` makes an "
		"exception." },
	[WEIR_DROP_RULE] = { "A drop rule matches the packet and does not spare its source.",
		"`weir drop show` lists the rules, and what each dropped; `weir drop del NAME` "
		"removes one.",
		"Known sources are spared unless the rule says `spare none`, so `weir known import` "
		"spares a user for good." },
	[WEIR_DROP_RATE] = { "The source is over its limit.",
		"`weir show sources` names them; if they are users, raise the limit or give their "
		"prefix a limit of its own.",
		"`weir show source ADDRESS` has the buckets of one source. A user who sends a "
		"little too much loses a few percent, a flood nearly all; the column % of `show "
		"sources` tells them apart. A source with bursts needs a higher `burst`, not a "
		"higher rate." },
	[WEIR_DROP_CONTENDED] = { "16 other CPUs in a row were faster at the same bucket.",
		"Nothing; it is not seen outside tests." },
	[WEIR_DROP_TABLE_FULL] = { "There was no memory for a bucket.",
		"`weir show health` tells how full the tables are; give the machine memory, or "
		"limits a wider `per`." },
	[WEIR_PASS_KNOWN] = { "The budget is used up, and the source is a known one.",
		"Nothing: this is what budgets are for." },
	[WEIR_PASS_NEWCOMER] = {
		"The budget is used up, and the source is within its share of what is left; or a "
		"SYN that is let through to a protected service.", "Nothing." },
	[WEIR_DROP_SHED] = {
		"The budget is used up, and there was no room for this newcomer.",
		"`weir budget show` tells the load; if the service bears more, raise the rate. "
		"`weir known import` vouches for your users.",
		"Known sources are served first, and newcomers share what is left. A newcomer that "
		"comes again and proves by a connection that it is there becomes known." },
	[WEIR_DROP_SHARE] = {
		"The budget is used up, and the network of the source has had its share among "
		"those of its tier.",
		"`weir show networks` names them; to hold one back for a time: `weir block add "
		"NETWORK ttl 10m`.",
		"A network is a /24 of IPv4 or a /48 of IPv6. While a budget is used up, no "
		"network gets more than the others of its tier, so that one network with many "
		"addresses cannot take what newcomers are left with. Users in the same network "
		"suffer with it, unless they are known: `weir show source ADDRESS` tells the tier, "
		"`weir known import` vouches for sources." },
	[WEIR_DROP_BUDGET] = {
		"The budget is used up, and there was no room for this known source.",
		"The budget is too small for your known sources, or spoofers use their addresses: "
		"`weir budget show` has the tiers. Raise the rate if the service bears more." },
	[WEIR_TX_COOKIE] = { "A SYN that was answered by a cookie.",
		"Nothing: a client that is there returns the cookie.",
		"`weir syn show` tells how many cookies came back. Of a flood with spoofed sources "
		"none do." },
	[WEIR_PASS_COOKIE] = {
		"The packet returned a cookie; its source is proven from now on.", "Nothing." },
	[WEIR_DROP_COOKIES] = {
		"A SYN beyond the answers for one source (50 a second; 2,000 for a known one), or "
		"from no single host.",
		"A client repeats its SYN and gets through. For a source with many users behind "
		"it: `weir allow add`, or `weir known import`." },
	[WEIR_DROP_STRAY_ACK] = {
		"A segment without SYN, be it an ACK or a RST, that belongs to no connection and "
		"brings no cookie, beyond 50 a second for one source or 10,000 for all.",
		"Usually an ACK flood, and nothing to do. If connections of users break, `weir syn "
		"show` tells whether the kernel takes the cookies." },
	[WEIR_DROP_FIRST_SYN] = {
		"A newcomer's SYN for which the core had no time. It is answered when it comes "
		"again.",
		"Nothing: clients repeat a SYN after a second. " COOKIES_BUSY },
	[WEIR_DROP_NO_ANSWER] = {
		"A SYN that was to be answered, but the answer could not be made: the rule was "
		"removed at that moment, or the kernel refused the cookie.",
		"`weir syn show` says what the kernel lacks, and `set-sysctl` sets it." },
	[WEIR_DROP_VLAN] = {
		"More than two VLAN tags (802.1Q, 802.1ad). Linux takes off any number of tags "
		"with VID 0, so such a frame could hide any packet.",
		"If you use such frames, attach to the VLAN interface." },
	[WEIR_DROP_ARP] = {
		"ARP over the limit of the hardware address that sent it, or of the interface.",
		LINK_REMEDY },
	[WEIR_DROP_NEIGHBOUR] = {
		"Neighbour discovery over the limit of the hardware address that sent it, or of "
		"the interface.", LINK_REMEDY },
	[WEIR_DROP_NOT_IP] = {
		"Frames that are not IP, over the limit of the hardware address that sent them, or "
		"of the interface.",
		LINK_REMEDY " If they carry IP (PPPoE, MPLS), attach to the interface that unwraps "
		"them." },
	[WEIR_DROP_FIRST_ACK] = {
		"A segment without SYN for a service that cookies protect, from a source that is "
		"not proven, for which the core had no time to find out whether it belongs to a "
		"connection or brings a cookie. It is looked up when it comes again, or when data "
		"follows it.",
		"Nothing: clients repeat it. " COOKIES_BUSY },
	[WEIR_TX_DNS] = { "A DNS query that was answered with \"truncated\".",
		"Nothing: a resolver comes again by TCP, and is proven then." },
	[WEIR_DROP_DNS] = {
		"A DNS query beyond the answers for one source, 50 a second, or for all, or for "
		"which the core had no time.",
		"Resolvers ask again. For one with many users: `weir allow add`, or `weir known "
		"import`." },
};

const struct reason_text *reason_text(enum weir_reason reason)
{
	static const struct reason_text none = { "?", "?" };

	return reason < WEIR_REASON_MAX ? &texts[reason] : &none;
}

uint64_t reasons_turned_away(void)
{
	static const uint8_t others[] = {
		WEIR_DROP_ETHERNET, WEIR_DROP_IPV4, WEIR_DROP_IPV6, WEIR_DROP_IPV6_CHAIN,
		WEIR_DROP_TCP, WEIR_DROP_UDP, WEIR_DROP_ICMP, WEIR_DROP_VLAN, WEIR_DROP_BLOCK,
		WEIR_DROP_BAN, WEIR_DROP_LIST, WEIR_DROP_RULE, WEIR_DROP_ARP, WEIR_DROP_NEIGHBOUR,
		WEIR_DROP_NOT_IP,
	};
	uint64_t reasons = reasons_of_action("drop");

	for (size_t i = 0; i < sizeof(others); i++)
		reasons &= ~(1ULL << others[i]);
	return reasons;
}
