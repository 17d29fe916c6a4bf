/* An attempt on the library with a damaged copy of the reference file.
 *
 * The copy is opened for writing: everything is read and compared with the model, the
 * file is checked, one more commit and a checkpoint are made; it is closed, opened again,
 * and read again.  A second copy is opened for reading only.  What may come of it:
 *
 *     detected   some call says so with a status and a sentence, or the check finds it
 *     harmless   all calls succeed, and all data are right
 *
 * Wrong data are neither, nor is a status that does not fit.  A file with right checksums
 * (is_forged) may have any data; the calls must still end, soon and with little memory:
 * the number of system calls is counted, memory is limited, and an alarm rings. */
#ifndef TEST_ENGINE_ATTEMPT_H
#define TEST_ENGINE_ATTEMPT_H

#include "test/engine/reference.h"

struct attempt {
    /* in */
    const struct reference *reference;
    struct sim_disk *disk; /* with the healthy file: cheaper to change than to write */
    uint8_t *bytes; /* of the damaged file */
    uint64_t size;
    uint32_t least;      /* the last commit that must be there */
    uint32_t least_told; /* the same, for who only reads and is told that it is not all */
    bool is_forged;
    bool is_lie; /* to be detected */
    /* out */
    bool is_detected;
    bool is_refused; /* by an open */
    bool is_lost;    /* it cannot be read on which commit the store goes on */
    char said[128];  /* by the last call that refused */
    uint32_t kinds;    /* of the findings of the check: bit SCN_ISSUE_... of each */
    uint64_t calls;    /* of the system, the longer of both lives */
    char wrong[320];   /* empty: fine */
};

void attempt_run(struct attempt *attempt);
/* Around attempts: memory beyond what the process has now is limited, and whoever aborts
 * or is stopped by the alarm says which attempt it was. */
void attempt_guard(bool is_on);

/* ---- many attempts ---- */

/* A way to damage the file, with a number of variants that is known. */
struct campaign {
    const char *name;
    uint64_t count;
    /* false: this variant changes nothing, and is left out.  bytes may be replaced. */
    bool (*damage)(void *ctx, struct attempt *attempt, uint64_t n);
    void *ctx;
};

/* All variants where HOSTILE=all is in the environment, else as many as there is time
 * for, at equal distances.  HOSTILE=all,i,n: one n-th of them.  HOSTILE=name,n: one.
 * Fails the test when an attempt went wrong. */
void campaign_run(const struct campaign *campaign, const struct reference *reference,
                  uint64_t usual_ms);

#endif
