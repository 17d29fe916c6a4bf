/* The text format: see exposition.h. */
#include "tools/exposition.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A figure of the file. */
struct figure {
    const char *name;
    const char *type;
    const char *help;
    uint64_t value;
};

/* A figure of each table. */
struct table_figure {
    const char *name;
    const char *help;
    uint64_t (*value)(const scn_table_stat *stat);
};

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP scrine_%s %s\n# TYPE scrine_%s %s\n", name, help, name, type);
}

/* Inside quotes the format knows these three escapes, and wants UTF-8; other bytes are
 * printed as scan prints them. */
static void print_label(FILE *out, const char *name, const char *value)
{
    char *escaped = text_escaped((scn_slice){value, strlen(value)});
    fprintf(out, "%s=\"", name);
    for (const char *at = escaped; *at; at++) {
        if (*at == '"' || *at == '\\')
            putc('\\', out);
        putc(*at, out);
    }
    putc('"', out);
    free(escaped);
}

static void print_figure(FILE *out, const char *path, const struct figure *figure)
{
    print_head(out, figure->name, figure->type, figure->help);
    fprintf(out, "scrine_%s{", figure->name);
    print_label(out, "file", path);
    fprintf(out, "} %" PRIu64 "\n", figure->value);
}

static void print_file(FILE *out, const char *path, const struct summary *summary)
{
    const scn_stats_t *stats = &summary->stats;
    const scn_health_t *health = &summary->health;
    const struct figure figures[] = {
        {"healthy", "gauge", "1 where commits can go on.", health->healthy},
        {"file_size_bytes", "gauge", "Length of the file.", stats->file_bytes},
        {"used_bytes", "gauge", "Pages in use, as of the newest checkpoint.",
         stats->used_bytes},
        {"freed_bytes", "gauge", "Pages kept for snapshots or until later checkpoints.",
         stats->freed_bytes},
        {"free_bytes", "gauge", "Pages that can be used again.", stats->free_bytes},
        {"page_size_bytes", "gauge", "Length of a page.", stats->page_bytes},
        {"disk_free_bytes", "gauge", "Free space of the file system.",
         health->disk_free_bytes},
        {"log_backlog_bytes", "gauge", "Log that no checkpoint has merged yet.",
         stats->log_bytes},
        {"log_backlog_records", "gauge", "Records in it.", stats->recovered_records},
        {"log_position_bytes_total", "counter",
         "LSN up to which there are commits; it jumps where an epoch begins.",
         stats->appended_lsn},
        {"checkpoints_total", "counter", "Number of the newest checkpoint.", stats->gen},
        {"torn_tail", "gauge", "1 where the log ends in what was never acknowledged.",
         stats->torn_tail},
        {"bulk_runs", "gauge", "Bulk runs that no checkpoint has merged yet.",
         stats->runs},
        {"tables", "gauge", "Number of tables.", summary->tables.count},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        print_figure(out, path, &figures[i]);
}

static uint64_t rows_of(const scn_table_stat *stat)
{
    return stat->count;
}

static uint64_t key_bytes_of(const scn_table_stat *stat)
{
    return stat->key_bytes;
}

static uint64_t value_bytes_of(const scn_table_stat *stat)
{
    return stat->value_bytes;
}

static uint64_t stored_bytes_of(const scn_table_stat *stat)
{
    return stat->stored_bytes;
}

static void print_tables(FILE *out, const char *path,
                         const struct summary_tables *tables)
{
    static const struct table_figure figures[] = {
        {"table_rows", "Rows of the table.", rows_of},
        {"table_key_bytes", "Bytes of its keys, as of the newest checkpoint.",
         key_bytes_of},
        {"table_value_bytes", "Bytes of its values, as of the newest checkpoint.",
         value_bytes_of},
        {"table_stored_bytes",
         "Pages of its tree and none of longer values, as of the newest checkpoint.",
         stored_bytes_of},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures && tables->count; i++) {
        print_head(out, figures[i].name, "gauge", figures[i].help);
        for (size_t k = 0; k < tables->count; k++) {
            fprintf(out, "scrine_%s{", figures[i].name);
            print_label(out, "file", path);
            putc(',', out);
            print_label(out, "table", tables->items[k].name);
            fprintf(out, "} %" PRIu64 "\n", figures[i].value(&tables->items[k].stat));
        }
    }
}

void exposition_print(FILE *out, const char *path, const struct summary *summary)
{
    print_file(out, path, summary);
    print_tables(out, path, &summary->tables);
}
