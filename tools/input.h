/* A file or standard input, read whole or line by line. */
#ifndef TOOLS_INPUT_H
#define TOOLS_INPUT_H

#include "tools/outcome.h"
#include "tools/text.h"

struct input {
    const char *name;
    int fd;
    bool is_ended;
    uint64_t line_no; /* of the line handed out last, from 1 */
    struct text buf;
    size_t start;    /* first byte of buf not yet handed out */
    size_t searched; /* no newline before this */
};

enum input_result { INPUT_LINE, INPUT_END, INPUT_INTERRUPTED, INPUT_FAILED };

/* From here on standard input belongs to somebody else, and is refused as an input. */
void input_reserve_standard(void);
/* NULL and "-" are standard input.  OUTCOME_USAGE, OUTCOME_IO: said why, nothing to
 * close.  OUTCOME_INTERRUPTED. */
enum outcome input_open(struct input *input, const char *name);
void input_close(struct input *input);

/* The next line without its newline, good until the next call.  INPUT_FAILED: said
 * why. */
enum input_result input_line(struct input *input, scn_slice *line);
/* All that is left, good until input_close; where that is more than size_max, more than
 * that of it. */
enum outcome input_all(struct input *input, size_t size_max, scn_slice *all);

#endif
