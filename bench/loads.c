/* Writing much: a bulk load in one transaction, and lazy single puts. */
#include "bench/groups.h"

#include "bench/figure.h"
#include "bench/peer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- bulk load ---- */

enum { LOAD_RECORDS = 1000000, LOAD_ROUNDS = 3 };

struct load_times {
    double wall[LOAD_ROUNDS];
    double cpu[LOAD_ROUNDS];
};

static void load_ours(const struct record_set *set, struct load_times *times,
                      uint32_t round)
{
    char path[PATH_BYTES];
    scn_db *db = store_open(rig_path("load.scn", path), (uint64_t)1 << 30, 0);
    uint64_t cpu = process_cpu_ns();
    uint64_t wall = wall_ns();
    store_load(db, set, 0);
    times->wall[round] = (double)(wall_ns() - wall) / 1e9;
    times->cpu[round] = (double)(process_cpu_ns() - cpu) / 1e9;
    must(scn_close(db), "scn_close");
    unlink(path);
}

static void load_theirs(const struct record_set *set, struct load_times *times,
                        uint32_t round)
{
    char path[PATH_BYTES];
    struct peer peer;
    peer_open(&peer, rig_path("load.mdb", path));
    uint64_t cpu = process_cpu_ns();
    uint64_t wall = wall_ns();
    peer_load(&peer, set);
    times->wall[round] = (double)(wall_ns() - wall) / 1e9;
    times->cpu[round] = (double)(process_cpu_ns() - cpu) / 1e9;
    peer_close(&peer);
    unlink(path);
}

void bench_loads(void)
{
    struct record_set set;
    struct load_times ours;
    struct load_times theirs;
    records_create(&set, LOAD_RECORDS, 3);
    for (uint32_t round = 0; round < LOAD_ROUNDS; round++) {
        load_theirs(&set, &theirs, round);
        load_ours(&set, &ours, round);
    }
    double our_wall = samples_median(ours.wall, LOAD_ROUNDS);
    double their_wall = samples_median(theirs.wall, LOAD_ROUNDS);
    figure_note("bulk load of 1M, ours", our_wall, "s");
    figure_note("bulk load of 1M, LMDB", their_wall, "s");
    figure_note("bulk load of 1M, ours, CPU", samples_median(ours.cpu, LOAD_ROUNDS), "s");
    figure_note("bulk load of 1M, LMDB, CPU", samples_median(theirs.cpu, LOAD_ROUNDS),
                "s");
    figure_at_least("bulk load of 1M against LMDB", their_wall / our_wall, 1, "x");
    records_destroy(&set);
}

/* ---- lazy puts ---- */

enum { LAZY_PUTS = 200000, LAZY_ROUNDS = 3, RAW_BYTES = 200, RAW_FILE_BYTES = 16 << 20 };

static scn_db *open_lazy(const char *path)
{
    scn_options options;
    scn_db *db;
    scn_options_init(&options);
    options.durability = SCN_SYNC_LAZY;
    must(scn_open(path, &options, &db), "scn_open");
    return db;
}

struct effort {
    double wall_us[LAZY_ROUNDS];
    double thread_us[LAZY_ROUNDS];
    double process_us[LAZY_ROUNDS];
};

struct stopwatch {
    uint64_t wall;
    uint64_t thread;
    uint64_t process;
};

static struct stopwatch start_watch(void)
{
    return (struct stopwatch){wall_ns(), thread_cpu_ns(), process_cpu_ns()};
}

static void stop_watch(const struct stopwatch *watch, uint32_t count,
                       struct effort *effort, uint32_t round)
{
    effort->wall_us[round] = (double)(wall_ns() - watch->wall) / 1e3 / count;
    effort->thread_us[round] = (double)(thread_cpu_ns() - watch->thread) / 1e3 / count;
    effort->process_us[round] = (double)(process_cpu_ns() - watch->process) / 1e3 / count;
}

static void put_lazily(const struct record_set *set, struct effort *effort,
                       uint32_t round)
{
    char path[PATH_BYTES];
    uint8_t value[VALUE_BYTES];
    scn_db *db = open_lazy(rig_path("lazy.scn", path));
    store_table(db);
    struct stopwatch watch = start_watch();
    for (uint32_t i = 0; i < LAZY_PUTS; i++)
        must(scn_put1(db, "records", record_key(set, i), record_value(i, 0, value)),
             "scn_put1");
    stop_watch(&watch, LAZY_PUTS, effort, round);
    must(scn_close(db), "scn_close");
    unlink(path);
}

/* The least that keeps a record safe from the death of a process among others that write.
 */
static void write_plainly(struct effort *effort, uint32_t round)
{
    char path[PATH_BYTES];
    uint8_t bytes[RAW_BYTES] = {0};
    uint64_t off = 0;
    int fd = open(rig_path("raw", path), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    require(fd >= 0 && ftruncate(fd, RAW_FILE_BYTES) == 0, "a plain file can be made");
    struct stopwatch watch = start_watch();
    for (uint32_t i = 0; i < LAZY_PUTS; i++) {
        struct flock lock = {.l_type = F_WRLCK, .l_start = RAW_FILE_BYTES, .l_len = 1};
        require(fcntl(fd, F_OFD_SETLK, &lock) == 0, "a lock can be taken");
        require(pwrite(fd, bytes, RAW_BYTES, (off_t)off) == RAW_BYTES,
                "a file can be written");
        lock.l_type = F_UNLCK;
        require(fcntl(fd, F_OFD_SETLK, &lock) == 0, "a lock can be given back");
        off = (off + RAW_BYTES) % (RAW_FILE_BYTES - RAW_BYTES);
    }
    stop_watch(&watch, LAZY_PUTS, effort, round);
    close(fd);
}

/* ---- kill -9 ---- */

enum { KILLED_PUTS = 100000 };

struct victim {
    const struct record_set *set;
    _Atomic uint32_t *acknowledged; /* shared with the parent */
    const char *path;
};

static void put_until_killed(void *ctx)
{
    struct victim *victim = ctx;
    uint8_t value[VALUE_BYTES];
    scn_db *db = open_lazy(victim->path);
    store_table(db);
    for (uint32_t i = 0; i < KILLED_PUTS; i++) {
        must(scn_put1(db, "records", record_key(victim->set, i),
                      record_value(i, 0, value)),
             "scn_put1");
        atomic_store(victim->acknowledged, i + 1);
    }
    raise(SIGKILL);
}

static void count_survivors(const struct record_set *set)
{
    char path[PATH_BYTES];
    void *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(shared != MAP_FAILED, "memory can be shared");
    struct victim victim = {set, shared, rig_path("killed.scn", path)};
    run_killed(put_until_killed, &victim);
    scn_db *db = open_lazy(path);
    scn_table_id table = store_table(db);
    scn_txn *txn;
    uint32_t lost = 0;
    must(scn_begin(db, SCN_READ, &txn), "scn_begin");
    for (uint32_t i = 0; i < atomic_load(victim.acknowledged); i++) {
        scn_slice found;
        uint8_t value[VALUE_BYTES];
        record_value(i, 0, value);
        scn_status st = scn_get(txn, table, record_key(set, i), &found);
        if (st != SCN_OK || found.size != VALUE_BYTES ||
            memcmp(found.data, value, VALUE_BYTES))
            lost++;
    }
    scn_abort(txn);
    must(scn_close(db), "scn_close");
    munmap(shared, 4096);
    figure_at_most("acknowledged lazy puts lost by kill -9", lost, 0, "");
}

void bench_lazy(void)
{
    struct record_set set;
    struct effort ours;
    struct effort theirs;
    records_create(&set, LAZY_PUTS, 4);
    count_survivors(&set);
    for (uint32_t round = 0; round < LAZY_ROUNDS; round++) {
        write_plainly(&theirs, round);
        put_lazily(&set, &ours, round);
    }
    double wall = samples_median(ours.wall_us, LAZY_ROUNDS);
    double thread = samples_median(ours.thread_us, LAZY_ROUNDS);
    double process = samples_median(ours.process_us, LAZY_ROUNDS);
    double plain = samples_median(theirs.process_us, LAZY_ROUNDS);
    figure_note("lock, pwrite, unlock, CPU", plain, "us");
    figure_note("lazy put, wall", wall, "us");
    figure_note("lazy put, CPU of the thread", thread, "us");
    figure_note("lazy put, CPU of the process", process, "us");
    figure_at_least("lazy puts a second", 1e6 / wall, 150000, "");
    figure_at_most("lazy put, thread, against lock, pwrite, unlock", thread / plain, 1.5,
                   "x");
    figure_at_most("lazy put, process, against lock, pwrite, unlock", process / plain,
                   1.5, "x");
    records_destroy(&set);
}
