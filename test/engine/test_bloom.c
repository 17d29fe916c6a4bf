#include "engine/bloom.h"
#include "test/unit/unit.h"

#include <pthread.h>

enum { HASHES = 100000 };

TEST(bloom__never_denies_what_was_added_and_seldom_claims_what_was_not)
{
    uint64_t state = unit_seed();
    struct bloom bloom;
    bloom_init(&bloom);
    CHECK(!bloom_may_hold(&bloom, 0));
    uint64_t *hashes = malloc(HASHES * sizeof *hashes);
    int wrong = 0;
    for (int i = 0; i < HASHES; i++) {
        hashes[i] = unit_random(&state);
        wrong += bloom_may_hold(&bloom, hashes[i]);
        bloom_add(&bloom, hashes[i]);
        CHECK(bloom_may_hold(&bloom, hashes[i]));
    }
    for (int i = 0; i < HASHES; i++)
        CHECK(bloom_may_hold(&bloom, hashes[i]));
    CHECK(wrong < HASHES / 50);
    free(hashes);
    bloom_destroy(&bloom);
}

struct shared_bloom {
    struct bloom bloom;
    _Atomic int is_done;
    uint64_t seen;
};

/* Meets each larger filter with nothing but its own publication to go by. */
static void *ask_all_the_time(void *arg)
{
    struct shared_bloom *shared = arg;
    uint64_t hash = 0;
    while (!atomic_load_explicit(&shared->is_done, memory_order_relaxed)) {
        hash += UINT64_C(0x9e3779b97f4a7c15);
        shared->seen += bloom_may_hold(&shared->bloom, hash);
    }
    return NULL;
}

TEST(bloom__may_be_asked_while_it_grows)
{
    uint64_t state = unit_seed();
    struct shared_bloom shared = {.seen = 0};
    bloom_init(&shared.bloom);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, ask_all_the_time, &shared), 0);
    for (int i = 0; i < HASHES; i++)
        bloom_add(&shared.bloom, unit_random(&state));
    atomic_store(&shared.is_done, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    bloom_destroy(&shared.bloom);
}
