/* Commands that write: see task.h. */
#include "test/tools/task.h"

#include "test/unit/unit.h"

#include <fcntl.h>
#include <unistd.h>

/* BATCH is in the words of load. */
enum { RECORD_HEADER_BYTES = 80, ROWS = 150, LINES = 60, BATCH = 10 };

static struct {
    off_t offset;
    unsigned char header[RECORD_HEADER_BYTES];
    char kept[64];
} torn;

/* ---- files ---- */

static void put(const char *name, const char *table, int from, int to, size_t size,
                int fill)
{
    static char value[200000];
    scn_db *db;
    scn_txn *txn;
    scn_table_id id;
    char key[16];
    CHECK(size <= sizeof value);
    memset(value, fill, size);
    CHECK_OK(scn_open(yard_made(name), NULL, &db));
    CHECK_OK(scn_begin(db, SCN_WRITE, &txn));
    CHECK_OK(scn_table(txn, table, SCN_CREATE, &id));
    for (int i = from; i < to; i++) {
        scn_slice at = {key, (size_t)snprintf(key, sizeof key, "key%04d", i)};
        CHECK_OK(scn_put(txn, id, at, (scn_slice){value, size}, 0));
    }
    CHECK_OK(scn_commit(txn));
    CHECK_OK(scn_close(db));
}

static void run(yard_words words, int code)
{
    int ended = yard_make(words);
    if (ended != code)
        unit_fail(__FILE__, __LINE__, "%s %s ends with %d: %s", words[0], words[1], ended,
                  yard_output());
}

static void copy(const char *from, const char *to)
{
    static char buf[1 << 16];
    FILE *in = fopen(yard_made(from), "rb");
    FILE *out = fopen(yard_made(to), "wb");
    size_t got;
    CHECK(in != NULL && out != NULL);
    while ((got = fread(buf, 1, sizeof buf, in)) > 0)
        CHECK(fwrite(buf, 1, got, out) == got);
    CHECK(fclose(in) == 0 && fclose(out) == 0);
}

static void make_lines(void)
{
    FILE *file = fopen(yard_made("lines"), "w");
    CHECK(file != NULL);
    for (int i = 0; i < LINES; i++)
        fprintf(file, "{\"id\": \"line%03d\", \"text\": \"%0200d\"}\n", i, i);
    CHECK(fclose(file) == 0);
}

/* A header as the next record would have it, and no payload. */
static void tear(const char *name)
{
    unsigned long long lsn;
    unsigned long long offset;
    run((yard_words){"scrine-walcheck", name}, 0);
    const char *line = strstr(yard_output(), "\nlog ");
    CHECK(line != NULL);
    CHECK(sscanf(line, " log from lsn %*u at offset %*u to lsn %llu at offset %llu",
                 &lsn, &offset) == 2);
    int fd = open(yard_made(name), O_RDWR);
    CHECK(fd >= 0);
    torn.offset = (off_t)offset;
    CHECK(pread(fd, torn.header, sizeof torn.header,
                torn.offset - RECORD_HEADER_BYTES) == RECORD_HEADER_BYTES);
    for (int i = 0; i < 8; i++)
        torn.header[16 + i] = (unsigned char)(lsn >> 8 * i);
    CHECK(pwrite(fd, torn.header, sizeof torn.header, torn.offset) ==
          RECORD_HEADER_BYTES);
    CHECK(close(fd) == 0);
    snprintf(torn.kept, sizeof torn.kept, "%s.cut-%llu", name, lsn);
    run((yard_words){"scrine-walcheck", name}, 1);
}

static void make_snapshots(void)
{
    put("store", "table", 0, ROWS, 300, 'a');
    put("store", "long", 0, 2, 150000, 'b');
    copy("store", "then");
    run((yard_words){"scrine-snapshot", "create", "store", "full"}, 0);
    put("store", "table", ROWS / 2, ROWS + 10, 200, 'c');
    run((yard_words){"scrine-snapshot", "create", "store", "inc", "--since", "full"}, 0);
    put("other", "table", 0, 10, 10, 'd');
    run((yard_words){"scrine-snapshot", "create", "other", "old"}, 0);
}

static void make_changed(void)
{
    copy("store", "put");
    run((yard_words){"scrine", "put", "put", "table", "key", "value"}, 0);
    scn_db *db; /* a store that was made, and no more */
    CHECK_OK(scn_open(yard_made("fresh"), NULL, &db));
    CHECK_OK(scn_close(db));
    copy("fresh", "fresh-put");
    run((yard_words){"scrine", "put", "fresh-put", "table", "key", "value"}, 0);
    copy("store", "deleted");
    run((yard_words){"scrine", "del", "deleted", "table", "key0003"}, 0);
    copy("store", "loaded");
    run((yard_words){"scrine", "load", "loaded", "lines", "--key", "id", "lines"}, 0);
    put("large", "keep", 0, 3, 100, 'e');
    put("large", "drop", 0, 40, 30000, 'f');
    for (int i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%04d", i);
        run((yard_words){"scrine", "del", "large", "drop", key}, 0);
    }
    copy("store", "torn");
    put("torn", "table", 0, 3, 30, 'g');
    tear("torn");
}

void task_prepare(void)
{
    static bool are_made;
    if (are_made)
        return;
    are_made = true;
    make_lines();
    make_snapshots();
    make_changed();
}

/* ---- what is there ---- */

static bool is_snapshot(const char *name)
{
    return yard_run((yard_words){"scrine-snapshot", "verify", name}) == 0;
}

/* True: all of it is there. */
static bool check_result(const struct task *task)
{
    const char *name = task->result;
    if (!yard_has(name))
        return false;
    if (strcmp(task->words[0], "scrine-snapshot") == 0 && !is_snapshot(name))
        unit_fail(__FILE__, __LINE__, "%s is not whole: %s", name, yard_output());
    if (task->holds == NULL)
        return true;
    uint64_t rows = yard_rows(yard_used(name));
    if (rows == yard_rows(yard_made(task->holds)))
        return true;
    CHECK(access(yard_made(name), F_OK) == 0);
    CHECK_EQ(rows, yard_rows(yard_made(name)));
    return false;
}

/* Of a commit that was killed before its sync a reader may not know yet, and the next who
 * writes may keep it. */
static bool check_place(const struct task *task)
{
    uint64_t rows = yard_rows(yard_used(task->place));
    if (rows == yard_rows(yard_made(task->holds)))
        return true;
    if (task->between)
        task->between();
    else
        CHECK_EQ(rows, yard_rows(yard_made(task->place)));
    return false;
}

/* Of a load: some of the batches, from the first on. */
static void check_batches(void)
{
    scn_options options;
    scn_db *db;
    uint64_t count = 0;
    char key[16];
    void *value;
    size_t size;
    scn_options_init(&options);
    options.flags = SCN_RDONLY;
    CHECK_OK(scn_open(yard_used("store"), &options, &db));
    for (;; count++) {
        scn_slice at = {key, (size_t)snprintf(key, sizeof key, "line%03u",
                                              (unsigned)count)};
        scn_status st = scn_get_copy(db, "lines", at, &value, &size);
        if (st == SCN_NOTFOUND)
            break;
        CHECK_OK(st);
        scn_free(value);
    }
    CHECK_OK(scn_close(db));
    CHECK_EQ(count % BATCH, 0);
}

/* Of a torn tail: it lies in the store, or in the other file. */
static void check_tail(void)
{
    unsigned char there[2 * RECORD_HEADER_BYTES];
    int fd = open(yard_used("torn"), O_RDONLY);
    CHECK(fd >= 0);
    CHECK(pread(fd, there, RECORD_HEADER_BYTES, torn.offset) == RECORD_HEADER_BYTES);
    CHECK(close(fd) == 0);
    fd = open(yard_used(torn.kept), O_RDONLY);
    if (fd < 0) {
        CHECK(memcmp(there, torn.header, RECORD_HEADER_BYTES) == 0);
        return;
    }
    ssize_t got = read(fd, there, sizeof there);
    CHECK(close(fd) == 0);
    CHECK(got > 0 && got <= RECORD_HEADER_BYTES);
    CHECK(memcmp(there, torn.header, (size_t)got) == 0);
    for (int i = (int)got; i < RECORD_HEADER_BYTES; i++)
        CHECK(torn.header[i] == 0); /* of zeros at the end nothing is kept */
}

bool task_check(const struct task *task)
{
    if (task->is_torn)
        check_tail();
    for (int i = 0; i < YARD_FILES && task->files[i]; i++) {
        const char *name = task->files[i];
        if ((task->result && strcmp(name, task->result) == 0) ||
            (task->place && strcmp(name, task->place) == 0))
            continue;
        if (i == 0 && strcmp(name, "store") == 0) /* a snapshot is noted there */
            CHECK_EQ(yard_rows(yard_used(name)), yard_rows(yard_made(name)));
        else
            yard_check_same(name);
    }
    return task->result ? check_result(task) : check_place(task);
}

const char *task_product(const struct task *task)
{
    return task->is_torn ? torn.kept : task->result;
}

/* ---- all of them ---- */

static const struct task tasks[TASK_COUNT] = {
    [TASK_CREATE] = {
        .words = {"scrine-snapshot", "create", "store", "new"},
        .files = {"store"},
        .result = "new",
        .holds = "store",
        .again = 64},
    [TASK_CREATE_OVER] = {
        .words = {"scrine-snapshot", "create", "store", "old", "--force"},
        .files = {"store", "old"},
        .result = "old",
        .holds = "store"},
    [TASK_INCREMENT] = {
        .words = {"scrine-snapshot", "create", "store", "new", "--since", "full"},
        .files = {"store", "full"},
        .result = "new",
        .again = 64},
    [TASK_APPLY] = {
        .words = {"scrine-snapshot", "apply", "full", "inc"},
        .files = {"full", "inc"},
        .place = "full",
        .holds = "store",
        .again = 1},
    [TASK_RESTORE] = {
        .words = {"scrine-snapshot", "restore", "full", "inc", "new"},
        .files = {"full", "inc"},
        .result = "new",
        .holds = "store",
        .again = 64},
    [TASK_RESTORE_OVER] = {
        .words = {"scrine-snapshot", "restore", "full", "old", "--force"},
        .files = {"full", "old"},
        .result = "old",
        .holds = "then"},
    [TASK_SALVAGE] = {
        .words = {"scrine-walcheck", "--salvage", "new", "store"},
        .files = {"store"},
        .result = "new",
        .holds = "store",
        .again = 64},
    [TASK_SALVAGE_OVER] = {
        .words = {"scrine-walcheck", "--salvage", "old", "--force", "store"},
        .files = {"store", "old"},
        .result = "old",
        .holds = "store"},
    [TASK_TRUNCATE] = {
        .words = {"scrine-walcheck", "--truncate", "--force", "torn"},
        .files = {"torn"},
        .place = "torn",
        .holds = "torn",
        .is_torn = true},
    [TASK_PUT] = {
        .words = {"scrine", "put", "store", "table", "key", "value"},
        .files = {"store"},
        .place = "store",
        .holds = "put"},
    [TASK_FIRST_PUT] = {
        .words = {"scrine", "put", "fresh", "table", "key", "value"},
        .result = "fresh",
        .holds = "fresh-put"},
    [TASK_DEL] = {
        .words = {"scrine", "del", "store", "table", "key0003"},
        .files = {"store"},
        .place = "store",
        .holds = "deleted",
        .again = 1},
    [TASK_LOAD] = {
        .words = {"scrine", "load", "store", "lines", "--key", "id", "--batch", "10",
                  "lines"},
        .files = {"store", "lines"},
        .place = "store",
        .holds = "loaded",
        .between = check_batches},
    [TASK_COMPACT] = {
        .words = {"scrine", "compact", "large"},
        .files = {"large"},
        .place = "large",
        .holds = "large"},
};

const struct task *task_of(enum task_kind kind)
{
    return &tasks[kind];
}
