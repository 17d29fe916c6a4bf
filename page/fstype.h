/* Kinds of file systems, by the number that statfs tells. */
#ifndef PAGE_FSTYPE_H
#define PAGE_FSTYPE_H

#include <stdbool.h>
#include <stdint.h>

/* File systems on which a lock may not reach every user of the file: other machines, or
 * the host behind a virtual machine.  Most pass locks on only if they are mounted so. */
bool fstype_is_lying(uint32_t type);

#endif
