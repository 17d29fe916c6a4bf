/* The publish page (page 2): hints between processes; never needed for correctness alone.
 *
 * Three lines and a poison line, each in two self-checksummed copies with a sequence
 * number, each written only under its own lock: the writer overwrites the copy that it
 * did not write last, with a sequence one higher.  A reader takes the copy with the
 * higher valid sequence, so whatever it meets while a copy is half written, it gets the
 * value before or after. Values of a line with another epoch than the log's are ignored.
 * Every field only grows within an epoch.  Byte table in docs/format.md, "Publish page".
 * Any thread. */
#ifndef PAGE_PUBLISH_H
#define PAGE_PUBLISH_H

#include "page/file.h"

enum publish_line {
    PUBLISH_APPEND,     /* a = appended_lsn, b = lazy_lsn */
    PUBLISH_SYNC,       /* a = synced_lsn, b = sync_in_progress */
    PUBLISH_CHECKPOINT, /* a = gen, b = gone_floor */
    PUBLISH_POISON,     /* a = 1 */
    PUBLISH_LINE_COUNT
};

enum {
    PUBLISH_COPY_BYTES = 64,
    PUBLISH_BYTES = PUBLISH_LINE_COUNT * 2 * PUBLISH_COPY_BYTES
};

struct publish_value {
    uint64_t epoch;
    uint64_t sequence;
    uint64_t a;
    uint64_t b;
};

void publish_encode(enum publish_line line, const struct publish_value *value,
                    uint8_t copy[PUBLISH_COPY_BYTES]);
/* False, and *out untouched, unless the copy is whole and belongs to this line. */
bool publish_decode(enum publish_line line, const uint8_t copy[PUBLISH_COPY_BYTES],
                    struct publish_value *out);
/* Where a copy (0 or 1) lies in the page. */
static inline uint32_t publish_off(enum publish_line line, uint32_t copy_idx)
{
    return ((uint32_t)line * 2 + copy_idx) * PUBLISH_COPY_BYTES;
}
/* From an image of the page's first PUBLISH_BYTES: false when neither copy is valid. */
bool publish_pick(const uint8_t *image, enum publish_line line,
                  struct publish_value *out);

#endif
