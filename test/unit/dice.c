/* Random numbers, for programs with a main of their own, too. */
#include "test/unit/unit.h"

uint64_t unit_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(2685821657736338717);
}
