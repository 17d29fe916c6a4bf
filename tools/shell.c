/* shell: commands on one store, typed or piped. */
#include "tools/commands.h"
#include "tools/home.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/manual.h"
#include "tools/output.h"
#include "tools/phrase.h"
#include "tools/prompt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct shell {
    const char *file;
    char *table; /* that is used; NULL: none */
    struct phrase phrase;
    bool has_ended;
    enum outcome failure; /* of the first command that failed */
};

struct word {
    const char *name;
    int count_max; /* words of the line */
    enum outcome (*run)(struct shell *shell);
};

static enum outcome run_tables(struct shell *shell)
{
    char *words[] = {"tables"};
    return commands_run_on(shell->file, NULL, 1, words);
}

static enum outcome run_help(struct shell *shell)
{
    char *words[] = {shell->phrase.words[1], "--help"};
    if (shell->phrase.count > 1)
        return commands_run_on(shell->file, NULL, 2, words);
    commands_print_list();
    fputs(manual_dots, stdout);
    return OUTCOME_OK;
}

static enum outcome run_quit(struct shell *shell)
{
    shell->has_ended = true;
    return OUTCOME_OK;
}

static enum outcome run_use(struct shell *shell)
{
    free(shell->table);
    shell->table = shell->phrase.count > 1 ? strdup(shell->phrase.words[1]) : NULL;
    if (shell->phrase.count > 1 && shell->table == NULL)
        outcome_no_memory();
    return OUTCOME_OK;
}

static enum outcome run_begin(struct shell *shell)
{
    (void)shell;
    return home_begin();
}

static enum outcome run_commit(struct shell *shell)
{
    (void)shell;
    return home_commit();
}

static enum outcome run_rollback(struct shell *shell)
{
    (void)shell;
    return home_rollback();
}

static const struct word words[] = {
    {".tables", 1, run_tables}, {".help", 2, run_help}, {"help", 2, run_help},
    {".quit", 1, run_quit},     {".exit", 1, run_quit}, {"use", 2, run_use},
    {"begin", 1, run_begin},    {"commit", 1, run_commit},
    {"rollback", 1, run_rollback},
};

static enum outcome run_phrase(struct shell *shell)
{
    const struct phrase *phrase = &shell->phrase;
    const char *name = phrase->words[0];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(name, words[i].name) != 0)
            continue;
        if (phrase->count > words[i].count_max)
            return outcome_say(OUTCOME_USAGE, "%s has one word too many", name);
        return words[i].run(shell);
    }
    if (home_txn() && strcmp(name, "load") == 0)
        return outcome_say(OUTCOME_USAGE, "load commits by itself: commit or rollback "
                                          "comes first");
    return commands_run_on(shell->file, shell->table, phrase->count,
                           shell->phrase.words);
}

/* A transaction that was told of a failure has not done what was typed, so it must not
 * come to a commit.  What is only absent is an answer. */
static void note(struct shell *shell, enum outcome outcome)
{
    if (outcome == OUTCOME_OK)
        return;
    if (shell->failure == OUTCOME_OK)
        shell->failure = outcome;
    if (outcome == OUTCOME_FINDINGS || home_txn() == NULL)
        return;
    (void)home_rollback();
    outcome_say(outcome, "the transaction is rolled back");
}

static enum outcome run_line(struct shell *shell, scn_slice line)
{
    const char *why = phrase_split(&shell->phrase, line);
    enum outcome outcome = OUTCOME_OK;
    interrupt_forget();
    if (why)
        outcome = outcome_say(OUTCOME_USAGE, "%s", why);
    else if (shell->phrase.count)
        outcome = run_phrase(shell);
    note(shell, outcome);
    fflush(stdout);
    return outcome;
}

/* ---- where lines come from ---- */

static const char *prompt_text(const struct shell *shell, struct text *out)
{
    const char *parts[] = {"scrine", shell->table ? ":" : "",
                           shell->table ? shell->table : "", home_txn() ? "*> " : "> "};
    out->size = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        text_append(out, parts[i], strlen(parts[i]));
    text_append(out, "", 1);
    return out->data;
}

static void take_typed(struct shell *shell)
{
    struct prompt *prompt = prompt_open();
    struct text text = {0};
    scn_slice line;
    enum prompt_result result = PROMPT_LINE;
    while (!shell->has_ended && result != PROMPT_END) {
        result = prompt_line(prompt, prompt_text(shell, &text), &line);
        if (result == PROMPT_LINE)
            (void)run_line(shell, line);
    }
    if (result == PROMPT_END)
        putchar('\n');
    shell->failure = OUTCOME_OK; /* it was told */
    text_free(&text);
    prompt_close(prompt);
}

/* Who pipes lines wants all of them done, but not those behind ^C. */
static void take_piped(struct shell *shell)
{
    struct input input;
    scn_slice line;
    enum outcome outcome = input_open(&input, NULL);
    enum input_result result = INPUT_LINE;
    if (outcome != OUTCOME_OK) {
        shell->failure = outcome;
        return;
    }
    input_reserve_standard();
    interrupt_watch();
    while (outcome != OUTCOME_INTERRUPTED && !shell->has_ended && !output_is_broken() &&
           (result = input_line(&input, &line)) == INPUT_LINE)
        outcome = run_line(shell, line);
    if (result == INPUT_FAILED && shell->failure == OUTCOME_OK)
        shell->failure = OUTCOME_IO;
    if (result == INPUT_INTERRUPTED || outcome == OUTCOME_INTERRUPTED)
        shell->failure = OUTCOME_INTERRUPTED;
    input_close(&input);
}

enum outcome command_shell(const struct args *args)
{
    struct shell shell = {.file = args->operands[0]};
    enum outcome outcome = home_open(shell.file);
    if (!home_is_open())
        return outcome;
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        take_typed(&shell);
    else
        take_piped(&shell);
    if (home_txn())
        outcome_say(OUTCOME_OK, "the transaction is rolled back");
    free(shell.table);
    phrase_free(&shell.phrase);
    return home_close(shell.failure);
}
