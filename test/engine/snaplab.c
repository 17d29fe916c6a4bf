/* Snapshots in the simulator: see snaplab.h. */
#include "test/engine/snaplab.h"

#include "test/engine/rowsum.h"
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
    return scn_snapshot_apply(db, sim_fd(lab->disk, path, true), NULL, info);
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

/* ---- what is there ---- */

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
    CHECK_OK(rowsum_digest(db, found));
    CHECK(memcmp(found, digest, sizeof found) == 0);
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, say_issue, NULL, &issues));
    CHECK_EQ(issues, 0);
}
