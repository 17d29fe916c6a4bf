/* A store whose file may not grow: see capped.h. */
#include "test/engine/capped.h"

#include "test/unit/unit.h"

static void open_it(struct capped *capped, uint64_t log_bytes)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    options.pool_bytes = 64 * PAGE_BYTES;
    options.max_file_bytes = (uint64_t)capped->shape->pages * PAGE_BYTES;
    options.log_bytes = log_bytes;
    capped->sys = sim_process_create(capped->disk);
    CHECK_OK(store_open_on(capped->sys, "store", &options, &capped->db));
}

void capped_open(struct capped *capped, const struct shape *shape, uint64_t log_bytes,
                 uint64_t seed)
{
    *capped = (struct capped){.shape = shape, .random = seed | 1};
    capped->key = calloc(1, shape->key_bytes);
    capped->value = calloc(1, shape->value_bytes);
    CHECK(capped->key != NULL && capped->value != NULL);
    capped->disk = sim_disk_create(seed);
    open_it(capped, log_bytes);
}

void capped_close(struct capped *capped)
{
    capped_leave(capped);
    sim_disk_destroy(capped->disk);
    free(capped->key);
    free(capped->value);
}

void capped_join(struct capped *capped, const struct capped *first, uint64_t log_bytes)
{
    *capped = *first;
    open_it(capped, log_bytes);
}

void capped_leave(struct capped *capped)
{
    CHECK_OK(scn_close(capped->db));
    sim_process_destroy(capped->sys);
}

scn_slice capped_key(struct capped *capped, uint32_t number)
{
    uint32_t scattered = number * 2654435761u;
    for (uint32_t i = 0; i < 4; i++)
        capped->key[capped->shape->key_bytes - 1 - i] = (uint8_t)(scattered >> 8 * i);
    return (scn_slice){capped->key, capped->shape->key_bytes};
}

scn_slice capped_value(struct capped *capped)
{
    for (uint32_t i = 0; i < capped->shape->value_bytes; i++)
        capped->value[i] = (uint8_t)(unit_random(&capped->random) >> 30);
    return (scn_slice){capped->value, capped->shape->value_bytes};
}

scn_status capped_put(struct capped *capped, uint32_t number)
{
    return scn_put1(capped->db, "rows", capped_key(capped, number), capped_value(capped));
}
