#!/usr/bin/env bash
# Memory comes from page/mem.c and the world through page/sys_posix.c (with page/sys_proc.c);
# nobody else calls the C library for either, and nobody uses its unbounded or aborting
# functions.  (A strcpy of a constant is bounded by the constant.)
. "$(dirname "$0")/lib.sh"
memory='malloc|calloc|realloc|reallocarray|free|aligned_alloc|posix_memalign|strn?dup'
maps='mmap|munmap|madvise'
world='open|openat|close|read|write|pread|pwrite|preadv|pwritev|preadv2|pwritev2|fsync'
world+='|fdatasync|sync_file_range|ftruncate|fallocate|posix_fallocate|fcntl|flock|unlink'
world+='|rename|link|stat|fstat|nanosleep|usleep|sleep|clock_gettime|time|getpid|fork'
world+='|getrandom|pthread_[a-z_]+'
never='sprintf|strcpy|strcat|atoi|gets|printf|fprintf|puts|fopen|perror|abort|exit|_exit|alloca'

# A call through a pointer (`sys->read(`) or of a longer name (`file_read(`) is another.
calls() { # names, paths that may
    local may="^(${2:-none}):"
    grep -E "(^|[^A-Za-z0-9_.>])($1)\(" <<<"$code" | grep -vE "$may" |
        grep -vE 'strcpy\([a-z_]+, ""\)' |
        sed -E "s/^([^:]*:[0-9]*:).*[^A-Za-z0-9_.>](($1)\().*/\1 calls \2)/"
}

# shellcheck disable=SC2086
mapfile -t all < <(c_files | below $library)
code=$(awk -f "$style/code.awk" "${all[@]}")
finish "$(
    calls "$memory" 'page/mem\.c'
    calls "$maps" 'page/mem\.c|page/sys_posix\.c'
    calls "$world" 'page/sys_posix\.c|page/sys_proc\.c'
    calls "$never"
)"
