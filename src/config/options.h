/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of config/ share: the table of options and the small tools their values are
 * parsed with. Private to config/. Any thread.
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdbool.h>

#include "config/config.h"

struct error;

#define CONFIG_IDE_DRIVES 4
#define CONFIG_FLOPPIES   2
#define CONFIG_SERIALS    4

/* One parse under way: the result, and what must be remembered until all options are seen. */
struct parse {
    struct config *config;
    bool no_defaults;   /* -nodefaults */
    bool no_graphic;    /* -nographic */
    bool monitor_given; /* -monitor or -mon, "none" too */
    bool vga_given;     /* -vga */
    bool accel_given;   /* -accel or -enable-kvm */
    bool machine_accel; /* -machine accel= */
    bool drive_taken[CONFIG_IDE_DRIVES];
    bool floppy_taken[CONFIG_FLOPPIES];
};

/* One option. argument is its name in the help, NULL when it takes none. */
struct option {
    const char *name;
    const char *argument;
    const char *summary;
    int (*apply)(struct parse *parse, const char *argument, struct error *err);
};

/* Ended by an entry without a name. An entry with a summary only is a heading of the help. */
extern const struct option config_options[];

/* Options QEMU has and we do not, NULL-ended: they deserve a better answer than "unknown". */
extern const char *const config_qemu_options[];

/* One key=value an option takes. A switch may be given without its value, which means "on". */
struct option_key {
    const char *name;
    bool is_switch;
    int (*set)(void *opaque, const char *value, struct error *err);
};

/* Splits text and gives each value to its key's set. implied is the key of a first item that is a
 * bare word, or NULL. keys is ended by an entry without a name. Errors begin with option. */
int option_apply_keys(const char *option, const char *text, const char *implied,
                      const struct option_key *keys, void *opaque, struct error *err);

/* The errors: "what 'word': ...; did you mean 'near'?" or "...; allowed: a, b, c". */
int option_unfit(struct error *err, const char *what, const char *word, const char *const *allowed);

/* A number of C's form from min to max. */
int option_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *value,
                  struct error *err);
/* A letter, then letters, digits, '-', '.', '_'. */
int option_id(const char *name, const char *text, struct error *err);
bool option_is(const char *text, const char *const *allowed);
bool option_is_help(const char *text); /* "help" or "?" */

/* Puts a copy of text in *slot in place of what was there; -ENOMEM. */
int option_string(char **slot, const char *text, struct error *err);
/* The same for a file name, which may not be empty. */
int option_path(char **slot, const char *text, struct error *err);
/* Appends a copy of text to a list. */
int option_append(char ***list, size_t *count, const char *text, struct error *err);
/* Room for one more element of size bytes, zeroed: NULL when there is no memory. */
void *option_grow(void **array, size_t *count, size_t size, struct error *err);

/* option_drive.c */
int option_drive(struct parse *parse, const char *argument, struct error *err);
int option_fda(struct parse *parse, const char *argument, struct error *err);
int option_fdb(struct parse *parse, const char *argument, struct error *err);
int option_hda(struct parse *parse, const char *argument, struct error *err);
int option_hdb(struct parse *parse, const char *argument, struct error *err);
int option_hdc(struct parse *parse, const char *argument, struct error *err);
int option_hdd(struct parse *parse, const char *argument, struct error *err);
int option_cdrom(struct parse *parse, const char *argument, struct error *err);
/* The empty CD drive QEMU adds where the third IDE place is free. */
int option_default_cdrom(struct parse *parse, struct error *err);

/* option_machine.c */
int option_machine(struct parse *parse, const char *argument, struct error *err);
int option_accel(struct parse *parse, const char *argument, struct error *err);
int option_enable_kvm(struct parse *parse, const char *argument, struct error *err);
int option_memory(struct parse *parse, const char *argument, struct error *err);
int option_smp(struct parse *parse, const char *argument, struct error *err);
int option_boot(struct parse *parse, const char *argument, struct error *err);
int option_rtc(struct parse *parse, const char *argument, struct error *err);
int option_name(struct parse *parse, const char *argument, struct error *err);
int option_device(struct parse *parse, const char *argument, struct error *err);

/* option_chardev.c */
int option_chardev(struct parse *parse, const char *argument, struct error *err);
int option_serial(struct parse *parse, const char *argument, struct error *err);
int option_parallel(struct parse *parse, const char *argument, struct error *err);
int option_monitor(struct parse *parse, const char *argument, struct error *err);
int option_mon(struct parse *parse, const char *argument, struct error *err);
int option_debugcon(struct parse *parse, const char *argument, struct error *err);
/* serial and monitor as -nographic and -nodefaults leave them; each chardev:ID must exist. */
int option_settle_chardevs(struct parse *parse, struct error *err);

#endif
