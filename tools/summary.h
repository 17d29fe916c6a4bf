/* What is to be said of a store as a whole: its figures, its health, its tables. */
#ifndef TOOLS_SUMMARY_H
#define TOOLS_SUMMARY_H

#include "tools/handle.h"

struct summary_table {
    char name[256];
    scn_table_id id;
    scn_table_stat stat;
};

/* Zeroed is empty. */
struct summary_tables {
    scn_txn *txn;
    bool takes_all; /* also those kept about other tables, with a tilde in front */
    struct summary_table *items;
    size_t count;
    size_t capacity;
};

struct summary {
    scn_stats_t stats;
    scn_health_t health;
    struct summary_tables tables; /* all of them */
    bool is_fresh; /* the store was opened for it: what was read then is what is there */
};

/* Both begin the snapshot of the handle.  The tables are to be freed, also after a
 * failure, which was told. */
enum outcome summary_list_tables(struct handle *handle, struct summary_tables *tables);
enum outcome summary_read(struct handle *handle, struct summary *out);
void summary_free_tables(struct summary_tables *tables);

#endif
