/* The tables of a store: what the rows of the catalog say of each, by number.
 *
 * docs/format.md, "Catalog". */
#ifndef TOOLS_WALCHECK_DIRECTORY_H
#define TOOLS_WALCHECK_DIRECTORY_H

#include "page/page.h"
#include "tools/walcheck/finding.h"

enum {
    CATALOG_TABLE = 1,
    USAGE_TABLE = 2,
    FIRST_USER_TABLE = 16,
    NOTE_KEY_BYTES = 33,
    NOTE_ROW_BYTES = 8,
    ORIGIN_ROW_BYTES = 72,
    TALLY_ROW_BYTES = 24,
    TABLE_OWNER_BYTES = 24 /* for table_owner */
};

enum catalog_row_kind {
    CATALOG_ROW_BAD,
    CATALOG_ROW_NAME, /* name, table_id */
    CATALOG_ROW_ID,   /* table_id, flags, name */
    CATALOG_ROW_NEXT, /* table_id: the next new one */
    CATALOG_ROW_ROOT, /* table_id, root, counts */
    CATALOG_ROW_PAST  /* of snapshots: taken of the store, or that it was made from */
};

struct catalog_row {
    enum catalog_row_kind kind;
    uint32_t table_id;
    uint32_t flags;
    scn_slice name;
    struct page_ref root;
    uint64_t count;
    uint64_t key_bytes;
    uint64_t value_bytes;
    uint64_t pages;
};
void catalog_row_decode(scn_slice key, scn_slice value, struct catalog_row *out);
/* A key of such a row that a transaction may delete. */
bool catalog_key_is_past(scn_slice key);

struct table {
    uint32_t id;
    uint32_t flags;
    char *name; /* owned; NULL: not known */
    size_t name_len;
    bool exists;        /* it has an 'I' row */
    bool is_dropped;    /* the log says so */
    bool has_root;      /* it has an 'R' row */
    uint32_t name_rows; /* 'N' rows that lead to it */
    uint64_t name_hash; /* of the last of them */
    struct catalog_row root;
    scn_table_id out_id; /* of what is salvaged; 0: not made yet */
};

/* Zeroed is empty. */
struct directory {
    struct table *tables; /* in the order in which they were met */
    struct directory_fork *forks; /* to find them by; one less than tables */
    uint32_t root;
    uint32_t count;
    uint32_t capacity;
    uint32_t fork_capacity;
    uint32_t next_id; /* of the '#' row */
};
void directory_destroy(struct directory *directory);
/* The tables ascend by id from here on, until one is new. */
void directory_sort(struct directory *directory);
struct table *directory_find(const struct directory *directory, uint32_t table_id);
/* The table, which is new where it was not there.  Others may move.  SCN_NOMEM. */
scn_status directory_get(struct directory *directory, uint32_t table_id,
                         struct table **out) MUST_USE;
/* What one row says.  A bad one says nothing.  SCN_NOMEM. */
scn_status directory_learn(struct directory *directory,
                           const struct catalog_row *row) MUST_USE;
/* The rows do not fit together: a finding for each that does not. */
void directory_judge(const struct directory *directory, struct findings *findings,
                     uint32_t catalog_pgno);

/* "table 17" */
const char *table_owner(char buf[TABLE_OWNER_BYTES], uint32_t table_id);

#endif
