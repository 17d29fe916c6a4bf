# The shell: lines from a pipe, and from a terminal.  Sourced by run.sh.
# shellcheck shell=bash

# feed FILE LINES...: the shell's run of these lines.
feed() {
    printf '%s\n' "${@:2}" | "$scrine" "$1" >out 2>err
    code=$?
}
"$scrine" put shell.scn notes a 1
run shell shell.scn
returns "the shell ends with its input" 0
prints "... without a prompt" ""
feed shell.scn 'get notes a --json' '' '# nothing' 'put notes b "two words"' 'scan notes'
returns "lines are run" 0
prints "... in their order" $'{"key":"a","value":"1"}\na\t1\nb\ttwo words'
feed shell.scn "put notes 'a b' 'it''s'" 'put notes "q\"\\\t\x41" c\ d' 'scan notes --from q'
prints "words are parted as in a shell" $'q"\\\\\\tA\tc d'
feed shell.scn 'get notes none' 'get notes a --json' 'frobnicate'
returns "the exit code is that of the first failure" 1
holds "... and the lines behind it are run" grep -qF '{"key":"a","value":"1"}' out
holds "... and told" grep -q 'no command "frobnicate" here' err
feed shell.scn 'put notes "open' 
returns "a quote without its end is wrong usage" 64
says "... and told" 'quote'
feed shell.scn 'put notes "\x00" v'
returns "a zero byte is no word" 64
feed shell.scn 'use notes' 'get a --json' 'put z 26' 'use' 'get notes z --json' 'get a'
prints_out() { [ "$(cat out)" = "$2" ] && pass || fail "$1" "$(head -c 300 out err)"; }
prints_out "a table that is used is left out" \
    $'{"key":"a","value":"1"}\n{"key":"z","value":"26"}'
returns "... and only then" 64
feed shell.scn '.tables' '.quit' 'frobnicate'
returns ".quit ends the shell" 0
prints ".tables lists the tables" notes
feed shell.scn .help '.help scan' 'shell other.scn'
holds ".help lists the commands" grep -q '^  put  *store a value' out
holds "... and the shell's own" grep -q '^  begin  ' out
holds ".help COMMAND tells more" grep -q -- '--prefix P' out
returns "there is no shell in the shell" 64
feed shell.scn 'put notes piped -'
returns "input with commands is no value" 64
says "... which is told" 'standard input'
printf from-a-file >value.txt
echo '{"key":"line","value":"one"}' >one.jsonl
feed shell.scn 'load notes one.jsonl' 'get notes line --json'
returns "load takes a file" 0
feed none.scn 'get t k'
returns "no file and no command is wrong usage" 64
"$scrine" shell none.scn </dev/null >out 2>err
code=$?
returns "the shell makes no file" 4
says "... and says so once" none.scn
absent "... really" none.scn
echo text >text
"$scrine" text </dev/null >out 2>err
code=$?
returns "a text is no store" 3

timeout 60 "$scrine" shell.scn <. >out 2>err
code=$?
returns "a folder for the input returns 4" 4
says "... and says so" 'standard input: cannot read'

# Transactions.
feed shell.scn begin 'put notes t1 x' 'get notes t1 --json' 'put other t2 y' commit
returns "a transaction is committed" 0
prints "... and reads what it has written" '{"key":"t1","value":"x"}'
run get shell.scn other t2 --json
prints "... in all tables" '{"key":"t2","value":"y"}'
feed shell.scn begin 'put notes t3 x' 'del notes t1' rollback 'scan notes --prefix t'
prints "rollback forgets" $'t1\tx'
feed shell.scn begin 'put notes t4 x' 
returns "the end of the input is a rollback" 0
holds "... which is told" grep -q 'rolled back' err
feed shell.scn begin 'put notes t5 x' 'get notes absent' commit
returns "an absent key does not end a transaction" 1
run get shell.scn notes t5 --json
prints "... it can be committed" '{"key":"t5","value":"x"}'
feed shell.scn begin 'put notes t6 x' 'put notes "" y' commit
returns "a failure ends a transaction" 64
run get shell.scn notes t6
returns "... and nothing of it is there" 1
feed shell.scn commit
returns "commit without begin is wrong usage" 64
feed shell.scn begin 'load notes one.jsonl'
returns "load is not for a transaction" 64
run check shell.scn
returns "the store is clean" 0

# Others are never in the way of an idle shell, nor it in theirs.
mkfifo lines answers
"$scrine" shell shell.scn <lines >answers 2>err &
child=$!
exec 7>lines 8<answers
ask() { echo "$1" >&7; read -r -t 60 -u 8 answer; }
ask 'get notes a --json'
run put shell.scn notes a changed
returns "another process writes while the shell waits" 0
run stat shell.scn --json
returns "... and reads" 0
ask 'get notes a --json'
[ "$answer" = '{"key":"a","value":"changed"}' ] && pass ||
    fail "the shell sees what others have written" "$answer"
# Opened once: the name may go.
mv shell.scn moved.scn
ask 'get notes b --json'
[ "$answer" = '{"key":"b","value":"two words"}' ] && pass ||
    fail "the file is opened once" "$answer"
mv moved.scn shell.scn
exec 7>&- 8<&-
wait $child
code=$?
returns "the shell ends with the pipe" 0

# A store that is another one by now takes nothing that nobody would find.
cp shell.scn lost.scn
"$scrine" shell "$PWD/lost.scn" <lines >answers 2>err &
child=$!
exec 7>lines 8<answers
ask 'get notes a --json'
rm lost.scn
echo 'put notes lost yes' >&7
echo 'begin' >&7
echo 'put notes lost yes' >&7
exec 7>&- 8<&-
wait $child
code=$?
returns "nothing is put into a store that was deleted" 4
holds "... which is told" grep -q 'lost.scn was deleted or replaced' err
[ "$(grep -c 'deleted or replaced' err)" = 2 ] && pass ||
    fail "... each time" "$(cat err)"

# Little room is no damage.
if small_disk 8m; then
    cp shell.scn small
    feed small/shell.scn 'get notes a --json' begin 'put notes room little' \
        'get notes room --json' commit 'get notes room --json' stat
    umount small
    returns "a store with little room is read" 0
    holds "... in a transaction, too" [ "$(grep -cxF '{"key":"room","value":"little"}' out)" = 2 ]
    holds "... and stat tells of it" grep -q '^healthy     no: .* are left on the disk' out
fi

# What was read when the store was opened says nothing of the log as it is now.
feed shell.scn 'put notes a again' checkpoint stat 'stat --json'
holds "a figure of the time of the opening is not told" \
    [ "$(grep -Ec 'behind it has [0-9]+ records|log_records' out)" = 0 ]
holds "... the others are" grep -Eq 'behind it has [0-9]+ bytes' out

# A pipe and ^C.
mkfifo slow
"$scrine" shell shell.scn <slow >out 2>err &
child=$!
exec 7>slow
echo 'get notes a' >&7
until_true test -s out
# What comes before it waits for the next line is for the command that has ended.
comes_true grep -qE 'poll|pipe_read' "/proc/$child/wchan"
kill -INT $child
wait $child
code=$?
exec 7>&-
returns "SIGINT ends a shell that reads from a pipe" 130

# A terminal, which script(1) plays.
if plays_terminal; then
    # waits TEXT: until the terminal shows it, for the nth time.
    shows_times() { [ "$(grep -aoF -e "$1" screen | wc -l)" -ge "$2" ]; }
    waits() {
        comes_true shows_times "$1" "${2:-1}" ||
            fail "the terminal shows \"$1\"" "$(tail -c 400 screen)"
    }
    # ^D that comes between a prompt and the read behind it is the terminal's own and is
    # lost, so it is typed until it ends the shell.
    typed_end() {
        printf '\004' >&7
        ! kill -0 $child
    }
    ends() {
        until_true typed_end
        wait $child
        code=$?
        exec 7>&-
    }
    for i in $(seq 3); do "$scrine" put shell.scn typed "key-$i" v; done
    "$scrine" load shell.scn many --key id <<<'{"id":0}' >/dev/null
    mkfifo keys
    exec 7<>keys
    mkdir home
    : >screen
    # With exec, as a shell that waits for its command dies of the ^C behind it: the exit
    # code would be that shell's.
    TERM=xterm HOME=$PWD/home XDG_STATE_HOME='' timeout 600 script -qefc \
        "exec $scrine shell.scn" /dev/null <keys >screen 2>&1 7>&- &
    child=$!
    waits 'scrine> '
    printf 'put typed key-4 by-hand\n' >&7
    waits 'scrine> ' 2
    # ^C that comes between a prompt and the read behind it ends the read with the next
    # line, which is empty.
    is_cancelled() { shows_times 'scrine> ' 3 || { echo >&7 && false; }; }
    printf 'half a line\003' >&7
    until_true is_cancelled
    printf 'use typed\n' >&7
    waits 'scrine:typed> '
    printf 'get key-4\n' >&7
    waits 'by-hand' 2
    # What is typed before load reads was read for the line editor, and its end is none then:
    # another one ends it, and an empty line is no row.
    is_loading() {
        echo >&7
        grep -qaF '1 rows' screen
    }
    printf 'load - --batch 1\n' >&7
    waits 'load - --batch 1'
    printf '{"key":"row","value":"v"}\n' >&7
    until_true is_loading
    printf '\003' >&7
    waits 'interrupted'
    printf ' get key-3\n' >&7
    printf 'begin\n' >&7
    waits 'scrine:typed*> '
    prompts=$(grep -aoF 'scrine:typed> ' screen | wc -l)
    printf 'rollback\n' >&7
    waits 'scrine:typed> ' $((prompts + 1))
    ends
    mv screen out
    returns "^D ends the shell" 0
    kept=home/.local/state/scrine/history
    holds "lines are remembered" grep -q '^get.*key-4' $kept
    holds "... but none that begins with a blank" [ "$(grep -c 'key-3' $kept)" = 0 ]
    holds "... nor a line that was taken back" [ "$(grep -c 'half' $kept)" = 0 ]
    holds "... for the owner's eyes only" [ "$(stat -c %a $kept)" = 600 ]
    exec 7<>keys
    : >screen
    TERM=xterm timeout 600 script -qefc "exec env -u HOME -u XDG_STATE_HOME $scrine shell.scn" \
        /dev/null <keys >screen 2>&1 7>&- &
    child=$!
    waits 'scrine> '
    printf 'get typed key-4\n' >&7
    waits 'scrine> ' 2
    ends
    returns "without a home it works as well" 0
else
    skip "the shell at a terminal: there is none to be had"
fi
