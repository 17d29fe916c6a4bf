/* What a salvage could not bring back, told as it is found, and what it could. */
#ifndef TOOLS_WALCHECK_RECKONING_H
#define TOOLS_WALCHECK_RECKONING_H

#include "tools/walcheck/request.h"
#include "tools/walcheck/salvage.h"

#include <jansson.h>
#include <stdio.h>

struct reckoning {
    FILE *out;
    json_t *losses;   /* NULL: printed; the first ten thousand */
    json_t *findings;
};

void reckoning_begin(struct reckoning *reckoning, FILE *out, bool is_json);
void reckoning_end(struct reckoning *reckoning);
void reckoning_finding(struct reckoning *reckoning, const struct finding *finding);
void reckoning_loss(struct reckoning *reckoning, const struct loss *loss);
void reckoning_print(struct reckoning *reckoning, const struct request *request,
                     const struct salvage *result);

#endif
