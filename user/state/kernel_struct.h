/* SPDX-License-Identifier: GPL-2.0-only */
/* Where members of the kernel's structs are, by its BTF. */
#ifndef WEIR_STATE_KERNEL_STRUCT_H
#define WEIR_STATE_KERNEL_STRUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * @path: the name of a struct, of a member of it, of a member of that and so on, then NULL. Sets
 * @at to where the last one is, in bytes. False: this kernel has none there of @size bytes, or no
 * BTF.
 */
bool kernel_member(const char *const *path, size_t size, uint16_t *at);

#endif
