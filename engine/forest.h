/* All trees of the next generation: every changed table is rebuilt, then the usage of
 * value pages, then the catalog that names the new roots.
 *
 * The order is not free: rebuilding tables changes the usage, and both have rows in the
 * catalog. Pages that drop out are freed in the allocation state; those of merged runs
 * live on where values enter a tree (runpages.h). */
#ifndef ENGINE_FOREST_H
#define ENGINE_FOREST_H

#include "engine/frozen.h"
#include "engine/runpages.h"
#include "engine/store.h"
#include "engine/usage.h"

/* A new root, for the catalog. */
struct new_root {
    uint32_t table_id;
    struct catalog_root root;
};

/* A pass over all tables that moves what lies behind the end of a packed file, and values
 * out of pages that hold little else; one step of it in each generation. */
struct forest_pass {
    struct relocation relocation; /* of the table where the last step stopped */
    uint32_t table_id;            /* ... which is the first that is not done */
    bool is_done;
};

/* The first group is the caller's to fill, the rest zero. */
struct forest {
    struct store *store;
    uint64_t gen;
    const struct frozen *frozen;
    struct writer *writer;
    bool moves_tables;        /* drain: the user tables' pages too */
    struct relocation tail;   /* drain: tree pages that move down */
    struct forest_pass *pass; /* NULL: none */

    struct tree old_usage; /* with a pass */
    uint32_t judged_pgno;  /* the page that was asked for last; 0: none */
    bool judged_moves;
    struct usage usage;
    struct run_pages run_pages;
    struct new_root *roots;
    uint32_t root_count;
    uint32_t root_capacity;
    struct page_ref catalog;
    uint32_t table_id; /* of the table being rebuilt */
    struct frozen_input input;
};

/* Everything is written, not synced. On failure the allocation state is to be abandoned.
 */
scn_status forest_rebuild(struct forest *forest, struct page_ref *catalog) MUST_USE;
void forest_destroy(struct forest *forest);

#endif
