/* A record's payload, made ready before any lock is taken: compressed, padded,
 * checksummed.
 *
 *     [room for an EPOCH record][room for the header][payload][padding]
 *
 * The room in front lets log_append write record, header and, once after a recovery, the
 * EPOCH record in one call without copying the payload and without taking memory. */
#include "wal/log.h"

#include "page/compress.h"
#include "page/mem.h"

enum {
    /* Below it LZ4 finds too little, and the time is better spent on the sync. */
    COMPRESS_BYTES_MIN = 512
};

void log_packet_init(struct log_packet *packet)
{
    *packet = (struct log_packet){0};
}

void log_packet_destroy(struct log_packet *packet)
{
    mem_free(packet->data);
    log_packet_init(packet);
}

uint32_t log_payload_max(void)
{
    return RECORD_PAYLOAD_MAX;
}

static scn_status reserve(struct log_packet *packet, size_t size)
{
    if (size <= packet->capacity)
        return SCN_OK;
    size_t capacity = size + size / 2;
    uint8_t *data = mem_alloc(capacity);
    if (!data)
        return error_nomem();
    mem_free(packet->data);
    packet->data = data;
    packet->capacity = capacity;
    return SCN_OK;
}

/* At least an eighth must be saved: less is not worth decompressing at every replay. */
static uint32_t store(const void *payload, uint32_t len, uint8_t *at, uint8_t *flags)
{
    *flags = 0;
    if (len >= COMPRESS_BYTES_MIN) {
        size_t stored = compress_block(payload, len, at, len - len / 8);
        if (stored > 0) {
            *flags = RECORD_IS_LZ4;
            return (uint32_t)stored;
        }
    }
    if (len > 0)
        memcpy(at, payload, len);
    return len;
}

scn_status log_packet_set(struct log_packet *packet, enum record_type type,
                          const void *payload, uint32_t len)
{
    ASSERT(type == RECORD_COMMIT || type == RECORD_MARK || type == RECORD_FREEZE);
    ASSERT(type == RECORD_COMMIT || len == 0);
    if (len > RECORD_PAYLOAD_MAX)
        return error_set(SCN_TOOBIG, 0, 0, 0,
                         "log: a payload of %u bytes is no record, the most is %u", len,
                         (unsigned)RECORD_PAYLOAD_MAX);
    scn_status st = reserve(packet, LOG_PACKET_ROOM + record_bytes(len));
    if (st != SCN_OK)
        return st;
    uint8_t *at = packet->data + LOG_PACKET_ROOM;
    packet->type = (uint8_t)type;
    packet->raw_len = len;
    packet->stored_len = store(payload, len, at, &packet->flags);
    uint32_t padded_len = record_bytes(packet->stored_len) - RECORD_HEADER_BYTES;
    memset(at + packet->stored_len, 0, padded_len - packet->stored_len);
    packet->payload_crc = record_payload_crc(at, packet->stored_len);
    return SCN_OK;
}
