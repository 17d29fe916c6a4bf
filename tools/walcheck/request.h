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
    uint64_t page;  /* with is_page */
    bool is_verbose;
    bool is_json;
    bool is_dump;
    bool is_estimate;
    bool is_truncate;
    bool is_forced;
    bool is_quick;
    bool is_page;
    bool is_hex;
    bool is_help;
    bool is_version;
};

/* OUTCOME_USAGE: it was said why. */
enum outcome request_parse(struct request *request, int argc, char **argv);
/* The number of the page that is to be shown; as above. */
enum outcome request_take_page(struct request *request, const char *text);
void request_print_help(void);

#endif
