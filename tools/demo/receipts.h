/* What was acknowledged, kept outside of the store: the keys of all transactions whose
 * commit returned, in a plain file.
 *
 * The file outlives the kill of its writer: what write() has taken is the kernel's. */
#ifndef TOOLS_DEMO_RECEIPTS_H
#define TOOLS_DEMO_RECEIPTS_H

#include "tools/demo/material.h"

/* A descriptor to append to; -1: said why. */
int receipts_create(const char *path);
/* Any thread.  False: said why. */
bool receipts_add(int fd, const struct material *material, size_t number);

/* Marks the numbers that are in the file; is_acknowledged has material->count members.
 * -1: a line is not one of ours or is there twice, said so; otherwise how many there
 * are. */
int64_t receipts_read(const char *path, const struct material *material,
                      bool *is_acknowledged);

#endif
