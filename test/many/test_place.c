/* Where the file is, and by which ways processes come to it: links, copies, moves,
 * permissions, mounts, a second copy of the library. */
#include "test/many/desk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- links ---- */

static uint64_t commits(scn_db *db)
{
    scn_stats_t stats = {.struct_size = sizeof stats};
    CHECK_OK(scn_stats(db, &stats));
    return stats.commits;
}

TEST(place__is_one_by_all_of_its_names)
{
    const char *path = desk_path("name");
    const char *symbolic = desk_path("symbolic");
    const char *hard = desk_path("hard");
    scn_db *one = desk_open(path, 0);
    CHECK_OK(symlink(path, symbolic));
    CHECK_OK(link(path, hard));
    scn_db *two = desk_open(symbolic, 0);
    scn_db *three = desk_open(hard, 0);
    desk_put(one, "key", "1");
    desk_put(two, "key", "2");
    desk_put(three, "other", "3");
    CHECK(desk_holds(one, "key", "2"));
    CHECK(desk_holds(two, "other", "3"));
    CHECK_EQ(commits(one), 3); /* counted by the core that they share */
    CHECK_EQ(commits(three), 3);
    desk_close(two);
    desk_close(one);
    CHECK(desk_holds(three, "key", "2"));
    desk_close(three);
}

/* ---- another copy of the library ---- */

struct library {
    void *handle;
    scn_status (*open)(const char *, const scn_options *, scn_db **);
    scn_status (*close)(scn_db *);
    scn_status (*put1)(scn_db *, const char *, scn_slice, scn_slice);
    scn_status (*get_copy)(scn_db *, const char *, scn_slice, void **, size_t *);
    void (*free)(void *);
};

static void find(const struct library *library, const char *name, void *function)
{
    void *found = dlsym(library->handle, name);
    CHECK(found);
    memcpy(function, &found, sizeof found);
}

/* It lies beside the program. */
static struct library load_library(void)
{
    struct library library = {0};
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 32);
    CHECK(len > 0);
    snprintf(path + len, sizeof path - (size_t)len, "-copy.so");
    library.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library.handle == NULL)
        printf("    %s\n", dlerror());
    CHECK(library.handle);
    find(&library, "scn_open", &library.open);
    find(&library, "scn_close", &library.close);
    find(&library, "scn_put1", &library.put1);
    find(&library, "scn_get_copy", &library.get_copy);
    find(&library, "scn_free", &library.free);
    return library;
}

TEST(place__is_shared_by_two_copies_of_the_library_in_one_process)
{
    struct library other = load_library();
    scn_db *ours = desk_open(desk_path("twice"), 0);
    scn_db *theirs = NULL;
    void *value = NULL;
    size_t size = 0;
    char text[16];
    CHECK(other.open != scn_open);
    CHECK_OK(other.open(desk_path("twice"), NULL, &theirs));
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "%d", i);
        desk_put(ours, "ours", text);
        CHECK_OK(other.get_copy(theirs, "desk", desk_text("ours"), &value, &size));
        CHECK(size == strlen(text) && memcmp(value, text, size) == 0);
        other.free(value);
        CHECK_OK(other.put1(theirs, "desk", desk_text("theirs"), desk_text(text)));
        CHECK(desk_holds(ours, "theirs", text));
        if (i % 7 == 0)
            CHECK_OK(scn_checkpoint(ours));
    }
    CHECK_OK(other.close(theirs));
    desk_put(ours, "ours", "still");
    desk_close(ours);
    CHECK_OK(other.open(desk_path("twice"), NULL, &theirs));
    CHECK_OK(other.get_copy(theirs, "desk", desk_text("ours"), &value, &size));
    CHECK(size == 5);
    other.free(value);
    CHECK_OK(other.close(theirs));
}

/* ---- rm, mv, cp ---- */

TEST(place__that_is_gone_or_another_is_told)
{
    scn_health_t health = {.struct_size = sizeof health};
    const char *path = desk_path("here");
    const char *there = desk_path("there");
    scn_db *db = desk_open(path, 0);
    desk_put(db, "key", "1");
    CHECK_OK(scn_health(db, &health));
    CHECK_OK(rename(path, there));
    CHECK_EQ(scn_health(db, &health), SCN_MOVED);
    desk_put(db, "key", "2"); /* into the file that it has */
    scn_db *other = desk_open(there, 0);
    CHECK(desk_holds(other, "key", "2"));
    desk_close(other);
    other = desk_open(path, 0); /* a new one */
    CHECK(desk_holds(other, "key", NULL));
    desk_close(other);
    CHECK_EQ(scn_health(db, &health), SCN_MOVED);
    CHECK_OK(rename(there, path));
    CHECK_OK(scn_health(db, &health));
    CHECK_OK(unlink(path));
    CHECK_EQ(scn_health(db, &health), SCN_MOVED);
    desk_close(db);
}

enum { ROWS = 48, ROW_WORDS = 60 };

static scn_status fill_rows(scn_txn *txn, void *ctx)
{
    uint64_t value[ROW_WORDS];
    uint64_t dice = *(uint64_t *)ctx;
    scn_table_id table;
    char key[16];
    value[0] = dice;
    scn_status st = scn_table(txn, "desk", SCN_CREATE, &table);
    for (int i = 1; i < ROW_WORDS; i++)
        value[i] = unit_random(&dice);
    for (int i = 0; st == SCN_OK && i < ROWS; i++) {
        snprintf(key, sizeof key, "row%04d", i);
        st = scn_put(txn, table, desk_text(key), (scn_slice){value, sizeof value}, 0);
    }
    return st;
}

static void fill_run(void *ctx, int fd)
{
    scn_db *db = desk_open(desk_path("original"), 0);
    (void)ctx;
    for (uint64_t stamp = 1;; stamp++) {
        MUST_OK(scn_update(db, fill_rows, &stamp));
        if (stamp % 40 == 0)
            MUST_OK(scn_checkpoint(db));
        if (stamp == 1)
            party_tell(fd, 'f');
    }
}

/* As cp does it. */
static void copy_file(const char *from, const char *to)
{
    static char buf[128 * 1024];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t len;
    CHECK(in >= 0 && out >= 0);
    while ((len = read(in, buf, sizeof buf)) > 0)
        CHECK(write(out, buf, (size_t)len) == len);
    CHECK_EQ(len, 0);
    close(in);
    close(out);
}

/* All rows of one commit, or an error. */
static scn_status read_rows(scn_db *db)
{
    scn_txn *txn;
    scn_table_id table;
    scn_cursor *cursor = NULL;
    scn_slice key, value;
    uint64_t first[ROW_WORDS];
    int count = 0;
    scn_status st = scn_begin(db, SCN_READ, &txn);
    if (st != SCN_OK)
        return st;
    st = scn_table(txn, "desk", 0, &table);
    if (st == SCN_OK)
        st = scn_cursor_open(txn, table, &cursor);
    while (st == SCN_OK && (st = scn_next(cursor, &key, &value)) == SCN_OK) {
        CHECK_EQ(value.size, sizeof first);
        if (count++ == 0)
            memcpy(first, value.data, sizeof first);
        CHECK(memcmp(first, value.data, sizeof first) == 0);
    }
    if (st == SCN_END)
        CHECK_EQ(count, ROWS);
    scn_abort(txn);
    return st;
}

TEST(place__that_is_copied_alive_is_whole_or_refused)
{
    enum { COPIES = 24 };
    int whole = 0;
    struct partner writer = party_start(fill_run, NULL);
    party_hear(writer.fd, 'f');
    for (int i = 0; i < COPIES; i++) {
        scn_db *db = NULL;
        copy_file(desk_path("original"), desk_path("copy"));
        scn_status st = scn_open(desk_path("copy"), NULL, &db);
        if (st == SCN_OK) {
            st = read_rows(db);
            (void)scn_close(db);
        }
        CHECK(st == SCN_END || st == SCN_CORRUPT || st == SCN_NOTFOUND);
        whole += st == SCN_END;
        CHECK_OK(unlink(desk_path("copy")));
    }
    party_kill(&writer);
    printf("    copies of a file in use: %d of %d whole, the others refused\n", whole,
           COPIES);
}

/* ---- those who may not write ---- */

static void write_on_run(void *ctx, int fd)
{
    char value[16];
    scn_db *db = desk_open(ctx, 0);
    desk_put(db, "key", "0");
    party_tell(fd, 'w');
    for (int i = 1; i <= 20; i++) {
        party_hear(fd, 'n');
        snprintf(value, sizeof value, "%d", i);
        desk_put(db, "key", value);
        if (i % 6 == 0)
            MUST_OK(scn_checkpoint(db));
        party_tell(fd, 'w');
    }
    party_hear(fd, 'e');
    desk_close(db);
}

static void read_along(scn_db *db, int fd)
{
    char value[16];
    for (int i = 1; i <= 20; i++) {
        scn_txn *txn;
        MUST_OK(scn_begin(db, SCN_READ, &txn));
        party_tell(fd, 'n');
        party_hear(fd, 'w');
        snprintf(value, sizeof value, "%d", i);
        MUST(desk_holds(db, "key", value));
        scn_abort(txn);
    }
    MUST_OK(scn_put1(db, "desk", desk_text("key"), desk_text("")) - SCN_READONLY);
}

TEST(place__is_read_beside_those_who_write)
{
    char *path = (char *)desk_path("beside");
    struct partner writer = party_start(write_on_run, path);
    party_hear(writer.fd, 'w');
    scn_db *db = desk_open(path, SCN_RDONLY);
    CHECK(desk_holds(db, "key", "0"));
    read_along(db, writer.fd);
    party_tell(writer.fd, 'e');
    party_end(&writer);
    CHECK(desk_holds(db, "key", "20"));
    desk_close(db);
}

static void skip(const char *what)
{
    printf("    skipped: %s: %s\n", what, strerror(errno));
    fflush(stdout);
}

struct visit {
    const char *path;
    const char *folder;
    int writer_fd;
};

/* As somebody to whom the file is for reading only. */
static void stranger_run(void *ctx, int fd)
{
    const struct visit *visit = ctx;
    scn_db *db = NULL;
    (void)fd;
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
        skip("another user");
        return;
    }
    if (access(visit->path, R_OK) != 0) { /* a folder above is closed to others */
        skip("a file that others can reach");
        return;
    }
    MUST_OK(scn_open(visit->path, NULL, &db) - SCN_READONLY);
    db = desk_open(visit->path, SCN_RDONLY);
    read_along(db, visit->writer_fd);
    desk_close(db);
}

TEST(place__without_write_permission_is_read_all_the_same)
{
    struct visit visit = {.path = desk_path("public")};
    char folder[4096];
    struct partner writer = party_start(write_on_run, (char *)visit.path);
    party_hear(writer.fd, 'w');
    snprintf(folder, sizeof folder, "%s", visit.path);
    *strrchr(folder, '/') = '\0';
    CHECK_OK(chmod(folder, 0755));
    CHECK_OK(chmod(visit.path, 0444));
    visit.writer_fd = writer.fd;
    struct partner stranger = party_start(stranger_run, &visit);
    party_end(&stranger);
    party_kill(&writer);
}

static bool mount_here(const char *source, const char *target, const char *type,
                       unsigned long flags, const char *data)
{
    if (mount(source, target, type, flags, data) == 0)
        return true;
    skip(type ? type : "a mount");
    return false;
}

/* Mounts of this process alone. */
static bool leave_mounts(void)
{
    if (unshare(CLONE_NEWNS) != 0) {
        skip("a name space for mounts");
        return false;
    }
    return mount_here("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static void mounted_read_run(void *ctx, int fd)
{
    const struct visit *visit = ctx;
    scn_db *db = NULL;
    (void)fd;
    if (!leave_mounts() ||
        !mount_here(visit->folder, visit->folder, NULL, MS_BIND, NULL) ||
        !mount_here("none", visit->folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
        return;
    MUST_OK(scn_open(visit->path, NULL, &db) - SCN_READONLY);
    db = desk_open(visit->path, SCN_RDONLY);
    read_along(db, visit->writer_fd);
    desk_close(db);
}

TEST(place__mounted_for_reading_is_read_beside_those_who_write)
{
    struct visit visit = {.folder = desk_path("mounted")};
    CHECK_OK(mkdir(visit.folder, 0755));
    visit.path = desk_path("mounted/store");
    struct partner writer = party_start(write_on_run, (char *)visit.path);
    party_hear(writer.fd, 'w');
    visit.writer_fd = writer.fd;
    struct partner reader = party_start(mounted_read_run, &visit);
    party_end(&reader);
    party_kill(&writer);
}

/* The upper folder is one in memory: not all file systems can be it. */
static void overlay_run(void *ctx, int fd)
{
    const char *folder = ctx;
    char data[1000];
    char path[1000];
    (void)fd;
    snprintf(path, sizeof path, "%s/upper", folder);
    if (!leave_mounts() || !mount_here("none", path, "tmpfs", 0, NULL))
        return;
    snprintf(data, sizeof data, "%s/upper/files", folder);
    MUST_OK(mkdir(data, 0755));
    snprintf(data, sizeof data, "%s/upper/work", folder);
    MUST_OK(mkdir(data, 0755));
    snprintf(data, sizeof data, "lowerdir=%s/lower,upperdir=%s/upper/files,"
             "workdir=%s/upper/work", folder, folder, folder);
    snprintf(path, sizeof path, "%s/merged", folder);
    if (!mount_here("none", path, "overlay", 0, data))
        return;
    snprintf(path, sizeof path, "%s/merged/store", folder);
    scn_db *db = desk_open(path, SCN_RDONLY);
    MUST(desk_holds(db, "key", "lower"));
    desk_close(db);
    db = desk_open(path, 0);
    desk_put(db, "key", "upper");
    desk_close(db);
    db = desk_open(path, 0);
    MUST(desk_holds(db, "key", "upper"));
    desk_close(db);
}

TEST(place__in_an_overlay_leaves_what_is_below_alone)
{
    const char *folder = desk_path("overlay");
    CHECK_OK(mkdir(folder, 0755));
    CHECK_OK(mkdir(desk_path("overlay/lower"), 0755));
    CHECK_OK(mkdir(desk_path("overlay/upper"), 0755));
    CHECK_OK(mkdir(desk_path("overlay/merged"), 0755));
    scn_db *db = desk_open(desk_path("overlay/lower/store"), 0);
    desk_put(db, "key", "lower");
    desk_close(db);
    struct partner partner = party_start(overlay_run, (char *)folder);
    party_end(&partner);
    db = desk_open(desk_path("overlay/lower/store"), 0);
    CHECK(desk_holds(db, "key", "lower"));
    desk_close(db);
}
