/* Layers: see layer.h. */
#include "tools/walcheck/layer.h"

#include "wal/extent.h"

/* The catalog's root page is there. */
static scn_status look_for_catalog(struct subject *subject, struct layer *layer)
{
    uint8_t *image = NULL;
    if (page_ref_is_null(&layer->sb->catalog))
        return SCN_OK;
    scn_status st = pagecopy_reserve(&image);
    if (st == SCN_OK)
        st = subject_page(subject, &layer->sb->catalog, image);
    pagecopy_free(image);
    layer->has_catalog = st == SCN_OK;
    return st == SCN_CORRUPT || st == SCN_IO ? SCN_OK : st;
}

static scn_status try_slot(struct subject *subject, const struct generations *generations,
                           int slot, struct layers *out)
{
    bool is_sound = generations->verdict[slot] == SUPERBLOCK_GOOD;
    struct layer layer = {.sb = &generations->sb[slot], .is_sound = is_sound};
    if (!is_sound && generations->verdict[slot] != SUPERBLOCK_BROKEN)
        return SCN_OK;
    layer.gen = is_sound ? layer.sb->gen : layer.sb->catalog.birth_gen;
    layer.gen_max = is_sound ? layer.sb->gen : SUPERBLOCK_GEN_MAX;
    scn_status st = look_for_catalog(subject, &layer);
    if (st == SCN_OK && (is_sound || layer.has_catalog))
        out->layer[out->count++] = layer;
    return st;
}

/* A catalog that is there beats one that is not, then the newer one counts. */
static bool is_better(const struct layer *a, const struct layer *b)
{
    return a->has_catalog != b->has_catalog ? a->has_catalog : a->gen > b->gen;
}

static bool base_fits(const struct layers *layers, const uint8_t uuid[16])
{
    for (int i = 0; i < layers->count; i++)
        if (record_epoch_is_ours(uuid, layers->layer[i].sb->base.epoch))
            return true;
    return false;
}

/* The epoch of a base is bound to the uuid [R5], so they bear witness of each other. */
static void find_uuid(struct layers *layers)
{
    memcpy(layers->uuid, layers->layer[0].sb->uuid, sizeof layers->uuid);
    for (int i = 0; i < layers->count; i++)
        if (base_fits(layers, layers->layer[i].sb->uuid)) {
            memcpy(layers->uuid, layers->layer[i].sb->uuid, sizeof layers->uuid);
            return;
        }
}

/* Neither superblock bears the uuid of the log: perhaps the log's own extent does. */
static scn_status find_uuid_in_log(struct subject *subject, struct layers *layers)
{
    for (int i = 0; i < layers->count; i++) {
        const struct log_base *base = &layers->layer[i].sb->base;
        uint8_t head[LOG_EXTENT_HEADER_BYTES];
        struct extent_header header;
        if (!extent_is_in_file(&subject->file, base->extent_pgno, 1))
            continue;
        scn_status st = file_read(&subject->file, extent_file_off(base->extent_pgno),
                                  head, sizeof head, 0);
        if (st < 0 && st != SCN_CORRUPT && st != SCN_IO)
            return st;
        if (st == SCN_OK && extent_header_decode(head, &header) &&
            base_fits(layers, header.uuid))
            memcpy(layers->uuid, header.uuid, sizeof layers->uuid);
    }
    return SCN_OK;
}

static scn_status refuse(const struct layers *layers, const char *path)
{
    const struct generations *generations = &layers->generations;
    for (int i = 0; i < 2; i++)
        if (generations->verdict[i] == SUPERBLOCK_NEWER)
            return superblock_say_newer(&generations->sb[i]);
    if (generations_have(generations, SUPERBLOCK_BROKEN))
        return error_corrupt(0, 0,
                             "%.160s: both superblocks are damaged, and what is left of "
                             "them leads to no catalog",
                             path);
    return error_set(SCN_NOTADB, 0, 0, 0, "%.160s is not a Scrine store", path);
}

scn_status layers_find(struct subject *subject, struct layers *out)
{
    *out = (struct layers){0};
    scn_status st = generations_read(subject, &out->generations);
    for (int i = 0; i < 2 && st == SCN_OK; i++)
        st = try_slot(subject, &out->generations, i, out);
    if (st < 0)
        return st;
    if (out->count == 0 || generations_have(&out->generations, SUPERBLOCK_NEWER))
        return refuse(out, subject->file.path);
    if (out->count == 2 && is_better(&out->layer[1], &out->layer[0])) {
        struct layer better = out->layer[1];
        out->layer[1] = out->layer[0];
        out->layer[0] = better;
    }
    find_uuid(out);
    /* A newer one without a catalog has nothing; that its base was durable is known. */
    if (out->count == 2 && out->layer[1].gen > out->layer[0].gen)
        out->count = 1;
    return base_fits(out, out->uuid) ? SCN_OK : find_uuid_in_log(subject, out);
}

const struct log_base *layer_base(const struct layers *layers, int idx)
{
    if (idx >= layers->count)
        return NULL;
    const struct layer *layer = &layers->layer[idx];
    bool is_alone = layers->count == 1 || !layers->layer[idx ^ 1].is_sound;
    return layer->is_sound || is_alone ? &layer->sb->base : NULL;
}
