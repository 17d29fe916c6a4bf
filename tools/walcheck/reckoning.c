/* Telling of a salvage: see reckoning.h. */
#include "tools/walcheck/reckoning.h"

#include "tools/jsonl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 10000 };

static const char *const kind_words[] = {
    [LOSS_KEYS] = "keys", [LOSS_OLDER] = "older", [LOSS_VALUE] = "value",
    [LOSS_LOG] = "commits"};

static json_t *must(json_t *json)
{
    if (json == NULL)
        outcome_no_memory();
    return json;
}

static void set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, must(value)) < 0)
        outcome_no_memory();
}

static void set_number(json_t *object, const char *name, uint64_t value)
{
    set(object, name, json_integer((json_int_t)value));
}

void reckoning_begin(struct reckoning *reckoning, FILE *out, bool is_json)
{
    *reckoning = (struct reckoning){.out = out};
    if (is_json) {
        reckoning->losses = must(json_array());
        reckoning->findings = must(json_array());
    }
}

void reckoning_end(struct reckoning *reckoning)
{
    json_decref(reckoning->losses);
    json_decref(reckoning->findings);
    *reckoning = (struct reckoning){0};
}

static void keep(json_t *list, json_t *json)
{
    if (json_array_append_new(list, must(json)) < 0)
        outcome_no_memory();
}

void reckoning_finding(struct reckoning *reckoning, const struct finding *finding)
{
    const char *word = finding_word(finding->kind);
    if (reckoning->findings == NULL)
        fprintf(reckoning->out, "finding     %s: page %" PRIu64 ", offset %" PRIu64
                                ": %s\n",
                word, finding->page, finding->offset, finding->text);
    else if (json_array_size(reckoning->findings) < KEPT_MAX)
        keep(reckoning->findings,
             json_pack("{s:s, s:I, s:I, s:s}", "kind", word, "page",
                       (json_int_t)finding->page, "offset", (json_int_t)finding->offset,
                       "text", finding->text));
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

static void print_loss(FILE *out, const struct loss *loss)
{
    if (loss->kind == LOSS_LOG) {
        fprintf(out, "lost        commits between lsn %" PRIu64 " and lsn %" PRIu64 "\n",
                loss->from_lsn, loss->to_lsn);
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
    json_t *json = must(json_object());
    set(json, "kind", json_string(kind_words[loss->kind]));
    if (loss->kind == LOSS_LOG) {
        set_number(json, "from_lsn", loss->from_lsn);
        set_number(json, "to_lsn", loss->to_lsn);
        return json;
    }
    if (loss->table)
        jsonl_set_bytes(json, "table", (scn_slice){loss->table, strlen(loss->table)});
    set_number(json, "table_id", loss->table_id);
    if (loss->kind == LOSS_VALUE)
        jsonl_set_bytes(json, "key", loss->from);
    else if (loss->has_from)
        jsonl_set_bytes(json, "from", loss->from);
    if (loss->has_to)
        jsonl_set_bytes(json, "to", loss->to);
    set_number(json, "page", loss->page);
    return json;
}

void reckoning_loss(struct reckoning *reckoning, const struct loss *loss)
{
    if (reckoning->losses == NULL)
        print_loss(reckoning->out, loss);
    else if (json_array_size(reckoning->losses) < KEPT_MAX)
        keep(reckoning->losses, loss_json(loss));
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
    json_t *json = must(json_object());
    jsonl_set_bytes(json, "file", (scn_slice){request->file, strlen(request->file)});
    jsonl_set_bytes(json, "salvaged",
                    (scn_slice){request->salvage, strlen(request->salvage)});
    set_number(json, "tables", result->table_count);
    set_number(json, "rows_written", result->put_count);
    set_number(json, "log_records", result->record_count);
    set_number(json, "loss_count", result->loss_count);
    set(json, "losses", json_incref(reckoning->losses));
    set(json, "findings", json_incref(reckoning->findings));
    char *text = json_dumps(json, JSON_INDENT(2));
    if (text == NULL)
        outcome_no_memory();
    fprintf(reckoning->out, "%s\n", text);
    free(text);
    json_decref(json);
}
