/* Exit codes are few and stable; the sentence carries the rest.  The library's own
 * sentence is printed unchanged: it names page, offset and system error, and says what
 * to do. */
#include "tools/outcome.h"
#include "tools/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum outcome outcome_of(scn_status st)
{
    switch (st) {
    case SCN_OK:
        return OUTCOME_OK;
    case SCN_NOTFOUND:
    case SCN_EXISTS:
    case SCN_END:
        return OUTCOME_FINDINGS;
    case SCN_CORRUPT:
        return OUTCOME_CORRUPT;
    case SCN_NOTADB:
    case SCN_VERSION:
        return OUTCOME_FOREIGN;
    case SCN_MISUSE:
    case SCN_TOOBIG:
        return OUTCOME_USAGE;
    case SCN_BUSY:
    case SCN_CONFLICT:
    case SCN_SNAPSHOT_GONE:
        return OUTCOME_BUSY;
    case SCN_INTERRUPTED:
        return OUTCOME_INTERRUPTED;
    default:
        return OUTCOME_IO;
    }
}

enum outcome outcome_of_issue(const scn_issue *issue)
{
    bool is_harmless = issue->kind == SCN_ISSUE_SLOT || issue->kind == SCN_ISSUE_LOST;
    return is_harmless ? OUTCOME_FINDINGS : OUTCOME_CORRUPT;
}

/* Names of files have up to 4096 bytes. */
enum { SENTENCE_BYTES = 10000 };

static const char *program = "scrine";

void outcome_set_program(const char *name)
{
    program = name;
}

const char *outcome_program(void)
{
    return program;
}

/* One line, whatever the names in it hold.  No memory is asked for: it may be that there
 * is none. */
enum outcome outcome_say(enum outcome outcome, const char *format, ...)
{
    char text[SENTENCE_BYTES];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len >= (int)sizeof text)
        len = sizeof text - 1;
    flockfile(stderr);
    fprintf(stderr, "%s: ", program);
    text_print_line(stderr, (scn_slice){text, len > 0 ? (size_t)len : 0});
    fputc('\n', stderr);
    funlockfile(stderr);
    return outcome;
}

/* "store", "file" and "log" may be meant, or be words of the sentence. */
static bool is_word(const char *path)
{
    return path[strspn(path, "abcdefghijklmnopqrstuvwxyz")] == '\0';
}

static bool is_behind(const char *text, const char *at, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(at - text) >= len && memcmp(at - len, word, len) == 0;
}

/* As a word: a short name may also be a part of another one. */
static bool has_name(const char *text, const char *path)
{
    size_t len = strlen(path);
    for (const char *at = strstr(text, path); at && *at; at = strstr(at + 1, path)) {
        bool is_meant = at == text || is_behind(text, at, "file: ") ||
                        is_behind(text, at, "there is no store ");
        if ((is_meant || (!is_word(path) && at[-1] == ' ')) && strchr(" :;,", at[len]))
            return true;
    }
    return false;
}

enum outcome outcome_of_store(const scn_db *db, const char *path, scn_status st)
{
    scn_error error = {.struct_size = sizeof error};
    scn_last_error(db, &error);
    const char *text =
        error.status == st && error.text[0] ? error.text : scn_strerror(st);
    if (has_name(text, path))
        return outcome_say(outcome_of(st), "%s", text);
    return outcome_say(outcome_of(st), "%s: %s", path, text);
}

void outcome_no_memory(void)
{
    exit(outcome_say(OUTCOME_IO, "out of memory"));
}
