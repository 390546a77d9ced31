/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The description of one VM: command line in, plain struct out. Strings point into argv or are
 * owned by the config. No side effects: nothing is opened here. QEMU's grammar.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum drive_interface { DRIVE_IDE, DRIVE_FLOPPY, DRIVE_NONE };
enum drive_media { MEDIA_DISK, MEDIA_CDROM };

struct config_drive {
    char *file;   /* NULL: an empty CD or floppy drive */
    char *format; /* NULL: probe */
    char *id;
    enum drive_interface interface;
    enum drive_media media;
    int index; /* IDE: bus * 2 + unit; floppy: 0 or 1; -1 until config_parse settles it */
    bool read_only;
    bool snapshot;
};

struct config_chardev {
    char *id;
    char *spec; /* "socket,path=..." without id= */
};

struct config_accel {
    char *name;       /* "interp", "dbt", "tcg", "kvm" */
    char *properties; /* the engine's own, "bmi2=off,fsgsbase=off"; NULL: none */
};

struct config_debug_exit {
    bool present;
    uint16_t iobase, iosize; /* 0x501, 2 by default, as in QEMU */
};

enum config_vga { VGA_STD, VGA_NONE };
enum config_action {
    ACTION_RUN,
    ACTION_HELP,
    ACTION_VERSION,
    ACTION_CPU_HELP,
    ACTION_MACHINE_HELP,
    ACTION_ACCEL_HELP,
    ACTION_DEVICE_HELP,
    ACTION_LOG_HELP,
    ACTION_VGA_HELP
};
enum config_display { DISPLAY_NONE, DISPLAY_NOGRAPHIC };

struct config {
    enum config_action action;
    char *name;
    char *machine;               /* "pc"; aliases "pc-i440fx" and versions resolve to it */
    char *cpu;                   /* -cpu's argument or NULL */
    struct config_accel *accels; /* in order of preference; none given: count 0 */
    size_t accel_count;
    uint64_t memory; /* bytes, 128 MiB by default */
    unsigned cpus;   /* 1 */
    char *kernel, *initrd, *append;
    char *bios;          /* -bios: a file name, looked up as in QEMU */
    char **library_dirs; /* -L: where firmware and option ROMs are looked for first, in order */
    size_t library_dir_count;
    char *boot_order; /* "c", "d", "cd"...; NULL: default */
    bool boot_menu;
    char *boot_once;
    struct config_drive *drives;
    size_t drive_count;
    char **serials; /* short forms and "chardev:ID", four at most; "none" kept */
    size_t serial_count;
    char *monitor;  /* short form, "chardev:ID" or NULL */
    char *debugcon; /* short form, "chardev:ID" or NULL */
    struct config_chardev *chardevs;
    size_t chardev_count;
    enum config_display display;
    enum config_vga vga;
    bool no_reboot, no_shutdown, snapshot, start_paused; /* -S */
    struct config_debug_exit debug_exit;
    char *log_items, *log_file; /* -d, -D */
    bool perfmap, jitdump;      /* names of translated code for perf */
    char *rtc_base;             /* "utc", "localtime" or a date as given; NULL: utc */
    char *rtc_clock;            /* "host", "vm" or NULL */
    bool hpet, acpi;            /* -machine hpet=, acpi=: on by default */
};

/* Parses a whole command line (argv[0] skipped). One line in err that names the option, and the
 * nearest option or the allowed values; -EINVAL. Defaults that depend on several options (serial
 * and monitor under -nographic, the default CD drive) are settled here, as QEMU settles them:
 * without -serial and -nographic: none of ours needs a display, so serial0 is "null". An option
 * that asks for help ends the parsing: action says which. On failure there is nothing to free.
 * config_fini frees what a success left. */
int config_parse(struct config *config, int argc, char **argv, struct error *err);
void config_fini(struct config *config);

/* The text of -help; the caller frees. */
char *config_help(void);

/* "512M", "1.5G", "4096" (MiB when no suffix, as -m), bounds-checked. */
int config_parse_size(const char *text, uint64_t default_unit, uint64_t *bytes, struct error *err);

/* key=value,key=value with ",," for a comma: calls fn for each; a bare word is key with value NULL.
 * fn returns 0 or a negative errno after filling err. */
int config_split(const char *text,
                 int (*fn)(void *opaque, const char *key, const char *value, struct error *err),
                 void *opaque, struct error *err);

/* The nearest of candidates (NULL-ended) by edit distance, or NULL when none is near. */
const char *config_nearest(const char *word, const char *const *candidates);

#endif
