/* Opening, closing and what is refused. */
#include "test/api/kit.h"

#include <sys/stat.h>
#include <unistd.h>

static void write_file(const char *path, const char *content, size_t size)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(content, 1, size, file), size);
    CHECK_EQ(fclose(file), 0);
}

static scn_status try_open(const char *path, uint32_t flags)
{
    scn_options options;
    scn_db *db = NULL;
    scn_options_init(&options);
    options.flags = flags;
    options.busy_timeout_ms = 50;
    scn_status st = scn_open(path, &options, &db);
    if (st == SCN_OK)
        CHECK_OK(scn_close(db));
    else
        CHECK(db == NULL);
    return st;
}

TEST(open__creates_a_file_that_opens_again)
{
    const char *path = unit_path("open-again");
    scn_db *db = kit_open_flags(path, 0);
    scn_table_id id = kit_table(db, "t");
    kit_write(db, id, "key", "value");
    CHECK_OK(scn_close(db));
    for (int i = 0; i < 3; i++) {
        db = kit_open_flags(path, SCN_NOCREATE);
        CHECK(kit_committed(db, id, "key", "value"));
        CHECK_OK(scn_close(db));
    }
}

TEST(open__makes_a_small_file)
{
    struct stat stat_of;
    const char *path = unit_path("open-small");
    CHECK_OK(scn_close(kit_open_flags(path, 0)));
    CHECK_EQ(stat(path, &stat_of), 0);
    CHECK(stat_of.st_size <= 512 * 1024);
}

TEST(open__needs_no_options)
{
    scn_db *db = NULL;
    CHECK_OK(scn_open(unit_path("open-null-options"), NULL, &db));
    CHECK_OK(scn_close(db));
}

TEST(open__keeps_nothing_of_a_memory_store)
{
    scn_db *one = kit_memory();
    scn_db *two = kit_memory();
    scn_table_id id = kit_table(one, "t");
    kit_write(one, id, "key", "value");
    scn_txn *txn = kit_begin(two, SCN_READ);
    scn_table_id none;
    CHECK_EQ(scn_table(txn, "t", 0, &none), SCN_NOTFOUND);
    scn_abort(txn);
    CHECK(kit_committed(one, id, "key", "value"));
    CHECK_OK(scn_close(one));
    CHECK_OK(scn_close(two));
    CHECK(access(":memory:", F_OK) != 0);
}

TEST(open__does_not_create_where_it_must_not)
{
    const char *path = unit_path("open-absent");
    CHECK_EQ(try_open(path, SCN_NOCREATE), SCN_NOTFOUND);
    CHECK_EQ(try_open(path, SCN_RDONLY), SCN_NOTFOUND);
    CHECK(access(path, F_OK) != 0);
    CHECK(try_open(unit_path("no-such-folder/file"), 0) != SCN_OK);
}

TEST(open__refuses_a_folder)
{
    const char *path = unit_path("open-folder");
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK(try_open(path, 0) < 0);
    CHECK(try_open(path, SCN_RDONLY) < 0);
}

TEST(open__refuses_a_text_file_and_leaves_it_alone)
{
    static const char words[] = "This is a letter, and no store.\n";
    char after[sizeof words];
    const char *path = unit_path("open-text");
    write_file(path, words, sizeof words - 1);
    CHECK_EQ(try_open(path, 0), SCN_NOTADB);
    CHECK_EQ(try_open(path, SCN_RDONLY), SCN_NOTADB);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    CHECK_EQ(fread(after, 1, sizeof after, file), sizeof words - 1);
    fclose(file);
    CHECK(memcmp(after, words, sizeof words - 1) == 0);
}

TEST(open__refuses_a_large_file_of_another_kind)
{
    static char zeros[300000];
    const char *path = unit_path("open-zeros");
    write_file(path, zeros, sizeof zeros);
    CHECK_EQ(try_open(path, 0), SCN_NOTADB);
}

TEST(open__never_overwrites_an_empty_file_that_it_refuses)
{
    struct stat stat_of;
    const char *path = unit_path("open-empty");
    write_file(path, "", 0);
    scn_status st = try_open(path, 0);
    CHECK(st == SCN_OK || st == SCN_NOTADB);
    CHECK_EQ(stat(path, &stat_of), 0);
    CHECK(st == SCN_OK || stat_of.st_size == 0);
}

/* The version lies behind the magic of both slots and keeps its place for ever. */
TEST(open__names_a_newer_format)
{
    const char *path = unit_path("open-newer");
    CHECK_OK(scn_close(kit_open_flags(path, 0)));
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL);
    uint32_t page_bytes = 0;
    CHECK_EQ(fseek(file, 12, SEEK_SET), 0);
    CHECK_EQ(fread(&page_bytes, 4, 1, file), 1);
    for (uint32_t slot = 0; slot < 2; slot++) {
        uint8_t bytes[4096];
        uint32_t version = 77;
        CHECK_EQ(fseek(file, (long)(slot * page_bytes), SEEK_SET), 0);
        CHECK_EQ(fread(bytes, sizeof bytes, 1, file), 1);
        memcpy(bytes + 8, &version, 4);
        memset(bytes + 16, 0, 16);
        scn_hash128(bytes, sizeof bytes, bytes + 16);
        CHECK_EQ(fseek(file, (long)(slot * page_bytes), SEEK_SET), 0);
        CHECK_EQ(fwrite(bytes, sizeof bytes, 1, file), 1);
    }
    CHECK_EQ(fclose(file), 0);
    CHECK_EQ(try_open(path, 0), SCN_VERSION);
    CHECK_EQ(try_open(path, SCN_RDONLY), SCN_VERSION);
    scn_error error = {.struct_size = sizeof error};
    scn_last_error(NULL, &error);
    CHECK_EQ(error.status, SCN_VERSION);
    CHECK(strlen(error.text) > 10);
}

TEST(open__shares_one_store_between_handles_however_named)
{
    char path[256];
    char other[256];
    snprintf(path, sizeof path, "%s", unit_path("open-shared"));
    snprintf(other, sizeof other, "%s", unit_path("open-shared-link"));
    scn_db *one = kit_open_flags(path, 0);
    CHECK_EQ(symlink(path, other), 0);
    scn_db *two = kit_open_flags(path, 0);
    scn_db *three = kit_open_flags(other, 0);
    scn_table_id id = kit_table(one, "t");
    kit_write(two, id, "key", "value");
    CHECK(kit_committed(three, id, "key", "value"));
    CHECK_OK(scn_close(one));
    kit_write(three, id, "key", "other");
    CHECK(kit_committed(two, id, "key", "other"));
    CHECK_OK(scn_close(two));
    CHECK_OK(scn_close(three));
    one = kit_open_flags(path, SCN_NOCREATE);
    CHECK(kit_committed(one, id, "key", "other"));
    CHECK_OK(scn_close(one));
}

TEST(open__read_only_reads_and_refuses_to_write)
{
    const char *path = unit_path("open-rdonly");
    scn_db *db = kit_open_flags(path, 0);
    scn_table_id id = kit_table(db, "t");
    for (int i = 0; i < 100; i++) {
        char key[16];
        kit_number_key(key, (uint32_t)i);
        kit_write(db, id, key, "v");
        if (i == 50)
            CHECK_OK(scn_checkpoint(db));
    }
    CHECK_OK(scn_close(db));
    db = kit_open_flags(path, SCN_RDONLY);
    CHECK_EQ(kit_count(db, id), 100);
    CHECK(kit_committed(db, id, "k00000007", "v"));
    CHECK(kit_committed(db, id, "k00000099", "v"));
    scn_txn *txn = NULL;
    CHECK_EQ(scn_begin(db, SCN_WRITE, &txn), SCN_READONLY);
    CHECK(txn == NULL);
    CHECK_EQ(scn_put1(db, "t", text("a"), text("b")), SCN_READONLY);
    CHECK_EQ(scn_del1(db, "t", text("a")), SCN_READONLY);
    CHECK_EQ(scn_checkpoint(db), SCN_READONLY);
    txn = kit_begin(db, SCN_READ);
    scn_table_id other;
    CHECK(scn_table(txn, "new", SCN_CREATE, &other) < 0);
    CHECK(scn_put(txn, id, text("a"), text("b"), 0) < 0);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
}

TEST(open__a_read_only_handle_stays_one_beside_a_writer)
{
    const char *path = unit_path("open-rdonly-beside");
    scn_db *writer = kit_open_flags(path, 0);
    scn_table_id id = kit_table(writer, "t");
    scn_db *reader = kit_open_flags(path, SCN_RDONLY);
    scn_txn *txn = NULL;
    CHECK_EQ(scn_begin(reader, SCN_WRITE, &txn), SCN_READONLY);
    CHECK_EQ(scn_put1(reader, "t", text("a"), text("b")), SCN_READONLY);
    CHECK_EQ(scn_checkpoint(reader), SCN_READONLY);
    kit_write(writer, id, "a", "c");
    CHECK(kit_committed(reader, id, "a", "c"));
    CHECK_OK(scn_close(writer));
    CHECK_OK(scn_close(reader));
}

TEST(close__refuses_while_a_transaction_is_open)
{
    scn_db *db = kit_memory();
    scn_txn *txn = kit_begin(db, SCN_READ);
    CHECK_EQ(scn_close(db), SCN_MISUSE);
    scn_abort(txn);
    CHECK_OK(scn_close(db));
    CHECK_EQ(scn_close(NULL), SCN_MISUSE);
}

TEST(options__come_as_words_with_units)
{
    scn_options options;
    scn_options_init(&options);
    CHECK_OK(scn_options_set(&options, "pool", "16MiB"));
    CHECK_EQ(options.pool_bytes, 16 << 20);
    CHECK_OK(scn_options_set(&options, "busy_timeout", "5s"));
    CHECK_EQ(options.busy_timeout_ms, 5000);
    CHECK_OK(scn_options_set(&options, "durability", "lazy"));
    CHECK_EQ(options.durability, SCN_SYNC_LAZY);
    CHECK_EQ(scn_options_set(&options, "no_such_option", "1"), SCN_MISUSE);
    CHECK_EQ(scn_options_set(&options, "pool", "sixteen"), SCN_MISUSE);
    CHECK_EQ(scn_options_set(NULL, "pool", "16MiB"), SCN_MISUSE);
    scn_db *db = NULL;
    CHECK_OK(scn_open(":memory:", &options, &db));
    CHECK_OK(scn_close(db));
}

TEST(error__of_a_failed_open_is_told_per_thread)
{
    scn_error error = {.struct_size = sizeof error};
    CHECK_EQ(try_open(unit_path("open-error"), SCN_NOCREATE), SCN_NOTFOUND);
    scn_last_error(NULL, &error);
    CHECK_EQ(error.status, SCN_NOTFOUND);
    CHECK(error.text[0] != 0);
}

TEST(status__has_words_and_says_what_may_be_repeated)
{
    for (scn_status st = SCN_NOTADB; st <= SCN_END; st++)
        CHECK(scn_strerror(st) != NULL && scn_strerror(st)[0] != 0);
    CHECK(scn_strerror(12345) != NULL);
    CHECK(scn_is_retryable(SCN_CONFLICT));
    CHECK(scn_is_retryable(SCN_BUSY));
    CHECK(!scn_is_retryable(SCN_CORRUPT));
    CHECK(!scn_is_retryable(SCN_OK));
    CHECK(scn_version() != NULL && scn_version()[0] != 0);
}
