/* Commands that read a store in which a sync has failed, while a program has it open. */
#include "test/tools/yard.h"
#include "test/unit/unit.h"

#include <signal.h>
#include <sys/resource.h>

enum { FIXED_PAGES = 3 }; /* in front of the log */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* By a commit that may not be written.  Without a thread nobody cures it. */
static scn_db *open_and_poison(const char *path)
{
    static const scn_slice key = {"told", 4};
    scn_options options;
    scn_db *db;
    scn_stats_t stats = {.struct_size = sizeof stats};
    scn_options_init(&options);
    options.flags = SCN_NOTHREAD;
    CHECK_OK(scn_open(path, &options, &db));
    CHECK_OK(scn_put1(db, "t", key, key));
    CHECK_OK(scn_stats(db, &stats));
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    limit_files(FIXED_PAGES * (rlim_t)stats.page_bytes);
    CHECK_EQ(scn_put1(db, "t", (scn_slice){"in doubt", 8}, key), SCN_UNKNOWN);
    limit_files(RLIM_INFINITY);
    return db;
}

static void check_read(yard_words words, const char *printed)
{
    int ended = yard_make(words);
    const char *output = yard_output();
    if (ended != 0 || strstr(output, "a write or sync failed") == NULL ||
        strstr(output, "reads go on") == NULL || strstr(output, printed) == NULL)
        unit_fail(__FILE__, __LINE__, "%s %s ends with %d: %s", words[0], words[1], ended,
                  output);
}

TEST(poisoned__store_in_use_is_read_and_not_called_damaged)
{
    scn_db *db = open_and_poison(yard_made("live"));
    check_read((yard_words){"scrine", "scan", "live", "t"}, "told\ttold\n");
    check_read((yard_words){"scrine", "get", "live", "t", "told"}, "told");
    check_read((yard_words){"scrine", "tables", "live"}, "t\n");
    check_read((yard_words){"scrine", "stat", "live"}, "healthy     no: ");
    check_read((yard_words){"scrine", "stat", "live", "--json"}, "\"healthy\": false");
    check_read((yard_words){"scrine", "check", "live"}, "live: clean\n");
    check_read((yard_words){"scrine", "hash", "live"}, " 1  t\n");
    check_read((yard_words){"scrine", "dump", "live", "t"}, "{\"key\":\"told\"");
    CHECK(scn_close(db) == SCN_OK);
    CHECK_EQ(yard_make((yard_words){"scrine", "get", "live", "t", "told"}), 0);
    CHECK(strcmp(yard_output(), "told") == 0);
}
