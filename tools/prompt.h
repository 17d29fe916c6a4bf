/* Lines that a person types, with editing and a history that outlasts the program: the
 * file scrine/history in $XDG_STATE_HOME or ~/.local/state, for its owner's eyes only.
 * Without a home there is none.  Lines that begin with a blank are not remembered. */
#ifndef TOOLS_PROMPT_H
#define TOOLS_PROMPT_H

#include "tools/text.h"

struct prompt;

enum prompt_result { PROMPT_LINE, PROMPT_CANCELLED, PROMPT_END };

struct prompt *prompt_open(void);
/* Keeps the history. */
void prompt_close(struct prompt *prompt);

/* Shows the text and waits.  The line, without its newline, is good until the next call.
 * PROMPT_CANCELLED: ^C took it back.  PROMPT_END: ^D, or the terminal has gone. */
enum prompt_result prompt_line(struct prompt *prompt, const char *text, scn_slice *line);

#endif
