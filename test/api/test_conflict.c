/* Who conflicts with whom.
 *
 * Each case is two transactions from one snapshot: `mine` does something and writes
 * elsewhere, `theirs` changes something and commits first.  Then mine commits.  The same
 * is played in both orders of checkpoint and commit, and with a snapshot in a tree. */
#include "test/api/kit.h"

struct duel {
    scn_db *db;
    scn_table_id id;
    scn_table_id other;
    scn_txn *mine;
    scn_txn *theirs;
};

typedef void (*act_fn)(scn_txn *txn, struct duel *duel);

static struct duel duel_open(int variant, uint32_t flags)
{
    struct duel duel = {.db = kit_memory()};
    duel.id = kit_table(duel.db, "t");
    duel.other = kit_table(duel.db, "other");
    static const char *const keys[] = {"b", "d", "f", "h"};
    scn_txn *txn = kit_begin(duel.db, SCN_WRITE);
    for (int i = 0; i < 4; i++)
        CHECK_OK(kit_put(txn, duel.id, keys[i], "old"));
    for (uint32_t i = 0; i < 100; i++) {
        char key[16];
        CHECK_OK(scn_put(txn, duel.id, kit_number_key(key, i), text("old"), 0));
    }
    CHECK_OK(scn_commit(txn));
    if (variant & 1)
        CHECK_OK(scn_checkpoint(duel.db));
    duel.mine = kit_begin(duel.db, SCN_WRITE | flags);
    duel.theirs = kit_begin(duel.db, SCN_WRITE);
    return duel;
}

static scn_status play(int variant, uint32_t flags, act_fn my_act, act_fn their_act)
{
    struct duel duel = duel_open(variant, flags);
    my_act(duel.mine, &duel);
    CHECK_OK(kit_put(duel.mine, duel.other, "mine", "x"));
    their_act(duel.theirs, &duel);
    CHECK_OK(scn_commit(duel.theirs));
    if (variant & 2)
        CHECK_OK(scn_checkpoint(duel.db));
    scn_status st = scn_commit(duel.mine);
    CHECK(kit_committed(duel.db, duel.other, "mine", st == SCN_OK ? "x" : NULL));
    CHECK_OK(scn_close(duel.db));
    return st;
}

static void conflicts(const char *what, uint32_t flags, act_fn mine, act_fn theirs)
{
    for (int variant = 0; variant < 4; variant++) {
        scn_status st = play(variant, flags, mine, theirs);
        if (st != SCN_CONFLICT)
            unit_fail(__FILE__, __LINE__, "%s, variant %d: no conflict but %d", what,
                      variant, st);
    }
}

static void agrees(const char *what, uint32_t flags, act_fn mine, act_fn theirs)
{
    for (int variant = 0; variant < 4; variant++) {
        scn_status st = play(variant, flags, mine, theirs);
        if (st != SCN_OK)
            unit_fail(__FILE__, __LINE__, "%s, variant %d: %d", what, variant, st);
    }
}

#define ACT(name) static void name(scn_txn *txn, struct duel *duel)
#define CONFLICTS(mine, theirs) conflicts(#mine " | " #theirs, 0, mine, theirs)
#define AGREES(mine, theirs) agrees(#mine " | " #theirs, 0, mine, theirs)

/* ---- what can be done ---- */

ACT(nothing) { (void)txn, (void)duel; }
ACT(get_d) { CHECK(kit_has(txn, duel->id, "d", "old")); }
ACT(get_missing_e) { CHECK(kit_has(txn, duel->id, "e", NULL)); }
ACT(get_d_untracked)
{
    CHECK_OK(scn_get_flags(txn, duel->id, text("d"), SCN_UNTRACKED, NULL));
}
ACT(size_of_d)
{
    uint64_t size;
    CHECK_OK(scn_value_size(txn, duel->id, text("d"), &size));
}
ACT(read_part_of_d)
{
    char buf[2];
    size_t got;
    CHECK_OK(scn_read_at(txn, duel->id, text("d"), 1, buf, 2, &got));
}
ACT(get_many_d_e)
{
    scn_slice keys[] = {text("d"), text("e")};
    scn_slice values[2];
    scn_status statuses[2];
    CHECK_OK(scn_get_many(txn, duel->id, keys, 2, values, statuses));
}
ACT(count) { CHECK_EQ(kit_count_in(txn, duel->id), 104); }
ACT(info)
{
    scn_table_stat stat = {.struct_size = sizeof stat};
    CHECK_OK(scn_table_info(txn, duel->id, &stat));
}
ACT(version) { CHECK(scn_table_version(txn, duel->id) != 0); }
ACT(put_new_d)
{
    CHECK_EQ(scn_put(txn, duel->id, text("d"), text("x"), SCN_PUT_NEW), SCN_EXISTS);
}
ACT(put_new_e) { CHECK_OK(scn_put(txn, duel->id, text("e"), text("x"), SCN_PUT_NEW)); }
ACT(put_same_d)
{
    CHECK_OK(scn_put(txn, duel->id, text("d"), text("old"), SCN_PUT_SAME));
}
ACT(put_same_e)
{
    CHECK_OK(scn_put(txn, duel->id, text("e"), text("same"), SCN_PUT_SAME));
}
ACT(put_d) { CHECK_OK(kit_put(txn, duel->id, "d", "new")); }
ACT(put_e) { CHECK_OK(kit_put(txn, duel->id, "e", "new")); }
ACT(put_f) { CHECK_OK(kit_put(txn, duel->id, "f", "new")); }
ACT(put_c) { CHECK_OK(kit_put(txn, duel->id, "c", "new")); }
ACT(put_z) { CHECK_OK(kit_put(txn, duel->id, "z", "new")); }
ACT(put_d_elsewhere) { CHECK_OK(kit_put(txn, duel->other, "d", "new")); }
ACT(blind_d) { CHECK_OK(scn_put(txn, duel->id, text("d"), text("new"), SCN_PUT_BLIND)); }
/* Together too long for one record, so they become a bulk run; the others' keys lie
 * between them. */
ACT(blind_much)
{
    static const uint8_t bytes[KIT_IS_SMALL ? 20 << 10 : 200 << 10] = {1};
    static const char *const keys[] = {"c", "e", "k00000042", "z"};
    for (int i = 0; i < 4; i++)
        CHECK_OK(scn_put(txn, duel->id, text(keys[i]), (scn_slice){bytes, sizeof bytes},
                         SCN_PUT_BLIND));
}
ACT(put_d_and_blind_much) { put_d(txn, duel), blind_much(txn, duel); }
ACT(put_then_blind_much)
{
    CHECK_OK(kit_put(txn, duel->id, "e", "plain"));
    blind_much(txn, duel);
}
ACT(put_then_blind_d) { put_d(txn, duel), blind_d(txn, duel); }
ACT(blind_e) { CHECK_OK(scn_put(txn, duel->id, text("e"), text("new"), SCN_PUT_BLIND)); }
ACT(del_d) { CHECK_OK(scn_del(txn, duel->id, text("d"))); }
ACT(del_missing_e) { CHECK_EQ(scn_del(txn, duel->id, text("e")), SCN_NOTFOUND); }
ACT(add_n) { CHECK_OK(scn_add(txn, duel->id, text("n"), 1, 0, 10)); }
ACT(clear) { CHECK_OK(scn_table_clear(txn, duel->id)); }
ACT(drop) { CHECK_OK(scn_table_drop(txn, duel->id)); }
ACT(del_range_c_to_e)
{
    CHECK_OK(scn_del_range(txn, duel->id, text("c"), text("e"), NULL));
}
ACT(count_range_c_to_e)
{
    uint64_t removed;
    CHECK_OK(scn_del_range(txn, duel->id, text("c"), text("e"), &removed));
    CHECK_EQ(removed, 1);
}
ACT(del_range_of_nothing)
{
    uint64_t removed;
    CHECK_OK(scn_del_range(txn, duel->id, text("dd"), text("ee"), &removed));
    CHECK_EQ(removed, 0);
}
ACT(del_large_range)
{
    CHECK_OK(scn_del_range(txn, duel->id, text("k00000000"), text("k00000099"), NULL));
}
ACT(put_in_large_range) { CHECK_OK(kit_put(txn, duel->id, "k000000420", "new")); }
ACT(blind_in_large_range)
{
    CHECK_OK(scn_put(txn, duel->id, text("k00000042"), text("x"), SCN_PUT_BLIND));
}

static void walk(scn_txn *txn, struct duel *duel, const char *from, int steps,
                 uint32_t flags)
{
    scn_cursor *cursor;
    scn_slice key;
    CHECK_OK(scn_cursor_open(txn, duel->id, &cursor));
    CHECK_OK(scn_cursor_flags(cursor, flags));
    CHECK_OK(scn_seek(cursor, text(from), SCN_GE, &key, NULL));
    for (int i = 0; i < steps; i++)
        CHECK_OK(scn_next(cursor, &key, NULL));
    for (int i = 0; i < -steps; i++)
        CHECK_OK(scn_prev(cursor, &key, NULL));
}

ACT(walk_c_to_f) { walk(txn, duel, "c", 1, 0); }
ACT(walk_d_to_f) { walk(txn, duel, "d", 1, 0); }
ACT(walk_f_back_to_d) { walk(txn, duel, "f", -1, 0); }
ACT(walk_untracked) { walk(txn, duel, "c", 1, SCN_UNTRACKED); }
/* One cursor, used again. */
ACT(walk_c_to_f_then_to_k)
{
    scn_cursor *cursor;
    CHECK_OK(scn_cursor_open(txn, duel->id, &cursor));
    CHECK_OK(scn_seek(cursor, text("c"), SCN_GE, NULL, NULL));
    CHECK_OK(scn_next(cursor, NULL, NULL));
    CHECK_OK(scn_seek(cursor, text("k"), SCN_GE, NULL, NULL));
}
ACT(walk_to_the_end)
{
    scn_cursor *cursor;
    CHECK_OK(scn_cursor_open(txn, duel->id, &cursor));
    CHECK_EQ(scn_seek(cursor, text("y"), SCN_GE, NULL, NULL), SCN_END);
    scn_cursor_close(cursor);
}
ACT(walk_to_the_start)
{
    scn_cursor *cursor;
    CHECK_OK(scn_cursor_open(txn, duel->id, &cursor));
    CHECK_EQ(scn_seek(cursor, text("a"), SCN_LE, NULL, NULL), SCN_END);
    scn_cursor_close(cursor);
}
ACT(put_a) { CHECK_OK(kit_put(txn, duel->id, "a", "new")); }
ACT(walk_bounds_c_to_e)
{
    scn_cursor *cursor;
    scn_slice low = text("c");
    scn_slice high = text("e");
    CHECK_OK(scn_cursor_open(txn, duel->id, &cursor));
    CHECK_OK(scn_cursor_bounds(cursor, &low, &high));
    CHECK_OK(scn_next(cursor, NULL, NULL));
    CHECK_EQ(scn_next(cursor, NULL, NULL), SCN_END);
}
ACT(put_dz) { CHECK_OK(kit_put(txn, duel->id, "dz", "new")); }
ACT(seek_exactly_e)
{
    scn_cursor *cursor;
    CHECK_OK(scn_cursor_open(txn, duel->id, &cursor));
    CHECK_EQ(scn_seek(cursor, text("e"), SCN_EQ, NULL, NULL), SCN_NOTFOUND);
}
ACT(last_key)
{
    scn_cursor *cursor;
    scn_slice key;
    CHECK_OK(scn_cursor_open(txn, duel->id, &cursor));
    CHECK_OK(scn_last(cursor, &key, NULL));
    CHECK(is_text(key, "k00000099"));
}
ACT(look_for_table)
{
    scn_table_id id;
    (void)duel;
    CHECK_EQ(scn_table(txn, "fresh", 0, &id), SCN_NOTFOUND);
}
ACT(create_table) { (void)duel, kit_table_in(txn, "fresh"); }
ACT(create_another) { (void)duel, kit_table_in(txn, "another"); }
static scn_status pass(void *ctx, const char *name, scn_table_id id)
{
    (void)ctx, (void)name, (void)id;
    return SCN_OK;
}
ACT(list_tables)
{
    (void)duel;
    CHECK_OK(scn_table_each(txn, pass, NULL));
}
ACT(read_and_roll_back)
{
    uint32_t savepoint;
    CHECK_OK(scn_savepoint(txn, &savepoint));
    CHECK(kit_has(txn, duel->id, "d", "old"));
    CHECK_OK(scn_rollback_to(txn, savepoint));
}
ACT(write_and_roll_back)
{
    uint32_t savepoint;
    CHECK_OK(scn_savepoint(txn, &savepoint));
    CHECK_OK(kit_put(txn, duel->id, "d", "new"));
    CHECK_OK(scn_rollback_to(txn, savepoint));
}
ACT(own_put_then_get)
{
    CHECK_OK(scn_put(txn, duel->id, text("d"), text("mine"), SCN_PUT_BLIND));
    CHECK(kit_has(txn, duel->id, "d", "mine"));
}

/* ---- who meets whom ---- */

TEST(conflict__every_answer_about_a_key_is_a_read)
{
    CONFLICTS(get_d, put_d);
    CONFLICTS(get_d, blind_d);
    CONFLICTS(get_d, del_d);
    CONFLICTS(get_d, clear);
    CONFLICTS(get_d, drop);
    CONFLICTS(get_d, del_range_c_to_e);
    CONFLICTS(get_missing_e, put_e);
    CONFLICTS(get_missing_e, blind_e);
    CONFLICTS(size_of_d, put_d);
    CONFLICTS(read_part_of_d, put_d);
    CONFLICTS(get_many_d_e, put_d);
    CONFLICTS(get_many_d_e, put_e);
    CONFLICTS(put_new_d, del_d);
    CONFLICTS(put_new_e, put_e);
    CONFLICTS(put_same_d, del_d);
    CONFLICTS(del_missing_e, put_e);
    CONFLICTS(seek_exactly_e, put_e);
    CONFLICTS(read_and_roll_back, put_d);
    AGREES(get_d, put_e);
    AGREES(get_d, put_d_elsewhere);
    AGREES(get_missing_e, put_d);
    AGREES(get_d, del_missing_e);
    AGREES(get_d, nothing);
    AGREES(put_new_d, put_e);
    AGREES(seek_exactly_e, put_f);
}

TEST(conflict__a_cursor_reads_from_where_it_began_to_the_last_key)
{
    CONFLICTS(walk_c_to_f, put_c);
    CONFLICTS(walk_c_to_f, put_e);
    CONFLICTS(walk_c_to_f, put_f);
    CONFLICTS(walk_c_to_f, del_d);
    CONFLICTS(walk_d_to_f, put_e);
    CONFLICTS(walk_f_back_to_d, put_e);
    CONFLICTS(walk_f_back_to_d, put_d);
    CONFLICTS(walk_to_the_end, put_z);
    CONFLICTS(walk_to_the_start, put_a);
    CONFLICTS(walk_bounds_c_to_e, put_dz);
    CONFLICTS(walk_bounds_c_to_e, put_c);
    CONFLICTS(last_key, put_z);
    CONFLICTS(walk_c_to_f, clear);
    CONFLICTS(walk_c_to_f_then_to_k, put_e);
    AGREES(walk_c_to_f_then_to_k, put_a);
    AGREES(walk_c_to_f, put_a);
    AGREES(walk_c_to_f, put_z);
    AGREES(walk_d_to_f, put_c);
    AGREES(walk_f_back_to_d, put_c);
    AGREES(walk_to_the_end, put_f);
    AGREES(walk_to_the_start, put_c);
    AGREES(walk_bounds_c_to_e, put_f);
    AGREES(last_key, put_e);
}

TEST(conflict__counts_and_versions_read_the_whole_table)
{
    CONFLICTS(count, put_z);
    CONFLICTS(count, blind_d);
    CONFLICTS(count, clear);
    CONFLICTS(count, add_n);
    CONFLICTS(info, put_z);
    CONFLICTS(version, put_z);
    AGREES(count, put_d_elsewhere);
    AGREES(count, nothing);
}

TEST(conflict__plain_writes_of_one_key_collide)
{
    CONFLICTS(put_d, put_d);
    CONFLICTS(put_d, del_d);
    CONFLICTS(del_d, put_d);
    CONFLICTS(put_d, blind_d);
    CONFLICTS(put_then_blind_d, put_d);
    CONFLICTS(put_e, put_e);
    AGREES(put_d, put_e);
    AGREES(write_and_roll_back, put_d);
}

TEST(conflict__blind_puts_only_meet_what_removes_their_table_or_range)
{
    AGREES(blind_d, put_d);
    AGREES(blind_d, blind_d);
    AGREES(blind_d, del_d);
    AGREES(blind_d, del_range_c_to_e); /* a few rows: one by one */
    AGREES(own_put_then_get, nothing);
    AGREES(put_same_e, put_same_e);
    CONFLICTS(blind_d, clear);
    CONFLICTS(blind_d, drop);
    CONFLICTS(blind_in_large_range, del_large_range);
    CONFLICTS(clear, blind_d);
    CONFLICTS(drop, blind_d);
    CONFLICTS(del_large_range, blind_in_large_range);
}

TEST(conflict__ranges_that_are_removed_are_read)
{
    CONFLICTS(del_range_c_to_e, put_c);
    CONFLICTS(del_range_c_to_e, put_d);
    CONFLICTS(count_range_c_to_e, put_c);
    CONFLICTS(del_range_of_nothing, put_dz);
    CONFLICTS(del_large_range, put_in_large_range);
    CONFLICTS(put_in_large_range, del_large_range);
    AGREES(del_range_c_to_e, put_f);
    AGREES(del_range_c_to_e, put_a);
    AGREES(del_large_range, put_d);
    AGREES(put_d, del_large_range);
}

TEST(conflict__tables_are_read_by_name)
{
    CONFLICTS(create_table, create_table);
    CONFLICTS(create_table, create_another);
    CONFLICTS(look_for_table, create_table);
    CONFLICTS(list_tables, create_table);
    CONFLICTS(list_tables, drop);
    CONFLICTS(drop, drop);
    CONFLICTS(clear, clear);
    CONFLICTS(put_d, drop);
    CONFLICTS(drop, put_d);
    AGREES(look_for_table, create_another);
    AGREES(create_table, put_d);
}

TEST(conflict__additions_agree_with_each_other_alone)
{
    AGREES(add_n, add_n);
    AGREES(add_n, put_d);
    CONFLICTS(add_n, clear);
    CONFLICTS(add_n, drop);
    CONFLICTS(clear, add_n);
}

TEST(conflict__snapshot_isolation_drops_the_reads_and_keeps_the_writes)
{
    agrees("get_d", SCN_SNAPSHOT, get_d, put_d);
    agrees("count", SCN_SNAPSHOT, count, put_d);
    agrees("walk", SCN_SNAPSHOT, walk_c_to_f, put_e);
    agrees("missing", SCN_SNAPSHOT, get_missing_e, put_e);
    agrees("end", SCN_SNAPSHOT, walk_to_the_end, put_z);
    conflicts("put", SCN_SNAPSHOT, put_d, put_d);
    conflicts("put_new", SCN_SNAPSHOT, put_new_e, put_e);
    conflicts("put_same", SCN_SNAPSHOT, put_same_d, del_d);
    conflicts("drop", SCN_SNAPSHOT, put_d, drop);
    conflicts("blind drop", SCN_SNAPSHOT, blind_d, drop);
    conflicts("clear", SCN_SNAPSHOT, clear, blind_d);
    conflicts("creators", SCN_SNAPSHOT, create_table, create_another);
}

TEST(conflict__untracked_reads_do_not_count)
{
    AGREES(get_d_untracked, put_d);
    AGREES(walk_untracked, put_e);
}

TEST(conflict__a_transaction_that_writes_nothing_always_commits)
{
    struct duel duel = duel_open(0, 0);
    get_d(duel.mine, &duel);
    put_d(duel.theirs, &duel);
    CHECK_OK(scn_commit(duel.theirs));
    CHECK_OK(scn_commit(duel.mine));
    CHECK_OK(scn_close(duel.db));
}

TEST(conflict__is_found_after_many_commits_and_checkpoints)
{
    struct duel duel = duel_open(0, 0);
    char key[16];
    get_d(duel.mine, &duel);
    put_e(duel.mine, &duel);
    put_d(duel.theirs, &duel);
    CHECK_OK(scn_commit(duel.theirs));
    for (uint32_t i = 0; i < 300; i++) {
        kit_number_key(key, i);
        kit_write(duel.db, duel.other, key, "x");
        if (i % 50 == 0)
            CHECK_OK(scn_checkpoint(duel.db));
    }
    CHECK_EQ(scn_commit(duel.mine), SCN_CONFLICT);
    CHECK_OK(scn_close(duel.db));
}

TEST(conflict__none_is_invented_by_checkpoints)
{
    struct duel duel = duel_open(0, 0);
    get_d(duel.mine, &duel);
    put_e(duel.mine, &duel);
    scn_abort(duel.theirs);
    for (int i = 0; i < 5; i++) {
        kit_write(duel.db, duel.other, "x", "x");
        CHECK_OK(scn_checkpoint(duel.db));
    }
    CHECK_OK(scn_commit(duel.mine));
    CHECK(kit_committed(duel.db, duel.id, "e", "new"));
    CHECK_OK(scn_close(duel.db));
}

/* So many reads that the set is made coarser: it may find more, never less. */
TEST(conflict__is_found_when_the_read_set_is_coarse)
{
    static const char *const hits[] = {NULL, "k00001000", "k00012345", "k00030999"};
    for (int i = 0; i < 4; i++) {
        const char *hit = hits[i];
        struct duel duel = duel_open(1, 0);
        char key[16];
        for (uint32_t k = 0; k < 30000; k++)
            CHECK_EQ(scn_get(duel.mine, duel.id, kit_number_key(key, 1000 + k), NULL),
                     SCN_NOTFOUND);
        put_e(duel.mine, &duel);
        CHECK_OK(kit_put(duel.theirs, hit ? duel.id : duel.other, hit ? hit : "x", "x"));
        CHECK_OK(scn_commit(duel.theirs));
        CHECK_EQ(scn_commit(duel.mine), hit ? SCN_CONFLICT : SCN_OK);
        CHECK_OK(scn_close(duel.db));
    }
}

/* A bulk run of the other side. */
TEST(conflict__blind_puts_of_a_large_transaction_meet_no_more_than_those_of_a_small_one)
{
    AGREES(blind_much, put_d);
    AGREES(blind_much, put_e);
    AGREES(blind_much, blind_e);
    AGREES(blind_much, del_d);
    AGREES(blind_much, blind_much);
    AGREES(blind_d, blind_much);
    CONFLICTS(blind_much, clear);
    CONFLICTS(blind_much, drop);
    CONFLICTS(blind_much, del_large_range);
    CONFLICTS(put_d_and_blind_much, put_d);
    CONFLICTS(put_then_blind_much, put_e);
}

TEST(conflict__is_found_in_a_large_transaction)
{
    static uint8_t bytes[KIT_IS_SMALL ? 1000 : 60000];
    for (int variant = 0; variant < 6; variant++) {
        struct duel duel = duel_open(variant & 1, 0);
        char key[16];
        bool mine_is_large = variant >= 4;
        scn_txn *large = mine_is_large ? duel.mine : duel.theirs;
        scn_txn *small = mine_is_large ? duel.theirs : duel.mine;
        if (!mine_is_large) {
            (variant < 2 ? get_d : count)(small, &duel);
            CHECK_OK(kit_put(small, duel.other, "mine", "x"));
        } else {
            put_d(small, &duel);
        }
        for (uint32_t i = 0; i < (KIT_IS_SMALL ? 400 : 1000); i++)
            CHECK_OK(scn_put(large, duel.id, kit_number_key(key, i),
                             (scn_slice){bytes, sizeof bytes}, 0));
        CHECK_OK(kit_put(large, duel.id, "d", "new"));
        CHECK_OK(scn_commit(duel.theirs));
        CHECK_EQ(scn_commit(duel.mine), SCN_CONFLICT);
        CHECK_OK(scn_close(duel.db));
    }
}
