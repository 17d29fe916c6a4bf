/* The two superblock slots: the first 4 KiB of page 0 and of page 1.
 *
 * A generation is published by writing the slot that does not hold the newest one, so a
 * torn write leaves the other generation whole.  Byte table in docs/format.md,
 * "Superblock".
 *
 * [H1] Every page a superblock leads to is durable before the slot is written.
 * [H2] gen is greater than any gen in either slot, readable or probable, and than any
 *      lost one of which there is another trace.
 * [H3] A slot is only believed if its XXH3-128 is right; a generation only if its roots
 *      can be read (engine/recovery.c).  Nothing is ever deleted or recreated because a
 *      check failed.  A generation that recovery could not use, and for which the older
 *      one stands in, nobody uses later. */
#ifndef PAGE_SUPERBLOCK_H
#define PAGE_SUPERBLOCK_H

#include "page/file.h"
#include "page/page.h"

#define SUPERBLOCK_VERSION 1u

/* Where a log record begins and what the record before it was. */
struct log_base {
    uint64_t lsn;
    uint64_t epoch;
    uint32_t prev_crc;
    uint32_t extent_pgno;
    uint32_t extent_pages;
    uint32_t extent_off;    /* bytes from the start of the extent */
    uint64_t extent_number;
};

struct log_spare {
    uint32_t pgno;
    uint32_t pages;
};

struct superblock {
    uint8_t uuid[16];
    uint32_t version;
    uint32_t page_bytes;
    uint64_t incompatible;   /* feature words */
    uint64_t read_compatible;
    uint64_t compatible;
    uint64_t gen;
    uint64_t gen_id;         /* random */
    uint64_t previous_gen_id;
    struct log_base base;    /* all commits up to base.lsn are in the trees */
    struct page_ref catalog;
    struct page_ref space;   /* first page of the allocation state */
    uint32_t page_count;     /* pages from here on are free */
    uint32_t needed_pages;   /* the file is too short below this; FILE_PAGES_MAX: the
                                generation was given up */
    uint32_t used_pages;     /* of page_count, freed ones included: for those who do not
                                load the allocation state */
    uint32_t freed_pages;
    uint8_t boot_id[16];
    uint32_t spare_count;
    struct log_spare spares[LOG_SPARE_MAX];
};

enum superblock_verdict {
    SUPERBLOCK_GOOD,
    SUPERBLOCK_BLANK,   /* all zero */
    SUPERBLOCK_FOREIGN, /* no magic */
    SUPERBLOCK_BROKEN,  /* our magic, wrong checksum or impossible field */
    SUPERBLOCK_NEWER    /* right checksum; version, page size or feature unknown to us */
};

/* So many generations may follow any that is believed. */
#define SUPERBLOCK_GEN_MAX (UINT64_MAX - UINT32_MAX)

void superblock_encode(const struct superblock *sb, uint8_t slot[SUPERBLOCK_BYTES]);
/* why, when not NULL, gets a static sentence, or NULL for GOOD and BLANK (for NEWER: use
 * superblock_say_newer).  For BROKEN and NEWER *out holds the fields as they lie there:
 * good for guessing a probable gen [H2] and for superblock_say_newer, for nothing else.
 * For BLANK and FOREIGN it is zeroed. */
enum superblock_verdict superblock_decode(const uint8_t slot[SUPERBLOCK_BYTES],
                                          struct superblock *out, const char **why);
/* Sets the last error for a NEWER slot, or for a good one that may not be written:
 * SCN_VERSION, naming version, page size or feature bits. */
scn_status superblock_say_newer(const struct superblock *sb);

/* A file with features that we may ignore while reading, but would break by writing.
 * Such a slot is GOOD; a writer asks here and answers superblock_say_newer. */
static inline bool superblock_is_read_only(const struct superblock *sb)
{
    return sb->read_compatible != 0;
}

/* From the medium: a slot whose sync failed may still look written in the page cache,
 * and who believes it gives out the pages of the one that is there.  SCN_OK whatever the
 * verdict; SCN_IO.  Bytes beyond the end of the file read as zeros, so an empty file is
 * BLANK.  A good slot with a gen that belongs into the other slot is BROKEN. */
scn_status superblock_read(struct file *file, uint32_t slot_idx, struct superblock *out,
                           enum superblock_verdict *verdict, const char **why) MUST_USE;
/* The same from the page cache, one read: for who knows that the slot is durable. */
scn_status superblock_peek(struct file *file, uint32_t slot_idx, struct superblock *out,
                           enum superblock_verdict *verdict) MUST_USE;
/* Writes slot gen & 1 and syncs.  Before it the caller has synced everything the slot
 * leads to [H1].  A failed write may have torn this slot, or written all of it, but never
 * the other; it poisons the file, since whoever went on would overwrite the pages that
 * the slot may lead to.  What superblock_decode would not accept is not written: the file
 * is poisoned and SCN_POISONED returned.  SCN_VERSION: the file is read-only for us;
 * SCN_IO, SCN_FULL, SCN_POISONED. */
scn_status superblock_write(struct file *file, const struct superblock *sb) MUST_USE;

/* The slot that holds a generation. */
static inline uint32_t superblock_slot(uint64_t gen)
{
    return (uint32_t)(gen & 1);
}

#endif
