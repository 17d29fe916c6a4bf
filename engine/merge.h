/* One table as a snapshot sees it, in key order: the merge of several sources.
 *
 * Sources are given newest first. At each key the newest source that knows it decides; a
 * range tombstone in a newer source hides the key in older ones. The same code serves
 * cursors (deltas, runs, tree; both directions) and the checkpoint (deltas and runs
 * alone, deletions reported).
 *
 * Every source keeps a position: in the direction of travel, the first of its keys not
 * yet handed out. Those that took part in the last answer are `spent` and step at the
 * next call. All functions run between pool_enter and pool_leave of the reader, which
 * seeking and stepping may renew: pages that the caller does not hold are gone then. An
 * item's key is good until pool_leave or the next call on the merge; its value until
 * pool_leave, or longer where the caller holds its page (of deltas: as long as the
 * delta).
 *
 * A tree alone, which is what most cursors see soon after a checkpoint, is not merged:
 * its own position is the merge's. */
#ifndef ENGINE_MERGE_H
#define ENGINE_MERGE_H

#include "engine/delta.h"
#include "engine/tree.h"

struct merge_sub {
    /* a delta's table ... */
    const struct delta_table *delta;
    uint64_t max_lsn;
    struct delta_entry *entry;
    const struct delta_version *version;
    /* The transaction's own writes change under the merge: then so does this number, and
     * the position is sought again.  NULL: they do not. */
    const uint64_t *changes;
    uint64_t changes_seen;
    bool is_adds;    /* only versions of kind ADD count */
    bool is_run;     /* a tree that may hold tombstones */
    /* ... or a tree */
    struct tree_cursor cursor;
    struct tree_record record;
    /* both */
    scn_slice key; /* of the position, when has_key */
    bool has_key;
    bool is_spent;
};

enum merge_kind { MERGE_BYTES, MERGE_REF, MERGE_ADD, MERGE_DELETED };

struct merge_item {
    scn_slice key;
    scn_slice value;     /* BYTES: it; REF: an encoded value_ref; ADD: an addition */
    const uint8_t *page; /* the page that holds the value, NULL for deltas */
    enum merge_kind kind;
};

struct merge {
    struct pool_reader *reader;
    bool reports_deletions;
    bool is_forward;
    bool is_positioned;
    uint32_t sub_count;
    uint32_t capacity;
    uint8_t *last; /* key of the last item */
    size_t last_len;
    size_t last_capacity;
    struct merge_sub subs[];
};

scn_status merge_create(struct pool_reader *reader, uint32_t capacity,
                        struct merge **out) MUST_USE;
void merge_destroy(struct merge *merge);

/* Newest first.  A delta's own range tombstones count up to max_lsn. */
void merge_add_delta(struct merge *merge, const struct delta_table *delta,
                     uint64_t max_lsn, const uint64_t *changes);
/* The pending additions of a transaction. */
void merge_add_additions(struct merge *merge, const struct delta_table *adds,
                         const uint64_t *changes);
void merge_add_run(struct merge *merge, const struct tree *tree);
void merge_add_tree(struct merge *merge, const struct tree *tree);

/* op: SCN_GE, SCN_GT, SCN_LE, SCN_LT; key NULL: first (GE) or last (LE). SCN_END:
 * nothing there, unpositioned. */
scn_status merge_seek(struct merge *merge, const scn_slice *key, int op,
                      struct merge_item *out) MUST_USE;
/* From the last item on; is_positioned. SCN_END leaves the last item as it is, so the
 * other direction goes on from it. */
scn_status merge_step(struct merge *merge, bool forward, struct merge_item *out) MUST_USE;

#endif
