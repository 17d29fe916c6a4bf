#!/usr/bin/env bash
# Every header compiles alone; the public one also as C++11, and without extensions.
. "$(dirname "$0")/lib.sh"
strict=(-Wall -Wextra -Werror -fsyntax-only -I.)

alone() { # header, compiler and flags...
    "${@:2}" "${strict[@]}" -include "$1" /dev/null 2>&1 | grep -E -m 3 'error|warning'
}

# Helpers that a test does not use are no defect of its header.
finish "$(
    for header in $(files '*.h'); do
        alone "$header" "${CC:-gcc}" -x c -std=c11 -D_GNU_SOURCE -march=x86-64-v2 \
            -Wno-unused-function
    done
    alone include/scrine.h "${CC:-gcc}" -x c -std=c11 -Wpedantic
    alone include/scrine.h "${CXX:-g++}" -x c++ -std=c++11 -Wpedantic
)"
