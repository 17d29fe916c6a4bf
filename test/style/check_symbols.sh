#!/usr/bin/env bash
# The archive defines every function of the public header, and nothing else is visible.
. "$(dirname "$0")/lib.sh"
archive=${STYLE_ARCHIVE:-build/libscrine.a}
[ -f "$archive" ] || { echo "$archive: not built"; exit 1; }
defined=$(nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' | sort -u)
declared=$(awk -f "$style/code.awk" include/scrine.h | grep -oE '\bscn_[a-z0-9_]+\(' |
    tr -d '(' | sort -u)
finish "$(
    grep -v '^scn_' <<<"$defined" | sed "s#^#$archive: visible: #"
    comm -13 <(echo "$defined") <(echo "$declared") |
        sed "s#^#include/scrine.h: declared, not defined: #"
    comm -23 <(grep '^scn_' <<<"$defined") <(echo "$declared") |
        sed "s#^#$archive: defined, not declared: #"
)"
