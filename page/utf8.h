/* What a name may be made of. */
#ifndef PAGE_UTF8_H
#define PAGE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whole characters in their shortest form, none of them zero. */
bool utf8_is_text(const void *text, size_t len);

#endif
