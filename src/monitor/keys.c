/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/keys.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "display/input.h"

static void type_next(void *opaque)
{
    struct key_typist *typist = opaque;
    while (typist->count) {
        struct key_event event = typist->queue[typist->first];
        typist->first = (typist->first + 1) % KEYS_QUEUE;
        typist->count--;
        input_key(typist->input, event.code, event.down);
        if (event.wait) {
            timer_set(&typist->timer, timers_now(typist->timer.timers) + event.wait);
            return;
        }
    }
}

void keys_init(struct key_typist *typist, struct timers *timers, struct input *input)
{
    typist->input = input;
    typist->first = typist->count = 0;
    timer_init(&typist->timer, timers, type_next, typist);
}

void keys_fini(struct key_typist *typist)
{
    timer_cancel(&typist->timer);
    typist->count = 0;
}

static void put(struct key_typist *typist, uint16_t code, bool down, int64_t wait)
{
    size_t at = (typist->first + typist->count++) % KEYS_QUEUE;
    typist->queue[at] = (struct key_event){code, down, wait};
}

int keys_type(struct key_typist *typist, const uint16_t *codes, size_t count, int64_t hold_ms,
              struct error *err)
{
    if (!count || count > KEYS_AT_ONCE)
        return error_set(err, EINVAL, "%zu keys at once: 1 to %d are possible", count,
                         KEYS_AT_ONCE);
    if (hold_ms < 0 || hold_ms > INT32_MAX)
        return error_set(err, EINVAL, "hold time %lld ms: 0 to %d are possible", (long long)hold_ms,
                         INT32_MAX);
    if (typist->count + 2 * count > KEYS_QUEUE)
        return error_set(err, ENOBUFS,
                         "too many keys wait to be typed; send more when the guest has taken some");
    int64_t hold = hold_ms * (NS_PER_SECOND / 1000);
    for (size_t i = 0; i < count; i++)
        put(typist, codes[i], true, i + 1 == count ? hold : 0);
    for (size_t i = count; i-- > 0;)
        put(typist, codes[i], false, i == 0 ? hold : 0);
    if (!timer_armed(&typist->timer))
        type_next(typist);
    return 0;
}

int keys_parse(const char *text, uint16_t codes[KEYS_AT_ONCE], struct error *err)
{
    int count = 0;
    for (;;) {
        char name[32];
        size_t length = strcspn(text, "-");
        int code = -1;
        if (length < sizeof(name)) {
            memcpy(name, text, length);
            name[length] = 0;
            code = input_key_code(strcmp(name, "<") == 0 ? "less" : name);
        }
        if (code < 0)
            return error_set(err, EINVAL, "invalid parameter: %.*s", (int)length, text);
        if (count == KEYS_AT_ONCE)
            return error_set(err, EINVAL, "too many keys: %d at once are possible", KEYS_AT_ONCE);
        codes[count++] = (uint16_t)code;
        if (!text[length])
            return count;
        text += length + 1;
    }
}
