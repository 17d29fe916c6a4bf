#include "test/fuzz/stage.h"

#include "engine/store.h"
#include "page/mem.h"
#include "test/fuzz/blocks.h"
#include "test/fuzz/target.h"

#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void set_allocator(void)
{
    if (getenv("PLAIN_MALLOC") == NULL &&
        scn_set_allocator(blocks_take, blocks_give, NULL) != SCN_OK)
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

size_t stage_take_file(struct sys *sys, uint8_t *bytes, size_t room)
{
    struct sys_file *file;
    if (sys->ops->open(sys, STAGE_STORE, SYS_READ_ONLY, &file) != 0)
        abort();
    int64_t got = sys->ops->read(file, 0, bytes, room, 0);
    if (got <= 0)
        abort();
    sys->ops->close(file);
    return (size_t)got;
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
