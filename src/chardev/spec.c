/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Option strings: "-chardev TYPE,key=value" and the short forms of -serial and -monitor, both into
 * a list of values under the keys that the type knows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/keyval.h"
#include "chardev/internal.h"

static const struct chardev_ops *const types[] = {
    &chardev_file,    &chardev_null,   &chardev_pipe,  &chardev_pty,
    &chardev_ringbuf, &chardev_socket, &chardev_stdio,
};

static const struct spec_key mux_key = {"mux", true};

/* What QEMU 7.2 has and we do not. */
static const char *const other_types[] = {"udp",      "vc",           "tty",     "serial",
                                          "parallel", "parport",      "msmouse", "spicevmc",
                                          "braille",  "spiceport",    "testdev", "wctablet",
                                          "memory",   "qemu-vdagent", "dbus",    NULL};
static const char *const other_keys[] = {
    "logfile",   "logappend", "telnet", "tn3270", "websocket", "tls-creds", "tls-authz",
    "reconnect", "to",        "ipv4",   "ipv6",   "fd",        "abstract",  "tight",
    "delay",     "cols",      "rows",   "width",  "height",    NULL};

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words) != 0)
        words++;
    return *words;
}

static int unknown_type(const char *word, struct error *err)
{
    char names[128] = "";
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        size_t at = strlen(names);
        snprintf(names + at, sizeof(names) - at, "%s%s", i ? ", " : "", types[i]->name);
    }
    return error_set(err, EINVAL, "%s: %.60s; allowed: %s",
                     is_one_of(word, other_types) ? "not supported" : "no such type", word, names);
}

static int unknown_key(const struct spec *spec, const char *key, struct error *err)
{
    char names[128] = "";
    for (const struct spec_key *at = spec->ops->keys; at->name; at++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s=, ", at->name);
    return error_set(err, EINVAL, "%s: %s: %.60s; allowed: %smux=", spec->ops->name,
                     is_one_of(key, other_keys) ? "not supported" : "no such key", key, names);
}

static const struct spec_key *find_key(const struct spec *spec, const char *name)
{
    if (strcmp(name, mux_key.name) == 0)
        return &mux_key;
    for (const struct spec_key *at = spec->ops->keys; at->name; at++)
        if (strcmp(at->name, name) == 0)
            return at;
    return NULL;
}

/* The last one given counts. */
static int put(struct spec *spec, const char *key, const char *value, struct error *err)
{
    size_t at = 0;
    while (at < spec->count && strcmp(spec->items[at].key, key) != 0)
        at++;
    char *copy = strdup(value);
    if (!copy || at == ARRAY_LEN(spec->items)) { /* more than any type has keys */
        free(copy);
        return error_set(err, ENOMEM, "out of memory");
    }
    if (at == spec->count)
        spec->count++;
    else
        free(spec->items[at].value);
    spec->items[at].key = key;
    spec->items[at].value = copy;
    return 0;
}

/* A bare switch is on, and with "no" before it off: "server,nowait". */
static int put_bare(struct spec *spec, const char *word, struct error *err)
{
    const struct spec_key *key = find_key(spec, word);
    if (key && key->is_switch)
        return put(spec, key->name, "on", err);
    if (key)
        return error_set(err, EINVAL, "%s: %s needs a value: %s=...", spec->ops->name, word, word);
    key = strncmp(word, "no", 2) == 0 ? find_key(spec, word + 2) : NULL;
    if (key && key->is_switch)
        return put(spec, key->name, "off", err);
    return unknown_key(spec, word, err);
}

static int set_key(void *opaque, const char *name, const char *value, struct error *err)
{
    struct spec *spec = opaque;
    if (value && strcmp(name, "backend") == 0)
        return 0; /* find_type has seen it */
    if (!value)
        return put_bare(spec, name, err);
    const struct spec_key *key = find_key(spec, name);
    if (!key)
        return unknown_key(spec, name, err);
    bool ignored;
    int ret = key->is_switch ? keyval_switch(name, value, &ignored, err) : 0;
    return ret < 0 ? ret : put(spec, key->name, value, err);
}

static int find_type(void *opaque, const char *key, const char *value, struct error *err)
{
    struct spec *spec = opaque;
    if (strcmp(key, "backend") != 0 || !value)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(types[i]->name, value) == 0) {
            spec->ops = types[i];
            return 0;
        }
    return unknown_type(value, err);
}

int spec_parse(struct spec *spec, const char *text, struct error *err)
{
    *spec = (struct spec){0};
    int ret = keyval_split(text, "backend", find_type, spec, err);
    if (ret == 0 && !spec->ops)
        ret = unknown_type("", err);
    return ret < 0 ? ret : keyval_split(text, "backend", set_key, spec, err);
}

/* tcp:HOST:PORT[,switches]; an IPv6 host stands in brackets. */
static int parse_tcp(struct spec *spec, const char *text, struct error *err)
{
    char host[64], port[32];
    size_t length = strcspn(text, text[0] == '[' ? "]," : ":,");
    const char *rest = text + length + (text[0] == '[' && text[length] == ']');
    const char *from = text + (text[0] == '[');
    length -= text[0] == '[' && length;
    size_t port_length = *rest == ':' ? strcspn(rest + 1, ",") : 0;
    if (!port_length || length >= sizeof(host) || port_length >= sizeof(port))
        return error_set(err, EINVAL, "tcp:%.60s: the form is tcp:127.0.0.1:PORT,server,nowait",
                         text);
    snprintf(host, sizeof(host), "%.*s", (int)length, from);
    snprintf(port, sizeof(port), "%.*s", (int)port_length, rest + 1);
    rest += 1 + port_length;
    int ret = put(spec, "host", host, err);
    if (ret == 0)
        ret = put(spec, "port", port, err);
    return ret < 0 ? ret : keyval_split(*rest ? rest + 1 : rest, NULL, set_key, spec, err);
}

static int parse_unix(struct spec *spec, const char *text, struct error *err)
{
    return keyval_split(text, "path", set_key, spec, err);
}

/* A file name is all that follows, commas too. */
static int parse_path(struct spec *spec, const char *text, struct error *err)
{
    return put(spec, "path", text, err);
}

static int parse_word(struct spec *spec, const char *text, struct error *err)
{
    if (!*text)
        return 0;
    return error_set(err, EINVAL,
                     "%s takes nothing behind it; options go into -chardev %s,id=ID%.60s and "
                     "chardev:ID",
                     spec->ops->name, spec->ops->name, text);
}

static int unknown_short(const char *text, struct error *err)
{
    static const char *const others[] = {"telnet:", "websocket:", "tn3270:", "udp:",
                                         "vc",      "con:",       "COM",     "/dev/",
                                         "msmouse", "wctablet",   "braille", "testdev"};
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        known = known || strncmp(text, others[i], strlen(others[i])) == 0;
    return error_set(err, EINVAL,
                     "%s: %.60s; allowed: stdio, pty, null, none, file:PATH, pipe:PATH, "
                     "unix:PATH[,server][,nowait], tcp:127.0.0.1:PORT[,server][,nowait], "
                     "chardev:ID, and mon: before them for a monitor on the same",
                     known ? "not supported" : "no such character device", text);
}

int spec_parse_short(struct spec *spec, const char *text, struct error *err)
{
    static const struct {
        const char *prefix;
        const struct chardev_ops *ops;
        int (*parse)(struct spec *spec, const char *text, struct error *err);
    } forms[] = {
        {"stdio", &chardev_stdio, parse_word}, {"pty", &chardev_pty, parse_word},
        {"null", &chardev_null, parse_word},   {"file:", &chardev_file, parse_path},
        {"pipe:", &chardev_pipe, parse_path},  {"unix:", &chardev_socket, parse_unix},
        {"tcp:", &chardev_socket, parse_tcp},
    };
    *spec = (struct spec){0};
    const char *form = text;
    bool mon = strncmp(text, "mon:", 4) == 0;
    form += mon ? 4 : 0;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        size_t length = strlen(forms[i].prefix);
        if (strncmp(form, forms[i].prefix, length) != 0)
            continue;
        spec->ops = forms[i].ops;
        int ret = forms[i].parse(spec, form + length, err);
        if (ret == 0 && mon)
            ret = put(spec, "mux", "on", err);
        /* The guest behind a mux gets Ctrl-C; Ctrl-A x ends. */
        if (ret == 0 && mon && spec->ops == &chardev_stdio)
            ret = put(spec, "signal", "off", err);
        return ret;
    }
    return unknown_short(form, err);
}

void spec_fini(struct spec *spec)
{
    for (size_t i = 0; i < spec->count; i++)
        free(spec->items[i].value);
    spec->count = 0;
}

const char *spec_get(const struct spec *spec, const char *key)
{
    for (size_t i = 0; i < spec->count; i++)
        if (strcmp(spec->items[i].key, key) == 0)
            return spec->items[i].value;
    return NULL;
}

bool spec_switch(const struct spec *spec, const char *key, bool otherwise)
{
    const char *value = spec_get(spec, key);
    bool on = otherwise;
    if (value)
        keyval_switch(key, value, &on, NULL); /* it was looked at before */
    return on;
}

const char *spec_need(const struct spec *spec, const char *key, struct error *err)
{
    const char *value = spec_get(spec, key);
    if (value && *value)
        return value;
    error_set(err, EINVAL, "%s: %s= is missing", spec->ops->name, key);
    return NULL;
}
