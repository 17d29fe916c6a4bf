#!/bin/bash
# The command `scrine-walcheck`, end to end, and the README's way out of trouble.
#
#     test/walcheck/run.sh [BUILD]      (build)
. "$(dirname "$0")/../tools/checks.sh"
scrine=$bin/scrine
walcheck=$bin/scrine-walcheck

run() { run_as scrine-walcheck "$@"; }
# shows NAME PATTERN: a line of the output matches.
shows() { holds "$1" grep -Eq -e "$2" out; }

# ---- usage ----
run --help
returns "help returns 0" 0
shows "help lists the exit codes" '130 interrupted'
run --version
shows "version is one line" '^scrine-walcheck [0-9]+\.[0-9]+'
for words in "" "a b" "--frobnicate a" "--from many a" "--salvage" "--dump --truncate a" \
    "--truncate --json a" "--force a" "--quick --salvage b a" "--estimate --dump a" \
    "--from 5 a"; do
    # shellcheck disable=SC2086
    run $words
    returns "wrong usage: \"$words\"" 64
done
run absent.scn
returns "an absent file" 4
holds "it says who speaks" grep -q '^scrine-walcheck: absent.scn' err
run .
returns "a folder is no store" 3
echo text >text
run text
returns "a text is no store" 3
shows "it says so" 'finding     foreign'
: >empty
run empty
returns "an empty file is no store" 3

# ---- a healthy store ----
for i in $(seq 40); do
    printf '{"key": "row-%02d", "value": "%s-%02d"}\n' "$i" "$(printf 'v%.0s' {1..60})" "$i"
done >rows
"$scrine" load a.scn notes rows
"$scrine" checkpoint a.scn
"$scrine" put a.scn notes late entry-in-the-log
"$scrine" put a.scn more last entry-at-the-end
cp a.scn before.scn
run a.scn
returns "a healthy store is clean" 0
shows "the verdict comes last" '^verdict     a.scn: clean \(0 findings\)$'
run --json a.scn
holds "JSON says clean" grep -q '"verdict": "clean"' out
cp a.scn $'odd-\xff'
run --json $'odd-\xff'
holds "a name that is no UTF-8 is told in digits" grep -q '"file_hex": "6f64642dff"' out
rm $'odd-\xff'
run -v a.scn
holds "-v shows the commits" [ "$(grep -c '^record .*: commit' out)" = 2 ]
run --dump a.scn
holds "--dump knows the table" grep -qx \
    '{"lsn":[0-9]*,"op":"put","table":"notes","table_id":16,"key":"late","value":"entry-in-the-log"}' out
lsn=$(tail -n 1 out | sed 's/.*"lsn":\([0-9]*\).*/\1/')
run --dump --from "$lsn" a.scn
holds "--from takes what --dump prints" grep -q '"key":"last"' out
run --dump --from $((lsn + 1)) a.scn
holds "--from leaves out what is before" [ ! -s out ]
run --estimate a.scn
shows "--estimate says how it was measured" 'measured with [1-9]'
run --quick a.scn
returns "--quick is clean, too" 0
run --page 1 a.scn
shows "--page shows a page" '^kind +superblock$'
run --page 1 --hex a.scn
shows "... and its bytes" '^000000  89 53 63 72'
run --hex a.scn
returns "--hex goes with --page" 64
run --truncate --force a.scn
returns "nothing is cut where nothing is torn" 0
holds "the file is as it was" cmp a.scn before.scn

# ---- a damaged leaf ----
# Neither generation has it otherwise, and the log that had its rows is gone.
cp a.scn leaf.scn
for i in 1 2 3; do
    "$scrine" put leaf.scn more "$i" "$i"
    "$scrine" checkpoint leaf.scn
done
"$scrine" put leaf.scn notes late again
damage leaf.scn "vvvv-20"
cp leaf.scn before.scn
run leaf.scn
returns "a rotten leaf is damage" 2
shows "the finding names page and offset" '^finding     page: page [0-9]+, offset [0-9]+: '
run --salvage out.scn leaf.scn
returns "something is lost" 2
shows "the loss is told" '^lost        table notes: '
holds "the new store is clean" "$scrine" check out.scn
holds "what the log had is there" "$scrine" get out.scn notes late
holds "the source is as it was" cmp leaf.scn before.scn
run --salvage out.scn leaf.scn
returns "an existing file is not replaced" 64
run --salvage out.scn --force leaf.scn
returns "with --force it is" 2
run --salvage leaf.scn --force leaf.scn
returns "never the source itself" 64
run --salvage nowhere/out.scn leaf.scn
returns "no folder" 4
holds "nothing is left beside" [ -z "$(ls | grep -F .part-)" ]

# ---- a damaged log ----
cp a.scn log.scn
damage log.scn entry-in-the-log
run log.scn
returns "a rotten record before the end is damage" 2
shows "what lies behind it is told" '^log         behind the damage [1-9]'
run --dump log.scn
returns "a damaged log is dumped as far as it goes" 2
holds "... and that is told" grep -q '^scrine-walcheck: log.scn: damaged' err
run --dump text
returns "of a text nothing is dumped" 3
holds "... which is told, too" grep -q '^scrine-walcheck: text: no store' err
run --truncate --force log.scn
returns "damage is not cut" 2
run --salvage log-out.scn log.scn
returns "a commit is lost" 2
shows "it is told" '^lost        commits between lsn'
[ "$("$scrine" get log-out.scn more last)" = entry-at-the-end ] && pass ||
    fail "the commit behind it is there"

# ---- a torn tail ----
cp a.scn torn.scn
tear torn.scn
cp torn.scn before.scn
run torn.scn
returns "a torn tail is no damage" 1
shows "it is told" '^finding     torn: '
run --truncate torn.scn
returns "the dry run tells" 1
holds "and changes nothing" cmp torn.scn before.scn
run --truncate --force torn.scn
returns "--force cuts" 0
holds "the bytes are kept" cmp -n 44 header "torn.scn.cut-$lsn"
run torn.scn
returns "the rest is clean" 0
[ "$("$scrine" get torn.scn more last)" = entry-at-the-end ] && pass ||
    fail "the store has all its rows"

# ---- a store in use ----
for i in $(seq 60000); do
    printf '{"key": "key-%05d", "value": "%05d some bytes that fill the log"}\n' "$i" "$i"
done >many
cp a.scn live.scn
mkfifo feed
"$scrine" load live.scn busy --batch 20 feed &
loader=$!
exec 7<>feed # it does not end before it was looked at twice
cat many >&7 &
looks=0
while kill -0 "$loader" 2>/dev/null; do
    run live.scn
    looks=$((looks + 1))
    [ "$code" = 0 ] || fail "a store in use is clean" "exit code $code" "$(cat out err)"
    [ $looks = 2 ] && exec 7>&-
done
exec 7>&-
wait "$loader"
[ "$looks" -gt 1 ] && pass || fail "the store was looked at while it was in use" "$looks"
run live.scn
returns "it is clean afterwards" 0

# ---- ^C, a closed pipe, a folder that may not be written ----
timeout -s INT 0.02 "$walcheck" --salvage int.scn live.scn >out 2>err
code=$?
[ "$code" = 130 ] || [ "$code" = 124 ] || [ "$code" = 0 ] && pass || fail "^C" "exit code $code"
# It may have come when the file had its name already.
[ ! -e int.scn ] && pass || holds "^C leaves no file, or a whole one" "$scrine" check int.scn
holds "and nothing beside" [ -z "$(ls | grep -F .part-)" ]
"$walcheck" -v live.scn | head -n 1 >out
code=${PIPESTATUS[0]}
[ "$code" = 0 ] && pass || fail "a closed pipe is no failure" "exit code $code"
for i in 1 2 3; do
    "$scrine" put live.scn more "$i" "$i"
    "$scrine" checkpoint live.scn
done
LC_ALL=C sed 's/00 some bytes/#0 some bytes/g' live.scn >rotten.scn
"$walcheck" --salvage rotten-out.scn rotten.scn | true
code=${PIPESTATUS[0]}
[ "$code" = 2 ] && pass || fail "a salvage goes on without a reader" "exit code $code"
holds "and its file is there" "$scrine" check rotten-out.scn
chmod a-w a.scn
run a.scn
returns "a file that may not be written can be looked at" 0

# ---- what snapshots leave in a store ----
"$scrine" put noted.scn t k v
"$bin/scrine-snapshot" create noted.scn noted.full >/dev/null
run noted.scn
returns "a note of a snapshot in the log is no damage" 0
"$scrine" checkpoint noted.scn
run noted.scn
returns "nor is one in the catalog" 0
run noted.full
returns "nor is the origin of a snapshot" 0

# ---- the README ----
mapfile -t lines < <(awk '/^## When something went wrong/ { here = 1 }
    here && /^```sh$/ { inside = 1; next } inside && /^```$/ { exit } inside' "$here/README.md")
holds "the README has five lines" [ ${#lines[@]} = 5 ]
cp log.scn store.scn
PATH=$bin:$PATH
codes=
for line in "${lines[@]}"; do
    bash -c "$line" >>steps 2>&1 </dev/null
    codes+="$? "
done
[ "$codes" = "0 2 2 0 0 " ] && pass || fail "the README's lines end as it says" "$codes" "$(cat steps)"
run store.scn
returns "the store is clean then" 0
[ "$("$scrine" get store.scn more last)" = entry-at-the-end ] && pass || fail "and has its rows"
holds "the damaged one is kept" cmp damaged.scn log.scn

finish
