/* Digests of rows and tables: see fingerprint.h. */
#include "tools/fingerprint.h"
#include "tools/interrupt.h"

#include <stdlib.h>
#include <string.h>

struct sum {
    uint64_t low;
    uint64_t high;
};

struct reading {
    struct fingerprints *out;
    struct handle *handle;
    const char *table; /* NULL: all */
    struct sum store;
    struct text image;
};

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void put_u64(uint8_t *at, uint64_t value)
{
    put_u32(at, (uint32_t)value);
    put_u32(at + 4, (uint32_t)(value >> 32));
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* Modulo 2^128. */
static void add(struct sum *sum, const uint8_t hash[FINGERPRINT_BYTES])
{
    sum->low += get_u64(hash);
    sum->high += get_u64(hash + 8) + (sum->low < get_u64(hash));
}

static void encode(const struct sum *sum, uint8_t out[FINGERPRINT_BYTES])
{
    put_u64(out, sum->low);
    put_u64(out + 8, sum->high);
}

static void add_row(struct reading *reading, struct sum *sum, scn_slice key,
                    scn_slice value)
{
    uint8_t hash[FINGERPRINT_BYTES];
    scn_hash128(value.data, value.size, hash);
    reading->image.size = 0;
    text_append(&reading->image, hash, sizeof hash);
    text_append(&reading->image, key.data, key.size);
    scn_hash128(reading->image.data, reading->image.size, hash);
    add(sum, hash);
}

static void add_table(struct reading *reading, const struct fingerprint *table)
{
    uint8_t head[12];
    uint8_t hash[FINGERPRINT_BYTES];
    put_u32(head, table->flags);
    put_u64(head + 4, table->rows);
    reading->image.size = 0;
    text_append(&reading->image, head, sizeof head);
    text_append(&reading->image, table->digest, sizeof table->digest);
    text_append(&reading->image, table->name, strlen(table->name));
    scn_hash128(reading->image.data, reading->image.size, hash);
    add(&reading->store, hash);
}

static scn_status read_rows(struct reading *reading, struct fingerprint *table)
{
    struct sum sum = {0};
    scn_cursor *cursor;
    scn_slice key, value;
    scn_status st = scn_cursor_open(reading->handle->txn, table->id, &cursor);
    if (st < 0)
        return st;
    st = scn_first(cursor, &key, &value);
    while (st == SCN_OK && !interrupt_seen()) {
        add_row(reading, &sum, key, value);
        table->rows++;
        st = scn_next(cursor, &key, &value);
    }
    scn_cursor_close(cursor);
    encode(&sum, table->digest);
    return st == SCN_OK ? SCN_INTERRUPTED : st == SCN_END ? SCN_OK : st;
}

static struct fingerprint *add_item(struct fingerprints *out)
{
    if (out->count == out->capacity) {
        out->capacity = out->capacity ? out->capacity * 2 : 16;
        out->items = realloc(out->items, out->capacity * sizeof *out->items);
        if (out->items == NULL)
            outcome_no_memory();
    }
    return &out->items[out->count++];
}

static scn_status read_table(void *ctx, const char *name, scn_table_id id)
{
    struct reading *reading = ctx;
    scn_table_stat stat = {.struct_size = sizeof stat};
    if (reading->table && strcmp(reading->table, name) != 0)
        return SCN_OK;
    struct fingerprint *table = add_item(reading->out);
    *table = (struct fingerprint){.id = id};
    snprintf(table->name, sizeof table->name, "%s", name);
    scn_status st = scn_table_info(reading->handle->txn, id, &stat);
    table->flags = stat.flags;
    if (st == SCN_OK)
        st = read_rows(reading, table);
    if (st == SCN_OK)
        add_table(reading, table);
    return st;
}

enum outcome fingerprints_read(struct fingerprints *out, struct handle *handle,
                               const char *table)
{
    struct reading reading = {.out = out, .handle = handle, .table = table};
    enum outcome outcome = handle_read(handle);
    if (outcome != OUTCOME_OK)
        return outcome;
    scn_status st = scn_table_each(handle->txn, read_table, &reading);
    text_free(&reading.image);
    encode(&reading.store, out->digest);
    if (interrupt_seen())
        return OUTCOME_INTERRUPTED;
    if (st < 0)
        return handle_fail(handle, st);
    if (table && out->count == 0)
        return outcome_say(OUTCOME_FINDINGS, "%s: there is no table \"%s\"", handle->path,
                           table);
    return OUTCOME_OK;
}

void fingerprints_free(struct fingerprints *prints)
{
    free(prints->items);
    *prints = (struct fingerprints){0};
}

void fingerprint_hex(const uint8_t bytes[FINGERPRINT_BYTES],
                     char out[FINGERPRINT_HEX_BYTES])
{
    for (int i = 0; i < FINGERPRINT_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}
