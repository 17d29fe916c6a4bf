#!/usr/bin/env bash
# No header includes itself through others: guards would hide it, readers would not.
#
# Headers that include nothing of ours are taken away, again and again; what then remains
# is in a cycle or leads to one.
. "$(dirname "$0")/lib.sh"
mapfile -t headers < <(files '*.h')
finish "$(grep -HoE '^[ \t]*#[ \t]*include[ \t]+"[^"]+"' "${headers[@]}" |
    sed -E 's/:[^"]*"/ /; s/"$//' |
    awk '{ from[NR] = $1; to[NR] = $2 }
        END {
            do {
                split("", leads)
                for (i in from)
                    leads[from[i]] = 1
                taken = 0
                for (i in from)
                    if (!(to[i] in leads)) {
                        delete from[i]
                        taken++
                    }
            } while (taken)
            for (i in from)
                print from[i] ":1: in or before a cycle: includes " to[i]
        }' | sort)"
