/* Words of a line: see phrase.h. */
#include "tools/phrase.h"

#include <string.h>

struct reader {
    const char *at;
    const char *end;
    struct text *out;
    char quote; /* ' or ", or 0 */
    const char *why;
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static void take(struct reader *reader, char byte)
{
    if (byte == '\0')
        reader->why = "a zero byte; commands take it with --hex";
    text_append(reader->out, &byte, 1);
}

/* Behind the backslash of a word in double quotes. */
static void take_escape(struct reader *reader)
{
    static const char names[] = "tnr";
    static const char bytes[] = "\t\n\r";
    char byte = *reader->at++;
    const char *name = strchr(names, byte);
    if (byte != 'x') {
        take(reader, name && *name ? bytes[name - names] : byte);
        return;
    }
    size_t before = reader->out->size;
    if (reader->end - reader->at < 2 || !text_append_unhex(reader->out, reader->at, 2)) {
        reader->why = "\\x without two hexadecimal digits";
        return;
    }
    reader->at += 2;
    byte = reader->out->data[before];
    reader->out->size = before;
    take(reader, byte);
}

static void take_next(struct reader *reader)
{
    char byte = *reader->at++;
    if (byte == reader->quote && byte) {
        reader->quote = 0;
    } else if (reader->quote == 0 && (byte == '\'' || byte == '"')) {
        reader->quote = byte;
    } else if (byte != '\\' || reader->quote == '\'') {
        take(reader, byte);
    } else if (reader->at == reader->end) {
        reader->why = "nothing behind a backslash";
    } else if (reader->quote) {
        take_escape(reader);
    } else {
        take(reader, *reader->at++);
    }
}

static void take_word(struct reader *reader)
{
    while (reader->why == NULL && reader->at < reader->end &&
           (reader->quote || !is_blank(*reader->at)))
        take_next(reader);
    if (reader->why == NULL && reader->quote)
        reader->why = "a quote that does not end";
    text_append(reader->out, "", 1);
}

/* The bytes may have moved while they grew: only now it is known where the words are. */
static void point(struct phrase *phrase)
{
    char *at = phrase->bytes.data;
    for (int i = 0; i < phrase->count; i++) {
        phrase->words[i] = at;
        at += strlen(at) + 1;
    }
}

const char *phrase_split(struct phrase *phrase, scn_slice line)
{
    struct reader reader = {.at = line.data, .out = &phrase->bytes};
    reader.end = reader.at + line.size;
    phrase->count = 0;
    phrase->bytes.size = 0;
    while (reader.why == NULL) {
        while (reader.at < reader.end && is_blank(*reader.at))
            reader.at++;
        if (reader.at == reader.end || *reader.at == '#')
            break;
        if (phrase->count == PHRASE_WORDS_MAX)
            return "too many words";
        take_word(&reader);
        phrase->count++;
    }
    if (reader.why == NULL)
        point(phrase);
    return reader.why;
}

void phrase_free(struct phrase *phrase)
{
    text_free(&phrase->bytes);
    *phrase = (struct phrase){0};
}
