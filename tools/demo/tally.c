/* An open-addressed table that is at most half full, so that a search ends soon. */
#include "tools/demo/tally.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MIN = 4, WORD_MAX = 32 };

static struct tally_word *find_slot(struct tally_word *slots, size_t capacity,
                                    const char *word, size_t len)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)word[i]) * 1099511628211u;
    size_t at = (size_t)(hash >> 20) & (capacity - 1);
    while (slots[at].word &&
           (strncmp(slots[at].word, word, len) != 0 || slots[at].word[len]))
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static void grow(struct tally *tally)
{
    size_t capacity = tally->capacity ? tally->capacity * 2 : 256;
    struct tally_word *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL) {
        fputs("demo: out of memory\n", stderr);
        exit(1);
    }
    for (size_t i = 0; i < tally->capacity; i++) {
        const struct tally_word *old = &tally->slots[i];
        if (old->word)
            *find_slot(slots, capacity, old->word, strlen(old->word)) = *old;
    }
    free(tally->slots);
    tally->slots = slots;
    tally->capacity = capacity;
}

static void count_word(struct tally *tally, const char *word, size_t len)
{
    if (tally->count * 2 >= tally->capacity)
        grow(tally);
    struct tally_word *slot = find_slot(tally->slots, tally->capacity, word, len);
    if (slot->word == NULL) {
        slot->word = strndup(word, len);
        if (slot->word == NULL)
            exit(1);
        tally->count++;
    }
    slot->count++;
}

void tally_text(struct tally *tally, const char *text)
{
    char word[WORD_MAX];
    size_t len = 0;
    for (size_t i = 0;; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool is_letter = byte < 0x80 && isalpha(byte);
        if (is_letter && len < WORD_MAX)
            word[len] = (char)tolower(byte);
        if (!is_letter && len >= WORD_MIN && len <= WORD_MAX)
            count_word(tally, word, len);
        len = is_letter ? len + 1 : 0;
        if (byte == '\0')
            return;
    }
}

int64_t tally_count(const struct tally *tally, const char *word, size_t len)
{
    if (tally->capacity == 0)
        return 0;
    return find_slot(tally->slots, tally->capacity, word, len)->count;
}

void tally_free(struct tally *tally)
{
    for (size_t i = 0; i < tally->capacity; i++)
        free(tally->slots[i].word);
    free(tally->slots);
    *tally = (struct tally){0};
}
