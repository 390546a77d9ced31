/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * kvmclock (Linux Documentation/virt/kvm/x86/msr.rst): a page in guest memory that says how TSC and
 * nanoseconds since power-on relate. We write it once, when the guest names the page: our TSC is
 * the host's with an offset and does not change its rate, so what the page says stays true.
 */
#include "cpu/clock.h"

#include <cpuid.h>
#include <time.h>

#include "cpu/model.h"

enum {
    MSR_WALL_CLOCK = 0x11,
    MSR_SYSTEM_TIME = 0x12,
    MSR_WALL_CLOCK_NEW = 0x4b564d00,
    MSR_SYSTEM_TIME_NEW = 0x4b564d01,
};

static int64_t host_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What the host says of its own: leaf 15h, or a hypervisor's timing leaf. 0: nothing. */
static uint64_t host_leaf_khz(void)
{
    uint32_t a, b, c, d;
    if (__get_cpuid_count(0x15, 0, &a, &b, &c, &d) && a && b && c)
        return (uint64_t)c * b / a / 1000;
    if (__get_cpuid(1, &a, &b, &c, &d) && c >> 31) {
        __cpuid(0x40000000, a, b, c, d);
        if (a >= 0x40000010 && a < 0x40010000) {
            __cpuid(0x40000010, a, b, c, d);
            return a;
        }
    }
    return 0;
}

uint64_t clock_tsc_khz(const struct vcpu *cpu)
{
    uint64_t khz = host_leaf_khz();
    if (khz)
        return khz;
    /* Against the host's clock, over the time since the model was made. */
    const struct cpu_model *model = cpu->model;
    int64_t ns = host_ns(CLOCK_MONOTONIC_RAW) - model->epoch_ns;
    if (ns < 20000000) {
        struct timespec rest = {.tv_nsec = 20000000 - (ns > 0 ? ns : 0)};
        nanosleep(&rest, NULL);
        ns = host_ns(CLOCK_MONOTONIC_RAW) - model->epoch_ns;
    }
    uint64_t ticks = __builtin_ia32_rdtsc() - model->epoch_tsc;
    return (uint64_t)((unsigned __int128)ticks * 1000000 / (uint64_t)ns);
}

/* ns = (ticks << shift) * mul >> 32, with mul in [2^31, 2^32). */
static void scale(uint64_t khz, uint32_t *mul, int8_t *shift)
{
    uint64_t hz = khz * 1000;
    *shift = 0;
    while (hz > 2000000000ull) { /* a tick is less than half a ns: fewer of them */
        hz >>= 1;
        --*shift;
    }
    while (hz <= 1000000000ull) {
        hz <<= 1;
        ++*shift;
    }
    /* hz in (1, 2] GHz: mul = 10^9 / hz as a fraction of 2^32. From the exact figure: */
    unsigned __int128 numerator = (unsigned __int128)1000000000ull << 32;
    unsigned __int128 exact = (unsigned __int128)khz * 1000;
    if (*shift < 0)
        numerator <<= -*shift;
    else
        exact <<= *shift;
    *mul = (uint32_t)(numerator / exact);
}

static void guest_write(struct vcpu *cpu, gpa_t gpa, const void *from, unsigned length)
{
    cpu->world->lock(cpu->world->opaque);
    mem_write(cpu->world->mem, gpa, from, length);
    cpu->world->unlock(cpu->world->opaque);
}

static int64_t guest_ns(const struct vcpu *cpu)
{
    return cpu->world->now ? cpu->world->now(cpu->world->opaque) : 0;
}

/* struct pvclock_vcpu_time_info; an even version says that the rest is whole. */
static void write_system_time(struct vcpu *cpu, uint64_t value)
{
    uint8_t page[32] = {0};
    uint32_t mul;
    int8_t shift;
    cpu->kvm_system_time = value;
    if (!(value & 1))
        return;
    uint64_t khz = clock_tsc_khz(cpu);
    scale(khz ? khz : 1000000, &mul, &shift);
    store_le32(page, 2);
    store_le64(page + 8, cpu_tsc(cpu));
    store_le64(page + 16, (uint64_t)guest_ns(cpu));
    store_le32(page + 24, mul);
    page[28] = (uint8_t)shift;
    page[29] = 1; /* TSC_STABLE: the same on every processor */
    guest_write(cpu, value & ~3ull, page, sizeof(page));
}

/* struct pvclock_wall_clock: the time of day at which the guest's clock was 0. */
static void write_wall_clock(struct vcpu *cpu, uint64_t value)
{
    uint8_t page[12];
    int64_t boot = host_ns(CLOCK_REALTIME) - guest_ns(cpu);
    cpu->kvm_wall_clock = value;
    store_le32(page, 2);
    store_le32(page + 4, (uint32_t)(boot / 1000000000));
    store_le32(page + 8, (uint32_t)(boot % 1000000000));
    guest_write(cpu, value & ~3ull, page, sizeof(page));
}

bool clock_msr_read(const struct vcpu *cpu, uint32_t msr, uint64_t *value)
{
    if (msr == MSR_SYSTEM_TIME || msr == MSR_SYSTEM_TIME_NEW)
        *value = cpu->kvm_system_time;
    else if (msr == MSR_WALL_CLOCK || msr == MSR_WALL_CLOCK_NEW)
        *value = cpu->kvm_wall_clock;
    else
        return false;
    return true;
}

bool clock_msr_write(struct vcpu *cpu, uint32_t msr, uint64_t value)
{
    if (msr == MSR_SYSTEM_TIME || msr == MSR_SYSTEM_TIME_NEW)
        write_system_time(cpu, value);
    else if (msr == MSR_WALL_CLOCK || msr == MSR_WALL_CLOCK_NEW)
        write_wall_clock(cpu, value);
    else
        return false;
    return true;
}
