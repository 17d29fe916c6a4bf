#include "tools/demo/memory.h"
#include "tools/demo/tally.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- rows ---- */

static void format_time(int64_t seconds, char *out, size_t size)
{
    time_t time = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&time, &parts) == NULL ||
        strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &parts) != 20)
        snprintf(out, size, "0000-00-00T00:00:00Z");
}

void memory_key(const struct material *material, size_t number,
                char key[MEMORY_KEY_BYTES])
{
    char time[32];
    format_time(material->episodes[number].time, time, sizeof time);
    snprintf(key, MEMORY_KEY_BYTES, "%.20s/%08u", time, (unsigned)number % 100000000);
}

char *memory_value(const struct material *material, size_t number)
{
    const struct episode *episode = &material->episodes[number];
    char time[32];
    format_time(episode->time, time, sizeof time);
    json_t *json = json_pack("{s:I, s:s, s:o, s:o}", "number", (json_int_t)number, "time",
                             time, "source", json_string_nocheck(episode->source), "text",
                             json_string_nocheck(episode->text));
    char *value = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (value == NULL) {
        fputs("demo: out of memory\n", stderr);
        exit(1);
    }
    return value;
}

static scn_slice slice(const char *string)
{
    return (scn_slice){string, strlen(string)};
}

/* ---- opening ---- */

static scn_status make_tables(scn_txn *txn, void *ctx)
{
    struct memory *memory = ctx;
    scn_status st = scn_table(txn, "episodes", SCN_CREATE, &memory->episodes);
    if (st == SCN_OK)
        st = scn_table(txn, "sources", SCN_CREATE, &memory->sources);
    if (st == SCN_OK)
        st = scn_table(txn, "words", SCN_CREATE, &memory->words);
    return st;
}

scn_status memory_open(struct memory *memory, const char *path)
{
    *memory = (struct memory){0};
    scn_status st = scn_open(path, NULL, &memory->db);
    return st == SCN_OK ? scn_update(memory->db, make_tables, memory) : st;
}

scn_status memory_close(struct memory *memory)
{
    scn_status st = memory->db ? scn_close(memory->db) : SCN_OK;
    *memory = (struct memory){0};
    return st;
}

/* ---- storing ---- */

struct storing {
    const struct memory *memory;
    scn_slice key;
    scn_slice value;
    scn_slice source;
    const struct tally *tally;
};

static scn_status add_words(scn_txn *txn, scn_table_id words, const struct tally *tally)
{
    scn_status st = SCN_OK;
    for (size_t i = 0; i < tally->capacity && st == SCN_OK; i++) {
        const struct tally_word *word = &tally->slots[i];
        if (word->word)
            st = scn_add(txn, words, slice(word->word), word->count, 0, INT64_MAX);
    }
    return st;
}

static scn_status store_in(scn_txn *txn, void *ctx)
{
    const struct storing *storing = ctx;
    scn_status st = scn_put(txn, storing->memory->episodes, storing->key, storing->value,
                            SCN_PUT_NEW);
    if (st == SCN_OK)
        st = scn_put(txn, storing->memory->sources, storing->source, storing->key, 0);
    if (st == SCN_OK)
        st = add_words(txn, storing->memory->words, storing->tally);
    return st;
}

scn_status memory_store(struct memory *memory, const struct material *material,
                        size_t number)
{
    char key[MEMORY_KEY_BYTES];
    struct tally tally = {0};
    char *value = memory_value(material, number);
    memory_key(material, number, key);
    tally_text(&tally, material->episodes[number].text);
    struct storing storing = {memory, slice(key), slice(value),
                              slice(material->episodes[number].source), &tally};
    scn_status st = scn_update(memory->db, store_in, &storing);
    tally_free(&tally);
    free(value);
    return st;
}

/* ---- verifying ---- */

/* SCN_CORRUPT: there is another value. */
static scn_status compare(scn_txn *txn, scn_table_id table, scn_slice key,
                          scn_slice expected)
{
    scn_slice found;
    scn_status st = scn_get(txn, table, key, &found);
    if (st != SCN_OK)
        return st;
    bool is_equal =
        found.size == expected.size && memcmp(found.data, expected.data, found.size) == 0;
    return is_equal ? SCN_OK : SCN_CORRUPT;
}

scn_status memory_verify(struct memory *memory, scn_txn *txn,
                         const struct material *material, size_t number)
{
    char key[MEMORY_KEY_BYTES];
    memory_key(material, number, key);
    char *value = memory_value(material, number);
    scn_status st = compare(txn, memory->episodes, slice(key), slice(value));
    scn_status source_st = compare(txn, memory->sources,
                                   slice(material->episodes[number].source), slice(key));
    free(value);
    return st == source_st || st < 0 ? st : source_st < 0 ? source_st : SCN_CORRUPT;
}

int memory_fail(const struct memory *memory, const char *what, scn_status st)
{
    scn_error error = {.struct_size = sizeof error};
    scn_last_error(memory->db, &error);
    bool is_about_this = error.status == st && error.text[0];
    fprintf(stderr, "demo: %s: %s\n", what,
            is_about_this ? error.text : scn_strerror(st));
    return 1;
}
