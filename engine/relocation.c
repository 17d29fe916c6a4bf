#include "engine/relocation.h"

#include "page/bytes.h"
#include "page/mem.h"

void relocation_destroy(struct relocation *relocation)
{
    mem_free(relocation->start);
    *relocation = (struct relocation){0};
}

void relocation_rewind(struct relocation *relocation)
{
    relocation->start_len = 0;
    relocation->is_at_end = false;
}

bool relocation_concerns(const struct relocation *relocation, const scn_slice *upper)
{
    if (relocation == NULL || relocation->from == 0)
        return false;
    if (relocation->judge == NULL)
        return true;
    if (relocation->budget_bytes == 0 || relocation->is_at_end)
        return false;
    return upper == NULL || bytes_compare(upper->data, upper->size, relocation->start,
                                          relocation->start_len) > 0;
}

static scn_status stop_at(struct relocation *relocation, const scn_slice *upper)
{
    if (upper->size > relocation->start_capacity) {
        uint8_t *grown = mem_alloc(upper->size);
        if (grown == NULL)
            return error_nomem();
        mem_free(relocation->start);
        relocation->start = grown;
        relocation->start_capacity = (uint32_t)upper->size;
    }
    memcpy(relocation->start, upper->data, upper->size);
    relocation->start_len = (uint32_t)upper->size;
    return SCN_OK;
}

scn_status relocation_spend(struct relocation *relocation, uint64_t bytes,
                            const scn_slice *upper)
{
    uint64_t left = relocation->budget_bytes;
    relocation->budget_bytes = left > bytes ? left - bytes : 0;
    if (upper == NULL) {
        relocation->is_at_end = true;
        return SCN_OK;
    }
    return relocation->budget_bytes ? SCN_OK : stop_at(relocation, upper);
}
