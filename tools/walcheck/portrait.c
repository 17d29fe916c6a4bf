/* One page: see portrait.h. */
#include "tools/walcheck/portrait.h"

#include "page/slots.h"
#include "page/space.h"
#include "tools/interrupt.h"
#include "tools/member.h"
#include "tools/output.h"
#include "tools/walcheck/features.h"
#include "tools/walcheck/inspection.h"
#include "tools/walcheck/landmark.h"
#include "tools/walcheck/sheet.h"

#include <inttypes.h>
#include <string.h>

/* What the generation says of the page that an open would take. */
enum standing {
    STANDING_UNKNOWN,
    STANDING_FREE,
    STANDING_FREED,
    STANDING_USED,
    STANDING_LOG
};

struct portrait {
    const struct request *request;
    struct subject subject;
    struct inspection inspection; /* a quick one */
    uint32_t pgno;
    uint8_t *image;
    enum standing standing;
    json_t *facts; /* in the order in which they are told */
    char why[192]; /* it is not as it should be; else empty */
};

/* ---- who has it ---- */

struct search {
    uint32_t pgno;
    bool is_found;
};

static scn_status find_freed(void *ctx, uint32_t pgno, uint32_t count, uint64_t birth,
                             uint64_t freed)
{
    struct search *search = ctx;
    (void)birth;
    (void)freed;
    search->is_found |= search->pgno >= pgno && search->pgno - pgno < count;
    return SCN_OK;
}

static enum standing standing_in(struct space *space, uint32_t pgno)
{
    struct search search = {pgno, false};
    if (!space_is_used(space, pgno))
        return STANDING_FREE;
    scn_status st = space_each_freed(space, find_freed, &search);
    return st == SCN_OK && search.is_found ? STANDING_FREED : STANDING_USED;
}

/* The log has extents that no generation knows yet. */
static bool log_has(const struct trail *trail, uint32_t pgno)
{
    for (uint32_t i = 0; i < trail->extent_count; i++)
        if (pgno >= trail->extents[i].pgno &&
            pgno - trail->extents[i].pgno < trail->extents[i].pages)
            return true;
    return false;
}

static void find_standing(struct portrait *portrait)
{
    const struct inspection *inspection = &portrait->inspection;
    struct space *space = NULL;
    if (inspection->chosen < 0)
        return;
    const struct superblock *sb = &inspection->generations.sb[inspection->chosen];
    if (log_has(&inspection->trail, portrait->pgno))
        portrait->standing = STANDING_LOG;
    else if (generation_load_space(&portrait->subject, sb, &space) == SCN_OK)
        portrait->standing = standing_in(space, portrait->pgno);
    space_destroy(space);
}

static void set_standing(struct portrait *portrait)
{
    static const char *const words[] = {"unknown", "free", "freed", "used", "log"};
    member_set(portrait->facts, "state", json_string(words[portrait->standing]));
}

static void set_table(struct portrait *portrait, uint32_t table_id)
{
    const struct table *table = directory_find(&portrait->inspection.directory, table_id);
    member_set_number(portrait->facts, "table", table_id);
    if (table_id == CATALOG_TABLE || table_id == USAGE_TABLE)
        member_set(portrait->facts, "name",
                     json_string(table_id == CATALOG_TABLE ? "(catalog)" : "(usage)"));
    else if (table && table->name)
        member_set_bytes(portrait->facts, "name",
                        (scn_slice){table->name, table->name_len});
}

/* ---- what it is ---- */

static void set_kind(struct portrait *portrait, const char *kind)
{
    member_set(portrait->facts, "kind", json_string(kind));
}

static void set_checksum(struct portrait *portrait, const char *why)
{
    if (why)
        snprintf(portrait->why, sizeof portrait->why, "%s", why);
    member_set(portrait->facts, "intact", json_boolean(why == NULL));
    if (why)
        member_set_text(portrait->facts, "why", why);
}

/* The pointer that a page with this header would have. */
static struct page_ref ref_of(const uint8_t *image)
{
    struct page_header header;
    page_header_decode(image, &header);
    return (struct page_ref){
        .hash = header.hash,
        .birth_gen = header.birth_gen,
        .pgno = header.pgno,
        .hint = header.type == PAGE_LEAF ? (uint16_t)slots_bucket_count(image) : 0,
        .level = header.level,
        .type = header.type};
}

static void set_header(struct portrait *portrait, const struct page_header *header)
{
    member_set_number(portrait->facts, "level", header->level);
    set_table(portrait, header->table_id);
    member_set_number(portrait->facts, "birth", header->birth_gen);
    member_set_number(portrait->facts, "used_bytes", header->used);
    member_set_word(portrait->facts, "hash", header->hash);
}

/* Contents are only told where they can be trusted; of a damaged page what its header
 * claims. */
static void draw_page(struct portrait *portrait)
{
    struct page_header header;
    struct page_ref ref = ref_of(portrait->image);
    page_header_decode(portrait->image, &header);
    scn_status st = page_check_header(portrait->image, portrait->pgno);
    if (st == SCN_OK)
        st = page_check(portrait->image, &ref);
    set_kind(portrait, features_kind(header.type));
    set_checksum(portrait, st == SCN_OK ? NULL : error_last()->text);
    set_standing(portrait);
    set_header(portrait, &header);
    if (st == SCN_OK)
        features_of_page(portrait->facts, portrait->image);
}

static scn_status draw_extent(struct portrait *portrait, const struct log_spare *extent)
{
    const char *why;
    json_t *contents = member_must(json_object());
    scn_status st = landmark_extent(contents, &portrait->subject, extent, portrait->pgno,
                                    &why);
    set_kind(portrait, "log");
    set_checksum(portrait, why);
    set_standing(portrait);
    if (json_object_update(portrait->facts, contents) < 0)
        outcome_no_memory();
    json_decref(contents);
    return st;
}

static bool is_page(const struct portrait *portrait)
{
    return page_check_header(portrait->image, portrait->pgno) == SCN_OK;
}

static void draw_fixed(struct portrait *portrait)
{
    json_t *contents = member_must(json_object());
    bool is_slot = portrait->pgno < PUBLISH_PAGE_NO;
    const char *why = NULL;
    if (is_slot)
        why = landmark_superblock(contents, &portrait->inspection, portrait->pgno);
    else
        landmark_publish(contents, portrait->image);
    set_kind(portrait, is_slot ? "superblock" : "publish page");
    portrait->standing = STANDING_USED;
    if (is_slot)
        set_checksum(portrait, why);
    if (json_object_update(portrait->facts, contents) < 0)
        outcome_no_memory();
    json_decref(contents);
}

static scn_status draw_other(struct portrait *portrait)
{
    struct log_spare extent;
    bool is_tree = is_page(portrait);
    find_standing(portrait);
    if ((portrait->standing == STANDING_LOG || !is_tree) &&
        landmark_find_extent(&portrait->subject, &portrait->inspection, portrait->pgno,
                             &extent))
        return draw_extent(portrait, &extent);
    if (!bytes_are_zero(portrait->image, PAGE_BYTES)) {
        draw_page(portrait);
        return SCN_OK;
    }
    set_kind(portrait, "zeros");
    set_standing(portrait);
    if (portrait->standing == STANDING_USED)
        set_checksum(portrait, "it is used, and nothing was written");
    return SCN_OK;
}

static scn_status draw(struct portrait *portrait)
{
    uint64_t offset = (uint64_t)portrait->pgno * PAGE_BYTES;
    const char *path = portrait->request->file;
    member_set_file(portrait->facts, path);
    member_set_number(portrait->facts, "page", portrait->pgno);
    member_set_number(portrait->facts, "offset", offset);
    if (portrait->pgno >= FIRST_FREE_PAGE_NO)
        return draw_other(portrait);
    draw_fixed(portrait);
    return SCN_OK;
}

/* ---- reading ---- */

/* The cache may be older than the medium, and a page may be half written. */
static scn_status read_image(struct portrait *portrait)
{
    struct file *file = &portrait->subject.file;
    scn_status st = pagecopy_reserve(&portrait->image);
    if (st == SCN_OK)
        st = file_read_page(file, portrait->pgno, portrait->image, 0);
    if (st == SCN_OK && portrait->pgno >= FIRST_FREE_PAGE_NO && !is_page(portrait))
        st = file_read_page(file, portrait->pgno, portrait->image, SYS_UNCACHED);
    return st;
}

static bool may_go_on(void *ctx, uint64_t done, uint64_t expected)
{
    (void)ctx;
    (void)done;
    (void)expected;
    return !interrupt_seen();
}

/* What cannot be read of the rest of the file is no reason not to look at this page. */
static scn_status learn(struct portrait *portrait, struct sys *sys)
{
    const struct inspection_wishes wishes = {.goes_on = may_go_on, .is_quick = true};
    const char *path = portrait->request->file;
    scn_status st = inspection_run(sys, path, &wishes, &portrait->inspection);
    return st == SCN_IO ? SCN_OK : st;
}

static enum outcome say_missing(const struct portrait *portrait)
{
    uint64_t pages = atomic_load(&portrait->subject.file.page_count);
    return outcome_say(OUTCOME_USAGE, "%s: there is no page %" PRIu64 "; it has %" PRIu64,
                       portrait->request->file, portrait->request->page, pages);
}

static enum outcome fail(const struct portrait *portrait, scn_status st)
{
    if (st == SCN_NOTFOUND)
        return outcome_say(OUTCOME_IO, "%s: there is no such file",
                           portrait->request->file);
    return outcome_of_store(NULL, portrait->request->file, st);
}

static void print(struct portrait *portrait)
{
    const struct request *request = portrait->request;
    if (!request->is_json) {
        sheet_print(stdout, portrait->facts);
        if (request->is_hex)
            sheet_dump(stdout, portrait->image, PAGE_BYTES);
        return;
    }
    if (request->is_hex)
        member_set_digits(portrait->facts, "bytes",
                         (scn_slice){portrait->image, PAGE_BYTES});
    output_json(json_incref(portrait->facts), JSON_INDENT(2));
}

static enum outcome judge(const struct portrait *portrait)
{
    const struct generations *generations = &portrait->inspection.generations;
    bool is_spare = portrait->standing == STANDING_FREE ||
                    portrait->standing == STANDING_FREED;
    bool is_store = generations_have(generations, SUPERBLOCK_GOOD) ||
                    generations_have(generations, SUPERBLOCK_BROKEN);
    if (!is_store)
        return outcome_say(OUTCOME_FOREIGN, "%s: %s", portrait->request->file,
                           generations_have(generations, SUPERBLOCK_NEWER)
                               ? "a store of a newer version"
                               : "not a store: it has no superblock");
    return portrait->why[0] && !is_spare ? OUTCOME_CORRUPT : OUTCOME_OK;
}

static enum outcome show(struct portrait *portrait)
{
    if (portrait->request->page >= atomic_load(&portrait->subject.file.page_count))
        return say_missing(portrait);
    scn_status st = read_image(portrait);
    if (st == SCN_OK)
        st = draw(portrait);
    if (st < 0)
        return fail(portrait, st);
    print(portrait);
    return judge(portrait);
}

enum outcome portrait_print(struct sys *sys, const struct request *request)
{
    struct portrait portrait = {.request = request, .pgno = (uint32_t)request->page};
    enum outcome outcome = OUTCOME_OK;
    portrait.facts = member_must(json_object());
    scn_status st = learn(&portrait, sys);
    if (st == SCN_OK)
        st = subject_open(&portrait.subject, sys, request->file);
    if (st == SCN_OK) {
        outcome = show(&portrait);
        pagecopy_free(portrait.image);
        subject_close(&portrait.subject);
    } else {
        outcome = fail(&portrait, st);
    }
    inspection_destroy(&portrait.inspection);
    json_decref(portrait.facts);
    return outcome;
}
