/* Keys: one line that leads to one state of one run again.
 *
 *     tiny:17@12.3.0.44.0            workload, seed; the power cut at crash point 12,
 *                                    choice 3 (enum sim_keep), not by call, n = 44, no
 *                                    garbage
 *     tiny:17@12.3.0.44.0@2.5.0.7.1  and another one at point 2 of the life after it
 *     tiny:17!1.3.5.0.28.0.0         a fault: kind, call, nth, for ever, error, len, bit
 *     tiny:17!0.0.0.0.0.0.0          the same run without any fault
 *     tiny:17#55.1                   allocation 55 fails, and all later ones */
#ifndef TEST_FAULT_KEY_H
#define TEST_FAULT_KEY_H

#include "test/sim/disk.h"

enum { KEY_CUTS_MAX = 6, KEY_NAME_MAX = 24, KEY_TEXT_MAX = 320 };

struct key_cut {
    uint64_t point;
    struct sim_choice choice;
};

struct key {
    char workload[KEY_NAME_MAX];
    uint64_t seed;
    uint32_t cut_count;
    struct key_cut cuts[KEY_CUTS_MAX];
    bool has_fault;
    struct sim_fault fault;
    uint64_t failing_allocation; /* 0: none */
    bool is_scarce_forever;
};

void key_print(const struct key *key, char text[KEY_TEXT_MAX]);
/* False: it is none. */
bool key_parse(const char *text, struct key *key);

#endif
