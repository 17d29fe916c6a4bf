/* Pages that no pointer leads to: the superblocks, the publish page, and extents of the
 * log. */
#ifndef TOOLS_WALCHECK_LANDMARK_H
#define TOOLS_WALCHECK_LANDMARK_H

#include "tools/walcheck/inspection.h"

#include <jansson.h>

/* Page 0 or 1.  NULL: it is right, or blank; else what is wrong. */
const char *landmark_superblock(json_t *facts, const struct inspection *inspection,
                                uint32_t slot);
/* The image is that of page 2. */
void landmark_publish(json_t *facts, const uint8_t *image);

/* The extent in which the page lies, by the log as it was inspected or else by the header
 * of an extent in front of it.  False: none. */
bool landmark_find_extent(struct subject *subject, const struct inspection *inspection,
                          uint32_t pgno, struct log_spare *extent);
/* The extent's header and those of its records that begin in the page. *why is NULL
 * where the header is right. SCN_IO, SCN_CORRUPT (the file ends in it), SCN_NOMEM. */
scn_status landmark_extent(json_t *facts, struct subject *subject,
                           const struct log_spare *extent, uint32_t pgno,
                           const char **why) MUST_USE;

#endif
