/* What an inspection has seen, told to people as text or to programs as JSON.
 *
 * As text, findings and records are printed as they come.  As JSON they are kept for the
 * one object that is printed in the end: the first ten thousand, and how many more there
 * are. */
#ifndef TOOLS_WALCHECK_ACCOUNT_H
#define TOOLS_WALCHECK_ACCOUNT_H

#include "tools/walcheck/estimate.h"
#include "tools/walcheck/request.h"

#include <jansson.h>
#include <stdio.h>

struct account {
    FILE *out;
    bool is_json;
    uint64_t from_lsn;
    json_t *findings; /* NULL: printed */
    json_t *records;
};

void account_begin(struct account *account, FILE *out, const struct request *request);
void account_end(struct account *account);

/* For struct inspection_wishes. */
void account_finding(struct account *account, const struct finding *finding);
void account_record(struct account *account, const struct log_visit *visit);

/* All the rest: superblocks, the log, pages; estimate may be NULL. */
void account_print(struct account *account, const char *path,
                   const struct inspection *inspection, const struct estimate *estimate);

/* "commit", "extent" ... of a record that can be one. */
const char *account_type_word(uint8_t type);

/* In words, static; and as an exit code. */
const char *account_verdict(const struct inspection *inspection);
enum outcome account_outcome(const struct inspection *inspection);

#endif
