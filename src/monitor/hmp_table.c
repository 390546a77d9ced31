/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The commands of the human monitor: names, arguments and help, and the little that leads from a
 * line's arguments to what commands.h does. Names, arguments and answers are QEMU's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "monitor/hmp.h"
#include "vm/vm.h"

enum { MOVE_MAX = 32767 };

static int run_help(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)hmp;
    (void)err;
    hmp_help(args[0].given ? args[0].text : "", out);
    return 0;
}

static int run_stop(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)args;
    (void)out;
    (void)err;
    vm_stop(hmp->vm);
    return 0;
}

static int run_cont(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)args;
    (void)out;
    return command_cont(hmp->vm, err);
}

static int run_reset(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)args;
    (void)out;
    (void)err;
    vm_reset(hmp->vm);
    return 0;
}

static int run_powerdown(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)args;
    (void)out;
    (void)err;
    vm_power_button(hmp->vm);
    return 0;
}

static int run_quit(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)args;
    (void)out;
    (void)err;
    hmp->quit = true;
    vm_quit(hmp->vm, 0);
    return 0;
}

static int run_screendump(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)out;
    enum picture_format format = PICTURE_PPM;
    if (args[1].given && strcmp(args[1].text, "png") == 0)
        format = PICTURE_PNG;
    else if (args[1].given && strcmp(args[1].text, "ppm") != 0)
        return error_set(err, EINVAL, "invalid parameter value: %s; use ppm or png", args[1].text);
    return command_screendump(hmp->vm, args[0].text, format, err);
}

static int run_sendkey(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    uint16_t codes[KEYS_AT_ONCE];
    int count = keys_parse(args[0].text, codes, err);
    if (count < 0) {
        fprintf(out, "%s\n", err->text); /* as QEMU says it, without "Error" */
        return 0;
    }
    int64_t hold_ms = args[1].given ? (int64_t)args[1].number : KEYS_HOLD_MS;
    return keys_type(&hmp->typist, codes, (size_t)count, hold_ms, err);
}

static int read_move(const struct hmp_arg *arg, int *value, struct error *err)
{
    *value = 0;
    if (!arg->given)
        return 0;
    char *end;
    long number = strtol(arg->text, &end, 0);
    if (end == arg->text || *end || number < -MOVE_MAX || number > MOVE_MAX)
        return error_set(err, EINVAL, "'%s' is not a number from -%d to %d", arg->text, MOVE_MAX,
                         MOVE_MAX);
    *value = (int)number;
    return 0;
}

static int run_mouse_move(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)out;
    int d[3];
    for (int i = 0; i < 3; i++) {
        int ret = read_move(&args[i], &d[i], err);
        if (ret < 0)
            return ret;
    }
    /* dz says only which way the wheel turns, as in QEMU. */
    input_move(&hmp->vm->machine->input, d[0], d[1], (d[2] > 0) - (d[2] < 0));
    return 0;
}

static int run_mouse_button(struct hmp *hmp, const struct hmp_arg *args, FILE *out,
                            struct error *err)
{
    (void)out;
    (void)err;
    unsigned known = POINTER_LEFT | POINTER_RIGHT | POINTER_MIDDLE;
    input_buttons(&hmp->vm->machine->input, (unsigned)args[0].number & known);
    return 0;
}

static int dump(struct hmp *hmp, const struct hmp_arg *args, bool physical, FILE *out,
                struct error *err)
{
    return command_dump(hmp->vm, hmp->vm->vcpus[0], &args[0].format, args[1].number, physical, out,
                        err);
}

static int run_x(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    return dump(hmp, args, false, out, err);
}

static int run_xp(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    return dump(hmp, args, true, out, err);
}

static int run_print(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)hmp;
    (void)err;
    command_print(args[1].number, args[0].format.letter, out);
    return 0;
}

static int save(struct hmp *hmp, const struct hmp_arg *args, bool physical, struct error *err)
{
    return command_save_memory(hmp->vm, hmp->vm->vcpus[0], args[0].number, args[1].number, physical,
                               args[2].text, err);
}

static int run_memsave(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)out;
    return save(hmp, args, false, err);
}

static int run_pmemsave(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)out;
    return save(hmp, args, true, err);
}

/* info */

static int info_status(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)args;
    (void)err;
    command_status(hmp->vm, out);
    return 0;
}

static int info_registers(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    if (!args[0].given)
        return command_registers(hmp->vm, args[1].given ? args[1].number : 0, out, err);
    int ret = 0;
    for (unsigned i = 0; i < hmp->vm->vcpu_count && ret == 0; i++)
        ret = command_registers(hmp->vm, i, out, err);
    return ret;
}

static int info_pic(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)args;
    return command_interrupts(hmp->vm, out, err);
}

static int info_jit(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)args;
    return command_engine(hmp->vm, out, err);
}

static int info_mtree(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    return command_memory_tree(hmp->vm, args[0].given, out, err);
}

static int info_chardev(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)args;
    (void)err;
    command_chardevs(hmp->vm, out);
    return 0;
}

static int info_version(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)hmp;
    (void)args;
    (void)err;
    fputs(TRAPEZE_VERSION "\n", out);
    return 0;
}

static int info_name(struct hmp *hmp, const struct hmp_arg *args, FILE *out, struct error *err)
{
    (void)args;
    (void)err;
    if (hmp->vm->config->name)
        fprintf(out, "%s\n", hmp->vm->config->name);
    return 0;
}

static const struct hmp_command info_commands[] = {
    {.name = "chardev", .usage = "", .help = "show the character devices", .run = info_chardev},
    {.name = "jit",
     .usage = "",
     .help = "show what the engine has counted: instructions, code kept",
     .run = info_jit,
     .frozen = true},
    {.name = "mtree",
     .params = {{HMP_FLAG, "flat", true, 'f'}},
     .usage = "[-f]",
     .help = "show the memory map and the ports (-f: who answers at which address)",
     .run = info_mtree},
    {.name = "name", .usage = "", .help = "show the current VM name", .run = info_name},
    {.name = "pic", .usage = "", .help = "show PIC state", .run = info_pic},
    {.name = "registers",
     .params = {{HMP_FLAG, "all", true, 'a'}, {HMP_NUMBER, "vcpu", true}},
     .usage = "[-a|vcpu]",
     .help = "show the cpu registers (-a: of all cpus; vcpu: of this one; else of the first)",
     .run = info_registers,
     .frozen = true},
    {.name = "status",
     .usage = "",
     .help = "show the current VM status (running|paused)",
     .run = info_status},
    {.name = "version", .usage = "", .help = "show the version of Trapeze", .run = info_version},
    {0},
};

const struct hmp_command hmp_commands[] = {
    {.name = "cont", .alias = "c", .usage = "", .help = "resume emulation", .run = run_cont},
    {.name = "help",
     .alias = "?",
     .params = {{HMP_REST, "cmd", true}},
     .usage = "[cmd]",
     .help = "show the help",
     .run = run_help},
    {.name = "info",
     .usage = "[subcommand]",
     .help = "show various information about the system state",
     .sub = info_commands},
    {.name = "memsave",
     .params = {{HMP_NUMBER, "addr"}, {HMP_NUMBER, "size"}, {HMP_FILE, "file"}},
     .usage = "addr size \"file\"",
     .help = "save to disk virtual memory dump starting at 'addr' of size 'size'",
     .run = run_memsave,
     .frozen = true},
    {.name = "mouse_button",
     .params = {{HMP_NUMBER, "state"}},
     .usage = "state",
     .help = "change mouse button state (1=L, 2=R, 4=M)",
     .run = run_mouse_button},
    {.name = "mouse_move",
     .params = {{HMP_WORD, "dx"}, {HMP_WORD, "dy"}, {HMP_WORD, "dz", true}},
     .usage = "dx dy [dz]",
     .help = "send mouse move events (dz: 1 or -1 for the wheel)",
     .run = run_mouse_move},
    {.name = "pmemsave",
     .params = {{HMP_NUMBER, "addr"}, {HMP_NUMBER, "size"}, {HMP_FILE, "file"}},
     .usage = "addr size \"file\"",
     .help = "save to disk physical memory dump starting at 'addr' of size 'size'",
     .run = run_pmemsave,
     .frozen = true},
    {.name = "print",
     .alias = "p",
     .params = {{HMP_FORMAT, "fmt"}, {HMP_NUMBER, "expr"}},
     .usage = "/fmt expr",
     .help = "print expression value (use $reg for CPU register access)",
     .run = run_print,
     .frozen = true},
    {.name = "quit", .alias = "q", .usage = "", .help = "quit the emulator", .run = run_quit},
    {.name = "screendump",
     .params = {{HMP_FILE, "filename"}, {HMP_FLAG_WORD, "format", true, 'f'}},
     .usage = "filename [-f ppm|png]",
     .help = "save the screen as a picture (default: ppm)",
     .run = run_screendump},
    {.name = "sendkey",
     .params = {{HMP_WORD, "keys"}, {HMP_NUMBER, "hold_ms", true}},
     .usage = "keys [hold_ms]",
     .help = "send keys to the VM (e.g. 'sendkey ctrl-alt-f1', default hold time=100 ms)",
     .run = run_sendkey},
    {.name = "stop", .alias = "s", .usage = "", .help = "stop emulation", .run = run_stop},
    {.name = "system_powerdown",
     .usage = "",
     .help = "send system power down event",
     .run = run_powerdown},
    {.name = "system_reset", .usage = "", .help = "reset the system", .run = run_reset},
    {.name = "x",
     .params = {{HMP_FORMAT, "fmt"}, {HMP_NUMBER, "addr"}},
     .usage = "/fmt addr",
     .help = "virtual memory dump starting at 'addr'",
     .run = run_x,
     .frozen = true},
    {.name = "xp",
     .params = {{HMP_FORMAT, "fmt"}, {HMP_NUMBER, "addr"}},
     .usage = "/fmt addr",
     .help = "physical memory dump starting at 'addr'",
     .run = run_xp,
     .frozen = true},
    {0},
};
