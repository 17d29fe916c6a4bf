/* Trees under test: a file, a pool, page numbers for the writer, and a model of what the
 * tree holds.
 *
 * The universe of keys is fixed and sorted, so the model is an array: what the key of
 * rank r has.  Values follow from rank and version, and are made up again when they are
 * compared. */
#ifndef TEST_ENGINE_TREE_RIG_H
#define TEST_ENGINE_TREE_RIG_H

#include "engine/rebuild.h"
#include "test/unit/unit.h"

enum { RIG_TABLE = 7, RIG_CLEARS_MAX = 3 };

enum rig_shape { RIG_NUMBERS, RIG_BYTES, RIG_TEXT, RIG_MIDDLE, RIG_LONG };

struct rig_key {
    uint32_t len;
    uint8_t *data;
};

struct rig_entry {
    uint32_t version; /* 0: the key is absent */
    uint32_t len;     /* of the value */
};

/* What a generation does to a key. */
struct rig_change {
    bool is_changed;
    struct rig_entry entry; /* version 0: deleted */
};

struct rig_clear { /* ranks [from, to) */
    uint32_t from;
    uint32_t to;
};

struct tree_rig {
    struct sys sys;
    struct sys_ops ops;
    struct file file;
    struct pool *pool;
    struct pool_reader *reader;
    uint64_t gen;

    uint8_t *used;  /* by page number: pages of the tree */
    uint8_t *freed; /* in the generation being built */
    uint32_t page_capacity;
    uint32_t freed_count;
    uint32_t *reusable; /* freed by generations before */
    uint32_t reusable_count;
    int64_t takes_left; /* until a take fails; negative: never */
    int64_t steps_left; /* until step ends the rebuild; negative: never */
    uint64_t taken;

    struct rig_key *keys;
    struct rig_entry *model;
    struct rig_change *changes;
    uint32_t key_count;
    uint32_t next_version;
    struct rig_clear clears[RIG_CLEARS_MAX];
    uint32_t clear_count;
    uint32_t change_at; /* of the stream */
    uint8_t *change_value;

    bool compress;
    struct tree tree;
    struct rebuild_stat stat;
    uint64_t refs;    /* values outside the tree has now */
    uint64_t ref_sum; /* and a sum over them, whatever their order */
};

struct tree_rig *rig_open(enum rig_shape shape, uint32_t key_count, uint64_t seed,
                          uint64_t pool_bytes);
void rig_close(struct tree_rig *rig);

/* Notes a change for the next generation. */
void rig_put(struct tree_rig *rig, uint32_t rank, uint32_t len);
void rig_delete(struct tree_rig *rig, uint32_t rank);
void rig_clear(struct tree_rig *rig, uint32_t from, uint32_t to);

/* Builds the next generation.  When it fails, tree and model stay as they were, and the
 * changes are forgotten. */
scn_status rig_build(struct tree_rig *rig);
/* The tree says what the model says, in every way of asking, and its pages are those that
 * should be there. */
void rig_check(struct tree_rig *rig, uint64_t *random);

struct rig_shape_stat {
    uint32_t leaves;
    uint32_t inner_pages;
    uint32_t small_pages; /* less than a quarter full, but for the last of each level */
    uint64_t leaf_bytes;  /* used */
    uint32_t value_pages; /* different packed pages that references lead to */
};
void rig_measure(struct tree_rig *rig, struct rig_shape_stat *out);

scn_slice rig_key(const struct tree_rig *rig, uint32_t rank);
uint32_t rig_random(uint64_t *random, uint32_t below);

#endif
