/* Beginning a transaction when nothing has changed, against the one system call that it
 * makes: a read of the publish page. */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/mate.h"
#include "bench/rig.h"

#include <fcntl.h>
#include <unistd.h>

enum { BEGINS = 100000, BEGIN_ROUNDS = 9, PAGE_TOLD_BYTES = 1280, RECORDS = 10000 };

struct pace {
    double wall_us[BEGIN_ROUNDS];
    double cpu_us[BEGIN_ROUNDS];
};

static void begin_and_abort(void *what)
{
    scn_txn *txn;
    must(scn_begin(what, SCN_READ, &txn), "scn_begin");
    scn_abort(txn);
}

static void read_barely(void *what)
{
    uint8_t bytes[PAGE_TOLD_BYTES];
    require(pread(*(int *)what, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes,
            "the file can be read");
}

static void pace_turn(struct pace *pace, uint32_t round, void (*fn)(void *), void *what)
{
    uint64_t cpu = thread_cpu_ns();
    uint64_t wall = wall_ns();
    for (uint32_t i = 0; i < BEGINS; i++)
        fn(what);
    pace->wall_us[round] = (double)(wall_ns() - wall) / BEGINS / 1000;
    pace->cpu_us[round] = (double)(thread_cpu_ns() - cpu) / BEGINS / 1000;
}

/* Has the file open, and does nothing. */
static void sit(void *ctx, struct mate *caller)
{
    scn_db *db = store_open(ctx, 0, 0);
    mate_tell(caller);
    while (mate_goes_on(caller))
        ;
    must(scn_close(db), "scn_close");
}

static scn_db *open_loaded(const char *name, uint32_t flags)
{
    char path[PATH_BYTES];
    struct record_set set;
    records_create(&set, RECORDS, 9);
    scn_db *db = store_open(rig_path(name, path), 0, flags);
    store_load(db, &set, 0);
    must(scn_checkpoint(db), "scn_checkpoint");
    records_destroy(&set);
    return db;
}

void bench_begins(void)
{
    char path[PATH_BYTES];
    struct pace shared;
    struct pace alone;
    struct pace bare;
    struct mate other;
    rig_path("begins.scn", path);
    must(scn_close(open_loaded("begins.scn", 0)), "scn_close");
    mate_start(&other, sit, path);
    mate_hear(&other);
    scn_db *db = store_open(path, 0, 0);
    scn_db *exclusive = open_loaded("exclusive.scn", SCN_EXCLUSIVE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    require(fd >= 0, "the file can be opened");
    for (uint32_t round = 0; round < BEGIN_ROUNDS; round++) {
        pace_turn(&bare, round, read_barely, &fd);
        pace_turn(&shared, round, begin_and_abort, db);
        pace_turn(&alone, round, begin_and_abort, exclusive);
    }
    close(fd);
    must(scn_close(exclusive), "scn_close");
    must(scn_close(db), "scn_close");
    mate_end(&other);
    double wall = samples_median(shared.wall_us, BEGIN_ROUNDS);
    double bare_wall = samples_median(bare.wall_us, BEGIN_ROUNDS);
    figure_note("pread of 1280 bytes", bare_wall, "us");
    figure_note("pread of 1280 bytes, CPU", samples_median(bare.cpu_us, BEGIN_ROUNDS),
                "us");
    figure_note("beginning and ending it, SCN_EXCLUSIVE",
                samples_median(alone.wall_us, BEGIN_ROUNDS), "us");
    figure_note("beginning and ending it, CPU",
                samples_median(shared.cpu_us, BEGIN_ROUNDS), "us");
    figure_note("beginning and ending it, against the pread", wall / bare_wall, "x");
    figure_at_most("beginning and ending a transaction that reads", wall, 1.5, "us");
}
