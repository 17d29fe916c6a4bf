/* Inside the medium: what is pending, and what medium.c and powercut.c share. */
#ifndef TEST_SIM_CHANGE_H
#define TEST_SIM_CHANGE_H

#include "test/sim/image.h"
#include "test/sim/medium.h"
#include "test/sim/names.h"

enum change_kind {
    CHANGE_TAKEN, /* out of the list, until the gap is closed */
    CHANGE_SECTOR,
    CHANGE_SIZE,
    CHANGE_NAME,
    CHANGE_UNNAME,
    CHANGE_RENAME
};

struct change {
    enum change_kind kind;
    uint32_t file_no;
    uint64_t call_no;
    uint64_t at;         /* sector number, or size */
    struct chunk *chunk; /* SECTOR: the chunk that holds it, as it was after the write */
    char *from;          /* UNNAME, RENAME */
    char *to;            /* NAME, RENAME */
};

struct file_state {
    bool is_directory;
    bool is_loose; /* [M7] synced without a name, and not since */
    struct image current;
    struct image durable;
};

struct medium {
    struct file_state *files;
    uint32_t file_count;
    struct names current;
    struct names durable;
    struct change *changes; /* in order of time */
    size_t change_count;
    size_t change_room;
    uint64_t call_no;
};

bool is_name_change(const struct change *change);
void names_apply(struct names *names, const struct change *change);
/* A sector or a size. */
void image_apply(struct image *image, const struct change *change);
/* How many changes from this one on are the sectors of one whole chunk, all of one
 * version; else 0. */
size_t whole_chunk_at(const struct medium *medium, size_t i);
/* Applies the i-th change, and those behind it that go with it: how many they were. */
size_t apply_at(struct image *image, const struct medium *medium, size_t i);
/* The durable part, current in nothing. */
struct medium *copy_durable(const struct medium *medium);
uint64_t chunk_no_of(const struct change *change);

#endif
