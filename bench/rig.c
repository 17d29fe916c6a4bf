#include "bench/rig.h"

#include "bench/figure.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[PATH_BYTES / 2];

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---- records ---- */

void records_shuffle(struct record_set *set, uint64_t seed)
{
    for (uint32_t i = 0; i < set->count; i++)
        set->order[i] = i;
    for (uint32_t i = set->count; i > 1; i--) {
        uint32_t j = (uint32_t)(random_next(&seed) % i);
        uint32_t held = set->order[i - 1];
        set->order[i - 1] = set->order[j];
        set->order[j] = held;
    }
    for (uint32_t at = 0; at < set->count; at++)
        memcpy(set->queries[at], set->keys[set->order[at]], KEY_BYTES);
}

void records_create(struct record_set *set, uint32_t count, uint64_t seed)
{
    set->count = count;
    set->keys = malloc((size_t)count * KEY_BYTES);
    set->order = malloc((size_t)count * sizeof *set->order);
    set->queries = malloc((size_t)count * KEY_BYTES);
    require(set->keys != NULL && set->order != NULL && set->queries != NULL,
            "there is memory for the records");
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t at = 0; at < KEY_BYTES; at += 8) {
            uint64_t word = random_next(&seed);
            memcpy(set->keys[i] + at, &word, 8);
        }
    }
    records_shuffle(set, seed);
}

void records_destroy(struct record_set *set)
{
    free(set->keys);
    free(set->order);
    free(set->queries);
}

scn_slice record_key(const struct record_set *set, uint32_t i)
{
    return (scn_slice){set->keys[i], KEY_BYTES};
}

scn_slice record_query(const struct record_set *set, uint32_t at)
{
    return (scn_slice){set->queries[at], KEY_BYTES};
}

scn_slice record_value(uint32_t i, uint32_t version, uint8_t buf[VALUE_BYTES])
{
    uint64_t state = ((uint64_t)version << 32) | i;
    for (uint32_t at = 0; at < VALUE_BYTES; at += 8) {
        uint64_t word = random_next(&state);
        memcpy(buf + at, &word, VALUE_BYTES - at < 8 ? VALUE_BYTES - at : 8);
    }
    return (scn_slice){buf, VALUE_BYTES};
}

/* ---- files ---- */

void must(scn_status st, const char *what)
{
    if (st == SCN_OK)
        return;
    scn_error error = {.struct_size = sizeof error};
    scn_last_error(NULL, &error);
    fprintf(stderr, "bench: %s: %s (%s)\n", what, scn_strerror(st), error.text);
    exit(1);
}

void rig_open(void)
{
    const char *where = getenv("BENCH_DIR");
    if (where == NULL)
        where = access("build", W_OK) == 0 ? "build" : ".";
    snprintf(folder, sizeof folder, "%.200s/scrine-bench-XXXXXX", where);
    require(mkdtemp(folder) != NULL, "a folder for the benchmark's files can be made");
}

void rig_close(void)
{
    char path[PATH_BYTES];
    DIR *dir = opendir(folder);
    require(dir != NULL, "the benchmark's folder can be read");
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (entry->d_name[0] != '.')
            unlink(rig_path(entry->d_name, path));
    closedir(dir);
    rmdir(folder);
}

const char *rig_path(const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%.200s", folder, name);
    return path;
}

uint64_t rig_file_bytes(const char *path)
{
    struct stat st;
    require(stat(path, &st) == 0, "the file can be examined");
    return (uint64_t)st.st_size;
}

/* ---- stores ---- */

scn_db *store_open(const char *path, uint64_t pool_bytes, uint32_t flags)
{
    scn_options options;
    scn_db *db;
    scn_options_init(&options);
    options.pool_bytes = pool_bytes;
    options.flags = flags;
    must(scn_open(path, &options, &db), "scn_open");
    return db;
}

scn_table_id store_table(scn_db *db)
{
    scn_txn *txn;
    scn_table_id table;
    must(scn_begin(db, SCN_WRITE, &txn), "scn_begin");
    must(scn_table(txn, "records", SCN_CREATE, &table), "scn_table");
    must(scn_commit(txn), "scn_commit");
    return table;
}

void store_load(scn_db *db, const struct record_set *set, uint32_t version)
{
    scn_txn *txn;
    scn_table_id table;
    uint8_t value[VALUE_BYTES];
    must(scn_begin(db, SCN_WRITE, &txn), "scn_begin");
    must(scn_table(txn, "records", SCN_CREATE, &table), "scn_table");
    for (uint32_t at = 0; at < set->count; at++) {
        uint32_t i = set->order[at];
        must(scn_put(txn, table, record_key(set, i), record_value(i, version, value), 0),
             "scn_put");
    }
    must(scn_commit(txn), "scn_commit");
}

/* ---- processes ---- */

int run_again(const char *const arguments[], struct rusage *usage)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    require(pid >= 0, "a process can be started");
    if (pid == 0) {
        execv("/proc/self/exe", (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    require(wait4(pid, &status, 0, usage) == pid, "the process can be waited for");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Only comes back where that does not work. */
static void become(const char *name, const char *const arguments[])
{
    char path[PATH_BYTES];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 64);
    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len > 0 && freopen("/dev/null", "w", stdout) != NULL) {
        snprintf(path + len, 64, "%s", name);
        execv(path, (char *const *)(uintptr_t)arguments);
    }
}

int run_beside(const char *const arguments[])
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    require(pid >= 0, "a process can be started");
    if (pid == 0) {
        become(arguments[0], arguments);
        _exit(127);
    }
    require(waitpid(pid, &status, 0) == pid, "the process can be waited for");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void run_killed(void (*fn)(void *ctx), void *ctx)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    require(pid >= 0, "a process can be started");
    if (pid == 0) {
        fn(ctx);
        _exit(127);
    }
    require(waitpid(pid, &status, 0) == pid, "the process can be waited for");
    require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the process was killed");
}
