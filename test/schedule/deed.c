/* Deeds: see deed.h. */
#include "test/schedule/deed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const deed_tables[DEED_TABLES] = {"left", "right"};
const char *const deed_names[] = {
    [DO_GET] = "get",
    [DO_SCAN] = "scan",
    [DO_SCAN_BACK] = "scan back",
    [DO_COUNT] = "count",
    [DO_SUM] = "sum",
    [DO_PUT] = "put",
    [DO_PUT_NEW] = "put new",
    [DO_PUT_BLIND] = "put blind",
    [DO_DEL] = "delete",
    [DO_DEL_RANGE] = "delete range",
    [DO_CLEAR] = "clear",
    [DO_RENEW] = "renew",
    [DO_ADD] = "add",
    [DO_BEGIN_VAIN] = "begin in vain",
    [DO_END_VAIN] = "end in vain",
};
const char deed_last_table[] = "last";
const char deed_sum_table[] = "sums";

/* ---- bytes ---- */

scn_slice deed_key(uint8_t buf[8], uint32_t key)
{
    snprintf((char *)buf, 8, "key%03u", key);
    return (scn_slice){buf, 6};
}

uint32_t deed_read_key(scn_slice key)
{
    char text[8] = "";
    if (key.size != 6)
        return UINT32_MAX;
    memcpy(text, key.data, key.size);
    return (uint32_t)strtoul(text + 3, NULL, 10);
}

/* Most are short; some are pages of their own, a few make a bulk run. */
static size_t value_len(uint32_t version)
{
    if (version % DEED_BULK_ONE_IN == 0)
        return 5 * PAGE_BYTES + version % 1000;
    if (version % 17 == 0)
        return 2 * PAGE_BYTES + version % 500;
    return version % 5 == 0 ? PAGE_BYTES / 4 + version % 100 : 4 + version % 60;
}

static uint8_t value_byte(uint32_t version, size_t i)
{
    return (uint8_t)(version >> 8 * (i % 4)) ^ (uint8_t)(i / 4);
}

scn_slice deed_value(uint8_t bytes[DEED_VALUE_BYTES_MAX], uint32_t version)
{
    size_t len = value_len(version);
    for (size_t i = 0; i < len; i++)
        bytes[i] = value_byte(version, i);
    return (scn_slice){bytes, len};
}

uint32_t deed_read_value(scn_slice value)
{
    const uint8_t *bytes = value.data;
    if (value.size < 4)
        return UINT32_MAX;
    uint32_t version = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                       (uint32_t)bytes[3] << 24;
    if (value.size != value_len(version))
        return UINT32_MAX;
    for (size_t i = 0; i < value.size; i++)
        if (bytes[i] != value_byte(version, i))
            return UINT32_MAX;
    return version;
}

uint64_t deed_mix(uint64_t told, uint64_t a, uint64_t b)
{
    return (told * 31 + a * 1000003 + b) * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- what they mean ---- */

static uint64_t model_scan(const struct state *state, const struct deed *deed)
{
    int step = deed->kind == DO_SCAN ? 1 : -1;
    uint64_t told = 0;
    uint32_t seen = 0;
    for (int key = (int)deed->key; key >= 0 && key < DEED_KEYS; key += step) {
        uint32_t version = state->version[deed->table][key];
        if (version && seen++ == deed->limit)
            return told;
        if (version)
            told = deed_mix(told, (uint64_t)key, version);
    }
    return deed_mix(told, DEED_TOLD_END, 0);
}

static uint64_t model_delete(struct state *state, uint32_t table, uint32_t from,
                             uint32_t to)
{
    uint64_t count = 0;
    for (uint32_t key = from; key < to && key < DEED_KEYS; key++) {
        count += state->version[table][key] != 0;
        state->version[table][key] = 0;
    }
    return count;
}

uint64_t deed_play(struct state *state, const struct deed *deed)
{
    uint32_t *version = &state->version[deed->table][deed->key % DEED_KEYS];
    switch (deed->kind) {
    case DO_GET: return *version;
    case DO_SCAN:
    case DO_SCAN_BACK: return model_scan(state, deed);
    case DO_COUNT: {
        struct state copy = *state;
        return model_delete(&copy, deed->table, 0, DEED_KEYS);
    }
    case DO_SUM: return (uint64_t)state->sum[deed->key];
    case DO_PUT_NEW:
        if (*version)
            return 1;
        *version = deed->version;
        return 0;
    case DO_PUT:
    case DO_PUT_BLIND: *version = deed->version; return 0;
    case DO_DEL: return model_delete(state, deed->table, deed->key, deed->key + 1);
    case DO_DEL_RANGE:
        return model_delete(state, deed->table, deed->key, deed->key + deed->limit);
    case DO_CLEAR:
    case DO_RENEW: model_delete(state, deed->table, 0, DEED_KEYS); return 0;
    case DO_ADD: state->sum[deed->key] += deed->limit; return 0;
    default: return 0;
    }
}

struct touch deed_touch(const struct deed *deed)
{
    struct touch touch = {deed->table, (int)deed->key, (int)deed->key};
    switch (deed->kind) {
    case DO_SCAN:
    case DO_COUNT:
    case DO_RENEW:
    case DO_CLEAR: touch.hi = DEED_KEYS; break;
    case DO_DEL_RANGE: touch.hi = (int)(deed->key + deed->limit); break;
    default: break;
    }
    if (deed->kind == DO_SCAN_BACK || deed->kind == DO_COUNT || deed->kind == DO_CLEAR ||
        deed->kind == DO_RENEW)
        touch.lo = 0;
    if (deed->kind == DO_SUM || deed->kind == DO_ADD)
        touch.table = DEED_TABLES;
    return touch;
}

bool deed_is_written(const struct deed *deed)
{
    return deed->kind >= DO_PUT && deed->kind < DO_BEGIN_VAIN;
}
