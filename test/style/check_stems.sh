#!/usr/bin/env bash
# The stem of a file names one thing in the whole tree; x.c and x.h beside each other are
# one thing.  include/ does not count, where the name is the project's, nor does test/, where
# every layer has tests of its own under the name of what they test.
. "$(dirname "$0")/lib.sh"
finish "$(c_files | grep -vE '^(include|test)/' | sed -E 's/\.(c|h|cc)$//' | sort -u |
    awk -F/ '$NF in first { print $0 ": the stem is taken by " first[$NF] }
        !($NF in first) { first[$NF] = $0 }')"
