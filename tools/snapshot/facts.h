/* What a file is: a full snapshot, an increment, or neither. */
#ifndef TOOLS_SNAPSHOT_FACTS_H
#define TOOLS_SNAPSHOT_FACTS_H

#include "tools/handle.h"

#include <jansson.h>
#include <stdbool.h>

struct facts {
    scn_snapshot_info info;
    json_t *tables; /* of a full one, when they were asked for; the caller's */
};

/* An increment is read to its end, with progress, of a store what it says of itself.
 * is_quiet: what is neither is not spoken of.  OUTCOME_FOREIGN: it is neither. */
enum outcome facts_read(struct facts *facts, const char *path, bool wants_tables,
                        bool is_quiet);
/* Of an open store.  OUTCOME_FINDINGS: it was not made from a snapshot. */
enum outcome facts_of_store(struct facts *facts, struct handle *handle,
                            bool wants_tables, bool is_quiet);
/* The rows of an open store give the digest that it says.  OUTCOME_FINDINGS: they do
 * not. */
enum outcome facts_compare(const struct facts *facts, struct handle *handle);

/* Opens a file to read, or standard input for "-"; fails with its sentence.  -1: *outcome
 * says so. */
int facts_open(const char *path, enum outcome *outcome);
/* What it is called in a sentence. */
const char *facts_name(const char *path);

#endif
