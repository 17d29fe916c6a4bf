/* Short words for the directed tests: one store with one table. */
#ifndef TEST_MANY_DESK_H
#define TEST_MANY_DESK_H

#include "test/many/party.h"

/* Where either a test or a process of it ends if anything fails. */
scn_db *desk_open(const char *path, uint32_t flags);
void desk_close(scn_db *db);
void desk_put(scn_db *db, const char *key, const char *value);
/* NULL: it must not be there. */
bool desk_holds(scn_db *db, const char *key, const char *value);
scn_slice desk_text(const char *from);
/* A path that is good for the rest of the program. */
const char *desk_path(const char *name);

#endif
