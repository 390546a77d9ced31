/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table of options, the text of -help, and the options too small for a file of their own.
 */
#include "config/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static int set_help(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument, (void)err;
    parse->config->action = ACTION_HELP;
    return 0;
}

static int set_version(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument, (void)err;
    parse->config->action = ACTION_VERSION;
    return 0;
}

static int set_cpu(struct parse *parse, const char *argument, struct error *err)
{
    if (option_is_help(argument))
        parse->config->action = ACTION_CPU_HELP;
    if (!*argument)
        return error_set(err, EINVAL, "-cpu: the model is missing; -cpu help lists them");
    return option_string(&parse->config->cpu, argument, err);
}

static int set_kernel(struct parse *parse, const char *argument, struct error *err)
{
    int ret = option_path(&parse->config->kernel, argument, err);
    if (ret < 0)
        error_prefix(err, "-kernel");
    return ret;
}

static int set_initrd(struct parse *parse, const char *argument, struct error *err)
{
    int ret = option_path(&parse->config->initrd, argument, err);
    if (ret < 0)
        error_prefix(err, "-initrd");
    return ret;
}

static int set_append(struct parse *parse, const char *argument, struct error *err)
{
    return option_string(&parse->config->append, argument, err);
}

static int set_bios(struct parse *parse, const char *argument, struct error *err)
{
    int ret = option_path(&parse->config->bios, argument, err);
    if (ret < 0)
        error_prefix(err, "-bios");
    return ret;
}

static int set_library_dir(struct parse *parse, const char *argument, struct error *err)
{
    struct config *config = parse->config;
    if (!*argument)
        return error_set(err, EINVAL, "-L: the directory is missing");
    return option_append(&config->library_dirs, &config->library_dir_count, argument, err);
}

static int set_snapshot(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument, (void)err;
    parse->config->snapshot = true;
    return 0;
}

static int set_nographic(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument, (void)err;
    parse->no_graphic = true;
    parse->config->display = DISPLAY_NOGRAPHIC;
    return 0;
}

static int set_display(struct parse *parse, const char *argument, struct error *err)
{
    (void)parse;
    if (strcmp(argument, "none") == 0)
        return 0;
    return error_set(err, EINVAL,
                     "not supported: -display %.60s; allowed: none (a monitor's screendump shows "
                     "the screen)",
                     argument);
}

static int set_vga(struct parse *parse, const char *argument, struct error *err)
{
    static const char *const allowed[] = {"std", "none", NULL};
    if (option_is_help(argument)) {
        parse->config->action = ACTION_VGA_HELP;
        return 0;
    }
    if (!option_is(argument, allowed))
        return option_unfit(err, "-vga: adapter", argument, allowed);
    parse->vga_given = true;
    parse->config->vga = strcmp(argument, "none") == 0 ? VGA_NONE : VGA_STD;
    return 0;
}

static int set_nic(struct parse *parse, const char *argument, struct error *err)
{
    (void)parse;
    if (strcmp(argument, "none") == 0)
        return 0;
    return error_set(err, EINVAL,
                     "not supported: network adapters (%.60s); leave it out, or -nic none",
                     argument);
}

static int set_no_reboot(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument, (void)err;
    parse->config->no_reboot = true;
    return 0;
}

static int set_no_shutdown(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument, (void)err;
    parse->config->no_shutdown = true;
    return 0;
}

static int set_paused(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument, (void)err;
    parse->config->start_paused = true;
    return 0;
}

static int set_no_hpet(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument, (void)err;
    parse->config->hpet = false;
    return 0;
}

static int set_no_acpi(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument, (void)err;
    parse->config->acpi = false;
    return 0;
}

static int set_no_defaults(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument, (void)err;
    parse->no_defaults = true;
    return 0;
}

/* There is no configuration file of the user's: nothing to leave out. */
static int set_no_user_config(struct parse *parse, const char *argument, struct error *err)
{
    (void)parse, (void)argument, (void)err;
    return 0;
}

static int set_log_items(struct parse *parse, const char *argument, struct error *err)
{
    if (option_is_help(argument))
        parse->config->action = ACTION_LOG_HELP;
    return option_string(&parse->config->log_items, argument, err);
}

static int set_log_file(struct parse *parse, const char *argument, struct error *err)
{
    int ret = option_path(&parse->config->log_file, argument, err);
    if (ret < 0)
        error_prefix(err, "-D");
    return ret;
}

static int set_perfmap(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument;
    (void)err;
    parse->config->perfmap = true;
    return 0;
}

static int set_jitdump(struct parse *parse, const char *argument, struct error *err)
{
    (void)argument;
    (void)err;
    parse->config->jitdump = true;
    return 0;
}

const struct option config_options[] = {
    {NULL, NULL, "Standard options:", NULL},
    {"h", NULL, NULL, set_help},
    {"help", NULL, "show this text and exit", set_help},
    {"version", NULL, "show the version and exit", set_version},
    {"machine", "[type=]NAME[,accel=A[:B...]][,hpet=on|off][,acpi=on|off]",
     "the board: pc, also as pc-i440fx and pc-i440fx-*; help lists", option_machine},
    {"M", "NAME[,...]", "the same as -machine", option_machine},
    {"accel", "[accel=]NAME[,...]",
     "what runs the guest's code: dbt (also called tcg), the default, or interp; several -accel "
     "in\n"
     "       order of preference. To try dbt as on a host with less: guard-pages=off, bmi2=off,\n"
     "       fsgsbase=off",
     option_accel},
    {"enable-kvm", NULL, "the same as -accel kvm", option_enable_kvm},
    {"cpu", "MODEL[,+FLAG][,-FLAG][,PROPERTY=VALUE]",
     "the processor: qemu64, EPYC, x86-64-v3, host, ...; max by default; help lists models, flags\n"
     "       of CPUID and properties: enforce, kvm=off, ignore-msrs=on, ...",
     set_cpu},
    {"smp", "[cpus=]N", "processors; one for now", option_smp},
    {"m", "[size=]SIZE", "guest memory, in MiB or with a suffix of K, M, G; 128M by default",
     option_memory},
    {"name", "[guest=]NAME", "the guest's name", option_name},
    {"rtc", "[base=utc|localtime|DATE][,clock=host|vm]", "the clock the guest is given",
     option_rtc},
    {"device", "isa-debug-exit[,iobase=PORT][,iosize=N]",
     "a port at which the guest ends the process; -device help lists", option_device},
    {"nodefaults", NULL, "no serial port, monitor, VGA or CD drive that was not asked for",
     set_no_defaults},
    {"no-user-config", NULL, "for QEMU's sake: there is no such file", set_no_user_config},
    {"no-hpet", NULL, "the same as -machine hpet=off", set_no_hpet},
    {"no-acpi", NULL, "the same as -machine acpi=off", set_no_acpi},

    {NULL, NULL, "Disks:", NULL},
    {"fda", "FILE", "a disk in the first floppy drive", option_fda},
    {"fdb", "FILE", "a disk in the second floppy drive", option_fdb},
    {"hda", "FILE", "first disk of the first IDE bus; a FILE without option is the same",
     option_hda},
    {"hdb", "FILE", "second disk of the first IDE bus", option_hdb},
    {"hdc", "FILE", "first disk of the second IDE bus", option_hdc},
    {"hdd", "FILE", "second disk of the second IDE bus", option_hdd},
    {"cdrom", "FILE", "a CD image in the first place of the second IDE bus", option_cdrom},
    {"drive",
     "[file=FILE][,if=ide|floppy|none][,media=disk|cdrom][,format=raw][,index=I]\n"
     "       [,bus=B][,unit=U][,id=ID][,readonly=on|off][,snapshot=on|off]\n"
     "       [,cache=writeback|unsafe][,aio=threads][,discard=ignore]",
     "a disk, a CD or a floppy disk", option_drive},
    {"snapshot", NULL, "keep what is written to disks in temporary files", set_snapshot},

    {NULL, NULL, "Boot:", NULL},
    {"kernel", "FILE", "a kernel: Linux bzImage, PVH ELF or multiboot 1", set_kernel},
    {"initrd", "FILE", "its initial RAM disk; for multiboot modules: \"FILE ARGS,FILE ARGS\"",
     set_initrd},
    {"append", "TEXT", "its command line", set_append},
    {"boot", "[order=]DRIVES[,once=DRIVES][,menu=on|off]",
     "what to boot: letters of a (floppy), c (disk), d (CD-ROM), n (network)", option_boot},
    {"bios", "FILE", "the firmware; SeaBIOS's bios-256k.bin by default", set_bios},
    {"L", "DIR", "look for firmware here first", set_library_dir},

    {NULL, NULL, "Screen, serial ports, monitor:", NULL},
    {"nographic", NULL, "no screen; first serial port and monitor on this terminal, Ctrl-A h helps",
     set_nographic},
    {"display", "none", "no screen", set_display},
    {"vga", "std|none", "the VGA adapter", set_vga},
    {"serial", "DEV",
     "a serial port: stdio, mon:stdio, pty, file:, pipe:, unix:, tcp:, null, none,\n"
     "       chardev:ID; up to four times",
     option_serial},
    {"nic", "none", "for QEMU's sake: there is no network yet", set_nic},
    {"net", "none", "the same as -nic none", set_nic},
    {"parallel", "none", "for QEMU's sake: there is no parallel port", option_parallel},
    {"monitor", "DEV", "the monitor on a device as of -serial", option_monitor},
    {"mon", "[chardev=]ID[,mode=readline]", "the monitor on a -chardev", option_mon},
    {"debugcon", "DEV", "where bytes written to the debug ports 0xe9 and 0x402 go",
     option_debugcon},
    {"chardev", "TYPE,id=ID[,...]", "a character device for -serial, -mon and -debugcon",
     option_chardev},

    {NULL, NULL, "Life and debugging:", NULL},
    {"no-reboot", NULL, "end instead of rebooting", set_no_reboot},
    {"no-shutdown", NULL, "stop instead of ending when the guest powers off", set_no_shutdown},
    {"S", NULL, "do not start the processor; the monitor's cont does", set_paused},
    {"d", "ITEM[,...]", "log these; help lists", set_log_items},
    {"D", "FILE", "log to a file instead of stderr", set_log_file},
    {"perfmap", NULL, "write /tmp/perf-PID.map: perf report names translated code by it",
     set_perfmap},
    {"jitdump", NULL, "write jit-PID.dump, which also has the code, for perf inject --jit",
     set_jitdump},
    {NULL, NULL, NULL, NULL},
};

/* The options of qemu-system-x86_64 7.2 that are not in the table above. */
const char *const config_qemu_options[] = {
    "acpitable",
    "action",
    "add-fd",
    "async-teardown",
    "audio",
    "audio-help",
    "audiodev",
    "blockdev",
    "chroot",
    "compat",
    "daemonize",
    "dfilter",
    "dtb",
    "dump-vmstate",
    "echr",
    "enable-sync-profile",
    "fsdev",
    "full-screen",
    "fw_cfg",
    "gdb",
    "global",
    "icount",
    "incoming",
    "iscsi",
    "k",
    "loadvm",
    "mem-path",
    "mem-prealloc",
    "msg",
    "mtdblock",
    "net",
    "netdev",
    "no-fd-bootchk",
    "numa",
    "object",
    "only-migratable",
    "option-rom",
    "overcommit",
    "pflash",
    "pidfile",
    "plugin",
    "portrait",
    "preconfig",
    "qmp",
    "qmp-pretty",
    "readconfig",
    "rotate",
    "runas",
    "s",
    "sandbox",
    "sd",
    "seed",
    "semihosting",
    "set",
    "singlestep",
    "smbios",
    "spice",
    "tpmdev",
    "trace",
    "usb",
    "usbdevice",
    "uuid",
    "virtfs",
    "vnc",
    "watchdog",
    "watchdog-action",
    "win2k-hack",
    "xen-attach",
    "xen-domid",
    "xen-domid-restrict",
    NULL,
};

char *config_help(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("usage: trapeze [options] [disk_image]\n\n"
          "'disk_image' is a raw hard disk image for IDE hard disk 0. The options are those of\n"
          "qemu-system-x86_64; one or two dashes before them mean the same.\n",
          out);
    for (const struct option *at = config_options; at->name || at->summary; at++) {
        if (!at->name)
            fprintf(out, "\n%s\n", at->summary);
        else if (at->summary)
            fprintf(out, "-%s%s%s\n       %s\n", at->name, at->argument ? " " : "",
                    at->argument ? at->argument : "", at->summary);
    }
    fputs("\nWith -nographic: Ctrl-A x ends, Ctrl-A c changes between serial line and monitor,\n"
          "Ctrl-A h lists the other keys.\n",
          out);
    return fclose(out) == 0 ? text : NULL;
}
