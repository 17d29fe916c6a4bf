/* Telling what was seen: see account.h. */
#include "tools/walcheck/account.h"

#include "tools/member.h"
#include "tools/output.h"

#include <inttypes.h>

enum { KEPT_MAX = 10000 };

static const char *const type_words[] = {"?",    "commit", "extent",
                                         "epoch", "mark",   "freeze"};
static const char *const end_words[] = {
    [LOG_END_CLEAN] = "clean", [LOG_END_TORN] = "torn", [LOG_END_CORRUPT] = "damaged"};

const char *account_type_word(uint8_t type)
{
    return type_words[type];
}

void account_begin(struct account *account, FILE *out, const struct request *request)
{
    *account = (struct account){
        .out = out, .is_json = request->is_json, .from_lsn = request->from_lsn};
    if (account->is_json) {
        account->findings = member_must(json_array());
        account->records = member_must(json_array());
    }
}

void account_end(struct account *account)
{
    json_decref(account->findings);
    json_decref(account->records);
    *account = (struct account){0};
}

/* ---- findings ---- */

static const char *severity_word(enum severity severity)
{
    static const char *const words[] = {"none", "handled", "damage", "unreadable",
                                        "foreign"};
    return words[severity];
}

void account_finding(struct account *account, const struct finding *finding)
{
    const char *word = finding_word(finding->kind);
    if (!account->is_json) {
        fprintf(account->out,
                "finding     %s: page %" PRIu64 ", offset %" PRIu64 ": %s; %s\n", word,
                finding->page, finding->offset, finding->text,
                finding_remedy(finding->kind));
        return;
    }
    if (json_array_size(account->findings) >= KEPT_MAX)
        return;
    json_t *json = member_must(json_object());
    member_set(json, "kind", json_string(word));
    member_set(json, "severity",
        json_string(severity_word(finding_severity(finding->kind))));
    member_set_number(json, "page", finding->page);
    member_set_number(json, "offset", finding->offset);
    member_set_text(json, "text", finding->text);
    member_set(json, "remedy", json_string(finding_remedy(finding->kind)));
    member_append(account->findings, json);
}

/* ---- records ---- */

/* What is in a commit. */
struct tally {
    uint64_t puts;
    uint64_t dels;
    uint64_t clears;
    uint64_t runs;
};

static struct tally tally_of(const struct log_visit *visit)
{
    struct tally tally = {0};
    struct ops_reader reader;
    struct op op;
    if (visit->record.type != RECORD_COMMIT)
        return tally;
    ops_reader_init(&reader, visit->payload, visit->payload_len);
    while (ops_next(&reader, &op) == SCN_OK) {
        tally.puts += op.code == OP_PUT;
        tally.dels += op.code == OP_DEL;
        tally.clears += op.code == OP_CLEAR;
        tally.runs += op.code == OP_RUN;
    }
    return tally;
}

static void print_record(FILE *out, const struct log_visit *visit)
{
    const struct record *record = &visit->record;
    struct tally tally = tally_of(visit);
    fprintf(out,
            "record      lsn %" PRIu64 ", offset %" PRIu64 ": %s, %" PRIu32
            " bytes stored, %" PRIu32 " raw",
            record->lsn, visit->file_off, type_words[record->type], record->stored_len,
            record->raw_len);
    if (record->type == RECORD_COMMIT)
        fprintf(out,
                "; %" PRIu64 " puts, %" PRIu64 " deletions, %" PRIu64
                " ranges, %" PRIu64 " runs",
                tally.puts, tally.dels, tally.clears, tally.runs);
    else if (record->type == RECORD_EXTENT)
        fprintf(out, "; goes on in page %" PRIu32, visit->extent.pgno);
    fprintf(out, "; synced to %" PRIu64 "\n", record->synced_lsn);
}

static json_t *record_json(const struct log_visit *visit)
{
    const struct record *record = &visit->record;
    struct tally tally = tally_of(visit);
    json_t *json = member_must(json_object());
    member_set_number(json, "lsn", record->lsn);
    member_set_number(json, "end_lsn", visit->end_lsn);
    member_set_number(json, "offset", visit->file_off);
    member_set(json, "type", json_string(type_words[record->type]));
    member_set_number(json, "stored", record->stored_len);
    member_set_number(json, "raw", record->raw_len);
    member_set_number(json, "synced_lsn", record->synced_lsn);
    member_set_word(json, "epoch", record->epoch);
    if (record->type == RECORD_COMMIT) {
        member_set_number(json, "puts", tally.puts);
        member_set_number(json, "deletions", tally.dels);
        member_set_number(json, "ranges", tally.clears);
        member_set_number(json, "runs", tally.runs);
    }
    return json;
}

void account_record(struct account *account, const struct log_visit *visit)
{
    if (visit->record.lsn < account->from_lsn)
        return;
    if (!account->is_json)
        print_record(account->out, visit);
    else if (json_array_size(account->records) < KEPT_MAX)
        member_append(account->records, record_json(visit));
}

/* ---- the rest, as text ---- */

static void print_slots(FILE *out, const struct inspection *inspection)
{
    const struct generations *generations = &inspection->generations;
    for (int i = 0; i < 2; i++) {
        const struct superblock *sb = &generations->sb[i];
        fprintf(out, "superblock  %d: %s", i,
                generation_verdict_word(generations->verdict[i]));
        if (generations->verdict[i] == SUPERBLOCK_GOOD)
            fprintf(out,
                    "; generation %" PRIu64 ", log from lsn %" PRIu64 ", %" PRIu32
                    " pages%s",
                    sb->gen, sb->base.lsn, sb->page_count,
                    inspection->chosen == i ? "; an open takes this one" : "");
        else if (generations->why[i])
            fprintf(out, " (%s)", generations->why[i]);
        fputc('\n', out);
    }
}

static void print_log(FILE *out, const struct inspection *inspection)
{
    const struct trail *trail = &inspection->trail;
    const struct log_scan_result *end = &trail->end;
    const struct log_base *base = &inspection->generations.sb[inspection->chosen].base;
    fprintf(out,
            "log         from lsn %" PRIu64 " at offset %" PRIu64 " to lsn %" PRIu64
            " at offset %" PRIu64 "\n",
            base->lsn, (uint64_t)base->extent_pgno * PAGE_BYTES + base->extent_off,
            end->end.lsn, end->bad_off);
    fprintf(out,
            "log         %" PRIu64 " records, %" PRIu64 " bytes; %" PRIu64
            " commits with %" PRIu64 " operations; %" PRIu32 " extents, %" PRIu32
            " bulk runs\n",
            end->record_count, end->byte_count, trail->commit_count, trail->op_count,
            trail->extent_count, trail->run_count);
    fprintf(out, "log         ends %s (%s); durable up to lsn %" PRIu64 " at least\n",
            inspection->is_live && end->kind == LOG_END_TORN ? "in use"
                                                             : end_words[end->kind],
            end->why ? end->why : "log: nothing follows", end->watermark);
    if (end->kind == LOG_END_CORRUPT)
        fprintf(out,
                "log         behind the damage %" PRIu64 " records, %" PRIu64
                " bytes, %" PRIu64 " commits can be read; %" PRIu64 " gaps\n",
                inspection->survivors.record_count, inspection->survivors.byte_count,
                inspection->survivors.commit_count, inspection->survivors.gap_count);
}

static void print_pages(FILE *out, const struct inspection *inspection)
{
    const struct space_stat *space = &inspection->space;
    fprintf(out,
            "tables      %" PRIu64 " with %" PRIu64 " rows and %" PRIu64
            " bytes of values in the generation\n",
            inspection->table_count, inspection->row_count, inspection->value_bytes);
    if (space->end_pages)
        fprintf(out,
                "pages       %" PRIu64 " used, %" PRIu64 " freed, %" PRIu64 " free\n",
                space->used_pages - space->freed_pages, space->freed_pages,
                space->free_pages);
}

static uint64_t rate_of(uint64_t bytes, uint64_t ns)
{
    return ns ? (uint64_t)((double)bytes * 1000 / (double)ns) : 0;
}

static void print_estimate(FILE *out, const struct estimate *estimate)
{
    fprintf(out,
            "estimate    an open reads %" PRIu64 " bytes of log in %" PRIu64
            " us (%" PRIu64 " MB/s, measured) and applies %" PRIu64
            " operations in %" PRIu64 " us (measured with %" PRIu64
            " of them): %" PRIu64 " ms\n",
            estimate->bytes, estimate->read_ns / 1000,
            rate_of(estimate->bytes, estimate->read_ns), estimate->op_count,
            estimate->apply_ns / 1000, estimate->sample,
            (estimate->read_ns + estimate->apply_ns) / 1000000);
}

static void print_text(FILE *out, const struct inspection *inspection,
                       const struct estimate *estimate)
{
    print_slots(out, inspection);
    if (inspection->chosen >= 0) {
        print_log(out, inspection);
        print_pages(out, inspection);
    }
    if (inspection->is_live)
        fputs("in use      somebody has it open for writing\n", out);
    if (estimate)
        print_estimate(out, estimate);
}

/* ---- the verdict ---- */

const char *account_verdict(const struct inspection *inspection)
{
    if (inspection->is_unsteady && inspection->findings.worst > SEVERITY_NONE)
        return "unsteady: it changes faster than it can be looked at; try again when "
               "less is written";
    switch (inspection->findings.worst) {
    case SEVERITY_NONE:
        return "clean";
    case SEVERITY_HANDLED:
        return "whole; the next open or checkpoint puts right what was found";
    case SEVERITY_CORRUPT:
        return inspection->is_refused
                   ? "damaged: an open for writing refuses it"
                   : "damaged: it opens, and answers SCN_CORRUPT for what is lost";
    case SEVERITY_UNREADABLE:
        return "unreadable in places";
    default:
        return inspection->generations.newest < 0 &&
                       !generations_have(&inspection->generations, SUPERBLOCK_NEWER)
                   ? "no store"
                   : "of a newer version";
    }
}

enum outcome account_outcome(const struct inspection *inspection)
{
    static const enum outcome outcomes[] = {
        [SEVERITY_NONE] = OUTCOME_OK,         [SEVERITY_HANDLED] = OUTCOME_FINDINGS,
        [SEVERITY_CORRUPT] = OUTCOME_CORRUPT, [SEVERITY_UNREADABLE] = OUTCOME_IO,
        [SEVERITY_FOREIGN] = OUTCOME_FOREIGN};
    if (inspection->is_unsteady && inspection->findings.worst > SEVERITY_NONE)
        return OUTCOME_BUSY;
    return outcomes[inspection->findings.worst];
}

/* ---- as JSON ---- */

static json_t *slot_json(const struct inspection *inspection, int idx)
{
    const struct generations *generations = &inspection->generations;
    const struct superblock *sb = &generations->sb[idx];
    json_t *json = member_must(json_object());
    member_set(json, "state",
               json_string(generation_verdict_word(generations->verdict[idx])));
    if (generations->why[idx])
        member_set(json, "why", json_string(generations->why[idx]));
    if (generations->verdict[idx] != SUPERBLOCK_GOOD)
        return json;
    member_set_number(json, "generation", sb->gen);
    member_set_number(json, "base_lsn", sb->base.lsn);
    member_set_number(json, "pages", sb->page_count);
    member_set_number(json, "needed_pages", sb->needed_pages);
    member_set(json, "is_taken", json_boolean(inspection->chosen == idx));
    return json;
}

static json_t *log_json(const struct inspection *inspection)
{
    const struct trail *trail = &inspection->trail;
    const struct survivors *survivors = &inspection->survivors;
    const struct log_scan_result *end = &trail->end;
    json_t *json = member_must(json_object());
    member_set_number(json, "from_lsn",
               inspection->generations.sb[inspection->chosen].base.lsn);
    member_set_number(json, "to_lsn", end->end.lsn);
    member_set_number(json, "to_offset", end->bad_off);
    member_set(json, "end", json_string(end_words[end->kind]));
    if (end->why)
        member_set(json, "why", json_string(end->why));
    member_set_number(json, "durable_lsn", end->watermark);
    member_set_number(json, "records", end->record_count);
    member_set_number(json, "bytes", end->byte_count);
    member_set_number(json, "commits", trail->commit_count);
    member_set_number(json, "operations", trail->op_count);
    member_set_number(json, "extents", trail->extent_count);
    member_set_number(json, "runs", trail->run_count);
    if (end->kind == LOG_END_CORRUPT) {
        member_set_number(json, "records_behind", survivors->record_count);
        member_set_number(json, "commits_behind", survivors->commit_count);
        member_set_number(json, "gaps", survivors->gap_count);
    }
    return json;
}

static void set_pages(json_t *json, const struct inspection *inspection)
{
    member_set_number(json, "tables", inspection->table_count);
    member_set_number(json, "rows", inspection->row_count);
    member_set_number(json, "value_bytes", inspection->value_bytes);
    member_set_number(json, "used_pages",
               inspection->space.used_pages - inspection->space.freed_pages);
    member_set_number(json, "freed_pages", inspection->space.freed_pages);
    member_set_number(json, "free_pages", inspection->space.free_pages);
    member_set_number(json, "pages_read", inspection->pages_read);
}

static json_t *estimate_json(const struct estimate *estimate)
{
    json_t *json = member_must(json_object());
    member_set_number(json, "log_bytes", estimate->bytes);
    member_set_number(json, "read_us", estimate->read_ns / 1000);
    member_set_number(json, "operations", estimate->op_count);
    member_set_number(json, "apply_us", estimate->apply_ns / 1000);
    member_set_number(json, "measured_with", estimate->sample);
    return json;
}

static json_t *all_json(struct account *account, const char *path,
                        const struct inspection *inspection)
{
    json_t *json = member_must(json_object());
    member_set_file(json, path);
    member_set_number(json, "bytes", inspection->file_bytes);
    json_t *slots = member_list(json, "superblocks");
    member_append(slots, slot_json(inspection, 0));
    member_append(slots, slot_json(inspection, 1));
    if (inspection->chosen >= 0) {
        member_set(json, "log", log_json(inspection));
        set_pages(json, inspection);
    }
    member_set(json, "in_use", json_boolean(inspection->is_live));
    member_set(json, "opens", json_boolean(!inspection->is_refused));
    if (json_array_size(account->records))
        member_set(json, "log_records", json_incref(account->records));
    member_set_number(json, "finding_count", inspection->findings.count);
    member_set(json, "findings", json_incref(account->findings));
    member_set(json, "verdict", json_string(account_verdict(inspection)));
    member_set_number(json, "exit", (uint64_t)account_outcome(inspection));
    return json;
}

void account_print(struct account *account, const char *path,
                   const struct inspection *inspection, const struct estimate *estimate)
{
    if (!account->is_json) {
        print_text(account->out, inspection, estimate);
        fprintf(account->out, "verdict     %s: %s (%" PRIu64 " findings)\n", path,
                account_verdict(inspection), inspection->findings.count);
        return;
    }
    json_t *json = all_json(account, path, inspection);
    if (estimate)
        member_set(json, "estimate", estimate_json(estimate));
    output_json_to(account->out, json, JSON_INDENT(2));
}
