# Completion of scrine, scrine-walcheck and scrine-snapshot, for bash and, by bashcompinit,
# for zsh.  Commands and options are what --help says, so nothing is written down twice.

# Words of --help: the first of each line that is indented by two blanks.
_scrine_words() { # command and its arguments
    "$@" --help 2>/dev/null | sed -nE 's/^  (-[a-z], )?(-?-?[a-z][a-z-]*)( .*|$)/\2/p'
}

# The options in the help; --help itself is not among those of a command.
_scrine_options() { # command and its arguments
    _scrine_words "$@" | grep -e '^--'
    echo --help
}

# The tables of the store that was typed, escapes and all; nothing is created.
_scrine_tables() { # program, file
    [ -f "$2" ] && "$1" tables -- "$2" 2>/dev/null
}

_scrine_complete() {
    local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} command=${COMP_WORDS[1]}
    local base=${program##*/} choices= line
    COMPREPLY=()
    if [ "$base" = scrine-walcheck ]; then
        case $word in -*) choices=$(_scrine_options "$program"; echo --version) ;; esac
    elif [ "$COMP_CWORD" = 1 ]; then
        case $word in
        -*) choices=$'--help\n--version' ;;
        *) choices=$(_scrine_words "$program" | grep -v '^-') ;;
        esac
    else
        case $word in -*) choices=$(_scrine_options "$program" "$command") ;; esac
        if [ "$base" = scrine ] && [ "$COMP_CWORD" = 3 ]; then
            case $("$program" "$command" --help 2>/dev/null | sed -n 1p) in
            *" FILE TABLE"* | *" FILE [TABLE]"*)
                choices+=$'\n'$(_scrine_tables "$program" "${COMP_WORDS[2]}")
                ;;
            esac
        fi
    fi
    while IFS= read -r line; do
        case $line in ?*) [[ $line == "$word"* ]] && COMPREPLY+=("$line") ;; esac
    done <<<"$choices"
}

complete -o default -F _scrine_complete scrine scrine-walcheck scrine-snapshot
