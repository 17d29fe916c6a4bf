/* Notes of value pages: when there is room for more. */
#include "engine/usage.h"
#include "test/unit/unit.h"

static void note(struct usage *usage, uint32_t pgno)
{
    CHECK_OK(usage_note(usage, pgno, 1, 100));
}

/* All but one of the notes are of different pages, so that hardly any goes when they are
 * put in order: with the next note that would come again, for each one. */
TEST(usage__is_not_put_in_order_again_for_each_note)
{
    enum { PAGES = (1 << 16) - 1 };
    struct usage usage = {0};
    for (uint32_t pgno = 1; pgno <= PAGES; pgno++)
        note(&usage, pgno);
    note(&usage, 1);
    CHECK_EQ(usage.count, PAGES + 1);
    CHECK_EQ(usage.capacity, PAGES + 1);
    note(&usage, 2);
    CHECK_EQ(usage.count, PAGES + 1);
    CHECK(usage.capacity >= usage.count + usage.count / 2);
    usage_destroy(&usage);
}
