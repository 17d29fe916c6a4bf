/* Figures of a store: see summary.h. */
#include "tools/summary.h"

#include <stdio.h>
#include <stdlib.h>

static scn_status add_table(void *ctx, const char *name, scn_table_id id)
{
    struct summary_tables *list = ctx;
    if (name[0] == '~' && !list->takes_all)
        return SCN_OK;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 16;
        list->items = realloc(list->items, list->capacity * sizeof *list->items);
        if (list->items == NULL)
            outcome_no_memory();
    }
    struct summary_table *table = &list->items[list->count++];
    *table = (struct summary_table){.id = id, .stat.struct_size = sizeof table->stat};
    snprintf(table->name, sizeof table->name, "%s", name);
    return scn_table_info(list->txn, id, &table->stat);
}

enum outcome summary_list_tables(struct handle *handle,
                                 struct summary_tables *list)
{
    enum outcome outcome = handle_read(handle);
    if (outcome != OUTCOME_OK)
        return outcome;
    list->txn = handle->txn;
    scn_status st = scn_table_each(handle->txn, add_table, list);
    return st < 0 ? handle_fail(handle, st) : OUTCOME_OK;
}

void summary_free_tables(struct summary_tables *tables)
{
    free(tables->items);
    *tables = (struct summary_tables){0};
}

enum outcome summary_read(struct handle *handle, struct summary *out)
{
    *out = (struct summary){.stats.struct_size = sizeof out->stats,
                            .health.struct_size = sizeof out->health,
                            .tables.takes_all = true,
                            .is_fresh = !handle->is_lent};
    scn_status st = scn_stats(handle->db, &out->stats);
    if (st == SCN_OK)
        st = scn_health(handle->db, &out->health);
    return st < 0 ? handle_fail(handle, st) : summary_list_tables(handle, &out->tables);
}
