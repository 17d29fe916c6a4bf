# Includes against the table in docs/architecture.md (given first; a block between
# "```layers" and "```").  `name = words` defines or extends a word; `place : words` says
# what the files of a folder, or one file, may include.  A word is a folder, a path,
# `<header>` or `<folder/*>`.  A file may include what its folder may and what its own row
# adds.
function add(place, text,    words, n, i) {
    n = split(text, words, " ")
    for (i = 1; i <= n; i++)
        if (words[i] in meaning)
            add(place, meaning[words[i]])
        else
            allowed[place, words[i]] = 1
}

function folder(path) {
    return match(path, /\/[^\/]*$/) ? substr(path, 1, RSTART - 1) : "."
}

function may(place, target) {
    if ((place, target) in allowed)
        return 1
    if (target ~ /^</)
        return (place, folder(target) "/*>") in allowed
    return (place, folder(target)) in allowed
}

function finding(what) {
    print FILENAME ":" FNR ": " what
}

FNR == NR && /^```/ { in_table = $0 == "```layers" }
FNR == NR && in_table && $2 == "=" {
    name = $1
    sub(/^[^=]*=/, "")
    meaning[name] = meaning[name] " " $0
}
FNR == NR && in_table && $2 == ":" {
    place = $1
    rows[place] = 1
    sub(/^[^:]*:/, "")
    add(place, $0)
}
FNR == NR { next }

FNR == 1 && !(folder(FILENAME) in rows) { finding("no row for this folder in the table") }

/^[ \t]*#[ \t]*include/ {
    target = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
    sub(/[ \t]*(\/\*.*|\/\/.*)?$/, "", target)
    if (target ~ /^"/) {
        gsub(/"/, "", target)
        if (target !~ /\// || target ~ /\.\.\//)
            finding("\"" target "\": includes are written from the root")
    }
    if (!may(folder(FILENAME), target) && !may(FILENAME, target))
        finding("may not include " target)
}
