/* Each struct file is an open of its own, as two processes have them. */
#include "page/publish.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"

#include <errno.h>

/* No byte of one is a byte of the other. */
#define EPOCH UINT64_C(0x1122334455667788)
#define OTHER_EPOCH UINT64_C(0x99aabbccddeeff00)
#define PATH "/store"
#define PAGE_OFF ((uint64_t)PUBLISH_PAGE_NO * PAGE_BYTES)

static const struct publish_value sample = {
    .epoch = UINT64_C(0x1122334455667788), .sequence = 7, .field = {100, 200, 0, 4, 5}};

/* ---- copies ---- */

TEST(publish__round_trips)
{
    uint8_t copy[PUBLISH_COPY_BYTES];
    for (int line = 0; line < PUBLISH_LINE_COUNT; line++) {
        struct publish_value back = {0};
        publish_encode((enum publish_line)line, &sample, copy);
        CHECK(publish_decode((enum publish_line)line, copy, &back));
        CHECK(memcmp(&back, &sample, sizeof sample) == 0);
    }
}

TEST(publish__notices_every_flipped_bit)
{
    uint8_t copy[PUBLISH_COPY_BYTES];
    struct publish_value back;
    publish_encode(PUBLISH_SYNC, &sample, copy);
    for (int bit = 0; bit < PUBLISH_COPY_BYTES * 8; bit++) {
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!publish_decode(PUBLISH_SYNC, copy, &back));
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(publish__takes_no_line_for_another)
{
    uint8_t copy[PUBLISH_COPY_BYTES];
    struct publish_value back;
    publish_encode(PUBLISH_APPEND, &sample, copy);
    for (int line = PUBLISH_APPEND + 1; line < PUBLISH_LINE_COUNT; line++)
        CHECK(!publish_decode((enum publish_line)line, copy, &back));
}

/* ---- two processes ---- */

struct side {
    struct sys *sys;
    struct file file;
};

struct pair {
    struct sim_disk *disk;
    struct side a;
    struct side b;
};

static void side_open(struct side *side, struct sim_disk *disk)
{
    side->sys = sim_process_create(disk);
    CHECK_OK(file_open(&side->file, side->sys, PATH, false));
}

static void side_close(struct side *side)
{
    file_close(&side->file);
    sim_process_destroy(side->sys);
}

static void pair_open(struct pair *pair)
{
    static const uint8_t zeros[(PUBLISH_PAGE_NO + 1) * PAGE_BYTES];
    *pair = (struct pair){.disk = sim_disk_create(1)};
    sim_put_file(pair->disk, PATH, zeros, sizeof zeros);
    side_open(&pair->a, pair->disk);
    side_open(&pair->b, pair->disk);
}

static void pair_close(struct pair *pair)
{
    side_close(&pair->a);
    side_close(&pair->b);
    sim_disk_destroy(pair->disk);
}

/* As under the line's lock: reads what was written last, and writes anew. */
static void tell(struct side *side, enum publish_line line, uint64_t field)
{
    struct publish all;
    CHECK_OK(publish_read(&side->file, &all));
    struct publish_value *value = &all.line[line];
    uint64_t before = value->sequence;
    value->epoch = EPOCH;
    value->field[0] = field;
    value->field[PUBLISH_FIELD_COUNT - 1] = ~field;
    CHECK_OK(publish_write(&side->file, line, value));
    CHECK_EQ(value->sequence, before + 1);
}

/* What the line says; 0: nothing. */
static uint64_t heard(struct side *side, enum publish_line line)
{
    struct publish all;
    CHECK_OK(publish_read(&side->file, &all));
    const struct publish_value *value = &all.line[line];
    if (value->sequence == 0)
        return 0;
    CHECK_EQ(value->field[PUBLISH_FIELD_COUNT - 1], ~value->field[0]);
    return value->field[0];
}

static bool hears_poison(struct side *side, uint64_t epoch)
{
    struct publish all;
    CHECK_OK(publish_read(&side->file, &all));
    const struct publish_value *poison = &all.line[PUBLISH_POISON];
    return poison->sequence != 0 && poison->epoch == epoch;
}

static uint64_t copy_off(enum publish_line line, uint32_t copy_idx)
{
    return PAGE_OFF + publish_off(line, copy_idx);
}

TEST(publish__zeros_say_nothing)
{
    struct pair pair;
    struct publish all;
    pair_open(&pair);
    memset(&all, 1, sizeof all);
    CHECK_OK(publish_read(&pair.a.file, &all));
    for (int line = 0; line < PUBLISH_LINE_COUNT; line++)
        CHECK_EQ(all.line[line].sequence, 0);
    pair_close(&pair);
}

TEST(publish__two_writers_take_turns)
{
    struct pair pair;
    pair_open(&pair);
    for (uint64_t i = 1; i <= 20; i++) {
        struct side *writer = i % 3 ? &pair.a : &pair.b;
        tell(writer, PUBLISH_APPEND, 100 + i);
        tell(i % 2 ? &pair.a : &pair.b, PUBLISH_SESSION, 200 + i);
        CHECK_EQ(heard(&pair.a, PUBLISH_APPEND), 100 + i);
        CHECK_EQ(heard(&pair.b, PUBLISH_APPEND), 100 + i);
        CHECK_EQ(heard(&pair.b, PUBLISH_SESSION), 200 + i);
        CHECK_EQ(heard(&pair.b, PUBLISH_SYNC), 0);
    }
    pair_close(&pair);
}

TEST(publish__read_of_a_whole_page_is_one_call)
{
    struct pair pair;
    pair_open(&pair);
    tell(&pair.a, PUBLISH_SYNC, 1);
    tell(&pair.a, PUBLISH_SYNC, 2);
    publish_poison(&pair.a.file, EPOCH);
    uint64_t before = sim_call_count(pair.b.sys, SIM_ANY);
    CHECK_EQ(heard(&pair.b, PUBLISH_SYNC), 2);
    CHECK_EQ(sim_call_count(pair.b.sys, SIM_ANY), before + 1);
    pair_close(&pair);
}

TEST(publish__read_of_a_file_that_is_too_short_is_damage)
{
    struct pair pair;
    struct publish all;
    pair_open(&pair);
    CHECK_OK(file_cut(&pair.a.file, PUBLISH_PAGE_NO));
    CHECK_EQ(publish_read(&pair.b.file, &all), SCN_CORRUPT);
    publish_poison(&pair.b.file, EPOCH);
    CHECK_EQ(publish_read(&pair.b.file, &all), SCN_CORRUPT);
    pair_close(&pair);
}

TEST(publish__value_of_another_epoch_is_told_with_its_epoch)
{
    struct pair pair;
    struct publish all;
    pair_open(&pair);
    tell(&pair.a, PUBLISH_APPEND, 1);
    struct publish_value value = {.epoch = OTHER_EPOCH, .sequence = 1, .field = {2}};
    CHECK_OK(publish_write(&pair.a.file, PUBLISH_APPEND, &value));
    CHECK_OK(publish_read(&pair.b.file, &all));
    CHECK_EQ(all.line[PUBLISH_APPEND].epoch, OTHER_EPOCH);
    CHECK_EQ(all.line[PUBLISH_APPEND].sequence, 2);
    CHECK_EQ(all.line[PUBLISH_APPEND].field[0], 2);
    pair_close(&pair);
}

/* ---- read again ---- */

static scn_status recall(struct pair *pair, struct publish_seen *seen, int64_t flipped,
                         uint64_t *field)
{
    uint8_t image[PUBLISH_BYTES];
    struct publish page;
    CHECK_EQ(publish_fetch(&pair->b.file, image), SCN_OK);
    if (flipped >= 0)
        image[flipped / 8] ^= (uint8_t)(1 << flipped % 8);
    scn_status st = publish_recall(seen, image, &page);
    *field = st == SCN_OK ? page.line[PUBLISH_SYNC].field[0] : 0;
    return st;
}

TEST(publish__what_was_seen_last_is_told_again_until_it_changes)
{
    struct pair pair;
    struct publish_seen seen = {.image = {0}};
    uint64_t field;
    pair_open(&pair);
    CHECK_EQ(recall(&pair, &seen, -1, &field), SCN_OK);
    CHECK_EQ(field, 0);
    for (uint64_t told = 1; told < 5; told++) {
        tell(&pair.a, PUBLISH_SYNC, told);
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(recall(&pair, &seen, -1, &field), SCN_OK);
            CHECK_EQ(field, told);
        }
    }
    pair_close(&pair);
}

TEST(publish__half_written_bytes_are_not_what_was_seen)
{
    struct pair pair;
    struct publish_seen seen = {.image = {0}};
    uint64_t field;
    pair_open(&pair);
    tell(&pair.a, PUBLISH_SYNC, 1);
    CHECK_EQ(recall(&pair, &seen, -1, &field), SCN_OK);
    tell(&pair.a, PUBLISH_SYNC, 2);
    int64_t first = 8 * (int64_t)publish_off(PUBLISH_SYNC, 0);
    for (int64_t bit = 0; bit < INT64_C(8) * PUBLISH_COPY_BYTES; bit++) {
        CHECK_EQ(recall(&pair, &seen, first + bit, &field), SCN_END);
        CHECK_EQ(seen.value.line[PUBLISH_SYNC].field[0], 1);
    }
    CHECK_EQ(recall(&pair, &seen, -1, &field), SCN_OK);
    CHECK_EQ(field, 2);
    pair_close(&pair);
}

/* ---- half written ---- */

TEST(publish__falls_back_at_every_cut_of_a_write)
{
    struct pair pair;
    uint8_t next[PUBLISH_COPY_BYTES];
    uint8_t last[PUBLISH_COPY_BYTES];
    pair_open(&pair);
    for (uint64_t i = 1; i <= 3; i++)
        tell(&pair.a, PUBLISH_APPEND, i);
    uint64_t off = copy_off(PUBLISH_APPEND, 1);
    CHECK(sim_peek(pair.disk, PATH, off, next, sizeof next));
    /* What lay there before the third. */
    struct publish_value first = {.epoch = EPOCH, .sequence = 1, .field = {1}};
    first.field[PUBLISH_FIELD_COUNT - 1] = ~first.field[0];
    publish_encode(PUBLISH_APPEND, &first, last);
    for (size_t cut = 0; cut <= sizeof next; cut++) {
        CHECK(sim_rot(pair.disk, PATH, off, last, sizeof last));
        CHECK(sim_rot(pair.disk, PATH, off, next, cut));
        uint64_t value = heard(&pair.b, PUBLISH_APPEND);
        CHECK(value == 2 || value == 3);
        if (cut == 0)
            CHECK_EQ(value, 2);
        if (cut == sizeof next)
            CHECK_EQ(value, 3);
    }
    pair_close(&pair);
}

TEST(publish__writer_killed_in_a_write_leaves_the_value_before_and_the_place_to_write)
{
    for (uint64_t len = 0; len < PUBLISH_COPY_BYTES; len++) {
        struct pair pair;
        pair_open(&pair);
        tell(&pair.a, PUBLISH_CHECKPOINT, 1);
        tell(&pair.b, PUBLISH_CHECKPOINT, 2);
        struct sim_fault kill = {
            .kind = SIM_KILL, .call = SIM_WRITE, .nth = 1, .len = len};
        struct publish_value value = {.epoch = EPOCH, .sequence = 2, .field = {3}};
        value.field[PUBLISH_FIELD_COUNT - 1] = ~value.field[0];
        sim_fault_set(pair.a.sys, &kill);
        CHECK(publish_write(&pair.a.file, PUBLISH_CHECKPOINT, &value) < 0);
        CHECK(sim_process_is_dead(pair.a.sys));
        uint64_t after = heard(&pair.b, PUBLISH_CHECKPOINT);
        /* From the last field's second byte on nothing changes. */
        CHECK_EQ(after, len > 80 ? 3 : 2);
        tell(&pair.b, PUBLISH_CHECKPOINT, 4);
        uint64_t before = sim_call_count(pair.b.sys, SIM_READ);
        CHECK_EQ(heard(&pair.b, PUBLISH_CHECKPOINT), 4);
        CHECK_EQ(sim_call_count(pair.b.sys, SIM_READ), before + 1);
        pair_close(&pair);
    }
}

TEST(publish__line_that_is_broken_twice_says_nothing)
{
    struct pair pair;
    uint8_t garbage[2 * PUBLISH_COPY_BYTES];
    pair_open(&pair);
    tell(&pair.a, PUBLISH_SYNC, 1);
    tell(&pair.a, PUBLISH_SESSION, 5);
    memset(garbage, 0x77, sizeof garbage);
    CHECK(sim_rot(pair.disk, PATH, copy_off(PUBLISH_SYNC, 0), garbage, sizeof garbage));
    CHECK_EQ(heard(&pair.b, PUBLISH_SYNC), 0);
    CHECK_EQ(heard(&pair.b, PUBLISH_SESSION), 5);
    /* Who writes it anew can go on. */
    tell(&pair.a, PUBLISH_SYNC, 2);
    tell(&pair.a, PUBLISH_SYNC, 3);
    CHECK_EQ(heard(&pair.b, PUBLISH_SYNC), 3);
    pair_close(&pair);
}

/* A read that is stopped between two bytes, while the other process writes. */
static struct {
    struct sys sys;
    struct sys_ops ops;
    struct side *writer;
    struct sim_disk *disk;
    const struct sys_ops *real;
    uint64_t stop_at;  /* in the page */
    uint64_t told;     /* in whole, while the read is stopped */
    uint64_t torn_len; /* ... and of one more write so many bytes */
    int stops_left;
    int reads;
} slow;

static void tear_next(uint64_t field, uint64_t len)
{
    uint8_t copy[PUBLISH_COPY_BYTES];
    struct publish_value value = {.epoch = EPOCH, .sequence = field, .field = {field}};
    value.field[PUBLISH_FIELD_COUNT - 1] = ~field;
    publish_encode(PUBLISH_APPEND, &value, copy);
    CHECK(sim_rot(slow.disk, PATH, copy_off(PUBLISH_APPEND, field & 1), copy, len));
}

static int64_t slow_read(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                         uint32_t flags)
{
    slow.reads++;
    if (slow.stops_left == 0)
        return slow.real->read(file, off, buf, len, flags);
    slow.stops_left--;
    uint64_t head = PAGE_OFF + slow.stop_at - off;
    CHECK_EQ(slow.real->read(file, off, buf, head, flags), head);
    uint64_t last = heard(slow.writer, PUBLISH_APPEND);
    for (uint64_t i = 1; i <= slow.told; i++)
        tell(slow.writer, PUBLISH_APPEND, last + i);
    tear_next(last + slow.told + 1, slow.torn_len);
    CHECK_EQ(slow.real->read(file, off + head, (uint8_t *)buf + head, len - head, flags),
             len - head);
    return (int64_t)len;
}

static void slow_down(struct pair *pair, uint64_t stop_at, uint64_t told,
                      uint64_t torn_len, int stops)
{
    slow.real = pair->b.sys->ops;
    slow.sys = *pair->b.sys;
    slow.ops = *slow.real;
    slow.ops.read = slow_read;
    slow.sys.ops = &slow.ops;
    slow.writer = &pair->a;
    slow.disk = pair->disk;
    slow.stop_at = stop_at;
    slow.told = told;
    slow.torn_len = torn_len;
    slow.stops_left = stops;
    slow.reads = 0;
    pair->b.file.sys = &slow.sys;
}

/* Whatever is written while it reads, and wherever it is stopped, and even in each of
 * its reads: a value that was there before is not missed.  Values are their
 * sequences. */
static void read_slowly(uint64_t before, uint64_t stop_at, uint64_t told, uint64_t torn,
                        int stops)
{
    struct pair pair;
    pair_open(&pair);
    for (uint64_t i = 1; i <= before; i++)
        tell(&pair.a, PUBLISH_APPEND, i);
    slow_down(&pair, stop_at, told, torn, stops);
    uint64_t value = heard(&pair.b, PUBLISH_APPEND);
    CHECK(value >= before);
    CHECK(slow.reads <= 8);
    pair.b.file.sys = pair.b.sys;
    pair_close(&pair);
}

TEST(publish__read_that_is_overtaken_misses_nothing)
{
    static const uint64_t stops[] = {0, 1, 8, 20, 24, 60, 96, 127, 128, 129, 144, 148,
                                     152, 200, 255, 256};
    static const uint64_t torn[] = {0, 1, 8, 20, 24, 60, 91, 92, 128};
    for (uint64_t before = 1; before <= 4; before++)
        for (size_t stop = 0; stop < sizeof stops / sizeof stops[0]; stop++)
            for (uint64_t told = 0; told <= 3; told++)
                for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++)
                    for (int count = 1; count <= 3; count++)
                        read_slowly(before, stops[stop], told, torn[i], count);
}

TEST(publish__read_that_is_overtaken_by_two_writes_reads_again)
{
    struct pair pair;
    pair_open(&pair);
    for (uint64_t i = 1; i <= 3; i++)
        tell(&pair.a, PUBLISH_APPEND, i);
    /* Takes the second value from copy 0; copy 1, which had the third, is torn. */
    slow_down(&pair, PUBLISH_COPY_BYTES, 1, 40, 1);
    CHECK_EQ(heard(&pair.b, PUBLISH_APPEND), 4);
    CHECK_EQ(slow.reads, 2);
    pair.b.file.sys = pair.b.sys;
    pair_close(&pair);
}

/* ---- failure and poison ---- */

TEST(publish__write_that_fails_poisons)
{
    static const int errors[] = {EIO, ENOSPC};
    for (int i = 0; i < 2; i++) {
        struct pair pair;
        pair_open(&pair);
        struct publish_value value = {.epoch = EPOCH, .field = {1}};
        struct sim_fault fail = {
            .kind = SIM_FAIL, .call = SIM_WRITE, .nth = 1, .error = errors[i]};
        sim_fault_set(pair.a.sys, &fail);
        CHECK_EQ(publish_write(&pair.a.file, PUBLISH_SYNC, &value), SCN_IO);
        CHECK_EQ(error_last()->sys_errno, errors[i]);
        CHECK_EQ(value.sequence, 0);
        CHECK(file_is_poisoned(&pair.a.file));
        CHECK_EQ(publish_write(&pair.a.file, PUBLISH_SYNC, &value), SCN_POISONED);
        CHECK_EQ(heard(&pair.b, PUBLISH_SYNC), 0);
        pair_close(&pair);
    }
}

TEST(publish__read_that_fails_says_so)
{
    struct pair pair;
    struct publish all;
    pair_open(&pair);
    struct sim_fault fail = {.kind = SIM_FAIL, .call = SIM_READ, .nth = 1, .error = EIO};
    sim_fault_set(pair.a.sys, &fail);
    CHECK_EQ(publish_read(&pair.a.file, &all), SCN_IO);
    CHECK(!file_is_poisoned(&pair.a.file));
    pair_close(&pair);
}

TEST(publish__poison_goes_through_a_poisoned_file_and_stays)
{
    struct pair pair;
    pair_open(&pair);
    tell(&pair.b, PUBLISH_SESSION, 1);
    CHECK(!hears_poison(&pair.b, EPOCH));
    file_poison(&pair.a.file);
    publish_poison(&pair.a.file, EPOCH);
    CHECK(hears_poison(&pair.b, EPOCH));
    CHECK(!hears_poison(&pair.b, OTHER_EPOCH));
    publish_poison(&pair.b.file, EPOCH);
    CHECK(hears_poison(&pair.a, EPOCH));
    CHECK_EQ(heard(&pair.a, PUBLISH_SESSION), 1);
    pair_close(&pair);
}

static void begin_session(struct side *side, uint64_t epoch)
{
    struct publish all;
    CHECK_OK(publish_read(&side->file, &all));
    all.line[PUBLISH_SESSION].epoch = epoch;
    CHECK_OK(publish_write(&side->file, PUBLISH_SESSION, &all.line[PUBLISH_SESSION]));
}

TEST(publish__poison_is_of_the_session_that_the_page_names)
{
    struct pair pair;
    pair_open(&pair);
    begin_session(&pair.a, EPOCH);
    publish_poison(&pair.b.file, OTHER_EPOCH);
    CHECK(!hears_poison(&pair.a, OTHER_EPOCH));
    publish_poison(&pair.b.file, EPOCH);
    begin_session(&pair.a, OTHER_EPOCH);
    publish_poison(&pair.b.file, OTHER_EPOCH);
    publish_poison(&pair.a.file, EPOCH);
    CHECK(hears_poison(&pair.a, OTHER_EPOCH));
    pair_close(&pair);
}

/* The page still names the session before, and so does its poison. */
TEST(publish__session_that_cannot_be_told_poisons_no_other)
{
    struct pair pair;
    struct publish_value value = {.epoch = OTHER_EPOCH, .sequence = 1};
    struct sim_fault fail = {.kind = SIM_FAIL, .call = SIM_WRITE, .nth = 1, .error = EIO};
    pair_open(&pair);
    begin_session(&pair.a, EPOCH);
    publish_poison(&pair.b.file, EPOCH);
    atomic_store(&pair.a.file.session, OTHER_EPOCH);
    sim_fault_set(pair.a.sys, &fail);
    CHECK_EQ(publish_write(&pair.a.file, PUBLISH_SESSION, &value), SCN_IO);
    CHECK(file_is_poisoned(&pair.a.file));
    CHECK(hears_poison(&pair.b, EPOCH));
    pair_close(&pair);
}

TEST(publish__poison_torn_at_any_byte_is_there_or_not_yet)
{
    for (uint64_t len = 0; len <= 2 * PUBLISH_COPY_BYTES; len++) {
        struct pair pair;
        struct publish all;
        pair_open(&pair);
        publish_poison(&pair.b.file, OTHER_EPOCH);
        struct sim_fault kill = {
            .kind = SIM_KILL, .call = SIM_WRITE, .nth = 1, .len = len};
        sim_fault_set(pair.a.sys, &kill);
        publish_poison(&pair.a.file, EPOCH);
        CHECK_OK(publish_read(&pair.b.file, &all));
        uint64_t epoch = all.line[PUBLISH_POISON].epoch;
        /* Behind the epoch nothing changes. */
        CHECK_EQ(epoch, len >= 16 ? EPOCH : OTHER_EPOCH);
        publish_poison(&pair.b.file, EPOCH);
        CHECK(hears_poison(&pair.b, EPOCH));
        pair_close(&pair);
    }
}

TEST(publish__poison_that_cannot_be_written_changes_nothing)
{
    struct pair pair;
    pair_open(&pair);
    struct sim_fault fail = {
        .kind = SIM_FAIL, .call = SIM_WRITE, .nth = 1, .error = EIO};
    sim_fault_set(pair.a.sys, &fail);
    scn_status st = error_misuse("what was said before");
    publish_poison(&pair.a.file, EPOCH);
    CHECK_EQ(error_last()->status, st);
    CHECK(!hears_poison(&pair.b, EPOCH));
    pair_close(&pair);
}

/* A program that closes descriptors not its own: the next file gets the number. */
TEST(publish__poison_is_not_written_into_another_file)
{
    struct pair pair;
    pair_open(&pair);
    pair.a.file.inode++;
    publish_poison(&pair.a.file, EPOCH);
    CHECK(!hears_poison(&pair.b, EPOCH));
    pair_close(&pair);
}
