/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Images: raw and overlay against plain files, refusals, locks, files that change under us, and
 * what is left after kill -9.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "block/block.h"
#include "event/loop.h"

struct bench {
    struct loop *loop;
    char folder[64];
    char path[96];
    struct error err;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    strcpy(bench->folder, "/tmp/trapeze-block-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof(bench->path), "%s/disk.raw", bench->folder);
    assert_int_equal(loop_create(&bench->loop, NULL, NULL), 0);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    loop_destroy(bench->loop);
    unlink(bench->path);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

static void make_file(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, length), length);
    close(fd);
}

static size_t read_file(const char *path, void *data, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, data, room);
    assert_true(n >= 0);
    close(fd);
    return (size_t)n;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void fill(uint8_t *data, size_t length, uint32_t seed)
{
    for (size_t i = 0; i < length; i++)
        data[i] = (uint8_t)(next_random(&seed) >> 8);
}

static void quit(void *opaque)
{
    loop_quit(opaque);
}

/* Delivers what has been posted to the loop so far. */
static void pump(struct bench *bench)
{
    loop_post(bench->loop, quit, bench->loop);
    loop_run(bench->loop);
}

struct job {
    struct block_request request;
    bool done;
    int result;
};

static void job_done(struct block_request *request, int result)
{
    struct job *job = request->opaque;
    assert_false(job->done);
    job->done = true;
    job->result = result;
}

static void submit(struct block *block, struct job *job, enum block_op op, uint64_t sector,
                   uint32_t sectors, void *buffer)
{
    *job = (struct job){.request = {.op = op,
                                    .sector = sector,
                                    .sectors = sectors,
                                    .buffer = buffer,
                                    .done = job_done,
                                    .opaque = job}};
    block_submit(block, &job->request);
    assert_false(job->done); /* never from inside the call */
}

static int run(struct bench *bench, struct block *block, enum block_op op, uint64_t sector,
               uint32_t sectors, void *buffer)
{
    struct job job;
    submit(block, &job, op, sector, sectors, buffer);
    block_drain(block);
    assert_false(job.done);
    pump(bench);
    assert_true(job.done);
    return job.result;
}

static struct block *open_raw(struct bench *bench, bool read_only, bool snapshot)
{
    struct block *block = NULL;
    struct block_options options = {
        .path = bench->path, .format = "raw", .read_only = read_only, .snapshot = snapshot};
    int ret = block_open(&block, bench->loop, &options, &bench->err);
    if (ret < 0)
        fail_msg("%s", bench->err.text);
    return block;
}

static int try_open(struct bench *bench, const char *path, const char *format, bool read_only)
{
    struct block *block = NULL;
    struct block_options options = {.path = path, .format = format, .read_only = read_only};
    bench->err.text[0] = '\0';
    int ret = block_open(&block, bench->loop, &options, &bench->err);
    block_close(block);
    if (ret < 0)
        assert_non_null(strstr(bench->err.text, path));
    return ret;
}

static void raw_is_the_file(void **state)
{
    struct bench *bench = *state;
    uint8_t content[8192], data[1024], got[8192];
    fill(content, sizeof(content), 1);
    fill(data, sizeof(data), 2);
    make_file(bench->path, content, sizeof(content));
    struct block *block = open_raw(bench, false, false);
    assert_int_equal(block_sectors(block), 16);
    assert_false(block_read_only(block));
    assert_string_equal(block_path(block), bench->path);

    assert_int_equal(run(bench, block, BLOCK_READ, 0, 16, got), 0);
    assert_memory_equal(got, content, sizeof(content));
    assert_int_equal(run(bench, block, BLOCK_WRITE, 3, 2, data), 0);
    memcpy(content + 3 * 512, data, sizeof(data));
    assert_int_equal(read_file(bench->path, got, sizeof(got)), sizeof(content));
    assert_memory_equal(got, content, sizeof(content));
    assert_int_equal(run(bench, block, BLOCK_FLUSH, 0, 0, NULL), 0);
    assert_int_equal(block_read_now(block, 3, got, 2), 0);
    assert_memory_equal(got, data, sizeof(data));

    struct block_stats stats = block_get_stats(block);
    assert_int_equal(stats.read_ops, 1);
    assert_int_equal(stats.read_bytes, 8192);
    assert_int_equal(stats.write_ops, 1);
    assert_int_equal(stats.write_bytes, 1024);
    assert_int_equal(stats.flush_ops, 1);
    block_close(block);
}

static void half_sector_at_the_end(void **state)
{
    struct bench *bench = *state;
    uint8_t content[1000], got[2048];
    fill(content, sizeof(content), 3);
    make_file(bench->path, content, sizeof(content));
    struct block *block = open_raw(bench, false, false);
    assert_int_equal(block_sectors(block), 2);
    memset(got, 0xee, sizeof(got));
    assert_int_equal(run(bench, block, BLOCK_READ, 0, 2, got), 0);
    assert_memory_equal(got, content, sizeof(content));
    for (int i = 1000; i < 1024; i++)
        assert_int_equal(got[i], 0);
    memset(got, 0x55, 512);
    assert_int_equal(run(bench, block, BLOCK_WRITE, 1, 1, got), 0);
    memset(got, 0, sizeof(got));
    assert_int_equal(run(bench, block, BLOCK_READ, 1, 1, got), 0);
    for (int i = 0; i < 512; i++)
        assert_int_equal(got[i], 0x55);
    assert_int_equal(read_file(bench->path, got, sizeof(got)), 1024);
    block_close(block);
}

static void requests_that_cannot_be(void **state)
{
    struct bench *bench = *state;
    uint8_t content[2048] = {0};
    make_file(bench->path, content, sizeof(content));
    struct block *block = open_raw(bench, false, false);
    assert_int_equal(run(bench, block, BLOCK_READ, 4, 1, content), -EINVAL);
    assert_int_equal(run(bench, block, BLOCK_READ, 3, 2, content), -EINVAL);
    assert_int_equal(run(bench, block, BLOCK_READ, 0, 0, content), -EINVAL);
    assert_int_equal(run(bench, block, BLOCK_WRITE, UINT64_MAX, 2, content), -EINVAL);
    assert_int_equal(run(bench, block, BLOCK_WRITE, 1, UINT32_MAX, content), -EINVAL);
    block_close(block);
    block = open_raw(bench, true, false);
    assert_true(block_read_only(block));
    assert_int_equal(run(bench, block, BLOCK_WRITE, 0, 1, content), -EROFS);
    assert_int_equal(run(bench, block, BLOCK_READ, 0, 1, content), 0);
    block_close(block);
}

static void refused_files(void **state)
{
    struct bench *bench = *state;
    uint8_t content[1024] = {0};
    char path[128];

    assert_int_equal(try_open(bench, bench->folder, "raw", false), -EISDIR);
    assert_non_null(strstr(bench->err.text, "directory"));
    assert_int_equal(try_open(bench, bench->folder, NULL, true), -EISDIR);
    assert_int_equal(try_open(bench, "/nonexistent/disk", NULL, false), -ENOENT);
    assert_int_equal(try_open(bench, "/dev/null", "raw", false), -EINVAL);
    snprintf(path, sizeof(path), "%s/fifo", bench->folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(try_open(bench, path, NULL, true), -EINVAL);
    unlink(path);

    make_file(bench->path, content, sizeof(content));
    assert_int_equal(try_open(bench, bench->path, "qcow3", false), -ENOTSUP);
    assert_non_null(strstr(bench->err.text, "qcow3"));
    memcpy(content, "QFI\xfb", 4);
    make_file(bench->path, content, sizeof(content));
    assert_int_equal(try_open(bench, bench->path, NULL, false), -ENOTSUP);
    assert_non_null(strstr(bench->err.text, "qcow2"));
    assert_int_equal(try_open(bench, bench->path, "raw", false), 0);
    make_file(bench->path, content, 0);
    assert_int_equal(try_open(bench, bench->path, NULL, false), 0);
}

static void read_only_file_names_the_option(void **state)
{
    struct bench *bench = *state;
    uint8_t content[512] = {0};
    make_file(bench->path, content, sizeof(content));
    assert_int_equal(chmod(bench->path, 0444), 0);
    assert_int_equal(chmod(bench->folder, 0755), 0);
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    int ret_reading = try_open(bench, bench->path, "raw", true);
    int ret = try_open(bench, bench->path, "raw", false);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(ret_reading, 0);
    assert_int_equal(ret, -EACCES);
    assert_non_null(strstr(bench->err.text, "readonly=on"));
}

static void two_writers_are_refused(void **state)
{
    struct bench *bench = *state;
    uint8_t content[512] = {0};
    make_file(bench->path, content, sizeof(content));
    struct block *writer = open_raw(bench, false, false);
    assert_int_equal(try_open(bench, bench->path, "raw", false), -EBUSY);
    assert_int_equal(try_open(bench, bench->path, "raw", true), -EBUSY);
    block_close(writer);
    struct block *reader = open_raw(bench, true, false);
    struct block *snapshot = open_raw(bench, false, true);
    assert_int_equal(try_open(bench, bench->path, "raw", true), 0);
    assert_int_equal(try_open(bench, bench->path, "raw", false), -EBUSY);
    block_close(snapshot);
    block_close(reader);
    assert_int_equal(try_open(bench, bench->path, "raw", false), 0);
}

/* What QEMU 7.2 holds on an image it writes. */
static void locks_of_qemu_are_seen(void **state)
{
    struct bench *bench = *state;
    uint8_t content[512] = {0};
    make_file(bench->path, content, sizeof(content));
    int fd = open(bench->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    static const int reader[] = {100, 201}, writer[] = {101, 203};
    for (int i = 0; i < 2; i++) {
        struct flock lock = {
            .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = reader[i], .l_len = 1};
        assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    }
    assert_int_equal(try_open(bench, bench->path, "raw", true), 0);
    assert_int_equal(try_open(bench, bench->path, "raw", false), -EBUSY);
    for (int i = 0; i < 2; i++) {
        struct flock lock = {
            .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = writer[i], .l_len = 1};
        assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    }
    assert_int_equal(try_open(bench, bench->path, "raw", true), -EBUSY);
    close(fd);
}

static void file_that_shrinks(void **state)
{
    struct bench *bench = *state;
    uint8_t content[8192], got[8192];
    fill(content, sizeof(content), 5);
    make_file(bench->path, content, sizeof(content));
    struct block *block = open_raw(bench, false, false);
    assert_int_equal(truncate(bench->path, 4096), 0);
    assert_int_equal(run(bench, block, BLOCK_READ, 0, 8, got), 0);
    assert_memory_equal(got, content, 4096);
    assert_int_equal(run(bench, block, BLOCK_READ, 7, 2, got), -EIO);
    assert_int_equal(run(bench, block, BLOCK_READ, 15, 1, got), -EIO);
    assert_int_equal(run(bench, block, BLOCK_WRITE, 15, 1, got), -EIO);
    struct stat st;
    assert_int_equal(stat(bench->path, &st), 0);
    assert_int_equal(st.st_size, 4096);
    block_close(block);
}

static void snapshot_forgets(void **state)
{
    struct bench *bench = *state;
    uint8_t content[4096], data[4096], got[4096];
    fill(content, sizeof(content), 6);
    fill(data, sizeof(data), 7);
    make_file(bench->path, content, sizeof(content));
    struct block *block = open_raw(bench, false, true);
    assert_false(block_read_only(block));
    assert_int_equal(run(bench, block, BLOCK_WRITE, 1, 3, data), 0);
    assert_int_equal(run(bench, block, BLOCK_FLUSH, 0, 0, NULL), 0);
    assert_int_equal(run(bench, block, BLOCK_READ, 0, 8, got), 0);
    assert_memory_equal(got, content, 512);
    assert_memory_equal(got + 512, data, 1536);
    assert_memory_equal(got + 2048, content + 2048, 2048);
    block_close(block);
    assert_int_equal(read_file(bench->path, got, sizeof(got)), sizeof(content));
    assert_memory_equal(got, content, sizeof(content));
}

static void guessed_raw_stays_raw(void **state)
{
    struct bench *bench = *state;
    uint8_t sector[1024] = {0};
    struct block *block = NULL;
    make_file(bench->path, sector, sizeof(sector));
    struct block_options options = {.path = bench->path};
    assert_int_equal(block_open(&block, bench->loop, &options, &bench->err), 0);
    assert_int_equal(run(bench, block, BLOCK_WRITE, 0, 1, sector), 0);
    memcpy(sector, "QFI\xfb", 4);
    assert_int_equal(run(bench, block, BLOCK_WRITE, 0, 1, sector), -EPERM);
    assert_int_equal(run(bench, block, BLOCK_WRITE, 1, 1, sector), 0);
    block_close(block);
}

enum { SCRIBBLE_SECTORS = 512, SCRIBBLE_JOBS = 8, SCRIBBLE_ROUNDS = 300 };

/* Several requests at once, that do not overlap, against a model in memory. */
static void scribble(struct bench *bench, bool snapshot, uint32_t seed)
{
    static uint8_t model[SCRIBBLE_SECTORS * 512], buffers[SCRIBBLE_JOBS][64 * 512];
    struct job jobs[SCRIBBLE_JOBS];
    fill(model, sizeof(model), seed);
    make_file(bench->path, model, sizeof(model));
    struct block *block = open_raw(bench, false, snapshot);
    for (int round = 0; round < SCRIBBLE_ROUNDS; round++) {
        for (unsigned i = 0; i < SCRIBBLE_JOBS; i++) {
            uint32_t first = i * 64 + next_random(&seed) % 64;
            uint32_t count = 1 + next_random(&seed) % (i * 64 + 64 - first);
            enum block_op op = next_random(&seed) % 3; /* a flush now and then */
            fill(buffers[i], count * 512, seed);
            submit(block, &jobs[i], op, first, count, buffers[i]);
        }
        block_drain(block);
        pump(bench);
        for (unsigned i = 0; i < SCRIBBLE_JOBS; i++) {
            struct block_request *request = &jobs[i].request;
            uint8_t *at = model + request->sector * 512;
            assert_true(jobs[i].done);
            assert_int_equal(jobs[i].result, 0);
            if (request->op == BLOCK_WRITE)
                memcpy(at, buffers[i], request->sectors * 512);
            else if (request->op == BLOCK_READ)
                assert_memory_equal(at, buffers[i], request->sectors * 512);
        }
    }
    static uint8_t got[SCRIBBLE_SECTORS * 512];
    assert_int_equal(run(bench, block, BLOCK_READ, 0, SCRIBBLE_SECTORS, got), 0);
    assert_memory_equal(got, model, sizeof(model));
    block_close(block);
    assert_int_equal(read_file(bench->path, got, sizeof(got)), sizeof(got));
    if (!snapshot)
        assert_memory_equal(got, model, sizeof(model));
}

static void scribbled_raw(void **state)
{
    scribble(*state, false, 0x1234567);
}

static void scribbled_overlay(void **state)
{
    scribble(*state, true, 0x7654321);
}

static void cancelled_requests_stay_silent(void **state)
{
    struct bench *bench = *state;
    static uint8_t buffers[16][65536];
    struct job jobs[16];
    make_file(bench->path, buffers, sizeof(buffers));
    struct block *block = open_raw(bench, false, false);
    for (int i = 0; i < 16; i++)
        submit(block, &jobs[i], BLOCK_READ, (uint64_t)i * 128, 128, buffers[i]);
    for (int i = 0; i < 16; i += 2) {
        block_cancel(&jobs[i].request);
        block_cancel(&jobs[i].request); /* not in flight: fine */
        memset(&jobs[i].request, 0xee, sizeof(jobs[i].request));
    }
    block_drain(block);
    pump(bench);
    for (int i = 0; i < 16; i++)
        assert_int_equal(jobs[i].done, i % 2);
    block_close(block);
}

static void close_with_requests_in_flight(void **state)
{
    struct bench *bench = *state;
    static uint8_t buffers[16][65536];
    struct job jobs[16];
    make_file(bench->path, buffers, sizeof(buffers));
    struct block *block = open_raw(bench, false, false);
    memset(buffers, 0x77, sizeof(buffers));
    for (int i = 0; i < 16; i++)
        submit(block, &jobs[i], BLOCK_WRITE, (uint64_t)i * 128, 128, buffers[i]);
    block_close(block);
    pump(bench);
    for (int i = 0; i < 16; i++)
        assert_false(jobs[i].done);
    static uint8_t got[sizeof(buffers)];
    assert_int_equal(read_file(bench->path, got, sizeof(got)), sizeof(got));
    assert_memory_equal(got, buffers, sizeof(got));
}

static void descriptors_are_not_inherited(void **state)
{
    struct bench *bench = *state;
    uint8_t content[512] = {0};
    make_file(bench->path, content, sizeof(content));
    bool before[64];
    unsigned opened = 0;
    for (int fd = 0; fd < 64; fd++)
        before[fd] = fcntl(fd, F_GETFD) >= 0;
    struct block *block = open_raw(bench, false, true);
    for (int fd = 0; fd < 64; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (before[fd] || flags < 0)
            continue;
        opened++;
        assert_true(flags & FD_CLOEXEC);
    }
    assert_int_equal(opened, 2);
    block_close(block);
}

static void what_was_flushed_survives_kill(void **state)
{
    struct bench *bench = *state;
    uint8_t content[4096] = {0}, data[2048], got[4096];
    fill(data, sizeof(data), 9);
    make_file(bench->path, content, sizeof(content));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (loop_create(&bench->loop, NULL, NULL) < 0)
            _exit(1);
        struct block *block = open_raw(bench, false, false);
        if (run(bench, block, BLOCK_WRITE, 2, 4, data) ||
            run(bench, block, BLOCK_FLUSH, 0, 0, NULL))
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    memcpy(content + 1024, data, sizeof(data));
    assert_int_equal(read_file(bench->path, got, sizeof(got)), sizeof(got));
    assert_memory_equal(got, content, sizeof(content));
    assert_int_equal(try_open(bench, bench->path, "raw", false), 0); /* its lock is gone */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(raw_is_the_file),
        CASE(half_sector_at_the_end),
        CASE(requests_that_cannot_be),
        CASE(refused_files),
        CASE(read_only_file_names_the_option),
        CASE(two_writers_are_refused),
        CASE(locks_of_qemu_are_seen),
        CASE(file_that_shrinks),
        CASE(snapshot_forgets),
        CASE(guessed_raw_stays_raw),
        CASE(scribbled_raw),
        CASE(scribbled_overlay),
        CASE(cancelled_requests_stay_silent),
        CASE(close_with_requests_in_flight),
        CASE(descriptors_are_not_inherited),
        CASE(what_was_flushed_survives_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
