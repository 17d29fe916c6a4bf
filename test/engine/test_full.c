/* A store that may not grow any more: whatever it took in, it can be emptied again, row
 * by row and as a table, though each checkpoint needs pages before it frees any. */
#include "engine/room.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

struct shape {
    uint32_t pages;
    uint32_t key_bytes;
    uint32_t value_bytes;
};

struct rig {
    const struct shape *shape;
    struct sim_disk *disk;
    struct sys *sys;
    scn_db *db;
    uint64_t random;
    uint8_t *key;
    uint8_t *value;
};

static void rig_begin(struct rig *rig, const struct shape *shape)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.max_file_bytes = (uint64_t)shape->pages * PAGE_BYTES;
    *rig = (struct rig){.shape = shape, .random = unit_seed() | 1};
    rig->key = calloc(1, shape->key_bytes);
    rig->value = calloc(1, shape->value_bytes);
    CHECK(rig->key != NULL && rig->value != NULL);
    rig->disk = sim_disk_create(unit_seed());
    rig->sys = sim_process_create(rig->disk);
    CHECK_OK(store_open_on(rig->sys, "store", &options, &rig->db));
}

static void rig_end(struct rig *rig)
{
    CHECK_OK(scn_close(rig->db));
    sim_process_destroy(rig->sys);
    sim_disk_destroy(rig->disk);
    free(rig->key);
    free(rig->value);
}

/* Keys that are alike but for their ends, in no order. */
static scn_slice key_of(struct rig *rig, uint32_t number)
{
    uint32_t scattered = number * 2654435761u;
    for (uint32_t i = 0; i < 4; i++)
        rig->key[rig->shape->key_bytes - 1 - i] = (uint8_t)(scattered >> 8 * i);
    return (scn_slice){rig->key, rig->shape->key_bytes};
}

static scn_status put(struct rig *rig, uint32_t number)
{
    for (uint32_t i = 0; i < rig->shape->value_bytes; i++)
        rig->value[i] = (uint8_t)(unit_random(&rig->random) >> 30);
    return scn_put1(rig->db, "rows", key_of(rig, number),
                    (scn_slice){rig->value, rig->shape->value_bytes});
}

/* The log lies as far down as it can, and what was made ready for it does not. */
TEST(full__an_extent_in_reserve_does_not_keep_the_file_long)
{
    static const struct shape shape = {200, 20, 60 * PAGE_BYTES};
    struct rig rig;
    rig_begin(&rig, &shape);
    CHECK_OK(put(&rig, 0));
    CHECK_OK(room_extend(rig.db->store, false));
    CHECK_EQ(log_spare_count(rig.db->store->log), 1);
    CHECK_OK(scn_del1(rig.db, "rows", key_of(&rig, 0)));
    CHECK_OK(scn_checkpoint(rig.db));
    CHECK_OK(scn_checkpoint(rig.db));
    uint64_t size;
    CHECK(sim_file_size(rig.disk, "store", &size));
    CHECK(size < (uint64_t)60 * PAGE_BYTES);
    rig_end(&rig);
}
