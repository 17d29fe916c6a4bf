/* The extents of an open log: those that hold records, and those that will.
 *
 *     oldest ... current | first spare ... last spare
 *
 * Linking moves the first spare behind the current extent, and never takes memory:
 * whoever adds a spare reserves its place in the chain, too.
 * Any thread; one mutex inside.  Internal to wal/. */
#ifndef WAL_CHAIN_H
#define WAL_CHAIN_H

#include "page/superblock.h"
#include "wal/extent.h"

/* Epochs let the lsn jump; the last few jumps are remembered, so that lsns can be turned
 * into bytes.  A process begins one epoch, and each crash without a checkpoint after it
 * adds one: beyond these the oldest are taken together, which only makes counts from
 * before them too small. */
enum { LOG_JUMP_MAX = 8 };

struct log_jump {
    uint64_t lsn; /* where the lsn went on */
    uint64_t gap; /* lsns that no byte bears */
};

struct log_chain {
    struct sys *sys;
    struct sys_mutex *mutex;
    struct log_extent *extents;
    uint32_t extent_count;
    uint32_t extent_capacity; /* >= extent_count + spare_count */
    struct log_spare spares[LOG_SPARE_MAX];
    uint32_t spare_count;
    struct log_jump jumps[LOG_JUMP_MAX];
    uint32_t jump_count;
};

scn_status log_chain_init(struct log_chain *chain, struct sys *sys) MUST_USE;
/* An initialised or zeroed chain. */
void log_chain_destroy(struct log_chain *chain);

/* While the log is being created: one extent more that holds records.  SCN_NOMEM. */
scn_status log_chain_add(struct log_chain *chain,
                         const struct log_extent *extent) MUST_USE;
scn_status log_chain_add_spare(struct log_chain *chain, struct log_spare spare) MUST_USE;

/* Extents and jumps are forgotten, the spares stay. */
void log_chain_clear(struct log_chain *chain);
/* The chain begins with this extent: what lies before it and the jumps are forgotten,
 * what is known to lie behind it stays.  SCN_NOMEM: nothing has changed. */
scn_status log_chain_begin(struct log_chain *chain,
                           const struct log_extent *first) MUST_USE;
/* The extent at pgno holds records. */
bool log_chain_has(struct log_chain *chain, uint32_t pgno);
/* The extent with this number: false when the chain has none. */
bool log_chain_find(struct log_chain *chain, uint64_t number, struct log_extent *out);
/* The oldest extent, and the newest that is known. */
bool log_chain_first(struct log_chain *chain, struct log_extent *out);
bool log_chain_last(struct log_chain *chain, struct log_extent *out);
/* Somebody has linked an extent: it holds records, and is no spare any more.  SCN_NOMEM.
 */
scn_status log_chain_follow(struct log_chain *chain,
                            const struct log_extent *extent) MUST_USE;

/* The first spare: false when there is none. */
bool log_chain_peek(struct log_chain *chain, struct log_spare *out);
/* The first spare becomes the current extent. */
void log_chain_link(struct log_chain *chain, uint64_t number, uint64_t start_lsn);
/* Some spare has at least this many bytes. */
bool log_chain_has_spare(struct log_chain *chain, uint64_t bytes);

void log_chain_jump(struct log_chain *chain, uint64_t lsn, uint64_t gap);
/* The lsns above lsn that no byte bears. */
uint64_t log_chain_gap(struct log_chain *chain, uint64_t lsn);

/* See wal/log.h. */
uint32_t log_chain_drop_spares(struct log_chain *chain, uint32_t pgno, uint32_t keep,
                               struct log_spare *out);
uint32_t log_chain_spares(struct log_chain *chain, struct log_spare *out, uint32_t room);
uint32_t log_chain_extents(struct log_chain *chain, struct log_extent *out,
                           uint32_t room);
uint32_t log_chain_forget(struct log_chain *chain, uint64_t number,
                          struct log_extent *out, uint32_t room);

#endif
