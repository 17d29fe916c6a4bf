/* Names of files: entries of folders, by their whole path. */
#ifndef TEST_SIM_NAMES_H
#define TEST_SIM_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name {
    char *path;
    uint32_t file_no;
};

struct names {
    struct name *at;
    size_t count;
};

/* NULL: there is none. */
struct name *names_find(const struct names *names, const char *path);
void names_set(struct names *names, const char *path, uint32_t file_no);
/* Nothing happens where the name leads to another file. */
void names_remove(struct names *names, const char *path, uint32_t file_no);
/* Adds to what `to` has. */
void names_copy(struct names *to, const struct names *from);
void names_clear(struct names *names);
bool names_lead_to(const struct names *names, uint32_t file_no);

/* Is path an entry of the folder that holds the other?  NULL is not. */
bool is_in_folder_of(const char *path, const char *other);
char *copy_text(const char *text);

#endif
