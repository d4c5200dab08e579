/* SPDX-License-Identifier: GPL-2.0-only */
/* The constants that the tool sets before it loads the program; weir.bpf.c defines them. */
#ifndef WEIR_BPF_RODATA_H
#define WEIR_BPF_RODATA_H

#include <linux/types.h>

extern const volatile __u32 device_slot;
extern const volatile __u8 monitor;
extern const volatile __u64 try_until_ns;
extern const volatile __u8 monitor_after;
extern const volatile __u16 mtu;
extern const volatile __u8 bare;
extern const volatile __u64 link_cost;
extern const volatile __u8 minute_shift;
extern const volatile __u8 answer_weight;
extern const volatile __u32 clock_fresh;
extern const volatile __u16 clock_stamp_at;
extern const volatile __u16 clock_group_at;
extern const volatile __u16 clock_group_stamp_at;
extern const volatile __u16 window_next_at;
extern const volatile __u16 window_size_at;

#endif
