/* Snapshots in the simulator: see snaplab.h. */
#include "test/engine/snaplab.h"

#include "engine/digest.h"
#include "test/unit/unit.h"

void snaplab_create(struct snaplab *lab, uint64_t seed)
{
    lab->disk = sim_disk_create(seed);
    lab->sys = sim_process_create(lab->disk);
}

void snaplab_destroy(struct snaplab *lab)
{
    sim_process_destroy(lab->sys);
    sim_disk_destroy(lab->disk);
}

scn_status snaplab_open(struct snaplab *lab, const char *path, scn_db **db)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.log_bytes = UINT64_C(16) * LOG_EXTENT_PAGES * PAGE_BYTES;
    return store_open_on(lab->sys, path, &options, db);
}

scn_status snaplab_take(struct snaplab *lab, scn_db *db, const char *path, bool is_stream,
                        const scn_snapshot_info *since, scn_snapshot_info *info)
{
    scn_snapshot_options options = {.struct_size = sizeof options};
    if (since) {
        options.since_gen = since->gen;
        memcpy(options.since_id, since->id, sizeof options.since_id);
    }
    *info = (scn_snapshot_info){.struct_size = sizeof *info};
    sim_put_file(lab->disk, path, "", 0);
    return scn_snapshot_to(db, sim_fd(lab->disk, path, is_stream), &options, info);
}

scn_status snaplab_apply(struct snaplab *lab, scn_db *db, const char *path,
                         scn_snapshot_info *info)
{
    *info = (scn_snapshot_info){.struct_size = sizeof *info};
    return scn_snapshot_apply(db, sim_fd(lab->disk, path, true), info);
}

void snaplab_copy(struct snaplab *lab, const char *from, const char *to)
{
    uint64_t size;
    CHECK(sim_file_size(lab->disk, from, &size));
    uint8_t *bytes = malloc(size + 1);
    CHECK(bytes != NULL);
    CHECK(sim_peek(lab->disk, from, 0, bytes, size));
    sim_put_file(lab->disk, to, bytes, size);
    free(bytes);
}

/* ---- digests ---- */

struct tally {
    scn_txn *txn;
    struct digest_sum sum;
};

static scn_status add_table(void *ctx, const char *name, scn_table_id id)
{
    struct tally *tally = ctx;
    struct digest digest = {.rows = 0};
    scn_table_stat stat = {.struct_size = sizeof stat};
    scn_cursor *cursor;
    scn_slice key;
    scn_slice value;
    scn_status st = scn_table_info(tally->txn, id, &stat);
    if (st == SCN_OK)
        st = scn_cursor_open(tally->txn, id, &cursor);
    if (st < 0)
        return st;
    st = scn_first(cursor, &key, &value);
    while (st == SCN_OK) {
        digest_add_row(&digest, key, value);
        st = scn_next(cursor, &key, &value);
    }
    scn_cursor_close(cursor);
    CHECK_EQ(stat.count, digest.rows);
    digest_add_table(&tally->sum, &digest, stat.flags, name, strlen(name));
    return st == SCN_END ? SCN_OK : st;
}

scn_status snaplab_digest(scn_db *db, uint8_t out[16])
{
    struct tally tally = {.txn = NULL};
    scn_status st = scn_begin(db, SCN_READ, &tally.txn);
    if (st < 0)
        return st;
    st = scn_table_each(tally.txn, add_table, &tally);
    scn_abort(tally.txn);
    digest_encode(&tally.sum, out);
    return st;
}

static scn_status say_issue(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    printf("    %s\n", issue->text);
    return SCN_OK;
}

void snaplab_check(scn_db *db, const uint8_t digest[16])
{
    uint8_t found[16];
    uint64_t issues = 0;
    CHECK_OK(snaplab_digest(db, found));
    CHECK(memcmp(found, digest, sizeof found) == 0);
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, say_issue, NULL, &issues));
    CHECK_EQ(issues, 0);
}
