/* Where commands are killed: see yard.h. */
#include "test/tools/yard.h"

#include "test/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_ROOM = 512, OUTPUT_ROOM = 1 << 16, COPY_ROOM = 1 << 20 };

/* ---- names ---- */

static const char *folder_of(const char *name)
{
    static char paths[2][PATH_ROOM];
    char *path = paths[strcmp(name, "used") == 0];
    if (path[0] == 0) {
        snprintf(path, PATH_ROOM, "%s", unit_path(name));
        CHECK(mkdir(path, 0755) == 0);
    }
    return path;
}

static const char *in_folder(const char *folder, const char *name)
{
    static char paths[4][PATH_ROOM];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    CHECK(snprintf(path, PATH_ROOM, "%s/%s", folder_of(folder), name) < PATH_ROOM);
    return path;
}

const char *yard_made(const char *name)
{
    return in_folder("made", name);
}

const char *yard_used(const char *name)
{
    return in_folder("used", name);
}

bool yard_has(const char *name)
{
    return access(yard_used(name), F_OK) == 0;
}

static bool is_among(const char *name, yard_files names)
{
    for (int i = 0; i < YARD_FILES && names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* ---- files ---- */

static void copy_file(const char *from, const char *to)
{
    static char buf[COPY_ROOM];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ssize_t got;
    CHECK(in >= 0 && out >= 0);
    while ((got = read(in, buf, sizeof buf)) > 0)
        CHECK(write(out, buf, (size_t)got) == got);
    CHECK(got == 0 && close(in) == 0 && close(out) == 0);
}

/* Calls fn for each file of the folder. */
static void each_file(void (*fn)(const char *name, void *ctx), void *ctx)
{
    DIR *dir = opendir(folder_of("used"));
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.')
            fn(entry->d_name, ctx);
    closedir(dir);
}

static void remove_one(const char *name, void *ctx)
{
    (void)ctx;
    CHECK(unlink(yard_used(name)) == 0);
}

void yard_stock(yard_files names)
{
    each_file(remove_one, NULL);
    for (int i = 0; i < YARD_FILES && names[i]; i++)
        copy_file(yard_made(names[i]), yard_used(names[i]));
}

struct expected {
    const char *const *names;
    const char *other;
};

static void check_one(const char *name, void *ctx)
{
    const struct expected *expected = ctx;
    if (is_among(name, expected->names) ||
        (expected->other && strcmp(name, expected->other) == 0))
        return;
    unit_fail(__FILE__, __LINE__, "%s is left", name);
}

void yard_check_only(yard_files names, const char *other)
{
    struct expected expected = {names, other};
    each_file(check_one, &expected);
}

void yard_check_same(const char *name)
{
    static char a[COPY_ROOM];
    static char b[COPY_ROOM];
    int one = open(yard_made(name), O_RDONLY | O_CLOEXEC);
    int other = open(yard_used(name), O_RDONLY | O_CLOEXEC);
    ssize_t got;
    CHECK(one >= 0 && other >= 0);
    do {
        got = read(one, a, sizeof a);
        CHECK_EQ(read(other, b, sizeof b), got);
        CHECK(got >= 0 && memcmp(a, b, (size_t)got) == 0);
    } while (got > 0);
    CHECK(close(one) == 0 && close(other) == 0);
}

/* ---- commands ---- */

/* Beside this program. */
static void resolve(yard_words words, const char *resolved[YARD_WORDS])
{
    static char path[PATH_ROOM];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(len > 0);
    path[len] = 0;
    char *slash = strrchr(path, '/');
    snprintf(slash + 1, sizeof path - (size_t)(slash + 1 - path), "%s", words[0]);
    memcpy(resolved, words, YARD_WORDS * sizeof *resolved);
    resolved[0] = path;
}

static const char *output_path(void)
{
    static char path[PATH_ROOM];
    if (path[0] == 0)
        snprintf(path, sizeof path, "%s", unit_path("out"));
    return path;
}

static int run_in(const char *folder, yard_words words)
{
    const char *resolved[YARD_WORDS];
    int status;
    resolve(words, resolved);
    folder = folder_of(folder);
    const char *output = output_path();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int out = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
        if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || chdir(folder) != 0)
            _exit(126);
        execv(resolved[0], (char *const *)resolved);
        _exit(126);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int yard_make(yard_words words)
{
    return run_in("made", words);
}

int yard_run(yard_words words)
{
    return run_in("used", words);
}

struct strike_result yard_strike(yard_words words, struct strike strike)
{
    const char *resolved[YARD_WORDS];
    resolve(words, resolved);
    return strike_run(folder_of("used"), resolved, output_path(), strike);
}

const char *yard_output(void)
{
    static char text[OUTPUT_ROOM];
    int fd = open(output_path(), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t got = read(fd, text, sizeof text - 1);
    CHECK(got >= 0 && close(fd) == 0);
    text[got] = 0;
    return text;
}

/* ---- stores ---- */

struct sum {
    scn_txn *txn;
    uint64_t hash;
};

static void add_bytes(struct sum *sum, const void *data, size_t len)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < len; i++)
        sum->hash = (sum->hash ^ at[i]) * UINT64_C(0x100000001b3);
    sum->hash = (sum->hash ^ len) * UINT64_C(0x9e3779b97f4a7c15);
}

static scn_status add_table(void *ctx, const char *name, scn_table_id id)
{
    struct sum *sum = ctx;
    scn_cursor *cursor;
    scn_slice key;
    scn_slice value;
    add_bytes(sum, name, strlen(name));
    CHECK_OK(scn_cursor_open(sum->txn, id, &cursor));
    scn_status st = scn_first(cursor, &key, &value);
    while (st == SCN_OK) {
        add_bytes(sum, key.data, key.size);
        add_bytes(sum, value.data, value.size);
        st = scn_next(cursor, &key, &value);
    }
    CHECK_EQ(st, SCN_END);
    scn_cursor_close(cursor);
    return SCN_OK;
}

static void check_sound(scn_db *db, const char *path)
{
    scn_health_t health = {.struct_size = sizeof health};
    uint64_t issues = 0;
    CHECK_OK(scn_check(db, SCN_CHECK_ALL, NULL, NULL, &issues));
    CHECK_OK(scn_health(db, &health));
    if (issues || !health.healthy)
        unit_fail(__FILE__, __LINE__, "%s is not sound: %llu issues %s", path,
                  (unsigned long long)issues, health.reason);
}

uint64_t yard_rows(const char *path)
{
    scn_options options;
    scn_db *db;
    struct sum sum = {.hash = 1};
    scn_options_init(&options);
    options.flags = SCN_RDONLY | SCN_NOCREATE;
    scn_status st = scn_open(path, &options, &db);
    if (st != SCN_OK)
        unit_fail(__FILE__, __LINE__, "%s is no store: %d", path, st);
    check_sound(db, path);
    CHECK_OK(scn_begin(db, SCN_READ, &sum.txn));
    CHECK_OK(scn_table_each(sum.txn, add_table, &sum));
    scn_abort(sum.txn);
    CHECK_OK(scn_close(db));
    return sum.hash;
}
