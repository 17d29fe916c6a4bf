/* Looking, dumping, cutting, salvaging: see errand.h. */
#include "tools/walcheck/errand.h"

#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/walcheck/account.h"
#include "tools/walcheck/operations.h"
#include "tools/walcheck/outfile.h"
#include "tools/walcheck/portrait.h"
#include "tools/walcheck/reckoning.h"
#include "tools/walcheck/tail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct session {
    const struct request *request;
    struct sys *sys;
    struct account account;
    struct reckoning reckoning;
    struct progress progress;
    scn_hooks hooks;
};

/* What is written into a file is wanted when nobody reads what we say any more, too. */
static bool goes_on_unheard(void *ctx, uint64_t done, uint64_t expected)
{
    const scn_hooks *hooks = &((struct session *)ctx)->hooks;
    return hooks->progress(hooks->user, done, expected > done ? expected : done) == 0;
}

static bool goes_on(void *ctx, uint64_t done, uint64_t expected)
{
    return goes_on_unheard(ctx, done, expected) && !output_is_broken();
}

static void tell_finding(void *ctx, const struct finding *finding)
{
    struct session *session = ctx;
    progress_end(&session->progress);
    account_finding(&session->account, finding);
}

static scn_status tell_record(void *ctx, const struct log_visit *visit)
{
    struct session *session = ctx;
    account_record(&session->account, visit);
    return SCN_OK;
}

/* The inspection itself failed. */
static enum outcome fail(const struct request *request, scn_status st)
{
    if (st == SCN_NOTFOUND)
        return outcome_say(OUTCOME_IO, "%s: there is no such file", request->file);
    /* Or nobody reads what we say any more, which is no failure. */
    if (st == SCN_INTERRUPTED)
        return interrupt_seen() ? OUTCOME_INTERRUPTED : OUTCOME_OK;
    return outcome_of_store(NULL, request->file, st);
}

static scn_status inspect(struct session *session, const struct inspection_wishes *wishes,
                          struct inspection *out)
{
    scn_status st = inspection_run(session->sys, session->request->file, wishes, out);
    progress_end(&session->progress);
    return st;
}

/* ---- looking ---- */

/* Without the estimate where there can be none, which is told in the end. */
static scn_status print_inspection(struct session *session,
                                   const struct inspection *inspection)
{
    const char *path = session->request->file;
    struct estimate estimate;
    bool is_wanted = session->request->is_estimate && inspection->chosen >= 0;
    scn_status st = is_wanted ? estimate_make(session->sys, path, inspection, goes_on,
                                              session, &estimate)
                              : SCN_OK;
    progress_end(&session->progress);
    if (st != SCN_INTERRUPTED)
        account_print(&session->account, path, inspection,
                      is_wanted && st == SCN_OK ? &estimate : NULL);
    return st;
}

static enum outcome look(struct session *session)
{
    const struct request *request = session->request;
    struct inspection inspection;
    struct inspection_wishes wishes = {.ctx = session,
                                       .finding = tell_finding,
                                       .goes_on = goes_on,
                                       .is_quick = request->is_quick};
    if (request->is_verbose)
        wishes.record = tell_record;
    account_begin(&session->account, stdout, request);
    scn_status st = inspect(session, &wishes, &inspection);
    if (st == SCN_OK)
        st = print_inspection(session, &inspection);
    enum outcome outcome =
        st == SCN_OK ? account_outcome(&inspection) : fail(request, st);
    inspection_destroy(&inspection);
    account_end(&session->account);
    return outcome;
}

/* ---- the operations of the log ---- */

/* What was printed may be a part of the log, or nothing: nobody is to take it for all. */
static enum outcome dumped(const struct request *request,
                           const struct inspection *inspection)
{
    enum outcome outcome = account_outcome(inspection);
    return outcome <= OUTCOME_FINDINGS
               ? outcome
               : outcome_say(outcome, "%s: %s", request->file,
                             account_verdict(inspection));
}

static enum outcome dump(struct session *session)
{
    const struct request *request = session->request;
    struct inspection inspection;
    struct inspection_wishes wishes = {
        .ctx = session, .goes_on = goes_on, .is_quick = true};
    scn_status st = inspect(session, &wishes, &inspection);
    if (st == SCN_OK && inspection.chosen >= 0)
        st = operations_print(session->sys, request->file, &inspection,
                              request->from_lsn, stdout, goes_on, session);
    enum outcome outcome =
        st == SCN_OK ? dumped(request, &inspection) : fail(request, st);
    inspection_destroy(&inspection);
    return outcome;
}

/* ---- a torn tail ---- */

static enum outcome cut(struct session *session, const struct inspection *inspection,
                        const struct tail *tail)
{
    const char *path = session->request->file;
    size_t size = strlen(path) + 32;
    char *keep = malloc(size);
    if (keep == NULL)
        outcome_no_memory();
    snprintf(keep, size, "%s.cut-%" PRIu64, path, tail->lsn);
    scn_status st = tail_cut(session->sys, path, inspection, tail, keep);
    enum outcome outcome = OUTCOME_OK;
    if (st == SCN_OK)
        printf("cut         %" PRIu64 " bytes; they are in %s\n", tail->bytes, keep);
    else if (st == SCN_EXISTS)
        outcome = outcome_say(OUTCOME_IO, "%s exists already", keep);
    else
        outcome = outcome_of_store(NULL, path, st);
    free(keep);
    return outcome;
}

static enum outcome cut_or_show(struct session *session,
                                const struct inspection *inspection)
{
    struct tail tail;
    const char *path = session->request->file;
    if (inspection->is_live)
        return outcome_say(OUTCOME_BUSY, "%s is in use: its tail is being written", path);
    if (inspection->is_refused || inspection->findings.count_of[FINDING_TORN] == 0) {
        printf("kept        %s: there is no torn tail to be cut\n", path);
        return account_outcome(inspection);
    }
    scn_status st = tail_measure(session->sys, path, inspection, &tail);
    if (st != SCN_OK)
        return outcome_of_store(NULL, path, st);
    if (session->request->is_forced)
        return cut(session, inspection, &tail);
    printf("would cut   %" PRIu64 " bytes at offset %" PRIu64 ", behind lsn %" PRIu64
           "; --force does\n",
           tail.bytes, tail.offset, tail.lsn);
    return OUTCOME_FINDINGS;
}

static enum outcome truncate_tail(struct session *session)
{
    struct inspection inspection;
    struct inspection_wishes wishes = {
        .ctx = session, .goes_on = goes_on, .is_quick = true};
    scn_status st = inspect(session, &wishes, &inspection);
    enum outcome outcome = st == SCN_OK ? cut_or_show(session, &inspection)
                                        : fail(session->request, st);
    inspection_destroy(&inspection);
    return outcome;
}

/* ---- salvage ---- */

static void tell_salvage_finding(void *ctx, const struct finding *finding)
{
    struct session *session = ctx;
    progress_end(&session->progress);
    reckoning_finding(&session->reckoning, finding);
}

static void tell_loss(void *ctx, const struct loss *loss)
{
    struct session *session = ctx;
    progress_end(&session->progress);
    reckoning_loss(&session->reckoning, loss);
}

static enum outcome salvage_into(struct session *session, scn_db *db, bool *is_whole)
{
    const struct request *request = session->request;
    struct salvage_wishes wishes = {.ctx = session,
                                    .finding = tell_salvage_finding,
                                    .loss = tell_loss,
                                    .goes_on = goes_on_unheard};
    struct salvage result;
    reckoning_begin(&session->reckoning, stdout, request->is_json);
    scn_status st = salvage_run(session->sys, request->file, db, &wishes, &result);
    progress_end(&session->progress);
    if (st == SCN_OK)
        reckoning_print(&session->reckoning, request, &result);
    reckoning_end(&session->reckoning);
    *is_whole = st == SCN_OK;
    if (st == SCN_FULL)
        return outcome_of_store(NULL, request->salvage, st);
    if (st != SCN_OK)
        return fail(request, st);
    return result.loss_count ? OUTCOME_CORRUPT : OUTCOME_OK;
}

static enum outcome salvage(struct session *session)
{
    const struct request *request = session->request;
    struct outfile outfile;
    if (access(request->file, F_OK) != 0)
        return outcome_say(OUTCOME_IO, "%s: %s", request->file, strerror(errno));
    enum outcome outcome = outfile_open(&outfile, request->salvage, request->file,
                                        request->is_forced);
    if (outcome != OUTCOME_OK)
        return outcome;
    bool is_whole;
    outcome = salvage_into(session, outfile.db, &is_whole);
    enum outcome closed = outfile_close(&outfile, is_whole);
    return closed == OUTCOME_OK ? outcome : closed;
}

/* ---- all of it ---- */

enum outcome errand_run(const struct request *request)
{
    struct session session = {.request = request, .sys = sys_posix()};
    if (session.sys == NULL)
        outcome_no_memory();
    session.hooks = progress_hooks(&session.progress);
    if (request->salvage)
        return salvage(&session);
    if (request->is_page)
        return portrait_print(session.sys, request);
    if (request->is_truncate)
        return truncate_tail(&session);
    return request->is_dump ? dump(&session) : look(&session);
}
