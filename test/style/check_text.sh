#!/usr/bin/env bash
# Lines of code fit into 90 columns and hold no tabs or spaces at their end.
. "$(dirname "$0")/lib.sh"
mapfile -t all < <(c_files)
finish "$(awk '
    length($0) > 90 { print FILENAME ":" FNR ": " length($0) " columns" }
    /\t/ { print FILENAME ":" FNR ": tab" }
    / $/ { print FILENAME ":" FNR ": space at the end" }' "${all[@]}")"
