/* What a snapshot is: see card.h. */
#include "tools/snapshot/card.h"
#include "tools/fingerprint.h"

#include <inttypes.h>
#include <stdbool.h>
#include <time.h>

enum { DATE_BYTES = 32 };

static void date_of(int64_t wall_ms, char out[DATE_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(out, DATE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(out, DATE_BYTES, "%" PRId64 " ms", wall_ms);
}

void card_print(FILE *out, const char *path, const scn_snapshot_info *info)
{
    char date[DATE_BYTES];
    char id[FINGERPRINT_HEX_BYTES];
    char digest[FINGERPRINT_HEX_BYTES];
    bool is_full = info->kind == SCN_SNAPSHOT_FULL;
    date_of(info->wall_ms, date);
    fingerprint_hex(info->id, id);
    fingerprint_hex(info->digest, digest);
    fprintf(out, "%s: %s of %s, generation %" PRIu64 ", %" PRIu64 " rows, %" PRIu64
            " bytes, id %.12s, digest %s", path, is_full ? "full" : "increment", date,
            info->gen, info->rows, info->bytes, id, digest);
    if (!is_full) {
        fingerprint_hex(info->since_id, id);
        fprintf(out, ", since %.12s", id);
    }
    fputc('\n', out);
}

static void set(json_t *json, const char *name, json_t *value)
{
    if (value == NULL || json_object_set_new(json, name, value) < 0)
        outcome_no_memory();
}

static void set_hex(json_t *json, const char *name, const uint8_t *bytes)
{
    char hex[FINGERPRINT_HEX_BYTES];
    fingerprint_hex(bytes, hex);
    set(json, name, json_string(hex));
}

static void set_since(json_t *json, const scn_snapshot_info *info)
{
    set(json, "since_gen", json_integer((json_int_t)info->since_gen));
    set(json, "since_lsn", json_integer((json_int_t)info->since_lsn));
    set_hex(json, "since_id", info->since_id);
}

json_t *card_json(const char *path, const scn_snapshot_info *info, json_t *tables)
{
    char date[DATE_BYTES];
    json_t *json = json_object();
    if (json == NULL)
        outcome_no_memory();
    bool is_full = info->kind == SCN_SNAPSHOT_FULL;
    date_of(info->wall_ms, date);
    set(json, "file", json_string(path));
    set(json, "kind", json_string(is_full ? "full" : "increment"));
    set(json, "date", json_string(date));
    set_hex(json, "source", info->uuid);
    set(json, "gen", json_integer((json_int_t)info->gen));
    set(json, "lsn", json_integer((json_int_t)info->lsn));
    set_hex(json, "id", info->id);
    if (!is_full)
        set_since(json, info);
    set(json, "tables", json_integer((json_int_t)info->tables));
    set(json, "rows", json_integer((json_int_t)info->rows));
    set(json, "bytes", json_integer((json_int_t)info->bytes));
    set_hex(json, "digest", info->digest);
    if (tables)
        set(json, "holds", tables);
    return json;
}

json_t *card_table_json(const scn_snapshot_table *table)
{
    char hex[FINGERPRINT_HEX_BYTES];
    fingerprint_hex(table->digest, hex);
    json_t *json = json_pack("{s:s, s:I, s:s}", "name", table->name, "rows",
                             (json_int_t)table->rows, "digest", hex);
    if (json == NULL)
        outcome_no_memory();
    return json;
}
