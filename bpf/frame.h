/* SPDX-License-Identifier: GPL-2.0-only */
/* The parser over XDP's context: the program includes this header, and not pure/packet.h. */
#ifndef WEIR_BPF_FRAME_H
#define WEIR_BPF_FRAME_H

#ifdef WEIR_BPF_PURE_PACKET_H
#error "bpf/frame.h must come before bpf/pure/packet.h"
#endif

#include <linux/bpf.h>

#define FRAME			struct xdp_md
#define frame_data(frame)	((void *)(long)(frame)->data)
#define frame_end(frame)	((void *)(long)(frame)->data_end)

#include "bpf/pure/packet.h"

#endif
