/* Snapshots in the simulator: taking one into a file of its disk, opening it, and asking
 * it what it holds. */
#ifndef TEST_ENGINE_SNAPLAB_H
#define TEST_ENGINE_SNAPLAB_H

#include "engine/store.h"
#include "test/sim/disk.h"

struct snaplab {
    struct sim_disk *disk;
    struct sys *sys;
};

void snaplab_create(struct snaplab *lab, uint64_t seed);
void snaplab_destroy(struct snaplab *lab);
/* Without a thread, with a small pool and a short log. */
scn_status snaplab_open(struct snaplab *lab, const char *path, scn_db **db);
/* Into a file that is made anew, as a stream or not.  since NULL: a full one. */
scn_status snaplab_take(struct snaplab *lab, scn_db *db, const char *path, bool is_stream,
                        const scn_snapshot_info *since, scn_snapshot_info *info);
scn_status snaplab_apply(struct snaplab *lab, scn_db *db, const char *path,
                         scn_snapshot_info *info);
/* The bytes of one file become another. */
void snaplab_copy(struct snaplab *lab, const char *from, const char *to);

/* Fails the test: another digest, or scn_check has something to say. */
void snaplab_check(scn_db *db, const uint8_t digest[16]);

#endif
