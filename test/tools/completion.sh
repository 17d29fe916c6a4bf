# Completion: what it offers is what --help says.  Sourced by run.sh.
# shellcheck shell=bash

bin=$(dirname "$scrine")
# offers WORDS...: what is offered for the last word, sorted, one a line.
offers() {
    PATH=$bin:$PATH bash --norc -c '
        . "$1"
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        _scrine_complete
        [ ${#COMPREPLY[@]} = 0 ] || printf "%s\n" "${COMPREPLY[@]}"' \
        - "$here/tools/completion/scrine.bash" "$@" | sort
}
# offered NAME EXPECTED WORDS...
offered() {
    local got
    got=$(offers "${@:3}")
    [ "$got" = "$2" ] && pass || fail "$1" "offered: $got" "expected: $2"
}
"$scrine" --help | sed -nE 's/^  ([a-z]+) .*/\1/p' | sort >commands
holds "there are commands" [ "$(wc -l <commands)" -ge 15 ]
offered "all commands are offered" "$(cat commands)" scrine ""
offered "those that begin so" "$(printf 'check\ncheckpoint')" scrine check
offered "the options of the program" "$(printf -- '--help\n--version')" scrine --
while read -r command; do
    offered "all options of $command are offered" \
        "$({ "$scrine" "$command" --help | grep -oE '^  --[a-z-]+' | tr -d ' '; echo --help; } |
            sort)" scrine "$command" --
done <commands
"$scrine" put complete.scn notes k v
"$scrine" put complete.scn numbers k v
offered "tables of the store are offered" "$(printf 'notes\nnumbers')" \
    scrine scan complete.scn n
offered "... where one belongs" "" scrine check complete.scn n
offered "... and of no file none" "" scrine scan none.scn n
absent "... which is not made" none.scn
if [ -x "$bin/scrine-snapshot" ]; then
    offered "commands of scrine-snapshot" \
        "$("$bin/scrine-snapshot" --help | sed -nE 's/^  ([a-z]+) .*/\1/p' | sort)" \
        scrine-snapshot ""
    offered "options of scrine-snapshot" "$(printf -- '--rate')" scrine-snapshot create --r
fi
if [ -x "$bin/scrine-walcheck" ]; then
    offered "options of scrine-walcheck" \
        "$("$bin/scrine-walcheck" --help | grep -oE '^  (-v, )?--[a-z-]+' |
            grep -oE -e '--.*' | sort -u; echo --version)" scrine-walcheck --
fi
