/* Snapshots while other processes write: each is one moment of the store, and so is what
 * a base becomes by increments. */
#include "test/many/bank.h"
#include "test/many/desk.h"

#include <fcntl.h>
#include <unistd.h>

enum { WRITERS = 3, ROUNDS = 12 };

struct scene {
    const char *path;
    struct bank_book *book;
    atomic_bool is_over;
    _Atomic uint32_t next;
};

static void work(void *ctx, int fd)
{
    struct scene *scene = ctx;
    struct bank bank = {.book = scene->book};
    uint32_t writer = atomic_fetch_add(&scene->next, 1);
    bank.dice = writer * 77 + 1;
    bank_open(&bank, scene->path, 0);
    party_tell(fd, 'o');
    while (!atomic_load(&scene->is_over))
        bank_work(&bank, writer);
    bank_close(&bank);
}

static void take(scn_db *db, const char *path, const scn_snapshot_info *since,
                 scn_snapshot_info *info)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    scn_snapshot_options options = {.struct_size = sizeof options};
    CHECK(fd >= 0);
    if (since) {
        options.since_gen = since->gen;
        memcpy(options.since_id, since->id, sizeof options.since_id);
    }
    *info = (scn_snapshot_info){.struct_size = sizeof *info};
    CHECK_OK(scn_snapshot_to(db, fd, &options, info));
    CHECK_EQ(info->is_noted, 1);
    close(fd);
}

static void apply(const char *base, const char *increment, scn_snapshot_info *info)
{
    scn_db *db = desk_open(base, SCN_NOCREATE);
    int fd = open(increment, O_RDONLY);
    CHECK(fd >= 0);
    *info = (scn_snapshot_info){.struct_size = sizeof *info};
    CHECK_OK(scn_snapshot_apply(db, fd, NULL, info));
    close(fd);
    desk_close(db);
}

/* Everything fits together, whatever the writers have done since. */
static void look(struct scene *scene, const char *path)
{
    struct bank_book *any = party_shared(sizeof *any);
    struct bank bank = {.book = any, .dice = 5};
    atomic_store(&any->writers, atomic_load(&scene->book->writers));
    for (uint32_t i = 0; i < BANK_WRITERS_MAX; i++)
        atomic_store(&any->lines[i].begun, UINT32_MAX);
    bank_open(&bank, path, SCN_RDONLY);
    bank_look(&bank);
    bank_close(&bank);
}

TEST(backup__is_one_moment_of_a_store_that_others_write)
{
    struct scene *scene = party_shared(sizeof *scene);
    struct partner partners[WRITERS];
    struct bank bank = {.dice = 3};
    scn_snapshot_info last;
    scn_snapshot_info applied;
    scene->path = desk_path("bank");
    scene->book = party_shared(sizeof *scene->book);
    bank.book = scene->book;
    bank_create(&bank, scene->path);
    atomic_store(&scene->next, atomic_load(&scene->book->writers));
    atomic_fetch_add(&scene->book->writers, WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        partners[i] = party_start(work, scene);
        party_hear(partners[i].fd, 'o');
    }
    const char *base = desk_path("base");
    const char *increment = desk_path("increment");
    scn_db *db = desk_open(scene->path, 0);
    take(db, base, NULL, &last);
    look(scene, base);
    for (int i = 0; i < ROUNDS; i++) {
        scn_snapshot_info info;
        if (i % 4 == 2)
            CHECK_OK(scn_checkpoint(db));
        take(db, increment, &last, &info);
        apply(base, increment, &applied);
        CHECK(memcmp(applied.id, info.id, sizeof info.id) == 0);
        look(scene, base);
        last = info;
    }
    atomic_store(&scene->is_over, true);
    for (int i = 0; i < WRITERS; i++)
        party_end(&partners[i]);
    scn_snapshot_info info;
    take(db, increment, &last, &info);
    apply(base, increment, &applied);
    take(db, increment, NULL, &info);
    CHECK(memcmp(applied.digest, info.digest, sizeof info.digest) == 0);
    desk_close(db);
    printf("    %llu commits beside them\n",
           (unsigned long long)atomic_load(&scene->book->commits));
}
