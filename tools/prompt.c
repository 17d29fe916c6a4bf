/* Typed lines, by libedit: see prompt.h. */
#include "tools/prompt.h"
#include "tools/interrupt.h"
#include "tools/outcome.h"

#include <errno.h>
#include <histedit.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HISTORY_LINES = 1000 };

struct prompt {
    EditLine *edit;
    History *history;
    char path[PATH_MAX]; /* of the history; empty: it is not kept */
    const char *text;
};

/* ---- where the history lies ---- */

/* The folders in front of the last slash, as far as they are missing. */
static bool make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int failed = mkdir(path, 0700);
        *slash = '/';
        if (failed && errno != EEXIST)
            return false;
    }
    return true;
}

static void find_path(struct prompt *prompt)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int len = 0;
    if (state && state[0] == '/')
        len = snprintf(prompt->path, sizeof prompt->path, "%s/scrine/history", state);
    else if (home && home[0] == '/')
        len = snprintf(prompt->path, sizeof prompt->path,
                       "%s/.local/state/scrine/history", home);
    if (len <= 0 || len >= (int)sizeof prompt->path || !make_folders(prompt->path))
        prompt->path[0] = '\0';
}

static void keep_history(struct prompt *prompt)
{
    HistEvent event;
    mode_t before = umask(0077);
    if (prompt->path[0] && history(prompt->history, &event, H_SAVE, prompt->path) >= 0)
        (void)chmod(prompt->path, 0600);
    umask(before);
}

/* ---- the line ---- */

static char *show(EditLine *edit)
{
    struct prompt *prompt;
    el_get(edit, EL_CLIENTDATA, &prompt);
    return (char *)prompt->text;
}

struct prompt *prompt_open(void)
{
    HistEvent event;
    struct prompt *prompt = calloc(1, sizeof *prompt);
    if (prompt == NULL)
        outcome_no_memory();
    prompt->edit = el_init("scrine", stdin, stdout, stderr);
    prompt->history = history_init();
    if (prompt->edit == NULL || prompt->history == NULL)
        outcome_no_memory();
    find_path(prompt);
    history(prompt->history, &event, H_SETSIZE, HISTORY_LINES);
    history(prompt->history, &event, H_SETUNIQUE, 1);
    if (prompt->path[0])
        history(prompt->history, &event, H_LOAD, prompt->path);
    el_set(prompt->edit, EL_CLIENTDATA, prompt);
    el_set(prompt->edit, EL_EDITOR, "emacs");
    el_set(prompt->edit, EL_PROMPT, show);
    el_set(prompt->edit, EL_SIGNAL, 1);
    el_set(prompt->edit, EL_HIST, history, prompt->history);
    el_source(prompt->edit, NULL);
    return prompt;
}

void prompt_close(struct prompt *prompt)
{
    if (prompt == NULL)
        return;
    keep_history(prompt);
    el_end(prompt->edit);
    history_end(prompt->history);
    free(prompt);
}

static bool is_worth_keeping(const char *line)
{
    return line[0] != ' ' && line[strspn(line, "\t\n")] != '\0';
}

/* ^C is a signal here, too: it ends the read, and so el_gets, with nothing. */
enum prompt_result prompt_line(struct prompt *prompt, const char *text, scn_slice *line)
{
    HistEvent event;
    int count = 0;
    prompt->text = text;
    interrupt_forget();
    const char *typed = el_gets(prompt->edit, &count);
    if (interrupt_seen()) {
        putchar('\n');
        return PROMPT_CANCELLED;
    }
    if (typed == NULL || count <= 0)
        return PROMPT_END;
    if (is_worth_keeping(typed))
        history(prompt->history, &event, H_ENTER, typed);
    size_t size = strlen(typed);
    *line = (scn_slice){typed, size - (size && typed[size - 1] == '\n')};
    return PROMPT_LINE;
}
