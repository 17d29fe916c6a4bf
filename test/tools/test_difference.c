/* diff where the commands themselves make no such tables. */
#include "test/tools/yard.h"
#include "test/unit/unit.h"

static void make(const char *name, uint32_t flags)
{
    scn_db *db;
    scn_txn *txn;
    scn_table_id id;
    CHECK_OK(scn_open(yard_made(name), NULL, &db));
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, "t", SCN_CREATE | flags, &id));
    CHECK_OK(scn_put(txn, id, (scn_slice){"k", 1}, (scn_slice){"v", 1}, 0));
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_close(db));
}

TEST(difference__tells_which_table_is_compressed)
{
    make("plain", 0);
    make("packed", SCN_COMPRESS);
    CHECK_EQ(yard_make((yard_words){"scrine", "diff", "plain", "packed"}), 1);
    CHECK(strcmp(yard_output(), "! t\n") == 0);
    CHECK_EQ(yard_make((yard_words){"scrine", "diff", "plain", "plain"}), 0);
}
