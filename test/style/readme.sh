#!/usr/bin/env bash
# README's first C example compiles as a user would compile it, runs, and prints what
# README says it prints.
. "$(dirname "$0")/lib.sh"
root=$PWD
scratch=$(mktemp -d)
# Beside the library, as nothing may be run where the temporary folders are.
example=$root/build/readme-example
trap 'rm -rf "$scratch" "$example"' EXIT
block() { # language
    awk -v start="\`\`\`$1" '$0 == start && !done { inside = 1; next }
        inside && /^```$/ { inside = 0; done = 1 }
        inside' README.md
}
block c >"$scratch/example.c"
block text >"$scratch/expected"
cd "$scratch" || exit 1
"${CC:-gcc}" -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$root/include" -o "$example" \
    example.c "$root/build/libscrine.a" -llz4 -lxxhash -lpthread && "$example" >printed
status=$?
diff expected printed && [ "$status" = 0 ]
