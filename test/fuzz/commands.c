/* The command `scrine` with any arguments, on a small store and a small input.
 *
 * Its calls of scn_open are led to a store in memory (the linker's --wrap), so that a
 * command costs no disk and no thread.  Whatever it is told, it ends with one of its exit
 * codes, closes what it has opened, and leaves a store that passes its check.
 *
 *     words u8 | { word u8, or 255, length u8 and bytes }* | standard input */
#include "tools/commands.h"
#include "engine/store.h"
#include "test/fuzz/feed.h"
#include "test/fuzz/stage.h"
#include "test/fuzz/target.h"
#include "tools/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORDS_MAX = 12, TEMPLATE_BYTES_MAX = 1 << 20 };

static const char *const words[] = {
    STAGE_STORE, "table", "other", "put", "get", "del", "scan", "tables", "stat", "check",
    "checkpoint", "load", "dump", "help", "--help", "--version", "--all", "--batch",
    "--from", "--hex", "--json", "--key", "--keys", "--limit", "--prefix", "--reverse",
    "--skip-bad", "--to", "--", "-", "--limit=3", "--batch=1", "--key=id", "--from=b",
    "--to=0xff", "--prefix=k", "0", "1", "18446744073709551615", "a", "key-1", "6b",
    "new", "broken", "", "--batch=0", "--limit=-1", "--key=", "value", "ff0",
};
enum { WORDS = sizeof words / sizeof *words };

/* ---- the store ---- */

static struct sys *machine;

scn_status __wrap_scn_open(const char *path, const scn_options *options, scn_db **db);

scn_status __wrap_scn_open(const char *path, const scn_options *options, scn_db **db)
{
    scn_options small = stage_options(options->flags);
    *db = NULL;
    return store_open_on(machine, path, &small, db);
}

static void must(scn_status st)
{
    FUZZ_CHECK(st == SCN_OK);
}

static void fill(scn_db *db)
{
    static const char *const rows[][2] = {{"a", "1"},       {"b", "{\"id\": \"b\"}"},
                                          {"key-1", "one"}, {"key-2", "\xff\xfe"},
                                          {"z\n", ""},      {"{}", "[1, 2]"}};
    static const char long_value[5000];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        must(scn_put1(db, "table", (scn_slice){rows[i][0], strlen(rows[i][0])},
                      (scn_slice){rows[i][1], strlen(rows[i][1])}));
    must(scn_checkpoint(db));
    must(scn_put1(db, "other", (scn_slice){"k", 1},
                  (scn_slice){long_value, sizeof long_value}));
}

/* Made once; every input begins with it. */
static struct {
    uint8_t bytes[TEMPLATE_BYTES_MAX];
    size_t size;
} template;

static void make_template(void)
{
    scn_db *db;
    struct sys *sys = stage_build();
    must(stage_open(sys, 0, &db));
    fill(db);
    must(scn_close(db));
    template.size = stage_take_file(sys, template.bytes, sizeof template.bytes);
    FUZZ_CHECK(template.size < sizeof template.bytes);
    stage_strike(sys);
}

static scn_status say_issue(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    fuzz_fail(__FILE__, __LINE__, "the store has an issue: %s", issue->text);
}

static void check_store(void)
{
    scn_db *db;
    FUZZ_CHECK(machine->registry == NULL);
    must(stage_open(machine, SCN_NOCREATE, &db));
    must(scn_check(db, SCN_CHECK_ALL, say_issue, NULL, NULL));
    must(scn_close(db));
}

/* ---- the command ---- */

/* A slash would lead out of here. */
static char *some_word(struct feed *feed)
{
    size_t len;
    uint8_t which = feed_u8(feed);
    if (which < 255) {
        const char *word = words[which % WORDS];
        size_t size = strlen(word) + 1;
        return memcpy(malloc(size), word, size);
    }
    const uint8_t *bytes = feed_bytes(feed, feed_u8(feed), &len);
    char *word = malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        word[i] = bytes[i] == '/' || bytes[i] == 0 ? '_' : (char)bytes[i];
    word[len] = 0;
    return word;
}

/* Commands that look at real files, or make some. */
static bool goes_elsewhere(const char *word)
{
    static const char *const names[] = {"page", "recover", "shell", "top", "bench"};
    bool does = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        does |= strcmp(word, names[i]) == 0;
    return does;
}

static void set_input(const struct feed *feed)
{
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("input", MFD_CLOEXEC);
        FUZZ_CHECK(fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    }
    FUZZ_CHECK(ftruncate(fd, 0) == 0);
    FUZZ_CHECK(pwrite(fd, feed->at, feed_left(feed), 0) == (ssize_t)feed_left(feed));
    FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0);
}

static void run_command(int argc, char **argv)
{
    static FILE *nowhere;
    FILE *out = stdout;
    FILE *err = stderr;
    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    FUZZ_CHECK(nowhere != NULL);
    stdout = nowhere;
    stderr = nowhere;
    enum outcome outcome = output_finish(commands_run(argc, argv));
    stdout = out;
    stderr = err;
    bool is_known = outcome <= OUTCOME_IO || outcome == OUTCOME_USAGE;
    if (!is_known || outcome == OUTCOME_CORRUPT || outcome == OUTCOME_FOREIGN)
        fuzz_fail(__FILE__, __LINE__, "the exit code is %d", (int)outcome);
}

static void run_commands(const uint8_t *data, size_t size)
{
    struct feed feed = feed_of(data, size);
    char *argv[WORDS_MAX + 2] = {"scrine"};
    int argc = 1 + (int)feed_below(&feed, WORDS_MAX + 1);
    for (int i = 1; i < argc; i++)
        argv[i] = some_word(&feed);
    set_input(&feed);
    if (template.size == 0)
        make_template();
    machine = stage_build();
    stage_put_file(machine, template.bytes, template.size);
    if (argc < 2 || (!goes_elsewhere(argv[1]) && access(argv[1], F_OK) != 0))
        run_command(argc, argv);
    check_store();
    stage_strike(machine);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
}

FUZZ_TARGET(commands, run_commands, NULL)
