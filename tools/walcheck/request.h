/* What the command line of scrine-walcheck asks for. */
#ifndef TOOLS_WALCHECK_REQUEST_H
#define TOOLS_WALCHECK_REQUEST_H

#include "tools/outcome.h"

#include <stdbool.h>
#include <stdint.h>

/* Strings belong to argv. */
struct request {
    const char *file;
    const char *salvage; /* the new file, or NULL */
    uint64_t from_lsn;
    bool is_verbose;
    bool is_json;
    bool is_dump;
    bool is_estimate;
    bool is_truncate;
    bool is_forced;
    bool is_quick;
    bool is_help;
    bool is_version;
};

/* OUTCOME_USAGE: it was said why. */
enum outcome request_parse(struct request *request, int argc, char **argv);
void request_print_help(void);

#endif
