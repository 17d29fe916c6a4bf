/* The command `scrine-walcheck`: looks at a store without opening it. */
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/walcheck/account.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROGRESS_NS = 200000000 };

struct session {
    const struct request *request;
    struct sys *sys;
    struct account account;
    bool has_bar;
    uint64_t shown_ns;
};

static void show_progress(struct session *session, uint64_t done, uint64_t expected)
{
    uint64_t now = session->sys->ops->now_ns(session->sys);
    if (!session->has_bar || expected == 0 || now - session->shown_ns < PROGRESS_NS)
        return;
    session->shown_ns = now;
    uint64_t percent = done >= expected ? 100 : done * 100 / expected;
    fprintf(stderr, "\r%3" PRIu64 " %%  %" PRIu64 " pages", percent, done);
}

static void clear_progress(const struct session *session)
{
    if (session->shown_ns)
        fputs("\r\033[K", stderr);
}

static bool goes_on(void *ctx, uint64_t done, uint64_t expected)
{
    show_progress(ctx, done, expected);
    return !interrupt_seen() && !output_is_broken();
}

static void tell_finding(void *ctx, const struct finding *finding)
{
    struct session *session = ctx;
    clear_progress(session);
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
    if (st == SCN_INTERRUPTED)
        return OUTCOME_INTERRUPTED;
    return outcome_of_store(NULL, request->file, st);
}

static void print_all(struct session *session, const struct inspection *inspection)
{
    struct account *account = &session->account;
    const char *path = session->request->file;
    if (account->is_json) {
        output_json(account_json(account, path, inspection), JSON_INDENT(2));
        return;
    }
    account_print(account, path, inspection);
    account_print_verdict(account, path, inspection);
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
    scn_status st = inspection_run(session->sys, request->file, &wishes, &inspection);
    clear_progress(session);
    enum outcome outcome =
        st == SCN_OK ? account_outcome(&inspection) : fail(request, st);
    if (st == SCN_OK)
        print_all(session, &inspection);
    inspection_destroy(&inspection);
    account_end(&session->account);
    return outcome;
}

static enum outcome run(const struct request *request)
{
    struct session session = {.request = request, .sys = sys_posix()};
    if (session.sys == NULL)
        outcome_no_memory();
    session.has_bar = isatty(STDERR_FILENO) == 1;
    interrupt_watch();
    return look(&session);
}

int main(int argc, char **argv)
{
    struct request request;
    output_prepare();
    enum outcome outcome = request_parse(&request, argc, argv);
    if (outcome != OUTCOME_OK)
        return (int)output_finish(outcome);
    if (request.is_help)
        request_print_help();
    else if (request.is_version)
        printf("scrine-walcheck %s\n", scn_version());
    else
        outcome = run(&request);
    return (int)output_finish(outcome);
}
