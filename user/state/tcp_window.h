/* SPDX-License-Identifier: GPL-2.0-only */
/* Where this kernel keeps the receive window of a connection: see bpf/socket.h. */
#ifndef WEIR_STATE_TCP_WINDOW_H
#define WEIR_STATE_TCP_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_window {
	uint16_t next_at;	/* rcv_nxt in struct tcp_sock */
	uint16_t size_at;	/* rcv_wnd */
};

/* False if the kernel does not say, for lack of BTF: @window is then all 0. */
bool tcp_window_read(struct tcp_window *window);

#endif
