// SPDX-License-Identifier: GPL-2.0-only
/* Which rules of packet filters keep a cookie from its listener, and which do not. */
#include <string.h>

#include "tests/unit/check.h"
#include "user/model/obstacles.h"
#include "user/model/prefix.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static struct weir_syn_rule rule_of(uint16_t first, uint16_t last, const char *to)
{
	struct weir_syn_rule rule = { .first = first, .last = last };
	struct prefix prefix;
	char err[256];

	if (to && !prefix_parse(to, &prefix, NULL, err))
		prefix_to_key(&prefix, &rule.to);
	return rule;
}

#define DPORT(right)	"{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"tcp\"," \
			"\"field\":\"dport\"}},\"right\":" right "}}"
#define NOT_PORT(right)	"{\"match\":{\"op\":\"!=\",\"left\":{\"payload\":{\"protocol\":\"tcp\"," \
			"\"field\":\"dport\"}},\"right\":" right "}}"
#define UDP(right)	"{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"udp\"," \
			"\"field\":\"dport\"}},\"right\":" right "}}"
#define PROTO(right)	"{\"match\":{\"op\":\"==\",\"left\":{\"meta\":{\"key\":\"l4proto\"}}," \
			"\"right\":" right "}}"
#define DADDR(right)	"{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"ip\"," \
			"\"field\":\"daddr\"}},\"right\":" right "}}"
#define STATE(right)	"{\"match\":{\"op\":\"in\",\"left\":{\"ct\":{\"key\":\"state\"}},\"right\":" \
			right "}}"
#define NOT_SYN		"{\"match\":{\"op\":\"!=\",\"left\":{\"&\":[{\"payload\":{\"protocol\":" \
			"\"tcp\",\"field\":\"flags\"}},[\"fin\",\"syn\",\"rst\",\"ack\"]]}," \
			"\"right\":\"syn\"}}"
#define DNAT		"{\"dnat\":{\"addr\":\"192.0.2.9\"}}"
#define DROP		"{\"drop\":null}"
#define VMAP		"{\"vmap\":{\"key\":{\"ct\":{\"key\":\"state\"}},\"data\":{\"set\":" \
			"[[\"invalid\",{\"drop\":null}],[\"established\",{\"accept\":null}]]}}}"

/* Two base chains, one that is jumped to from the first, and one that nothing comes to. */
static const char *ruleset(char *into, size_t size, const char *family, const char *chain,
			   const char *jump, const char *expr)
{
	snprintf(into, size, "{\"nftables\":[{\"metainfo\":{\"version\":\"1.0.6\"}},"
		 "{\"table\":{\"family\":\"%1$s\",\"name\":\"t\"}},"
		 "{\"chain\":{\"family\":\"%1$s\",\"table\":\"t\",\"name\":\"pre\",\"type\":\"nat\","
		 "\"hook\":\"prerouting\"}},{\"chain\":{\"family\":\"%1$s\",\"table\":\"t\",\"name\":"
		 "\"in\",\"hook\":\"input\"}},{\"chain\":{\"family\":\"%1$s\",\"table\":\"t\","
		 "\"name\":\"out\",\"hook\":\"postrouting\"}},{\"chain\":{\"family\":\"%1$s\","
		 "\"table\":\"t\",\"name\":\"docker\"}},{\"rule\":{\"family\":\"%1$s\",\"table\":\"t\","
		 "\"chain\":\"docker\",\"handle\":6,\"expr\":[%4$s]}},{\"rule\":{\"family\":\"%1$s\","
		 "\"table\":\"t\",\"chain\":\"pre\",\"handle\":7,\"expr\":[%3$s]}},"
		 "{\"rule\":{\"family\":\"%1$s\",\"table\":\"t\",\"chain\":\"%2$s\",\"handle\":8,"
		 "\"expr\":[%5$s]}}]}", family, chain, jump, !strcmp(chain, "docker") ? expr : DROP,
		 !strcmp(chain, "docker") ? DROP : expr);
	return into;
}

static void test_nft(struct check *check)
{
	static const struct {
		const char *what, *family, *chain, *expr;
		bool strict, found;	/* strict: nf_conntrack_tcp_loose is 0 */
		const char *to;
	} rows[] = {
		{ "dnat of the port", "ip", "pre", DPORT("80") "," DNAT, .found = true },
		{ "dnat of another port", "ip", "pre", DPORT("81") "," DNAT },
		{ "redirect of all", "inet", "pre", "{\"redirect\":null}", .found = true },
		{ "redirect of all but this", "inet", "pre", NOT_PORT("80") ",{\"redirect\":null}" },
		{ "redirect of all but another", "inet", "pre", NOT_PORT("81") ",{\"redirect\":null}",
		  .found = true },
		{ "a set of ports", "inet", "pre", DPORT("{\"set\":[443,{\"range\":[79,90]}]}") "," DNAT,
		  .found = true },
		{ "another set", "inet", "pre", DPORT("{\"set\":[443,{\"range\":[8000,8010]}]}") "," DNAT },
		{ "a named set", "inet", "pre", DPORT("\"@ports\"") "," DNAT, .found = true },
		{ "UDP", "inet", "pre", UDP("80") "," DNAT },
		{ "protocol UDP", "inet", "pre", PROTO("\"udp\"") "," DNAT },
		{ "protocols", "inet", "pre", PROTO("{\"set\":[\"udp\",\"tcp\"]}") "," DNAT, .found = true },
		{ "tproxy", "inet", "pre", DPORT("80") ",{\"tproxy\":{\"port\":1}}", .found = true },
		{ "synproxy", "inet", "in", DPORT("80") ",{\"synproxy\":null}", .found = true },
		{ "masquerade", "ip", "out", "{\"masquerade\":null}" },
		{ "dnat where nothing comes", "ip", "out", DNAT },
		{ "its address", "ip", "pre", DADDR("\"192.0.2.1\"") "," DNAT, .found = true,
		  .to = "192.0.2.1/32" },
		{ "another address", "ip", "pre", DADDR("\"192.0.2.2\"") "," DNAT, .to = "192.0.2.1/32" },
		{ "its network", "ip", "pre", DADDR("{\"prefix\":{\"addr\":\"192.0.2.0\",\"len\":24}}") ","
		  DNAT, .found = true, .to = "192.0.2.1/32" },
		{ "IPv6 for a service of IPv4", "ip6", "pre", DNAT, .to = "192.0.2.1/32" },
		{ "a bridge's", "bridge", "pre", "{\"redirect\":null}" },
		{ "iptables-nft", "ip", "pre", PROTO("\"tcp\"") ",{\"xt\":{\"type\":\"target\",\"name\":"
		  "\"DNAT\"}}", .found = true },
		{ "iptables-nft, another target", "ip", "pre", "{\"xt\":{\"type\":\"target\",\"name\":"
		  "\"MARK\"}}" },
		{ "new without SYN", "inet", "in", NOT_SYN "," STATE("\"new\"") "," DROP, .found = true },
		{ "new without SYN, other port", "inet", "in", DPORT("81") "," NOT_SYN "," STATE("\"new\"")
		  "," DROP },
		{ "new without SYN, accepted", "inet", "in", NOT_SYN "," STATE("\"new\"")
		  ",{\"accept\":null}" },
		{ "new", "inet", "in", STATE("\"new\"") "," DROP },
		{ "invalid, loose", "inet", "in", STATE("\"invalid\"") "," DROP },
		{ "invalid, strict", "inet", "in", STATE("\"invalid\"") "," DROP, .strict = true,
		  .found = true },
		{ "invalid of several, strict", "inet", "in", STATE("[\"invalid\",\"untracked\"]") "," DROP,
		  .strict = true, .found = true },
		{ "a map of states, loose", "inet", "in", VMAP },
		{ "a map of states, strict", "inet", "in", VMAP, .strict = true, .found = true },
		{ "nothing", "inet", "in", "{\"counter\":{\"packets\":0}}" },
	};
	char json[4096], text[OBSTACLE_LEN];

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct weir_syn_rule rule = rule_of(80, 80, rows[i].to);
		bool found;

		*text = '\0';
		found = obstacle_in_nft(ruleset(json, sizeof(json), rows[i].family, rows[i].chain, DROP,
						rows[i].expr), !rows[i].strict, &rule, text);
		CHECK(check, found == rows[i].found, "%s: %d %s", rows[i].what, found, text);
		CHECK(check, !found || (strstr(text, "table") && strstr(text, rows[i].chain) &&
		      strstr(text, "handle 8")), "%s: %s", rows[i].what, text);
	}
	check_done(check, "rules of nftables", "%zu cases", COUNT(rows));
}

static void test_jumps(struct check *check)
{
	static const struct { const char *what, *jump; bool found; } rows[] = {
		{ "a jump", "{\"jump\":{\"target\":\"docker\"}}", true },
		{ "goto", DPORT("80") ",{\"goto\":{\"target\":\"docker\"}}", true },
		{ "a jump for another port", DPORT("81") ",{\"jump\":{\"target\":\"docker\"}}", false },
		{ "none", DROP, false },
	};
	struct weir_syn_rule rule = rule_of(80, 80, NULL);
	char json[4096], text[OBSTACLE_LEN];

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK(check, obstacle_in_nft(ruleset(json, sizeof(json), "ip", "docker", rows[i].jump,
						     DPORT("80") "," DNAT), true, &rule, text) ==
		      rows[i].found, "%s", rows[i].what);
	CHECK(check, !obstacle_in_nft("", true, &rule, text) &&
	      !obstacle_in_nft("{\"nftables\":7}", true, &rule, text) &&
	      !obstacle_in_nft("{\"nftables\":[{\"rule\":{\"expr\":[[],null,{\"dnat\":1}]}},{\"chain\":3}]}",
			       true, &rule, text), "broken text");
	check_done(check, "chains that are jumped to", "%zu cases", COUNT(rows));
}

static void test_iptables(struct check *check)
{
	static const struct { const char *what, *rules; bool strict, found; } rows[] = {
		{ "DNAT", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT "
		  "--to-destination 192.0.2.9\nCOMMIT\n", .found = true },
		{ "another port", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 81 "
		  "-j DNAT --to-destination 192.0.2.9\nCOMMIT\n" },
		{ "UDP", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -m udp --dport 80 -j DNAT "
		  "--to-destination 192.0.2.9\nCOMMIT\n" },
		{ "multiport", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m multiport --dports "
		  "22,70:90 -j REDIRECT\nCOMMIT\n", .found = true },
		{ "docker", "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - "
		  "[0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A DOCKER ! -i docker0 -p "
		  "tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80\nCOMMIT\n", .found = true },
		{ "a chain without a jump", "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A DOCKER -p "
		  "tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80\nCOMMIT\n" },
		{ "output", "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j REDIRECT\nCOMMIT\n" },
		{ "TPROXY", "# comment\n*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j TPROXY "
		  "--on-port 1\nCOMMIT\n", .found = true },
		{ "new without SYN", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp ! --tcp-flags "
		  "FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP\nCOMMIT\n", .found = true },
		{ "new with SYN", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --tcp-flags "
		  "FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP\nCOMMIT\n" },
		{ "invalid, loose", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate INVALID "
		  "-j DROP\nCOMMIT\n" },
		{ "invalid, strict", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate INVALID "
		  "-j DROP\nCOMMIT\n", .strict = true, .found = true },
		{ "cut off", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p" },
		{ "nothing", "" },
	};
	struct weir_syn_rule rule = rule_of(80, 80, NULL);
	char text[OBSTACLE_LEN];

	for (size_t i = 0; i < COUNT(rows); i++) {
		*text = '\0';
		CHECK(check, obstacle_in_iptables(rows[i].rules, "iptables", !rows[i].strict, &rule, text) ==
		      rows[i].found, "%s: %s", rows[i].what, text);
		CHECK(check, !rows[i].found || strstr(text, "chain "), "%s: %s", rows[i].what, text);
	}
	check_done(check, "rules of iptables", "%zu cases", COUNT(rows));
}

static void test_ipvs(struct check *check)
{
	static const char head[] = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port "
				   "Scheduler Flags\n  -> RemoteAddress:Port Forward Weight\n";
	static const struct { const char *what, *services; bool found; } rows[] = {
		{ "none", "", false },
		{ "TCP", "TCP  C0000201:0050 rr \n  -> C0000209:0050      Masq    1\n", true },
		{ "UDP", "UDP  C0000201:0050 rr \n", false },
		{ "another port", "TCP  C0000201:01BB rr \n  -> C0000209:0050      Masq    1\n", false },
		{ "IPv6", "TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0050 wlc \n", true },
		{ "a firewall mark", "FWM  00000001 rr \n", true },
	};
	struct weir_syn_rule rule = rule_of(80, 80, NULL);
	char services[1024], text[OBSTACLE_LEN];

	for (size_t i = 0; i < COUNT(rows); i++) {
		*text = '\0';
		snprintf(services, sizeof(services), "%s%s", head, rows[i].services);
		CHECK(check, obstacle_in_ipvs(services, &rule, text) == rows[i].found, "%s: %s",
		      rows[i].what, text);
	}
	check_done(check, "services of IPVS", "%zu cases", COUNT(rows));
}

int main(void)
{
	struct check check = { 0 };

	test_nft(&check);
	test_jumps(&check);
	test_iptables(&check);
	test_ipvs(&check);
	return check_exit(&check);
}
