# page and recover: what is to be had of files that do not open.  Sourced by run.sh.
# shellcheck shell=bash

# shows NAME PATTERN: a line of the output matches.
shows() { holds "$1" grep -Eq -e "$2" out; }
# page_with FILE PATTERN [OPTIONS]: the first page whose lines match is in out, its number in
# `found`.
page_with() {
    local pages
    pages=$(($(stat -c %s "$1") / 65536))
    for ((found = 0; found < pages; found++)); do
        run page "$1" $found "${@:3}"
        grep -Eq -e "$2" out && return
    done
    found=none
}

for i in $(seq -w 3000); do
    echo "{\"key\":\"row-$i\",\"value\":\"$(printf 'text %.0s' {1..12})$i\"}"
done >rows.jsonl
"$scrine" load page.scn notes rows.jsonl >/dev/null
head -c 200000 /dev/zero | tr '\0' z | "$scrine" put page.scn blobs spread -
head -c 5000 /dev/zero | tr '\0' y | "$scrine" put page.scn blobs packed -
"$scrine" put page.scn blobs $'tab\tnew\n' short
"$scrine" checkpoint page.scn
"$scrine" put page.scn notes later entry-in-the-log
cp page.scn before

run page page.scn 0
returns "page of a superblock returns 0" 0
shows "it is one" '^kind +superblock$'
run page page.scn 1
shows "a superblock tells its generation" '^generation +[0-9]+$'
shows "... and where the catalog is" '^catalog +[0-9]+$'
run page page.scn 2
shows "the publish page has its lines" '^line +name session, sequence [1-9]'
run page page.scn 3
returns "page of the log returns 0" 0
shows "it has records" '^record +at 128, type epoch, '
page_with page.scn '^kind +inner$'
shows "an inner page has children" '^child +page [0-9]+, kind leaf, birth [0-9]+'
shows "... and the keys from which they are" '^child .* from row-[0-9]+$'
child=$(grep -m 1 -oE '^child +page [0-9]+' out | grep -oE '[0-9]+$')
run page page.scn "$child"
returns "page of a leaf returns 0" 0
shows "a leaf has its table" '^name +notes$'
shows "... and its first record" '^record +key row-0001, size 64$'
shows "... and is used" '^state +used$'
leaf=$child
page_with page.scn 'key spread'
shows "a key is printed as scan prints it" '^record +key tab\\tnew\\n, size 5$'
shows "a packed value has a page" '^record +key packed, size 5000, page [0-9]+, at [0-9]+$'
shows "a spread value has an index" '^record +key spread, size 200000, index [0-9]+$'
run page page.scn "$(sed -nE 's/.*key packed.*page ([0-9]+),.*/\1/p' out)"
shows "a page of values" '^kind +values$'
page_with page.scn 'kind +value index'
shows "an index of a value lists its pages" '^count +4$'
[ "$(grep -c '^part' out)" = 4 ] && pass || fail "... all of them" "$(cat out)"
page_with page.scn 'kind +space'
shows "a page of the allocation state" '^count +[2-9]$'
"$scrine" put free.scn t k v
"$scrine" checkpoint free.scn
run page free.scn 10
returns "a free page is fine" 0
shows "... and told" '^state +free$'
run page page.scn "$leaf" --json
contains "a page as JSON" "\"page\":$leaf,\"offset\":$((leaf * 65536)),\"kind\":\"leaf\","
contains "... with its records" '"records":[{"key":"row-0001","size":64},'
run page page.scn "$leaf" --hex
holds "--hex prints the bytes" grep -qE '^000000  01 00 00 00 10 00 00 00  ' out
run page page.scn "$leaf" --hex --json
contains "... as JSON" '"bytes_hex":"0100000010000000'
same "looking at pages changes nothing" page.scn before
for bad in 100000 99999999999999999999 x -- ""; do
    run page page.scn "$bad"
    returns "page \"$bad\" is wrong usage" 64
done
run page none.scn 1
returns "a page of no file returns 4" 4
run page text 0
returns "a file that is shorter than a page has none" 64
head -c 70000 /dev/zero | tr '\0' t >long.text
run page long.text 0
returns "a page of what is no store returns 3" 3
holds "... which is said" grep -q '^scrine: long.text: not a store' err
shows "... and shown all the same" '^superblock +no superblock$'

# Beside a live process.
mkfifo page.fifo
exec 9<>page.fifo
"$scrine" load page.scn live --key id --batch 1 page.fifo >/dev/null 2>&1 9>&- &
child=$!
echo '{"id":"first"}' >&9
comes_true is_answered page.scn
run page page.scn "$leaf"
returns "a page is shown while another process writes" 0
shows "... as it is" '^record +key row-0001, size 64$'
exec 9>&-
wait $child

# Damage.
cp page.scn hurt.scn
damage hurt.scn 'row-0001'
run page hurt.scn "$leaf"
returns "a damaged page returns 2" 2
shows "... and is told" '^intact +no$'
shows "... with the reason" '^why +page: the checksum is wrong'
holds "... and what it holds is not" [ "$(grep -c '^record' out)" = 0 ]
printf '#' | dd of=hurt.scn bs=1 seek=100 conv=notrunc status=none
printf '#' | dd of=hurt.scn bs=1 seek=65636 conv=notrunc status=none
run check hurt.scn
returns "the file does not open any more" 2
run page hurt.scn 0
returns "a damaged superblock returns 2" 2
run page hurt.scn 1
shows "... and is told" '^superblock +damaged$'
run page hurt.scn "$((leaf + 1))"
returns "other pages are shown all the same" 0

cp page.scn hurt.scn
damage hurt.scn 'row-0001'
cp hurt.scn before
run recover hurt.scn saved.scn
returns "recover of a damaged file returns 2" 2
shows "what is lost is listed" '^(lost|older) +table notes: keys to before row-'
shows "... and what is saved" '^salvaged +saved.scn: '
same "recover does not touch its source" hurt.scn before
run check saved.scn
returns "what was recovered is clean" 0
run get saved.scn blobs packed
returns "what was not damaged is there" 0
run get saved.scn notes later
printf entry-in-the-log >expected
same "... and what was in the log" out expected
cp saved.scn before
run recover hurt.scn saved.scn
returns "recover replaces nothing" 64
says "... unless forced" '--force'
same "... and leaves it as it was" saved.scn before
run recover page.scn saved.scn --force --json
returns "of a healthy file nothing is lost" 0
contains "it is told as JSON" '"loss_count":0,"losses":[]'
run diff page.scn saved.scn
returns "... and all is there" 0
"$scrine" put short.scn t k v
head -c 196608 short.scn >ends.scn
run recover ends.scn ends-saved.scn
returns "where a file ends in front of its log something is lost" 2
shows "... as is listed" '^lost +commits behind lsn [0-9]+, as far as there were any$'
run recover ends.scn ends-saved.scn --force --json
contains "... and in JSON without an end" '"losses":[{"kind":"commits","from_lsn":128}]'
run recover hurt.scn hurt.scn --force
returns "a file is not recovered into itself" 64
run recover hurt.scn -
returns "a salvage is no stream" 64
says "... which is told" 'not standard output'
run recover hurt.scn ""
returns "nor without a name" 64
run recover none.scn other.scn
returns "recover of no file returns 4" 4
absent "... and makes none" other.scn
run recover text other.scn
returns "recover of a text returns 3" 3
absent "... and makes none, either" other.scn
