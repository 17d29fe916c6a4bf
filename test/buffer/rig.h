/* What the tests of the pool share: a file of pages that say themselves which they are, a
 * pool over it, and a system whose reads count, fail and lie on demand. */
#ifndef TEST_BUFFER_RIG_H
#define TEST_BUFFER_RIG_H

#include "buffer/pool.h"

#include "test/unit/unit.h"

enum {
    PAGES = 64, /* of generation 1; their numbers are FIRST and on */
    FIRST = FIRST_FREE_PAGE_NO
};

/* The pool's system is Linux with these in between; rig_open resets them. */
struct rig_hooks {
    atomic_uint read_count;
    atomic_uint uncached_count;
    atomic_uint read_delay_us;
    atomic_bool is_read_failing;
    atomic_bool is_cache_lying;
    atomic_bool is_medium_lying;
    atomic_uint allocs_left; /* then memory is out; 0: it never is */
    int random_result;
    int mutex_result;
    int cond_result;
};
extern struct rig_hooks rig_hooks;

struct rig {
    struct file file;
    int fd; /* writes pages behind the pool's back */
    struct pool *pool;
    struct pool_reader *reader;
    struct page_ref refs[PAGES];
    uint8_t page[PAGE_BYTES];
};

struct rig *rig_open(uint32_t frame_count);
void rig_close(struct rig *rig);

/* A page of PAGE_VALUES whose words follow from number and generation. */
struct page_ref rig_page_make(uint8_t *page, uint32_t pgno, uint64_t gen);
/* Header and a sample of the words, the last one always. */
bool rig_page_is(const uint8_t *page, const struct page_ref *ref);
bool rig_write(struct rig *rig, const uint8_t *page, uint32_t pgno);

/* A get in an epoch of its own; SCN_UNKNOWN: the wrong bytes. */
scn_status rig_get(struct rig *rig, const struct page_ref *ref);
/* Gets all pages, one after the other, so often. */
void rig_churn(struct rig *rig, int rounds);
struct pool_stat rig_stat(struct rig *rig);
static inline unsigned rig_reads(void)
{
    return atomic_load(&rig_hooks.read_count);
}

#endif
