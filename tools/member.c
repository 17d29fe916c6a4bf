/* Members of JSON objects: see member.h. */
#include "tools/member.h"
#include "tools/outcome.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 32 };

json_t *member_must(json_t *json)
{
    if (json == NULL)
        outcome_no_memory();
    return json;
}

void member_set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, member_must(value)) < 0)
        outcome_no_memory();
}

void member_set_number(json_t *object, const char *name, uint64_t value)
{
    member_set(object, name, json_integer((json_int_t)value));
}

void member_set_text(json_t *object, const char *name, const char *text)
{
    json_t *plain = json_string(text);
    char *escaped = plain ? NULL : text_escaped((scn_slice){text, strlen(text)});
    member_set(object, name, plain ? plain : json_string(escaped));
    free(escaped);
}

/* The digits of all bytes, which is always UTF-8. */
static json_t *digits_of(const uint8_t *bytes, size_t size)
{
    struct text hex = {0};
    text_append_hex(&hex, (scn_slice){bytes, size});
    json_t *json = json_stringn_nocheck(size ? hex.data : "", hex.size);
    text_free(&hex);
    return json;
}

void member_set_hex(json_t *object, const char *name, const uint8_t *bytes, size_t size)
{
    member_set(object, name, digits_of(bytes, size));
}

void member_set_word(json_t *object, const char *name, uint64_t value)
{
    char digits[17];
    snprintf(digits, sizeof digits, "%016" PRIx64, value);
    member_set(object, name, json_string(digits));
}

void member_set_digits(json_t *object, const char *name, scn_slice bytes)
{
    char name_hex[NAME_BYTES];
    snprintf(name_hex, sizeof name_hex, "%s_hex", name);
    member_set_hex(object, name_hex, bytes.data, bytes.size);
}

void member_set_bytes(json_t *object, const char *name, scn_slice bytes)
{
    json_t *string = json_stringn(bytes.size ? bytes.data : "", bytes.size);
    if (string)
        member_set(object, name, string);
    else
        member_set_digits(object, name, bytes);
}

void member_set_file(json_t *object, const char *path)
{
    member_set_bytes(object, "file", (scn_slice){path, strlen(path)});
}

json_t *member_list(json_t *object, const char *name)
{
    json_t *list = json_array();
    member_set(object, name, list);
    return list;
}

json_t *member_item(json_t *list)
{
    json_t *item = json_object();
    member_append(list, item);
    return item;
}

void member_append(json_t *list, json_t *value)
{
    if (json_array_append_new(list, member_must(value)) < 0)
        outcome_no_memory();
}
