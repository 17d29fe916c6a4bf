/* Figures of a store in the text format that Prometheus reads (version 0.0.4): for the
 * textfile collector of a node exporter, or for whoever serves it. */
#ifndef TOOLS_EXPOSITION_H
#define TOOLS_EXPOSITION_H

#include "tools/summary.h"

/* Only what is true of the file: counters of one process would begin anew with each
 * call. */
void exposition_print(FILE *out, const char *path, const struct summary *summary);

#endif
