/* The catalog: tables by name and by id.  See catalog.h. */
#include "engine/catalog.h"

#include "engine/ancestry.h"
#include "engine/txn.h"
#include "page/mem.h"
#include "page/utf8.h"

/* ---- rows ---- */

scn_slice catalog_key_name(uint8_t *buf, const char *name, size_t len)
{
    buf[0] = 'N';
    memcpy(buf + 1, name, len);
    return (scn_slice){buf, 1 + len};
}

static scn_slice key_of_id(uint8_t *buf, uint8_t letter, uint32_t table_id)
{
    buf[0] = letter;
    put_be32(buf + 1, table_id);
    return (scn_slice){buf, 5};
}

scn_slice catalog_key_id(uint8_t *buf, uint32_t table_id)
{
    return key_of_id(buf, 'I', table_id);
}

scn_slice catalog_key_root(uint8_t *buf, uint32_t table_id)
{
    return key_of_id(buf, 'R', table_id);
}

/* Of the key of a name, and of that of an id. */
static bool key_is_name(scn_slice key)
{
    const uint8_t *letter = key.data;
    return key.size >= 2 && key.size <= CATALOG_KEY_MAX && letter[0] == 'N' &&
           utf8_is_text(letter + 1, key.size - 1);
}

static bool key_is_id(scn_slice key)
{
    const uint8_t *letter = key.data;
    return key.size == 5 && letter[0] == 'I';
}

bool catalog_op_is_possible(const struct op *op)
{
    bool is_next = op->key.size == 1 && ((const uint8_t *)op->key.data)[0] == '#';
    if (ancestry_op_is_possible(op))
        return true;
    if (op->code == OP_DEL)
        return key_is_name(op->key) || key_is_id(op->key);
    if (op->code != OP_PUT)
        return false;
    if (key_is_id(op->key))
        return op->value.size >= 5 && op->value.size <= 4 + TABLE_NAME_MAX;
    return (is_next || key_is_name(op->key)) && op->value.size == 4;
}

void catalog_root_encode(const struct catalog_root *root, uint8_t out[CATALOG_ROOT_BYTES])
{
    page_ref_encode(&root->root, out);
    put_u64(out + 32, root->stat.count);
    put_u64(out + 40, root->stat.key_bytes);
    put_u64(out + 48, root->stat.value_bytes);
    put_u64(out + 56, root->stat.pages);
}

void catalog_root_decode(const uint8_t row[CATALOG_ROOT_BYTES], struct catalog_root *out)
{
    out->root = page_ref_decode(row);
    out->stat.count = get_u64(row + 32);
    out->stat.key_bytes = get_u64(row + 40);
    out->stat.value_bytes = get_u64(row + 48);
    out->stat.pages = get_u64(row + 56);
}

scn_status catalog_read_root(struct pool_reader *reader, const struct page_ref *catalog,
                             uint32_t table_id, struct catalog_root *out)
{
    uint8_t buf[CATALOG_KEY_MAX];
    scn_slice key = catalog_key_root(buf, table_id);
    struct tree tree = {*catalog, TABLE_CATALOG};
    struct tree_record found;
    *out = (struct catalog_root){0};
    if (page_ref_is_null(catalog))
        return SCN_NOTFOUND;
    scn_status st = tree_get(reader, &tree, key, leaf_hash(key.data, key.size), &found);
    if (st != SCN_OK)
        return st;
    const struct leaf_record *record = &found.record;
    if (record->kind != LEAF_INLINE || record->payload_len != CATALOG_ROOT_BYTES)
        return error_corrupt(catalog->pgno, 0,
                             "catalog: the root row of table %u is malformed", table_id);
    catalog_root_decode(record->payload, out);
    bool is_tree = out->root.type == PAGE_LEAF
                       ? out->root.level == 0
                       : out->root.type == PAGE_INNER && out->root.level;
    if (!page_ref_is_null(&out->root) && !is_tree)
        return error_corrupt(catalog->pgno, 0,
                             "catalog: the root of table %u leads to no tree", table_id);
    return SCN_OK;
}

/* ---- bindings ---- */

struct binding catalog_binding(const struct scn_txn *txn)
{
    return (struct binding){
        .table_id = TABLE_CATALOG,
        .exists = true,
        .is_write_checked = true,
        .tree = {txn->view->catalog, TABLE_CATALOG},
    };
}

void catalog_forget(struct scn_txn *txn)
{
    uint32_t used = txn->binding_next < BINDING_CACHE ? txn->binding_next : BINDING_CACHE;
    memset(txn->bindings, 0, used * sizeof txn->bindings[0]);
    txn->binding_next = 0;
}

static scn_status catalog_get(struct scn_txn *txn, scn_slice key, bool tracks,
                              scn_slice *value)
{
    struct binding catalog = catalog_binding(txn);
    uint64_t hash = leaf_hash(key.data, key.size);
    struct found found;
    if (tracks) {
        scn_status st = readset_key(&txn->reads, TABLE_CATALOG, key, hash);
        if (st < 0)
            return st;
    }
    scn_status st = read_find(txn, &catalog, key, hash, &found);
    if (st < 0)
        return st;
    if (found.kind == FOUND_NONE)
        return SCN_NOTFOUND;
    if (found.kind == FOUND_REF)
        return error_corrupt(txn->view->catalog.pgno, 0,
                             "catalog: a row lies outside its leaf");
    *value = found.bytes;
    return SCN_OK;
}

static scn_status bind(struct scn_txn *txn, uint32_t table_id, struct binding *out)
{
    uint8_t buf[CATALOG_KEY_MAX];
    scn_slice value;
    struct catalog_root root;
    *out = (struct binding){.table_id = table_id};
    scn_status st = catalog_get(txn, catalog_key_id(buf, table_id), txn_tracks(txn, 0),
                                &value);
    if (st == SCN_NOTFOUND)
        return SCN_OK;
    if (st < 0)
        return st;
    if (value.size < 5)
        return error_corrupt(txn->view->catalog.pgno, 0,
                             "catalog: row of table %u is too short", table_id);
    out->flags = get_u32(value.data);
    out->exists = true;
    st = catalog_read_root(txn->reader, &txn->view->catalog, table_id, &root);
    if (st < 0)
        return st;
    out->tree = (struct tree){root.root, table_id};
    out->tree_count = root.stat.count;
    out->key_bytes = root.stat.key_bytes;
    out->value_bytes = root.stat.value_bytes;
    out->tree_pages = root.stat.pages;
    return SCN_OK;
}

static scn_status bind_anew(struct scn_txn *txn, uint32_t table_id, struct binding **out)
{
    struct binding fresh;
    scn_status st = bind(txn, table_id, &fresh);
    if (st < 0)
        return st;
    *out = &txn->bindings[txn->binding_next++ % BINDING_CACHE];
    **out = fresh;
    return SCN_OK;
}

scn_status catalog_bind(struct scn_txn *txn, uint32_t table_id, struct binding **out)
{
    uint32_t i = 0;
    if (table_id < TABLE_FIRST_USER)
        return SCN_NOTFOUND;
    while (i < BINDING_CACHE && txn->bindings[i].table_id != table_id)
        i++;
    *out = &txn->bindings[i];
    scn_status st = i < BINDING_CACHE ? SCN_OK : bind_anew(txn, table_id, out);
    return st == SCN_OK && !(*out)->exists ? SCN_NOTFOUND : st;
}

scn_status catalog_bind_write(struct scn_txn *txn, uint32_t table_id,
                              struct binding **out)
{
    scn_status st = catalog_bind(txn, table_id, out);
    if (st != SCN_OK || (*out)->is_write_checked)
        return st;
    uint8_t buf[CATALOG_KEY_MAX];
    scn_slice key = catalog_key_id(buf, table_id);
    st = readset_key(&txn->reads, TABLE_CATALOG, key, leaf_hash(key.data, key.size));
    if (st == SCN_OK)
        (*out)->is_write_checked = true;
    return st;
}

/* ---- public ---- */

static scn_status check_name(const char *name)
{
    if (name == NULL)
        return error_misuse("the table's name is NULL");
    size_t len = strnlen(name, TABLE_NAME_MAX + 1);
    if (len == 0)
        return error_misuse("the table's name is empty; it has 1 to %d bytes",
                            TABLE_NAME_MAX);
    if (len > TABLE_NAME_MAX)
        return error_set(SCN_TOOBIG, 0, 0, 0, "the table's name is longer than %d bytes",
                         TABLE_NAME_MAX);
    if (!utf8_is_text(name, len))
        return error_misuse("the table's name is no UTF-8");
    return SCN_OK;
}

static scn_status put_row(struct scn_txn *txn, scn_slice key, const void *value,
                          size_t len)
{
    return write_append(txn, TABLE_CATALOG, key, DELTA_PUT, (scn_slice){value, len});
}

/* The name may be bytes of the write set, which the first write may spill: it is copied
 * before, and not looked at after. */
static scn_status put_rows(struct scn_txn *txn, const char *name, uint32_t flags,
                           uint32_t id)
{
    uint8_t name_key[CATALOG_KEY_MAX];
    uint8_t id_key[CATALOG_KEY_MAX];
    uint8_t number[4];
    uint8_t row[4 + TABLE_NAME_MAX];
    size_t len = strlen(name);
    put_u32(number, id);
    put_u32(row, flags);
    memcpy(row + 4, name, len);
    scn_status st = put_row(txn, catalog_key_name(name_key, name, len), number, 4);
    return st < 0 ? st : put_row(txn, catalog_key_id(id_key, id), row, 4 + len);
}

static scn_status create_table(struct scn_txn *txn, const char *name, uint32_t flags,
                               uint32_t *id)
{
    static const uint8_t next_key[1] = {'#'};
    char own_name[TABLE_NAME_MAX + 1];
    uint8_t row[4];
    scn_slice value;
    scn_status st = catalog_get(txn, (scn_slice){next_key, 1}, true, &value);
    if (st < 0)
        return st;
    *id = st == SCN_OK && value.size == 4 ? get_u32(value.data) : TABLE_FIRST_USER;
    if (*id < TABLE_FIRST_USER || *id == UINT32_MAX)
        return error_corrupt(txn->view->catalog.pgno, 0,
                             "catalog: next table id %u is impossible", *id);
    put_u32(row, *id + 1);
    memcpy(own_name, name, strlen(name) + 1);
    st = put_row(txn, (scn_slice){next_key, 1}, row, 4);
    if (st == SCN_OK)
        st = put_rows(txn, own_name, flags & SCN_COMPRESS, *id);
    catalog_forget(txn);
    return st;
}

static scn_status find_table(struct scn_txn *txn, const char *name, uint32_t *id)
{
    uint8_t buf[CATALOG_KEY_MAX];
    scn_slice value;
    scn_status st = catalog_get(txn, catalog_key_name(buf, name, strlen(name)),
                                txn_tracks(txn, 0), &value);
    if (st != SCN_OK)
        return st;
    if (value.size != 4)
        return error_corrupt(txn->view->catalog.pgno, 0,
                             "catalog: row of name %.40s is malformed", name);
    *id = get_u32(value.data);
    return SCN_OK;
}

scn_status scn_table(scn_txn *txn, const char *name, uint32_t flags, scn_table_id *id)
{
    scn_status st = txn_check(txn);
    if (st == SCN_OK)
        st = check_name(name);
    if (st < 0)
        return st;
    if (id == NULL || (flags & ~(uint32_t)(SCN_CREATE | SCN_COMPRESS)))
        return error_misuse("scn_table: no place for the id, or unknown flags 0x%x",
                            flags);
    *id = 0;
    txn_enter(txn);
    st = find_table(txn, name, id);
    if (st == SCN_NOTFOUND && (flags & SCN_CREATE)) {
        st = txn_check_write(txn);
        if (st == SCN_OK)
            st = create_table(txn, name, flags, id);
    }
    st = txn_leave(txn, st);
    return st;
}

/* The key of the name that the row `I` of a table tells. */
static scn_status key_in_row(struct scn_txn *txn, uint32_t id, scn_slice row,
                             uint8_t *buf, scn_slice *out)
{
    const uint8_t *name = (const uint8_t *)row.data + 4;
    size_t len = row.size - 4;
    if (len > TABLE_NAME_MAX || !utf8_is_text(name, len))
        return error_corrupt(txn->view->catalog.pgno, 0,
                             "catalog: the name of table %u is too long, or no text", id);
    *out = catalog_key_name(buf, (const char *)name, len);
    return SCN_OK;
}

static scn_status drop_table(struct scn_txn *txn, uint32_t id)
{
    uint8_t key[CATALOG_KEY_MAX];
    uint8_t name_key[CATALOG_KEY_MAX];
    scn_slice row;
    scn_slice name;
    struct binding *binding;
    scn_status st = catalog_bind_write(txn, id, &binding);
    if (st == SCN_OK)
        st = catalog_get(txn, catalog_key_id(key, id), true, &row);
    if (st != SCN_OK)
        return st;
    st = key_in_row(txn, id, row, name_key, &name);
    if (st == SCN_OK)
        st = write_clear(txn, id, NULL, NULL);
    if (st == SCN_OK)
        st = write_append(txn, TABLE_CATALOG, name, DELTA_TOMBSTONE,
                          (scn_slice){NULL, 0});
    if (st == SCN_OK)
        st = write_append(txn, TABLE_CATALOG, catalog_key_id(key, id), DELTA_TOMBSTONE,
                          (scn_slice){NULL, 0});
    catalog_forget(txn);
    return st;
}

scn_status scn_table_drop(scn_txn *txn, scn_table_id id)
{
    scn_status st = txn_check_write(txn);
    if (st < 0)
        return st;
    txn_enter(txn);
    st = drop_table(txn, id);
    st = txn_leave(txn, st);
    return st;
}

scn_status scn_table_clear(scn_txn *txn, scn_table_id id)
{
    struct binding *binding;
    scn_status st = txn_check_write(txn);
    if (st < 0)
        return st;
    txn_enter(txn);
    st = catalog_bind_write(txn, id, &binding);
    if (st == SCN_OK)
        st = write_clear(txn, id, NULL, NULL);
    st = txn_leave(txn, st);
    return st;
}

static scn_status rename_table(struct scn_txn *txn, uint32_t id, const char *name)
{
    uint8_t key[CATALOG_KEY_MAX];
    uint32_t other;
    scn_slice row;
    scn_status st = find_table(txn, name, &other);
    if (st == SCN_OK)
        return other == id ? SCN_OK : SCN_EXISTS;
    if (st == SCN_NOTFOUND)
        st = catalog_get(txn, catalog_key_id(key, id), true, &row);
    if (st != SCN_OK)
        return st;
    uint32_t flags = get_u32(row.data);
    uint8_t old_key[CATALOG_KEY_MAX];
    scn_slice old;
    st = key_in_row(txn, id, row, old_key, &old);
    if (st == SCN_OK)
        st = put_rows(txn, name, flags, id);
    if (st == SCN_OK)
        st = write_append(txn, TABLE_CATALOG, old, DELTA_TOMBSTONE, (scn_slice){NULL, 0});
    return st;
}

scn_status scn_table_rename(scn_txn *txn, scn_table_id id, const char *name)
{
    struct binding *binding;
    scn_status st = txn_check_write(txn);
    if (st == SCN_OK)
        st = check_name(name);
    if (st < 0)
        return st;
    txn_enter(txn);
    st = catalog_bind_write(txn, id, &binding);
    if (st == SCN_OK)
        st = rename_table(txn, id, name);
    catalog_forget(txn);
    st = txn_leave(txn, st);
    return st;
}

scn_status scn_table_each(scn_txn *txn,
                          scn_status (*fn)(void *, const char *, scn_table_id), void *ctx)
{
    char name[TABLE_NAME_MAX + 1];
    uint8_t key[CATALOG_KEY_MAX] = {'N'};
    size_t key_len = 1;
    int op = SCN_GE;
    scn_status st = txn_check(txn);
    if (st < 0)
        return st;
    if (fn == NULL)
        return error_misuse("scn_table_each: the function is NULL");
    scn_slice from = {"N", 1};
    scn_slice to = {"O", 1};
    if (txn_tracks(txn, 0)) {
        st = readset_range(&txn->reads, TABLE_CATALOG, &from, &to);
        if (st < 0)
            return st;
    }
    /* Each step seeks anew: the callback may use the transaction, and even end it.  Bytes
     * handed out before stay good, so these are no operations of their own. */
    while ((st = txn_check(txn)) == SCN_OK) {
        struct binding catalog = catalog_binding(txn);
        struct merge *merge = NULL;
        struct merge_item item;
        uint32_t id = 0;
        pool_enter(txn->reader);
        st = read_merge(txn, &catalog, &merge);
        if (st == SCN_OK)
            st = merge_seek(merge, &(scn_slice){key, key_len}, op, &item);
        if (st == SCN_OK && ((const uint8_t *)item.key.data)[0] != 'N')
            st = SCN_END;
        if (st == SCN_OK && !key_is_name(item.key))
            st = error_corrupt(txn->view->catalog.pgno, 0,
                               "catalog: a table's name is no text");
        if (st == SCN_OK) {
            key_len = item.key.size;
            memcpy(key, item.key.data, key_len);
            id = item.value.size == 4 ? get_u32(item.value.data) : 0;
        }
        merge_destroy(merge);
        pool_leave(txn->reader);
        if (st != SCN_OK)
            return st == SCN_END ? SCN_OK : txn_failure(txn, st);
        memcpy(name, key + 1, key_len - 1);
        name[key_len - 1] = 0;
        st = fn(ctx, name, id);
        if (st != SCN_OK)
            return st;
        op = SCN_GT;
    }
    return st;
}
