/* Options as strings and as a struct. */
#include "engine/options.h"

#include "test/unit/unit.h"

static struct store_options resolved(const scn_options *options)
{
    struct store_options out;
    CHECK_OK(options_resolve(options, &out));
    return out;
}

static void set_ok(scn_options *options, const char *key, const char *value)
{
    if (scn_options_set(options, key, value) != SCN_OK)
        unit_fail(__FILE__, __LINE__, "%s=%s: %s", key, value, error_last()->text);
}

/* Refused, unchanged, and with a sentence that has both words. */
static void set_fails(const char *key, const char *value)
{
    scn_options options;
    scn_options before;
    memset(&options, 0, sizeof options);
    scn_options_init(&options);
    options.flags = SCN_NOTHREAD;
    memcpy(&before, &options, sizeof before);
    if (scn_options_set(&options, key, value) != SCN_MISUSE)
        unit_fail(__FILE__, __LINE__, "%s=%s was accepted", key, value);
    CHECK(strstr(error_last()->text, key) != NULL);
    CHECK(memcmp(&before, &options, sizeof before) == 0);
}

static void check_defaults(const struct store_options *options)
{
    CHECK_EQ(options->pool_bytes, DEFAULT_POOL_BYTES);
    CHECK_EQ(options->log_bytes, DEFAULT_LOG_BYTES);
    CHECK_EQ(options->max_file_bytes, 0);
    CHECK_EQ(options->busy_timeout_ms, DEFAULT_BUSY_TIMEOUT_MS);
    CHECK_EQ(options->durability, SCN_SYNC_FULL);
    CHECK_EQ(options->group_window_ms, DEFAULT_GROUP_WINDOW_MS);
    CHECK_EQ(options->lazy_interval_ms, DEFAULT_LAZY_INTERVAL_MS);
    CHECK_EQ(options->max_snapshot_age_ms, 0);
    CHECK_EQ(options->flags, 0);
    CHECK(options->hooks.log == NULL);
}

TEST(options__of_nobody_are_the_defaults)
{
    scn_options options;
    scn_options_init(&options);
    struct store_options from_init = resolved(&options);
    struct store_options from_null = resolved(NULL);
    check_defaults(&from_init);
    check_defaults(&from_null);
}

TEST(options__set_every_member_by_name)
{
    scn_options options;
    scn_options_init(&options);
    set_ok(&options, "pool", "64MiB");
    set_ok(&options, "log", "5 MiB");
    set_ok(&options, "max_file", "1GB");
    set_ok(&options, "busy_timeout", "3s");
    set_ok(&options, "durability", "lazy");
    set_ok(&options, "group_window", "7");
    set_ok(&options, "lazy_interval", "1m");
    set_ok(&options, "max_snapshot_age", "90s");
    set_ok(&options, "rdonly", "yes");
    set_ok(&options, "nocreate", "1");
    set_ok(&options, "exclusive", "TRUE");
    set_ok(&options, "nothread", "true");
    set_ok(&options, "allow_not_local", "1");
    struct store_options out = resolved(&options);
    CHECK_EQ(out.pool_bytes, 64 << 20);
    CHECK_EQ(out.log_bytes, 5 << 20);
    CHECK_EQ(out.max_file_bytes, 1000000000);
    CHECK_EQ(out.busy_timeout_ms, 3000);
    CHECK_EQ(out.durability, SCN_SYNC_LAZY);
    CHECK_EQ(out.group_window_ms, 7);
    CHECK_EQ(out.lazy_interval_ms, 60000);
    CHECK_EQ(out.max_snapshot_age_ms, 90000);
    CHECK_EQ(out.flags, SCN_RDONLY | SCN_NOCREATE | SCN_EXCLUSIVE | SCN_NOTHREAD |
                            SCN_ALLOW_NOT_LOCAL);
    set_ok(&options, "exclusive", "no");
    set_ok(&options, "rdonly", "0");
    set_ok(&options, "nothread", "false");
    CHECK_EQ(resolved(&options).flags, SCN_NOCREATE | SCN_ALLOW_NOT_LOCAL);
}

TEST(options__know_every_unit)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {
        {"134217728", 134217728}, {"134217728B", 134217728}, {"131072KiB", 134217728},
        {"128MiB", 134217728},    {"1GiB", 1 << 30},         {"1TiB", UINT64_C(1) << 40},
        {"200000KB", 200000000},  {"200mb", 200000000},      {"2GB", 2000000000},
        {"1TB", 1000000000000},
    };
    scn_options options;
    scn_options_init(&options);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        set_ok(&options, "max_file_bytes", sizes[i].text);
        CHECK_EQ(options.max_file_bytes, sizes[i].bytes);
    }
    set_ok(&options, "busy_timeout_ms", "250ms");
    CHECK_EQ(options.busy_timeout_ms, 250);
    set_ok(&options, "busy_timeout", "2M");
    CHECK_EQ(options.busy_timeout_ms, 120000);
}

TEST(options__zero_is_no_limit_only_where_there_is_none)
{
    scn_options options;
    scn_options_init(&options);
    set_ok(&options, "max_file", "0");
    set_ok(&options, "max_snapshot_age", "0s");
    CHECK_EQ(resolved(&options).max_file_bytes, 0);
    set_fails("busy_timeout", "0");
    set_fails("pool", "0");
    set_fails("log", "0MiB");
    set_fails("lazy_interval", "0ms");
}

TEST(options__refuse_what_is_no_value)
{
    set_fails("pool", "");
    set_fails("pool", "many");
    set_fails("pool", "-1");
    set_fails("pool", "64QiB");
    set_fails("pool", "64s");
    set_fails("pool", "64MiB ");
    set_fails("pool", " 64MiB");
    set_fails("pool", "1.5GiB");
    set_fails("pool", "99999999999999999999");
    set_fails("pool", "18446744073709551615TiB");
    set_fails("busy_timeout", "5MiB");
    set_fails("busy_timeout", "4294967296");
    set_fails("durability", "fully");
    set_fails("rdonly", "maybe");
    set_fails("rdonly", "");
    set_fails("colour", "blue");
    set_fails("", "1");
}

TEST(options__refuse_what_is_out_of_range)
{
    scn_options options;
    set_fails("log", "1KiB");
    set_fails("log", "1TiB");
    set_fails("pool", "1B");
    set_fails("max_file", "4KiB");
    set_fails("group_window", "11s");
    scn_options_init(&options);
    options.log_bytes = PAGE_BYTES;
    struct store_options out;
    CHECK_EQ(options_resolve(&options, &out), SCN_MISUSE);
    CHECK(strstr(error_last()->text, "log_bytes") != NULL);
    scn_options_init(&options);
    options.flags = 1u << 30;
    CHECK_EQ(options_resolve(&options, &out), SCN_MISUSE);
    scn_options_init(&options);
    options.durability = 3;
    CHECK_EQ(options_resolve(&options, &out), SCN_MISUSE);
}

TEST(options__an_older_caller_gets_defaults_for_what_it_does_not_know)
{
    scn_options options;
    memset(&options, 0xee, sizeof options);
    scn_options_init(&options);
    options.pool_bytes = 32 << 20;
    options.log_bytes = 99;
    options.hooks.user = &options;
    options.struct_size = offsetof(scn_options, log_bytes);
    struct store_options out = resolved(&options);
    CHECK_EQ(out.pool_bytes, 32 << 20);
    CHECK_EQ(out.log_bytes, DEFAULT_LOG_BYTES);
    CHECK(out.hooks.user == NULL);
    CHECK_EQ(scn_options_set(&options, "log", "16MiB"), SCN_MISUSE);
    CHECK_EQ(options.log_bytes, 99);
    CHECK_EQ(scn_options_set(&options, "durability", "lazy"), SCN_MISUSE);
    CHECK_OK(scn_options_set(&options, "pool", "16MiB"));
}

TEST(options__a_newer_caller_may_only_leave_unknown_members_zero)
{
    struct {
        scn_options options;
        uint64_t newer;
    } caller = {.newer = 0};
    struct store_options out;
    scn_options_init(&caller.options);
    caller.options.struct_size = sizeof caller;
    CHECK_OK(options_resolve(&caller.options, &out));
    caller.newer = 1;
    CHECK_EQ(options_resolve(&caller.options, &out), SCN_MISUSE);
}

TEST(options__an_uninitialised_struct_is_misuse)
{
    scn_options options;
    struct store_options out;
    memset(&options, 0, sizeof options);
    CHECK_EQ(options_resolve(&options, &out), SCN_MISUSE);
    CHECK_EQ(scn_options_set(&options, "pool", "64MiB"), SCN_MISUSE);
    memset(&options, 0xee, sizeof options);
    CHECK_EQ(options_resolve(&options, &out), SCN_MISUSE);
    scn_options_init(&options);
    CHECK_EQ(scn_options_set(&options, NULL, "1"), SCN_MISUSE);
    CHECK_EQ(scn_options_set(&options, "pool", NULL), SCN_MISUSE);
    CHECK_EQ(scn_options_set(NULL, "pool", "1"), SCN_MISUSE);
}
