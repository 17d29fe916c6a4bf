# Prints C files as `path:line:code`: comments are gone, string and character constants
# are empty.
function after_constant(rest, quote,    c) {
    while (length(rest) > 0) {
        c = substr(rest, 1, 1)
        if (c == quote)
            return substr(rest, 2)
        rest = substr(rest, c == "\\" ? 3 : 2)
    }
    return ""
}

FNR == 1 { in_comment = 0 }

{
    rest = $0
    code = ""
    while (length(rest) > 0) {
        if (in_comment) {
            end = index(rest, "*/")
            in_comment = end == 0
            rest = in_comment ? "" : substr(rest, end + 2)
        } else if (match(rest, /\/\*|\/\/|["']/)) {
            token = substr(rest, RSTART, RLENGTH)
            code = code substr(rest, 1, RSTART - 1)
            rest = substr(rest, RSTART + RLENGTH)
            if (token == "/*")
                in_comment = 1
            else if (token == "//")
                rest = ""
            else {
                code = code token token
                rest = after_constant(rest, token)
            }
        } else {
            code = code rest
            rest = ""
        }
    }
    print FILENAME ":" FNR ":" code
}
