# top: figures of a store that another process writes.  Sourced by run.sh.
# shellcheck shell=bash

# A process that commits as fast as it can, and one that reads for long.
mkfifo reader.lines
"$scrine" put top.scn t k v
(i=0; while [ ! -e top.end ]; do echo "{\"id\":$((++i))}"; sleep 0.002; done) |
    "$scrine" load top.scn live --key id --batch 1 >/dev/null 2>&1 &
writer=$!
"$scrine" shell top.scn <reader.lines >reader.out 2>&1 &
reader=$!
exec 7>reader.lines
printf 'begin\nget t k\n' >&7
until_true test -s reader.out
# A disk that has others to serve may commit nothing for a second.
is_counted() { run top top.scn --once; grep -qE '^commits +[1-9][0-9]*\.[0-9] a second$' out; }
comes_true is_counted && pass || fail "commits of others are counted" "$(cat out)"
returns "top --once returns 0" 0
holds "... and what they write" grep -qE '^log +[0-9.]+ MiB a second; .* up to lsn [1-9]' out
holds "the file has its size" grep -qE '^size +[0-9.]+ MiB; [0-9.]+ used, ' out
holds "who reads is told, with name and number" grep -qE "^ +$reader .* scrine$" out
run top top.scn --limit 2
[ "$(grep -c '^commits' out)" = 2 ] && pass || fail "--limit 2 looks twice" "$(cat out)"
holds "without a terminal there is no escape" [ "$(grep -c $'\033' out)" = 0 ]
run top top.scn --interval 0
returns "an interval of nothing is wrong usage" 64
"$scrine" top top.scn >out 2>err &
child=$!
until_true grep -q '^commits' out
kill -INT $child
wait $child
code=$?
returns "^C ends it with 130" 130
exec 7>&-
touch top.end
wait $reader $writer
if plays_terminal; then
    mkfifo nothing
    exec 7<>nothing
    TERM=xterm timeout 600 script -qefc "echo \$\$ >top.pid; exec $scrine top top.scn" \
        /dev/null <nothing >screen 2>&1 7>&- &
    child=$!
    until_true grep -q '^commits' screen
    kill -TERM "$(cat top.pid)"
    wait $child
    code=$?
    exec 7>&-
    returns "SIGTERM ends it as well" 130
    holds "SIGTERM puts the terminal back" grep -qF $'\033[?25h\033[?1049l' screen
else
    skip "top at a terminal: there is none to be had"
fi
