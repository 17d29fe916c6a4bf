/* Options: from what the caller gave to what the store works with.
 *
 * scn_options is shared with programs that were compiled against another version: a
 * member counts only as far as struct_size reaches, and zero means the default.  struct
 * store_options has every member set and in range. */
#ifndef ENGINE_OPTIONS_H
#define ENGINE_OPTIONS_H

#include "engine/store.h"

/* given NULL: all defaults.  SCN_MISUSE: the sentence names the member, its value and
 * what is allowed. */
scn_status options_resolve(const scn_options *given, struct store_options *out) MUST_USE;

#endif
