/* Telling of a salvage: see reckoning.h. */
#include "tools/walcheck/reckoning.h"

#include "tools/member.h"
#include "tools/output.h"

#include <inttypes.h>
#include <string.h>

enum { KEPT_MAX = 10000 };

static const char *const kind_words[] = {
    [LOSS_KEYS] = "keys", [LOSS_OLDER] = "older", [LOSS_VALUE] = "value",
    [LOSS_LOG] = "commits"};

void reckoning_begin(struct reckoning *reckoning, FILE *out, bool is_json)
{
    *reckoning = (struct reckoning){.out = out};
    if (is_json) {
        reckoning->losses = member_must(json_array());
        reckoning->findings = member_must(json_array());
    }
}

void reckoning_end(struct reckoning *reckoning)
{
    json_decref(reckoning->losses);
    json_decref(reckoning->findings);
    *reckoning = (struct reckoning){0};
}

static json_t *finding_json(const struct finding *finding)
{
    json_t *json = member_must(json_object());
    member_set(json, "kind", json_string(finding_word(finding->kind)));
    member_set_number(json, "page", finding->page);
    member_set_number(json, "offset", finding->offset);
    member_set_text(json, "text", finding->text);
    return json;
}

void reckoning_finding(struct reckoning *reckoning, const struct finding *finding)
{
    if (reckoning->findings == NULL)
        fprintf(reckoning->out, "finding     %s: page %" PRIu64 ", offset %" PRIu64
                                ": %s\n",
                finding_word(finding->kind), finding->page, finding->offset,
                finding->text);
    else if (json_array_size(reckoning->findings) < KEPT_MAX)
        member_append(reckoning->findings, finding_json(finding));
}

/* ---- losses ---- */

static void print_table(FILE *out, const struct loss *loss)
{
    if (loss->table)
        text_print_escaped(out, (scn_slice){loss->table, strlen(loss->table)});
    else if (loss->table_id == 1)
        fputs("(names of tables)", out);
    else
        fprintf(out, "number %" PRIu32, loss->table_id);
}

static void print_bound(FILE *out, const char *word, bool is_set, scn_slice key)
{
    if (!is_set)
        return;
    fprintf(out, "%s", word);
    text_print_escaped(out, key);
}

static void print_lost_log(FILE *out, const struct loss *loss)
{
    if (loss->to_lsn == 0)
        fprintf(out, "lost        commits behind lsn %" PRIu64
                ", as far as there were any\n", loss->from_lsn);
    else
        fprintf(out, "lost        commits between lsn %" PRIu64 " and lsn %" PRIu64 "\n",
                loss->from_lsn, loss->to_lsn);
}

static void print_loss(FILE *out, const struct loss *loss)
{
    if (loss->kind == LOSS_LOG) {
        print_lost_log(out, loss);
        return;
    }
    bool is_older = loss->kind == LOSS_OLDER;
    fprintf(out, "%s       table ", is_older ? "older" : "lost ");
    print_table(out, loss);
    if (loss->kind == LOSS_VALUE) {
        print_bound(out, ": the value of ", true, loss->from);
    } else {
        fputs(loss->has_from || loss->has_to ? ": keys" : ": all keys", out);
        print_bound(out, " from ", loss->has_from, loss->from);
        print_bound(out, " to before ", loss->has_to, loss->to);
    }
    fprintf(out, " (page %" PRIu32 ")\n", loss->page);
}

static json_t *loss_json(const struct loss *loss)
{
    json_t *json = member_must(json_object());
    member_set(json, "kind", json_string(kind_words[loss->kind]));
    if (loss->kind == LOSS_LOG) {
        member_set_number(json, "from_lsn", loss->from_lsn);
        if (loss->to_lsn)
            member_set_number(json, "to_lsn", loss->to_lsn);
        return json;
    }
    if (loss->table)
        member_set_bytes(json, "table", (scn_slice){loss->table, strlen(loss->table)});
    member_set_number(json, "table_id", loss->table_id);
    if (loss->kind == LOSS_VALUE)
        member_set_bytes(json, "key", loss->from);
    else if (loss->has_from)
        member_set_bytes(json, "from", loss->from);
    if (loss->has_to)
        member_set_bytes(json, "to", loss->to);
    member_set_number(json, "page", loss->page);
    return json;
}

void reckoning_loss(struct reckoning *reckoning, const struct loss *loss)
{
    if (reckoning->losses == NULL)
        print_loss(reckoning->out, loss);
    else if (json_array_size(reckoning->losses) < KEPT_MAX)
        member_append(reckoning->losses, loss_json(loss));
}

/* ---- the end ---- */

void reckoning_print(struct reckoning *reckoning, const struct request *request,
                     const struct salvage *result)
{
    if (reckoning->losses == NULL) {
        fprintf(reckoning->out,
                "salvaged    %s: %" PRIu64 " tables; %" PRIu64 " rows written, %" PRIu64
                " log records read; %" PRIu64 " losses\n",
                request->salvage, result->table_count, result->put_count,
                result->record_count, result->loss_count);
        return;
    }
    json_t *json = member_must(json_object());
    member_set_file(json, request->file);
    member_set_bytes(json, "salvaged",
                    (scn_slice){request->salvage, strlen(request->salvage)});
    member_set_number(json, "tables", result->table_count);
    member_set_number(json, "rows_written", result->put_count);
    member_set_number(json, "log_records", result->record_count);
    member_set_number(json, "loss_count", result->loss_count);
    member_set(json, "losses", json_incref(reckoning->losses));
    member_set(json, "findings", json_incref(reckoning->findings));
    output_json_to(reckoning->out, json, JSON_INDENT(2));
}
