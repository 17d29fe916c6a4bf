/* How often each word occurs: what the store's counters must say in the end. */
#ifndef TOOLS_DEMO_TALLY_H
#define TOOLS_DEMO_TALLY_H

#include <stddef.h>
#include <stdint.h>

struct tally_word {
    char *word; /* lower case */
    int64_t count;
};

/* Zeroed is empty. */
struct tally {
    struct tally_word *slots; /* by hash; word NULL: free */
    size_t capacity;          /* a power of two */
    size_t count;
};

/* Counts the words of a text: runs of 4 to 32 ASCII letters. */
void tally_text(struct tally *tally, const char *text);
/* 0: unknown. */
int64_t tally_count(const struct tally *tally, const char *word, size_t len);
void tally_free(struct tally *tally);

#endif
