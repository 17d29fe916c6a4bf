#include "test/fuzz/recipe.h"

#include "engine/store.h"
#include "test/fuzz/stage.h"
#include "test/fuzz/target.h"

#include <stdio.h>

static void must(scn_status st)
{
    FUZZ_CHECK(st == SCN_OK);
}

/* Mostly zeros, which an image does not store. */
static void put_row(scn_txn *txn, scn_table_id id, uint32_t number, uint32_t size)
{
    static uint8_t value[1 << 15];
    char key[16];
    int len = snprintf(key, sizeof key, "key-%05u", number);
    put_u32(value, number);
    must(scn_put(txn, id, (scn_slice){key, (size_t)len}, (scn_slice){value, size}, 0));
}

/* What a transaction of a recipe does; bits of its second byte. */
enum { LONG_VALUES = 1, SPREAD = 2, PACKED = 4, BULK = 8, RANGES = 16, DROPS = 32 };

static void write_some(scn_db *db, uint8_t what, uint32_t turn)
{
    static const char *const names[] = {"plain", "packed", "third"};
    scn_txn *txn;
    scn_table_id id;
    must(scn_begin(db, SCN_WRITE, &txn));
    must(scn_table(txn, names[what & PACKED ? 1 : turn % 3 == 2 ? 2 : 0],
                   SCN_CREATE | (what & PACKED ? SCN_COMPRESS : 0), &id));
    uint32_t rows = what & BULK ? 24 : 4 + turn % 5 * 8;
    uint32_t size = what & BULK ? 7000 : what & LONG_VALUES ? 900 : 40;
    for (uint32_t i = 0; i < rows; i++)
        put_row(txn, id, turn * 7 + i, size + i % 3);
    if (what & SPREAD)
        put_row(txn, id, turn, 14000);
    if (what & RANGES)
        must(scn_del_range(txn, id, (scn_slice){"key-00003", 9},
                           (scn_slice){"key-00009", 9}, NULL));
    if ((what & DROPS) && turn % 2)
        must(scn_table_drop(txn, id));
    must(scn_commit(txn));
}

void recipe_cook(struct image *image, uint8_t steps, uint8_t what)
{
    scn_db *db;
    struct sys *sys = stage_build();
    must(stage_open(sys, 0, &db));
    for (uint32_t i = 0; i < 1 + steps % 8u; i++) {
        write_some(db, i % 2 ? what : what & (LONG_VALUES | PACKED), i);
        if (steps >> (3 + i % 5) & 1)
            must(scn_checkpoint(db));
    }
    must(scn_close(db));
    memset(image->bytes, 0, sizeof image->bytes);
    image->size = stage_take_file(sys, image->bytes, sizeof image->bytes);
    stage_strike(sys);
}

size_t recipe_mutate(uint8_t *data, size_t size, size_t room, uint64_t seed)
{
    static struct image image;
    struct feed feed = feed_of(data, size);
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    uint8_t how = feed_u8(&feed);
    if (size <= RECIPE_BYTES_MAX)
        recipe_cook(&image, (uint8_t)(seed >> 8), (uint8_t)(seed >> 16));
    else
        image_decode(&image, &feed);
    for (uint64_t i = 0; i <= seed % 3; i++)
        image_forge(&image, &random);
    if (seed % 8 != 0)
        image_repair(&image);
    if (room < 2)
        return size;
    data[0] = seed % 5 == 0 ? (uint8_t)(seed >> 24) : how;
    size_t len = image_encode(&image, data + 1, room - 1);
    return len > 0 ? len + 1 : size;
}
