#!/bin/bash
# What `scrine-snapshot` prints, byte for byte: one file in test/tools/golden for each
# command, with its findings and errors.
#
#     test/tools/golden.sh [BUILD]      (build)
#
# GOLDEN=write in the environment writes them anew.  Ids are random and dates are now: an id
# is replaced by a number, the same one wherever it stands, and so is the digest of an
# increment, which covers its id; a date is replaced by DATE.  An LSN is replaced by a number
# as well: where a command has no processor for a while between two commits, the log gets a
# record between them, and all that follows another LSN.
. "$(dirname "$0")/checks.sh"

# ---- the files ----
rows() { # FROM TO TEXT: as JSON Lines
    local i
    for ((i = $1; i < $2; i++)); do echo "{\"key\": \"key$i\", \"value\": \"$3 $i\"}"; done
}
load() { rows "$3" "$4" "$5" | "$bin/scrine" load "$1" "$2" >/dev/null; }
snap() { "$bin/scrine-snapshot" "$@" >/dev/null 2>&1; }

load store notes 0 300 first
load store more 0 3 other
for key in one two; do "$bin/scrine" put store long $key "$(printf '%0100000d' 1)"; done
"$bin/scrine" checkpoint store
snap create store monday.full
load store notes 290 310 second
"$bin/scrine" del store more key1
"$bin/scrine" put store long two short
"$bin/scrine" checkpoint store
snap create store tuesday.inc --since monday.full
"$bin/scrine" put store late key value
snap create store wednesday.inc --since tuesday.inc
cp store unnoted
snap create unnoted unnoted.full
cp monday.full changed.full
"$bin/scrine" put changed.full notes key1 changed
cp monday.full lacking.full
"$bin/scrine" del lacking.full long one
cp monday.full hurt.full
"$bin/scrine" checkpoint hurt.full
damage hurt.full "first 17"
cp tuesday.inc hurt.inc
printf '#' | dd of=hurt.inc bs=1 seek=200 conv=notrunc status=none
head -c 150 tuesday.inc >cut.inc
echo "just some text" >text
: >empty
mkdir folder backups
ln -s nowhere dangling
cp monday.full tuesday.inc text backups

# ---- comparing ----
# steady: see above.
steady() {
    sed -E 's/(full|increment) of [-0-9T:]+Z/\1 of DATE/; s/("date": )"[-0-9T:]+Z"/\1"DATE"/' |
        awk '
            function number(kind, id) {
                if (!((kind, id) in numbers))
                    numbers[kind, id] = kind (++count[kind])
                return numbers[kind, id]
            }
            function replace(pattern, skip,    at, out) {
                out = ""
                while (match($0, pattern)) {
                    at = RSTART + skip
                    out = out substr($0, 1, at - 1) number("ID", substr($0, at, 12))
                    $0 = substr($0, RSTART + RLENGTH)
                }
                $0 = out $0
            }
            /"kind": "/ { is_increment = /increment/ }
            {
                replace("[ ]id [0-9a-f]+", 4)
                replace(" since [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]+", 7)
                replace("\"(id|since_id|source)\": \"[0-9a-f]+", index($0, ": \"") - index($0, "\"") + 3)
            }
            /: increment of/ { replace("digest [0-9a-f]+", 7) }
            is_increment && /"digest"/ { replace("\"digest\": \"[0-9a-f]+", 11) }
            match($0, /lsn": [0-9]+/) {
                $0 = substr($0, 1, RSTART + 5) number("LSN", substr($0, RSTART + 6, RLENGTH - 6)) \
                    substr($0, RSTART + RLENGTH)
            }
            { print }'
}
# tells WORDS...: the command, what it prints, and how it ends.
tells() {
    printf '$ scrine-snapshot'
    printf ' %s' "$@"
    echo
    "$bin/scrine-snapshot" "$@" </dev/null 2>&1
    echo "exit $?"
    echo
}
# golden NAME: what was told is what the file has.
golden() {
    local file=$here/test/tools/golden/$1
    steady <told >printed
    [ "${GOLDEN:-}" = write ] && cp printed "$file"
    cmp -s printed "$file" && pass || fail "$1 is as it was" "$(diff "$file" printed | head -n 40)"
}

{
    tells
    tells --help
    for command in create apply verify restore list; do tells "$command" --help; done
    tells frobnicate
    tells create store
    tells create store new --prefix x
    tells create store new --rate quickly
    tells create store new --since
    tells restore monday.full -
} >told
golden usage.txt

{
    tells create store new.full
    tells create store new.full
    tells create store new.full --force --json
    tells create store new.inc --since monday.full
    tells create store again.inc --since tuesday.inc --json
    tells create store store --force
    tells create store folder
    tells create store dangling
    tells create store nowhere/new
    tells create absent new
    tells create text new
    tells create store new --since 9999
    tells create store new --since absent
    tells create store new --since store
    tells create store new --since text
    tells create store new --since unnoted.full
    tells create hurt.full new
} >told
golden create.txt

{
    tells verify monday.full
    tells verify monday.full tuesday.inc wednesday.inc
    tells verify monday.full tuesday.inc --json
    tells verify store
    tells verify changed.full
    tells verify hurt.full
    tells verify hurt.inc
    tells verify cut.inc
    tells verify text
    tells verify empty
    tells verify absent
    tells verify folder
    tells verify monday.full changed.full text hurt.inc absent
} >told
golden verify.txt

{
    tells list monday.full tuesday.inc
    tells list backups
    tells list backups --json
    tells list folder
    tells list store
    tells list text
    tells list absent
    tells list cut.inc backups
} >told
golden list.txt

{
    cp monday.full base
    tells apply base wednesday.inc
    tells apply base hurt.inc
    tells apply base cut.inc
    tells apply base text
    tells apply base absent
    tells apply base monday.full
    tells apply base tuesday.inc
    tells apply base tuesday.inc
    tells apply base wednesday.inc --json
    tells apply changed.full tuesday.inc
    tells apply changed.full tuesday.inc --force
    tells apply lacking.full tuesday.inc --force
    tells apply unnoted.full tuesday.inc
    tells apply store tuesday.inc
    tells apply absent tuesday.inc
    tells apply text tuesday.inc
    cp monday.full base
    tells apply base tuesday.inc wednesday.inc
} >told
golden apply.txt

{
    cp monday.full touched.full
    "$bin/scrine" put touched.full notes key1 changed
    tells restore monday.full one
    tells restore monday.full tuesday.inc wednesday.inc three --json
    tells restore monday.full one
    tells restore monday.full monday.full --force
    tells restore monday.full tuesday.inc one --force
    tells restore monday.full wednesday.inc new
    tells restore tuesday.inc new
    tells restore touched.full new
    tells restore touched.full tuesday.inc new
    tells restore monday.full hurt.inc new
    tells restore monday.full absent new
    tells restore absent new
    tells restore store new
    tells restore hurt.full new
    tells restore text tuesday.inc new
} >told
golden restore.txt
holds "nothing is left beside" [ -z "$(ls | grep -F .part-)" ]

finish
