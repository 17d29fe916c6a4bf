#!/usr/bin/env bash
# Includes obey the table in docs/architecture.md.
. "$(dirname "$0")/lib.sh"
mapfile -t all < <(c_files)
grep -q '^```layers$' docs/architecture.md || { echo "docs/architecture.md: no table"; exit 1; }
finish "$(awk -f "$style/layers.awk" docs/architecture.md "${all[@]}")"
