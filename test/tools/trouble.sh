#!/bin/bash
# Full disks, files that may not grow, readers that leave, and folders that may not be
# written: for each way in which the commands write.
#
#     test/tools/trouble.sh [BUILD]      (build)
#
# After each: an exit code and a sentence, no half file, and the stores are as they were.
. "$(dirname "$0")/checks.sh"
PATH=$bin:$PATH

rows() { # FROM TO LENGTH: as JSON Lines
    local i
    for ((i = $1; i < $2; i++)); do printf '{"key": "key%05d", "value": "%0*d"}\n' "$i" "$3" "$i"; done
}
hash_of() { scrine hash "$1" 2>&1; }
# try WORDS...: runs them; keeps out, err, code.
try() {
    "$@" >out 2>err </dev/null
    code=$?
}
# fails_with NAME CODE PATTERN: with a sentence on stderr.
fails_with() {
    returns "$1" "$2"
    holds "$1: a sentence says why" grep -Eq -e "^scrine[-a-z]*: .*($3)" err
}
# unchanged NAME FILE: the store has the rows of `kept`, and is sound.
unchanged() {
    [ "$(hash_of "$2")" = "$kept" ] && pass || fail "$1" "$(hash_of "$2")" "$kept"
    holds "$1: it is sound" scrine check "$2"
}

rows 0 600 1000 | scrine load store t --key key - >/dev/null
scrine checkpoint store
scrine-snapshot create store full >/dev/null
rows 600 1400 1000 | scrine load store t --key key - >/dev/null
scrine-snapshot create store inc --since full >/dev/null
rows 0 4000 1000 >lines
cp store torn
scrine put torn t last x
tear torn
cp store damaged
for text in rotten kept; do scrine put damaged t "$text" "this is $text"; done
damage damaged "this is rotten"
kept=$(hash_of store)

# Each writes a file that is larger than there is room for.
writers=(
    "scrine-snapshot create store DST"
    "scrine-snapshot create store DST --since full"
    "scrine-snapshot restore full DST"
    "scrine-snapshot restore full inc DST"
    "scrine-walcheck --salvage DST store"
)

# ---- a full disk ----
fill() { # what is left of the disk but a page
    local left
    left=$(df --output=avail -B1 small | tail -n 1)
    head -c $((left > 4096 ? left - 4096 : 0)) /dev/zero >small/filler
}
if small_disk 512k; then
    for words in "${writers[@]}"; do
        # shellcheck disable=SC2086
        try ${words//DST/small/new}
        fails_with "full disk: $words" 4 'No space|small/new: no room'
        holds "full disk: $words leaves nothing" [ -z "$(ls small)" ]
        unchanged "full disk: $words" store
    done
    umount small
fi
if small_disk 32m; then
    cp store full torn small
    fill
    try scrine load small/store t --key key --batch 100 lines
    fails_with "full disk: load" 4 'no room|space'
    holds "full disk: load leaves a sound store" scrine check small/store
    count=$(scrine scan small/store t --keys | wc -l)
    [ "$count" -ge 1400 ] && [ $((count % 100)) = 0 ] && pass ||
        fail "full disk: load stops between batches" "$count"
    try scrine-snapshot apply small/full inc
    fails_with "full disk: apply" 4 'no room|space'
    [ "$(hash_of small/full)" = "$(hash_of full)" ] && pass || fail "full disk: apply changes nothing"
    head -c 8192 /dev/zero >>small/filler 2>/dev/null
    try scrine-walcheck --truncate --force small/torn
    fails_with "full disk: truncate" 4 'space'
    holds "full disk: truncate changes nothing" cmp torn small/torn
    holds "full disk: truncate leaves nothing" [ -z "$(ls small | grep cut)" ]
    rm small/filler
    try scrine-walcheck --truncate --force small/torn
    returns "with room again truncate works" 0
    try scrine-snapshot apply small/full inc
    returns "with room again apply works" 0
    unchanged "with room again apply" small/full
    try scrine load small/store t --key key lines
    returns "with room again load works" 0
    fill
    try scrine compact small/store
    [ "$code" = 0 ] || [ "$code" = 4 ] && pass || fail "full disk: compact" "$code" "$(cat err)"
    [ "$(scrine scan small/store t --keys | wc -l)" = 4000 ] && pass || fail "full disk: compact keeps rows"
    holds "full disk: compact leaves a sound store" scrine check small/store
    umount small
fi

# ---- a file that may not grow ----
for words in "${writers[@]}"; do
    # shellcheck disable=SC2086
    (trap '' XFSZ && ulimit -f 256 && exec ${words//DST/new}) >out 2>err </dev/null
    code=$?
    fails_with "limit: $words" 4 'too large|full'
    # shellcheck disable=SC2086
    { (ulimit -f 256 && exec ${words//DST/new}) >out 2>err </dev/null; } 2>/dev/null
    code=$?
    [ "$code" -ge 4 ] && pass || fail "limit, with its signal: $words" "$code"
    holds "limit: $words leaves nothing" [ -z "$(ls | grep '^new')" ]
    unchanged "limit: $words" store
done

# ---- another file system ----
if small_disk 16m; then
    for words in "${writers[@]}"; do
        # shellcheck disable=SC2086
        try ${words//DST/small/new}
        returns "on another file system: $words" 0
        rm -f small/new
        holds "and nothing else: $words" [ -z "$(ls small)" ]
    done
    umount small
fi

# ---- readers that leave ----
for words in "create store -" "create store - --since full"; do
    # shellcheck disable=SC2086
    timeout 60 scrine-snapshot $words 2>err </dev/null | head -c 1000 >out
    code=${PIPESTATUS[0]}
    fails_with "pipe: $words" 4 'Broken pipe'
    # shellcheck disable=SC2086
    scrine-snapshot $words >&- 2>err </dev/null
    code=$?
    fails_with "closed output: $words" 4 'Bad file|cannot'
    unchanged "pipe: $words" store
done
scrine-walcheck --salvage saved store 2>err | true
code=${PIPESTATUS[0]}
[ "$code" = 0 ] && unchanged "pipe: a salvage is made all the same" saved ||
    absent "pipe: a salvage that ends early leaves nothing" saved
holds "pipe: and nothing beside" [ -z "$(ls | grep -F .part-)" ]

# ---- folders and files that may not be written ----
# root may write everywhere.
user=()
[ "$(id -u)" = 0 ] && user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
as_user() { # WORDS...: of a copy of the commands, as the tree may be closed to others
    try ${user[@]+"${user[@]}"} env PATH="$folder/commands:$PATH" "$@"
}
mkdir commands closed
cp "$bin"/scrine "$bin"/scrine-snapshot "$bin"/scrine-walcheck commands
cp store full inc torn closed
chmod 755 . commands
chmod 444 closed/* damaged
chmod 555 closed
as_user scrine --version
if [ "$code" != 0 ]; then
    skip "folders that may not be written: there is nobody else to be here"
else
    for words in "${writers[@]}"; do
        # shellcheck disable=SC2086
        as_user ${words//DST/closed/new}
        fails_with "closed folder: $words" 4 'Permission denied'
        absent "closed folder: $words makes nothing" closed/new
    done
    for words in "scrine put closed/store t k v" "scrine del closed/store t key00001" \
        "scrine load closed/store t --key key lines" "scrine compact closed/store" \
        "scrine checkpoint closed/store" "scrine-snapshot apply closed/full inc" \
        "scrine-walcheck --truncate --force closed/torn"; do
        # shellcheck disable=SC2086
        as_user $words
        fails_with "closed file: $words" 4 'Permission denied'
    done
    for name in store full torn; do
        holds "closed file: $name is as it was" cmp "$name" "closed/$name"
    done
    mkdir open && chmod 777 open
    as_user scrine-snapshot create closed/store open/new
    returns "a snapshot of a closed file is made" 0
    holds "though not noted" grep -q 'could not be noted' err
    unchanged "a snapshot of a closed file" open/new
    as_user scrine-snapshot create damaged open/part
    fails_with "a part of a closed file is not taken for the whole" 2 'log is damaged'
    as_user scrine-walcheck --salvage open/saved closed/store
    returns "a closed file is salvaged" 0
    chmod 666 closed/torn
    as_user scrine-walcheck --truncate --force closed/torn
    fails_with "closed folder: truncate" 4 'ermission'
    holds "closed folder: truncate changes nothing" cmp torn closed/torn
fi

finish
