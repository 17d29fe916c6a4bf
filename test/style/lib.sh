# Shared by the checks in this folder.  A check is a script check_*.sh that prints its
# findings as `path:line: what is wrong` and fails if there are any.
#
# Checks run from the root of the tree; STYLE_ROOT names another one (check_checks.sh).
export LC_ALL=C
cd "${STYLE_ROOT:-$(dirname "${BASH_SOURCE[0]}")/../..}" || exit 1
style=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library="page wal buffer engine include cache"

# files: paths in the tree, without what is built; each argument is a shell pattern.
files() { # -name patterns...
    local names=() pattern
    for pattern; do
        names+=(-o -name "$pattern")
    done
    find . \( -path ./build -o -path ./.git \) -prune -o -type f \( "${names[@]:1}" \) -print |
        sed 's#^\./##' | sort
}

c_files() { files '*.c' '*.h' '*.cc'; }

# below: those of the paths on stdin that lie in one of the given folders.
below() { # folders...
    local folders="$*"
    grep -E "^(${folders// /|})/"
}

# finish: fails if there was a finding in the text, and shows it.
finish() { # findings
    [ -z "$1" ] || printf '%s\n' "$1"
    [ -z "$1" ]
}
