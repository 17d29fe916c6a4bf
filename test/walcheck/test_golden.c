/* What walcheck prints, byte for byte: one file in test/walcheck/golden for each kind of
 * finding, and for the ways to print.
 *
 * GOLDEN=write in the environment writes them anew.  The reference file is always the
 * same, with its uuid and its epochs, so nothing has to be masked. */
#include "page/inner.h"
#include "page/leaf.h"
#include "test/engine/forge.h"
#include "test/engine/reference.h"
#include "test/sim/disk.h"
#include "test/unit/unit.h"
#include "tools/walcheck/account.h"
#include "tools/walcheck/operations.h"
#include "tools/walcheck/reckoning.h"

#include <errno.h>
#include <unistd.h>

enum { TABLE_LONG = TABLE_FIRST_USER + 1, TABLE_PACKED, TABLE_BLOCKS, TABLE_SPREAD };

/* ---- damage ---- */

static void leave_healthy(struct forge *forge)
{
    (void)forge;
}

static uint8_t *log_end(struct forge *forge)
{
    const struct forge_record *last = &forge->records[forge->record_count - 1];
    return forge->bytes + last->off + last->bytes;
}

/* A header whose payload never came. */
static void tear_tail(struct forge *forge)
{
    const struct forge_record *last = &forge->records[forge->record_count - 1];
    uint8_t *at = log_end(forge);
    memcpy(at, forge->bytes + last->off, RECORD_HEADER_BYTES);
    put_u64(at + 16, get_u64(at + 16) + last->bytes);
    at[0] ^= 1;
}

static void break_slot(struct forge *forge)
{
    forge->bytes[forge->newest * PAGE_BYTES + 200] ^= 1;
}

static void break_both_slots(struct forge *forge)
{
    forge->bytes[200] ^= 1;
    forge->bytes[PAGE_BYTES + 201] ^= 1;
}

/* The bit of a page in the first page of the allocation state. */
static void flip_used(struct forge *forge, uint32_t pgno)
{
    uint32_t space = forge->sb[forge->newest].space.pgno;
    forge_page(forge, space)[96 + 32 + pgno / 8] ^= (uint8_t)(1u << pgno % 8);
    forge_seal(forge, space);
}

static bool is_used(struct forge *forge, uint32_t pgno)
{
    uint32_t space = forge->sb[forge->newest].space.pgno;
    return forge_page(forge, space)[96 + 32 + pgno / 8] >> pgno % 8 & 1;
}

static void leak_page(struct forge *forge)
{
    uint32_t pgno = (uint32_t)(forge->size / PAGE_BYTES) + 2;
    while (is_used(forge, pgno))
        pgno++;
    flip_used(forge, pgno);
}

static uint32_t a_leaf(struct forge *forge)
{
    return forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, 1);
}

static void free_used_page(struct forge *forge)
{
    flip_used(forge, a_leaf(forge));
}

static void cut_half(struct forge *forge)
{
    forge->size /= 2;
}

static void rot_leaf(struct forge *forge)
{
    forge_page(forge, a_leaf(forge))[PAGE_HEADER_BYTES + 300] ^= 4;
}

/* A leaf that the older generation has as it was before, and the record between them. */
static void rot_new_leaf(struct forge *forge)
{
    const struct superblock *newest = &forge->sb[forge->newest];
    const struct log_base *older = &forge->sb[forge->newest ^ 1].base;
    uint32_t nth = 0;
    uint32_t pgno;
    do
        pgno = forge_find(forge, PAGE_LEAF, 0, TABLE_LONG, nth++);
    while (get_u64(forge_page(forge, pgno) + 16) != newest->gen);
    forge_page(forge, pgno)[PAGE_HEADER_BYTES + 300] ^= 4;
    forge_page(forge, older->extent_pgno)[older->extent_off + 40] ^= 1;
}

static void rename_leaf(struct forge *forge)
{
    uint32_t pgno = a_leaf(forge);
    put_u32(forge_page(forge, pgno) + 4, TABLE_LONG + 1);
    forge_seal(forge, pgno);
}

static void share_leaf(struct forge *forge)
{
    uint32_t pgno = forge_find(forge, PAGE_INNER, 1, TABLE_LONG, 0);
    const uint8_t *page = forge_page(forge, pgno);
    memcpy(forge->bytes + (inner_ref(page, 1) - forge->bytes), inner_ref(page, 0),
           PAGE_REF_BYTES);
    forge_seal(forge, pgno);
}

/* A record of a leaf, by the first byte of its key; its payload. */
static uint8_t *payload_of(struct forge *forge, uint32_t pgno, uint8_t letter)
{
    uint8_t *page = forge_page(forge, pgno);
    struct leaf_record record;
    for (uint32_t i = 0; i < leaf_count(page); i++) {
        leaf_at(page, i, &record);
        if (letter == 0 || record.key[0] == letter)
            return page + (record.payload - page);
    }
    return NULL;
}

static void change_value_hash(struct forge *forge)
{
    uint32_t pgno = forge_find(forge, PAGE_LEAF, 0, TABLE_PACKED, 0);
    payload_of(forge, pgno, 0)[8] ^= 1;
    forge_seal(forge, pgno);
}

static void change_catalog(struct forge *forge, uint8_t letter, uint32_t off)
{
    uint32_t pgno = forge->sb[forge->newest].catalog.pgno;
    payload_of(forge, pgno, letter)[off] ^= 1;
    forge_seal(forge, pgno);
}

static void change_count(struct forge *forge)
{
    change_catalog(forge, 'R', PAGE_REF_BYTES);
}

static void change_name(struct forge *forge)
{
    change_catalog(forge, 'I', 4);
}

static void change_usage(struct forge *forge)
{
    uint32_t pgno = forge_find(forge, PAGE_LEAF, 0, 2, 0);
    payload_of(forge, pgno, 0)[0] ^= 1;
    forge_seal(forge, pgno);
}

static uint32_t middle_commit(struct forge *forge)
{
    uint32_t idx = forge->record_count / 2;
    while (forge->bytes[forge->records[idx].off + 12] != RECORD_COMMIT)
        idx++;
    return idx;
}

static void rot_log(struct forge *forge)
{
    forge->bytes[forge->records[middle_commit(forge)].off + RECORD_HEADER_BYTES + 9] ^= 1;
}

static void write_nonsense(struct forge *forge)
{
    uint32_t idx = middle_commit(forge);
    while (forge->bytes[forge->records[idx].off + 13] & RECORD_IS_LZ4 ||
           forge->bytes[forge->records[idx].off + 12] != RECORD_COMMIT)
        idx++;
    forge->bytes[forge->records[idx].off + RECORD_HEADER_BYTES] = 9;
    forge_seal_record(forge, idx);
}

static void make_newer(struct forge *forge)
{
    put_u32(forge->bytes + forge->newest * PAGE_BYTES + 8, 2);
    forge_seal_slot(forge, forge->newest);
}

static void make_foreign(struct forge *forge)
{
    forge->bytes[0] = forge->bytes[PAGE_BYTES] = 'x';
}

/* ---- what is printed ---- */

struct golden {
    const char *name;
    void (*damage)(struct forge *forge);
    struct request request;
    uint64_t failing_read; /* the nth read of the file fails; 0: none */
};

static void tell_finding(void *ctx, const struct finding *finding)
{
    account_finding(ctx, finding);
}

static scn_status tell_record(void *ctx, const struct log_visit *visit)
{
    account_record(ctx, visit);
    return SCN_OK;
}

static void look(struct sys *sys, const struct request *request, FILE *out)
{
    struct account account;
    struct inspection inspection;
    struct inspection_wishes wishes = {.ctx = &account, .finding = tell_finding};
    if (request->is_verbose)
        wishes.record = tell_record;
    account_begin(&account, out, request);
    CHECK_OK(inspection_run(sys, REFERENCE_PATH, &wishes, &inspection));
    if (request->is_dump)
        CHECK_OK(operations_print(sys, REFERENCE_PATH, &inspection,
                                  inspection.trail.last_lsn - request->from_lsn, out,
                                  NULL, NULL));
    else
        account_print(&account, REFERENCE_PATH, &inspection, NULL);
    fprintf(out, "exit %d\n", (int)account_outcome(&inspection));
    inspection_destroy(&inspection);
    account_end(&account);
}

static void tell_salvage_finding(void *ctx, const struct finding *finding)
{
    reckoning_finding(ctx, finding);
}

static void tell_loss(void *ctx, const struct loss *loss)
{
    reckoning_loss(ctx, loss);
}

static void salvage(struct sys *sys, const struct request *request, FILE *out)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD};
    struct reckoning reckoning;
    struct salvage_wishes wishes = {
        .ctx = &reckoning, .finding = tell_salvage_finding, .loss = tell_loss};
    struct salvage result;
    scn_db *db;
    options.pool_bytes = 64 * PAGE_BYTES;
    reckoning_begin(&reckoning, out, request->is_json);
    CHECK_OK(store_open_on(sys, request->salvage, &options, &db));
    CHECK_OK(salvage_run(sys, REFERENCE_PATH, db, &wishes, &result));
    CHECK_OK(scn_close(db));
    reckoning_print(&reckoning, request, &result);
    reckoning_end(&reckoning);
}

/* *text is the caller's to free. */
static void print(const struct golden *golden, const struct reference *reference,
                  char **text, size_t *size)
{
    struct reference_image copy = {malloc(reference->now.size), reference->now.size};
    struct sim_disk *disk = sim_disk_create(1);
    struct sys *sys = sim_process_create(disk);
    struct request request = golden->request;
    struct forge forge;
    FILE *out = open_memstream(text, size);
    CHECK(out != NULL && copy.bytes != NULL);
    memcpy(copy.bytes, reference->now.bytes, copy.size);
    forge_open(&forge, copy.bytes, copy.size);
    golden->damage(&forge);
    sim_put_file(disk, REFERENCE_PATH, copy.bytes, forge.size);
    request.file = REFERENCE_PATH;
    if (golden->failing_read) {
        struct sim_fault fault = {.kind = SIM_FAIL, .call = SIM_READ, .error = EIO};
        fault.nth = golden->failing_read;
        sim_fault_set(sys, &fault);
    }
    if (request.salvage)
        salvage(sys, &request, out);
    else
        look(sys, &request, out);
    fclose(out);
    forge_close(&forge);
    free(copy.bytes);
    sim_process_destroy(sys);
    sim_disk_destroy(disk);
}

/* ---- comparing ---- */

static size_t read_file(const char *path, char *buf, size_t room)
{
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(buf, 1, room, file) : 0;
    if (file)
        fclose(file);
    return size;
}

static void write_file(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fwrite(text, 1, size, file) == size && fclose(file) == 0);
}

static void compare(const struct golden *golden, const struct reference *reference)
{
    static char expected[1 << 18];
    char path[128];
    char *text = NULL;
    size_t size = 0;
    print(golden, reference, &text, &size);
    snprintf(path, sizeof path, "test/walcheck/golden/%s", golden->name);
    if (getenv("GOLDEN"))
        write_file(path, text, size);
    size_t expected_size = read_file(path, expected, sizeof expected);
    bool is_equal = expected_size == size && memcmp(expected, text, size) == 0;
    if (!is_equal)
        printf("--- printed instead of %s ---\n%s", path, text);
    free(text);
    CHECK(is_equal);
}

static const struct golden goldens[] = {
    {"clean.txt", leave_healthy, {0}, 0},
    {"clean.json", leave_healthy, {.is_json = true}, 0},
    {"verbose.txt", leave_healthy, {.is_verbose = true}, 0},
    {"dump.jsonl", leave_healthy, {.is_dump = true, .from_lsn = 4000}, 0},
    {"torn.txt", tear_tail, {0}, 0},
    {"slot.txt", break_slot, {0}, 0},
    {"leak.txt", leak_page, {0}, 0},
    {"slots.txt", break_both_slots, {0}, 0},
    {"cut.txt", cut_half, {0}, 0},
    {"space.txt", free_used_page, {0}, 0},
    {"page.txt", rot_leaf, {0}, 0},
    {"tree.txt", rename_leaf, {0}, 0},
    {"value.txt", change_value_hash, {0}, 0},
    {"count.txt", change_count, {0}, 0},
    {"usage.txt", change_usage, {0}, 0},
    {"catalog.txt", change_name, {0}, 0},
    {"shared.txt", share_leaf, {0}, 0},
    {"log.txt", rot_log, {0}, 0},
    {"log.json", rot_log, {.is_json = true}, 0},
    {"operation.txt", write_nonsense, {0}, 0},
    {"unreadable.txt", leave_healthy, {0}, 25},
    {"newer.txt", make_newer, {0}, 0},
    {"foreign.txt", make_foreign, {0}, 0},
    {"salvage-clean.txt", leave_healthy, {.salvage = "out"}, 0},
    {"salvage-page.txt", rot_leaf, {.salvage = "out"}, 0},
    {"salvage-page.json", rot_leaf, {.salvage = "out", .is_json = true}, 0},
    {"salvage-older.txt", rot_new_leaf, {.salvage = "out"}, 0},
    {"salvage-slots.txt", break_both_slots, {.salvage = "out"}, 0},
    {"salvage-log.txt", rot_log, {.salvage = "out"}, 0},
    {"salvage-value.txt", change_value_hash, {.salvage = "out"}, 0},
};

/* With large pages the reference file is another. */
TEST(golden__output_is_as_it_was)
{
    struct reference reference;
    if (!PAGE_IS_SMALL)
        return;
    reference_make(&reference);
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
        compare(&goldens[i], &reference);
    reference_destroy(&reference);
}

/* Each kind of finding has its word, and a file above in which it stands. */
TEST(golden__every_kind_has_a_file)
{
    static char text[1 << 18];
    char path[128];
    char line[64];
    for (int kind = 0; kind < FINDING_KIND_COUNT; kind++) {
        snprintf(path, sizeof path, "test/walcheck/golden/%s.txt",
                 finding_word((enum finding_kind)kind));
        size_t size = read_file(path, text, sizeof text - 1);
        text[size] = 0;
        snprintf(line, sizeof line, "finding     %s: ",
                 finding_word((enum finding_kind)kind));
        if (strstr(text, line) == NULL)
            unit_fail(__FILE__, __LINE__, "%s does not say %s", path, line);
    }
}
