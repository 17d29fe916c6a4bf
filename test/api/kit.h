/* What the tests of the public interface share.  Texts are keys and values; a failed call
 * ends the test where it is made. */
#ifndef TEST_API_KIT_H
#define TEST_API_KIT_H

#include "include/scrine.h"
#include "test/unit/unit.h"

#include <stdbool.h>

#if defined(SCN_PAGE_BYTES) && SCN_PAGE_BYTES < 65536
enum { KIT_IS_SMALL = 1, KIT_KEY_MAX = SCN_PAGE_BYTES / 4 };
#else
enum { KIT_IS_SMALL = 0, KIT_KEY_MAX = 32768 };
#endif

/* The usual five seconds are no more than a disk may take that has others to serve. */
enum { KIT_BUSY_MS = 60000 };

static inline scn_slice text(const char *from)
{
    return (scn_slice){from, strlen(from)};
}

static inline bool is_text(scn_slice bytes, const char *expected)
{
    return bytes.size == strlen(expected) &&
           memcmp(bytes.data, expected, bytes.size) == 0;
}

static inline scn_db *kit_open_flags(const char *path, uint32_t flags)
{
    scn_options options;
    scn_db *db = NULL;
    scn_options_init(&options);
    options.flags = flags;
    options.busy_timeout_ms = KIT_BUSY_MS;
    CHECK_OK(scn_open(path, &options, &db));
    return db;
}

/* A store in memory. */
static inline scn_db *kit_memory(void)
{
    return kit_open_flags(":memory:", 0);
}

static inline scn_txn *kit_begin(scn_db *db, uint32_t flags)
{
    scn_txn *txn = NULL;
    CHECK_OK(scn_begin(db, flags, &txn));
    return txn;
}

static inline scn_table_id kit_table_in(scn_txn *txn, const char *name)
{
    scn_table_id id = 0;
    CHECK_OK(scn_table(txn, name, SCN_CREATE, &id));
    CHECK(id != 0);
    return id;
}

/* Created and committed. */
static inline scn_table_id kit_table(scn_db *db, const char *name)
{
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    scn_table_id id = kit_table_in(txn, name);
    CHECK_OK(scn_commit(txn));
    return id;
}

static inline scn_status kit_put(scn_txn *txn, scn_table_id id, const char *key,
                                 const char *value)
{
    return scn_put(txn, id, text(key), text(value), 0);
}

/* NULL: it must not be there. */
static inline bool kit_has(scn_txn *txn, scn_table_id id, const char *key,
                           const char *value)
{
    scn_slice got;
    scn_status st = scn_get(txn, id, text(key), &got);
    return value ? st == SCN_OK && is_text(got, value) : st == SCN_NOTFOUND;
}

/* One write in a transaction of its own. */
static inline void kit_write(scn_db *db, scn_table_id id, const char *key,
                             const char *value)
{
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    if (value)
        CHECK_OK(kit_put(txn, id, key, value));
    else
        CHECK_OK(scn_del(txn, id, text(key)));
    CHECK_OK(scn_commit(txn));
}

static inline bool kit_committed(scn_db *db, scn_table_id id, const char *key,
                                 const char *value)
{
    scn_txn *txn = kit_begin(db, SCN_READ);
    bool has = kit_has(txn, id, key, value);
    scn_abort(txn);
    return has;
}

static inline uint64_t kit_count_in(scn_txn *txn, scn_table_id id)
{
    uint64_t count = UINT64_MAX;
    CHECK_OK(scn_table_count(txn, id, &count));
    return count;
}

static inline uint64_t kit_count(scn_db *db, scn_table_id id)
{
    scn_txn *txn = kit_begin(db, SCN_READ);
    uint64_t count = kit_count_in(txn, id);
    scn_abort(txn);
    return count;
}

/* A key that sorts like its number. */
static inline scn_slice kit_number_key(char buf[16], uint32_t number)
{
    snprintf(buf, 16, "k%08u", number);
    return (scn_slice){buf, 9};
}

/* Bytes that depend on their place and a seed. */
static inline void kit_fill(uint8_t *bytes, size_t size, uint32_t seed)
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0)
            unit_random(&state);
        bytes[i] = (uint8_t)(state >> (i % 8 * 8));
    }
}

#endif
