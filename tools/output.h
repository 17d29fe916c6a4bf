/* Standard output, which may be a pipe whose reader has seen enough. */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include "tools/outcome.h"
#include "tools/text.h"

#include <jansson.h>

/* To be called first.  A closed pipe becomes an error of write instead of a signal;
 * and descriptors 0 to 2 are opened where the caller left them closed, lest the store
 * gets one of them and our sentences are written into it. */
void output_prepare(void);
/* True when there is no point in writing more. */
bool output_is_broken(void);
/* Flushes.  A closed pipe is no failure: whoever read had enough.  Any other is said and
 * becomes OUTCOME_IO unless the outcome given is worse than OUTCOME_FINDINGS: findings of
 * which a part was printed are no answer. */
enum outcome output_finish(enum outcome outcome);

/* A JSON text and a newline; gives up the reference. */
void output_json(json_t *json, size_t flags);
/* To somewhere else. */
void output_json_to(FILE *out, json_t *json, size_t flags);

#endif
