/* The other processes: learning what they have done, and telling what this one did.
 * docs/processes.md has the protocol and why it is right.
 *
 * The lock `apply` is held by whoever changes what this process knows of the log: its
 * end, the active delta, the current view, the history.  It lies behind APPEND; nobody
 * waits for the disk, for a sync or for another process while holding it.
 *
 * [O1] Nobody reads the log behind the line APPEND but under APPEND, and who then adopts
 *      what lies there tells so before giving the lock back.
 * [O2] A snapshot begins only on a view whose pin counts, of a generation that was the
 *      newest when it was looked at, with everything applied that was visible then.
 * [O3] A view stands on a generation not older than the birth of any of its runs.
 * [O4] No extent is linked that a superblock in either slot does not list: it may be free
 *      in a generation whose maker has died before telling of it. */
#ifndef ENGINE_PEERS_H
#define ENGINE_PEERS_H

#include "engine/store.h"

/* Before a transaction begins, without locks: what is visible now is applied, and the
 * current view is pinned and of the newest generation.  Nothing to do where nobody else
 * can have the file.  SCN_IO, SCN_NOMEM, SCN_CORRUPT. */
scn_status peers_follow(struct store *store) MUST_USE;
/* The same, and what was visible: a snapshot below it must not begin, though another
 * thread may have started anew meanwhile, from a place before it. */
scn_status peers_look(struct store *store, uint64_t *visible) MUST_USE;

/* The append lock, the apply lock, and everything that is in the log applied.  SCN_BUSY,
 * SCN_POISONED, or as peers_follow: then neither is held. */
scn_status append_enter(struct store *store, uint32_t timeout_ms) MUST_USE;
void append_leave(struct store *store);
/* Under the append lock of this thread: the apply lock alone, for a while (scn_update).
 */
void apply_enter(struct store *store);
void apply_leave(struct store *store);

/* Both locks held: log_append and log_roll.  The extent that the log has gone on in is
 * not this process's own any more, also where the record behind the EXTENT record
 * fails. */
scn_status peers_append(struct store *store, struct log_packet *packet,
                        uint64_t *end_lsn) MUST_USE;
scn_status peers_roll(struct store *store) MUST_USE;

/* Both locks held: the log's end, and what is visible of it, for the others [O1].  A
 * failure poisons. */
scn_status peers_tell_append(struct store *store) MUST_USE;
/* The same, with lazy commits visible up to here: in this process only when the others
 * can know, or a snapshot of theirs would be older than one that was read here before. */
scn_status peers_tell_lazy(struct store *store, uint64_t lazy_lsn) MUST_USE;
/* Checkpoint lock held: the newest generation, and what room_count says of it. */
scn_status peers_tell_generation(struct store *store, const struct superblock *sb,
                                 uint64_t counted) MUST_USE;

/* The same, and the append lock: a generation that is about to get its superblock gives
 * spare extents up, so that nobody links them should this process die [O4]. */
scn_status peers_tell_dropping(struct store *store, uint64_t gen) MUST_USE;

/* Checkpoint lock held: snapshots of generations below the floor are given up. */
scn_status peers_tell_gone(struct store *store, uint64_t floor) MUST_USE;
/* After a page was not what it should be: another process has given this generation up,
 * or has recovered the file, which this one has not learnt yet. */
bool peers_have_given_up(struct store *store, uint64_t gen);

/* The file has been opened and somebody lives, or has lived since this process read it:
 * the store becomes what the publish page says. */
scn_status peers_join(struct store *store) MUST_USE;
/* A reader of a file that nobody has: what is on the page says nothing, until it
 * changes. */
scn_status peers_read_alone(struct store *store) MUST_USE;
/* All lines anew, by who is alone: the session that recovery has begun. */
scn_status peers_begin_session(struct store *store) MUST_USE;
/* By who is alone and stays so: what is on the page is not true from here on, and who
 * reads the file afterwards must not go by it. */
scn_status peers_tell_nothing(struct store *store) MUST_USE;

/* Now and then: without a transaction for a while the current view gives its pin back. */
void peers_rest(struct store *store);

#endif
