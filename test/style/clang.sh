#!/usr/bin/env bash
# A second compiler's opinion of all C files, asked again of what has changed.
. "$(dirname "$0")/lib.sh"
files '*.c' | sed 's#\(.*\)\.c$#build/debug/opinion/\1.ok#' |
    xargs make -s -k -j2 MODE=debug CC=clang
