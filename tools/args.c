/* Long options, written out: what stands in a script should say what it means.  The one
 * letter that everybody types is understood, too. */
#include "tools/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct spelling {
    const char *name;
    bool takes_value;
    char letter; /* 0: none */
};

static const struct spelling spellings[OPTION_COUNT] = {
    [OPTION_ALL] = {"all", false, 0},
    [OPTION_BATCH] = {"batch", true, 0},
    [OPTION_BUDGET] = {"budget", true, 0},
    [OPTION_DUMP] = {"dump", false, 0},
    [OPTION_ESTIMATE] = {"estimate", false, 0},
    [OPTION_FORCE] = {"force", false, 0},
    [OPTION_FROM] = {"from", true, 0},
    [OPTION_HELP] = {"help", false, 0},
    [OPTION_HEX] = {"hex", false, 0},
    [OPTION_INTERVAL] = {"interval", true, 0},
    [OPTION_JSON] = {"json", false, 0},
    [OPTION_KEY] = {"key", true, 0},
    [OPTION_KEYS] = {"keys", false, 0},
    [OPTION_LIMIT] = {"limit", true, 0},
    [OPTION_ONCE] = {"once", false, 0},
    [OPTION_PAGE] = {"page", true, 0},
    [OPTION_PREFIX] = {"prefix", true, 0},
    [OPTION_PROM] = {"prom", false, 0},
    [OPTION_QUICK] = {"quick", false, 0},
    [OPTION_RATE] = {"rate", true, 0},
    [OPTION_REVERSE] = {"reverse", false, 0},
    [OPTION_SALVAGE] = {"salvage", true, 0},
    [OPTION_SINCE] = {"since", true, 0},
    [OPTION_SKIP_BAD] = {"skip-bad", false, 0},
    [OPTION_TO] = {"to", true, 0},
    [OPTION_TRUNCATE] = {"truncate", false, 0},
    [OPTION_VERBOSE] = {"verbose", false, 'v'},
    [OPTION_VERSION] = {"version", false, 0},
};

static enum option find_option(const char *name, size_t len)
{
    enum option option = 0;
    while (option < OPTION_COUNT && (strncmp(spellings[option].name, name, len) != 0 ||
                                     spellings[option].name[len] != '\0'))
        option++;
    return option;
}

/* "get", or "scrine-walcheck"; and what to type for help. */
static const char *subject_of(const struct args_shape *shape)
{
    return shape->command[0] ? shape->command : outcome_program();
}

static enum outcome misused(const struct args_shape *shape, const char *what,
                            const char *word, size_t len)
{
    return outcome_say(OUTCOME_USAGE, "%s %s%.*s; see %s%s%s --help", subject_of(shape),
                       what, (int)len, word, outcome_program(),
                       shape->command[0] ? " " : "", shape->command);
}

static bool is_allowed(const struct args_shape *shape, enum option option)
{
    uint32_t allowed = shape->options | OPTION_BIT(OPTION_HELP);
    return option != OPTION_COUNT && (allowed & OPTION_BIT(option));
}

/* argv[*idx] begins with "--"; its value may be the next word. */
static enum outcome take_option(struct args *args, const struct args_shape *shape,
                                int argc, char **argv, int *idx)
{
    const char *name = argv[*idx] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    enum option option = find_option(name, len);
    if (!is_allowed(shape, option))
        return misused(shape, "has no option --", name, len);
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

static enum outcome take_letter(struct args *args, const struct args_shape *shape,
                                const char *word)
{
    enum option option = 0;
    while (option < OPTION_COUNT && spellings[option].letter != word[1])
        option++;
    if (word[2] != '\0' || !is_allowed(shape, option))
        return outcome_say(OUTCOME_USAGE, "unknown option %s (-- ends the options)",
                           word);
    args->options[option] = "";
    return OUTCOME_OK;
}

static enum outcome check_count(const struct args *args, const struct args_shape *shape)
{
    bool is_enough =
        args_has(args, OPTION_HELP) || args->operand_count >= shape->operands_min;
    return is_enough ? OUTCOME_OK : misused(shape, "needs more arguments", "", 0);
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
            outcome = argv[i][1] == '-' ? take_option(args, shape, argc, argv, &i)
                                        : take_letter(args, shape, argv[i]);
        else if (args->operand_count < shape->operands_max)
            args->operands[args->operand_count++] = argv[i];
        else
            outcome = outcome_say(OUTCOME_USAGE, "%s has one argument too many: \"%s\"",
                                  subject_of(shape), argv[i]);
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
