#include "test/fuzz/stage.h"

#include "engine/store.h"
#include "page/mem.h"
#include "test/fuzz/target.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* A store with a tiny pool and log takes less than 8 MiB; a hostile file does not
     * make it take much more. */
    LIVE_BYTES_MAX = 64 << 20,
    BLOCK_HEADER_BYTES = 16,
    /* Blocks from here on are kept for the next input: to map and clear them anew costs
     * more than all the rest. */
    KEPT_BYTES_MIN = 32 << 10,
    KEPT_MAX = 24
};

/* ---- memory ---- */

/* Of AddressSanitizer, where it is linked. */
void __asan_poison_memory_region(const volatile void *at, size_t size)
    __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void *at, size_t size)
    __attribute__((weak));

/* Block: its size, then BLOCK_HEADER_BYTES behind its start what the engine sees. */
static struct {
    size_t live_bytes;
    uint64_t *kept[KEPT_MAX];
} memory;

static uint64_t *take_kept(size_t size)
{
    for (int i = 0; i < KEPT_MAX; i++) {
        uint64_t *block = memory.kept[i];
        if (block == NULL || *block != size)
            continue;
        memory.kept[i] = NULL;
        if (__asan_unpoison_memory_region)
            __asan_unpoison_memory_region(block + 2, size);
        return block;
    }
    return NULL;
}

/* The one kept longest makes room. */
static void keep(uint64_t *block)
{
    static int next;
    int i = 0;
    while (i < KEPT_MAX && memory.kept[i] != NULL)
        i++;
    if (i == KEPT_MAX) {
        i = next = (next + 1) % KEPT_MAX;
        if (__asan_unpoison_memory_region)
            __asan_unpoison_memory_region(memory.kept[i] + 2, *memory.kept[i]);
        free(memory.kept[i]);
    }
    memory.kept[i] = block;
    if (__asan_poison_memory_region)
        __asan_poison_memory_region(block + 2, *block);
}

static void *take_memory(void *user, size_t size)
{
    (void)user;
    if (size > LIVE_BYTES_MAX - memory.live_bytes)
        fuzz_fail(__FILE__, __LINE__, "%zu bytes are taken, %zu more are asked for",
                  memory.live_bytes, size);
    uint64_t *block = size >= KEPT_BYTES_MIN ? take_kept(size) : NULL;
    if (block == NULL && (block = malloc(size + BLOCK_HEADER_BYTES)) == NULL)
        abort();
    memory.live_bytes += size;
    *block = size;
    return block + 2;
}

static void give_memory(void *user, void *at)
{
    (void)user;
    uint64_t *block = (uint64_t *)at - 2;
    memory.live_bytes -= *block;
    if (*block < KEPT_BYTES_MIN)
        free(block);
    else
        keep(block);
}

__attribute__((constructor)) static void set_allocator(void)
{
    if (scn_set_allocator(take_memory, give_memory, NULL) != SCN_OK)
        abort();
}

/* ---- the system ---- */

static struct {
    uint64_t now_ns;
    uint64_t random;
    size_t live_blocks;
} world;

static struct sys_ops ops;

static uint64_t stage_now_ns(struct sys *sys)
{
    (void)sys;
    return world.now_ns += 1000;
}

static int64_t stage_wall_ms(struct sys *sys)
{
    (void)sys;
    return INT64_C(1700000000000);
}

static int stage_random(struct sys *sys, void *buf, uint64_t len)
{
    (void)sys;
    for (uint64_t i = 0; i < len; i++) {
        world.random = world.random * UINT64_C(6364136223846793005) + 1;
        ((uint8_t *)buf)[i] = (uint8_t)(world.random >> 56);
    }
    return 0;
}

static void stage_boot_id(struct sys *sys, uint8_t out[16])
{
    (void)sys;
    memset(out, 7, 16);
}

/* Nobody else is there to wake whoever waits. */
static bool stage_cond_wait(struct sys_cond *cond, struct sys_mutex *mutex,
                            uint64_t deadline_ns)
{
    (void)cond;
    (void)mutex;
    if (deadline_ns == 0)
        fuzz_fail(__FILE__, __LINE__, "a lone thread waits for another");
    if (world.now_ns < deadline_ns)
        world.now_ns = deadline_ns;
    return false;
}

struct sys *stage_build(void)
{
    (void)sys_posix(); /* takes its memory once and for all */
    world.live_blocks = mem_live();
    world.now_ns = UINT64_C(1000000000);
    world.random = 1;
    struct sys *sys = sys_memory_create();
    if (sys == NULL)
        abort();
    ops = *sys->ops;
    ops.now_ns = stage_now_ns;
    ops.wall_ms = stage_wall_ms;
    ops.random = stage_random;
    ops.boot_id = stage_boot_id;
    ops.cond_wait = stage_cond_wait;
    sys->ops = &ops;
    return sys;
}

void stage_strike(struct sys *sys)
{
    sys_memory_destroy(sys);
    if (mem_live() != world.live_blocks)
        fuzz_fail(__FILE__, __LINE__, "%zu blocks of memory are left",
                  mem_live() - world.live_blocks);
}

void stage_put_file(struct sys *sys, const uint8_t *bytes, size_t size)
{
    struct sys_file *file;
    if (sys->ops->open(sys, STAGE_STORE, SYS_CREATE, &file) != 0)
        abort();
    if (sys->ops->write(file, 0, bytes, size, 0) != (int64_t)size)
        abort();
    sys->ops->close(file);
}

/* ---- stores ---- */

scn_options stage_options(uint32_t flags)
{
    scn_options options = {.struct_size = sizeof options, .flags = SCN_NOTHREAD | flags};
    options.pool_bytes = 16 * PAGE_BYTES;
    options.log_bytes = UINT64_C(4) * LOG_EXTENT_PAGES * PAGE_BYTES;
    options.max_file_bytes = UINT64_C(16) << 20;
    options.busy_timeout_ms = 10;
    return options;
}

scn_status stage_open(struct sys *sys, uint32_t flags, scn_db **db)
{
    scn_options options = stage_options(flags);
    return store_open_on(sys, STAGE_STORE, &options, db);
}

void stage_judge(scn_status st, const char *what)
{
    scn_error error = {.struct_size = sizeof error};
    if (st >= 0)
        return;
    scn_last_error(NULL, &error);
    bool is_clean = st == SCN_CORRUPT || st == SCN_FULL || st == SCN_NOTADB ||
                    st == SCN_VERSION;
    if (!is_clean || error.status != st || error.text[0] == 0)
        fuzz_fail(__FILE__, __LINE__, "%s says %d; the last error is %d: %s", what, st,
                  error.status, error.text);
}
