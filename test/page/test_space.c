/* Allocation against a naive model: an array with the state of every page, and for each
 * generation that somebody may still stand on the set of pages it reaches. */
#include "page/bitmap.h"
#include "page/mem.h"
#include "page/space.h"
#include "test/unit/unit.h"

enum {
    WORLD_PAGES = 700,  /* where the random steps play */
    MODEL_PAGES = 1500, /* where the file ends up, when it has to grow */
    FIRST_USED = 7,
    EXTENT = 4,
    SPARE_ROOM = 3,
    PINS_MAX = 6,
    EXTENTS_MAX = 32,
    OWN_MAX = 16
};

/* ---- a store of its own, in memory ---- */

struct world {
    struct sys *sys;
    struct file file;
    struct space *space;
    bool refuses_growth;
    bool grows_by_one;
};

static void world_open(struct world *world, uint32_t pages)
{
    *world = (struct world){.sys = sys_memory_create()};
    CHECK(world->sys != NULL);
    struct sys_file *handle;
    CHECK_OK(world->sys->ops->open(world->sys, "space", SYS_CREATE, &handle));
    world->sys->ops->close(handle);
    CHECK_OK(file_open(&world->file, world->sys, "space", false));
    uint32_t first;
    CHECK_OK(file_grow(&world->file, pages, &first));
    CHECK_OK(space_create(world->sys, &world->space));
}

static void world_close(struct world *world)
{
    space_destroy(world->space);
    file_close(&world->file);
    sys_memory_destroy(world->sys);
}

static scn_status world_grow(void *ctx, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    struct world *world = ctx;
    *count = world->grows_by_one ? 1 : wanted;
    return world->refuses_growth ? SCN_FULL : file_grow(&world->file, *count, pgno);
}

static void begin(struct space *space, uint64_t gen, uint32_t file_pages)
{
    struct log_spare spares[1];
    uint32_t spare_count;
    CHECK_OK(
        space_begin(space, gen, NULL, 0, file_pages, EXTENT, 0, spares, &spare_count));
    CHECK_EQ(spare_count, 0);
}

struct published {
    uint64_t gen;
    struct page_ref first;
    uint32_t page_count;
    uint32_t needed_pages;
};

static scn_status encode(struct world *world, uint64_t gen, struct published *out)
{
    *out = (struct published){.gen = gen};
    return space_encode(world->space, &world->file, world_grow, world, &out->first,
                        &out->page_count, &out->needed_pages);
}

static scn_status load(struct world *world, const struct published *from)
{
    return space_load(world->space, &world->file, &from->first, from->page_count,
                      from->gen);
}

/* ---- the model ---- */

struct model_page {
    bool used;
    bool freed;
    bool reserved;
    bool adopted;
    bool is_log;
    uint64_t birth;
    uint64_t freed_gen;
};

struct reach {
    uint64_t gen;
    uint8_t pages[MODEL_PAGES];
};

struct model {
    struct world world;
    uint64_t random;
    uint64_t gen;
    uint64_t building;
    struct model_page pages[MODEL_PAGES];
    struct model_page before[MODEL_PAGES];
    uint32_t limit;
    uint32_t extents[EXTENTS_MAX]; /* live log extents */
    uint32_t extent_count;
    uint32_t extents_before[EXTENTS_MAX];
    uint32_t extent_count_before;
    struct reach newest;
    struct reach older;
    struct reach pins[PINS_MAX];
    uint32_t pin_count;
    struct published published;
    uint32_t own[OWN_MAX]; /* the chain of the published state */
    uint32_t own_count;
    uint32_t new_own[OWN_MAX];
    uint32_t new_own_count;
    bool is_crowded;
    uint32_t takes;
};

static uint32_t below(struct model *model, uint32_t bound)
{
    return (uint32_t)(unit_random(&model->random) >> 32) % bound;
}

static void check_unreachable(const struct model *model, uint32_t pgno)
{
    CHECK(!model->newest.pages[pgno]);
    CHECK(!model->older.pages[pgno]);
    for (uint32_t i = 0; i < model->pin_count; i++)
        CHECK(!model->pins[i].pages[pgno]);
}

static bool is_free(const struct model_page *page)
{
    return !page->used && !page->reserved;
}

static uint32_t model_find(const struct model *model, uint32_t count)
{
    for (uint32_t pgno = FIRST_FREE_PAGE_NO; pgno + count <= model->limit; pgno++) {
        uint32_t run = 0;
        while (run < count && is_free(&model->pages[pgno + run]))
            run++;
        if (run == count)
            return pgno;
    }
    return 0;
}

static void model_use(struct model *model, uint32_t pgno, uint32_t count)
{
    for (uint32_t i = pgno; i < pgno + count; i++) {
        model->pages[i].used = true;
        model->pages[i].freed = false;
        model->pages[i].is_log = false;
        model->pages[i].birth = model->building;
    }
}

static bool model_take(struct model *model, uint32_t count)
{
    uint32_t expected = model_find(model, count);
    uint32_t pgno = 0;
    scn_status st = space_take(model->world.space, count, &pgno);
    CHECK_EQ(st, expected != 0 ? SCN_OK : SCN_FULL);
    if (expected == 0)
        return false;
    CHECK_EQ(pgno, expected);
    for (uint32_t i = pgno; i < pgno + count; i++)
        check_unreachable(model, i);
    model_use(model, pgno, count);
    model->takes++;
    return true;
}

static void model_free(struct model *model, uint32_t pgno, uint32_t count, bool is_log)
{
    uint64_t birth = model->pages[pgno].birth;
    CHECK_OK(space_free(model->world.space, pgno, count, birth,
                        is_log ? SPACE_LOG : SPACE_PAGES));
    for (uint32_t i = pgno; i < pgno + count; i++) {
        struct model_page *page = &model->pages[i];
        if (birth == model->building)
            page->used = false;
        else {
            page->freed = true;
            page->freed_gen = model->building;
            page->is_log = is_log;
        }
    }
    scn_status st = space_free(model->world.space, pgno, count, birth, SPACE_PAGES);
    CHECK_EQ(st, SCN_CORRUPT);
}

static bool is_extent(const struct model *model, uint32_t pgno)
{
    for (uint32_t i = 0; i < model->extent_count; i++) {
        if (pgno >= model->extents[i] && pgno < model->extents[i] + EXTENT)
            return true;
    }
    return false;
}

static bool is_own(const struct model *model, uint32_t pgno)
{
    for (uint32_t i = 0; i < model->own_count; i++) {
        if (model->own[i] == pgno)
            return true;
    }
    return false;
}

/* A few used neighbours of equal birth. */
static void model_free_some(struct model *model)
{
    uint32_t file_pages = (uint32_t)model->world.file.page_count;
    uint32_t pgno = FIRST_USED + below(model, file_pages - FIRST_USED);
    uint32_t most = 1 + below(model, 12);
    uint32_t count = 0;
    while (count < most && pgno + count < file_pages) {
        const struct model_page *page = &model->pages[pgno + count];
        if (!page->used || page->freed || page->birth != model->pages[pgno].birth ||
            is_extent(model, pgno + count) || is_own(model, pgno + count))
            break;
        count++;
    }
    if (count > 0)
        model_free(model, pgno, count, false);
}

/* Somebody grew the file, or a log record that is replayed names pages. */
static void model_reserve_some(struct model *model)
{
    uint32_t pgno = FIRST_USED + below(model, WORLD_PAGES - FIRST_USED - 8);
    uint32_t count = 1 + below(model, 8);
    bool is_possible = true;
    for (uint32_t i = pgno; i < pgno + count; i++)
        is_possible = is_possible && is_free(&model->pages[i]) && !model->before[i].used;
    scn_status st = space_reserve(model->world.space, pgno, count);
    CHECK_EQ(st, is_possible ? SCN_OK : SCN_CORRUPT);
    for (uint32_t i = pgno; is_possible && i < pgno + count; i++)
        model->pages[i].reserved = true;
}

/* The first reserved range at or behind a random page. */
static uint32_t find_reserved(struct model *model, uint32_t *count)
{
    *count = 0;
    for (uint32_t i = below(model, WORLD_PAGES); i < MODEL_PAGES; i++) {
        bool is_wanted = model->pages[i].reserved && !model->pages[i].adopted;
        if (is_wanted)
            (*count)++;
        if ((!is_wanted && *count > 0) || *count == 3)
            return is_wanted ? i + 1 - *count : i - *count;
    }
    *count = 0;
    return 0;
}

static void model_unreserve_some(struct model *model)
{
    uint32_t count;
    uint32_t pgno = find_reserved(model, &count);
    if (count == 0)
        return;
    space_unreserve(model->world.space, pgno, count);
    for (uint32_t i = pgno; i < pgno + count; i++) {
        model->pages[i].reserved = false;
        model->pages[i].adopted = false;
    }
}

static void model_adopt_some(struct model *model)
{
    uint32_t count;
    uint32_t pgno = find_reserved(model, &count);
    if (count == 0)
        return;
    CHECK_OK(space_adopt(model->world.space, pgno, count));
    CHECK_EQ(space_adopt(model->world.space, pgno, 1), SCN_CORRUPT);
    for (uint32_t i = pgno; i < pgno + count; i++)
        model->pages[i].adopted = true;
    model_use(model, pgno, count);
}

static void model_link_extent(struct model *model)
{
    if (model->extent_count == EXTENTS_MAX)
        return;
    uint32_t pgno = model_find(model, EXTENT);
    if (model_take(model, EXTENT))
        model->extents[model->extent_count++] = pgno;
}

static void model_free_extent(struct model *model)
{
    if (model->extent_count == 0)
        return;
    uint32_t idx = below(model, model->extent_count);
    model_free(model, model->extents[idx], EXTENT, true);
    model->extents[idx] = model->extents[--model->extent_count];
}

static bool model_is_mature(const struct model *model, const struct model_page *page)
{
    if (!page->freed || page->freed_gen >= model->gen)
        return false;
    for (uint32_t i = 0; i < model->pin_count; i++) {
        if (page->birth <= model->pins[i].gen && model->pins[i].gen < page->freed_gen)
            return false;
    }
    return true;
}

static void model_mature(struct model *model, const struct log_spare *spares,
                         uint32_t spare_count)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < MODEL_PAGES; i++) {
        struct model_page *page = &model->pages[i];
        if (!model_is_mature(model, page))
            continue;
        page->freed = false;
        if (seen < SPARE_ROOM && page->is_log) {
            /* Extents are freed whole, so its first page is met first. */
            CHECK(seen < spare_count);
            CHECK_EQ(spares[seen].pgno, i);
            CHECK_EQ(spares[seen].pages, EXTENT);
            for (uint32_t k = i; k < i + EXTENT; k++) {
                CHECK(model_is_mature(model, &model->pages[k]) || k == i);
                model->pages[k].freed = false;
                model->pages[k].birth = model->building;
            }
            i += EXTENT - 1;
            seen++;
        } else
            page->used = false;
    }
    CHECK_EQ(seen, spare_count);
}

/* Half of the spares go back into the log, the others are given back. */
static void model_use_spares(struct model *model, const struct log_spare *spares,
                             uint32_t spare_count)
{
    for (uint32_t i = 0; i < spare_count; i++) {
        for (uint32_t k = 0; k < EXTENT; k++)
            check_unreachable(model, spares[i].pgno + k);
        if (model->extent_count < EXTENTS_MAX && below(model, 2) == 0)
            model->extents[model->extent_count++] = spares[i].pgno;
        else
            model_free(model, spares[i].pgno, EXTENT, true);
    }
}

static void model_begin(struct model *model)
{
    uint64_t pins[PINS_MAX];
    for (uint32_t i = 0; i < model->pin_count; i++)
        pins[i] = model->pins[i].gen;
    model->building = model->gen + 1 + below(model, 3) / 2;
    uint32_t file_pages = (uint32_t)model->world.file.page_count;
    CHECK(file_pages <= MODEL_PAGES);
    model->limit = file_pages - below(model, 3) * 50;
    struct space_stat stat;
    space_stat(model->world.space, &stat);
    model->is_crowded = stat.used_pages > WORLD_PAGES * 2 / 3;
    memcpy(model->before, model->pages, sizeof model->pages);
    memcpy(model->extents_before, model->extents, sizeof model->extents);
    model->extent_count_before = model->extent_count;
    struct log_spare spares[SPARE_ROOM];
    uint32_t spare_count;
    CHECK_OK(space_begin(model->world.space, model->building, pins, model->pin_count,
                         model->limit, EXTENT, SPARE_ROOM, spares, &spare_count));
    model_mature(model, spares, spare_count);
    model_use_spares(model, spares, spare_count);
}

static void model_step(struct model *model)
{
    switch (below(model, 12)) {
    case 0:
    case 1:
    case 2:
        if (model->is_crowded)
            model_free_some(model);
        else
            model_take(model, 1);
        break;
    case 3:
        model_take(model, 1 + below(model, 9));
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        model_free_some(model);
        break;
    case 8:
        model_reserve_some(model);
        break;
    case 9:
        model_unreserve_some(model);
        break;
    case 10:
        model_adopt_some(model);
        break;
    default:
        if (below(model, 2) == 0)
            model_link_extent(model);
        else
            model_free_extent(model);
    }
}

static scn_status note_own(void *ctx, uint32_t pgno)
{
    struct model *model = ctx;
    check_unreachable(model, pgno);
    CHECK(!model->pages[pgno].used);
    CHECK(!model->pages[pgno].reserved);
    model_use(model, pgno, 1);
    CHECK(model->new_own_count < OWN_MAX);
    model->new_own[model->new_own_count++] = pgno;
    return SCN_OK;
}

static void model_encode(struct model *model, struct published *out)
{
    CHECK_OK(encode(&model->world, model->building, out));
    for (uint32_t i = 0; i < model->own_count; i++) {
        model->pages[model->own[i]].freed = true;
        model->pages[model->own[i]].freed_gen = model->building;
    }
    model->new_own_count = 0;
    CHECK_OK(space_each_own(model->world.space, note_own, model));
    uint32_t page_count = 0;
    uint32_t needed_pages = 0;
    for (uint32_t i = 0; i < MODEL_PAGES; i++) {
        if (model->pages[i].used)
            page_count = i + 1;
        if (model->pages[i].used && !model->pages[i].freed)
            needed_pages = i + 1;
    }
    CHECK_EQ(out->page_count, page_count);
    CHECK_EQ(out->needed_pages, needed_pages);
}

static void model_commit(struct model *model)
{
    struct published published;
    model_encode(model, &published);
    space_commit(model->world.space);
    model->published = published;
    memcpy(model->own, model->new_own, sizeof model->own);
    model->own_count = model->new_own_count;
    model->gen = model->building;
    model->older = model->newest;
    model->newest.gen = model->gen;
    for (uint32_t i = 0; i < MODEL_PAGES; i++) {
        struct model_page *page = &model->pages[i];
        model->newest.pages[i] = page->used && !page->freed;
        if (page->adopted)
            page->reserved = page->adopted = false;
    }
}

static void model_abandon(struct model *model)
{
    struct published published;
    if (below(model, 2) == 0)
        model_encode(model, &published);
    space_abandon(model->world.space);
    for (uint32_t i = 0; i < MODEL_PAGES; i++) {
        bool reserved = model->pages[i].reserved;
        model->pages[i] = model->before[i];
        model->pages[i].reserved = reserved;
    }
    memcpy(model->extents, model->extents_before, sizeof model->extents);
    model->extent_count = model->extent_count_before;
}

static void model_pin_some(struct model *model)
{
    if (below(model, 3) == 0 && model->pin_count < PINS_MAX &&
        (model->pin_count == 0 || model->pins[model->pin_count - 1].gen < model->gen))
        model->pins[model->pin_count++] = model->newest;
    if (below(model, 8) == 0 && model->pin_count > 0) {
        uint32_t idx = below(model, model->pin_count);
        model->pin_count--;
        memmove(&model->pins[idx], &model->pins[idx + 1],
                (model->pin_count - idx) * sizeof model->pins[0]);
    }
}

/* A new process: what is not on disk are the reservations. */
static void model_reopen(struct model *model)
{
    space_destroy(model->world.space);
    CHECK_OK(space_create(model->world.sys, &model->world.space));
    CHECK_OK(load(&model->world, &model->published));
    for (uint32_t i = 0; i < MODEL_PAGES; i++) {
        if (model->pages[i].reserved)
            CHECK_OK(space_reserve(model->world.space, i, 1));
    }
}

static void model_compare(struct model *model)
{
    struct space_stat expected = {0};
    uint64_t free_pages = 0;
    for (uint32_t i = 0; i < MODEL_PAGES; i++) {
        const struct model_page *page = &model->pages[i];
        CHECK_EQ(space_is_used(model->world.space, i), page->used);
        expected.used_pages += page->used;
        expected.freed_pages += page->freed;
        free_pages += is_free(page);
        if (!is_free(page)) {
            expected.end_pages = i + 1;
            expected.free_pages = free_pages;
        }
    }
    struct space_stat stat;
    space_stat(model->world.space, &stat);
    CHECK_EQ(stat.used_pages, expected.used_pages);
    CHECK_EQ(stat.freed_pages, expected.freed_pages);
    CHECK_EQ(stat.end_pages, expected.end_pages);
    CHECK_EQ(stat.free_pages, expected.free_pages);
}

static void model_open(struct model *model, uint64_t seed)
{
    world_open(&model->world, WORLD_PAGES);
    model->random = seed;
    CHECK_OK(space_init_new(model->world.space, FIRST_USED));
    for (uint32_t i = 0; i < FIRST_USED; i++)
        model->pages[i].used = true;
    memset(model->newest.pages, 1, FIRST_USED);
    memset(model->older.pages, 1, FIRST_USED);
}

TEST(space__never_gives_out_a_page_that_somebody_reaches)
{
    struct model *model = mem_zalloc(sizeof *model);
    CHECK(model != NULL);
    model_open(model, unit_seed());
    for (uint32_t gen = 0; gen < 2000; gen++) {
        model_begin(model);
        uint32_t steps = below(model, 60);
        for (uint32_t i = 0; i < steps; i++)
            model_step(model);
        if (below(model, 4) == 0)
            model_abandon(model);
        else
            model_commit(model);
        if (gen % 8 == 0)
            model_compare(model);
        if (below(model, 20) == 0 && model->gen > 0)
            model_reopen(model);
        model_pin_some(model);
    }
    CHECK(model->takes > 5000);
    world_close(&model->world);
    mem_free(model);
}

/* ---- single rules ---- */

TEST(space__gives_a_freed_page_out_two_generations_later)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, FIRST_USED));
    struct published published;
    uint32_t page;
    uint32_t other;
    begin(world.space, 1, 20);
    CHECK_OK(space_take(world.space, 1, &page));
    CHECK_OK(encode(&world, 1, &published));
    space_commit(world.space);
    begin(world.space, 2, 20);
    CHECK_OK(space_free(world.space, page, 1, 1, SPACE_PAGES));
    CHECK_OK(encode(&world, 2, &published));
    space_commit(world.space);
    begin(world.space, 3, 20);
    CHECK_OK(space_take(world.space, 1, &other));
    CHECK(other != page);
    CHECK_OK(encode(&world, 3, &published));
    space_commit(world.space);
    begin(world.space, 4, 20);
    CHECK_OK(space_take(world.space, 1, &other));
    CHECK_EQ(other, page);
    space_abandon(world.space);
    world_close(&world);
}

TEST(space__keeps_what_a_pin_between_birth_and_freed_reaches)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, FIRST_USED));
    struct published published;
    uint32_t page = 0;
    for (uint64_t gen = 1; gen <= 5; gen++) {
        begin(world.space, gen, 20);
        if (gen == 2)
            CHECK_OK(space_take(world.space, 1, &page));
        if (gen == 4)
            CHECK_OK(space_free(world.space, page, 1, 2, SPACE_PAGES));
        CHECK_OK(encode(&world, gen, &published));
        space_commit(world.space);
        if (gen == 4) {
            CHECK_EQ(space_held_by(world.space, 1), 0); /* what it had is free again */
            CHECK_EQ(space_held_by(world.space, 2), 2); /* page, and the chain of 2 */
            CHECK_EQ(space_held_by(world.space, 3), 2); /* page, and the chain of 3 */
        }
    }
    static const struct {
        uint64_t pin;
        bool is_used;
    } cases[] = {{1, false}, {2, true}, {3, true}, {4, false}, {5, false}};
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t spare_count;
        CHECK_OK(space_begin(world.space, 6, &cases[i].pin, 1, 20, EXTENT, 0, NULL,
                             &spare_count));
        CHECK_EQ(space_is_used(world.space, page), cases[i].is_used);
        space_abandon(world.space);
    }
    world_close(&world);
}

TEST(space__refuses_to_free_twice_or_what_was_never_used)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, 10));
    begin(world.space, 5, 20);
    CHECK_EQ(space_free(world.space, 11, 1, 1, SPACE_PAGES), SCN_CORRUPT);
    CHECK_EQ(space_free(world.space, 9, 2, 1, SPACE_PAGES), SCN_CORRUPT);
    CHECK_EQ(space_free(world.space, 2, 1, 1, SPACE_PAGES), SCN_CORRUPT);
    CHECK_EQ(space_free(world.space, 8, 0, 1, SPACE_PAGES), SCN_CORRUPT);
    CHECK_EQ(space_free(world.space, UINT32_MAX, UINT32_MAX, 1, SPACE_PAGES),
             SCN_CORRUPT);
    CHECK_OK(space_free(world.space, 8, 2, 1, SPACE_PAGES));
    CHECK_EQ(space_free(world.space, 9, 1, 1, SPACE_PAGES), SCN_CORRUPT);
    space_abandon(world.space);
    world_close(&world);
}

TEST(space__does_not_believe_that_an_old_page_is_new)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, 10));
    begin(world.space, 5, 20);
    CHECK_EQ(space_free(world.space, 8, 1, 5, SPACE_PAGES), SCN_CORRUPT);
    CHECK_EQ(space_free(world.space, 8, 1, 6, SPACE_PAGES), SCN_CORRUPT);
    CHECK(space_is_used(world.space, 8));
    space_abandon(world.space);
    world_close(&world);
}

TEST(space__refuses_two_owners)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, 10));
    CHECK_EQ(space_reserve(world.space, 9, 1), SCN_CORRUPT);
    CHECK_EQ(space_reserve(world.space, 0, 1), SCN_CORRUPT);
    CHECK_EQ(space_reserve(world.space, FILE_PAGES_MAX - 1, 2), SCN_CORRUPT);
    CHECK_OK(space_reserve(world.space, 12, 3));
    CHECK_EQ(space_reserve(world.space, 14, 2), SCN_CORRUPT);
    begin(world.space, 1, 20);
    uint32_t pgno;
    CHECK_OK(space_take(world.space, 3, &pgno));
    CHECK_EQ(pgno, 15);
    CHECK_EQ(space_reserve(world.space, 15, 1), SCN_CORRUPT);
    CHECK_EQ(space_adopt(world.space, 15, 1), SCN_CORRUPT);
    space_abandon(world.space);
    world_close(&world);
}

/* What is remembered of searches leads past nothing. */
TEST(space__gives_the_lowest_range_whatever_was_asked_before)
{
    static const uint32_t counts[] = {1, 2, 3, 4, 7, 8, 16, 31, 32, 33, 64, 70};
    enum { COUNTS = sizeof counts / sizeof *counts, PAGES = 600 };
    struct world world;
    uint64_t random = unit_seed();
    bool is_free[PAGES] = {false};
    world_open(&world, PAGES);
    CHECK_OK(space_init_new(world.space, FIRST_FREE_PAGE_NO));
    begin(world.space, 1, PAGES);
    memset(is_free + FIRST_FREE_PAGE_NO, true, PAGES - FIRST_FREE_PAGE_NO);
    for (int i = 0; i < 4000; i++) {
        uint32_t count = counts[unit_random(&random) % COUNTS];
        uint32_t run = 0;
        uint32_t end = 0;
        uint32_t pgno;
        while (end < PAGES && run < count)
            run = is_free[end++] ? run + 1 : 0;
        scn_status st = space_take(world.space, count, &pgno);
        CHECK_EQ(st, run == count ? SCN_OK : SCN_FULL);
        if (st == SCN_OK) {
            CHECK_EQ(pgno, end - count);
            memset(is_free + pgno, false, count);
        }
        pgno = FIRST_FREE_PAGE_NO +
               (uint32_t)(unit_random(&random) % (PAGES - FIRST_FREE_PAGE_NO));
        for (; pgno < PAGES && !is_free[pgno] && unit_random(&random) % 16; pgno++) {
            CHECK_OK(space_free(world.space, pgno, 1, 1, SPACE_PAGES));
            is_free[pgno] = true;
        }
    }
    space_abandon(world.space);
    world_close(&world);
}

TEST(space__gives_no_page_beyond_the_size_it_was_told)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, 10));
    begin(world.space, 1, 12);
    uint32_t pgno;
    CHECK_EQ(space_take(world.space, 3, &pgno), SCN_FULL);
    CHECK_OK(space_take(world.space, 2, &pgno));
    CHECK_EQ(pgno, 10);
    CHECK_EQ(space_take(world.space, 1, &pgno), SCN_FULL);
    CHECK_OK(space_free(world.space, 11, 1, 1, SPACE_PAGES));
    CHECK_OK(space_take(world.space, 1, &pgno));
    CHECK_EQ(pgno, 11);
    CHECK_OK(space_adopt(world.space, 40, 2));
    CHECK_EQ(space_take(world.space, 1, &pgno), SCN_FULL);
    space_abandon(world.space);
    world_close(&world);
}

TEST(space__does_not_overwrite_an_adopted_run_before_the_generation_is_durable)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, 10));
    CHECK_OK(space_reserve(world.space, 10, 2));
    begin(world.space, 1, 12);
    CHECK_OK(space_adopt(world.space, 10, 2));
    CHECK_OK(space_free(world.space, 10, 2, 1, SPACE_PAGES));
    uint32_t pgno;
    CHECK_EQ(space_take(world.space, 1, &pgno), SCN_FULL);
    space_abandon(world.space);
    /* The run is still somebody's. */
    CHECK_EQ(space_reserve(world.space, 11, 1), SCN_CORRUPT);
    space_unreserve(world.space, 10, 2);
    CHECK_OK(space_reserve(world.space, 11, 1));
    world_close(&world);
}

TEST(space__keeps_a_reservation_made_after_an_adopted_one_was_released)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, 10));
    CHECK_OK(space_reserve(world.space, 15, 1));
    begin(world.space, 1, 20);
    CHECK_OK(space_adopt(world.space, 15, 1));
    CHECK_OK(space_free(world.space, 15, 1, 1, SPACE_PAGES));
    space_unreserve(world.space, 15, 1);
    CHECK_OK(space_reserve(world.space, 15, 1));
    space_commit(world.space);
    CHECK_EQ(space_reserve(world.space, 15, 1), SCN_CORRUPT);
    world_close(&world);
}

TEST(space__keeps_reservations_made_and_released_while_a_generation_was_abandoned)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, 10));
    CHECK_OK(space_reserve(world.space, 10, 1));
    CHECK_OK(space_reserve(world.space, 11, 1));
    begin(world.space, 1, 20);
    CHECK_OK(space_adopt(world.space, 10, 2));
    space_unreserve(world.space, 11, 1);
    CHECK_OK(space_reserve(world.space, 15, 1));
    space_abandon(world.space);
    CHECK_EQ(space_reserve(world.space, 10, 1), SCN_CORRUPT);
    CHECK_OK(space_reserve(world.space, 11, 1));
    CHECK_EQ(space_reserve(world.space, 15, 1), SCN_CORRUPT);
    CHECK(!space_is_used(world.space, 10));
    world_close(&world);
}

TEST(space__ends_a_reservation_that_a_loaded_generation_has_adopted)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, 10));
    begin(world.space, 1, 20);
    CHECK_OK(space_adopt(world.space, 12, 2));
    struct published published;
    CHECK_OK(encode(&world, 1, &published));
    space_destroy(world.space);
    CHECK_OK(space_create(world.sys, &world.space));
    CHECK_OK(space_reserve(world.space, 12, 4));
    CHECK_OK(load(&world, &published));
    struct space_stat stat;
    space_stat(world.space, &stat);
    CHECK_EQ(stat.end_pages, 16);
    CHECK_EQ(stat.used_pages, 13);
    CHECK_EQ(stat.free_pages, 1);
    for (uint64_t gen = 2; gen <= 3; gen++) {
        begin(world.space, gen, 20);
        if (gen == 2)
            CHECK_OK(space_free(world.space, 12, 2, 1, SPACE_PAGES));
        CHECK_OK(encode(&world, gen, &published));
        space_commit(world.space);
    }
    begin(world.space, 4, 20);
    uint32_t pgno;
    CHECK_OK(space_take(world.space, 2, &pgno));
    CHECK_EQ(pgno, 12);
    space_abandon(world.space);
    world_close(&world);
}

static scn_status count_range(void *ctx, uint32_t pgno, uint32_t count, uint64_t birth,
                              uint64_t freed)
{
    uint32_t *seen = ctx;
    CHECK_EQ(birth, 1);
    CHECK_EQ(freed, 2);
    if (pgno < 150) {
        CHECK_EQ(pgno, 50);
        CHECK_EQ(count, 100);
    }
    (*seen)++;
    return SCN_OK;
}

TEST(space__joins_ranges_freed_in_any_order_but_no_log_extents)
{
    struct world world;
    world_open(&world, 300);
    CHECK_OK(space_init_new(world.space, 200));
    struct published published;
    begin(world.space, 1, 200);
    CHECK_OK(encode(&world, 1, &published));
    space_commit(world.space);
    begin(world.space, 2, 200);
    for (uint32_t i = 0; i < 100; i++)
        CHECK_OK(space_free(world.space, 50 + i * 37 % 100, 1, 1, SPACE_PAGES));
    CHECK_OK(space_free(world.space, 154, EXTENT, 1, SPACE_LOG));
    CHECK_OK(space_free(world.space, 150, EXTENT, 1, SPACE_LOG));
    CHECK_OK(encode(&world, 2, &published));
    uint32_t seen = 0;
    CHECK_OK(space_each_freed(world.space, count_range, &seen));
    CHECK_EQ(seen, 4); /* pages, two extents, the chain of generation 1 */
    space_commit(world.space);
    world_close(&world);
}

enum { THREAD_PAGES = 64, THREAD_ROUNDS = 400, THREAD_FIRST = 200 };

/* As a bulk run does: it owns pages, gives them back, and looks at the figures. */
static void reserve_and_release(void *arg)
{
    struct space *space = arg;
    for (uint32_t i = 0; i < THREAD_ROUNDS; i++) {
        struct space_stat stat;
        if (space_reserve(space, THREAD_FIRST + i % THREAD_PAGES, 1) != SCN_OK)
            return; /* two owners: the other thread takes note */
        space_stat(space, &stat);
        (void)space_held_by(space, i);
        space_unreserve(space, THREAD_FIRST + i % THREAD_PAGES, 1);
    }
    if (space_reserve(space, THREAD_FIRST + THREAD_PAGES, 1) != SCN_OK)
        return;
}

TEST(space__lets_another_thread_reserve_while_generations_are_built)
{
    struct world world;
    world_open(&world, 300);
    CHECK_OK(space_init_new(world.space, 10));
    struct sys_thread *thread;
    CHECK_EQ(world.sys->ops->thread_start(world.sys, reserve_and_release, world.space,
                                          &thread),
             0);
    uint32_t old = 0;
    for (uint64_t gen = 1; gen < 60; gen++) {
        struct published published;
        uint32_t pgno;
        begin(world.space, gen, THREAD_FIRST);
        CHECK_OK(space_take(world.space, 1, &pgno));
        if (old != 0)
            CHECK_OK(space_free(world.space, old, 1, gen - 1, SPACE_PAGES));
        CHECK_OK(encode(&world, gen, &published));
        CHECK(published.page_count < THREAD_FIRST);
        space_commit(world.space);
        old = pgno;
    }
    world.sys->ops->thread_join(thread);
    struct space_stat stat;
    space_stat(world.space, &stat);
    CHECK_EQ(stat.end_pages, THREAD_FIRST + THREAD_PAGES + 1);
    world_close(&world);
}

/* A freed page is a used one, and will be given out. */
TEST(space__does_not_take_a_freed_page_for_a_safe_one)
{
    struct world world;
    struct published published;
    uint32_t pgno;
    world_open(&world, 300);
    CHECK_OK(space_init_new(world.space, 10));
    begin(world.space, 1, 300);
    CHECK_OK(space_take(world.space, 4, &pgno));
    CHECK_OK(encode(&world, 1, &published));
    space_commit(world.space);
    CHECK_OK(space_reserve_rest(world.space, pgno, 4, true));
    begin(world.space, 2, 300);
    CHECK_OK(space_free(world.space, pgno + 3, 1, 1, SPACE_PAGES));
    CHECK_OK(encode(&world, 2, &published));
    space_commit(world.space);
    CHECK_OK(space_reserve_rest(world.space, pgno, 3, true));
    CHECK_EQ(space_reserve_rest(world.space, pgno, 4, true), SCN_CORRUPT);
    CHECK_OK(space_reserve_rest(world.space, pgno, 4, false));
    world_close(&world);
}

/* ---- on disk ---- */

enum {
    ITEM_PAGES = 256,
    PAGE_ITEMS = (PAGE_BYTES - PAGE_HEADER_BYTES - PAGE_REF_BYTES) / 32
};

static scn_status count_page(void *ctx, uint32_t pgno)
{
    (void)pgno;
    (*(uint32_t *)ctx)++;
    return SCN_OK;
}

/* used_pages pages are used, then comes the chain; the file has room or grows. */
static void check_fixed_point(uint32_t used_pages, bool has_room)
{
    struct world world;
    world_open(&world, used_pages);
    CHECK_OK(space_init_new(world.space, used_pages));
    struct published published;
    uint32_t first;
    world.grows_by_one = used_pages % 2 == 0;
    if (has_room)
        CHECK_OK(file_grow(&world.file, 4, &first));
    begin(world.space, 1, used_pages + (has_room ? 4 : 0));
    CHECK_OK(encode(&world, 1, &published));
    space_commit(world.space);
    uint32_t own = 0;
    CHECK_OK(space_each_own(world.space, count_page, &own));
    CHECK_EQ(published.page_count, used_pages + own);
    uint32_t items = 1 + (published.page_count + ITEM_PAGES - 1) / ITEM_PAGES;
    CHECK_EQ(own, (items + PAGE_ITEMS - 1) / PAGE_ITEMS);
    CHECK_OK(load(&world, &published));
    uint32_t own_loaded = 0;
    CHECK_OK(space_each_own(world.space, count_page, &own_loaded));
    CHECK_EQ(own_loaded, own);
    world_close(&world);
}

/* Small pages: the boundary lies where it costs nothing to go. */
TEST(space__finds_its_own_size_where_the_bits_fill_a_page)
{
    uint32_t boundary = PAGE_IS_SMALL ? (PAGE_ITEMS - 1) * ITEM_PAGES : ITEM_PAGES;
    for (uint32_t used = boundary - 4; used <= boundary + 2; used++) {
        check_fixed_point(used, false);
        check_fixed_point(used, true);
    }
}

/* Everybody grows at the same time: each page lies half a page of bits behind the one
   before. */
static scn_status grow_far(void *ctx, uint32_t wanted, uint32_t *pgno, uint32_t *count)
{
    uint32_t *end = ctx;
    *pgno = *end;
    *count = wanted;
    *end += PAGE_ITEMS * ITEM_PAGES / 2 + wanted;
    return SCN_OK;
}

TEST(space__finds_its_own_size_when_its_pages_lie_far_apart)
{
    struct world world;
    world_open(&world, 10);
    CHECK_OK(space_init_new(world.space, 10));
    begin(world.space, 1, 10);
    uint32_t end = 8 * PAGE_ITEMS * ITEM_PAGES;
    struct page_ref first;
    uint32_t page_count;
    uint32_t needed_pages;
    /* The file has no such pages, so that writing fails, but not before the size is
       found. */
    CHECK_EQ(space_encode(world.space, &world.file, grow_far, &end, &first, &page_count,
                          &needed_pages),
             SCN_IO);
    struct space_stat stat;
    space_stat(world.space, &stat);
    uint64_t items = 1 + (stat.end_pages + ITEM_PAGES - 1) / ITEM_PAGES;
    uint32_t own = 0;
    CHECK_OK(space_each_own(world.space, count_page, &own));
    CHECK_EQ(own, (items + PAGE_ITEMS - 1) / PAGE_ITEMS);
    CHECK(own > 8);
    space_abandon(world.space);
    world_close(&world);
}

TEST(space__is_as_before_when_the_file_cannot_grow_for_its_state)
{
    struct world world;
    world_open(&world, 20);
    CHECK_OK(space_init_new(world.space, 20));
    world.refuses_growth = true;
    struct published published;
    begin(world.space, 1, 20);
    CHECK_EQ(encode(&world, 1, &published), SCN_FULL);
    space_abandon(world.space);
    world.refuses_growth = false;
    begin(world.space, 1, 20);
    CHECK_OK(encode(&world, 1, &published));
    CHECK_EQ(published.page_count, 21);
    space_commit(world.space);
    world_close(&world);
}

/* A published state with a few ranges, its first page in image. */
static void publish_some(struct world *world, struct published *published, uint8_t *image)
{
    world_open(world, 400);
    CHECK_OK(space_init_new(world->space, 300));
    begin(world->space, 1, 400);
    CHECK_OK(encode(world, 1, published));
    space_commit(world->space);
    begin(world->space, 2, 400);
    CHECK_OK(space_adopt(world->space, 310, 1));
    CHECK_OK(space_free(world->space, 20, 5, 1, SPACE_PAGES));
    CHECK_OK(space_free(world->space, 30, 4, 1, SPACE_LOG));
    CHECK_OK(encode(world, 2, published));
    space_commit(world->space);
    CHECK_OK(file_read_page(&world->file, published->first.pgno, image, 0));
    struct page_header header;
    page_header_decode(image, &header);
    CHECK_EQ(header.used, 96 + 32 * (1 + 2 + 3));
}

/* Seals a changed image, so that only what it says can be refused. */
static scn_status load_image(struct world *world, const struct published *published,
                             const uint8_t *image, uint32_t used)
{
    uint8_t *page = mem_alloc(PAGE_BYTES);
    CHECK(page != NULL);
    memcpy(page, image, PAGE_BYTES);
    struct published changed = *published;
    page_seal(page, PAGE_SPACE, 0, 0, published->first.pgno, published->gen, used,
              &changed.first);
    CHECK_OK(file_write_pages(&world->file, published->first.pgno, page, 1));
    mem_free(page);
    return load(world, &changed);
}

enum { HEAD = 96, BITS = HEAD + 32, RANGES = BITS + 2 * 32, END = RANGES + 3 * 32 };

TEST(space__refuses_a_state_that_cannot_be)
{
    static const struct {
        uint32_t off;
        uint32_t value;
    } cases[] = {
        {HEAD, 3},       /* another generation */
        {HEAD + 8, 999}, /* not the superblock's page count */
        {HEAD + 12, 2},  /* fewer ranges than follow */
        {HEAD + 12, 4},  /* more */
        {HEAD + 12, 0xffffffff},
        {HEAD + 16, 1},        /* reserved */
        {BITS, 0xfffffffe},    /* page 0 is free */
        {BITS, 0x00efffff},    /* a freed page is free */
        {BITS + 36, 0x401fff}, /* its own page 301 is free */
        {BITS + 60, 1},        /* a bit behind the end */
        {RANGES, 2},           /* a fixed page */
        {RANGES, 28},          /* overlaps the next */
        {RANGES, 40},          /* does not ascend */
        {RANGES, 0xffffffff},
        {RANGES + 4, 0},
        {RANGES + 4, 11},
        {RANGES + 4, 0xffffffff},
        {RANGES + 8, 2},              /* freed when it was born */
        {RANGES + 12, 1},             /* born far in the future */
        {RANGES + 16, 3},             /* freed in the future */
        {RANGES + 24, 2},             /* kind */
        {RANGES + 28, 1},             /* reserved */
        {RANGES + 64, 301},           /* its own page is freed */
        {PAGE_HEADER_BYTES, 1},       /* half a pointer to the next page */
        {PAGE_HEADER_BYTES + 24, 50}, /* a whole one */
    };
    struct world world;
    struct published published;
    uint8_t *image = mem_alloc(2 * PAGE_BYTES);
    CHECK(image != NULL);
    publish_some(&world, &published, image);
    CHECK_OK(load_image(&world, &published, image, END));
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *changed = image + PAGE_BYTES;
        memcpy(changed, image, PAGE_BYTES);
        put_u32(changed + cases[i].off, cases[i].value);
        scn_status st = load_image(&world, &published, changed, END);
        if (st != SCN_CORRUPT)
            fprintf(stderr, "    case %u\n", i);
        CHECK_EQ(st, SCN_CORRUPT);
    }
    CHECK_EQ(load_image(&world, &published, image, END - 1), SCN_CORRUPT);
    CHECK_EQ(load_image(&world, &published, image, END - 32), SCN_CORRUPT);
    CHECK_EQ(load_image(&world, &published, image, END + 32), SCN_CORRUPT);
    CHECK_EQ(load_image(&world, &published, image, PAGE_HEADER_BYTES), SCN_CORRUPT);
    CHECK_EQ(load_image(&world, &published, image, PAGE_BYTES), SCN_CORRUPT);
    mem_free(image);
    world_close(&world);
}

TEST(space__survives_any_bytes_and_stays_as_it_was)
{
    struct world world;
    struct published published;
    uint8_t *image = mem_alloc(2 * PAGE_BYTES);
    CHECK(image != NULL);
    publish_some(&world, &published, image);
    uint64_t random = unit_seed();
    for (uint32_t round = 0; round < 2000; round++) {
        uint8_t *changed = image + PAGE_BYTES;
        memcpy(changed, image, PAGE_BYTES);
        for (uint32_t i = 0; i <= round % 4; i++)
            changed[64 + unit_random(&random) % (END - 64)] ^=
                1 << unit_random(&random) % 8;
        uint32_t used =
            round % 5 == 0 ? 64 + (uint32_t)(unit_random(&random) % 400) : END;
        scn_status st = load_image(&world, &published, changed, used);
        CHECK(st == SCN_CORRUPT || st == SCN_OK);
        if (st == SCN_OK)
            CHECK_OK(load_image(&world, &published, image, END));
        struct space_stat stat;
        space_stat(world.space, &stat);
        CHECK_EQ(stat.freed_pages, 10);
    }
    mem_free(image);
    world_close(&world);
}

TEST(space__refuses_impossible_superblock_fields)
{
    struct world world;
    struct published published;
    uint8_t *image = mem_alloc(PAGE_BYTES);
    CHECK(image != NULL);
    publish_some(&world, &published, image);
    struct published changed = published;
    changed.page_count = 0;
    CHECK_EQ(load(&world, &changed), SCN_CORRUPT);
    changed.page_count = UINT32_MAX;
    CHECK_EQ(load(&world, &changed), SCN_CORRUPT);
    changed.page_count = FILE_PAGES_MAX;
    CHECK_EQ(load(&world, &changed), SCN_CORRUPT);
    changed = published;
    changed.gen++;
    CHECK_EQ(load(&world, &changed), SCN_CORRUPT);
    changed = published;
    changed.first = (struct page_ref){0};
    CHECK_EQ(load(&world, &changed), SCN_CORRUPT);
    changed.first = published.first;
    changed.first.pgno++;
    CHECK_EQ(load(&world, &changed), SCN_CORRUPT);
    changed.first = published.first;
    changed.first.type = PAGE_LEAF;
    CHECK_EQ(load(&world, &changed), SCN_CORRUPT);
    CHECK_OK(load(&world, &published));
    mem_free(image);
    world_close(&world);
}

/* Every second page freed makes as many ranges as there can be: the chain has many pages.
   */
TEST(space__comes_back_from_a_chain_of_many_pages)
{
    enum { USED = 2 * PAGE_ITEMS * 3 + 100 };
    struct world world;
    world_open(&world, USED + 16);
    CHECK_OK(space_init_new(world.space, USED));
    struct published published;
    begin(world.space, 1, USED);
    CHECK_OK(encode(&world, 1, &published));
    space_commit(world.space);
    begin(world.space, 2, USED);
    for (uint32_t i = USED - 2; i > 50; i -= 2)
        CHECK_OK(space_free(world.space, i, 1, 1, SPACE_PAGES));
    CHECK_OK(encode(&world, 2, &published));
    space_commit(world.space);
    struct space_stat before;
    struct space_stat after;
    space_stat(world.space, &before);
    uint32_t own = 0;
    CHECK_OK(space_each_own(world.space, count_page, &own));
    CHECK(own > 3);
    CHECK_OK(load(&world, &published));
    space_stat(world.space, &after);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    /* The last page of the chain is damaged: nothing of it is believed. */
    uint8_t zeros[64] = {0};
    uint32_t last = published.page_count - 1;
    CHECK_OK(file_write(&world.file, (uint64_t)last * PAGE_BYTES + 200, zeros, 1, 0));
    scn_status st = load(&world, &published);
    CHECK(st == SCN_OK || st == SCN_CORRUPT);
    CHECK_OK(
        file_write(&world.file, (uint64_t)last * PAGE_BYTES, zeros, sizeof zeros, 0));
    CHECK_EQ(load(&world, &published), SCN_CORRUPT);
    world_close(&world);
}
