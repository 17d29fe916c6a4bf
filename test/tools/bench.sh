# bench: figures, and nothing left behind.  Sourced by run.sh.
# shellcheck shell=bash

mkdir place
run bench place --json
returns "bench returns 0" 0
for name in "write and fdatasync" "durable puts" "lazy puts" gets "rows scanned"; do
    holds "it has a figure of $name" grep -qE -A1 "\"$name\": \{" out
done
[ "$(grep -cE '"(per_second|ratio)": [0-9.e+-]*[1-9]' out)" = 10 ] && pass ||
    fail "no figure is 0" "$(cat out)"
holds "it leaves nothing behind" [ -z "$(ls -A place)" ]
has_begun() { ls place/scrine-bench-*/raw || ! kill -0 $child; }
for _ in 1 2 3; do # it is over in four seconds, whoever else has the processor
    "$scrine" bench place >out 2>err &
    child=$!
    until_true has_begun
    kill -INT $child 2>/dev/null
    wait $child
    code=$?
    [ $code = 0 ] || break
done
returns "^C returns 130" 130
holds "... and leaves nothing behind" [ -z "$(ls -A place)" ]
run bench no/such/place
returns "no such folder returns 4" 4
says "... and is told" no/such/place
if small_disk 512k; then
    run bench small
    returns "a full disk returns 4" 4
    says "... and is told" 'No space'
    holds "... and nothing is left" [ -z "$(ls -A small)" ]
    umount small
fi
