// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/host/interfaces.h"
#include "user/model/error.h"
#include "user/state/device.h"
#include "user/state/stack.h"

/* All interfaces, and those of them that have weir, by slot. */
struct stack {
	struct interface *all;
	size_t count;
	const struct interface *weir[WEIR_DEVICES];	/* NULL: free, or not here */
};

/* Where interfaces cannot be read, none stands upon another. */
static void read_stack(const struct maps *maps, struct stack *stack)
{
	struct weir_device device;

	*stack = (struct stack){ 0 };
	interfaces_read(&stack->all, &stack->count);
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++)
		if (device.netns == own_netns())
			stack->weir[slot] = interface_find(stack->all, stack->count, device.ifindex);
}

static const struct interface *weir_above(const struct stack *stack, const struct interface *interface)
{
	for (uint32_t slot = 0; interface && slot < WEIR_DEVICES; slot++)
		if (stack->weir[slot] && interface_is_above(stack->weir[slot], interface))
			return stack->weir[slot];
	return NULL;
}

static const struct interface *weir_below(const struct stack *stack, const struct interface *interface)
{
	for (uint32_t slot = 0; interface && slot < WEIR_DEVICES; slot++)
		if (stack->weir[slot] && interface_is_above(interface, stack->weir[slot]))
			return stack->weir[slot];
	return NULL;
}

int stack_check(const struct maps *maps, uint32_t ifindex, const char *name, char *err)
{
	const struct interface *interface, *above, *below;
	struct stack stack;
	int rc = 0;

	read_stack(maps, &stack);
	interface = interface_find(stack.all, stack.count, ifindex);
	above = weir_above(&stack, interface);
	below = weir_below(&stack, interface);
	if (above)
		rc = fail(err, EBUSY, "%s: weir is on %s above it, and below that the kernel takes no "
			  "program; `weir detach dev %s keep` first. On %s weir sees the packets to %s, "
			  "too", name, above->name, above->name, name, above->name);
	else if (below)
		rc = fail(err, EBUSY, "%s: weir is on %s below it and sees its packets there. With weir "
			  "on both, the kernel would no longer let it be swapped on %s or taken off; "
			  "`weir detach dev %s keep` first to have it here only", name, below->name,
			  below->name, below->name);
	free(stack.all);
	return rc;
}

bool stack_above(const struct maps *maps, uint32_t ifindex, char name[16])
{
	const struct interface *above;
	struct stack stack;

	read_stack(maps, &stack);
	above = weir_above(&stack, interface_find(stack.all, stack.count, ifindex));
	if (above)
		memcpy(name, above->name, 16);
	free(stack.all);
	return above;
}

/* Takes away, again and again, those that no other one with weir is above. */
uint32_t stack_from_top(const struct maps *maps, uint32_t slots[WEIR_DEVICES])
{
	struct weir_device device;
	bool taken[WEIR_DEVICES] = { false };
	uint32_t count = 0, before;
	struct stack stack;

	read_stack(maps, &stack);
	do {
		before = count;
		for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++) {
			if (taken[slot] || weir_above(&stack, stack.weir[slot]))
				continue;
			taken[slot] = true;
			slots[count++] = slot;
			stack.weir[slot] = NULL;
		}
	} while (count > before);
	/* Interfaces above each other in a circle: in any order. */
	for (uint32_t slot = 0; device_next(maps, &slot, &device); slot++)
		if (!taken[slot])
			slots[count++] = slot;
	free(stack.all);
	return count;
}
