/* Keys: see key.h. */
#include "test/fault/key.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(char text[KEY_TEXT_MAX], const char *format, ...)
{
    size_t len = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + len, KEY_TEXT_MAX - len, format, args);
    va_end(args);
}

void key_print(const struct key *key, char text[KEY_TEXT_MAX])
{
    const struct sim_fault *fault = &key->fault;
    text[0] = 0;
    add(text, "%s:%" PRIu64, key->workload, key->seed);
    for (uint32_t i = 0; i < key->cut_count; i++) {
        const struct sim_choice *choice = &key->cuts[i].choice;
        add(text, "@%" PRIu64 ".%d.%d.%" PRIu64 ".%d", key->cuts[i].point, choice->keep,
            choice->by_call, choice->n, choice->has_garbage);
    }
    if (key->has_fault)
        add(text, "!%d.%d.%" PRIu64 ".%d.%d.%" PRIu64 ".%" PRIu64, fault->kind,
            fault->call, fault->nth, fault->is_forever, fault->error, fault->len,
            fault->bit);
    if (key->failing_allocation)
        add(text, "#%" PRIu64 ".%d", key->failing_allocation, key->is_scarce_forever);
}

/* So many numbers, with dots between them; the end, or NULL. */
static const char *take_numbers(const char *at, uint64_t *numbers, int count)
{
    for (int i = 0; i < count; i++) {
        char *end;
        numbers[i] = strtoull(at, &end, 10);
        if (end == at || (i + 1 < count && *end != '.'))
            return NULL;
        at = i + 1 < count ? end + 1 : end;
    }
    return at;
}

static const char *take_cut(const char *at, struct key *key)
{
    uint64_t n[5];
    at = take_numbers(at, n, 5);
    if (at == NULL || key->cut_count == KEY_CUTS_MAX)
        return NULL;
    key->cuts[key->cut_count++] = (struct key_cut){
        .point = n[0],
        .choice = {.keep = (enum sim_keep)n[1],
                   .by_call = n[2] != 0,
                   .n = n[3],
                   .has_garbage = n[4] != 0},
    };
    return at;
}

static const char *take_fault(const char *at, struct key *key)
{
    uint64_t n[7];
    at = take_numbers(at, n, 7);
    if (at == NULL)
        return NULL;
    key->has_fault = true;
    key->fault = (struct sim_fault){
        .kind = (enum sim_fault_kind)n[0],
        .call = (enum sim_call)n[1],
        .nth = n[2],
        .is_forever = n[3] != 0,
        .error = (int)n[4],
        .len = n[5],
        .bit = n[6],
    };
    return n[0] <= SIM_KILL && n[1] <= SIM_ANY && (n[0] == 0 || n[2] > 0) ? at : NULL;
}

static const char *take_allocation(const char *at, struct key *key)
{
    uint64_t n[2];
    at = take_numbers(at, n, 2);
    if (at == NULL)
        return NULL;
    key->failing_allocation = n[0];
    key->is_scarce_forever = n[1] != 0;
    return at;
}

bool key_parse(const char *text, struct key *key)
{
    const char *at = strchr(text, ':');
    *key = (struct key){0};
    if (at == NULL || (size_t)(at - text) >= KEY_NAME_MAX)
        return false;
    memcpy(key->workload, text, (size_t)(at - text));
    at = take_numbers(at + 1, &key->seed, 1);
    while (at && *at) {
        if (*at == '@')
            at = take_cut(at + 1, key);
        else if (*at == '!')
            at = take_fault(at + 1, key);
        else
            at = *at == '#' ? take_allocation(at + 1, key) : NULL;
    }
    return at != NULL;
}
