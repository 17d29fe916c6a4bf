/* Commutative additions (scn_add): what one transaction will add to a counter, whatever
 * its value will be.
 *
 * An ADD with bounds says: after it the counter lies in [min, max]. Turned round: before
 * it the counter lies in [min - delta, max - delta]. In that form two additions compose
 * to one, and a transaction needs only one for each key, however many it made.
 *
 * The sum of two may need 65 bits although every step stays within 64: -2^63 and twice
 * 2^63 - 1.  So sums are kept modulo 2^64; with any counter that is allowed before, the
 * one after it tells what the sum is. */
#include "engine/txn.h"

static int64_t clamp(__int128 value)
{
    return value < INT64_MIN ? INT64_MIN : value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static struct addition impossible(void)
{
    return (struct addition){0, INT64_MAX, INT64_MIN};
}

static int64_t add_wrapping(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* Only of one that is possible: there lo + sum is a counter. */
static __int128 true_sum(const struct addition *addition)
{
    return (__int128)add_wrapping(addition->lo, addition->sum) - addition->lo;
}

struct addition addition_decode(const void *data)
{
    const uint8_t *at = data;
    return (struct addition){(int64_t)get_u64(at), (int64_t)get_u64(at + 8),
                             (int64_t)get_u64(at + 16)};
}

void addition_encode(const struct addition *addition, uint8_t *out)
{
    put_u64(out, (uint64_t)addition->sum);
    put_u64(out + 8, (uint64_t)addition->lo);
    put_u64(out + 16, (uint64_t)addition->hi);
}

struct addition addition_compose(const struct addition *first,
                                 const struct addition *second)
{
    if (first->lo > first->hi || second->lo > second->hi)
        return impossible();
    __int128 lo = second->lo - true_sum(first);
    __int128 hi = second->hi - true_sum(first);
    if (lo > INT64_MAX || hi < INT64_MIN)
        return impossible();
    struct addition both = {add_wrapping(first->sum, second->sum), clamp(lo), clamp(hi)};
    if (both.lo < first->lo)
        both.lo = first->lo;
    if (both.hi > first->hi)
        both.hi = first->hi;
    return both.lo > both.hi ? impossible() : both;
}

scn_status addition_apply(const struct addition *addition, const struct found *base,
                          int64_t *out)
{
    int64_t value = 0;
    if (base->kind == FOUND_REF || (base->kind == FOUND_BYTES && base->bytes.size != 8))
        return error_misuse("scn_add: the value of this key is no counter of 8 bytes");
    if (base->kind == FOUND_BYTES)
        value = (int64_t)get_u64(base->bytes.data);
    if (value < addition->lo || value > addition->hi)
        return error_set(SCN_TOOBIG, 0, 0, 0,
                         "scn_add: the counter (now %lld) would leave its bounds",
                         (long long)value);
    *out = add_wrapping(value, addition->sum);
    return SCN_OK;
}

scn_status scn_add(scn_txn *txn, scn_table_id id, scn_slice key, int64_t delta,
                   int64_t min, int64_t max)
{
    scn_status st = txn_check_write(txn);
    if (st == SCN_OK)
        st = write_check_key(key);
    if (st < 0)
        return st;
    if (min > max)
        return error_misuse("scn_add: the lower bound is above the upper bound");
    __int128 lo = (__int128)min - delta;
    __int128 hi = (__int128)max - delta;
    struct addition addition = {delta, clamp(lo), clamp(hi)};
    if (lo > INT64_MAX || hi < INT64_MIN)
        addition = impossible();
    struct binding *binding;
    txn_enter(txn);
    st = catalog_bind_write(txn, id, &binding);
    if (st == SCN_OK)
        st = write_addition(txn, id, key, &addition);
    st = txn_leave(txn, st);
    return st;
}
