/* Short words: see desk.h.  MUST ends the whole program where it is the test itself that
 * fails, after telling why: good enough for what never fails. */
#include "test/many/desk.h"

scn_slice desk_text(const char *from)
{
    return (scn_slice){from, strlen(from)};
}

const char *desk_path(const char *name)
{
    enum { PATHS_MAX = 64 };
    static char *paths[PATHS_MAX];
    const char *path = unit_path(name);
    int i = 0;
    while (i < PATHS_MAX && paths[i] && strcmp(paths[i], path) != 0)
        i++;
    MUST(i < PATHS_MAX);
    if (paths[i] == NULL)
        paths[i] = strdup(path);
    MUST(paths[i]);
    return paths[i];
}

scn_db *desk_open(const char *path, uint32_t flags)
{
    scn_options options;
    scn_db *db = NULL;
    scn_options_init(&options);
    options.flags = flags;
    options.busy_timeout_ms = PARTY_BUSY_MS;
    MUST_OK(scn_open(path, &options, &db));
    return db;
}

void desk_close(scn_db *db)
{
    MUST_OK(scn_close(db));
}

void desk_put(scn_db *db, const char *key, const char *value)
{
    MUST_OK(scn_put1(db, "desk", desk_text(key), desk_text(value)));
}

bool desk_holds(scn_db *db, const char *key, const char *value)
{
    void *bytes = NULL;
    size_t size = 0;
    scn_status st = scn_get_copy(db, "desk", desk_text(key), &bytes, &size);
    if (st == SCN_NOTFOUND)
        return value == NULL;
    MUST_OK(st);
    bool is_same = value && size == strlen(value) && memcmp(bytes, value, size) == 0;
    scn_free(bytes);
    return is_same;
}
