#!/usr/bin/env bash
# The checks can fail: each is shown a small tree that is clean, then trees with one breach.
. "$(dirname "$0")/lib.sh"
root=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export STYLE_ROOT=$scratch/tree STYLE_ARCHIVE=$scratch/archive.a

clean_tree() {
    rm -rf "$STYLE_ROOT"
    mkdir -p "$STYLE_ROOT"/{docs,include,page,wal,buffer}
    cd "$STYLE_ROOT" || exit 1
    cp "$root/docs/architecture.md" docs/table.md
    awk '/^```layers/, /^```$/' docs/table.md >docs/architecture.md
    rm docs/table.md
    echo 'int scn_one(void);' >include/scrine.h
    printf '/* malloc(1) */\n#include "wal/log.h"\n' >wal/log.c
    printf '#include "page/file.h"\n#include <stdint.h>\n' >wal/log.h
    echo '/* Nothing. */' >page/file.h
    archive 'int scn_one(void) { return 1; }'
}

archive() { # code
    echo "$1" >"$scratch/archive.c"
    "${CC:-gcc}" -c -o "$scratch/archive.o" "$scratch/archive.c"
    rm -f "$STYLE_ARCHIVE"
    ar rcs "$STYLE_ARCHIVE" "$scratch/archive.o"
}

passes() { # check
    clean_tree
    bash "$style/check_$1.sh" >"$scratch/out" 2>&1 ||
        { echo "check_$1 fails on a clean tree:"; cat "$scratch/out"; }
}

catches() { # check, what it must say, file, its text
    clean_tree
    case $3 in
    archive) archive "$4" ;;
    *) printf '%b\n' "$4" >"$3" ;;
    esac
    bash "$style/check_$1.sh" >"$scratch/out" 2>&1 && echo "check_$1 misses: $4"
    grep -q -- "$2" "$scratch/out" || echo "check_$1 does not say '$2' of: $4"
}

finish "$(
    for check in layers cycles headers symbols stems text words calls names; do
        passes "$check"
    done
    catches layers 'page/a.c:1: may not include wal/log.h' page/a.c '#include "wal/log.h"'
    catches layers 'may not include buffer/b.h' wal/a.c '#include "buffer/b.h"'
    catches layers 'may not include <lz4.h>' wal/a.c '# include <lz4.h> /* why */'
    catches layers 'may not include <sys/uio.h>' page/file.c '#include <sys/uio.h>'
    catches layers 'written from the root' wal/a.c '#include "log.h"'
    catches layers 'no row for this folder' docs/a.c 'int a;'
    catches cycles 'wal/log.h' page/file.h '#include "wal/log.h"'
    catches headers 'uint32_t' page/a.h 'uint32_t scn_two(void);'
    catches headers 'error' include/scrine.h 'int scn_one(int class);'
    catches symbols 'visible: log_append' archive 'int log_append; int scn_one(void);'
    catches symbols 'not defined: scn_one' archive 'int scn_two;'
    catches symbols 'not declared: scn_two' archive 'int scn_one(void) {} int scn_two;'
    catches stems 'wal/log: the stem is taken by page/log' page/log.c 'int a;'
    catches text '91 columns' page/a.c "/* $(printf '%085d' 0) */"
    catches text 'tab' page/a.c '\tint a;'
    catches text 'space at the end' page/a.c 'int a; '
    catches words 'page/a.c:1' page/a.c '/* TO''DO */'
    catches words 'docs/a.md:1' docs/a.md 'see issue'' #7'
    catches calls 'wal/a.c:1: calls malloc()' wal/a.c 'void *a = malloc(1);'
    catches calls 'calls fsync()' page/file.c 'x = "/*"; fsync(1); /* x */'
    catches calls 'calls mmap()' page/sys.c 'a = !mmap(1);'
    catches calls 'calls printf()' page/sys_posix.c '    printf("x");'
    catches names 'no such name: log_cut' docs/a.md 'Use `log_cut()`.'
    catches names 'no such name: log_cut' docs/a.md 'Use `log_cut`.'
    catches names 'no such file: wal/cut.c' docs/a.md 'See `wal/cut.c`.'
)"
