# migrate: files of this format, of a later one, and others.  Sourced by run.sh.
# shellcheck shell=bash

"$scrine" put current.scn t k v
cp current.scn before
run migrate current.scn
returns "migrate of a current file returns 0" 0
prints "... and says so" "current.scn: of the current format; there is nothing to do"
same "... and changes nothing" current.scn before
echo "just some text" >text
run migrate text
returns "migrate of a text returns 3" 3
says "... and names it" text
run migrate none.scn
returns "migrate of no file returns 4" 4
absent "... and makes none" none.scn
# Both slots as version 77 would write them.
cat >newer.c <<'C'
#include <scrine.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
    FILE *file = fopen(argv[argc - 1], "r+b");
    for (long slot = 0; file && slot < 2; slot++) {
        static unsigned char bytes[4096];
        fseek(file, slot * 65536, SEEK_SET);
        if (fread(bytes, sizeof bytes, 1, file) != 1)
            return 1;
        bytes[8] = 77;
        memset(bytes + 16, 0, 16);
        scn_hash128(bytes, sizeof bytes, bytes + 16);
        fseek(file, slot * 65536, SEEK_SET);
        fwrite(bytes, sizeof bytes, 1, file);
    }
    return file == NULL || fclose(file) != 0;
}
C
# Beside the command, as nothing may be run where the temporary folders are.
newer=$bin/newer-format
"${CC:-gcc}" -I"$here/include" -o "$newer" newer.c "$bin/libscrine.a" -llz4 -lxxhash -lpthread
cp current.scn newer.scn
holds "a file of a newer version is made" "$newer" newer.scn
rm -f "$newer"
cp newer.scn before
run migrate newer.scn
returns "migrate of a newer file returns 3" 3
says "... and names the version" 77
same "... and changes nothing there" newer.scn before
run page newer.scn 0
returns "page shows what it can of it" 3
holds "... the version" grep -qE '^version +77$' out
