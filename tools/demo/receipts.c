#include "tools/demo/receipts.h"
#include "tools/demo/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int receipts_create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        perror(path);
    return fd;
}

bool receipts_add(int fd, const struct material *material, size_t number)
{
    char line[MEMORY_KEY_BYTES + 1];
    memory_key(material, number, line);
    size_t len = strlen(line);
    line[len] = '\n';
    /* One write a line: other threads' lines and the kill fall between lines. */
    if (write(fd, line, len + 1) == (ssize_t)len + 1)
        return true;
    perror("demo: receipt");
    return false;
}

static bool mark(const char *key, const struct material *material, bool *is_acknowledged)
{
    char expected[MEMORY_KEY_BYTES];
    const char *slash = strchr(key, '/');
    size_t number = slash ? strtoul(slash + 1, NULL, 10) : material->count;
    if (number >= material->count || is_acknowledged[number])
        return false;
    memory_key(material, number, expected);
    is_acknowledged[number] = true;
    return strcmp(key, expected) == 0;
}

int64_t receipts_read(const char *path, const struct material *material,
                      bool *is_acknowledged)
{
    char line[MEMORY_KEY_BYTES + 2];
    int64_t count = 0;
    FILE *file = fopen(path, "r");
    while (file && count >= 0 && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        count = mark(line, material, is_acknowledged) ? count + 1 : -1;
    }
    if (file == NULL || count < 0)
        fprintf(stderr, "demo: %s: not the receipts that were written\n", path);
    if (file)
        fclose(file);
    return file ? count : -1;
}
