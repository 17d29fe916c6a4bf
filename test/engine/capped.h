/* A store whose file may not grow beyond some pages, in the simulator, as one or several
 * processes have it open; its keys and values have one length each.  The processes share
 * what the first one has for keys and values: one call at a time. */
#ifndef TEST_ENGINE_CAPPED_H
#define TEST_ENGINE_CAPPED_H

#include "engine/store.h"
#include "test/sim/disk.h"

struct shape {
    uint32_t pages;
    uint32_t key_bytes;
    uint32_t value_bytes;
};

struct capped {
    const struct shape *shape;
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    uint64_t random; /* of the values that come next */
    uint8_t *key;
    uint8_t *value;
};

/* Without a thread.  log_bytes 0: as usual. */
void capped_open(struct capped *capped, const struct shape *shape, uint64_t log_bytes,
                 uint64_t seed);
/* The last one, or the only one. */
void capped_close(struct capped *capped);
/* Another process with the same file, that leaves before the first one closes it. */
void capped_join(struct capped *capped, const struct capped *first, uint64_t log_bytes);
void capped_leave(struct capped *capped);

/* Keys that are alike but for their ends, in no order.  Good until the next one. */
scn_slice capped_key(struct capped *capped, uint32_t number);
/* Other bytes each time, that do not compress.  Good until the next one. */
scn_slice capped_value(struct capped *capped);
/* A row in the table `rows`, with the next value. */
scn_status capped_put(struct capped *capped, uint32_t number);

#endif
