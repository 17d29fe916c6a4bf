/* Pins: see pin.h.
 *
 * A process has few generations pinned at a time, so they stand in a plain list.  The
 * kernel call is made under the mutex: another thread that takes the same generation may
 * only go on when the lock is there.
 *
 * The kernel merges neighbouring locks of one owner, so what others hold comes in ranges
 * of generations. */
#include "page/pin.h"

#include "page/mem.h"

enum {
    /* As many neighbouring generations nobody pins: each would be a snapshot with a
     * checkpoint of its own. */
    RANGE_MAX = 1 << 16
};

#define GEN_COUNT (UINT64_C(1) << 48)

static const struct sys_ops *ops_of(const struct pins *pins)
{
    return pins->locks->file->sys->ops;
}

scn_status pins_init(struct pins *pins, struct locks *locks)
{
    struct sys *sys = locks->file->sys;
    *pins = (struct pins){0};
    int error = sys->ops->mutex_create(sys, &pins->mutex);
    if (error != 0)
        return error_sys(error, 0, "pin: cannot make the pins of %s", locks->file->path);
    pins->locks = locks;
    return SCN_OK;
}

void pins_destroy(struct pins *pins)
{
    if (pins->mutex)
        ops_of(pins)->mutex_destroy(pins->mutex);
    mem_free(pins->items);
    *pins = (struct pins){0};
}

/* ---- one's own ---- */

static int set_lock(struct pins *pins, uint64_t gen, enum sys_lock_mode mode)
{
    if (pins->locks->is_exclusive)
        return 0;
    return ops_of(pins)->lock(pins->locks->file->handle, LOCK_PIN_BASE + gen % GEN_COUNT,
                              1, mode);
}

static struct pin *find(struct pins *pins, uint64_t gen)
{
    for (uint32_t i = 0; i < pins->count; i++)
        if (pins->items[i].gen == gen)
            return &pins->items[i];
    return NULL;
}

static scn_status add(struct pins *pins, uint64_t gen)
{
    scn_status st = mem_make_room(&pins->items, &pins->capacity, pins->count + 1,
                                  sizeof *pins->items);
    if (st != SCN_OK)
        return st;
    int error = set_lock(pins, gen, SYS_SHARED);
    if (error != 0)
        return error_set(SCN_IO, error, 0, 0, "pin: the system refuses a lock of %s",
                         pins->locks->file->path);
    pins->items[pins->count++] = (struct pin){.gen = gen, .references = 1};
    return SCN_OK;
}

scn_status pin_take(struct pins *pins, uint64_t gen)
{
    scn_status st = SCN_OK;
    ops_of(pins)->mutex_lock(pins->mutex);
    struct pin *pin = find(pins, gen);
    if (pin)
        pin->references++;
    else
        st = add(pins, gen);
    ops_of(pins)->mutex_unlock(pins->mutex);
    return st;
}

void pin_drop(struct pins *pins, uint64_t gen)
{
    ops_of(pins)->mutex_lock(pins->mutex);
    struct pin *pin = find(pins, gen);
    ASSERT(pin);
    if (--pin->references == 0) {
        /* If it cannot be given back, pages stay unused until the file is closed. */
        (void)set_lock(pins, gen, SYS_UNLOCK);
        *pin = pins->items[--pins->count];
    }
    ops_of(pins)->mutex_unlock(pins->mutex);
}

/* ---- those of others ---- */

struct listing {
    struct pins *pins;
    uint64_t *gens;
    uint32_t count;
    uint32_t capacity;
};

static scn_status listing_reserve(struct listing *listing, uint32_t count)
{
    return mem_make_room(&listing->gens, &listing->capacity, listing->count + count,
                         sizeof *listing->gens);
}

/* A program that locks the whole file hides all pins below its lock. */
static scn_status listing_add(void *ctx, uint64_t start, uint64_t len)
{
    struct listing *listing = ctx;
    if (len > RANGE_MAX)
        return error_set(SCN_IO, 0, 0, 0,
                         "pin: another program has locked the whole of %s",
                         listing->pins->locks->file->path);
    scn_status st = listing_reserve(listing, (uint32_t)len);
    for (uint64_t i = 0; st == SCN_OK && i < len; i++)
        listing->gens[listing->count++] = start - LOCK_PIN_BASE + i;
    return st;
}

scn_status pins_foreign(struct pins *pins, uint64_t **gens, uint32_t *count)
{
    struct listing listing = {.pins = pins};
    *gens = NULL;
    *count = 0;
    scn_status st = lock_each_elsewhere(pins->locks, LOCK_PIN_BASE, GEN_COUNT,
                                        listing_add, &listing);
    if (st != SCN_OK) {
        mem_free(listing.gens);
        return st;
    }
    *gens = listing.gens;
    *count = listing.count;
    return SCN_OK;
}
