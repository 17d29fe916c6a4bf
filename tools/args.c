/* Long options only, written out: what stands in a script should say what it means. */
#include "tools/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct spelling {
    const char *name;
    bool takes_value;
};

static const struct spelling spellings[OPTION_COUNT] = {
    [OPTION_ALL] = {"all", false},
    [OPTION_BATCH] = {"batch", true},
    [OPTION_BUDGET] = {"budget", true},
    [OPTION_FORCE] = {"force", false},
    [OPTION_FROM] = {"from", true},
    [OPTION_HELP] = {"help", false},
    [OPTION_HEX] = {"hex", false},
    [OPTION_INTERVAL] = {"interval", true},
    [OPTION_JSON] = {"json", false},
    [OPTION_KEY] = {"key", true},
    [OPTION_KEYS] = {"keys", false},
    [OPTION_LIMIT] = {"limit", true},
    [OPTION_ONCE] = {"once", false},
    [OPTION_PREFIX] = {"prefix", true},
    [OPTION_PROM] = {"prom", false},
    [OPTION_RATE] = {"rate", true},
    [OPTION_REVERSE] = {"reverse", false},
    [OPTION_SINCE] = {"since", true},
    [OPTION_SKIP_BAD] = {"skip-bad", false},
    [OPTION_TO] = {"to", true},
};

static enum option find_option(const char *name, size_t len)
{
    enum option option = 0;
    while (option < OPTION_COUNT && (strncmp(spellings[option].name, name, len) != 0 ||
                                     spellings[option].name[len] != '\0'))
        option++;
    return option;
}

/* argv[*idx] begins with "--"; its value may be the next word. */
static enum outcome take_option(struct args *args, const struct args_shape *shape,
                                int argc, char **argv, int *idx)
{
    const char *name = argv[*idx] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    enum option option = find_option(name, len);
    uint32_t allowed = shape->options | OPTION_BIT(OPTION_HELP);
    if (option == OPTION_COUNT || !(allowed & OPTION_BIT(option)))
        return outcome_say(OUTCOME_USAGE, "%s has no option --%.*s; see %s %s --help",
                           shape->command, (int)len, name, outcome_program(),
                           shape->command);
    if (!spellings[option].takes_value) {
        args->options[option] = "";
        return equals
                   ? outcome_say(OUTCOME_USAGE, "--%.*s takes no value", (int)len, name)
                   : OUTCOME_OK;
    }
    if (!equals && *idx + 1 == argc)
        return outcome_say(OUTCOME_USAGE, "--%s needs a value", name);
    args->options[option] = equals ? equals + 1 : argv[++*idx];
    return OUTCOME_OK;
}

static enum outcome check_count(const struct args *args, const struct args_shape *shape)
{
    if (args_has(args, OPTION_HELP))
        return OUTCOME_OK;
    if (args->operand_count < shape->operands_min)
        return outcome_say(OUTCOME_USAGE, "%s needs more arguments; see %s %s --help",
                           shape->command, outcome_program(), shape->command);
    return OUTCOME_OK;
}

enum outcome args_parse(struct args *args, const struct args_shape *shape, int argc,
                        char **argv)
{
    *args = (struct args){0};
    return args_parse_more(args, shape, argc, argv);
}

enum outcome args_parse_more(struct args *args, const struct args_shape *shape, int argc,
                             char **argv)
{
    bool options_ended = false;
    enum outcome outcome = OUTCOME_OK;
    for (int i = 0; i < argc && outcome == OUTCOME_OK; i++) {
        if (!options_ended && strcmp(argv[i], "--") == 0)
            options_ended = true;
        else if (!options_ended && argv[i][0] == '-' && argv[i][1] != '\0')
            outcome =
                argv[i][1] == '-'
                    ? take_option(args, shape, argc, argv, &i)
                    : outcome_say(OUTCOME_USAGE,
                                  "unknown option %s (-- ends the options)", argv[i]);
        else if (args->operand_count < shape->operands_max)
            args->operands[args->operand_count++] = argv[i];
        else
            outcome = outcome_say(OUTCOME_USAGE, "%s has one argument too many: \"%s\"",
                                  shape->command, argv[i]);
    }
    return outcome == OUTCOME_OK ? check_count(args, shape) : outcome;
}

enum outcome args_number(const struct args *args, enum option option, uint64_t fallback,
                         uint64_t max, uint64_t *out)
{
    const char *text = args->options[option];
    char *end = NULL;
    *out = fallback;
    if (text == NULL)
        return OUTCOME_OK;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    bool is_number = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
    if (!is_number || value > max)
        return outcome_say(OUTCOME_USAGE, "--%s: \"%s\" is not a number from 0 to %llu",
                           spellings[option].name, text, (unsigned long long)max);
    *out = value;
    return OUTCOME_OK;
}

enum outcome args_bytes(const struct args *args, enum option option, uint64_t *out)
{
    static const char units[] = "KMGT";
    const char *text = args->options[option];
    char *end = NULL;
    *out = 0;
    if (text == NULL)
        return OUTCOME_OK;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    bool is_size = text[0] >= '0' && text[0] <= '9' && errno == 0 && value > 0 &&
                   (*end == '\0' || (unit && end[1] == '\0')) &&
                   value <= (UINT64_MAX >> 1) >> shift;
    if (!is_size)
        return outcome_say(OUTCOME_USAGE,
                           "--%s: \"%s\" is not a number of bytes, such as 64M",
                           spellings[option].name, text);
    *out = (uint64_t)value << shift;
    return OUTCOME_OK;
}
