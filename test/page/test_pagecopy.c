/* Copies of pages: the medium decides, and nobody else's bytes are believed. */
#include "page/pagecopy.h"

#include "page/mem.h"
#include "test/unit/unit.h"

enum { PGNO = 9, GEN = 3 };

static bool is_cache_lying;
static bool is_medium_lying;
static int uncached_reads;

static int64_t lying_read(struct sys_file *file, uint64_t off, void *buf, uint64_t len,
                          uint32_t flags)
{
    bool is_uncached = flags & SYS_UNCACHED;
    uncached_reads += is_uncached;
    CHECK(!is_uncached || (uintptr_t)buf % 4096 == 0);
    int64_t got = sys_posix()->ops->read(file, off, buf, len, flags);
    if (got > 0 && (is_uncached ? is_medium_lying : is_cache_lying))
        ((uint8_t *)buf)[got / 2] ^= 1;
    return got;
}

static struct sys_ops lying_ops;
static struct sys lying = {.ops = &lying_ops};

/* A file with a page, and from then on a system that lies as it is told. */
static struct page_ref begin(struct file *file)
{
    struct sys_file *handle = NULL;
    struct page_ref ref;
    uint32_t first;
    uint8_t *page = mem_alloc(PAGE_BYTES);
    const char *path = unit_path("copied");
    CHECK(page != NULL);
    (void)sys_posix()->ops->unlink(sys_posix(), path);
    CHECK_OK(sys_posix()->ops->open(sys_posix(), path, SYS_CREATE | SYS_EXCL, &handle));
    sys_posix()->ops->close(handle);
    CHECK_OK(file_open(file, sys_posix(), path, false));
    CHECK_OK(file_grow(file, PGNO + 1, &first));
    memset(page, 0x5a, PAGE_BYTES);
    page_seal(page, PAGE_VALUES, 0, 1, PGNO, GEN, PAGE_BYTES, &ref);
    CHECK_OK(file_write_pages(file, PGNO, page, 1));
    mem_free(page);
    lying_ops = *sys_posix()->ops;
    lying_ops.read = lying_read;
    file->sys = &lying;
    is_cache_lying = false;
    is_medium_lying = false;
    uncached_reads = 0;
    return ref;
}

static void end(struct file *file, uint8_t *copy)
{
    pagecopy_free(copy);
    file->sys = sys_posix();
    file_close(file);
}

TEST(pagecopy__medium_decides_where_the_cache_is_older)
{
    struct file file;
    struct page_ref ref = begin(&file);
    uint8_t *copy = NULL;
    CHECK_OK(pagecopy_reserve(&copy));
    CHECK_OK(pagecopy_read(&file, &ref, copy));
    CHECK_EQ(uncached_reads, 0);
    is_cache_lying = true;
    CHECK_OK(pagecopy_read(&file, &ref, copy));
    CHECK_EQ(uncached_reads, 1);
    CHECK_EQ(copy[PAGE_BYTES / 2], 0x5a);
    is_medium_lying = true;
    CHECK_EQ(pagecopy_read(&file, &ref, copy), SCN_CORRUPT);
    end(&file, copy);
}

TEST(pagecopy__another_page_than_the_pointer_says_is_damage)
{
    struct file file;
    struct page_ref ref = begin(&file);
    uint8_t *copy = NULL;
    CHECK_OK(pagecopy_reserve(&copy));
    ref.hash ^= 1;
    CHECK_EQ(pagecopy_read(&file, &ref, copy), SCN_CORRUPT);
    ref.pgno = PGNO + 1; /* behind the end */
    CHECK_EQ(pagecopy_read(&file, &ref, copy), SCN_CORRUPT);
    end(&file, copy);
}

TEST(pagecopy__memory_that_is_there_is_kept)
{
    uint8_t *copy = NULL;
    CHECK_OK(pagecopy_reserve(&copy));
    CHECK_EQ((uintptr_t)copy % 4096, 0);
    memset(copy, 1, PAGE_BYTES);
    uint8_t *before = copy;
    CHECK_OK(pagecopy_reserve(&copy));
    CHECK(copy == before);
    CHECK_EQ(copy[PAGE_BYTES - 1], 1);
    pagecopy_free(copy);
    pagecopy_free(NULL);
}
