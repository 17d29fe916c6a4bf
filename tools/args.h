/* The command line: which options and operands were given. */
#ifndef TOOLS_ARGS_H
#define TOOLS_ARGS_H

#include "tools/outcome.h"

#include <stdbool.h>
#include <stdint.h>

enum option {
    OPTION_ALL,
    OPTION_BATCH,
    OPTION_BUDGET,
    OPTION_DUMP,
    OPTION_ESTIMATE,
    OPTION_FORCE,
    OPTION_FROM,
    OPTION_HELP,
    OPTION_HEX,
    OPTION_INTERVAL,
    OPTION_JSON,
    OPTION_KEY,
    OPTION_KEYS,
    OPTION_LIMIT,
    OPTION_ONCE,
    OPTION_PAGE,
    OPTION_PREFIX,
    OPTION_PROM,
    OPTION_QUICK,
    OPTION_RATE,
    OPTION_REVERSE,
    OPTION_SALVAGE,
    OPTION_SINCE,
    OPTION_SKIP_BAD,
    OPTION_TO,
    OPTION_TRUNCATE,
    OPTION_VERBOSE,
    OPTION_VERSION,
    OPTION_COUNT
};
#define OPTION_BIT(option) (1u << (option))
_Static_assert(OPTION_COUNT <= 32, "a bit for each");

/* As many files as a backup of a year and a half of nights has. */
enum { OPERANDS_MAX = 512 };

/* Strings belong to argv.  An absent option is NULL, a given one without a value "". */
struct args {
    const char *operands[OPERANDS_MAX];
    int operand_count;
    const char *options[OPTION_COUNT];
};

/* What a command takes: bits of OPTION_BIT (help is always allowed), and so many
 * operands. */
struct args_shape {
    const char *command; /* "": the program has but one */
    uint32_t options;
    int operands_min;
    int operands_max;
};

/* Options and operands may be mixed; `--` ends the options, a lone `-` is an operand.
 * OUTCOME_USAGE: said why. With --help the number of operands does not matter. */
enum outcome args_parse(struct args *args, const struct args_shape *shape, int argc,
                        char **argv);
/* The same; args->operands has operand_count of them already, and they count. */
enum outcome args_parse_more(struct args *args, const struct args_shape *shape, int argc,
                             char **argv);

static inline bool args_has(const struct args *args, enum option option)
{
    return args->options[option] != NULL;
}

/* A number up to max; fallback where the option is absent. */
enum outcome args_number(const struct args *args, enum option option, uint64_t fallback,
                         uint64_t max, uint64_t *out);
/* Bytes, above 0, with K, M, G or T behind the number; 0 where the option is absent. */
enum outcome args_bytes(const struct args *args, enum option option, uint64_t *out);

#endif
