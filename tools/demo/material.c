/* Folders are walked with nftw, whose callback has no context: hence the one variable
 * of this file. */
#include "tools/demo/material.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    /* About a page of text; a piece ends with the line that crosses it. */
    PIECE_BYTES = 1500,
    FILE_BYTES_MAX = 1 << 20,
    /* Durable commits at the speed of a slow disk: this many still end in time. */
    EPISODES_MAX = 12000,
    OPEN_FOLDERS = 16
};

static struct material *being_gathered;

static void *need(void *memory)
{
    if (memory == NULL) {
        fputs("demo: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

/* Takes both strings over. */
static void add_episode(struct material *material, char *source, char *text, int64_t time)
{
    if (material->count == material->capacity) {
        material->capacity = material->capacity ? material->capacity * 2 : 1024;
        material->episodes = need(
            realloc(material->episodes, material->capacity * sizeof *material->episodes));
    }
    material->bytes += strlen(text);
    material->episodes[material->count] = (struct episode){.source = need(source),
                                                           .text = need(text),
                                                           .time = time,
                                                           .place = material->count};
    material->count++;
}

/* ---- text ---- */

/* The length of the UTF-8 character at `at`; 0: none.  Good enough for text files:
 * overlong forms do not occur there. */
static size_t character_len(const unsigned char *at, size_t room)
{
    size_t len = at[0] < 0x80    ? 1
                 : at[0] >= 0xf0 ? 4
                 : at[0] >= 0xe0 ? 3
                 : at[0] >= 0xc2 ? 2
                                 : 0;
    if (len == 0 || len > room || at[0] > 0xf4 || at[0] == 0)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

static bool is_text(const char *data, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t len = character_len((const unsigned char *)data + at, size - at);
        if (len == 0)
            return false;
        at += len;
    }
    return size > 0;
}

static void add_pieces(struct material *material, const char *name, const char *data,
                       size_t size, int64_t time)
{
    size_t start = 0;
    unsigned line = 1;
    while (start < size && material->count < EPISODES_MAX) {
        size_t end = start + PIECE_BYTES < size ? start + PIECE_BYTES : size;
        const char *newline = memchr(data + end - 1, '\n', size - end + 1);
        end = newline ? (size_t)(newline - data) + 1 : size;
        char *source = NULL;
        if (asprintf(&source, "%s:%u", name, line) < 0)
            source = NULL;
        add_episode(material, source, strndup(data + start, end - start), time);
        for (size_t i = start; i < end; i++)
            line += data[i] == '\n';
        start = end;
    }
}

/* ---- files ---- */

static char *read_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    char *data = file ? need(malloc(size + 1)) : NULL;
    if (data && fread(data, 1, size, file) != size) {
        free(data);
        data = NULL;
    }
    if (file)
        fclose(file);
    return data;
}

static int visit_file(const char *path, const struct stat *about, int kind,
                      struct FTW *place)
{
    const char *name = path + place->base;
    if (kind == FTW_D && place->level > 0 &&
        (name[0] == '.' || strcmp(name, "build") == 0))
        return FTW_SKIP_SUBTREE;
    if (kind != FTW_F || !S_ISREG(about->st_mode) || about->st_size <= 0 ||
        about->st_size > FILE_BYTES_MAX)
        return FTW_CONTINUE;
    char *data = read_file(path, (size_t)about->st_size);
    if (data && is_text(data, (size_t)about->st_size)) {
        add_pieces(being_gathered, strncmp(path, "./", 2) == 0 ? path + 2 : path, data,
                   (size_t)about->st_size, about->st_mtime);
        being_gathered->file_count++;
    }
    free(data);
    return being_gathered->count < EPISODES_MAX ? FTW_CONTINUE : FTW_STOP;
}

/* ---- git ---- */

/* Runs git log; its output, or NULL where there is no git or no history. */
static FILE *open_history(const char *path, pid_t *child)
{
    int ends[2];
    if (pipe(ends) < 0)
        return NULL;
    *child = fork();
    if (*child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)!freopen("/dev/null", "w", stderr);
        close(ends[0]);
        close(ends[1]);
        execlp("git", "git", "-C", path, "log", "-z", "--encoding=UTF-8",
               "--format=%ct %H %an: %B", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *history = *child > 0 ? fdopen(ends[0], "r") : NULL;
    if (history == NULL)
        close(ends[0]);
    return history;
}

static void add_commit(struct material *material, const char *entry, size_t size)
{
    char *rest;
    int64_t time = strtoll(entry, &rest, 10);
    char hash[65];
    char *source = NULL;
    if (*rest != ' ' || sscanf(rest + 1, "%64[0-9a-f]", hash) != 1 ||
        !is_text(entry, size))
        return;
    const char *text = rest + 1 + strlen(hash);
    if (asprintf(&source, "commit %.12s", hash) < 0)
        source = NULL;
    add_episode(material, source, strdup(*text == ' ' ? text + 1 : text), time);
    material->commit_count++;
}

static void gather_history(struct material *material, const char *path)
{
    pid_t child = -1;
    char *entry = NULL;
    size_t capacity = 0;
    ssize_t size = 0;
    FILE *history = open_history(path, &child);
    while (history && material->count < EPISODES_MAX &&
           (size = getdelim(&entry, &capacity, '\0', history)) > 0)
        add_commit(material, entry, strlen(entry));
    free(entry);
    if (history)
        fclose(history);
    if (child > 0)
        (void)waitpid(child, NULL, 0);
}

/* ---- all of it ---- */

/* Episodes of one second stay in the order in which they were found, as the pieces of
 * a file do. */
static int older_first(const void *left, const void *right)
{
    const struct episode *a = left;
    const struct episode *b = right;
    int order = (a->time > b->time) - (a->time < b->time);
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

bool material_gather(struct material *material, const char *path)
{
    *material = (struct material){0};
    being_gathered = material;
    gather_history(material, path);
    if (nftw(path, visit_file, OPEN_FOLDERS, FTW_PHYS | FTW_ACTIONRETVAL) < 0)
        perror(path);
    if (material->count == 0) {
        fprintf(stderr, "demo: %s: no text to remember\n", path);
        return false;
    }
    qsort(material->episodes, material->count, sizeof *material->episodes, older_first);
    return true;
}

void material_free(struct material *material)
{
    for (size_t i = 0; i < material->count; i++) {
        free(material->episodes[i].source);
        free(material->episodes[i].text);
    }
    free(material->episodes);
    *material = (struct material){0};
}
