/* Blocks of an increment: see parcel.h. */
#include "page/parcel.h"

#include "page/hash.h"

enum {
    AT_TYPE = 8,
    AT_ZERO = 9,
    AT_LEN = 12,
    AT_NUMBER = 16,
    AT_TAG = 24,
    AT_HASH = 32
};

/* Not text, and spoilt by whatever translates line ends or strips the eighth bit. */
static const uint8_t magic[8] = {0x89, 'S', 'c', 'r', 'i', 'n', 'c', '\n'};

/* ---- headers ---- */

static uint64_t hash_of(const uint8_t *header, const uint8_t *payload, uint32_t len)
{
    uint8_t both[AT_HASH + 8];
    memcpy(both, header, AT_HASH);
    put_u64(both + AT_HASH, hash64(payload, len));
    return hash64(both, sizeof both);
}

void parcel_header_encode(const struct parcel_header *header, const uint8_t *payload,
                          uint8_t at[PARCEL_HEADER_BYTES])
{
    memset(at, 0, PARCEL_HEADER_BYTES);
    memcpy(at, magic, sizeof magic);
    at[AT_TYPE] = (uint8_t)header->type;
    put_u32(at + AT_LEN, header->len);
    put_u64(at + AT_NUMBER, header->number);
    put_u64(at + AT_TAG, header->tag);
    put_u64(at + AT_HASH, hash_of(at, payload, header->len));
}

bool parcel_has_magic(const uint8_t at[8])
{
    return memcmp(at, magic, sizeof magic) == 0;
}

static bool is_len_of(uint8_t type, uint32_t len)
{
    return type == PARCEL_HEAD ? len == PARCEL_HEAD_BYTES
           : type == PARCEL_END ? len == PARCEL_END_BYTES
                                : len > 0 && len <= PARCEL_BYTES_MAX;
}

const char *parcel_header_decode(const uint8_t at[PARCEL_HEADER_BYTES],
                                 struct parcel_header *out)
{
    uint8_t type = at[AT_TYPE];
    if (!parcel_has_magic(at))
        return "increment: no magic";
    if (type < PARCEL_HEAD || type > PARCEL_END)
        return "increment: a block of an unknown type";
    if (!bytes_are_zero(at + AT_ZERO, AT_LEN - AT_ZERO))
        return "increment: reserved bytes are not zero";
    *out = (struct parcel_header){.type = (enum parcel_type)type,
                                  .len = get_u32(at + AT_LEN),
                                  .number = get_u64(at + AT_NUMBER),
                                  .tag = get_u64(at + AT_TAG),
                                  .hash = get_u64(at + AT_HASH)};
    return is_len_of(type, out->len) ? NULL : "increment: a block of a wrong length";
}

bool parcel_hash_is_right(const uint8_t at[PARCEL_HEADER_BYTES], const uint8_t *payload)
{
    return get_u64(at + AT_HASH) == hash_of(at, payload, get_u32(at + AT_LEN));
}

void parcel_chain(uint8_t chain[PARCEL_CHAIN_BYTES], uint64_t hash)
{
    uint8_t both[PARCEL_CHAIN_BYTES + 8];
    memcpy(both, chain, PARCEL_CHAIN_BYTES);
    put_u64(both + PARCEL_CHAIN_BYTES, hash);
    hash128(both, sizeof both, chain);
}

/* ---- payloads of HEAD and END ---- */

void parcel_head_encode(const struct parcel_head *head, uint8_t at[PARCEL_HEAD_BYTES])
{
    memset(at, 0, PARCEL_HEAD_BYTES);
    put_u32(at, PARCEL_VERSION);
    memcpy(at + 8, head->uuid, 16);
    put_u64(at + 24, head->gen);
    put_u64(at + 32, head->lsn);
    memcpy(at + 40, head->id, 16);
    put_u64(at + 56, head->wall_ms);
    put_u64(at + 64, head->since_gen);
    put_u64(at + 72, head->since_lsn);
    memcpy(at + 80, head->since_id, 16);
}

scn_status parcel_head_decode(const uint8_t at[PARCEL_HEAD_BYTES],
                              struct parcel_head *out)
{
    if (get_u32(at) > PARCEL_VERSION)
        return error_set(SCN_VERSION, 0, 0, 0,
                         "the increment has format version %u, we know up to %u",
                         get_u32(at), PARCEL_VERSION);
    if (get_u32(at) == 0 || get_u32(at + 4) != 0)
        return error_corrupt(0, 0, "increment: an impossible head");
    memcpy(out->uuid, at + 8, 16);
    out->gen = get_u64(at + 24);
    out->lsn = get_u64(at + 32);
    memcpy(out->id, at + 40, 16);
    out->wall_ms = get_u64(at + 56);
    out->since_gen = get_u64(at + 64);
    out->since_lsn = get_u64(at + 72);
    memcpy(out->since_id, at + 80, 16);
    return SCN_OK;
}

void parcel_end_encode(const struct parcel_end *end, uint8_t at[PARCEL_END_BYTES])
{
    put_u64(at, end->tables);
    put_u64(at + 8, end->rows);
    memcpy(at + 16, end->chain, PARCEL_CHAIN_BYTES);
}

void parcel_end_decode(const uint8_t at[PARCEL_END_BYTES], struct parcel_end *out)
{
    out->tables = get_u64(at);
    out->rows = get_u64(at + 8);
    memcpy(out->chain, at + 16, PARCEL_CHAIN_BYTES);
}

/* ---- operations ---- */

uint32_t parcel_number_encode(uint64_t number, uint8_t at[PARCEL_NUMBER_BYTES_MAX])
{
    uint32_t len = 0;
    for (; number >= 0x80; number >>= 7)
        at[len++] = (uint8_t)(number | 0x80);
    at[len++] = (uint8_t)number;
    return len;
}
