/* Progress and ^C: see progress.h. */
#include "tools/progress.h"
#include "tools/interrupt.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR = 40 };

static void show(int percent)
{
    static const char bar[] = "########################################";
    int filled = percent * BAR / 100;
    fprintf(stderr, "\r[%-*.*s] %3d %%", BAR, filled, bar, percent);
    fflush(stderr);
}

static int hear(void *user, uint64_t done, uint64_t expected)
{
    struct progress *progress = user;
    int percent = expected ? (int)(done * 100 / expected) : 0;
    if (isatty(STDERR_FILENO) && percent != progress->shown) {
        progress->shown = percent;
        show(percent);
    }
    return interrupt_seen();
}

scn_hooks progress_hooks_unwatched(struct progress *progress)
{
    *progress = (struct progress)PROGRESS_NONE;
    return (scn_hooks){.progress = hear, .user = progress};
}

scn_hooks progress_hooks(struct progress *progress)
{
    interrupt_watch();
    return progress_hooks_unwatched(progress);
}

void progress_end(struct progress *progress)
{
    if (progress->shown >= 0)
        fprintf(stderr, "\r%*s\r", BAR + 10, "");
    progress->shown = -1;
}
