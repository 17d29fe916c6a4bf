/* Options: see options.h.
 *
 * One table describes the members that are amounts: its names for scn_options_set, its
 * unit, its default and its range.  Strings and structs are judged by the same ranges,
 * the string when it is set (where the mistake is), the struct when the store is opened.
 */
#include "engine/options.h"

#include "page/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum unit { UNIT_BYTES, UNIT_MS };

struct amount {
    const char *name;
    const char *member; /* the long name: that of the struct's member */
    enum unit unit;
    uint16_t off;      /* in scn_options */
    uint16_t size;     /* 4 or 8 */
    bool is_zero_none; /* 0 is a value of its own: no limit; elsewhere it asks for the
                          default */
    uint64_t initial;
    uint64_t least;
    uint64_t most;
};

enum {
    /* One extent is written, one is ready, and a checkpoint keeps those of the slot
       before. */
    LOG_EXTENTS_MIN = 4,
    /* The log is recycled as a whole: its extents are spare between two checkpoints, and
     * a superblock lists no more. */
    LOG_EXTENTS_MAX = LOG_SPARE_MAX - 32,
    /* The fixed pages, the first extent, and as much again for a first checkpoint. */
    FILE_PAGES_MIN = 16,
    GROUP_WINDOW_MS_MAX = 10000,
    LAZY_INTERVAL_MS_MAX = 3600000,
    OPTIONS_BYTES_MAX = 4096,
    FLAGS_KNOWN = SCN_RDONLY | SCN_NOCREATE | SCN_EXCLUSIVE | SCN_NOTHREAD |
                  SCN_ALLOW_NOT_LOCAL
};

#define EXTENT_BYTES ((uint64_t)PAGE_BYTES * LOG_EXTENT_PAGES)
#define MEMBER(member_name) \
    offsetof(scn_options, member_name), sizeof(((scn_options *)0)->member_name)

static const struct amount amounts[] = {
    {"pool", "pool_bytes", UNIT_BYTES, MEMBER(pool_bytes), false, DEFAULT_POOL_BYTES,
     (uint64_t)PAGE_BYTES *POOL_FRAMES_MIN, (uint64_t)PAGE_BYTES *POOL_FRAMES_MAX},
    {"log", "log_bytes", UNIT_BYTES, MEMBER(log_bytes), false, DEFAULT_LOG_BYTES,
     EXTENT_BYTES *LOG_EXTENTS_MIN, EXTENT_BYTES *LOG_EXTENTS_MAX},
    {"max_file", "max_file_bytes", UNIT_BYTES, MEMBER(max_file_bytes), true, 0,
     (uint64_t)PAGE_BYTES *FILE_PAGES_MIN, UINT64_MAX},
    {"busy_timeout", "busy_timeout_ms", UNIT_MS, MEMBER(busy_timeout_ms), false,
     DEFAULT_BUSY_TIMEOUT_MS, 1, UINT32_MAX},
    {"group_window", "group_window_ms", UNIT_MS, MEMBER(group_window_ms), false,
     DEFAULT_GROUP_WINDOW_MS, 1, GROUP_WINDOW_MS_MAX},
    {"lazy_interval", "lazy_interval_ms", UNIT_MS, MEMBER(lazy_interval_ms), false,
     DEFAULT_LAZY_INTERVAL_MS, 1, LAZY_INTERVAL_MS_MAX},
    {"max_snapshot_age", "max_snapshot_age_ms", UNIT_MS, MEMBER(max_snapshot_age_ms),
     true, 0, 1, UINT64_MAX},
};
enum { AMOUNT_COUNT = sizeof amounts / sizeof amounts[0] };

static const struct {
    const char *name;
    uint32_t bit;
} flags[] = {
    {"rdonly", SCN_RDONLY},
    {"nocreate", SCN_NOCREATE},
    {"exclusive", SCN_EXCLUSIVE},
    {"nothread", SCN_NOTHREAD},
    {"allow_not_local", SCN_ALLOW_NOT_LOCAL},
};
enum { FLAG_COUNT = sizeof flags / sizeof flags[0] };

/* In the order of their numbers. */
static const char *const durabilities[] = {"full", "group", "lazy"};
_Static_assert(SCN_SYNC_FULL == 0 && SCN_SYNC_GROUP == 1 && SCN_SYNC_LAZY == 2,
               "an index");

/* ---- amounts as text ---- */

static const struct suffix {
    const char *text;
    enum unit unit;
    uint64_t factor;
} suffixes[] = {
    {"B", UNIT_BYTES, 1},
    {"KiB", UNIT_BYTES, UINT64_C(1) << 10},
    {"MiB", UNIT_BYTES, UINT64_C(1) << 20},
    {"GiB", UNIT_BYTES, UINT64_C(1) << 30},
    {"TiB", UNIT_BYTES, UINT64_C(1) << 40},
    {"KB", UNIT_BYTES, UINT64_C(1000)},
    {"MB", UNIT_BYTES, UINT64_C(1000000)},
    {"GB", UNIT_BYTES, UINT64_C(1000000000)},
    {"TB", UNIT_BYTES, UINT64_C(1000000000000)},
    {"ms", UNIT_MS, 1},
    {"s", UNIT_MS, 1000},
    {"m", UNIT_MS, 60000},
};
enum { SUFFIX_COUNT = sizeof suffixes / sizeof suffixes[0], TEXT_BYTES = 32 };

static bool is_same_word(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char left = *a >= 'A' && *a <= 'Z' ? (char)(*a - 'A' + 'a') : *a;
        char right = *b >= 'A' && *b <= 'Z' ? (char)(*b - 'A' + 'a') : *b;
        if (left != right)
            return false;
    }
    return *a == *b;
}

/* Digits, then perhaps a unit; without one, bytes or milliseconds. */
static bool parse_amount(const char *text, enum unit unit, uint64_t *out)
{
    uint64_t value = 0;
    uint64_t factor = 1;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return false;
    if (at == text)
        return false;
    if (*at == ' ')
        at++;
    if (*at) {
        int i = 0;
        while (i < SUFFIX_COUNT &&
               (suffixes[i].unit != unit || !is_same_word(at, suffixes[i].text)))
            i++;
        if (i == SUFFIX_COUNT)
            return false;
        factor = suffixes[i].factor;
    }
    return !__builtin_mul_overflow(value, factor, out);
}

/* With the largest unit that leaves no rest. */
static void print_amount(uint64_t value, enum unit unit, char out[TEXT_BYTES])
{
    const struct suffix *best = NULL;
    for (int i = 0; i < SUFFIX_COUNT; i++) {
        const struct suffix *suffix = &suffixes[i];
        if (suffix->unit == unit && value % suffix->factor == 0 &&
            value >= suffix->factor && (best == NULL || suffix->factor > best->factor))
            best = suffix;
    }
    if (best)
        snprintf(out, TEXT_BYTES, "%" PRIu64 "%s", value / best->factor, best->text);
    else
        snprintf(out, TEXT_BYTES, "%" PRIu64, value);
}

static void print_range(const struct amount *amount, char out[3 * TEXT_BYTES])
{
    char least[TEXT_BYTES];
    char most[TEXT_BYTES];
    const char *zero = amount->is_zero_none ? "0 for no limit, or " : "";
    print_amount(amount->least, amount->unit, least);
    print_amount(amount->most, amount->unit, most);
    if (amount->most == UINT64_MAX)
        snprintf(out, 3 * TEXT_BYTES, "%sat least %s", zero, least);
    else
        snprintf(out, 3 * TEXT_BYTES, "%s%s to %s", zero, least, most);
}

static bool is_in_range(const struct amount *amount, uint64_t value)
{
    return value == 0 ? amount->is_zero_none
                      : value >= amount->least && value <= amount->most;
}

/* ---- the struct ---- */

static uint64_t amount_read(const scn_options *options, const struct amount *amount)
{
    const uint8_t *at = (const uint8_t *)options + amount->off;
    uint32_t narrow;
    uint64_t wide;
    if (amount->size == sizeof narrow) {
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, at, sizeof wide);
    return wide;
}

static void amount_write(scn_options *options, const struct amount *amount,
                         uint64_t value)
{
    uint8_t *at = (uint8_t *)options + amount->off;
    uint32_t narrow = (uint32_t)value;
    if (amount->size == sizeof narrow)
        memcpy(at, &narrow, sizeof narrow);
    else
        memcpy(at, &value, sizeof value);
}

static scn_status check_struct_size(const scn_options *options)
{
    if (options->struct_size >= offsetof(scn_options, pool_bytes) &&
        options->struct_size <= OPTIONS_BYTES_MAX)
        return SCN_OK;
    return error_misuse("scn_options: struct_size is %" PRIu32 ", which cannot be; "
                        "scn_options_init sets it",
                        options->struct_size);
}

/* The caller's members, as far as both sides know them.  What a newer caller has set
 * beyond that would be ignored in silence: it has to be zero. */
static scn_status take_known(const scn_options *given, scn_options *out)
{
    scn_status st = check_struct_size(given);
    if (st < 0)
        return st;
    size_t size = given->struct_size < sizeof *out ? given->struct_size : sizeof *out;
    memcpy(out, given, size);
    if (given->struct_size > sizeof *out &&
        !bytes_are_zero((const uint8_t *)given + sizeof *out,
                        given->struct_size - sizeof *out))
        return error_misuse(
            "scn_options: it has members set that this version (%s) does not know",
            scn_version());
    return SCN_OK;
}

static scn_status settle_amount(scn_options *options, const struct amount *amount)
{
    char value[TEXT_BYTES];
    char range[3 * TEXT_BYTES];
    uint64_t given = amount_read(options, amount);
    if (given == 0) {
        amount_write(options, amount, amount->initial);
        return SCN_OK;
    }
    if (is_in_range(amount, given))
        return SCN_OK;
    print_amount(given, amount->unit, value);
    print_range(amount, range);
    return error_misuse("scn_options: %s is %s; allowed is %s", amount->member, value,
                        range);
}

static scn_status settle(scn_options *options)
{
    if (options->flags & ~(uint32_t)FLAGS_KNOWN)
        return error_misuse("scn_options: flags 0x%" PRIx32 " has bits beyond 0x%x",
                            options->flags, (unsigned)FLAGS_KNOWN);
    if (options->durability > SCN_SYNC_LAZY)
        return error_misuse("scn_options: durability is %" PRIu32
                            "; allowed is SCN_SYNC_FULL, "
                            "SCN_SYNC_GROUP or SCN_SYNC_LAZY",
                            options->durability);
    for (int i = 0; i < AMOUNT_COUNT; i++) {
        scn_status st = settle_amount(options, &amounts[i]);
        if (st < 0)
            return st;
    }
    return SCN_OK;
}

scn_status options_resolve(const scn_options *given, struct store_options *out)
{
    scn_options options = {0};
    scn_status st = given ? take_known(given, &options) : SCN_OK;
    if (st == SCN_OK)
        st = settle(&options);
    if (st < 0)
        return st;
    *out = (struct store_options){
        .flags = options.flags,
        .pool_bytes = options.pool_bytes,
        .log_bytes = options.log_bytes,
        .max_file_bytes = options.max_file_bytes,
        .busy_timeout_ms = options.busy_timeout_ms,
        .durability = options.durability,
        .group_window_ms = options.group_window_ms,
        .lazy_interval_ms = options.lazy_interval_ms,
        .max_snapshot_age_ms = options.max_snapshot_age_ms,
        .hooks = options.hooks,
    };
    return SCN_OK;
}

void scn_options_init(scn_options *options)
{
    if (options)
        *options = (scn_options){.struct_size = sizeof *options};
}

/* ---- strings ---- */

static scn_status check_reach(const scn_options *options, size_t end, const char *key)
{
    if (end <= options->struct_size)
        return SCN_OK;
    return error_misuse("scn_options_set: %s lies beyond struct_size, which is %" PRIu32
                        "; "
                        "scn_options_init sets it",
                        key, options->struct_size);
}

static scn_status set_amount(scn_options *options, const struct amount *amount,
                             const char *text)
{
    char range[3 * TEXT_BYTES];
    uint64_t value;
    scn_status st = check_reach(options, (size_t)amount->off + amount->size,
                                amount->name);
    if (st < 0)
        return st;
    if (parse_amount(text, amount->unit, &value) && is_in_range(amount, value)) {
        amount_write(options, amount, value);
        return SCN_OK;
    }
    print_range(amount, range);
    return error_misuse(
        "scn_options_set: %s=%.40s: allowed is %s, as a whole number of %s", amount->name,
        text, range,
        amount->unit == UNIT_BYTES ? "B, KiB, MiB, GiB, TiB, KB, MB, GB or TB"
                                   : "ms, s or m");
}

static scn_status set_durability(scn_options *options, const char *text)
{
    size_t end = offsetof(scn_options, durability) + sizeof options->durability;
    scn_status st = check_reach(options, end, "durability");
    if (st < 0)
        return st;
    for (uint32_t i = 0; i <= SCN_SYNC_LAZY; i++) {
        if (is_same_word(text, durabilities[i])) {
            options->durability = i;
            return SCN_OK;
        }
    }
    return error_misuse(
        "scn_options_set: durability=%.40s: allowed is full, group or lazy", text);
}

static scn_status set_flag(scn_options *options, int idx, const char *text)
{
    bool is_on = is_same_word(text, "1") || is_same_word(text, "true") ||
                 is_same_word(text, "yes");
    bool is_off = is_same_word(text, "0") || is_same_word(text, "false") ||
                  is_same_word(text, "no");
    if (!is_on && !is_off)
        return error_misuse(
            "scn_options_set: %s=%.40s: allowed is 1, 0, true, false, yes or no",
            flags[idx].name, text);
    if (is_on)
        options->flags |= flags[idx].bit;
    else
        options->flags &= ~flags[idx].bit;
    return SCN_OK;
}

static scn_status set(scn_options *options, const char *key, const char *text)
{
    for (int i = 0; i < AMOUNT_COUNT; i++)
        if (is_same_word(key, amounts[i].name) || is_same_word(key, amounts[i].member))
            return set_amount(options, &amounts[i], text);
    for (int i = 0; i < FLAG_COUNT; i++)
        if (is_same_word(key, flags[i].name))
            return set_flag(options, i, text);
    if (is_same_word(key, "durability"))
        return set_durability(options, text);
    return error_misuse(
        "scn_options_set: there is no option %.40s; there are pool, log, max_file, "
        "busy_timeout, durability, group_window, lazy_interval, max_snapshot_age, "
        "rdonly, nocreate, exclusive, nothread, allow_not_local",
        key);
}

scn_status scn_options_set(scn_options *options, const char *key, const char *value)
{
    if (options == NULL || key == NULL || value == NULL)
        return error_misuse("scn_options_set: options, key or value is NULL");
    scn_status st = check_struct_size(options);
    return st < 0 ? st : set(options, key, value);
}
