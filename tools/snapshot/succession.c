/* apply and restore: a full snapshot and what came after it. */
#include "tools/handle.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/snapshot/card.h"
#include "tools/snapshot/facts.h"
#include "tools/snapshot/program.h"
#include "tools/progress.h"
#include "tools/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 20 };

/* ---- increments ---- */

static enum outcome apply_file(struct handle *handle, const char *path)
{
    enum outcome outcome;
    struct progress progress;
    scn_snapshot_options options = {.struct_size = sizeof options};
    int fd = facts_open(path, &outcome);
    if (fd < 0)
        return outcome;
    options.hooks = progress_hooks(&progress);
    scn_status st = scn_snapshot_apply(handle->db, fd, &options, NULL);
    progress_end(&progress);
    close(fd);
    if (st == SCN_EXISTS)
        return outcome_say(OUTCOME_FINDINGS, "%s: %s has it already", facts_name(path),
                           handle->path);
    return st == SCN_OK ? OUTCOME_OK : outcome_of_store(NULL, facts_name(path), st);
}

static enum outcome apply_files(struct handle *handle, const char *const *paths,
                                int count)
{
    enum outcome outcome = OUTCOME_OK;
    for (int i = 0; outcome == OUTCOME_OK && i < count; i++)
        outcome = interrupt_seen() ? OUTCOME_INTERRUPTED : apply_file(handle, paths[i]);
    return outcome;
}

/* The first file has to be a full one: whoever mixes up the order is told that, and not
 * that it is no store. */
static enum outcome refuse_increment(const char *path)
{
    struct stat found;
    if (stat(path, &found) < 0 || !S_ISREG(found.st_mode))
        return OUTCOME_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return OUTCOME_OK;
    scn_status st = scn_snapshot_verify(fd, NULL, NULL);
    close(fd);
    return st == SCN_OK ? outcome_say(OUTCOME_USAGE,
                                      "%s is an increment: a full snapshot comes first",
                                      path)
                        : OUTCOME_OK;
}

/* ---- apply ---- */

static enum outcome check_base(struct handle *handle, bool force)
{
    struct facts facts;
    enum outcome outcome = facts_of_store(&facts, handle, false, false);
    return outcome == OUTCOME_OK && !force ? facts_compare(&facts, handle) : outcome;
}

static enum outcome tell(const struct args *args, const char *path, struct handle *handle)
{
    struct facts facts;
    enum outcome outcome = facts_of_store(&facts, handle, false, false);
    if (outcome != OUTCOME_OK)
        return outcome;
    if (args_has(args, OPTION_JSON))
        output_json(card_json(path, &facts.info, NULL), JSON_INDENT(2));
    else
        card_print(stdout, path, &facts.info);
    return OUTCOME_OK;
}

enum outcome snapshot_apply(const struct args *args)
{
    const char *base = args->operands[0];
    struct handle handle;
    interrupt_watch();
    enum outcome outcome = refuse_increment(base);
    if (outcome == OUTCOME_OK)
        outcome = handle_open(&handle, base, SCN_NOCREATE | SCN_NOTHREAD);
    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = check_base(&handle, args_has(args, OPTION_FORCE));
    if (outcome == OUTCOME_OK)
        outcome = apply_files(&handle, args->operands + 1, args->operand_count - 1);
    scn_status st = outcome == OUTCOME_OK ? scn_checkpoint(handle.db) : SCN_OK;
    if (st < 0)
        outcome = handle_fail(&handle, st);
    if (outcome == OUTCOME_OK)
        outcome = tell(args, base, &handle);
    return handle_close(&handle, outcome);
}

/* ---- restore ---- */

/* The copy that increments are applied to, beside the target; it goes in the end. */
static enum outcome write_all(int fd, const char *data, size_t len, const char *path)
{
    while (len > 0) {
        ssize_t count = write(fd, data, len);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return outcome_say(OUTCOME_IO, "%s: cannot be written: %s", path,
                               strerror(errno));
        data += count;
        len -= (size_t)count;
    }
    return OUTCOME_OK;
}

static enum outcome copy_file(const char *from, const struct target *to)
{
    enum outcome outcome;
    int fd = facts_open(from, &outcome);
    char *buffer = malloc(COPY_BYTES);
    if (buffer == NULL)
        outcome_no_memory();
    while (outcome == OUTCOME_OK) {
        ssize_t count = read(fd, buffer, COPY_BYTES);
        if (interrupt_seen())
            outcome = OUTCOME_INTERRUPTED;
        else if (count < 0 && errno != EINTR)
            outcome = outcome_say(OUTCOME_IO, "%s: %s", from, strerror(errno));
        else if (count > 0)
            outcome = write_all(to->fd, buffer, (size_t)count, to->path);
        if (count == 0)
            break;
    }
    free(buffer);
    if (fd >= 0)
        close(fd);
    return outcome;
}

/* What was written has to have the digest of what it was made from. */
static enum outcome export(struct handle *handle, const struct args *args,
                           scn_snapshot_info *info)
{
    struct target target;
    struct progress progress;
    struct facts facts;
    const char *path = args->operands[args->operand_count - 1];
    scn_snapshot_options options = {.struct_size = sizeof options,
                                    .flags = SCN_SNAPSHOT_UNNOTED};
    enum outcome outcome = facts_of_store(&facts, handle, false, false);
    if (outcome == OUTCOME_OK)
        outcome = target_open(&target, path, args_has(args, OPTION_FORCE), args->operands,
                              args->operand_count - 1);
    if (outcome != OUTCOME_OK)
        return outcome;
    options.hooks = progress_hooks(&progress);
    scn_status st = scn_snapshot_to(handle->db, target.fd, &options, info);
    progress_end(&progress);
    if (st < 0)
        outcome = handle_fail(handle, st);
    else if (memcmp(facts.info.digest, info->digest, sizeof info->digest) != 0)
        outcome = outcome_say(OUTCOME_FINDINGS,
                              "%s: its rows are not those of the snapshot: it has been "
                              "changed since",
                              handle->path);
    return target_close(&target, outcome);
}

/* Before it is copied, so that what is wrong with it is said of this name. */
static enum outcome check_full(const char *path)
{
    struct handle handle;
    struct facts facts;
    enum outcome outcome = handle_open_to_read(&handle, path);
    if (outcome != OUTCOME_OK)
        return outcome;
    return handle_close(&handle, facts_of_store(&facts, &handle, false, false));
}

static enum outcome restore_into(const struct target *scratch, const struct args *args,
                                 scn_snapshot_info *info)
{
    struct handle handle;
    const char *full = args->operands[0];
    enum outcome outcome = copy_file(full, scratch);
    if (outcome == OUTCOME_OK)
        outcome = handle_open(&handle, scratch->temporary, SCN_NOCREATE | SCN_NOTHREAD);
    if (outcome != OUTCOME_OK)
        return outcome;
    handle.path = full;
    outcome = check_base(&handle, true);
    if (outcome == OUTCOME_OK)
        outcome = apply_files(&handle, args->operands + 1, args->operand_count - 2);
    if (outcome == OUTCOME_OK)
        outcome = export(&handle, args, info);
    return handle_close(&handle, outcome);
}

static enum outcome restore_increments(const struct args *args, scn_snapshot_info *info)
{
    struct target scratch;
    const char *path = args->operands[args->operand_count - 1];
    enum outcome outcome = check_full(args->operands[0]);
    if (outcome == OUTCOME_OK)
        outcome = target_open(&scratch, path, args_has(args, OPTION_FORCE),
                              args->operands, args->operand_count - 1);
    if (outcome != OUTCOME_OK)
        return outcome;
    outcome = restore_into(&scratch, args, info);
    (void)target_close(&scratch, OUTCOME_INTERRUPTED); /* it was only a step */
    return outcome;
}

static enum outcome restore_full(const struct args *args, scn_snapshot_info *info)
{
    struct handle handle;
    enum outcome outcome = handle_open_to_read(&handle, args->operands[0]);
    if (outcome != OUTCOME_OK)
        return outcome;
    return handle_close(&handle, export(&handle, args, info));
}

enum outcome snapshot_restore(const struct args *args)
{
    const char *path = args->operands[args->operand_count - 1];
    scn_snapshot_info info = {.struct_size = sizeof info};
    interrupt_watch();
    if (strcmp(path, "-") == 0)
        return outcome_say(OUTCOME_USAGE, "restore writes a file, not standard output");
    enum outcome outcome = refuse_increment(args->operands[0]);
    if (outcome == OUTCOME_OK)
        outcome = args->operand_count > 2 ? restore_increments(args, &info)
                                          : restore_full(args, &info);
    if (outcome == OUTCOME_OK && args_has(args, OPTION_JSON))
        output_json(card_json(path, &info, NULL), JSON_INDENT(2));
    else if (outcome == OUTCOME_OK)
        card_print(stdout, path, &info);
    return outcome;
}
