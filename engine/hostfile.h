/* A descriptor of the host's that a snapshot is written to, or an increment read from.
 *
 * What is written is pushed out soon, and waited for, so that commits find few dirty
 * pages and a short queue, and then the disk is left to them for a while.  It goes no
 * faster than the options say or, where they say nothing, no faster than
 * HOSTFILE_GENTLE_BYTES a second while anybody commits, in this process or in another.
 *
 * One thread; nothing of the store is held while it waits. */
#ifndef ENGINE_HOSTFILE_H
#define ENGINE_HOSTFILE_H

#include "engine/store.h"

/* Beside commits: a checkpoint has twice that, since they wait for it. */
#define HOSTFILE_GENTLE_BYTES UINT64_C(100000000)

struct hostfile {
    struct store *store; /* whose clock it goes by, and whose commits it makes way for;
                            NULL: only for reading */
    struct sys *sys;     /* of the handle */
    struct sys_file *handle;
    bool can_seek;
    bool is_dry;       /* the caller's to set: nothing is written, only counted */
    uint64_t rate;     /* bytes a second; 0: see above */
    scn_hooks hooks;
    uint64_t done;     /* bytes read or written, and counted in dry runs */
    uint64_t expected; /* the caller's to set, for progress */
    uint64_t written;  /* bytes since the last push */
    uint64_t push_off; /* where they begin */
    uint64_t pushed;   /* bytes of the push before that nobody has waited for yet */
    uint64_t pushed_off;
    uint64_t due_ns;   /* the next push */
    uint64_t commits;  /* a number that grows with each commit, then */
    bool is_alone;     /* it had not grown */
};

/* options may be NULL. SCN_IO (no such descriptor), SCN_NOMEM. */
scn_status hostfile_open(struct hostfile *file, struct sys *sys, int fd,
                         struct store *store,
                         const scn_snapshot_options *options) MUST_USE;
/* Of a zeroed one too. */
void hostfile_close(struct hostfile *file);
/* All bytes, and the pace.  Where it cannot seek off is where the last write has ended.
 * SCN_FULL, SCN_IO, SCN_INTERRUPTED (the hook says so). */
scn_status hostfile_write(struct hostfile *file, uint64_t off, const void *data,
                          uint64_t len) MUST_USE;
/* All that was written is durable, where it can be: a pipe has nothing to sync. */
scn_status hostfile_sync(struct hostfile *file) MUST_USE;
/* Up to len bytes; *got is less only at the end.  SCN_IO, SCN_INTERRUPTED. */
scn_status hostfile_read(struct hostfile *file, uint64_t off, void *buf, uint64_t len,
                         uint64_t *got) MUST_USE;

#endif
