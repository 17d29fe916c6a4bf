/* A line of the shell as words: blanks part them.  'one word', and "one word", in which
 * \" \\ \t \n \r \xNN stand for bytes as scan prints them; elsewhere \ takes the next
 * character as it is.  # begins a comment where a word could begin. */
#ifndef TOOLS_PHRASE_H
#define TOOLS_PHRASE_H

#include "tools/text.h"

enum { PHRASE_WORDS_MAX = 64 };

/* Zeroed is empty. */
struct phrase {
    char *words[PHRASE_WORDS_MAX];
    int count;
    struct text bytes; /* in which they lie */
};

/* NULL, or why the line is none. */
const char *phrase_split(struct phrase *phrase, scn_slice line);
void phrase_free(struct phrase *phrase);

#endif
