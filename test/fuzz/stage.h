/* A machine for one input: a file in memory, a clock that stands still, chance that
 * repeats itself, and memory that is counted.
 *
 * One thread.  Nothing of it survives stage_strike, which fails the target where the
 * engine has kept a block of memory. */
#ifndef TEST_FUZZ_STAGE_H
#define TEST_FUZZ_STAGE_H

#include "include/scrine.h"
#include "page/sys.h"

#include <stddef.h>

#define STAGE_STORE "store"

struct sys *stage_build(void);
void stage_strike(struct sys *sys);

/* The file that stores are opened on. */
void stage_put_file(struct sys *sys, const uint8_t *bytes, size_t size);
/* Copies its bytes, at most so many, and tells how many. */
size_t stage_take_file(struct sys *sys, uint8_t *bytes, size_t room);

/* As small as options allow, without a thread. */
scn_options stage_options(uint32_t flags);
scn_status stage_open(struct sys *sys, uint32_t flags, scn_db **db);

/* What may be answered about a file that anybody may have written: fails the target for
 * any other status, and for an error without a sentence. */
void stage_judge(scn_status st, const char *what);

#endif
