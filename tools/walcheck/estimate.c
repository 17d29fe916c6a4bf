/* Estimating recovery: see estimate.h. */
#include "tools/walcheck/estimate.h"

/* Enough of them that a clock of microseconds does. */
enum { SAMPLE_MAX = 50000, BATCH_OPS = 1000 };

struct trial {
    scn_db *db;
    scn_txn *txn;
    scn_table_id id;
    uint64_t done;
};

static scn_status end_batch(struct trial *trial)
{
    scn_txn *txn = trial->txn;
    trial->txn = NULL;
    return txn ? scn_commit(txn) : SCN_OK;
}

static scn_status try_op(struct trial *trial, const struct op *op)
{
    scn_status st = SCN_OK;
    if (op->key.size == 0 || (op->code != OP_PUT && op->code != OP_DEL))
        return SCN_OK;
    if (trial->txn == NULL)
        st = scn_begin(trial->db, SCN_WRITE | SCN_SNAPSHOT, &trial->txn);
    if (st == SCN_OK)
        st = scn_table(trial->txn, "trial", SCN_CREATE, &trial->id);
    if (st == SCN_OK)
        st = scn_put(trial->txn, trial->id, op->key, op->value, SCN_PUT_BLIND);
    if (st == SCN_OK && ++trial->done % BATCH_OPS == 0)
        st = end_batch(trial);
    return st;
}

static scn_status try_record(void *ctx, const struct log_visit *visit)
{
    struct trial *trial = ctx;
    struct ops_reader reader;
    struct op op;
    scn_status st = SCN_OK;
    if (visit->record.type != RECORD_COMMIT)
        return SCN_OK;
    ops_reader_init(&reader, visit->payload, visit->payload_len);
    while (st == SCN_OK && trial->done < SAMPLE_MAX && ops_next(&reader, &op) == SCN_OK)
        st = try_op(trial, &op);
    return st;
}

/* The walk that feeds the trial is part of what is timed, and taken off again. */
static scn_status run_trial(struct sys *sys, struct subject *subject,
                            const struct inspection *inspection, struct trial *trial,
                            uint64_t *ns)
{
    const struct superblock *sb = &inspection->generations.sb[inspection->chosen];
    struct findings unheard = {0};
    struct trail trail = {0};
    uint64_t begun = sys->ops->now_ns(sys);
    scn_status st =
        trail_follow(subject, &unheard, sb, generations_synced(&inspection->generations),
                     NULL, try_record, trial, &trail);
    if (st == SCN_OK)
        st = end_batch(trial);
    *ns = sys->ops->now_ns(sys) - begun;
    trail_destroy(&trail);
    return st;
}

scn_status estimate_make(struct sys *sys, const char *path,
                         const struct inspection *inspection,
                         bool (*goes_on)(void *, uint64_t, uint64_t), void *ctx,
                         struct estimate *out)
{
    struct trial trial = {0};
    struct subject subject;
    uint64_t ns = 0;
    *out = (struct estimate){.bytes = inspection->trail.end.byte_count,
                             .op_count = inspection->trail.op_count,
                             .read_ns = inspection->log_ns};
    scn_status st = subject_open(&subject, sys, path);
    if (st != SCN_OK)
        return st;
    subject.goes_on = goes_on;
    subject.ctx = ctx;
    st = scn_open(":memory:", NULL, &trial.db);
    if (st == SCN_OK)
        st = run_trial(sys, &subject, inspection, &trial, &ns);
    scn_abort(trial.txn);
    if (trial.db)
        (void)scn_close(trial.db);
    subject_close(&subject);
    out->sample = trial.done;
    ns -= ns < out->read_ns ? ns : out->read_ns;
    if (trial.done)
        out->apply_ns =
            (uint64_t)((double)ns / (double)trial.done * (double)out->op_count);
    return st;
}
