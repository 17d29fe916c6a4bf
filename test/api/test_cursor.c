/* Cursors: order, bounds, directions, own writes. */
#include "test/api/kit.h"

struct walk {
    scn_db *db;
    scn_txn *txn;
    scn_table_id id;
    scn_cursor *cursor;
};

/* Keys b, d, f, h, j; the places between them are free.  From sources of every kind. */
static struct walk walk_open(int kind)
{
    static const char *const keys[] = {"b", "d", "f", "h", "j"};
    struct walk walk = {.db = kit_memory()};
    walk.id = kit_table(walk.db, "t");
    for (int i = 0; i < 5; i++) {
        kit_write(walk.db, walk.id, keys[i], "old");
        kit_write(walk.db, walk.id, "e", "gone");
        if (kind > 0 && i == 2)
            CHECK_OK(scn_checkpoint(walk.db));
    }
    kit_write(walk.db, walk.id, "e", NULL);
    if (kind == 2)
        CHECK_OK(scn_checkpoint(walk.db));
    walk.txn = kit_begin(walk.db, kind == 3 ? SCN_READ : SCN_WRITE);
    CHECK_OK(scn_cursor_open(walk.txn, walk.id, &walk.cursor));
    return walk;
}

static void walk_close(struct walk *walk)
{
    scn_cursor_close(walk->cursor);
    scn_abort(walk->txn);
    CHECK_OK(scn_close(walk->db));
}

/* A script: n and p step, F and L go to the ends, each followed by the expected key or
 * '.'. */
static void walk_steps(struct walk *walk, const char *steps)
{
    for (; steps[0]; steps += 2) {
        scn_slice key = {"?", 1};
        char expected[2] = {steps[1], 0};
        scn_status st = steps[0] == 'n'   ? scn_next(walk->cursor, &key, NULL)
                        : steps[0] == 'p' ? scn_prev(walk->cursor, &key, NULL)
                        : steps[0] == 'F' ? scn_first(walk->cursor, &key, NULL)
                                          : scn_last(walk->cursor, &key, NULL);
        if (steps[1] == '.') {
            CHECK_EQ(st, SCN_END);
            CHECK(key.size == 0);
        } else {
            if (st != SCN_OK || !is_text(key, expected))
                unit_fail(__FILE__, __LINE__, "at \"%s\": status %d, key %.*s", steps, st,
                          (int)key.size, (const char *)key.data);
        }
    }
}

static void walk_seek(struct walk *walk, const char *from, int op, char expected)
{
    scn_slice key;
    scn_slice value;
    char name[2] = {expected, 0};
    scn_status st = scn_seek(walk->cursor, text(from), op, &key, &value);
    if (expected == '.' || expected == '!') {
        CHECK_EQ(st, expected == '.' ? SCN_END : SCN_NOTFOUND);
    } else {
        CHECK_OK(st);
        CHECK(is_text(key, name));
        CHECK(is_text(value, "old"));
    }
}

TEST(cursor__walks_both_ways_and_turns)
{
    for (int kind = 0; kind < 4; kind++) {
        struct walk walk = walk_open(kind);
        walk_steps(&walk, "nbndnfnhnjn.");
        walk_steps(&walk, "LjphpfpdpbFbndpbndnfpdLjFb");
        walk_steps(&walk, "Fbp.nd");
        walk_steps(&walk, "Ljn.ph");
        walk_steps(&walk, "Fbp.p.ndpbp.nd");
        walk_close(&walk);
    }
}

TEST(cursor__prev_begins_at_the_end)
{
    struct walk walk = walk_open(1);
    walk_steps(&walk, "pjphpfpdpbp.");
    walk_close(&walk);
}

TEST(cursor__seeks_all_comparisons)
{
    for (int kind = 0; kind < 4; kind++) {
        struct walk walk = walk_open(kind);
        walk_seek(&walk, "d", SCN_GE, 'd');
        walk_seek(&walk, "d", SCN_GT, 'f');
        walk_seek(&walk, "d", SCN_LE, 'd');
        walk_seek(&walk, "d", SCN_LT, 'b');
        walk_seek(&walk, "d", SCN_EQ, 'd');
        walk_seek(&walk, "e", SCN_GE, 'f');
        walk_seek(&walk, "e", SCN_GT, 'f');
        walk_seek(&walk, "e", SCN_LE, 'd');
        walk_seek(&walk, "e", SCN_LT, 'd');
        walk_seek(&walk, "e", SCN_EQ, '!');
        walk_seek(&walk, "a", SCN_LE, '.');
        walk_seek(&walk, "b", SCN_LT, '.');
        walk_seek(&walk, "k", SCN_GE, '.');
        walk_seek(&walk, "j", SCN_GT, '.');
        walk_seek(&walk, "a", SCN_GE, 'b');
        walk_seek(&walk, "", SCN_GE, 'b');
        walk_seek(&walk, "z", SCN_LE, 'j');
        walk_seek(&walk, "f", SCN_EQ, 'f');
        walk_steps(&walk, "nhpfpd");
        walk_seek(&walk, "g", SCN_LE, 'f');
        walk_steps(&walk, "nhpf");
        walk_close(&walk);
    }
}

TEST(cursor__stays_inside_its_bounds)
{
    for (int kind = 0; kind < 4; kind++) {
        struct walk walk = walk_open(kind);
        scn_slice low = text("d");
        scn_slice high = text("h");
        CHECK_OK(scn_cursor_bounds(walk.cursor, &low, &high));
        walk_steps(&walk, "ndnfn.pdp.nfn.");
        walk_steps(&walk, "LfpdFdp.nf");
        walk_seek(&walk, "a", SCN_GE, 'd');
        walk_seek(&walk, "a", SCN_EQ, '!');
        walk_seek(&walk, "h", SCN_EQ, '!');
        walk_seek(&walk, "b", SCN_EQ, '!');
        walk_seek(&walk, "z", SCN_LE, 'f');
        walk_seek(&walk, "h", SCN_LE, 'f');
        walk_seek(&walk, "h", SCN_GE, '.');
        walk_seek(&walk, "d", SCN_LT, '.');
        walk_seek(&walk, "a", SCN_LT, '.');
        walk_seek(&walk, "z", SCN_GE, '.');
        low = text("e");
        CHECK_OK(scn_cursor_bounds(walk.cursor, &low, NULL));
        walk_steps(&walk, "nfnhnjn.");
        CHECK_OK(scn_cursor_bounds(walk.cursor, NULL, &low));
        walk_steps(&walk, "pdpbp.");
        low = text("g");
        CHECK_OK(scn_cursor_bounds(walk.cursor, &low, &low));
        walk_steps(&walk, "n.p.F.L.");
        CHECK_OK(scn_cursor_bounds(walk.cursor, NULL, NULL));
        walk_steps(&walk, "FbLj");
        walk_close(&walk);
    }
}

TEST(cursor__stands_nowhere_after_a_seek_in_vain)
{
    for (int kind = 0; kind < 4; kind++) {
        struct walk walk = walk_open(kind);
        scn_slice low = text("d");
        scn_slice high = text("h");
        CHECK_OK(scn_cursor_bounds(walk.cursor, &low, &high));
        walk_steps(&walk, "nd");
        walk_seek(&walk, "e", SCN_EQ, '!');
        walk_steps(&walk, "nd");
        walk_seek(&walk, "b", SCN_EQ, '!'); /* beyond a bound */
        walk_steps(&walk, "nd");
        walk_seek(&walk, "z", SCN_EQ, '!');
        walk_steps(&walk, "pf");
        walk_seek(&walk, "z", SCN_GE, '.');
        walk_steps(&walk, "pf");
        walk_close(&walk);
    }
}

TEST(cursor__prefix_limits_to_keys_that_begin_so)
{
    scn_db *db = kit_memory();
    scn_table_id id = kit_table(db, "t");
    static const scn_slice keys[] = {
        {"a", 1},  {"a\xff", 2}, {"a\xff\xff", 3}, {"a\xff\xffz", 4},  {"b", 1},
        {"ba", 2}, {"\xff", 1},  {"\xff\xff", 2},  {"\xff\xff\x01", 3}};
    static const struct {
        scn_slice prefix;
        int first;
        int count;
    } cases[] = {{{"a", 1}, 0, 4}, {{"a\xff", 2}, 1, 3}, {{"a\xff\xff", 3}, 2, 2},
                 {{"b", 1}, 4, 2}, {{"\xff", 1}, 6, 3},  {{"\xff\xff", 2}, 7, 2},
                 {{"c", 1}, 0, 0}, {{"", 0}, 0, 9}};
    scn_txn *txn = kit_begin(db, SCN_WRITE);
    for (int i = 0; i < 9; i++)
        CHECK_OK(scn_put(txn, id, keys[i], text("v"), 0));
    for (int round = 0; round < 2; round++) {
        scn_cursor *cursor;
        CHECK_OK(scn_cursor_open(txn, id, &cursor));
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            scn_slice key;
            CHECK_OK(scn_cursor_prefix(cursor, cases[i].prefix));
            for (int j = 0; j < cases[i].count; j++) {
                const scn_slice *expected = &keys[cases[i].first + j];
                CHECK_OK(scn_next(cursor, &key, NULL));
                CHECK(key.size == expected->size);
                CHECK(memcmp(key.data, expected->data, key.size) == 0);
            }
            CHECK_EQ(scn_next(cursor, &key, NULL), SCN_END);
            CHECK_EQ(scn_last(cursor, &key, NULL), cases[i].count ? SCN_OK : SCN_END);
        }
        CHECK_OK(scn_commit(txn));
        CHECK_OK(scn_checkpoint(db));
        txn = kit_begin(db, SCN_READ);
    }
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

TEST(cursor__sees_own_writes_made_after_it_was_opened)
{
    for (int kind = 0; kind < 3; kind++) {
        struct walk walk = walk_open(kind);
        walk_steps(&walk, "nbnd");
        CHECK_OK(kit_put(walk.txn, walk.id, "e", "new"));
        walk_steps(&walk, "nenf");
        CHECK_OK(scn_del(walk.txn, walk.id, text("h")));
        walk_steps(&walk, "njpf");
        CHECK_OK(scn_del(walk.txn, walk.id, text("f")));
        walk_steps(&walk, "nj");
        CHECK_OK(kit_put(walk.txn, walk.id, "z", "new"));
        walk_steps(&walk, "nzn.");
        CHECK_OK(kit_put(walk.txn, walk.id, "zz", "new"));
        CHECK_OK(scn_del(walk.txn, walk.id, text("zz")));
        CHECK_OK(kit_put(walk.txn, walk.id, "a", "new"));
        walk_steps(&walk, "pjpepdpbpap.");
        CHECK_OK(scn_table_clear(walk.txn, walk.id));
        walk_steps(&walk, "n.F.L.");
        CHECK_OK(kit_put(walk.txn, walk.id, "c", "new"));
        walk_steps(&walk, "FcLcn.");
        walk_close(&walk);
    }
}

TEST(cursor__a_put_at_the_key_it_stands_on_changes_the_value_behind_it_alone)
{
    struct walk walk = walk_open(1);
    scn_slice key;
    scn_slice value;
    walk_steps(&walk, "nb");
    CHECK_OK(kit_put(walk.txn, walk.id, "d", "new"));
    CHECK_OK(scn_next(walk.cursor, &key, &value));
    CHECK(is_text(key, "d") && is_text(value, "new"));
    CHECK_OK(scn_next(walk.cursor, &key, &value));
    CHECK(is_text(key, "f") && is_text(value, "old"));
    CHECK_OK(kit_put(walk.txn, walk.id, "f", "newer"));
    CHECK_OK(scn_prev(walk.cursor, &key, &value));
    CHECK(is_text(key, "d") && is_text(value, "new"));
    walk_close(&walk);
}

TEST(cursor__sees_rollbacks)
{
    struct walk walk = walk_open(1);
    uint32_t savepoint;
    CHECK_OK(kit_put(walk.txn, walk.id, "c", "new"));
    CHECK_OK(scn_savepoint(walk.txn, &savepoint));
    CHECK_OK(kit_put(walk.txn, walk.id, "g", "new"));
    CHECK_OK(scn_del(walk.txn, walk.id, text("d")));
    walk_steps(&walk, "nbncnfng");
    CHECK_OK(scn_rollback_to(walk.txn, savepoint));
    walk_steps(&walk, "nhpfpdpcpb");
    walk_close(&walk);
}

TEST(cursor__several_walk_apart)
{
    struct walk walk = walk_open(1);
    struct walk other = walk;
    CHECK_OK(scn_cursor_open(walk.txn, walk.id, &other.cursor));
    walk_steps(&walk, "nbndnf");
    walk_steps(&other, "LjphFb");
    walk_steps(&walk, "nh");
    CHECK_OK(kit_put(walk.txn, walk.id, "i", "new"));
    walk_steps(&other, "nd");
    walk_steps(&walk, "ni");
    scn_cursor_close(other.cursor);
    walk_steps(&walk, "nj");
    walk_close(&walk);
}

TEST(cursor__does_not_see_what_others_commit)
{
    struct walk walk = walk_open(1);
    walk_steps(&walk, "nb");
    kit_write(walk.db, walk.id, "c", "other");
    kit_write(walk.db, walk.id, "d", NULL);
    CHECK_OK(scn_checkpoint(walk.db));
    walk_steps(&walk, "ndnfpdpb");
    walk_close(&walk);
}

TEST(cursor__of_a_dropped_table_is_refused)
{
    struct walk walk = walk_open(1);
    scn_slice key;
    CHECK_OK(scn_table_drop(walk.txn, walk.id));
    CHECK(scn_first(walk.cursor, &key, NULL) != SCN_OK);
    walk_close(&walk);
}

TEST(cursor__walks_a_table_larger_than_the_pool)
{
    enum { ROWS = KIT_IS_SMALL ? 3000 : 20000 };
    scn_options options;
    scn_db *db;
    char name[16];
    static uint8_t bytes[2000];
    scn_options_init(&options);
    options.pool_bytes = KIT_IS_SMALL ? 256 << 10 : 4 << 20;
    CHECK_OK(scn_open(unit_path("cursor-large"), &options, &db));
    scn_table_id id = kit_table(db, "t");
    for (uint32_t i = 0; i < ROWS;) {
        scn_txn *txn = kit_begin(db, SCN_WRITE);
        for (uint32_t j = 0; j < 1000; j++, i++) {
            kit_fill(bytes, i % 2000, i);
            CHECK_OK(scn_put(txn, id, kit_number_key(name, i),
                             (scn_slice){bytes, i % 2000}, 0));
        }
        CHECK_OK(scn_commit(txn));
    }
    CHECK_OK(scn_checkpoint(db));
    scn_txn *txn = kit_begin(db, SCN_READ);
    scn_cursor *cursor;
    CHECK_OK(scn_cursor_open(txn, id, &cursor));
    for (int forward = 1; forward >= 0; forward--) {
        scn_slice key;
        scn_slice value;
        for (uint32_t i = 0; i < ROWS; i++) {
            uint32_t number = forward ? i : ROWS - 1 - i;
            scn_slice expected = kit_number_key(name, number);
            CHECK_OK(i == 0 ? (forward ? scn_first : scn_last)(cursor, &key, &value)
                            : (forward ? scn_next : scn_prev)(cursor, &key, &value));
            CHECK(key.size == expected.size && memcmp(key.data, name, key.size) == 0);
            CHECK_EQ(value.size, number % 2000);
            kit_fill(bytes, number % 2000, number);
            CHECK(value.size == 0 || memcmp(value.data, bytes, value.size) == 0);
        }
    }
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}
