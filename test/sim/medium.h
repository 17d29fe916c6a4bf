/* What a machine stores: files and names, and which of it would survive a power cut.
 *
 * Everything is kept twice.  `current` is what the system calls see.  `durable` is what
 * has been promised to survive.  Between them lies one list of pending changes in the
 * order in which they were made:
 *
 *     sector   512 bytes of a file as they are after a write; every version is kept
 *     size     of a file
 *     name     an entry added to, removed from or renamed in a folder
 *
 * Sync of a file moves its sectors and sizes into `durable`; sync of a folder moves its
 * names.  A power cut is `durable` plus any choice of what is pending:
 *
 * [M1] Sectors survive each for itself and in any of their versions, or torn at 8 bytes.
 * [M2] Sizes of one file survive in order: a later one implies the earlier ones.
 * [M3] Names survive each for itself.  A file without a name is gone.
 * [M4] Bytes behind a size that did not survive are gone; bytes below a size that did,
 *      but not their sector, are zero, or, if the choice says so, anything.
 *
 * [M7] What was synced while a file had no name may be gone where its name is synced with
 *      the folder before the file is synced once more: file systems that keep a log of
 *      files beside their transactions need not put it there.
 *
 * Calls need the mutex of the disk that owns the medium. */
#ifndef TEST_SIM_MEDIUM_H
#define TEST_SIM_MEDIUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MEDIUM_TORN_BYTES = 8 };
#define MEDIUM_NONE UINT32_MAX
/* Nothing a test wants is larger; a larger size is a wild number. */
#define MEDIUM_SIZE_MAX (UINT64_C(1) << 30)

struct medium;
struct sim_choice;

struct medium *medium_create(void);
/* Pending changes included. */
struct medium *medium_copy(const struct medium *medium);
void medium_destroy(struct medium *medium);

/* Changes made until the next call belong together: choices by call count them as one. */
void medium_begin_call(struct medium *medium);

/* ---- names ---- */
/* A file number, or MEDIUM_NONE. */
uint32_t medium_find(const struct medium *medium, const char *path);
/* path NULL: without a name yet. */
uint32_t medium_add_file(struct medium *medium, const char *path, bool is_directory);
uint64_t medium_name_count(const struct medium *medium);
void medium_link(struct medium *medium, uint32_t file_no, const char *path);
void medium_unlink(struct medium *medium, const char *path);
void medium_rename(struct medium *medium, const char *from, const char *to);
uint64_t medium_links(const struct medium *medium, uint32_t file_no);
/* All names in the folder that holds path become durable. */
void medium_sync_names(struct medium *medium, const char *path);

/* ---- bytes ---- */
bool medium_is_directory(const struct medium *medium, uint32_t file_no);
uint64_t medium_size(const struct medium *medium, uint32_t file_no);
uint64_t medium_used_bytes(const struct medium *medium);
void medium_set_size(struct medium *medium, uint32_t file_no, uint64_t size);
uint64_t medium_read(const struct medium *medium, uint32_t file_no, uint64_t off,
                     void *buf, uint64_t len);
/* What a read past the page cache gives: dirty sectors are written first, so they are
 * seen; clean ones come from the medium, which differs where a failed sync dropped them.
 * */
uint64_t medium_read_uncached(const struct medium *medium, uint32_t file_no, uint64_t off,
                              void *buf, uint64_t len);
void medium_write(struct medium *medium, uint32_t file_no, uint64_t off, const void *buf,
                  uint64_t len);
void medium_sync(struct medium *medium, uint32_t file_no);
/* The sectors of these bytes, and the size that reaches them, become durable. */
void medium_sync_range(struct medium *medium, uint32_t file_no, uint64_t off,
                       uint64_t len);
/* A failed sync of these bytes: their sectors are clean and not durable, or, by luck (a
 * seed; 0: none), about half of them are. */
void medium_drop_range(struct medium *medium, uint32_t file_no, uint64_t off,
                       uint64_t len, uint64_t luck);
/* Clean sectors are read again from the medium. */
void medium_evict(struct medium *medium);
/* Changes current and durable bytes: rot, not an event. */
void medium_rot(struct medium *medium, uint32_t file_no, uint64_t off, const void *buf,
                uint64_t len);

/* ---- power cuts ---- */
uint64_t medium_pending(const struct medium *medium, bool by_call);
struct medium *medium_crash(const struct medium *medium, const struct sim_choice *choice);
/* Of names and bytes as they are read; the order of names does not matter. */
uint64_t medium_hash(const struct medium *medium);

/* Any state is as good a seed as any other. */
uint64_t medium_random(uint64_t *state);

#endif
