/* The directory of tables, whatever order their ids come in. */
#include "page/mem.h"
#include "test/unit/unit.h"
#include "tools/walcheck/directory.h"

enum { TABLES = 200000 };

static void meet(struct directory *directory, uint32_t id)
{
    struct table *table;
    CHECK_OK(directory_get(directory, id, &table));
    CHECK_EQ(table->id, id);
    table->flags = ~id;
}

static void check_sorted(struct directory *directory)
{
    directory_sort(directory);
    for (uint32_t i = 0; i < directory->count; i++) {
        struct table *table = &directory->tables[i];
        CHECK(i == 0 || table[-1].id < table->id);
        CHECK_EQ(table->flags, ~table->id);
        CHECK(directory_find(directory, table->id) == table);
    }
}

/* A forged catalog has them so: with a new place in front of all others for each, this
 * would not end today. */
TEST(directory__ids_that_descend_cost_no_more_than_others)
{
    struct directory directory = {0};
    size_t live = mem_live();
    for (uint32_t i = TABLES; i > 0; i--)
        meet(&directory, i);
    CHECK_EQ(directory.count, TABLES);
    CHECK(directory_find(&directory, 0) == NULL);
    CHECK(directory_find(&directory, TABLES + 1) == NULL);
    check_sorted(&directory);
    directory_destroy(&directory);
    CHECK_EQ(mem_live(), live);
}

TEST(directory__finds_what_it_has_met_and_nothing_else)
{
    struct directory directory = {0};
    uint64_t state = unit_seed();
    for (int i = 0; i < 2000; i++)
        meet(&directory, (uint32_t)unit_random(&state) >> unit_random(&state) % 32);
    meet(&directory, 0);
    meet(&directory, UINT32_MAX);
    for (uint32_t i = 0; i < directory.count; i++)
        CHECK(directory_find(&directory, directory.tables[i].id) == &directory.tables[i]);
    check_sorted(&directory);
    uint32_t count = directory.count;
    for (uint32_t i = 0; i < count; i++)
        meet(&directory, directory.tables[i].id);
    CHECK_EQ(directory.count, count);
    for (int i = 0; i < 2000; i++) {
        uint32_t id = (uint32_t)unit_random(&state);
        struct table *table = directory_find(&directory, id);
        CHECK(table == NULL || table->id == id);
    }
    directory_destroy(&directory);
}
