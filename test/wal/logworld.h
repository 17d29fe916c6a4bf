/* One simulated file with a log in it, for the tests of wal/: the first extent at page 3,
 * spares of full length behind it. */
#ifndef TEST_WAL_LOGWORLD_H
#define TEST_WAL_LOGWORLD_H

#include "page/bytes.h"
#include "page/mem.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "wal/log.h"

enum {
    WORLD_SPARES = 3,
    WORLD_FIRST_PGNO = FIRST_FREE_PAGE_NO,
    WORLD_SPARE_PGNO = WORLD_FIRST_PGNO + LOG_EXTENT_FIRST_PAGES,
    WORLD_PAGES = WORLD_SPARE_PGNO + WORLD_SPARES * LOG_EXTENT_PAGES,
    WORLD_RECORDS_MAX = 4096
};
#define WORLD_PATH "/log"
static const uint8_t world_uuid[16] = "a uuid of a file";

struct world {
    struct sim_disk *disk;
    struct sys *sys;
    struct file file;
    struct locks locks;
    struct log *log;
    struct log_base base;
    struct log_packet packet;
};

/* A process that has the file open; no log yet. */
static inline void world_attach(struct world *world, struct sim_disk *disk)
{
    *world = (struct world){.disk = disk, .sys = sim_process_create(disk)};
    log_packet_init(&world->packet);
    CHECK_OK(file_open(&world->file, world->sys, WORLD_PATH, false));
    CHECK_OK(locks_init(&world->locks, &world->file));
    world->locks.is_exclusive = true;
}

static inline void world_detach(struct world *world)
{
    log_destroy(world->log);
    log_packet_destroy(&world->packet);
    locks_destroy(&world->locks);
    file_close(&world->file);
    sim_process_destroy(world->sys);
}

static inline void world_spares(struct log_spare spares[WORLD_SPARES])
{
    for (uint32_t i = 0; i < WORLD_SPARES; i++) {
        spares[i] = (struct log_spare){
            .pgno = WORLD_SPARE_PGNO + i * LOG_EXTENT_PAGES,
            .pages = LOG_EXTENT_PAGES,
        };
    }
}

/* A new file with an empty log that is being written. */
static inline void world_create(struct world *world, uint32_t spare_count)
{
    struct sim_disk *disk = sim_disk_create(1);
    uint64_t len = (uint64_t)WORLD_PAGES * PAGE_BYTES;
    uint8_t *zeros = calloc(1, len);
    sim_put_file(disk, WORLD_PATH, zeros, len);
    free(zeros);
    world_attach(world, disk);
    CHECK_OK(log_format(&world->file, world_uuid, WORLD_FIRST_PGNO,
                        LOG_EXTENT_FIRST_PAGES, UINT64_C(0x1122334455667788),
                        &world->base));
    CHECK_OK(file_sync(&world->file));
    struct log_spare spares[WORLD_SPARES];
    world_spares(spares);
    CHECK_OK(log_create(&world->file, &world->locks, world_uuid, &world->base,
                        &world->base, spares, spare_count, &world->log));
}

static inline void world_destroy(struct world *world)
{
    struct sim_disk *disk = world->disk;
    world_detach(world);
    sim_disk_destroy(disk);
}

static inline scn_status world_append(struct world *world, const void *payload,
                                      uint32_t len, uint64_t *lsn)
{
    scn_status st = log_packet_set(&world->packet, RECORD_COMMIT, payload, len);
    if (st == SCN_OK)
        st = lock_take(&world->locks, LOCK_APPEND, UINT32_MAX);
    if (st != SCN_OK)
        return st;
    st = log_append_room(world->log, &world->packet);
    if (st == SCN_OK)
        st = log_append(world->log, &world->packet, lsn);
    lock_give(&world->locks, LOCK_APPEND);
    return st;
}

/* A payload that does not compress, and tells its number. */
static inline void world_payload(uint64_t number, uint8_t *payload, uint32_t len)
{
    uint64_t state = number * 2 + 1;
    for (uint32_t i = 0; i < len; i++)
        payload[i] = (uint8_t)(unit_random(&state) >> 33);
    if (len >= 8)
        put_u64(payload, number);
}

static inline uint64_t world_append_number(struct world *world, uint64_t number,
                                           uint32_t len)
{
    uint8_t *payload = malloc(len + 1);
    world_payload(number, payload, len);
    uint64_t lsn = 0;
    scn_status st = world_append(world, payload, len, &lsn);
    free(payload);
    CHECK_OK(st);
    return lsn;
}

static inline void world_commit_number(struct world *world, uint64_t number, uint32_t len)
{
    CHECK_OK(log_sync(world->log, world_append_number(world, number, len), 0));
}

/* What a scan has seen. */
struct seen {
    struct log_visit visits[WORLD_RECORDS_MAX];
    uint32_t count;
    uint64_t numbers[WORLD_RECORDS_MAX]; /* of commits */
    uint32_t number_count;
    bool is_wrong; /* a payload is not what was appended */
};

static inline scn_status seen_visit(void *ctx, const struct log_visit *visit)
{
    struct seen *seen = ctx;
    if (seen->count == WORLD_RECORDS_MAX)
        return SCN_NOMEM;
    seen->visits[seen->count++] = *visit;
    if (visit->record.type != RECORD_COMMIT || visit->payload_len < 8)
        return SCN_OK;
    uint64_t number = get_u64(visit->payload);
    uint8_t *expected = malloc(visit->payload_len);
    world_payload(number, expected, visit->payload_len);
    seen->is_wrong |= memcmp(expected, visit->payload, visit->payload_len) != 0;
    free(expected);
    seen->numbers[seen->number_count++] = number;
    return SCN_OK;
}

static inline struct log_scan_result world_scan(struct world *world, struct seen *seen)
{
    seen->count = 0;
    seen->number_count = 0;
    seen->is_wrong = false;
    struct log_scan_result result;
    CHECK_OK(log_scan(&world->file, world_uuid, &world->base, 0, true, seen_visit, seen,
                      &result));
    return result;
}

/* Scan, rewrite, and a new epoch, as a recovery does. */
static inline void world_recover(struct world *world,
                                 const struct log_scan_result *result,
                                 const struct log_spare *spares, uint32_t spare_count,
                                 uint64_t epoch)
{
    CHECK_OK(log_create(&world->file, &world->locks, world_uuid, &world->base,
                        &result->end, spares, spare_count, &world->log));
    CHECK_OK(log_rewrite(world->log, &world->base));
    log_begin_epoch(world->log, epoch, result->capacity_lsn);
}

#endif
