/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "engine/dbt/host.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/keyval.h"
#include "base/log.h"
#include "cpu/vcpu.h"
#include "engine/dbt/window.h"

static const struct property {
    const char *name, *without;
    size_t field;
} properties[] = {
    {"guard-pages",
     "guard pages for shared memory (Linux 6.15 has them): it opens pages one by one",
     offsetof(struct host, guard_pages)},
    {"bmi2", "BMI2 or with a slow one: it uses MMX instructions", offsetof(struct host, bmi2)},
    {"fsgsbase", "FSGSBASE (Linux 5.9 has it): it asks the kernel to set the GS base",
     offsetof(struct host, fsgsbase)},
};

static bool *field(struct host *host, const struct property *property)
{
    return (bool *)((char *)host + property->field);
}

/* AMD's family 17h (Zen, Zen 2; Hygon's 18h is the same) takes 18 to 300 cycles for a PEXT. */
static bool slow_pext(void)
{
    unsigned eax, id[3];
    if (!__get_cpuid(0, &eax, &id[0], &id[2], &id[1]) ||
        (memcmp(id, "AuthenticAMD", 12) != 0 && memcmp(id, "HygonGenuine", 12) != 0))
        return false;
    if (!__get_cpuid(1, &eax, &id[0], &id[2], &id[1]))
        return false;
    unsigned family = (eax >> 8 & 15) + (eax >> 20 & 255);
    return family == 0x17 || family == 0x18;
}

void host_ask(struct host *host)
{
    host->guard_pages = window_guards();
    host->bmi2 = __builtin_cpu_supports("bmi2") && !slow_pext();
    host->fsgsbase = getauxval(AT_HWCAP2) & 2; /* HWCAP2_FSGSBASE */
}

int host_set(struct host *host, const char *name, const char *value, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
        if (strcmp(name, properties[i].name) != 0)
            continue;
        bool on, *have = field(host, &properties[i]);
        int rc = keyval_switch(name, value, &on, err);
        if (rc < 0)
            return rc;
        if (on && !*have)
            return error_set(err, EINVAL, "%s=on: this host does not have it; leave it out", name);
        *have = on;
        return 0;
    }
    return error_set(err, EINVAL, "unknown property '%s'; there are: guard-pages, bmi2, fsgsbase",
                     name);
}

void host_say(const struct host *host)
{
    struct host copy = *host;
    for (size_t i = 0; i < ARRAY_LEN(properties); i++)
        if (!*field(&copy, &properties[i]))
            log_info("the translator does without %s", properties[i].without);
}

void host_print(const struct host *host, FILE *out)
{
    struct host copy = *host;
    fputs("translator:", out);
    for (size_t i = 0; i < ARRAY_LEN(properties); i++)
        fprintf(out, " %s=%s", properties[i].name, *field(&copy, &properties[i]) ? "on" : "off");
    fputc('\n', out);
}

int host_room(struct error *err)
{
    /* The maps of a processor, asked for as map_create does: kernels differ in what they count
     * (vm.overcommit_memory, ulimit -v). */
    size_t size = (size_t)(MMU_COUNT - 1) << 39;
    void *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        return error_set(err, ENOMEM,
                         "the translator cannot reserve %zu GiB of addresses: is there a limit "
                         "(ulimit -v)?",
                         size >> 30);
    munmap(area, size);
    return 0;
}

void host_set_gs(const struct host *host, const void *base)
{
    if (host->fsgsbase)
        __asm__ volatile("wrgsbase %0" : : "r"(base));
    else
        syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}
