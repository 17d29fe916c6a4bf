/* An increment as anybody may have written it is applied to a snapshot: it is refused,
 * and the snapshot is what it was, or taken, and the snapshot is what the increment says
 * (test/fuzz/sequel.h), with the digest that it says.  Either way it is a sound store.
 *
 *     how u8 | head edits | damage | what there is, by how:
 *         a file: its bytes
 *         a genuine increment: { offset u16, byte u8 }*, changes of its operations
 *         operations: { code u8, fields }*, with keys and names that the snapshot has
 *         bytes of operations
 *
 * All but a file gets the checksums, numbers and counts that belong to it; damage comes
 * behind that. */
#include "engine/store.h"
#include "page/parcel.h"
#include "test/engine/rowsum.h"
#include "test/fuzz/feed.h"
#include "test/fuzz/sequel.h"
#include "test/fuzz/stage.h"
#include "test/fuzz/target.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILE_ROOM = 128 << 10, STORE_ROOM = 1 << 20, STEPS = 2, BLOCKS_MAX = 300 };

struct bytes {
    size_t size;
    uint8_t at[FILE_ROOM];
};

/* Made once: a snapshot and the increment that follows it; then what that has made of it,
 * and the next one. */
static struct step {
    uint8_t store[STORE_ROOM];
    size_t store_size;
    struct sequel rows;
    uint8_t head[PARCEL_HEAD_BYTES];
    struct bytes ops; /* of the genuine increment */
} steps[STEPS];
static bool is_ready;

static struct bytes file; /* the increment of this input */
static struct bytes ops;

static void must(scn_status st)
{
    FUZZ_CHECK(st == SCN_OK);
}

static void append(struct bytes *bytes, const void *from, size_t len)
{
    FUZZ_CHECK(len <= FILE_ROOM - bytes->size);
    if (len > 0)
        memcpy(bytes->at + bytes->size, from, len);
    bytes->size += len;
}

/* ---- a file of the host's ---- */

static int host_fd(const struct bytes *content)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("increment", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
    if (content)
        FUZZ_CHECK(pwrite(fd, content->at, content->size, 0) == (ssize_t)content->size);
    FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static size_t take_host_file(int fd, uint8_t *at, size_t room)
{
    ssize_t got = pread(fd, at, room, 0);
    FUZZ_CHECK(got > 0 && (size_t)got < room);
    return (size_t)got;
}

/* ---- blocks ---- */

/* What is read as blocks here is judged without page/parcel.c's reader of streams. */
struct blocks {
    bool are_right;
    const uint8_t *head;
    struct bytes *ops;
};

/* The payload, or NULL; *off goes behind it. */
static const uint8_t *next_block(const struct bytes *from, size_t *off, uint64_t number,
                                 struct parcel_header *header)
{
    const uint8_t *at = from->at + *off;
    size_t left = from->size - *off;
    if (left < PARCEL_HEADER_BYTES || parcel_header_decode(at, header) != NULL)
        return NULL;
    const uint8_t *payload = at + PARCEL_HEADER_BYTES;
    if (header->len > left - PARCEL_HEADER_BYTES || header->number != number ||
        !parcel_hash_is_right(at, payload))
        return NULL;
    *off += PARCEL_HEADER_BYTES + header->len;
    return payload;
}

static bool is_end(const struct parcel_header *header, const uint8_t *payload,
                   const uint8_t *chain)
{
    struct parcel_end end;
    parcel_end_decode(payload, &end);
    return header->type == PARCEL_END &&
           memcmp(end.chain, chain, PARCEL_CHAIN_BYTES) == 0;
}

static struct blocks read_blocks(const struct bytes *from, struct bytes *to)
{
    uint8_t chain[PARCEL_CHAIN_BYTES] = {0};
    struct parcel_header header;
    struct blocks blocks = {.ops = to};
    size_t off = 0;
    to->size = 0;
    for (uint64_t number = 0; off < from->size; number++) {
        const uint8_t *payload = next_block(from, &off, number, &header);
        if (payload == NULL || (header.type == PARCEL_HEAD) != (number == 0))
            return blocks;
        if (number == 0)
            blocks.head = payload;
        if (header.tag != get_u64(blocks.head + 40))
            return blocks;
        if (header.type == PARCEL_END) {
            blocks.are_right = is_end(&header, payload, chain) && off == from->size;
            return blocks;
        }
        parcel_chain(chain, header.hash);
        if (header.type == PARCEL_BODY)
            append(to, payload, header.len);
    }
    return blocks;
}

struct wrapping {
    struct parcel_header next;
    uint8_t chain[PARCEL_CHAIN_BYTES];
};

static void put_block(struct wrapping *wrapping, enum parcel_type type,
                      const uint8_t *payload, size_t len)
{
    uint8_t at[PARCEL_HEADER_BYTES];
    wrapping->next.type = type;
    wrapping->next.len = (uint32_t)len;
    parcel_header_encode(&wrapping->next, payload, at);
    parcel_chain(wrapping->chain, get_u64(at + PARCEL_HEADER_BYTES - 8));
    append(&file, at, sizeof at);
    append(&file, payload, len);
    wrapping->next.number++;
}

/* Tables and rows of operations, as far as they can be read. */
static void count_ops(struct parcel_end *end)
{
    static const uint8_t fields[] = {[PARCEL_NEXT] = 0x01,  [PARCEL_NAME] = 0x25,
                                     [PARCEL_TABLE] = 0x01, [PARCEL_CLEAR] = 0x0a,
                                     [PARCEL_RANGE] = 0x0a, [PARCEL_PUT] = 0x0a,
                                     [PARCEL_KEEP] = 0x02,  [PARCEL_DELETE] = 0x02,
                                     [PARCEL_DONE] = 0};
    for (size_t at = 0; at < ops.size;) {
        uint8_t op = ops.at[at++];
        if (op == 0 || op >= sizeof fields)
            return;
        end->tables += op == PARCEL_TABLE;
        end->rows += op == PARCEL_PUT || op == PARCEL_KEEP || op == PARCEL_DELETE;
        /* Two bits a field: 1, a number; 2, bytes. */
        for (uint32_t kinds = fields[op]; kinds != 0 && at < ops.size; kinds >>= 2) {
            uint64_t number = 0;
            for (uint32_t shift = 0; shift < 64 && at < ops.size; shift += 7) {
                number |= (uint64_t)(ops.at[at] & 0x7f) << shift;
                if (ops.at[at++] < 0x80)
                    break;
            }
            if ((kinds & 3) == 2)
                at = number < ops.size - at ? at + number : ops.size;
        }
    }
}

/* A whole file of the operations, in blocks of `cut` bytes. */
static void wrap(const uint8_t *head, size_t cut)
{
    struct wrapping wrapping = {.next = {.tag = get_u64(head + 40)}};
    struct parcel_end end = {.tables = 0};
    uint8_t payload[PARCEL_END_BYTES];
    if (ops.size / cut > BLOCKS_MAX)
        cut = ops.size / BLOCKS_MAX;
    put_block(&wrapping, PARCEL_HEAD, head, PARCEL_HEAD_BYTES);
    for (size_t off = 0; off < ops.size; off += cut)
        put_block(&wrapping, PARCEL_BODY, ops.at + off,
                  ops.size - off < cut ? ops.size - off : cut);
    count_ops(&end);
    memcpy(end.chain, wrapping.chain, sizeof end.chain);
    parcel_end_encode(&end, payload);
    put_block(&wrapping, PARCEL_END, payload, sizeof payload);
}

/* ---- the snapshots ---- */

static scn_slice key_of(char buf[16], uint32_t number)
{
    return (scn_slice){buf, (size_t)snprintf(buf, 16, "key%03u", number)};
}

static void put_rows(scn_txn *txn, const char *name, uint32_t from, uint32_t to,
                     size_t size, int fill)
{
    static uint8_t value[3 * PAGE_BYTES];
    char buf[16];
    scn_table_id id;
    bool is_packed = name[0] == 'p';
    must(scn_table(txn, name, SCN_CREATE | (is_packed ? SCN_COMPRESS : 0), &id));
    memset(value, fill, size);
    for (uint32_t i = from; i < to; i++)
        must(scn_put(txn, id, key_of(buf, i), (scn_slice){value, size}, 0));
}

static void fill(scn_db *db)
{
    scn_txn *txn;
    must(scn_begin(db, SCN_WRITE, &txn));
    put_rows(txn, "t", 0, 60, 180, 1);
    put_rows(txn, "packed", 0, 12, 900, 2);
    put_rows(txn, "long", 0, 2, 9000, 3);
    put_rows(txn, "gone", 0, 3, 10, 4);
    must(scn_commit(txn));
    must(scn_checkpoint(db));
}

/* With a checkpoint behind them, so that the increment has ranges. */
static void change(scn_db *db)
{
    scn_txn *txn;
    scn_table_id id;
    char a[16];
    char b[16];
    must(scn_begin(db, SCN_WRITE, &txn));
    put_rows(txn, "t", 20, 22, 200, 5);
    put_rows(txn, "packed", 3, 4, 300, 6);
    put_rows(txn, "new", 0, 2, 20, 7);
    must(scn_table(txn, "t", 0, &id));
    must(scn_del_range(txn, id, key_of(a, 40), key_of(b, 44), NULL));
    must(scn_table(txn, "gone", 0, &id));
    must(scn_table_drop(txn, id));
    must(scn_table(txn, "long", 0, &id));
    must(scn_table_rename(txn, id, "gone"));
    must(scn_commit(txn));
    must(scn_checkpoint(db));
}

/* These lie in the log. */
static void change_again(scn_db *db)
{
    scn_txn *txn;
    scn_table_id id;
    char a[16];
    char b[16];
    must(scn_begin(db, SCN_WRITE, &txn));
    put_rows(txn, "t", 58, 64, 30, 8);
    must(scn_table(txn, "packed", 0, &id));
    must(scn_del(txn, id, key_of(a, 5)));
    must(scn_del_range(txn, id, key_of(a, 7), key_of(b, 9), NULL));
    must(scn_commit(txn));
}

static void take(scn_db *db, scn_snapshot_info *last, bool is_full, uint8_t *at,
                 size_t room, size_t *size)
{
    scn_snapshot_options options = {.struct_size = sizeof options};
    int fd = host_fd(NULL);
    if (!is_full) {
        options.since_gen = last->gen;
        memcpy(options.since_id, last->id, sizeof options.since_id);
    }
    *last = (scn_snapshot_info){.struct_size = sizeof *last};
    must(scn_snapshot_to(db, fd, &options, last));
    *size = take_host_file(fd, at, room);
}

static void take_increment(scn_db *db, scn_snapshot_info *last, struct step *step)
{
    take(db, last, false, file.at, sizeof file.at, &file.size);
    struct blocks blocks = read_blocks(&file, &step->ops);
    FUZZ_CHECK(blocks.are_right);
    memcpy(step->head, blocks.head, sizeof step->head);
}

static void make_increments(void)
{
    scn_db *db;
    scn_snapshot_info last;
    struct sys *sys = stage_build();
    must(stage_open(sys, 0, &db));
    fill(db);
    take(db, &last, true, steps[0].store, STORE_ROOM, &steps[0].store_size);
    change(db);
    take_increment(db, &last, &steps[0]);
    change_again(db);
    take_increment(db, &last, &steps[1]);
    must(scn_close(db));
    stage_strike(sys);
}

static void wrap_genuine(const struct step *step)
{
    ops = step->ops;
    file.size = 0;
    wrap(step->head, PARCEL_BYTES_MAX);
}

static void make_steps(void)
{
    scn_db *db;
    scn_snapshot_info info = {.struct_size = sizeof info};
    make_increments();
    struct sys *sys = stage_build();
    stage_put_file(sys, steps[0].store, steps[0].store_size);
    must(stage_open(sys, 0, &db));
    sequel_read(&steps[0].rows, db);
    wrap_genuine(&steps[0]);
    must(scn_snapshot_apply(db, host_fd(&file), NULL, &info));
    sequel_read(&steps[1].rows, db);
    must(scn_checkpoint(db));
    must(scn_close(db));
    steps[1].store_size = stage_take_file(sys, steps[1].store, STORE_ROOM);
    FUZZ_CHECK(steps[1].store_size < STORE_ROOM);
    stage_strike(sys);
    is_ready = true;
}

/* ---- operations ---- */

static void put_number(uint64_t number)
{
    uint8_t at[PARCEL_NUMBER_BYTES_MAX];
    append(&ops, at, parcel_number_encode(number, at));
}

static void put_bytes(scn_slice bytes)
{
    put_number(bytes.size);
    append(&ops, bytes.data, bytes.size);
}

static void put_some_key(struct feed *feed, const struct step *step)
{
    size_t len;
    uint8_t which = feed_u8(feed);
    if (which < 128) {
        put_bytes(step->rows.rows[which % step->rows.row_count].key);
        return;
    }
    const uint8_t *bytes = feed_bytes(feed, which % 8, &len);
    put_bytes((scn_slice){bytes, len});
}

static void put_some_value(struct feed *feed)
{
    static uint8_t value[3 * PAGE_BYTES];
    uint8_t shape = feed_u8(feed);
    size_t len = shape < 200 ? shape : (shape - 199u) * 200u;
    memset(value, feed_u8(feed), sizeof value);
    put_bytes((scn_slice){value, len});
}

/* NEXT and the NAMEs, as the snapshot has them. */
static void put_catalog(const struct step *step)
{
    append(&ops, (uint8_t[]){PARCEL_NEXT}, 1);
    put_number(24);
    for (uint32_t i = 0; i < step->rows.table_count; i++) {
        const struct sequel_table *table = &step->rows.tables[i];
        append(&ops, (uint8_t[]){PARCEL_NAME}, 1);
        put_number(table->id);
        put_number(table->flags);
        put_bytes(table->name);
    }
}

static void put_some_name(struct feed *feed, const struct step *step)
{
    uint8_t which = feed_u8(feed);
    put_number(which & 1);
    if (which < 128)
        put_bytes(step->rows.tables[which / 2 % step->rows.table_count].name);
    else
        put_some_key(feed, step);
}

static void put_some_op(struct feed *feed, const struct step *step)
{
    uint8_t op = (uint8_t)(feed_u8(feed) % 11);
    if (ops.size > FILE_ROOM / 4)
        return;
    append(&ops, &op, 1);
    if (op == PARCEL_NEXT || op == PARCEL_TABLE || op == PARCEL_NAME)
        put_number(TABLE_FIRST_USER + feed_u8(feed) % 9);
    if (op == PARCEL_NAME)
        put_some_name(feed, step);
    if (op >= PARCEL_CLEAR && op <= PARCEL_DELETE)
        put_some_key(feed, step);
    if (op == PARCEL_CLEAR || op == PARCEL_RANGE)
        put_some_key(feed, step);
    if (op == PARCEL_PUT)
        put_some_value(feed);
}

/* ---- the input ---- */

enum { AS_FILE, AS_GENUINE, AS_OPS, AS_BYTES };
/* Bits of how, above the two that say which of them. */
enum { LATER = 4, WITH_HEAD = 8, WITH_DAMAGE = 16, IN_PIECES = 32, WITH_CATALOG = 64 };

static void take_ops(struct feed *feed, uint8_t how, const struct step *step)
{
    ops.size = 0;
    if (how % 4 == AS_GENUINE) {
        ops = step->ops;
        while (feed_left(feed) >= 3) {
            uint16_t at = feed_u16(feed);
            ops.at[at % ops.size] = feed_u8(feed);
        }
        return;
    }
    if (how & WITH_CATALOG)
        put_catalog(step);
    if (how % 4 == AS_BYTES)
        append(&ops, feed->at, feed_left(feed));
    while (how % 4 == AS_OPS && feed_left(feed) > 0)
        put_some_op(feed, step);
}

/* Bytes change, and blocks are left out or come twice. */
static void take_damage(const uint8_t *at, size_t count)
{
    for (size_t i = 0; i < count; i++, at += 4) {
        size_t off = get_u16(at) % file.size;
        size_t len = (size_t)at[2] + 1;
        if (len > file.size - off)
            len = file.size - off;
        if (at[3] % 4 == 0) {
            memmove(file.at + off, file.at + off + len, file.size - off - len);
            file.size -= len;
        } else if (at[3] % 4 == 1 && file.size + len <= FILE_ROOM) {
            memmove(file.at + off + len, file.at + off, file.size - off);
            file.size += len;
        } else {
            file.at[off] ^= at[2];
        }
        if (file.size == 0)
            return;
    }
}

/* One byte, or the id of the snapshot itself, which then has the increment already. */
static void change_head(uint8_t *head, struct feed *feed)
{
    uint8_t at = feed_u8(feed);
    if (at == UINT8_MAX)
        memcpy(head + 40, head + 80, 16);
    else
        head[at % PARCEL_HEAD_BYTES] = feed_u8(feed);
}

static void build(struct feed *feed, uint8_t how, const struct step *step)
{
    uint8_t head[PARCEL_HEAD_BYTES];
    size_t count = 0;
    file.size = 0;
    if (how % 4 == AS_FILE) {
        append(&file, feed->at, feed_left(feed));
        return;
    }
    memcpy(head, step->head, sizeof head);
    if (how & WITH_HEAD)
        change_head(head, feed);
    size_t cut = how & IN_PIECES ? 1u + feed_u8(feed) : PARCEL_BYTES_MAX;
    if (how & WITH_DAMAGE)
        count = feed_below(feed, 4);
    size_t got;
    const uint8_t *damage = feed_bytes(feed, count * 4, &got);
    take_ops(feed, how, step);
    wrap(head, cut);
    take_damage(damage, got / 4);
}

/* ---- judging ---- */

static scn_status say_issue(void *ctx, const scn_issue *issue)
{
    (void)ctx;
    fuzz_fail(__FILE__, __LINE__, "the store has an issue: %s", issue->text);
}

static void check_digest(scn_db *db)
{
    scn_snapshot_info origin = {.struct_size = sizeof origin};
    uint8_t digest[16];
    must(rowsum_digest(db, digest));
    must(scn_snapshot_origin(db, &origin));
    FUZZ_CHECK(memcmp(digest, origin.digest, sizeof digest) == 0);
}

static void check_store(scn_db *db, const struct sequel *expected)
{
    sequel_compare(expected, db);
    check_digest(db);
    must(scn_check(db, SCN_CHECK_ALL, say_issue, NULL, NULL));
}

static void judge(scn_status st, const struct blocks *blocks, const struct step *step)
{
    bool is_base =
        blocks->head && memcmp(blocks->head + 80, step->head + 80, 16) == 0;
    bool is_there =
        blocks->head && memcmp(blocks->head + 40, step->head + 80, 16) == 0;
    if (st == SCN_EXISTS)
        FUZZ_CHECK(is_there);
    else if (st == SCN_MISUSE)
        FUZZ_CHECK(blocks->head && !is_base);
    else
        stage_judge(st, "apply");
    if (st == SCN_OK)
        FUZZ_CHECK(blocks->are_right && is_base);
}

/* As it was, or as the increment says. */
static void apply(scn_db *db, const struct step *step)
{
    static struct sequel expected;
    static struct bytes stream;
    scn_snapshot_info info = {.struct_size = sizeof info};
    struct blocks blocks = read_blocks(&file, &stream);
    scn_status st = scn_snapshot_apply(db, host_fd(&file), NULL, NULL);
    judge(st, &blocks, step);
    scn_status verified = scn_snapshot_verify(host_fd(&file), NULL, &info);
    FUZZ_CHECK(verified == SCN_OK ? blocks.are_right : st != SCN_OK);
    if (st == SCN_OK) {
        sequel_amend(&expected, &step->rows, stream.at, stream.size);
        FUZZ_CHECK(scn_snapshot_apply(db, host_fd(&file), NULL, NULL) == SCN_EXISTS);
        check_store(db, &expected);
        return;
    }
    check_store(db, &step->rows);
}

static void run_increments(const uint8_t *data, size_t size)
{
    scn_db *db;
    struct feed feed = feed_of(data, size);
    uint8_t how = feed_u8(&feed);
    if (!is_ready)
        make_steps();
    const struct step *step = &steps[how & LATER ? 1 : 0];
    if (size > FILE_ROOM / 4)
        return;
    build(&feed, how, step);
    struct sys *sys = stage_build();
    stage_put_file(sys, step->store, step->store_size);
    must(stage_open(sys, 0, &db));
    apply(db, step);
    must(scn_close(db));
    stage_strike(sys);
}

FUZZ_TARGET(increments, run_increments, NULL)
