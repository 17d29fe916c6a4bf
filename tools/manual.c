/* What --help says: see manual.h. */
#include "tools/manual.h"

const char manual_put[] =
    "Creates the file and the table where they are missing.  With - the value is\n"
    "what standard input holds, every byte as it is, with --hex too.  The row is on\n"
    "disk when scrine returns.\n"
    "\n"
    "  --hex          KEY and VALUE are hexadecimal digits\n";

const char manual_get[] =
    "Prints the bytes of the value and nothing else (on a terminal, a newline after\n"
    "them).  Exit code 1: there is no such key or table.\n"
    "\n"
    "  --hex          KEY is hexadecimal digits, and so is what is printed\n"
    "  --json         print {\"key\": ..., \"value\": ...}; \"key_hex\", \"value_hex\"\n"
    "                 with hexadecimal digits where the bytes are no UTF-8\n";

const char manual_del[] =
    "Exit code 1: there was no such key or table.\n"
    "\n"
    "  --hex          KEY is hexadecimal digits\n";

const char manual_scan[] =
    "A line a row: key, tab, value.  Backslashes, control characters and bytes that\n"
    "are no UTF-8 are printed as \\\\ \\t \\n \\r \\xNN.  All rows are of one moment.\n"
    "^C ends after a whole row (exit code 130).\n"
    "\n"
    "  --prefix P     only keys that begin with P\n"
    "  --from A       only keys at or after A\n"
    "  --to B         only keys before B\n"
    "  --limit N      no more than N rows\n"
    "  --reverse      the last key first\n"
    "  --keys         keys only\n"
    "  --json         a line a row: {\"key\": ..., \"value\": ...}; \"key_hex\" and\n"
    "                 \"value_hex\" with hexadecimal digits where the bytes are no\n"
    "                 UTF-8.  load reads these lines\n"
    "  --hex          P, A, B and the output are hexadecimal digits\n";

const char manual_tables[] =
    "One name a line, with escapes as in scan.\n"
    "\n"
    "  --all          also tables kept about other tables; their names begin with ~\n"
    "  --json         with id, number of rows and sizes in bytes\n";

const char manual_stat[] =
    "All tables are counted, those kept about other tables (~) too.  Rows are those of\n"
    "now, bytes those of the newest checkpoint.  Key and value bytes are their lengths.\n"
    "Tree bytes (stored_bytes for programs) are the pages of the table's tree: values\n"
    "of more than 1024 bytes lie in other pages, which no table's figure counts.\n"
    "\n"
    "  --json         as one JSON object\n"
    "  --prom         in the text format of Prometheus, each figure with the file's\n"
    "                 name: for a textfile collector, written beside and renamed\n";

const char manual_top[] =
    "Opens the file for reading only and counts what all programs do with it.  ^C ends\n"
    "it (exit code 130).  The lines below are who reads which checkpoint, and for how\n"
    "long: freed pages wait for the oldest.  In the shell, whose store is open for\n"
    "writing, they tell how many.\n"
    "\n"
    "  --interval S   a look every S seconds (1)\n"
    "  --limit N      N looks, one below the other; so it is, too, without a terminal\n"
    "  --once         one look: the rates of one interval\n";

const char manual_check[] =
    "Reads the whole file and changes nothing.  Prints each finding.  Exit code 1: only\n"
    "such as the next checkpoint puts right; 2: the file is damaged.\n"
    "\n"
    "  --json         as one JSON object\n";

const char manual_checkpoint[] =
    "Never needed, as stores do it by themselves; good before a file is copied away.\n";

const char manual_compact[] =
    "In steps, each of them a checkpoint: programs read and write FILE meanwhile, and\n"
    "^C ends it after a step, with all that is done kept.  What open transactions for\n"
    "reading still need stays.\n"
    "\n"
    "  --budget S     begin no step after S seconds; another call goes on\n"
    "  --json         print the bytes before and after as one JSON object\n";

const char manual_diff[] =
    "A line a row: - where it is only in FILE, + only in OTHER, ! with another value in\n"
    "both; table, tab, key, with escapes as in scan.  In front of them a line with the\n"
    "table alone where only one store has it, or ! where one compresses its values and\n"
    "the other does not.  Both are read as of one moment each.  Exit code 1: they\n"
    "differ.\n"
    "\n"
    "  --all          also tables kept about other tables; their names begin with ~\n"
    "  --json         a line a row: {\"table\": ..., \"key\": ..., \"in\": \"first\"};\n"
    "                 \"second\", or \"both\" where the values differ; without \"key\":\n"
    "                 of the table\n";

const char manual_hash[] =
    "A line a table: a digest of all its rows, how many there are, its name; the last\n"
    "line is for all tables together.  A digest follows from the rows alone and not\n"
    "from where they lie, so a store, its snapshot and a copy of its rows have the same\n"
    "one.\n"
    "Reads every row.\n"
    "\n"
    "  --json         as one JSON object\n";

const char manual_load[] =
    "Reads INPUT, or standard input where it is absent or -.  Creates the file and\n"
    "the table where they are missing.  Each line is one JSON object and becomes one\n"
    "row:\n"
    "\n"
    "  * {\"key\": K, \"value\": V}, exactly two members, both strings: key K, value V.\n"
    "    \"key_hex\" and \"value_hex\" may stand in their places, with hexadecimal\n"
    "    digits.\n"
    "  * any other object: the key is its field FIELD, a string or a number, and the\n"
    "    value is the text of the line as it is, without blanks around it.  A number\n"
    "    is written in decimal, in the shortest form that reads back the same.\n"
    "\n"
    "Empty lines are passed over.  A row replaces one of the same key.  A line that is\n"
    "not JSON or has no such field ends the loading with exit code 1 and its line\n"
    "number: nothing of its batch is stored, all batches before it are.  ^C does the\n"
    "same (exit code 130).  Each batch is on disk before the next one begins.\n"
    "\n"
    "  --key FIELD    the field that holds the key; without it only lines of the first\n"
    "                 form are taken\n"
    "  --batch N      lines in a transaction (1000; 16 MiB of them are a batch as well)\n"
    "  --skip-bad     report bad lines, leave them out and go on; exit code 1 if there\n"
    "                 were any\n";

const char manual_dump[] =
    "A row is printed as its value alone if load would make the same row of that line:\n"
    "the value is the text of a JSON object, on one line, whose field FIELD holds the\n"
    "key.  Every other row is printed as {\"key\": ..., \"value\": ...}, with\n"
    "\"key_hex\" or \"value_hex\" and hexadecimal digits where the bytes are no UTF-8.\n"
    "FIELD is the one that the table was loaded by the last time; a table that was\n"
    "never loaded by a field is printed in the second form throughout.\n"
    "\n"
    "Loading all lines with the same --key gives equal rows, whatever bytes they hold.\n"
    "\n"
    "  --key FIELD    use this FIELD instead\n";

const char manual_shell[] =
    "FILE is opened once.  The commands are those of scrine, with FILE left out, and\n"
    "behind \"use TABLE\" with TABLE left out as well; .help lists them.  Words are\n"
    "parted by blanks; \"...\" and '...' keep them together, and in \"...\" the escapes\n"
    "of scan are understood.  scrine FILE is the same.\n"
    "\n"
    "Nothing is held open between commands, so that others are never in the way, but\n"
    "what begin has begun: then puts and dels are one transaction until commit.  ^C\n"
    "takes a line back or ends a running command; a second one ends the shell.  Lines\n"
    "are remembered in $XDG_STATE_HOME/scrine/history, or\n"
    "~/.local/state/scrine/history, except those that begin with a blank.\n"
    "\n"
    "Where standard input is no terminal its lines are run without a prompt, and the\n"
    "exit code is that of the first one that failed.\n";

const char manual_dots[] =
    "  begin        begin a transaction; put, get, del and scan are in it\n"
    "  commit       make what was written in it durable, all of it or nothing\n"
    "  rollback     forget it\n"
    "  use [TABLE]  the table of the commands that follow; without TABLE: none\n"
    "  .tables      list the tables\n"
    "  .help [C]    this, or the help of a command\n"
    "  .quit        end the shell, like ^D\n";

const char manual_bench[] =
    "In a new folder inside FOLDER, or here, which is removed afterwards; takes four\n"
    "seconds.  Each figure is compared with the first: a loop that writes a block and\n"
    "waits for the disk.  Rows have 100 bytes, one process does it all.\n"
    "\n"
    "  --json         as one JSON object\n";

const char manual_migrate[] =
    "So far there is one format, so a store is of it, or was made by a newer version\n"
    "(exit code 3).  Changes nothing.\n";

const char manual_page[] =
    "Also of a file that does not open, and of one in use; changes nothing.  Which kind\n"
    "of page it is, whether its checksum is right, who has it, and what it holds; keys\n"
    "are printed as in scan.  It is judged by itself: check says whether what leads to\n"
    "it agrees.  Exit code 2: it is in use and damaged.\n"
    "\n"
    "  --hex          the bytes, too; lines of zeros are left out\n"
    "  --json         as one JSON object\n";

const char manual_recover[] =
    "FILE is only read, and need not open.  OUT gets the newest version of each row\n"
    "that verifies, from the tables and from the log, and its name when it is whole.\n"
    "What is lost is listed.  Exit code 2: something is.  scrine-walcheck FILE says\n"
    "beforehand what is wrong.\n"
    "\n"
    "  --force        replace OUT\n"
    "  --json         as one JSON object\n";

const char manual_outcomes[] =
    "Exit codes: 0 done; 1 absent key or table, or bad input lines; 2 the file is\n"
    "damaged; 3 not a store, or of a newer version; 4 input or output failed, or there\n"
    "is no such file; 64 wrong usage; 75 busy, try again; 130 interrupted.\n";

const char manual_general[] =
    "\n"
    "scrine COMMAND --help tells more.  scrine --version prints the version.  Options\n"
    "may stand anywhere after the command; -- ends them.  Only put and load create\n"
    "FILE; get, scan, tables, stat, top, check, diff, hash, dump, migrate, page and\n"
    "recover change nothing in it.\n"
    "\n";
