# stat --prom: a strict reader of the text format, and the figures.  Sourced by run.sh.
# shellcheck shell=bash

# Every metric has its HELP, then its TYPE, then its samples in one block; names and labels
# are well-formed, counters end in _total and nothing else does, label sets are not repeated,
# and values are numbers.  Prints what is wrong.
prom_faults() {
    awk '
    function wrong(what) { print FNR ": " what ": " $0; faults++ }
    /^# HELP / {
        if (current != "" && !samples[current]) wrong("no sample of " current)
        if ($3 !~ /^scrine_[a-z][a-z0-9_]*$/) wrong("bad name")
        if (NF < 4) wrong("no help")
        if (($3) in helped) wrong("again")
        helped[$3] = 1; current = $3; next
    }
    /^# TYPE / {
        if ($3 != current || ($3 in type)) wrong("TYPE out of place")
        if (NF != 4 || ($4 != "gauge" && $4 != "counter")) wrong("bad type")
        if (($4 == "counter") != ($3 ~ /_total$/)) wrong("name and type")
        if ($3 ~ /_(ms|kb|mb|pages|us)$/) wrong("not a base unit")
        type[$3] = $4; next
    }
    /^scrine_/ {
        if (!match($0, /^[a-z0-9_]+/)) { wrong("no name"); next }
        name = substr($0, 1, RLENGTH); rest = substr($0, RLENGTH + 1)
        if (name != current || !(name in type)) wrong("sample out of place")
        if (!match(rest, /^\{file="([^"\\]|\\["\\n])*"(,table="([^"\\]|\\["\\n])*")?\} /))
            { wrong("labels"); next }
        labels = name substr(rest, 1, RLENGTH); value = substr(rest, RLENGTH + 1)
        if (value !~ /^[0-9]+$/) wrong("value")
        if (labels in seen) wrong("repeated")
        seen[labels] = 1; samples[name]++; next
    }
    { wrong("no such line") }
    END { if (!samples[current]) { print "ends without a sample"; faults++ }
        if (!faults && FNR < 20) print "too short" }' "$1"
}
# metric NAME LABELS VALUE: the output has this sample.
metric() { holds "$1 is $3" grep -qxF -e "scrine_$1{$2} $3" out; }

"$scrine" put 'odd "name\.scn' notes k v
"$scrine" put 'odd "name\.scn' 'a "table\' k v
"$scrine" checkpoint 'odd "name\.scn'
"$scrine" put plain.scn t k v
"$scrine" put 'odd "name\.scn' notes k2 later
for file in plain.scn 'odd "name\.scn'; do
    run stat "$file" --prom
    returns "stat --prom returns 0" 0
    prom_faults out >faults
    [ ! -s faults ] && pass || fail "the text format is kept" "$(head -5 faults)"
done
metric table_rows 'file="odd \"name\\\\.scn",table="notes"' 2
metric table_rows 'file="odd \"name\\\\.scn",table="a \"table\\\\"' 1
metric file_size_bytes 'file="odd \"name\\\\.scn"' "$(stat -c %s 'odd "name\.scn')"
metric healthy 'file="odd \"name\\\\.scn"' 1
metric tables 'file="odd \"name\\\\.scn"' 2
run stat none.scn --prom
returns "no file is no metric" 4
holds "... and none is printed" [ ! -s out ]
# The reader can say no.
for line in 'scrine_x{file="a"} 1' 'x 1' '# TYPE scrine_y_total gauge' ''; do
    { "$scrine" stat plain.scn --prom; echo "$line"; } >bad.prom
    [ -n "$(prom_faults bad.prom)" ] && pass || fail "a fault is seen" "$line"
done
