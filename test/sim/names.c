/* Names: see names.h. */
#include "test/sim/names.h"

#include "test/sim/state.h"

#include <stdlib.h>
#include <string.h>

char *copy_text(const char *text)
{
    return text ? must(strdup(text)) : NULL;
}

struct name *names_find(const struct names *names, const char *path)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->at[i].path, path) == 0)
            return &names->at[i];
    return NULL;
}

void names_set(struct names *names, const char *path, uint32_t file_no)
{
    struct name *name = names_find(names, path);
    if (!name) {
        names->at = must(realloc(names->at, (names->count + 1) * sizeof *names->at));
        name = &names->at[names->count++];
        name->path = copy_text(path);
    }
    name->file_no = file_no;
}

void names_remove(struct names *names, const char *path, uint32_t file_no)
{
    struct name *name = names_find(names, path);
    if (!name || name->file_no != file_no)
        return;
    free(name->path);
    *name = names->at[--names->count];
}

void names_copy(struct names *to, const struct names *from)
{
    for (size_t i = 0; i < from->count; i++)
        names_set(to, from->at[i].path, from->at[i].file_no);
}

void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->at[i].path);
    free(names->at);
    *names = (struct names){0};
}

bool names_lead_to(const struct names *names, uint32_t file_no)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->at[i].file_no == file_no)
            return true;
    return false;
}

static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

bool is_in_folder_of(const char *path, const char *other)
{
    size_t len = folder_len(other);
    return path && folder_len(path) == len && memcmp(path, other, len) == 0;
}
