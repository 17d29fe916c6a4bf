/* What the demo stores: text at hand, cut into episodes as an agent would remember
 * them.
 *
 * From a file or folder: its text files, in pieces of about a page.  From a folder
 * under git, too: one episode a commit. Episodes are ordered by time, oldest first,
 * and numbered; a number never means another episode. */
#ifndef TOOLS_DEMO_MATERIAL_H
#define TOOLS_DEMO_MATERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct episode {
    char *source; /* "path:line" or "commit hash" */
    char *text;   /* UTF-8 */
    int64_t time; /* seconds since 1970 */
    size_t place; /* among what was gathered */
};

/* Zeroed is empty. */
struct material {
    struct episode *episodes;
    size_t count;
    size_t capacity;
    size_t file_count;
    size_t commit_count;
    uint64_t bytes;
};

/* False: nothing to be found there, said so. */
bool material_gather(struct material *material, const char *path);
void material_free(struct material *material);

#endif
