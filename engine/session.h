/* Coming and going: who is alone with the file, and who finds others.  docs/processes.md,
 * "A session".
 *
 * [Y1] ATTACH is tried exclusively under GATE, and exchanged for a shared one only when
 *      the file is recovered and the publish page says so: nobody else holds ATTACH
 *      before.  Who gets it shared joins only if he is not alone then, and who does not
 *      come in has given it back before GATE: who has it is in the page's session.
 * [Y2] Readers never hold ATTACH: recovery goes on in spite of them. */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include "engine/store.h"

/* The store's file is open, locks and parts are made.  Recovers or joins.  SCN_BUSY: it
 * waited for busy_timeout_ms; and what recovery_run and peers_join answer. */
scn_status session_open(struct store *store) MUST_USE;
/* A poisoned file is recovered in place, unless another process has done so: whoever has
 * it open goes on in the new session.  SCN_OK: this store, too.  SCN_BUSY, SCN_MOVED, and
 * what recovery answers: nothing has changed. */
scn_status session_cure(struct store *store) MUST_USE;
/* The same, by a path that leads to the file now: a relative one that it was opened by
 * may not do so any more. */
scn_status session_cure_by(struct store *store, const char *path) MUST_USE;
/* Without the background thread: what this process appended is made durable, and who is
 * the last one leaves a log with little to replay.  SCN_UNKNOWN: the sync failed, or one
 * did before the file was cured; lazy commits may be lost. */
scn_status session_close(struct store *store) MUST_USE;

#endif
