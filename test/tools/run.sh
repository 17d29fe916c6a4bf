#!/bin/bash
# The command `scrine`, end to end: what it prints, returns and leaves behind.
#
#     test/tools/run.sh [BUILD]      (build)
. "$(dirname "$0")/checks.sh"
scrine=$bin/scrine

run() { run_as scrine "$@"; }
# prints NAME TEXT: the last run printed exactly that (and a newline), nothing on stderr.
prints() {
    [ "$(cat out)" = "$2" ] && [ ! -s err ] && pass || fail "$1" "$(head -c 300 out err)"
}
# says NAME PATTERN: one line on stderr, from scrine, that matches; nothing on stdout.
says() {
    if [ "$(wc -l <err)" = 1 ] && grep -q '^scrine: ' err && grep -Eq -e "$2" err &&
        [ ! -s out ]; then
        pass
    else
        fail "$1" "$(head -c 300 out err)"
    fi
}
same() { cmp -s "$2" "$3" && pass || fail "$1" "$(cmp "$2" "$3" 2>&1)"; }
# contains NAME TEXT: that text is in the output, blanks and newlines aside.
contains() {
    tr -d ' \n' <out | grep -qF -e "$2" && pass || fail "$1" "$(head -c 300 out err)"
}
# plays_terminal: script(1) is there, and the system has a terminal to give.
plays_terminal() {
    command -v script >/dev/null && script -qec true /dev/null >/dev/null 2>&1 </dev/null
}

# ---- help, version, usage ----
run --help
returns "help returns 0" 0
holds "help names every command" grep -q 'checkpoint FILE' out
holds "help lists the exit codes" grep -q '130 interrupted' out
for command in put get del scan tables stat check diff compact checkpoint load dump hash \
    page recover shell migrate top; do
    run $command --help
    returns "$command --help returns 0" 0
    holds "$command --help shows its usage" grep -q "^usage: scrine $command FILE" out
done
run --version
holds "version is one line" grep -Eq '^scrine [0-9]+\.[0-9]+' out
run
returns "no command is wrong usage" 64
says "no command is told" 'no command'
run frobnicate x
returns "an unknown command is wrong usage" 64
says "an unknown command is named" 'frobnicate'
run get a.scn t
returns "a missing operand is wrong usage" 64
run get a.scn t k more
returns "one operand too many is wrong usage" 64
run get a.scn t k --prefix x
returns "an option of another command is wrong usage" 64
says "the option is named" 'no option --prefix'
run scan a.scn t --limit many
returns "a limit that is no number is wrong usage" 64
run scan a.scn t --limit
returns "an option without its value is wrong usage" 64
run put a.scn t --hex 6 6161
returns "an odd number of hexadecimal digits is wrong usage" 64
absent "wrong usage creates no file" a.scn

# ---- put, get, del ----
run put a.scn notes hello world
returns "put creates the file" 0
prints "put prints nothing" ""
run get a.scn notes hello
returns "get finds what was put" 0
printf world >expected
same "get prints the bytes alone" out expected
run put a.scn notes hello again
run get a.scn notes hello
printf again >expected
same "put replaces" out expected
run put a.scn notes empty ""
run get a.scn notes empty
returns "an empty value is a value" 0
run get a.scn notes nothing
returns "get of an absent key returns 1" 1
says "the absent key is named" 'a.scn.*"notes".*"nothing"'
run get a.scn nowhere hello
returns "get in an absent table returns 1" 1
says "the absent table is named" 'nowhere'
run put a.scn notes "" x
returns "an empty key is refused" 64
head -c 40000 /dev/zero | tr '\0' k >long
run put a.scn notes "$(cat long)" x
returns "a key too long is refused" 64
run put a.scn "" k v
returns "an empty table name is refused" 64
run put a.scn notes -- --dashes -5
run get a.scn notes -- --dashes
printf -- -5 >expected
same "-- ends the options" out expected
run get a.scn notes hello --json
prints "get prints JSON" '{"key":"hello","value":"again"}'
run del a.scn notes hello
returns "del deletes" 0
run get a.scn notes hello
returns "what was deleted is absent" 1
run del a.scn notes hello
returns "del of an absent key returns 1" 1
run del a.scn nowhere hello
returns "del in an absent table returns 1" 1

# ---- bytes ----
head -c 300000 /dev/urandom >blob
"$scrine" put a.scn blobs big - <blob
run get a.scn blobs big
same "300,000 random bytes go in and out unchanged" out blob
"$scrine" put a.scn blobs none - </dev/null
run get a.scn blobs none
prints "nothing on stdin is an empty value" ""
run put a.scn bytes 00ff0a 0001fe --hex
returns "put takes hexadecimal keys and values" 0
run get a.scn bytes 00ff0a --hex
prints "get prints hexadecimal digits" 0001fe
run get a.scn bytes 00FF0A --hex
prints "digits may be upper case" 0001fe
run get a.scn bytes 00ff0a --hex --json
prints "JSON has bytes as digits" '{"key_hex":"00ff0a","value_hex":"0001fe"}'
run scan a.scn bytes
prints "scan escapes what is no text" '\x00\xff\n	\x00\x01\xfe'
run scan a.scn bytes --hex
prints "scan prints digits" '00ff0a	0001fe'
run put a.scn text 'a\b' $'tab\there, \xc3\xa9 and \xe2\x82\xac'
run scan a.scn text
prints "scan leaves UTF-8 as it is and escapes the backslash" \
    $'a\\\\b\ttab\\there, \xc3\xa9 and \xe2\x82\xac'

# ---- scan ----
for key in a1 a2 a3 b1 b2 c1; do "$scrine" put s.scn t $key v-$key; done
run scan s.scn t --keys
prints "scan is in order" $'a1\na2\na3\nb1\nb2\nc1'
run scan s.scn t --keys --reverse
prints "scan runs backwards" $'c1\nb2\nb1\na3\na2\na1'
run scan s.scn t --prefix a
prints "scan by prefix" $'a1\tv-a1\na2\tv-a2\na3\tv-a3'
run scan s.scn t --keys --from a2 --to b2
prints "from is within, to is not" $'a2\na3\nb1'
run scan s.scn t --keys --from=a2 --to=b2 --reverse --limit=2
prints "limit counts from the end when reversed" $'b1\na3'
run scan s.scn t --keys --prefix a --from a2
prints "prefix and from both hold" $'a2\na3'
run scan s.scn t --keys --prefix a --to a3
prints "prefix and to both hold" $'a1\na2'
run scan s.scn t --keys --prefix 61 --hex
prints "a hexadecimal prefix" $'6131\n6132\n6133'
run scan s.scn t --keys --prefix ff --hex
prints "a prefix of 0xff bytes" ""
run scan s.scn t --from c --to a
prints "bounds the wrong way round hold nothing" ""
returns "... and that is no error" 0
run scan s.scn t --limit 0
prints "a limit of 0 prints nothing" ""
run scan s.scn t --json --limit 1
prints "scan prints JSON Lines" '{"key":"a1","value":"v-a1"}'
run scan s.scn t --json --keys --limit 1
prints "scan prints keys as JSON Lines" '{"key":"a1"}'
run scan s.scn nowhere
returns "scan of an absent table returns 1" 1
# Its text would be six times as long, and twice that while it grows.
head -c 32M /dev/zero | "$scrine" put zeros.scn t k -
(ulimit -v 512000 && exec "$scrine" get zeros.scn t k --json) >out 2>err
code=$?
returns "a long value is printed as JSON without its text in memory" 0
holds "... all of it" [ "$(wc -c <out)" = $((6 * (32 << 20) + 23)) ]
rm zeros.scn out
mkfifo lines answers
"$scrine" shell s.scn <lines >answers 2>err &
child=$!
exec 7>lines 8<answers
echo 'get t a1 --json' >&7
read -r -t 60 -u 8 _
run stat s.scn --json
[ "$(grep -Eo '"log_records": [1-9]' out)" ] && pass ||
    fail "stat of a store in use tells the records of its log" "$(grep log out)"
exec 7>&- 8<&-
wait $child
rm lines answers

# ---- tables, stat, check, checkpoint ----
run tables a.scn
prints "tables are listed" $'blobs\nbytes\nnotes\ntext'
run tables s.scn --json
contains "tables print JSON" '[{"name":"t","id":16,"rows":6,"key_bytes":'
run stat s.scn
returns "stat returns 0" 0
holds "stat shows the rows" grep -Eq '^ +6 .* t$' out
holds "... and what tree bytes leave out" grep -q 'longer values' out
run stat s.scn --json
contains "stat prints JSON" '{"file":"s.scn",'
contains "... with the size of the file" "\"file_bytes\":$(stat -c %s s.scn),"
contains "... and its health" '"healthy":true,"reason":"",'
contains "... and its rows" '"tables":[{"name":"t","id":16,"rows":6,'
cp s.scn before
run check s.scn
returns "check of a healthy file returns 0" 0
prints "check says clean" "s.scn: clean"
run check s.scn --json
contains "check prints JSON" '{"file":"s.scn","clean":true,"issues":[]}'
same "reading changes no byte of the file" s.scn before
run checkpoint s.scn
returns "checkpoint returns 0" 0
run scan s.scn t --keys --limit 2
prints "rows are there after a checkpoint" $'a1\na2'

# ---- damage ----
# Opened both ways, a fifo never makes this script wait for the other end.
mkfifo fifo
"$scrine" load d.scn t --key id <<<'{"id":1}' >/dev/null
seq 2000 | sed 's/.*/{"id":&,"text":"some text to fill pages, number &"}/' >many.jsonl
"$scrine" load d.scn t --key id many.jsonl >/dev/null
"$scrine" checkpoint d.scn
damage d.scn "some text to fill pages, number 1777"
run check d.scn
returns "check of a damaged file returns 2" 2
run scan d.scn t
returns "reading damage returns 2" 2
holds "the message names the file" grep -q '^scrine: d.scn' err
cp d.scn e
run scan e t
holds "... also one whose name is a letter of it" grep -q '^scrine: e: ' err
run check d.scn --json
contains "check lists the damage as JSON" '"clean":false,"issues":[{"kind":'
exec 7<>fifo
"$scrine" load g.scn t --key id --batch 1 fifo >/dev/null 2>&1 7>&- &
child=$!
seq 1000 1020 | sed 's/.*/{"id":&}/' >&7
until_true "$scrine" get g.scn t 1020
kill -KILL $child
wait $child 2>/dev/null
exec 7>&-
run check g.scn
returns "a file whose writer was killed is clean" 0
run stat g.scn --json
# Where the process got no processor between two commits, there are others between them.
records=$(sed -nE 's/.*"log_records": *([0-9]+).*/\1/p' out)
[ "${records:-0}" -gt 21 ] && pass || fail "... and has its rows in the log" "$(cat out)"
run scan g.scn t --keys --limit 1 --reverse
prints "... and all that was acknowledged" 1020
damage g.scn '{"id":1005}'
cp g.scn before
run scan g.scn t --keys
returns "a part is not taken for the whole" 2
holds "... which is told" grep -q '^scrine: g.scn: the log is damaged at offset' err
holds "... while what can be read is printed" [ "$(cat out)" = "$(seq 1000 1004)" ]
run check g.scn
returns "check finds the damaged log" 2
run put g.scn t k v
returns "a damaged log is not written to" 2
same "... nor changed" g.scn before

# ---- files that are no stores ----
for words in "get none.scn t k" "del none.scn t k" "scan none.scn t" "tables none.scn" \
    "stat none.scn" "check none.scn" "checkpoint none.scn" "dump none.scn t"; do
    run $words
    returns "$words returns 4" 4
    says "$words names the file" none.scn
    absent "$words creates nothing" none.scn
done
run put no/such/folder.scn t k v
returns "put in an absent folder returns 4" 4
says "... and says so" 'no/such/folder.scn'
mkdir folder
echo "just some text" >text
cp text text.before
for file in folder text; do
    for words in "get $file t k" "put $file t k v" "del $file t k" "scan $file t" \
        "tables $file" "stat $file" "check $file" "checkpoint $file" "dump $file t"; do
        run $words
        returns "$words returns 3" 3
        says "$words names the file" $file
    done
    run load $file t --key id
    returns "load into a $file returns 3" 3
done
same "a text file is left alone" text text.before
[ "$(ls -A folder)" = "" ] && pass || fail "a folder is left alone"

# ---- names ----
run get $'none\n\e[31m.scn' t k
says "what a name holds does not break the line" 'no store none\\n\\x1b\[31m\.scn$'
run get '' t k
returns "a name of nothing is wrong usage" 64
says "... and told as that" 'is not empty'
for words in "put :memory: t k v" "shell :memory:"; do
    run $words
    returns "$words is wrong usage" 64
    says "... as nothing of it would stay" 'ends with the command'
done
head -c 100000 s.scn >cut
run get cut t k
returns "a file that is cut is damaged" 2
says "... and named, though cut is a word of the sentence" '^scrine: cut: '
run shell cut
says "the shell tells it once" '^scrine: cut: '

# ---- load ----
cat >good.jsonl <<'JSON'
{"id":"b","text":"two"}
  {"id": "a", "text": "one"}  

{"id":17,"text":"a number"}
{"id":-2.5,"big":123456789012345678901234567890}
{"id":1e2}
JSON
run load l.scn t --key id good.jsonl
returns "load of a line with a number beyond 64 bits and a number for its key returns 1" 1
says "... and says so with the line number" 'line 5: .*64 bits.*line 0'
sed -i 's/"id":-2.5/"id":"-2.5"/' good.jsonl
run load l.scn t --key id good.jsonl
returns "load returns 0" 0
prints "load counts the rows" "5 rows stored"
run scan l.scn t --keys
prints "keys are strings and numbers" $'-2.5\n100\n17\na\nb'
run get l.scn t a
printf '{"id": "a", "text": "one"}' >expected
same "the value is the text as it was" out expected
run dump l.scn t
prints "dump prints the lines back" '{"id":"-2.5","big":123456789012345678901234567890}
{"id":1e2}
{"id":17,"text":"a number"}
{"id": "a", "text": "one"}
{"id":"b","text":"two"}'
run tables l.scn
prints "what load remembers is not among the tables" t
run tables --all l.scn
prints "... unless asked for" $'t\n~jsonl'
"$scrine" load l2.scn t --key id - <good.jsonl >out
holds "- is standard input" grep -q '^5 rows' out
"$scrine" load l3.scn t --key id <good.jsonl >out
holds "no input is standard input" grep -q '^5 rows' out
printf '{"id":1}' | "$scrine" load l4.scn t --key id >out
holds "the last line needs no newline" grep -q '^1 rows' out
printf '{"id":1}\r\n{"id":2}\r\n' | "$scrine" load l5.scn t --key id >out
run get l5.scn t 2
prints "a carriage return is no part of the value" '{"id":2}'
run load l6.scn t --key id none.jsonl
returns "an absent input returns 4" 4
says "... and is named" none.jsonl
absent "... and no store is created" l6.scn
run load l6.scn t --key id folder
returns "a folder for an input returns 4" 4
run load l6.scn t --key id --batch 0
returns "a batch of 0 is wrong usage" 64
absent "... and no store is created then" l6.scn
run load l6.scn t --key id /dev/null
returns "an empty input returns 0" 0
run scan l6.scn t
returns "... and creates the table" 0

bad_line() { # NAME LINE PATTERN
    printf '{"id":1}\n{"id":2}\n%s\n{"id":4}\n' "$2" >bad.jsonl
    rm -f bad.scn
    run load bad.scn t --key id --batch 2 bad.jsonl
    returns "$1 returns 1" 1
    says "$1 is told with its line" "bad.jsonl: line 3: .*$3.*line 2"
    run scan bad.scn t --keys
    prints "$1: earlier batches stay" $'1\n2'
    rm -f bad.scn
    run load bad.scn t --key id --batch 3 bad.jsonl
    says "$1: the whole batch is dropped" 'line 3: .*line 0'
    run scan bad.scn t
    prints "$1: nothing of its batch is stored" ""
    run load bad.scn t --key id --batch 2 --skip-bad bad.jsonl
    returns "$1 is skipped with 1" 1
    holds "$1 is reported when skipped" grep -q 'line 3 skipped' err
    holds "$1 is counted when skipped" grep -q '^3 rows stored, 1 lines skipped' out
    run scan bad.scn t --keys
    prints "$1: the rest is stored" $'1\n2\n4'
}
bad_line "broken JSON" '{"id":' 'not JSON'
bad_line "text after the object" '{"id":3} more' 'not JSON'
bad_line "an array" '[1]' 'not a JSON object'
bad_line "an absent field" '{"di":3}' 'no field "id"'
bad_line "a field that is an object" '{"id":{}}' 'neither a string nor a number'
bad_line "a field that is true" '{"id":true}' 'neither a string nor a number'
bad_line "an empty key" '{"id":""}' 'empty'
bad_line "bytes that are no UTF-8" $'{"id":"\xff"}' 'not JSON'
bad_line "a key too long" "{\"id\":\"$(cat long)\"}" '.'
bad_line "nesting without end" "$(head -c 9000 /dev/zero | tr '\0' '[')" 'not JSON'

# ---- dump and load again ----
# equal NAME FILE TABLE FIELD: rows of the table survive dump and load by the field.
equal() {
    rm -f again.scn
    "$scrine" dump "$2" "$3" >dumped || fail "$1: dump" "$?"
    if [ -n "$4" ]; then
        "$scrine" load again.scn x --key "$4" <dumped >/dev/null || fail "$1: load" "$?"
    else
        "$scrine" load again.scn x <dumped >/dev/null || fail "$1: load" "$?"
    fi
    "$scrine" scan "$2" "$3" --hex >rows
    "$scrine" scan again.scn x --hex >rows.again
    same "$1" rows rows.again
}
equal "a loaded table survives dump and load" l.scn t id
# row KEY VALUE: a line that says so in digits; both may hold \ escapes.
digits() { printf "$1" | od -An -v -tx1 | tr -d ' \n'; }
row() { echo "{\"key_hex\":\"$(digits "$1")\",\"value_hex\":\"$(digits "$2")\"}"; }
{
    row k1 '{"id":"x"}'
    row k2 ' {"id":"k2"}'
    row k3 '{"id":"k3"} '
    row k4 '{"id":"k4"}\n'
    row k5 '{"id":\n"k5"}'
    row k6 '{"id":"k6"}'
    row k7 '{"key":"k7","value":"v"}'
    row k8 '{"key":"k8","value":1}'
    row k9 '{"value":"k9"}'
    row 10 '{"id":10}'
    row 1.5 '{"id":1.50}'
    row '\0k' '{"id":"\\u0000k"}'
    row k13 '{"key":"a","value":"b","id":"k13"}'
    row k14 '{"key_hex":"61","value":"k14"}'
    row k16 '{"id":"k15","id":"k16"}'
    row k17 '{}'
    row k18 '[]'
    row k19 '"s"'
    row k20 ''
    row k21 plain
    row '\xe2\x82\xac' '{"id":"\xe2\x82\xac"}'
    row '\xe2\x82' '{"id":"\xe2\x82"}'
    row k22 '{"key_hex":"zz","value":"k22"}'
    row '"\\' '{"id":"\\"\\\\"}'
    # Bytes of a fixed seed: every value of a byte, at any place.
    RANDOM=20
    for _ in $(seq 200); do
        key=
        value=
        for ((i = RANDOM % 30; i >= 0; i--)); do
            printf -v key %s%02x "$key" $((RANDOM % 256))
        done
        for ((i = RANDOM % 60; i > 0; i--)); do
            printf -v value %s%02x "$value" $((RANDOM % 256))
        done
        echo "{\"key_hex\":\"$key\",\"value_hex\":\"$value\"}"
    done
} >odd.jsonl
"$scrine" load odd.scn t odd.jsonl >out
holds "load without --key takes rows that are written out" grep -q '^224 rows' out
equal "odd rows survive without a field" odd.scn t ""
for field in id key value key_hex value_hex nonsense; do
    "$scrine" load odd.scn t --key $field </dev/null >/dev/null
    equal "odd rows survive by the field $field" odd.scn t $field
done
"$scrine" load odd.scn t --key id </dev/null >/dev/null
"$scrine" dump odd.scn t >dumped
holds "an object that was loaded is printed as it was" grep -qx '{"id":"k6"}' dumped
holds "... with a number for its key too" grep -qx '{"id":1.50}' dumped
holds "an object under another key is written out" \
    grep -qxF '{"key":"k1","value":"{\"id\":\"x\"}"}' dumped
holds "what looks like a row is written out" \
    grep -qF '{"key":"k7","value":"{\"key\"' dumped
"$scrine" scan odd.scn t --json >scanned
"$scrine" load odd2.scn t <scanned >/dev/null
"$scrine" scan odd.scn t --hex >rows
"$scrine" scan odd2.scn t --hex >rows.again
same "load reads what scan --json prints" rows rows.again
run dump odd.scn t --key nonsense
holds "dump --key overrides what load remembered" \
    grep -qF '{"key":"k6","value":"{\"id\"' out

# ---- pipes ----
seq 100000 | sed 's/.*/{"id":&,"text":"a line that fills the pipe"}/' >lines.jsonl
"$scrine" load p.scn t --key id lines.jsonl >out
holds "100,000 lines are loaded" grep -q '^100000 rows' out
for words in "scan p.scn t" "dump p.scn t" "scan p.scn t --json"; do
    "$scrine" $words 2>err | head -n 1 >/dev/null
    code=${PIPESTATUS[0]}
    returns "$words ends with 0 when its reader leaves" 0
    [ ! -s err ] && pass || fail "... and $words is quiet" "$(head -c 200 err)"
done
if [ -w /dev/full ]; then
    "$scrine" scan p.scn t >/dev/full 2>err
    code=$?
    returns "a full disk under the output returns 4" 4
    holds "... and is told" grep -q '^scrine: cannot write the output' err
fi
"$scrine" scan s.scn t --keys >&- 2>err
code=$?
returns "a closed output returns 4" 4
"$scrine" put s.scn t closed yes <&- >&- 2>&-
run get s.scn t closed
printf yes >expected
same "closed descriptors do not hurt the store" out expected
run check s.scn
returns "... which is still clean" 0

# ---- interrupts ----
exec 7<>fifo
"$scrine" load i.scn t --key id --batch 10 fifo >load.out 2>load.err 7>&- &
child=$!
seq 25 | sed 's/.*/{"id":&}/' >&7
until_true "$scrine" get i.scn t 20
kill -INT $child
wait $child
code=$?
exec 7>&-
mv load.out out
mv load.err err
returns "load returns 130 after SIGINT" 130
says "load says up to which line it got" 'interrupted.*line [0-9]+$'
line=$(grep -Eo '[0-9]+$' err)
[ "$((line % 10))" = 0 ] && pass || fail "it stops between batches" "line $line"
run scan i.scn t --keys
[ "$(wc -l <out)" = "$line" ] && pass || fail "what it says is stored" "$(wc -l <out)"
run check i.scn
returns "the store is clean after an interrupt" 0
exec 7<>fifo
"$scrine" scan p.scn t >fifo 2>err 7>&- &
child=$!
read -r -t 60 -u 7 _
interrupt_at_pipe "scan returns 130 after SIGINT, though nobody reads on" $child
exec 7<&-

for words in "scrine load i.scn t --key id silent" "scrine-snapshot verify silent"; do
    mkfifo silent
    # shellcheck disable=SC2086
    "$bin/"$words >out 2>err &
    child=$!
    interrupt_at_pipe "${words%% *} returns 130 where nobody writes into its pipe" $child &&
        holds "... and is quiet" [ ! -s err ]
    rm silent
done

# ---- at the same time ----
mkfifo feed
exec 8<>feed
"$scrine" load s.scn live --key id --batch 1 feed >load.out 2>load.err 8>&- &
child=$!
echo '{"id":"first"}' >&8
is_answered() { run get "$1" live first; [ "$code" != 1 ]; } # by a row, or that it is busy
comes_true is_answered s.scn
if [ "$code" = 75 ]; then
    says "a busy file is told" 's.scn'
else
    returns "a row is read while its writer still has the file" 0
    run put s.scn live second x
    returns "another process writes meanwhile" 0
fi
exec 8>&-
wait $child
code=$?
returns "the writer ends well" 0
run get s.scn live first
returns "what it wrote is there" 0

# ---- diff, compact ----
"$scrine" put left.scn t both same
"$scrine" put left.scn t changed one
cp left.scn right.scn
run diff left.scn right.scn
returns "a copy does not differ" 0
holds "and nothing is printed" [ ! -s out ]
"$scrine" put right.scn t changed two
"$scrine" put right.scn t later x
"$scrine" put left.scn only here x
run diff left.scn right.scn
returns "a difference is told by the exit code" 1
prints "rows that differ are printed in the order of tables and keys" \
    $'- only\n- only\there\n! t\tchanged\n+ t\tlater'
run diff left.scn right.scn t --json
contains "a difference as JSON" '{"table":"t","key":"changed","in":"both"}'
run diff left.scn right.scn nowhere
returns "a table that neither has is no agreement" 1
"$scrine" del left.scn only here
run diff left.scn right.scn only
returns "an empty table that only one has is a difference" 1
prints "... and printed" '- only'
run diff right.scn left.scn only --json
prints "... as JSON" '{"table":"only","in":"second"}'
run diff left.scn none.scn
returns "a missing store is told" 4
if [ -w /dev/full ]; then
    "$scrine" diff left.scn right.scn >/dev/full 2>err
    code=$?
    returns "differences that cannot be printed are no answer" 4
    holds "... and that is told" grep -q '^scrine: cannot write the output' err
fi
seq 20000 | sed 's/.*/{"id":"&","text":"a row that is as long as a short note to somebody may be"}/' |
    "$scrine" load long.scn t --key id - >/dev/null
"$scrine" checkpoint long.scn
bytes=$(stat -c %s long.scn)
"$scrine" put long.scn keep k v
run compact long.scn --json
returns "compact returns 0" 0
contains "compact says that it is done" '"done":true'
holds "the file is no longer for it" [ "$(stat -c %s long.scn)" -le $((bytes + 524288)) ]
run get long.scn keep k
prints "rows are there after it" v
run check long.scn
returns "the file is clean after it" 0
run compact long.scn --budget x
returns "a budget that is no number is refused" 64

for part in rescue prom shell migrate top bench completion; do
    . "$here/test/tools/$part.sh"
done

finish
