#!/usr/bin/env bash
# What the documents name exists: functions as `name()`, names as `noun_verb`, files as
# `folder/file.c`.
. "$(dirname "$0")/lib.sh"
mapfile -t documents < <(files '*.md')
mapfile -t sources < <(c_files; files '*.sh' run Makefile)
words=$(cat "${sources[@]}" | grep -oE '[A-Za-z_][A-Za-z0-9_]*' | sort -u)

# Between single backticks, outside of code blocks: `path:line:name`.
names() { # pattern
    awk '/^ *```/ { in_block = !in_block; next }
        !in_block {
            n = split($0, part, "`")
            for (i = 2; i <= n; i += 2)
                print FILENAME ":" FNR ":" part[i]
        }' "${documents[@]}" | grep -E "^[^:]*:[0-9]*:$1$"
}

finish "$(
    names '[a-z_][A-Za-z0-9_]*\(\)|[a-z][a-z0-9]*(_[a-z0-9]+)+' | tr -d '()' |
        awk -F: 'FNR == NR { known[$0] = 1; next }
            !($3 in known) { print $1 ":" $2 ": no such name: " $3 }' <(echo "$words") -
    names '[a-z]+(/[A-Za-z0-9_]+)*/[A-Za-z0-9_]+\.(c|h|md|sh)' |
        while IFS=: read -r document line path; do
            [ -e "$path" ] || echo "$document:$line: no such file: $path"
        done
)"
