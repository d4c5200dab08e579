/* SPDX-License-Identifier: GPL-2.0-only */
/* The TCP sockets of this network namespace, as the kernel lists them (sock_diag). */
#ifndef WEIR_HOST_TCP_SOCKETS_H
#define WEIR_HOST_TCP_SOCKETS_H

#include <linux/inet_diag.h>
#include <stdint.h>

/* @length: the bytes of @socket and of the attributes behind it. */
typedef void tcp_socket(const struct inet_diag_msg *socket, int length, void *arg);

/*
 * Calls @each for every TCP socket of both families in @states (1 << TCP_LISTEN, ...). @extensions:
 * the attributes wanted, as in inet_diag_req_v2. 0, or -errno where the kernel does not list them.
 */
int tcp_sockets(uint32_t states, uint8_t extensions, tcp_socket *each, void *arg);

#endif
