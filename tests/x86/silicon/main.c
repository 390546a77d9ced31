/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cpu-fuzz: random instructions by the interpreter and by the processor itself.
 *
 *   cpu-fuzz SEED COUNT [PROCESSES [ENGINE]]   compares COUNT cases; replays the known ones first
 *   cpu-fuzz replay 'LINE' [ENGINE]   one case, as a mismatch prints it
 *   cpu-fuzz excluded                 which instructions are not compared, and why
 *
 * Prints TAP, so that the tests run it as it is. Exit status 0: everything agrees.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "case.h"
#include "base/error.h"
#include "engine/dbt/dbt.h"
#include "engine/interp/interp.h"

/* What is compared with the processor. */
static const struct engine_type *const engines[] = {&interp_engine, &dbt_engine};
static const struct engine_type *engine = &interp_engine;

enum { PROCESSES_MAX = 64, SHOWN = 100, SHOWN_OF_EACH = 1 };

/* Shared by the processes. */
struct tally {
    _Atomic uint64_t done, wrong, shown;
    _Atomic uint32_t of_each[ZYDIS_MNEMONIC_MAX_VALUE + 1];
};
static struct tally *tally;

static void describe(const struct input *input, const char *what)
{
    struct input small = *input;
    struct insn insn;
    case_decode(&small, &insn);
    case_minimise(&small, &insn);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ZydisDisassembledInstruction shown;
    ZydisMachineMode mode = code64(&small)     ? ZYDIS_MACHINE_MODE_LONG_64
                            : small.bits == 32 ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32
                                               : ZYDIS_MACHINE_MODE_LONG_COMPAT_16;
    bool known =
        ZYAN_SUCCESS(ZydisDisassembleIntel(mode, small.rip, small.bytes, small.length, &shown));
    fprintf(out, "# %s: %s\n", what, known ? shown.text : "(no instruction)");
    case_agrees(&small, &insn, out);
    fprintf(out, "    cpu-fuzz replay '");
    case_print(&small, out);
    fprintf(out, "' %s\n", engine->name);
    fclose(out);
    fputs(text, stdout);
    fflush(stdout);
    free(text);
}

static bool run_line(const char *line)
{
    struct input input;
    struct insn insn;
    if (!case_parse(&input, line) || !case_decode(&input, &insn)) {
        printf("# not a case: %s\n", line);
        return false;
    }
    if (!operands_safe(&input, &insn)) {
        printf("# it would reach outside of the sandbox: %s\n", line);
        return false;
    }
    bool same = case_agrees(&input, &insn, NULL);
    if (!same)
        describe(&input, "differs");
    return same;
}

static void work(uint64_t seed, uint64_t first, uint64_t count, uint64_t step)
{
    guest_create(engine);
    uint64_t done = 0;
    for (uint64_t number = first; number < count; number += step) {
        struct input input;
        struct insn insn;
        generate_case(&input, &insn, seed, number);
        if (!case_agrees(&input, &insn, NULL)) {
            char what[64];
            tally->wrong++;
            if (tally->of_each[insn.insn.mnemonic]++ >= SHOWN_OF_EACH || tally->shown++ >= SHOWN)
                continue;
            snprintf(what, sizeof(what), "case %" PRIu64 " differs", number);
            describe(&input, what);
        }
        if (++done % 1024 == 0)
            tally->done += 1024;
    }
    tally->done += done % 1024;
    fflush(stdout);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The cases are spread over processes of their own: each has one sandbox. */
static bool fuzz(uint64_t seed, uint64_t count, unsigned processes)
{
    double start = now();
    bool good = true;
    pid_t children[PROCESSES_MAX];
    fflush(stdout);
    for (unsigned i = 0; i < processes; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            const char *why;
            if (!native_create(&why))
                _exit(1);
            work(seed, i, count, processes);
            fflush(stdout);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < processes; i++) {
        int status = -1;
        if (children[i] < 0 || waitpid(children[i], &status, 0) < 0 || status != 0) {
            printf("# process %u ended with status %x\n", i, (unsigned)status);
            good = false;
        }
    }
    double seconds = now() - start;
    printf("# seed %" PRIu64 ": %" PRIu64 " cases in %.1f s, %.0f a second; %" PRIu64 " differ\n",
           seed, tally->done, seconds, (double)tally->done / seconds, tally->wrong);
    return good && tally->wrong == 0;
}

static bool replay_known(void)
{
    bool good = true;
    for (unsigned i = 0; i < regression_count; i++)
        good &= run_line(regressions[i]);
    return good;
}

/* In a process of its own, since the sandbox is made once in a process. The exit status. */
enum { AGREES, DIFFERS, CANNOT };
static int in_child(bool (*run)(const char *), const char *line)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        const char *why;
        int status = CANNOT;
        if (native_create(&why)) {
            guest_create(engine);
            status = (run ? run(line) : replay_known()) ? AGREES : DIFFERS;
        } else {
            printf("ok 1 - known cases # SKIP %s\nok 2 - random cases # SKIP %s\n", why, why);
        }
        fflush(stdout);
        _exit(status);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return DIFFERS;
    return WEXITSTATUS(status);
}

/* `make test` compares only where the masks of undefined results are known to be complete. */
static bool vendor_wanted(void)
{
    const char *wanted = getenv("CPU_FUZZ_VENDOR");
    char vendor[13];
    host_vendor(vendor);
    return !wanted || strcmp(wanted, vendor) == 0;
}

static bool choose_engine(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(engines); i++)
        if (strcmp(engines[i]->name, name) == 0) {
            engine = engines[i];
            return true;
        }
    return false;
}

static int usage(void)
{
    fputs("usage: cpu-fuzz SEED COUNT [PROCESSES [ENGINE]] | replay 'LINE' [ENGINE] | excluded\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "excluded") == 0) {
        print_excluded(stdout);
        return 0;
    }
    dbt_hot = 1;
    if ((argc == 3 || argc == 4) && strcmp(argv[1], "replay") == 0) {
        if (argc == 4 && !choose_engine(argv[3]))
            return usage();
        int status = in_child(run_line, argv[2]);
        puts(status == AGREES ? "agrees" : "differs");
        return status;
    }
    if (argc < 3 || argc > 5 || (argc == 5 && !choose_engine(argv[4])))
        return usage();
    uint64_t seed = strtoull(argv[1], NULL, 0), count = strtoull(argv[2], NULL, 0);
    unsigned processes = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 1;
    if (processes < 1 || processes > PROCESSES_MAX)
        return usage();
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED) {
        perror("cpu-fuzz: mmap");
        return 1;
    }
    puts("1..2");
    if (!vendor_wanted()) {
        const char *why = "the rules of what may differ were proven on other vendors' processors; "
                          "make fuzz-cpu compares on this one";
        printf("ok 1 - known cases # SKIP %s\nok 2 - random cases # SKIP %s\n", why, why);
        return 0;
    }
    struct error err;
    if (engine->usable && engine->usable(&err)) {
        printf("ok 1 - known cases # SKIP %s\nok 2 - random cases # SKIP %s\n", err.text, err.text);
        return 0;
    }
    int status = in_child(NULL, NULL);
    if (status == CANNOT)
        return 0;
    bool known = status == AGREES;
    printf("%s 1 - known cases\n", known ? "ok" : "not ok");
    bool random = fuzz(seed, count, processes);
    printf("%s 2 - random cases\n", random ? "ok" : "not ok");
    return known && random ? 0 : 1;
}
