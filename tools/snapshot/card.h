/* What a snapshot is, for people and programs. */
#ifndef TOOLS_SNAPSHOT_CARD_H
#define TOOLS_SNAPSHOT_CARD_H

#include "tools/outcome.h"

#include <jansson.h>
#include <stdio.h>

/* One line, with a newline. */
void card_print(FILE *out, const char *path, const scn_snapshot_info *info);
/* An object; tables may be NULL, and is taken over. */
json_t *card_json(const char *path, const scn_snapshot_info *info, json_t *tables);
/* One element of such tables. */
json_t *card_table_json(const scn_snapshot_table *table);

#endif
