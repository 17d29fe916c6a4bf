/* The user's tables in one snapshot, by id. */
#ifndef ENGINE_TABLELIST_H
#define ENGINE_TABLELIST_H

#include "engine/txn.h"

struct table_entry {
    uint32_t id;
    uint32_t flags;
    char *name; /* owned; zero-terminated */
    size_t name_len;
};

/* Starts zeroed. */
struct table_list {
    struct table_entry *entries; /* ascending by id */
    uint32_t count;
    uint32_t capacity;
};

/* The reader has not entered. */
scn_status table_list_read(struct table_list *list, struct scn_txn *txn) MUST_USE;
/* The id is above all in the list; the name is copied.  SCN_NOMEM. */
scn_status table_list_add(struct table_list *list, uint32_t id, uint32_t flags,
                          scn_slice name) MUST_USE;
void table_list_destroy(struct table_list *list);
/* NULL: there is none of this id. */
const struct table_entry *table_list_find(const struct table_list *list, uint32_t id);

#endif
