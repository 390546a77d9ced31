/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/commands.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "chardev/chardev.h"
#include "vm/vm.h"

int command_cont(struct vm *vm, struct error *err)
{
    if (vm->state == VM_SHUTDOWN)
        return error_set(err, EPERM, "Resetting the Virtual Machine is required");
    if (vm->state == VM_ERROR)
        return error_set(err, EPERM, "the processor cannot go on; see what the log says");
    vm_cont(vm);
    return 0;
}

int command_screendump(struct vm *vm, const char *path, enum picture_format format,
                       struct error *err)
{
    const struct display_source *display = &vm->machine->display;
    if (!display->draw)
        return error_set(err, ENODEV, "there is no graphics adapter to take a picture of");
    struct surface surface = {0};
    display->draw(display->opaque, &surface);
    int ret = surface_save(&surface, path, format, err);
    surface_fini(&surface);
    return ret;
}

static int print_and_free(char *text, FILE *out, struct error *err)
{
    if (!text)
        return error_set(err, ENOMEM, "out of memory");
    fputs(text, out);
    free(text);
    return 0;
}

int command_registers(struct vm *vm, uint64_t index, FILE *out, struct error *err)
{
    if (index >= vm->vcpu_count)
        return error_set(err, ENOENT, "CPU#%lld not available", (long long)index);
    fprintf(out, "\nCPU#%u\n", (unsigned)index);
    return print_and_free(cpu_describe(vm->vcpus[index]), out, err);
}

int command_interrupts(struct vm *vm, FILE *out, struct error *err)
{
    if (!vm->machine->describe_irqs)
        return error_set(err, ENODEV, "this machine has no interrupt controller to show");
    return print_and_free(vm->machine->describe_irqs(vm->machine), out, err);
}

int command_engine(struct vm *vm, FILE *out, struct error *err)
{
    if (!vm->engine_type->statistics)
        return error_set(err, ENODEV, "the engine %s counts nothing", vm->engine_type->name);
    return print_and_free(vm->engine_type->statistics(vm->engine), out, err);
}

static void print_ports(void *opaque, uint16_t first, uint32_t count, const char *name)
{
    fprintf(opaque, "    %016x-%016x (prio 0, i/o): %s\n", first, first + count - 1,
            name ? name : "?");
}

int command_memory_tree(struct vm *vm, bool flat, FILE *out, struct error *err)
{
    fprintf(out, "address-space: I/O\n  %016x-%016x (prio 0, i/o): io\n", 0, 0xffff);
    pio_walk(vm->pio, print_ports, out);
    fputc('\n', out);
    return print_and_free(mem_describe(vm->mem, flat), out, err);
}

static void print_chardev(void *opaque, struct chardev *chardev)
{
    fprintf(opaque, "%s: filename=%s\n", chardev_label(chardev), chardev_filename(chardev));
}

void command_chardevs(struct vm *vm, FILE *out)
{
    vm_each_chardev(vm, print_chardev, out);
}

void command_status(struct vm *vm, FILE *out)
{
    const char *name = vm_state_name(vm->state);
    if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
        fprintf(out, "VM status: %s\n", name);
    else
        fprintf(out, "VM status: paused (%s)\n", name);
}
