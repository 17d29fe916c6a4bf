# What the tests of the commands share, end to end: a folder of their own, and checks that
# are counted.  Each check says what is true.  Sourced first, with the words of the script:
#
#     SCRIPT [BUILD]      (build)
#
# here is the tree, bin the build, and the script is in $folder, which is gone in the end.
# What ran last leaves out, err and code.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$(realpath "${1:-$here/build}")
folder=$(mktemp -d "${TMPDIR:-/tmp}/scrine-test-XXXXXX")
leave() {
    mountpoint -q "$folder/small" 2>/dev/null && umount "$folder/small"
    chmod -R u+w "$folder"
    rm -rf "$folder"
}
trap leave EXIT
cd "$folder" || exit 1
passed=0
failed=0

pass() { passed=$((passed + 1)); }
fail() { # NAME LINES...
    local line
    failed=$((failed + 1))
    echo "FAILED: $1"
    shift
    for line in "$@"; do echo "    $line"; done
}
# skip NAME: what this machine does not allow.
skip() { echo "SKIPPED: $1"; }
# run_as PROGRAM WORDS...: without an input.
run_as() {
    "$bin/$1" "${@:2}" >out 2>err </dev/null
    code=$?
}
returns() { # NAME CODE: the last run ended with it
    [ "$code" = "$2" ] && pass ||
        fail "$1" "exit code $code, not $2" "$(head -c 400 out err 2>/dev/null)"
}
holds() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >/dev/null 2>&1 && pass || fail "$name" "$*" "$(head -c 400 out err 2>/dev/null)"
}
absent() { [ ! -e "$2" ] && pass || fail "$1" "$2 exists"; } # NAME FILE
# damage FILE TEXT: changes the first byte of every place where the text stands.
damage() {
    local at
    for at in $(LC_ALL=C grep -aboF -e "$2" "$1" | cut -d : -f 1); do
        printf '#' | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
    done
}
# tear FILE: a torn tail.  A header as the next record would have it, which is the last one's
# with the lsn of the end; it is in the file header, and $lsn.
tear() {
    local offset i
    read -r lsn offset <<<"$("$bin/scrine-walcheck" "$1" |
        sed -nE 's/^log         from .* to lsn ([0-9]+) at offset ([0-9]+)$/\1 \2/p')"
    dd if="$1" of=header bs=1 skip=$((offset - 80)) count=80 status=none
    for i in 0 1 2 3 4 5 6 7; do
        printf "\\x$(printf %02x $((lsn >> (8 * i) & 255)))"
    done | dd of=header bs=1 seek=16 conv=notrunc status=none
    dd if=header of="$1" bs=1 seek="$offset" conv=notrunc status=none
}
# comes_true WORDS...: waits for a command to succeed, for minutes: the machine may have
# others to serve.
comes_true() {
    local tries
    for ((tries = 0; tries < 3000; tries++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    return 1
}
# until_true WORDS...: where it does not come true, that is a failure.
until_true() { comes_true "$@" || fail "waited in vain" "$*"; }
# interrupt_at_pipe NAME CHILD: SIGINT while it waits for who writes into a pipe, or reads
# from it; it returns 130, as is said with code and err.  False: the system does not tell
# that it waits.
waits_at_pipe() { grep -qE 'wait_for_partner|pipe_(read|write)' "/proc/$1/wchan"; }
interrupt_at_pipe() {
    local signal=INT
    for _ in $(seq 200); do
        waits_at_pipe "$2" 2>/dev/null && break
        sleep 0.05
    done
    waits_at_pipe "$2" 2>/dev/null || signal=KILL
    kill -$signal "$2"
    wait "$2"
    code=$?
    if [ $signal = KILL ]; then
        skip "$1: the system does not tell when"
        return 1
    fi
    returns "$1" 130
}
# small_disk BYTES: an empty file system of that size in the folder small, if it may be.
small_disk() {
    mkdir -p small && mount -t tmpfs -o "size=$1" none small 2>/dev/null && return
    skip "a full disk: no file system can be mounted here"
    return 1
}
# The last line; fails if a check did.
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}
