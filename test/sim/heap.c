/* Memory by process: see heap.h. */
#include "test/sim/heap.h"

#include "page/mem.h"
#include "test/sim/state.h"

#include <stdlib.h>

enum { HEADER_BYTES = 32 }; /* keeps blocks aligned to 16 */

_Static_assert(sizeof(struct sim_block) <= HEADER_BYTES, "a header holds its links");

static struct sim_process *payer;

static void *take(void *user, size_t size)
{
    (void)user;
    struct sim_block *block = malloc(HEADER_BYTES + size);
    if (block == NULL)
        return NULL;
    *block = (struct sim_block){0};
    if (payer) {
        block->next = payer->blocks;
        block->at = &payer->blocks;
        if (block->next)
            block->next->at = &block->next;
        payer->blocks = block;
    }
    return (char *)block + HEADER_BYTES;
}

static void unlink_block(struct sim_block *block)
{
    if (block->at)
        *block->at = block->next;
    if (block->next)
        block->next->at = block->at;
}

static void give(void *user, void *bytes)
{
    (void)user;
    struct sim_block *block = (struct sim_block *)((char *)bytes - HEADER_BYTES);
    unlink_block(block);
    free(block);
}

void sim_heap_install(void)
{
    if (mem_set_allocator(take, give, NULL) != SCN_OK)
        abort();
}

size_t sim_heap_count(struct sys *sys)
{
    size_t count = 0;
    const struct sim_block *block = ((struct sim_process *)sys)->blocks;
    for (; block; block = block->next)
        count++;
    return count;
}

struct sim_process *heap_charge(struct sim_process *process)
{
    struct sim_process *before = payer;
    payer = process;
    return before;
}

void heap_release(struct sim_process *process)
{
    if (payer == process)
        payer = NULL;
    while (process->blocks) {
        struct sim_block *block = process->blocks;
        unlink_block(block);
        free(block);
    }
}
