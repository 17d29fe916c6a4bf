#!/usr/bin/env bash
# A second compiler's opinion of all C files.
. "$(dirname "$0")/lib.sh"
files '*.c' | xargs -P 2 -n 4 clang -fsyntax-only -std=c11 -D_GNU_SOURCE -march=x86-64-v2 -I. \
    -DSCN_ASSERT -Wall -Wextra -Wpointer-arith -Wvla -Wstrict-prototypes \
    -Wmissing-prototypes -Werror
