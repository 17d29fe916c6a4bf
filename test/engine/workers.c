/* Workers: see workers.h. */
#include "test/engine/workers.h"

#include "page/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEPT = 40 }; /* rows of a worker; older ones are deleted */

static scn_slice row_key(uint8_t buf[9], uint32_t worker, uint64_t number)
{
    buf[0] = (uint8_t)worker;
    put_u64(buf + 1, number);
    return (scn_slice){buf, 9};
}

static scn_slice last_key(uint8_t buf[1], uint32_t worker)
{
    buf[0] = (uint8_t)worker;
    return (scn_slice){buf, 1};
}

/* Most are short; some are pages of their own, some make a bulk run. */
static size_t value_len(uint64_t number)
{
    if (number % 61 == 0)
        return 13 * PAGE_BYTES + number % 1000;
    return number % 7 == 0 ? PAGE_BYTES / 3 + number % 100 : number % 200;
}

static uint8_t value_byte(uint32_t worker, uint64_t number, size_t at)
{
    return (uint8_t)((number + worker) * 31 + at / 3);
}

/* ---- writing ---- */

struct commit {
    uint32_t worker;
    uint64_t number;
};

static scn_status put_row(scn_txn *txn, scn_table_id rows, const struct commit *commit)
{
    uint8_t key[9];
    size_t len = value_len(commit->number);
    uint8_t *value = malloc(len + 1);
    if (value == NULL)
        abort();
    for (size_t i = 0; i < len; i++)
        value[i] = value_byte(commit->worker, commit->number, i);
    scn_status st = scn_put(txn, rows, row_key(key, commit->worker, commit->number),
                            (scn_slice){value, len}, 0);
    free(value);
    if (st == SCN_OK && commit->number > KEPT)
        st = scn_del(txn, rows, row_key(key, commit->worker, commit->number - KEPT));
    return st < 0 ? st : SCN_OK;
}

static scn_status write_all(scn_txn *txn, void *ctx)
{
    const struct commit *commit = ctx;
    scn_table_id rows;
    scn_table_id last;
    uint8_t key[1];
    uint8_t number[8];
    put_u64(number, commit->number);
    scn_status st = scn_table(txn, "rows", SCN_CREATE, &rows);
    if (st == SCN_OK)
        st = scn_table(txn, "last", SCN_CREATE, &last);
    if (st == SCN_OK)
        st = put_row(txn, rows, commit);
    if (st == SCN_OK)
        st = scn_put(txn, last, last_key(key, commit->worker), (scn_slice){number, 8}, 0);
    return st;
}

scn_status worker_commit(scn_db *db, uint32_t worker, uint64_t number)
{
    struct commit commit = {worker, number};
    return scn_update(db, write_all, &commit);
}

/* ---- reading ---- */

struct check {
    scn_txn *txn;
    scn_table_id rows;
    scn_table_id last;
    bool has_tables;
    char *wrong;
};

static bool say(struct check *check, uint32_t worker, uint64_t number, const char *what,
                scn_status st)
{
    snprintf(check->wrong, WORKERS_WRONG_BYTES, "worker %u, number %" PRIu64 ": %s (%d)",
             worker, number, what, st);
    return false;
}

static bool row_is_right(scn_slice value, uint32_t worker, uint64_t number)
{
    const uint8_t *bytes = value.data;
    if (value.size != value_len(number))
        return false;
    for (size_t i = 0; i < value.size; i++)
        if (bytes[i] != value_byte(worker, number, i))
            return false;
    return true;
}

static bool check_rows(struct check *check, uint32_t worker, uint64_t last)
{
    for (uint64_t i = last > KEPT + 3 ? last - KEPT - 3 : 1; i <= last + 2; i++) {
        uint8_t key[9];
        scn_slice value;
        scn_status st = scn_get(check->txn, check->rows, row_key(key, worker, i), &value);
        bool should_be = i <= last && i + KEPT > last;
        if (st != (should_be ? SCN_OK : SCN_NOTFOUND))
            return say(check, worker, i, should_be ? "no row" : "a row", st);
        if (st == SCN_OK && !row_is_right(value, worker, i))
            return say(check, worker, i, "a wrong row", st);
    }
    return true;
}

static bool check_worker(struct check *check, uint32_t worker, uint64_t *last)
{
    uint8_t key[1];
    scn_slice value;
    *last = 0;
    if (!check->has_tables)
        return true;
    scn_status st = scn_get(check->txn, check->last, last_key(key, worker), &value);
    if (st == SCN_OK && value.size == 8)
        *last = get_u64(value.data);
    else if (st != SCN_NOTFOUND)
        return say(check, worker, 0, "no last number", st);
    return check_rows(check, worker, *last);
}

static scn_status take_issue(void *ctx, const scn_issue *issue)
{
    if (issue->kind != SCN_ISSUE_SLOT)
        snprintf(ctx, WORKERS_WRONG_BYTES, "the check finds: %s", issue->text);
    return SCN_OK;
}

bool workers_check(scn_db *db, uint32_t count, uint64_t found[],
                   char wrong[WORKERS_WRONG_BYTES])
{
    struct check check = {.wrong = wrong};
    wrong[0] = 0;
    scn_status st = scn_begin(db, SCN_READ, &check.txn);
    if (st != SCN_OK)
        return say(&check, 0, 0, "no transaction", st);
    check.has_tables = scn_table(check.txn, "rows", 0, &check.rows) == SCN_OK &&
                       scn_table(check.txn, "last", 0, &check.last) == SCN_OK;
    bool is_right = true;
    for (uint32_t i = 0; i < count && is_right; i++)
        is_right = check_worker(&check, i, &found[i]);
    scn_abort(check.txn);
    st = scn_check(db, SCN_CHECK_ALL, take_issue, wrong, NULL);
    if (st != SCN_OK && is_right)
        return say(&check, 0, 0, "no check", st);
    return is_right && wrong[0] == 0;
}
