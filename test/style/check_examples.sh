#!/usr/bin/env bash
# The examples in include/scrine.h compile as they stand, as C and as C++.
#
# An example is what stands four columns further in than its comment, behind the line that
# begins with `Example:`, up to the end of the comment.
. "$(dirname "$0")/lib.sh"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
awk -v out="$scratch/example" '
    /^ \* Example:/ { inside = 1; file = out (++count) ".c" }
    /^ \* Example:/ { print "#include <scrine.h>" >file; next }
    /\*\// { inside = 0 }
    inside && /^ \*(     |$)/ { print substr($0, 8) >file }
    END { print count + 0 }' include/scrine.h >"$scratch/count"
strict=(-Wall -Wextra -Wpedantic -Werror -Wno-unused-function -fsyntax-only -Iinclude)
finish "$(
    [ "$(cat "$scratch/count")" -gt 0 ] || echo "include/scrine.h: no example"
    for example in "$scratch"/example*.c; do
        "${CC:-gcc}" -std=c11 "${strict[@]}" "$example" 2>&1
        "${CXX:-g++}" -x c++ -std=c++11 "${strict[@]}" "$example" 2>&1
    done
)"
