// SPDX-License-Identifier: GPL-2.0-only
#include "user/state/kernel_struct.h"
#include "user/state/tcp_window.h"

bool tcp_window_read(struct tcp_window *window)
{
	static const char *const next[] = { "tcp_sock", "rcv_nxt", NULL };
	static const char *const size[] = { "tcp_sock", "rcv_wnd", NULL };
	struct tcp_window found = { 0 };
	bool good = kernel_member(next, 4, &found.next_at) &&
		    kernel_member(size, 4, &found.size_at);

	*window = good ? found : (struct tcp_window){ 0 };
	return good;
}
