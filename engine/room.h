/* Room in the log: ready extents, and a checkpoint before the log is full.
 *
 *     log bytes since the base:   0 .......... half .......... full
 *                                 |  nothing  |  a checkpoint is due; at `full` commits
 *                                                wait for its end
 * Nobody waits while holding the append lock (K2): a committer that finds no room
 * releases it, comes here, and validates again. */
#ifndef ENGINE_ROOM_H
#define ENGINE_ROOM_H

#include "engine/checkpoint.h"
#include "engine/store.h"

/* A checkpoint should run: log or delta have grown, or runs have piled up. */
bool room_is_checkpoint_due(struct store *store);
/* The same for who has the time: whoever opens the file would read so much of the log. */
bool room_is_worth_a_checkpoint(struct store *store);
/* The log is as full as it may get. Append lock held or not. */
bool room_is_exhausted(struct store *store);
/* Waits for a checkpoint to end, or runs it where there is no thread for it. SCN_OK:
 * look again. SCN_FULL, SCN_POISONED ...: what the checkpoint said; SCN_BUSY: the
 * deadline passed. */
scn_status room_wait(struct store *store, enum checkpoint_mode mode,
                     uint64_t deadline_ns) MUST_USE;
/* Makes a log extent ready, unless one is. has_append: the caller holds the append lock
 * (priority). */
scn_status room_extend(struct store *store, bool has_append) MUST_USE;
/* The same, where a commit could still be admitted behind it: SCN_FULL.  With puts it is
 * left to deletions to use the reserve. */
scn_status room_extend_for_commit(struct store *store, bool has_append,
                                  bool has_puts) MUST_USE;
/* The file may become longer by an extent. */
bool room_can_extend(struct store *store);
/* It may not, and the log has no spare to go on in. */
bool room_is_cornered(struct store *store);
/* Can a checkpoint still absorb this commit? A commit that it could not is refused
 * before it is appended: SCN_FULL. `ops` operations, the rows of runs among them, in so
 * many tables, with `bytes` in all, and what room_for_run says of runs; one without puts
 * may use the reserve, so that a full store can be emptied. */
scn_status room_admit(struct store *store, uint64_t ops, uint64_t tables, uint64_t bytes,
                      uint64_t run_pages, bool has_puts) MUST_USE;
/* Of the pages of a run, those that its merge writes once more: values keep their
 * place. */
uint64_t room_for_run(struct store *store, uint64_t rows, uint64_t pages);
/* Pages that are free in a file of so many, and one more: 0 says that nobody has counted
 * them.  Checkpoint lock held, and whoever has a page is reserved. */
uint64_t room_count(struct store *store, uint64_t file_pages);
/* The same by who is alone, or cures a file: then the others may still have pages, and
 * are about to give some of them back: 0. */
uint64_t room_count_alone(struct store *store);
/* Looks again how far the file may grow: at open and after each checkpoint.  counted: by
 * room_count, here or in another process; whatever the file has grown by since then is
 * somebody's. */
void room_measure(struct store *store, uint64_t counted);
/* New pages at the end of the file.  keeps: they are this process's (page/grown.h), until
 * a record leads to them; else a checkpoint's.  has_append: the caller holds the append
 * lock. */
scn_status room_grow(struct store *store, uint32_t pages, bool has_append, bool keeps,
                     uint32_t *pgno) MUST_USE;
/* The same for a bulk run, which keeps them, and not at the cost of what was admitted
 * before. */
scn_status room_grow_for_run(struct store *store, uint32_t pages, bool has_append,
                             uint32_t *pgno) MUST_USE;
/* Pages that were grown and kept, and that no record will lead to: the next checkpoint
 * finds them free. */
void room_give_back(struct store *store, uint32_t pgno, uint32_t pages);
/* Pages used, freed and free, as far as they are known here. */
void room_stat(struct store *store, struct space_stat *out);
/* Should be called after a commit, without locks: wakes the background thread, or
 * throttles. */
void room_after_commit(struct store *store);

#endif
