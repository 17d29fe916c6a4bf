#include "tools/jsonl.h"
#include "tools/member.h"
#include "tools/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Strings in keys and values may hold any character, U+0000 included. */
enum { DECODE_FLAGS = JSON_ALLOW_NUL };

/* ---- parsing ---- */

static bool refuse(struct jsonl_problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool refuse(struct jsonl_problem *problem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(problem->text, sizeof problem->text, format, args);
    va_end(args);
    return false;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static scn_slice trim(scn_slice line)
{
    const char *data = line.data;
    size_t from = 0;
    size_t to = line.size;
    while (from < to && is_space(data[from]))
        from++;
    while (to > from && is_space(data[to - 1]))
        to--;
    return (scn_slice){data + from, to - from};
}

/* An integer beyond 64 bits is good JSON all the same: then all integers become
 * doubles, which are looked at only if one of them is the key. */
static json_t *decode(scn_slice text, bool *is_rounded, struct jsonl_problem *problem)
{
    json_error_t error;
    json_t *json = json_loadb(text.data, text.size, DECODE_FLAGS, &error);
    *is_rounded = false;
    if (json == NULL && json_error_code(&error) == json_error_numeric_overflow) {
        *is_rounded = true;
        json = json_loadb(text.data, text.size, DECODE_FLAGS | JSON_DECODE_INT_AS_REAL,
                          &error);
    }
    if (json == NULL) {
        refuse(problem, "not JSON at column %d: %s", error.column, error.text);
        return NULL;
    }
    if (json_is_object(json))
        return json;
    refuse(problem, "not a JSON object");
    json_decref(json);
    return NULL;
}

/* The shortest decimal form that reads back as the same double. */
static void append_real(struct text *key, double real)
{
    char digits[40];
    int len = 0;
    for (int precision = 15; precision <= 17; precision++) {
        len = snprintf(digits, sizeof digits, "%.*g", precision, real);
        if (strtod(digits, NULL) == real)
            break;
    }
    text_append(key, digits, (size_t)len);
}

static void append_integer(struct text *key, json_int_t integer)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)integer);
    text_append(key, digits, (size_t)len);
}

static bool append_field(struct text *key, const json_t *object, const char *field,
                         bool is_rounded, struct jsonl_problem *problem)
{
    const json_t *member = json_object_get(object, field);
    if (member == NULL)
        return refuse(problem, "no field \"%s\"", field);
    if (json_is_string(member) && json_string_length(member) == 0)
        return refuse(problem, "field \"%s\" is empty, and a key is not", field);
    if (json_is_number(member) && is_rounded)
        return refuse(
            problem,
            "a number in this line exceeds 64 bits, so field \"%s\" must be a string",
            field);
    if (json_is_string(member))
        text_append(key, json_string_value(member), json_string_length(member));
    else if (json_is_integer(member))
        append_integer(key, json_integer_value(member));
    else if (json_is_real(member))
        append_real(key, json_real_value(member));
    else
        return refuse(problem, "field \"%s\" is neither a string nor a number", field);
    return true;
}

/* The member "name" as text or "name_hex" as digits; false: neither is there. */
static bool append_bytes(struct text *out, const json_t *object, const char *name,
                         const char *name_hex)
{
    const json_t *plain = json_object_get(object, name);
    const json_t *hex = json_object_get(object, name_hex);
    if (json_is_string(hex))
        return text_append_unhex(out, json_string_value(hex), json_string_length(hex));
    if (!json_is_string(plain))
        return false;
    text_append(out, json_string_value(plain), json_string_length(plain));
    return true;
}

static bool append_written_out(struct text *key, struct text *value, const json_t *object)
{
    size_t key_size = key->size;
    size_t value_size = value->size;
    if (json_object_size(object) == 2 && append_bytes(key, object, "key", "key_hex") &&
        append_bytes(value, object, "value", "value_hex") && key->size > key_size)
        return true;
    key->size = key_size;
    value->size = value_size;
    return false;
}

bool jsonl_parse(scn_slice line, const char *field, struct text *key, struct text *value,
                 struct jsonl_problem *problem)
{
    bool is_rounded;
    scn_slice text = trim(line);
    json_t *object = decode(text, &is_rounded, problem);
    if (object == NULL)
        return false;
    bool is_row = append_written_out(key, value, object);
    if (!is_row && field == NULL) {
        refuse(problem,
               "not a row with \"key\" and \"value\", and no --key names a field");
    } else if (!is_row) {
        is_row = append_field(key, object, field, is_rounded, problem);
        if (is_row)
            text_append(value, text.data, text.size);
    }
    json_decref(object);
    return is_row;
}

/* ---- printing ---- */

json_t *jsonl_row(scn_slice key, scn_slice value, bool is_key_only)
{
    json_t *row = member_must(json_object());
    member_set_bytes(row, "key", key);
    if (!is_key_only)
        member_set_bytes(row, "value", value);
    return row;
}

/* True if jsonl_parse makes the same row of the value alone. */
static bool is_whole(scn_slice key, scn_slice value, const char *field)
{
    struct text parsed_key = {0};
    struct text parsed_value = {0};
    struct jsonl_problem problem;
    const char *data = value.data;
    if (value.size < 2 || data[0] != '{' || memchr(data, '\n', value.size))
        return false;
    bool is_same = jsonl_parse(value, field, &parsed_key, &parsed_value, &problem) &&
                   text_equal(text_slice(&parsed_key), key) &&
                   text_equal(text_slice(&parsed_value), value);
    text_free(&parsed_key);
    text_free(&parsed_value);
    return is_same;
}

void jsonl_print(scn_slice key, scn_slice value, const char *field)
{
    if (field && is_whole(key, value, field)) {
        fwrite(value.data, 1, value.size, stdout);
        putchar('\n');
    } else {
        output_json(jsonl_row(key, value, false), JSON_COMPACT);
    }
}
