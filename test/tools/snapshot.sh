#!/bin/bash
# The command `scrine-snapshot`, end to end: what it makes, prints, returns and leaves behind.
#
#     test/tools/snapshot.sh [BUILD]      (build, with scrine and scrine-snapshot)
. "$(dirname "$0")/checks.sh"

snap() { run_as scrine-snapshot "$@"; }
says() { # NAME PATTERN: one line on stderr, from the command
    [ "$(wc -l <err)" = 1 ] && grep -q '^scrine-snapshot: ' err && grep -Eq -e "$2" err &&
        pass || fail "$1" "$(head -c 300 out err)"
}
hash_of() { "$bin/scrine" hash "$1" 2>&1; }
alike() { # NAME FILE FILE: the same rows
    [ "$(hash_of "$2")" = "$(hash_of "$3")" ] && pass ||
        fail "$1" "$(hash_of "$2")" "$(hash_of "$3")"
}
# clean NAME FILE: nothing half written beside it.
clean() {
    local left
    left=$(find . -name "$2.part-*")
    [ -z "$left" ] && pass || fail "$1" "$left"
}
rows() { # FROM TO TEXT: as JSON Lines
    local i
    for ((i = $1; i < $2; i++)); do echo "{\"key\": \"key$i\", \"value\": \"$3 $i\"}"; done
}
load() { "$bin/scrine" load s.scn "$1" >/dev/null; }

# ---- help, version, usage ----
snap --help
returns "help returns 0" 0
holds "help lists the exit codes" grep -q '130 interrupted' out
for command in create apply verify restore list; do
    holds "help names $command" grep -q "^  $command " out
    "$bin/scrine-snapshot" $command --help >help
    holds "$command --help shows its usage" grep -q "^usage: scrine-snapshot $command" help
done
snap --version
holds "version is one line" grep -Eq '^scrine-snapshot [0-9]+\.[0-9]+' out
snap
returns "no command is wrong usage" 64
snap frobnicate
returns "an unknown command is wrong usage" 64
says "an unknown command is named" 'frobnicate'
snap create s.scn
returns "a missing operand is wrong usage" 64
snap create s.scn x --rate quickly
returns "a rate that is no number is wrong usage" 64
snap create absent.scn x
returns "a store that is not there is an I/O failure" 4
absent "and nothing is made" x

# ---- create ----
rows 0 500 first | load t
rows 0 20 "$(printf '%02000d' 7)" | load long
snap create s.scn full.scn
returns "create returns 0" 0
holds "create prints one line" test "$(wc -l <out)" = 1
alike "a full snapshot has the same rows" s.scn full.scn
holds "a full snapshot is a clean store" "$bin/scrine" check full.scn
clean "nothing is left beside it" full.scn
snap create s.scn full.scn
returns "a file that is there is not replaced" 64
says "and that is told" 'full.scn is there already'
snap create s.scn full.scn --force --json
returns "but with --force" 0
holds "--json is JSON" grep -q '"kind": "full"' out
snap create s.scn $'odd-\xff' --json
returns "a name that is no UTF-8 is a name" 0
holds "it is told in digits" grep -q '"file_hex": "6f64642dff"' out
snap list $'odd-\xff' --json
returns "and listed" 0
holds "in digits, too" grep -q '"file_hex": "6f64642dff"' out
rm $'odd-\xff'
snap create s.scn s.scn --force
returns "the source is never replaced" 64
holds "and stays as it was" "$bin/scrine" check s.scn
"$bin/scrine-snapshot" create s.scn - 2>/dev/null | cat >piped.scn
alike "through a pipe it is the same" s.scn piped.scn
holds "and a clean store" "$bin/scrine" check piped.scn
"$bin/scrine-snapshot" create s.scn - >redirected.scn 2>/dev/null
alike "and so into a file" s.scn redirected.scn
mkdir closed && cp s.scn closed && chmod a-w closed/s.scn closed
snap create closed/s.scn of-closed.scn
returns "a store in a folder that is read-only gives a snapshot" 0
chmod u+w closed

# ---- increments ----
rows 100 120 second | load t
"$bin/scrine" del s.scn t key3
snap create s.scn one.inc --since full.scn
returns "an increment is made" 0
holds "it is small" test "$(stat -c %s one.inc)" -lt 80000
echo '{"key": "x", "value": "y"}' | load new
snap create s.scn two.inc --since one.inc
returns "and one that follows it" 0
snap create s.scn other.inc --since piped.scn
returns "one on another snapshot" 0
snap create s.scn one.inc --since one.inc --force
returns "what an increment follows is not replaced by it" 64
snap verify one.inc
returns "and stays whole" 0
chmod 600 s.scn
snap create s.scn private.scn
holds "a snapshot is no more public than its store" test "$(stat -c %a private.scn)" = 600
rm private.scn
cp s.scn fork.scn
snap create fork.scn fork.full
snap create s.scn bad.inc --since fork.full
returns "one on a snapshot of a copy is refused" 64
absent "and not made" bad.inc
snap create s.scn bad.inc --since s.scn
returns "one on what is no snapshot is refused" 1

snap verify full.scn one.inc two.inc
returns "verify finds them whole" 0
snap list . --json
returns "list finds them" 0
holds "all of them" test "$(grep -c '"kind": "increment"' out)" = 3
snap list one.inc
holds "list tells what an increment follows" grep -q 'since' out

snap restore full.scn one.inc two.inc again.scn
returns "restore returns 0" 0
alike "what is restored has the same rows" s.scn again.scn
holds "and is a clean store" "$bin/scrine" check again.scn
clean "nothing is left beside it" again.scn
snap restore full.scn two.inc wrong.scn
returns "increments out of order are refused" 64
absent "and nothing is made" wrong.scn
clean "nor left" wrong.scn
snap restore full.scn again.scn
returns "restore replaces nothing" 64

cp full.scn base.scn
snap apply base.scn two.inc
returns "apply refuses an increment too early" 64
snap apply base.scn one.inc
returns "apply takes the first" 0
snap apply base.scn one.inc
returns "but once" 1
says "and says so" 'has it already'
snap apply base.scn other.inc
returns "nor one of another snapshot" 64
snap apply base.scn two.inc
returns "and then the next" 0
alike "the base has the same rows" s.scn base.scn

# ---- increments in pipes ----
cp full.scn piped-to.scn
snap_fed() { # FILE WORDS...: the file comes through a pipe
    cat "$1" | "$bin/scrine-snapshot" "${@:2}" >out 2>err
    code=$?
}
snap_fed one.inc verify -
returns "verify reads an increment from a pipe" 0
holds "and says where it was" grep -q '^standard input: increment' out
snap_fed full.scn verify -
returns "a full snapshot is not to be had of a pipe" 3
says "and that is told" 'standard input holds no increment'
snap_fed one.inc apply piped-to.scn -
returns "apply reads one from a pipe" 0
head -c 200 two.inc >half.inc
snap_fed half.inc apply piped-to.scn -
returns "half of one is refused" 2
says "by the name that it has" 'standard input: '
snap_fed two.inc apply piped-to.scn -
returns "and the whole one taken after that" 0
alike "the store has the same rows" s.scn piped-to.scn
snap_fed two.inc restore full.scn one.inc - piped-again.scn
returns "restore reads one from a pipe" 0
alike "what is restored has the same rows" s.scn piped-again.scn
cp full.scn piped-to.scn
for words in "apply piped-to.scn -" "verify -"; do
    mkfifo feed
    exec 7<>feed
    # shellcheck disable=SC2086
    "$bin/scrine-snapshot" $words <feed >out 2>err 7>&- &
    child=$!
    head -c 100 one.inc >&7
    interrupt_at_pipe "$words: ^C ends the wait for the rest" $child &&
        holds "and it is told" grep -q 'standard input: the program has stopped' err
    exec 7>&-
    rm feed
done
alike "nothing of it is applied" full.scn piped-to.scn
rm -f half.inc piped-to.scn piped-again.scn
snap verify base.scn
returns "and is whole" 0
cp full.scn touched.scn
"$bin/scrine" put touched.scn t key1 changed
snap verify touched.scn
returns "verify notices a snapshot that was written to" 1
snap apply touched.scn one.inc
returns "apply refuses it" 1

# ---- damage ----
cp full.scn slot.scn
printf '#' | dd of=slot.scn bs=1 seek=65636 conv=notrunc status=none
snap verify slot.scn
returns "a superblock that the next checkpoint writes anew is no damage" 1
says "but is told" 'slot.scn: superblock 1 is damaged'
cp one.inc hurt.inc
printf '#' | dd of=hurt.inc bs=1 seek=200 conv=notrunc status=none
snap verify hurt.inc
returns "a damaged increment is damage" 2
cp full.scn untouched.scn
snap apply untouched.scn hurt.inc
returns "and not applied" 2
alike "at all" full.scn untouched.scn
head -c 150 one.inc >short.inc
snap verify short.inc
returns "one that is cut off is damage" 2
echo hello >text
snap verify text
returns "a text is neither" 3
snap restore text one.inc wrong.scn
returns "and nothing is restored of it" 3
says "which is told by its name" ': text is not'
for words in "restore one.inc full.scn wrong.scn" "restore one.inc wrong.scn" \
    "apply one.inc full.scn"; do
    snap $words
    returns "$words: the order is wrong" 64
    says "which is told" 'one.inc is an increment: a full snapshot comes first'
    absent "and makes nothing" wrong.scn
done

# ---- ^C, TERM, a full disk ----
rows 0 20000 "$(printf '%0500d' 1)" | load much
interrupt() { # SIGNAL
    "$bin/scrine-snapshot" create s.scn slow.scn --rate 256K >out 2>err </dev/null &
    local child=$!
    is_written() { [ -n "$(find . -name 'slow.scn.part-*' -size +1)" ]; }
    comes_true is_written
    kill -"$1" $child
    wait $child
    code=$?
}
interrupt INT
returns "^C ends it" 130
absent "without the file" slow.scn
clean "and without anything beside it" slow.scn
interrupt TERM
absent "so does TERM" slow.scn
clean "and removes what it wrote" slow.scn
interrupt KILL
absent "after a kill there is no file of that name" slow.scn
holds "the source is well" "$bin/scrine" check s.scn
children=()
for i in 1 2; do
    "$bin/scrine-snapshot" create s.scn slow.scn --rate 16M >/dev/null 2>err </dev/null &
    children+=($!)
done
codes=
for child in "${children[@]}"; do
    wait "$child"
    codes+="$? "
done
[ "$codes" = "0 64 " ] || [ "$codes" = "64 0 " ] && pass || fail "one of two gets the name" "$codes"
alike "and its snapshot is whole" s.scn slow.scn
clean "and nothing is left of either, nor of who was killed" slow.scn
rm slow.scn
if small_disk 2m; then
    snap create s.scn small/full.scn
    returns "a full disk is an I/O failure" 4
    holds "that leaves nothing" test -z "$(ls small)"
    umount small
fi
if [ -e /dev/full ]; then
    "$bin/scrine-snapshot" create s.scn - >/dev/full 2>err
    code=$?
    returns "so is a device that is full" 4
fi
snap create s.scn last.scn
alike "afterwards it works as before" s.scn last.scn

# ---- while others write ----
(for i in $(seq 200); do "$bin/scrine" put s.scn live "k$i" x; done) &
child=$!
for i in 1 2 3; do
    snap create s.scn "live$i.scn"
    returns "a snapshot beside a writer is made" 0
    snap verify "live$i.scn"
    returns "and whole" 0
done
kill $child 2>/dev/null
wait $child 2>/dev/null
holds "the source is well after all" "$bin/scrine" check s.scn

# ---- the README and the page of the manual ----
# follow NAME LINES...: each line, those that take snapshots behind a change of notes.scn.
follow() {
    local name=$1 line number=0
    shift
    rm -f -- *.full *.inc *.scn
    holds "$name has lines" test $# -ge 4
    for line; do
        number=$((number + 1))
        "$bin/scrine" put notes.scn notes "$number" "$line"
        case $line in *" create "*) ;; *) "$bin/scrine" del notes.scn notes "$number" ;; esac
        PATH=$bin:$PATH bash -c "$line" >out 2>err </dev/null
        code=$?
        returns "$name: $line" 0
    done
    alike "$name: what is restored is what there was" notes.scn "${line##* }"
}
mapfile -t lines < <(awk '/^## / { here = $0 == "## Backups" }
    here && sub(/^    /, "")' "$here/README.md")
follow "the README" "${lines[@]}"
mapfile -t lines < <(awk '/^\.Sh / { here = $2 == "EXAMPLES" } here && /^scrine/' \
    "$here/docs/man/scrine-snapshot.1")
follow "the manual" "${lines[@]}"

finish
