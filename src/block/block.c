/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests to images: a queue, a few worker threads, and the way back to the loop.
 *
 * A request is in one of three places: `waiting` for a worker, with a worker (counted in
 * `running`), or `finished`, waiting for the loop to deliver it. The mutex guards the lists and
 * nothing else; workers never take the VM lock. The queue is an object of its own because a
 * delivery that was posted to the loop may outlive the block: the delivery then frees it.
 */
#include "block/block.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "block/format.h"
#include "event/loop.h"

enum { MAX_WORKERS = 4 };

struct request_list {
    struct block_request *first, *last;
};

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t work;     /* waiting has grown, or stop */
    pthread_cond_t progress; /* finished has grown */
    struct request_list waiting, finished;
    unsigned running; /* with a worker */
    bool posted;      /* a delivery is on its way to the loop, or at work */
    bool orphan;      /* the block is gone: the delivery frees the queue */
    bool stop;
    pthread_t workers[MAX_WORKERS];
    unsigned worker_count, idle;
};

struct block {
    struct loop *loop;
    char *path;
    struct block_image *image;
    bool read_only;
    bool guard_format; /* the format was guessed: the guest may not turn it into another */
    struct block_stats stats;
    struct queue *queue;
};

static void list_append(struct request_list *list, struct block_request *request)
{
    request->next = NULL;
    if (list->last)
        list->last->next = request;
    else
        list->first = request;
    list->last = request;
}

static struct block_request *list_pop(struct request_list *list)
{
    struct block_request *request = list->first;
    if (request) {
        list->first = request->next;
        if (!list->first)
            list->last = NULL;
    }
    return request;
}

/* True if it was in the list. */
static bool list_remove(struct request_list *list, struct block_request *request)
{
    struct block_request *before = NULL;
    for (struct block_request *at = list->first; at; before = at, at = at->next) {
        if (at != request)
            continue;
        if (before)
            before->next = at->next;
        else
            list->first = at->next;
        if (list->last == at)
            list->last = before;
        return true;
    }
    return false;
}

static void queue_free(struct queue *queue)
{
    pthread_cond_destroy(&queue->progress);
    pthread_cond_destroy(&queue->work);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

static struct queue *queue_create(void)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return NULL;
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->work, NULL);
    pthread_cond_init(&queue->progress, NULL);
    return queue;
}

static void count_request(struct block_stats *stats, const struct block_request *request)
{
    uint64_t bytes = (uint64_t)request->sectors * SECTOR_SIZE;
    switch (request->op) {
    case BLOCK_READ:
        stats->read_ops++;
        stats->read_bytes += bytes;
        break;
    case BLOCK_WRITE:
        stats->write_ops++;
        stats->write_bytes += bytes;
        break;
    case BLOCK_FLUSH:
        stats->flush_ops++;
        break;
    }
}

/* On the loop, under the VM lock. What is finished when it begins is delivered; what comes after
 * waits for another turn of the loop, so that a chain of short requests cannot hold it. The loop is
 * handed in by the block, which is looked at only while the queue is not an orphan. */
static void queue_deliver(void *opaque)
{
    struct queue *queue = opaque;
    struct loop *loop = NULL;
    pthread_mutex_lock(&queue->mutex);
    struct block_request *last = queue->finished.last;
    bool more = true;
    while (more && !queue->orphan && queue->finished.first) {
        struct block_request *request = list_pop(&queue->finished);
        struct block *block = request->block;
        more = request != last;
        loop = block->loop;
        pthread_mutex_unlock(&queue->mutex);
        request->block = NULL;
        if (request->result == 0)
            count_request(&block->stats, request);
        request->done(request, request->result);
        pthread_mutex_lock(&queue->mutex);
    }
    bool orphan = queue->orphan;
    bool again = !orphan && queue->finished.first;
    queue->posted = again;
    if (again)
        loop = queue->finished.first->block->loop;
    pthread_mutex_unlock(&queue->mutex);
    if (orphan)
        queue_free(queue);
    else if (again)
        loop_post(loop, queue_deliver, queue);
}

/* Any thread; the mutex is held. */
static void queue_finish(struct queue *queue, struct block_request *request, int result)
{
    request->result = result;
    list_append(&queue->finished, request);
    pthread_cond_broadcast(&queue->progress);
    if (!queue->posted) {
        queue->posted = true;
        loop_post(request->block->loop, queue_deliver, queue);
    }
}

/* The blocking part, on a worker. */
static int perform(const struct block_request *request)
{
    struct block *block = request->block;
    struct block_image *image = block->image;
    uint64_t offset = request->sector * SECTOR_SIZE;
    size_t length = (size_t)request->sectors * SECTOR_SIZE;

    if (request->op == BLOCK_FLUSH)
        return image->format->flush(image);
    if (request->op == BLOCK_READ)
        return image->format->read(image, offset, request->buffer, length);
    if (block->guard_format && offset == 0 && strcmp(format_probe(request->buffer), "raw") != 0)
        return -EPERM;
    return image->format->write(image, offset, request->buffer, length);
}

static void *worker(void *opaque)
{
    struct queue *queue = opaque;
    pthread_mutex_lock(&queue->mutex);
    for (;;) {
        struct block_request *request = list_pop(&queue->waiting);
        if (!request) {
            if (queue->stop)
                break;
            queue->idle++;
            pthread_cond_wait(&queue->work, &queue->mutex);
            queue->idle--;
            continue;
        }
        queue->running++;
        pthread_mutex_unlock(&queue->mutex);
        int result = perform(request);
        pthread_mutex_lock(&queue->mutex);
        queue->running--;
        queue_finish(queue, request, result);
    }
    pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

/* One more worker, if there may be one; signals are the main thread's. The mutex is held. */
static void start_worker(struct queue *queue)
{
    if (queue->worker_count == MAX_WORKERS)
        return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&queue->workers[queue->worker_count], NULL, worker, queue) == 0)
        queue->worker_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* 0, or the errno a request that cannot be gets. */
static int check_request(const struct block *block, const struct block_request *request)
{
    if (request->op == BLOCK_FLUSH)
        return 0;
    uint64_t sectors = block->image->sectors;
    if (request->sectors == 0 || request->sector >= sectors ||
        request->sectors > sectors - request->sector)
        return -EINVAL;
    return request->op == BLOCK_WRITE && block->read_only ? -EROFS : 0;
}

void block_submit(struct block *block, struct block_request *request)
{
    struct queue *queue = block->queue;
    int bad = check_request(block, request);
    request->block = block;
    pthread_mutex_lock(&queue->mutex);
    if (bad) {
        queue_finish(queue, request, bad);
    } else {
        list_append(&queue->waiting, request);
        if (queue->idle > 0)
            pthread_cond_signal(&queue->work);
        else
            start_worker(queue);
        if (queue->worker_count == 0) {
            /* The host has no thread left for us: do it here. */
            list_pop(&queue->waiting);
            queue_finish(queue, request, perform(request));
        }
    }
    pthread_mutex_unlock(&queue->mutex);
}

void block_cancel(struct block_request *request)
{
    if (!request->block)
        return;
    struct queue *queue = request->block->queue;
    pthread_mutex_lock(&queue->mutex);
    if (!list_remove(&queue->waiting, request))
        while (!list_remove(&queue->finished, request))
            pthread_cond_wait(&queue->progress, &queue->mutex);
    request->block = NULL;
    pthread_mutex_unlock(&queue->mutex);
}

void block_drain(struct block *block)
{
    struct queue *queue = block->queue;
    pthread_mutex_lock(&queue->mutex);
    while (queue->waiting.first || queue->running > 0)
        pthread_cond_wait(&queue->progress, &queue->mutex);
    pthread_mutex_unlock(&queue->mutex);
}

int block_read_now(struct block *block, uint64_t sector, void *buffer, uint32_t sectors)
{
    struct block_request request = {
        .op = BLOCK_READ, .sector = sector, .sectors = sectors, .buffer = buffer, .block = block};
    int bad = check_request(block, &request);
    return bad ? bad : perform(&request);
}

/* Raw is the one format there is; what looks like another one is refused by name. */
static int settle_format(struct block *block, const struct block_options *options,
                         struct error *err)
{
    uint8_t sector[SECTOR_SIZE] = {0};
    if (options->format && strcmp(options->format, "raw") == 0)
        return 0;
    if (options->format)
        return error_set(err, ENOTSUP,
                         "cannot open the image '%s' as format '%s': the format there is is 'raw'",
                         options->path, options->format);
    if (block->image->sectors > 0) {
        int ret = block_read_now(block, 0, sector, 1);
        if (ret < 0)
            return error_set(err, -ret, "cannot read the image '%s': %s", options->path,
                             strerror(-ret));
    }
    const char *format = format_probe(sector);
    if (strcmp(format, "raw") != 0)
        return error_set(err, ENOTSUP,
                         "cannot open the image '%s': it looks like format '%s', and the format "
                         "there is is 'raw'; 'qemu-img convert -O raw' makes one, format=raw takes "
                         "it as it is",
                         options->path, format);
    if (!block->read_only && !options->snapshot) {
        block->guard_format = true;
        log_warn("the format of the image '%s' was not given and is taken for raw; the guest may "
                 "not write another format's header into sector 0: say format=raw to lift that",
                 options->path);
    }
    return 0;
}

static int open_image(struct block *block, const struct block_options *options, struct error *err)
{
    int ret = raw_open(&block->image, options->path, options->read_only || options->snapshot, err);
    if (ret == 0)
        ret = settle_format(block, options, err);
    if (ret == 0 && options->snapshot && !options->read_only) {
        struct block_image *overlay;
        ret = overlay_open(&overlay, block->image, err);
        if (ret == 0)
            block->image = overlay;
    }
    return ret;
}

int block_open(struct block **block_out, struct loop *loop, const struct block_options *options,
               struct error *err)
{
    struct block *block = calloc(1, sizeof(*block));
    if (block) {
        block->loop = loop;
        block->read_only = options->read_only;
        block->path = strdup(options->path);
        block->queue = queue_create();
    }
    int ret = 0;
    if (!block || !block->path || !block->queue)
        ret = error_set(err, ENOMEM, "cannot open the image '%s': out of memory", options->path);
    else
        ret = open_image(block, options, err);
    if (ret < 0) {
        if (block && block->image)
            block->image->format->close(block->image);
        if (block && block->queue)
            queue_free(block->queue);
        if (block)
            free(block->path);
        free(block);
        return ret;
    }
    *block_out = block;
    return 0;
}

void block_close(struct block *block)
{
    if (!block)
        return;
    struct queue *queue = block->queue;
    block_drain(block);
    pthread_mutex_lock(&queue->mutex);
    queue->stop = true;
    pthread_cond_broadcast(&queue->work);
    pthread_mutex_unlock(&queue->mutex);
    for (unsigned i = 0; i < queue->worker_count; i++)
        pthread_join(queue->workers[i], NULL);
    for (struct block_request *request = list_pop(&queue->finished); request;
         request = list_pop(&queue->finished))
        request->block = NULL;
    if (!block->read_only) {
        int ret = block->image->format->flush(block->image);
        if (ret < 0)
            log_warn("cannot flush the image '%s': %s", block->path, strerror(-ret));
    }
    block->image->format->close(block->image);
    if (queue->posted)
        queue->orphan = true;
    else
        queue_free(queue);
    free(block->path);
    free(block);
}

uint64_t block_sectors(const struct block *block)
{
    return block->image->sectors;
}

bool block_read_only(const struct block *block)
{
    return block->read_only;
}

const char *block_path(const struct block *block)
{
    return block->path;
}

struct block_stats block_get_stats(const struct block *block)
{
    return block->stats;
}
