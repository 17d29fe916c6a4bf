/* A day in the life of a memory that agents share: one of them is killed while it learns,
 * the others go on, and nothing is forgotten that any of them had said it would remember.
 *
 *     scrine-demo [FILE|FOLDER]
 *
 * Three processes store text at hand in one file, from several threads each, in durable
 * transactions over three tables, and write down each key whose commit returned.  One of
 * them kills itself half way with SIGKILL.  The parent opens what is there in the end and
 * compares every acknowledged episode with its source, and every counter with the
 * episodes that are there: a transaction is all there or not at all.  Then it stores the
 * rest.
 * Exit code 1 if anything is not as it must be. */
#include "tools/demo/crew.h"
#include "tools/demo/receipts.h"
#include "tools/demo/staff.h"
#include "tools/demo/tally.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, NEWEST = 10 };

struct demo {
    struct material material;
    struct memory memory;
    char folder[PATH_BYTES];
    char store_path[PATH_BYTES + 16];
    char receipts_paths[STAFF_PROCESSES][PATH_BYTES + 32];
    bool *is_acknowledged;
    int64_t acknowledged[STAFF_PROCESSES];
};

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool fail(const struct demo *demo, const char *what, scn_status st)
{
    memory_fail(&demo->memory, what, st);
    return false;
}

/* ---- the temporary folder ---- */

static bool make_folder(struct demo *demo)
{
    const char *base = getenv("TMPDIR");
    snprintf(demo->folder, sizeof demo->folder, "%s/scrine-demo-XXXXXX",
             base && *base ? base : "/tmp");
    if (mkdtemp(demo->folder) == NULL) {
        perror(demo->folder);
        demo->folder[0] = '\0';
        return false;
    }
    snprintf(demo->store_path, sizeof demo->store_path, "%s/memory.scn", demo->folder);
    for (int i = 0; i < STAFF_PROCESSES; i++)
        snprintf(demo->receipts_paths[i], sizeof demo->receipts_paths[i],
                 "%s/acknowledged-%d", demo->folder, i + 1);
    return true;
}

static bool remove_folder(const struct demo *demo)
{
    if (demo->folder[0] == '\0')
        return true;
    (void)unlink(demo->store_path);
    for (int i = 0; i < STAFF_PROCESSES; i++)
        (void)unlink(demo->receipts_paths[i]);
    if (rmdir(demo->folder) == 0)
        return true;
    perror(demo->folder);
    return false;
}

/* ---- writing and dying ---- */

static int64_t sum(const int64_t *counts)
{
    int64_t total = 0;
    for (int i = 0; i < STAFF_PROCESSES; i++)
        total += counts[i];
    return total;
}

static bool read_receipts(struct demo *demo)
{
    for (int i = 0; i < STAFF_PROCESSES; i++) {
        demo->acknowledged[i] = receipts_read(demo->receipts_paths[i], &demo->material,
                                              demo->is_acknowledged);
        if (demo->acknowledged[i] < 0)
            return false;
    }
    return true;
}

static bool write_together(struct demo *demo)
{
    const char *paths[STAFF_PROCESSES];
    double start = now_seconds();
    for (int i = 0; i < STAFF_PROCESSES; i++)
        paths[i] = demo->receipts_paths[i];
    if (!staff_work(&demo->material, demo->store_path, paths))
        return false;
    double seconds = now_seconds() - start;
    if (!read_receipts(demo))
        return false;
    int64_t total = sum(demo->acknowledged);
    printf("write      %d processes on one file, %d threads each, a durable transaction "
           "over three\n"
           "           tables for each episode; process %d killed (SIGKILL) half way\n"
           "           %" PRId64 " commits in %.2f s, %.0f a second\n",
           STAFF_PROCESSES, CREW_THREADS, STAFF_KILLED + 1, total, seconds,
           (double)total / seconds);
    return true;
}

/* ---- verifying ---- */

struct census {
    int64_t acknowledged[STAFF_PROCESSES]; /* and stored, equal to their source */
    int64_t other;        /* stored, equal to their source, not acknowledged */
    int64_t lost;
    int64_t wrong;
    struct tally words; /* of all stored episodes */
};

static scn_status count_episodes(struct demo *demo, scn_txn *txn, struct census *census)
{
    for (size_t i = 0; i < demo->material.count; i++) {
        scn_status st = memory_verify(&demo->memory, txn, &demo->material, i);
        if (st != SCN_OK && st != SCN_NOTFOUND && st != SCN_CORRUPT)
            return st;
        census->acknowledged[staff_of(i)] += st == SCN_OK && demo->is_acknowledged[i];
        census->other += st == SCN_OK && !demo->is_acknowledged[i];
        census->lost += st == SCN_NOTFOUND && demo->is_acknowledged[i];
        census->wrong += st == SCN_CORRUPT;
        if (st == SCN_OK)
            tally_text(&census->words, demo->material.episodes[i].text);
    }
    return SCN_OK;
}

/* Counters are eight bytes, little-endian. */
static int64_t counter_value(scn_slice value)
{
    uint64_t number = 0;
    for (size_t i = 0; i < value.size && i < 8; i++)
        number |= (uint64_t)((const unsigned char *)value.data)[i] << (8 * i);
    return value.size == 8 ? (int64_t)number : -1;
}

static scn_status compare_words(struct demo *demo, scn_txn *txn, struct census *census)
{
    scn_cursor *cursor;
    scn_slice key, value;
    size_t count = 0;
    scn_status st = scn_cursor_open(txn, demo->memory.words, &cursor);
    if (st != SCN_OK)
        return st;
    while ((st = scn_next(cursor, &key, &value)) == SCN_OK) {
        census->wrong +=
            counter_value(value) != tally_count(&census->words, key.data, key.size);
        count++;
    }
    census->wrong += count != census->words.count;
    scn_cursor_close(cursor);
    return st == SCN_END ? SCN_OK : st;
}

static bool take_census(struct demo *demo, struct census *census)
{
    scn_txn *txn;
    scn_status st = scn_begin(demo->memory.db, SCN_READ, &txn);
    if (st != SCN_OK)
        return fail(demo, "beginning to read", st);
    st = count_episodes(demo, txn, census);
    if (st == SCN_OK)
        st = compare_words(demo, txn, census);
    if (st != SCN_OK)
        fail(demo, "reading back", st);
    scn_abort(txn);
    if (census->lost + census->wrong)
        fprintf(stderr,
                "demo: %" PRId64 " episodes are lost, %" PRId64 " rows are wrong\n",
                census->lost, census->wrong);
    return st == SCN_OK && census->lost + census->wrong == 0;
}

static bool verify(struct demo *demo)
{
    struct census census = {0};
    double start = now_seconds();
    scn_status st = memory_open(&demo->memory, demo->store_path);
    if (st != SCN_OK)
        return fail(demo, "opening what is there", st);
    printf("open       opened again in %.1f ms\n", (now_seconds() - start) * 1000);
    bool is_good = take_census(demo, &census);
    for (int i = 0; i < STAFF_PROCESSES; i++) {
        printf("process %d  acknowledged %" PRId64 ", stored %" PRId64 "%s\n", i + 1,
               demo->acknowledged[i], census.acknowledged[i],
               i == STAFF_KILLED ? " (the one that was killed)" : "");
        is_good &= census.acknowledged[i] == demo->acknowledged[i];
    }
    printf("acknowledged %" PRId64 ", stored %" PRId64 "\n", sum(demo->acknowledged),
           sum(census.acknowledged));
    if (is_good)
        printf("           each equal to its source; %" PRId64
               " more were whole but not yet acknowledged;\n"
               "           %zu word counters agree with the episodes that are there\n",
               census.other, census.words.count);
    tally_free(&census.words);
    return is_good;
}

/* ---- the rest ---- */

static bool finish(struct demo *demo)
{
    struct census census = {0};
    struct crew_orders orders = {
        .memory = &demo->memory, .material = &demo->material, .step = 1, .receipts = -1};
    double start = now_seconds();
    if (!crew_work(&orders))
        return false;
    double seconds = now_seconds() - start;
    bool is_good = take_census(demo, &census);
    int64_t stored = sum(census.acknowledged) + census.other;
    printf("finish     the rest in %.2f s; %" PRId64 " of %zu episodes are there\n",
           seconds, stored, demo->material.count);
    tally_free(&census.words);
    return is_good && stored == (int64_t)demo->material.count;
}

/* The beginning of the first line that says something, so short that it fits beside
 * the rest. */
static int excerpt(const char **text)
{
    enum { EXCERPT_BYTES = 44 };
    *text += strspn(*text, " \t\r\n/*#{}");
    size_t len = strcspn(*text, "\n");
    if (len > EXCERPT_BYTES)
        len = EXCERPT_BYTES;
    while (len && ((*text)[len] & 0xc0) == 0x80)
        len--; /* not within a character */
    return (int)len;
}

static bool print_episode(scn_slice value)
{
    json_t *json = json_loadb(value.data, value.size, 0, NULL);
    const char *time = json_string_value(json_object_get(json, "time"));
    const char *source = json_string_value(json_object_get(json, "source"));
    const char *text = json_string_value(json_object_get(json, "text"));
    bool is_whole = time && source && text;
    if (is_whole) {
        int len = excerpt(&text);
        printf("           %s  %-26s  %.*s\n", time, source, len, text);
    }
    json_decref(json);
    return is_whole;
}

static bool print_newest(struct demo *demo)
{
    scn_txn *txn;
    scn_cursor *cursor = NULL;
    scn_slice key, value;
    int count = 0;
    scn_status st = scn_begin(demo->memory.db, SCN_READ, &txn);
    if (st != SCN_OK)
        return fail(demo, "beginning to read", st);
    printf("newest     the last %d by time\n", NEWEST);
    st = scn_cursor_open(txn, demo->memory.episodes, &cursor);
    while (st == SCN_OK && count < NEWEST &&
           (st = scn_prev(cursor, &key, &value)) == SCN_OK)
        count += print_episode(value) ? 1 : NEWEST + 1;
    scn_cursor_close(cursor);
    scn_abort(txn);
    if (st < 0)
        return fail(demo, "scanning", st);
    return count == NEWEST || (st == SCN_END && count == (int)demo->material.count);
}

static scn_status print_table(scn_txn *txn, const char *name, scn_table_id table)
{
    scn_table_stat stat = {.struct_size = sizeof stat};
    scn_status st = scn_table_info(txn, table, &stat);
    if (st == SCN_OK)
        printf("           %-10s %8" PRIu64 " rows, %9" PRIu64
               " bytes of keys and values\n",
               name, stat.count, stat.key_bytes + stat.value_bytes);
    return st;
}

static bool print_statistics(struct demo *demo)
{
    scn_txn *txn;
    scn_stats_t stats = {.struct_size = sizeof stats};
    scn_status st = scn_checkpoint(demo->memory.db);
    if (st == SCN_OK)
        st = scn_stats(demo->memory.db, &stats);
    if (st != SCN_OK)
        return fail(demo, "checkpoint and statistics", st);
    printf("statistics the file has %" PRIu64 " bytes\n", stats.file_bytes);
    st = scn_begin(demo->memory.db, SCN_READ, &txn);
    if (st != SCN_OK)
        return fail(demo, "beginning to read", st);
    st = print_table(txn, "episodes", demo->memory.episodes);
    if (st == SCN_OK)
        st = print_table(txn, "sources", demo->memory.sources);
    if (st == SCN_OK)
        st = print_table(txn, "words", demo->memory.words);
    scn_abort(txn);
    return st == SCN_OK || fail(demo, "statistics", st);
}

static scn_status print_issue(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    printf("           page %" PRIu64 ": %s\n", issue->page, issue->text);
    return SCN_OK;
}

static bool check(struct demo *demo)
{
    uint64_t count = 0;
    scn_status st = scn_check(demo->memory.db, SCN_CHECK_ALL, print_issue, NULL, &count);
    if (st != SCN_OK)
        return fail(demo, "checking the file", st);
    printf("check      %" PRIu64 " findings in the whole file\n", count);
    return count == 0;
}

/* ---- all of it ---- */

static bool tell(struct demo *demo, const char *path)
{
    if (!material_gather(&demo->material, path))
        return false;
    demo->is_acknowledged = calloc(demo->material.count, sizeof *demo->is_acknowledged);
    if (demo->is_acknowledged == NULL)
        return false;
    printf("material   %zu episodes from %zu files and %zu commits, %.1f MB of text\n",
           demo->material.count, demo->material.file_count, demo->material.commit_count,
           (double)demo->material.bytes / 1e6);
    return make_folder(demo) && write_together(demo) && verify(demo) &&
           finish(demo) && print_newest(demo) && print_statistics(demo) && check(demo);
}

int main(int argc, char **argv)
{
    struct demo demo = {0};
    double start = now_seconds();
    if (argc > 2) {
        fputs("usage: scrine-demo [FILE|FOLDER]\n", stderr);
        return 64;
    }
    bool is_good = tell(&demo, argc > 1 ? argv[1] : ".");
    scn_status st = memory_close(&demo.memory);
    if (st != SCN_OK)
        is_good = memory_fail(&demo.memory, "closing the store", st) == 0;
    is_good &= remove_folder(&demo);
    material_free(&demo.material);
    free(demo.is_acknowledged);
    printf("%s in %.1f s\n", is_good ? "done" : "FAILED", now_seconds() - start);
    return is_good ? 0 : 1;
}
