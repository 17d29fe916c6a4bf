/* What a snapshot is: see card.h. */
#include "tools/snapshot/card.h"
#include "tools/fingerprint.h"
#include "tools/member.h"

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

static void set_since(json_t *json, const scn_snapshot_info *info)
{
    member_set_number(json, "since_gen", info->since_gen);
    member_set_number(json, "since_lsn", info->since_lsn);
    member_set_hex(json, "since_id", info->since_id, sizeof info->since_id);
}

json_t *card_json(const char *path, const scn_snapshot_info *info, json_t *tables)
{
    char date[DATE_BYTES];
    json_t *json = member_must(json_object());
    bool is_full = info->kind == SCN_SNAPSHOT_FULL;
    date_of(info->wall_ms, date);
    member_set_file(json, path);
    member_set(json, "kind", json_string(is_full ? "full" : "increment"));
    member_set(json, "date", json_string(date));
    member_set_hex(json, "source", info->uuid, sizeof info->uuid);
    member_set_number(json, "gen", info->gen);
    member_set_number(json, "lsn", info->lsn);
    member_set_hex(json, "id", info->id, sizeof info->id);
    if (!is_full)
        set_since(json, info);
    member_set_number(json, "tables", info->tables);
    member_set_number(json, "rows", info->rows);
    member_set_number(json, "bytes", info->bytes);
    member_set_hex(json, "digest", info->digest, sizeof info->digest);
    if (tables)
        member_set(json, "holds", tables);
    return json;
}

json_t *card_table_json(const scn_snapshot_table *table)
{
    json_t *json = member_must(json_object());
    member_set_text(json, "name", table->name);
    member_set_number(json, "rows", table->rows);
    member_set_hex(json, "digest", table->digest, sizeof table->digest);
    return json;
}
