/* Dumping the log: see operations.h. */
#include "tools/walcheck/operations.h"

#include "tools/member.h"
#include "tools/output.h"

struct dump {
    struct directory *directory; /* learns what the log says of tables */
    uint64_t from_lsn;
    FILE *out;
};

static const char *op_word(enum op_code code)
{
    switch (code) {
    case OP_PUT:
        return "put";
    case OP_DEL:
        return "del";
    case OP_CLEAR:
        return "clear";
    default:
        return "run";
    }
}

static void set_run(json_t *json, const struct op_run *run)
{
    member_set_number(json, "page", run->root.pgno);
    member_set_number(json, "records", run->count);
    member_set_number(json, "tombstones", run->tombstones);
    member_set_bytes(json, "min", run->min);
    member_set_bytes(json, "max", run->max);
}

static void set_operands(json_t *json, const struct op *op)
{
    if (op->code == OP_RUN) {
        set_run(json, &op->run);
    } else if (op->code == OP_CLEAR) {
        if (op->has_from)
            member_set_bytes(json, "from", op->key);
        if (op->has_to)
            member_set_bytes(json, "to", op->value);
    } else {
        member_set_bytes(json, "key", op->key);
        if (op->code == OP_PUT)
            member_set_bytes(json, "value", op->value);
    }
}

static void print_op(struct dump *dump, const struct op *op, uint64_t lsn)
{
    const struct table *table = directory_find(dump->directory, op->table_id);
    json_t *json = member_must(json_object());
    member_set_number(json, "lsn", lsn);
    member_set(json, "op", json_string(op_word(op->code)));
    if (op->table_id == CATALOG_TABLE)
        member_set(json, "table", json_string("(catalog)"));
    else if (table && table->name)
        member_set_bytes(json, "table", (scn_slice){table->name, table->name_len});
    member_set_number(json, "table_id", op->table_id);
    set_operands(json, op);
    output_json_to(dump->out, json, JSON_COMPACT);
}

static scn_status learn(struct dump *dump, const struct op *op)
{
    struct catalog_row row;
    if (op->table_id != CATALOG_TABLE || op->code != OP_PUT)
        return SCN_OK;
    catalog_row_decode(op->key, op->value, &row);
    return row.kind == CATALOG_ROW_ID || row.kind == CATALOG_ROW_NAME
               ? directory_learn(dump->directory, &row)
               : SCN_OK;
}

/* A table is created in the record that fills it, and its row comes behind its rows. */
static scn_status learn_all(struct dump *dump, const struct log_visit *visit)
{
    struct ops_reader reader;
    struct op op;
    scn_status st = SCN_OK;
    ops_reader_init(&reader, visit->payload, visit->payload_len);
    while (st == SCN_OK && ops_next(&reader, &op) == SCN_OK)
        st = learn(dump, &op);
    return st;
}

static scn_status print_record(void *ctx, const struct log_visit *visit)
{
    struct dump *dump = ctx;
    struct ops_reader reader;
    struct op op;
    if (visit->record.type != RECORD_COMMIT)
        return SCN_OK;
    scn_status st = learn_all(dump, visit);
    ops_reader_init(&reader, visit->payload, visit->payload_len);
    while (st == SCN_OK && visit->record.lsn >= dump->from_lsn &&
           ops_next(&reader, &op) == SCN_OK)
        print_op(dump, &op, visit->record.lsn);
    return st;
}

scn_status operations_print(struct sys *sys, const char *path,
                            struct inspection *inspection, uint64_t from_lsn, FILE *out,
                            bool (*goes_on)(void *, uint64_t, uint64_t), void *ctx)
{
    struct dump dump = {&inspection->directory, from_lsn, out};
    const struct superblock *sb = &inspection->generations.sb[inspection->chosen];
    struct survivors_visitor visitor = {.ctx = &dump, .record = print_record};
    struct findings unheard = {0};
    struct survivors survivors;
    struct trail trail = {0};
    struct subject subject;
    scn_status st = subject_open(&subject, sys, path);
    if (st != SCN_OK)
        return st;
    subject.goes_on = goes_on;
    subject.ctx = ctx;
    st = trail_follow(&subject, &unheard, sb,
                      generations_synced(&inspection->generations), NULL, print_record,
                      &dump, &trail);
    if (st == SCN_OK && trail.end.kind == LOG_END_CORRUPT)
        st = survivors_find(&subject, sb->uuid, &trail.end, &visitor, &survivors);
    trail_destroy(&trail);
    subject_close(&subject);
    return st;
}
